//! Traffic made to be costly, through the engine's core: whether its work stays in proportion to the
//! bytes. `scripts/linear` counts the instructions of it for so many bytes and for twice as many.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use engine::counters::Counters;
use engine::emit::{Emitter, WhenFull};
use engine::mailbox::Delivery;
use engine::part::PacketInfo;
use engine::pipeline::{Core, CoreConfig};
use engine::scope::Scope;
use engine::{Settings, Snapshot};
use flow::FlowConfig;
use hyperscan::PaddedBuf;
use rtrb::RingBuffer;
use traffic::frame::{self, tcp_flag};
use traffic::{Path, Side};
use wire::LinkType;

use crate::material;

/// Rules that the attacks aim at: a pattern that is everywhere with one that never comes, and expressions
/// that try many ways.
const RULES: &str = r#"
alert tcp any any -> any any (msg:"everywhere"; content:"aa"; content:"never there"; distance:0; sid:1;)
alert tcp any any -> any any (msg:"chain"; content:"aa"; content:"a"; distance:1; content:"a"; distance:1; content:"zz"; within:4; sid:2;)
alert tcp any any -> any any (msg:"nested"; content:"bait"; pcre:"/(x+x+)+y/"; sid:3;)
alert tcp any any -> any any (msg:"dots"; content:"bait"; pcre:"/bait.*x.*x.*y/s"; sid:4;)
alert http any any -> any any (msg:"header"; http.header; content:"never there"; sid:5;)
alert udp any any -> any any (msg:"datagram"; content:"never there"; sid:6;)
"#;

/// Bytes of payload of a full segment.
const FULL: usize = 1400;

/// Sends so many packets, or so many units of 64 bytes.
pub type Attack = fn(&mut Target, u32);

/// The attacks by name.
pub const ATTACKS: [(&str, Attack); 11] = [
    ("small-segments", small_segments),
    ("out-of-order", out_of_order),
    ("overlaps", overlaps),
    ("many-matches", many_matches),
    ("regex-bait", regex_bait),
    ("header-lines", header_lines),
    ("flows", flows),
    ("connections", connections),
    ("answers-to-nothing", answers_to_nothing),
    ("fragments", fragments),
    ("datagrams-in-pieces", datagrams_in_pieces),
];

/// A core of the engine, and the frame that it is given next.
#[derive(Debug)]
pub struct Target {
    core: Core,
    frame: Vec<u8>,
    padded: PaddedBuf,
    now: u64,
    order: u64,
}

impl Target {
    /// A core with the rules that the attacks aim at.
    ///
    /// # Errors
    /// Hyperscan's and PCRE's.
    pub fn new() -> anyhow::Result<Self> {
        let rules = material::ruleset(RULES)?;
        let snapshot = Snapshot::new(1, Scope::everything(), Arc::new(rules), Settings::default());
        let scratch = snapshot.rules.scratch()?;
        let delivery = Box::new(Delivery { snapshot: Arc::new(snapshot), scratch });
        let config = CoreConfig {
            // The seed is fixed, so that instructions can be compared; sizes are such that none of the
            // attacks meets a bound.
            flows: FlowConfig { hash_seed: Some(1), ..FlowConfig::default() },
            ..CoreConfig::default()
        };
        let emitter = Emitter::new(RingBuffer::new(64).0, WhenFull::Lose, 0);
        let core = Core::new(config, delivery, Arc::<Counters>::default(), emitter)?;
        let (frame, padded) = (Vec::new(), PaddedBuf::with_capacity(1 << 16));
        Ok(Self { core, frame, padded, now: traffic::START * 1000, order: 0 })
    }

    /// Gives the core the frame that was made.
    fn send(&mut self) {
        self.now += 1000;
        self.order += 1;
        let info = PacketInfo {
            timestamp: self.now,
            clock: self.now,
            order: self.order,
            link: Some(LinkType::Ethernet),
            wire_len: u32::try_from(self.frame.len()).unwrap_or(u32::MAX),
            ignore_checksums: true,
        };
        self.padded.clear();
        self.padded.extend_from_slice(&self.frame);
        inspect(&mut self.core, self.padded.as_bytes(), info);
        self.frame.clear();
    }

    fn tcp(&mut self, path: &Path, side: Side, (seq, ack): (u32, u32), flags: u8, payload: &[u8]) {
        let header = frame::Tcp { seq, ack, flags, options: &[] };
        frame::tcp(&mut self.frame, path, side, 1, &header, payload);
        self.send();
    }

    /// A connection's three packets; both sides begin at 0.
    fn connect(&mut self, path: &Path) {
        self.tcp(path, Side::Client, (0, 0), tcp_flag::SYN, b"");
        self.tcp(path, Side::Server, (0, 1), tcp_flag::SYN | tcp_flag::ACK, b"");
        self.tcp(path, Side::Client, (1, 1), tcp_flag::ACK, b"");
    }

    /// What the client says, from its first byte on, and the server acknowledges.
    fn talk(&mut self, path: &Path, bytes: &[u8], segment: usize) {
        self.connect(path);
        let mut seq = 1;
        for part in bytes.chunks(segment) {
            self.tcp(path, Side::Client, (seq, 1), tcp_flag::ACK, part);
            seq += part.len() as u32;
            self.tcp(path, Side::Server, (1, seq), tcp_flag::ACK, b"");
        }
    }

    /// Every flow ends; answers what went in and what came of it.
    ///
    /// # Errors
    /// The ledger does not balance.
    pub fn end(mut self) -> anyhow::Result<(u64, u64)> {
        finish(&mut self.core);
        let counters = self.core.counters();
        let fates = counters.inspected.get() + counters.unscoped.get() + counters.dropped_total();
        anyhow::ensure!(fates == self.order, "{} packets went in, {fates} have a fate", self.order);
        Ok((self.order, counters.inspected.get()))
    }
}

/// What is counted, by its name.
#[inline(never)]
fn inspect(core: &mut Core, frame: &[u8], info: PacketInfo) {
    let _fate = core.packet(frame, frame.len(), info, false);
    core.pass_time(info.clock, 1);
}

/// What is counted, by its name.
#[inline(never)]
fn finish(core: &mut Core) {
    core.finish(0);
}

/// The path of one of many clients.
fn path(number: u32, port: u16) -> Path {
    let client = IpAddr::V4(Ipv4Addr::from(0xc612_0000 + (number >> 8)));
    let server = SocketAddr::new(Ipv4Addr::new(10, 244, 1, 10).into(), port);
    Path::new(SocketAddr::new(client, 1024 + (number & 0xff) as u16), server)
}

/// A connection in segments of one byte.
fn small_segments(target: &mut Target, n: u32) {
    target.talk(&path(0, 4000), &vec![b'a'; n as usize], 1);
}

/// Segments with holes between them, the last one first; then what is missing, the last one first.
fn out_of_order(target: &mut Target, n: u32) {
    for connection in 0..n.div_ceil(1000) {
        let path = path(connection, 4000);
        target.connect(&path);
        let pieces = (n - connection * 1000).min(1000);
        for odd in [1, 0] {
            for piece in (0..pieces).rev().filter(|piece| piece % 2 == odd) {
                target.tcp(&path, Side::Client, (1 + piece * 16, 1), tcp_flag::ACK, &[b'a'; 16]);
            }
        }
        target.tcp(&path, Side::Server, (1, 1 + pieces * 16), tcp_flag::ACK, b"");
    }
}

/// Segments that each lie over those before, with other bytes.
fn overlaps(target: &mut Target, n: u32) {
    let path = path(0, 4000);
    target.connect(&path);
    for piece in 0..n {
        let bytes = [b'a' + (piece % 26) as u8; 64];
        target.tcp(&path, Side::Client, (1 + piece * 8, 1), tcp_flag::ACK, &bytes);
        if piece % 512 == 511 {
            target.tcp(&path, Side::Server, (1, 1 + piece * 8), tcp_flag::ACK, b"");
        }
    }
}

/// A stream of one letter, in which a rule's patterns are everywhere and the last never comes.
fn many_matches(target: &mut Target, n: u32) {
    target.talk(&path(0, 4000), &vec![b'a'; n as usize * 64], FULL);
}

/// What expressions with nested repetitions have to try many ways on.
fn regex_bait(target: &mut Target, n: u32) {
    let mut bytes = vec![b'x'; n as usize * 64];
    bytes.chunks_mut(256).for_each(|part| {
        if let Some(head) = part.get_mut(..4) {
            head.copy_from_slice(b"bait");
        }
    });
    target.talk(&path(0, 4000), &bytes, FULL);
}

/// Requests of many short header lines, in small segments.
fn header_lines(target: &mut Target, n: u32) {
    let mut bytes = Vec::new();
    for line in 0..n {
        if line % 64 == 0 {
            bytes.extend_from_slice(if line == 0 {
                b"GET / HTTP/1.1\r\n"
            } else {
                b"\r\nGET / HTTP/1.1\r\n"
            });
        }
        bytes.extend(format!("H{}: v\r\n", line % 64).bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    target.talk(&path(0, 80), &bytes, 16);
}

/// A flow for every packet.
fn flows(target: &mut Target, n: u32) {
    for number in 0..n {
        frame::udp(&mut target.frame, &path(number, 4000), Side::Client, 1, b"x");
        target.send();
    }
}

/// A connection for every other packet, each with bytes that wait for those before them.
fn connections(target: &mut Target, n: u32) {
    for number in 0..n {
        let path = path(number, 4000);
        target.tcp(&path, Side::Client, (0, 0), tcp_flag::SYN, b"");
        target.tcp(&path, Side::Server, (0, 1), tcp_flag::SYN | tcp_flag::ACK, b"");
        target.tcp(&path, Side::Client, (100, 1), tcp_flag::ACK, b"waits");
    }
}

/// A connection in which each side acknowledges what the other has not sent, so that both wait for it.
fn answers_to_nothing(target: &mut Target, n: u32) {
    let path = path(1, 4000);
    target.connect(&path);
    for number in 0..n {
        let (seq, ack) = (1 + 10 * number, 500_000 + 10 * number);
        let side = if number % 2 == 0 { Side::Client } else { Side::Server };
        target.tcp(&path, side, (seq, ack), tcp_flag::ACK, b"0123456789");
    }
}

/// First fragments of datagrams that never come.
fn fragments(target: &mut Target, n: u32) {
    for number in 0..n {
        let path = path(number, 4000);
        let first =
            frame::udp_fragments(&path, Side::Client, 7, &[b'x'; 64], 32).into_iter().next();
        target.frame = first.unwrap_or_default();
        target.send();
    }
}

/// Datagrams in pieces of eight bytes, the last one first.
fn datagrams_in_pieces(target: &mut Target, n: u32) {
    let mut left = n;
    let mut number = 0;
    while left > 0 {
        let pieces = left.min(1000);
        let payload = vec![b'x'; pieces as usize * 8 - 8];
        let parts = frame::udp_fragments(&path(number, 4000), Side::Client, 9, &payload, 8);
        for part in parts.into_iter().rev() {
            target.frame = part;
            target.send();
        }
        left -= pieces;
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_reaches_the_core_and_its_packets_are_accounted_for() {
        for (name, attack) in ATTACKS {
            let mut target = Target::new().unwrap();
            attack(&mut target, 200);
            let (packets, inspected) = target.end().unwrap();
            assert!(packets > 10, "{name}: {packets}");
            assert_eq!(packets, inspected, "{name}");
        }
    }
}
