//! What a packet did to its connection.

use wire::EventSet;

use super::state::TcpState;

/// What a packet did to its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOutcome {
    /// It fits the connection. What does not is no part of the stream, but a packet still.
    pub valid: bool,
    /// Its payload, or a part of it, is in the stream (Suricata's `PKT_STREAM_ADD`).
    pub added: bool,
    /// All of its payload is, and ends what is stored: [`TcpSession::raw_tail`] shows it.
    ///
    /// [`TcpSession::raw_tail`]: super::TcpSession::raw_tail
    pub appended: bool,
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
    /// Its payload, or a part, was acknowledged by the other side before it was seen.
    pub late: bool,
    /// A keep-alive or its acknowledgment.
    pub keep_alive: bool,
    /// A probe of a closed window.
    pub zero_window_probe: bool,
    /// What rules can ask for.
    pub events: EventSet,
}
