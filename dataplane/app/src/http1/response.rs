//! The response side of a connection: enough of it to pair each response with its request and to
//! know where the next one begins.

use wire::Direction;

use super::decode::Codings;
use super::fields::{content_length, mentions};
use super::half::{Following, Half, ends_header};
use super::headers::Span;
use super::host::is_space;
use super::tx::HttpTx;
use super::{Fatal, Signal, chunk_size, name, oddities, progress};
use crate::event::HttpEvent;
use crate::line::{Line, chomp, is_empty_line};
use crate::session::{Config, Tunnel};
use crate::txs::{TxKind, TxList};

/// The parser of one connection's responses.
#[derive(Debug)]
pub(super) struct Response {
    half: Half<At>,
}

#[derive(Debug, Default)]
struct At {
    state: State,
    /// The last line ended in a line feed alone.
    bare_feed: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Line,
    Headers,
    Trailer,
    /// A body of known length.
    Body,
    /// A body that ends with the connection.
    BodyToEnd,
    ChunkSize,
    ChunkData,
    ChunkEnd,
    /// The response is read; a line that is no status line still belongs to it.
    After,
}

impl Default for Response {
    fn default() -> Self {
        Self { half: Half::new(Direction::ToClient) }
    }
}

impl Response {
    /// Takes the next bytes off `rest`, until they are used up or the request side is concerned.
    pub(super) fn feed(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<Option<Signal>, Fatal> {
        loop {
            match self.half.at.state {
                State::Idle => {
                    if rest.is_empty() {
                        return Ok(None);
                    }
                    self.begin(txs, config)?;
                }
                State::Line => match self.next_line(rest, config, closed)? {
                    Some(line) => self.status_line(txs, config, &line, rest),
                    None => return Ok(None),
                },
                State::Headers | State::Trailer => match self.field_line(rest, config, closed)? {
                    Some(line) if ends_header(&line, rest) => {
                        self.half.sent(txs, config, &line);
                        self.half.flush_field(txs, config)?;
                        if self.half.at.state == State::Trailer {
                            self.half.at.state = State::After;
                            continue;
                        }
                        if let Some(signal) = self.header_complete(txs, config)? {
                            return Ok(Some(signal));
                        }
                    }
                    Some(line) => self.half.header_line(txs, config, &line, rest)?,
                    None => {
                        if closed {
                            self.half.flush_field(txs, config)?;
                            self.complete(txs, config);
                        }
                        return Ok(None);
                    }
                },
                State::Body | State::ChunkData => {
                    if rest.is_empty() {
                        if closed {
                            self.complete(txs, config);
                        }
                        return Ok(None);
                    }
                    let n = self.half.left.min(rest.len() as u64);
                    let (bytes, tail) = rest.split_at(n as usize);
                    *rest = tail;
                    self.half.data(txs, config, bytes);
                    self.body(n);
                }
                State::BodyToEnd => {
                    self.half.data(txs, config, rest);
                    *rest = &[];
                    if closed {
                        self.complete(txs, config);
                    }
                    return Ok(None);
                }
                State::ChunkSize | State::ChunkEnd => {
                    match self.half.line.next(rest, config.limits.http_field)? {
                        Some(line) => {
                            let size = if self.half.at.state == State::ChunkEnd {
                                self.half.at.state = State::ChunkSize;
                                Ok(None)
                            } else {
                                chunk_size(&line)
                            };
                            if size.is_ok() {
                                self.half.count(txs, line.len() as u64);
                            }
                            match size {
                                Ok(None) => {}
                                Ok(Some(0)) => {
                                    self.half.at.state = State::Trailer;
                                    self.half.step(txs, progress::TRAILER);
                                }
                                Ok(Some(size)) => {
                                    self.half.left = size;
                                    self.half.at.state = State::ChunkData;
                                }
                                // browsers show what they got
                                Err(_) => {
                                    self.half.raise(txs, HttpEvent::InvalidResponseChunkLen);
                                    self.half.data(txs, config, &line);
                                    self.half.at.state = State::BodyToEnd;
                                }
                            }
                        }
                        None => {
                            let size = self.half.at.state == State::ChunkSize;
                            let waits = self.half.line.pending();
                            if size && (closed || waits.len() >= PROBED) && !may_be_size(waits) {
                                // not chunked after all
                                let bytes = self.half.line.take();
                                self.half.raise(txs, HttpEvent::InvalidResponseChunkLen);
                                self.half.data(txs, config, &bytes);
                                self.half.at.state = State::BodyToEnd;
                                continue;
                            }
                            if closed {
                                self.complete(txs, config);
                            }
                            return Ok(None);
                        }
                    }
                }
                State::After => {
                    if !self.after(txs, config, rest, closed)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next line; at the end of the connection, what there is of it.
    fn next_line<'a>(
        &mut self,
        rest: &mut &'a [u8],
        config: &Config<'_>,
        closed: bool,
    ) -> Result<Option<Line<'a>>, Fatal> {
        Ok(self.half.line.next_lenient(rest, config.limits.http_field, closed)?)
    }

    /// The next line of a header. Behind a line feed without a return, a return is passed over.
    fn field_line<'a>(
        &mut self,
        rest: &mut &'a [u8],
        config: &Config<'_>,
        closed: bool,
    ) -> Result<Option<Line<'a>>, Fatal> {
        if self.half.at.bare_feed && self.half.line.is_empty() && !rest.is_empty() {
            self.half.at.bare_feed = false;
            // an empty line behind it that stands twice counts once
            if let [b'\r', tail @ ..] = *rest {
                *rest = if tail.starts_with(b"\r\n\r\n") { &tail[2..] } else { tail };
            }
        }
        let line = self.next_line(rest, config, closed)?;
        if let Some(line) = &line {
            self.half.at.bare_feed = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
        }
        Ok(line)
    }

    fn begin(&mut self, txs: &mut TxList, config: &Config<'_>) -> Result<(), Fatal> {
        let id = self.half.next();
        if txs.is_to_come(id) {
            super::check_room(txs, config.limits)?;
            let id = txs.push(TxKind::Http(Box::new(HttpTx::unasked())));
            txs.raise(id, HttpEvent::UnableToMatchResponseToRequest);
        }
        let id = u64::from(id);
        self.half.begin(id);
        let short = txs.http(id).is_some_and(|tx| tx.short);
        if short {
            self.half.at.state = State::BodyToEnd;
            self.half.step(txs, progress::BODY);
        } else {
            self.half.at.state = State::Line;
            self.half.step(txs, progress::LINE);
        }
        Ok(())
    }

    fn status_line(&mut self, txs: &mut TxList, config: &Config<'_>, line: &[u8], rest: &[u8]) {
        if is_empty_line(line) {
            return;
        }
        if !is_status_line(line) {
            // junk before a status line is passed over, else it is a body without a header
            let next = rest.len() > 1 && (rest[0] == b'H' || chomp(line).len() <= 2);
            if !next {
                self.half.data(txs, config, line);
                if rest.is_empty() {
                    self.half.step(txs, progress::BODY);
                    self.half.at.state = State::After;
                }
            }
            return;
        }
        self.half.with(txs, |tx| {
            let (parts, status) = status_parts(chomp(line));
            let response = tx.side_mut(Direction::ToClient);
            response.headers.begin(chomp(line), rest);
            response.parts = parts;
            tx.set_status(status);
        });
        self.half.at.state = State::Headers;
        self.half.at.bare_feed = false;
        self.half.step(txs, progress::HEADERS);
    }

    /// All header fields are there: what comes next depends on the request, the status and them
    /// (RFC 9112, 6.3).
    fn header_complete(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
    ) -> Result<Option<Signal>, Fatal> {
        let Some(tx) = self.half.tx().and_then(|id| txs.http(id)) else {
            // the engine is done with it, and nothing tells how long its body is
            self.half.at.state = State::BodyToEnd;
            return Ok(None);
        };
        let status = tx.status().unwrap_or(0);
        let response = tx.side_mut(Direction::ToClient);
        let chunked =
            response.headers.get(name::TRANSFER_ENCODING).map(|v| mentions(v, b"chunked"));
        let length = response.headers.get(name::CONTENT_LENGTH).map(content_length);
        let framed = chunked.is_some() || length.is_some();
        let mut signal = None;
        match (tx.method(), status) {
            (Some(b"CONNECT"), 200..300) => return self.tunnel(txs, config, Tunnel::Connect),
            (_, 101) if !framed => return self.tunnel(txs, config, Tunnel::Upgrade),
            (_, 100) if chunked.is_none() && length.flatten().unwrap_or(0) == 0 => {
                tx.side_mut(Direction::ToClient).clear();
                self.half.at.state = State::Line;
                if std::mem::replace(&mut tx.continued, true) {
                    self.half.raise(txs, HttpEvent::Continue100AlreadySeen);
                }
                return Ok(None);
            }
            (Some(b"CONNECT"), _) => signal = Some(Signal::ConnectRefused),
            (_, 400..500) => {
                let expect = tx.request.headers.get(name::EXPECT);
                if expect.is_some_and(|v| v.eq_ignore_ascii_case(b"100-continue")) {
                    signal = Some(Signal::BodyRefused);
                }
            }
            _ => {}
        }
        let response = tx.side_mut(Direction::ToClient);
        let codings = response.headers.get(name::CONTENT_ENCODING);
        let codings =
            codings.map(|value| Codings::of(value, config.limits.http_layers)).unwrap_or_default();
        if !codings.layers.is_empty() {
            response.headers.apart_mut().codings = codings.layers;
        }
        let mut events = oddities::of_response(tx, chunked);
        if codings.abnormal {
            events.insert(HttpEvent::AbnormalCeHeader);
        }
        if codings.too_many {
            events.insert(HttpEvent::TooManyEncodingLayers);
        }
        if chunked != Some(true) && length == Some(None) {
            events.insert(HttpEvent::InvalidContentLengthFieldInResponse);
        }
        let bodiless = tx.method() == Some(b"HEAD");
        self.half.raise_all(txs, events);
        let no_body = matches!(status, 100..200 | 204 | 304) && !framed;
        self.half.at.state = if bodiless || no_body {
            State::After
        } else if chunked == Some(true) {
            State::ChunkSize
        } else if let Some(length) = length {
            self.half.left = length.ok_or(Fatal::Framing)?;
            if self.half.left > 0 { State::Body } else { State::After }
        } else {
            State::BodyToEnd
        };
        let carries = self.half.at.state != State::After;
        self.half.carry(txs, config, carries);
        self.half.seal(txs, config);
        self.half.step(txs, progress::BODY);
        Ok(signal)
    }

    fn tunnel(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        kind: Tunnel,
    ) -> Result<Option<Signal>, Fatal> {
        self.half.seal(txs, config);
        self.half.step(txs, progress::BODY);
        self.complete(txs, config);
        Ok(Some(Signal::Tunnel(kind)))
    }

    /// So much of the body, or of the chunk, is over.
    fn body(&mut self, n: u64) {
        self.half.left -= n;
        if self.half.left == 0 {
            self.half.at.state =
                if self.half.at.state == State::Body { State::After } else { State::ChunkEnd };
        }
    }

    /// What follows a response in the same piece is the next one if it looks like one, else more of
    /// its body. Returns whether to go on.
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
        if is_status_line(&line) {
            self.complete(txs, config);
        } else if let Some(line) = self.half.line.next(rest, config.limits.http_field)? {
            self.half.data(txs, config, &line);
        }
        Ok(true)
    }

    fn complete(&mut self, txs: &mut TxList, config: &Config<'_>) {
        self.half.complete(txs, config);
        self.half.at.state = State::Idle;
    }

    /// No more is parsed: what there is, is all.
    pub(super) fn end(&mut self, txs: &mut TxList, config: &Config<'_>) {
        self.complete(txs, config);
        self.half.clear();
        // transactions without an answer will not get one
        for kind in txs.iter_mut() {
            if let TxKind::Http(tx) = kind {
                tx.complete_response();
            }
        }
        txs.touch();
    }

    /// Bytes are missing. In a body they are counted; elsewhere what comes is read on from here.
    pub(super) fn gap(&mut self, txs: &mut TxList, config: &Config<'_>, len: u64) {
        match self.half.at.state {
            State::Body | State::ChunkData => {
                let n = self.half.left.min(len);
                self.half.missing(txs, n);
                self.body(n);
            }
            State::BodyToEnd => self.half.missing(txs, len),
            _ => {}
        }
        if self.half.at.state == State::After {
            self.complete(txs, config);
        }
    }

    /// The transaction being answered.
    pub(super) fn tx(&self) -> Option<u64> {
        self.half.tx()
    }

    pub(super) fn buffered(&self) -> usize {
        self.half.buffered()
    }
}

/// So many bytes tell whether they can be a chunk's size.
const PROBED: usize = 8;

/// Whether what there is of a line may be a chunk's size: its first letter is a digit.
fn may_be_size(line: &[u8]) -> bool {
    line.iter().find(|&&b| !is_space(b)).is_none_or(u8::is_ascii_hexdigit)
}

/// Whether a line looks like the first of a response: `HTTP` in any case, white space and NULs
/// before it.
fn is_status_line(line: &[u8]) -> bool {
    let blank = line.iter().take_while(|&&b| b == 0 || is_space(b)).count();
    line[blank..].get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"HTTP"))
}

/// Protocol, status and reason of a status line as they stand in it, and the status as a number.
fn status_parts(line: &[u8]) -> ([Span; 3], Option<u16>) {
    let skip = |from: usize, blank: bool| {
        let rest = line.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|&&b| is_space(b) == blank).count()
    };
    let mut parts = [Span::NONE; 3];
    let mut end = 0;
    for (i, part) in parts.iter_mut().enumerate() {
        let start = skip(end, true);
        end = if i == 2 { line.len() } else { skip(start, false) };
        if start < end {
            *part = Span::new(start, end);
        }
    }
    let status = parts[1].of(line).map(|word| status_code(word).unwrap_or(0));
    (parts, status)
}

fn status_code(word: &[u8]) -> Option<u16> {
    let n: u16 = std::str::from_utf8(word).ok()?.parse().ok()?;
    (100..1000).contains(&n).then_some(n)
}
