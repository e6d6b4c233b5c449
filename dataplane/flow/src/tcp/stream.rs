//! One direction's stream: what was received in blocks, what the other side acknowledged, and how
//! far the application parser and the raw inspection have come.
//!
//! All positions are offsets from the stream's first byte, 64 bits wide.

use super::block::{Block, Overlay, SLACK};
use super::memory::{Debt, Memory};
use super::offer::{Chunk, RawWindow};
use super::policy::{Extent, Policy};
use super::seen::Seen;
use super::seq;

/// The most memory that an overlap's new runs ask for.
const OVERLAY_COST: u64 = 1 << 15;

/// What became of a segment's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Bytes are in the stream: new ones, or known ones that came again.
    pub(crate) accepted: bool,
    /// Bytes that were not there before.
    pub(crate) fresh: u32,
    /// All of it was before what is kept.
    pub(crate) before: bool,
    /// It overlaps with different bytes.
    pub(crate) different: bool,
    /// Bytes beyond the depth, not stored.
    pub(crate) beyond_depth: u32,
    /// There was no memory for all of it, or too many pieces wait.
    pub(crate) refused: bool,
    /// Bytes that were not there before had been acknowledged already.
    pub(crate) late: bool,
    /// All of it is new, and nothing is stored behind it.
    pub(crate) appended: bool,
}

/// The bounds within which bytes are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes from the stream's beginning that are stored; 0: all.
    pub(crate) depth: u64,
    /// Blocks that may wait.
    pub(crate) max_blocks: usize,
    /// Who wins overlaps.
    pub(crate) policy: Policy,
}

/// One direction's stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// By offset, never overlapping. They may touch: only the first is joined with what follows.
    blocks: Vec<Block>,
    /// Sequence number of offset 0.
    base: u32,
    app_enabled: bool,
    raw_enabled: bool,
    triggered: bool,
    depth_reached: bool,
    /// Everything that is there is given out, acknowledged or not.
    flushed: bool,
    app: u64,
    raw: u64,
    acked: u64,
    /// Before this nothing is kept.
    floor: u64,
    /// The highest offset that any byte had, or acknowledgment: a reference for sequence numbers.
    high: u64,
    /// Offset of the end that a FIN announced.
    fin: Option<u64>,
    seen: Seen,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            base: 0,
            app_enabled: true,
            raw_enabled: true,
            triggered: false,
            depth_reached: false,
            flushed: false,
            app: 0,
            raw: 0,
            acked: 0,
            floor: 0,
            high: 0,
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

    /// The offset of a sequence number, by the distance from the highest offset known; negative if
    /// before the stream's first byte.
    #[inline]
    pub(crate) fn offset(&self, seq: u32) -> i64 {
        let known = self.base.wrapping_add(self.high as u32);
        self.high as i64 + i64::from(seq::diff(seq, known))
    }

    /// Whether bytes after `seq` are known, acknowledged or stored.
    pub(crate) fn is_beyond(&self, seq: u32) -> bool {
        self.high as i64 > self.offset(seq) + 1
    }

    /// Takes note that all before `seq` is acknowledged.
    #[inline]
    pub(crate) fn acknowledge(&mut self, seq: u32) {
        let offset = self.offset(seq).max(0) as u64;
        self.acked = self.acked.max(offset);
        self.high = self.high.max(offset);
    }

    /// Takes note that the stream ends before `seq`.
    pub(crate) fn finish(&mut self, seq: u32) {
        self.fin = u64::try_from(self.offset(seq)).ok();
    }

    /// Stores a segment's bytes; `seq` is that of the first.
    pub(crate) fn insert(
        &mut self,
        seq: u32,
        bytes: &[u8],
        bounds: &Bounds,
        debt: &mut Debt,
        memory: &Memory,
    ) -> Inserted {
        let start = self.offset(seq);
        let end = start + bytes.len() as i64;
        let acked = self.acked as i64;
        let behind = self.seen.note(start, end);
        let mut done = self.take(start, end, bytes, bounds, debt, memory);
        done.late = done.fresh > 0 && end <= acked;
        if behind > 0 && self.seen.has_holes() {
            // Of bytes that are not kept nobody knows whether they were there before.
            let ahead = bytes.len() as u64 - behind;
            let is_kept = self.app_enabled || self.raw_enabled;
            self.seen.fill(if is_kept {
                u64::from(done.fresh).saturating_sub(ahead)
            } else {
                behind
            });
        }
        done
    }

    /// Bytes that were acknowledged and never seen, and bytes that were carried, seen or not.
    pub(crate) fn missed(&self) -> (u64, u64) {
        (self.seen.missed(self.acked, self.fin), self.seen.carried(self.acked, self.fin))
    }

    fn take(
        &mut self,
        start: i64,
        end: i64,
        bytes: &[u8],
        bounds: &Bounds,
        debt: &mut Debt,
        memory: &Memory,
    ) -> Inserted {
        let mut done = Inserted::default();
        // What both consumers have passed nobody would look at.
        let floor = match (self.app_enabled, self.raw_enabled) {
            (true, true) => self.app.min(self.raw),
            (true, false) => self.app,
            _ => self.raw,
        };
        let floor = floor.max(self.floor);
        if end <= floor as i64 {
            done.before = true;
            return done;
        }
        let segment = Extent { start: start.max(0) as u64, end: end as u64 };
        let from = segment.start.max(floor);
        let mut to = segment.end;
        if bounds.depth != 0 && to > bounds.depth {
            self.depth_reached = true;
            to = bounds.depth.max(from);
            done.beyond_depth = (segment.end - to) as u32;
        }
        self.high = self.high.max(segment.end);
        if from == to || !(self.app_enabled || self.raw_enabled) {
            return done;
        }
        let skipped = (from as i64 - start) as usize;
        let bytes = &bytes[skipped..skipped + (to - from) as usize];
        self.place(from, bytes, segment, bounds, debt, memory, &mut done);
        self.join_front(debt, memory);
        let is_last = self.blocks.last().is_some_and(|last| last.end() == segment.end);
        done.appended = is_last && i64::from(done.fresh) == end - start;
        done
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `insert`, with all of its state")]
    fn place(
        &mut self,
        from: u64,
        bytes: &[u8],
        segment: Extent,
        bounds: &Bounds,
        debt: &mut Debt,
        memory: &Memory,
        done: &mut Inserted,
    ) {
        let to = from + bytes.len() as u64;
        let piece = |a: u64, b: u64| &bytes[(a - from) as usize..(b - from) as usize];
        let mut at = from;
        // In order is the rule: then there is nothing behind the last block's end.
        let mut index = match self.blocks.last() {
            Some(last) if last.end() > from => {
                self.blocks.partition_point(|block| block.end() <= from)
            }
            _ => self.blocks.len(),
        };
        while at < to {
            let known = self.blocks.get(index).map(|block| (block.start(), block.end()));
            match known {
                Some((start, end)) if start <= at => {
                    let until = end.min(to);
                    // What the receiver has acknowledged it has; and without memory for more runs
                    // the bytes that came first stay.
                    let settled = self.flushed || memory.free() < OVERLAY_COST;
                    let fixed = if settled { end } else { self.acked };
                    let block = &mut self.blocks[index];
                    let held = block.held();
                    let Overlay { different, .. } =
                        block.overlay(at, piece(at, until), segment, fixed, bounds.policy);
                    done.different |= different;
                    done.accepted = true;
                    settle(held, block.held(), debt, memory);
                    at = until;
                    index += 1;
                }
                _ => {
                    let until = known.map_or(to, |(start, _)| start.min(to));
                    let hole = piece(at, until);
                    let touching = index > 0 && self.blocks[index - 1].end() == at;
                    let stored = if touching {
                        self.append(index - 1, hole, segment, debt, memory)
                    } else {
                        let before = self.blocks.len();
                        let stored = self.open(&mut index, at, hole, segment, bounds, debt, memory);
                        index += usize::from(stored && self.blocks.len() > before);
                        stored
                    };
                    if !stored {
                        done.refused = true;
                        return;
                    }
                    done.accepted = true;
                    done.fresh += hole.len() as u32;
                    at = until;
                }
            }
        }
    }

    /// Adds bytes to the end of a block, if there is memory for them.
    fn append(
        &mut self,
        index: usize,
        bytes: &[u8],
        segment: Extent,
        debt: &mut Debt,
        memory: &Memory,
    ) -> bool {
        let block = &mut self.blocks[index];
        let held = block.held();
        let (roomy, least) = block.growth(bytes.len());
        let is_roomy = !memory.is_scarce() && debt.take(roomy, memory);
        if !is_roomy && !debt.take(least, memory) {
            return false;
        }
        let taken = if is_roomy { roomy } else { least };
        block.grow(bytes.len(), is_roomy);
        block.append(bytes, segment);
        settle(held + taken, block.held(), debt, memory);
        true
    }

    /// Makes a block of bytes that touch none before them.
    #[expect(clippy::too_many_arguments, reason = "one step of `insert`, with all of its state")]
    fn open(
        &mut self,
        index: &mut usize,
        start: u64,
        bytes: &[u8],
        segment: Extent,
        bounds: &Bounds,
        debt: &mut Debt,
        memory: &Memory,
    ) -> bool {
        if self.blocks.len() >= bounds.max_blocks {
            self.join_all(debt, memory);
            *index = self.blocks.partition_point(|block| block.end() <= start);
            if self.blocks.len() >= bounds.max_blocks {
                return false;
            }
        }
        let cost = Block::cost(bytes.len());
        if !debt.take(cost, memory) {
            return false;
        }
        let block = Block::new(start, bytes, segment);
        settle(cost, block.held(), debt, memory);
        if self.blocks.capacity() == 0 {
            // Nearly always it stays the only one.
            self.blocks.reserve_exact(1);
        }
        self.blocks.insert(*index, block);
        true
    }

    /// Joins the first block with those that it has come to touch, once it is next to be given out.
    fn join_front(&mut self, debt: &mut Debt, memory: &Memory) {
        let Some(first) = self.blocks.first() else { return };
        if first.start() > self.app.max(self.raw) || self.blocks.len() == 1 {
            return;
        }
        let mut end = first.end();
        let touching = self.blocks[1..]
            .iter()
            .take_while(|block| std::mem::replace(&mut end, block.end()) == block.start())
            .count();
        self.join(0, touching, debt, memory);
    }

    /// Joins all blocks that touch.
    fn join_all(&mut self, debt: &mut Debt, memory: &Memory) {
        let mut index = 0;
        while index < self.blocks.len() {
            let mut end = self.blocks[index].end();
            let touching = self.blocks[index + 1..]
                .iter()
                .take_while(|block| std::mem::replace(&mut end, block.end()) == block.start())
                .count();
            self.join(index, touching, debt, memory);
            index += 1;
        }
    }

    /// Joins a block with the `count` after it. Without memory for both they stay apart.
    fn join(&mut self, index: usize, count: usize, debt: &mut Debt, memory: &Memory) {
        let mut joined = 0;
        for next in index + 1..=index + count {
            let (before, after) = self.blocks.split_at_mut(next);
            let (Some(block), Some(next)) = (before.get_mut(index), after.first_mut()) else {
                break;
            };
            let held = block.held();
            let (roomy, least) = block.growth(next.len());
            let is_roomy = !memory.is_scarce() && debt.take(roomy, memory);
            if !is_roomy && !debt.take(least, memory) {
                break;
            }
            let taken = if is_roomy { roomy } else { least };
            block.grow(next.len(), is_roomy);
            block.absorb(next);
            settle(held + taken, block.held(), debt, memory);
            joined += 1;
        }
        for gone in self.blocks.drain(index + 1..=index + joined) {
            debt.give(gone.held());
        }
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
        if self.app_enabled { self.next(self.app) } else { Chunk::Nothing }
    }

    /// All bytes from the beginning, while the parser has taken none.
    pub(crate) fn all_from_start(&self) -> Option<&[u8]> {
        if !self.app_enabled || self.app != 0 {
            return None;
        }
        let first = self.blocks.first()?;
        let data = if first.start() == 0 { first.slice(0, self.limit()) } else { &[] };
        (!data.is_empty()).then_some(data)
    }

    /// The parser has taken `bytes` more.
    pub(crate) fn app_consumed(&mut self, bytes: u64, overlap: u64, debt: &mut Debt) {
        self.app = self.app.saturating_add(bytes).min(self.high);
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
        let (true, Some(block)) = (self.raw_enabled, block) else { return empty };
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
        let block = self.blocks.last().filter(|_| self.raw_enabled)?;
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
        if !self.raw_enabled {
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
        self.raw = self.raw.max(upto.min(self.high));
        self.triggered = false;
        self.trim(overlap, debt);
    }

    /// Asks for inspection of what there is, without waiting for more.
    pub(crate) fn trigger(&mut self) {
        self.triggered = true;
    }

    /// The parser wants nothing any more.
    pub(crate) fn disable_app(&mut self, overlap: u64, debt: &mut Debt) {
        self.app_enabled = false;
        self.trim(overlap, debt);
    }

    /// Raw inspection wants nothing any more.
    pub(crate) fn disable_raw(&mut self, overlap: u64, debt: &mut Debt) {
        self.raw_enabled = false;
        self.trim(overlap, debt);
    }

    /// Whether neither parser nor inspection wants bytes.
    pub(crate) fn is_disabled(&self) -> bool {
        !self.app_enabled && !self.raw_enabled
    }

    /// Everything that is there may be given out from now on, what is before a hole first.
    pub(crate) fn flush(&mut self) {
        self.flushed = true;
    }

    /// Whether bytes wait that have not been taken.
    pub(crate) fn has_pending(&self) -> bool {
        let Some(end) = self.blocks.last().map(Block::end) else { return false };
        (self.app_enabled && end > self.app) || (self.raw_enabled && end > self.raw)
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
        self.fin.is_some_and(|fin| self.acked > fin)
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
        let keep = match (self.app_enabled, self.raw_enabled) {
            (true, true) => self.app.min(raw),
            (true, false) => self.app,
            (false, true) => raw,
            (false, false) => u64::MAX,
        };
        let gone = self.blocks.partition_point(|block| block.end() <= keep);
        for block in self.blocks.drain(..gone) {
            debt.give(block.held());
        }
        if self.blocks.is_empty() {
            self.blocks = Vec::new();
        }
        self.floor = self.floor.max(keep.min(self.high));
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

/// Brings a debt in line with what a block holds now.
fn settle(before: u64, after: u64, debt: &mut Debt, memory: &Memory) {
    if after < before {
        debt.give(before - after);
    } else if after > before {
        debt.take_anyway(after - before, memory);
    }
}
