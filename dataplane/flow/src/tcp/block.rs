//! A block: bytes of a stream without a hole, with the segments that they came in.

use smallvec::SmallVec;

use super::policy::{Extent, Policy};

/// Readable zero bytes after every block's data: what may be scanned must have them, for the
/// scanner reads a little beyond the end.
pub const SLACK: usize = 16;

/// More runs than this in one block are made fewer by forgetting where the older ones met.
const MAX_RUNS: usize = 512;

/// Bytes that count for one segment: from the end of the run before to `end`.
#[derive(Debug, Clone, Copy)]
struct Run {
    end: u64,
    segment: Extent,
}

/// What laying a segment over a block found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Overlay {
    /// Bytes of the segment differ from those that were there.
    pub(crate) different: bool,
    /// Bytes of the block were replaced by such.
    pub(crate) replaced: bool,
}

/// Bytes of a stream without a hole. Never empty but in passing.
#[derive(Debug)]
pub(crate) struct Block {
    start: u64,
    /// The bytes and [`SLACK`] zeros.
    data: Vec<u8>,
    /// Of one segment in most blocks, which has its place within.
    runs: SmallVec<[Run; 1]>,
}

impl Block {
    /// Memory for a block of `len` bytes of one segment.
    pub(crate) fn cost(len: usize) -> u64 {
        (len + SLACK + size_of::<Self>()) as u64
    }

    /// A block of one segment's bytes.
    pub(crate) fn new(start: u64, bytes: &[u8], segment: Extent) -> Self {
        let mut data = Vec::with_capacity(bytes.len() + SLACK);
        data.extend_from_slice(bytes);
        data.resize(bytes.len() + SLACK, 0);
        let run = Run { end: start + bytes.len() as u64, segment };
        Self { start, data, runs: SmallVec::from_buf([run]) }
    }

    /// Memory that it holds.
    pub(crate) fn held(&self) -> u64 {
        let runs = if self.runs.spilled() { self.runs.capacity() * size_of::<Run>() } else { 0 };
        (self.data.capacity() + runs + size_of::<Self>()) as u64
    }

    /// Offset of the first byte.
    #[inline]
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// How many bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.data.len() - SLACK
    }

    /// Offset of the first byte after it.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len() as u64
    }

    /// Whether the byte at `offset` is in it.
    #[inline]
    pub(crate) fn contains(&self, offset: u64) -> bool {
        self.start <= offset && offset < self.end()
    }

    /// The bytes from one offset to another, as far as they are in it.
    #[inline]
    pub(crate) fn slice(&self, from: u64, to: u64) -> &[u8] {
        let padded = self.padded(from, to);
        &padded[..padded.len() - SLACK]
    }

    /// As [`Self::slice`], with [`SLACK`] more readable bytes at the end.
    #[inline]
    pub(crate) fn padded(&self, from: u64, to: u64) -> &[u8] {
        let to = to.clamp(self.start, self.end());
        let from = from.clamp(self.start, to);
        &self.data[(from - self.start) as usize..(to - self.start) as usize + SLACK]
    }

    /// How much memory appending `more` bytes asks for: what a roomy growth takes, and what is the
    /// least.
    pub(crate) fn growth(&self, more: usize) -> (u64, u64) {
        let needed = self.data.len() + more;
        let held = self.data.capacity();
        let runs = match self.runs.len() {
            known if known < self.runs.capacity() => 0,
            known if self.runs.spilled() => known.max(2),
            known => known + known.max(2),
        };
        let runs = (runs * size_of::<Run>()) as u64;
        if needed <= held {
            return (runs, runs);
        }
        ((needed.max(2 * held) - held) as u64 + runs, (needed - held) as u64 + runs)
    }

    /// Makes room for `more` bytes, roomily or just so.
    pub(crate) fn grow(&mut self, more: usize, roomy: bool) {
        let needed = self.data.len() + more;
        if needed > self.data.capacity() {
            let wanted = if roomy { needed.max(2 * self.data.capacity()) } else { needed };
            self.data.reserve_exact(wanted - self.data.len());
        }
        if self.runs.len() == self.runs.capacity() {
            self.runs.reserve_exact(self.runs.len().max(2));
        }
    }

    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8], segment: Extent) {
        let len = self.len();
        self.data.truncate(len);
        self.data.extend_from_slice(bytes);
        self.data.resize(len + bytes.len() + SLACK, 0);
        self.push_run(Run { end: self.end(), segment });
    }

    /// Adds the block that follows, which begins where this one ends.
    pub(crate) fn absorb(&mut self, next: &Self) {
        debug_assert_eq!(self.end(), next.start);
        let len = self.len();
        self.data.truncate(len);
        self.data.extend_from_slice(&next.data);
        for run in &next.runs {
            self.push_run(*run);
        }
    }

    /// Lays a segment's bytes over those that are there, from `from` on, all within the block.
    /// Bytes before `fixed` stay as they are.
    pub(crate) fn overlay(
        &mut self,
        from: u64,
        bytes: &[u8],
        segment: Extent,
        fixed: u64,
        policy: Policy,
    ) -> Overlay {
        let to = from + bytes.len() as u64;
        let at = (from - self.start) as usize;
        let mut found = Overlay {
            different: self.data.get(at..at + bytes.len()) != Some(bytes),
            replaced: false,
        };
        let first = self.runs.partition_point(|run| run.end <= from);
        let last = self.runs.partition_point(|run| run.end < to).min(self.runs.len() - 1);
        let wins = |run: &Run| run.end > fixed && policy.new_wins(segment, run.segment);
        if !self.runs[first..=last].iter().any(wins) {
            return found;
        }
        let mut run_start = if first == 0 { self.start } else { self.runs[first - 1].end };
        let mut after: Vec<Run> = Vec::with_capacity(last - first + 3);
        for run in &self.runs[first..=last] {
            let (won_from, won_to) = (run_start.max(from).max(fixed), run.end.min(to));
            if won_from < won_to && wins(run) {
                let target = (won_from - self.start) as usize..(won_to - self.start) as usize;
                let source = &bytes[(won_from - from) as usize..(won_to - from) as usize];
                found.replaced |= self.data[target.clone()] != *source;
                self.data[target].copy_from_slice(source);
                if run_start < won_from {
                    after.push(Run { end: won_from, segment: run.segment });
                }
                match after.last_mut() {
                    Some(before) if before.segment == segment => before.end = won_to,
                    _ => after.push(Run { end: won_to, segment }),
                }
                if won_to < run.end {
                    after.push(*run);
                }
            } else {
                after.push(*run);
            }
            run_start = run.end;
        }
        self.runs.drain(first..=last);
        self.runs.insert_many(first, after);
        self.bound_runs();
        found
    }

    /// Forgets what is before `offset`, if that is worth moving the rest.
    pub(crate) fn trim(&mut self, offset: u64) {
        let gone = offset.clamp(self.start, self.end()) - self.start;
        let (gone, rest) = (gone as usize, self.len() - gone as usize);
        if gone == 0 || gone < rest {
            return;
        }
        self.data.copy_within(gone.., 0);
        self.data.truncate(rest + SLACK);
        self.start += gone as u64;
        let dropped = self.runs.partition_point(|run| run.end <= self.start);
        self.runs.drain(..dropped.min(self.runs.len()));
    }

    /// Gives memory back that is not needed for what is there.
    pub(crate) fn shrink(&mut self) {
        self.data.shrink_to_fit();
        self.runs.shrink_to_fit();
    }

    fn push_run(&mut self, run: Run) {
        match self.runs.last_mut() {
            Some(last) if last.segment == run.segment => last.end = run.end,
            _ => self.runs.push(run),
        }
        self.bound_runs();
    }

    fn bound_runs(&mut self) {
        if self.runs.len() > MAX_RUNS {
            // The older half becomes one run; overlaps with it are decided as with one segment.
            let half = self.runs.len() / 2;
            let start = self.runs.iter().take(half).map(|run| run.segment.start).min();
            let end = self.runs[half - 1].end;
            let segment = Extent { start: start.unwrap_or(self.start), end };
            self.runs.drain(1..half);
            self.runs[0] = Run { end, segment };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(start: u64, end: u64) -> Extent {
        Extent { start, end }
    }

    fn block() -> Block {
        let mut block = Block::new(100, b"aaaaaaaaaa", extent(100, 110));
        block.append(b"bbbbbbbbbb", extent(110, 120));
        block
    }

    #[test]
    fn slack_is_zero_after_every_change() {
        let mut block = block();
        assert_eq!(block.padded(100, 120)[20..], [0; SLACK]);
        block.trim(115);
        assert_eq!((block.start(), block.padded(0, 999).len()), (115, 5 + SLACK));
        assert_eq!(block.padded(115, 120)[5..], [0; SLACK]);
        block.absorb(&Block::new(120, b"c", extent(120, 121)));
        assert_eq!(block.slice(115, 121), b"bbbbbc");
        assert_eq!(block.padded(115, 121)[6..], [0; SLACK]);
    }

    #[test]
    fn by_bsd_a_segment_that_begins_earlier_takes_the_overlap() {
        let mut block = block();
        let found = block.overlay(105, b"XXXXXXXXXX", extent(105, 115), 0, Policy::Bsd);
        assert_eq!(found, Overlay { different: true, replaced: true });
        assert_eq!(block.slice(100, 120), b"aaaaaaaaaaXXXXXbbbbb");
        // What it took is its own from now on: a third one that begins later does not get it.
        block.overlay(108, b"YYYYYYYYYYYY", extent(108, 120), 0, Policy::Bsd);
        assert_eq!(block.slice(100, 120), b"aaaaaaaaaaXXXXXYYYYY");
    }

    #[test]
    fn bytes_before_the_fixed_offset_stay() {
        let mut block = block();
        block.overlay(100, &[b'Z'; 20], extent(90, 120), 113, Policy::Last);
        assert_eq!(block.slice(100, 120), b"aaaaaaaaaabbbZZZZZZZ");
    }

    #[test]
    fn trimming_moves_bytes_only_when_more_go_than_stay() {
        let mut block = block();
        block.trim(109);
        assert_eq!(block.start(), 100);
        block.trim(110);
        assert_eq!((block.start(), block.slice(0, 999)), (110, &b"bbbbbbbbbb"[..]));
        block.trim(500);
        assert_eq!(block.len(), 0);
    }

    #[test]
    fn the_number_of_runs_is_bounded() {
        let mut block = Block::new(0, b"a", extent(0, 1));
        for at in 1..5000 {
            block.append(b"a", extent(at, at + 1));
            assert!(block.runs.len() <= MAX_RUNS);
        }
        assert_eq!(block.runs.last().map(|run| run.end), Some(5000));
    }
}
