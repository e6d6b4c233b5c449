//! TCP reassembly with both of its consumers: full segments in order, each acknowledged, and the
//! same in reverse order eight at a time.

use std::hint::black_box;

use benches::material::FULL;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flow::{Chunk, Memory, Segment, StreamConfig, TcpSession, TcpState};
use wire::tcp_flag::{ACK, SYN};
use wire::{Direction, Tcp, TcpOptions};

/// Segments of an iteration.
const SEGMENTS: u32 = 8;

/// A connection whose client sends without end.
struct Sender {
    session: TcpSession,
    config: StreamConfig,
    memory: Memory,
    now: u64,
    next: u32,
    taken: u64,
    inspected: u64,
}

impl Sender {
    fn established() -> Self {
        let mut sender = Self {
            session: TcpSession::new(),
            // All of a connection that never ends.
            config: StreamConfig { depth: 0, ..StreamConfig::default() },
            memory: Memory::new(64 << 20),
            now: 1_000_000_000_000,
            next: 1,
            taken: 0,
            inspected: 0,
        };
        sender.packet(Direction::ToServer, SYN, 0, 0, b"");
        sender.packet(Direction::ToClient, SYN | ACK, 0, 1, b"");
        sender.packet(Direction::ToServer, ACK, 1, 1, b"");
        assert_eq!(sender.session.state(), TcpState::Established);
        sender
    }

    fn packet(&mut self, direction: Direction, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        let (src_port, dst_port) = match direction {
            Direction::ToServer => (1, 2),
            Direction::ToClient => (2, 1),
        };
        let tcp = Tcp {
            src_port,
            dst_port,
            seq,
            ack,
            flags,
            header_len: 20,
            window: 65_535,
            urgent: 0,
            header: 0,
        };
        self.now += 1000;
        let segment = Segment { tcp: &tcp, options: TcpOptions::default(), payload };
        let done = self.session.packet(&segment, direction, self.now, &self.config, &self.memory);
        assert!(done.valid, "{done:?}");
    }

    /// What the engine does after every packet: the parser takes what is new, and the raw
    /// inspection once there is a chunk of it.
    fn consume(&mut self) {
        loop {
            let taken = match self.session.app_next(Direction::ToServer) {
                Chunk::Data(data) => black_box(data).len() as u64,
                Chunk::Gap(missing) => missing,
                Chunk::Nothing => break,
            };
            self.taken += taken;
            self.session.app_consumed(Direction::ToServer, taken);
        }
        if self.session.raw_ready(Direction::ToServer, &self.config) {
            let window = black_box(self.session.raw_window(Direction::ToServer));
            let end = window.end();
            self.inspected = end;
            self.session.raw_consumed(Direction::ToServer, end);
        }
    }

    /// Sends segments in this order, and acknowledges what is there without a gap.
    fn turn(&mut self, order: &[u32], payload: &[u8], acknowledge_each: bool) {
        let length = payload.len() as u32;
        for &at in order {
            let seq = self.next.wrapping_add(at * length);
            self.packet(Direction::ToServer, ACK, seq, 1, payload);
            if acknowledge_each {
                self.packet(Direction::ToClient, ACK, 1, seq.wrapping_add(length), b"");
            }
            self.consume();
        }
        self.next = self.next.wrapping_add(order.len() as u32 * length);
        if !acknowledge_each {
            self.packet(Direction::ToClient, ACK, 1, self.next, b"");
            self.consume();
        }
    }
}

fn streams(criterion: &mut Criterion) {
    let payload = vec![b'x'; FULL];
    let forward: Vec<u32> = (0..SEGMENTS).collect();
    let backward: Vec<u32> = (0..SEGMENTS).rev().collect();
    let mut group = criterion.benchmark_group("streams");
    group.throughput(Throughput::Bytes(u64::from(SEGMENTS) * FULL as u64));
    for (name, order, acknowledge_each) in
        [("in order", &forward, true), ("out of order", &backward, false)]
    {
        let mut sender = Sender::established();
        let mut sent = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                sender.turn(order, &payload, acknowledge_each);
                sent += u64::from(SEGMENTS) * FULL as u64;
            });
        });
        assert_eq!(sender.taken, sent, "the parser got every byte");
        assert!(sent - sender.inspected.min(sent) < u64::from(sender.config.toserver_chunk));
    }
    group.finish();
}

criterion_group!(benches, streams);
criterion_main!(benches);
