//! Tunnels: which packets are envelopes, and of what.

mod gre;
#[cfg(test)]
mod tests;
mod udp;

use crate::link::Step;
use crate::{Config, EventSet, Span, Transport, ip};

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

    /// VLAN ids of the frame within, outer-most first.
    pub fn vlans(&self) -> &[u16] {
        self.vlan.get(..usize::from(self.vlan_count)).unwrap_or(&self.vlan)
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

/// The tunnel that a packet is the envelope of, if it is one: by its transport, its payload and its IP
/// protocol.
#[inline]
pub(crate) fn entry(
    bytes: &[u8],
    (transport, payload, protocol): (&Transport, Span, u8),
    config: &Config,
    events: &mut EventSet,
) -> Option<Entry> {
    match transport {
        Transport::Tcp(_) => None,
        Transport::Udp(udp) => udp::entry(bytes, payload, udp, config),
        Transport::Other => {
            let (at, end) = (payload.start as usize, payload.end as usize);
            match protocol {
                ip::IPV4 if config.ip_in_ip => {
                    Some(Entry::new(TunnelKind::Ipip, 0, Step::Ipv4, at, end))
                }
                ip::IPV6 if config.ip_in_ip => {
                    Some(Entry::new(TunnelKind::SixInFour, 0, Step::Ipv6, at, end))
                }
                ip::GRE if config.gre => gre::entry(bytes.get(..end)?, at, config, events),
                _ => None,
            }
        }
        _ => None,
    }
}
