//! What a worker says of a match: plain data, put into the core's ring, named and written by the
//! control side.

use std::net::IpAddr;
use std::sync::Arc;

use app::{AppProto, Digests, FileState, TxSummary};
use wire::{Direction, Nanos, TunnelKind};

use crate::inspect::vars::FlowVars;
use crate::scope::Hits;
use crate::snapshot::Snapshot;

/// Where the inspected bytes came from: EVE's `pkt_src`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The packet as captured.
    Wire,
    /// The packet in a tunnel of this kind.
    Tunnel(TunnelKind),
    /// Put together from fragments.
    Defragmented,
    /// What waited in reassembly when the flow ended.
    StreamEnd,
}

/// The place of an alert among all alerts of all cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey {
    /// The capture's clock, which never runs back.
    pub clock: Nanos,
    /// 0 for what a time-out brought up, 1 for packets, 2 for what the end of a connection brought up
    /// behind its last packet.
    pub class: u8,
    /// Packet number; of a time-out the number of the flow's first packet.
    pub order: u64,
    /// Place among the alerts of one packet.
    pub index: u32,
}

/// What is told of the flow at the time of the alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowSummary {
    /// Id, the same whatever the number of workers.
    pub id: u64,
    /// First packet's time.
    pub start: Nanos,
    /// Packets to the server, to the client.
    pub packets: [u64; 2],
    /// Bytes to the server, to the client (frames).
    pub bytes: [u64; 2],
    /// The client's address and port.
    pub client: (IpAddr, u16),
    /// The server's address and port.
    pub server: (IpAddr, u16),
}

/// A file, for EVE's `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSummary {
    /// `filename`: as sent, bytes outside UTF-8 replaced.
    pub name: Option<String>,
    /// `size`: bytes so far, decoded.
    pub size: u64,
    /// `state`
    pub state: FileState,
    /// `gaps`
    pub gaps: bool,
    /// `md5`, `sha1`, `sha256`: those that rules ask for, once the file is closed.
    pub digests: Digests,
}

/// A header of an outer packet, for EVE's `tunnel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelSummary {
    /// Outer source.
    pub src: IpAddr,
    /// Outer destination.
    pub dst: IpAddr,
    /// IP protocol of the outer packet.
    pub protocol: u8,
    /// The tunnel's kind.
    pub kind: TunnelKind,
    /// VNI, key …; 0 where there is none.
    pub key: u32,
    /// How many outer IP layers there are.
    pub depth: u8,
}

/// A match of a signature that is to be reported (thresholds are applied by the control side).
#[derive(Debug, Clone)]
pub struct Alert {
    /// Its place among all alerts.
    pub key: OrderKey,
    /// The generation whose signature matched.
    pub snapshot: Arc<Snapshot>,
    /// Clock and number of the packet that `pcap-log` has for it: its own, or the flow's last.
    pub pcap: Option<(Nanos, u64)>,
    /// Index into that generation's signatures.
    pub signature: u32,
    /// No match, but a packet that an earlier match has tagged; `signature` means nothing.
    pub tagged: bool,
    /// The packet's time.
    pub timestamp: Nanos,
    /// 1-based number of the packet in the capture; live: 0.
    pub packet_number: u64,
    /// Port index, as the sensor numbers them.
    pub port: u16,
    /// Known addresses of the packet, as it went.
    pub hits: Hits,
    /// Source of the matching traffic.
    pub src: IpAddr,
    /// Destination of the matching traffic.
    pub dst: IpAddr,
    /// Source port; None where the protocol has none.
    pub src_port: Option<u16>,
    /// Destination port.
    pub dst_port: Option<u16>,
    /// IP protocol; None of a packet that was refused before its addresses were read: `src` and
    /// `dst` say nothing then.
    pub protocol: Option<u8>,
    /// ICMP type and code.
    pub icmp: Option<(u8, u8)>,
    /// VLAN ids, outer-most first.
    pub vlan: Vec<u16>,
    /// Outer header.
    pub tunnel: Option<TunnelSummary>,
    /// Where the bytes came from.
    pub source: Source,
    /// The transaction that matched.
    pub tx_id: Option<u64>,
    /// The flow's application protocol; None where it has none to speak of.
    pub app_proto: Option<AppProto>,
    /// Which way the traffic went; None without a flow.
    pub direction: Option<Direction>,
    /// What the application parser knows of the transaction.
    pub summary: Option<Box<TxSummary>>,
    /// Files that the transaction carries the way the traffic went, as far as they have come; the one
    /// that matched, where the rule is about one.
    pub files: Vec<FileSummary>,
    /// What rules remember of the flow, if anything.
    pub vars: Option<Box<FlowVars>>,
    /// The value of the header that names whom a proxy speaks for, where that is asked for.
    pub forwarded: Option<String>,
    /// The flow.
    pub flow: Option<Box<FlowSummary>>,
    /// The match is in reassembled stream data.
    pub stream: bool,
    /// The payload, where asked for. Of a stream with bytes missing before it, `[N bytes missing]`
    /// stands in their place, as in Suricata.
    pub payload: Option<Box<[u8]>>,
    /// The packet and its link type, where asked for.
    pub packet: Option<(Box<[u8]>, u16)>,
}
