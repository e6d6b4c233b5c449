//! HTTP/1.x and 0.9 as an intrusion detection system reads it: lenient where servers and browsers
//! are, pairing requests with responses in order (RFC 9112; behaviour observed on Suricata 7).

mod bestfit;
mod body;
mod decode;
mod fields;
mod files;
mod half;
mod headers;
mod host;
mod name;
mod oddities;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod tx;
mod uri;

use wire::Direction;

use crate::event::HttpEvent;
use crate::limits::Limits;
use crate::session::{Config, Outcome, Tunnel};
use crate::txs::TxList;

pub use body::{BodyLimits, BodyWindow};
pub(crate) use tx::HttpTx;

/// How far one side of an HTTP transaction has come.
pub mod progress {
    /// Nothing of it was seen.
    pub const NOT_STARTED: u8 = 0;
    /// Its first line is being read.
    pub const LINE: u8 = 1;
    /// The first line is known, the header fields are being read.
    pub const HEADERS: u8 = 2;
    /// The header fields are known, the body, if any, is being read.
    pub const BODY: u8 = 3;
    /// The last chunk was seen, the trailer fields are being read.
    pub const TRAILER: u8 = 4;
    /// It is over.
    pub const COMPLETE: u8 = 5;
}

/// Why the parser has to give up on the flow.
#[derive(Debug, PartialEq, Eq)]
enum Fatal {
    /// A line or a field is too long.
    Line,
    /// There are too many fields.
    Fields,
    /// Framing makes no sense.
    Framing,
    /// There are too many transactions.
    Room,
}

impl From<crate::line::TooLong> for Fatal {
    fn from(_: crate::line::TooLong) -> Self {
        Self::Line
    }
}

impl From<headers::TooMany> for Fatal {
    fn from(_: headers::TooMany) -> Self {
        Self::Fields
    }
}

/// What a response's header says that the request side has to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    /// The CONNECT request was refused: requests go on.
    ConnectRefused,
    /// The connection is no longer HTTP.
    Tunnel(Tunnel),
    /// The server does not want the body that the request announced with `Expect`.
    BodyRefused,
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    request: request::Request,
    response: response::Response,
    dead: bool,
    tunnel: Option<Tunnel>,
}

impl Conn {
    pub(crate) fn data(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        dir: Direction,
        bytes: &[u8],
    ) -> Outcome {
        if self.dead {
            return Outcome::Error;
        }
        if self.tunnel.is_some() {
            return Outcome::Ok;
        }
        let done = self.feed(txs, config, dir, bytes, false);
        self.settle(txs, config, dir, done)
    }

    fn feed(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        dir: Direction,
        bytes: &[u8],
        closed: bool,
    ) -> Result<(), Fatal> {
        match dir {
            Direction::ToServer => self.request.feed(txs, config, bytes, closed),
            Direction::ToClient => self.respond(txs, config, bytes, closed),
        }
    }

    fn respond(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        bytes: &[u8],
        closed: bool,
    ) -> Result<(), Fatal> {
        let mut rest = bytes;
        loop {
            match self.response.feed(txs, config, &mut rest, closed)? {
                None => return Ok(()),
                Some(Signal::ConnectRefused) => self.request.resume(txs, config),
                Some(Signal::BodyRefused) => self.request.skip_body(txs, config),
                Some(Signal::Tunnel(kind)) => {
                    self.request.end(txs, config);
                    self.response.end(txs, config);
                    self.tunnel = Some(kind);
                    return Ok(());
                }
            }
        }
    }

    /// A side that cannot go on takes the other with it, as the pairing is lost.
    fn settle(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        dir: Direction,
        done: Result<(), Fatal>,
    ) -> Outcome {
        let Err(why) = done else { return Outcome::Ok };
        let (tx, [line, fields]) = match dir {
            Direction::ToServer => (
                self.request.tx(),
                [HttpEvent::RequestFieldTooLong, HttpEvent::RequestTooManyHeaders],
            ),
            Direction::ToClient => (
                self.response.tx(),
                [HttpEvent::ResponseFieldTooLong, HttpEvent::ResponseTooManyHeaders],
            ),
        };
        match (why, tx) {
            (Fatal::Line, Some(id)) => txs.raise(id, line),
            (Fatal::Fields, Some(id)) => txs.raise(id, fields),
            _ => {}
        }
        self.dead = true;
        self.request.end(txs, config);
        self.response.end(txs, config);
        txs.touch();
        Outcome::Error
    }

    pub(crate) fn gap(&mut self, txs: &mut TxList, config: &Config<'_>, dir: Direction, len: u64) {
        if self.dead || self.tunnel.is_some() {
            return;
        }
        match dir {
            Direction::ToServer => self.request.gap(txs, config, len),
            Direction::ToClient => self.response.gap(txs, config, len),
        }
    }

    pub(crate) fn close(&mut self, txs: &mut TxList, config: &Config<'_>, dir: Direction) {
        if self.dead || self.tunnel.is_some() {
            return;
        }
        let done = self.feed(txs, config, dir, b"", true);
        let _ = self.settle(txs, config, dir, done);
    }

    pub(crate) fn tunnel(&self) -> Option<Tunnel> {
        self.tunnel
    }

    pub(crate) fn buffered(&self) -> usize {
        self.request.buffered() + self.response.buffered()
    }
}

/// Whether another transaction may begin.
fn check_room(txs: &TxList, limits: &Limits) -> Result<(), Fatal> {
    let full = txs.len() >= limits.http_transactions || txs.kept() > limits.http_live_bytes;
    if full { Err(Fatal::Room) } else { Ok(()) }
}

/// What a response to nothing is logged with, in Suricata's words, so that dashboards know it.
const UNSEEN_URI: &[u8] = b"/libhtp::request_uri_not_seen";

/// The methods that libhtp knows: after a request without a body, a line that begins with another
/// word is taken for an unannounced body.
pub(crate) const METHODS: [&[u8]; 28] = [
    b"GET",
    b"PUT",
    b"POST",
    b"HEAD",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"VERSION-CONTROL",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"CHECKIN",
    b"UPDATE",
    b"LABEL",
    b"REPORT",
    b"MKWORKSPACE",
    b"MKACTIVITY",
    b"BASELINE-CONTROL",
    b"MERGE",
    b"INVALID",
];

/// The size that a chunk's head line gives: hexadecimal, extensions after it ignored. `None` if the
/// line is blank, and an error if it does not begin with a number below 2^31.
fn chunk_size(line: &[u8]) -> Result<Option<u64>, Fatal> {
    let line = host::trim(line);
    if line.is_empty() {
        return Ok(None);
    }
    let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let mut size = 0u64;
    for b in &line[..digits] {
        let digit = char::from(*b).to_digit(16).ok_or(Fatal::Framing)?;
        size = size * 16 + u64::from(digit);
        if size > i32::MAX as u64 {
            return Err(Fatal::Framing);
        }
    }
    if digits == 0 { Err(Fatal::Framing) } else { Ok(Some(size)) }
}
