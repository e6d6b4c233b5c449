//! What both sides of a connection do alike: fill their half of a transaction, put header fields
//! together, count what a body is made of.

use wire::Direction;

use super::body::Body;
use super::fields::{split_field, split_response_field};
use super::files::Files;
use super::headers::{Added, Room};
use super::name;
use super::tx::{HttpTx, Side};
use super::{Fatal, oddities, progress};
use crate::AppBuffer;
use crate::event::{EventSet, HttpEvent};
use crate::line::{LineBuf, chomp};
use crate::session::Config;
use crate::txs::TxList;
use crate::waiting::Waiting;

/// The part of a parser that knows which transaction it fills, with where it is, `At`.
#[derive(Debug)]
pub(super) struct Half<At> {
    pub(super) line: LineBuf,
    field: FieldBuf,
    /// Bytes of the body, or of the chunk, still to come.
    pub(super) left: u64,
    /// The transaction being filled, or the last that was, plus one.
    id: u32,
    /// One is being filled.
    open: bool,
    pub(super) dir: Direction,
    pub(super) at: At,
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
struct FieldBuf(Waiting);

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
        if folded && self.0.is_some() && !(strict && has_colon(line) && has_colon(self.0.get())) {
            let field = self.0.get_mut();
            if field.len() + line.len() > limit {
                return Err(Fatal::Line);
            }
            field.extend_from_slice(line);
            return Ok((None, false));
        }
        // a continuation of nothing is a field of its own
        let before = self.0.take();
        self.0.get_mut().extend_from_slice(text);
        Ok((before, folded))
    }
}

/// What follows a message that is read.
pub(super) enum Following {
    /// Nothing: the message is over. What waited was more of its body.
    Nothing,
    /// A line without its end, which waits.
    Part,
    /// A line, its line feed included, of which the beginning may have waited.
    Line(Vec<u8>),
}

impl<At: Default> Half<At> {
    pub(super) fn new(dir: Direction) -> Self {
        let (line, field) = Default::default();
        Self { line, field, left: 0, id: 0, open: false, dir, at: At::default() }
    }
}

impl<At> Half<At> {
    /// The transaction being filled.
    pub(super) fn tx(&self) -> Option<u64> {
        self.open.then(|| u64::from(self.id.wrapping_sub(1)))
    }

    /// The one after the last that was filled, or is.
    pub(super) fn next(&self) -> u32 {
        self.id
    }

    /// Begins to fill a transaction.
    pub(super) fn begin(&mut self, id: u64) {
        self.id = (id as u32).wrapping_add(1);
        self.open = true;
    }

    /// Changes the transaction, if the engine has not let it go.
    pub(super) fn with(&self, txs: &mut TxList, change: impl FnOnce(&mut HttpTx)) {
        if let Some(tx) = self.tx().and_then(|id| txs.http(id)) {
            change(tx);
        }
    }

    /// Changes this side of the transaction.
    pub(super) fn side(&self, txs: &mut TxList, change: impl FnOnce(&mut Side)) {
        self.with(txs, |tx| change(tx.side_mut(self.dir)));
    }

    /// This side of the transaction has come so far.
    pub(super) fn step(&self, txs: &mut TxList, to: u8) {
        let cut = self.left > 0;
        self.side(txs, |side| {
            side.progress = side.progress.max(to);
            if to > progress::BODY {
                side.end_files(cut);
            }
        });
        txs.touch();
    }

    /// The message carries a body, or it does not: keeps track of its files where rules ask for more than
    /// their bytes.
    pub(super) fn carry(&self, txs: &mut TxList, config: &Config<'_>, carries: bool) {
        let needs = config.limits.files;
        self.side(txs, |side| {
            side.carries = carries;
            let parts = needs.parts && self.dir == Direction::ToServer;
            if !carries || !parts && !needs.digests() {
                return;
            }
            let kind = side.headers.get(name::CONTENT_TYPE).filter(|_| parts);
            let files = Files::new(needs, kind);
            if files.is_multipart() || needs.digests() {
                side.track(files);
            }
        });
    }

    /// Looks at what follows a message in the same piece, and leaves a whole line where it is.
    pub(super) fn following(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        rest: &mut &[u8],
        closed: bool,
    ) -> Result<Following, Fatal> {
        if rest.is_empty() && (closed || self.line.is_empty()) {
            let stray = self.line.take();
            self.data(txs, config, &stray);
            return Ok(Following::Nothing);
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            // keeps it, as there is no line feed; an empty rest means: wait
            self.line.next(rest, config.limits.http_field)?;
            return Ok(Following::Part);
        };
        let mut line = self.line.pending().to_vec();
        if line.len() + end > config.limits.http_field {
            return Err(Fatal::Line);
        }
        line.extend_from_slice(&rest[..=end]);
        Ok(Following::Line(line))
    }

    /// Bytes of a body, or of what frames it.
    pub(super) fn count(&self, txs: &mut TxList, n: u64) {
        self.side(txs, |side| side.length = side.length.saturating_add(n));
    }

    /// Bytes of a body.
    pub(super) fn data(&self, txs: &mut TxList, config: &Config<'_>, bytes: &[u8]) {
        self.count(txs, bytes.len() as u64);
        let (buffer, looks) = match self.dir {
            Direction::ToServer => (AppBuffer::HttpRequestBody, config.limits.http_request_body),
            Direction::ToClient => (AppBuffer::HttpReplyBody, config.limits.http_response_body),
        };
        if bytes.is_empty() || !config.wanted.contains(buffer) {
            return;
        }
        let mut seen = BodySeen::default();
        let left = self.left;
        self.side(txs, |side| {
            let codings = side.headers.apart().map_or(&[][..], |apart| &apart.codings);
            let bomb = config.limits.http_bomb_limit;
            let body = side.body.get_or_insert_with(|| Box::new(Body::new(looks, codings, bomb)));
            body.announce(bytes.len(), left);
            match side.headers.files_mut() {
                None => body.push(bytes),
                Some(files) => body.push_seen(bytes, &mut |seen| files.push(seen)),
            }
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
            if let Some(files) = side.headers.files_mut() {
                files.gap();
            }
        });
    }

    /// Records that something is odd.
    pub(super) fn raise(&self, txs: &mut TxList, event: HttpEvent) {
        if let Some(id) = self.tx() {
            txs.raise(id, event);
        }
    }

    /// Records all that is odd.
    pub(super) fn raise_all(&self, txs: &mut TxList, events: EventSet) {
        if let Some(id) = self.tx() {
            txs.raise_all(id, events);
        }
    }

    /// Takes a line of the header, or of the trailer; `rest` is what has come behind it.
    pub(super) fn header_line(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        line: &[u8],
        rest: &[u8],
    ) -> Result<(), Fatal> {
        let begins = line.first().is_some_and(|&b| !is_fold(b) && b != b'\r');
        if begins && ends_field(rest) {
            // it is complete, and need not wait
            self.flush_field(txs, config)?;
            return self.add_field(txs, config, chomp(line), Some(line));
        }
        self.sent(txs, config, line);
        let strict = self.dir == Direction::ToClient
            && self.tx().and_then(|id| txs.http(id)).is_some_and(|tx| tx.is_answered_by_11());
        let (field, odd) = self.field.line(line, config.limits.http_field, strict)?;
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
            Some(field) => self.add_field(txs, config, &field, None),
            None => Ok(()),
        }
    }

    /// Keeps what was sent of the header, but not of a trailer.
    pub(super) fn sent(&self, txs: &mut TxList, config: &Config<'_>, line: &[u8]) {
        if config.wanted.contains(header_raw(self.dir)) {
            self.side(txs, |side| {
                if side.progress < progress::TRAILER {
                    let before = side.headers.length();
                    side.headers.add_sent(line, before, config.limits.http_header_bytes);
                }
            });
        }
    }

    /// The last field is complete.
    pub(super) fn flush_field(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
    ) -> Result<(), Fatal> {
        match self.field.0.take() {
            Some(field) => self.add_field(txs, config, &field, None),
            None => Ok(()),
        }
    }

    /// Takes a field, and the line that it is alone, if it is.
    fn add_field(
        &self,
        txs: &mut TxList,
        config: &Config<'_>,
        field: &[u8],
        line: Option<&[u8]>,
    ) -> Result<(), Fatal> {
        let (name, value) = match self.dir {
            Direction::ToServer => split_field(field),
            Direction::ToClient => split_response_field(field),
        };
        let room =
            Room { fields: config.limits.http_headers, bytes: config.limits.http_header_bytes };
        let cookie = match self.dir {
            Direction::ToServer => name::COOKIE,
            Direction::ToClient => name::SET_COOKIE,
        };
        let Some(id) = self.tx() else { return Ok(()) };
        let Some(tx) = txs.http(id) else { return Ok(()) };
        let side = tx.side_mut(self.dir);
        // what rules look at was final before the trailer
        let mut added = Added::New;
        if side.progress < progress::TRAILER {
            let before = side.headers.length();
            added = side.headers.add(name, value, cookie, room)?;
            if let Some(line) = line.filter(|_| config.wanted.contains(header_raw(self.dir))) {
                side.headers.add_sent(line, before, room.bytes);
            }
        }
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

    /// All fields are there, or no more will come.
    pub(super) fn seal(&self, txs: &mut TxList, config: &Config<'_>) {
        let (names, start) = match self.dir {
            Direction::ToServer => (AppBuffer::HttpHeaderNames, AppBuffer::HttpStart),
            Direction::ToClient => (AppBuffer::HttpReplyHeaderNames, AppBuffer::HttpReplyStart),
        };
        self.side(txs, |side| {
            side.headers.seal();
            side.wanted = [config.wanted.contains(names), config.wanted.contains(start)];
        });
    }

    /// The message is over. True: there was one.
    pub(super) fn complete(&mut self, txs: &mut TxList, config: &Config<'_>) {
        if self.open {
            let mut open = false;
            self.side(txs, |side| open = side.progress < progress::BODY);
            if open {
                self.seal(txs, config);
            }
            self.step(txs, progress::COMPLETE);
        }
        self.open = false;
        self.left = 0;
    }

    /// No more is parsed.
    pub(super) fn clear(&mut self) {
        self.line = LineBuf::default();
        self.field = FieldBuf::default();
    }

    pub(super) fn buffered(&self) -> usize {
        self.line.pending().len() + self.field.0.len()
    }
}

/// Whether what comes behind a line shows that the field ends with it: it begins with what goes on
/// with no field, or is the empty line.
fn ends_field(rest: &[u8]) -> bool {
    match rest {
        [] => false,
        [b'\r', b'\n', ..] => true,
        [b, ..] => !is_fold(*b) && !matches!(b, b'\r' | b'\n'),
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
