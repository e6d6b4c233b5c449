//! Where frames go: a [`Track`] keeps them for later, [`Clocked`] streams them to a capture.

use std::io::{self, Write};

use crate::{PcapWriter, Random, START};

/// A frame and when it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Microseconds since the Unix epoch.
    pub time: u64,
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
}

/// Takes frames in the order in which they are seen.
pub trait Sink {
    /// Takes one.
    ///
    /// # Errors
    /// Those of the writer behind it.
    fn put(&mut self, frame: &[u8]) -> io::Result<()>;
}

/// The frames of one conversation, kept with a time each, to be merged with others.
#[derive(Debug, Clone)]
pub struct Track {
    packets: Vec<Packet>,
    now: u64,
    gaps: Random,
}

impl Track {
    /// Begins `after` microseconds after [`START`]; the gaps between frames follow from `seed`.
    pub fn new(after: u64, seed: u64) -> Self {
        Self { packets: Vec::new(), now: START + after, gaps: Random::new(seed) }
    }

    /// Lets time go by before the next frame.
    pub fn pause(&mut self, micros: u64) {
        self.now += micros;
    }

    /// The frames, in time order.
    pub fn into_packets(self) -> Vec<Packet> {
        self.packets
    }
}

impl Sink for Track {
    fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        self.packets.push(Packet { time: self.now, bytes: frame.to_vec() });
        self.now += 40 + self.gaps.below(400);
        Ok(())
    }
}

/// Writes frames to a capture at an even rate, up to a limit; holds none of them.
#[derive(Debug)]
pub struct Clocked<W> {
    pcap: PcapWriter<W>,
    rate: u64,
    limit: u64,
}

impl<W: Write> Clocked<W> {
    /// `rate` is in frames a second of the capture's own time (at least 1); frames beyond `limit`
    /// are left out.
    pub fn new(pcap: PcapWriter<W>, rate: u64, limit: u64) -> Self {
        Self { pcap, rate: rate.max(1), limit }
    }

    /// How many frames were written.
    pub fn written(&self) -> u64 {
        self.pcap.packets()
    }

    /// Whether the limit is reached.
    pub fn is_full(&self) -> bool {
        self.written() >= self.limit
    }

    /// The capture.
    pub fn into_pcap(self) -> PcapWriter<W> {
        self.pcap
    }
}

impl<W: Write> Sink for Clocked<W> {
    fn put(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let micros = u128::from(self.written()) * 1_000_000 / u128::from(self.rate);
        self.pcap.write(START + micros as u64, frame)
    }
}
