//! Tunnels over UDP: VXLAN, VXLAN-GPE, GENEVE, TZSP, L2TP, Teredo.

use super::{Entry, TunnelKind};
use crate::config::{L2TP, VXLAN_GPE};
use crate::link::Step;
use crate::{Config, Span, Udp, bytes};

/// The tunnels that UDP ports tell.
#[inline]
pub(super) fn entry(bytes: &[u8], payload: Span, udp: &Udp, config: &Config) -> Option<Entry> {
    let port = udp.dst_port;
    let (at, end) = (payload.start as usize, payload.end as usize);
    if config.vxlan && tells(&config.vxlan_ports, port) {
        let head: [u8; 8] = bytes::array_at(bytes.get(..end)?, at)?;
        return (head[0] & 0x08 != 0)
            .then(|| Entry::new(TunnelKind::Vxlan, vni(&head), Step::Ethernet, at + 8, end));
    }
    if config.geneve && tells(&config.geneve_ports, port) {
        let head: [u8; 8] = bytes::array_at(bytes.get(..end)?, at)?;
        let step = match u16::from_be_bytes([head[2], head[3]]) {
            // As most are, and what it would come to.
            0x6558 => Step::Ethernet,
            ether_type => Step::EtherType(ether_type),
        };
        let next = at + 8 + usize::from(head[0] & 0x3f) * 4;
        return (head[0] >> 6 == 0)
            .then(|| Entry::new(TunnelKind::Geneve, vni(&head), step, next, end));
    }
    if config.vxlan_gpe && port == VXLAN_GPE {
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
    if config.tzsp && tells(&config.tzsp_ports, port) {
        return tzsp(bytes.get(..end)?, at);
    }
    if config.l2tp && (port == L2TP || udp.src_port == L2TP) {
        return l2tp(bytes.get(..end)?, at);
    }
    let is_teredo = |port| tells(&config.teredo_ports, port);
    if config.teredo && (is_teredo(port) || is_teredo(udp.src_port)) {
        return teredo(bytes.get(..end)?, at);
    }
    None
}

/// Is the port one of these few?
#[inline]
fn tells(ports: &[u16], port: u16) -> bool {
    ports.iter().fold(false, |found, it| found | (*it == port))
}

/// TZSP: four bytes, then tagged fields up to the one that ends them, then a frame.
fn tzsp(bytes: &[u8], at: usize) -> Option<Entry> {
    const RECEIVED: u8 = 0;
    const ETHERNET: u8 = 1;
    let [1, RECEIVED, 0, ETHERNET] = bytes::array_at(bytes, at)? else { return None };
    let mut next = at + 4;
    loop {
        match bytes::u8_at(bytes, next)? {
            0 => next += 1,
            1 => break,
            _ => next += 2 + usize::from(bytes::u8_at(bytes, next + 1)?),
        }
    }
    Some(Entry::new(TunnelKind::Tzsp, 0, Step::Ethernet, next + 1, bytes.len()))
}

/// L2TP, version 2: data messages with PPP. The two directions of a session have numbers of their
/// own, so that they are no identity.
fn l2tp(bytes: &[u8], at: usize) -> Option<Entry> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = bytes::u16_at(bytes, at)?;
    if flags & CONTROL != 0 || flags & 0x0f != 2 {
        return None;
    }
    let mut end = bytes.len();
    let mut next = at + 2;
    if flags & LENGTH != 0 {
        end = end.min(at + usize::from(bytes::u16_at(bytes, next)?));
        next += 2;
    }
    next += 4;
    if flags & SEQUENCE != 0 {
        next += 4;
    }
    if flags & OFFSET != 0 {
        next += 2 + usize::from(bytes::u16_at(bytes, next)?);
    }
    (next < end).then(|| Entry::new(TunnelKind::L2tp, 0, Step::Ppp, next, end))
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
