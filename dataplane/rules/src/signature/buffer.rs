//! Where a rule looks: buffers, what is done to them, and the tests on each.

use super::test::Test;
use super::transform::Transform;

/// Where buffer tests look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Buffer {
    /// The raw payload: packet or stream.
    Payload,
    /// `http.method`
    HttpMethod,
    /// `http.uri` (normalised)
    HttpUri,
    /// `http.uri.raw`
    HttpUriRaw,
    /// `http.host` (normalised)
    HttpHost,
    /// `http.host.raw`
    HttpHostRaw,
    /// `dns.query`, once per question
    DnsQuery,
    /// `tls.sni`
    TlsSni,
    /// `ipv4.hdr`
    Ipv4Hdr,
    /// `ipv6.hdr`, extension headers included
    Ipv6Hdr,
    /// `tcp.hdr`
    TcpHdr,
    /// `udp.hdr`
    UdpHdr,
    /// `icmpv4.hdr`
    Icmpv4Hdr,
    /// `icmpv6.hdr`
    Icmpv6Hdr,
    /// `ip.src`: the source address, 4 or 16 bytes
    IpSrc,
    /// `ip.dst`: the destination address, 4 or 16 bytes
    IpDst,
    /// `base64_data`; only while a rule is read: its tests go to [`Test::Base64`]
    Base64Data,
}

impl Buffer {
    /// Is it a buffer of an application protocol's transaction?
    pub fn is_transaction(self) -> bool {
        matches!(
            self,
            Self::HttpMethod
                | Self::HttpUri
                | Self::HttpUriRaw
                | Self::HttpHost
                | Self::HttpHostRaw
                | Self::DnsQuery
                | Self::TlsSni
        )
    }

    /// Is it a header of the packet?
    pub fn is_header(self) -> bool {
        !self.is_transaction() && !matches!(self, Self::Payload | Self::Base64Data)
    }
}

/// The tests on one buffer, in rule order.
#[derive(Debug, Clone)]
pub struct BufferTests {
    /// Which buffer.
    pub buffer: Buffer,
    /// Applied in order.
    pub transforms: Vec<Transform>,
    /// In rule order.
    pub tests: Vec<Test>,
}
