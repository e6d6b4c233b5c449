//! An HTTP transaction: what is kept of a request and of the response that answers it.

use wire::Direction;

use super::headers::Headers;
use super::progress;
use crate::buffer::AppBuffer;
use crate::summary::{HttpSummary, text};

/// A request and its response.
#[derive(Debug, Default)]
pub(crate) struct HttpTx {
    pub(super) request_progress: u8,
    pub(super) response_progress: u8,
    pub(super) method: Option<Vec<u8>>,
    pub(super) uri_raw: Option<Vec<u8>>,
    pub(super) uri: Option<Vec<u8>>,
    pub(super) protocol: Option<Vec<u8>>,
    /// The host named by the URI, decoded.
    pub(super) uri_host: Option<Vec<u8>>,
    pub(super) uri_port: Option<u16>,
    /// The request had no header: it is HTTP/0.9, and so is its response.
    pub(super) short: bool,
    /// The request's header was read to its end.
    pub(super) header_complete: bool,
    pub(super) host: Option<Vec<u8>>,
    pub(super) port: Option<u16>,
    pub(super) request_headers: Headers,
    pub(super) request_len: u64,
    pub(super) status: Option<u16>,
    pub(super) response_headers: Headers,
    pub(super) response_len: u64,
}

impl HttpTx {
    /// A transaction for a response that no request was seen for.
    pub(super) fn unasked() -> Self {
        Self {
            request_progress: progress::COMPLETE,
            uri_raw: Some(super::UNSEEN_URI.to_vec()),
            ..Self::default()
        }
    }

    /// Bytes that it holds.
    pub(crate) fn kept(&self) -> usize {
        let fields =
            [&self.method, &self.uri_raw, &self.uri, &self.protocol, &self.uri_host, &self.host];
        let fields: usize = fields.into_iter().flatten().map(Vec::capacity).sum();
        size_of::<Self>() + fields + self.request_headers.kept() + self.response_headers.kept()
    }

    pub(crate) fn progress(&self, dir: Direction) -> u8 {
        match dir {
            Direction::ToServer => self.request_progress,
            Direction::ToClient => self.response_progress,
        }
    }

    pub(crate) fn buffer(&self, buffer: AppBuffer) -> Option<&[u8]> {
        match buffer {
            AppBuffer::HttpMethod => self.method.as_deref(),
            AppBuffer::HttpUri => self.uri.as_deref(),
            AppBuffer::HttpUriRaw => self.uri_raw.as_deref(),
            AppBuffer::HttpHost => self.host.as_deref(),
            AppBuffer::HttpHostRaw => {
                self.uri_host.as_deref().or_else(|| self.request_headers.get(b"host"))
            }
            AppBuffer::DnsQuery | AppBuffer::TlsSni => None,
        }
    }

    pub(crate) fn summary(&self) -> HttpSummary {
        let of = |b: &Option<Vec<u8>>| b.as_deref().map(text);
        let asked = |name: &[u8]| self.request_headers.get(name).map(text);
        let redirect = matches!(self.status, Some(300..400));
        HttpSummary {
            hostname: of(&self.host),
            http_port: if self.header_complete { self.port } else { Some(0) },
            url: of(&self.uri_raw),
            http_user_agent: asked(b"user-agent"),
            xff: asked(b"x-forwarded-for"),
            http_content_type: self
                .response_headers
                .get(b"content-type")
                .map(|v| text(v.split(|&b| b == b';').next().unwrap_or_default())),
            http_refer: asked(b"referer"),
            http_method: of(&self.method),
            protocol: of(&self.protocol),
            status: self.status,
            redirect: redirect.then(|| self.response_headers.get(b"location").map(text)).flatten(),
            length: self.response_len,
        }
    }
}
