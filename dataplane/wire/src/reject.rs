//! Why a packet is not inspected, in the words of the drop ledger.

use thiserror::Error;

/// Why [`crate::decode`] refused a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Reject {
    /// Neither IPv4 nor IPv6 (ARP, spanning tree, a PPP control protocol …).
    #[error("not an IP packet")]
    NonIp,
    /// A header that contradicts itself or the length of what was captured.
    #[error("malformed: {0}")]
    Malformed(MalformedKind),
    /// An IPv4 header's checksum is wrong, and [`crate::Config::verify_checksums`] is set.
    #[error("wrong checksum")]
    BadChecksum,
}

impl Reject {
    /// The name under which the drop ledger counts this: `non_ip`, `malformed` or `bad_checksum`.
    pub const fn ledger_name(self) -> &'static str {
        match self {
            Self::NonIp => "non_ip",
            Self::Malformed(_) => "malformed",
            Self::BadChecksum => "bad_checksum",
        }
    }
}

impl From<MalformedKind> for Reject {
    fn from(kind: MalformedKind) -> Self {
        Self::Malformed(kind)
    }
}

/// What is wrong with a malformed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[repr(u8)]
pub enum MalformedKind {
    /// The link layer's header, or one of its tags, is cut off.
    #[error("the link layer's header is cut off")]
    Link,
    /// An IP header is cut off, or its datagram is longer than what was captured.
    #[error("the IP datagram is longer than what was captured")]
    Truncated,
    /// The IP version is not what the layer before said, or neither 4 nor 6.
    #[error("wrong IP version")]
    IpVersion,
    /// An IPv4 header length below 20 bytes or beyond the datagram, or a total length below it.
    #[error("wrong IP header length")]
    IpHeaderLength,
    /// An IPv6 extension header is cut off.
    #[error("an IPv6 extension header is cut off")]
    ExtensionHeader,
    /// More IPv6 extension headers than anyone sends in good faith.
    #[error("too many IPv6 extension headers")]
    ExtensionCount,
    /// A fragment that would end beyond the largest datagram.
    #[error("impossible fragment")]
    Fragment,
    /// A TCP header is cut off.
    #[error("the TCP header is cut off")]
    TcpTooSmall,
    /// A TCP data offset below 20 bytes or beyond the segment.
    #[error("wrong TCP header length")]
    TcpHeaderLength,
    /// A UDP header is cut off.
    #[error("the UDP header is cut off")]
    UdpTooSmall,
    /// A UDP length below 8 bytes or beyond the datagram.
    #[error("wrong UDP length")]
    UdpLength,
    /// An ICMP or ICMPv6 header is cut off.
    #[error("the ICMP header is cut off")]
    IcmpTooSmall,
    /// An SCTP common header is cut off.
    #[error("the SCTP header is cut off")]
    SctpTooSmall,
    /// More nested headers than [`crate::Config::max_layers`] or [`crate::MAX_IP_LAYERS`].
    #[error("too many layers")]
    TooDeep,
}
