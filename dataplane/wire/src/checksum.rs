//! Internet checksums (RFC 1071) of IPv4 headers, TCP, UDP, ICMP and ICMPv6.

use std::net::IpAddr;

use crate::decoded::flag;
use crate::{Decoded, IpLayer, Transport, ip};

/// The sum of 16-bit words in the machine's byte order, not folded. The sum is the same in either
/// order but for a swap of its bytes, and whether it is all ones is the same in both.
///
/// 32 bits at a time into 64, which the compiler makes vector additions of: carries cannot be lost
/// for less than 16 GiB.
#[inline]
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    total += u64::from(u32::from_ne_bytes(last));
    total
}

/// Folds a sum to 16 bits, in the machine's byte order.
#[inline]
pub(crate) fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The sum of the pseudo-header (RFC 9293, RFC 8200).
#[inline]
pub(crate) fn pseudo(src: IpAddr, dst: IpAddr, protocol: u8, length: usize) -> u64 {
    let addresses = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => sum(&src.octets()) + sum(&dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => sum(&src.octets()) + sum(&dst.octets()),
        _ => 0,
    };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let protocol = u64::from(u16::from_ne_bytes([0, protocol]));
    addresses + sum(&length.to_be_bytes()) + protocol
}

/// Whether the checksums of a packet are right: of every IPv4 header that is in `packet`, and of
/// the inner-most transport unless it is a fragment or has none. `packet` are the bytes that were
/// decoded.
///
/// What cannot be verified counts as right: UDP without a checksum, a datagram on a source route,
/// the IPv4 header of a datagram that was put together from fragments.
#[inline]
pub fn checksum_ok(decoded: &Decoded, packet: &[u8]) -> bool {
    let layers = decoded.ip_layers();
    let reassembled = usize::from(decoded.flags & flag::REASSEMBLED != 0);
    let skip = usize::from(decoded.inherited) + reassembled;
    layers.iter().skip(skip).all(|layer| header_ok(layer, packet)) && transport_ok(decoded, packet)
}

#[inline]
fn header_ok(layer: &IpLayer, packet: &[u8]) -> bool {
    let start = layer.header as usize;
    let header = packet.get(start..start + usize::from(layer.header_len));
    layer.version != 4 || header.is_some_and(|header| fold(sum(header)) == 0xffff)
}

#[inline]
fn transport_ok(decoded: &Decoded, packet: &[u8]) -> bool {
    if decoded.flags & flag::ROUTED != 0 {
        return true;
    }
    let (header, protocol) = match &decoded.transport {
        Transport::Tcp(tcp) => (tcp.header, ip::TCP),
        Transport::Udp(_) if decoded.flags & flag::UDP_NO_CHECKSUM != 0 => return true,
        Transport::Udp(udp) => (udp.header, ip::UDP),
        Transport::Icmp6(icmp) => (icmp.header, ip::ICMPV6),
        Transport::Icmp(icmp) => (icmp.header, ip::ICMP),
        Transport::None | Transport::Sctp(_) | Transport::Other => return true,
    };
    let Some(covered) = packet.get(header as usize..decoded.payload.end as usize) else {
        return false;
    };
    let mut total = sum(covered);
    if protocol != ip::ICMP {
        let layer = decoded.inner();
        total += pseudo(layer.src, layer.dst, protocol, covered.len());
    }
    fold(total) == 0xffff
}
