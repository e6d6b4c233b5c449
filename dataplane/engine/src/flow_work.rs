//! What a packet does to its flow: TCP reassembly, the application protocol, and detection with both.

mod ending;

use std::net::IpAddr;
use std::sync::Arc;

use app::detect::{BAIL_BYTES, Detector, Probe};
use app::{AppProto, Certificates, FlowEvent, Outcome, Session, Transport as AppTransport};
use flow::{Chunk, Flow, FlowState as Phase, Memory, Segment, StreamConfig, TcpState};
use hyperscan::{Padded, PaddedBuf, Scratch};
use wire::{Direction, Nanos, Transport, tcp_flag};

use crate::carriers::Carriers;
use crate::counters::Counters;
use crate::emit::{Emitter, Origin};
use crate::flow_state::{FlowState, Mark};
use crate::inspect::{Life, Tools, Unit, Window, extra, transaction};
use crate::mirror;
use crate::part::{PacketInfo, Part};
use crate::profile::Stage;
use crate::scope::Hits;
use crate::snapshot::Snapshot;
use crate::tally::Tallies;

pub(crate) use ending::layers;

/// The parts of a core that work on a flow, borrowed beside the flow table.
pub(crate) struct Work<'a> {
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) memory: &'a Memory,
    pub(crate) tools: &'a mut Tools,
    pub(crate) emitter: &'a mut Emitter,
    pub(crate) counters: &'a Counters,
    pub(crate) tallies: &'a mut Tallies,
    pub(crate) carriers: &'a mut Carriers,
    pub(crate) certificates: &'a Certificates,
    pub(crate) scratch: &'a mut Scratch,
}

/// Bytes before a segment in its stream that are scanned with it: more than any fast pattern has.
const REACH: u64 = 64;

/// What a packet left of its flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlowOutcome {
    /// False: the payload found no room in the stream's memory.
    pub(crate) stored: bool,
    /// How far the flow has come; None: as the flow table counts it.
    pub(crate) phase: Option<Phase>,
    /// The packet's direction was not what the table took it for: the flow is to be turned round.
    pub(crate) swapped: bool,
}

impl Work<'_> {
    /// Takes a packet of the flow: counts it, reassembles, parses, detects.
    pub(crate) fn packet(
        &mut self,
        flow: &mut Flow<FlowState>,
        part: &Part<'_>,
        info: &PacketInfo,
        hits: Hits,
        mut direction: Direction,
        spare: &mut PaddedBuf,
    ) -> FlowOutcome {
        let payload = part.payload_bytes();
        // The packet that shows that both sides encrypt is still looked at.
        let opaque = flow.user.is(Mark::ENCRYPTED);
        if flow.user.first_packet == 0 {
            flow.user.first_packet = info.order;
        }
        self.emitter.record(flow, part, info, self.counters);
        let mut outcome = FlowOutcome { stored: true, phase: None, swapped: false };
        let bad_checksum = part.decoded.has(wire::flag::BAD_TRANSPORT_CHECKSUM);
        self.counters.bad_transport_checksum.add(u64::from(bad_checksum));
        flow.user.mark_if(Mark::HOLED, bad_checksum);
        if let Transport::Tcp(tcp) = &part.decoded.transport {
            flow.user.mark_if(Mark::ANSWERED, tcp.has(tcp_flag::ACK));
            if mirror::is_to_be_judged(flow, false) {
                self.judge(flow, hits);
            }
        }
        let established;
        let mut events = wire::EventSet::EMPTY;
        let (mut in_stream, mut appended) = (false, false);
        let mut ends = false;
        match &part.decoded.transport {
            Transport::Tcp(tcp) if part.payload && !bad_checksum => {
                let session = flow.tcp.get_or_insert_default();
                let before = session.state();
                let segment = Segment { tcp, options: tcp.options(part.bytes), payload };
                events.extend(segment.options.events());
                let settings = &self.snapshot.settings;
                let for_host;
                let config = if settings.host_policies.is_empty() {
                    &settings.streams
                } else {
                    let policy = settings.policy_of(part.decoded.inner().dst);
                    for_host = StreamConfig { policy, ..settings.streams.clone() };
                    &for_host
                };
                self.tools.profiler.enter(Stage::Stream);
                let done = session.packet(&segment, direction, info.clock, config, self.memory);
                established = done.was_established;
                events.extend(done.events);
                outcome.stored = !done.memcap_dropped;
                if done.late {
                    self.counters.late_segments.add(1);
                }
                if done.swapped {
                    outcome.swapped = true;
                    direction = direction.flip();
                    flow.client_first = !flow.client_first;
                }
                ends = done.closed && before != TcpState::Closed;
                if before == TcpState::None && done.valid && !tcp.has(tcp_flag::SYN) {
                    flow.user.mark(Mark::MIDSTREAM);
                    self.counters.flows_midstream.add(1);
                }
                in_stream = done.added;
                appended = done.appended;
                if done.added && !done.appended {
                    flow.user.scanned.forget(direction);
                }
                if done.swapped {
                    Direction::BOTH.into_iter().for_each(|way| flow.user.scanned.forget(way));
                }
                self.counters.beyond_depth.add(u64::from(done.beyond_depth));
                outcome.phase = Some(if done.closed {
                    Phase::Closed
                } else if done.established {
                    Phase::Established
                } else {
                    Phase::New
                });
                if flow.user.is(Mark::ENCRYPTED) {
                    self.counters.encrypted.add(payload.len() as u64);
                }
                if !payload.is_empty() && session.has_carried_more() {
                    self.tell_carried(flow, hits, false);
                }
                // A handshake moves no data on, not even data on a SYN, as Suricata has it.
                self.tools.profiler.enter(Stage::Application);
                if !tcp.has(tcp_flag::SYN) {
                    // What this packet acknowledges comes first: it was sent before.
                    let ports = client_ports(part.decoded.ports(), direction);
                    self.feed(flow, direction.flip(), ports);
                    // Nobody acknowledges what is sent in a connection seen from one side.
                    if !flow.both_seen() {
                        self.feed(flow, direction, ports);
                    }
                }
            }
            // A host would not take it: it is no part of the stream, but looked at as a packet.
            Transport::Tcp(_) => {
                established = flow.tcp.as_ref().is_some_and(|session| session.established());
            }
            transport => {
                established = flow.both_seen();
                if matches!(transport, Transport::Udp(_)) && !payload.is_empty() {
                    self.tools.profiler.enter(Stage::Application);
                    let ports = client_ports(part.decoded.ports(), direction);
                    if self.datagram(flow, direction, ports, payload) {
                        outcome.swapped = true;
                        direction = direction.flip();
                        flow.client_first = !flow.client_first;
                    }
                }
            }
        }
        self.tools.profiler.enter(Stage::Flow);
        // They tell whose the flow is when something comes up at its end.
        if part.decoded.layer_count > 1 && flow.user.outer.is_none() {
            flow.user.outer = self.carriers.tunnels.around(part.decoded, direction);
        }
        let server_port = match direction {
            Direction::ToServer => part.decoded.ports().1,
            Direction::ToClient => part.decoded.ports().0,
        };
        let mut unit = part.unit(spare, hits.rulesets);
        unit.headers.events.extend(events);
        unit.in_stream = in_stream;
        unit.opaque = opaque;
        unit.direction = Some(direction);
        unit.established = established;
        unit.server_port = server_port;
        let origin = part.origin(info, hits, Some(direction));
        self.detect(flow, unit, &origin, direction, (false, appended));
        if ends {
            self.connection_end(flow, info);
        }
        outcome
    }

    /// Detection for a packet or a flow's end, with the stream data that is ready. `ending`: nothing
    /// more comes; `appended`: the payload is the end of what its stream has.
    fn detect(
        &mut self,
        flow: &mut Flow<FlowState>,
        unit: Unit<'_>,
        origin: &Origin<'_>,
        direction: Direction,
        (ending, appended): (bool, bool),
    ) {
        let snapshot = self.snapshot;
        self.tools.profiler.enter(Stage::Stream);
        let window = flow
            .tcp
            .as_ref()
            .filter(|session| ending || session.raw_ready(direction, &snapshot.settings.streams))
            .map(|session| session.raw_window(direction))
            .filter(|window| !window.is_empty());
        let inspected = flow.tcp.as_ref().map_or(0, |session| session.raw_offset(direction));
        let ready = window.as_ref().and_then(|window| {
            let data = Padded::prefix(window.padded, window.data.len())?;
            let (new_from, stream_offset) = (window.new_from, window.stream_offset);
            let new_offset = stream_offset + new_from as u64;
            let missing = if window.gap_before { new_offset.saturating_sub(inspected) } else { 0 };
            Some(Window { data, new_from, stream_offset, missing })
        });
        let tail = flow.tcp.as_ref().filter(|_| appended).and_then(|session| {
            let tail = session.raw_tail(direction, unit.payload.len(), REACH)?;
            let data = Padded::prefix(tail.padded, tail.data.len())?;
            let (new_from, stream_offset) = (tail.new_from, tail.stream_offset);
            Some(Window { data, new_from, stream_offset, missing: 0 })
        });
        let unit =
            Unit { window: ready, tail, now: origin.info.timestamp, life: life(flow), ..unit };
        let consumed = window.map(|window| window.end());
        self.tools.begin();
        self.tools.inspect(&unit, snapshot, self.scratch, Some(&mut flow.user));
        self.emitter.emit(self.tools, snapshot, &unit, origin, Some(flow), self.counters);
        if let Some(tags) = snapshot.rules.tags()
            && !unit.headers.pseudo
            && extra::is_tagged(tags, &unit, unit.headers.bytes.len(), Some(&mut flow.user))
        {
            self.emitter.tagged(snapshot, &unit, origin, Some(flow), self.counters);
        }
        self.tools.profiler.enter(Stage::Stream);
        if let (Some(session), Some(upto)) = (&mut flow.tcp, consumed) {
            session.raw_consumed(direction, upto);
        }
        self.emitter.follow(Some(flow), origin, self.counters);
        transaction::release(&mut flow.user);
        flow.user.forget_events();
    }

    /// Gives the application parser what is new in a direction. `ports` are the client's and the
    /// server's.
    fn feed(&mut self, flow: &mut Flow<FlowState>, way: Direction, ports: (u16, u16)) {
        if self.feed_one(flow, way, ports) {
            // The protocol is known now: what the other side has said is waiting.
            self.feed_one(flow, way.flip(), ports);
        }
    }

    /// True: the protocol has just been recognised.
    fn feed_one(&mut self, flow: &mut Flow<FlowState>, way: Direction, ports: (u16, u16)) -> bool {
        let config = self.snapshot.parsers(self.certificates);
        let Some(session) = &mut flow.tcp else { return false };
        let user = &mut flow.user;
        let mut recognised = false;
        let mut progressed = false;
        loop {
            let taken = match session.app_next(way) {
                Chunk::Nothing => break,
                Chunk::Gap(bytes) => {
                    self.counters.gap_bytes.add(bytes);
                    if user.proto == AppProto::Unknown {
                        user.proto = AppProto::Failed;
                    }
                    // Nothing can be told of a direction whose beginning is missing.
                    if user.sides[way.index()] == AppProto::Unknown {
                        user.detector = None;
                    }
                    if let Some(parser) = &mut user.session {
                        parser.gap(&config, way, bytes);
                    }
                    bytes
                }
                // The other direction has told the protocol: this one may tell of another, or of none.
                Chunk::Data(data)
                    if user.proto != AppProto::Unknown
                        && user.detector.is_some()
                        && user.sides[way.index()] == AppProto::Unknown =>
                {
                    let Some(detector) = &mut user.detector else { break };
                    let tcp = AppTransport::Tcp;
                    match detector.probe_other(tcp, way, ports.0, ports.1, data) {
                        Probe::NeedMore => break,
                        Probe::Found { proto, .. } => user.note_side(way, proto, tcp),
                        Probe::NotFound => user.note_side(way, AppProto::Failed, tcp),
                    }
                    0
                }
                Chunk::Data(data) => match (&mut user.session, user.proto) {
                    (Some(parser), _) => {
                        progressed = true;
                        let bytes = data.len() as u64;
                        match parser.data(&config, way, data) {
                            Outcome::Ok => bytes,
                            Outcome::Error => {
                                session.disable_app(way);
                                break;
                            }
                        }
                    }
                    (None, AppProto::Unknown) => {
                        let midstream = user.is(Mark::MIDSTREAM);
                        let detector = user.detector.get_or_insert_with(|| {
                            if midstream { Detector::midstream() } else { Detector::new() }
                        });
                        let ending = session.state() >= TcpState::TimeWait;
                        let (client, server) = ports;
                        let tcp = AppTransport::Tcp;
                        match detector.probe(tcp, way, client, server, data, ending) {
                            Probe::NeedMore => break,
                            Probe::Found { proto, .. } => {
                                user.proto = proto;
                                user.sides[way.index()] = proto;
                                user.session = Session::over(proto, tcp).map(Box::new);
                                recognised = true;
                            }
                            Probe::NotFound => {
                                if data.len() >= BAIL_BYTES {
                                    user.note_event(FlowEvent::ProtoDetectionSkipped);
                                }
                                user.proto = AppProto::Failed;
                                user.detector = None;
                            }
                        }
                        0
                    }
                    (None, _) => {
                        session.disable_app(way);
                        // The other direction may still have to show what it speaks.
                        if user.detector.is_none() {
                            session.disable_app(way.flip());
                        }
                        break;
                    }
                },
            };
            session.app_consumed(way, taken);
        }
        if progressed && let Some(parser) = &mut user.session {
            if parser.take_progress() {
                user.dirty = [true; 2];
                let last = parser.next_tx().checked_sub(1).and_then(|id| parser.tx(id));
                if last.is_some_and(|tx| tx.is_complete(way)) {
                    session.trigger_raw(way);
                }
            }
            if parser.is_encrypted() && !user.is(Mark::ENCRYPTED) {
                user.mark(Mark::ENCRYPTED);
                for way in Direction::BOTH {
                    session.disable_app(way);
                    session.disable_raw(way);
                }
            }
        }
        recognised
    }

    /// A datagram's application protocol and its parser. True: it goes the other way, as an answer that came
    /// before what it answers does.
    fn datagram(
        &mut self,
        flow: &mut Flow<FlowState>,
        mut direction: Direction,
        ports: (u16, u16),
        payload: &[u8],
    ) -> bool {
        let mut turned = false;
        let user = &mut flow.user;
        if user.proto == AppProto::Unknown {
            let detector = user.detector.get_or_insert_default();
            match detector.probe(AppTransport::Udp, direction, ports.0, ports.1, payload, true) {
                Probe::Found { proto, reversed } => {
                    if reversed {
                        direction = direction.flip();
                        turned = true;
                    }
                    user.proto = proto;
                    user.sides[direction.index()] = proto;
                }
                Probe::NotFound => {
                    user.proto = AppProto::Failed;
                    user.detector = None;
                }
                Probe::NeedMore => {}
            }
        } else if user.sides[direction.index()] == AppProto::Unknown
            && let Some(detector) = &mut user.detector
        {
            let udp = AppTransport::Udp;
            let shown = match detector.probe_other(udp, direction, ports.0, ports.1, payload) {
                Probe::Found { proto, .. } => proto,
                Probe::NeedMore | Probe::NotFound => AppProto::Failed,
            };
            user.note_side(direction, shown, udp);
        }
        if user.session.is_none() {
            let transactions = u64::from(user.transactions);
            let session = Session::resumed(user.proto, AppTransport::Udp, transactions);
            user.session = session.map(Box::new);
        }
        if let Some(parser) = &mut user.session {
            // A datagram that the parser cannot read leaves the next one to be read.
            let _: Outcome =
                parser.data(&self.snapshot.parsers(self.certificates), direction, payload);
            if parser.take_progress() {
                user.dirty = [true; 2];
            }
        }
        turned
    }
}

/// What rules may ask of a flow's life.
fn life(flow: &Flow<FlowState>) -> Life {
    const SECOND: Nanos = 1_000_000_000;
    Life {
        age: Some((flow.last / SECOND).saturating_sub(flow.start / SECOND)),
        sizes: flow.tcp.as_ref().map(|session| session.sizes()),
    }
}

/// The ports of a packet as the client's and the server's.
fn client_ports((src, dst): (u16, u16), direction: Direction) -> (u16, u16) {
    match direction {
        Direction::ToServer => (src, dst),
        Direction::ToClient => (dst, src),
    }
}

/// One end of a flow.
pub(crate) type End = (IpAddr, u16);

/// A flow's client and server.
pub(crate) fn ends(flow: &Flow<FlowState>) -> (End, End) {
    let (first, second) = flow.key.addresses();
    let (first_port, second_port) = flow.key.ports();
    let (first, second) = ((first, first_port), (second, second_port));
    if flow.client_first { (first, second) } else { (second, first) }
}
