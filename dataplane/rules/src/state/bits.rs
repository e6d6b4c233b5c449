//! Bits of hosts and of pairs of hosts: `hostbits` and `xbits`, with the time at which each ends.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::signature::BitId;

/// Shards of a table.
const SHARDS: usize = 64;

/// Bits that a table holds at the most, over all shards.
const CAPACITY: usize = 1 << 20;

/// Whose bit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// One address.
    Host(IpAddr),
    /// Two, the smaller first: see [`Owner::pair`].
    Pair(IpAddr, IpAddr),
}

impl Owner {
    /// Two addresses, in either order.
    pub fn pair(a: IpAddr, b: IpAddr) -> Self {
        Self::Pair(a.min(b), a.max(b))
    }
}

type Shard = HashMap<(BitId, Owner), u64>;

/// All bits of a process. Times are seconds of the capture's clock.
pub struct BitTable {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    capacity: usize,
    refused: AtomicU64,
}

impl Default for BitTable {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl std::fmt::Debug for BitTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BitTable").field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl BitTable {
    /// One that holds this many bits at the most.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            capacity: capacity.div_ceil(SHARDS),
            refused: AtomicU64::new(0),
        }
    }

    fn with<T>(&self, owner: Owner, act: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let at = usize::try_from(self.hasher.hash_one(owner) % SHARDS as u64).ok()?;
        let shard = self.shards.get(at)?;
        Some(act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Is the bit set, and not run out?
    pub fn is_set(&self, bit: BitId, owner: Owner, now: u64) -> bool {
        let until = self.with(owner, |shard| shard.get(&(bit, owner)).copied());
        until.flatten().is_some_and(|until| until >= now)
    }

    /// Sets the bit until then, or longer. A full table refuses, once what has run out is gone.
    pub fn set(&self, bit: BitId, owner: Owner, now: u64, until: u64) {
        let (capacity, key) = (self.capacity, (bit, owner));
        let done = self.with(owner, |shard| {
            if shard.len() >= capacity && !shard.contains_key(&key) {
                shard.retain(|_, until| *until >= now);
                if shard.len() >= capacity {
                    return false;
                }
            }
            shard.insert(key, until);
            true
        });
        if done != Some(true) {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes the bit away. False if it was not set.
    pub fn unset(&self, bit: BitId, owner: Owner, now: u64) -> bool {
        let until = self.with(owner, |shard| shard.remove(&(bit, owner)));
        until.flatten().is_some_and(|until| until >= now)
    }

    /// Bits that found no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(last: u8) -> Owner {
        Owner::Host(IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn a_bit_holds_for_its_owner_until_it_runs_out() {
        let table = BitTable::default();
        table.set(1, host(1), 100, 130);
        assert!(table.is_set(1, host(1), 130) && !table.is_set(1, host(1), 131));
        assert!(!table.is_set(2, host(1), 100) && !table.is_set(1, host(2), 100));
        assert!(table.unset(1, host(1), 110) && !table.unset(1, host(1), 110));
    }

    #[test]
    fn a_pair_is_the_same_either_way() {
        let table = BitTable::default();
        let (a, b) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([2, 2, 2, 2]));
        table.set(1, Owner::pair(a, b), 0, 10);
        assert!(table.is_set(1, Owner::pair(b, a), 5));
        assert!(!table.is_set(1, Owner::Host(a), 5));
    }

    #[test]
    fn a_full_table_lets_what_has_run_out_go_and_then_refuses() {
        let table = BitTable::with_capacity(SHARDS);
        for bit in 0..3 {
            table.set(bit, host(1), 0, 10);
        }
        assert_eq!(table.refused(), 2);
        table.set(9, host(1), 11, 20);
        assert!(table.is_set(9, host(1), 12));
    }
}
