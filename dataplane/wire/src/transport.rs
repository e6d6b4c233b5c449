//! The transport header of the inner-most IP layer.

use crate::decoded::flag;
use crate::{Event, EventSet, IpLayer, MalformedKind, bytes, icmp_events, ip};

/// The bits of [`Tcp::flags`] (RFC 9293).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// What the inner-most IP layer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// A fragment, or an IPv6 datagram that says that nothing follows.
    #[default]
    None,
    /// TCP.
    Tcp(Tcp),
    /// UDP (and UDP-Lite is not it).
    Udp(Udp),
    /// ICMP for IPv4.
    Icmp(Icmp),
    /// ICMPv6.
    Icmp6(Icmp),
    /// SCTP.
    Sctp(Sctp),
    /// Any other protocol: see [`crate::IpLayer::protocol`].
    Other,
}

/// A TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number, whether or not the ACK flag is set.
    pub ack: u32,
    /// The eight flags, see [`tcp_flag`].
    pub flags: u8,
    /// Header length in bytes with options, 20 to 60.
    pub header_len: u8,
    /// The window as it stands in the header, not scaled.
    pub window: u16,
    /// Urgent pointer, whether or not the URG flag is set.
    pub urgent: u16,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

/// TCP options that matter to a stream (RFC 9293, 7323, 2018, 7413).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift, as it stands (RFC 7323 bounds it to 14).
    pub wscale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// A fast-open cookie or the request for one.
    pub tfo: bool,
    /// An MD5 signature (RFC 2385) or TCP-AO (RFC 5925) is present.
    pub signed: bool,
    /// An option runs beyond the header, or has a length that its kind cannot have. As in Suricata
    /// that is an event, and the segment is inspected: end hosts do take such segments.
    pub invalid: bool,
    /// An option that may come once came again.
    pub duplicate: bool,
}

impl Tcp {
    /// Whether all of `mask`'s flags are set.
    #[inline]
    pub const fn has(&self, mask: u8) -> bool {
        self.flags & mask == mask
    }

    /// The options' bytes; `packet` are the bytes that were decoded.
    #[inline]
    pub fn option_bytes<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let start = self.header as usize + 20;
        packet.get(start..self.header as usize + usize::from(self.header_len)).unwrap_or(&[])
    }

    /// Reads the options; `packet` are the bytes that were decoded. Of an option that comes twice
    /// the first counts; what is after a broken option is not read.
    #[inline]
    pub fn options(&self, packet: &[u8]) -> TcpOptions {
        let options = self.option_bytes(packet);
        if options.is_empty() { TcpOptions::default() } else { TcpOptions::parse(options) }
    }
}

impl TcpOptions {
    /// Reads the bytes between a TCP header's first 20 and its payload.
    pub fn parse(mut rest: &[u8]) -> Self {
        let mut found = Self::default();
        while let [kind, tail @ ..] = rest {
            match *kind {
                0 => break,
                1 => {
                    rest = tail;
                    continue;
                }
                _ => {}
            }
            // A kind without a length at the very end is padding to Suricata, and to end hosts.
            let Some(length) = tail.first().map(|length| usize::from(*length)) else { break };
            let Some((option, after)) = rest.split_at_checked(length.max(2)) else {
                found.invalid = true;
                break;
            };
            if length < 2 {
                found.invalid = true;
                break;
            }
            found.take(*kind, &option[2..]);
            rest = after;
        }
        found
    }

    /// The events that rules can ask for.
    pub fn events(&self) -> EventSet {
        let mut events = EventSet::EMPTY;
        if self.invalid {
            events.insert(Event::TcpOptInvalidLen);
        }
        if self.duplicate {
            events.insert(Event::TcpOptDuplicate);
        }
        events
    }

    /// Takes one option without its kind and length.
    fn take(&mut self, kind: u8, value: &[u8]) {
        self.duplicate |= match kind {
            2 => self.mss.is_some(),
            3 => self.wscale.is_some(),
            4 => self.sack_permitted,
            8 => self.timestamps.is_some(),
            34 => self.tfo,
            _ => false,
        };
        match (kind, value) {
            (2, [high, low]) => {
                self.mss = self.mss.or(Some(u16::from_be_bytes([*high, *low])));
            }
            (3, [shift]) => self.wscale = self.wscale.or(Some(*shift)),
            (4, []) => self.sack_permitted = true,
            (8, value) if value.len() == 8 => {
                let pair = bytes::u32_at(value, 0).zip(bytes::u32_at(value, 4));
                self.timestamps = self.timestamps.or(pair);
            }
            (5, value) => {
                self.invalid |= !matches!(value.len(), 0 | 8 | 16 | 24 | 32);
            }
            (19, value) if value.len() == 16 => self.signed = true,
            (29, value) if value.len() >= 2 => self.signed = true,
            (34, value) if matches!(value.len(), 0 | 4 | 6 | 8 | 10 | 12 | 14 | 16) => {
                self.tfo = true;
            }
            // RFC 6994: experiment 0xf989 is fast open from before it had a number of its own.
            (253 | 254, [0xf9, 0x89, ..]) => self.tfo = true,
            (2 | 3 | 4 | 8 | 19 | 29 | 34, _) => self.invalid = true,
            _ => {}
        }
    }
}

/// A UDP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Length as it stands in the header.
    pub length: u16,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

/// An ICMP or ICMPv6 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Type (RFC 792, RFC 4443).
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier, of message types that have one.
    pub id: Option<u16>,
    /// Sequence number, of message types that have one.
    pub seq: Option<u16>,
    /// The four bytes after the checksum, as they stand; 0 where there are fewer.
    pub rest: u32,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

/// An SCTP common header (RFC 9260).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub tag: u32,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

impl Udp {
    /// Length of the header in bytes.
    pub const HEADER_LEN: usize = 8;
}

impl Icmp {
    /// Length of the header in bytes, after which [`crate::Decoded::payload`] begins.
    pub const HEADER_LEN: usize = 8;

    /// Reads a header at `at`; `version` tells ICMP (4) from ICMPv6 (6).
    #[inline]
    pub(crate) fn parse(bytes: &[u8], at: usize, version: u8) -> Option<Self> {
        let head = bytes::array_at::<{ Self::HEADER_LEN }>(bytes, at)?;
        let [kind, code, _, _, id_high, id_low, seq_high, seq_low] = head;
        let queries = match version {
            // Echo, timestamp, information and address mask, each with its reply.
            4 => matches!(kind, 0 | 8 | 13..=18),
            _ => matches!(kind, 128 | 129),
        };
        let pair = |high, low| queries.then_some(u16::from_be_bytes([high, low]));
        Some(Self {
            kind,
            code,
            id: pair(id_high, id_low),
            seq: pair(seq_high, seq_low),
            rest: u32::from_be_bytes([id_high, id_low, seq_high, seq_low]),
            header: at as u32,
        })
    }

    /// The type that a request and its reply have in common: the request's.
    pub(crate) const fn pairing(kind: u8, version: u8) -> u8 {
        match (version, kind) {
            (4, 0) => 8,
            (4, 14) => 13,
            (4, 16) => 15,
            (4, 18) => 17,
            (4, 9) => 10,
            // Echo, multicast listener, router, neighbour, node information, home agent, prefix.
            (6, 129) => 128,
            (6, 131) => 130,
            (6, 134) => 133,
            (6, 136) => 135,
            (6, 140) => 139,
            (6, 145) => 144,
            (6, 147) => 146,
            (_, kind) => kind,
        }
    }

    /// Whether the message is about another packet, whose start it carries as its payload.
    pub(crate) const fn is_error(kind: u8, version: u8) -> bool {
        match version {
            4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
            _ => matches!(kind, 1..=4),
        }
    }
}

/// What [`parse`] finds at an IP layer's payload.
pub(crate) struct Found {
    pub(crate) transport: Transport,
    /// The payload's first byte and the one after its last.
    pub(crate) payload: (usize, usize),
    /// To be set in [`crate::Decoded::flags`].
    pub(crate) flags: u32,
}

/// Reads the transport header between `at` and `end` in an IP layer, which may have been longer
/// than what was captured (`is_cut`).
#[inline]
pub(crate) fn parse(
    bytes: &[u8],
    layer: &IpLayer,
    at: usize,
    end: usize,
    is_cut: bool,
    events: &mut EventSet,
) -> Result<Found, MalformedKind> {
    let (version, protocol) = (layer.version, layer.protocol);
    let bytes = bytes.get(..end).ok_or(MalformedKind::Truncated)?;
    let whole = |transport, header| Found { transport, payload: (at + header, end), flags: 0 };
    Ok(match (protocol, version) {
        (ip::TCP, _) => {
            let tcp = parse_tcp(bytes, at, events)?;
            whole(Transport::Tcp(tcp), usize::from(tcp.header_len))
        }
        (ip::UDP, _) => parse_udp(bytes, at, is_cut, events)?,
        (ip::ICMP, 4) => {
            let Some(icmp) = Icmp::parse(bytes, at, 4) else {
                events.insert(Event::Icmpv4PktTooSmall);
                return Err(MalformedKind::IcmpTooSmall);
            };
            icmp_events::v4(&icmp, bytes.get(at + Icmp::HEADER_LEN..).unwrap_or(&[]), events);
            whole(Transport::Icmp(icmp), Icmp::HEADER_LEN)
        }
        (ip::ICMPV6, 6) => {
            let Some(icmp) = Icmp::parse(bytes, at, 6) else {
                events.insert(Event::Icmpv6PktTooSmall);
                return Err(MalformedKind::IcmpTooSmall);
            };
            let body = bytes.get(at + Icmp::HEADER_LEN..).unwrap_or(&[]);
            icmp_events::v6(&icmp, layer.ttl, body, events);
            whole(Transport::Icmp6(icmp), Icmp::HEADER_LEN)
        }
        (ip::SCTP, _) => {
            let Some(head) = bytes::array_at::<12>(bytes, at) else {
                events.insert(Event::SctpPktTooSmall);
                return Err(MalformedKind::SctpTooSmall);
            };
            let sctp = Sctp {
                src_port: u16::from_be_bytes([head[0], head[1]]),
                dst_port: u16::from_be_bytes([head[2], head[3]]),
                tag: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
                header: at as u32,
            };
            whole(Transport::Sctp(sctp), head.len())
        }
        (ip::NO_NEXT, 6) => {
            if at < end {
                events.insert(Event::Ipv6DataAfterNoneHeader);
            }
            whole(Transport::None, 0)
        }
        (ip::GRE | ip::IPV4 | ip::IPV6, 4) => whole(Transport::Other, 0),
        _ => {
            other(version, protocol, end - at, events);
            whole(Transport::Other, 0)
        }
    })
}

/// What is odd about protocols that are not gone into.
#[cold]
fn other(version: u8, protocol: u8, len: usize, events: &mut EventSet) {
    let event = match (protocol, version) {
        (ip::ICMPV6, 4) => Event::Ipv4Icmpv6,
        (ip::ICMP, 6) => Event::Ipv6Icmpv4,
        (ip::ESP, _) if len < 8 => Event::EspPktTooSmall,
        (ip::IPV4, 6) if len < 20 => Event::Ipv6Ipv4InIpv6TooSmall,
        (ip::IPV6, 6) if len < 40 => Event::Ipv6Ipv6InIpv6TooSmall,
        (ip::GRE | ip::ESP | ip::IPV4 | ip::IPV6, _) | (_, 4) => return,
        _ => Event::Ipv6UnknownNextHeader,
    };
    events.insert(event);
}

#[inline]
fn parse_tcp(bytes: &[u8], at: usize, events: &mut EventSet) -> Result<Tcp, MalformedKind> {
    let mut refuse = |event, kind| {
        events.insert(event);
        Err(kind)
    };
    let Some(head) = bytes::array_at::<20>(bytes, at) else {
        return refuse(Event::TcpPktTooSmall, MalformedKind::TcpTooSmall);
    };
    let header_len = (head[12] >> 4) * 4;
    if usize::from(header_len) > bytes.len() - at {
        return refuse(Event::TcpHlenTooSmall, MalformedKind::TcpHeaderLength);
    }
    if header_len < 20 {
        return refuse(Event::TcpInvalidOptlen, MalformedKind::TcpHeaderLength);
    }
    Ok(Tcp {
        src_port: u16::from_be_bytes([head[0], head[1]]),
        dst_port: u16::from_be_bytes([head[2], head[3]]),
        seq: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ack: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        flags: head[13],
        header_len,
        window: u16::from_be_bytes([head[14], head[15]]),
        urgent: u16::from_be_bytes([head[18], head[19]]),
        header: at as u32,
    })
}

#[inline]
fn parse_udp(
    bytes: &[u8],
    at: usize,
    is_cut: bool,
    events: &mut EventSet,
) -> Result<Found, MalformedKind> {
    let Some(head) = bytes::array_at::<{ Udp::HEADER_LEN }>(bytes, at) else {
        events.insert(Event::UdpHlenTooSmall);
        return Err(MalformedKind::UdpTooSmall);
    };
    let udp = Udp {
        src_port: u16::from_be_bytes([head[0], head[1]]),
        dst_port: u16::from_be_bytes([head[2], head[3]]),
        length: u16::from_be_bytes([head[4], head[5]]),
        header: at as u32,
    };
    let room = bytes.len() - at;
    let length = match usize::from(udp.length) {
        // RFC 2675: a jumbogram's length does not fit.
        0 if room > usize::from(u16::MAX) => room,
        length if is_cut => length.min(room),
        length => length,
    };
    if length < Udp::HEADER_LEN || length > room {
        let is_short = length > room;
        events.insert(if is_short { Event::UdpPktTooSmall } else { Event::UdpLenInvalid });
        return Err(MalformedKind::UdpLength);
    }
    let mut flags = 0;
    if length < room {
        flags |= flag::UDP_SHORT;
    }
    if head[6] == 0 && head[7] == 0 {
        flags |= flag::UDP_NO_CHECKSUM;
    }
    let payload = (at + Udp::HEADER_LEN, at + length);
    Ok(Found { transport: Transport::Udp(udp), payload, flags })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip};
    use crate::{Config, Decoded, LinkType, Reject, decode};

    fn ip() -> Ip {
        Ip::new("10.0.0.1", "10.0.0.2")
    }

    fn raw(bytes: &[u8]) -> Result<Decoded, Reject> {
        let config = Config { verify_checksums: false, ..Config::default() };
        decode(LinkType::RawIp, bytes, &config)
    }

    fn tcp_of(decoded: &Decoded) -> Tcp {
        match decoded.transport {
            Transport::Tcp(tcp) => tcp,
            other => panic!("expected TCP, got {other:?}"),
        }
    }

    #[test]
    fn tcp_header_fields_are_read() {
        let build = builder::Tcp {
            urgent: 9,
            window: 1000,
            ..builder::Tcp::new(1234, 80, 0xdead_beef, 0x1020_3040).flags(0xd2)
        };
        let packet = ip().tcp(&build, b"GET /");
        let decoded = raw(&packet).unwrap();
        let tcp = tcp_of(&decoded);
        assert_eq!((tcp.src_port, tcp.dst_port), (1234, 80));
        assert_eq!((tcp.seq, tcp.ack), (0xdead_beef, 0x1020_3040));
        assert_eq!((tcp.flags, tcp.window, tcp.urgent), (0xd2, 1000, 9));
        assert!(tcp.has(tcp_flag::SYN | tcp_flag::CWR) && !tcp.has(tcp_flag::FIN));
        assert_eq!((tcp.header, tcp.header_len), (20, 20));
        assert_eq!(decoded.payload_of(&packet), b"GET /");
        assert_eq!(tcp.options(&packet), TcpOptions::default());
    }

    #[test]
    fn tcp_options_are_read_on_demand() {
        let mut options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
        options.extend([34, 6, 1, 2, 3, 4]);
        let packet = ip().tcp(&builder::Tcp::new(1, 2, 0, 0).options(&options), b"");
        let found = tcp_of(&raw(&packet).unwrap()).options(&packet);
        let expected = TcpOptions {
            mss: Some(1460),
            wscale: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 2)),
            tfo: true,
            signed: false,
            invalid: false,
            duplicate: false,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn of_a_tcp_option_that_comes_twice_the_first_counts() {
        let found = TcpOptions::parse(&[2, 4, 0, 1, 2, 4, 0, 2]);
        assert_eq!(found.mss, Some(1));
        assert!(found.events().has(Event::TcpOptDuplicate));
    }

    #[test]
    fn broken_tcp_options_are_told_and_the_rest_is_not_read() {
        for options in
            [&[9, 0, 3, 3, 7][..], &[9, 1, 3, 3, 7], &[8, 10, 1, 2, 3], &[9, 200, 3, 3, 7]]
        {
            let found = TcpOptions::parse(options);
            assert!(found.invalid, "{options:?}");
            assert_eq!(found.wscale, None);
        }
        let wrong_length = TcpOptions::parse(&[2, 3, 5, 3, 3, 7]);
        assert!(wrong_length.invalid && wrong_length.wscale == Some(7));
        assert!(!TcpOptions::parse(&[1, 1, 1, 9]).invalid);
    }

    #[test]
    fn a_tcp_header_must_fit() {
        let mut packet = ip().tcp(&builder::Tcp::new(1, 2, 0, 0), b"");
        packet[32] = 0x40;
        assert_eq!(raw(&packet), Err(MalformedKind::TcpHeaderLength.into()));
        packet[32] = 0x60;
        assert_eq!(raw(&packet), Err(MalformedKind::TcpHeaderLength.into()));
        let short = ip().datagram(ip::TCP, &[0; 19]);
        assert_eq!(raw(&short), Err(MalformedKind::TcpTooSmall.into()));
    }

    #[test]
    fn a_udp_length_clips_the_payload_and_must_fit() {
        let mut packet = ip().udp(53, 5353, b"abcdef");
        assert_eq!(raw(&packet).unwrap().ports(), (53, 5353));
        packet[24..26].copy_from_slice(&11u16.to_be_bytes());
        let decoded = raw(&packet).unwrap();
        assert_eq!(decoded.payload_of(&packet), b"abc");
        assert!(decoded.has(flag::UDP_SHORT));
        for length in [0u16, 7, 15] {
            packet[24..26].copy_from_slice(&length.to_be_bytes());
            assert_eq!(raw(&packet), Err(MalformedKind::UdpLength.into()), "{length}");
        }
        let short = ip().datagram(ip::UDP, &[0; 7]);
        assert_eq!(raw(&short), Err(MalformedKind::UdpTooSmall.into()));
    }

    #[test]
    fn icmp_identifiers_are_only_those_of_queries() {
        let packet = ip().icmp(8, 0, 0x0001_0002, b"ping");
        let decoded = raw(&packet).unwrap();
        let Transport::Icmp(icmp) = decoded.transport else { panic!("{decoded:?}") };
        assert_eq!((icmp.kind, icmp.code, icmp.id, icmp.seq), (8, 0, Some(1), Some(2)));
        assert_eq!(decoded.payload_of(&packet), b"ping");

        let packet = ip().icmp(3, 4, 1400, b"....");
        let Transport::Icmp(icmp) = raw(&packet).unwrap().transport else { panic!() };
        assert_eq!((icmp.id, icmp.seq, icmp.rest), (None, None, 1400));

        let packet = Ip::new("fd00::1", "fd00::2").icmp(129, 0, 0x0003_0004, b"pong");
        let Transport::Icmp6(icmp) = raw(&packet).unwrap().transport else { panic!() };
        assert_eq!((icmp.id, icmp.seq), (Some(3), Some(4)));
    }

    #[test]
    fn icmp_of_the_other_version_is_any_other_protocol() {
        let packet = ip().datagram(ip::ICMPV6, &[128, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(raw(&packet).unwrap().transport, Transport::Other);
    }

    #[test]
    fn small_icmp_and_sctp_headers_are_refused() {
        let icmp = ip().datagram(ip::ICMP, &[8, 0, 0, 0, 0, 0, 0]);
        assert_eq!(raw(&icmp), Err(MalformedKind::IcmpTooSmall.into()));
        let sctp = ip().datagram(ip::SCTP, &[0; 11]);
        assert_eq!(raw(&sctp), Err(MalformedKind::SctpTooSmall.into()));
    }

    #[test]
    fn sctp_ports_are_read() {
        let packet = ip().datagram(ip::SCTP, &[0, 5, 0, 6, 0, 0, 0, 7, 0, 0, 0, 0, 1, 2]);
        let decoded = raw(&packet).unwrap();
        assert_eq!(decoded.ports(), (5, 6));
        assert_eq!(decoded.payload_of(&packet), [1, 2]);
    }
}
