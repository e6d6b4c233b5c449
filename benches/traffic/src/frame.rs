//! Ethernet frames from the outside in: envelope, IP, transport, payload, with lengths and
//! checksums right. Each function replaces what is in `out`, so that one buffer serves for all.

use std::net::{IpAddr, SocketAddr};

use crate::checksum::Checksum;
use crate::path::mac;
use crate::{Envelope, Path, Side};

/// IP protocol numbers.
mod protocol {
    pub(super) const ICMP: u8 = 1;
    pub(super) const IP_IN_IP: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const GRE: u8 = 47;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const FRAGMENT: u8 = 44;
}

/// Ethernet types.
mod ether_type {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const LLDP: u16 = 0x88cc;
    pub(super) const QINQ: u16 = 0x88a8;
    pub(super) const MPLS: u16 = 0x8847;
    /// Of GRE and GENEVE: an Ethernet frame.
    pub(super) const BRIDGED: u16 = 0x6558;
    /// Of GRE: a mirrored frame.
    pub(super) const ERSPAN: u16 = 0x88be;
}

/// TCP flags.
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push to the application.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment counts.
    pub const ACK: u8 = 0x10;
}

/// Ethernet's shortest frame without its check sequence: shorter ones are padded, as on a wire.
const SHORTEST: usize = 60;

/// UDP's and ICMP's header.
const SHORT_HEADER: usize = 8;

/// UDP port of VXLAN.
const VXLAN_PORT: u16 = 4789;
/// UDP port of GENEVE.
const GENEVE_PORT: u16 = 6081;

/// What a TCP header says.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    /// Sequence number of the first byte.
    pub seq: u32,
    /// The next byte that the sender waits for.
    pub ack: u32,
    /// See [`tcp_flag`].
    pub flags: u8,
    /// Options; a multiple of four bytes, at most 40.
    pub options: &'a [u8],
}

/// A TCP segment. The IP datagram must stay below 64 KiB.
pub fn tcp(out: &mut Vec<u8>, path: &Path, from: Side, id: u16, tcp: &Tcp<'_>, payload: &[u8]) {
    let header_len = 20 + tcp.options.len();
    let (source, destination) = path.ends(from);
    let whole = Part::whole(id);
    open(out, path, from, protocol::TCP, whole, header_len + payload.len());
    let start = out.len();
    out.extend(source.port().to_be_bytes());
    out.extend(destination.port().to_be_bytes());
    out.extend(tcp.seq.to_be_bytes());
    out.extend(tcp.ack.to_be_bytes());
    out.extend([(header_len / 4 * 16) as u8, tcp.flags]);
    out.extend(64_240_u16.to_be_bytes());
    out.extend([0; 4]);
    out.extend(tcp.options);
    out.extend(payload);
    finish(out, start, protocol::TCP, 16, source.ip(), destination.ip());
}

/// A UDP datagram of less than 64 KiB.
pub fn udp(out: &mut Vec<u8>, path: &Path, from: Side, id: u16, payload: &[u8]) {
    let (source, destination) = path.ends(from);
    let whole = Part::whole(id);
    open(out, path, from, protocol::UDP, whole, SHORT_HEADER + payload.len());
    let start = out.len();
    udp_header(out, source, destination, payload);
    finish(out, start, protocol::UDP, 6, source.ip(), destination.ip());
}

/// A UDP datagram in fragments of at most `size` bytes of IP payload, in order.
///
/// # Panics
/// If `size` is not a multiple of eight above 0.
pub fn udp_fragments(
    path: &Path,
    from: Side,
    id: u16,
    payload: &[u8],
    size: usize,
) -> Vec<Vec<u8>> {
    assert!(size > 0 && size.is_multiple_of(8), "fragments are multiples of eight");
    let (source, destination) = path.ends(from);
    let mut datagram = Vec::new();
    udp_header(&mut datagram, source, destination, payload);
    put_checksum(&mut datagram, protocol::UDP, 6, source.ip(), destination.ip());
    let count = datagram.len().div_ceil(size);
    let parts = datagram.chunks(size).enumerate().map(|(index, bytes)| {
        let part = Part { id, offset: (index * size / 8) as u16, more: index + 1 < count };
        let mut out = Vec::new();
        open(&mut out, path, from, protocol::UDP, part, bytes.len());
        out.extend(bytes);
        pad(&mut out);
        out
    });
    parts.collect()
}

/// An ICMP or ICMPv6 echo request (from the client) or reply (from the server). Ports are ignored.
pub fn echo(out: &mut Vec<u8>, path: &Path, from: Side, id: u16, sequence: u16, payload: &[u8]) {
    let (source, destination) = path.ends(from);
    let (protocol, kind) = match (source.is_ipv4(), from) {
        (true, Side::Client) => (protocol::ICMP, 8),
        (true, Side::Server) => (protocol::ICMP, 0),
        (false, Side::Client) => (protocol::ICMPV6, 128),
        (false, Side::Server) => (protocol::ICMPV6, 129),
    };
    open(out, path, from, protocol, Part::whole(id), SHORT_HEADER + payload.len());
    let start = out.len();
    out.extend([kind, 0, 0, 0]);
    out.extend(0x1234_u16.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(payload);
    finish(out, start, protocol, 2, source.ip(), destination.ip());
}

/// An ARP question for the server's address, or the server's answer (RFC 826). IPv4 only.
///
/// # Panics
/// If the path is of IPv6.
pub fn arp(out: &mut Vec<u8>, path: &Path, from: Side) {
    let (source, destination) = path.ends(from);
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (source.ip(), destination.ip()) else {
        panic!("ARP is of IPv4");
    };
    let asked = from == Side::Client;
    let target = if asked { [0; 6] } else { mac(destination.into()) };
    out.clear();
    out.extend(if asked { [0xff; 6] } else { target });
    out.extend(mac(source.into()));
    out.extend(ether_type::ARP.to_be_bytes());
    out.extend([0, 1, 8, 0, 6, 4, 0, if asked { 1 } else { 2 }]);
    out.extend(mac(source.into()));
    out.extend(source.octets());
    out.extend(target);
    out.extend(destination.octets());
    pad(out);
}

/// A switch's LLDP announcement (IEEE 802.1AB): chassis, port and time to live.
pub fn lldp(out: &mut Vec<u8>) {
    let chassis = [2, 0x70, 0, 0, 0, 1];
    out.clear();
    out.extend([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    out.extend(chassis);
    out.extend(ether_type::LLDP.to_be_bytes());
    out.extend([0x02, 7, 4]);
    out.extend(chassis);
    out.extend([0x04, 5, 7]);
    out.extend(b"p001");
    out.extend([0x06, 2, 0, 120, 0, 0]);
    pad(out);
}

fn udp_header(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
    out.extend(source.port().to_be_bytes());
    out.extend(destination.port().to_be_bytes());
    out.extend(((SHORT_HEADER + payload.len()) as u16).to_be_bytes());
    out.extend([0; 2]);
    out.extend(payload);
}

/// Puts the checksum of `out` from `start` on, `at` bytes from there, and pads the frame.
fn finish(out: &mut Vec<u8>, start: usize, protocol: u8, at: usize, from: IpAddr, to: IpAddr) {
    put_checksum(&mut out[start..], protocol, at, from, to);
    pad(out);
}

fn put_checksum(body: &mut [u8], protocol: u8, at: usize, from: IpAddr, to: IpAddr) {
    let mut sum = Checksum::default().add(body);
    if protocol != protocol::ICMP {
        sum = sum.pseudo(from, to, protocol, body.len());
    }
    // A UDP checksum of 0 would say that there is none.
    let sum = match sum.finish() {
        0 if protocol == protocol::UDP => 0xffff,
        sum => sum,
    };
    body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().max(SHORTEST), 0);
}

/// Which part of a datagram an IP packet is.
#[derive(Clone, Copy)]
struct Part {
    id: u16,
    /// In units of eight bytes.
    offset: u16,
    more: bool,
}

impl Part {
    const fn whole(id: u16) -> Self {
        Self { id, offset: 0, more: false }
    }

    const fn is_whole(self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Everything that stands before `body_len` bytes of IP payload.
fn open(out: &mut Vec<u8>, path: &Path, from: Side, protocol: u8, part: Part, body_len: usize) {
    let (source, destination) = path.ends(from);
    let (source, destination) = (source.ip(), destination.ip());
    let (ether_type, ip_header) = match source {
        IpAddr::V4(_) => (ether_type::IPV4, 20),
        IpAddr::V6(_) if part.is_whole() => (ether_type::IPV6, 40),
        IpAddr::V6(_) => (ether_type::IPV6, 48),
    };
    out.clear();
    match path.envelope {
        Envelope::Plain => ethernet(out, source, destination, ether_type),
        Envelope::Vlan(id) => {
            ethernet(out, source, destination, ether_type::VLAN);
            out.extend(id.to_be_bytes());
            out.extend(ether_type.to_be_bytes());
        }
        Envelope::Qinq(outer, inner) => {
            ethernet(out, source, destination, ether_type::QINQ);
            out.extend(outer.to_be_bytes());
            out.extend(ether_type::VLAN.to_be_bytes());
            out.extend(inner.to_be_bytes());
            out.extend(ether_type.to_be_bytes());
        }
        Envelope::Mpls(label) => {
            ethernet(out, source, destination, ether_type::MPLS);
            // The last of the stack, 64 hops to go.
            out.extend((label << 12 | 1 << 8 | 64).to_be_bytes());
        }
        Envelope::Vxlan { vni, client, server } => {
            let nodes = between(client, server).ends(from);
            let header = [0x0800_0000, vni << 8];
            tunnel_udp(out, path, nodes, part.id, VXLAN_PORT, header, 14 + ip_header + body_len);
            ethernet(out, source, destination, ether_type);
        }
        Envelope::Geneve { vni, client, server } => {
            let nodes = between(client, server).ends(from);
            let header = [u32::from(ether_type::BRIDGED), vni << 8];
            tunnel_udp(out, path, nodes, part.id, GENEVE_PORT, header, 14 + ip_header + body_len);
            ethernet(out, source, destination, ether_type);
        }
        Envelope::IpIp { client, server } => {
            let carried = if source.is_ipv4() { protocol::IP_IN_IP } else { 41 };
            let nodes = between(client, server).ends(from);
            outer(out, nodes, part.id, carried, ip_header + body_len);
        }
        Envelope::Gre { client, server } => {
            let nodes = between(client, server).ends(from);
            outer(out, nodes, part.id, protocol::GRE, 4 + ip_header + body_len);
            out.extend([0; 2]);
            out.extend(ether_type.to_be_bytes());
        }
        Envelope::Erspan { session, switch, watcher } => {
            let nodes = between(switch, watcher).ends(Side::Client);
            outer(out, nodes, part.id, protocol::GRE, 8 + 8 + 14 + ip_header + body_len);
            // With a sequence number, version 1; the port's number is left at 0.
            out.extend([0x10, 0]);
            out.extend(ether_type::ERSPAN.to_be_bytes());
            out.extend(u32::from(part.id).to_be_bytes());
            out.extend((0x1000_0000 | u32::from(session & 0x3ff)).to_be_bytes());
            out.extend([0; 4]);
            ethernet(out, source, destination, ether_type);
        }
    }
    ip(out, source, destination, protocol, part, body_len);
}

/// What stands before a frame in a tunnel over UDP: source port as Linux does it, by the inner flow; no
/// checksum; a header of two words.
fn tunnel_udp(
    out: &mut Vec<u8>,
    path: &Path,
    nodes: (SocketAddr, SocketAddr),
    id: u16,
    port: u16,
    header: [u32; 2],
    carried: usize,
) {
    outer(out, nodes, id, protocol::UDP, 16 + carried);
    out.extend(tunnel_port(path.client.port() ^ path.server.port()).to_be_bytes());
    out.extend(port.to_be_bytes());
    out.extend(((16 + carried) as u16).to_be_bytes());
    out.extend([0; 2]);
    out.extend(header.into_iter().flat_map(u32::to_be_bytes));
}

/// The source port of a tunnel over UDP for a flow with this hash.
pub(crate) const fn tunnel_port(hash: u16) -> u16 {
    49_152 | (hash & 0x3fff)
}

/// Ethernet and the IP header between two nodes.
fn outer(
    out: &mut Vec<u8>,
    nodes: (SocketAddr, SocketAddr),
    id: u16,
    protocol: u8,
    body_len: usize,
) {
    let (from, to) = (nodes.0.ip(), nodes.1.ip());
    ethernet(out, from, to, ether_type::IPV4);
    ip(out, from, to, protocol, Part::whole(id), body_len);
}

fn between(client: std::net::Ipv4Addr, server: std::net::Ipv4Addr) -> Path {
    Path::new(SocketAddr::new(client.into(), 0), SocketAddr::new(server.into(), 0))
}

fn ethernet(out: &mut Vec<u8>, source: IpAddr, destination: IpAddr, ether_type: u16) {
    out.extend(mac(destination));
    out.extend(mac(source));
    out.extend(ether_type.to_be_bytes());
}

fn ip(out: &mut Vec<u8>, from: IpAddr, to: IpAddr, protocol: u8, part: Part, body_len: usize) {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let start = out.len();
            let flags = match (part.is_whole(), part.more) {
                (true, _) => 0x4000,
                (false, true) => 0x2000,
                (false, false) => 0,
            };
            out.extend([0x45, 0]);
            out.extend(((20 + body_len) as u16).to_be_bytes());
            out.extend(part.id.to_be_bytes());
            out.extend((flags | part.offset).to_be_bytes());
            out.extend([63, protocol, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let sum = Checksum::default().add(&out[start..]).finish();
            out[start + 10..start + 12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let (next, extension) =
                if part.is_whole() { (protocol, 0) } else { (protocol::FRAGMENT, 8) };
            out.extend([0x60, 0, 0, 0]);
            out.extend(((extension + body_len) as u16).to_be_bytes());
            out.extend([next, 63]);
            out.extend(from.octets());
            out.extend(to.octets());
            if extension > 0 {
                out.extend([protocol, 0]);
                out.extend((part.offset << 3 | u16::from(part.more)).to_be_bytes());
                out.extend(u32::from(part.id).to_be_bytes());
            }
        }
        _ => unreachable!("Path::new refuses two versions of IP"),
    }
}
