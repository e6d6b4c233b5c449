//! An HTTP transaction: what is kept of a request and of the response that answers it.

use std::cell::OnceCell;
use std::num::NonZeroU16;

use wire::Direction;

use super::body::{Body, BodyWindow};
use super::fields::value_param;
use super::files::Files;
use super::headers::{Headers, Span};
use super::name::{self, Name};
use super::progress;
use crate::buffer::AppBuffer;
use crate::file::{Digests, File, FileState};
use crate::summary::{HttpSummary, text};

/// One message: a request or a response.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// The first line without its end, and the fields.
    pub(super) headers: Headers,
    /// Method, URI and protocol of a request; protocol, status and reason of a response.
    pub(super) parts: [Span; 3],
    /// Bytes of the body, transfer coding included.
    pub(super) length: u64,
    made: OnceCell<Box<Made>>,
    /// The body, if a rule looks at it.
    pub(super) body: Option<Box<Body>>,
    pub(super) progress: u8,
    /// The header announces a body.
    pub(super) carries: bool,
    /// Whether rules look at the names of the fields, and at the whole head.
    pub(super) wanted: [bool; 2],
}

/// What is made of a header when a rule comes to look at it.
#[derive(Debug)]
struct Made {
    names: Vec<u8>,
    start: Vec<u8>,
}

impl Side {
    pub(super) fn part(&self, at: usize) -> Option<&[u8]> {
        self.headers.at(*self.parts.get(at)?)
    }

    /// A part of the first line that is not there is no buffer.
    fn filled(&self, at: usize) -> Option<&[u8]> {
        self.part(at).filter(|part| !part.is_empty())
    }

    fn first_line(&self) -> Option<&[u8]> {
        Some(self.headers.first_line()).filter(|line| !line.is_empty())
    }

    /// Whether the protocol, that part of the first line, is HTTP/1.1.
    pub(super) fn is_11(&self, part: usize) -> bool {
        self.part(part).is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"HTTP/1.1"))
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let [wants_names, wants_start] = self.wanted;
            let (mut names, mut start) = (Vec::new(), Vec::new());
            if wants_names {
                names.extend_from_slice(b"\r\n");
                for name in self.headers.names() {
                    names.extend_from_slice(name);
                    names.extend_from_slice(b"\r\n");
                }
                names.extend_from_slice(b"\r\n");
            }
            if wants_start {
                start.extend_from_slice(self.headers.first_line());
                start.extend_from_slice(b"\r\n");
                for line in self.headers.lines() {
                    start.extend_from_slice(line);
                    start.extend_from_slice(b"\r\n");
                }
                start.extend_from_slice(b"\r\n");
            }
            Box::new(Made { names, start })
        })
    }

    /// What `http.header_names` looks at.
    fn names(&self) -> Option<&[u8]> {
        self.wanted[0].then(|| &self.made().names[..])
    }

    /// What `http.start` looks at.
    fn start(&self) -> Option<&[u8]> {
        self.wanted[1].then(|| &self.made().start[..])
    }

    /// Forgets an interim response.
    pub(super) fn clear(&mut self) {
        self.headers.clear();
    }

    /// No more of the body will come.
    fn body_ended(&self) -> bool {
        self.progress > progress::BODY
    }

    /// Keeps track of the files that it carries.
    pub(super) fn track(&mut self, files: Files) {
        self.headers.set_files(files);
    }

    /// Nothing more of its files comes. `cut`: the body was to be longer.
    pub(super) fn end_files(&mut self, cut: bool) {
        let cut = cut || self.body.as_ref().is_some_and(|body| body.is_cut());
        if let Some(files) = self.headers.files_mut() {
            files.end(cut);
        }
    }

    fn window(&self) -> Option<BodyWindow<'_>> {
        self.body.as_ref()?.window(self.body_ended())
    }

    fn kept(&self) -> usize {
        let made = self
            .made
            .get()
            .map_or(0, |made| size_of::<Made>() + made.names.capacity() + made.start.capacity());
        let files = self.headers.files().map_or(0, Files::kept);
        self.headers.kept() + made + files + self.body.as_ref().map_or(0, |body| body.kept())
    }
}

/// What `http.uri` looks at.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uri {
    #[default]
    None,
    /// It is normalised as it was sent.
    AsSent,
    /// It is kept beside the first line.
    Beside,
}

/// A request and its response.
#[derive(Debug, Default)]
pub(crate) struct HttpTx {
    pub(super) request: Side,
    /// From the beginning of the response on.
    response: Option<Box<Side>>,
    /// What few requests have.
    pub(super) apart: Option<Box<Apart>>,
    /// The host that was asked for where it is in the request's text as it is to be looked at.
    pub(super) host: Span,
    pub(super) port: Option<NonZeroU16>,
    /// The status as a number plus one, 1 where it is none; 0: there was no status line.
    status: u16,
    pub(super) uri: Uri,
    /// The request had no header: it is HTTP/0.9, and so is its response.
    pub(super) short: bool,
    /// The request's header was read to its end.
    pub(super) header_complete: bool,
    /// An interim response has told the client to go on.
    pub(super) continued: bool,
}

/// What few requests have.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// The host named by the URI, decoded.
    pub(super) uri_host: Option<Vec<u8>>,
    pub(super) uri_port: Option<u16>,
    /// The host that was asked for.
    pub(super) host: Option<Vec<u8>>,
}

impl HttpTx {
    /// A transaction for a response that no request was seen for.
    pub(super) fn unasked() -> Self {
        let mut tx = Self::default();
        tx.request.progress = progress::COMPLETE;
        tx.request.headers.begin(super::UNSEEN_URI, b"");
        tx.request.parts[1] = Span::new(0, super::UNSEEN_URI.len());
        tx
    }

    pub(super) fn side_mut(&mut self, dir: Direction) -> &mut Side {
        match dir {
            Direction::ToServer => &mut self.request,
            Direction::ToClient => self.response.get_or_insert_default(),
        }
    }

    /// The status of the response; 0: it is no number.
    pub(super) fn status(&self) -> Option<u16> {
        self.status.checked_sub(1)
    }

    pub(super) fn set_status(&mut self, status: Option<u16>) {
        self.status = status.map_or(0, |status| status.saturating_add(1));
    }

    /// The response, as far as it has come.
    pub(super) fn response(&self) -> Option<&Side> {
        self.response.as_deref()
    }

    /// Whether the response is of HTTP/1.1.
    pub(super) fn is_answered_by_11(&self) -> bool {
        self.response().is_some_and(|side| side.is_11(0))
    }

    pub(super) fn apart_mut(&mut self) -> &mut Apart {
        self.apart.get_or_insert_default()
    }

    /// The host named by the URI.
    pub(super) fn uri_host(&self) -> Option<&[u8]> {
        self.apart.as_ref()?.uri_host.as_deref()
    }

    fn host(&self) -> Option<&[u8]> {
        let apart = self.apart.as_ref().and_then(|apart| apart.host.as_deref());
        apart.or_else(|| self.request.headers.at(self.host))
    }

    pub(super) fn method(&self) -> Option<&[u8]> {
        self.request.part(0)
    }

    fn uri(&self) -> Option<&[u8]> {
        match self.uri {
            Uri::None => None,
            Uri::AsSent => self.uri_raw(),
            Uri::Beside => Some(self.request.headers.kept_beside()),
        }
    }

    fn uri_raw(&self) -> Option<&[u8]> {
        self.request.part(1)
    }

    /// Bytes that it holds.
    pub(crate) fn kept(&self) -> usize {
        let apart = self.apart.as_ref().map_or(0, |apart| {
            let hosts = [&apart.uri_host, &apart.host].into_iter().flatten();
            size_of::<Apart>() + hosts.map(Vec::capacity).sum::<usize>()
        });
        let response = self.response().map_or(0, |side| size_of::<Side>() + side.kept());
        size_of::<Self>() + apart + self.request.kept() + response
    }

    /// Of these, what is not text.
    pub(crate) fn state(&self) -> usize {
        let response = self.response().map_or(0, |side| size_of::<Side>() + side.headers.state());
        size_of::<Self>() + self.request.headers.state() + response
    }

    pub(crate) fn progress(&self, dir: Direction) -> u8 {
        match dir {
            Direction::ToServer => self.request.progress,
            Direction::ToClient => self.response().map_or(0, |side| side.progress),
        }
    }

    pub(super) fn complete_response(&mut self) {
        self.side_mut(Direction::ToClient).progress = progress::COMPLETE;
    }

    /// A field of the response.
    fn answered(&self, name: Name) -> Option<&[u8]> {
        self.response()?.headers.get(name)
    }

    pub(crate) fn buffer(&self, buffer: AppBuffer, index: usize) -> Option<&[u8]> {
        let (request, response) = (&self.request, self.response());
        match buffer {
            AppBuffer::HttpRequestHeader => return request.headers.line(index),
            AppBuffer::HttpResponseHeader => return response?.headers.line(index),
            AppBuffer::HttpFileName => return self.file(Direction::ToServer, index)?.name,
            AppBuffer::HttpReplyFileName => return self.file(Direction::ToClient, index)?.name,
            _ if index > 0 => return None,
            _ => {}
        }
        match buffer {
            AppBuffer::HttpMethod => self.method(),
            AppBuffer::HttpUri => self.uri(),
            AppBuffer::HttpUriRaw => self.uri_raw(),
            AppBuffer::HttpHost => self.host(),
            AppBuffer::HttpHostRaw => self.uri_host().or_else(|| request.headers.get(name::HOST)),
            AppBuffer::HttpHeader => request.headers.text(),
            AppBuffer::HttpHeaderRaw => request.headers.sent(),
            AppBuffer::HttpHeaderNames => request.names(),
            AppBuffer::HttpCookie => request.headers.get(name::COOKIE),
            AppBuffer::HttpUserAgent => request.headers.get(name::USER_AGENT),
            AppBuffer::HttpReferer => request.headers.get(name::REFERER),
            AppBuffer::HttpAccept => request.headers.get(name::ACCEPT),
            AppBuffer::HttpAcceptEnc => request.headers.get(name::ACCEPT_ENCODING),
            AppBuffer::HttpAcceptLang => request.headers.get(name::ACCEPT_LANGUAGE),
            AppBuffer::HttpConnection => request.headers.get(name::CONNECTION),
            AppBuffer::HttpContentType => request.headers.get(name::CONTENT_TYPE),
            AppBuffer::HttpContentLen => request.headers.get(name::CONTENT_LENGTH),
            AppBuffer::HttpProtocol => request.filled(2),
            AppBuffer::HttpStart => request.start(),
            AppBuffer::HttpRequestLine => request.first_line(),
            AppBuffer::HttpReplyHeader => response?.headers.text(),
            AppBuffer::HttpReplyHeaderRaw => response?.headers.sent(),
            AppBuffer::HttpReplyHeaderNames => response?.names(),
            AppBuffer::HttpReplyCookie => self.answered(name::SET_COOKIE),
            AppBuffer::HttpReplyConnection => self.answered(name::CONNECTION),
            AppBuffer::HttpReplyContentType => self.answered(name::CONTENT_TYPE),
            AppBuffer::HttpReplyContentLen => self.answered(name::CONTENT_LENGTH),
            AppBuffer::HttpReplyProtocol => response?.filled(0),
            AppBuffer::HttpReplyStart => response?.start(),
            AppBuffer::HttpResponseLine => response?.first_line(),
            AppBuffer::HttpStatCode => response?.filled(1),
            AppBuffer::HttpStatMsg => response?.filled(2),
            AppBuffer::HttpServer => self.answered(name::SERVER),
            AppBuffer::HttpLocation => self.answered(name::LOCATION),
            _ => None,
        }
    }

    pub(crate) fn window(&self, buffer: AppBuffer) -> Option<BodyWindow<'_>> {
        match buffer {
            AppBuffer::HttpRequestBody => self.request.window(),
            AppBuffer::HttpReplyBody => self.response()?.window(),
            _ => None,
        }
    }

    /// A file: the body, or one of its parts where those are told apart.
    pub(crate) fn file(&self, dir: Direction, index: usize) -> Option<File<'_>> {
        let side = match dir {
            Direction::ToServer => &self.request,
            Direction::ToClient => self.response()?,
        };
        let name = self.file_name(side);
        if let Some(files) = side.headers.files() {
            return files.get(index, name);
        }
        if index > 0 || !side.carries {
            return None;
        }
        let body = side.body.as_deref();
        let state = match (side.body_ended(), body.is_some_and(Body::is_cut)) {
            (false, false) => FileState::Open,
            (true, false) => FileState::Closed,
            (_, true) => FileState::Truncated,
        };
        let size = body.map_or(side.length, Body::total);
        let gaps = body.is_some_and(Body::has_gaps);
        Some(File { name, size, state, gaps, digests: Digests::default() })
    }

    /// The name of what a body holds.
    fn file_name<'a>(&'a self, side: &'a Side) -> Option<&'a [u8]> {
        let named = side
            .headers
            .get(name::CONTENT_DISPOSITION)
            .and_then(|value| value_param(value, b"filename"));
        let path = || {
            let uri = self.uri()?;
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
        let asked = |name| self.request.headers.get(name).map(text);
        let redirect = matches!(self.status(), Some(300..400));
        HttpSummary {
            hostname: of(self.host()),
            http_port: if self.header_complete { self.port.map(NonZeroU16::get) } else { Some(0) },
            url: of(self.uri_raw()),
            http_user_agent: asked(name::USER_AGENT),
            xff: asked(name::X_FORWARDED_FOR),
            http_content_type: self
                .answered(name::CONTENT_TYPE)
                .map(|v| text(v.split(|&b| b == b';').next().unwrap_or_default())),
            http_refer: asked(name::REFERER),
            http_method: of(self.method()),
            protocol: of(self.request.part(2)),
            status: self.status(),
            redirect: redirect.then(|| self.answered(name::LOCATION).map(text)).flatten(),
            length: self.response().map_or(0, |side| side.length),
        }
    }
}
