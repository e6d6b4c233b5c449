//! Which packets come before what they answer: a mirror's two directions need not be in step.

use wire::{Direction, Tcp, tcp_flag};

use super::half::Half;
use super::seq;
use super::session::TcpSession;
use super::state::TcpState;

/// How far beyond what was seen an acknowledgment may be to be taken for one of what is still to come: the
/// largest window (RFC 7323, 2.3).
const FURTHEST: i32 = 1 << 30;

/// What a packet comes before that is to come before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The connection's SYN, or the SYN/ACK.
    #[default]
    Opening,
    /// What it acknowledges: more than the other side was seen to send, or a hole in it.
    Data,
}

impl TcpSession {
    /// What is missing before a packet, by what has come; None: it is in its place, as far as can be told.
    #[inline]
    pub fn missing_before(&self, tcp: &Tcp, direction: Direction) -> Option<Missing> {
        if !Self::lacks_opening(tcp) || self.handshake.is_odd() {
            return None;
        }
        let (syn, rst) = (tcp.has(tcp_flag::SYN), tcp.has(tcp_flag::RST));
        let other = &self.halves[direction.flip().index()];
        let opening = match self.state {
            // Where a packet was refused nothing will come of the others either, but by a new SYN.
            TcpState::None => !self.handshake.has_packets,
            TcpState::SynSent => !syn && !rst,
            // The answer to the first SYN of another connection between the same ends.
            TcpState::TimeWait | TcpState::LastAck | TcpState::Closed if syn => {
                direction == Direction::ToClient && tcp.ack != other.isn.wrapping_add(1)
            }
            _ => return other.lacks(tcp.ack).then_some(Missing::Data),
        };
        opening.then_some(Missing::Opening)
    }

    /// Whether the first packet of a connection of which nothing is known would have another before it.
    #[inline]
    pub fn lacks_opening(tcp: &Tcp) -> bool {
        tcp.has(tcp_flag::ACK)
    }
}

impl Half {
    /// Whether something before `ack` has not come, of a side that is seen to send.
    #[inline]
    fn lacks(&self, ack: u32) -> bool {
        let more = seq::diff(ack, self.last_ack);
        self.seen && more > 0 && more <= FURTHEST && self.stream.lacks_before(self.placed(ack))
    }
}

#[cfg(test)]
mod tests {
    use wire::tcp_flag::{ACK, FIN, PSH, RST, SYN};

    use super::*;
    use crate::tcp::StreamConfig;
    use crate::testing::Talk;

    const CLIENT: Direction = Direction::ToServer;
    const SERVER: Direction = Direction::ToClient;

    fn talk() -> Talk {
        // The client's numbers wrap.
        Talk::of(StreamConfig::default(), [0xffff_fff0, 7])
    }

    fn missing(
        talk: &Talk,
        direction: Direction,
        flags: u8,
        places: (u32, u32),
    ) -> Option<Missing> {
        talk.session.missing_before(&talk.header(direction, flags, places), direction)
    }

    fn is_ahead(talk: &Talk, direction: Direction, flags: u8, places: (u32, u32)) -> bool {
        missing(talk, direction, flags, places).is_some()
    }

    #[test]
    fn an_answer_is_ahead_until_what_it_answers_has_come() {
        let mut talk = talk();
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)));
        assert_eq!(missing(&talk, SERVER, SYN | ACK, (0, 1)), Some(Missing::Opening));
        assert_eq!(missing(&talk, SERVER, PSH | ACK, (1, 1)), Some(Missing::Opening));
        assert_eq!(missing(&talk, SERVER, RST | ACK, (0, 1)), Some(Missing::Opening));
        talk.packet(CLIENT, SYN, (0, 0), b"");
        assert!(!is_ahead(&talk, SERVER, SYN | ACK, (0, 1)));
        for side in [CLIENT, SERVER] {
            let missing = missing(&talk, side, ACK, (1, 1));
            assert_eq!(missing, Some(Missing::Opening), "the SYN/ACK has not come");
        }
        assert!(!is_ahead(&talk, SERVER, RST | ACK, (0, 1)), "refused");
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)), "again");
        talk.packet(SERVER, SYN | ACK, (0, 1), b"");
        assert_eq!(
            missing(&talk, SERVER, ACK, (1, 21)),
            Some(Missing::Data),
            "no request has come"
        );
        assert!(!is_ahead(&talk, CLIENT, ACK, (1, 1)));
        talk.packet(CLIENT, ACK, (1, 1), b"");
        talk.packet(CLIENT, PSH | ACK, (1, 1), &[b'a'; 20]);
        assert!(!is_ahead(&talk, SERVER, ACK, (1, 21)));
        assert!(is_ahead(&talk, SERVER, ACK, (1, 22)));
        assert!(!is_ahead(&talk, SERVER, ACK, (1, 22 + FURTHEST as u32)), "that is none");
    }

    #[test]
    fn an_acknowledged_hole_is_to_be_filled_first() {
        let mut talk = talk().shaken();
        talk.packet(CLIENT, PSH | ACK, (6, 1), b"fghij");
        assert!(
            !is_ahead(&talk, SERVER, ACK, (1, 1)),
            "what comes out of order is acknowledged so"
        );
        assert!(is_ahead(&talk, SERVER, ACK, (1, 11)));
        talk.packet(CLIENT, ACK, (1, 1), b"abcde");
        assert!(!is_ahead(&talk, SERVER, ACK, (1, 11)));
        // Once it is given up, nothing waits for it.
        talk.packet(CLIENT, PSH | ACK, (21, 1), b"uvwxyz");
        assert!(is_ahead(&talk, SERVER, ACK, (1, 27)));
        talk.packet(SERVER, ACK, (1, 27), b"");
        talk.packet(CLIENT, PSH | ACK, (27, 1), b"0123");
        assert!(!is_ahead(&talk, SERVER, ACK, (1, 31)));
    }

    #[test]
    fn the_ends_of_a_connection_are_answered_like_data() {
        let mut talk = talk().shaken();
        talk.packet(CLIENT, FIN | ACK, (1, 1), b"");
        assert!(!is_ahead(&talk, SERVER, ACK, (1, 2)), "the FIN takes a number");
        talk.packet(SERVER, FIN | ACK, (1, 2), b"bye");
        assert!(!is_ahead(&talk, CLIENT, ACK, (2, 5)));
        talk.packet(CLIENT, ACK, (2, 5), b"");
        // The next one between the same ends.
        talk.isn[CLIENT.index()] = 0x5000;
        assert_eq!(missing(&talk, SERVER, SYN | ACK, (9_000, 1)), Some(Missing::Opening));
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)));
    }

    #[test]
    fn what_is_before_an_end_that_came_first_is_to_come_yet() {
        let mut talk = talk().shaken();
        talk.packet(SERVER, FIN | ACK, (4, 1), b"");
        assert!(is_ahead(&talk, CLIENT, ACK, (1, 5)));
        talk.packet(SERVER, PSH | ACK, (1, 1), b"bye");
        assert!(!is_ahead(&talk, CLIENT, ACK, (1, 5)));
        talk.packet(CLIENT, ACK, (1, 5), b"");
        assert!(!is_ahead(&talk, CLIENT, FIN | ACK, (1, 5)));
    }

    #[test]
    fn where_a_packet_was_refused_nothing_waits_for_an_opening() {
        let mut talk = talk();
        talk.packet(CLIENT, PSH | ACK, (1, 1), b"abc");
        assert!(!is_ahead(&talk, CLIENT, PSH | ACK, (4, 1)));
        assert!(!is_ahead(&talk, SERVER, ACK, (1, 4)));
    }

    #[test]
    fn nothing_is_said_of_a_side_that_was_never_seen() {
        let config = StreamConfig { midstream: true, ..StreamConfig::default() };
        let mut talk = Talk::of(config, [100, 200]);
        talk.packet(CLIENT, PSH | ACK, (1, 1), b"abc");
        assert!(!is_ahead(&talk, CLIENT, ACK, (4, 500)));
        let config = StreamConfig { async_oneside: true, ..StreamConfig::default() };
        let mut talk = Talk::of(config, [100, 200]);
        talk.packet(CLIENT, SYN, (0, 0), b"");
        assert!(!is_ahead(&talk, CLIENT, ACK, (1, 1)), "the other direction is not expected");
    }
}
