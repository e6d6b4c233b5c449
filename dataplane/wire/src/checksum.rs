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

/// A sum of words of 64 bits, that folds to what [`sum`] of their bytes does: carries come in again.
#[inline(always)]
pub(crate) fn sum_of(words: [u64; 3]) -> u64 {
    let add = |sum: u64, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u64::from(carry)
    };
    words.into_iter().fold(0, add)
}

/// Folds a sum to 16 bits, in the machine's byte order.
#[cfg(any(test, feature = "testing"))]
#[inline]
pub(crate) fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// Is a sum folded to 16 bits all ones, as it is where the checksum is right? Folding leaves the rest of a
/// division by 2^16 - 1, but for all ones where that is 0.
#[inline]
pub(crate) fn is_right(sum: u64) -> bool {
    sum != 0 && quotient(sum) <= RIGHT
}

/// What 2^16 - 1 is to be multiplied by to get the sum, in 64 bits: at most [`RIGHT`] where it divides the sum, as it does where the
/// checksum is right, otherwise more. A sum of 0 is for the caller to tell.
#[inline(always)]
pub(crate) fn quotient(sum: u64) -> u64 {
    sum.wrapping_mul(INVERSE)
}

/// The greatest [`quotient`] of a right checksum.
pub(crate) const RIGHT: u64 = u64::MAX / 0xffff;

/// What 2^16 - 1 is to be multiplied by to get 1 in 64 bits. Times it, its multiples are what they are multiples
/// by, and all other numbers are above these.
const INVERSE: u64 = 0xfffe_fffe_fffe_ffff;
const _: () = assert!(INVERSE.wrapping_mul(0xffff) == 1);

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
    headers_ok(decoded, packet) && transport_ok(decoded, packet)
}

/// Whether those of the IPv4 headers are.
#[inline]
pub(crate) fn headers_ok(decoded: &Decoded, packet: &[u8]) -> bool {
    let layers = decoded.ip_layers();
    let reassembled = usize::from(decoded.flags & flag::REASSEMBLED != 0);
    let skip = usize::from(decoded.inherited) + reassembled;
    layers.iter().skip(skip).all(|layer| header_ok(layer, packet))
}

#[inline]
fn header_ok(layer: &IpLayer, packet: &[u8]) -> bool {
    let start = layer.header as usize;
    let header = packet.get(start..start + usize::from(layer.header_len));
    layer.version != 4 || header.is_some_and(|header| is_right(sum(header)))
}

/// Sets [`flag::BAD_TRANSPORT_CHECKSUM`] where the inner-most transport's checksum is wrong. `packet`
/// are the bytes that were decoded.
#[inline]
pub fn mark_transport_checksum(decoded: &mut Decoded, packet: &[u8]) {
    if !transport_ok(decoded, packet) {
        decoded.flags |= flag::BAD_TRANSPORT_CHECKSUM;
    }
}

/// Whether that of the inner-most transport is.
#[inline]
fn transport_ok(decoded: &Decoded, packet: &[u8]) -> bool {
    if decoded.flags & (flag::ROUTED | flag::TRUNCATED) != 0 {
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
    is_right(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip, Tcp};
    use crate::{Config, LinkType, Reject, decode};
    use proptest::prelude::*;

    fn model(bytes: &[u8]) -> u16 {
        let mut total = 0u64;
        for pair in bytes.chunks(2) {
            total += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while total > 0xffff {
            total = (total & 0xffff) + (total >> 16);
        }
        total as u16
    }

    proptest! {
        #[test]
        fn sums_are_those_of_the_plain_definition(bytes: Vec<u8>) {
            let folded = u16::from_be_bytes(fold(sum(&bytes)).to_ne_bytes());
            prop_assert_eq!(folded, model(&bytes));
        }

        #[test]
        fn folding_loses_no_carry(total: u64) {
            prop_assert_eq!(is_right(total), fold(total) == 0xffff);
            prop_assert_eq!(u64::from(fold(total)) % 0xffff, total % 0xffff);
        }
    }

    fn verdict(bytes: &[u8]) -> Result<(), Reject> {
        let decoded = decode(LinkType::RawIp, bytes, &Config::default())?;
        if decoded.has(flag::BAD_TRANSPORT_CHECKSUM) { Err(Reject::BadChecksum) } else { Ok(()) }
    }

    #[test]
    fn a_wrong_header_checksum_refuses_the_packet_a_wrong_transport_one_marks_it() {
        let good = Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"abc");
        let mut header = good.clone();
        header[8] ^= 1;
        let refused = decode(LinkType::RawIp, &header, &Config::default());
        assert_eq!(refused, Err(Reject::BadChecksum));
        let mut payload = good;
        payload[28] ^= 1;
        let marked = decode(LinkType::RawIp, &payload, &Config::default()).unwrap();
        assert!(marked.has(flag::BAD_TRANSPORT_CHECKSUM));
    }

    #[test]
    fn a_flipped_bit_anywhere_under_a_checksum_is_found() {
        for ip in [Ip::new("10.0.0.1", "10.0.0.2"), Ip::new("fd00::1", "fd00::2")] {
            let packets = [
                ip.tcp(&Tcp::new(1, 2, 3, 4), b"odd"),
                ip.udp(1, 2, b"even"),
                ip.icmp(if ip.src.is_ipv4() { 8 } else { 128 }, 0, 1, b"ping"),
            ];
            for packet in packets {
                assert_eq!(verdict(&packet), Ok(()));
                let last = packet.len() - 1;
                // The time to live, an address, the transport's first byte, the payload's last.
                for at in if ip.src.is_ipv4() { [8, 13, 20, last] } else { [9, 25, 40, last] } {
                    let mut broken = packet.clone();
                    broken[at] ^= 0x10;
                    assert_eq!(verdict(&broken), Err(Reject::BadChecksum), "at {at}");
                }
            }
        }
    }

    #[test]
    fn udp_without_a_checksum_is_right() {
        let mut packet = Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"abc");
        packet[26..28].fill(0);
        assert_eq!(verdict(&packet), Ok(()));
    }

    #[test]
    fn outer_headers_and_the_inner_transport_are_verified() {
        let inner = Ip::new("10.0.0.1", "10.0.0.2").tcp(&Tcp::new(1, 2, 3, 4), b"abc");
        let packet = Ip::new("192.168.0.1", "192.168.0.2").datagram(ip::IPV4, &inner);
        assert_eq!(verdict(&packet), Ok(()));
        for at in [8, 28, packet.len() - 1] {
            let mut broken = packet.clone();
            broken[at] ^= 1;
            assert_eq!(verdict(&broken), Err(Reject::BadChecksum), "at {at}");
        }
    }

    #[test]
    fn only_the_header_of_a_fragment_is_verified() {
        let body = builder::udp(1, 2, &[1; 64]);
        let mut parts = Ip::new("10.0.0.1", "10.0.0.2").fragments(1, ip::UDP, &body, 32);
        parts[0][30] ^= 1;
        assert_eq!(verdict(&parts[0]), Ok(()));
        parts[0][8] ^= 1;
        assert_eq!(verdict(&parts[0]), Err(Reject::BadChecksum));
    }

    #[test]
    fn a_datagram_on_a_source_route_is_not_judged_by_its_next_hop() {
        let mut ip = Ip::new("fd00::1", "fd00::2");
        ip.extensions = vec![(ip::ROUTING, [vec![0, 2, 0, 1], vec![0; 20]].concat())];
        let mut packet = ip.udp(1, 2, b"abc");
        packet[39] ^= 1;
        assert_eq!(verdict(&packet), Ok(()));
    }

    #[test]
    fn nothing_is_verified_when_not_wanted() {
        let mut packet = Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"abc");
        packet[28] ^= 1;
        let config = Config { verify_checksums: false, ..Config::default() };
        let decoded = decode(LinkType::RawIp, &packet, &config).unwrap();
        assert!(!checksum_ok(&decoded, &packet));
    }
}
