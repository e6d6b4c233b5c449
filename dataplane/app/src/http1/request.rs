//! The request side of a connection: request lines, header fields and bodies out of chunks.

use super::headers::{content_length, has_token, split_field};
use super::host::{self, is_space, trim};
use super::tx::HttpTx;
use super::uri::Parts;
use super::{Fatal, METHODS, chunk_size, progress};
use crate::limits::Limits;
use crate::line::{LineBuf, chomp, is_empty_line};
use crate::txs::{TxKind, TxList};

/// Most white space that may follow a request line without protocol for it to count as HTTP/0.9.
const SHORT_REQUEST_SLACK: usize = 16;

/// The parser of one connection's requests.
#[derive(Debug, Default)]
pub(super) struct Request {
    state: State,
    /// The transaction being filled.
    tx: Option<u64>,
    line: LineBuf,
    field: FieldBuf,
    /// Bytes of the body, or of the chunk, still to come.
    left: u64,
    /// The length that the header announced, while none of the body has come.
    untouched: Option<u64>,
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

/// A header field that may go on in the next line.
#[derive(Debug, Default)]
pub(super) struct FieldBuf {
    field: Option<Vec<u8>>,
}

impl FieldBuf {
    /// Takes a line of a header. Returns the field that it shows to be complete.
    pub(super) fn line(&mut self, line: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Fatal> {
        let line = chomp(line);
        if let (Some(b' ' | b'\t'), Some(field)) = (line.first(), &mut self.field) {
            if field.len() + line.len() > limit {
                return Err(Fatal);
            }
            field.extend_from_slice(line);
            return Ok(None);
        }
        // a continuation of nothing is a field of its own
        Ok(self.field.replace(line.trim_ascii_start().to_vec()))
    }

    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.field.take()
    }

    pub(super) fn len(&self) -> usize {
        self.field.as_ref().map_or(0, Vec::len)
    }
}

impl Request {
    /// Takes the next bytes; with `closed` there are no more after them.
    pub(super) fn feed(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        bytes: &[u8],
        closed: bool,
    ) -> Result<(), Fatal> {
        let mut rest = bytes;
        loop {
            match self.state {
                State::Idle => {
                    if rest.is_empty() {
                        return Ok(());
                    }
                    super::check_room(txs, limits)?;
                    let tx = HttpTx { request_progress: progress::LINE, ..HttpTx::default() };
                    self.tx = Some(txs.push(TxKind::Http(Box::new(tx))));
                    self.state = State::Line;
                }
                State::Line => match self.line.next(&mut rest, limits.http_field)? {
                    Some(line) if is_empty_line(&line) => {}
                    Some(line) => self.request_line(txs, limits, &line, rest),
                    None => {
                        if closed && !self.line.is_empty() {
                            let line = self.line.take();
                            self.request_line(txs, limits, &line, rest);
                            continue;
                        }
                        return Ok(());
                    }
                },
                State::Headers | State::Trailer => {
                    match self.line.next(&mut rest, limits.http_field)? {
                        Some(line) if is_empty_line(&line) => {
                            self.flush_field(txs, limits)?;
                            if self.state == State::Trailer {
                                self.finish_message(txs);
                            } else {
                                self.header_complete(txs)?;
                            }
                        }
                        Some(line) => {
                            if let Some(field) = self.field.line(&line, limits.http_field)? {
                                self.add_field(txs, limits, &field)?;
                            }
                        }
                        None => {
                            if closed {
                                let line = self.line.take();
                                if !line.is_empty()
                                    && let Some(field) =
                                        self.field.line(&line, limits.http_field)?
                                {
                                    self.add_field(txs, limits, &field)?;
                                }
                                self.flush_field(txs, limits)?;
                                self.complete(txs);
                            }
                            return Ok(());
                        }
                    }
                }
                State::Connect | State::Ignore => {
                    if closed {
                        self.complete(txs);
                    }
                    return Ok(());
                }
                State::Body | State::ChunkData => {
                    if rest.is_empty() {
                        if closed {
                            self.complete(txs);
                        }
                        return Ok(());
                    }
                    let n = self.left.min(rest.len() as u64);
                    rest = &rest[n as usize..];
                    self.body(txs, n);
                }
                State::ChunkSize | State::ChunkEnd => {
                    match self.line.next(&mut rest, limits.http_field)? {
                        Some(_) if self.state == State::ChunkEnd => self.state = State::ChunkSize,
                        Some(line) => match chunk_size(&line)? {
                            None => {}
                            Some(0) => {
                                self.state = State::Trailer;
                                self.step(txs, progress::TRAILER);
                            }
                            Some(size) => {
                                self.left = size;
                                self.state = State::ChunkData;
                            }
                        },
                        None => {
                            if closed {
                                self.complete(txs);
                            }
                            return Ok(());
                        }
                    }
                }
                State::After => {
                    if !self.after(txs, limits, &mut rest, closed)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn with(&self, txs: &mut TxList, change: impl FnOnce(&mut HttpTx)) {
        if let Some(tx) = self.tx.and_then(|id| txs.http(id)) {
            change(tx);
        }
    }

    fn step(&self, txs: &mut TxList, to: u8) {
        self.with(txs, |tx| tx.request_progress = tx.request_progress.max(to));
        txs.touch();
    }

    fn request_line(&mut self, txs: &mut TxList, limits: &Limits, line: &[u8], rest: &[u8]) {
        let line = RequestLine::parse(chomp(line), limits.http_space_in_uri);
        self.with(txs, |tx| {
            tx.method = Some(line.method.to_vec());
            tx.protocol = line.protocol.map(<[u8]>::to_vec);
            if let Some(uri) = line.uri {
                tx.uri_raw = Some(uri.to_vec());
                if line.method == b"CONNECT" {
                    if let Some((host, port)) = host::parse(uri) {
                        tx.uri_host = Some(host.to_ascii_lowercase());
                        tx.uri_port = port;
                    }
                } else {
                    let parts = Parts::parse(uri);
                    tx.uri = parts.normalized();
                    tx.uri_host = parts.normalized_host();
                    tx.uri_port = parts.port;
                }
            }
        });
        // Without a protocol it is HTTP/0.9, unless more than white space follows at once.
        let blank = rest.iter().take_while(|&&b| is_space(b)).count();
        if line.protocol.is_none() && blank == rest.len() && blank <= SHORT_REQUEST_SLACK {
            self.with(txs, |tx| tx.short = true);
            self.step(txs, progress::BODY);
            self.complete(txs);
            self.state = State::Ignore;
        } else {
            self.state = State::Headers;
            self.step(txs, progress::HEADERS);
        }
    }

    fn flush_field(&mut self, txs: &mut TxList, limits: &Limits) -> Result<(), Fatal> {
        match self.field.take() {
            Some(field) => self.add_field(txs, limits, &field),
            None => Ok(()),
        }
    }

    fn add_field(&self, txs: &mut TxList, limits: &Limits, field: &[u8]) -> Result<(), Fatal> {
        let (name, value) = split_field(field);
        if let Some(tx) = self.tx.and_then(|id| txs.http(id)) {
            tx.request_headers.add(name, value, limits.http_headers, limits.http_header_bytes)?;
        }
        Ok(())
    }

    /// All header fields are there: the host is known, and how the body is framed.
    fn header_complete(&mut self, txs: &mut TxList) -> Result<(), Fatal> {
        let mut framing = Ok(State::After);
        let mut left = 0;
        self.with(txs, |tx| {
            tx.header_complete = true;
            let field = tx.request_headers.get(b"host").and_then(host::parse);
            match &tx.uri_host {
                Some(host) => {
                    tx.host = Some(host.clone());
                    tx.port = tx.uri_port;
                }
                None => {
                    if let Some((host, port)) = field {
                        tx.host = Some(host);
                        tx.port = port;
                    }
                }
            }
            if tx.method.as_deref() == Some(b"CONNECT") {
                framing = Ok(State::Connect);
            } else if let Some(coding) = tx.request_headers.get(b"transfer-encoding") {
                let chunked = has_token(coding, b"chunked");
                framing = if chunked { Ok(State::ChunkSize) } else { Err(Fatal) };
            } else if let Some(value) = tx.request_headers.get(b"content-length") {
                framing = content_length(value).ok_or(Fatal).map(|len| {
                    left = len;
                    if len > 0 { State::Body } else { State::After }
                });
            }
        });
        self.step(txs, progress::BODY);
        self.state = framing?;
        self.left = left;
        self.untouched = (self.state == State::Body).then_some(left);
        Ok(())
    }

    fn body(&mut self, txs: &mut TxList, n: u64) {
        self.with(txs, |tx| tx.request_len = tx.request_len.saturating_add(n));
        self.untouched = None;
        self.left -= n;
        if self.left == 0 {
            self.state = if self.state == State::Body { State::After } else { State::ChunkEnd };
        }
    }

    /// What follows a request in the same piece is the next one if its first line is empty or begins
    /// with a method, else a body without announcement. Returns whether to go on.
    fn after(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<bool, Fatal> {
        if rest.is_empty() && (closed || self.line.is_empty()) {
            let stray = self.line.take().len() as u64;
            self.with(txs, |tx| tx.request_len = tx.request_len.saturating_add(stray));
            self.complete(txs);
            return Ok(false);
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            // keeps it, as there is no line feed; an empty rest means: wait
            self.line.next(rest, limits.http_field)?;
            return Ok(false);
        };
        let mut first_word = self.line.pending().to_vec();
        if first_word.len() + end > limits.http_field {
            return Err(Fatal);
        }
        first_word.extend_from_slice(&rest[..end]);
        let word = trim(&first_word).split(|&b| is_space(b)).next().unwrap_or_default();
        if first_word.is_empty() || METHODS.contains(&word) {
            self.complete(txs);
        } else if let Some(line) = self.line.next(rest, limits.http_field)? {
            let n = line.len() as u64;
            self.with(txs, |tx| tx.request_len = tx.request_len.saturating_add(n));
        }
        Ok(true)
    }

    fn finish_message(&mut self, txs: &mut TxList) {
        self.state = State::After;
        txs.touch();
    }

    /// The request is over; the next bytes begin another.
    fn complete(&mut self, txs: &mut TxList) {
        if self.tx.is_some() {
            self.step(txs, progress::COMPLETE);
        }
        self.tx = None;
        self.left = 0;
        self.untouched = None;
        if self.state != State::Ignore {
            self.state = State::Idle;
        }
    }

    /// A CONNECT request was refused.
    pub(super) fn resume(&mut self, txs: &mut TxList) {
        if self.state == State::Connect {
            self.complete(txs);
        }
    }

    /// The body that was announced will not be sent, if none of it has been yet.
    pub(super) fn skip_body(&mut self, txs: &mut TxList) {
        if self.untouched.is_some() {
            self.complete(txs);
        }
    }

    /// No more is parsed: what there is, is all.
    pub(super) fn end(&mut self, txs: &mut TxList) {
        self.complete(txs);
        self.line = LineBuf::default();
        self.field = FieldBuf::default();
    }

    /// Bytes are missing. In a body they are counted; elsewhere what comes is read on from here.
    pub(super) fn gap(&mut self, txs: &mut TxList, len: u64) {
        if matches!(self.state, State::Body | State::ChunkData) {
            self.body(txs, self.left.min(len));
        }
        if self.state == State::After {
            self.complete(txs);
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.line.pending().len() + self.field.len()
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
