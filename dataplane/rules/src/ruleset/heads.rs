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
type Key = (u32, usize, bool);

/// Patterns compared in place.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    /// Ascending by where they begin.
    places: Box<[Place]>,
    /// Which values there may be, place after place, by their hash: one look tells that most others are none.
    known: Box<[u64]>,
    /// By value; ascending within a place.
    entries: Box<[Entry]>,
    /// The patterns' bytes that are compared behind that.
    bytes: Box<[u8]>,
    signatures: Box<[u32]>,
}

/// A place, as a look at it needs it.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: u32,
    /// The bytes that are looked up, of the four from there on.
    mask: u32,
    /// What is set in them where case does not matter: it makes letters small, and some other bytes alike.
    fold: u32,
    /// Its part of [`Heads::known`]: the first word, and what of a hash is left to be a bit's number there.
    known: u32,
    shift: u32,
    /// Its part of [`Heads::entries`].
    entries: (u32, u32),
    /// How many bytes are looked up.
    len: u8,
    /// How many of them need not be compared any more.
    told: u8,
}

/// Bits of [`Heads::known`] for each value.
const BITS_EACH: usize = 16;

impl Place {
    /// At which offset, and of so many patterns; their entries and words of `known` begin at these.
    fn new((start, len, nocase): Key, patterns: usize, entries: u32, known: u32) -> Self {
        let mask = u32::MAX << (8 * (KEY - len));
        let bits = (patterns * BITS_EACH).next_power_of_two().max(u64::BITS as usize);
        Self {
            start,
            mask,
            fold: if nocase { mask & 0x2020_2020 } else { 0 },
            known,
            shift: u32::BITS - bits.ilog2(),
            entries: (entries, entries + patterns as u32),
            len: len as u8,
            told: if nocase { 0 } else { len as u8 },
        }
    }

    /// Words of its part of [`Heads::known`].
    fn words(&self) -> usize {
        1 << (u32::BITS - self.shift - u64::BITS.ilog2())
    }

    /// What is looked up of the bytes from there on; None if there are not that many.
    #[inline]
    fn value(&self, from: &[u8]) -> Option<u32> {
        let word = match from.first_chunk::<KEY>() {
            Some(bytes) => u32::from_be_bytes(*bytes),
            None if from.len() >= usize::from(self.len) => {
                let mut bytes = [0; KEY];
                bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                u32::from_be_bytes(bytes)
            }
            None => return None,
        };
        Some(word & self.mask | self.fold)
    }

    /// The word of [`Heads::known`] and its bit for a value.
    #[inline]
    fn slot(&self, value: u32) -> (usize, u64) {
        let hash = value.wrapping_mul(0x9e37_79b1) >> self.shift;
        (self.known as usize + hash as usize / 64, 1 << (hash % 64))
    }
}

/// A pattern.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What is looked up of it.
    value: u32,
    /// In `bytes` what is compared then.
    rest: (u32, u32),
    /// Its part of `signatures`.
    signatures: (u32, u32),
}

impl Heads {
    /// Takes the signatures that can be found this way out of those sorted by pattern.
    pub(crate) fn take(by_pattern: &mut BTreeMap<Literal, Vec<(Ends, u32)>>) -> Self {
        type Behind<'a> = BTreeMap<&'a [u8], Vec<u32>>;
        let mut found: BTreeMap<Key, Behind<'_>> = BTreeMap::new();
        for (literal, behind) in by_pattern.iter() {
            for &(ends, signature) in behind {
                if let Some(place) = key(literal, ends) {
                    let patterns = found.entry(place).or_default();
                    patterns.entry(&literal.bytes).or_default().push(signature);
                }
            }
        }
        found.retain(|_, patterns| {
            patterns.len() >= WORTH || patterns.keys().any(|bytes| bytes.len() < ENOUGH)
        });
        // The places with short patterns stay first, then those with most.
        let mut sizes: Vec<(bool, usize, Key)> =
            found.iter().map(|(&place, of)| (place.1 < ENOUGH, of.len(), place)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (.., place) in sizes.into_iter().skip(MAX_PLACES) {
            found.remove(&place);
        }

        let kept: Vec<Key> = found.keys().copied().collect();
        let mut heads = Drafted::default();
        for (place, patterns) in found {
            heads.add(place, patterns);
        }
        let heads = heads.finish();
        by_pattern.retain(|literal, behind| {
            behind.retain(|&(ends, _)| key(literal, ends).is_none_or(|key| !kept.contains(&key)));
            !behind.is_empty()
        });
        heads
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
        for place in &self.places {
            let Some(from) = data.get(place.start as usize..) else { break };
            let Some(value) = place.value(from) else { continue };
            let (word, bit) = place.slot(value);
            if self.known.get(word).is_some_and(|word| word & bit != 0) {
                self.append_value(place, value, from, out);
            }
        }
    }

    /// The patterns of a place of which this is looked up, if the data goes on as they do.
    fn append_value(&self, place: &Place, value: u32, from: &[u8], out: &mut Vec<u32>) {
        let entries = self.entries.get(place.entries.0 as usize..place.entries.1 as usize);
        let behind = from.get(usize::from(place.told)..);
        let (Some(entries), Some(behind)) = (entries, behind) else { return };
        let first = entries.partition_point(|entry| entry.value < value);
        for entry in entries.iter().skip(first).take_while(|entry| entry.value == value) {
            let rest = self.bytes.get(entry.rest.0 as usize..entry.rest.1 as usize);
            let stands = rest.is_some_and(|rest| {
                behind.get(..rest.len()).is_some_and(|data| {
                    if place.fold != 0 { data.eq_ignore_ascii_case(rest) } else { data == rest }
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
        self.places.iter().map(|place| usize::from(place.len)).min()
    }
}

/// [`Heads`] while they are put together.
#[derive(Default)]
struct Drafted {
    places: Vec<Place>,
    known: Vec<u64>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    signatures: Vec<u32>,
}

impl Drafted {
    /// Adds a place behind the ones before, with its patterns, each of its signatures.
    fn add(&mut self, key: Key, patterns: BTreeMap<&[u8], Vec<u32>>) {
        let from = self.entries.len();
        let place = Place::new(key, patterns.len(), from as u32, self.known.len() as u32);
        self.known.resize(self.known.len() + place.words(), 0);
        for (bytes, behind) in patterns {
            let value = place.value(bytes).unwrap_or(0);
            let (word, bit) = place.slot(value);
            self.known[word] |= bit;
            let first = (self.bytes.len() as u32, self.signatures.len() as u32);
            self.bytes.extend_from_slice(&bytes[usize::from(place.told)..]);
            self.signatures.extend(behind);
            self.entries.push(Entry {
                value,
                rest: (first.0, self.bytes.len() as u32),
                signatures: (first.1, self.signatures.len() as u32),
            });
        }
        self.entries[from..].sort_by_key(|entry| entry.value);
        self.places.push(place);
    }

    fn finish(self) -> Heads {
        Heads {
            places: self.places.into(),
            known: self.known.into(),
            entries: self.entries.into(),
            bytes: self.bytes.into(),
            signatures: self.signatures.into(),
        }
    }
}

/// The only place where the pattern can stand.
fn key(literal: &Literal, ends: Ends) -> Option<Key> {
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
    fn without_case_no_other_bytes_are_alike() {
        let patterns = [&b"@[`"[..], b"`{@", b"{q\x01", b"[q!", b"ab@cd", b"ab`cd", b"xyzw"];
        let all = (0..).zip(patterns).map(|(n, bytes)| at(2, bytes, true, n));
        let heads = Heads::take(&mut sorted(all));
        for (n, pattern) in (0..).zip(patterns) {
            let data = [b"..", pattern, b"."].concat();
            assert_eq!(found(&heads, &data), [n], "{pattern:?}");
            assert_eq!(found(&heads, &data.to_ascii_uppercase()), [n], "{pattern:?}");
        }
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
