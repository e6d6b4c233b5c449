//! The body of a message as rules look at it: decoded, kept as far as the next look needs it.

use super::decode::{Coding, Decoder};

/// Bytes beyond what the next look needs that may wait, where nobody looks.
const SLACK: usize = 256 * 1024;
/// Room is made at once for at most this many times the bytes that have come.
const GROWTH: usize = 3;
/// Decoded bytes may be this many times those that came (as in libhtp); above the bomb limit.
const BOMB_RATIO: u64 = 2048;

/// Bytes behind a window that may be read, for a matcher that looks ahead.
const READABLE: usize = 16;

/// How much of a body is looked at, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// Decoded bytes that are looked at; 0: all.
    pub limit: u64,
    /// The first look is at so many bytes at least, where the body has them.
    pub min_inspect: u64,
    /// Later looks are at so many bytes at least, the new ones included.
    pub window: u64,
}

/// A part of a body, ready to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyWindow<'a> {
    /// Some that was looked at before, then what is new.
    pub data: &'a [u8],
    /// The same bytes with 16 more behind them that a matcher may read.
    pub padded: &'a [u8],
    /// Place of the first byte in the body.
    pub offset: u64,
    /// Index of the first byte that was not looked at.
    pub fresh: usize,
}

/// A body as far as it is kept.
#[derive(Debug)]
pub(super) struct Body {
    decoder: Decoder,
    limits: BodyLimits,
    bomb_limit: u64,
    /// The bytes that are kept, and `READABLE` zeros unless there are none.
    data: Vec<u8>,
    /// Place of the first byte that is kept.
    start: u64,
    /// Bytes so far, gaps included.
    total: u64,
    /// Of these were looked at.
    inspected: u64,
    /// Bytes that came, before decoding.
    raw: u64,
    /// Nothing more is taken: bytes are missing within a coding, or it is a bomb.
    closed: bool,
    pub(super) bomb: bool,
    /// Bytes are missing.
    gaps: bool,
}

impl Body {
    pub(super) fn new(limits: BodyLimits, codings: &[Coding], bomb_limit: u64) -> Self {
        Self {
            decoder: Decoder::new(codings),
            limits,
            bomb_limit,
            data: Vec::new(),
            start: 0,
            total: 0,
            inspected: 0,
            raw: 0,
            closed: false,
            bomb: false,
            gaps: false,
        }
    }

    /// Bytes so far, decoded.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// A layer was not what it was announced as.
    pub(super) fn failed(&self) -> bool {
        self.decoder.failed
    }

    /// Says that these bytes come next, and how many in all are announced from them on. Room is made for
    /// those that the next look needs, but not for many more than have come.
    pub(super) fn announce(&mut self, bytes: usize, announced: u64) {
        let have = self.len() + bytes;
        if have + READABLE <= self.data.capacity() || !self.decoder.is_plain() || self.is_full() {
            return;
        }
        let look = self.limits.min_inspect.max(self.limits.window);
        let most = if self.limits.limit == 0 { look } else { look.min(self.limits.limit) };
        let rest = most.saturating_sub(self.len() as u64).min(announced);
        let rest = usize::try_from(rest).unwrap_or(usize::MAX).min(have.saturating_mul(GROWTH));
        if rest > bytes {
            let room = self.len() + rest + READABLE;
            self.data.reserve_exact(room - self.data.len());
        }
    }

    /// Whether not all of it was looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.closed || self.is_full()
    }

    /// Whether bytes are missing in it.
    pub(super) fn has_gaps(&self) -> bool {
        self.gaps
    }

    /// Takes what came next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.push_seen(bytes, &mut |_| {});
    }

    /// The same, and says what comes out decoded, as far as the limit goes.
    pub(super) fn push_seen(&mut self, bytes: &[u8], seen: &mut impl FnMut(&[u8])) {
        if self.closed || self.is_full() {
            return;
        }
        self.raw = self.raw.saturating_add(bytes.len() as u64);
        if self.decoder.is_plain() {
            self.keep(bytes, seen);
            return;
        }
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.decode(bytes, &mut |decoded| {
            self.keep(decoded, seen);
            let most = self.raw.saturating_mul(BOMB_RATIO).max(self.bomb_limit);
            self.bomb |= self.total > most;
            !self.bomb && !self.is_full()
        });
        self.decoder = decoder;
        self.closed |= self.bomb;
    }

    fn is_full(&self) -> bool {
        self.limits.limit != 0 && self.total >= self.limits.limit
    }

    fn keep(&mut self, bytes: &[u8], seen: &mut impl FnMut(&[u8])) {
        let room = match self.limits.limit {
            0 => bytes.len(),
            limit => usize::try_from(limit - self.total.min(limit)).unwrap_or(usize::MAX),
        };
        let bytes = &bytes[..bytes.len().min(room)];
        seen(bytes);
        self.data.truncate(self.len());
        self.data.extend_from_slice(bytes);
        self.data.extend_from_slice(&[0; READABLE]);
        self.total += bytes.len() as u64;
        let needed = self.limits.min_inspect.saturating_add(self.limits.window);
        let most = usize::try_from(needed).unwrap_or(usize::MAX).saturating_add(SLACK);
        if self.len() > most.saturating_mul(2) {
            self.drop_to(self.len() - most);
        }
    }

    /// How many bytes are kept.
    fn len(&self) -> usize {
        self.data.len().saturating_sub(READABLE)
    }

    fn drop_to(&mut self, at: usize) {
        self.data.drain(..at);
        self.start += at as u64;
    }

    /// Bytes are missing: what follows stands by itself.
    pub(super) fn gap(&mut self, len: u64) {
        self.data.clear();
        self.total = self.total.saturating_add(len);
        self.start = self.total;
        self.inspected = self.total;
        self.closed |= !self.decoder.is_plain();
        self.gaps = true;
    }

    /// What is ready to be looked at, if there is anything new; `ended`: no more will come.
    pub(super) fn window(&self, ended: bool) -> Option<BodyWindow<'_>> {
        let Self { total, inspected, limits, .. } = *self;
        if total == inspected {
            return None;
        }
        if !ended && !self.is_full() && total < limits.min_inspect {
            return None;
        }
        let from = if inspected <= limits.min_inspect {
            self.start
        } else {
            let new = total - inspected;
            let before = if new < limits.window { limits.window - new } else { limits.window / 4 };
            inspected.saturating_sub(before).max(self.start)
        };
        let at = usize::try_from(from - self.start).ok()?;
        let padded = self.data.get(at..)?;
        let data = padded.get(..padded.len().checked_sub(READABLE)?)?;
        let fresh = usize::try_from(inspected.saturating_sub(from)).ok()?;
        Some(BodyWindow { data, padded, offset: from, fresh: fresh.min(data.len()) })
    }

    /// What was ready has been looked at: lets go of what no later look needs.
    pub(super) fn looked(&mut self, ended: bool) {
        if self.window(ended).is_none() && !ended {
            return;
        }
        self.inspected = self.total;
        if ended {
            self.start = self.total;
            self.data = Vec::new();
            return;
        }
        if self.inspected > self.limits.min_inspect {
            let keep = usize::try_from(self.limits.window).unwrap_or(usize::MAX);
            let spare = self.len().saturating_sub(keep);
            // in large steps, so that every byte is moved a bounded number of times
            if spare > keep {
                self.drop_to(spare);
            }
        }
    }

    pub(super) fn kept(&self) -> usize {
        size_of::<Self>() + self.data.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: BodyLimits = BodyLimits { limit: 0, min_inspect: 10, window: 8 };

    fn body(limits: BodyLimits) -> Body {
        Body::new(limits, &[], 1 << 20)
    }

    #[test]
    fn the_first_look_waits_for_enough_and_later_ones_reach_back() {
        let mut b = body(SMALL);
        b.push(b"01234");
        assert_eq!(b.window(false), None);
        assert_eq!(b.window(true).unwrap().data, b"01234");
        b.push(b"567890");
        let w = b.window(false).unwrap();
        assert_eq!((w.data, w.offset, w.fresh), (&b"01234567890"[..], 0, 0));
        b.looked(false);
        assert_eq!(b.window(true), None);
        b.push(b"ab");
        let w = b.window(false).unwrap();
        assert_eq!((w.data, w.offset, w.fresh), (&b"567890ab"[..], 5, 6));
        b.looked(false);
        b.push(b"ABCDEFGHIJKL");
        let w = b.window(false).unwrap();
        assert_eq!((w.data, w.offset, w.fresh), (&b"abABCDEFGHIJKL"[..], 11, 2));
    }

    #[test]
    fn a_limit_is_kept_and_does_not_delay_the_look() {
        let mut b = body(BodyLimits { limit: 4, ..SMALL });
        b.push(b"012");
        assert_eq!(b.window(false), None);
        b.push(b"3456");
        assert_eq!(b.window(false).unwrap().data, b"0123");
        b.looked(false);
        b.push(b"789");
        assert_eq!(b.window(true), None);
    }

    #[test]
    fn nothing_matches_across_a_gap() {
        let mut b = body(SMALL);
        b.push(b"before");
        b.gap(100);
        b.push(b"after");
        let w = b.window(true).unwrap();
        assert_eq!((w.data, w.offset, w.fresh), (&b"after"[..], 106, 0));
    }

    #[test]
    fn room_is_made_for_what_is_announced_but_not_for_what_is_only_promised() {
        let limits = BodyLimits { limit: 0, min_inspect: 16_384, window: 4_096 };
        let mut b = body(limits);
        let mut rooms = Vec::new();
        for at in 0..10 {
            b.announce(1_600, 16_000 - at * 1_600);
            b.push(&[1; 1_600]);
            rooms.push(b.data.capacity());
        }
        rooms.dedup();
        assert_eq!(rooms, [4_800, 16_000].map(|room| room + READABLE));
        let mut b = body(limits);
        b.announce(10, u64::MAX);
        b.push(&[1; 10]);
        assert!(b.data.capacity() <= 40 + READABLE);
    }

    #[test]
    fn a_bomb_is_cut_off() {
        use std::io::Write;
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        to.write_all(&vec![0; 8 << 20]).unwrap();
        let once = to.finish().unwrap();
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        to.write_all(&once).unwrap();
        let twice = to.finish().unwrap();
        let mut b = Body::new(SMALL, &[Coding::Gzip, Coding::Gzip], 1 << 20);
        b.push(&twice);
        assert!(b.bomb && b.total < 2 << 20, "{}", b.total);
        assert!(b.kept() < 2 << 20);
    }

    proptest! {
        #[test]
        fn every_byte_is_looked_at_with_what_stands_before_it(
            pieces in prop::collection::vec((1usize..40, any::<bool>()), 1..40), limit in 0u64..400,
        ) {
            let all: Vec<u8> = (0..2000u32).map(|i| (i * 7 % 251) as u8).collect();
            let mut b = body(BodyLimits { limit, ..SMALL });
            let (mut at, mut seen) = (0, 0);
            for (n, look) in pieces {
                b.push(&all[at..at + n]);
                at += n;
                if !look {
                    continue;
                }
                if let Some(w) = b.window(false) {
                    let start = w.offset as usize;
                    prop_assert_eq!(w.data, &all[start..start + w.data.len()]);
                    prop_assert_eq!(start + w.fresh, seen);
                    seen = start + w.data.len();
                }
                b.looked(false);
                prop_assert!(b.data.len() < 200);
            }
            if let Some(w) = b.window(true) {
                prop_assert_eq!(w.offset as usize + w.fresh, seen);
                seen = w.offset as usize + w.data.len();
            }
            let whole = if limit == 0 { at } else { at.min(limit as usize) };
            prop_assert_eq!(seen, whole);
        }
    }
}
