//! Packets of a connection whose handshake is complete.

use wire::{Direction, Event, tcp_flag};

use super::session::{Context, Segment, TcpSession, Verdict};
use super::state::TcpState;
use super::{events, seq};

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
                return Verdict::Invalid;
            }
            self.close_by_reset(segment, context);
            return Verdict::Valid;
        }
        if segment.has(tcp_flag::SYN) {
            return self.late_syn(segment, context, state);
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
    fn late_syn(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
        state: TcpState,
    ) -> Verdict {
        let (tcp, to_client) = (segment.tcp, context.direction == Direction::ToClient);
        let (sender, receiver) = self.both(context.direction);
        let is_answer = segment.has(tcp_flag::ACK);
        let same = tcp.seq == sender.isn;
        let event = match state {
            TcpState::Established if is_answer => match to_client {
                false => Event::StreamEstSynackToserver,
                true if tcp.ack != receiver.isn.wrapping_add(1) => {
                    Event::StreamEstSynackResendWithDiffAck
                }
                true if !same => Event::StreamEstSynackResendWithDiffSeq,
                // Until there is data, the answer to it may have been lost.
                true if !sender.has_sent() && !receiver.has_sent() => return Verdict::Valid,
                true => Event::StreamEstSynackResend,
            },
            TcpState::Established if to_client => Event::StreamEstSynToclient,
            TcpState::Established if !same => Event::StreamEstSynResendDiffSeq,
            TcpState::Established => Event::StreamEstSynResend,
            _ => Event::StreamShutdownSynResend,
        };
        context.note(event);
        if is_answer && same { Verdict::Valid } else { Verdict::Invalid }
    }

    /// A packet with data, an acknowledgment or both.
    fn data(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
        state: TcpState,
    ) -> Verdict {
        if !self.timestamp_fits(segment, context) {
            return Verdict::Invalid;
        }
        if !self.ack_fits(segment, context) {
            return context.refuse(events::invalid_ack(state));
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
                return context.refuse(events::before_last_ack(state));
            }
        }
        let probe = segment.payload.len() == 1 && tcp.seq == sender.next_seq && sender.window == 0;
        if probe {
            context.outcome.zero_window_probe = true;
        } else {
            // What is out of the window has been sent all the same. The bare sequence number after
            // a FIN says nothing: the FIN itself may come later.
            let counts = state == TcpState::Established || !segment.payload.is_empty();
            if counts && seq::geq(end, sender.next_seq) {
                sender.next_seq = end;
            }
            if !seq::leq(end, sender.next_win) && !midstream && !one_sided {
                return context.refuse(events::out_of_window(state));
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
