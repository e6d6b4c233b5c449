//! [`Path`]: who talks with whom, and what their packets are wrapped in where they are seen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who speaks first.
    Client,
    /// Who answers.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What is around a packet where the mirror port sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Envelope {
    /// Nothing but Ethernet.
    #[default]
    Plain,
    /// A VLAN tag (802.1Q) with this id.
    Vlan(u16),
    /// VXLAN (RFC 7348) between two nodes, at UDP port 4789 and without a UDP checksum.
    Vxlan {
        /// The network's identifier; [`CALICO_VNI`] is Calico's.
        vni: u32,
        /// The client's node.
        client: Ipv4Addr,
        /// The server's node.
        server: Ipv4Addr,
    },
    /// IP in IP (RFC 2003) between two nodes.
    IpIp {
        /// The client's node.
        client: Ipv4Addr,
        /// The server's node.
        server: Ipv4Addr,
    },
    /// Two VLAN tags (802.1ad), the outer one first.
    Qinq(u16, u16),
    /// An MPLS label (RFC 3032), the last of its stack.
    Mpls(u32),
    /// GRE (RFC 2784) between two nodes, with IP within.
    Gre {
        /// The client's node.
        client: Ipv4Addr,
        /// The server's node.
        server: Ipv4Addr,
    },
    /// ERSPAN II (draft-foschiano-erspan): both directions from the switch to whoever watches.
    Erspan {
        /// The session.
        session: u16,
        /// The switch.
        switch: Ipv4Addr,
        /// Who watches.
        watcher: Ipv4Addr,
    },
    /// GENEVE (RFC 8926) with Ethernet within, at UDP port 6081 and without a UDP checksum.
    Geneve {
        /// The network's identifier.
        vni: u32,
        /// The client's node.
        client: Ipv4Addr,
        /// The server's node.
        server: Ipv4Addr,
    },
}

impl Envelope {
    /// Each kind once, between nodes of the range for documentation (192.0.2.0/24, RFC 5737).
    pub const ALL: [Self; 9] = {
        let (client, server) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        [
            Self::Plain,
            Self::Vlan(7),
            Self::Qinq(7, 8),
            Self::Mpls(100),
            Self::IpIp { client, server },
            Self::Gre { client, server },
            Self::Erspan { session: 9, switch: client, watcher: server },
            Self::Vxlan { vni: CALICO_VNI, client, server },
            Self::Geneve { vni: 5, client, server },
        ]
    };

    /// Its kind.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Vlan(_) => "vlan",
            Self::Qinq(..) => "qinq",
            Self::Mpls(_) => "mpls",
            Self::IpIp { .. } => "ipip",
            Self::Gre { .. } => "gre",
            Self::Erspan { .. } => "erspan",
            Self::Vxlan { .. } => "vxlan",
            Self::Geneve { .. } => "geneve",
        }
    }

    /// Bytes that it adds to an IPv4 packet's frame.
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Vlan(_) | Self::Mpls(_) => 4,
            Self::Qinq(..) => 8,
            Self::IpIp { .. } => 20,
            Self::Gre { .. } => 24,
            Self::Erspan { .. } | Self::Vxlan { .. } | Self::Geneve { .. } => 50,
        }
    }

    /// Does UDP carry it, so that its source port tells flows apart?
    pub(crate) const fn is_udp(&self) -> bool {
        matches!(self, Self::Vxlan { .. } | Self::Geneve { .. })
    }
}

/// The VXLAN network identifier that Calico uses unless told otherwise.
pub const CALICO_VNI: u32 = 4096;

/// A conversation's two ends and its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Address and port of the client.
    pub client: SocketAddr,
    /// Address and port of the server, of the same version of IP.
    pub server: SocketAddr,
    /// What is around its packets.
    pub envelope: Envelope,
}

impl Path {
    /// A path without an envelope.
    ///
    /// # Panics
    /// If the addresses are of two versions of IP.
    pub fn new(client: SocketAddr, server: SocketAddr) -> Self {
        assert_eq!(client.is_ipv4(), server.is_ipv4(), "two versions of IP");
        Self { client, server, envelope: Envelope::Plain }
    }

    /// The same in an envelope.
    #[must_use]
    pub const fn within(self, envelope: Envelope) -> Self {
        Self { envelope, ..self }
    }

    /// Source and destination of what `from` sends.
    pub const fn ends(&self, from: Side) -> (SocketAddr, SocketAddr) {
        match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        }
    }
}

/// The Ethernet address that the owner of an IP address has: locally administered, made from the
/// address's last four bytes.
pub(crate) fn mac(address: IpAddr) -> [u8; 6] {
    let [a, b, c, d] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [a, b, c, d]
        }
    };
    [2, 0x70, a, b, c, d]
}
