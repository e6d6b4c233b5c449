//! What the end of a connection or of its flow brings up: what waits in streams and parsers, inspected with a
//! stand-in for a packet.

use flow::Flow;
use hyperscan::PaddedBuf;
use wire::{Decoded, Direction, IpLayer, MAX_IP_LAYERS, Nanos, Tcp, Transport};

use super::{Work, ends, life};
use crate::alert::Source;
use crate::emit::Origin;
use crate::flow_state::{FlowState, Mark};
use crate::inspect::header::Headers;
use crate::inspect::{Unit, transaction};
use crate::part::PacketInfo;
use crate::profile::Stage;

/// The place of what comes up at a flow's end among alerts: before those of packets of the same clock.
const FLOW_END: u8 = 0;
/// Of what a connection's last packet brings up beside its own: after them.
const CONNECTION_END: u8 = 2;

/// When something comes up that is no packet's, see [`crate::alert::OrderKey`].
#[derive(Debug, Clone, Copy)]
struct Moment {
    clock: Nanos,
    class: u8,
    order: u64,
}

impl Work<'_> {
    /// A connection has come to its end with a packet: what waits in its streams is inspected at once, and let
    /// go, instead of at its time-out. One that was reset may go on, if it was not its peer who did it.
    pub(super) fn connection_end(&mut self, flow: &mut Flow<FlowState>, info: &PacketInfo) {
        let Some(session) = &flow.tcp else { return };
        let is_over = session.is_over();
        if is_over {
            self.parser_end(flow);
        }
        let moment = Moment { clock: info.clock, class: CONNECTION_END, order: info.order };
        for direction in Direction::BOTH {
            self.direction_end(flow, direction, moment);
        }
        let Some(session) = &mut flow.tcp else { return };
        if is_over {
            session.let_go();
            Direction::BOTH.into_iter().for_each(|way| flow.user.scanned.forget(way));
            transaction::let_go(&mut flow.user);
        } else {
            session.shrink();
        }
    }

    /// Inspects what the flow still holds: everything contiguous, acknowledged or not, then what is
    /// behind gaps.
    pub(crate) fn flow_end(&mut self, flow: &mut Flow<FlowState>, clock: Nanos) {
        if flow.user.is(Mark::CARRIES) {
            self.carriers.has_ended(&flow.key);
        }
        if flow.tcp.is_none() {
            return;
        }
        self.tools.profiler.enter(Stage::Application);
        self.account(flow);
        let Some(session) = &mut flow.tcp else { return };
        session.flush();
        self.parser_end(flow);
        let moment = Moment { clock, class: FLOW_END, order: flow.user.first_packet };
        for direction in Direction::BOTH {
            self.direction_end(flow, direction, moment);
        }
    }

    /// The application's parser gets what there is, and learns that nothing more comes.
    fn parser_end(&mut self, flow: &mut Flow<FlowState>) {
        let (client, server) = ends(flow);
        for way in Direction::BOTH {
            self.feed(flow, way, (client.1, server.1));
        }
        if let Some(parser) = &mut flow.user.session {
            let config = self.snapshot.parsers(self.certificates);
            for way in Direction::BOTH {
                parser.close(&config, way);
            }
            if parser.take_progress() {
                flow.user.dirty = [true; 2];
            }
        }
    }

    /// Inspects what waits of one direction, with a stand-in for a packet.
    fn direction_end(
        &mut self,
        flow: &mut Flow<FlowState>,
        direction: Direction,
        Moment { clock, class, order }: Moment,
    ) {
        let Some(session) = &flow.tcp else { return };
        let dirty = flow.user.session.is_some() && flow.user.dirty[direction.index()];
        let established = session.established();
        let (_, server) = ends(flow);
        // Gaps divide what waits into several windows.
        for turn in 0.. {
            let Some(session) = &flow.tcp else { return };
            let waits = !session.raw_window(direction).is_empty();
            if !(waits || turn == 0 && dirty) {
                return;
            }
            let decoded = stand_in(flow, direction);
            let hits = self.snapshot.scope.lookup(&decoded);
            if !hits.scoped() {
                return;
            }
            let nothing = PaddedBuf::new();
            let unit = Unit {
                headers: Headers {
                    packet: &decoded,
                    bytes: &[],
                    payload_len: 0,
                    events: wire::EventSet::EMPTY,
                    pseudo: true,
                },
                payload: nothing.as_padded(),
                window: None,
                in_stream: true,
                tail: None,
                opaque: false,
                direction: Some(direction),
                established,
                defragmented: false,
                server_port: server.1,
                rulesets: hits.rulesets,
                now: flow.last,
                life: life(flow),
            };
            let info = PacketInfo {
                timestamp: flow.last,
                clock,
                order,
                link: None,
                wire_len: 0,
                ignore_checksums: true,
            };
            let origin = Origin {
                info,
                class,
                source: Source::StreamEnd,
                hits,
                direction: Some(direction),
                decoded: &decoded,
                bytes: &[],
                link_header: &[],
            };
            self.detect(flow, unit, &origin, direction, (true, false));
        }
    }
}

/// The layers of a packet of the flow, as far as the flow tells, and how many there are.
pub(crate) fn layers(
    flow: &Flow<FlowState>,
    direction: Direction,
) -> ([IpLayer; MAX_IP_LAYERS], usize) {
    let (client, server) = ends(flow);
    let (version, protocol) = (flow.key.version(), flow.key.protocol());
    let own = IpLayer { src: client.0, dst: server.0, version, protocol, ..IpLayer::EMPTY };
    let mut layers = [IpLayer::EMPTY; MAX_IP_LAYERS];
    let mut count = 0;
    for (slot, layer) in layers.iter_mut().zip(flow.user.outer().iter().chain([&own])) {
        *slot = match direction {
            Direction::ToServer => *layer,
            Direction::ToClient => IpLayer { src: layer.dst, dst: layer.src, ..*layer },
        };
        count += 1;
    }
    (layers, count)
}

/// A header that stands in for a packet of the flow at its end.
fn stand_in(flow: &Flow<FlowState>, direction: Direction) -> Decoded {
    let (client, server) = ends(flow);
    let (src_port, dst_port) = match direction {
        Direction::ToServer => (client.1, server.1),
        Direction::ToClient => (server.1, client.1),
    };
    let (layers, count) = layers(flow, direction);
    let count = u8::try_from(count).unwrap_or(1);
    let transport = Transport::Tcp(Tcp {
        src_port,
        dst_port,
        seq: 0,
        ack: 0,
        flags: 0,
        header_len: 20,
        window: 0,
        urgent: 0,
        header: 0,
    });
    Decoded { layers, layer_count: count, inherited: count, transport, ..Decoded::EMPTY }
}
