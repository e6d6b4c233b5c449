//! What a packet must fulfil to count, and those that need no more than a look.

use wire::{Direction, Event, tcp_flag};

use super::half::Half;
use super::seq;
use super::session::{Context, Segment, TcpSession, Verdict};
use super::state::TcpState;

impl TcpSession {
    /// Packets that change nothing: keep-alives and their answers, and acknowledgments that others
    /// have overtaken. `None` for all others.
    pub(crate) fn needs_no_more(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
    ) -> Option<Verdict> {
        const OTHER_THAN_DATA: u8 = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
        if self.state < TcpState::Established || segment.has_any(OTHER_THAN_DATA) {
            return None;
        }
        let (tcp, len) = (segment.tcp, segment.payload.len());
        let closed = self.state == TcpState::Closed;
        let (way, back) = (context.direction, context.direction.flip());
        let (sender, receiver) = (&self.halves[way.index()], &self.halves[back.index()]);
        let repeats_ack = tcp.ack == receiver.last_ack;
        let is_before = tcp.seq == sender.next_seq.wrapping_sub(1);
        if len <= 1 && repeats_ack && is_before && !sender.has_finished() {
            self.keep_alive[way.index()] = true;
            context.outcome.keep_alive = true;
            return Some(Verdict::Valid);
        }
        let answers = std::mem::take(&mut self.keep_alive[back.index()])
            && len == 0
            && repeats_ack
            && tcp.window != 0
            && receiver.scaled(tcp.window) == receiver.window
            && tcp.seq == sender.next_seq;
        if answers {
            context.outcome.keep_alive = true;
            return Some(Verdict::Valid);
        }
        // Where the other side is not seen, nothing can be said of its numbers.
        if closed || !receiver.seen || !segment.has(tcp_flag::ACK) {
            return None;
        }
        let window = receiver.scaled(tcp.window);
        if receiver.window.saturating_sub(window) as usize > len
            && seq::gt(tcp.ack, receiver.next_seq)
            && seq::gt(tcp.seq, sender.next_seq)
        {
            return Some(context.refuse(Event::StreamPktBadWindowUpdate));
        }
        if len == 0 && seq::lt(tcp.ack, receiver.last_ack) {
            return Some(Verdict::Valid);
        }
        None
    }

    /// Tells of data that comes again: of what the other side has acknowledged at any time, of what is on its way
    /// only once the connection is being closed, as Suricata does.
    pub(crate) fn note_retransmission(&self, segment: &Segment<'_>, context: &mut Context<'_>) {
        // Where nobody is seen to acknowledge, what comes again says nothing.
        let one_sided = self.handshake.one_sided;
        if segment.payload.is_empty() || self.state < TcpState::Established || one_sided {
            return;
        }
        let (sender, end) = (&self.halves[context.direction.index()], segment.end());
        if !sender.seen {
            return;
        }
        if seq::leq(end, sender.last_ack) {
            context.note(Event::StreamPktSpuriousRetransmission);
        }
        let closing = !matches!(self.state, TcpState::Established | TcpState::Closed);
        if closing && (seq::lt(segment.tcp.seq, sender.last_ack) || seq::leq(end, sender.next_seq))
        {
            context.note(Event::StreamPktRetransmission);
        }
    }

    /// Whether the timestamp, if both sides use them, is not older than what was seen.
    pub(crate) fn timestamp_fits(&self, segment: &Segment<'_>, context: &mut Context<'_>) -> bool {
        if !self.halves.iter().all(|half| half.timestamps) {
            return true;
        }
        let sender = &self.halves[context.direction.index()];
        let fits = segment.options.timestamps.is_none_or(|(value, _)| {
            sender.timestamp_fits(value, segment.tcp.seq, context.second, context.config.policy)
        });
        if !fits {
            context.note(Event::StreamPktInvalidTimestamp);
        }
        fits
    }

    /// Whether an acknowledgment is within what the receiver's half may have sent.
    pub(crate) fn ack_fits(&self, segment: &Segment<'_>, context: &mut Context<'_>) -> bool {
        let fits = self.ack_is_known(segment, context);
        if !fits {
            context.note(Event::StreamPktInvalidAck);
        }
        fits
    }

    fn ack_is_known(&self, segment: &Segment<'_>, context: &Context<'_>) -> bool {
        if !segment.has(tcp_flag::ACK) {
            return true;
        }
        let (ack, receiver) = (segment.tcp.ack, &self.halves[context.direction.flip().index()]);
        if self.state == TcpState::SynSent && context.direction == Direction::ToClient {
            return ack == receiver.isn.wrapping_add(1) || ack == receiver.next_seq;
        }
        if seq::lt(ack, receiver.last_ack) {
            return receiver.window == 0
                || !seq::lt(ack, receiver.last_ack.wrapping_sub(receiver.window));
        }
        if seq::leq(ack, receiver.next_win) || self.handshake.one_sided {
            return true;
        }
        self.handshake.midstream && !receiver.seen
    }

    /// Whether the receiver of a reset would obey it.
    pub(crate) fn reset_fits(&self, segment: &Segment<'_>, context: &mut Context<'_>) -> bool {
        let tcp = segment.tcp;
        if !self.timestamp_fits(segment, context) {
            return false;
        }
        if tcp.ack != 0 && !self.ack_fits(segment, context) {
            context.note(Event::StreamRstInvalidAck);
            return false;
        }
        let sender = &self.halves[context.direction.index()];
        if self.handshake.one_sided {
            return seq::geq(tcp.seq, sender.next_seq);
        }
        if context.config.policy.reset_in_window() {
            return in_window(sender, segment);
        }
        // A side that is gone answers what comes by the sequence that it sees acknowledged there:
        // before its last packet, the one with the FIN, or after.
        let after_fin = sender.is_of_fin(tcp.seq);
        let unseen = self.handshake.midstream && !sender.seen;
        tcp.seq == sender.next_seq || after_fin || unseen
    }
}

/// Whether a segment is after what is acknowledged and within a window of what comes next.
fn in_window(sender: &Half, segment: &Segment<'_>) -> bool {
    seq::geq(segment.end(), sender.last_ack)
        && seq::lt(segment.tcp.seq, sender.next_seq.wrapping_add(sender.window.max(1)))
}
