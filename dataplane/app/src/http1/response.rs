//! The response side of a connection: enough of it to pair each response with its request and to
//! know where the next one begins.

use super::headers::{content_length, has_token, split_field};
use super::host::{is_space, trim};
use super::request::FieldBuf;
use super::tx::HttpTx;
use super::{Fatal, Signal, chunk_size, progress};
use crate::limits::Limits;
use crate::line::{Line, LineBuf, chomp, is_empty_line};
use crate::session::Tunnel;
use crate::txs::{TxKind, TxList};

/// The parser of one connection's responses.
#[derive(Debug, Default)]
pub(super) struct Response {
    state: State,
    /// The transaction being answered.
    tx: Option<u64>,
    /// The id of the transaction that the next response answers.
    next: u64,
    line: LineBuf,
    field: FieldBuf,
    left: u64,
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

impl Response {
    /// Takes the next bytes off `rest`, until they are used up or the request side is concerned.
    pub(super) fn feed(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
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
                    Some(line) => self.status_line(txs, &line, rest),
                    None => return Ok(None),
                },
                State::Headers | State::Trailer => match self.next_line(rest, limits, closed)? {
                    Some(line) if is_empty_line(&line) => {
                        self.flush_field(txs, limits)?;
                        if self.state == State::Trailer {
                            self.state = State::After;
                            continue;
                        }
                        if let Some(signal) = self.header_complete(txs)? {
                            return Ok(Some(signal));
                        }
                    }
                    Some(line) => {
                        if let Some(field) = self.field.line(&line, limits.http_field)? {
                            self.add_field(txs, limits, &field)?;
                        }
                    }
                    None => {
                        if closed {
                            self.flush_field(txs, limits)?;
                            self.complete(txs);
                        }
                        return Ok(None);
                    }
                },
                State::Body | State::ChunkData => {
                    if rest.is_empty() {
                        if closed {
                            self.complete(txs);
                        }
                        return Ok(None);
                    }
                    let n = self.left.min(rest.len() as u64);
                    *rest = &rest[n as usize..];
                    self.body(txs, n);
                }
                State::BodyToEnd => {
                    self.count(txs, rest.len() as u64);
                    *rest = &[];
                    if closed {
                        self.complete(txs);
                    }
                    return Ok(None);
                }
                State::ChunkSize | State::ChunkEnd => {
                    match self.line.next(rest, limits.http_field)? {
                        Some(line) => {
                            self.count(txs, line.len() as u64);
                            if self.state == State::ChunkEnd {
                                self.state = State::ChunkSize;
                                continue;
                            }
                            match chunk_size(&line) {
                                Ok(None) => {}
                                Ok(Some(0)) => {
                                    self.state = State::Trailer;
                                    self.step(txs, progress::TRAILER);
                                }
                                Ok(Some(size)) => {
                                    self.left = size;
                                    self.state = State::ChunkData;
                                }
                                // browsers show what they got
                                Err(Fatal) => self.state = State::BodyToEnd,
                            }
                        }
                        None => {
                            if closed {
                                self.complete(txs);
                            }
                            return Ok(None);
                        }
                    }
                }
                State::After => {
                    if !self.after(txs, limits, rest, closed)? {
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
        let line = self.line.next(rest, limits.http_field)?;
        if line.is_none() && closed && !self.line.is_empty() {
            return Ok(Some(Line::Joined(self.line.take())));
        }
        Ok(line)
    }

    fn begin(&mut self, txs: &mut TxList, limits: &Limits) -> Result<(), Fatal> {
        let id = self.next;
        if id >= txs.next() {
            super::check_room(txs, limits)?;
            txs.push(TxKind::Http(Box::new(HttpTx::unasked())));
        }
        self.next = id + 1;
        self.tx = Some(id);
        let short = txs.http(id).is_some_and(|tx| tx.short);
        if short {
            self.state = State::BodyToEnd;
            self.step(txs, progress::BODY);
        } else {
            self.state = State::Line;
            self.step(txs, progress::LINE);
        }
        Ok(())
    }

    fn with(&self, txs: &mut TxList, change: impl FnOnce(&mut HttpTx)) {
        if let Some(tx) = self.tx.and_then(|id| txs.http(id)) {
            change(tx);
        }
    }

    fn step(&self, txs: &mut TxList, to: u8) {
        self.with(txs, |tx| tx.response_progress = tx.response_progress.max(to));
        txs.touch();
    }

    fn count(&self, txs: &mut TxList, n: u64) {
        self.with(txs, |tx| tx.response_len = tx.response_len.saturating_add(n));
    }

    fn status_line(&mut self, txs: &mut TxList, line: &[u8], rest: &[u8]) {
        if is_empty_line(line) {
            return;
        }
        if !is_status_line(line) {
            // junk before a status line is passed over, else it is a body without a header
            let next = rest.len() > 1 && (rest[0] == b'H' || chomp(line).len() <= 2);
            if !next {
                self.count(txs, line.len() as u64);
                if rest.is_empty() {
                    self.step(txs, progress::BODY);
                    self.state = State::After;
                }
            }
            return;
        }
        let mut words = trim(line).split(|&b| is_space(b)).filter(|w| !w.is_empty());
        let status = words.nth(1).map(|word| status_code(word).unwrap_or(0));
        self.with(txs, |tx| tx.status = status);
        self.state = State::Headers;
        self.step(txs, progress::HEADERS);
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
            tx.response_headers.add(name, value, limits.http_headers, limits.http_header_bytes)?;
        }
        Ok(())
    }

    /// All header fields are there: what comes next depends on the request, the status and them
    /// (RFC 9112, 6.3).
    fn header_complete(&mut self, txs: &mut TxList) -> Result<Option<Signal>, Fatal> {
        let Some(tx) = self.tx.and_then(|id| txs.http(id)) else {
            // the engine is done with it, and nothing tells how long its body is
            self.state = State::BodyToEnd;
            return Ok(None);
        };
        let status = tx.status.unwrap_or(0);
        let chunked =
            tx.response_headers.get(b"transfer-encoding").map(|v| has_token(v, b"chunked"));
        let length = tx.response_headers.get(b"content-length").map(content_length);
        let framed = chunked.is_some() || length.is_some();
        let mut signal = None;
        match (tx.method.as_deref(), status) {
            (Some(b"CONNECT"), 200..300) => return self.tunnel(txs, Tunnel::Connect),
            (_, 101) if !framed => return self.tunnel(txs, Tunnel::Upgrade),
            (_, 100) if chunked.is_none() && length.flatten().unwrap_or(0) == 0 => {
                tx.response_headers.clear();
                self.state = State::Line;
                return Ok(None);
            }
            (Some(b"CONNECT"), _) => signal = Some(Signal::ConnectRefused),
            (_, 400..500) => {
                let expect = tx.request_headers.get(b"expect");
                if expect.is_some_and(|v| v.eq_ignore_ascii_case(b"100-continue")) {
                    signal = Some(Signal::BodyRefused);
                }
            }
            _ => {}
        }
        let no_body = matches!(status, 100..200 | 204 | 304) && !framed;
        self.state = if tx.method.as_deref() == Some(b"HEAD") || no_body {
            State::After
        } else if chunked == Some(true) {
            State::ChunkSize
        } else if let Some(length) = length {
            self.left = length.ok_or(Fatal)?;
            if self.left > 0 { State::Body } else { State::After }
        } else {
            State::BodyToEnd
        };
        self.step(txs, progress::BODY);
        Ok(signal)
    }

    fn tunnel(&mut self, txs: &mut TxList, kind: Tunnel) -> Result<Option<Signal>, Fatal> {
        self.step(txs, progress::BODY);
        self.complete(txs);
        Ok(Some(Signal::Tunnel(kind)))
    }

    fn body(&mut self, txs: &mut TxList, n: u64) {
        self.count(txs, n);
        self.left -= n;
        if self.left == 0 {
            self.state = if self.state == State::Body { State::After } else { State::ChunkEnd };
        }
    }

    /// What follows a response in the same piece is the next one if it looks like one, else more of
    /// its body. Returns whether to go on.
    fn after(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<bool, Fatal> {
        if rest.is_empty() && (closed || self.line.is_empty()) {
            let stray = self.line.take().len() as u64;
            self.count(txs, stray);
            self.complete(txs);
            return Ok(false);
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            self.line.next(rest, limits.http_field)?;
            return Ok(false);
        };
        let mut line = self.line.pending().to_vec();
        if line.len() + end > limits.http_field {
            return Err(Fatal);
        }
        line.extend_from_slice(&rest[..=end]);
        if is_status_line(&line) {
            self.complete(txs);
        } else if let Some(line) = self.line.next(rest, limits.http_field)? {
            self.count(txs, line.len() as u64);
        }
        Ok(true)
    }

    fn complete(&mut self, txs: &mut TxList) {
        if self.tx.is_some() {
            self.step(txs, progress::COMPLETE);
        }
        self.tx = None;
        self.left = 0;
        self.state = State::Idle;
    }

    /// No more is parsed: what there is, is all.
    pub(super) fn end(&mut self, txs: &mut TxList) {
        self.complete(txs);
        self.line = LineBuf::default();
        self.field = FieldBuf::default();
        // transactions without an answer will not get one
        for kind in txs.iter_mut() {
            if let TxKind::Http(tx) = kind {
                tx.response_progress = progress::COMPLETE;
            }
        }
        txs.touch();
    }

    /// Bytes are missing. In a body they are counted; elsewhere what comes is read on from here.
    pub(super) fn gap(&mut self, txs: &mut TxList, len: u64) {
        match self.state {
            State::Body | State::ChunkData => self.body(txs, self.left.min(len)),
            State::BodyToEnd => self.count(txs, len),
            _ => {}
        }
        if self.state == State::After {
            self.complete(txs);
        }
    }

    pub(super) fn buffered(&self) -> usize {
        self.line.pending().len() + self.field.len()
    }
}

/// Whether a line looks like the first of a response: `HTTP` in any case, white space and NULs
/// before it.
fn is_status_line(line: &[u8]) -> bool {
    let blank = line.iter().take_while(|&&b| b == 0 || is_space(b)).count();
    line[blank..].get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"HTTP"))
}

fn status_code(word: &[u8]) -> Option<u16> {
    let n: u16 = std::str::from_utf8(word).ok()?.parse().ok()?;
    (100..1000).contains(&n).then_some(n)
}
