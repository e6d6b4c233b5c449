//! One direction's numbers: sequence, acknowledgment, window, timestamp.

use super::policy::Policy;
use super::seq;
use super::stream::Stream;
use super::urgent::Urgent;

/// Seconds after which a timestamp says nothing (RFC 7323, 5.5: 24 days).
const PAWS_IDLE: u32 = 24 * 24 * 60 * 60;

/// The largest window scale (RFC 7323, 2.3); taken where the handshake was not seen.
pub(crate) const MAX_WSCALE: u8 = 14;

/// What is known of one direction: of what one side sends, and of what the other acknowledges.
#[derive(Debug)]
pub(crate) struct Half {
    /// Initial sequence number.
    pub(crate) isn: u32,
    /// The sequence number expected next.
    pub(crate) next_seq: u32,
    /// The highest acknowledgment by the other side.
    pub(crate) last_ack: u32,
    /// The end of the window that the other side has offered.
    pub(crate) next_win: u32,
    /// That window's size, scaled.
    pub(crate) window: u32,
    last_ts: u32,
    /// Second of the packet that brought `last_ts`.
    last_ts_at: u32,
    /// Shift of the windows that the *other* side offers for this direction.
    pub(crate) wscale: u8,
    /// The sender uses timestamps.
    pub(crate) timestamps: bool,
    /// The sequence number of the packet with the FIN that counts, and the one after it; both the same: there
    /// was none.
    fin_start: u32,
    fin_end: u32,
    /// It has sent a reset that counts.
    pub(crate) reset: bool,
    /// It has been seen to send.
    pub(crate) seen: bool,
    pub(crate) stream: Stream,
    /// Bytes that are no part of the stream, once there are any.
    pub(crate) urgent: Option<Box<Urgent>>,
}

impl Half {
    pub(crate) fn new() -> Self {
        Self {
            isn: 0,
            next_seq: 0,
            last_ack: 0,
            next_win: 0,
            window: 0,
            last_ts: 0,
            last_ts_at: 0,
            wscale: 0,
            timestamps: false,
            fin_start: 0,
            fin_end: 0,
            reset: false,
            seen: false,
            stream: Stream::new(),
            urgent: None,
        }
    }

    /// Begins with an initial sequence number: the stream begins one after it.
    pub(crate) fn begin(&mut self, isn: u32) {
        self.isn = isn;
        self.next_seq = isn.wrapping_add(1);
        self.last_ack = self.next_seq;
        self.next_win = self.next_seq;
        self.stream.set_base(self.next_seq);
    }

    /// A sequence number as the stream counts, without urgent bytes.
    #[inline]
    pub(crate) fn placed(&self, seq: u32) -> u32 {
        match &self.urgent {
            None => seq,
            Some(urgent) => urgent.placed(seq),
        }
    }

    /// It has sent a FIN that counts, with the packet of these sequence numbers, the FIN's own included.
    pub(crate) fn finish(&mut self, start: u32, end: u32) {
        (self.fin_start, self.fin_end) = (start, end);
    }

    /// Whether it has sent a FIN that counts.
    #[inline]
    pub(crate) fn has_finished(&self) -> bool {
        self.fin_start != self.fin_end
    }

    /// Whether a sequence number is the FIN's, or of the packet that brought it, or the next.
    pub(crate) fn is_of_fin(&self, seq: u32) -> bool {
        let last = self.fin_end.wrapping_sub(self.fin_start);
        self.has_finished() && seq.wrapping_sub(self.fin_start) <= last
    }

    /// Whether more than its SYN has been seen of it.
    pub(crate) fn has_sent(&self) -> bool {
        self.next_seq != self.isn.wrapping_add(1)
    }

    /// The window that the other side offers, from a packet's header.
    #[inline]
    pub(crate) fn scaled(&self, window: u16) -> u32 {
        u32::from(window) << self.wscale.min(MAX_WSCALE)
    }

    /// Takes note of an acknowledgment; an older one than known changes nothing.
    #[inline]
    pub(crate) fn acknowledge(&mut self, ack: u32) {
        if seq::gt(ack, self.last_ack) {
            self.last_ack = ack;
        }
        self.stream.acknowledge(self.placed(ack));
    }

    /// Takes note of an acknowledgment and of the window that comes with it.
    #[inline]
    pub(crate) fn offer(&mut self, ack: u32, window: u32) {
        self.window = window;
        self.acknowledge(ack);
        let edge = self.last_ack.wrapping_add(window);
        if seq::gt(edge, self.next_win) {
            self.next_win = edge;
        }
    }

    /// Takes note of a timestamp that begins the connection.
    pub(crate) fn begin_timestamps(&mut self, timestamps: Option<(u32, u32)>, second: u32) {
        self.timestamps = timestamps.is_some();
        if let Some((value, _)) = timestamps {
            self.last_ts = value;
            self.last_ts_at = second;
        }
    }

    /// Whether a timestamp is no older than what was seen (PAWS, RFC 7323, 5), for a packet of
    /// sequence number `seq`.
    pub(crate) fn timestamp_fits(&self, value: u32, seq: u32, second: u32, policy: Policy) -> bool {
        if self.last_ts == 0 || value == 0 {
            // Not all systems have a clock to begin with.
            return true;
        }
        let idle = second > self.last_ts_at.saturating_add(PAWS_IDLE);
        let oldest = self.last_ts.wrapping_sub(policy.timestamp_slack());
        if seq::geq(value, oldest) && !idle {
            return true;
        }
        idle && seq == self.next_seq
    }

    /// Takes note of the timestamp of a packet that counts.
    #[inline]
    pub(crate) fn take_timestamp(&mut self, value: u32, seq: u32, second: u32) {
        let idle = second > self.last_ts_at.saturating_add(PAWS_IDLE);
        if seq::geq(seq, self.next_seq)
            && (self.last_ts == 0 || seq::geq(value, self.last_ts) || idle)
        {
            self.last_ts = value;
            self.last_ts_at = second;
        }
    }
}
