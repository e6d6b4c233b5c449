//! The end of a connection: FINs and their acknowledgments, resets, and what comes after.

use wire::{Direction, Event, tcp_flag};

use super::session::{Context, Segment, TcpSession, Verdict};
use super::state::TcpState;
use super::{events, seq};

impl TcpSession {
    /// A packet with a FIN.
    pub(crate) fn finish(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
        state: TcpState,
    ) -> Verdict {
        if !self.timestamp_fits(segment, context) {
            return Verdict::Invalid;
        }
        if !self.ack_fits(segment, context) {
            return context.refuse(events::fin_invalid_ack(state));
        }
        let (tcp, end) = (segment.tcp, segment.end());
        let lenient = self.handshake.midstream || self.handshake.one_sided;
        let (sender, receiver) = self.both(context.direction);
        let again = sender.has_finished() && seq::leq(end, sender.next_seq);
        let edge = sender.last_ack.wrapping_add(sender.window);
        // Where it is in the stream may be before what was sent: what the receiver has decides.
        let outside = seq::lt(end, sender.last_ack) || (seq::gt(tcp.seq, edge) && !lenient);
        if outside && !again {
            return context.refuse(events::fin_out_of_window(state));
        }
        sender.seen = true;
        if seq::gt(end, sender.next_seq) {
            sender.next_seq = end;
        }
        if !again {
            sender.finish(tcp.seq, end.wrapping_add(1));
            sender.stream.finish(sender.placed(end));
        }
        if segment.has(tcp_flag::ACK) {
            receiver.offer(tcp.ack, receiver.scaled(tcp.window));
            // What was acknowledged was sent, seen or not.
            if seq::lt(receiver.next_seq, tcp.ack) {
                receiver.next_seq = tcp.ack;
            }
        }
        if let Some((value, _)) = segment.options.timestamps {
            sender.take_timestamp(value, tcp.seq, context.second);
        }
        self.store(tcp.seq, segment, context);
        let client = context.direction == Direction::ToServer;
        self.state = match state {
            TcpState::SynRecv | TcpState::Established if client => TcpState::CloseWait,
            TcpState::SynRecv | TcpState::Established => TcpState::FinWait1,
            TcpState::CloseWait if !client => TcpState::LastAck,
            TcpState::FinWait1 if client && segment.has(tcp_flag::ACK) => TcpState::TimeWait,
            TcpState::FinWait1 if client => TcpState::Closing,
            TcpState::FinWait2 if client => TcpState::TimeWait,
            other => other,
        };
        Verdict::Valid
    }

    /// Goes on to the next state when an acknowledgment covers a FIN.
    pub(crate) fn after_ack(&mut self, state: TcpState) {
        let client = self.fin_acknowledged(Direction::ToServer);
        let server = self.fin_acknowledged(Direction::ToClient);
        self.state = match state {
            TcpState::FinWait1 if server => TcpState::FinWait2,
            TcpState::Closing if server && client => TcpState::Closed,
            TcpState::Closing if server => TcpState::TimeWait,
            TcpState::LastAck if server => TcpState::Closed,
            TcpState::TimeWait if client => TcpState::Closed,
            other => other,
        };
    }

    fn fin_acknowledged(&self, direction: Direction) -> bool {
        let half = &self.halves[direction.index()];
        half.has_finished() && half.stream.is_acknowledged_beyond_end()
    }

    /// Ends the connection by a reset that its receiver obeys: all that was sent before it counts.
    pub(crate) fn close_by_reset(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        let tcp = segment.tcp;
        if self.state != TcpState::Closed {
            self.before_reset = self.state;
        }
        self.state = TcpState::Closed;
        let (sender, receiver) = self.both(context.direction);
        sender.reset = true;
        sender.next_seq = segment.end();
        if segment.has(tcp_flag::ACK) && receiver.seen {
            receiver.acknowledge(tcp.ack);
            receiver.next_seq = tcp.ack;
        }
        for half in [sender, receiver] {
            half.stream.acknowledge_stored();
        }
    }

    /// A packet after the end.
    pub(crate) fn closed(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        if segment.has(tcp_flag::RST) {
            let by_reset = self.before_reset != TcpState::None;
            self.both(context.direction).0.reset |= by_reset;
            return Verdict::Valid;
        }
        let (sender, receiver) = self.both(context.direction);
        if sender.reset && !receiver.reset && self.before_reset >= TcpState::SynSent {
            // Who resets a connection does not go on with it: the reset was someone else's.
            let state = self.before_reset;
            let verdict = self.by_state(segment, context, state);
            if verdict == Verdict::Valid {
                let (sender, _) = self.both(context.direction);
                sender.reset = false;
                context.note(Event::StreamSuspectedRstInject);
                if self.state == TcpState::Closed {
                    self.state = state;
                }
            }
            return verdict;
        }
        if segment.payload.is_empty() {
            return Verdict::Valid;
        }
        context.refuse(None)
    }
}
