//! One datagram in the making: which bytes of it are there.

use super::policy::FragmentPolicy;

/// The most bytes that IP can number.
pub(crate) const MAX_DATAGRAM: u32 = 65_535;

/// Bytes that count: `[start, end)` of the datagram's fragmentable part, at `at` in the store.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
    at: u32,
}

/// Why a fragment was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLarge,
    Inconsistent,
    TooMany,
}

/// One datagram in the making.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// Disjoint, by offset.
    pieces: Vec<Piece>,
    /// The pieces' bytes, in the order in which they came.
    store: Vec<u8>,
    /// What precedes the fragmentable part, from the fragment with offset 0.
    pub(crate) header: Vec<u8>,
    /// Index in `header` of the byte that says what follows, and what it has to say.
    pub(crate) protocol: (u32, u8),
    /// The end, once the last fragment was seen.
    total: Option<u32>,
    covered: u32,
    /// Fragments taken.
    pub(crate) fragments: u32,
}

impl Tracker {
    /// Memory that it holds.
    pub(crate) fn held(&self) -> usize {
        self.pieces.capacity() * size_of::<Piece>() + self.store.capacity() + self.header.capacity()
    }

    /// The most memory that a fragment of `len` bytes and a header of `header` may ask for.
    pub(crate) fn worst_growth(&self, len: usize, header: usize) -> usize {
        let store = if self.store.len() + len > self.store.capacity() {
            (self.store.capacity() * 2).max(self.store.len() + len) - self.store.capacity()
        } else {
            0
        };
        store + header + (self.pieces.capacity() + 4) * size_of::<Piece>()
    }

    /// Takes a fragment's bytes, which begin at `start` of the fragmentable part. Says whether they
    /// overlap with others.
    pub(crate) fn add(
        &mut self,
        start: u32,
        bytes: &[u8],
        more: bool,
        policy: FragmentPolicy,
        max_pieces: usize,
    ) -> Result<bool, Refusal> {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let end = start.saturating_add(len);
        if end > MAX_DATAGRAM {
            return Err(Refusal::TooLarge);
        }
        let known_end = self.pieces.last().map_or(0, |piece| piece.end);
        match self.total {
            Some(total) if end > total || (!more && end != total) => {
                return Err(Refusal::Inconsistent);
            }
            None if !more && end < known_end => return Err(Refusal::Inconsistent),
            _ => {}
        }
        // Replaced bytes stay in the store: whoever sends the same over and over is not followed.
        if self.pieces.len() + 2 > max_pieces
            || self.store.len() + bytes.len() > 2 * MAX_DATAGRAM as usize
        {
            return Err(Refusal::TooMany);
        }
        if !more {
            self.total = Some(end);
        }
        self.fragments += 1;
        Ok(start < end && self.lay(start, end, bytes, policy))
    }

    fn lay(&mut self, start: u32, end: u32, bytes: &[u8], policy: FragmentPolicy) -> bool {
        let at = self.store.len() as u32;
        let first = self.pieces.partition_point(|piece| piece.end <= start);
        let last = self.pieces.partition_point(|piece| piece.start < end);
        if first == last {
            self.store.extend_from_slice(bytes);
            self.pieces.insert(first, Piece { start, end, at });
            self.covered += end - start;
            return false;
        }
        let mut after: Vec<Piece> = Vec::with_capacity(2 * (last - first) + 1);
        let mut is_used = false;
        let mut next = start;
        let take = |after: &mut Vec<Piece>, from: u32, to: u32| {
            if from < to {
                match after.last_mut() {
                    Some(before)
                        if before.end == from
                            && before.at + from - before.start == at + from - start =>
                    {
                        before.end = to;
                    }
                    _ => after.push(Piece { start: from, end: to, at: at + from - start }),
                }
            }
        };
        for old in &self.pieces[first..last] {
            if next < old.start {
                take(&mut after, next, old.start);
                self.covered += old.start - next;
                is_used = true;
            }
            let (from, to) = (old.start.max(start), old.end.min(end));
            if policy.new_wins((start, end), (old.start, old.end)) {
                if old.start < from {
                    after.push(Piece { end: from, ..*old });
                }
                take(&mut after, from, to);
                is_used = true;
                if to < old.end {
                    after.push(Piece { start: to, end: old.end, at: old.at + to - old.start });
                }
            } else {
                after.push(*old);
            }
            next = to;
        }
        if next < end {
            take(&mut after, next, end);
            self.covered += end - next;
            is_used = true;
        }
        if is_used {
            self.store.extend_from_slice(bytes);
            self.pieces.splice(first..last, after);
        }
        true
    }

    /// Whether nothing is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.total == Some(self.covered) && !self.header.is_empty()
    }

    /// Writes the fragmentable part behind what `out` has.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            let (at, len) = (piece.at as usize, (piece.end - piece.start) as usize);
            out.extend_from_slice(self.store.get(at..at + len).unwrap_or(&[]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(tracker: &mut Tracker, start: u32, bytes: &[u8], more: bool, policy: FragmentPolicy) {
        tracker.add(start, bytes, more, policy, 2048).unwrap();
    }

    fn written(tracker: &Tracker) -> Vec<u8> {
        let mut out = Vec::new();
        tracker.write(&mut out);
        out
    }

    #[test]
    fn every_policy_resolves_the_same_overlaps_in_its_way() {
        // Old: 8..24 'a'. New: from before into it, within it, from within beyond, and around.
        let outcome = |policy| {
            [(0, 16), (8, 16), (16, 32), (0, 32)].map(|(start, end)| {
                let mut tracker = Tracker::default();
                put(&mut tracker, 8, &[b'a'; 16], true, policy);
                put(&mut tracker, start, &vec![b'b'; (end - start) as usize], true, policy);
                let at = written(&tracker);
                let skip = usize::from(start == 0) * 8;
                (at[skip], at[skip + 15])
            })
        };
        let (a, b) = (b'a', b'b');
        assert_eq!(outcome(FragmentPolicy::Bsd), [(b, a), (a, a), (a, a), (b, b)]);
        assert_eq!(outcome(FragmentPolicy::BsdRight), [(a, a), (b, a), (a, b), (a, a)]);
        assert_eq!(outcome(FragmentPolicy::Linux), [(b, a), (b, a), (a, a), (b, b)]);
        assert_eq!(outcome(FragmentPolicy::Windows), [(a, a), (a, a), (a, a), (b, b)]);
        assert_eq!(outcome(FragmentPolicy::Solaris), [(a, a), (a, a), (a, a), (b, b)]);
        assert_eq!(outcome(FragmentPolicy::First), [(a, a), (a, a), (a, a), (a, a)]);
        assert_eq!(outcome(FragmentPolicy::Last), [(b, a), (b, a), (a, b), (b, b)]);
    }

    #[test]
    fn what_contradicts_the_end_is_refused() {
        let mut tracker = Tracker::default();
        put(&mut tracker, 8, &[1; 8], false, FragmentPolicy::Bsd);
        let add = |tracker: &mut Tracker, start, len, more| {
            tracker.add(start, &vec![2; len], more, FragmentPolicy::Bsd, 2048)
        };
        assert_eq!(add(&mut tracker, 16, 8, true), Err(Refusal::Inconsistent));
        assert_eq!(add(&mut tracker, 8, 4, false), Err(Refusal::Inconsistent));
        assert_eq!(add(&mut tracker, 65_528, 8, true), Err(Refusal::TooLarge));
        let mut tracker = Tracker::default();
        put(&mut tracker, 8, &[1; 8], true, FragmentPolicy::Bsd);
        assert_eq!(add(&mut tracker, 0, 8, false), Err(Refusal::Inconsistent));
    }

    #[test]
    fn a_datagram_is_not_followed_into_too_many_pieces_or_repetitions() {
        let mut tracker = Tracker::default();
        for at in 0..30 {
            put(&mut tracker, at * 16, &[1; 8], true, FragmentPolicy::Bsd);
        }
        let refused = tracker.add(1000, &[1; 8], true, FragmentPolicy::Bsd, 31);
        assert_eq!(refused, Err(Refusal::TooMany));
        let mut tracker = Tracker::default();
        let taken = (0..200)
            .take_while(|_| tracker.add(0, &[1; 1480], true, FragmentPolicy::Last, 2048).is_ok())
            .count();
        assert!((80..100).contains(&taken), "{taken}");
    }

    /// Bytes and the fragment that each is of.
    type Model = Vec<Option<(u8, usize)>>;

    /// The run of bytes of one fragment that the byte at `at` is in.
    fn run(model: &Model, at: usize) -> (u32, u32) {
        let same = |other: &usize| model[*other] == model[at];
        let start = (0..=at).rev().take_while(same).last().unwrap_or(at);
        let end = (at..model.len()).take_while(same).last().unwrap_or(at) + 1;
        (start as u32, end as u32)
    }

    proptest! {
        #[test]
        fn it_equals_a_map_of_bytes(
            fragments in proptest::collection::vec((0u32..20, 1usize..6), 1..24),
            policy in prop_oneof![
                Just(FragmentPolicy::First),
                Just(FragmentPolicy::Last),
                Just(FragmentPolicy::Bsd),
                Just(FragmentPolicy::BsdRight),
                Just(FragmentPolicy::Linux),
                Just(FragmentPolicy::Windows),
                Just(FragmentPolicy::Solaris),
            ],
        ) {
            let mut tracker = Tracker::default();
            let mut model: Model = vec![None; 256];
            for (number, (start, len)) in fragments.into_iter().enumerate() {
                let (start, len) = (start * 8, len * 8);
                let bytes: Vec<u8> = (0..len).map(|at| (number * 7 + at) as u8).collect();
                put(&mut tracker, start, &bytes, true, policy);
                let new = (start, start + len as u32);
                let before = model.clone();
                // Bytes differ within a fragment: its number alone tells runs apart.
                let owners: Model = before.iter().map(|byte| byte.map(|(_, of)| (0, of))).collect();
                for at in start as usize..start as usize + len {
                    if before[at].is_none() || policy.new_wins(new, run(&owners, at)) {
                        model[at] = Some((bytes[at - start as usize], number));
                    }
                }
            }
            let expected: Vec<u8> = model.iter().flatten().map(|(value, _)| *value).collect();
            prop_assert_eq!(tracker.covered as usize, expected.len());
            prop_assert_eq!(written(&tracker), expected);
            prop_assert!(tracker.pieces.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
