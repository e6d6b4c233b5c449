//! The keywords that look at a packet's header fields.

use std::net::IpAddr;

use rules::signature::{BitModifier, Buffer, ChecksumOf, HeaderTest};
use wire::{Decoded, EventSet, IpLayer, Transport};

/// The parts of a packet that header tests look at.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// What the decoder left.
    pub packet: &'a Decoded,
    /// The bytes that were decoded.
    pub bytes: &'a [u8],
    /// Length of the payload that detection sees: 0 where a packet has none or it is not looked at.
    pub payload_len: usize,
    /// What rules can ask for by name, of the packet and of what it did to its stream.
    pub events: EventSet,
    /// A stand-in for a flow's end: it has addresses and ports, but no header fields of its own.
    pub pseudo: bool,
}

impl<'a> Headers<'a> {
    fn ip(&self) -> &'a IpLayer {
        self.packet.inner()
    }

    /// Does the header test hold?
    pub fn holds(&self, test: &HeaderTest) -> bool {
        let ip = self.ip();
        if self.pseudo && !matches!(test, HeaderTest::IpProto(_) | HeaderTest::SameIp) {
            return false;
        }
        match test {
            HeaderTest::Event(event) => self.events.has(*event),
            HeaderTest::Dsize(compare) => {
                compare.holds(u16::try_from(self.payload_len).unwrap_or(u16::MAX))
            }
            HeaderTest::Ttl(compare) => compare.holds(ip.ttl),
            HeaderTest::Tos(tos, negated) => ip.version == 4 && (ip.tos == *tos) != *negated,
            HeaderTest::IpId(id) => ip.version == 4 && ip.id == u32::from(*id),
            HeaderTest::IpOption(option) => ip.version == 4 && has_option(ip.options, *option),
            HeaderTest::FragBits { bits, modifier } => {
                ip.version == 4 && bits_hold(u16::from(ip.fragment_bits) << 13, *bits, *modifier)
            }
            HeaderTest::FragOffset(compare) => compare.holds(ip.fragment_offset),
            HeaderTest::IpProto(compare) => compare.holds(ip.protocol),
            HeaderTest::SameIp => ip.src == ip.dst,
            HeaderTest::TcpFlags { bits, modifier, ignored } => match &self.packet.transport {
                Transport::Tcp(tcp) => bits_hold(
                    u16::from(tcp.flags & !*ignored),
                    u16::from(*bits & !*ignored),
                    *modifier,
                ),
                _ => false,
            },
            HeaderTest::TcpSeq(seq) => self.tcp().is_some_and(|tcp| tcp.seq == *seq),
            HeaderTest::TcpAck(ack) => self.tcp().is_some_and(|tcp| tcp.ack == *ack),
            HeaderTest::TcpWindow(window, negated) => {
                self.tcp().is_some_and(|tcp| (tcp.window == *window) != *negated)
            }
            HeaderTest::TcpMss(compare) => self
                .tcp()
                .and_then(|tcp| tcp.options(self.bytes).mss)
                .is_some_and(|mss| compare.holds(mss)),
            HeaderTest::IcmpType(compare) => self.icmp().is_some_and(|i| compare.holds(i.kind)),
            HeaderTest::IcmpCode(compare) => self.icmp().is_some_and(|i| compare.holds(i.code)),
            HeaderTest::IcmpId(id) => self.icmp().is_some_and(|i| i.id == Some(*id)),
            HeaderTest::IcmpSeq(seq) => self.icmp().is_some_and(|i| i.seq == Some(*seq)),
            HeaderTest::Checksum { version, of, valid } => {
                let is_its = match (of, &self.packet.transport) {
                    (ChecksumOf::Header, _) => true,
                    (ChecksumOf::Tcp, Transport::Tcp(_)) | (ChecksumOf::Udp, Transport::Udp(_)) => {
                        true
                    }
                    (ChecksumOf::Icmp, Transport::Icmp(_)) => *version == 4,
                    (ChecksumOf::Icmp, Transport::Icmp6(_)) => *version == 6,
                    _ => false,
                };
                // With a wrong one in the header it would not be here.
                let right = *of == ChecksumOf::Header
                    || !self.packet.has(wire::flag::BAD_TRANSPORT_CHECKSUM);
                ip.version == *version && is_its && right == *valid
            }
            HeaderTest::FtpBounce => {
                self.tcp().is_some() && ftp_bounces(self.packet.payload_of(self.bytes), ip.src)
            }
            HeaderTest::Rpc { program, version, procedure } => {
                rpc_call(self.packet.payload_of(self.bytes), &self.packet.transport).is_some_and(
                    |[called, of, what]| {
                        called == *program
                            && version.is_none_or(|version| of == version)
                            && procedure.is_none_or(|procedure| what == procedure)
                    },
                )
            }
            // RFC 4443, 3.2: only "packet too big" has an MTU.
            HeaderTest::Icmpv6Mtu(compare) => match &self.packet.transport {
                Transport::Icmp6(icmp) => icmp.kind == 2 && compare.holds(icmp.rest),
                _ => false,
            },
        }
    }

    fn tcp(&self) -> Option<&'a wire::Tcp> {
        match &self.packet.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    fn icmp(&self) -> Option<&'a wire::Icmp> {
        match &self.packet.transport {
            Transport::Icmp(icmp) | Transport::Icmp6(icmp) => Some(icmp),
            _ => None,
        }
    }

    /// The bytes of a header buffer, where the packet has that header.
    /// An address is written to `address`.
    pub fn buffer<'b>(&self, buffer: Buffer, address: &'b mut [u8; 16]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        let ip = self.ip();
        match buffer {
            Buffer::IpSrc => return Some(octets(ip.src, address)),
            Buffer::IpDst => return Some(octets(ip.dst, address)),
            _ if self.pseudo => return None,
            _ => {}
        }
        let header = ip.header as usize;
        let slice = |start: usize, end: usize| self.bytes.get(start..end);
        // Layers taken over from fragments have no bytes here.
        let layer_has_bytes =
            usize::from(self.packet.layer_count) > usize::from(self.packet.inherited);
        match (buffer, &self.packet.transport) {
            (Buffer::Ipv4Hdr, _) if ip.version == 4 && layer_has_bytes => {
                slice(header, header + usize::from(ip.header_len))
            }
            (Buffer::Ipv6Hdr, _) if ip.version == 6 && layer_has_bytes => {
                slice(header, ip.payload as usize)
            }
            (Buffer::TcpHdr, Transport::Tcp(tcp)) => {
                slice(tcp.header as usize, tcp.header as usize + usize::from(tcp.header_len))
            }
            (Buffer::UdpHdr, Transport::Udp(udp)) => {
                slice(udp.header as usize, udp.header as usize + 8)
            }
            // Suricata's icmpv4.hdr reaches over a quoted packet's header: the whole message.
            (Buffer::Icmpv4Hdr, Transport::Icmp(icmp)) => {
                slice(icmp.header as usize, ip.end as usize)
            }
            (Buffer::Icmpv6Hdr, Transport::Icmp6(icmp)) => {
                slice(icmp.header as usize, icmp.header as usize + 8)
            }
            _ => None,
        }
    }
}

/// Is there a PORT command (RFC 959, 4.1.2) in the payload that names another address?
fn ftp_bounces(payload: &[u8], src: IpAddr) -> bool {
    const COMMAND: &[u8] = b"PORT ";
    payload.split(|&b| b == b'\n').any(|line| {
        let Some((command, rest)) = line.split_at_checked(COMMAND.len()) else { return false };
        if !command.eq_ignore_ascii_case(COMMAND) {
            return false;
        }
        let mut numbers = rest.trim_ascii().split(|&b| b == b',').map(|number| {
            std::str::from_utf8(number).ok().and_then(|number| number.trim().parse::<u8>().ok())
        });
        let mut next = || numbers.next().flatten();
        match (next(), next(), next(), next()) {
            (Some(a), Some(b), Some(c), Some(d)) => src != IpAddr::from([a, b, c, d]),
            _ => false,
        }
    })
}

/// Program, version and procedure of a call (RFC 5531, 9); over TCP behind a record's mark (11).
fn rpc_call(payload: &[u8], transport: &Transport) -> Option<[u32; 3]> {
    let message = match transport {
        Transport::Tcp(_) => payload.get(4..)?,
        Transport::Udp(_) => payload,
        _ => return None,
    };
    let word = |at: usize| Some(u32::from_be_bytes(*message.get(at * 4..)?.first_chunk()?));
    let is_call = word(1)? == 0 && word(2)? == 2;
    is_call.then_some([word(3)?, word(4)?, word(5)?])
}

/// An address as its bytes.
fn octets(ip: IpAddr, address: &mut [u8; 16]) -> &[u8] {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d, ..] = address;
            [*a, *b, *c, *d] = ip.octets();
            address.get(..4).unwrap_or(&[])
        }
        IpAddr::V6(ip) => {
            *address = ip.octets();
            address
        }
    }
}

fn bits_hold(have: u16, want: u16, modifier: BitModifier) -> bool {
    match modifier {
        BitModifier::Exact => have == want,
        BitModifier::All => have & want == want,
        BitModifier::Any => have & want != 0,
        BitModifier::Not => have & want != want,
    }
}

/// `ipopts`: `number` is the option's type byte (RFC 791); None asks for any option.
fn has_option(options: u16, number: Option<u8>) -> bool {
    use wire::ip_option as o;
    let mask = match number {
        None => u16::MAX,
        Some(0) => o::EOL,
        Some(1) => o::NOP,
        Some(7) => o::RR,
        Some(25) => o::QS,
        Some(68) => o::TS,
        Some(130) => o::SEC,
        Some(131) => o::LSRR,
        Some(133) => o::ESEC,
        Some(134) => o::CIPSO,
        Some(136) => o::SATID,
        Some(137) => o::SSRR,
        Some(148) => o::RTRALT,
        Some(_) => return false,
    };
    options & mask != 0
}

#[cfg(test)]
mod tests {
    use wire::builder::{Ip, Tcp};
    use wire::{Config, LinkType};

    use super::*;

    fn holds(datagram: &[u8], test: &HeaderTest) -> bool {
        let decoded = wire::decode(LinkType::RawIp, datagram, &Config::default()).unwrap();
        let headers = Headers {
            packet: &decoded,
            bytes: datagram,
            payload_len: decoded.payload_of(datagram).len(),
            events: EventSet::EMPTY,
            pseudo: false,
        };
        headers.holds(test)
    }

    #[test]
    fn a_checksum_is_right_or_wrong_for_its_protocol_and_version_only() {
        let (v4, v6) = (Ip::new("10.0.0.1", "10.0.0.2"), Ip::new("fd00::1", "fd00::2"));
        let cases = [
            (v4.tcp(&Tcp::new(1, 2, 3, 4), b"abc"), 4, ChecksumOf::Tcp),
            (v6.tcp(&Tcp::new(1, 2, 3, 4), b"abc"), 6, ChecksumOf::Tcp),
            (v4.udp(1, 2, b"abc"), 4, ChecksumOf::Udp),
            (v6.udp(1, 2, b"abc"), 6, ChecksumOf::Udp),
            (v4.icmp(8, 0, 1, b"abc"), 4, ChecksumOf::Icmp),
            (v6.icmp(128, 0, 1, b"abc"), 6, ChecksumOf::Icmp),
        ];
        for (n, (right, ..)) in cases.iter().enumerate() {
            let mut wrong = right.clone();
            *wrong.last_mut().unwrap() ^= 1;
            for (m, &(_, version, of)) in cases.iter().enumerate() {
                let test = |valid| HeaderTest::Checksum { version, of, valid };
                let expected = [n == m, false, false, n == m];
                let found = [(right, true), (right, false), (&wrong, true), (&wrong, false)]
                    .map(|(datagram, valid)| holds(datagram, &test(valid)));
                assert_eq!(found, expected, "packet {n}, {version} {of:?}");
            }
        }
        let header =
            |version| HeaderTest::Checksum { version, of: ChecksumOf::Header, valid: true };
        assert!(holds(&cases[0].0, &header(4)) && !holds(&cases[1].0, &header(4)));
    }

    #[test]
    fn a_call_is_found_over_udp_and_behind_a_record_mark_over_tcp() {
        let call: Vec<u8> = [7u32, 0, 2, 100_000, 4, 3].map(u32::to_be_bytes).concat();
        let record = [&0x8000_0018u32.to_be_bytes()[..], &call].concat();
        let host = Ip::new("10.0.0.1", "10.0.0.2");
        let packets = [host.udp(1, 111, &call), host.tcp(&Tcp::new(1, 111, 3, 4), &record)];
        let test = |program, version, procedure| HeaderTest::Rpc { program, version, procedure };
        for packet in &packets {
            assert!(holds(packet, &test(100_000, None, None)));
            assert!(holds(packet, &test(100_000, Some(4), Some(3))));
            assert!(!holds(packet, &test(100_000, Some(2), None)));
            assert!(!holds(packet, &test(100_000, None, Some(4))));
            assert!(!holds(packet, &test(100_001, None, None)));
        }
        assert!(!holds(&host.udp(1, 111, &record), &test(100_000, None, None)));
        assert!(!holds(&host.udp(1, 111, &call[..20]), &test(100_000, None, None)), "cut short");
        assert!(!holds(&host.datagram(1, &call), &test(100_000, None, None)));
    }

    #[test]
    fn a_port_command_that_names_another_host_bounces() {
        let src = "10.0.0.1".parse().expect("an address");
        let bounces = |payload: &[u8]| ftp_bounces(payload, src);
        assert!(bounces(b"PORT 10,0,0,2,4,1\r\n") && bounces(b"NOOP\r\nport 10,0,0,2,4,1"));
        assert!(!bounces(b"PORT 10,0,0,1,4,1\r\n"), "its own");
        for none in
            [&b""[..], b"PORT", b"PORT 10,0,0\r\n", b"PORT 10,0,0,256,1,1", b"XPORT 1,2,3,4"]
        {
            assert!(!bounces(none), "{}", String::from_utf8_lossy(none));
        }
        let holds = |packet: &[u8]| holds(packet, &HeaderTest::FtpBounce);
        let host = Ip::new("10.0.0.1", "10.0.0.2");
        assert!(holds(&host.tcp(&Tcp::new(1, 21, 3, 4), b"PORT 10,9,9,9,1,1\r\n")));
        assert!(!holds(&host.udp(1, 21, b"PORT 10,9,9,9,1,1\r\n")));
    }
}
