//! A reader of captures that shares nothing with the sensor's: it counts frames, and knows the two
//! formats only as far as that needs (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).

use std::path::Path;

/// What is in a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// Whole frames.
    pub(crate) frames: u64,
    /// The file ends in the middle of one.
    pub(crate) cut: bool,
}

/// Counts the frames of a capture; none: it is no capture.
pub(crate) fn count(path: &Path) -> Option<Count> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let magic: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => Some(classic(&bytes, false)),
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => Some(classic(&bytes, true)),
        [0x0a, 0x0d, 0x0d, 0x0a] => Some(next_generation(&bytes)),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<usize> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    let word = if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) };
    usize::try_from(word).ok()
}

fn classic(bytes: &[u8], big_endian: bool) -> Count {
    let mut count = Count { frames: 0, cut: bytes.len() < 24 };
    let mut at = 24;
    while at < bytes.len() {
        let end = word(bytes, at + 8, big_endian).and_then(|length| (at + 16).checked_add(length));
        match end {
            Some(end) if end <= bytes.len() => at = end,
            _ => return Count { cut: true, ..count },
        }
        count.frames += 1;
    }
    count
}

fn next_generation(bytes: &[u8]) -> Count {
    const SECTION: usize = 0x0a0d_0d0a;
    const PACKETS: [usize; 3] = [2, 3, 6];
    let mut count = Count { frames: 0, cut: false };
    let (mut at, mut big_endian) = (0, false);
    while at < bytes.len() {
        if word(bytes, at, false) == Some(SECTION) {
            big_endian = bytes.get(at + 8) == Some(&0x1a);
        }
        let (kind, length) = (word(bytes, at, big_endian), word(bytes, at + 4, big_endian));
        let end = length.filter(|length| *length >= 12).and_then(|length| at.checked_add(length));
        match end {
            Some(end) if end <= bytes.len() => at = end,
            _ => return Count { cut: true, ..count },
        }
        count.frames += u64::from(kind.is_some_and(|kind| PACKETS.contains(&kind)));
    }
    count
}
