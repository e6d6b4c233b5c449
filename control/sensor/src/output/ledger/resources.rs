//! What became of each resource's traffic beside being inspected.

use std::collections::BTreeMap;

use engine::tally::Tally;
use serde::{Deserialize, Serialize};

/// What a resource lost, or could not have inspected whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLedger {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Packets shed because a core was overloaded.
    pub shed_packets: u64,
    /// Bytes of them.
    pub shed_bytes: u64,
    /// Packets that were captured in part.
    pub cut_packets: u64,
    /// TCP flows of which enough was seen to tell whether both sides are mirrored.
    pub tcp_flows: u64,
    /// Those of which one side only was seen.
    pub one_sided_flows: u64,
    /// Payload bytes that TCP has carried, seen or not, of flows that have ended.
    pub tcp_bytes: u64,
    /// An estimate of the bytes that the mirror lost: acknowledged by the other side, never seen.
    pub missed_bytes: u64,
}

impl ResourceLedger {
    /// All, by namespace and name.
    pub(crate) fn all(tallies: &BTreeMap<(String, String), Tally>) -> Vec<Self> {
        let of = |((namespace, name), tally): (&(String, String), &Tally)| {
            let &Tally {
                shed_packets,
                shed_bytes,
                cut_packets,
                tcp_flows,
                one_sided_flows,
                tcp_bytes,
                missed_bytes,
            } = tally;
            Self {
                namespace: namespace.clone(),
                name: name.clone(),
                shed_packets,
                shed_bytes,
                cut_packets,
                tcp_flows,
                one_sided_flows,
                tcp_bytes,
                missed_bytes,
            }
        };
        tallies.iter().map(of).collect()
    }
}
