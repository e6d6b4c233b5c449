//! The request side of a connection: request lines, header fields and bodies out of chunks.

use std::num::NonZeroU16;

use wire::Direction;

use super::fields::{content_length, has_token};
use super::half::{Following, Half, ends_header};
use super::headers::Span;
use super::host::{self, is_space, trim};
use super::tx::{HttpTx, Uri};
use super::uri::{Parts, Twice, is_normal};
use super::{Fatal, METHODS, chunk_size, name, oddities, progress};
use crate::event::{EventSet, HttpEvent};
use crate::line::{chomp, is_empty_line};
use crate::session::Config;
use crate::txs::{TxKind, TxList};

/// Most white space that may follow a request line without protocol for it to count as HTTP/0.9.
const SHORT_REQUEST_SLACK: usize = 16;

/// The parser of one connection's requests.
#[derive(Debug)]
pub(super) struct Request {
    half: Half<At>,
}

#[derive(Debug, Default)]
struct At {
    state: State,
    /// The header has announced a length, and none of the body has come.
    untouched: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Line,
    Headers,
    Trailer,
    /// CONNECT was asked for; what follows depends on the response.
    Connect,
    Body,
    ChunkSize,
    ChunkData,
    ChunkEnd,
    /// The request is read; what follows in the same piece may be a body that was not announced.
    After,
    /// After HTTP/0.9 nothing more is a request.
    Ignore,
}

impl Default for Request {
    fn default() -> Self {
        Self { half: Half::new(Direction::ToServer) }
    }
}

impl Request {
    /// Takes the next bytes; with `closed` there are no more after them.
    pub(super) fn feed(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        bytes: &[u8],
        closed: bool,
    ) -> Result<(), Fatal> {
        let mut rest = bytes;
        loop {
            match self.half.at.state {
                State::Idle => {
                    if rest.is_empty() {
                        return Ok(());
                    }
                    super::check_room(txs, config.limits)?;
                    let mut tx = HttpTx::default();
                    tx.request.progress = progress::LINE;
                    self.half.begin(txs.push(TxKind::Http(Box::new(tx))));
                    self.half.at.state = State::Line;
                }
                State::Line => match self.half.line.next(&mut rest, config.limits.http_field)? {
                    Some(line) if is_empty_line(&line) => {}
                    Some(line) => self.request_line(txs, config, &line, rest),
                    None => {
                        if closed && !self.half.line.is_empty() {
                            let line = self.half.line.take();
                            self.request_line(txs, config, &line, rest);
                            continue;
                        }
                        return Ok(());
                    }
                },
                State::Headers | State::Trailer => {
                    match self.half.line.next(&mut rest, config.limits.http_field)? {
                        Some(line) if ends_header(&line, rest) => {
                            self.half.sent(txs, config, &line);
                            self.half.flush_field(txs, config)?;
                            if self.half.at.state == State::Trailer {
                                self.finish_message(txs);
                            } else {
                                self.half.seal(txs, config);
                                self.header_complete(txs, config)?;
                            }
                        }
                        Some(line) => self.half.header_line(txs, config, &line, rest)?,
                        None => {
                            if closed {
                                let line = self.half.line.take();
                                if !line.is_empty() {
                                    self.half.header_line(txs, config, &line, b"")?;
                                }
                                self.half.flush_field(txs, config)?;
                                self.complete(txs, config);
                            }
                            return Ok(());
                        }
                    }
                }
                State::Connect | State::Ignore => {
                    if closed {
                        self.complete(txs, config);
                    }
                    return Ok(());
                }
                State::Body | State::ChunkData => {
                    if rest.is_empty() {
                        if closed {
                            self.complete(txs, config);
                        }
                        return Ok(());
                    }
                    let n = self.half.left.min(rest.len() as u64);
                    let (bytes, tail) = rest.split_at(n as usize);
                    rest = tail;
                    self.half.data(txs, config, bytes);
                    self.body(n);
                }
                State::ChunkSize | State::ChunkEnd => {
                    match self.half.line.next(&mut rest, config.limits.http_field)? {
                        Some(_) if self.half.at.state == State::ChunkEnd => {
                            self.half.at.state = State::ChunkSize
                        }
                        Some(line) => match self.chunk_size(txs, &line)? {
                            None => {}
                            Some(0) => {
                                self.half.at.state = State::Trailer;
                                self.half.step(txs, progress::TRAILER);
                            }
                            Some(size) => {
                                self.half.left = size;
                                self.half.at.state = State::ChunkData;
                            }
                        },
                        None => {
                            if closed {
                                self.complete(txs, config);
                            }
                            return Ok(());
                        }
                    }
                }
                State::After => {
                    if !self.after(txs, config, &mut rest, closed)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn request_line(&mut self, txs: &mut TxList, config: &Config<'_>, line: &[u8], rest: &[u8]) {
        let text = chomp(line);
        let line = RequestLine::parse(text, config.limits.http_space_in_uri);
        let mut double_encoded = false;
        self.half.with(txs, |tx| {
            let request = &mut tx.request;
            request.headers.begin(text, rest);
            let mut end = 0;
            request.parts = [Some(line.method), line.uri, line.protocol].map(|part| {
                // the parts stand one behind the other
                let Some(part) = part else { return Span::NONE };
                let found = memchr::memmem::find(&text[end..], part);
                let Some(at) = found.map(|at| end + at) else { return Span::NONE };
                end = at + part.len();
                Span::new(at, end)
            });
            let Some(uri) = line.uri else { return };
            if line.method == b"CONNECT" {
                if let Some(host) = host::parse(uri) {
                    let apart = tx.apart_mut();
                    let named = host.span.of(uri).unwrap_or_default();
                    apart.uri_host = Some(named.to_ascii_lowercase());
                    apart.uri_port = host.port;
                }
            } else if is_normal(uri) {
                tx.uri = Uri::AsSent;
            } else {
                let parts = Parts::parse(uri);
                let twice = Twice {
                    path: config.limits.http_double_decode_path,
                    query: config.limits.http_double_decode_query,
                };
                let (uri, encoded) = parts.normalized(twice);
                double_encoded = encoded;
                if let Some(uri) = uri {
                    request.headers.keep(&uri);
                    tx.uri = Uri::Beside;
                }
                if parts.host.is_some() || parts.port.is_some() {
                    let apart = tx.apart_mut();
                    apart.uri_host = parts.normalized_host();
                    apart.uri_port = parts.port;
                }
            }
        });
        self.half.raise_all(txs, oddities::of_request_line(text));
        if double_encoded {
            self.half.raise(txs, HttpEvent::DoubleEncodedUri);
        }
        // Without a protocol it is HTTP/0.9, unless more than white space follows at once.
        let blank = rest.iter().take_while(|&&b| is_space(b)).count();
        if line.protocol.is_none() && blank == rest.len() && blank <= SHORT_REQUEST_SLACK {
            self.half.with(txs, |tx| tx.short = true);
            self.half.step(txs, progress::BODY);
            self.complete(txs, config);
            self.half.at.state = State::Ignore;
        } else {
            if line.protocol.is_none() {
                self.half.raise(txs, HttpEvent::RequestLineMissingProtocol);
            }
            self.half.at.state = State::Headers;
            self.half.step(txs, progress::HEADERS);
        }
    }

    /// All header fields are there: the host is known, and how the body is framed.
    fn header_complete(&mut self, txs: &mut TxList, config: &Config<'_>) -> Result<(), Fatal> {
        let mut events = EventSet::default();
        let mut framing = Ok(State::After);
        let mut left = 0;
        self.half.with(txs, |tx| {
            tx.header_complete = true;
            let field = tx.request.headers.get(name::HOST);
            let parsed = field.and_then(host::parse);
            let of_uri =
                tx.apart.as_ref().and_then(|apart| Some((apart.uri_host.clone()?, apart.uri_port)));
            if let Some((host, port)) = of_uri {
                tx.apart_mut().host = Some(host);
                tx.port = port.and_then(NonZeroU16::new);
            } else if let (Some(field), Some(host)) = (field, parsed) {
                let named = host.span.of(field).unwrap_or_default();
                let as_sent = !host.lower || !named.iter().any(u8::is_ascii_uppercase);
                tx.port = host.port.and_then(NonZeroU16::new);
                match tx.request.headers.place(name::HOST).filter(|_| as_sent) {
                    Some(at) => {
                        let Span { start, end } = host.span;
                        tx.host = Span { start: at.start + start, end: at.start + end };
                    }
                    None => tx.apart_mut().host = Some(host.text(field)),
                }
            }
            if tx.method() == Some(b"CONNECT") {
                framing = Ok(State::Connect);
            } else if let Some(coding) = tx.request.headers.get(name::TRANSFER_ENCODING) {
                let chunked = has_token(coding, b"chunked");
                framing = if chunked { Ok(State::ChunkSize) } else { Err(Fatal::Framing) };
                if !chunked {
                    events.insert(HttpEvent::InvalidTransferEncodingValueInRequest);
                }
            } else if let Some(value) = tx.request.headers.get(name::CONTENT_LENGTH) {
                framing = content_length(value).ok_or(Fatal::Framing).map(|len| {
                    left = len;
                    if len > 0 { State::Body } else { State::After }
                });
                if framing.is_err() {
                    events.insert(HttpEvent::InvalidContentLengthFieldInRequest);
                }
            }
            events.extend(oddities::of_request(tx));
        });
        self.half.raise_all(txs, events);
        let carries = matches!(framing, Ok(State::Body | State::ChunkSize));
        self.half.carry(txs, config, carries);
        self.half.step(txs, progress::BODY);
        self.half.at.state = framing?;
        self.half.left = left;
        self.half.at.untouched = self.half.at.state == State::Body;
        Ok(())
    }

    fn chunk_size(&self, txs: &mut TxList, line: &[u8]) -> Result<Option<u64>, Fatal> {
        let size = chunk_size(line);
        if size.is_err() {
            self.half.raise(txs, HttpEvent::InvalidRequestChunkLen);
        } else if line.contains(&b';') {
            self.half.raise(txs, HttpEvent::RequestChunkExtension);
        }
        size
    }

    /// So much of the body, or of the chunk, is over.
    fn body(&mut self, n: u64) {
        self.half.at.untouched = false;
        self.half.left -= n;
        if self.half.left == 0 {
            self.half.at.state =
                if self.half.at.state == State::Body { State::After } else { State::ChunkEnd };
        }
    }

    /// What follows a request in the same piece is the next one if its first line is empty or begins
    /// with a method, else a body without announcement. Returns whether to go on.
    fn after(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<bool, Fatal> {
        let line = match self.half.following(txs, config, rest, closed)? {
            Following::Nothing => {
                self.complete(txs, config);
                return Ok(false);
            }
            Following::Part => return Ok(false),
            Following::Line(line) => line,
        };
        let word = trim(&line).split(|&b| is_space(b)).next().unwrap_or_default();
        if line == b"\n" || METHODS.contains(&word) {
            self.complete(txs, config);
        } else if let Some(line) = self.half.line.next(rest, config.limits.http_field)? {
            self.half.raise(txs, HttpEvent::RequestBodyUnexpected);
            self.half.data(txs, config, &line);
        }
        Ok(true)
    }

    fn finish_message(&mut self, txs: &mut TxList) {
        self.half.at.state = State::After;
        txs.touch();
    }

    /// The request is over; the next bytes begin another.
    fn complete(&mut self, txs: &mut TxList, config: &Config<'_>) {
        self.half.complete(txs, config);
        self.half.at.untouched = false;
        if self.half.at.state != State::Ignore {
            self.half.at.state = State::Idle;
        }
    }

    /// A CONNECT request was refused.
    pub(super) fn resume(&mut self, txs: &mut TxList, config: &Config<'_>) {
        if self.half.at.state == State::Connect {
            self.complete(txs, config);
        }
    }

    /// The body that was announced will not be sent, if none of it has been yet.
    pub(super) fn skip_body(&mut self, txs: &mut TxList, config: &Config<'_>) {
        if self.half.at.untouched {
            self.complete(txs, config);
        }
    }

    /// No more is parsed: what there is, is all.
    pub(super) fn end(&mut self, txs: &mut TxList, config: &Config<'_>) {
        self.complete(txs, config);
        self.half.clear();
    }

    /// Bytes are missing. In a body they are counted; elsewhere what comes is read on from here.
    pub(super) fn gap(&mut self, txs: &mut TxList, config: &Config<'_>, len: u64) {
        if matches!(self.half.at.state, State::Body | State::ChunkData) {
            let n = self.half.left.min(len);
            self.half.missing(txs, n);
            self.body(n);
        }
        if self.half.at.state == State::After {
            self.complete(txs, config);
        }
    }

    /// The transaction being filled.
    pub(super) fn tx(&self) -> Option<u64> {
        self.half.tx()
    }

    pub(super) fn buffered(&self) -> usize {
        self.half.buffered()
    }
}

/// A request line, taken apart without validation.
#[derive(Debug, PartialEq, Eq)]
struct RequestLine<'a> {
    method: &'a [u8],
    uri: Option<&'a [u8]>,
    protocol: Option<&'a [u8]>,
}

impl<'a> RequestLine<'a> {
    fn parse(line: &'a [u8], space_in_uri: bool) -> Self {
        let skip_space = |s: &'a [u8]| {
            let n = s.iter().take_while(|&&b| is_space(b)).count();
            &s[n..]
        };
        let line = skip_space(line);
        let end = line.iter().position(|&b| is_space(b)).unwrap_or(line.len());
        let method = &line[..end];
        let rest = skip_space(&line[end..]);
        if rest.is_empty() {
            return Self { method, uri: None, protocol: None };
        }
        // only a line without a blank falls back to other white space
        let split = if space_in_uri {
            let rest =
                &rest[..rest.len() - rest.iter().rev().take_while(|&&b| is_space(b)).count()];
            memchr::memrchr(b' ', rest).or_else(|| rest.iter().rposition(|&b| is_space(b)))
        } else {
            memchr::memchr(b' ', rest).or_else(|| rest.iter().position(|&b| is_space(b)))
        };
        let (uri, protocol) = rest.split_at(split.unwrap_or(rest.len()));
        let protocol = skip_space(protocol);
        let uri = if space_in_uri { trim(uri) } else { uri };
        Self { method, uri: Some(uri), protocol: (!protocol.is_empty()).then_some(protocol) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8], space_in_uri: bool) -> (String, Option<String>, Option<String>) {
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let l = RequestLine::parse(line, space_in_uri);
        (text(l.method), l.uri.map(text), l.protocol.map(text))
    }

    #[test]
    fn request_lines_come_apart_as_observed() {
        let want = |m: &str, u: Option<&str>, p: Option<&str>| {
            (m.to_owned(), u.map(str::to_owned), p.map(str::to_owned))
        };
        assert_eq!(parse(b"GET / HTTP/1.1", false), want("GET", Some("/"), Some("HTTP/1.1")));
        assert_eq!(parse(b" \tGET /", false), want("GET", Some("/"), None));
        assert_eq!(parse(b"GET", false), want("GET", None, None));
        assert_eq!(
            parse(b"GET /a b c HTTP/1.1", false),
            want("GET", Some("/a"), Some("b c HTTP/1.1"))
        );
        assert_eq!(
            parse(b"GET /a b c HTTP/1.1", true),
            want("GET", Some("/a b c"), Some("HTTP/1.1"))
        );
        assert_eq!(
            parse(b"GET \t /a\t\tHTTP/1.1 ", false),
            want("GET", Some("/a\t\tHTTP/1.1"), None)
        );
        assert_eq!(parse(b"GET /a\tHTTP/1.1", false), want("GET", Some("/a"), Some("HTTP/1.1")));
        assert_eq!(parse(b"", false), want("", None, None));
    }
}
