//! The buffers that rules may name, and when in a transaction's life each is there.

use wire::Direction;

use crate::proto::AppProto;
use crate::{dns, http1, tls};

/// A sticky buffer of the rule language that an application parser fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum AppBuffer {
    /// The request method, as sent.
    HttpMethod = 0,
    /// Path, query and fragment of the request URI, decoded and normalised.
    HttpUri,
    /// The request URI as sent.
    HttpUriRaw,
    /// The host asked for, without port: from the URI, else from the Host field.
    HttpHost,
    /// The host as sent: the URI's (decoded), else the value of the Host field.
    HttpHostRaw,
    /// The fields of a request as they were understood, `Name: value` and CRLF each, cookies left out.
    HttpHeader,
    /// The fields of a request as sent, with the empty line that ends them.
    HttpHeaderRaw,
    /// CRLF, then the name of each field of a request and CRLF, then CRLF.
    HttpHeaderNames,
    /// Each field of a request, `Name: value`.
    HttpRequestHeader,
    /// The Cookie field.
    HttpCookie,
    /// The User-Agent field.
    HttpUserAgent,
    /// The Referer field.
    HttpReferer,
    /// The Accept field.
    HttpAccept,
    /// The Accept-Encoding field.
    HttpAcceptEnc,
    /// The Accept-Language field.
    HttpAcceptLang,
    /// The Connection field of a request.
    HttpConnection,
    /// The Content-Type field of a request.
    HttpContentType,
    /// The Content-Length field of a request.
    HttpContentLen,
    /// The protocol in the request line.
    HttpProtocol,
    /// The request line and the fields, each with CRLF, and CRLF.
    HttpStart,
    /// The request line without its end.
    HttpRequestLine,
    /// The body of a request, by [`Tx::window`](crate::Tx::window).
    HttpRequestBody,
    /// The name of each file that a request carries: those of its parts, or the path of its URI.
    HttpFileName,
    /// The fields of a response, as [`HttpHeader`](Self::HttpHeader).
    HttpReplyHeader,
    /// The fields of a response as sent.
    HttpReplyHeaderRaw,
    /// The names of a response's fields, as [`HttpHeaderNames`](Self::HttpHeaderNames).
    HttpReplyHeaderNames,
    /// Each field of a response, `Name: value`.
    HttpResponseHeader,
    /// The Set-Cookie field.
    HttpReplyCookie,
    /// The Connection field of a response.
    HttpReplyConnection,
    /// The Content-Type field of a response.
    HttpReplyContentType,
    /// The Content-Length field of a response.
    HttpReplyContentLen,
    /// The protocol in the status line.
    HttpReplyProtocol,
    /// The status line and the fields of a response.
    HttpReplyStart,
    /// The status line without its end.
    HttpResponseLine,
    /// The status code, as sent.
    HttpStatCode,
    /// The reason phrase.
    HttpStatMsg,
    /// The Server field.
    HttpServer,
    /// The Location field.
    HttpLocation,
    /// The body of a response, decoded, by [`Tx::window`](crate::Tx::window).
    HttpReplyBody,
    /// The name of the file that a response carries: from Content-Disposition, else the path of the
    /// request's URI.
    HttpReplyFileName,
    /// The name of each question of a DNS query, labels joined by dots, case as sent.
    DnsQuery,
    /// The server name of a TLS ClientHello, as sent.
    TlsSni,
    /// The subject of the server's certificate.
    TlsCertSubject,
    /// Its issuer.
    TlsCertIssuer,
    /// Its serial number, `0A:BC`.
    TlsCertSerial,
    /// Its SHA-1, `0a:bc`.
    TlsCertFingerprint,
    /// Each certificate of the server, as sent.
    TlsCerts,
    /// The subject of the client's certificate.
    TlsClientCertSubject,
    /// Its issuer.
    TlsClientCertIssuer,
    /// Its serial number.
    TlsClientCertSerial,
    /// Its SHA-1.
    TlsClientCertFingerprint,
    /// Each certificate of the client, as sent.
    TlsClientCerts,
    /// The random bytes of a ClientHello.
    TlsRandom,
    /// Their first four.
    TlsRandomTime,
    /// The others.
    TlsRandomBytes,
    /// The random bytes of a ServerHello.
    TlsServerRandom,
    /// Their first four.
    TlsServerRandomTime,
    /// The others.
    TlsServerRandomBytes,
    /// JA3 of a ClientHello.
    Ja3Hash,
    /// What it is the MD5 of.
    Ja3String,
    /// JA3S of a ServerHello.
    Ja3sHash,
    /// What it is the MD5 of.
    Ja3sString,
    /// JA4 of a ClientHello.
    Ja4Hash,
}

/// Where and when a buffer can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferSpec {
    /// The protocol whose transactions have it.
    pub proto: AppProto,
    /// The direction whose data fills it.
    pub dir: Direction,
    /// From this [`Tx::progress`](crate::Tx::progress) in `dir` on, the buffer is final:
    /// [`Tx::buffer`](crate::Tx::buffer) then gives its bytes, or `None` for good.
    pub min_progress: u8,
}

impl AppBuffer {
    /// Every buffer, in the order of their indices.
    pub const ALL: [Self; Self::COUNT] = [
        Self::HttpMethod,
        Self::HttpUri,
        Self::HttpUriRaw,
        Self::HttpHost,
        Self::HttpHostRaw,
        Self::HttpHeader,
        Self::HttpHeaderRaw,
        Self::HttpHeaderNames,
        Self::HttpRequestHeader,
        Self::HttpCookie,
        Self::HttpUserAgent,
        Self::HttpReferer,
        Self::HttpAccept,
        Self::HttpAcceptEnc,
        Self::HttpAcceptLang,
        Self::HttpConnection,
        Self::HttpContentType,
        Self::HttpContentLen,
        Self::HttpProtocol,
        Self::HttpStart,
        Self::HttpRequestLine,
        Self::HttpRequestBody,
        Self::HttpFileName,
        Self::HttpReplyHeader,
        Self::HttpReplyHeaderRaw,
        Self::HttpReplyHeaderNames,
        Self::HttpResponseHeader,
        Self::HttpReplyCookie,
        Self::HttpReplyConnection,
        Self::HttpReplyContentType,
        Self::HttpReplyContentLen,
        Self::HttpReplyProtocol,
        Self::HttpReplyStart,
        Self::HttpResponseLine,
        Self::HttpStatCode,
        Self::HttpStatMsg,
        Self::HttpServer,
        Self::HttpLocation,
        Self::HttpReplyBody,
        Self::HttpReplyFileName,
        Self::DnsQuery,
        Self::TlsSni,
        Self::TlsCertSubject,
        Self::TlsCertIssuer,
        Self::TlsCertSerial,
        Self::TlsCertFingerprint,
        Self::TlsCerts,
        Self::TlsClientCertSubject,
        Self::TlsClientCertIssuer,
        Self::TlsClientCertSerial,
        Self::TlsClientCertFingerprint,
        Self::TlsClientCerts,
        Self::TlsRandom,
        Self::TlsRandomTime,
        Self::TlsRandomBytes,
        Self::TlsServerRandom,
        Self::TlsServerRandomTime,
        Self::TlsServerRandomBytes,
        Self::Ja3Hash,
        Self::Ja3String,
        Self::Ja3sHash,
        Self::Ja3sString,
        Self::Ja4Hash,
    ];

    /// How many there are: the length of a table indexed by [`index`](Self::index).
    pub const COUNT: usize = Self::Ja4Hash as usize + 1;

    /// A dense index, for tables.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The keyword that selects it (Suricata user guide, "HTTP Keywords", "DNS Keywords",
    /// "SSL/TLS Keywords").
    pub const fn name(self) -> &'static str {
        match self {
            Self::HttpMethod => "http.method",
            Self::HttpUri => "http.uri",
            Self::HttpUriRaw => "http.uri.raw",
            Self::HttpHost => "http.host",
            Self::HttpHostRaw => "http.host.raw",
            Self::HttpHeader | Self::HttpReplyHeader => "http.header",
            Self::HttpHeaderRaw | Self::HttpReplyHeaderRaw => "http.header.raw",
            Self::HttpHeaderNames | Self::HttpReplyHeaderNames => "http.header_names",
            Self::HttpRequestHeader => "http.request_header",
            Self::HttpCookie | Self::HttpReplyCookie => "http.cookie",
            Self::HttpUserAgent => "http.user_agent",
            Self::HttpReferer => "http.referer",
            Self::HttpAccept => "http.accept",
            Self::HttpAcceptEnc => "http.accept_enc",
            Self::HttpAcceptLang => "http.accept_lang",
            Self::HttpConnection | Self::HttpReplyConnection => "http.connection",
            Self::HttpContentType | Self::HttpReplyContentType => "http.content_type",
            Self::HttpContentLen | Self::HttpReplyContentLen => "http.content_len",
            Self::HttpProtocol | Self::HttpReplyProtocol => "http.protocol",
            Self::HttpStart | Self::HttpReplyStart => "http.start",
            Self::HttpRequestLine => "http.request_line",
            Self::HttpResponseHeader => "http.response_header",
            Self::HttpResponseLine => "http.response_line",
            Self::HttpStatCode => "http.stat_code",
            Self::HttpStatMsg => "http.stat_msg",
            Self::HttpServer => "http.server",
            Self::HttpLocation => "http.location",
            Self::HttpRequestBody => "http.request_body",
            Self::HttpReplyBody => "file.data",
            Self::HttpFileName | Self::HttpReplyFileName => "file.name",
            Self::DnsQuery => "dns.query",
            Self::TlsSni => "tls.sni",
            Self::TlsCertSubject | Self::TlsClientCertSubject => "tls.cert_subject",
            Self::TlsCertIssuer | Self::TlsClientCertIssuer => "tls.cert_issuer",
            Self::TlsCertSerial | Self::TlsClientCertSerial => "tls.cert_serial",
            Self::TlsCertFingerprint | Self::TlsClientCertFingerprint => "tls.cert_fingerprint",
            Self::TlsCerts | Self::TlsClientCerts => "tls.certs",
            Self::TlsRandom | Self::TlsServerRandom => "tls.random",
            Self::TlsRandomTime | Self::TlsServerRandomTime => "tls.random_time",
            Self::TlsRandomBytes | Self::TlsServerRandomBytes => "tls.random_bytes",
            Self::Ja3Hash => "ja3.hash",
            Self::Ja3String => "ja3.string",
            Self::Ja3sHash => "ja3s.hash",
            Self::Ja3sString => "ja3s.string",
            Self::Ja4Hash => "ja4.hash",
        }
    }

    /// Whether it comes in windows, by [`Tx::window`](crate::Tx::window).
    pub const fn is_body(self) -> bool {
        matches!(self, Self::HttpRequestBody | Self::HttpReplyBody)
    }

    /// Whether a transaction can have several of it, asked for by index.
    pub const fn is_multi(self) -> bool {
        matches!(
            self,
            Self::DnsQuery
                | Self::HttpRequestHeader
                | Self::HttpResponseHeader
                | Self::HttpFileName
                | Self::TlsCerts
                | Self::TlsClientCerts
        )
    }
}

/// Where and when `buffer` can be inspected.
pub const fn buffer_spec(buffer: AppBuffer) -> BufferSpec {
    use Direction::{ToClient, ToServer};
    use http1::progress::{BODY, HEADERS, TRAILER};
    let (proto, dir, min_progress) = match buffer {
        AppBuffer::HttpMethod
        | AppBuffer::HttpUri
        | AppBuffer::HttpUriRaw
        | AppBuffer::HttpProtocol
        | AppBuffer::HttpRequestLine => (AppProto::Http1, ToServer, HEADERS),
        AppBuffer::HttpHost
        | AppBuffer::HttpHostRaw
        | AppBuffer::HttpHeader
        | AppBuffer::HttpHeaderRaw
        | AppBuffer::HttpHeaderNames
        | AppBuffer::HttpRequestHeader
        | AppBuffer::HttpCookie
        | AppBuffer::HttpUserAgent
        | AppBuffer::HttpReferer
        | AppBuffer::HttpAccept
        | AppBuffer::HttpAcceptEnc
        | AppBuffer::HttpAcceptLang
        | AppBuffer::HttpConnection
        | AppBuffer::HttpContentType
        | AppBuffer::HttpContentLen
        | AppBuffer::HttpStart
        | AppBuffer::HttpRequestBody => (AppProto::Http1, ToServer, BODY),
        // the parts of a body have names too
        AppBuffer::HttpFileName => (AppProto::Http1, ToServer, TRAILER),
        AppBuffer::HttpReplyProtocol
        | AppBuffer::HttpResponseLine
        | AppBuffer::HttpStatCode
        | AppBuffer::HttpStatMsg => (AppProto::Http1, ToClient, HEADERS),
        AppBuffer::HttpReplyHeader
        | AppBuffer::HttpReplyHeaderRaw
        | AppBuffer::HttpReplyHeaderNames
        | AppBuffer::HttpResponseHeader
        | AppBuffer::HttpReplyCookie
        | AppBuffer::HttpReplyConnection
        | AppBuffer::HttpReplyContentType
        | AppBuffer::HttpReplyContentLen
        | AppBuffer::HttpReplyStart
        | AppBuffer::HttpServer
        | AppBuffer::HttpLocation
        | AppBuffer::HttpReplyBody
        | AppBuffer::HttpReplyFileName => (AppProto::Http1, ToClient, BODY),
        AppBuffer::DnsQuery => (AppProto::Dns, ToServer, dns::COMPLETE),
        AppBuffer::TlsSni
        | AppBuffer::TlsRandom
        | AppBuffer::TlsRandomTime
        | AppBuffer::TlsRandomBytes
        | AppBuffer::Ja3Hash
        | AppBuffer::Ja3String
        | AppBuffer::Ja4Hash => (AppProto::Tls, ToServer, tls::progress::HELLO),
        AppBuffer::TlsServerRandom
        | AppBuffer::TlsServerRandomTime
        | AppBuffer::TlsServerRandomBytes
        | AppBuffer::Ja3sHash
        | AppBuffer::Ja3sString => (AppProto::Tls, ToClient, tls::progress::HELLO),
        AppBuffer::TlsCertSubject
        | AppBuffer::TlsCertIssuer
        | AppBuffer::TlsCertSerial
        | AppBuffer::TlsCertFingerprint
        | AppBuffer::TlsCerts => (AppProto::Tls, ToClient, tls::progress::CERTIFICATES),
        AppBuffer::TlsClientCertSubject
        | AppBuffer::TlsClientCertIssuer
        | AppBuffer::TlsClientCertSerial
        | AppBuffer::TlsClientCertFingerprint
        | AppBuffer::TlsClientCerts => (AppProto::Tls, ToServer, tls::progress::CERTIFICATES),
    };
    BufferSpec { proto, dir, min_progress }
}

/// Buffers that are asked for, so that a parser makes no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BufferSet(u128);

impl BufferSet {
    /// All of them.
    pub const ALL: Self = Self(u128::MAX);

    /// These.
    pub const fn of(buffers: &[AppBuffer]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < buffers.len() {
            set |= 1 << buffers[at].index();
            at += 1;
        }
        Self(set)
    }

    /// Has it one of those?
    #[inline]
    pub const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Adds one.
    pub fn insert(&mut self, buffer: AppBuffer) {
        self.0 |= 1 << buffer.index();
    }

    /// Is it asked for?
    #[inline]
    pub const fn contains(self, buffer: AppBuffer) -> bool {
        self.0 >> buffer.index() & 1 == 1
    }
}

const _: () = assert!(AppBuffer::COUNT <= 128, "a set of buffers has a bit for each");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_dense() {
        for (i, b) in AppBuffer::ALL.into_iter().enumerate() {
            assert_eq!(b.index(), i);
        }
    }
}
