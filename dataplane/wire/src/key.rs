//! Which flow a packet belongs to, and which core.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Decoded, Icmp, IpLayer, Transport, TunnelId, TunnelKind, bytes, ip};

/// The identity of a flow, the same for both of its directions: addresses, protocol, ports (for
/// ICMP the request's type and the identifier), tunnel and, if wanted, VLANs.
///
/// 56 bytes. Made for a seeded hasher: what is in it comes from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    /// IPv4: both addresses in the first word. IPv6: first side high, low, second side high, low.
    addresses: [u64; 4],
    /// From the top: first port (16), second port (16), protocol (8), version (8), tunnel kind (8),
    /// VLANs outside (4) and within the tunnel (4).
    rest: u64,
    /// VLAN ids, 12 bits each, three outside and two within the tunnel.
    vlans: u64,
    /// The tunnel's key, and above it a hash of the tunnels around it.
    tunnel: u64,
}

impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.addresses[0]);
        state.write_u64(self.rest);
        // The version, the tunnel's kind and the number of VLANs have been written: what they
        // say to be all zero needs no writing.
        if self.version() == 6 {
            state.write_u64(self.addresses[1]);
            state.write_u64(self.addresses[2]);
            state.write_u64(self.addresses[3]);
        }
        if self.rest & 0xffff != 0 {
            state.write_u64(self.vlans);
            state.write_u64(self.tunnel);
        }
    }
}

/// Which side of a [`FlowKey`] the packet's source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyOrder {
    /// The source is the key's first side.
    SrcFirst,
    /// The destination is the key's first side.
    DstFirst,
}

impl KeyOrder {
    /// The order of a packet that goes the other way.
    #[inline]
    #[must_use]
    pub const fn flip(self) -> Self {
        match self {
            Self::SrcFirst => Self::DstFirst,
            Self::DstFirst => Self::SrcFirst,
        }
    }
}

impl FlowKey {
    /// IP version, 4 or 6.
    #[inline]
    pub const fn version(&self) -> u8 {
        (self.rest >> 16) as u8
    }

    /// IP protocol.
    #[inline]
    pub const fn protocol(&self) -> u8 {
        (self.rest >> 24) as u8
    }

    /// The two addresses, first side first.
    pub fn addresses(&self) -> (IpAddr, IpAddr) {
        let [a, b, c, d] = self.addresses;
        if self.version() == 6 {
            let address = |high: u64, low: u64| {
                IpAddr::V6(Ipv6Addr::from((u128::from(high) << 64) | u128::from(low)))
            };
            (address(a, b), address(c, d))
        } else {
            let address = |bits: u64| IpAddr::V4(Ipv4Addr::from(bits as u32));
            (address(a >> 32), address(a))
        }
    }

    /// The two ports, first side first. For ICMP the identifier (0 without one) and the type of
    /// the request, on whichever side; 0 for protocols without ports.
    #[inline]
    pub const fn ports(&self) -> (u16, u16) {
        ((self.rest >> 48) as u16, (self.rest >> 32) as u16)
    }

    /// The same ends, in VLANs of other ids (outer-most first, three at the most); those within a
    /// tunnel stay.
    #[must_use]
    pub fn with_vlans(&self, vlans: &[u16]) -> Self {
        let inside = (self.rest & 0xf) as u32;
        let kept = self.vlans & ((1 << (12 * inside)) - 1);
        let outside = vlans.iter().fold(0, |packed, id| (packed << 12) | u64::from(*id));
        let rest = self.rest & !0xf0 | (vlans.len() as u64) << 4;
        Self { rest, vlans: outside << (12 * inside) | kept, ..*self }
    }

    #[inline]
    fn new(ends: &Ends, vlans: &[u16], tunnel: &TunnelId, use_vlan: bool) -> (Self, KeyOrder) {
        let (addresses, version, order) = match (ends.src, ends.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let (src, dst) = (u64::from(src.to_bits()), u64::from(dst.to_bits()));
                let order = ends.order(src, dst);
                let pair = match order {
                    KeyOrder::SrcFirst => (src << 32) | dst,
                    KeyOrder::DstFirst => (dst << 32) | src,
                };
                ([pair, 0, 0, 0], 4, order)
            }
            (src, dst) => {
                let (src, dst) = (address_bits(src), address_bits(dst));
                let order = ends.order(src, dst);
                let (first, second) = match order {
                    KeyOrder::SrcFirst => (src, dst),
                    KeyOrder::DstFirst => (dst, src),
                };
                let halves = |bits: u128| ((bits >> 64) as u64, bits as u64);
                let ((a, b), (c, d)) = (halves(first), halves(second));
                ([a, b, c, d], 6, order)
            }
        };
        // ICMP's two numbers belong to both sides alike.
        let (first, second) = match order {
            KeyOrder::DstFirst if ends.sided => (ends.dst_port, ends.src_port),
            _ => (ends.src_port, ends.dst_port),
        };
        let mut rest = (u64::from(first) << 48)
            | (u64::from(second) << 32)
            | (u64::from(ends.protocol) << 24)
            | (version << 16)
            | (u64::from(tunnel.kind as u8) << 8);
        let mut packed = 0;
        if use_vlan {
            let inside = tunnel.vlan.get(..usize::from(tunnel.vlan_count)).unwrap_or(&[]);
            rest |= ((vlans.len() as u64) << 4) | inside.len() as u64;
            packed = vlans.iter().fold(0, |packed, id| (packed << 12) | u64::from(*id));
            packed = inside.iter().fold(packed, |packed, id| (packed << 12) | u64::from(*id));
        }
        let key = match tunnel.kind {
            TunnelKind::None => 0,
            _ => (u64::from(tunnel.outer) << 32) | u64::from(tunnel.key),
        };
        (Self { addresses, rest, vlans: packed, tunnel: key }, order)
    }
}

/// Both ends of a packet, from which the key is made.
struct Ends {
    src: IpAddr,
    dst: IpAddr,
    src_port: u16,
    dst_port: u16,
    protocol: u8,
    /// Whether the ports go with the addresses.
    sided: bool,
}

impl Ends {
    #[inline]
    fn order<T: Ord>(&self, src: T, dst: T) -> KeyOrder {
        let forward = match src.cmp(&dst) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Equal => !self.sided || self.src_port <= self.dst_port,
        };
        if forward { KeyOrder::SrcFirst } else { KeyOrder::DstFirst }
    }

    #[inline]
    fn icmp(layer: &IpLayer, icmp: &Icmp) -> Self {
        Self {
            src: layer.src,
            dst: layer.dst,
            src_port: icmp.id.unwrap_or(0),
            dst_port: u16::from(Icmp::pairing(icmp.kind, layer.version)),
            protocol: layer.protocol,
            sided: false,
        }
    }
}

/// An address as a number; IPv4 in the low bits.
#[inline]
pub fn address_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A bijection of 64 bits whose every output bit depends on every input bit (the finalizer of
/// SplitMix64, by Steele, Lea and Flood).
#[inline]
const fn mix(mut value: u64) -> u64 {
    value ^= value >> 30;
    value = value.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value ^= value >> 27;
    value = value.wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Decoded {
    /// The flow that the inner-most packet belongs to, and which side of it sent the packet;
    /// `None` for a fragment. With `use_vlan` the same addresses in different VLANs are different
    /// flows.
    #[inline]
    pub fn flow_key(&self, use_vlan: bool) -> Option<(FlowKey, KeyOrder)> {
        if self.fragment.is_some() || self.layer_count == 0 {
            return None;
        }
        let layer = self.inner();
        let ends = match &self.transport {
            Transport::Icmp(icmp) | Transport::Icmp6(icmp) => Ends::icmp(layer, icmp),
            _ => {
                let (src_port, dst_port) = self.ports();
                let (src, dst, protocol) = (layer.src, layer.dst, layer.protocol);
                Ends { src, dst, src_port, dst_port, protocol, sided: true }
            }
        };
        Some(FlowKey::new(&ends, self.vlans(), &self.tunnel, use_vlan))
    }

    /// If this is an ICMP or ICMPv6 error message: the flow of the packet that it is about, and
    /// which side of it sent *that* packet. `packet` are the bytes that were decoded.
    pub fn icmp_error_key(&self, packet: &[u8], use_vlan: bool) -> Option<(FlowKey, KeyOrder)> {
        let outer = self.inner();
        match &self.transport {
            Transport::Icmp(icmp) | Transport::Icmp6(icmp)
                if Icmp::is_error(icmp.kind, outer.version) => {}
            _ => return None,
        }
        let about = packet.get(..self.payload.end as usize)?;
        let layer = ip::parse_quoted(about, self.payload.start as usize, outer.version)?;
        let at = layer.payload as usize;
        let (src, dst, protocol) = (layer.src, layer.dst, layer.protocol);
        let ends = match protocol {
            ip::TCP | ip::UDP | ip::SCTP => {
                let src_port = bytes::u16_at(about, at)?;
                let dst_port = bytes::u16_at(about, at + 2)?;
                Ends { src, dst, src_port, dst_port, protocol, sided: true }
            }
            ip::ICMP | ip::ICMPV6 => Ends::icmp(&layer, &Icmp::parse(about, at, layer.version)?),
            _ => Ends { src, dst, src_port: 0, dst_port: 0, protocol, sided: true },
        };
        Some(FlowKey::new(&ends, self.vlans(), &self.tunnel, use_vlan))
    }

    /// A hash of the inner-most address pair alone, the same for both directions, for fragments
    /// and their whole, in every process and on every machine: what is between two hosts meets on
    /// one core. Every bit depends on every bit of both addresses.
    #[inline]
    pub fn spread_hash(&self) -> u32 {
        let layer = self.inner();
        let mixed = match (layer.src, layer.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let (src, dst) = (src.to_bits(), dst.to_bits());
                (u64::from(src.min(dst)) << 32) | u64::from(src.max(dst))
            }
            (src, dst) => {
                let (src, dst) = (address_bits(src), address_bits(dst));
                let (low, high) = (src.min(dst), src.max(dst));
                let words = [(low >> 64) as u64, low as u64, (high >> 64) as u64, high as u64];
                words.iter().fold(6, |mixed, word| mix(mixed ^ word).wrapping_add(*word))
            }
        };
        (mix(mixed ^ 0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip, Tcp};
    use crate::{Config, LinkType, decode};
    use foldhash::fast::FixedState;
    use proptest::prelude::*;
    use std::hash::BuildHasher;

    fn read(packet: &[u8]) -> Decoded {
        decode(LinkType::Ethernet, packet, &Config::default()).unwrap()
    }

    fn key(frame: &[u8]) -> (FlowKey, KeyOrder) {
        read(frame).flow_key(true).unwrap()
    }

    fn hash(key: &FlowKey) -> u64 {
        FixedState::with_seed(1).hash_one(key)
    }

    fn ip_of(src: IpAddr, dst: IpAddr) -> Ip {
        Ip::new(&src.to_string(), &dst.to_string())
    }

    fn pairs() -> impl Strategy<Value = (IpAddr, IpAddr)> {
        prop_oneof![
            any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| (a.into(), b.into())),
            any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| (a.into(), b.into())),
            any::<Ipv4Addr>().prop_map(|a| (a.into(), a.into())),
        ]
    }

    proptest! {
        #[test]
        fn both_directions_have_one_key_and_one_spread(
            (src, dst) in pairs(), ports: (u16, u16), udp: bool,
        ) {
            let ip = ip_of(src, dst);
            let build = |ip: &Ip, from, to| builder::frame(&if udp {
                ip.datagram(ip::UDP, &builder::udp(from, to, b"x"))
            } else {
                ip.tcp(&Tcp::new(from, to, 0, 0), b"x")
            });
            let config = Config { vxlan: false, geneve: false, ..Config::default() };
            let read = |packet: &[u8]| decode(LinkType::Ethernet, packet, &config).unwrap();
            let there = read(&build(&ip, ports.0, ports.1));
            let back = read(&build(&ip.reversed(), ports.1, ports.0));
            let (one, order) = there.flow_key(true).unwrap();
            let (other, reverse) = back.flow_key(true).unwrap();
            prop_assert_eq!(one, other);
            prop_assert_eq!(hash(&one), hash(&other));
            if (src, ports.0) == (dst, ports.1) {
                prop_assert_eq!(order, reverse);
            } else {
                prop_assert_eq!(order, reverse.flip());
            }
            let sides = match order {
                KeyOrder::SrcFirst => ((src, dst), ports),
                KeyOrder::DstFirst => ((dst, src), (ports.1, ports.0)),
            };
            prop_assert_eq!((one.addresses(), one.ports()), sides);
            prop_assert_eq!(one.protocol(), if udp { ip::UDP } else { ip::TCP });
            prop_assert_eq!(there.spread_hash(), back.spread_hash());
        }

        #[test]
        fn fragments_spread_as_their_whole((src, dst) in pairs(), id: u32) {
            let ip = ip_of(src, dst);
            let whole = read(&builder::frame(&ip.udp(9, 10, &[1; 64])));
            for part in ip.fragments(id, ip::UDP, &builder::udp(9, 10, &[1; 64]), 32) {
                prop_assert_eq!(read(&builder::frame(&part)).spread_hash(), whole.spread_hash());
            }
        }

        #[test]
        fn every_bit_of_an_address_moves_half_of_the_spread((src, dst) in pairs(), bit in 0u32..32) {
            let there = read(&builder::frame(&ip_of(src, dst).udp(1, 2, b""))).spread_hash();
            let other = match dst {
                IpAddr::V4(dst) => IpAddr::V4(Ipv4Addr::from(dst.to_bits() ^ (1 << bit))),
                IpAddr::V6(dst) => IpAddr::V6(Ipv6Addr::from(dst.to_bits() ^ (1 << bit))),
            };
            let back = read(&builder::frame(&ip_of(src, other).udp(1, 2, b""))).spread_hash();
            // A fair coin thrown 32 times shows fewer than 2 or more than 30 once in 10^7.
            let moved = (there ^ back).count_ones();
            prop_assert!((2..=30).contains(&moved), "{moved} bits");
        }
    }

    #[test]
    fn neighbouring_addresses_spread_evenly_by_high_and_by_low_bits() {
        let mut low = [0u32; 8];
        let mut high = [0u32; 8];
        for host in 0..4096u32 {
            let src = Ipv4Addr::from(0x0a00_0000 | host);
            let packet = Ip::new(&src.to_string(), "10.96.0.1").udp(1, 2, b"");
            let spread = read(&builder::frame(&packet)).spread_hash();
            low[(spread & 7) as usize] += 1;
            high[(spread >> 29) as usize] += 1;
        }
        for count in low.into_iter().chain(high) {
            assert!((420..=604).contains(&count), "512 expected, {count} came");
        }
    }

    #[test]
    fn the_spread_is_the_same_in_every_process() {
        let v4 = read(&builder::frame(&Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"")));
        let v6 = read(&builder::frame(&Ip::new("fd00::1", "fd00::2").udp(1, 2, b"")));
        assert_eq!((v4.spread_hash(), v6.spread_hash()), (0x8e28_19ff, 0xfa87_05a8));
    }

    #[test]
    fn vlans_and_tunnels_part_flows_and_vlans_only_when_wanted() {
        let inner =
            builder::frame(&Ip::new("10.0.0.1", "10.0.0.2").tcp(&Tcp::new(1, 2, 0, 0), b""));
        let outer = |vni| {
            let payload = builder::vxlan(vni, &inner);
            builder::frame(&Ip::new("192.168.0.1", "192.168.0.2").udp(9, 4789, &payload))
        };
        let tagged = builder::vlan(0x8100, 5, &inner);
        let zero = builder::vlan(0x8100, 0, &inner);
        let twice = builder::vlan(0x8100, 0, &tagged);
        let frames = [inner.clone(), tagged.clone(), zero, twice, outer(0), outer(1)];
        for (i, one) in frames.iter().enumerate() {
            for (j, other) in frames.iter().enumerate() {
                assert_eq!(key(one) == key(other), i == j, "{i} {j}");
                let hashes = (hash(&key(one).0), hash(&key(other).0));
                assert_eq!(hashes.0 == hashes.1, i == j, "{i} {j}");
            }
        }
        let (key_of_tagged, key_of_inner) = (key(&tagged).0, key(&inner).0);
        assert_eq!(key_of_tagged.with_vlans(&[]), key_of_inner);
        assert_eq!(key_of_inner.with_vlans(&[5]), key_of_tagged);
        assert_eq!(key_of_tagged.with_vlans(&[0, 5]), key(&frames[3]).0);
        let inside = builder::vlan(0x8100, 7, &inner);
        let vxlan = builder::vxlan(1, &inside);
        let carrier = builder::frame(&Ip::new("192.168.0.1", "192.168.0.2").udp(9, 4789, &vxlan));
        let around = builder::vlan(0x8100, 5, &carrier);
        assert_eq!(key(&carrier).0.with_vlans(&[5]), key(&around).0);
        assert_eq!(key(&around).0.with_vlans(&[]), key(&carrier).0);
        assert_eq!(read(&tagged).flow_key(false), read(&inner).flow_key(false));
        assert_ne!(read(&outer(1)).flow_key(false), read(&inner).flow_key(false));
    }

    #[test]
    fn icmp_replies_belong_to_their_requests() {
        for (src, dst, request, reply) in
            [("10.0.0.1", "10.0.0.2", 8, 0), ("fd00::1", "fd00::2", 128, 129)]
        {
            let ip = Ip::new(src, dst);
            let ask = key(&builder::frame(&ip.icmp(request, 0, 0x0007_0001, b"x")));
            let answer = key(&builder::frame(&ip.reversed().icmp(reply, 0, 0x0007_0001, b"x")));
            assert_eq!((ask.0, ask.1), (answer.0, answer.1.flip()));
            assert_eq!(ask.0.ports(), (7, request.into()));
            let other = key(&builder::frame(&ip.icmp(request, 0, 0x0008_0001, b"x")));
            assert_ne!(ask.0, other.0);
        }
    }

    #[test]
    fn icmp_errors_tell_the_flow_that_they_are_about() {
        for (src, dst, router, kind) in
            [("10.0.0.1", "10.0.0.2", "10.9.9.9", 3), ("fd00::1", "fd00::2", "fd00::9", 1)]
        {
            let ip = Ip::new(src, dst);
            let quoted = [
                ip.tcp(&Tcp::new(1000, 80, 5, 6), b"GET / HTTP/1.1"),
                ip.udp(1000, 53, b"query"),
                ip.icmp(if kind == 3 { 8 } else { 128 }, 0, 0x0007_0001, b"x"),
            ];
            for packet in quoted {
                let flow = key(&builder::frame(&packet));
                let cut = &packet[..packet.len().min(if kind == 3 { 28 } else { 48 })];
                let error = builder::frame(&Ip::new(router, src).icmp(kind, 1, 0, cut));
                let decoded = read(&error);
                assert_eq!(decoded.icmp_error_key(&error, true), Some(flow));
                assert_ne!(decoded.flow_key(true), Some(flow));
            }
            let ping = builder::frame(&Ip::new(router, src).icmp(8, 0, 0, &ip.udp(1, 2, b"")));
            assert_eq!(read(&ping).icmp_error_key(&ping, true), None);
        }
    }
}
