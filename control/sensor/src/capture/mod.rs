//! Reads capture files, pcap and pcapng, frame by frame, in memory that does not depend on the
//! file's size. What a file says wrong is told with the file's name and the frame's number.

mod pcap;

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator as _};
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};
use thiserror::Error;

use self::pcap::Stop;

/// What fits into the reader: more than the largest frame that any capture library writes.
const BUFFER: usize = 1 << 20;

/// Why a file is no capture, or no more.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// It cannot be opened or read.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It has no bytes.
    #[error("{}: the file is empty; a capture has at least a header", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Its first bytes are those of no capture format.
    #[error(
        "{}: this is neither a pcap nor a pcapng file; convert it (editcap -F pcap) or check the name",
        path.display()
    )]
    NotACapture {
        /// The file.
        path: PathBuf,
    },
    /// Something in the middle makes no sense.
    #[error("{}: damaged after frame {frame}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Frames read before.
        frame: u64,
        /// What is wrong.
        reason: String,
    },
}

/// One captured frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Nanoseconds since 1970.
    pub timestamp: u64,
    /// LINKTYPE as in the file.
    pub link: u32,
    /// Length on the wire.
    pub wire_len: u32,
    /// What was captured.
    pub data: &'a [u8],
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// After its last frame.
    Complete,
    /// In the middle of a frame: the text says where.
    CutOff(String),
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    /// Units per second of its timestamps.
    resolution: u64,
    /// Seconds to add.
    offset: i64,
}

/// The interfaces that a pcapng file has named so far.
#[derive(Debug, Default)]
struct Interfaces(Vec<Interface>);

impl Interfaces {
    /// The frame in a block, if it has one.
    fn frame<'a>(&mut self, block: &'a PcapBlockOwned<'a>) -> Option<Frame<'a>> {
        match block {
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.0.clear();
                None
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                self.0.push(Interface {
                    link: u32::try_from(interface.linktype.0).unwrap_or(u32::MAX),
                    resolution: interface.ts_resolution().unwrap_or(1_000_000).max(1),
                    offset: interface.ts_offset(),
                });
                None
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let interface = self.0.get(packet.if_id as usize)?;
                let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let nanoseconds =
                    u128::from(ticks) * 1_000_000_000 / u128::from(interface.resolution);
                let offset = i128::from(interface.offset) * 1_000_000_000;
                let timestamp = i128::try_from(nanoseconds).unwrap_or(0).saturating_add(offset);
                Some(Frame {
                    timestamp: u64::try_from(timestamp.max(0)).unwrap_or(u64::MAX),
                    link: interface.link,
                    wire_len: packet.origlen,
                    data: packet.packet_data(),
                })
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let interface = self.0.first()?;
                let data = packet.packet_data();
                Some(Frame { timestamp: 0, link: interface.link, wire_len: packet.origlen, data })
            }
            PcapBlockOwned::NG(_) | PcapBlockOwned::Legacy(_) | PcapBlockOwned::LegacyHeader(_) => {
                None
            }
        }
    }
}

/// Reads a file and hands every frame to `each`, until that answers false.
pub fn read(path: &Path, each: impl FnMut(Frame<'_>) -> bool) -> Result<End, CaptureError> {
    let io = |error| CaptureError::Io { path: path.to_owned(), error };
    let mut file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(io(std::io::Error::other("is a directory, not a capture file")));
    }
    let mut head = Vec::with_capacity(24);
    file.by_ref().take(24).read_to_end(&mut head).map_err(io)?;
    let whole_len = metadata.is_file().then_some(metadata.len());
    if head.is_empty() {
        Err(CaptureError::Empty { path: path.to_owned() })
    } else if pcap::Format::recognises(&head) {
        let format = pcap::Format::of(&head);
        let format = format.ok_or_else(|| CaptureError::NotACapture { path: path.to_owned() })?;
        read_pcap(path, &mut file, whole_len, format, each)
    } else {
        // The first block is to come whole with the first read.
        file.by_ref().take(1 << 16).read_to_end(&mut head).map_err(io)?;
        read_pcapng(path, Cursor::new(head).chain(file), whole_len, each)
    }
}

fn read_pcap(
    path: &Path,
    file: &mut File,
    whole_len: Option<u64>,
    format: pcap::Format,
    mut each: impl FnMut(Frame<'_>) -> bool,
) -> Result<End, CaptureError> {
    let mut frames = 0;
    let stop = format.frames(file, |frame| {
        frames += 1;
        each(frame)
    });
    match stop {
        Stop::End | Stop::Enough => Ok(End::Complete),
        Stop::CutOff => Ok(cut_off(path, frames)),
        // A length beyond the file's own end: no more is known of this frame than of one that was
        // cut off.
        Stop::TooLong(before) if whole_len.is_some_and(|len| len <= before + BUFFER as u64) => {
            Ok(cut_off(path, frames))
        }
        Stop::TooLong(_) => {
            Err(damaged(path, frames, "a frame claims to be longer than any frame can be"))
        }
        Stop::Unreadable => Err(damaged(path, frames, "the file cannot be read further")),
    }
}

fn read_pcapng(
    path: &Path,
    file: impl Read,
    whole_len: Option<u64>,
    mut each: impl FnMut(Frame<'_>) -> bool,
) -> Result<End, CaptureError> {
    let mut reader = PcapNGReader::new(BUFFER, file)
        .map_err(|_| CaptureError::NotACapture { path: path.to_owned() })?;
    let mut interfaces = Interfaces::default();
    let (mut frames, mut consumed) = (0, 0);
    loop {
        match reader.next() {
            Ok((used, block)) => {
                let go_on = match interfaces.frame(&block) {
                    Some(frame) => {
                        frames += 1;
                        each(frame)
                    }
                    None => true,
                };
                reader.consume(used);
                consumed += used as u64;
                if !go_on {
                    return Ok(End::Complete);
                }
            }
            Err(PcapError::Eof) => return Ok(End::Complete),
            Err(PcapError::Incomplete(_)) => {
                if reader.reader_exhausted() {
                    return Ok(cut_off(path, frames));
                }
                reader
                    .refill()
                    .map_err(|_| damaged(path, frames, "the file cannot be read further"))?;
            }
            Err(PcapError::UnexpectedEof) => return Ok(cut_off(path, frames)),
            Err(PcapError::BufferTooSmall)
                if whole_len.is_some_and(|len| len <= consumed + BUFFER as u64) =>
            {
                return Ok(cut_off(path, frames));
            }
            Err(PcapError::BufferTooSmall) => {
                let reason = "a frame claims to be longer than any frame can be";
                return Err(damaged(path, frames, reason));
            }
            Err(PcapError::ReadError) => {
                return Err(damaged(path, frames, "the file cannot be read further"));
            }
            Err(_) => return Err(damaged(path, frames, "the next block makes no sense")),
        }
    }
}

fn damaged(path: &Path, frame: u64, reason: &str) -> CaptureError {
    CaptureError::Damaged { path: path.to_owned(), frame, reason: reason.to_owned() }
}

fn cut_off(path: &Path, frames: u64) -> End {
    End::CutOff(format!(
        "{}: the file ends in the middle of a frame, after frame {frames}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcap(nanoseconds: bool, frames: &[&[u8]]) -> Vec<u8> {
        let magic: u32 = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut out = Vec::new();
        out.extend(magic.to_le_bytes());
        out.extend([2, 0, 4, 0]);
        out.extend([0; 8]);
        out.extend(65535u32.to_le_bytes());
        out.extend(101u32.to_le_bytes());
        for frame in frames {
            out.extend(7u32.to_le_bytes());
            out.extend(5u32.to_le_bytes());
            out.extend((frame.len() as u32).to_le_bytes());
            out.extend((frame.len() as u32 + 1).to_le_bytes());
            out.extend(*frame);
        }
        out
    }

    /// Time, link type, wire length, bytes.
    type Copied = (u64, u32, u32, Vec<u8>);

    fn collect(bytes: &[u8]) -> (Vec<Copied>, Result<End, CaptureError>) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("written");
        let mut frames = Vec::new();
        let end = read(file.path(), |f| {
            frames.push((f.timestamp, f.link, f.wire_len, f.data.to_vec()));
            true
        });
        (frames, end)
    }

    #[test]
    fn frames_come_with_time_link_type_and_wire_length() {
        let (frames, end) = collect(&pcap(false, &[b"abc", b""]));
        assert_eq!(end.expect("read"), End::Complete);
        assert_eq!(frames[0], (7_000_005_000, 101, 4, b"abc".to_vec()));
        assert_eq!(frames.len(), 2);
        let (frames, _) = collect(&pcap(true, &[b"abc"]));
        assert_eq!(frames[0].0, 7_000_000_005);
    }

    #[test]
    fn every_byte_order_and_the_longer_frame_headers_are_read() {
        let file = |magic: u32, number: fn(u32) -> [u8; 4], more: usize| {
            let mut out = number(magic).to_vec();
            out.extend([0; 16]);
            out.extend(number(101));
            for (len, byte) in [(3, b'a'), (200_000, b'b')] {
                out.extend([7, 5, len, len + 1].into_iter().flat_map(number));
                out.resize(out.len() + more, 0);
                out.resize(out.len() + len as usize, byte);
            }
            out
        };
        for (magic, more) in [(0xa1b2_c3d4, 0), (0xa1b2_3c4d, 0), (0xa1b2_cd34, 8)] {
            for number in [u32::to_be_bytes as fn(u32) -> [u8; 4], u32::to_le_bytes] {
                let (frames, end) = collect(&file(magic, number, more));
                assert_eq!(end.expect("read"), End::Complete);
                let unit = if magic == 0xa1b2_3c4d { 1 } else { 1000 };
                let time = 7_000_000_000 + 5 * unit;
                assert_eq!(frames[0], (time, 101, 4, b"aaa".to_vec()));
                assert_eq!(frames[1], (time, 101, 200_001, vec![b'b'; 200_000]));
                assert_eq!(frames.len(), 2);
            }
        }
    }

    #[test]
    fn a_file_cut_in_a_frame_gives_the_frames_before_and_says_so() {
        let whole = pcap(false, &[b"abcdef", b"ghijkl"]);
        for cut in 1..22 {
            let (frames, end) = collect(&whole[..whole.len() - cut]);
            assert_eq!(frames.len(), 1, "cut by {cut}");
            assert!(matches!(end, Ok(End::CutOff(_))), "cut by {cut}: {end:?}");
        }
    }

    #[test]
    fn what_is_no_capture_is_told_apart() {
        assert!(matches!(collect(b"").1, Err(CaptureError::Empty { .. })));
        assert!(matches!(collect(b"hello, this is text").1, Err(CaptureError::NotACapture { .. })));
        let missing = read(Path::new("/nonexistent/x.pcap"), |_| true);
        assert!(matches!(missing, Err(CaptureError::Io { .. })));
    }

    #[test]
    fn a_frame_that_claims_to_be_gigantic_is_damage_not_memory_and_the_end_if_no_more_follows() {
        let gigantic = |behind: usize| {
            let mut bytes = pcap(false, &[b"abc"]);
            bytes.extend([0u8; 8]);
            bytes.extend(0x7fff_ffffu32.to_le_bytes());
            bytes.extend(0x7fff_ffffu32.to_le_bytes());
            bytes.resize(bytes.len() + behind, 0);
            let (frames, end) = collect(&bytes);
            assert_eq!(frames.len(), 1);
            end
        };
        assert!(matches!(gigantic(64), Ok(End::CutOff(_))));
        assert!(matches!(gigantic(BUFFER), Err(CaptureError::Damaged { frame: 1, .. })));
    }

    #[test]
    fn pcapng_with_two_interfaces_keeps_each_ones_link_type_and_resolution() {
        let mut out = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let len = (body.len() + 12) as u32;
            out.extend(kind.to_le_bytes());
            out.extend(len.to_le_bytes());
            out.extend(body);
            out.extend(len.to_le_bytes());
        };
        let mut section = 0x1a2b_3c4du32.to_le_bytes().to_vec();
        section.extend([1, 0, 0, 0]);
        section.extend([0xff; 8]);
        block(0x0a0d_0d0a, &section);
        block(1, &[1, 0, 0, 0, 0, 0, 4, 0]);
        // if_tsresol: nanoseconds.
        block(1, &[101, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        for interface in [0u32, 1] {
            let mut packet = interface.to_le_bytes().to_vec();
            packet.extend([0, 0, 0, 0]);
            packet.extend(1000u32.to_le_bytes());
            packet.extend(4u32.to_le_bytes());
            packet.extend(4u32.to_le_bytes());
            packet.extend(b"data");
            block(6, &packet);
        }
        let (frames, end) = collect(&out);
        assert_eq!(end.expect("read"), End::Complete);
        assert_eq!(frames[0], (1_000_000, 1, 4, b"data".to_vec()));
        assert_eq!(frames[1], (1_000, 101, 4, b"data".to_vec()));
    }
}
