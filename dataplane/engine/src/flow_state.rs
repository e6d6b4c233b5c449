//! What the engine remembers of a flow beside its packets and streams.

use std::sync::Arc;

use app::detect::Detector;
use app::{AppProto, EventSet, FlowEvent, Session, Transport};
use bitflags::bitflags;
use rules::state::Tags;
use wire::{Direction, IpLayer};

use crate::inspect::scanned::Scanned;
use crate::inspect::vars::FlowVars;
use crate::pcap::Followed;
use crate::tunnels::Outer;

bitflags! {
    /// What holds of a flow.
    #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Mark: u16 {
        /// A `bypass` rule has matched: nothing more of the flow is looked at.
        const BYPASSED = 1 << 0;
        /// The core was overloaded when the flow began: none of its packets is looked at.
        const SHED = 1 << 1;
        /// Segments of it were left out of its streams here: holes in them say nothing of the mirror.
        const HOLED = 1 << 2;
        /// A segment of it acknowledges something: somebody answers.
        const ANSWERED = 1 << 3;
        /// It was decided whether both of its sides are mirrored.
        const JUDGED = 1 << 4;
        /// A pass rule let the rest of the flow go.
        const PASSED = 1 << 5;
        /// The session is encrypted from here on.
        const ENCRYPTED = 1 << 6;
        /// Detection by stream starts in the middle of a session.
        const MIDSTREAM = 1 << 7;
        /// It goes to or from a port of tunnels: packets that carry others may belong to it.
        const CARRIES = 1 << 8;
        /// There are events of the packet at hand: every packet asks, and need not go and look.
        const EVENTS = 1 << 9;
    }
}

/// The engine's part of a flow.
#[derive(Debug, Default)]
pub struct FlowState {
    /// The application protocol, as far as it is known.
    pub proto: AppProto,
    /// What each direction has shown by itself; [`AppProto::Failed`] where that was nothing.
    pub sides: [AppProto; 2],
    /// Recognises the protocol; gone once both directions have been looked at, or in vain.
    pub detector: Option<Detector>,
    /// The protocol's parser, where there is one, while it knows anything.
    pub session: Option<Box<Session>>,
    /// How far its streams were scanned ahead of their windows.
    pub scanned: Scanned,
    /// How many transactions there had been when the latest parser was let go.
    pub transactions: u32,
    /// What is around it, where it is in a tunnel.
    pub(crate) outer: Option<Arc<Outer>>,
    /// What few flows have.
    rare: Option<Box<Rare>>,
    /// What it is, for packets to come.
    marks: Mark,
    /// IP-only rules have been applied, per direction.
    pub ip_only_done: [bool; 2],
    /// Transactions moved on since the direction was last inspected.
    pub dirty: [bool; 2],
    /// Number of the packet that made the flow.
    pub first_packet: u64,
}

/// What few flows have, made when it is first asked for.
#[derive(Debug, Default)]
struct Rare {
    tags: Tags,
    vars: FlowVars,
    events: EventSet,
    followed: Option<Box<Followed>>,
}

impl FlowState {
    /// Does this hold of it?
    #[inline]
    pub(crate) fn is(&self, mark: Mark) -> bool {
        self.marks.contains(mark)
    }

    /// From now on this holds of it.
    #[inline]
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marks |= mark;
    }

    /// From now on this holds of it, if `so`.
    #[inline]
    pub(crate) fn mark_if(&mut self, mark: Mark, so: bool) {
        if so {
            self.mark(mark);
        }
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Flowbits and integers, if a rule has ever written any.
    pub fn vars(&self) -> Option<&FlowVars> {
        self.rare.as_ref().map(|rare| &rare.vars)
    }

    /// The flow's memory for rules.
    pub fn vars_mut(&mut self) -> &mut FlowVars {
        &mut self.rare_mut().vars
    }

    /// Tags of the flow's packets, to count one.
    pub fn running_tags(&mut self) -> Option<&mut Tags> {
        self.rare.as_mut().map(|rare| &mut rare.tags).filter(|tags| !tags.is_empty())
    }

    /// Tags of the flow's packets, to add one.
    pub fn tags_mut(&mut self) -> &mut Tags {
        &mut self.rare_mut().tags
    }

    /// What `pcap-log` knows of the flow's packets.
    pub(crate) fn followed(&self) -> Option<&Followed> {
        self.rare.as_ref()?.followed.as_deref()
    }

    /// Where `pcap-log` keeps what it knows of the flow's packets.
    pub(crate) fn followed_mut(&mut self) -> &mut Option<Box<Followed>> {
        &mut self.rare_mut().followed
    }

    /// Layers around the flow's own, of a flow in a tunnel, as in packets to the server.
    pub fn outer(&self) -> &[IpLayer] {
        self.outer.as_deref().map_or(&[], Outer::layers)
    }

    /// What the packet at hand has shown to be odd about the protocol.
    pub fn events(&self) -> EventSet {
        let rare = self.rare.as_ref().filter(|_| self.is(Mark::EVENTS));
        rare.map_or_else(EventSet::default, |rare| rare.events)
    }

    /// Takes note of something odd about the protocol.
    pub(crate) fn note_event(&mut self, event: FlowEvent) {
        self.mark(Mark::EVENTS);
        self.rare_mut().events.insert(event);
    }

    /// Forgets what the packet at hand has shown.
    pub(crate) fn forget_events(&mut self) {
        if self.is(Mark::EVENTS) {
            self.marks -= Mark::EVENTS;
            self.rare_mut().events = EventSet::default();
        }
    }

    /// Takes note of what a direction shows of a protocol that the other one has told.
    pub(crate) fn note_side(&mut self, way: Direction, shown: AppProto, transport: Transport) {
        self.sides[way.index()] = shown;
        self.detector = None;
        if shown == AppProto::Failed {
            if transport == Transport::Tcp {
                self.note_event(FlowEvent::DetectProtocolOnlyOneDirection);
            }
        } else if shown != self.proto {
            self.note_event(FlowEvent::MismatchProtocolBothDirections);
        }
    }

    /// Takes note that this direction is being inspected.
    pub fn take_dirty(&mut self, direction: Direction) -> bool {
        self.dirty.get_mut(direction.index()).is_some_and(std::mem::take)
    }
}

#[cfg(test)]
mod tests {
    use app::{BufferSet, Certificates, Config, Limits, Outcome};
    use flow::{FlowTable, TcpSession};

    use super::*;
    use crate::inspect::transaction::{let_go, release};

    #[test]
    fn a_flow_takes_no_more_than_256_bytes_and_with_its_connection_no_more_than_800() {
        let flow = FlowTable::<FlowState>::FLOW_BYTES;
        assert!(flow <= 256, "{flow}");
        // A block of each stream beside the connection.
        let connection = size_of::<TcpSession>() + 2 * 128;
        assert!(flow + connection <= 800, "{flow} and {connection}");
    }

    /// A flow's parser once it has taken `bytes`, beside flow and connection, with a block in each stream.
    fn with_state(proto: AppProto, transport: Transport, bytes: &[u8]) -> (FlowState, usize) {
        let (limits, certificates) = (Limits::default(), Certificates::default());
        let wanted = BufferSet::default();
        let config = Config { limits: &limits, wanted, certificates: &certificates };
        let mut session = Session::over(proto, transport).expect("a parser");
        let taken = session.data(&config, Direction::ToServer, bytes);
        assert_eq!((taken, session.live_tx_count()), (Outcome::Ok, 1));
        let state = session.held().state;
        let session = Some(Box::new(session));
        (FlowState { proto, session, ..FlowState::default() }, state)
    }

    #[test]
    fn with_a_transaction_at_hand_it_takes_no_more_than_900_bytes_besides_what_was_sent() {
        let tcp = FlowTable::<FlowState>::FLOW_BYTES + size_of::<TcpSession>();
        let request = b"GET /articles/1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 \
            (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";
        let (_, state) = with_state(AppProto::Http1, Transport::Tcp, request);
        assert!(tcp + state <= 900, "HTTP: {tcp} and {state}");
        let hello = [&[22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 3][..], &[7; 32], &[0, 0, 2, 19, 1, 1, 0]];
        let (_, state) =
            with_state(AppProto::Tls, Transport::Tcp, &[&hello.concat()[..], &[0, 0]].concat());
        assert!(tcp + state <= 900, "TLS: {tcp} and {state}");
        let (_, state) = with_state(AppProto::Dns, Transport::Udp, DNS_QUERY);
        let flow = FlowTable::<FlowState>::FLOW_BYTES;
        assert!(flow + state <= 512, "DNS: {flow} and {state}");
    }

    const DNS_QUERY: &[u8] = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";

    #[test]
    fn an_idle_dns_flow_keeps_no_parser_but_counts_on() {
        let (mut flow, _) = with_state(AppProto::Dns, Transport::Udp, DNS_QUERY);
        release(&mut flow);
        assert!(flow.session.is_some(), "nobody has looked at the query");
        let looked = flow.session.as_mut().and_then(|session| session.looked_mut(0));
        looked.expect("a transaction").done = [true; 2];
        release(&mut flow);
        assert!(flow.session.is_none());
        let next = Session::resumed(flow.proto, Transport::Udp, u64::from(flow.transactions));
        assert_eq!(next.map(|session| session.next_tx()), Some(1));
    }

    #[test]
    fn at_a_connections_end_its_parser_goes_once_all_that_it_knows_was_looked_at() {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let (mut flow, _) = with_state(AppProto::Http1, Transport::Tcp, request);
        let_go(&mut flow);
        assert!(flow.session.is_some(), "nobody has looked at the request");
        let looked = flow.session.as_mut().and_then(|session| session.looked_mut(0));
        looked.expect("a transaction").done = [true; 2];
        release(&mut flow);
        assert!(flow.session.is_some(), "another request may come");
        let_go(&mut flow);
        assert!(flow.session.is_none());
        assert_eq!(flow.transactions, 1);
    }

    #[test]
    fn what_few_flows_have_is_made_when_it_is_asked_for() {
        let mut state = FlowState::default();
        assert!(
            state.vars().is_none() && state.running_tags().is_none() && state.outer().is_empty()
        );
        state.forget_events();
        assert!(state.rare.is_none());
        state.note_event(FlowEvent::ProtoDetectionSkipped);
        assert!(!state.events().is_empty() && state.running_tags().is_none());
        state.forget_events();
        assert!(state.events().is_empty());
    }
}
