//! [`Manifest`]: what a sensor must make of the example, to the alert and to the packet.

use std::net::IpAddr;

use serde::Serialize;

/// What must be alerted, and what becomes of the packets.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Manifest {
    /// All alerts that the example's rules raise where all traffic is in scope, each once, in the
    /// order in which the conversations begin. Those whose `resources` are not empty are raised
    /// where the scope is that of the example's resources.
    pub alerts: Vec<Expected>,
    /// The packets by fate.
    pub fates: Fates,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Expected {
    /// The rule's id.
    pub sid: u32,
    /// EVE's name of the protocol: `TCP`, `UDP`, `ICMP`.
    pub proto: &'static str,
    /// Who sent what was matched.
    pub src_ip: IpAddr,
    /// Its port; 0 for ICMP, which has none.
    pub src_port: u16,
    /// Who was meant to get it.
    pub dest_ip: IpAddr,
    /// Its port; 0 for ICMP.
    pub dest_port: u16,
    /// The resources in whose scope it is, as `namespace/name`, sorted; empty: out of scope.
    pub resources: Vec<&'static str>,
    /// What its packets are wrapped in: `none`, `vlan`, `vxlan` or `ipip`. For peers that cannot
    /// look into all of these (Suricata 7 not into IP in IP).
    pub envelope: &'static str,
    /// What was planted.
    pub what: &'static str,
}

/// Packets counted by what must become of them. `scoped` and the others add up to `packets`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Fates {
    /// All of them.
    pub packets: u64,
    /// With an address of an inspected endpoint in any IP layer.
    pub scoped: u64,
    /// Of `scoped`: fragments of datagrams that are never complete.
    pub incomplete_fragments: u64,
    /// Without.
    pub unscoped: u64,
    /// No IP packets: ARP, LLDP.
    pub non_ip: u64,
    /// Headers that contradict what was captured.
    pub malformed: u64,
    /// Wrong checksums of the IPv4 header. Where checksums are not looked at they are `unscoped`.
    pub bad_checksum: u64,
}
