//! A reader of captures and a reassembler, as simple as can be: models to check the generator by.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use wire::{Config, Decoded, LinkType, Reject, Transport, tcp_flag};

/// A file of `deploy/examples`.
pub(crate) fn example_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy/examples").join(name)
}

/// The frames of a capture, and their times. Panics where it is not well-formed.
pub(crate) fn read(capture: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes[..4].try_into().unwrap());
    let (header, mut rest) = capture.split_at(24);
    assert_eq!((word(header), word(&header[20..])), (0xa1b2_c3d4, 1));
    let snaplen = word(&header[16..]);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (header, more) = rest.split_at(16);
        let (micros, length) = (word(&header[4..]), word(&header[8..]));
        assert!(micros < 1_000_000 && length <= snaplen && length == word(&header[12..]));
        let (frame, more) = more.split_at(length as usize);
        frames.push((u64::from(word(header)) * 1_000_000 + u64::from(micros), frame.to_vec()));
        rest = more;
    }
    frames
}

/// Decoded with all checksums verified, those of transports too.
pub(crate) fn decode(frame: &[u8]) -> Result<Decoded, Reject> {
    let decoded = wire::decode(LinkType::Ethernet, frame, &Config::default())?;
    if wire::checksum_ok(&decoded, frame) { Ok(decoded) } else { Err(Reject::BadChecksum) }
}

/// Source and destination of the inner-most packet.
pub(crate) fn ends(decoded: &Decoded) -> (SocketAddr, SocketAddr) {
    let (source, destination) = decoded.ports();
    let inner = decoded.inner();
    (SocketAddr::new(inner.src, source), SocketAddr::new(inner.dst, destination))
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
pub(crate) struct Direction {
    /// The sequence number of its SYN.
    pub(crate) first: u32,
    /// What it sent, from the SYN's place on: the SYN itself and a FIN are a byte each.
    pub(crate) bytes: Vec<Option<u8>>,
    /// The highest acknowledgment that it sent, as an offset into the other's bytes.
    pub(crate) acknowledged: usize,
    pub(crate) packets: usize,
    pub(crate) fin: bool,
    pub(crate) reset: bool,
}

impl Direction {
    /// The payload. Panics where there is a gap.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let end = self.bytes.len() - usize::from(self.fin);
        self.bytes[1..end].iter().map(|byte| byte.expect("a gap")).collect()
    }
}

pub(crate) type Directions = BTreeMap<(SocketAddr, SocketAddr), Direction>;

/// Puts all TCP connections together, by source and destination. Panics where a sequence number
/// is impossible: data before the handshake, other bytes in a place that was sent before, an
/// acknowledgment of what was never sent or that goes back, anything after the end.
pub(crate) fn reassemble<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Directions {
    let mut all = Directions::new();
    for frame in frames {
        let Ok(decoded) = decode(frame) else { continue };
        let Transport::Tcp(tcp) = &decoded.transport else { continue };
        let (source, destination) = ends(&decoded);
        let syn = tcp.flags & tcp_flag::SYN != 0;
        if syn {
            let began = Direction { first: tcp.seq, ..Direction::default() };
            assert!(all.insert((source, destination), began).is_none(), "a port is used again");
        }
        if tcp.flags & tcp_flag::ACK != 0 {
            let peer = &all[&(destination, source)];
            let acknowledged = tcp.ack.wrapping_sub(peer.first) as usize;
            assert!(acknowledged <= peer.bytes.len(), "{source} acknowledges what was never sent");
            let before = all.get(&(source, destination)).map_or(0, |own| own.acknowledged);
            assert!(acknowledged >= before, "{source} takes back");
            let received = peer.bytes[before..acknowledged].iter().all(Option::is_some);
            assert!(received, "{source} acknowledges what has not arrived");
            let own = all.get_mut(&(source, destination)).expect("an answer before the handshake");
            own.acknowledged = acknowledged;
        }
        let own = all.get_mut(&(source, destination)).expect("data before the handshake");
        assert!(!own.reset, "{source} goes on after a reset");
        own.packets += 1;
        own.reset = tcp.flags & tcp_flag::RST != 0;
        let fin = tcp.flags & tcp_flag::FIN != 0;
        let mut bytes = decoded.payload_of(frame).to_vec();
        if syn || fin {
            assert!(bytes.is_empty());
            bytes.push(0);
        }
        let start = tcp.seq.wrapping_sub(own.first) as usize;
        let end = start + bytes.len();
        assert!(end < 1 << 24, "{source} jumps");
        assert!(!own.fin || end <= own.bytes.len(), "{source} sends after its end");
        own.bytes.resize(own.bytes.len().max(end), None);
        for (place, byte) in own.bytes[start..end].iter_mut().zip(&bytes) {
            assert_eq!(*place.get_or_insert(*byte), *byte, "{source} changes what it sent");
        }
        own.fin |= fin;
    }
    all
}

/// Checks that all connections were carried to their end.
pub(crate) fn assert_complete(all: &Directions) {
    for ((source, destination), direction) in all {
        direction.payload();
        let peer = &all[&(*destination, *source)];
        if !direction.reset && !peer.reset {
            assert!(direction.fin, "{source} never ends");
            assert_eq!(peer.acknowledged, direction.bytes.len(), "{source} is not acknowledged");
        }
    }
}
