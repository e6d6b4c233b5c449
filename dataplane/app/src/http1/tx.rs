//! An HTTP transaction: what is kept of a request and of the response that answers it.

use wire::Direction;

use super::body::{Body, BodyWindow};
use super::decode::Coding;
use super::headers::Headers;
use super::progress;
use crate::buffer::AppBuffer;
use crate::summary::{HttpSummary, text};

/// A part of a first line.
type Range = Option<(u32, u32)>;

/// One message: a request or a response.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) progress: u8,
    /// The first line without its end.
    pub(super) line: Vec<u8>,
    /// Method, URI and protocol of a request; protocol, status and reason of a response.
    pub(super) parts: [Range; 3],
    pub(super) headers: Headers,
    /// The header as sent, if a rule looks at it.
    pub(super) raw: Vec<u8>,
    names: Option<Vec<u8>>,
    start: Option<Vec<u8>>,
    /// Bytes of the body, transfer coding included.
    pub(super) length: u64,
    /// The header announces a body.
    pub(super) carries: bool,
    /// Content codings of the body.
    pub(super) codings: Vec<Coding>,
    /// The body, if a rule looks at it.
    pub(super) body: Option<Box<Body>>,
}

impl Side {
    pub(super) fn part(&self, at: usize) -> Option<&[u8]> {
        let (start, end) = (*self.parts.get(at)?)?;
        self.line.get(start as usize..end as usize)
    }

    /// A part of the first line that is not there is no buffer.
    fn filled(&self, at: usize) -> Option<&[u8]> {
        self.part(at).filter(|part| !part.is_empty())
    }

    fn first_line(&self) -> Option<&[u8]> {
        (!self.line.is_empty()).then_some(&self.line)
    }

    /// Whether the protocol, that part of the first line, is HTTP/1.1.
    pub(super) fn is_11(&self, part: usize) -> bool {
        self.part(part).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"HTTP/1.1"))
    }

    /// Makes what `http.header_names` looks at.
    pub(super) fn make_names(&mut self) {
        let mut names = b"\r\n".to_vec();
        for name in self.headers.names() {
            names.extend_from_slice(name);
            names.extend_from_slice(b"\r\n");
        }
        names.extend_from_slice(b"\r\n");
        self.names = Some(names);
    }

    /// Makes what `http.start` looks at.
    pub(super) fn make_start(&mut self) {
        let mut start = self.line.clone();
        start.extend_from_slice(b"\r\n");
        for line in self.headers.lines() {
            start.extend_from_slice(line);
            start.extend_from_slice(b"\r\n");
        }
        start.extend_from_slice(b"\r\n");
        self.start = Some(start);
    }

    /// Forgets an interim response.
    pub(super) fn clear(&mut self) {
        self.headers.clear();
        self.raw.clear();
    }

    fn raw(&self) -> Option<&[u8]> {
        (!self.raw.is_empty()).then_some(&self.raw)
    }

    /// No more of the body will come.
    fn body_ended(&self) -> bool {
        self.progress > progress::BODY
    }

    fn window(&self) -> Option<BodyWindow<'_>> {
        self.body.as_ref()?.window(self.body_ended())
    }

    fn kept(&self) -> usize {
        let made = [&self.names, &self.start].into_iter().flatten();
        self.line.capacity()
            + self.headers.kept()
            + self.raw.capacity()
            + made.map(Vec::capacity).sum::<usize>()
            + self.body.as_ref().map_or(0, |body| body.kept())
    }
}

/// A request and its response.
#[derive(Debug, Default)]
pub(crate) struct HttpTx {
    pub(super) request: Side,
    pub(super) response: Side,
    pub(super) uri: Option<Vec<u8>>,
    /// The host named by the URI, decoded.
    pub(super) uri_host: Option<Vec<u8>>,
    pub(super) uri_port: Option<u16>,
    /// The request had no header: it is HTTP/0.9, and so is its response.
    pub(super) short: bool,
    /// The request's header was read to its end.
    pub(super) header_complete: bool,
    pub(super) host: Option<Vec<u8>>,
    pub(super) port: Option<u16>,
    pub(super) status: Option<u16>,
    /// An interim response has told the client to go on.
    pub(super) continued: bool,
}

/// The name in a Content-Disposition field (RFC 6266), without its quotes.
fn file_name(value: &[u8]) -> Option<&[u8]> {
    let name = value.split(|&b| b == b';').find_map(|part| {
        let part = part.trim_ascii();
        let (key, rest) = part.split_at_checked(b"filename=".len())?;
        key.eq_ignore_ascii_case(b"filename=").then_some(rest)
    })?;
    let name = match name {
        [b'"', name @ .., b'"'] => name,
        name => name,
    };
    (!name.is_empty()).then_some(name)
}

impl HttpTx {
    /// A transaction for a response that no request was seen for.
    pub(super) fn unasked() -> Self {
        let mut tx = Self::default();
        tx.request.progress = progress::COMPLETE;
        tx.request.line = super::UNSEEN_URI.to_vec();
        tx.request.parts[1] = Some((0, super::UNSEEN_URI.len() as u32));
        tx
    }

    pub(super) fn side_mut(&mut self, dir: Direction) -> &mut Side {
        match dir {
            Direction::ToServer => &mut self.request,
            Direction::ToClient => &mut self.response,
        }
    }

    pub(super) fn method(&self) -> Option<&[u8]> {
        self.request.part(0)
    }

    fn uri_raw(&self) -> Option<&[u8]> {
        self.request.part(1)
    }

    /// Bytes that it holds.
    pub(crate) fn kept(&self) -> usize {
        let fields = [&self.uri, &self.uri_host, &self.host];
        let fields: usize = fields.into_iter().flatten().map(Vec::capacity).sum();
        size_of::<Self>() + fields + self.request.kept() + self.response.kept()
    }

    pub(crate) fn progress(&self, dir: Direction) -> u8 {
        match dir {
            Direction::ToServer => self.request.progress,
            Direction::ToClient => self.response.progress,
        }
    }

    pub(super) fn complete_response(&mut self) {
        self.response.progress = progress::COMPLETE;
    }

    pub(crate) fn buffer(&self, buffer: AppBuffer, index: usize) -> Option<&[u8]> {
        let (request, response) = (&self.request, &self.response);
        match buffer {
            AppBuffer::HttpRequestHeader => return request.headers.line(index),
            AppBuffer::HttpResponseHeader => return response.headers.line(index),
            _ if index > 0 => return None,
            _ => {}
        }
        match buffer {
            AppBuffer::HttpMethod => self.method(),
            AppBuffer::HttpUri => self.uri.as_deref(),
            AppBuffer::HttpUriRaw => self.uri_raw(),
            AppBuffer::HttpHost => self.host.as_deref(),
            AppBuffer::HttpHostRaw => {
                self.uri_host.as_deref().or_else(|| request.headers.get(b"host"))
            }
            AppBuffer::HttpHeader => request.headers.text(),
            AppBuffer::HttpHeaderRaw => request.raw(),
            AppBuffer::HttpHeaderNames => request.names.as_deref(),
            AppBuffer::HttpCookie => request.headers.get(b"cookie"),
            AppBuffer::HttpUserAgent => request.headers.get(b"user-agent"),
            AppBuffer::HttpReferer => request.headers.get(b"referer"),
            AppBuffer::HttpAccept => request.headers.get(b"accept"),
            AppBuffer::HttpAcceptEnc => request.headers.get(b"accept-encoding"),
            AppBuffer::HttpAcceptLang => request.headers.get(b"accept-language"),
            AppBuffer::HttpConnection => request.headers.get(b"connection"),
            AppBuffer::HttpContentType => request.headers.get(b"content-type"),
            AppBuffer::HttpContentLen => request.headers.get(b"content-length"),
            AppBuffer::HttpProtocol => request.filled(2),
            AppBuffer::HttpStart => request.start.as_deref(),
            AppBuffer::HttpRequestLine => request.first_line(),
            AppBuffer::HttpReplyHeader => response.headers.text(),
            AppBuffer::HttpReplyHeaderRaw => response.raw(),
            AppBuffer::HttpReplyHeaderNames => response.names.as_deref(),
            AppBuffer::HttpReplyCookie => response.headers.get(b"set-cookie"),
            AppBuffer::HttpReplyConnection => response.headers.get(b"connection"),
            AppBuffer::HttpReplyContentType => response.headers.get(b"content-type"),
            AppBuffer::HttpReplyContentLen => response.headers.get(b"content-length"),
            AppBuffer::HttpReplyProtocol => response.filled(0),
            AppBuffer::HttpReplyStart => response.start.as_deref(),
            AppBuffer::HttpResponseLine => response.first_line(),
            AppBuffer::HttpStatCode => response.filled(1),
            AppBuffer::HttpStatMsg => response.filled(2),
            AppBuffer::HttpServer => response.headers.get(b"server"),
            AppBuffer::HttpFileName => self.file_name(request),
            AppBuffer::HttpReplyFileName => self.file_name(response),
            AppBuffer::HttpLocation => response.headers.get(b"location"),
            _ => None,
        }
    }

    pub(crate) fn window(&self, buffer: AppBuffer) -> Option<BodyWindow<'_>> {
        match buffer {
            AppBuffer::HttpRequestBody => self.request.window(),
            AppBuffer::HttpReplyBody => self.response.window(),
            _ => None,
        }
    }

    pub(crate) fn body_size(&self, buffer: AppBuffer) -> Option<u64> {
        let side = match buffer {
            AppBuffer::HttpRequestBody => &self.request,
            AppBuffer::HttpReplyBody => &self.response,
            _ => return None,
        };
        side.body.as_ref().map(|body| body.total())
    }

    /// The name of what a body holds.
    fn file_name<'a>(&'a self, side: &'a Side) -> Option<&'a [u8]> {
        let named = side.headers.get(b"content-disposition").and_then(file_name);
        let path = || {
            let uri = self.uri.as_deref()?;
            uri.get(..memchr::memchr2(b'?', b'#', uri).unwrap_or(uri.len()))
        };
        if side.carries { named.or_else(path) } else { None }
    }

    /// What was ready of the body has been looked at.
    pub(crate) fn looked(&mut self, dir: Direction) {
        let side = self.side_mut(dir);
        let ended = side.body_ended();
        if let Some(body) = &mut side.body {
            body.looked(ended);
        }
    }

    pub(crate) fn summary(&self) -> HttpSummary {
        let of = |b: Option<&[u8]>| b.map(text);
        let asked = |name: &[u8]| self.request.headers.get(name).map(text);
        let answered = |name: &[u8]| self.response.headers.get(name);
        let redirect = matches!(self.status, Some(300..400));
        HttpSummary {
            hostname: of(self.host.as_deref()),
            http_port: if self.header_complete { self.port } else { Some(0) },
            url: of(self.uri_raw()),
            http_user_agent: asked(b"user-agent"),
            xff: asked(b"x-forwarded-for"),
            http_content_type: answered(b"content-type")
                .map(|v| text(v.split(|&b| b == b';').next().unwrap_or_default())),
            http_refer: asked(b"referer"),
            http_method: of(self.method()),
            protocol: of(self.request.part(2)),
            status: self.status,
            redirect: redirect.then(|| answered(b"location").map(text)).flatten(),
            length: self.response.length,
        }
    }
}
