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
    /// The name of each question of a DNS query, labels joined by dots, case as sent.
    DnsQuery,
    /// The server name of a TLS ClientHello, as sent.
    TlsSni,
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
        Self::DnsQuery,
        Self::TlsSni,
    ];

    /// How many there are: the length of a table indexed by [`index`](Self::index).
    pub const COUNT: usize = Self::TlsSni as usize + 1;

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
            Self::DnsQuery => "dns.query",
            Self::TlsSni => "tls.sni",
        }
    }

    /// Whether a transaction can have several of it, asked for by index.
    pub const fn is_multi(self) -> bool {
        matches!(self, Self::DnsQuery)
    }
}

/// Where and when `buffer` can be inspected.
pub const fn buffer_spec(buffer: AppBuffer) -> BufferSpec {
    let (proto, min_progress) = match buffer {
        AppBuffer::HttpMethod | AppBuffer::HttpUri | AppBuffer::HttpUriRaw => {
            (AppProto::Http1, http1::progress::HEADERS)
        }
        AppBuffer::HttpHost | AppBuffer::HttpHostRaw => (AppProto::Http1, http1::progress::BODY),
        AppBuffer::DnsQuery => (AppProto::Dns, dns::COMPLETE),
        AppBuffer::TlsSni => (AppProto::Tls, tls::progress::HELLO),
    };
    BufferSpec { proto, dir: Direction::ToServer, min_progress }
}

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
