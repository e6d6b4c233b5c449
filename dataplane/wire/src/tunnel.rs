//! Tunnels: which packets are envelopes, and of what.

use crate::link::Step;
use crate::{Config, Decoded, Transport, Udp, bytes, ip};

/// What kind of tunnel an inner packet was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum TunnelKind {
    /// The packet was in no tunnel.
    #[default]
    None = 0,
    /// IPv4 in IP (protocol 4).
    Ipip = 1,
    /// IPv6 in IP (protocol 41).
    SixInFour = 2,
    /// GRE with IP, PPP or MPLS within.
    Gre = 3,
    /// GRE with Ethernet within (NVGRE, RFC 7637).
    Nvgre = 4,
    /// ERSPAN of any type.
    Erspan = 5,
    /// VXLAN.
    Vxlan = 6,
    /// VXLAN-GPE.
    VxlanGpe = 7,
    /// GENEVE.
    Geneve = 8,
    /// Teredo.
    Teredo = 9,
}

/// The inner-most tunnel of a packet: part of a flow's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TunnelId {
    /// Its kind.
    pub kind: TunnelKind,
    /// VNI of VXLAN and GENEVE, VSID of NVGRE, key of GRE, session of ERSPAN; otherwise 0.
    pub key: u32,
    /// VLANs of the frame within the tunnel (12 bits each), outer-most first.
    pub vlan: [u16; 2],
    /// How many of [`Self::vlan`] there are. A third tag within a tunnel is read but not kept.
    pub vlan_count: u8,
}

impl TunnelId {
    /// Whether there is no tunnel.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.kind == TunnelKind::None
    }
}

/// Where a tunnel's content begins and ends, and how it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: TunnelId,
    pub(crate) step: Step,
    pub(crate) at: usize,
    pub(crate) end: usize,
}

impl Entry {
    fn new(kind: TunnelKind, key: u32, step: Step, at: usize, end: usize) -> Self {
        Self { id: TunnelId { kind, key, ..TunnelId::default() }, step, at, end }
    }
}

/// The tunnel that the decoded packet is the envelope of, if it is one.
#[inline]
pub(crate) fn entry(bytes: &[u8], packet: &Decoded, config: &Config) -> Option<Entry> {
    match packet.transport {
        Transport::Tcp(_) => None,
        Transport::Udp(udp) => in_udp(bytes, packet, &udp, config),
        Transport::Other => {
            let (at, end) = (packet.payload.start as usize, packet.payload.end as usize);
            match packet.inner().protocol {
                ip::IPV4 if config.ip_in_ip => {
                    Some(Entry::new(TunnelKind::Ipip, 0, Step::Ipv4, at, end))
                }
                ip::IPV6 if config.ip_in_ip => {
                    Some(Entry::new(TunnelKind::SixInFour, 0, Step::Ipv6, at, end))
                }
                ip::GRE if config.gre => gre(bytes.get(..end)?, at, config),
                _ => None,
            }
        }
        _ => None,
    }
}

/// GRE: RFC 2784 and 2890 with the routing of RFC 1701, and version 1 as in PPTP (RFC 2637).
fn gre(bytes: &[u8], at: usize, config: &Config) -> Option<Entry> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGMENT: u16 = 0x0080;

    let flags = bytes::u16_at(bytes, at)?;
    let protocol = bytes::u16_at(bytes, at + 2)?;
    let mut end = bytes.len();
    let mut next = at + 4;
    match flags & 7 {
        0 => {
            if flags & (CHECKSUM | ROUTING) != 0 {
                next += 4;
            }
            let mut key = 0;
            if flags & KEY != 0 {
                key = bytes::u32_at(bytes, next)?;
                next += 4;
            }
            if flags & SEQUENCE != 0 {
                next += 4;
            }
            if flags & ROUTING != 0 {
                next = after_routing(bytes, next)?;
            }
            match protocol {
                0x88be if config.erspan && flags & SEQUENCE == 0 => {
                    Some(Entry::new(TunnelKind::Erspan, 0, Step::Ethernet, next, end))
                }
                0x88be if config.erspan => erspan(bytes, next, 1),
                0x22eb if config.erspan => erspan(bytes, next, 2),
                // The low byte is a hash of the flow, the two directions of which may differ.
                0x6558 if flags & KEY != 0 => {
                    Some(Entry::new(TunnelKind::Nvgre, key >> 8, Step::Ethernet, next, end))
                }
                _ => {
                    let step = Step::EtherType(protocol);
                    Some(Entry::new(TunnelKind::Gre, key, step, next, end))
                }
            }
        }
        1 if protocol == 0x880b && flags & KEY != 0 => {
            let length = usize::from(bytes::u16_at(bytes, at + 4)?);
            next += 4;
            if flags & SEQUENCE != 0 {
                next += 4;
            }
            if flags & ACKNOWLEDGMENT != 0 {
                next += 4;
            }
            end = end.min(next + length);
            // The call number is the receiver's: the two directions of a call have two.
            (length > 0).then(|| Entry::new(TunnelKind::Gre, 0, Step::Ppp, next, end))
        }
        _ => None,
    }
}

/// The end of a list of source route entries.
fn after_routing(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let entry = bytes::u32_at(bytes, at)?;
        let length = entry as usize & 0xff;
        at += 4;
        if entry >> 16 == 0 && length == 0 {
            return Some(at);
        }
        at += length;
    }
}

/// ERSPAN II (version 1) and III (version 2).
fn erspan(bytes: &[u8], at: usize, version: u16) -> Option<Entry> {
    let first = bytes::u16_at(bytes, at)?;
    let session = u32::from(bytes::u16_at(bytes, at + 2)? & 0x03ff);
    if first >> 12 != version {
        return None;
    }
    let (step, next) = if version == 1 {
        (Step::Ethernet, at + 8)
    } else {
        let last = bytes::u16_at(bytes, at + 10)?;
        let step = match (last >> 10) & 0x1f {
            0 => Step::Ethernet,
            2 => Step::Ip,
            _ => return None,
        };
        (step, at + 12 + usize::from(last & 1) * 8)
    };
    let mut entry = Entry::new(TunnelKind::Erspan, session, step, next, bytes.len());
    // The mirrored frame's VLAN has been taken out of it and put here.
    if first & 0x0fff != 0 {
        entry.id.vlan[0] = first & 0x0fff;
        entry.id.vlan_count = 1;
    }
    Some(entry)
}

/// The tunnels that UDP ports tell.
#[inline]
fn in_udp(bytes: &[u8], packet: &Decoded, udp: &Udp, config: &Config) -> Option<Entry> {
    let port = udp.dst_port;
    let (at, end) = (packet.payload.start as usize, packet.payload.end as usize);
    if config.vxlan && config.vxlan_ports.contains(&port) {
        let head: [u8; 8] = bytes::array_at(bytes.get(..end)?, at)?;
        return (head[0] & 0x08 != 0)
            .then(|| Entry::new(TunnelKind::Vxlan, vni(&head), Step::Ethernet, at + 8, end));
    }
    if config.geneve && config.geneve_ports.contains(&port) {
        let head: [u8; 8] = bytes::array_at(bytes.get(..end)?, at)?;
        let step = Step::EtherType(u16::from_be_bytes([head[2], head[3]]));
        let next = at + 8 + usize::from(head[0] & 0x3f) * 4;
        return (head[0] >> 6 == 0)
            .then(|| Entry::new(TunnelKind::Geneve, vni(&head), step, next, end));
    }
    if config.vxlan_gpe && port == 4790 {
        let head: [u8; 8] = bytes::array_at(bytes.get(..end)?, at)?;
        let step = match (head[0] & 0x0c, head[3]) {
            (0x08, _) | (0x0c, 3) => Step::Ethernet,
            (0x0c, 1) => Step::Ipv4,
            (0x0c, 2) => Step::Ipv6,
            (0x0c, 4) => Step::Nsh,
            _ => return None,
        };
        return Some(Entry::new(TunnelKind::VxlanGpe, vni(&head), step, at + 8, end));
    }
    if config.teredo && (port == 3544 || udp.src_port == 3544) {
        return teredo(bytes.get(..end)?, at);
    }
    None
}

/// The network identifier where VXLAN and GENEVE both have it.
fn vni(head: &[u8; 8]) -> u32 {
    u32::from_be_bytes([0, head[4], head[5], head[6]])
}

/// RFC 4380: an authentication and an origin indication may come first. Nothing says that a packet
/// is Teredo but the IPv6 header, which has to account for every byte.
fn teredo(bytes: &[u8], mut at: usize) -> Option<Entry> {
    if let Some([0, 1, client, authentication]) = bytes::array_at(bytes, at) {
        at += 4 + usize::from(client) + usize::from(authentication) + 9;
    }
    if let Some([0, 0]) = bytes::array_at(bytes, at) {
        at += 8;
    }
    let length = usize::from(bytes::u16_at(bytes, at + 4)?);
    (bytes::u8_at(bytes, at)? >> 4 == 6 && at + 40 + length == bytes.len())
        .then(|| Entry::new(TunnelKind::Teredo, 0, Step::Ipv6, at, bytes.len()))
}
