//! Tunnels: which one a packet came through.

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
