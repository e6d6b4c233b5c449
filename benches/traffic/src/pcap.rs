//! [`PcapWriter`]: the classic capture format, little-endian, microseconds, link type Ethernet
//! (draft-ietf-opsawg-pcap). Nothing is held back but what the writer behind it buffers.

use std::io::{self, Write};

const MAGIC: u32 = 0xa1b2_c3d4;
const SNAPLEN: u32 = 262_144;
const ETHERNET: u32 = 1;

/// Writes a capture to a file, a pipe or memory.
#[derive(Debug)]
pub struct PcapWriter<W> {
    to: W,
    packets: u64,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header. `to` should be buffered.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn new(mut to: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC.to_le_bytes());
        header.extend(2_u16.to_le_bytes());
        header.extend(4_u16.to_le_bytes());
        header.extend([0; 8]);
        header.extend(SNAPLEN.to_le_bytes());
        header.extend(ETHERNET.to_le_bytes());
        to.write_all(&header)?;
        Ok(Self { to, packets: 0 })
    }

    /// Writes a frame, seen `time` microseconds after the Unix epoch.
    ///
    /// # Errors
    /// Those of the writer; a time after 2106 or a frame of more than 256 KiB is
    /// `InvalidInput`.
    pub fn write(&mut self, time: u64, frame: &[u8]) -> io::Result<()> {
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        let seconds =
            u32::try_from(time / 1_000_000).map_err(|_| invalid("a time beyond the format's"))?;
        let length = u32::try_from(frame.len()).ok().filter(|length| *length <= SNAPLEN);
        let length =
            length.ok_or_else(|| invalid("a frame beyond the format's snapshot length"))?;
        let mut header = [0; 16];
        let fields = [seconds, (time % 1_000_000) as u32, length, length];
        for (to, field) in header.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
            *to = field.to_le_bytes();
        }
        self.to.write_all(&header)?;
        self.to.write_all(frame)?;
        self.packets += 1;
        Ok(())
    }

    /// How many frames were written.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Flushes, and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_laid_out_as_the_format_says() {
        let mut pcap = PcapWriter::new(Vec::new()).unwrap();
        pcap.write(5_000_007, &[1, 2, 3]).unwrap();
        assert_eq!(pcap.packets(), 1);
        let bytes = pcap.finish().unwrap();
        assert_eq!(bytes.len(), 24 + 16 + 3);
        assert_eq!(bytes[..8], [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(bytes[20..24], [1, 0, 0, 0]);
        assert_eq!(bytes[24..40], [5, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(bytes[40..], [1, 2, 3]);
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused_and_nothing_written() {
        let mut pcap = PcapWriter::new(Vec::new()).unwrap();
        assert!(pcap.write(u64::MAX, &[]).is_err());
        assert!(pcap.write(0, &vec![0; 262_145]).is_err());
        assert_eq!(pcap.packets(), 0);
        assert_eq!(pcap.finish().unwrap().len(), 24);
    }
}
