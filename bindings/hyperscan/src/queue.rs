//! [`MatchQueue`]: where a scan leaves its matches, bounded by its owner, so that the
//! caller can verify candidates once the scan is over.

use std::ffi::{c_int, c_uint, c_ulonglong, c_void};

/// One reported match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    /// The pattern's id.
    pub id: u32,
    /// The offset after the last matched byte, from the start of what was scanned.
    pub end: u32,
}

/// Matches in the order in which Hyperscan reported them: by end offset as a rule, but
/// not as a promise.
///
/// With patterns reported once per scan (the default), a limit of
/// [`Database::pattern_count`](crate::Database::pattern_count) can never overflow.
#[derive(Debug)]
pub struct MatchQueue {
    matches: Vec<Match>,
    limit: usize,
    overflowed: bool,
}

impl MatchQueue {
    /// An empty queue with room for `limit` matches, all of it allocated now.
    pub fn with_limit(limit: usize) -> Self {
        Self::growing(limit, limit)
    }

    /// An empty queue with room for `initial` matches that may grow, by allocating in the
    /// middle of a scan, up to `limit`.
    pub fn growing(initial: usize, limit: usize) -> Self {
        Self { matches: Vec::with_capacity(initial.min(limit)), limit, overflowed: false }
    }

    /// The matches since the last [`clear`](Self::clear).
    #[inline]
    pub fn as_slice(&self) -> &[Match] {
        &self.matches
    }

    /// The matches, to be sorted in place.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [Match] {
        &mut self.matches
    }

    /// Forgets the matches and the overflow, keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.matches.clear();
        self.overflowed = false;
    }

    /// Number of matches held.
    #[inline]
    pub fn len(&self) -> usize {
        self.matches.len()
    }

    /// Whether no match is held.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.matches.is_empty()
    }

    /// The most matches that it will hold.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a match had to be refused since the last [`clear`](Self::clear), and the
    /// scan that found it was cut short.
    #[inline]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Takes a match; false if there is no room, never a panic.
    #[inline]
    fn push(&mut self, found: Match) -> bool {
        if self.matches.len() == self.matches.capacity() && !self.grow() {
            self.overflowed = true;
            return false;
        }
        if self.matches.len() >= self.limit {
            self.overflowed = true;
            return false;
        }
        self.matches.push(found);
        true
    }

    /// Makes room for at least one more match; false at the limit or without memory.
    #[cold]
    fn grow(&mut self) -> bool {
        let len = self.matches.len();
        let more = self.limit.saturating_sub(len).min(len.max(32));
        more > 0 && self.matches.try_reserve_exact(more).is_ok()
    }
}

/// The only callback that is ever handed to Hyperscan. A non-zero answer stops the scan.
///
/// # Safety
/// `context` must point to a [`MatchQueue`] that nothing else uses during the call.
pub(crate) unsafe extern "C" fn on_match(
    id: c_uint,
    _from: c_ulonglong,
    to: c_ulonglong,
    _flags: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: `Database::scan` passes its `&mut MatchQueue` as the context and does not
    // touch it before hs_scan has returned; Hyperscan calls back on the same thread only.
    let queue = unsafe { &mut *context.cast::<MatchQueue>() };
    // A scan is refused above u32::MAX bytes, so no end offset is larger.
    c_int::from(!queue.push(Match { id, end: to as u32 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A_MATCH: Match = Match { id: 1, end: 2 };

    #[test]
    fn a_full_queue_refuses_and_says_so_until_cleared() {
        let mut queue = MatchQueue::with_limit(2);
        assert!(queue.push(A_MATCH) && queue.push(A_MATCH) && !queue.overflowed());
        assert!(!queue.push(A_MATCH));
        assert!(queue.overflowed());
        assert_eq!(queue.len(), 2);
        queue.clear();
        assert!(queue.is_empty() && !queue.overflowed());
        assert!(queue.push(A_MATCH));
    }

    #[test]
    fn a_growing_queue_stops_exactly_at_its_limit() {
        for limit in [0, 1, 31, 32, 33, 100] {
            let mut queue = MatchQueue::growing(4, limit);
            let taken = (0..200).filter(|_| queue.push(A_MATCH)).count();
            assert_eq!(taken, limit);
            assert!(queue.overflowed());
        }
    }
}
