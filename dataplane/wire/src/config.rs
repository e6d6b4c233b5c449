//! What the decoder looks into, and what it insists on.

/// VXLAN-GPE's destination port.
pub(crate) const VXLAN_GPE: u16 = 4790;

/// L2TP's port.
pub(crate) const L2TP: u16 = 1701;

/// Settings of the decoder. The default follows Suricata's and Calico's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Look into VXLAN (RFC 7348).
    pub vxlan: bool,
    /// UDP destination ports that carry VXLAN. Default: 4789 (IANA, Calico), 8472 (Linux, flannel).
    pub vxlan_ports: Vec<u16>,
    /// Look into VXLAN-GPE, at UDP destination port 4790.
    pub vxlan_gpe: bool,
    /// Look into GENEVE (RFC 8926).
    pub geneve: bool,
    /// UDP destination ports that carry GENEVE. Default: 6081.
    pub geneve_ports: Vec<u16>,
    /// Look into GRE (RFC 2784, 2890; version 1 as in PPTP, RFC 2637) and what it carries.
    pub gre: bool,
    /// Look into ERSPAN types I, II and III within GRE.
    pub erspan: bool,
    /// Look into IP directly within IP: protocols 4 (IPIP) and 41 (6in4).
    pub ip_in_ip: bool,
    /// Look into Teredo (RFC 4380): IPv6 in UDP, at either port.
    pub teredo: bool,
    /// UDP ports of Teredo. Default: 3544.
    pub teredo_ports: Vec<u16>,
    /// UDP ports at which WireGuard is recognised. Default: 51820, 51821 (Calico: IPv4, IPv6).
    pub wireguard_ports: Vec<u16>,
    /// Look into L2TP (RFC 2661) at UDP port 1701.
    pub l2tp: bool,
    /// Look into TZSP, by which access points mirror.
    pub tzsp: bool,
    /// UDP destination ports that carry TZSP. Default: 37008.
    pub tzsp_ports: Vec<u16>,
    /// Refuse packets with a wrong IPv4 header checksum, and mark those with a wrong TCP, UDP, ICMP
    /// or ICMPv6 checksum.
    pub verify_checksums: bool,
    /// With [`Self::verify_checksums`]: mark wrong transport checksums while decoding. Otherwise that
    /// is left to [`crate::mark_transport_checksum`], for whoever wants it of some packets only.
    pub verify_transport: bool,
    /// Headers of link, tag, tunnel and IP that are gone through before a packet counts as
    /// malformed (too deep). Default: 16. Beside it stands the limit [`crate::MAX_IP_LAYERS`].
    pub max_layers: u8,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vxlan: true,
            vxlan_ports: vec![4789, 8472],
            vxlan_gpe: true,
            geneve: true,
            geneve_ports: vec![6081],
            gre: true,
            erspan: true,
            ip_in_ip: true,
            teredo: true,
            teredo_ports: vec![3544],
            wireguard_ports: vec![51_820, 51_821],
            l2tp: true,
            tzsp: true,
            tzsp_ports: vec![37_008],
            verify_checksums: true,
            verify_transport: true,
            max_layers: 16,
        }
    }
}
