//! What a stream offers to those who read it: the application parser and raw inspection.

/// What comes next for the application parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Bytes, at least one.
    Data(&'a [u8]),
    /// So many bytes are missing and will not come: they were acknowledged but not seen.
    Gap(u64),
    /// Nothing yet.
    Nothing,
}

/// A window of the stream for raw inspection.
#[derive(Debug, Clone, Copy)]
pub struct RawWindow<'a> {
    /// Old bytes, kept for what straddles, then new ones.
    pub data: &'a [u8],
    /// The same bytes with at least 16 more readable ones behind them.
    pub padded: &'a [u8],
    /// Index in `data` of the first byte that was not in a window consumed before.
    pub new_from: usize,
    /// Offset in the stream of `data`'s first byte.
    pub stream_offset: u64,
    /// Whether bytes are missing right before the first new one.
    pub gap_before: bool,
}

impl RawWindow<'_> {
    /// Offset in the stream of the first byte after the window: what to hand to `raw_consumed`.
    pub fn end(&self) -> u64 {
        self.stream_offset + self.data.len() as u64
    }

    /// Whether there is nothing new in it.
    pub fn is_empty(&self) -> bool {
        self.new_from >= self.data.len()
    }
}
