//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, down to the upper-layer protocol.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::decoded::flag;
use crate::{Event, EventSet, Fragment, IpLayer, MalformedKind, bytes, ip_options, ipv6_ext};

pub(crate) const HOP_BY_HOP: u8 = 0;
pub(crate) const ICMP: u8 = 1;
pub(crate) const IPV4: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const IPV6: u8 = 41;
pub(crate) const ROUTING: u8 = 43;
pub(crate) const FRAGMENT: u8 = 44;
pub(crate) const GRE: u8 = 47;
pub(crate) const ESP: u8 = 50;
pub(crate) const AUTHENTICATION: u8 = 51;
pub(crate) const ICMPV6: u8 = 58;
pub(crate) const NO_NEXT: u8 = 59;
pub(crate) const DESTINATION: u8 = 60;
pub(crate) const SCTP: u8 = 132;
pub(crate) const MOBILITY: u8 = 135;
pub(crate) const HIP: u8 = 139;
pub(crate) const SHIM6: u8 = 140;

/// How to read a header's own lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// As they stand.
    Stated,
    /// As they stand, but not all was captured.
    Cut,
    /// The datagram is all that there is: it was put together from fragments, and the header is
    /// that of one of them.
    Whole,
}

/// What a header says.
pub(crate) struct Found<'a> {
    pub(crate) layer: &'a mut IpLayer,
    pub(crate) fragment: Option<Fragment>,
    /// To be set in [`crate::Decoded::flags`].
    pub(crate) flags: u32,
    /// Why the datagram is refused, though its addresses are known.
    pub(crate) refused: Option<MalformedKind>,
}

/// Reads an IPv4 header at `at` into `layer`, which an error leaves as it was.
#[inline]
pub(crate) fn parse_v4<'a>(
    bytes: &[u8],
    at: usize,
    extent: Extent,
    layer: &'a mut IpLayer,
    events: &mut EventSet,
) -> Result<Found<'a>, MalformedKind> {
    let mut refuse = |event, kind| {
        events.insert(event);
        Err(kind)
    };
    let Some(head) = bytes::array_at::<20>(bytes, at) else {
        return refuse(Event::Ipv4PktTooSmall, MalformedKind::Truncated);
    };
    if head[0] >> 4 != 4 {
        return refuse(Event::Ipv4WrongIpVersion, MalformedKind::IpVersion);
    }
    let header_len = usize::from(head[0] & 0x0f) * 4;
    let captured = bytes.len() - at;
    let (total, field) = match extent {
        Extent::Stated | Extent::Cut => {
            let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
            (total, u16::from_be_bytes([head[6], head[7]]))
        }
        Extent::Whole => (captured, u16::from_be_bytes([head[6] & 0xc0, 0])),
    };
    if header_len < 20 {
        return refuse(Event::Ipv4HlenTooSmall, MalformedKind::IpHeaderLength);
    }
    if total < header_len {
        return refuse(Event::Ipv4IplenSmallerThanHlen, MalformedKind::IpHeaderLength);
    }
    let is_cut = total > captured && extent == Extent::Cut && header_len <= captured;
    let total = if is_cut { captured } else { total };
    if total > captured {
        return refuse(Event::Ipv4TruncPkt, MalformedKind::Truncated);
    }
    let end = at + total;
    let mut flags = if total < captured { flag::TRAILER } else { 0 };
    if is_cut {
        flags |= flag::TRUNCATED;
        events.insert(Event::Ipv4TruncPkt);
    }
    let mut options = 0;
    if header_len > 20 {
        let bytes = bytes.get(at + 20..at + header_len).unwrap_or(&[]);
        let (found, more) = ip_options::parse(bytes, events);
        options = found;
        flags |= flag::IPV4_OPTIONS | more;
    }
    let (mut protocol, mut payload) = (head[9], at + header_len);
    // More fragments, or an offset.
    let is_fragment = field & 0x3fff != 0;
    if protocol == AUTHENTICATION && !is_fragment {
        // RFC 4302: authenticated, not encrypted, so what it covers can be inspected.
        (protocol, payload) = ipv6_ext::authentication(bytes, payload, end)?;
        flags |= flag::EXTENSIONS;
    }
    *layer = IpLayer {
        src: IpAddr::V4(Ipv4Addr::new(head[12], head[13], head[14], head[15])),
        dst: IpAddr::V4(Ipv4Addr::new(head[16], head[17], head[18], head[19])),
        version: 4,
        protocol,
        ttl: head[8],
        tos: head[1],
        id: u32::from(u16::from_be_bytes([head[4], head[5]])),
        flow_label: 0,
        header: at as u32,
        header_len: header_len as u16,
        options,
        payload: payload as u32,
        end: end as u32,
        fragment_bits: (field >> 13) as u8,
        fragment_offset: field & 0x1fff,
    };
    let mut fragment = None;
    if is_fragment {
        let offset = u32::from(layer.fragment_offset) * 8;
        if offset as usize + (total - header_len) > usize::from(u16::MAX) {
            events.insert(Event::Ipv4FragPktTooLarge);
            let refused = Some(MalformedKind::Fragment);
            return Ok(Found { layer, fragment: None, flags, refused });
        }
        fragment = Some(Fragment {
            id: layer.id,
            offset,
            more: layer.mf(),
            protocol: layer.protocol,
            unfragmentable_end: layer.payload,
            protocol_at: (at + 9) as u32,
        });
    }
    Ok(Found { layer, fragment, flags, refused: None })
}

/// Reads an IPv6 header at `at` and the extension headers after it, as [`parse_v4`] does.
#[inline]
pub(crate) fn parse_v6<'a>(
    bytes: &[u8],
    at: usize,
    extent: Extent,
    layer: &'a mut IpLayer,
    events: &mut EventSet,
) -> Result<Found<'a>, MalformedKind> {
    let mut refuse = |event, kind| {
        events.insert(event);
        Err(kind)
    };
    let Some(head) = bytes::array_at::<40>(bytes, at) else {
        return refuse(Event::Ipv6PktTooSmall, MalformedKind::Truncated);
    };
    if head[0] >> 4 != 6 {
        return refuse(Event::Ipv6WrongIpVersion, MalformedKind::IpVersion);
    }
    let captured = bytes.len() - at;
    let stated = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let total = match extent {
        Extent::Stated | Extent::Cut if stated == 0 && head[6] == HOP_BY_HOP => {
            40 + ipv6_ext::jumbo_length(bytes, at + 40).unwrap_or(0)
        }
        Extent::Stated | Extent::Cut => 40 + stated,
        Extent::Whole => captured,
    };
    let is_cut = total > captured && extent == Extent::Cut;
    let total = if is_cut { captured } else { total };
    if total > captured {
        return refuse(Event::Ipv6TruncPkt, MalformedKind::Truncated);
    }
    let end = at + total;
    let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    *layer = IpLayer {
        src: address_v6(&head, 8),
        dst: address_v6(&head, 24),
        version: 6,
        protocol: head[6],
        ttl: head[7],
        tos: (word >> 20) as u8,
        id: 0,
        flow_label: word & 0x000f_ffff,
        header: at as u32,
        header_len: 40,
        options: 0,
        payload: (at + 40) as u32,
        end: end as u32,
        fragment_bits: 0,
        fragment_offset: 0,
    };
    let mut flags = if total < captured { flag::TRAILER } else { 0 };
    if is_cut {
        flags |= flag::TRUNCATED;
        events.insert(Event::Ipv6TruncPkt);
    }
    let mut found = Found { layer, fragment: None, flags, refused: None };
    if is_extension(head[6]) {
        found.refused = ipv6_ext::parse(bytes, at, end, &mut found, events).err();
    }
    Ok(found)
}

fn address_v6(head: &[u8; 40], at: usize) -> IpAddr {
    let octets: [u8; 16] = bytes::array_at(head, at).unwrap_or_default();
    IpAddr::V6(Ipv6Addr::from(octets))
}

/// Whether a next-header value names one of IPv6's extension headers (and not ESP, behind which
/// nothing can be read).
#[inline]
pub(crate) const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6
    )
}

/// Reads the header of a packet that an ICMP error quotes: the payload may be cut off, but not the
/// headers. `None` for what is not a datagram's beginning.
pub(crate) fn parse_quoted(bytes: &[u8], at: usize, version: u8) -> Option<IpLayer> {
    let quoted = bytes.get(at..)?;
    // What is odd about the quoted packet was told when it came by itself.
    let events = &mut EventSet::EMPTY.clone();
    let (mut layer, extent) = (IpLayer::EMPTY, Extent::Whole);
    let found = match version {
        // The lengths are the original's: what is there is what there is.
        4 if bytes::u16_at(quoted, 6)? & 0x1fff == 0 => {
            parse_v4(bytes, at, extent, &mut layer, events)
        }
        6 => parse_v6(bytes, at, extent, &mut layer, events),
        _ => return None,
    };
    let Found { fragment, refused, .. } = found.ok()?;
    (refused.is_none() && fragment.is_none_or(|fragment| fragment.offset == 0)).then_some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip, Tcp};
    use crate::ipv6_ext::{JUMBO_PAYLOAD, MAX_EXTENSIONS};
    use crate::{Config, Decoded, LinkType, Reject, Transport, decode, ip_option};

    fn v4() -> Ip {
        Ip::new("10.0.0.1", "10.0.0.2")
    }

    fn v6() -> Ip {
        Ip::new("fd00::1", "fd00::2")
    }

    fn raw(bytes: &[u8]) -> Result<Decoded, Reject> {
        let config = Config { verify_checksums: false, ..Config::default() };
        decode(LinkType::RawIp, bytes, &config)
    }

    fn refused(bytes: &[u8]) -> MalformedKind {
        match raw(bytes) {
            Err(Reject::Malformed(kind)) => kind,
            other => panic!("expected a malformed packet, got {other:?}"),
        }
    }

    #[test]
    fn ipv4_header_fields_are_read() {
        let ip = Ip { ttl: 7, tos: 0xb8, id: 0x1234, df: true, ..v4() };
        let decoded = raw(&ip.udp(1, 2, b"x")).unwrap();
        let layer = decoded.inner();
        assert_eq!((layer.src, layer.dst), (ip.src, ip.dst));
        assert_eq!((layer.ttl, layer.tos, layer.id), (7, 0xb8, 0x1234));
        assert!(layer.df() && !layer.mf());
        assert_eq!((layer.version, layer.protocol, layer.header_len), (4, UDP, 20));
        assert_eq!((layer.header, layer.payload, layer.end), (0, 20, 29));
    }

    #[test]
    fn bytes_after_the_ipv4_total_length_are_no_payload() {
        let mut packet = v4().udp(1, 2, b"abc");
        packet.extend(b"trailer");
        let decoded = raw(&packet).unwrap();
        assert_eq!(decoded.payload_of(&packet), b"abc");
        assert!(decoded.has(flag::TRAILER));
    }

    #[test]
    fn a_total_length_beyond_the_capture_is_truncation() {
        let packet = v4().udp(1, 2, b"abc");
        assert_eq!(refused(&packet[..packet.len() - 1]), MalformedKind::Truncated);
        let packet = v6().udp(1, 2, b"abc");
        assert_eq!(refused(&packet[..packet.len() - 1]), MalformedKind::Truncated);
    }

    #[test]
    fn impossible_ipv4_header_lengths_are_refused() {
        let mut packet = v4().udp(1, 2, b"abc");
        packet[0] = 0x44;
        assert_eq!(refused(&packet), MalformedKind::IpHeaderLength);
        packet[0] = 0x4f;
        assert_eq!(refused(&packet), MalformedKind::IpHeaderLength);
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&19u16.to_be_bytes());
        assert_eq!(refused(&packet), MalformedKind::IpHeaderLength);
    }

    #[test]
    fn the_version_must_be_what_the_layer_before_said() {
        let frame = builder::ethernet(0x0800, &v6().udp(1, 2, b""));
        let decoded = decode(LinkType::Ethernet, &frame, &Config::default());
        assert_eq!(decoded, Err(MalformedKind::IpVersion.into()));
        assert_eq!(refused(&[0x50; 40]), MalformedKind::IpVersion);
    }

    #[test]
    fn ipv4_options_are_told_by_kind() {
        let options = [1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0];
        let ip = Ip { options: options.to_vec(), ..v4() };
        let packet = ip.udp(1, 2, b"abc");
        let decoded = raw(&packet).unwrap();
        let expected = ip_option::NOP | ip_option::RR | ip_option::RTRALT;
        assert_eq!(decoded.inner().options, expected);
        assert_eq!(decoded.inner().header_len, 32);
        assert!(decoded.has(flag::IPV4_OPTIONS));
        assert!(!decoded.has(flag::IPV4_OPTION_INVALID));
        assert_eq!(decoded.payload_of(&packet), b"abc");
    }

    #[test]
    fn broken_ipv4_options_are_an_event_and_the_payload_is_still_found() {
        for options in [[7, 40, 4, 0], [7, 0, 4, 0], [7, 1, 4, 0], [130, 4, 0, 0], [7, 3, 3, 0]] {
            let packet = Ip { options: options.to_vec(), ..v4() }.udp(1, 2, b"abc");
            let decoded = raw(&packet).unwrap();
            assert!(decoded.has(flag::IPV4_OPTION_INVALID), "{options:?}");
            assert_eq!(decoded.payload_of(&packet), b"abc");
        }
    }

    #[test]
    fn every_ipv6_extension_header_is_gone_through() {
        let padding = vec![0, 0, 1, 4, 0, 0, 0, 0];
        let mut ip = v6();
        ip.extensions = vec![
            (HOP_BY_HOP, padding.clone()),
            (DESTINATION, padding.clone()),
            (ROUTING, vec![0, 0, 0, 0, 0, 0, 0, 0]),
            (FRAGMENT, vec![0, 0, 0, 0, 0, 0, 0, 9]),
            (
                AUTHENTICATION,
                vec![0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
            ),
            (MOBILITY, vec![0; 8]),
            (HIP, [vec![0, 1], vec![0; 14]].concat()),
            (SHIM6, vec![0; 8]),
        ];
        let packet = ip.tcp(&Tcp::new(1, 2, 3, 4), b"abc");
        let decoded = raw(&packet).unwrap();
        let layer = decoded.inner();
        assert_eq!((layer.protocol, layer.header_len, layer.id), (TCP, 40, 9));
        assert_eq!(decoded.payload_of(&packet), b"abc");
        assert_eq!(decoded.fragment, None);
        assert!(decoded.has(flag::EXTENSIONS | flag::ATOMIC_FRAGMENT));
        assert!(!decoded.has(flag::ROUTED));
    }

    #[test]
    fn extension_headers_are_bounded_in_number_and_length() {
        let header = (DESTINATION, vec![0, 0, 1, 4, 0, 0, 0, 0]);
        let many = |count| Ip { extensions: vec![header.clone(); count], ..v6() }.udp(1, 2, b"");
        assert!(raw(&many(MAX_EXTENSIONS - 1)).is_ok());
        assert_eq!(refused(&many(MAX_EXTENSIONS)), MalformedKind::ExtensionCount);
        let long = Ip { extensions: vec![(DESTINATION, vec![0, 9, 0, 0, 0, 0, 0, 0])], ..v6() };
        assert_eq!(refused(&long.udp(1, 2, b"abc")), MalformedKind::ExtensionHeader);
    }

    #[test]
    fn nothing_is_read_after_no_next_header() {
        let packet = v6().datagram(NO_NEXT, b"hidden");
        let decoded = raw(&packet).unwrap();
        assert_eq!(decoded.transport, Transport::None);
        assert_eq!(decoded.payload_of(&packet), b"hidden");
    }

    #[test]
    fn what_an_authentication_header_covers_is_read_in_ipv4_too() {
        let mut body = vec![UDP, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        body.extend(builder::udp(5, 6, b"abc"));
        let packet = v4().datagram(AUTHENTICATION, &body);
        let decoded = raw(&packet).unwrap();
        assert_eq!((decoded.inner().protocol, decoded.ports()), (UDP, (5, 6)));
        assert_eq!(decoded.payload_of(&packet), b"abc");
    }

    #[test]
    fn jumbograms_have_their_length_in_an_option() {
        let body = builder::udp(1, 2, &[7; 70_000]);
        let length = (body.len() + 8) as u32;
        let mut option = vec![0, 0, JUMBO_PAYLOAD, 4];
        option.extend(length.to_be_bytes());
        let mut packet = Ip { extensions: vec![(HOP_BY_HOP, option)], ..v6() }.datagram(UDP, &body);
        packet[4..6].fill(0);
        packet[40 + 8 + 4..40 + 8 + 6].fill(0);
        let decoded = raw(&packet).unwrap();
        assert_eq!(decoded.payload_of(&packet).len(), 70_000);
        assert_eq!(refused(&packet[..1000]), MalformedKind::Truncated);
    }

    #[test]
    fn fragments_of_both_versions_tell_their_place() {
        for ip in [v4(), v6()] {
            let body = builder::udp(1, 2, &[5; 100]);
            let parts = ip.fragments(77, UDP, &body, 48);
            assert_eq!(parts.len(), 3);
            for (index, part) in parts.iter().enumerate() {
                let decoded = raw(part).unwrap();
                let fragment = decoded.fragment.unwrap();
                assert_eq!((fragment.id, fragment.protocol), (77, UDP));
                assert_eq!((fragment.offset, fragment.more), (index as u32 * 48, index < 2));
                assert_eq!(decoded.transport, Transport::None);
                let expected = if index < 2 { 48 } else { 12 };
                assert_eq!(decoded.payload_of(part).len(), expected);
                assert_eq!(decoded.flow_key(false), None);
            }
        }
    }

    #[test]
    fn a_fragment_beyond_the_largest_datagram_is_refused() {
        let mut packet = v4().fragments(1, UDP, &builder::udp(1, 2, &[0; 64]), 64).remove(0);
        packet[6..8].copy_from_slice(&0x1fffu16.to_be_bytes());
        assert_eq!(refused(&packet), MalformedKind::Fragment);
        let mut packet = v6().fragments(1, UDP, &builder::udp(1, 2, &[0; 64]), 64).remove(0);
        packet[42..44].copy_from_slice(&0xfff9u16.to_be_bytes());
        assert_eq!(refused(&packet), MalformedKind::Fragment);
    }
}
