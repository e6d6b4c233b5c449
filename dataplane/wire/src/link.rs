//! Link types: how the first header of a captured packet is to be read.

/// The link layer of a capture, by the pcap `LINKTYPE_` registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum LinkType {
    /// Ethernet II, or 802.3 with LLC (1).
    #[default]
    Ethernet = 0,
    /// IPv4 or IPv6 without a link header (101; 12 and 14 on some systems).
    RawIp = 1,
    /// IPv4 without a link header (228).
    Ipv4 = 2,
    /// IPv6 without a link header (229).
    Ipv6 = 3,
    /// BSD loopback: an address family of 4 bytes in either byte order (0 and 108).
    Null = 4,
    /// Linux "cooked" capture (113).
    LinuxSll = 5,
    /// Linux "cooked" capture, version 2 (276).
    LinuxSll2 = 6,
    /// PPP, with or without address and control bytes (9 and 50).
    Ppp = 7,
    /// PPPoE session packets without their Ethernet header (51).
    PppEther = 8,
    /// Cisco HDLC (104).
    Chdlc = 9,
}

impl LinkType {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 10] = [
        Self::Ethernet,
        Self::RawIp,
        Self::Ipv4,
        Self::Ipv6,
        Self::Null,
        Self::LinuxSll,
        Self::LinuxSll2,
        Self::Ppp,
        Self::PppEther,
        Self::Chdlc,
    ];

    /// From the link type in a capture file's header; `None` for those that cannot be read.
    pub const fn from_dlt(dlt: u32) -> Option<Self> {
        Some(match dlt {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 => Self::RawIp,
            51 => Self::PppEther,
            104 => Self::Chdlc,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }

    /// The `LINKTYPE_` value that a capture file's header would have.
    pub const fn dlt(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::RawIp => 101,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::Null => 0,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::Ppp => 9,
            Self::PppEther => 51,
            Self::Chdlc => 104,
        }
    }

    /// The inverse of `as u8`, for link types that travel in a packet buffer's metadata.
    #[inline]
    pub const fn from_index(index: u8) -> Option<Self> {
        if (index as usize) < Self::ALL.len() { Some(Self::ALL[index as usize]) } else { None }
    }
}
