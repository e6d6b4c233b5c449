//! Packets that carry others, see [`crate::carriers`]: inspected by their own headers where a rule could
//! match them or they have a flow.

use std::sync::Arc;

use wire::Decoded;

use super::Core;
use crate::part::{PacketInfo, Part, carrier, ports_at, source_of};
use crate::scope::Hits;
use crate::snapshot::Snapshot;

#[cfg(test)]
#[path = "carrying_tests.rs"]
mod tests;

impl Core {
    /// Inspects the packets that carry the inner-most one: their payload is the packet within, which is
    /// inspected for itself.
    #[inline]
    pub(super) fn carriers(
        &mut self,
        snapshot: &Arc<Snapshot>,
        decoded: &Decoded,
        bytes: &[u8],
        info: &PacketInfo,
        hits: Hits,
    ) {
        let outer = decoded.layer_count.saturating_sub(1);
        for number in decoded.inherited..outer {
            if let Some(carrier) = self.asked(snapshot, decoded, number, bytes, info, &hits) {
                let part = Part {
                    decoded: &carrier,
                    buffer: bytes,
                    bytes,
                    frame_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                    source: source_of(&carrier),
                    payload: false,
                    link_header: &[],
                };
                self.inspect(snapshot, &part, info, hits, false);
            }
        }
    }

    /// The carrying packet of this layer, if anything asks for it: rules, or its flow. Where a tunnel's two
    /// directions are one flow, every packet has a say in which of them is the client's.
    #[inline]
    fn asked(
        &mut self,
        snapshot: &Snapshot,
        decoded: &Decoded,
        number: u8,
        bytes: &[u8],
        info: &PacketInfo,
        hits: &Hits,
    ) -> Option<Decoded> {
        let layer = decoded.layers.get(usize::from(number))?;
        let (rules, ports) = (&snapshot.rules, ports_at(layer, bytes));
        let has_events = number == decoded.inherited && rules.asks_for(decoded.outer_events);
        let dst_port = ports.map(|(_, dst)| dst);
        let both_ways = ports.is_some_and(|ports| snapshot.may_carry_both_ways(ports));
        if has_events
            || both_ways
            || rules.tags().is_some_and(|tags| !tags.is_empty())
            || self.carriers.could_match(rules, layer, dst_port, hits.rulesets)
        {
            return Some(carrier(decoded, bytes, number));
        }
        if !ports.is_some_and(|ports| self.carriers.may_have_flow(layer, ports)) {
            return None;
        }
        // What its flow remembers of payloads, of earlier rules, may matter.
        let carrier = carrier(decoded, bytes, number);
        let (key, _) = carrier.flow_key(snapshot.settings.vlan_tracking)?;
        let has_flow = self.vlans.has_pairs() || self.flows.lookup(&key, info.clock).is_some();
        has_flow.then_some(carrier)
    }
}
