//! Which pairs of nodes talk through an overlay that cannot be looked into: a table of fixed size
//! with one writer (the worker) and any number of readers.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use wire::OpaqueKind;

use crate::counters::Counter;

/// Pairs that one core tells apart; packets of others are counted together.
pub const OPAQUE_PAIRS: usize = 64;

/// Places that are tried for a pair.
const TRIES: usize = 8;

#[derive(Debug, Default)]
struct Place {
    /// Both addresses, the lower one first, as IPv6. Written before `kind`, and never again.
    addresses: [AtomicU64; 4],
    /// 0 as long as the place is free.
    kind: AtomicU64,
    packets: Counter,
}

/// Packets of encrypted overlays by the addresses that they go between.
#[derive(Debug)]
pub struct OpaquePairs {
    places: [Place; OPAQUE_PAIRS],
    /// Packets of pairs that found no place.
    pub others: Counter,
}

impl Default for OpaquePairs {
    fn default() -> Self {
        Self { places: std::array::from_fn(|_| Place::default()), others: Counter::default() }
    }
}

/// A pair and what goes between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpaquePair {
    /// The lower address.
    pub first: IpAddr,
    /// The other one.
    pub second: IpAddr,
    /// The overlay's kind.
    pub kind: OpaqueKind,
    /// Packets of both directions.
    pub packets: u64,
}

impl OpaquePairs {
    /// Counts a packet. Only the owning core may call it.
    pub fn count(&self, kind: OpaqueKind, src: IpAddr, dst: IpAddr) {
        let (a, b) = (bits(src), bits(dst));
        let words = words(a.min(b), a.max(b));
        let mut hash = kind as u64;
        for word in words {
            hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        for probe in 0..TRIES {
            let index = (hash as usize).wrapping_add(probe) % OPAQUE_PAIRS;
            let Some(place) = self.places.get(index) else { break };
            match place.kind.load(Ordering::Relaxed) {
                0 => {
                    for (to, word) in place.addresses.iter().zip(words) {
                        to.store(word, Ordering::Relaxed);
                    }
                    place.packets.add(1);
                    place.kind.store(kind as u64, Ordering::Release);
                    return;
                }
                known if known == kind as u64 && place.holds(words) => {
                    place.packets.add(1);
                    return;
                }
                _ => {}
            }
        }
        self.others.add(1);
    }

    /// The pairs that were seen, in no order.
    pub fn pairs(&self) -> impl Iterator<Item = OpaquePair> + '_ {
        self.places.iter().filter_map(|place| {
            let kind = u8::try_from(place.kind.load(Ordering::Acquire)).ok()?;
            let kind = OpaqueKind::from_index(kind)?;
            let [a, b, c, d] = [0, 1, 2, 3]
                .map(|at| place.addresses.get(at).map_or(0, |word| word.load(Ordering::Relaxed)));
            let address = |high: u64, low: u64| {
                IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))).to_canonical()
            };
            let packets = place.packets.get();
            Some(OpaquePair { first: address(a, b), second: address(c, d), kind, packets })
        })
    }
}

impl Place {
    fn holds(&self, words: [u64; 4]) -> bool {
        self.addresses.iter().zip(words).all(|(at, word)| at.load(Ordering::Relaxed) == word)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn words(first: u128, second: u128) -> [u64; 4] {
    [(first >> 64) as u64, first as u64, (second >> 64) as u64, second as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    #[test]
    fn both_directions_are_one_pair_and_kinds_are_told_apart() {
        let pairs = OpaquePairs::default();
        pairs.count(OpaqueKind::WireGuard, address(1), address(2));
        pairs.count(OpaqueKind::WireGuard, address(2), address(1));
        pairs.count(OpaqueKind::Ipsec, address(1), address(2));
        let mut found: Vec<_> = pairs.pairs().collect();
        found.sort_unstable();
        let pair =
            |kind, packets| OpaquePair { first: address(1), second: address(2), kind, packets };
        assert_eq!(found, [pair(OpaqueKind::WireGuard, 2), pair(OpaqueKind::Ipsec, 1)]);
    }

    #[test]
    fn more_pairs_than_there_is_room_for_are_counted_together() {
        let pairs = OpaquePairs::default();
        for number in 0..1000 {
            pairs.count(OpaqueKind::WireGuard, address(number), address(5000));
        }
        let known: u64 = pairs.pairs().map(|pair| pair.packets).sum();
        assert!(pairs.pairs().count() <= OPAQUE_PAIRS && known > 30);
        assert_eq!(known + pairs.others.get(), 1000);
    }
}
