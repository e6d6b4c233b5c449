//! [`Members`]: which signatures each pattern of a prefilter stands for, and where in the data it
//! has to stand for them.

use std::collections::BTreeMap;

use super::fast_pattern::Ends;
use super::prefilter::Literal;

/// Where a pattern may stand in more places than this, finding it anywhere makes a candidate.
const MAX_PLACES: u32 = 32;

/// The signatures behind each pattern.
///
/// Hyperscan could check offsets itself, but compiling a thousand such literals takes it minutes
/// and megabytes; and the one match that it reports per pattern need not be the first.
#[derive(Debug)]
pub(crate) struct Members {
    patterns: Box<[Pattern]>,
    /// The patterns' bytes, one after the other.
    bytes: Box<[u8]>,
    /// Signature numbers, pattern after pattern.
    signatures: Box<[u32]>,
    /// Where the pattern has to stand for the signature of the same place in `signatures`.
    ends: Box<[Ends]>,
    min_len: usize,
    max_len: usize,
}

/// What there is to know about a pattern that was found.
#[derive(Debug, Clone, Copy)]
struct Pattern {
    /// Its signatures in [`Members::signatures`].
    signatures: (u32, u32),
    /// Its bytes in [`Members::bytes`].
    bytes: (u32, u32),
    nocase: bool,
    /// For some signature it has to stand in few places.
    placed: bool,
}

impl Members {
    /// From each pattern's signatures; patterns are numbered in the map's order.
    pub(crate) fn new(by_pattern: &mut BTreeMap<Literal, Vec<(Ends, u32)>>) -> Self {
        let mut patterns = Vec::with_capacity(by_pattern.len());
        let (mut all_bytes, mut signatures, mut all_ends) = (Vec::new(), Vec::new(), Vec::new());
        for (literal, behind) in by_pattern.iter_mut() {
            // Equal places come together, so that each is looked at once.
            behind.sort_unstable();
            // A ruleset is bounded so that neither number outgrows 32 bits.
            let from = (signatures.len() as u32, all_bytes.len() as u32);
            let len = literal.bytes.len() as u32;
            let mut placed = false;
            for &(ends, signature) in behind.iter() {
                let ends = if ends.places(len) > MAX_PLACES { Ends::ANYWHERE } else { ends };
                placed |= ends != Ends::ANYWHERE;
                signatures.push(signature);
                all_ends.push(ends);
            }
            all_bytes.extend_from_slice(&literal.bytes);
            patterns.push(Pattern {
                signatures: (from.0, signatures.len() as u32),
                bytes: (from.1, all_bytes.len() as u32),
                nocase: literal.nocase,
                placed,
            });
        }
        let lens = || by_pattern.keys().map(|literal| literal.bytes.len());
        Self {
            patterns: patterns.into(),
            bytes: all_bytes.into(),
            signatures: signatures.into(),
            ends: all_ends.into(),
            min_len: lens().min().unwrap_or(0),
            max_len: lens().max().unwrap_or(0),
        }
    }

    /// Appends the signatures that a pattern found in `data` stands for.
    #[inline]
    pub(crate) fn append(&self, pattern: usize, data: &[u8], out: &mut Vec<u32>) {
        let Some(pattern) = self.patterns.get(pattern) else { return };
        let range = pattern.signatures.0 as usize..pattern.signatures.1 as usize;
        let Some(signatures) = self.signatures.get(range.clone()) else { return };
        if pattern.placed {
            self.append_placed(pattern, signatures, self.ends.get(range), data, out);
        } else {
            out.extend_from_slice(signatures);
        }
    }

    fn append_placed(
        &self,
        pattern: &Pattern,
        signatures: &[u32],
        ends: Option<&[Ends]>,
        data: &[u8],
        out: &mut Vec<u32>,
    ) {
        let bytes = self.bytes.get(pattern.bytes.0 as usize..pattern.bytes.1 as usize);
        let (Some(bytes), Some(ends)) = (bytes, ends) else { return };
        let mut known = (Ends::ANYWHERE, true);
        for (&signature, &ends) in signatures.iter().zip(ends) {
            if ends != known.0 {
                known = (ends, stands(bytes, pattern.nocase, ends, data));
            }
            if known.1 {
                out.push(signature);
            }
        }
    }

    /// Every signature.
    pub(crate) fn all(&self) -> &[u32] {
        &self.signatures
    }

    /// Number of patterns.
    pub(crate) fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Length of the shortest pattern.
    #[inline]
    pub(crate) fn min_len(&self) -> usize {
        self.min_len
    }

    /// Length of the longest pattern.
    pub(crate) fn max_len(&self) -> usize {
        self.max_len
    }
}

/// Does the pattern occur with its end within these bounds?
fn stands(pattern: &[u8], nocase: bool, ends: Ends, data: &[u8]) -> bool {
    let from = (ends.first as usize).saturating_sub(pattern.len());
    let to = data.len().min(ends.last as usize);
    let Some(within) = data.get(from..to) else { return false };
    within
        .windows(pattern.len())
        .any(|window| if nocase { window.eq_ignore_ascii_case(pattern) } else { window == pattern })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn members(pattern: &[u8], nocase: bool, behind: Vec<(Ends, u32)>) -> Members {
        let literal = Literal { bytes: pattern.into(), nocase };
        Members::new(&mut BTreeMap::from([(literal, behind)]))
    }

    fn found(members: &Members, data: &[u8]) -> Vec<u32> {
        let mut out = Vec::new();
        members.append(0, data, &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn bounds_keep_a_signature_out_where_its_pattern_stands_elsewhere() {
        let behind = vec![
            (Ends::ANYWHERE, 0),
            (Ends { first: 2, last: 2 }, 1),
            (Ends { first: 3, last: 5 }, 2),
            (Ends { first: 4, last: u32::MAX }, 3),
        ];
        let members = members(b"ab", false, behind);
        assert_eq!(found(&members, b"ab"), [0, 1, 3], "3 may stand in too many places to look");
        assert_eq!(found(&members, b"xxxab"), [0, 2, 3]);
        assert_eq!(found(&members, b"abxab"), [0, 1, 2, 3]);
        assert_eq!(found(&members, b"xxxxab"), [0, 3]);
    }

    #[test]
    fn bounds_that_nothing_can_meet_are_met_by_nothing() {
        let members = members(b"abc", false, vec![(Ends { first: 3, last: 2 }, 1)]);
        assert_eq!(found(&members, b"abc"), []);
    }

    #[test]
    fn a_pattern_that_is_not_there_is_no_panic() {
        let members = members(b"abc", false, vec![(Ends::ANYWHERE, 1)]);
        let mut out = Vec::new();
        members.append(1, b"abc", &mut out);
        members.append(usize::MAX, b"abc", &mut out);
        assert_eq!(out, []);
    }

    proptest! {
        #[test]
        fn whoever_is_met_is_found(
            data in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'A'), Just(b'b')], 0..60),
            pattern in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b')], 1..4),
            nocase: bool,
            bounds in proptest::collection::vec((0u32..70, 0u32..70), 1..6),
        ) {
            let behind: Vec<(Ends, u32)> = bounds
                .into_iter()
                .zip(0..)
                .map(|((first, last), signature)| (Ends { first, last }, signature))
                .collect();
            let members = members(&pattern, nocase, behind.clone());
            let found = found(&members, &data);
            for (ends, signature) in behind {
                let met = (0..data.len()).any(|start| {
                    let end = start + pattern.len();
                    data.get(start..end).is_some_and(|window| {
                        if nocase { window.eq_ignore_ascii_case(&pattern) } else { window == pattern }
                    }) && (ends.first..=ends.last).contains(&(end as u32))
                });
                let few = ends.places(pattern.len() as u32) <= MAX_PLACES;
                prop_assert!(!met || found.contains(&signature));
                prop_assert!(met || !few || !found.contains(&signature));
            }
        }
    }
}
