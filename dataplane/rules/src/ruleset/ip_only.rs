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
