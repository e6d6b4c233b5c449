//! Tests on the fields of a packet's headers.

use wire::Event;

use super::test::Compare;

/// A test on a field of the packet's headers.
#[derive(Debug, Clone)]
pub enum HeaderTest {
    /// `dsize`: payload length
    Dsize(Compare<u16>),
    /// `ttl` / hop limit
    Ttl(Compare<u8>),
    /// `tos`, bool: negated
    Tos(u8, bool),
    /// IPv4 `id`
    IpId(u16),
    /// `ipopts`: the option's number; None: any
    IpOption(Option<u8>),
    /// `fragbits`
    FragBits {
        /// R, D, M as 0x8000, 0x4000, 0x2000
        bits: u16,
        /// How the bits compare.
        modifier: BitModifier,
    },
    /// `fragoffset`, in 8-byte units
    FragOffset(Compare<u16>),
    /// `ip_proto`
    IpProto(Compare<u8>),
    /// `sameip`
    SameIp,
    /// `flags` / `tcp.flags`
    TcpFlags {
        /// Bits that are looked at.
        bits: u8,
        /// How the bits compare.
        modifier: BitModifier,
        /// Bits that are left out of the comparison (`,12`).
        ignored: u8,
    },
    /// `seq`
    TcpSeq(u32),
    /// `ack`
    TcpAck(u32),
    /// `window` / `tcp.window`, bool: negated
    TcpWindow(u16, bool),
    /// `tcp.mss`
    TcpMss(Compare<u16>),
    /// `itype`
    IcmpType(Compare<u8>),
    /// `icode`
    IcmpCode(Compare<u8>),
    /// `icmp_id`
    IcmpId(u16),
    /// `icmp_seq`
    IcmpSeq(u16),
    /// `icmpv6.mtu`
    Icmpv6Mtu(Compare<u32>),
    /// `ipv4-csum`, `tcpv4-csum` and the like
    Checksum {
        /// Version of the IP header.
        version: u8,
        /// Whose it is.
        of: ChecksumOf,
        /// It is to be right.
        valid: bool,
    },
    /// `ftpbounce`: a PORT command of FTP names another address than its sender's
    FtpBounce,
    /// `rpc`: program, version and procedure of a call, None: any
    Rpc {
        /// The program's number.
        program: u32,
        /// Its version.
        version: Option<u32>,
        /// What is called.
        procedure: Option<u32>,
    },
    /// `decode-event`, `stream-event`, `engine-event`
    Event(Event),
}

/// Whose checksum a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumOf {
    /// The IPv4 header's.
    Header,
    /// TCP's.
    Tcp,
    /// UDP's; a packet without one has a right one.
    Udp,
    /// ICMP's, of either version.
    Icmp,
}

/// How a set of bits is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitModifier {
    /// Exactly these.
    Exact,
    /// `+`: these, others may be set.
    All,
    /// `*`: at least one of these.
    Any,
    /// `!`: none of these.
    Not,
}
