//! Which packets come before what they answer: a mirror's two directions need not be in step.

use wire::{Direction, Tcp, tcp_flag};

use super::half::Half;
use super::seq;
use super::session::TcpSession;
use super::state::TcpState;

/// How far beyond what was seen an acknowledgment may be to be taken for one of what is still to come: the
/// largest window (RFC 7323, 2.3).
const FURTHEST: i32 = 1 << 30;

impl TcpSession {
    /// Whether a packet answers what was not seen yet: a SYN/ACK without its SYN, the client's ACK without the
    /// SYN/ACK, an acknowledgment of more than the other side was seen to send, or of a hole in it.
    #[inline]
    pub fn is_ahead(&self, tcp: &Tcp, direction: Direction) -> bool {
        if !tcp.has(tcp_flag::ACK) {
            return false;
        }
        let other = &self.halves[direction.flip().index()];
        match self.state {
            TcpState::None => Self::lacks_syn(tcp),
            TcpState::SynSent => {
                direction == Direction::ToServer
                    && !other.seen
                    && !tcp.has(tcp_flag::SYN)
                    && !self.handshake.is_odd()
            }
            // The answer to the first SYN of a connection between the same ends.
            TcpState::LastAck | TcpState::TimeWait | TcpState::Closed if tcp.has(tcp_flag::SYN) => {
                direction == Direction::ToClient && tcp.ack != other.isn.wrapping_add(1)
            }
            _ => {
                let beyond = seq::diff(tcp.ack, other.sent_upto());
                let lacks = match beyond > 0 {
                    true => beyond <= FURTHEST,
                    false => {
                        seq::gt(tcp.ack, other.last_ack)
                            && other.stream.lacks_before(other.placed(tcp.ack))
                    }
                };
                lacks && other.seen && !self.handshake.is_odd()
            }
        }
    }

    /// The same of the first packet of a connection of which nothing is known.
    #[inline]
    pub fn lacks_syn(tcp: &Tcp) -> bool {
        const OPENING: u8 = tcp_flag::SYN | tcp_flag::ACK;
        tcp.flags & (OPENING | tcp_flag::RST | tcp_flag::FIN) == OPENING
    }
}

impl Half {
    /// The sequence number after all that it was seen to send, a FIN included.
    #[inline]
    fn sent_upto(&self) -> u32 {
        match self.fin_end() {
            Some(end) if seq::gt(end, self.next_seq) => end,
            _ => self.next_seq,
        }
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

    fn is_ahead(talk: &Talk, direction: Direction, flags: u8, places: (u32, u32)) -> bool {
        talk.session.is_ahead(&talk.header(direction, flags, places), direction)
    }

    #[test]
    fn an_answer_is_ahead_until_what_it_answers_has_come() {
        let mut talk = talk();
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)));
        assert!(is_ahead(&talk, SERVER, SYN | ACK, (0, 1)));
        assert!(!is_ahead(&talk, SERVER, RST | ACK, (0, 1)), "nobody answers that");
        assert!(!is_ahead(&talk, SERVER, PSH | ACK, (1, 1)), "taken up in the midst");
        talk.packet(CLIENT, SYN, (0, 0), b"");
        assert!(!is_ahead(&talk, SERVER, SYN | ACK, (0, 1)));
        assert!(is_ahead(&talk, CLIENT, ACK, (1, 1)), "the SYN/ACK has not come");
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)), "again");
        talk.packet(SERVER, SYN | ACK, (0, 1), b"");
        assert!(is_ahead(&talk, SERVER, ACK, (1, 21)), "of a request that has not come");
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
        assert!(is_ahead(&talk, SERVER, ACK, (1, 3)));
        talk.packet(SERVER, FIN | ACK, (1, 2), b"bye");
        assert!(!is_ahead(&talk, CLIENT, ACK, (2, 5)));
        talk.packet(CLIENT, ACK, (2, 5), b"");
        // The next one between the same ends.
        talk.isn[CLIENT.index()] = 0x5000;
        assert!(is_ahead(&talk, SERVER, SYN | ACK, (9_000, 1)));
        assert!(!is_ahead(&talk, CLIENT, SYN, (0, 0)));
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
