//! Certificates that a core knows: servers show the same ones again and again, and to read one takes longer than most
//! packets. All connections in which one is shown have it in common.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use super::certificate::{Leaf, fault};
use crate::event::TlsEvent;

/// Certificates that a core knows, at most.
const MOST: usize = 128;

/// Bytes of the largest that are kept.
const LARGEST: usize = 4096;

/// A certificate, and what it says, once that was asked for.
#[derive(Debug)]
pub(super) struct Certificate {
    der: Box<[u8]>,
    leaf: OnceLock<Leaf>,
    fault: OnceLock<Option<TlsEvent>>,
}

impl Certificate {
    fn new(der: &[u8]) -> Arc<Self> {
        Arc::new(Self { der: der.into(), leaf: OnceLock::new(), fault: OnceLock::new() })
    }

    /// As it was sent.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// What it says; nothing where it cannot be read.
    pub(super) fn leaf(&self) -> &Leaf {
        self.leaf.get_or_init(|| Leaf::read(&self.der))
    }

    /// Why it cannot be read, if it cannot.
    pub(super) fn fault(&self) -> Option<TlsEvent> {
        *self.fault.get_or_init(|| fault(&self.der))
    }

    /// Bytes held beside itself.
    pub(super) fn text(&self) -> usize {
        self.der.len() + self.leaf.get().map_or(0, Leaf::text)
    }
}

/// The certificates of servers and clients that a core has seen lately: whoever owns parsers owns one of these, and
/// hands it to them with their [`Config`](crate::Config).
#[derive(Debug, Default)]
pub struct Certificates(RefCell<Vec<Option<Arc<Certificate>>>>);

impl Certificates {
    /// The certificate with these bytes: a known one, or one that is known from now on.
    pub(super) fn of(&self, der: &[u8]) -> Arc<Certificate> {
        let place = der.last_chunk().map(|end| (u64::from_le_bytes(*end) % MOST as u64) as usize);
        let mut all = self.0.borrow_mut();
        if all.is_empty() {
            all.resize(MOST, None);
        }
        let slot = place.filter(|_| der.len() <= LARGEST).and_then(|place| all.get_mut(place));
        match slot {
            Some(Some(known)) if *known.der == *der => Arc::clone(known),
            Some(slot) => Arc::clone(slot.insert(Certificate::new(der))),
            None => Certificate::new(der),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_once_until_another_takes_its_place() {
        let [one, other] = [[&b"a0"[..], b"the same"].concat(), [&b"b0"[..], b"the same"].concat()];
        let known = Certificates::default();
        let first = known.of(&one);
        assert!(Arc::ptr_eq(&first, &known.of(&one)));
        assert_eq!(first.leaf().fingerprint.len(), 59);
        assert!(std::ptr::eq(first.leaf(), known.of(&one).leaf()), "it is read once");
        assert_eq!(known.of(&other).der(), other, "it ends alike");
        assert!(!Arc::ptr_eq(&first, &known.of(&one)));
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn what_is_too_short_or_too_long_is_each_connection_s_own() {
        let known = Certificates::default();
        for der in [vec![], vec![1; 7], vec![1; LARGEST + 1]] {
            let (one, other) = (known.of(&der), known.of(&der));
            assert!(!Arc::ptr_eq(&one, &other));
            assert_eq!((one.der(), other.der()), (&der[..], &der[..]));
        }
        let largest = [2; LARGEST];
        assert!(Arc::ptr_eq(&known.of(&largest), &known.of(&largest)));
    }
}
