//! What both sides of a connection do alike: fill their half of a transaction, put header fields
//! together, count what a body is made of.

use wire::Direction;

use super::body::Body;
use super::headers::{Added, Room, split_field, split_response_field};
use super::tx::{HttpTx, Side};
use super::{Fatal, oddities, progress};
use crate::AppBuffer;
use crate::buffer::BufferSet;
use crate::event::{EventSet, HttpEvent};
use crate::limits::Limits;
use crate::line::{LineBuf, chomp};
use crate::txs::TxList;

/// The part of a parser that knows which transaction it fills.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) dir: Direction,
    /// The transaction being filled.
    pub(super) tx: Option<u64>,
    pub(super) line: LineBuf,
    pub(super) field: FieldBuf,
    /// Bytes of the body, or of the chunk, still to come.
    pub(super) left: u64,
}

/// What bytes of a body led to.
#[derive(Debug, Default, Clone, Copy)]
struct BodySeen {
    ready: bool,
    failed: bool,
    bomb: bool,
}

/// A header field that may go on in the next line.
#[derive(Debug, Default)]
pub(super) struct FieldBuf {
    field: Option<Vec<u8>>,
}

/// What goes on in the next line begins with one of these.
fn is_fold(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | 0)
}

impl FieldBuf {
    /// Takes a line of a header. Returns the field that it shows to be complete, and whether that
    /// took a look: with `strict` a folded line with a colon is a field of its own.
    fn line(
        &mut self,
        line: &[u8],
        limit: usize,
        strict: bool,
    ) -> Result<(Option<Vec<u8>>, bool), Fatal> {
        let line = chomp(line);
        let text = &line[line.iter().take_while(|&&b| is_fold(b)).count()..];
        let folded = line.first().is_none_or(|&b| is_fold(b));
        let has_colon = |s: &[u8]| memchr::memchr(b':', s).is_some();
        if let Some(field) = self.field.as_mut().filter(|_| folded)
            && !(strict && has_colon(line) && has_colon(field))
        {
            if field.len() + line.len() > limit {
                return Err(Fatal::Line);
            }
            field.extend_from_slice(line);
            return Ok((None, false));
        }
        // a continuation of nothing is a field of its own
        Ok((self.field.replace(text.to_vec()), folded))
    }

    fn len(&self) -> usize {
        self.field.as_ref().map_or(0, Vec::len)
    }
}

impl Half {
    pub(super) fn new(dir: Direction) -> Self {
        Self { dir, tx: None, line: LineBuf::default(), field: FieldBuf::default(), left: 0 }
    }

    /// Changes the transaction, if the engine has not let it go.
    pub(super) fn with(&self, txs: &mut TxList, change: impl FnOnce(&mut HttpTx)) {
        if let Some(tx) = self.tx.and_then(|id| txs.http(id)) {
            change(tx);
        }
    }

    /// Changes this side of the transaction.
    pub(super) fn side(&self, txs: &mut TxList, change: impl FnOnce(&mut Side)) {
        self.with(txs, |tx| change(tx.side_mut(self.dir)));
    }

    /// This side of the transaction has come so far.
    pub(super) fn step(&self, txs: &mut TxList, to: u8) {
        self.side(txs, |side| side.progress = side.progress.max(to));
        txs.touch();
    }

    /// Bytes of a body, or of what frames it.
    pub(super) fn count(&self, txs: &mut TxList, n: u64) {
        self.side(txs, |side| side.length = side.length.saturating_add(n));
    }

    /// Bytes of a body.
    pub(super) fn data(&self, txs: &mut TxList, limits: &Limits, wanted: BufferSet, bytes: &[u8]) {
        self.count(txs, bytes.len() as u64);
        let (buffer, looks) = match self.dir {
            Direction::ToServer => (AppBuffer::HttpRequestBody, limits.http_request_body),
            Direction::ToClient => (AppBuffer::HttpReplyBody, limits.http_response_body),
        };
        if bytes.is_empty() || !wanted.contains(buffer) {
            return;
        }
        let mut seen = BodySeen::default();
        self.side(txs, |side| {
            let codings = &side.codings;
            let body = side
                .body
                .get_or_insert_with(|| Box::new(Body::new(looks, codings, limits.http_bomb_limit)));
            body.push(bytes);
            seen = BodySeen {
                ready: body.window(false).is_some(),
                failed: body.failed(),
                bomb: body.bomb,
            };
        });
        if seen.ready {
            txs.touch();
        }
        if seen.failed {
            self.raise(txs, HttpEvent::GzipDecompressionFailed);
        }
        if seen.bomb {
            self.raise(txs, HttpEvent::CompressionBomb);
        }
    }

    /// Bytes of a body are missing.
    pub(super) fn missing(&self, txs: &mut TxList, len: u64) {
        self.count(txs, len);
        self.side(txs, |side| {
            if let Some(body) = &mut side.body {
                body.gap(len);
            }
        });
    }

    /// Records that something is odd.
    pub(super) fn raise(&self, txs: &mut TxList, event: HttpEvent) {
        if let Some(id) = self.tx {
            txs.raise(id, event);
        }
    }

    /// Records all that is odd.
    pub(super) fn raise_all(&self, txs: &mut TxList, events: EventSet) {
        if let Some(id) = self.tx {
            txs.raise_all(id, events);
        }
    }

    /// Takes a line of the header, or of the trailer.
    pub(super) fn header_line(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        wanted: BufferSet,
        line: &[u8],
    ) -> Result<(), Fatal> {
        self.raw(txs, limits, wanted, line);
        let strict = self.dir == Direction::ToClient
            && self.tx.and_then(|id| txs.http(id)).is_some_and(|tx| tx.response.is_11(0));
        let (field, odd) = self.field.line(line, limits.http_field, strict)?;
        if odd {
            self.raise(
                txs,
                match self.dir {
                    Direction::ToServer => HttpEvent::InvalidRequestFieldFolding,
                    Direction::ToClient => HttpEvent::InvalidResponseFieldFolding,
                },
            );
        }
        match field {
            Some(field) => self.add_field(txs, limits, &field),
            None => Ok(()),
        }
    }

    /// Keeps what was sent of the header.
    pub(super) fn raw(&self, txs: &mut TxList, limits: &Limits, wanted: BufferSet, line: &[u8]) {
        if wanted.contains(header_raw(self.dir)) {
            self.side(txs, |side| {
                let room = limits.http_header_bytes.saturating_sub(side.raw.len());
                side.raw.extend_from_slice(&line[..line.len().min(room)]);
            });
        }
    }

    /// The last field is complete.
    pub(super) fn flush_field(&mut self, txs: &mut TxList, limits: &Limits) -> Result<(), Fatal> {
        match self.field.field.take() {
            Some(field) => self.add_field(txs, limits, &field),
            None => Ok(()),
        }
    }

    fn add_field(&self, txs: &mut TxList, limits: &Limits, field: &[u8]) -> Result<(), Fatal> {
        let (name, value) = match self.dir {
            Direction::ToServer => split_field(field),
            Direction::ToClient => split_response_field(field),
        };
        let room = Room { fields: limits.http_headers, bytes: limits.http_header_bytes };
        let cookie: &[u8] = match self.dir {
            Direction::ToServer => b"cookie",
            Direction::ToClient => b"set-cookie",
        };
        let Some(id) = self.tx else { return Ok(()) };
        let Some(tx) = txs.http(id) else { return Ok(()) };
        let added = tx.side_mut(self.dir).headers.add(name, value, cookie, room)?;
        let mut events = oddities::of_field(field, self.dir);
        match (added, self.dir) {
            (Added::New, _) => {}
            (Added::Repeated, Direction::ToServer) => {
                events.insert(HttpEvent::RequestHeaderRepetition);
            }
            (Added::Repeated, Direction::ToClient) => {
                events.insert(HttpEvent::ResponseHeaderRepetition);
            }
            (Added::OtherLength, Direction::ToServer) => {
                events.insert(HttpEvent::DuplicateContentLengthFieldInRequest);
            }
            (Added::OtherLength, Direction::ToClient) => {
                events.insert(HttpEvent::DuplicateContentLengthFieldInResponse);
            }
        }
        txs.raise_all(id, events);
        Ok(())
    }

    /// All fields are there, or no more will come: makes the buffers that rules ask for.
    pub(super) fn seal(&self, txs: &mut TxList, wanted: BufferSet) {
        let (names, start) = match self.dir {
            Direction::ToServer => (AppBuffer::HttpHeaderNames, AppBuffer::HttpStart),
            Direction::ToClient => (AppBuffer::HttpReplyHeaderNames, AppBuffer::HttpReplyStart),
        };
        self.side(txs, |side| {
            side.headers.seal();
            if wanted.contains(names) {
                side.make_names();
            }
            if wanted.contains(start) {
                side.make_start();
            }
        });
    }

    /// The message is over. True: there was one.
    pub(super) fn complete(&mut self, txs: &mut TxList, wanted: BufferSet) {
        if self.tx.is_some() {
            let mut open = false;
            self.side(txs, |side| open = side.progress < progress::BODY);
            if open {
                self.seal(txs, wanted);
            }
            self.step(txs, progress::COMPLETE);
        }
        self.tx = None;
        self.left = 0;
    }

    /// No more is parsed.
    pub(super) fn clear(&mut self) {
        self.line = LineBuf::default();
        self.field = FieldBuf::default();
    }

    pub(super) fn buffered(&self) -> usize {
        self.line.pending().len() + self.field.len()
    }
}

/// Whether a line ends a header: it is empty, or one blank and a line feed where more than a line
/// feed follows.
pub(super) fn ends_header(line: &[u8], rest: &[u8]) -> bool {
    match line {
        [_] | [b'\r', b'\n'] => true,
        [b' ' | b'\t', b'\n'] => rest.first().is_some_and(|&b| b != b'\n'),
        _ => false,
    }
}

fn header_raw(dir: Direction) -> AppBuffer {
    match dir {
        Direction::ToServer => AppBuffer::HttpHeaderRaw,
        Direction::ToClient => AppBuffer::HttpReplyHeaderRaw,
    }
}
