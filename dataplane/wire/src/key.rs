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
    /// The tunnel's key.
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
                let (src, dst) = (bits(src), bits(dst));
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
            _ => u64::from(tunnel.key),
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
fn bits(address: IpAddr) -> u128 {
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
                let (src, dst) = (bits(src), bits(dst));
                let (low, high) = (src.min(dst), src.max(dst));
                let words = [(low >> 64) as u64, low as u64, (high >> 64) as u64, high as u64];
                words.iter().fold(6, |mixed, word| mix(mixed ^ word).wrapping_add(*word))
            }
        };
        (mix(mixed ^ 0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}
