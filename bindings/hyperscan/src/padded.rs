//! Buffers that may be scanned: [`Padded`] borrows bytes with readable slack behind
//! them, [`PaddedBuf`] owns such bytes and keeps the slack.

use std::fmt;
use std::ops::Range;

/// Readable bytes that must follow whatever is scanned. libhyperscan 5.4.0 was seen to read
/// up to three bytes past the end; sixteen leave room for a whole SSE load.
pub const SLACK: usize = 16;

/// Borrowed bytes known to be followed by at least [`SLACK`] readable ones.
///
/// The slack's content never changes what matches.
#[derive(Clone, Copy)]
pub struct Padded<'a> {
    /// The bytes and their slack in one slice, so that a pointer to it may be read to the
    /// slack's end. Always at least [`SLACK`] long.
    whole: &'a [u8],
}

impl<'a> Padded<'a> {
    /// The bytes of `buf` at `range`, if `buf` goes on for [`SLACK`] bytes behind them.
    #[inline]
    pub fn new(buf: &'a [u8], range: Range<usize>) -> Option<Self> {
        if range.start > range.end {
            return None;
        }
        let whole = buf.get(range.start..range.end.checked_add(SLACK)?)?;
        Some(Self { whole })
    }

    /// The first `len` bytes of `buf_with_tail`, if it is at least `len + SLACK` long.
    #[inline]
    pub fn prefix(buf_with_tail: &'a [u8], len: usize) -> Option<Self> {
        Self::new(buf_with_tail, 0..len)
    }

    /// A part of these bytes; `None` if `range` is not within them.
    #[inline]
    pub fn get(self, range: Range<usize>) -> Option<Self> {
        if range.end > self.len() { None } else { Self::new(self.whole, range) }
    }

    /// The bytes, without the slack.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        &self.whole[..self.len()]
    }

    /// Number of bytes, without the slack.
    #[inline]
    pub fn len(self) -> usize {
        self.whole.len() - SLACK
    }

    /// Whether there is nothing but slack.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Where the bytes start; readable for `len() + SLACK` bytes.
    #[inline]
    pub(crate) fn as_ptr(self) -> *const u8 {
        self.whole.as_ptr()
    }
}

impl fmt::Debug for Padded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Padded").field(&self.as_bytes()).finish()
    }
}

/// Owned bytes followed by [`SLACK`] zeros, to be filled, scanned and reused without
/// giving its memory back.
#[derive(Clone, PartialEq, Eq)]
pub struct PaddedBuf {
    /// The bytes, then exactly [`SLACK`] zeros.
    whole: Vec<u8>,
}

impl PaddedBuf {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty buffer that takes `capacity` bytes before it allocates again.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut whole = Vec::with_capacity(capacity.saturating_add(SLACK));
        whole.resize(SLACK, 0);
        Self { whole }
    }

    /// Forgets the bytes, keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Keeps the first `len` bytes; no effect if there are fewer.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.whole.truncate(len);
            self.whole.extend_from_slice(&[0; SLACK]);
        }
    }

    /// Appends `bytes`; allocates only when the capacity is exceeded.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        // Reserved first, so that the slack is there again even if the allocation unwinds.
        self.whole.reserve(bytes.len());
        self.whole.truncate(self.len());
        self.whole.extend_from_slice(bytes);
        self.whole.extend_from_slice(&[0; SLACK]);
    }

    /// Drops the first `count` bytes (all, if there are fewer) and moves the rest to the
    /// front.
    pub fn discard_front(&mut self, count: usize) {
        self.whole.drain(..count.min(self.len()));
    }

    /// The bytes as something that may be scanned.
    #[inline]
    pub fn as_padded(&self) -> Padded<'_> {
        Padded { whole: &self.whole }
    }

    /// The bytes, without the slack.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.as_padded().as_bytes()
    }

    /// The bytes, without the slack, to be changed in place.
    #[inline]
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        let len = self.len();
        &mut self.whole[..len]
    }

    /// Number of bytes, without the slack.
    #[inline]
    pub fn len(&self) -> usize {
        self.whole.len() - SLACK
    }

    /// Whether there is nothing but slack.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that fit before the buffer allocates again.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.whole.capacity() - SLACK
    }
}

impl Default for PaddedBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PaddedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PaddedBuf").field(&self.as_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_without_slack_is_refused() {
        let buf = [0u8; 20];
        assert_eq!(Padded::new(&buf, 1..4).unwrap().len(), 3);
        assert!(Padded::new(&buf, 1..5).is_none());
        assert!(Padded::new(&buf, 0..usize::MAX).is_none());
        #[allow(clippy::reversed_empty_ranges)]
        let backwards = 3..2;
        assert!(Padded::new(&buf, backwards).is_none());
        assert!(Padded::prefix(&buf, 4).is_some());
        assert!(Padded::prefix(&buf, 5).is_none());
        assert!(Padded::prefix(&buf[..15], 0).is_none());
    }

    #[test]
    fn a_part_never_reaches_into_the_slack() {
        let mut buf = PaddedBuf::new();
        buf.extend_from_slice(b"abcdef");
        let padded = buf.as_padded();
        assert_eq!(padded.get(2..4).unwrap().as_bytes(), b"cd");
        assert_eq!(padded.get(6..6).unwrap().as_bytes(), b"");
        assert!(padded.get(2..7).is_none());
        assert!(padded.get(usize::MAX..usize::MAX).is_none());
    }

    #[test]
    fn a_reused_buffer_keeps_its_memory() {
        let mut buf = PaddedBuf::with_capacity(100);
        let start = buf.as_bytes().as_ptr();
        for _ in 0..10 {
            buf.clear();
            buf.extend_from_slice(&[7; 60]);
            buf.extend_from_slice(&[8; 40]);
            buf.discard_front(50);
            buf.extend_from_slice(&[9; 50]);
        }
        assert_eq!(buf.as_bytes().as_ptr(), start);
        assert_eq!(buf.len(), 100);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Extend(Vec<u8>),
        Truncate(usize),
        Discard(usize),
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Extend),
            (0usize..80).prop_map(Step::Truncate),
            (0usize..80).prop_map(Step::Discard),
            Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn the_buffer_behaves_like_a_vec_with_zeros_behind_it(
            steps in proptest::collection::vec(step(), 0..30),
        ) {
            let mut model = Vec::new();
            let mut buf = PaddedBuf::new();
            for step in steps {
                match step {
                    Step::Extend(bytes) => {
                        model.extend_from_slice(&bytes);
                        buf.extend_from_slice(&bytes);
                    }
                    Step::Truncate(len) => {
                        model.truncate(len);
                        buf.truncate(len);
                    }
                    Step::Discard(count) => {
                        model.drain(..count.min(model.len()));
                        buf.discard_front(count);
                    }
                    Step::Clear => {
                        model.clear();
                        buf.clear();
                    }
                }
                prop_assert_eq!(buf.as_bytes(), &model[..]);
                prop_assert_eq!(&buf.whole[buf.len()..], &[0u8; SLACK][..]);
            }
        }
    }
}
