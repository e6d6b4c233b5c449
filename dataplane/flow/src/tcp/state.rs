//! The states of a connection as a sensor between the two ends sees them.

use crate::flow::FlowState;

/// State of a connection, in Suricata's order and sense: FIN-WAIT is a server's FIN first,
/// CLOSE-WAIT a client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TcpState {
    /// No packet that begins a connection was seen.
    #[default]
    None,
    /// A SYN was seen.
    SynSent,
    /// A SYN and a SYN/ACK were.
    SynRecv,
    /// The handshake is complete, or is taken to be.
    Established,
    /// The server has sent a FIN.
    FinWait1,
    /// The client has acknowledged the server's FIN.
    FinWait2,
    /// Both FINs are acknowledged, save perhaps the last.
    TimeWait,
    /// The server's FIN came after the client's.
    LastAck,
    /// The client has sent a FIN.
    CloseWait,
    /// The client's FIN came before it acknowledged the server's.
    Closing,
    /// All is acknowledged, or the connection was reset.
    Closed,
}

impl TcpState {
    /// What the flow's state is by it.
    pub const fn flow_state(self) -> FlowState {
        match self {
            Self::None | Self::SynSent | Self::SynRecv => FlowState::New,
            Self::Established
            | Self::FinWait1
            | Self::FinWait2
            | Self::CloseWait
            | Self::Closing => FlowState::Established,
            Self::TimeWait | Self::LastAck | Self::Closed => FlowState::Closed,
        }
    }

    /// Its name in EVE's `tcp.state`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::Established => "established",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::LastAck => "last_ack",
            Self::CloseWait => "close_wait",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}
