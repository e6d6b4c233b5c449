//! What the engine remembers of a flow beside its packets and streams.

use app::detect::Detector;
use app::{AppProto, EventSet, FlowEvent, Session, Transport};
use rules::state::Tags;
use wire::{Direction, IpLayer};

use crate::inspect::transaction::Inspections;
use crate::inspect::vars::FlowVars;
use crate::pcap::Followed;
use crate::scope::Hits;

/// The engine's part of a flow.
#[derive(Debug, Default)]
pub struct FlowState {
    /// The application protocol, as far as it is known.
    pub proto: AppProto,
    /// What each direction has shown by itself; [`AppProto::Failed`] where that was nothing.
    pub sides: [AppProto; 2],
    /// Recognises the protocol; gone once both directions have been looked at, or in vain.
    pub detector: Option<Box<Detector>>,
    /// The protocol's parser, where there is one.
    pub session: Option<Box<Session>>,
    /// How far the session's transactions have been inspected.
    pub inspections: Option<Box<Inspections>>,
    /// Tags of the flow's packets.
    pub tags: Option<Box<Tags>>,
    /// Flowbits and integers.
    pub vars: Option<Box<FlowVars>>,
    /// Who the flow belongs to, as of the last packet, seen from the client.
    pub hits: Hits,
    /// Layers around the flow's own, of a flow in a tunnel, as in packets to the server.
    pub outer: Option<Box<[IpLayer]>>,
    /// The generation that `hits` was looked up in.
    pub generation: u64,
    /// IP-only rules have been applied, per direction.
    pub ip_only_done: [bool; 2],
    /// A `bypass` rule has matched: nothing more of the flow is looked at.
    pub bypassed: bool,
    /// A pass rule let the rest of the flow go.
    pub passed: bool,
    /// The session is encrypted from here on.
    pub encrypted: bool,
    /// Detection by stream starts in the middle of a session.
    pub midstream: bool,
    /// What the packet at hand has shown to be odd about the protocol.
    pub events: EventSet,
    /// Transactions moved on since the direction was last inspected.
    pub dirty: [bool; 2],
    /// What `pcap-log` knows of its packets.
    pub followed: Option<Box<Followed>>,
    /// Number of the packet that made the flow.
    pub first_packet: u64,
}

impl FlowState {
    /// The flow's memory for rules, made when the first rule writes to it.
    pub fn vars_mut(&mut self) -> &mut FlowVars {
        self.vars.get_or_insert_default()
    }

    /// Takes note of what a direction shows of a protocol that the other one has told.
    pub(crate) fn note_side(&mut self, way: Direction, shown: AppProto, transport: Transport) {
        self.sides[way.index()] = shown;
        self.detector = None;
        if shown == AppProto::Failed {
            if transport == Transport::Tcp {
                self.events.insert(FlowEvent::DetectProtocolOnlyOneDirection);
            }
        } else if shown != self.proto {
            self.events.insert(FlowEvent::MismatchProtocolBothDirections);
        }
    }

    /// Takes note that this direction is being inspected.
    pub fn take_dirty(&mut self, direction: Direction) -> bool {
        self.dirty.get_mut(direction.index()).is_some_and(std::mem::take)
    }
}
