//! The response side of a connection: enough of it to pair each response with its request and to
//! know where the next one begins.

use wire::Direction;

use super::decode::Codings;
use super::half::{Half, ends_header};
use super::headers::{content_length, mentions};
use super::host::is_space;
use super::tx::HttpTx;
use super::{Fatal, Signal, chunk_size, oddities, progress};
use crate::buffer::BufferSet;
use crate::event::HttpEvent;
use crate::limits::Limits;
use crate::line::{Line, chomp, is_empty_line};
use crate::session::Tunnel;
use crate::txs::{TxKind, TxList};

/// The parser of one connection's responses.
#[derive(Debug)]
pub(super) struct Response {
    state: State,
    half: Half,
    /// The id of the transaction that the next response answers.
    next: u64,
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
        Self {
            state: State::default(),
            half: Half::new(Direction::ToClient),
            next: 0,
            bare_feed: false,
        }
    }
}

impl Response {
    /// Takes the next bytes off `rest`, until they are used up or the request side is concerned.
    pub(super) fn feed(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        wanted: BufferSet,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<Option<Signal>, Fatal> {
        loop {
            match self.state {
                State::Idle => {
                    if rest.is_empty() {
                        return Ok(None);
                    }
                    self.begin(txs, limits)?;
                }
                State::Line => match self.next_line(rest, limits, closed)? {
                    Some(line) => self.status_line(txs, limits, wanted, &line, rest),
                    None => return Ok(None),
                },
                State::Headers | State::Trailer => match self.field_line(rest, limits, closed)? {
                    Some(line) if ends_header(&line, rest) => {
                        self.half.raw(txs, limits, wanted, &line);
                        self.half.flush_field(txs, limits)?;
                        if self.state == State::Trailer {
                            self.state = State::After;
                            continue;
                        }
                        if let Some(signal) = self.header_complete(txs, limits, wanted)? {
                            return Ok(Some(signal));
                        }
                    }
                    Some(line) => self.half.header_line(txs, limits, wanted, &line)?,
                    None => {
                        if closed {
                            self.half.flush_field(txs, limits)?;
                            self.complete(txs, wanted);
                        }
                        return Ok(None);
                    }
                },
                State::Body | State::ChunkData => {
                    if rest.is_empty() {
                        if closed {
                            self.complete(txs, wanted);
                        }
                        return Ok(None);
                    }
                    let n = self.half.left.min(rest.len() as u64);
                    let (bytes, tail) = rest.split_at(n as usize);
                    *rest = tail;
                    self.half.data(txs, limits, wanted, bytes);
                    self.body(n);
                }
                State::BodyToEnd => {
                    self.half.data(txs, limits, wanted, rest);
                    *rest = &[];
                    if closed {
                        self.complete(txs, wanted);
                    }
                    return Ok(None);
                }
                State::ChunkSize | State::ChunkEnd => {
                    match self.half.line.next(rest, limits.http_field)? {
                        Some(line) => {
                            let size = if self.state == State::ChunkEnd {
                                self.state = State::ChunkSize;
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
                                    self.state = State::Trailer;
                                    self.half.step(txs, progress::TRAILER);
                                }
                                Ok(Some(size)) => {
                                    self.half.left = size;
                                    self.state = State::ChunkData;
                                }
                                // browsers show what they got
                                Err(_) => {
                                    self.half.raise(txs, HttpEvent::InvalidResponseChunkLen);
                                    self.half.data(txs, limits, wanted, &line);
                                    self.state = State::BodyToEnd;
                                }
                            }
                        }
                        None => {
                            let size = self.state == State::ChunkSize;
                            let waits = self.half.line.pending();
                            if size && (closed || waits.len() >= PROBED) && !may_be_size(waits) {
                                // not chunked after all
                                let bytes = self.half.line.take();
                                self.half.raise(txs, HttpEvent::InvalidResponseChunkLen);
                                self.half.data(txs, limits, wanted, &bytes);
                                self.state = State::BodyToEnd;
                                continue;
                            }
                            if closed {
                                self.complete(txs, wanted);
                            }
                            return Ok(None);
                        }
                    }
                }
                State::After => {
                    if !self.after(txs, limits, wanted, rest, closed)? {
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
        limits: &Limits,
        closed: bool,
    ) -> Result<Option<Line<'a>>, Fatal> {
        Ok(self.half.line.next_lenient(rest, limits.http_field, closed)?)
    }

    /// The next line of a header. Behind a line feed without a return, a return is passed over.
    fn field_line<'a>(
        &mut self,
        rest: &mut &'a [u8],
        limits: &Limits,
        closed: bool,
    ) -> Result<Option<Line<'a>>, Fatal> {
        if self.bare_feed && self.half.line.is_empty() && !rest.is_empty() {
            self.bare_feed = false;
            // an empty line behind it that stands twice counts once
            if let [b'\r', tail @ ..] = *rest {
                *rest = if tail.starts_with(b"\r\n\r\n") { &tail[2..] } else { tail };
            }
        }
        let line = self.next_line(rest, limits, closed)?;
        if let Some(line) = &line {
            self.bare_feed = line.ends_with(b"\n") && !line.ends_with(b"\r\n");
        }
        Ok(line)
    }

    fn begin(&mut self, txs: &mut TxList, limits: &Limits) -> Result<(), Fatal> {
        let id = self.next;
        if id >= txs.next() {
            super::check_room(txs, limits)?;
            let id = txs.push(TxKind::Http(Box::new(HttpTx::unasked())));
            txs.raise(id, HttpEvent::UnableToMatchResponseToRequest);
        }
        self.next = id + 1;
        self.half.tx = Some(id);
        let short = txs.http(id).is_some_and(|tx| tx.short);
        if short {
            self.state = State::BodyToEnd;
            self.half.step(txs, progress::BODY);
        } else {
            self.state = State::Line;
            self.half.step(txs, progress::LINE);
        }
        Ok(())
    }

    fn status_line(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        wanted: BufferSet,
        line: &[u8],
        rest: &[u8],
    ) {
        if is_empty_line(line) {
            return;
        }
        if !is_status_line(line) {
            // junk before a status line is passed over, else it is a body without a header
            let next = rest.len() > 1 && (rest[0] == b'H' || chomp(line).len() <= 2);
            if !next {
                self.half.data(txs, limits, wanted, line);
                if rest.is_empty() {
                    self.half.step(txs, progress::BODY);
                    self.state = State::After;
                }
            }
            return;
        }
        self.half.with(txs, |tx| {
            let (parts, status) = status_parts(chomp(line));
            tx.response.line = chomp(line).to_vec();
            tx.response.parts = parts;
            tx.status = status;
        });
        self.state = State::Headers;
        self.bare_feed = false;
        self.half.step(txs, progress::HEADERS);
    }

    /// All header fields are there: what comes next depends on the request, the status and them
    /// (RFC 9112, 6.3).
    fn header_complete(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        wanted: BufferSet,
    ) -> Result<Option<Signal>, Fatal> {
        let Some(tx) = self.half.tx.and_then(|id| txs.http(id)) else {
            // the engine is done with it, and nothing tells how long its body is
            self.state = State::BodyToEnd;
            return Ok(None);
        };
        let status = tx.status.unwrap_or(0);
        let chunked =
            tx.response.headers.get(b"transfer-encoding").map(|v| mentions(v, b"chunked"));
        let length = tx.response.headers.get(b"content-length").map(content_length);
        let framed = chunked.is_some() || length.is_some();
        let mut signal = None;
        match (tx.method(), status) {
            (Some(b"CONNECT"), 200..300) => return self.tunnel(txs, wanted, Tunnel::Connect),
            (_, 101) if !framed => return self.tunnel(txs, wanted, Tunnel::Upgrade),
            (_, 100) if chunked.is_none() && length.flatten().unwrap_or(0) == 0 => {
                tx.response.clear();
                self.state = State::Line;
                if std::mem::replace(&mut tx.continued, true) {
                    self.half.raise(txs, HttpEvent::Continue100AlreadySeen);
                }
                return Ok(None);
            }
            (Some(b"CONNECT"), _) => signal = Some(Signal::ConnectRefused),
            (_, 400..500) => {
                let expect = tx.request.headers.get(b"expect");
                if expect.is_some_and(|v| v.eq_ignore_ascii_case(b"100-continue")) {
                    signal = Some(Signal::BodyRefused);
                }
            }
            _ => {}
        }
        let codings = tx.response.headers.get(b"content-encoding");
        let codings =
            codings.map(|value| Codings::of(value, limits.http_layers)).unwrap_or_default();
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
        tx.response.codings = codings.layers;
        let bodiless = tx.method() == Some(b"HEAD");
        self.half.raise_all(txs, events);
        let no_body = matches!(status, 100..200 | 204 | 304) && !framed;
        self.state = if bodiless || no_body {
            State::After
        } else if chunked == Some(true) {
            State::ChunkSize
        } else if let Some(length) = length {
            self.half.left = length.ok_or(Fatal::Framing)?;
            if self.half.left > 0 { State::Body } else { State::After }
        } else {
            State::BodyToEnd
        };
        let carries = self.state != State::After;
        self.half.side(txs, |side| side.carries = carries);
        self.half.seal(txs, wanted);
        self.half.step(txs, progress::BODY);
        Ok(signal)
    }

    fn tunnel(
        &mut self,
        txs: &mut TxList,
        wanted: BufferSet,
        kind: Tunnel,
    ) -> Result<Option<Signal>, Fatal> {
        self.half.seal(txs, wanted);
        self.half.step(txs, progress::BODY);
        self.complete(txs, wanted);
        Ok(Some(Signal::Tunnel(kind)))
    }

    /// So much of the body, or of the chunk, is over.
    fn body(&mut self, n: u64) {
        self.half.left -= n;
        if self.half.left == 0 {
            self.state = if self.state == State::Body { State::After } else { State::ChunkEnd };
        }
    }

    /// What follows a response in the same piece is the next one if it looks like one, else more of
    /// its body. Returns whether to go on.
    fn after(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        wanted: BufferSet,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<bool, Fatal> {
        if rest.is_empty() && (closed || self.half.line.is_empty()) {
            let stray = self.half.line.take();
            self.half.data(txs, limits, wanted, &stray);
            self.complete(txs, wanted);
            return Ok(false);
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.half.line.next(rest, limits.http_field)?;
            return Ok(false);
        };
        let mut line = self.half.line.pending().to_vec();
        if line.len() + end > limits.http_field {
            return Err(Fatal::Line);
        }
        line.extend_from_slice(&rest[..=end]);
        if is_status_line(&line) {
            self.complete(txs, wanted);
        } else if let Some(line) = self.half.line.next(rest, limits.http_field)? {
            self.half.data(txs, limits, wanted, &line);
        }
        Ok(true)
    }

    fn complete(&mut self, txs: &mut TxList, wanted: BufferSet) {
        self.half.complete(txs, wanted);
        self.state = State::Idle;
    }

    /// No more is parsed: what there is, is all.
    pub(super) fn end(&mut self, txs: &mut TxList, wanted: BufferSet) {
        self.complete(txs, wanted);
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
    pub(super) fn gap(&mut self, txs: &mut TxList, wanted: BufferSet, len: u64) {
        match self.state {
            State::Body | State::ChunkData => {
                let n = self.half.left.min(len);
                self.half.missing(txs, n);
                self.body(n);
            }
            State::BodyToEnd => self.half.missing(txs, len),
            _ => {}
        }
        if self.state == State::After {
            self.complete(txs, wanted);
        }
    }

    /// The transaction being answered.
    pub(super) fn tx(&self) -> Option<u64> {
        self.half.tx
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
fn status_parts(line: &[u8]) -> ([Option<(u32, u32)>; 3], Option<u16>) {
    let skip = |from: usize, blank: bool| {
        let rest = line.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|&&b| is_space(b) == blank).count()
    };
    let mut parts = [None; 3];
    let mut end = 0;
    for (i, part) in parts.iter_mut().enumerate() {
        let start = skip(end, true);
        end = if i == 2 { line.len() } else { skip(start, false) };
        if start < end {
            *part = Some((start as u32, end as u32));
        }
    }
    let status = parts[1].map(|(start, end)| {
        status_code(line.get(start as usize..end as usize).unwrap_or_default()).unwrap_or(0)
    });
    (parts, status)
}

fn status_code(word: &[u8]) -> Option<u16> {
    let n: u16 = std::str::from_utf8(word).ok()?.parse().ok()?;
    (100..1000).contains(&n).then_some(n)
}
