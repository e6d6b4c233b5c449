//! From matches to alerts in the core's ring: order, `pass`, `noalert`, the limit per packet, and
//! everything that is worth telling of the packet and its flow.

use std::sync::Arc;

use app::{AppProto, FileState};
use flow::Flow;
use rtrb::{Producer, PushError};
use rules::signature::Action;
use wire::{Decoded, Direction, IpLayer, Transport, TunnelKind};

use crate::alert::{Alert, FileSummary, FlowSummary, OrderKey, Source, TunnelSummary};
use crate::counters::Counters;
use crate::flow_state::FlowState;
use crate::flow_work::ends;
use crate::inspect::{Match, Tools, Unit};
use crate::part::{PacketInfo, Part};
use crate::pcap::Recorder;
use crate::profile::Stage;
use crate::scope::Hits;
use crate::snapshot::Snapshot;

/// The protocol number of IPv6's fragment header.
const IPV6_FRAGMENT: u8 = 44;

/// What to do when the ring is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Wait for the control side: replay loses nothing.
    Wait,
    /// Count the alert as lost and go on: live, a core never waits.
    Lose,
}

/// What an alert tells of where its bytes came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) info: PacketInfo,
    pub(crate) class: u8,
    pub(crate) source: Source,
    pub(crate) hits: Hits,
    pub(crate) direction: Option<Direction>,
    pub(crate) decoded: &'a Decoded,
    pub(crate) bytes: &'a [u8],
    /// What stood before `bytes` in the frame, where they are a datagram without one.
    pub(crate) link_header: &'a [u8],
}

/// The core's end of the alert ring.
#[derive(Debug)]
pub struct Emitter {
    ring: Producer<Box<Alert>>,
    when_full: WhenFull,
    port: u16,
    /// Alerts of the packet at hand, so that those of one packet have places among them.
    last: (u8, u64),
    index: u32,
    /// Keeps packets, where those of alerting flows are asked for.
    recorder: Option<Box<Recorder>>,
    /// An alert has been raised since packets were last asked for.
    alerted: bool,
}

impl Emitter {
    /// Alerts of this port go into this ring.
    pub fn new(ring: Producer<Box<Alert>>, when_full: WhenFull, port: u16) -> Self {
        let (recorder, alerted) = (None, false);
        Self { ring, when_full, port, last: (0, 0), index: 0, recorder, alerted }
    }

    /// Packets of flows that alert are to be given.
    pub fn record_packets(&mut self, recorder: Recorder) {
        self.recorder = Some(Box::new(recorder));
    }

    /// Takes note of a flow's packet.
    #[inline]
    pub(crate) fn record(
        &mut self,
        flow: &mut Flow<FlowState>,
        part: &Part<'_>,
        info: &PacketInfo,
        counters: &Counters,
    ) {
        if let Some(recorder) = &mut self.recorder {
            let parts = [part.link_header, part.bytes];
            recorder.record(flow.user.followed_mut(), flow.id, parts, info, counters);
        }
    }

    /// Gives the packets of the flow, or the one that stands for itself, if it has just alerted.
    #[inline]
    pub(crate) fn follow(
        &mut self,
        flow: Option<&mut Flow<FlowState>>,
        origin: &Origin<'_>,
        counters: &Counters,
    ) {
        if !std::mem::take(&mut self.alerted) {
            return;
        }
        let Some(recorder) = &mut self.recorder else { return };
        let clock = origin.info.clock;
        match flow {
            Some(flow) => recorder.alerted(flow.user.followed_mut(), flow.id, clock, counters),
            None => {
                let parts = [origin.link_header, origin.bytes];
                recorder.give(clock, None, parts, &origin.info, counters);
            }
        }
    }

    /// Forgets the packet at hand.
    pub(crate) fn reset(&mut self) {
        self.index = 0;
        self.alerted = false;
    }

    /// Reports what matched.
    pub(crate) fn emit(
        &mut self,
        tools: &mut Tools,
        snapshot: &Arc<Snapshot>,
        unit: &Unit<'_>,
        origin: &Origin<'_>,
        flow: Option<&Flow<FlowState>>,
        counters: &Counters,
    ) {
        if tools.matches().is_empty() {
            return;
        }
        tools.profiler.enter(Stage::Output);
        let matches = tools.matches();
        matches.sort_by_key(|hit| hit.number);
        let mut left = snapshot.settings.alerts_per_packet;
        for hit in matches.iter() {
            let Some(signature) = snapshot.rules.signatures.get(hit.number as usize) else {
                continue;
            };
            if signature.action == Action::Pass {
                break;
            }
            if signature.noalert {
                continue;
            }
            if left == 0 {
                counters.alerts_over_limit.add(1);
                counters.alerts_lost_of.count(signature.gid, signature.sid);
                continue;
            }
            left -= 1;
            let alert = self.alert(snapshot, unit, origin, flow, *hit);
            counters.alerts_raised.add(1);
            if self.push(Box::new(alert), counters) {
                self.alerted = true;
            } else {
                counters.alerts_lost_of.count(signature.gid, signature.sid);
            }
        }
    }

    /// Reports a packet that an earlier match has tagged.
    pub(crate) fn tagged(
        &mut self,
        snapshot: &Arc<Snapshot>,
        unit: &Unit<'_>,
        origin: &Origin<'_>,
        flow: Option<&Flow<FlowState>>,
        counters: &Counters,
    ) {
        let hit = Match { number: u32::MAX, tx: None, stream: false, file: None };
        let mut alert = self.alert(snapshot, unit, origin, flow, hit);
        alert.tagged = true;
        alert.summary = None;
        alert.payload = None;
        let frame = [origin.link_header, origin.bytes].concat();
        let len = frame.len().min(snapshot.settings.alert_bytes);
        let linktype = origin.info.link.map_or(0, wire::LinkType::dlt);
        alert.packet = Some((frame.get(..len).unwrap_or(&frame).into(), linktype));
        counters.alerts_raised.add(1);
        self.push(Box::new(alert), counters);
    }

    /// False: the alert is lost.
    fn push(&mut self, mut alert: Box<Alert>, counters: &Counters) -> bool {
        loop {
            match self.ring.push(alert) {
                Ok(()) => return true,
                Err(PushError::Full(_)) if self.when_full == WhenFull::Lose => {
                    counters.alerts_lost.add(1);
                    return false;
                }
                Err(PushError::Full(back)) => {
                    // The reader is gone: nobody will ever make room.
                    if self.ring.is_abandoned() {
                        counters.alerts_lost.add(1);
                        return false;
                    }
                    alert = back;
                    std::thread::yield_now();
                }
            }
        }
    }

    fn key(&mut self, origin: &Origin<'_>) -> OrderKey {
        let this = (origin.class, origin.info.order);
        if self.last != this {
            self.last = this;
            self.index = 0;
        }
        let index = self.index;
        self.index += 1;
        OrderKey { clock: origin.info.clock, class: origin.class, order: origin.info.order, index }
    }

    fn alert(
        &mut self,
        snapshot: &Arc<Snapshot>,
        unit: &Unit<'_>,
        origin: &Origin<'_>,
        flow: Option<&Flow<FlowState>>,
        hit: Match,
    ) -> Alert {
        let decoded = origin.decoded;
        let ip = decoded.inner();
        let refused = decoded.has(wire::flag::REFUSED);
        let has_ports =
            matches!(decoded.transport, Transport::Tcp(_) | Transport::Udp(_) | Transport::Sctp(_))
                || refused && matches!(ip.protocol, 6 | 17 | 132);
        let (src_port, dst_port) = decoded.ports();
        let icmp = match &decoded.transport {
            Transport::Icmp(icmp) | Transport::Icmp6(icmp) => Some((icmp.kind, icmp.code)),
            _ => None,
        };
        let settings = &snapshot.settings;
        let cut = |bytes: &[u8]| -> Box<[u8]> {
            bytes.get(..bytes.len().min(settings.alert_bytes)).unwrap_or(bytes).into()
        };
        let payload = settings.alert_payload.then(|| match unit.window {
            Some(window) if hit.stream && window.missing > 0 => {
                let gap = format!("[{} bytes missing]", window.missing);
                cut(&[gap.as_bytes(), window.data.as_bytes()].concat())
            }
            Some(window) if hit.stream => cut(window.data.as_bytes()),
            _ => cut(unit.payload.as_bytes()),
        });
        let packet = (settings.alert_packet && !origin.bytes.is_empty()).then(|| {
            // Of a datagram put together from fragments, with the link header of the last.
            let frame = [origin.link_header, origin.bytes].concat();
            (cut(&frame), origin.info.link.map_or(0, wire::LinkType::dlt))
        });
        let state = flow.map(|flow| &flow.user);
        // A match by packet or stream is told of the transaction at hand if there is no doubt.
        let session = state.and_then(|state| state.session.as_deref());
        let at_hand = session.and_then(|session| {
            let numbered = |id| session.tx(id).map(|tx| (id, tx));
            if let Some(id) = hit.tx {
                return numbered(id);
            }
            let live = (session.first_tx()..session.next_tx()).filter_map(numbered);
            let mut live =
                live.filter(|(_, tx)| origin.direction.is_none_or(|way| tx.concerns(way)));
            live.next().filter(|_| live.next().is_none())
        });
        let (tx_id, tx) = at_hand.unzip();
        Alert {
            key: self.key(origin),
            snapshot: Arc::clone(snapshot),
            pcap: self.recorder.is_some().then(|| match (origin.class, state) {
                (0, Some(state)) => state.followed().map_or((0, 0), |it| it.last()),
                _ => (origin.info.clock, origin.info.order),
            }),
            signature: hit.number,
            tagged: false,
            timestamp: origin.info.timestamp,
            packet_number: origin.info.order,
            port: self.port,
            hits: origin.hits,
            src: ip.src,
            dst: ip.dst,
            src_port: has_ports.then_some(src_port),
            dst_port: has_ports.then_some(dst_port),
            protocol: (decoded.layer_count > 0).then_some(match decoded.fragment {
                Some(_) if ip.version == 6 => IPV6_FRAGMENT,
                _ => ip.protocol,
            }),
            icmp,
            vlan: vlans(decoded),
            tunnel: tunnel(decoded),
            source: origin.source,
            tx_id: hit.tx.or_else(|| tx_id.filter(|_| settings.guess_transaction)),
            app_proto: state.and_then(|state| known_protocol(state, decoded)),
            direction: origin.direction,
            summary: at_hand.map(|(id, tx)| Box::new(tx.summary(id))),
            vars: state.and_then(FlowState::vars).filter(|v| !v.is_empty()).cloned().map(Box::new),
            forwarded: settings.alert_field.as_deref().and_then(|name| {
                let of = |tx: &app::Tx| tx.request_field(name.as_bytes()).map(text);
                let all = || {
                    let session = session?;
                    (session.first_tx()..session.next_tx())
                        .find_map(|id| session.tx(id).and_then(of))
                };
                tx.and_then(of).or_else(all)
            }),
            files: match (tx.filter(|_| hit.tx.is_some()), origin.direction) {
                (Some(tx), Some(direction)) => files(tx, direction, hit.file),
                _ => Vec::new(),
            },
            flow: flow.map(|flow| Box::new(flow_summary(flow))),
            stream: hit.stream,
            payload,
            packet,
        }
    }
}

/// What is told of the transaction's files: of one, or of all that have begun.
fn files(tx: &app::Tx, direction: Direction, only: Option<u8>) -> Vec<FileSummary> {
    let told = |file: app::File<'_>| FileSummary {
        name: file.name.map(text),
        size: file.size,
        state: file.state,
        gaps: file.gaps,
        digests: file.digests,
    };
    match only {
        Some(at) => tx.file(direction, usize::from(at)).map(told).into_iter().collect(),
        None => {
            let files = (0..).map_while(|at| tx.file(direction, at));
            let begun = files.filter(|file| file.size > 0 || file.state != FileState::Open);
            begun.map(told).collect()
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// VLAN ids, outer-most first. ERSPAN tells that of the frame which it carries in its own header.
fn vlans(decoded: &Decoded) -> Vec<u16> {
    let tunnel = &decoded.tunnel;
    let inner = if tunnel.kind == TunnelKind::Erspan { tunnel.vlans() } else { &[] };
    [decoded.vlans(), inner].concat()
}

/// The flow's protocol as EVE tells it: none while TCP is still being looked at.
fn known_protocol(state: &FlowState, decoded: &Decoded) -> Option<AppProto> {
    if state.proto != AppProto::Unknown {
        return Some(state.proto);
    }
    let transport = match decoded.transport {
        Transport::Udp(_) => app::Transport::Udp,
        _ => app::Transport::Tcp,
    };
    let interim = state.detector.as_ref()?.interim(transport);
    (interim != AppProto::Unknown).then_some(interim)
}

fn tunnel(decoded: &Decoded) -> Option<TunnelSummary> {
    let layers: &[IpLayer] = decoded.ip_layers();
    let outer = layers.len().checked_sub(2).and_then(|i| layers.get(i))?;
    Some(TunnelSummary {
        src: outer.src,
        dst: outer.dst,
        protocol: outer.protocol,
        kind: decoded.tunnel.kind,
        key: decoded.tunnel.key,
        depth: decoded.layer_count.saturating_sub(1),
    })
}

fn flow_summary(flow: &Flow<FlowState>) -> FlowSummary {
    let (client, server) = ends(flow);
    FlowSummary {
        id: flow.id,
        start: flow.start,
        packets: flow.packets.map(u64::from),
        bytes: flow.bytes,
        client,
        server,
    }
}
