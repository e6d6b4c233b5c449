//! The header of a datagram that was put together.

use super::tracker::{MAX_DATAGRAM, Tracker};

/// Writes the whole datagram to `out`. `false` if it is longer than IP allows, or the header is not
/// one.
pub(crate) fn write(tracker: &Tracker, out: &mut Vec<u8>) -> bool {
    out.clear();
    out.extend_from_slice(&tracker.header);
    tracker.write(out);
    let header = tracker.header.len();
    match out.first().map(|byte| byte >> 4) {
        Some(4) if header >= 20 => finish_v4(out, header),
        Some(6) if header >= 40 => finish_v6(out, tracker.protocol),
        _ => false,
    }
}

fn finish_v4(datagram: &mut [u8], header: usize) -> bool {
    let Some(length) = u16::try_from(datagram.len()).ok() else { return false };
    let Some(header) = datagram.get_mut(..header) else { return false };
    header[2..4].copy_from_slice(&length.to_be_bytes());
    // The reserved bit and "do not fragment" stay; "more fragments" and the offset go.
    header[6] &= 0xc0;
    header[7] = 0;
    header[10..12].fill(0);
    let checksum = checksum(header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    true
}

fn finish_v6(datagram: &mut [u8], (protocol_at, protocol): (u32, u8)) -> bool {
    let payload = datagram.len() - 40;
    if payload > MAX_DATAGRAM as usize {
        return false;
    }
    let Some(names) = datagram.get_mut(protocol_at as usize) else { return false };
    *names = protocol;
    datagram[4..6].copy_from_slice(&(payload as u16).to_be_bytes());
    true
}

/// The Internet checksum (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}
