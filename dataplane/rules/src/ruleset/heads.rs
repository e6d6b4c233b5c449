//! [`Heads`]: patterns that can stand in one place only, compared there. That is cheaper than to look
//! for them everywhere, and short ones among them would match nearly every packet in Hyperscan's tables.

use std::collections::BTreeMap;

use super::fast_pattern::Ends;
use super::prefilter::Literal;

/// Bytes of a pattern that are looked up; the rest is compared after that.
const KEY: usize = 4;

/// Most places per prefilter; each costs every scan a look.
const MAX_PLACES: usize = 16;

/// A place is worth its look if so many patterns stand there, or one that is too short for Hyperscan.
const WORTH: usize = 3;

/// Bytes of a pattern that Hyperscan searches well.
const ENOUGH: usize = 4;

/// Where such patterns stand: offset of their first byte, how many of their bytes are looked up, and
/// whether without case.
type Place = (u32, usize, bool);

/// Patterns compared in place.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    places: Box<[PlaceEntries]>,
    /// By value; ascending within a place.
    entries: Box<[Entry]>,
    /// The patterns' bytes behind those that are looked up.
    bytes: Box<[u8]>,
    signatures: Box<[u32]>,
}

#[derive(Debug)]
struct PlaceEntries {
    place: Place,
    /// Its part of `entries`.
    entries: (usize, usize),
    known: Known,
}

/// Which values there may be at a place, by their hash: one look tells that most others are none.
#[derive(Debug)]
struct Known {
    bits: Box<[u64]>,
    /// Of a hash, what is left to be a bit's number.
    shift: u32,
}

/// Bits of it for each value.
const BITS_EACH: usize = 16;

impl Known {
    fn new(values: usize) -> Self {
        let bits = (values * BITS_EACH).next_power_of_two().max(u64::BITS as usize);
        let words = vec![0; bits / u64::BITS as usize];
        Self { bits: words.into(), shift: u32::BITS - bits.ilog2() }
    }

    /// The word and the bit of a value.
    #[inline]
    fn slot(&self, value: u32) -> (usize, u64) {
        let hash = value.wrapping_mul(0x9e37_79b1) >> self.shift;
        (hash as usize / 64, 1 << (hash % 64))
    }

    fn insert(&mut self, value: u32) {
        let (word, bit) = self.slot(value);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    #[inline]
    fn may_hold(&self, value: u32) -> bool {
        let (word, bit) = self.slot(value);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// A pattern.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its first bytes.
    value: u32,
    /// The rest of them in `bytes`.
    rest: (u32, u32),
    /// Its part of `signatures`.
    signatures: (u32, u32),
}

impl Heads {
    /// Takes the signatures that can be found this way out of those sorted by pattern.
    pub(crate) fn take(by_pattern: &mut BTreeMap<Literal, Vec<(Ends, u32)>>) -> Self {
        type Behind<'a> = BTreeMap<&'a [u8], Vec<u32>>;
        let mut found: BTreeMap<Place, Behind<'_>> = BTreeMap::new();
        for (literal, behind) in by_pattern.iter() {
            for &(ends, signature) in behind {
                if let Some(place) = place(literal, ends) {
                    let patterns = found.entry(place).or_default();
                    patterns.entry(&literal.bytes).or_default().push(signature);
                }
            }
        }
        found.retain(|_, patterns| {
            patterns.len() >= WORTH || patterns.keys().any(|bytes| bytes.len() < ENOUGH)
        });
        // The places with short patterns stay first, then those with most.
        let mut sizes: Vec<(bool, usize, Place)> =
            found.iter().map(|(&place, of)| (place.1 < ENOUGH, of.len(), place)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (.., place) in sizes.into_iter().skip(MAX_PLACES) {
            found.remove(&place);
        }

        let (mut places, mut entries) = (Vec::new(), Vec::new());
        let (mut all_bytes, mut signatures) = (Vec::new(), Vec::new());
        for (place, patterns) in found {
            let from = entries.len();
            let mut known = Known::new(patterns.len());
            for (bytes, behind) in patterns {
                let (first, rest) = bytes.split_at(place.1);
                let first_byte = all_bytes.len() as u32;
                let first_signature = signatures.len() as u32;
                all_bytes.extend_from_slice(rest);
                signatures.extend(behind);
                let value = value(first, false);
                known.insert(value);
                entries.push(Entry {
                    value,
                    rest: (first_byte, all_bytes.len() as u32),
                    signatures: (first_signature, signatures.len() as u32),
                });
            }
            // In the order of their bytes, and so of their values.
            places.push(PlaceEntries { place, entries: (from, entries.len()), known });
        }
        let kept: Vec<Place> = places.iter().map(|entries| entries.place).collect();
        by_pattern.retain(|literal, behind| {
            behind.retain(|&(ends, _)| {
                place(literal, ends).is_none_or(|place| !kept.contains(&place))
            });
            !behind.is_empty()
        });
        Self {
            places: places.into(),
            entries: entries.into(),
            bytes: all_bytes.into(),
            signatures: signatures.into(),
        }
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Appends the signatures whose pattern stands where it has to, counted from the first byte of
    /// `data`.
    #[inline]
    pub(crate) fn append(&self, data: &[u8], out: &mut Vec<u32>) {
        for PlaceEntries { place: (start, len, nocase), entries, known } in &self.places {
            let start = *start as usize;
            let Some(bytes) = data.get(start..start + len) else { continue };
            let value = value(bytes, *nocase);
            if known.may_hold(value) {
                let behind = data.get(start + len..).unwrap_or(&[]);
                self.append_value(*entries, value, behind, *nocase, out);
            }
        }
    }

    /// The patterns of a place that begin so, if the data goes on as they do.
    fn append_value(
        &self,
        entries: (usize, usize),
        value: u32,
        behind: &[u8],
        nocase: bool,
        out: &mut Vec<u32>,
    ) {
        let Some(entries) = self.entries.get(entries.0..entries.1) else { return };
        let first = entries.partition_point(|entry| entry.value < value);
        for entry in entries.iter().skip(first).take_while(|entry| entry.value == value) {
            let rest = self.bytes.get(entry.rest.0 as usize..entry.rest.1 as usize);
            let stands = rest.is_some_and(|rest| {
                behind.get(..rest.len()).is_some_and(|data| {
                    if nocase { data.eq_ignore_ascii_case(rest) } else { data == rest }
                })
            });
            let (from, to) = entry.signatures;
            if stands && let Some(signatures) = self.signatures.get(from as usize..to as usize) {
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

    /// Length of the shortest pattern, as far as four bytes.
    pub(crate) fn min_len(&self) -> Option<usize> {
        self.places.iter().map(|entries| entries.place.1).min()
    }
}

/// Up to four bytes as a number; patterns of one length differ in it, and it orders as they do.
#[inline]
fn value(bytes: &[u8], nocase: bool) -> u32 {
    bytes.iter().fold(0, |value, byte| {
        let byte = if nocase { byte.to_ascii_lowercase() } else { *byte };
        (value << 8) | u32::from(byte)
    })
}

/// The only place where the pattern can stand.
fn place(literal: &Literal, ends: Ends) -> Option<Place> {
    let len = literal.bytes.len();
    let start = ends.first.checked_sub(u32::try_from(len).ok()?)?;
    (ends.first == ends.last && len > 0).then_some((start, len.min(KEY), literal.nocase))
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
    fn case_counts_where_it_is_asked_for() {
        let mut all = sorted([at(1, b"ab", false, 1), at(1, b"ab", true, 2), at(1, b"b", true, 3)]);
        let heads = Heads::take(&mut all);
        assert!(all.is_empty());
        assert_eq!(found(&heads, b"xab"), [1, 2]);
        assert_eq!(found(&heads, b"xAb"), [2]);
        assert_eq!(found(&heads, b"xBa"), [3]);
    }

    #[test]
    fn longer_patterns_are_compared_whole() {
        let patterns = [&b"abcdef"[..], b"abcdxx", b"abcd", b"zzzz9"];
        let mut all = sorted((0..).zip(patterns).map(|(n, bytes)| at(3, bytes, false, n)));
        let heads = Heads::take(&mut all);
        assert!(all.is_empty());
        assert_eq!(found(&heads, b"...abcdef"), [0, 2]);
        assert_eq!(found(&heads, b"...abcdxx."), [1, 2]);
        assert_eq!(found(&heads, b"...abcd"), [2]);
        assert_eq!(found(&heads, b"...zzzz8"), []);
        assert_eq!(found(&heads, b"..abcdef"), []);
    }

    #[test]
    fn what_may_stand_elsewhere_or_stands_alone_stays() {
        let anywhere = (Literal { bytes: b"a"[..].into(), nocase: false }, (Ends::ANYWHERE, 4));
        let rest = [anywhere, at(0, b"abcde", false, 5)];
        let mut all = sorted(rest.into_iter().chain([at(0, b"a", false, 1)]));
        let heads = Heads::take(&mut all);
        assert_eq!(heads.all(), [1]);
        let mut left: Vec<u32> = all.values().flatten().map(|&(_, signature)| signature).collect();
        left.sort_unstable();
        assert_eq!(left, [4, 5]);
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
