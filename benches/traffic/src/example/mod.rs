//! The example: a few seconds of a small cluster, seen at a mirror port of its two nodes.
//!
//! [`cluster`] says who is there and who inspects whom, as `deploy/examples/resources` does; the
//! rules that its attacks raise are in `deploy/examples/rules`.

mod attacks;
mod background;
pub mod cluster;
mod manifest;
mod noise;
mod scene;

use std::io;

use crate::{Packet, PcapWriter};

pub use manifest::{Expected, Fates, Manifest};

/// The example's packets, and what they must lead to.
#[derive(Debug, Clone)]
pub struct Example {
    /// In time order.
    pub packets: Vec<Packet>,
    /// What was planted.
    pub manifest: Manifest,
}

impl Example {
    /// The example of a seed. The seed changes times, sizes, ports and the order in which
    /// conversations overlap, and neither who talks with whom nor what is planted.
    ///
    /// # Errors
    /// None that can be met: frames are kept in memory.
    pub fn new(seed: u64) -> io::Result<Self> {
        let mut scene = scene::Scene::new(seed);
        background::play(&mut scene)?;
        attacks::play(&mut scene)?;
        noise::play(&mut scene)?;
        Ok(scene.finish())
    }

    /// Writes the capture.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write<W: io::Write>(&self, to: W) -> io::Result<W> {
        let mut pcap = PcapWriter::new(to)?;
        for packet in &self.packets {
            pcap.write(packet.time, &packet.bytes)?;
        }
        pcap.finish()
    }
}
