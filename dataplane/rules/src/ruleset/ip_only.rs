//! [`IpOnlyIndex`]: the signatures that ask for nothing but addresses, found by the more
//! selective side of each and checked on the other.

use std::net::IpAddr;

use super::classify::holds_for;
use super::interval::IntervalIndex;
use crate::signature::{AddressSet, Kind, Signature};

/// All [`Kind::IpOnly`] signatures of a ruleset. A label is a signature's number times two, plus
/// one if it is to be read against the header's direction (`<>`).
#[derive(Debug)]
pub(crate) struct IpOnlyIndex {
    v4: Family<u32>,
    v6: Family<u128>,
}

/// One address family's index.
#[derive(Debug)]
struct Family<T> {
    by_source: IntervalIndex<T>,
    by_destination: IntervalIndex<T>,
    /// Both sides hold every address.
    always: Box<[u32]>,
}

/// Ranges collected for a [`Family`].
struct FamilyDraft<T> {
    by_source: Vec<(T, T, u32)>,
    by_destination: Vec<(T, T, u32)>,
    always: Vec<u32>,
}

impl IpOnlyIndex {
    /// Indexes the signatures, which are numbered by their position.
    pub(crate) fn new(signatures: &[Signature]) -> Self {
        let mut v4 = FamilyDraft::new();
        let mut v6 = FamilyDraft::new();
        for (number, signature) in (0u32..).zip(signatures) {
            if signature.kind != Kind::IpOnly {
                continue;
            }
            let straight = (number * 2, &signature.src, &signature.dst);
            let turned = (number * 2 + 1, &signature.dst, &signature.src);
            let both = [straight, turned];
            let readings = if signature.bidirectional { &both[..] } else { &both[..1] };
            for &(label, source, destination) in readings {
                let any = (source.any, destination.any);
                if signature.protocol.ip_version != Some(6) {
                    v4.add(label, any, &source.v4, &destination.v4, |low, high| {
                        u128::from(high - low)
                    });
                }
                if signature.protocol.ip_version != Some(4) {
                    v6.add(label, any, &source.v6, &destination.v6, |low, high| high - low);
                }
            }
        }
        Self { v4: v4.finish(), v6: v6.finish() }
    }

    /// Appends the numbers of the signatures whose addresses and IP protocol hold, ascending,
    /// each once.
    pub(crate) fn find(
        &self,
        signatures: &[Signature],
        src: IpAddr,
        dst: IpAddr,
        protocol: u8,
        out: &mut Vec<u32>,
    ) {
        let before = out.len();
        let mut check = |label: u32, other: fn(&Signature, bool) -> &AddressSet, address| {
            let number = label / 2;
            let holds = signatures.get(number as usize).is_some_and(|signature| {
                holds_for(signature, protocol) && other(signature, label % 2 == 1).contains(address)
            });
            if holds {
                out.push(number);
            }
        };
        match (src, dst) {
            (IpAddr::V4(s), IpAddr::V4(d)) => {
                let family = &self.v4;
                family.by_source.find(s.into(), |label| check(label, destination, dst));
                family.by_destination.find(d.into(), |label| check(label, source, src));
                family.always.iter().for_each(|&label| check(label, destination, dst));
            }
            (IpAddr::V6(s), IpAddr::V6(d)) => {
                let family = &self.v6;
                family.by_source.find(s.into(), |label| check(label, destination, dst));
                family.by_destination.find(d.into(), |label| check(label, source, src));
                family.always.iter().for_each(|&label| check(label, destination, dst));
            }
            // No packet has addresses of two families.
            _ => {}
        }
        if let Some(found) = out.get_mut(before..) {
            found.sort_unstable();
        }
        dedup_from(out, before);
    }
}

fn source(signature: &Signature, turned: bool) -> &AddressSet {
    if turned { &signature.dst } else { &signature.src }
}

fn destination(signature: &Signature, turned: bool) -> &AddressSet {
    if turned { &signature.src } else { &signature.dst }
}

/// Removes repeated neighbours from `from` on.
fn dedup_from(out: &mut Vec<u32>, from: usize) {
    let mut kept = from;
    for at in from..out.len() {
        if at == from || out[at] != out[kept - 1] {
            out[kept] = out[at];
            kept += 1;
        }
    }
    out.truncate(kept);
}

impl<T: super::interval::Point> FamilyDraft<T> {
    fn new() -> Self {
        Self { by_source: Vec::new(), by_destination: Vec::new(), always: Vec::new() }
    }

    /// Adds one reading of a signature to the index of its more selective side.
    fn add(
        &mut self,
        label: u32,
        (any_source, any_destination): (bool, bool),
        source: &[(T, T)],
        destination: &[(T, T)],
        width: impl Fn(T, T) -> u128,
    ) {
        let total = |ranges: &[(T, T)]| {
            ranges
                .iter()
                .map(|&(low, high)| width(low, high).saturating_add(1))
                .fold(0, u128::saturating_add)
        };
        let (side, ranges) = match (any_source, any_destination) {
            (true, true) => return self.always.push(label),
            (false, true) => (&mut self.by_source, source),
            (true, false) => (&mut self.by_destination, destination),
            (false, false) if total(source) <= total(destination) => (&mut self.by_source, source),
            (false, false) => (&mut self.by_destination, destination),
        };
        side.extend(ranges.iter().map(|&(low, high)| (low, high, label)));
    }

    fn finish(self) -> Family<T> {
        Family {
            by_source: IntervalIndex::new(&self.by_source),
            by_destination: IntervalIndex::new(&self.by_destination),
            always: self.always.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::ruleset::testing::{any_address, rule};
    use proptest::prelude::*;

    fn find(signatures: &[Signature], src: IpAddr, dst: IpAddr, protocol: u8) -> Vec<u32> {
        let mut out = vec![99];
        IpOnlyIndex::new(signatures).find(signatures, src, dst, protocol, &mut out);
        assert_eq!(out.remove(0), 99, "what was there before stays");
        out
    }

    /// What the index is for, said plainly.
    fn walk(signatures: &[Signature], src: IpAddr, dst: IpAddr, protocol: u8) -> Vec<u32> {
        (0u32..)
            .zip(signatures)
            .filter(|(_, s)| {
                let straight = s.src.contains(src) && s.dst.contains(dst);
                let turned = s.bidirectional && s.src.contains(dst) && s.dst.contains(src);
                let version = if src.is_ipv4() { 4 } else { 6 };
                s.kind == Kind::IpOnly
                    && (straight || turned)
                    && (s.protocol.ip_protocols.is_empty()
                        || s.protocol.ip_protocols.contains(&protocol))
                    && s.protocol.ip_version.is_none_or(|v| v == version)
            })
            .map(|(number, _)| number)
            .collect()
    }

    fn ip_only(protocol: &'static str) -> Signature {
        rule(protocol, 1).with(|s| s.kind = Kind::IpOnly)
    }

    #[test]
    fn a_rule_for_every_address_is_always_found() {
        let signatures = [ip_only("ip"), ip_only("udp"), rule("ip", 2)];
        let (a, b) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::BROADCAST.into());
        assert_eq!(find(&signatures, a, b, 17), [0, 1]);
        assert_eq!(find(&signatures, a, b, 6), [0]);
        let (a, b) = (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into());
        assert_eq!(find(&signatures, a, b, 17), [0, 1]);
    }

    #[test]
    fn a_rule_for_either_direction_is_found_once() {
        let both = ip_only("ip").with(|s| s.bidirectional = true);
        let a = Ipv4Addr::LOCALHOST.into();
        assert_eq!(find(&[both], a, a, 6), [0]);
    }

    fn set() -> impl Strategy<Value = AddressSet> {
        let ranges = proptest::collection::btree_set(0u8..40, 0..6).prop_map(|edges| {
            let edges: Vec<u8> = edges.into_iter().collect();
            edges.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
        });
        (proptest::bool::weighted(0.3), ranges.clone(), ranges).prop_map(|(any, v4, v6)| {
            if any {
                return any_address();
            }
            AddressSet {
                v4: v4.into_iter().map(|(low, high)| (low.into(), high.into())).collect(),
                v6: v6.into_iter().map(|(low, high)| (low.into(), high.into())).collect(),
                ..AddressSet::default()
            }
        })
    }

    fn signature() -> impl Strategy<Value = Signature> {
        let protocol = prop_oneof![Just("ip"), Just("tcp"), Just("udp")];
        let version = prop_oneof![Just(None), Just(Some(4)), Just(Some(6))];
        (protocol, version, set(), set(), any::<bool>(), proptest::bool::weighted(0.9)).prop_map(
            |(protocol, version, src, dst, bidirectional, only)| {
                rule(protocol, 1).with(|s| {
                    s.protocol.ip_version = version;
                    (s.src, s.dst, s.bidirectional) = (src, dst, bidirectional);
                    s.kind = if only { Kind::IpOnly } else { Kind::LikeIpOnly };
                })
            },
        )
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_walk_over_all_rules_finds(
            signatures in proptest::collection::vec(signature(), 0..20),
            pairs in proptest::collection::vec((0u8..42, 0u8..42), 20),
            v6: bool,
        ) {
            let address = |last: u8| -> IpAddr {
                if v6 {
                    Ipv6Addr::from(u128::from(last)).into()
                } else {
                    Ipv4Addr::from(u32::from(last)).into()
                }
            };
            let index = IpOnlyIndex::new(&signatures);
            for (src, dst) in pairs {
                let (src, dst) = (address(src), address(dst));
                for protocol in [6, 17, 47] {
                    let mut out = Vec::new();
                    index.find(&signatures, src, dst, protocol, &mut out);
                    prop_assert_eq!(&out, &walk(&signatures, src, dst, protocol));
                }
            }
        }
    }
}
