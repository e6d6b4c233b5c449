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

impl Config {
    /// Does the port tell, as a packet's source or destination, that there may be a tunnel?
    pub(crate) fn tells(&self, port: u16) -> bool {
        self.vxlan && self.vxlan_ports.contains(&port)
            || self.geneve && self.geneve_ports.contains(&port)
            || self.vxlan_gpe && port == VXLAN_GPE
            || self.tzsp && self.tzsp_ports.contains(&port)
            || self.tells_both(port)
    }

    /// Does it tell of one whose packets go both ways between the same two ports?
    pub(crate) fn tells_both(&self, port: u16) -> bool {
        self.l2tp && port == L2TP || self.teredo && self.teredo_ports.contains(&port)
    }

    /// May a datagram between these ports carry another packet, or belong to a flow with some that do?
    pub fn may_carry(&self, (src, dst): (u16, u16)) -> bool {
        self.tells(src) || self.tells(dst)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Glance;

    #[test]
    fn ports_tell_of_tunnels_and_whether_answers_come_between_the_same() {
        let config = Config::default();
        let both = |config: &Config, ports| Glance::new(config).may_carry_both_ways(config, ports);
        let told = |ports| (config.may_carry(ports), both(&config, ports));
        for port in [4789, 8472, 4790, 6081, 37_008] {
            assert_eq!(told((50_000, port)), (true, false), "{port}");
            assert_eq!(told((port, 50_000)), (true, true), "{port}");
            assert_eq!(told((port, port)), (true, true), "{port}");
        }
        for port in [1701, 3544] {
            assert_eq!(told((50_000, port)), (true, true), "{port}");
            assert_eq!(told((port, 50_000)), (true, true), "{port}");
        }
        assert_eq!(told((50_000, 53)), (false, false));
        let off = Config { vxlan: false, teredo: false, ..Config::default() };
        assert!(!off.may_carry((50_000, 4789)) && !both(&off, (50_000, 3544)));
    }
}
