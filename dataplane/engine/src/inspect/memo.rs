//! [`Memo`]: what scans of short buffers have found, so that a method, a header field or a name that comes
//! again is not scanned again. Exact: what is known is compared byte by byte.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::FixedState;

/// Entries; a power of two. Three lines of the cache each, 384 KiB a core, of which what is used is in memory.
const ENTRIES: usize = 2048;

/// Bytes of a buffer that is remembered, at the most.
const BYTES: usize = 148;

/// Signatures that are remembered of a buffer, at the most.
const FOUND: usize = 8;

/// What scans have found, by what they were of.
#[derive(Debug)]
pub(super) struct Memo {
    /// Of what came last to each entry, some bits of its hash, the lowest of which says that it is in the entry.
    /// What comes once and never again does not get so far, and its look touches no more than this.
    tags: Box<[u32]>,
    entries: Box<[Entry]>,
    hash: FixedState,
}

/// In a tag: the entry holds what it is of.
const HELD: u32 = 1;

/// One scan.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Entry {
    /// The lower bits of the generation, and the list that was scanned.
    key: (u32, u16),
    len: u8,
    count: u8,
    found: [u32; FOUND],
    bytes: [u8; BYTES],
}

/// What is known of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// What a scan would find has been appended.
    Known,
    /// It is to be scanned, and what is found may be remembered here: it came before.
    Again(usize),
    /// It is to be scanned.
    New,
}

impl Default for Memo {
    fn default() -> Self {
        let entry =
            Entry { key: (0, u16::MAX), len: 0, count: 0, found: [0; FOUND], bytes: [0; BYTES] };
        let tags = vec![0; ENTRIES].into();
        Self { tags, entries: vec![entry; ENTRIES].into(), hash: FixedState::default() }
    }
}

impl Memo {
    /// Appends to `out` what a scan of the buffer by a list of the generation's has found before.
    #[inline]
    pub(super) fn look(
        &mut self,
        generation: u64,
        list: usize,
        bytes: &[u8],
        out: &mut Vec<u32>,
    ) -> Look {
        let Some(key) = Self::key(generation, list).filter(|_| bytes.len() <= BYTES) else {
            return Look::New;
        };
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(generation << 16 | list as u64);
        hasher.write(bytes);
        let hash = hasher.finish();
        let (at, seen) = (hash as usize % ENTRIES, (hash >> 32) as u32 & !HELD);
        let Some(tag) = self.tags.get_mut(at) else { return Look::New };
        if *tag & !HELD != seen {
            *tag = seen;
            return Look::New;
        }
        match self.entries.get(at) {
            Some(entry) if *tag & HELD != 0 && entry.key == key && entry.bytes() == bytes => {
                out.extend_from_slice(entry.found());
                Look::Known
            }
            _ => Look::Again(at),
        }
    }

    /// Remembers what a scan found, where [`Self::look`] said so.
    pub(super) fn learn(
        &mut self,
        at: usize,
        (generation, list): (u64, usize),
        bytes: &[u8],
        found: &[u32],
    ) {
        let (Some(entry), Some(tag), Some(key)) =
            (self.entries.get_mut(at), self.tags.get_mut(at), Self::key(generation, list))
        else {
            return;
        };
        let (Some(own), Some(places)) =
            (entry.bytes.get_mut(..bytes.len()), entry.found.get_mut(..found.len()))
        else {
            return;
        };
        own.copy_from_slice(bytes);
        places.copy_from_slice(found);
        entry.key = key;
        entry.len = bytes.len() as u8;
        entry.count = found.len() as u8;
        *tag |= HELD;
    }

    fn key(generation: u64, list: usize) -> Option<(u32, u16)> {
        let list = u16::try_from(list).ok().filter(|&list| list < u16::MAX)?;
        Some((generation as u32, list))
    }
}

impl Entry {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn found(&self) -> &[u32] {
        self.found.get(..usize::from(self.count)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_takes_three_lines_of_the_cache() {
        assert_eq!(size_of::<Entry>(), 192);
    }

    #[test]
    fn what_is_too_long_or_has_too_much_in_it_is_not_remembered() {
        let mut memo = Memo::default();
        let mut out = Vec::new();
        for _ in 0..3 {
            assert_eq!(memo.look(1, 0, &[b'a'; BYTES + 1], &mut out), Look::New);
        }
        let bytes = [b'a'; BYTES];
        assert_eq!(memo.look(1, 0, &bytes, &mut out), Look::New);
        let Look::Again(at) = memo.look(1, 0, &bytes, &mut out) else { panic!("known or new") };
        memo.learn(at, (1, 0), &bytes, &[7; FOUND + 1]);
        assert_eq!(memo.look(1, 0, &bytes, &mut out), Look::Again(at));
        memo.learn(at, (1, 0), &bytes, &[7; FOUND]);
        assert_eq!(memo.look(1, 0, &bytes, &mut out), Look::Known);
        assert_eq!(out, [7; FOUND]);
    }

    #[test]
    fn nothing_is_known_at_first_not_even_of_nothing() {
        assert_ne!(Memo::default().look(0, 0, b"", &mut Vec::new()), Look::Known);
    }

    proptest! {
        /// The scan of the model finds the list, the generation, the length and the first byte.
        #[test]
        fn what_is_known_is_what_a_scan_would_find(
            looks in prop::collection::vec(
                (0u64..3, 0usize..4, prop::collection::vec(b'a'..b'd', 0..5)), 1..300),
        ) {
            let mut memo = Memo::default();
            for (generation, list, bytes) in looks {
                let first = bytes.first().map_or(0, |&byte| u32::from(byte));
                let scan = [generation as u32, list as u32, bytes.len() as u32, first];
                let mut out = vec![99];
                match memo.look(generation, list, &bytes, &mut out) {
                    Look::Known => prop_assert_eq!(out.get(1..), Some(&scan[..])),
                    Look::Again(at) => {
                        memo.learn(at, (generation, list), &bytes, &scan);
                        prop_assert_eq!(memo.look(generation, list, &bytes, &mut out), Look::Known);
                    }
                    Look::New => prop_assert_eq!(&out, &[99]),
                }
            }
        }
    }
}
