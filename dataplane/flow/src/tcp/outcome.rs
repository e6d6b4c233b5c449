//! What a packet did to its connection.

use std::ops::{BitOr, BitOrAssign};

use super::state::TcpState;

/// What was noticed about a packet; a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpEvents(u32);

impl TcpEvents {
    /// All of its payload had been seen before.
    pub const RETRANSMISSION: Self = Self(1 << 0);
    /// Its payload differs from what was seen at the same place.
    pub const OVERLAP_DIFFERENT_DATA: Self = Self(1 << 1);
    /// Data before it was acknowledged but never seen.
    pub const GAP: Self = Self(1 << 2);
    /// Its sequence number is out of the window.
    pub const OUT_OF_WINDOW: Self = Self(1 << 3);
    /// Its acknowledgment is out of the window.
    pub const INVALID_ACK: Self = Self(1 << 4);
    /// Its timestamp is older than what was seen.
    pub const INVALID_TIMESTAMP: Self = Self(1 << 5);
    /// A handshake packet that contradicts the handshake.
    pub const INVALID_HANDSHAKE: Self = Self(1 << 6);
    /// A reset that its receiver would not obey.
    pub const INVALID_RESET: Self = Self(1 << 7);
    /// It belongs to no connection that is known.
    pub const NO_SESSION: Self = Self(1 << 8);
    /// A keep-alive or its acknowledgment.
    pub const KEEP_ALIVE: Self = Self(1 << 9);
    /// A probe of a closed window.
    pub const ZERO_WINDOW_PROBE: Self = Self(1 << 10);
    /// The sender of a reset goes on to send: the reset was not its.
    pub const RESET_INJECTED: Self = Self(1 << 11);
    /// An acknowledgment that is older than others seen.
    pub const OUTDATED_ACK: Self = Self(1 << 12);
    /// There are more different handshake packets than are kept.
    pub const HANDSHAKE_FLOOD: Self = Self(1 << 13);
    /// It came after the connection's end.
    pub const AFTER_CLOSE: Self = Self(1 << 14);

    /// Whether none is set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for TcpEvents {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for TcpEvents {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What a packet did to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOutcome {
    /// It fits the connection. What does not is no part of the stream, but a packet still.
    pub valid: bool,
    /// Its payload, or a part of it, is in the stream (Suricata's `PKT_STREAM_ADD`).
    pub added: bool,
    /// It begins a new connection with the same ends, and has changed nothing yet: the flow is to
    /// be flushed and begun anew with this packet.
    pub reuse: bool,
    /// It came from the server: the flow is to be turned round.
    pub swapped: bool,
    /// State after it.
    pub state: TcpState,
    /// The connection was, or had been, established before it, or it completes the handshake and
    /// has data (what Suricata's `flow:established` asks for).
    pub was_established: bool,
    /// It is, or had been, established with it.
    pub established: bool,
    /// It is at its end.
    pub closed: bool,
    /// Payload bytes beyond the depth, not stored.
    pub beyond_depth: u32,
    /// There was no memory for its payload, or for a part.
    pub memcap_dropped: bool,
    /// What else was noticed.
    pub events: TcpEvents,
}
