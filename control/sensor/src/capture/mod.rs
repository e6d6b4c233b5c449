//! Reads capture files, pcap and pcapng, frame by frame, in memory that does not depend on the
//! file's size. What a file says wrong is told with the file's name and the frame's number.

mod pcap;

use std::fs::File;
use std::io::{Chain, Cursor, Read as _};
use std::path::{Path, PathBuf};

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator as _};
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};
use thiserror::Error;

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

/// Why no more frames are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The file ends after a frame.
    End,
    /// It ends within one.
    CutOff,
    /// A frame claims to be longer than any; so many bytes were read before it.
    TooLong(u64),
    /// The system's error.
    Unreadable,
    /// What comes next is no block.
    Senseless,
    /// Whoever takes the frames has enough; asked again, it goes on behind them.
    Enough,
}

/// What whoever takes a frame says of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is to come at once.
    More,
    /// It is to come when the reader is asked again.
    Later,
    /// Then this same frame is to come once more: there was no room for it.
    Again,
}

/// Reads a file and hands every frame to `each`, until that answers false.
pub fn read(path: &Path, mut each: impl FnMut(Frame<'_>) -> bool) -> Result<End, CaptureError> {
    let mut reader = Reader::open(path)?;
    let end = reader.hand_on(|frame| if each(frame) { Next::More } else { Next::Later })?;
    Ok(end.unwrap_or(End::Complete))
}

/// A capture that is read as far as its frames are wanted.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// None of what is no plain file.
    len: Option<u64>,
    /// Frames that were handed on.
    frames: u64,
    kind: Kind,
}

enum Kind {
    Pcap(pcap::Frames),
    PcapNg(Box<PcapNg>),
}

/// A pcapng file, and how far it was read.
struct PcapNg {
    reader: PcapNGReader<Chain<Cursor<Vec<u8>>, File>>,
    interfaces: Interfaces,
    consumed: u64,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pcap(_) => "pcap",
            Self::PcapNg(_) => "pcapng",
        })
    }
}

impl Reader {
    /// Opens a file and looks at its first bytes.
    ///
    /// # Errors
    /// It cannot be read, or is no capture.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let io = |error| CaptureError::Io { path: path.to_owned(), error };
        let none = || CaptureError::NotACapture { path: path.to_owned() };
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(std::io::Error::other("is a directory, not a capture file")));
        }
        let mut head = Vec::with_capacity(24);
        file.by_ref().take(24).read_to_end(&mut head).map_err(io)?;
        let len = metadata.is_file().then_some(metadata.len());
        let kind = if head.is_empty() {
            return Err(CaptureError::Empty { path: path.to_owned() });
        } else if pcap::Format::recognises(&head) {
            let format = pcap::Format::of(&head).ok_or_else(none)?;
            Kind::Pcap(pcap::Frames::new(format, file))
        } else {
            // The first block is to come whole with the first read.
            file.by_ref().take(1 << 16).read_to_end(&mut head).map_err(io)?;
            let reader = PcapNGReader::new(BUFFER, Cursor::new(head).chain(file));
            let reader = reader.map_err(|_| none())?;
            Kind::PcapNg(Box::new(PcapNg {
                reader,
                interfaces: Interfaces::default(),
                consumed: 0,
            }))
        };
        Ok(Self { path: path.to_owned(), len, frames: 0, kind })
    }

    /// Hands on frame by frame, from where it stopped the last time, until the file ends or `each` has
    /// enough: then there is no [`End`] yet.
    ///
    /// # Errors
    /// The file is damaged or cannot be read further.
    pub fn hand_on(
        &mut self,
        mut each: impl FnMut(Frame<'_>) -> Next,
    ) -> Result<Option<End>, CaptureError> {
        let Self { path, len, frames, kind } = self;
        let counted = |frame: Frame<'_>| {
            let next = each(frame);
            *frames += u64::from(next != Next::Again);
            next
        };
        let stop = match kind {
            Kind::Pcap(pcap) => pcap.hand_on(counted),
            Kind::PcapNg(pcapng) => pcapng.hand_on(counted),
        };
        match stop {
            Stop::End => Ok(Some(End::Complete)),
            Stop::Enough => Ok(None),
            Stop::CutOff => Ok(Some(cut_off(path, *frames))),
            // A length beyond the file's own end: no more is known of this frame than of one that was
            // cut off.
            Stop::TooLong(before) if len.is_some_and(|len| len <= before + BUFFER as u64) => {
                Ok(Some(cut_off(path, *frames)))
            }
            Stop::TooLong(_) => {
                Err(damaged(path, *frames, "a frame claims to be longer than any frame can be"))
            }
            Stop::Unreadable => Err(damaged(path, *frames, "the file cannot be read further")),
            Stop::Senseless => Err(damaged(path, *frames, "the next block makes no sense")),
        }
    }
}

impl PcapNg {
    fn hand_on(&mut self, mut each: impl FnMut(Frame<'_>) -> Next) -> Stop {
        let Self { reader, interfaces, consumed } = self;
        loop {
            match reader.next() {
                Ok((used, block)) => {
                    let next = interfaces.frame(&block).map_or(Next::More, &mut each);
                    if next != Next::Again {
                        reader.consume(used);
                        *consumed += used as u64;
                    }
                    if next != Next::More {
                        return Stop::Enough;
                    }
                }
                Err(PcapError::Eof) => return Stop::End,
                Err(PcapError::Incomplete(_)) => {
                    if reader.reader_exhausted() {
                        return Stop::CutOff;
                    }
                    if reader.refill().is_err() {
                        return Stop::Unreadable;
                    }
                }
                Err(PcapError::UnexpectedEof) => return Stop::CutOff,
                Err(PcapError::BufferTooSmall) => return Stop::TooLong(*consumed),
                Err(PcapError::ReadError) => return Stop::Unreadable,
                Err(_) => return Stop::Senseless,
            }
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

    /// A block of a pcapng file.
    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &len, body, &len].concat()
    }

    /// The body of its first.
    fn section() -> Vec<u8> {
        [&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat()
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
    fn a_reader_goes_on_where_it_stopped_with_the_same_frame_if_that_found_no_room() {
        let mut ng = block(0x0a0d_0d0a, &section());
        ng.extend(block(1, &[1, 0, 0, 0, 0, 0, 4, 0]));
        for byte in *b"abc" {
            let mut packet = [0u32, 0, 0, 1, 1].map(u32::to_le_bytes).concat();
            packet.extend([byte, 0, 0, 0]);
            ng.extend(block(6, &packet));
        }
        for bytes in [pcap(false, &[b"a", b"b", b"c"]), ng] {
            let file = tempfile::NamedTempFile::new().expect("a temporary file");
            std::fs::write(file.path(), bytes).expect("written");
            let mut reader = Reader::open(file.path()).expect("opened");
            let (mut seen, mut ends) = (Vec::new(), Vec::new());
            let mut answers = [Next::Later, Next::Again, Next::More, Next::Again].into_iter();
            for _ in 0..4 {
                let end = reader.hand_on(|frame| {
                    seen.push(frame.data[0]);
                    answers.next().unwrap_or(Next::More)
                });
                ends.push(end.expect("read"));
            }
            assert_eq!(seen, b"abbcc");
            assert_eq!(ends, [None, None, None, Some(End::Complete)]);
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
        let mut out = block(0x0a0d_0d0a, &section());
        out.extend(block(1, &[1, 0, 0, 0, 0, 0, 4, 0]));
        // if_tsresol: nanoseconds.
        out.extend(block(1, &[101, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
        for interface in [0u32, 1] {
            let mut packet = interface.to_le_bytes().to_vec();
            packet.extend([0, 0, 0, 0]);
            packet.extend(1000u32.to_le_bytes());
            packet.extend(4u32.to_le_bytes());
            packet.extend(4u32.to_le_bytes());
            packet.extend(b"data");
            out.extend(block(6, &packet));
        }
        let (frames, end) = collect(&out);
        assert_eq!(end.expect("read"), End::Complete);
        assert_eq!(frames[0], (1_000_000, 1, 4, b"data".to_vec()));
        assert_eq!(frames[1], (1_000, 101, 4, b"data".to_vec()));
    }
}
