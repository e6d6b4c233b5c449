//! The transport header of the inner-most IP layer.

use crate::bytes;

/// The bits of [`Tcp::flags`] (RFC 9293).
pub mod tcp_flag {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

/// What the inner-most IP layer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// A fragment, or an IPv6 datagram that says that nothing follows.
    #[default]
    None,
    /// TCP.
    Tcp(Tcp),
    /// UDP (and UDP-Lite is not it).
    Udp(Udp),
    /// ICMP for IPv4.
    Icmp(Icmp),
    /// ICMPv6.
    Icmp6(Icmp),
    /// SCTP.
    Sctp(Sctp),
    /// Any other protocol: see [`crate::IpLayer::protocol`].
    Other,
}

/// A TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number, whether or not the ACK flag is set.
    pub ack: u32,
    /// The eight flags, see [`tcp_flag`].
    pub flags: u8,
    /// Header length in bytes with options, 20 to 60.
    pub header_len: u8,
    /// The window as it stands in the header, not scaled.
    pub window: u16,
    /// Urgent pointer, whether or not the URG flag is set.
    pub urgent: u16,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

/// TCP options that matter to a stream (RFC 9293, 7323, 2018, 7413).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift, as it stands (RFC 7323 bounds it to 14).
    pub wscale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// A fast-open cookie or the request for one.
    pub tfo: bool,
    /// An MD5 signature (RFC 2385) or TCP-AO (RFC 5925) is present.
    pub signed: bool,
}

impl Tcp {
    /// Whether all of `mask`'s flags are set.
    #[inline]
    pub const fn has(&self, mask: u8) -> bool {
        self.flags & mask == mask
    }

    /// The options' bytes; `packet` are the bytes that were decoded.
    #[inline]
    pub fn option_bytes<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let start = self.header as usize + 20;
        packet.get(start..self.header as usize + usize::from(self.header_len)).unwrap_or(&[])
    }

    /// Reads the options; `packet` are the bytes that were decoded. Of an option that comes twice
    /// the first counts; what is after a broken option is not read.
    #[inline]
    pub fn options(&self, packet: &[u8]) -> TcpOptions {
        let options = self.option_bytes(packet);
        if options.is_empty() { TcpOptions::default() } else { TcpOptions::parse(options) }
    }
}

impl TcpOptions {
    /// Reads the bytes between a TCP header's first 20 and its payload.
    pub fn parse(mut rest: &[u8]) -> Self {
        let mut found = Self::default();
        while let [kind, tail @ ..] = rest {
            match *kind {
                0 => break,
                1 => {
                    rest = tail;
                    continue;
                }
                _ => {}
            }
            let Some(length) = tail.first().map(|length| usize::from(*length)) else { break };
            if length < 2 || length > rest.len() {
                break;
            }
            let (option, after) = rest.split_at(length);
            rest = after;
            match (*kind, &option[2..]) {
                (2, value @ [_, _]) => {
                    found.mss = found.mss.or(bytes::u16_at(value, 0));
                }
                (3, [shift]) => found.wscale = found.wscale.or(Some(*shift)),
                (4, []) => found.sack_permitted = true,
                (8, value) if value.len() == 8 => {
                    let pair = bytes::u32_at(value, 0).zip(bytes::u32_at(value, 4));
                    found.timestamps = found.timestamps.or(pair);
                }
                (19, value) if value.len() == 16 => found.signed = true,
                (29, value) if value.len() >= 2 => found.signed = true,
                (34, _) => found.tfo = true,
                // RFC 6994: experiment 0xf989 is fast open from before its own number.
                (254, [0xf9, 0x89, ..]) => found.tfo = true,
                _ => {}
            }
        }
        found
    }
}

/// A UDP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Length as it stands in the header.
    pub length: u16,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

/// An ICMP or ICMPv6 header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp {
    /// Type (RFC 792, RFC 4443).
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier, of message types that have one.
    pub id: Option<u16>,
    /// Sequence number, of message types that have one.
    pub seq: Option<u16>,
    /// The four bytes after the checksum, as they stand; 0 where there are fewer.
    pub rest: u32,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}

/// An SCTP common header (RFC 9260).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub tag: u32,
    /// Offset of the header in the packet's bytes.
    pub header: u32,
}
