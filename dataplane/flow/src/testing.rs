//! A conversation over a TCP connection, for tests and fuzz targets (feature `testing`): it panics where a
//! connection breaks its promises.

use wire::tcp_flag::{ACK, SYN};
use wire::{Direction, Tcp, TcpOptions};

use crate::tcp::{Chunk, Memory, Segment, StreamConfig, TcpOutcome, TcpSession};

/// A conversation and what has come of it. Sequence numbers are relative to each side's first.
#[derive(Debug)]
pub struct Talk {
    /// The connection.
    pub session: TcpSession,
    /// How it is tracked.
    pub config: StreamConfig,
    /// What it buffers is counted here.
    pub memory: Memory,
    /// The next segments' options.
    pub options: TcpOptions,
    /// The next segments' window.
    pub window: u16,
    /// Each side's first sequence number.
    pub isn: [u32; 2],
    /// When the latest segment came; the next one comes a millisecond later.
    pub now: u64,
    /// By direction: what the application parser got.
    pub app: [Vec<u8>; 2],
    /// What stands for a gap in that; None: as many NULs as bytes are missing, up to a million.
    pub gap: Option<u8>,
}

impl Talk {
    /// A connection of which nothing was seen.
    pub fn of(config: StreamConfig, isn: [u32; 2]) -> Self {
        Self {
            session: TcpSession::new(),
            config,
            memory: Memory::new(1 << 20),
            options: TcpOptions::default(),
            window: 0xffff,
            isn,
            now: 1_700_000_000_000_000_000,
            app: [Vec::new(), Vec::new()],
            gap: None,
        }
    }

    /// After a three-way handshake.
    #[must_use]
    pub fn shaken(mut self) -> Self {
        self.packet(Direction::ToServer, SYN, (0, 0), b"");
        self.packet(Direction::ToClient, SYN | ACK, (0, 1), b"");
        self.packet(Direction::ToServer, ACK, (1, 1), b"");
        self
    }

    /// Sends a segment with sequence and acknowledgment `(seq, ack)`.
    pub fn packet(
        &mut self,
        direction: Direction,
        flags: u8,
        places: (u32, u32),
        payload: &[u8],
    ) -> TcpOutcome {
        self.segment(direction, flags, places, 0, payload)
    }

    /// A segment's header.
    pub fn header(&self, direction: Direction, flags: u8, (seq, ack): (u32, u32)) -> Tcp {
        let (mine, theirs) = (self.isn[direction.index()], self.isn[direction.flip().index()]);
        Tcp {
            src_port: 1,
            dst_port: 2,
            seq: mine.wrapping_add(seq),
            ack: if flags & ACK != 0 { theirs.wrapping_add(ack) } else { 0 },
            flags,
            header_len: 20,
            window: self.window,
            urgent: 0,
            header: 0,
        }
    }

    /// [`Self::packet`] with an urgent pointer.
    pub fn segment(
        &mut self,
        direction: Direction,
        flags: u8,
        places: (u32, u32),
        urgent: u16,
        payload: &[u8],
    ) -> TcpOutcome {
        let tcp = Tcp { urgent, ..self.header(direction, flags, places) };
        self.now += 1_000_000;
        let segment = Segment { tcp: &tcp, options: self.options, payload };
        self.session.packet(&segment, direction, self.now, &self.config, &self.memory)
    }

    /// The parser takes all that there is.
    pub fn take_app(&mut self) {
        for direction in Direction::BOTH {
            loop {
                let app = &mut self.app[direction.index()];
                let taken = match (self.session.app_next(direction), self.gap) {
                    (Chunk::Data(data), _) => {
                        app.extend_from_slice(data);
                        data.len() as u64
                    }
                    (Chunk::Gap(missing), Some(mark)) => {
                        app.push(mark);
                        missing
                    }
                    (Chunk::Gap(missing), None) => {
                        app.resize(app.len() + missing.min(1 << 20) as usize, 0);
                        missing
                    }
                    (Chunk::Nothing, _) => break,
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
