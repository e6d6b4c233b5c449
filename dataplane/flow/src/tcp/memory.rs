//! The account of buffered bytes: one per core, with a cap, and what each connection owes to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug)]
struct Account {
    used: AtomicU64,
    cap: u64,
}

impl Account {
    /// Whether most of it is lent, so that holders should keep no more than they need.
    fn is_scarce(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.cap / 4 * 3
    }
}

/// The account of one core. Connections hold a reference and give back what they hold when they
/// are dropped, wherever that is.
#[derive(Debug)]
pub struct Memory {
    account: Arc<Account>,
}

impl Memory {
    /// An account that lends at most `cap` bytes.
    pub fn new(cap: u64) -> Self {
        Self { account: Arc::new(Account { used: AtomicU64::new(0), cap }) }
    }

    /// Bytes lent at the moment.
    #[inline]
    pub fn used(&self) -> u64 {
        // One core writes, others read for their statistics: no order is needed.
        self.account.used.load(Ordering::Relaxed)
    }

    /// The most bytes that are lent.
    pub fn cap(&self) -> u64 {
        self.account.cap
    }

    /// Bytes that can still be lent.
    #[inline]
    pub(crate) fn free(&self) -> u64 {
        self.cap().saturating_sub(self.used())
    }

    /// Whether most of it is lent.
    #[inline]
    pub(crate) fn is_scarce(&self) -> bool {
        self.account.is_scarce()
    }
}

/// What one holder owes to an account; nothing until it first takes something.
#[derive(Debug, Default)]
pub(crate) struct Debt {
    account: Option<Arc<Account>>,
    bytes: u64,
}

impl Debt {
    /// Takes `bytes` more, or nothing if the account has not as many.
    pub(crate) fn take(&mut self, bytes: u64, memory: &Memory) -> bool {
        if bytes > memory.free() {
            return false;
        }
        let account = self.account.get_or_insert_with(|| Arc::clone(&memory.account));
        account.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        true
    }

    /// Takes `bytes` more even beyond the cap: for the few that cannot be told before.
    pub(crate) fn take_anyway(&mut self, bytes: u64, memory: &Memory) {
        let account = self.account.get_or_insert_with(|| Arc::clone(&memory.account));
        account.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Gives `bytes` back.
    pub(crate) fn give(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        if let Some(account) = &self.account {
            account.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Whether most of the account is lent.
    pub(crate) fn is_scarce(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.is_scarce())
    }

    /// What is owed.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_lent_than_the_cap_and_all_comes_back() {
        let memory = Memory::new(100);
        let mut first = Debt::default();
        let mut second = Debt::default();
        assert!(first.take(60, &memory));
        assert!(!second.take(41, &memory));
        assert!(second.take(40, &memory));
        assert_eq!((memory.used(), memory.free()), (100, 0));
        first.give(10);
        assert_eq!(memory.used(), 90);
        drop(first);
        assert_eq!(memory.used(), 40);
        second.give(1000);
        assert_eq!(memory.used(), 0);
    }
}
