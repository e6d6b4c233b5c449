//! [`Scanned`]: what has been looked for in a flow's streams already, segment by segment, so that
//! windows of them need no scan of their own.

use smallvec::SmallVec;
use wire::Direction;

use super::Window;

/// Candidates that may wait for a window. Where there are more, the window is scanned instead.
const MOST: usize = 1024;

/// How far the streams of a flow have been scanned by segments that followed one another, and which
/// signatures that made candidates.
#[derive(Debug, Default)]
pub struct Scanned([Option<Box<Way>>; 2]);

/// One direction.
#[derive(Debug)]
struct Way {
    /// Every pattern was looked for that lies within these two offsets of the stream.
    from: u64,
    upto: u64,
    /// Signatures, each with the end of the segment that it was found in, its lower bits; mostly few.
    found: SmallVec<[(u32, u32); 2]>,
    /// Of which ruleset the numbers are, its lower bits.
    generation: u32,
}

impl Scanned {
    /// Takes note of a segment that was scanned as `tail`, with up to `reach - 1` bytes that the
    /// stream has before it, and of what was `found`.
    pub(super) fn note(
        &mut self,
        direction: Direction,
        generation: u64,
        tail: Window<'_>,
        reach: usize,
        found: &[u32],
    ) {
        let Some(known) = self.0.get_mut(direction.index()) else { return };
        let generation = generation as u32;
        let begin = tail.stream_offset + tail.new_from as u64;
        let end = tail.stream_offset + tail.data.len() as u64;
        let from = tail.stream_offset + (tail.new_from + 1).saturating_sub(reach.max(1)) as u64;
        let begun = || Way { from, upto: begin, found: SmallVec::new(), generation };
        let way = known.get_or_insert_with(|| Box::new(begun()));
        if way.upto != begin || way.generation != generation {
            **way = begun();
        } else if begin - from + 1 < reach as u64 {
            // Something may stand across that was not seen whole.
            way.from = way.from.max(from);
        }
        way.upto = end;
        if way.found.len() + found.len() > MOST {
            *known = None;
        } else {
            way.found.extend(found.iter().map(|&number| (number, end as u32)));
        }
    }

    /// Whether everything that a scan of the window could find was looked for, with patterns of up to
    /// `reach` bytes. Then it is appended to `out`, and forgotten where no later window needs it.
    pub(super) fn take(
        &mut self,
        direction: Direction,
        generation: u64,
        window: Window<'_>,
        reach: usize,
        out: &mut Vec<u32>,
    ) -> bool {
        let Some(known) = self.0.get_mut(direction.index()) else { return false };
        let Some(way) = known else { return false };
        let end = window.stream_offset + window.data.len() as u64;
        let from = (window.new_from + 1).saturating_sub(reach.max(1));
        let from = window.stream_offset + from as u64;
        let all = way.generation == generation as u32 && way.from <= from && end <= way.upto;
        if all {
            out.extend(way.found.iter().map(|&(number, _)| number));
        }
        if way.upto <= end {
            // The next segment begins anew, with the bytes before it that the next window needs.
            *known = None;
        } else {
            way.found.retain(|&mut (_, found)| found.wrapping_sub(end as u32) as i32 > 0);
        }
        all
    }

    /// The stream has changed otherwise than at its end: what was looked for may not be what is there.
    pub(crate) fn forget(&mut self, direction: Direction) {
        if let Some(known) = self.0.get_mut(direction.index()) {
            *known = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use hyperscan::PaddedBuf;
    use proptest::prelude::*;

    use super::*;

    const WAY: Direction = Direction::ToClient;

    fn padded(bytes: &[u8]) -> PaddedBuf {
        let mut buf = PaddedBuf::new();
        buf.extend_from_slice(bytes);
        buf
    }

    /// A part of a stream, of which the bytes from `new` on are new.
    fn part(buf: &PaddedBuf, start: usize, new: usize, end: usize) -> Window<'_> {
        Window {
            data: buf.as_padded().get(start..end).unwrap(),
            new_from: new - start,
            stream_offset: start as u64,
            missing: 0,
        }
    }

    #[test]
    fn segments_in_order_cover_their_window_and_what_they_showed_is_told_once() {
        let (buf, mut scanned) = (padded(&[b'x'; 40]), Scanned::default());
        scanned.note(WAY, 1, part(&buf, 0, 0, 10), 4, &[7]);
        scanned.note(WAY, 1, part(&buf, 2, 10, 20), 4, &[8]);
        let mut out = Vec::new();
        assert!(!scanned.take(WAY, 1, part(&buf, 0, 0, 30), 4, &mut out), "20 to 30 were not seen");
        scanned.note(WAY, 1, part(&buf, 5, 20, 30), 4, &[9]);
        assert!(scanned.take(WAY, 1, part(&buf, 5, 20, 30), 4, &mut out));
        assert_eq!(out, [9]);
        out.clear();
        assert!(!scanned.take(WAY, 2, part(&buf, 5, 20, 30), 4, &mut out), "other rules");
        assert!(!scanned.take(WAY.flip(), 1, part(&buf, 0, 0, 30), 4, &mut out));
        assert_eq!(out, []);
    }

    #[test]
    fn a_window_keeps_what_later_segments_showed_for_the_next() {
        let (buf, mut scanned, mut out) = (padded(&[b'x'; 40]), Scanned::default(), Vec::new());
        scanned.note(WAY, 1, part(&buf, 0, 0, 10), 4, &[7]);
        scanned.note(WAY, 1, part(&buf, 0, 10, 20), 4, &[8]);
        assert!(scanned.take(WAY, 1, part(&buf, 0, 0, 10), 4, &mut out));
        assert_eq!(out, [7, 8], "where in its segment the second one was is not known");
        out.clear();
        assert!(scanned.take(WAY, 1, part(&buf, 0, 10, 20), 4, &mut out));
        assert_eq!(out, [8]);
    }

    #[test]
    fn too_many_candidates_are_not_kept() {
        let (buf, mut scanned, mut out) = (padded(&[b'x'; 40]), Scanned::default(), Vec::new());
        let many: Vec<u32> = (0..600).collect();
        scanned.note(WAY, 1, part(&buf, 0, 0, 10), 4, &many);
        scanned.note(WAY, 1, part(&buf, 0, 10, 20), 4, &many);
        assert!(!scanned.take(WAY, 1, part(&buf, 0, 0, 20), 4, &mut out));
    }

    proptest! {
        /// The model: a scan finds a pattern (an even byte followed by the same byte `len` times) if it
        /// lies in what is scanned; its number is its place.
        #[test]
        fn what_a_window_is_said_to_be_scanned_for_is_found(
            bytes in prop::collection::vec(0u8..3, 1..200),
            steps in prop::collection::vec((1usize..30, 0usize..8, 0u8..10), 1..40),
            reach in 1usize..6,
        ) {
            let (buf, mut scanned) = (padded(&bytes), Scanned::default());
            let found = |from: usize, to: usize| -> Vec<u32> {
                (from..to.saturating_sub(reach - 1).max(from))
                    .filter(|&at| bytes[at..at + reach].iter().all(|b| *b == bytes[at]))
                    .map(|at| at as u32)
                    .collect()
            };
            let (mut stored, mut looked) = (0, 0);
            for (len, before, what) in steps {
                let end = (stored + len).min(bytes.len());
                match what {
                    // A segment that was not scanned.
                    0 => stored = end,
                    1 => scanned.forget(WAY),
                    2..6 if end > stored => {
                        let tail = part(&buf, stored.saturating_sub(before), stored, end);
                        let from = (stored + 1).saturating_sub(reach).max(stored.saturating_sub(before));
                        scanned.note(WAY, 1, tail, reach, &found(from, end));
                        stored = end;
                    }
                    _ => {
                        let end = (looked + len).min(stored);
                        if end == looked {
                            continue;
                        }
                        let window = part(&buf, looked.saturating_sub(40), looked, end);
                        let mut out = Vec::new();
                        if scanned.take(WAY, 1, window, reach, &mut out) {
                            let from = (looked + 1).saturating_sub(reach);
                            for number in found(from, end) {
                                prop_assert!(out.contains(&number), "{number} of {looked}..{end}");
                            }
                        }
                        looked = end;
                    }
                }
            }
        }
    }
}
