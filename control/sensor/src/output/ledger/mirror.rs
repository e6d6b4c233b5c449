//! What a port's mirror does to the traffic that it copies, as its cores have learnt it.

use std::collections::BTreeSet;

use engine::counters::Counters;
use serde::{Deserialize, Serialize};

/// What was learnt of a port's mirror.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorLedger {
    /// TCP flows of which enough was seen to tell whether both sides are mirrored.
    pub tcp_flows: u64,
    /// Those of which one side only was seen.
    pub one_sided_flows: u64,
    /// Packets that came before what they answer, and were put behind it: directions come out of order.
    pub reordered_packets: u64,
    /// TCP segments that were acknowledged before they were seen all the same.
    pub late_segments: u64,
    /// Packets with a wrong transport checksum.
    pub bad_transport_checksum: u64,
    /// Checksums are no longer looked at, since too many were wrong: senders' NICs fill them in later.
    pub checksums_ignored: bool,
    /// Packets that were captured in part.
    pub cut_packets: u64,
    /// The length at which the mirror cuts packets; null if it does not.
    pub cut_at: Option<u64>,
    /// VLAN ids that one direction of connections has, and those that the other has.
    pub vlan_pairs: BTreeSet<(Vec<u16>, Vec<u16>)>,
    /// Packets that were given to flows in the other direction's VLANs.
    pub vlan_joined: u64,
    /// Payload bytes that TCP has carried, seen or not, of flows that have ended.
    pub tcp_bytes: u64,
    /// An estimate of the bytes that the mirror lost: acknowledged by the other side, never seen.
    pub missed_bytes: u64,
}

impl MirrorLedger {
    /// Adds what one of the port's cores has learnt.
    pub(crate) fn add(&mut self, counters: &Counters) {
        self.tcp_flows += counters.tcp_flows_judged.get();
        self.one_sided_flows += counters.tcp_flows_one_sided.get();
        self.reordered_packets += counters.reordered.get();
        self.late_segments += counters.late_segments.get();
        self.bad_transport_checksum += counters.bad_transport_checksum.get();
        self.checksums_ignored |= counters.checksums_untrusted.get() > 0;
        self.cut_packets += counters.truncated.get();
        let slice = counters.slice.get();
        self.cut_at = self.cut_at.max((slice > 0).then_some(slice));
        let pairs = counters.vlan_pairs().map(|pair| (pair.0.to_vec(), pair.1.to_vec()));
        self.vlan_pairs.extend(pairs);
        self.vlan_joined += counters.vlan_joined.get();
        self.tcp_bytes += counters.tcp_bytes.get();
        self.missed_bytes += counters.missed_bytes.get();
    }
}
