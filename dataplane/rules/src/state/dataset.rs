//! Data sets: values that rules look up, add and take away (`dataset`), each perhaps with a
//! reputation (`datarep`).

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Shards of a set.
const SHARDS: usize = 16;

/// What an entry costs beside its bytes, about.
const ENTRY: usize = 64;

/// What a set's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// `string`: any bytes.
    String,
    /// `md5`: 16 bytes.
    Md5,
    /// `sha256`: 32 bytes.
    Sha256,
    /// `ipv4`: 4 bytes.
    Ipv4,
    /// `ip`: an address of either family.
    Ip,
}

impl DataKind {
    /// By its word in rules.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::String,
            "md5" => Self::Md5,
            "sha256" => Self::Sha256,
            "ipv4" => Self::Ipv4,
            "ip" => Self::Ip,
            _ => return None,
        })
    }

    /// A value as it is kept; None if it is none of this kind.
    fn value(self, bytes: &[u8]) -> Option<Box<[u8]>> {
        let fits = match self {
            Self::String => true,
            Self::Md5 => bytes.len() == 16,
            Self::Sha256 => bytes.len() == 32,
            Self::Ipv4 => bytes.len() == 4,
            Self::Ip => {
                let ip = match <[u8; 4]>::try_from(bytes) {
                    Ok(four) => Ipv4Addr::from(four).to_ipv6_mapped(),
                    Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?),
                };
                return Some(ip.octets().into());
            }
        };
        fits.then(|| bytes.into())
    }

    /// A value from its text in a file.
    pub(super) fn parse(self, text: &str) -> Option<Box<[u8]>> {
        match self {
            Self::String => match STANDARD.decode(text) {
                Ok(value) if !text.is_empty() => Some(value.into()),
                _ => None,
            },
            Self::Md5 | Self::Sha256 => {
                let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
                let pairs = text.as_bytes().chunks(2);
                let bytes: Option<Vec<u8>> = pairs
                    .map(|pair| match *pair {
                        [high, low] => Some(digit(high)? << 4 | digit(low)?),
                        _ => None,
                    })
                    .collect();
                self.value(&bytes?)
            }
            Self::Ipv4 => self.value(&text.parse::<Ipv4Addr>().ok()?.octets()),
            Self::Ip => match text.parse::<IpAddr>().ok()? {
                IpAddr::V4(ip) => self.value(&ip.octets()),
                IpAddr::V6(ip) => self.value(&ip.octets()),
            },
        }
    }

    /// A value as its text in a file.
    pub(super) fn text(self, value: &[u8]) -> String {
        match self {
            Self::String => STANDARD.encode(value),
            Self::Md5 | Self::Sha256 => value.iter().map(|b| format!("{b:02x}")).collect(),
            Self::Ipv4 => match <[u8; 4]>::try_from(value) {
                Ok(four) => Ipv4Addr::from(four).to_string(),
                Err(_) => String::new(),
            },
            Self::Ip => match <[u8; 16]>::try_from(value) {
                Ok(octets) => {
                    let ip = Ipv6Addr::from(octets);
                    ip.to_ipv4_mapped().map_or_else(|| ip.to_string(), |ip| ip.to_string())
                }
                Err(_) => String::new(),
            },
        }
    }
}

type Shard = HashMap<Box<[u8]>, u16>;

/// A set of values, shared by all cores.
pub struct Dataset {
    name: String,
    kind: DataKind,
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    memcap: usize,
    used: AtomicUsize,
    pub(super) save: Mutex<Option<PathBuf>>,
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Dataset {
    /// An empty one that takes `memcap` bytes at the most.
    pub fn new(name: &str, kind: DataKind, memcap: usize) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            memcap,
            used: AtomicUsize::new(0),
            save: Mutex::new(None),
        }
    }

    /// Its name in rules.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its values are.
    pub fn kind(&self) -> DataKind {
        self.kind
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        let count = |shard: &Mutex<Shard>| shard.lock().map_or(0, |shard| shard.len());
        self.shards.iter().map(count).sum()
    }

    /// Does it hold none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn with<T>(&self, value: &[u8], act: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        let at = usize::try_from(self.hasher.hash_one(value) % SHARDS as u64).ok()?;
        let shard = self.shards.get(at)?;
        Some(act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The reputation of a buffer's bytes, where they are in the set.
    pub fn get(&self, bytes: &[u8]) -> Option<u16> {
        let kept;
        let value = if self.kind == DataKind::Ip {
            kept = self.kind.value(bytes)?;
            &*kept
        } else {
            bytes
        };
        self.with(value, |shard| shard.get(value).copied()).flatten()
    }

    /// Adds a buffer's bytes. False if they are there, are none of its kind, or find no room.
    pub fn add(&self, bytes: &[u8]) -> bool {
        self.kind.value(bytes).is_some_and(|value| self.insert(value, 0))
    }

    /// Adds a value as it is kept; with a reputation, which takes the place of an older one.
    pub(super) fn insert(&self, value: Box<[u8]>, reputation: u16) -> bool {
        let cost = value.len() + ENTRY;
        let room = |used: usize| used.checked_add(cost).filter(|&after| after <= self.memcap);
        let place = value.clone();
        let added = self.with(&place, |shard| match shard.entry(value) {
            Entry::Occupied(mut there) => {
                there.insert(reputation);
                false
            }
            Entry::Vacant(free) => {
                let order = Ordering::Relaxed;
                let fits = self.used.fetch_update(order, order, room).is_ok();
                if fits {
                    free.insert(reputation);
                }
                fits
            }
        });
        added == Some(true)
    }

    /// Takes a buffer's bytes away. False if they were not there.
    pub fn remove(&self, bytes: &[u8]) -> bool {
        let Some(value) = self.kind.value(bytes) else { return false };
        let removed = self.with(&value, |shard| shard.remove(&value).is_some()) == Some(true);
        if removed {
            self.used.fetch_sub(value.len() + ENTRY, Ordering::Relaxed);
        }
        removed
    }

    /// The reputation of a value as it is kept.
    pub(super) fn get_kept(&self, value: &[u8]) -> Option<u16> {
        self.with(value, |shard| shard.get(value).copied()).flatten()
    }

    /// Holds what the other one held, and nothing else.
    pub(super) fn take_from(&self, other: &Self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.used.store(0, Ordering::Relaxed);
        for shard in &other.shards {
            let values = std::mem::take(&mut *shard.lock().unwrap_or_else(PoisonError::into_inner));
            for (value, reputation) in values {
                self.insert(value, reputation);
            }
        }
    }

    /// Every value's text, sorted.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            lines.extend(shard.keys().map(|value| self.kind.text(value)));
        }
        lines.sort_unstable();
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_added_once_and_taken_away_once() {
        let set = Dataset::new("s", DataKind::String, 1 << 20);
        assert!(set.add(b"a") && !set.add(b"a") && set.add(b""));
        assert_eq!((set.get(b"a"), set.get(b"b"), set.len()), (Some(0), None, 2));
        assert!(set.remove(b"a") && !set.remove(b"a") && set.get(b"a").is_none());
    }

    #[test]
    fn values_of_another_length_are_none() {
        let set = Dataset::new("s", DataKind::Md5, 1 << 20);
        assert!(!set.add(b"short") && set.add(&[7; 16]) && set.get(&[7; 16]).is_some());
        let set = Dataset::new("s", DataKind::Ip, 1 << 20);
        assert!(set.add(&[10, 0, 0, 1]) && !set.add(&[10, 0, 0]));
        let mapped = Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
        assert!(set.get(&mapped).is_some());
    }

    #[test]
    fn a_full_set_takes_no_more_and_has_room_again() {
        let set = Dataset::new("s", DataKind::String, 2 * (ENTRY + 1));
        assert!(set.add(b"a") && set.add(b"b") && !set.add(b"c"));
        assert!(set.remove(b"a") && set.add(b"c"));
    }

    #[test]
    fn texts_of_values_are_read() {
        assert_eq!(DataKind::String.parse("dGVzdA==").as_deref(), Some(b"test".as_slice()));
        for text in ["", "dGVzdA", "====", "d===", "!!!!"] {
            assert_eq!(DataKind::String.parse(text), None, "{text}");
        }
        assert!(DataKind::Md5.parse("1d5920f4b44b27a802bd77c4f0536f5a").is_some());
        assert!(DataKind::Md5.parse("1d5920").is_none());
        assert!(DataKind::Ip.parse("fe80::1").is_some() && DataKind::Ipv4.parse("::1").is_none());
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_written(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            let text = DataKind::String.text(&bytes);
            prop_assert_eq!(DataKind::String.parse(&text).map(Vec::from), Some(bytes));
        }
    }
}
