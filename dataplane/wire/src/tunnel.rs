//! Tunnels: which packets are envelopes, and of what.

use crate::link::Step;
use crate::{Config, Decoded, Event, EventSet, Transport, Udp, bytes, ip};

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
    /// L2TP with PPP within.
    L2tp = 10,
    /// TZSP.
    Tzsp = 11,
}

/// The inner-most tunnel of a packet: part of a flow's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TunnelId {
    /// Its kind.
    pub kind: TunnelKind,
    /// VNI of VXLAN and GENEVE, VSID of NVGRE, key of GRE, session of ERSPAN; otherwise 0.
    pub key: u32,
    /// A hash of the tunnels around this one; 0 where there are none.
    pub outer: u32,
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

    /// What a tunnel within this one keeps of it.
    pub(crate) fn chained(&self) -> u32 {
        if self.is_none() {
            return 0;
        }
        let mut hash = u64::from(self.outer) << 32 | u64::from(self.key);
        for word in [self.kind as u16, self.vlan[0], self.vlan[1], u16::from(self.vlan_count)] {
            hash = (hash ^ u64::from(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        }
        (hash >> 32) as u32 | 1
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

    /// Whether nothing but a port says that it is a tunnel.
    pub(crate) fn is_guess(&self) -> bool {
        matches!(
            self.id.kind,
            TunnelKind::Vxlan
                | TunnelKind::VxlanGpe
                | TunnelKind::Geneve
                | TunnelKind::Teredo
                | TunnelKind::L2tp
                | TunnelKind::Tzsp
        )
    }
}

/// The tunnel that the decoded packet is the envelope of, if it is one.
#[inline]
pub(crate) fn entry(
    bytes: &[u8],
    packet: &Decoded,
    config: &Config,
    events: &mut EventSet,
) -> Option<Entry> {
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
                ip::GRE if config.gre => gre(bytes.get(..end)?, at, config, events),
                _ => None,
            }
        }
        _ => None,
    }
}

/// GRE: RFC 2784 and 2890 with the routing of RFC 1701, and version 1 as in PPTP (RFC 2637).
fn gre(bytes: &[u8], at: usize, config: &Config, events: &mut EventSet) -> Option<Entry> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const STRICT: u16 = 0x0800;
    const RECURSION: u16 = 0x0700;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    const OTHER_FLAGS: u16 = 0x00f8;

    let words = bytes::u16_at(bytes, at).zip(bytes::u16_at(bytes, at + 2));
    let Some((flags, protocol)) = words else {
        events.insert(Event::GrePktTooSmall);
        return None;
    };
    let mut end = bytes.len();
    let mut next = at + 4;
    match flags & 7 {
        0 => {
            if flags & RECURSION != 0 {
                events.insert(Event::GreVersion0Recur);
            }
            if flags & OTHER_FLAGS != 0 {
                events.insert(Event::GreVersion0Flags);
            }
            let optional = [CHECKSUM | ROUTING, KEY, SEQUENCE].map(|bit| flags & bit != 0);
            if bytes.len() < next + 4 * optional.into_iter().filter(|bit| *bit).count() {
                events.insert(Event::GreVersion0HdrTooBig);
                return None;
            }
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
                let Some(after) = after_routing(bytes, next) else {
                    events.insert(Event::GreVersion0MalformedSreHdr);
                    return None;
                };
                next = after;
            }
            match protocol {
                0x88be if config.erspan && flags & SEQUENCE == 0 => {
                    Some(Entry::new(TunnelKind::Erspan, 0, Step::Ethernet, next, end))
                }
                0x88be if config.erspan => erspan(bytes, next, 1, events),
                0x22eb if config.erspan => erspan(bytes, next, 2, events),
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
        1 => {
            let odd = [
                (flags & CHECKSUM != 0, Event::GreVersion1Chksum),
                (flags & ROUTING != 0, Event::GreVersion1Route),
                (flags & STRICT != 0, Event::GreVersion1Ssr),
                (flags & RECURSION != 0, Event::GreVersion1Recur),
                (flags & (OTHER_FLAGS & !ACKNOWLEDGMENT) != 0, Event::GreVersion1Flags),
                (flags & KEY == 0, Event::GreVersion1NoKey),
                (protocol != 0x880b, Event::GreVersion1WrongProtocol),
            ];
            for (_, event) in odd.iter().filter(|(is_so, _)| *is_so) {
                events.insert(*event);
            }
            if flags & KEY == 0 || protocol != 0x880b {
                return None;
            }
            let optional = [KEY, SEQUENCE, ACKNOWLEDGMENT].map(|bit| flags & bit != 0);
            if bytes.len() < next + 4 * optional.into_iter().filter(|bit| *bit).count() {
                events.insert(Event::GreVersion1HdrTooBig);
                return None;
            }
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
        _ => {
            events.insert(Event::GreWrongVersion);
            None
        }
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
fn erspan(bytes: &[u8], at: usize, version: u16, events: &mut EventSet) -> Option<Entry> {
    if bytes.len() < at + if version == 1 { 8 } else { 12 } {
        events.insert(Event::ErspanHeaderTooSmall);
        return None;
    }
    let first = bytes::u16_at(bytes, at)?;
    let session = u32::from(bytes::u16_at(bytes, at + 2)? & 0x03ff);
    if first >> 12 != version {
        events.insert(Event::ErspanUnsupportedVersion);
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
    if config.tzsp && config.tzsp_ports.contains(&port) {
        return tzsp(bytes.get(..end)?, at);
    }
    if config.l2tp && (port == 1701 || udp.src_port == 1701) {
        return l2tp(bytes.get(..end)?, at);
    }
    let is_teredo = |port| config.teredo_ports.contains(&port);
    if config.teredo && (is_teredo(port) || is_teredo(udp.src_port)) {
        return teredo(bytes.get(..end)?, at);
    }
    None
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip, Tcp};
    use crate::decoded::flag;
    use crate::{LinkType, MAX_IP_LAYERS, MalformedKind, Reject, decode};

    fn outer() -> Ip {
        Ip::new("192.168.0.1", "192.168.0.2")
    }

    fn inner() -> Vec<u8> {
        Ip::new("10.0.0.1", "10.0.0.2").tcp(&Tcp::new(1000, 80, 1, 1), b"secret")
    }

    fn inner6() -> Vec<u8> {
        Ip::new("fd00::1", "fd00::2").tcp(&Tcp::new(1000, 80, 1, 1), b"secret")
    }

    fn read(packet: &[u8]) -> Result<Decoded, Reject> {
        decode(LinkType::RawIp, packet, &Config::default())
    }

    /// The tunnel of a packet that has to be one with `inner` or `inner6` within.
    fn tunnel_of(packet: &[u8]) -> TunnelId {
        let decoded = read(packet).unwrap();
        assert_eq!(decoded.payload_of(packet), b"secret");
        assert_eq!(decoded.ports(), (1000, 80));
        assert_eq!(decoded.layer_count, 2);
        assert_eq!(decoded.layers[0].src, outer().src);
        decoded.tunnel
    }

    fn id(kind: TunnelKind, key: u32) -> TunnelId {
        TunnelId { kind, key, ..TunnelId::default() }
    }

    #[test]
    fn ip_in_ip_of_both_versions_is_opened() {
        assert_eq!(tunnel_of(&outer().datagram(ip::IPV4, &inner())), id(TunnelKind::Ipip, 0));
        assert_eq!(tunnel_of(&outer().datagram(ip::IPV6, &inner6())), id(TunnelKind::SixInFour, 0));
        let decoded = read(&Ip::new("fd01::1", "fd01::2").datagram(ip::IPV4, &inner())).unwrap();
        assert_eq!((decoded.layers[0].version, decoded.inner().version), (6, 4));
    }

    #[test]
    fn vxlan_is_opened_at_its_ports_and_tells_its_network_and_vlan() {
        let frame = builder::vlan(0x8100, 5, &builder::frame(&inner()));
        for port in [4789, 8472] {
            let packet = outer().udp(50000, port, &builder::vxlan(0x123456, &frame));
            let expected =
                TunnelId { vlan: [5, 0], vlan_count: 1, ..id(TunnelKind::Vxlan, 0x123456) };
            assert_eq!(tunnel_of(&packet), expected);
        }
        let packet = outer().udp(4789, 50000, &builder::vxlan(1, &frame));
        assert_eq!(read(&packet).unwrap().layer_count, 1);
    }

    #[test]
    fn vxlan_without_its_flag_is_plain_udp() {
        let mut body = builder::vxlan(1, &builder::frame(&inner()));
        body[0] = 0;
        let decoded = read(&outer().udp(1, 4789, &body)).unwrap();
        assert!(decoded.layer_count == 1 && decoded.tunnel.is_none());
    }

    #[test]
    fn vxlan_gpe_and_geneve_are_opened() {
        let mut body = builder::vxlan(9, &inner());
        body[0] = 0x0c;
        body[3] = 1;
        assert_eq!(tunnel_of(&outer().udp(1, 4790, &body)), id(TunnelKind::VxlanGpe, 9));
        let body = builder::geneve(7, 0x0800, &inner());
        assert_eq!(tunnel_of(&outer().udp(1, 6081, &body)), id(TunnelKind::Geneve, 7));
        let mut body = builder::geneve(7, 0x6558, &[0; 8]);
        body[0] = 2;
        body.extend(builder::frame(&inner6()));
        assert_eq!(tunnel_of(&outer().udp(1, 6081, &body)), id(TunnelKind::Geneve, 7));
    }

    #[test]
    fn gre_with_every_option_is_opened() {
        let gre = |body: &[u8]| outer().datagram(ip::GRE, body);
        let plain = id(TunnelKind::Gre, 0);
        assert_eq!(tunnel_of(&gre(&builder::gre(None, 0x0800, &inner()))), plain);
        assert_eq!(tunnel_of(&gre(&builder::gre(None, 0x86dd, &inner6()))), plain);
        let keyed = gre(&builder::gre(Some(77), 0x0800, &inner()));
        assert_eq!(tunnel_of(&keyed), id(TunnelKind::Gre, 77));
        let nvgre = gre(&builder::gre(Some(0x000102ff), 0x6558, &builder::frame(&inner())));
        assert_eq!(tunnel_of(&nvgre), id(TunnelKind::Nvgre, 0x000102));
        // Checksum, routing (one entry of 4 bytes, and the last), key and sequence number.
        let mut body = vec![0xf0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9];
        body.extend([8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0]);
        body.extend(inner());
        assert_eq!(tunnel_of(&gre(&body)), id(TunnelKind::Gre, 3));
    }

    #[test]
    fn pptp_is_opened_and_its_call_number_is_no_identity() {
        let mut content = vec![0xff, 0x03, 0x00, 0x21];
        content.extend(inner());
        let mut body = vec![0x30, 0x81, 0x88, 0x0b];
        body.extend((content.len() as u16).to_be_bytes());
        body.extend([0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2]);
        body.extend(content);
        assert_eq!(tunnel_of(&outer().datagram(ip::GRE, &body)), id(TunnelKind::Gre, 0));
    }

    #[test]
    fn erspan_of_all_types_is_opened() {
        let gre = |body: Vec<u8>| outer().datagram(ip::GRE, &body);
        let frame = builder::frame(&inner());
        let one = [vec![0, 0, 0x88, 0xbe], frame.clone()].concat();
        assert_eq!(tunnel_of(&gre(one)), id(TunnelKind::Erspan, 0));
        let two = [vec![0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], vec![0x10, 5, 0, 9, 0, 0, 0, 0]];
        let expected = TunnelId { vlan: [5, 0], vlan_count: 1, ..id(TunnelKind::Erspan, 9) };
        assert_eq!(tunnel_of(&gre([two.concat(), frame.clone()].concat())), expected);
        let mut three = vec![0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 9];
        three.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        three.extend([0; 8]);
        three.extend(&frame);
        assert_eq!(tunnel_of(&gre(three)), id(TunnelKind::Erspan, 9));
    }

    #[test]
    fn teredo_is_opened_when_every_byte_is_accounted_for() {
        assert_eq!(tunnel_of(&outer().udp(3544, 9, &inner6())), id(TunnelKind::Teredo, 0));
        let origin = [vec![0, 0, 1, 2, 3, 4, 5, 6], inner6()].concat();
        let authentication = [vec![0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0], origin.clone()].concat();
        assert_eq!(tunnel_of(&outer().udp(9, 3544, &origin)).kind, TunnelKind::Teredo);
        assert_eq!(tunnel_of(&outer().udp(9, 3544, &authentication)).kind, TunnelKind::Teredo);
        let longer = [inner6(), vec![0]].concat();
        assert_eq!(read(&outer().udp(9, 3544, &longer)).unwrap().layer_count, 1);
    }

    #[test]
    fn tzsp_is_opened_after_its_tags() {
        let mut body = vec![1, 0, 0, 1, 0, 10, 1, 200, 1];
        body.extend(builder::frame(&inner()));
        assert_eq!(tunnel_of(&outer().udp(1, 37_008, &body)), id(TunnelKind::Tzsp, 0));
        // Tags without an end.
        let body = [vec![1, 0, 0, 1], vec![0; 200]].concat();
        assert_eq!(read(&outer().udp(1, 37_008, &body)).unwrap().layer_count, 1);
    }

    #[test]
    fn l2tp_is_opened_with_every_field() {
        let ppp = [vec![0xff, 0x03, 0x00, 0x21], inner()].concat();
        let plain = [vec![0, 2, 0, 7, 0, 9], ppp.clone()].concat();
        assert_eq!(tunnel_of(&outer().udp(1701, 1701, &plain)), id(TunnelKind::L2tp, 0));
        let mut full = vec![0x4a, 0x02, 0, 0, 0, 7, 0, 9, 0, 1, 0, 2, 0, 3, 9, 9, 9];
        full.extend(&ppp);
        let length = full.len() as u16;
        full[2..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(tunnel_of(&outer().udp(5, 1701, &full)), id(TunnelKind::L2tp, 0));
        let control = [vec![0xc8, 2, 0, 20, 0, 7, 0, 0, 0, 0, 0, 0], vec![0; 8]].concat();
        assert_eq!(read(&outer().udp(1701, 1701, &control)).unwrap().layer_count, 1);
    }

    #[test]
    fn equal_flows_in_tunnels_within_different_tunnels_are_two() {
        let key = |vni, inner_vni| {
            let frame = builder::frame(&inner());
            let middle = Ip::new("172.16.0.1", "172.16.0.2");
            let middle = middle.udp(9, 4789, &builder::vxlan(inner_vni, &frame));
            let packet = outer().udp(9, 4789, &builder::vxlan(vni, &builder::frame(&middle)));
            read(&packet).unwrap().flow_key(true).map(|(key, _)| key)
        };
        assert!(key(1, 5).is_some() && key(1, 5) == key(1, 5));
        assert_ne!(key(1, 5), key(2, 5));
        assert_ne!(key(1, 5), key(1, 6));
    }

    #[test]
    fn what_was_captured_in_part_is_read_as_far_as_it_goes() {
        let config = Config::default();
        let mut decoded = Decoded::EMPTY;
        let mut cut = |packet: &[u8]| {
            let done = crate::decode_cut_into(LinkType::RawIp, packet, &config, &mut decoded);
            done.map(|()| (decoded.payload_of(packet).to_vec(), decoded.flags, decoded.layer_count))
        };
        let packet = inner();
        let (payload, flags, _) = cut(&packet[..43]).unwrap();
        assert_eq!((&payload[..], flags & flag::TRUNCATED), (&b"sec"[..], flag::TRUNCATED));
        assert_eq!(flags & flag::BAD_TRANSPORT_CHECKSUM, 0);
        // Nothing is missing, whatever the link's trailer was.
        assert_eq!(cut(&packet).unwrap().1 & flag::TRUNCATED, 0);
        let udp = outer().udp(1, 2, b"abcdef");
        assert_eq!(cut(&udp[..31]).unwrap().0, b"abc");
        // Within a tunnel.
        let packet = outer().udp(1, 4789, &builder::vxlan(1, &builder::frame(&inner6())));
        let (payload, _, layers) = cut(&packet[..packet.len() - 2]).unwrap();
        assert_eq!((&payload[..], layers), (&b"secr"[..], 2));
        assert!(cut(&inner()[..30]).is_err(), "within the TCP header");
        let part = outer().fragments(1, ip::UDP, &[0; 64], 64).remove(0);
        let part = [&part[..6], &[0x20, 0], &part[8..60]].concat();
        assert!(cut(&part).is_err());
    }

    #[test]
    fn an_envelope_stands_when_its_content_cannot_be_read() {
        let cut = &inner()[..30];
        let packet = outer().udp(1, 4789, &builder::vxlan(1, &builder::frame(cut)));
        let decoded = read(&packet).unwrap();
        assert_eq!((decoded.layer_count, decoded.ports()), (1, (1, 4789)));
        assert_eq!(decoded.payload_of(&packet).len(), 8 + 14 + 30);
        assert!(decoded.tunnel.is_none() && decoded.has(flag::INNER_UNREADABLE));

        let packet = outer().datagram(ip::GRE, &builder::gre(None, 0x0806, &[0; 28]));
        let decoded = read(&packet).unwrap();
        assert_eq!((decoded.transport, decoded.inner().protocol), (Transport::Other, ip::GRE));

        // The outer tunnel could be read: that is where it stays.
        let middle = Ip::new("172.16.0.1", "172.16.0.2").datagram(ip::IPV4, &[0x45; 10]);
        let decoded = read(&outer().datagram(ip::IPV4, &middle)).unwrap();
        assert_eq!((decoded.layer_count, decoded.tunnel.kind), (2, TunnelKind::Ipip));
        assert!(decoded.has(flag::INNER_UNREADABLE));
    }

    #[test]
    fn tunnels_end_where_their_envelope_ends() {
        // The inner datagram says that it goes on into what is behind the outer one.
        let mut packet = outer().datagram(ip::IPV4, &inner()[..40]);
        packet.extend(b"secret");
        let decoded = read(&packet).unwrap();
        assert!(decoded.layer_count == 1 && decoded.has(flag::INNER_UNREADABLE));
    }

    #[test]
    fn a_packet_that_is_too_deep_is_told_so() {
        let mut packet = inner();
        for _ in 1..MAX_IP_LAYERS {
            packet = outer().datagram(ip::IPV4, &packet);
        }
        assert_eq!(read(&packet).map(|decoded| decoded.layer_count), Ok(MAX_IP_LAYERS as u8));
        let packet = outer().datagram(ip::IPV4, &packet);
        assert_eq!(read(&packet), Err(MalformedKind::TooDeep.into()));
    }

    #[test]
    fn what_is_switched_off_is_not_opened() {
        let config = Config {
            vxlan: false,
            geneve: false,
            gre: false,
            ip_in_ip: false,
            teredo: false,
            ..Config::default()
        };
        let packets = [
            outer().udp(1, 4789, &builder::vxlan(1, &builder::frame(&inner()))),
            outer().udp(1, 6081, &builder::geneve(7, 0x0800, &inner())),
            outer().datagram(ip::GRE, &builder::gre(None, 0x0800, &inner())),
            outer().datagram(ip::IPV4, &inner()),
            outer().udp(3544, 9, &inner6()),
        ];
        for packet in packets {
            let decoded = decode(LinkType::RawIp, &packet, &config).unwrap();
            assert!(decoded.layer_count == 1 && !decoded.has(flag::INNER_UNREADABLE));
        }
    }
}
