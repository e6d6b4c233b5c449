//! The pcap format, read in large pieces: a replay's feeder is to cost little beside the worker.
//! A file header of 24 bytes, then frames behind headers of 16 (draft-ietf-opsawg-pcap).

use std::fs::File;
use std::io::Read as _;

use super::{BUFFER, Frame, Next, Stop};

/// Bytes that are read at once: they stay in the core's cache until they are handed on.
const PIECE: usize = 1 << 17;

/// Bytes of the file header.
const HEADER: usize = 24;

/// What the file header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    big_endian: bool,
    /// Nanoseconds of a timestamp's unit.
    unit: u64,
    link: u32,
    /// Bytes of a frame's header: Kuznetsov's variant has eight more.
    frame_header: usize,
}

/// The frames of a file, and what was read ahead of them.
#[derive(Debug)]
pub(super) struct Frames {
    format: Format,
    file: File,
    buffer: Vec<u8>,
    /// What of the buffer was read and not handed on yet.
    start: usize,
    end: usize,
    /// Bytes of the file before the buffer.
    before: u64,
}

impl Format {
    /// Is this the beginning of such a file?
    pub(super) fn recognises(head: &[u8]) -> bool {
        kind(head).is_some()
    }

    /// Reads the file header; None where it is none or not whole.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let (big_endian, unit, frame_header) = kind(head)?;
        // The upper bits of the field say things about frame check sequences.
        let link = number(head.get(20..HEADER)?, big_endian)? & 0x0fff_ffff;
        Some(Self { big_endian, unit, link, frame_header })
    }

    /// How many bytes the frame at the front takes with its header, as far as that can be told,
    /// and the frame if it is there whole.
    #[inline]
    fn frame(self, bytes: &[u8]) -> (usize, Option<Frame<'_>>) {
        let Some(header) = bytes.get(..self.frame_header) else {
            return (self.frame_header, None);
        };
        let field = |at: usize| {
            header.get(at..at + 4).and_then(|four| number(four, self.big_endian)).unwrap_or(0)
        };
        let needed = self.frame_header.saturating_add(field(8) as usize);
        let frame = bytes.get(self.frame_header..needed).map(|data| Frame {
            timestamp: u64::from(field(0))
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(field(4)) * self.unit),
            link: self.link,
            wire_len: field(12),
            data,
        });
        (needed, frame)
    }
}

impl Frames {
    /// Those of a file that stands behind its header.
    pub(super) fn new(format: Format, file: File) -> Self {
        let buffer = vec![0; PIECE];
        Self { format, file, buffer, start: 0, end: 0, before: HEADER as u64 }
    }

    /// Hands on frame by frame until the file ends or `each` has enough. Can be asked again after that.
    pub(super) fn hand_on(&mut self, mut each: impl FnMut(Frame<'_>) -> Next) -> Stop {
        loop {
            let rest = self.buffer.get(self.start..self.end).unwrap_or(&[]);
            let (needed, frame) = self.format.frame(rest);
            if let Some(frame) = frame {
                let next = each(frame);
                self.start += if next == Next::Again { 0 } else { needed };
                if next == Next::More {
                    continue;
                }
                return Stop::Enough;
            }
            if needed >= BUFFER {
                return Stop::TooLong(self.before + self.start as u64);
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.before += self.start as u64;
            (self.end, self.start) = (self.end - self.start, 0);
            if needed > self.buffer.len() {
                self.buffer.resize(needed.next_multiple_of(PIECE), 0);
            }
            let space = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
            match self.file.read(space) {
                Ok(0) if self.end == 0 => return Stop::End,
                Ok(0) => return Stop::CutOff,
                Ok(more) => self.end += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Stop::Unreadable,
            }
        }
    }
}

/// Byte order, nanoseconds of a unit, and length of a frame's header.
fn kind(head: &[u8]) -> Option<(bool, u64, usize)> {
    match head.get(..4)? {
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((true, 1000, 16)),
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((false, 1000, 16)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((true, 1, 16)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((false, 1, 16)),
        [0x34, 0xcd, 0xb2, 0xa1] => Some((false, 1000, 24)),
        [0xa1, 0xb2, 0xcd, 0x34] => Some((true, 1000, 24)),
        _ => None,
    }
}

#[inline]
fn number(bytes: &[u8], big_endian: bool) -> Option<u32> {
    let four = bytes.try_into().ok()?;
    Some(if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
}
