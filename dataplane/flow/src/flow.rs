//! A flow: what is known of the packets between two ends.

use wire::{Direction, FlowKey, Nanos};

use crate::config::Timeouts;
use crate::tcp::TcpSession;

/// Nanoseconds of a second, the unit in which time-outs are counted.
pub(crate) const SECOND: Nanos = 1_000_000_000;

/// How far a flow has come; decides its time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FlowState {
    /// TCP: the handshake is not complete. Others: one side only has sent.
    #[default]
    New,
    /// TCP: from the complete handshake on. Others: both sides have sent.
    Established,
    /// TCP: the connection has ended.
    Closed,
}

/// A flow, with the engine's own state `T` beside it.
///
/// In this order: the key is what a look-up compares, what every packet changes comes next.
#[derive(Debug)]
#[repr(C)]
pub struct Flow<T> {
    /// Both ends, the same for both directions.
    pub key: FlowKey,
    /// Time of the latest packet.
    pub last: Nanos,
    /// Packets by direction.
    pub packets: [u32; 2],
    /// Bytes by direction, of whole packets.
    pub bytes: [u64; 2],
    /// The TCP connection.
    pub tcp: Option<Box<TcpSession>>,
    /// Whether the client is the key's first side.
    pub client_first: bool,
    state: FlowState,
    /// How many flows of this key began in the same nanosecond before it.
    order: u32,
    /// Time of the first packet.
    pub start: Nanos,
    /// A number for EVE's `flow_id`: 53 bits, made of the key, the time of the first packet and how
    /// many flows of the same key began at that time, hence the same with one worker or many.
    pub id: u64,
    /// What the engine keeps.
    pub user: T,
}

impl<T> Flow<T> {
    pub(crate) fn new(key: FlowKey, client_first: bool, now: Nanos, order: u32, user: T) -> Self {
        Self {
            key,
            id: 0,
            start: now,
            last: now,
            packets: [0; 2],
            bytes: [0; 2],
            tcp: None,
            user,
            client_first,
            state: FlowState::New,
            order,
        }
    }

    /// How far it has come. Set by [`crate::FlowTable::set_state`], which keeps the timers right.
    #[inline]
    pub fn state(&self) -> FlowState {
        self.state
    }

    pub(crate) fn set_state(&mut self, state: FlowState) {
        self.state = state;
    }

    pub(crate) fn order(&self) -> u32 {
        self.order
    }

    /// The direction of a packet; `forward` says that its source is the key's first side.
    #[inline]
    pub fn direction(&self, forward: bool) -> Direction {
        if forward == self.client_first { Direction::ToServer } else { Direction::ToClient }
    }

    /// Whether packets have been seen in both directions.
    #[inline]
    pub fn both_seen(&self) -> bool {
        self.packets[0] != 0 && self.packets[1] != 0
    }

    /// The second in which the flow is timed out, if no packet comes.
    #[inline]
    pub(crate) fn deadline(&self, timeouts: &Timeouts) -> u64 {
        let timeouts = timeouts.of(self.key.protocol());
        let timeout = match self.state {
            FlowState::New => timeouts.new,
            FlowState::Established => timeouts.established,
            FlowState::Closed => timeouts.closed,
        };
        self.last / SECOND + u64::from(timeout) + 1
    }
}
