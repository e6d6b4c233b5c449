//! One alert as one line of eve.json: Suricata 7's names, order and types, with Pollux's own
//! `kubernetes` and `dpi` beside them.

mod community_id;
mod dns;
mod forwarded;
mod proto_names;
mod record;
mod stats;
mod text;
mod tls;
mod variables;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use engine::alert::{Alert, Source, TunnelSummary};
use rules::signature::{Buffer, Signature, Target};
use serde_json::value::RawValue;
use wire::{Direction, TunnelKind};

use super::names::Identity;
use community_id::CommunityId;
pub use forwarded::{XffDeployment, XffMode, XffOptions};
use proto_names::ProtoName;
use record::{
    AlertObject, Application, Bytes, Common, End, File, Flow, Kubernetes, Record, Resources,
    TaggedPacket, Tunnel, Who,
};
pub use stats::Stats;
use text::{Address, Base64, Printable, Time};

/// What is written of an alert, beyond what always is. Payload and packet are there only if the
/// workers were told to keep them ([`engine::Settings`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EveOptions {
    /// `in_iface` by the alerts' port index; empty in replay.
    pub interfaces: Vec<String>,
    /// `community_id`.
    pub community_id: bool,
    /// `payload`: base64.
    pub payload: bool,
    /// `payload_printable`.
    pub payload_printable: bool,
    /// `packet` and `packet_info`.
    pub packet: bool,
    /// No `metadata` and `traffic`.
    pub no_metadata: bool,
    /// What is told of a header that names whom a proxy speaks for, where alerts carry it.
    pub xff: XffOptions,
}

/// Writes alerts as EVE. Keeps what is the same for every alert of a signature.
#[derive(Debug)]
pub struct EveFormat {
    options: EveOptions,
    /// Of which generation the texts are.
    generation: u64,
    /// `alert.metadata` by the signature's number; None where it has none.
    metadata: HashMap<u32, Option<Box<RawValue>>>,
    /// `capture_file`.
    capture_file: Option<Arc<str>>,
}

impl EveFormat {
    /// A writer of lines.
    pub fn new(options: EveOptions) -> Self {
        Self { options, generation: 0, metadata: HashMap::new(), capture_file: None }
    }

    /// The file that the packets of the next alerts go to, if they go to one.
    pub(crate) fn set_capture_file(&mut self, file: Option<Arc<str>>) {
        self.capture_file = file;
    }

    /// Appends the alert's line, line end included. On failure nothing is appended; no alert is
    /// known to cause one.
    pub(crate) fn line(
        &mut self,
        alert: &Alert,
        signature: &Signature,
        identity: &Identity,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let start = out.len();
        let result = self.record(alert, signature, identity, out);
        match result {
            Ok(()) => out.push(b'\n'),
            Err(_) => out.truncate(start),
        }
        result
    }

    /// Appends a line about a packet that an earlier match has tagged, as [`line`](Self::line).
    pub(crate) fn packet_line(
        &self,
        alert: &Alert,
        identity: &Identity,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let start = out.len();
        let is_replay = self.options.interfaces.is_empty();
        let pcap_cnt = (is_replay && alert.packet_number > 0).then_some(alert.packet_number);
        let record = TaggedPacket {
            common: Common { ip_v: None, ..self.common("packet", alert, pcap_cnt) },
            who: Who { kubernetes: Kubernetes::of(identity), dpi: Resources(identity) },
            bytes: Bytes::of(&alert.packet),
        };
        let result = serde_json::to_writer(&mut *out, &record);
        match result {
            Ok(()) => out.push(b'\n'),
            Err(_) => out.truncate(start),
        }
        result
    }

    fn record(
        &mut self,
        alert: &Alert,
        signature: &Signature,
        identity: &Identity,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        if self.generation != alert.snapshot.generation {
            self.generation = alert.snapshot.generation;
            self.metadata.clear();
        }
        self.metadata.entry(alert.signature).or_insert_with(|| metadata(signature));
        let metadata = self.metadata.get(&alert.signature).and_then(Option::as_ref);
        let options = &self.options;
        // A time-out's number is its flow's, not a packet's; live, it is of no capture.
        let is_packet = alert.source != Source::StreamEnd && alert.packet_number > 0;
        let is_replay = options.interfaces.is_empty();
        let pcap_cnt = (is_packet && is_replay).then_some(alert.packet_number);
        let payload = alert.payload.as_deref();
        let forwarded = self.forwarded(alert);
        let (src, dst) = self.addresses(alert);
        let ends = [(src, alert.src_port), (dst, alert.dst_port)]
            .map(|(address, port)| End { ip: Address(address), port });
        let (source, target) = match signature.target {
            None => (None, None),
            Some(Target::Source) => (Some(&ends[1]), Some(&ends[0])),
            Some(Target::Destination) => (Some(&ends[0]), Some(&ends[1])),
        };
        let (traffic, remembered) =
            if options.no_metadata { (None, None) } else { variables::of(alert) };
        let mut application = alert.summary.as_deref().map(Application::of).unwrap_or_default();
        if let Some(tls) = &mut application.tls
            && !signature.buffers.iter().any(|tests| tests.buffer == Buffer::Ja4Hash)
        {
            tls.ja4 = None;
        }
        let record = Record {
            common: self.common("alert", alert, pcap_cnt),
            traffic,
            metadata: remembered,
            community_id: (options.community_id && alert.flow.is_some()).then(|| {
                let port = |port: Option<u16>| port.unwrap_or(0);
                let src = (alert.src, port(alert.src_port));
                let dst = (alert.dst, port(alert.dst_port));
                CommunityId::of(alert.protocol.unwrap_or(0), src, dst, alert.icmp)
            }),
            tx_id: alert.tx_id,
            alert: AlertObject {
                // Whatever the rule's action: a sensor on a mirror port stops nothing.
                action: "allowed",
                gid: signature.gid,
                signature_id: signature.sid,
                rev: signature.rev,
                signature: &signature.msg,
                category: signature.class.as_ref().map_or("", |class| &class.description),
                severity: signature.priority,
                source,
                target,
                metadata: metadata.map(|metadata| &**metadata),
            },
            tunnel: alert.tunnel.as_ref().map(|outer| tunnel(outer, pcap_cnt)),
            http: application.http,
            dns: application.dns,
            tls: application.tls,
            files: alert
                .files
                .iter()
                .map(|file| File::of(file, alert.tx_id.unwrap_or(0)))
                .collect(),
            app_proto: alert.app_proto.map(|proto| proto.name()),
            direction: alert.direction.map(|direction| match direction {
                Direction::ToServer => "to_server",
                Direction::ToClient => "to_client",
            }),
            flow: alert.flow.as_deref().map(|flow| Flow::of(flow, alert.src_port.is_some())),
            who: Who { kubernetes: Kubernetes::of(identity), dpi: Resources(identity) },
            payload: payload.filter(|bytes| options.payload && !bytes.is_empty()).map(Base64),
            payload_printable: payload.filter(|_| options.payload_printable).map(Printable),
            stream: (payload.is_some() && (options.payload || options.payload_printable))
                .then_some(u8::from(alert.stream)),
            bytes: if options.packet { Bytes::of(&alert.packet) } else { Bytes::default() },
            xff: forwarded.filter(|_| options.xff.mode == XffMode::ExtraData).map(Address),
            capture_file: alert.pcap.and(self.capture_file.as_deref()),
        };
        serde_json::to_writer(out, &record)
    }

    /// Whom a proxy speaks for, if its header is looked at and tells.
    fn forwarded(&self, alert: &Alert) -> Option<IpAddr> {
        let xff = &self.options.xff;
        alert.forwarded.as_deref().filter(|_| xff.enabled).and_then(|value| xff.address(value))
    }

    /// The ends as they are told: whom the client speaks for may take its place.
    fn addresses(&self, alert: &Alert) -> (IpAddr, IpAddr) {
        let named = self.forwarded(alert).filter(|_| self.options.xff.mode == XffMode::Overwrite);
        match (named, alert.direction) {
            (Some(named), Some(Direction::ToClient)) => (alert.src, named),
            (Some(named), _) => (named, alert.dst),
            (None, _) => (alert.src, alert.dst),
        }
    }

    /// What every line begins with.
    fn common<'a>(
        &'a self,
        event_type: &'static str,
        alert: &'a Alert,
        pcap_cnt: Option<u64>,
    ) -> Common<'a> {
        let is_known = alert.protocol.is_some();
        let (src, dst) = self.addresses(alert);
        Common {
            timestamp: Time(alert.timestamp),
            flow_id: alert.flow.as_ref().map(|flow| flow.id),
            in_iface: self.options.interfaces.get(usize::from(alert.port)).map(String::as_str),
            pcap_cnt,
            event_type,
            vlan: &alert.vlan,
            src_ip: is_known.then_some(Address(src)),
            src_port: alert.src_port,
            dest_ip: is_known.then_some(Address(dst)),
            dest_port: alert.dst_port,
            proto: alert.protocol.map(ProtoName),
            icmp_type: alert.icmp.map(|(kind, _)| kind),
            icmp_code: alert.icmp.map(|(_, code)| code),
            ip_v: is_known.then_some(if src.is_ipv4() { 4 } else { 6 }),
            pkt_src: packet_source(alert.source, alert.tunnel.as_ref()),
        }
    }
}

/// `pkt_src`, in Suricata's words.
fn packet_source(source: Source, tunnel: Option<&TunnelSummary>) -> &'static str {
    match source {
        Source::Wire => "wire/pcap",
        Source::Defragmented => "defrag",
        Source::StreamEnd => "stream (flow timeout)",
        Source::Tunnel(kind) => match kind {
            TunnelKind::None => "wire/pcap",
            TunnelKind::Ipip | TunnelKind::SixInFour => match tunnel {
                Some(outer) if outer.src.is_ipv6() => "ipv6 tunnel",
                _ => "ipv4 tunnel",
            },
            TunnelKind::Gre | TunnelKind::Nvgre | TunnelKind::Erspan => "gre tunnel",
            TunnelKind::Vxlan | TunnelKind::VxlanGpe => "vxlan encapsulation",
            TunnelKind::Geneve => "geneve encapsulation",
            TunnelKind::Teredo => "teredo tunnel",
            TunnelKind::L2tp => "l2tp tunnel",
            TunnelKind::Tzsp => "tzsp encapsulation",
        },
    }
}

fn tunnel(outer: &TunnelSummary, pcap_cnt: Option<u64>) -> Tunnel {
    let has_vni = matches!(
        outer.kind,
        TunnelKind::Nvgre | TunnelKind::Vxlan | TunnelKind::VxlanGpe | TunnelKind::Geneve
    );
    Tunnel {
        src_ip: Address(outer.src),
        dest_ip: Address(outer.dst),
        proto: ProtoName(outer.protocol),
        depth: outer.depth,
        pcap_cnt,
        pkt_src: "wire/pcap",
        kind: match outer.kind {
            TunnelKind::None => None,
            TunnelKind::Ipip => Some("ipip"),
            TunnelKind::SixInFour => Some("6in4"),
            TunnelKind::Gre => Some("gre"),
            TunnelKind::Nvgre => Some("nvgre"),
            TunnelKind::Erspan => Some("erspan"),
            TunnelKind::Vxlan => Some("vxlan"),
            TunnelKind::VxlanGpe => Some("vxlan-gpe"),
            TunnelKind::Geneve => Some("geneve"),
            TunnelKind::Teredo => Some("teredo"),
            TunnelKind::L2tp => Some("l2tp"),
            TunnelKind::Tzsp => Some("tzsp"),
        },
        vni: has_vni.then_some(outer.key),
        key: (!has_vni && outer.key != 0).then_some(outer.key),
    }
}

/// `alert.metadata`: keys in order, of each the values in an array, the last one written first.
fn metadata(signature: &Signature) -> Option<Box<RawValue>> {
    let mut keys = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    for (key, value) in signature.metadata.iter().rev().filter(|(_, value)| !value.is_empty()) {
        keys.entry(key).or_default().push(value);
    }
    (!keys.is_empty()).then(|| serde_json::value::to_raw_value(&keys).ok()).flatten()
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
