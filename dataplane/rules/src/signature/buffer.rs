//! Where a rule looks: buffers, who fills them, what is done to them, and the tests on each.

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
    /// `http.header`: the fields as they were understood, cookies left out
    HttpHeader,
    /// `http.header.raw`
    HttpHeaderRaw,
    /// `http.header_names`
    HttpHeaderNames,
    /// `http.request_header`, once per field
    HttpRequestHeader,
    /// `http.response_header`, once per field
    HttpResponseHeader,
    /// `http.cookie`: Cookie of a request, Set-Cookie of a response
    HttpCookie,
    /// `http.user_agent`
    HttpUserAgent,
    /// `http.referer`
    HttpReferer,
    /// `http.accept`
    HttpAccept,
    /// `http.accept_enc`
    HttpAcceptEnc,
    /// `http.accept_lang`
    HttpAcceptLang,
    /// `http.connection`
    HttpConnection,
    /// `http.content_type`
    HttpContentType,
    /// `http.content_len`
    HttpContentLen,
    /// `http.protocol`
    HttpProtocol,
    /// `http.start`: the first line and the fields
    HttpStart,
    /// `http.request_line`
    HttpRequestLine,
    /// `http.response_line`
    HttpResponseLine,
    /// `http.stat_code`
    HttpStatCode,
    /// `http.stat_msg`
    HttpStatMsg,
    /// `http.server`
    HttpServer,
    /// `http.location`
    HttpLocation,
    /// `http.request_body`, in windows as it comes
    HttpRequestBody,
    /// `file.data`, and of HTTP `http.response_body`: what is transferred, decoded, in windows as
    /// it comes
    FileData,
    /// `file.name`: the name of what is transferred
    FileName,
    /// `filesize`: no bytes, but how many there are of what is transferred, once all have come
    FileSize,
    /// `filemd5`, `filesha1`, `filesha256`: no bytes, but the digest of what is transferred, once all has come
    FileHash,
    /// `dns.query`, once per question
    DnsQuery,
    /// `tls.sni`
    TlsSni,
    /// `tls.cert_subject`
    TlsCertSubject,
    /// `tls.cert_issuer`
    TlsCertIssuer,
    /// `tls.cert_serial`
    TlsCertSerial,
    /// `tls.cert_fingerprint`
    TlsCertFingerprint,
    /// `tls.certs`, once per certificate
    TlsCerts,
    /// `tls.random`
    TlsRandom,
    /// `tls.random_time`
    TlsRandomTime,
    /// `tls.random_bytes`
    TlsRandomBytes,
    /// `ja3.hash`
    Ja3Hash,
    /// `ja3.string`
    Ja3String,
    /// `ja3s.hash`
    Ja3sHash,
    /// `ja3s.string`
    Ja3sString,
    /// `ja4.hash`
    Ja4Hash,
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

/// Whose transactions hold a buffer, and who fills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The application protocols, in Suricata's names.
    pub apps: &'static [&'static str],
    /// The client fills it.
    pub to_server: bool,
    /// The server fills it.
    pub to_client: bool,
}

impl Origin {
    /// Does the side that sends in a direction (0: to the server, 1: to the client) fill it?
    pub fn fills(self, direction: usize) -> bool {
        if direction == 0 { self.to_server } else { self.to_client }
    }
}

impl Buffer {
    /// Where it comes from, if it is a buffer of an application protocol's transactions.
    pub const fn origin(self) -> Option<Origin> {
        const REQUEST: (bool, bool) = (true, false);
        const RESPONSE: (bool, bool) = (false, true);
        const BOTH: (bool, bool) = (true, true);
        let (apps, (to_server, to_client)): (&'static [&'static str], _) = match self {
            Self::HttpMethod
            | Self::HttpUri
            | Self::HttpUriRaw
            | Self::HttpHost
            | Self::HttpHostRaw
            | Self::HttpRequestHeader
            | Self::HttpUserAgent
            | Self::HttpReferer
            | Self::HttpAccept
            | Self::HttpAcceptEnc
            | Self::HttpAcceptLang
            | Self::HttpRequestLine
            | Self::HttpRequestBody => (&["http"], REQUEST),
            Self::HttpResponseHeader
            | Self::HttpResponseLine
            | Self::HttpStatCode
            | Self::HttpStatMsg
            | Self::HttpServer
            | Self::HttpLocation => (&["http"], RESPONSE),
            Self::HttpHeader
            | Self::HttpHeaderRaw
            | Self::HttpHeaderNames
            | Self::HttpCookie
            | Self::HttpConnection
            | Self::HttpContentType
            | Self::HttpContentLen
            | Self::HttpProtocol
            | Self::HttpStart
            | Self::FileData
            | Self::FileName
            | Self::FileSize
            | Self::FileHash => (&["http"], BOTH),
            Self::DnsQuery => (&["dns"], REQUEST),
            Self::TlsSni | Self::Ja3Hash | Self::Ja3String | Self::Ja4Hash => (&["tls"], REQUEST),
            Self::Ja3sHash | Self::Ja3sString => (&["tls"], RESPONSE),
            Self::TlsCertSubject
            | Self::TlsCertIssuer
            | Self::TlsCertSerial
            | Self::TlsCertFingerprint
            | Self::TlsCerts
            | Self::TlsRandom
            | Self::TlsRandomTime
            | Self::TlsRandomBytes => (&["tls"], BOTH),
            Self::Payload
            | Self::Ipv4Hdr
            | Self::Ipv6Hdr
            | Self::TcpHdr
            | Self::UdpHdr
            | Self::Icmpv4Hdr
            | Self::Icmpv6Hdr
            | Self::IpSrc
            | Self::IpDst
            | Self::Base64Data => return None,
        };
        Some(Origin { apps, to_server, to_client })
    }

    /// Is it a buffer of an application protocol's transaction?
    pub const fn is_transaction(self) -> bool {
        self.origin().is_some()
    }

    /// Is it about what is transferred, over whatever protocol?
    pub const fn is_file(self) -> bool {
        matches!(self, Self::FileData) || self.is_of_file()
    }

    /// Is it about one of several files, not their bytes? All of these that a rule asks for are looked
    /// at file by file.
    pub const fn is_of_file(self) -> bool {
        matches!(self, Self::FileName | Self::FileSize | Self::FileHash)
    }

    /// Does it come bit by bit, to be looked at in windows?
    pub const fn is_body(self) -> bool {
        matches!(self, Self::HttpRequestBody | Self::FileData | Self::FileSize | Self::FileHash)
    }

    /// Can a transaction have several of it, so that every use of it in a rule is looked for on
    /// its own?
    pub const fn is_multi(self) -> bool {
        matches!(
            self,
            Self::DnsQuery | Self::HttpRequestHeader | Self::HttpResponseHeader | Self::TlsCerts
        )
    }

    /// Is it a header of the packet?
    pub fn is_header(self) -> bool {
        !self.is_transaction() && !matches!(self, Self::Payload | Self::Base64Data)
    }
}

/// The directions in which all of these buffers are filled: to the server, to the client.
pub(crate) fn filled(buffers: impl Iterator<Item = Buffer>) -> (bool, bool) {
    buffers.filter_map(Buffer::origin).fold((true, true), |(requests, responses), origin| {
        (requests && origin.to_server, responses && origin.to_client)
    })
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
