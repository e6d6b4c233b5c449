//! How bytes get into a stream: into blocks that do not overlap, within depth and memory.

use super::{Stream, Takers};
use crate::tcp::block::{Block, Overlay};
use crate::tcp::memory::{Debt, Memory};
use crate::tcp::policy::{Extent, Policy};

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

impl Stream {
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
            self.seen.fill(match self.takers {
                Takers::Nobody => behind,
                _ => u64::from(done.fresh).saturating_sub(ahead),
            });
        }
        done
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
        let floor = match self.takers {
            Takers::Both => self.app.min(self.raw),
            Takers::Parser => self.app,
            Takers::Inspection | Takers::Nobody => self.raw,
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
        if from == to || self.is_disabled() {
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
}

/// Brings a debt in line with what a block holds now.
fn settle(before: u64, after: u64, debt: &mut Debt, memory: &Memory) {
    if after < before {
        debt.give(before - after);
    } else if after > before {
        debt.take_anyway(after - before, memory);
    }
}
