//! The rarer conditions of a rule and what else a match does: sizes of streams, ages of flows, bits
//! and reputation of hosts, countries.

use std::net::IpAddr;

use rules::signature::{
    BitOperation, BitTrack, CountryTest, Extra, ReputationCondition, ReputationTest, Signature,
    StreamSide, StreamSize, TagScope,
};
use rules::state::{Owner, TagTable};

use super::Unit;
use crate::flow_state::FlowState;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// The packet's source and destination.
fn ends(unit: &Unit<'_>) -> (IpAddr, IpAddr) {
    let ip = unit.headers.packet.inner();
    (ip.src, ip.dst)
}

fn owner(unit: &Unit<'_>, track: BitTrack) -> Owner {
    let (src, dst) = ends(unit);
    match track {
        BitTrack::Source => Owner::Host(src),
        BitTrack::Destination => Owner::Host(dst),
        BitTrack::Pair => Owner::pair(src, dst),
    }
}

/// Do all conditions hold?
pub(super) fn holds(extra: &Extra, unit: &Unit<'_>) -> bool {
    let now = unit.now / SECOND;
    extra.stream_sizes.iter().all(|test| stream_size(test, unit.life.sizes))
        && extra.flow_ages.iter().all(|test| unit.life.age.is_some_and(|age| test.holds(age)))
        && extra
            .host_bit_tests
            .iter()
            .all(|test| test.table.is_set(test.bit, owner(unit, test.track), now) != test.negated)
        && extra.reputations.iter().all(|test| reputation(test, ends(unit)))
        && extra.countries.iter().all(|test| country(test, ends(unit)))
}

/// Does what a match is to do.
pub(super) fn carry_out(extra: &Extra, unit: &Unit<'_>) {
    let now = unit.now / SECOND;
    for set in &extra.host_bit_sets {
        let owner = owner(unit, set.track);
        let until = now.saturating_add(u64::from(set.seconds));
        match set.operation {
            BitOperation::Set => set.table.set(set.bit, owner, now, until),
            BitOperation::Unset => {
                set.table.unset(set.bit, owner, now);
            }
            BitOperation::Toggle => {
                if !set.table.unset(set.bit, owner, now) {
                    set.table.set(set.bit, owner, now, until);
                }
            }
        }
    }
}

/// Begins the tags of a rule that has matched.
pub(super) fn tag(
    extra: &Extra,
    signature: &Signature,
    unit: &Unit<'_>,
    mut flow: Option<&mut FlowState>,
) {
    let (now, (src, dst)) = (unit.now / SECOND, ends(unit));
    let rule = (signature.gid, signature.sid);
    for &tag in &extra.tags {
        let host = match tag.scope {
            TagScope::Session => {
                if let Some(flow) = flow.as_deref_mut() {
                    flow.tags_mut().add(rule, tag, now);
                }
                continue;
            }
            TagScope::Source => src,
            TagScope::Destination => dst,
        };
        if let Some(table) = &extra.tag_table {
            table.add(host, rule, tag, now);
        }
    }
}

/// Counts a packet for the tags of its flow and hosts. True if it is tagged.
pub(crate) fn is_tagged(
    table: &TagTable,
    unit: &Unit<'_>,
    bytes: usize,
    flow: Option<&mut FlowState>,
) -> bool {
    let (now, bytes) = (unit.now / SECOND, u64::try_from(bytes).unwrap_or(u64::MAX));
    let mut tagged = false;
    if let Some(tags) = flow.and_then(FlowState::running_tags) {
        tagged = tags.packet(bytes, now);
    }
    if !table.is_empty() {
        let (src, dst) = ends(unit);
        tagged |= table.packet(src, bytes, now);
        tagged |= src != dst && table.packet(dst, bytes, now);
    }
    tagged
}

fn stream_size(test: &StreamSize, sizes: Option<[u32; 2]>) -> bool {
    let Some([client, server]) = sizes else { return false };
    let fits = |size| test.size.holds(size);
    match test.side {
        StreamSide::Client => fits(client),
        StreamSide::Server => fits(server),
        StreamSide::Both => fits(client) && fits(server),
        StreamSide::Either => fits(client) || fits(server),
    }
}

fn reputation(test: &ReputationTest, (src, dst): (IpAddr, IpAddr)) -> bool {
    test.side.holds(src, dst, |address| {
        let score = test.table.get(address, test.category);
        match test.condition {
            ReputationCondition::IsSet => score.is_some(),
            ReputationCondition::NotSet => score.is_none(),
            ReputationCondition::Score(compare) => score.is_some_and(|score| compare.holds(score)),
        }
    })
}

/// The country of a record of MaxMind's country and city databases.
#[derive(serde::Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
}

#[derive(serde::Deserialize)]
struct Country<'a> {
    iso_code: Option<&'a str>,
}

/// A country fits where it is listed; of countries that are all negated, where it is not listed. An
/// address without a country never does.
fn country(test: &CountryTest, (src, dst): (IpAddr, IpAddr)) -> bool {
    test.side.holds(src, dst, |address| {
        let record = test.database.0.lookup::<Record<'_>>(address);
        let Ok(Some(Record { country: Some(Country { iso_code: Some(code) }) })) = record else {
            return false;
        };
        let listed = |negated: bool| {
            test.countries
                .iter()
                .any(|(country, not)| *not == negated && code.as_bytes() == country.as_slice())
        };
        let positive = test.countries.iter().any(|(_, negated)| !negated);
        !listed(true) && (!positive || listed(false))
    })
}

#[cfg(test)]
mod tests {
    use rules::signature::Compare;

    use super::*;

    #[test]
    fn one_side_or_both_have_to_fit() {
        let holds =
            |side, sizes| stream_size(&StreamSize { side, size: Compare::Greater(10) }, sizes);
        let sizes = Some([5, 20]);
        assert!(!holds(StreamSide::Client, sizes) && holds(StreamSide::Server, sizes));
        assert!(!holds(StreamSide::Both, sizes) && holds(StreamSide::Either, sizes));
        assert!(!holds(StreamSide::Either, None));
    }
}
