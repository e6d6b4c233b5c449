//! Packets for tests: headers put around bytes, from the inside out, lengths and checksums right.
//!
//! For tests only (feature `testing`): it allocates, and panics where a test is written wrong.

use std::net::IpAddr;

use crate::checksum::{fold, pseudo, sum};
use crate::{ip, tcp_flag};

/// An IP header to put around a transport.
#[derive(Debug, Clone)]
pub struct Ip {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same version.
    pub dst: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Identification (IPv4; IPv6 has it in [`Self::fragments`] only).
    pub id: u16,
    /// IPv4's "do not fragment".
    pub df: bool,
    /// IPv4 options; padded to a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv6 extension headers: protocol and whole header, whose first byte is set to the next.
    pub extensions: Vec<(u8, Vec<u8>)>,
}

impl Ip {
    /// A header from `src` to `dst`, written as usual. Panics if they are not two addresses of one
    /// version.
    pub fn new(src: &str, dst: &str) -> Self {
        let (src, dst): (IpAddr, IpAddr) = (src.parse().unwrap(), dst.parse().unwrap());
        assert_eq!(src.is_ipv4(), dst.is_ipv4(), "two versions of IP");
        let (options, extensions) = (Vec::new(), Vec::new());
        Self { src, dst, ttl: 64, tos: 0, id: 1, df: false, options, extensions }
    }

    /// The header of the answer.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { src: self.dst, dst: self.src, ..self.clone() }
    }

    /// A datagram of any protocol. Checksums of TCP, UDP, ICMP and ICMPv6 are filled in.
    pub fn datagram(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        self.header(protocol, &self.with_checksum(protocol, body), None)
    }

    /// A TCP segment.
    pub fn tcp(&self, tcp: &Tcp, payload: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        let mut options = tcp.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        body.extend(tcp.src_port.to_be_bytes());
        body.extend(tcp.dst_port.to_be_bytes());
        body.extend(tcp.seq.to_be_bytes());
        body.extend(tcp.ack.to_be_bytes());
        body.push((20 + options.len()) as u8 / 4 * 16);
        body.push(tcp.flags);
        body.extend(tcp.window.to_be_bytes());
        body.extend([0; 2]);
        body.extend(tcp.urgent.to_be_bytes());
        body.extend(options);
        body.extend(payload);
        self.datagram(ip::TCP, &body)
    }

    /// A UDP datagram.
    pub fn udp(&self, src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
        self.datagram(ip::UDP, &udp(src_port, dst_port, payload))
    }

    /// An ICMP or ICMPv6 message, by this header's version; `rest` are the bytes 4 to 7.
    pub fn icmp(&self, kind: u8, code: u8, rest: u32, payload: &[u8]) -> Vec<u8> {
        let mut body = vec![kind, code, 0, 0];
        body.extend(rest.to_be_bytes());
        body.extend(payload);
        self.datagram(if self.src.is_ipv4() { ip::ICMP } else { ip::ICMPV6 }, &body)
    }

    /// A datagram as fragments of at most `size` bytes of payload (a multiple of eight), in order.
    pub fn fragments(&self, id: u32, protocol: u8, body: &[u8], size: usize) -> Vec<Vec<u8>> {
        assert!(size.is_multiple_of(8) && size > 0, "fragments are multiples of eight");
        let body = self.with_checksum(protocol, body);
        let count = body.len().div_ceil(size);
        let parts = body.chunks(size).enumerate();
        parts
            .map(|(index, part)| {
                let field = ((index * size / 8) as u16, index + 1 < count);
                self.header(protocol, part, Some((id, field.0, field.1)))
            })
            .collect()
    }

    fn with_checksum(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        let at = match protocol {
            ip::TCP => 16,
            ip::UDP => 6,
            ip::ICMP | ip::ICMPV6 => 2,
            _ => return body,
        };
        let mut total = sum(&body);
        if protocol != ip::ICMP {
            total += pseudo(self.src, self.dst, protocol, body.len());
        }
        if let Some(field) = body.get_mut(at..at + 2) {
            field.copy_from_slice(&(!fold(total)).to_ne_bytes());
            // 0 would say that there is none.
            if protocol == ip::UDP && field == [0, 0] {
                field.fill(0xff);
            }
        }
        body
    }

    /// `fragment`: identification, offset in units of eight, more.
    fn header(&self, protocol: u8, body: &[u8], fragment: Option<(u32, u16, bool)>) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut options = self.options.clone();
                options.resize(options.len().next_multiple_of(4), 0);
                let header_len = 20 + options.len();
                let (id, offset, more) = fragment.unwrap_or((u32::from(self.id), 0, false));
                let field = u16::from(self.df) << 14 | u16::from(more) << 13 | offset;
                let mut out = vec![0x40 | (header_len / 4) as u8, self.tos];
                out.extend(((header_len + body.len()) as u16).to_be_bytes());
                out.extend((id as u16).to_be_bytes());
                out.extend(field.to_be_bytes());
                out.extend([self.ttl, protocol, 0, 0]);
                out.extend(src.octets());
                out.extend(dst.octets());
                out.extend(options);
                let checksum = !fold(sum(&out));
                out[10..12].copy_from_slice(&checksum.to_ne_bytes());
                out.extend(body);
                out
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut extensions = self.extensions.clone();
                if let Some((id, offset, more)) = fragment {
                    let mut header = vec![0, 0];
                    header.extend((offset << 3 | u16::from(more)).to_be_bytes());
                    header.extend(id.to_be_bytes());
                    extensions.push((ip::FRAGMENT, header));
                }
                let next = extensions.iter().map(|(protocol, _)| *protocol);
                let mut next = next.chain([protocol]).collect::<Vec<_>>().into_iter();
                let length: usize = extensions.iter().map(|(_, header)| header.len()).sum();
                let mut out = vec![0x60 | self.tos >> 4, self.tos << 4, 0, 0];
                out.extend(((length + body.len()) as u16).to_be_bytes());
                out.extend([next.next().unwrap(), self.ttl]);
                out.extend(src.octets());
                out.extend(dst.octets());
                for (_, header) in extensions {
                    out.push(next.next().unwrap());
                    out.extend(&header[1..]);
                }
                out.extend(body);
                out
            }
            _ => unreachable!("checked by new"),
        }
    }
}

/// A TCP header.
#[derive(Debug, Clone)]
pub struct Tcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number.
    pub ack: u32,
    /// Flags, see [`tcp_flag`].
    pub flags: u8,
    /// Window.
    pub window: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Options; padded to a multiple of four bytes.
    pub options: Vec<u8>,
}

impl Tcp {
    /// A header with PSH and ACK set.
    pub fn new(src_port: u16, dst_port: u16, seq: u32, ack: u32) -> Self {
        let flags = tcp_flag::PSH | tcp_flag::ACK;
        Self { src_port, dst_port, seq, ack, flags, window: 65535, urgent: 0, options: Vec::new() }
    }

    /// With these flags instead.
    #[must_use]
    pub fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// With these options.
    #[must_use]
    pub fn options(self, options: &[u8]) -> Self {
        Self { options: options.to_vec(), ..self }
    }
}

/// A UDP header (checksum 0) and its payload.
pub fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(src_port.to_be_bytes());
    out.extend(dst_port.to_be_bytes());
    out.extend(((8 + payload.len()) as u16).to_be_bytes());
    out.extend([0; 2]);
    out.extend(payload);
    out
}

/// An Ethernet frame around an IP datagram, of the type that its version asks for.
pub fn frame(datagram: &[u8]) -> Vec<u8> {
    ethernet(if datagram[0] >> 4 == 4 { 0x0800 } else { 0x86dd }, datagram)
}

/// An Ethernet frame of any type.
pub fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    out.extend(ether_type.to_be_bytes());
    out.extend(payload);
    out
}

/// An Ethernet frame with a VLAN tag put in, outside of those that are there.
pub fn vlan(tag_type: u16, id: u16, frame: &[u8]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    out.extend(tag_type.to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(&frame[12..]);
    out
}

/// A VXLAN header and a frame: the payload for UDP port 4789.
pub fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    let mut out = vec![0x08, 0, 0, 0];
    out.extend((vni << 8).to_be_bytes());
    out.extend(frame);
    out
}

/// A GENEVE header without options and what the Ethernet type names: for UDP port 6081.
pub fn geneve(vni: u32, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0];
    out.extend(ether_type.to_be_bytes());
    out.extend((vni << 8).to_be_bytes());
    out.extend(payload);
    out
}

/// A GRE header of version 0, with a key if there is one: for IP protocol 47.
pub fn gre(key: Option<u32>, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![if key.is_some() { 0x20 } else { 0 }, 0];
    out.extend(ether_type.to_be_bytes());
    out.extend(key.iter().flat_map(|key| key.to_be_bytes()));
    out.extend(payload);
    out
}
