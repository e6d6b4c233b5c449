//! Packets of a connection whose handshake is complete.

use wire::tcp_flag;

use super::outcome::TcpEvents;
use super::seq;
use super::session::{Context, Segment, TcpSession, Verdict};
use super::state::TcpState;

impl TcpSession {
    /// A packet in one of the states from established on, but not when closed.
    pub(crate) fn connected(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
        state: TcpState,
    ) -> Verdict {
        if segment.has(tcp_flag::RST) {
            if !self.reset_fits(segment, context) {
                return context.refuse(TcpEvents::INVALID_RESET);
            }
            self.close_by_reset(segment, context);
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::SYN) {
            return self.late_syn(segment, context);
        }
        if segment.has(tcp_flag::FIN) {
            return self.finish(segment, context, state);
        }
        if !segment.has(tcp_flag::ACK) {
            // No system takes data without it.
            return Verdict::Valid;
        }
        let verdict = self.data(segment, context, state);
        if verdict == Verdict::Valid {
            self.after_ack(state);
        }
        verdict
    }

    /// A SYN or SYN/ACK again: the same as before means that its answer was lost.
    fn late_syn(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        let (sender, _) = self.both(context.direction);
        if segment.has(tcp_flag::ACK) && segment.tcp.seq == sender.isn {
            return Verdict::Valid;
        }
        context.refuse(TcpEvents::INVALID_HANDSHAKE)
    }

    /// A packet with data, an acknowledgment or both.
    fn data(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
        state: TcpState,
    ) -> Verdict {
        if !self.timestamp_fits(segment, context) {
            return context.refuse(TcpEvents::INVALID_TIMESTAMP);
        }
        if !self.ack_fits(segment, context) {
            return context.refuse(TcpEvents::INVALID_ACK);
        }
        let (tcp, end) = (segment.tcp, segment.end());
        let midstream = self.handshake.midstream;
        let one_sided = self.handshake.one_sided;
        let (sender, receiver) = self.both(context.direction);
        if midstream && !sender.seen {
            // The windows that this side offers, and where it is in its stream, show only now.
            sender.next_win = sender.last_ack.wrapping_add(u32::from(u16::MAX) << sender.wscale);
        }
        sender.seen = true;
        let both_seen = receiver.seen;
        if seq::lt(end, sender.last_ack) {
            let missed = seq::gt(sender.last_ack, sender.next_seq)
                && seq::gt(tcp.seq, sender.next_seq.wrapping_sub(1));
            if !(missed || one_sided) {
                return context.refuse(TcpEvents::OUT_OF_WINDOW);
            }
        }
        let probe = segment.payload.len() == 1 && tcp.seq == sender.next_seq && sender.window == 0;
        if probe {
            context.outcome.events |= TcpEvents::ZERO_WINDOW_PROBE;
        } else {
            // What is out of the window has been sent all the same. The bare sequence number after
            // a FIN says nothing: the FIN itself may come later.
            let counts = state == TcpState::Established || !segment.payload.is_empty();
            if counts && seq::geq(end, sender.next_seq) {
                sender.next_seq = end;
            }
            if !seq::leq(end, sender.next_win) && !midstream && !one_sided {
                return context.refuse(TcpEvents::OUT_OF_WINDOW);
            }
        }
        if one_sided {
            // Nobody is seen to acknowledge: that the sender goes on says as much.
            sender.acknowledge(tcp.seq);
        }
        receiver.offer(tcp.ack, receiver.scaled(tcp.window));
        if let Some((value, _)) = segment.options.timestamps {
            sender.take_timestamp(value, tcp.seq, context.second);
        }
        self.handshake.one_sided &= !both_seen;
        self.store(tcp.seq, segment, context);
        Verdict::Valid
    }
}
