//! [`Heads`]: short patterns that can stand in one place only, compared there. In Hyperscan's tables
//! a one-byte pattern matches nearly every packet and slows the search for all others.

use std::collections::BTreeMap;

use super::fast_pattern::Ends;
use super::prefilter::Literal;

/// Longest pattern that is compared in place.
const MAX_LEN: usize = 4;

/// Most places per prefilter; each costs every scan a comparison.
const MAX_PLACES: usize = 16;

/// Where such a pattern stands: offset of its first byte, and its length.
type Place = (u32, usize);

/// Patterns compared in place.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    places: Box<[PlaceEntries]>,
    /// Value, and its signatures in `signatures`; ascending within a place.
    entries: Box<[(u32, u32, u32)]>,
    signatures: Box<[u32]>,
}

#[derive(Debug)]
struct PlaceEntries {
    place: Place,
    /// Its part of `entries`.
    entries: (usize, usize),
}

impl Heads {
    /// Takes the signatures that can be found this way out of those sorted by pattern.
    pub(crate) fn take(by_pattern: &mut BTreeMap<Literal, Vec<(Ends, u32)>>) -> Self {
        let mut found: BTreeMap<Place, BTreeMap<u32, Vec<u32>>> = BTreeMap::new();
        for (literal, behind) in by_pattern.iter() {
            let Some(value) = value(&literal.bytes).filter(|_| !literal.nocase) else { continue };
            for &(ends, signature) in behind {
                if let Some(place) = place(literal, ends) {
                    found.entry(place).or_default().entry(value).or_default().push(signature);
                }
            }
        }
        // The places with most values stay.
        let mut sizes: Vec<(usize, Place)> = found.iter().map(|(&p, v)| (v.len(), p)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (_, place) in sizes.into_iter().skip(MAX_PLACES) {
            found.remove(&place);
        }

        by_pattern.retain(|literal, behind| {
            behind.retain(|&(ends, _)| {
                literal.nocase
                    || place(literal, ends).is_none_or(|place| !found.contains_key(&place))
            });
            !behind.is_empty()
        });

        let (mut places, mut entries, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
        for (place, values) in found {
            let from = entries.len();
            for (value, behind) in values {
                let first = signatures.len() as u32;
                signatures.extend(behind);
                entries.push((value, first, signatures.len() as u32));
            }
            places.push(PlaceEntries { place, entries: (from, entries.len()) });
        }
        Self { places: places.into(), entries: entries.into(), signatures: signatures.into() }
    }

    /// Appends the signatures whose pattern stands where it has to.
    #[inline]
    pub(crate) fn append(&self, data: &[u8], out: &mut Vec<u32>) {
        for PlaceEntries { place: (start, len), entries } in &self.places {
            let start = *start as usize;
            let Some(value) = data.get(start..start + len).and_then(value) else { continue };
            let Some(entries) = self.entries.get(entries.0..entries.1) else { continue };
            if let Ok(at) = entries.binary_search_by_key(&value, |entry| entry.0)
                && let Some(&(_, from, to)) = entries.get(at)
                && let Some(signatures) = self.signatures.get(from as usize..to as usize)
            {
                out.extend_from_slice(signatures);
            }
        }
    }

    /// Every signature.
    pub(crate) fn all(&self) -> &[u32] {
        &self.signatures
    }

    /// Number of patterns, counted once per place.
    pub(crate) fn patterns(&self) -> usize {
        self.entries.len()
    }

    /// Lengths of the patterns.
    pub(crate) fn lens(&self) -> impl Iterator<Item = usize> {
        self.places.iter().map(|entries| entries.place.1)
    }
}

/// Up to four bytes as a number; patterns of one length differ in it.
#[inline]
fn value(bytes: &[u8]) -> Option<u32> {
    (1..=MAX_LEN)
        .contains(&bytes.len())
        .then(|| bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}

/// The only place where the pattern can stand.
fn place(literal: &Literal, ends: Ends) -> Option<Place> {
    let len = literal.bytes.len();
    let start = ends.first.checked_sub(u32::try_from(len).ok()?)?;
    (ends.first == ends.last).then_some((start, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: u32, bytes: &[u8], nocase: bool, signature: u32) -> (Literal, (Ends, u32)) {
        let end = start + bytes.len() as u32;
        (Literal { bytes: bytes.into(), nocase }, (Ends { first: end, last: end }, signature))
    }

    fn sorted(
        all: impl IntoIterator<Item = (Literal, (Ends, u32))>,
    ) -> BTreeMap<Literal, Vec<(Ends, u32)>> {
        let mut by_pattern: BTreeMap<Literal, Vec<_>> = BTreeMap::new();
        for (literal, behind) in all {
            by_pattern.entry(literal).or_default().push(behind);
        }
        by_pattern
    }

    fn found(heads: &Heads, data: &[u8]) -> Vec<u32> {
        let mut out = Vec::new();
        heads.append(data, &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn a_pattern_is_found_in_its_place_only() {
        let mut all =
            sorted([at(0, b"a", false, 1), at(2, b"a", false, 2), at(2, b"ab", false, 3)]);
        let heads = Heads::take(&mut all);
        assert!(all.is_empty());
        assert_eq!(found(&heads, b"axxx"), [1]);
        assert_eq!(found(&heads, b"xxab"), [2, 3]);
        assert_eq!(found(&heads, b"xa"), []);
        assert_eq!(found(&heads, b""), []);
    }

    #[test]
    fn what_may_stand_elsewhere_is_long_or_without_case_stays() {
        let anywhere = (Literal { bytes: b"a"[..].into(), nocase: false }, (Ends::ANYWHERE, 4));
        let rest = [anywhere, at(0, b"abcde", false, 5), at(0, b"ab", true, 6)];
        let mut all = sorted(rest.into_iter().chain([at(0, b"a", false, 1)]));
        let heads = Heads::take(&mut all);
        assert_eq!(heads.all(), [1]);
        let mut left: Vec<u32> = all.values().flatten().map(|&(_, signature)| signature).collect();
        left.sort_unstable();
        assert_eq!(left, [4, 5, 6]);
    }

    #[test]
    fn many_places_leave_the_most_populated() {
        let mut all =
            sorted((0..100).map(|i| at(i, b"x", false, i)).chain([at(50, b"y", false, 100)]));
        let heads = Heads::take(&mut all);
        assert_eq!(heads.places.len(), MAX_PLACES);
        assert!(heads.all().contains(&100));
        assert_eq!(all.values().flatten().count() + heads.all().len(), 101);
    }
}
