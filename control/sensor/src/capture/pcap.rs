//! The pcap format, read in large pieces: a replay's feeder is to cost little beside the worker.
//! A file header of 24 bytes, then frames behind headers of 16 (draft-ietf-opsawg-pcap).

use std::io::Read;

use super::{BUFFER, Frame};

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

/// Why there is no next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The file ends after a frame.
    End,
    /// It ends within one.
    CutOff,
    /// A frame claims to be longer than any; so many bytes were read before it.
    TooLong(u64),
    /// The system's error.
    Unreadable,
    /// Whoever takes the frames wants no more.
    Enough,
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

    /// Hands on every frame until the file ends or `each` answers false; `file` stands behind the
    /// file header.
    pub(super) fn frames(
        self,
        file: &mut impl Read,
        mut each: impl FnMut(Frame<'_>) -> bool,
    ) -> Stop {
        let mut buffer = vec![0; PIECE];
        let (mut start, mut end) = (0, 0);
        let mut before = HEADER as u64;
        loop {
            let rest = buffer.get(start..end).unwrap_or(&[]);
            let (needed, frame) = self.frame(rest);
            if let Some(frame) = frame {
                if !each(frame) {
                    return Stop::Enough;
                }
                start += needed;
                continue;
            }
            if needed >= BUFFER {
                return Stop::TooLong(before + start as u64);
            }
            buffer.copy_within(start..end, 0);
            (before, end, start) = (before + start as u64, end - start, 0);
            if needed > buffer.len() {
                buffer.resize(needed.next_multiple_of(PIECE), 0);
            }
            let space = buffer.get_mut(end..).unwrap_or(&mut []);
            match file.read(space) {
                Ok(0) if end == 0 => return Stop::End,
                Ok(0) => return Stop::CutOff,
                Ok(more) => end += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return Stop::Unreadable,
            }
        }
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
