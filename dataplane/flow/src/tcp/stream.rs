//! One direction's stream: what was received in blocks, what the other side acknowledged, and how
//! far the application parser and the raw inspection have come. How bytes get into it: [`store`].
//!
//! All positions are offsets from the stream's first byte, 64 bits wide.

mod store;

use std::num::NonZeroU64;

use super::block::{Block, SLACK};
use super::memory::Debt;
use super::offer::{Chunk, RawWindow};
use super::seen::Seen;
use super::seq;

pub(crate) use store::Bounds;
#[cfg(test)]
pub(crate) use store::Inserted;

/// Who takes a stream's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takers {
    Both,
    /// The application parser.
    Parser,
    /// Raw inspection.
    Inspection,
    Nobody,
}

impl Takers {
    #[inline]
    fn has_parser(self) -> bool {
        matches!(self, Self::Both | Self::Parser)
    }

    #[inline]
    fn has_inspection(self) -> bool {
        matches!(self, Self::Both | Self::Inspection)
    }

    fn without_parser(self) -> Self {
        if self.has_inspection() { Self::Inspection } else { Self::Nobody }
    }

    fn without_inspection(self) -> Self {
        if self.has_parser() { Self::Parser } else { Self::Nobody }
    }
}

/// One direction's stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// By offset, never overlapping. They may touch: only the first is joined with what follows.
    blocks: Vec<Block>,
    /// Sequence number of offset 0.
    base: u32,
    takers: Takers,
    triggered: bool,
    depth_reached: bool,
    /// Everything that is there is given out, acknowledged or not.
    flushed: bool,
    app: u64,
    raw: u64,
    acked: u64,
    /// Before this nothing is kept.
    floor: u64,
    /// Offset of the end that a FIN announced, plus one.
    fin: Option<NonZeroU64>,
    seen: Seen,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            base: 0,
            takers: Takers::Both,
            triggered: false,
            depth_reached: false,
            flushed: false,
            app: 0,
            raw: 0,
            acked: 0,
            floor: 0,
            fin: None,
            seen: Seen::default(),
        }
    }

    /// Brings the first block towards the cache.
    #[inline]
    pub(crate) fn prefetch_stored(&self) {
        if let Some(block) = self.blocks.first() {
            prefetch::first(block);
        }
    }

    /// Sets the sequence number of the stream's first byte. What is stored stays where it is.
    pub(crate) fn set_base(&mut self, seq: u32) {
        self.base = seq;
    }

    /// The highest offset that any byte had, or acknowledgment: a reference for sequence numbers.
    #[inline]
    fn high(&self) -> u64 {
        self.seen.end().max(self.acked)
    }

    /// Offset of the end that a FIN announced.
    fn fin(&self) -> Option<u64> {
        self.fin.map(|after| after.get() - 1)
    }

    /// The offset of a sequence number, by the distance from the highest offset known; negative if
    /// before the stream's first byte.
    #[inline]
    pub(crate) fn offset(&self, seq: u32) -> i64 {
        let high = self.high();
        let known = self.base.wrapping_add(high as u32);
        high as i64 + i64::from(seq::diff(seq, known))
    }

    /// Whether bytes after `seq` are known, acknowledged or stored.
    pub(crate) fn is_beyond(&self, seq: u32) -> bool {
        self.high() as i64 > self.offset(seq) + 1
    }

    /// Takes note that all before `seq` is acknowledged.
    #[inline]
    pub(crate) fn acknowledge(&mut self, seq: u32) {
        let offset = self.offset(seq).max(0) as u64;
        self.acked = self.acked.max(offset);
    }

    /// Whether bytes before `seq`, or the end before it, have not come, and were not acknowledged so far.
    #[inline]
    pub(crate) fn lacks_before(&self, seq: u32) -> bool {
        let upto = u64::try_from(self.offset(seq)).unwrap_or(0);
        let upto = self.fin().map_or(upto, |fin| upto.min(fin));
        upto > self.acked && (upto > self.seen.end() || self.has_hole_before(upto))
    }

    fn has_hole_before(&self, upto: u64) -> bool {
        if !self.seen.has_holes() || self.is_disabled() || self.depth_reached {
            return false;
        }
        // What is acknowledged is given up already.
        let mut at = self.acked;
        for block in &self.blocks {
            if block.start() > at {
                break;
            }
            at = at.max(block.end());
        }
        at < upto
    }

    /// Takes note that the stream ends before `seq`.
    pub(crate) fn finish(&mut self, seq: u32) {
        self.fin = u64::try_from(self.offset(seq) + 1).ok().and_then(NonZeroU64::new);
    }

    /// Bytes that were acknowledged and never seen.
    pub(crate) fn missed(&self) -> u64 {
        self.seen.missed(self.acked, self.fin())
    }

    /// Bytes that were carried, seen or not.
    #[inline]
    pub(crate) fn carried(&self) -> u64 {
        self.seen.carried(self.acked, self.fin())
    }

    /// Bytes that were acknowledged and never seen, with bytes behind them that were.
    pub(crate) fn holes(&self) -> u64 {
        self.seen.holes(self.acked)
    }

    /// Up to where bytes may be given out.
    #[inline]
    fn limit(&self) -> u64 {
        if self.flushed { u64::MAX } else { self.acked }
    }

    /// The first block that ends after `offset`.
    #[inline]
    fn block_after(&self, offset: u64) -> Option<&Block> {
        match self.blocks.first() {
            Some(first) if first.end() > offset => Some(first),
            Some(_) => self.blocks.get(self.blocks.partition_point(|block| block.end() <= offset)),
            None => None,
        }
    }

    /// What comes next after `offset`.
    fn next(&self, offset: u64) -> Chunk<'_> {
        let limit = self.limit();
        match self.block_after(offset) {
            Some(block) if block.contains(offset) => match block.slice(offset, limit) {
                [] => Chunk::Nothing,
                data => Chunk::Data(data),
            },
            // Bytes after the hole are acknowledged, so those within it are.
            Some(block) if block.start() < limit => Chunk::Gap(block.start() - offset),
            _ => Chunk::Nothing,
        }
    }

    /// The next bytes for the application parser.
    pub(crate) fn app_next(&self) -> Chunk<'_> {
        if self.takers.has_parser() { self.next(self.app) } else { Chunk::Nothing }
    }

    /// All bytes from the beginning, while the parser has taken none.
    pub(crate) fn all_from_start(&self) -> Option<&[u8]> {
        if !self.takers.has_parser() || self.app != 0 {
            return None;
        }
        let first = self.blocks.first()?;
        let data = if first.start() == 0 { first.slice(0, self.limit()) } else { &[] };
        (!data.is_empty()).then_some(data)
    }

    /// The parser has taken `bytes` more.
    pub(crate) fn app_consumed(&mut self, bytes: u64, overlap: u64, debt: &mut Debt) {
        self.app = self.app.saturating_add(bytes).min(self.high());
        self.trim(overlap, debt);
    }

    /// Where raw inspection goes on: after a hole that will not be filled.
    fn raw_position(&self) -> u64 {
        match self.next(self.raw) {
            Chunk::Gap(missing) => self.raw + missing,
            _ => self.raw,
        }
    }

    /// The window for raw inspection.
    pub(crate) fn raw_window(&self, overlap: u64) -> RawWindow<'_> {
        let from = self.raw_position();
        let empty = RawWindow {
            data: &[],
            padded: &[0; SLACK],
            new_from: 0,
            stream_offset: from,
            gap_before: false,
        };
        let block = self.block_after(from).filter(|block| block.contains(from));
        let (true, Some(block)) = (self.takers.has_inspection(), block) else { return empty };
        let start = from.saturating_sub(overlap).max(block.start());
        let padded = block.padded(start, self.limit());
        let data = &padded[..padded.len() - SLACK];
        let new_from = (from - start) as usize;
        if data.len() <= new_from {
            return empty;
        }
        RawWindow { data, padded, new_from, stream_offset: start, gap_before: from != self.raw }
    }

    /// The last `new` bytes that are stored, acknowledged or not, and up to `overlap` before them.
    pub(crate) fn raw_tail(&self, new: usize, overlap: u64) -> Option<RawWindow<'_>> {
        let block = self.blocks.last().filter(|_| self.takers.has_inspection())?;
        let from = block.end().checked_sub(new as u64).filter(|&from| from >= block.start())?;
        let start = from.saturating_sub(overlap).max(block.start());
        let padded = block.padded(start, block.end());
        Some(RawWindow {
            data: &padded[..padded.len() - SLACK],
            padded,
            new_from: (from - start) as usize,
            stream_offset: start,
            gap_before: false,
        })
    }

    /// How many new bytes the next window has, and whether they should not wait for more.
    pub(crate) fn raw_waiting(&self) -> (u64, bool) {
        if !self.takers.has_inspection() {
            return (0, false);
        }
        let from = self.raw_position();
        let end = match self.block_after(from) {
            Some(block) if block.contains(from) => block.end().min(self.limit()),
            _ => from,
        };
        let hurry = self.triggered || self.flushed || self.depth_reached;
        (end.saturating_sub(from), hurry)
    }

    /// Raw inspection has gone through all before `upto`.
    pub(crate) fn raw_consumed(&mut self, upto: u64, overlap: u64, debt: &mut Debt) {
        self.raw = self.raw.max(upto.min(self.high()));
        self.triggered = false;
        self.trim(overlap, debt);
    }

    /// Asks for inspection of what there is, without waiting for more.
    pub(crate) fn trigger(&mut self) {
        self.triggered = true;
    }

    /// The parser wants nothing any more.
    pub(crate) fn disable_app(&mut self, overlap: u64, debt: &mut Debt) {
        self.takers = self.takers.without_parser();
        self.trim(overlap, debt);
    }

    /// Raw inspection wants nothing any more.
    pub(crate) fn disable_raw(&mut self, overlap: u64, debt: &mut Debt) {
        self.takers = self.takers.without_inspection();
        self.trim(overlap, debt);
    }

    /// Whether neither parser nor inspection wants bytes.
    pub(crate) fn is_disabled(&self) -> bool {
        self.takers == Takers::Nobody
    }

    /// Everything that is there may be given out from now on, what is before a hole first.
    pub(crate) fn flush(&mut self) {
        self.flushed = true;
    }

    /// Whether bytes wait that have not been taken.
    pub(crate) fn has_pending(&self) -> bool {
        let Some(end) = self.blocks.last().map(Block::end) else { return false };
        let waits_for = |taken, is_taker| is_taker && end > taken;
        waits_for(self.app, self.takers.has_parser())
            || waits_for(self.raw, self.takers.has_inspection())
    }

    /// Whether the depth is reached.
    pub(crate) fn depth_reached(&self) -> bool {
        self.depth_reached
    }

    /// Takes all that is stored for acknowledged.
    pub(crate) fn acknowledge_stored(&mut self) {
        if let Some(last) = self.blocks.last() {
            self.acked = self.acked.max(last.end());
        }
    }

    /// Whether the end that a FIN announced is known and acknowledged.
    pub(crate) fn is_acknowledged_beyond_end(&self) -> bool {
        self.fin().is_some_and(|fin| self.acked > fin)
    }

    /// Forgets what is stored, as if nothing had come.
    pub(crate) fn clear(&mut self, debt: &mut Debt) {
        for block in self.blocks.drain(..) {
            debt.give(block.held());
        }
        *self = Self::new();
    }

    /// Holds no more memory than what is stored needs.
    pub(crate) fn shrink(&mut self, debt: &mut Debt) {
        for block in &mut self.blocks {
            let held = block.held();
            block.shrink();
            debt.give(held.saturating_sub(block.held()));
        }
    }

    /// Offset of the parser.
    pub(crate) fn app_offset(&self) -> u64 {
        self.app
    }

    /// Offset of raw inspection.
    pub(crate) fn raw_offset(&self) -> u64 {
        self.raw
    }

    /// Whether bytes before the end of what is kept have been lost or are unseen.
    pub(crate) fn waits_at_gap(&self) -> bool {
        matches!(self.app_next(), Chunk::Gap(_)) || self.raw_position() != self.raw
    }

    /// Forgets what neither the parser nor the inspection needs.
    fn trim(&mut self, overlap: u64, debt: &mut Debt) {
        let raw = self.raw.saturating_sub(overlap);
        let keep = match self.takers {
            Takers::Both => self.app.min(raw),
            Takers::Parser => self.app,
            Takers::Inspection => raw,
            Takers::Nobody => u64::MAX,
        };
        let gone = self.blocks.partition_point(|block| block.end() <= keep);
        for block in self.blocks.drain(..gone) {
            debt.give(block.held());
        }
        if self.blocks.is_empty() {
            self.blocks = Vec::new();
        }
        self.floor = self.floor.max(keep.min(self.high()));
        if let Some(first) = self.blocks.first_mut() {
            let held = first.held();
            first.trim(keep);
            if first.len() < held as usize / 4 && (held > 1 << 14 || debt.is_scarce()) {
                first.shrink();
            }
            debt.give(held.saturating_sub(first.held()));
        }
    }
}
