//! Which packets come before what they answer: a mirror's two directions need not be in step.

use wire::{Direction, Tcp, tcp_flag};

use super::half::Half;
use super::seq;
use super::session::TcpSession;
use super::state::TcpState;

/// How far beyond what was seen an acknowledgment may be to be taken for one of what is still to come: the
/// largest window (RFC 7323, 2.3).
const FURTHEST: i32 = 1 << 30;

/// Whether a packet comes in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As far as can be told it does.
    InPlace,
    /// The connection's SYN, or the SYN/ACK, has not come.
    BeforeOpening,
    /// It acknowledges what has not come: more than the other side was seen to send, or a hole in it.
    BeforeData,
}

impl TcpSession {
    /// Whether a packet comes in its place, by what has come before it.
    #[inline]
    pub fn order_of(&self, tcp: &Tcp, direction: Direction) -> Order {
        if !tcp.has(tcp_flag::ACK) || self.handshake.is_odd() {
            return Order::InPlace;
        }
        let (syn, rst) = (tcp.has(tcp_flag::SYN), tcp.has(tcp_flag::RST));
        let other = &self.halves[direction.flip().index()];
        let opens = match self.state {
            // A packet was refused before: nothing will come of the rest either, but by a new SYN.
            TcpState::None => !self.handshake.has_packets && Self::lacks_opening(tcp),
            TcpState::SynSent => !syn && !rst,
            // The answer to the first SYN of another connection between the same ends.
            TcpState::TimeWait | TcpState::LastAck | TcpState::Closed if syn => {
                direction == Direction::ToClient && tcp.ack != other.isn.wrapping_add(1)
            }
            _ => return if other.lacks(tcp.ack) { Order::BeforeData } else { Order::InPlace },
        };
        if opens { Order::BeforeOpening } else { Order::InPlace }
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

    fn order(talk: &Talk, direction: Direction, flags: u8, places: (u32, u32)) -> Order {
        talk.session.order_of(&talk.header(direction, flags, places), direction)
    }

    fn is_ahead(talk: &Talk, direction: Direction, flags: u8, places: (u32, u32)) -> bool {
        order(talk, direction, flags, places) != Order::InPlace
    }

    #[test]
    fn an_answer_is_ahead_until_what_it_answers_has_come() {
        let mut talk = talk();
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)));
        assert_eq!(order(&talk, SERVER, SYN | ACK, (0, 1)), Order::BeforeOpening);
        assert_eq!(order(&talk, SERVER, PSH | ACK, (1, 1)), Order::BeforeOpening);
        assert_eq!(order(&talk, SERVER, RST | ACK, (0, 1)), Order::BeforeOpening);
        talk.packet(CLIENT, SYN, (0, 0), b"");
        assert!(!is_ahead(&talk, SERVER, SYN | ACK, (0, 1)));
        for side in [CLIENT, SERVER] {
            let order = order(&talk, side, ACK, (1, 1));
            assert_eq!(order, Order::BeforeOpening, "the SYN/ACK has not come");
        }
        assert!(!is_ahead(&talk, SERVER, RST | ACK, (0, 1)), "refused");
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)), "again");
        talk.packet(SERVER, SYN | ACK, (0, 1), b"");
        assert_eq!(order(&talk, SERVER, ACK, (1, 21)), Order::BeforeData, "no request has come");
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
        assert_eq!(order(&talk, SERVER, SYN | ACK, (9_000, 1)), Order::BeforeOpening);
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
