//! A TCP connection as the reassembly sees it, with sequence numbers relative to each side's first.

use flow::{Chunk, Memory, Segment, StreamConfig, TcpOutcome, TcpSession};
use wire::tcp_flag::{ACK, SYN};
use wire::{Direction, Tcp, TcpOptions};

/// Bytes that a conversation may buffer.
pub const MEMORY: u64 = 1 << 20;

/// A conversation and what has come of it.
#[derive(Debug)]
pub struct Talk {
    /// The connection.
    pub session: TcpSession,
    /// How it is tracked.
    pub config: StreamConfig,
    /// What it buffers is counted here.
    pub memory: Memory,
    /// By direction: what the application parser got; a gap is as many NULs.
    pub app: [Vec<u8>; 2],
    isn: [u32; 2],
    now: u64,
}

impl Talk {
    /// A connection of which nothing was seen.
    pub fn new(config: StreamConfig, isn: [u32; 2]) -> Self {
        Self {
            session: TcpSession::new(),
            config,
            memory: Memory::new(MEMORY),
            app: [Vec::new(), Vec::new()],
            isn,
            now: 1_700_000_000_000_000_000,
        }
    }

    /// After a three-way handshake.
    pub fn established(config: StreamConfig, isn: [u32; 2]) -> Self {
        let mut talk = Self::new(config, isn);
        talk.send(Direction::ToServer, SYN, (0, 0), TcpOptions::default(), b"");
        talk.send(Direction::ToClient, SYN | ACK, (0, 1), TcpOptions::default(), b"");
        talk.send(Direction::ToServer, ACK, (1, 1), TcpOptions::default(), b"");
        talk
    }

    /// Sends a segment with sequence and acknowledgment `(seq, ack)`.
    pub fn send(
        &mut self,
        direction: Direction,
        flags: u8,
        (seq, ack): (u32, u32),
        options: TcpOptions,
        payload: &[u8],
    ) -> TcpOutcome {
        let (mine, theirs) = (self.isn[direction.index()], self.isn[direction.flip().index()]);
        let tcp = Tcp {
            src_port: 1,
            dst_port: 2,
            seq: mine.wrapping_add(seq),
            ack: if flags & ACK != 0 { theirs.wrapping_add(ack) } else { 0 },
            flags,
            header_len: 20,
            window: 0xffff,
            urgent: 0,
            header: 0,
        };
        self.now += 1_000_000;
        let segment = Segment { tcp: &tcp, options, payload };
        self.session.packet(&segment, direction, self.now, &self.config, &self.memory)
    }

    /// The parser takes all that there is.
    pub fn take_app(&mut self) {
        for direction in Direction::BOTH {
            loop {
                let app = &mut self.app[direction.index()];
                let taken = match self.session.app_next(direction) {
                    Chunk::Data(data) => {
                        app.extend_from_slice(data);
                        data.len() as u64
                    }
                    Chunk::Gap(missing) => {
                        app.resize(app.len() + missing.min(1 << 20) as usize, 0);
                        missing
                    }
                    Chunk::Nothing => break,
                };
                self.session.app_consumed(direction, taken);
            }
        }
    }

    /// Raw inspection takes all that there is.
    pub fn take_raw(&mut self) {
        for direction in Direction::BOTH {
            loop {
                let window = self.session.raw_window(direction);
                if window.is_empty() {
                    break;
                }
                assert!(window.new_from <= window.data.len());
                assert_eq!(window.padded.get(..window.data.len()), Some(window.data));
                let end = window.end();
                self.session.raw_consumed(direction, end);
            }
        }
    }

    /// Ends the connection, and looks that nothing is left of it.
    pub fn finish(mut self) -> [Vec<u8>; 2] {
        self.session.flush();
        self.take_app();
        self.take_raw();
        assert!(Direction::BOTH.iter().all(|&way| !self.session.has_pending(way)));
        drop(self.session);
        assert_eq!(self.memory.used(), 0, "memory is given back");
        self.app
    }
}
