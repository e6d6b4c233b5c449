//! Connections, packet by packet: what each does to the state and what comes of the streams.

mod closing;
mod data;
mod opening;

use proptest::prelude::*;
use wire::tcp_flag::{ACK, FIN, PSH, RST, SYN};
use wire::{Direction, Event};

use super::{Memory, StreamConfig, TcpOutcome, TcpSession, TcpState, seq};
use crate::testing::Talk;
use Direction::{ToClient, ToServer};

impl Talk {
    fn new() -> Self {
        let mut talk = Self::of(StreamConfig::default(), [0xffff_ff00, 77]);
        (talk.window, talk.gap) = (8192, Some(b'_'));
        talk
    }

    fn send(
        &mut self,
        direction: Direction,
        flags: u8,
        seq: u32,
        ack: u32,
        payload: &[u8],
    ) -> TcpOutcome {
        let done = self.packet(direction, flags, (seq, ack), payload);
        self.take_app();
        done
    }

    fn c(&mut self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> TcpOutcome {
        self.send(ToServer, flags, seq, ack, payload)
    }

    fn s(&mut self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> TcpOutcome {
        self.send(ToClient, flags, seq, ack, payload)
    }

    fn to_server(&self) -> &str {
        std::str::from_utf8(&self.app[0]).unwrap()
    }

    fn to_client(&self) -> &str {
        std::str::from_utf8(&self.app[1]).unwrap()
    }

    /// After a three-way handshake.
    fn established() -> Self {
        Self::new().open()
    }

    fn open(mut self) -> Self {
        assert_eq!(self.c(SYN, 0, 0, b"").state, TcpState::SynSent);
        assert_eq!(self.s(SYN | ACK, 0, 1, b"").state, TcpState::SynRecv);
        let done = self.c(ACK, 1, 1, b"");
        assert_eq!(done.state, TcpState::Established);
        assert!(done.established && !done.was_established);
        self
    }
}

proptest! {
    #[test]
    fn any_packets_whatever_leave_it_sane(
        packets in proptest::collection::vec(
            (any::<bool>(), 0u8..64, 0u32..300, 0u32..300, 0usize..200, any::<u16>(), 0u8..8),
            1..120,
        ),
        midstream: bool, async_oneside: bool,
    ) {
        let mut talk = Talk::new();
        talk.config.midstream = midstream;
        talk.config.async_oneside = async_oneside;
        talk.memory = Memory::new(20_000);
        for (to_server, flags, seq, ack, len, window, op) in packets {
            talk.window = window;
            talk.options.timestamps = (op == 0).then_some((seq, ack));
            talk.options.tfo = op == 1;
            let direction = if to_server { ToServer } else { ToClient };
            // Mostly the flags that lead somewhere.
            let flags = if op < 4 { [SYN, SYN | ACK, ACK, ACK | PSH][usize::from(op)] } else { flags };
            let done = talk.send(direction, flags, seq, ack, &vec![b'x'; len]);
            prop_assert!(!done.added || done.valid, "{:?}", done);
            prop_assert_eq!(done.state, talk.session.state());
            prop_assert!(talk.memory.used() <= 20_000);
            for direction in Direction::BOTH {
                let end = talk.session.raw_window(direction).end();
                if op == 7 { talk.session.raw_consumed(direction, end) }
            }
            if done.reuse {
                talk.session = TcpSession::new();
                prop_assert_eq!(talk.memory.used(), 0);
            }
        }
        talk.session.flush();
        talk.take_app();
        for direction in Direction::BOTH {
            loop {
                let window = talk.session.raw_window(direction);
                if window.is_empty() { break }
                let end = window.end();
                talk.session.raw_consumed(direction, end);
            }
            prop_assert!(!talk.session.has_pending(direction));
        }
        drop(talk.session);
        prop_assert_eq!(talk.memory.used(), 0);
    }

    #[test]
    fn a_lossy_reordered_conversation_gives_the_bytes_that_were_sent(
        order in Just((0..40u32).collect::<Vec<_>>()).prop_shuffle(), isn: u32,
    ) {
        let mut talk = Talk::new();
        talk.isn = [isn, !isn];
        let mut talk = talk.open();
        let whole: Vec<u8> = (0..40 * 10).map(|at| b'a' + (at % 23) as u8).collect();
        let mut have = [false; 40];
        for at in order {
            let from = at as usize * 10;
            prop_assert!(talk.c(ACK, 1 + at * 10, 1, &whole[from..from + 10]).added);
            have[at as usize] = true;
            let upto = have.iter().take_while(|has| **has).count() as u32;
            talk.s(ACK, 1, 1 + upto * 10, b"");
        }
        prop_assert_eq!(&talk.app[0], &whole);
        prop_assert!(seq::leq(talk.session.halves[0].last_ack, talk.session.halves[0].next_seq));
    }
}

#[test]
fn a_session_is_small() {
    // A size that the allocator has: the next one is 384.
    assert!(size_of::<TcpSession>() <= 320, "{}", size_of::<TcpSession>());
}

#[test]
fn acknowledgments_alone_take_no_memory() {
    let mut talk = Talk::established();
    for _ in 0..10 {
        talk.c(ACK, 1, 1, b"");
        talk.s(ACK, 1, 1, b"");
    }
    assert_eq!((talk.memory.used(), talk.session.buffered()), (0, 0));
}
