//! Which of Suricata's stream events it is when a packet does not fit, by the connection's state.

use wire::Event;

use super::state::TcpState;

/// An acknowledgment that is out of the window.
pub(crate) const fn invalid_ack(state: TcpState) -> Event {
    match state {
        TcpState::FinWait1 => Event::StreamFin1InvalidAck,
        TcpState::FinWait2 => Event::StreamFin2InvalidAck,
        TcpState::Closing => Event::StreamClosingInvalidAck,
        TcpState::CloseWait => Event::StreamClosewaitInvalidAck,
        TcpState::LastAck => Event::StreamLastackInvalidAck,
        TcpState::TimeWait => Event::StreamTimewaitInvalidAck,
        _ => Event::StreamEstInvalidAck,
    }
}

/// A sequence number that is out of the window.
pub(crate) const fn out_of_window(state: TcpState) -> Event {
    match state {
        TcpState::FinWait1 => Event::StreamFin1AckWrongSeq,
        TcpState::FinWait2 => Event::StreamFin2AckWrongSeq,
        TcpState::Closing => Event::StreamClosingAckWrongSeq,
        TcpState::CloseWait => Event::StreamClosewaitAckOutOfWindow,
        TcpState::LastAck => Event::StreamLastackAckWrongSeq,
        TcpState::TimeWait => Event::StreamTimewaitAckWrongSeq,
        _ => Event::StreamEstPacketOutOfWindow,
    }
}

/// A packet of which all was acknowledged long ago.
pub(crate) const fn before_last_ack(state: TcpState) -> Event {
    match state {
        TcpState::Established => Event::StreamEstPktBeforeLastAck,
        TcpState::CloseWait => Event::StreamClosewaitPktBeforeLastAck,
        _ => out_of_window(state),
    }
}

/// A FIN with an acknowledgment that is out of the window.
pub(crate) const fn fin_invalid_ack(state: TcpState) -> Event {
    match state {
        TcpState::FinWait1
        | TcpState::FinWait2
        | TcpState::CloseWait
        | TcpState::Closing
        | TcpState::LastAck
        | TcpState::TimeWait => invalid_ack(state),
        _ => Event::StreamFinInvalidAck,
    }
}

/// A FIN with a sequence number that is out of the window.
pub(crate) const fn fin_out_of_window(state: TcpState) -> Event {
    match state {
        TcpState::FinWait1 => Event::StreamFin1FinWrongSeq,
        TcpState::FinWait2 => Event::StreamFin2FinWrongSeq,
        TcpState::CloseWait => Event::StreamClosewaitFinOutOfWindow,
        TcpState::Closing | TcpState::LastAck | TcpState::TimeWait => out_of_window(state),
        _ => Event::StreamFinOutOfWindow,
    }
}
