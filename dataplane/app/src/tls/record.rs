//! The record layer and the handshake messages in it, however they are split (RFC 8446, 5.1).

use super::hello::{ClientHello, ServerHello};

/// Length of a record's header.
const HEADER: usize = 5;

/// One direction's records.
#[derive(Debug)]
pub(super) struct Layer {
    /// The beginning of a record header.
    header: [u8; HEADER],
    have: usize,
    kind: Kind,
    /// Bytes of the record still to come.
    left: u64,
    handshake: Handshake,
    /// Handshake records are encrypted from here on.
    switched: bool,
    first: bool,
}

/// What the bytes of the current record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Handshake,
    /// Of no interest, or encrypted.
    Opaque,
}

/// What the layer has come upon.
#[derive(Debug)]
pub(super) enum Event {
    /// A record with this version began.
    Record(u16),
    Client(ClientHello),
    Server(ServerHello),
    ChangeCipherSpec,
    ApplicationData,
}

/// The bytes are no TLS records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTls;

impl Layer {
    pub(super) fn new(max_message: usize) -> Self {
        Self {
            header: [0; HEADER],
            have: 0,
            kind: Kind::Opaque,
            left: 0,
            handshake: Handshake { message: Vec::new(), skip: 0, max: max_message },
            switched: false,
            first: true,
        }
    }

    /// Takes bytes off `rest` until something is come upon or they are used up.
    pub(super) fn feed(&mut self, rest: &mut &[u8]) -> Result<Option<Event>, NotTls> {
        while !rest.is_empty() {
            if self.left == 0 {
                let n = (HEADER - self.have).min(rest.len());
                self.header[self.have..self.have + n].copy_from_slice(&rest[..n]);
                self.have += n;
                *rest = &rest[n..];
                if self.have == HEADER {
                    self.have = 0;
                    return self.begin().map(Some);
                }
                continue;
            }
            let n = self.left.min(rest.len() as u64) as usize;
            let mut part = &rest[..n];
            let event = match self.kind {
                Kind::Opaque => {
                    part = &[];
                    None
                }
                Kind::Handshake => self.handshake.feed(&mut part),
            };
            let used = n - part.len();
            self.left -= used as u64;
            *rest = &rest[used..];
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn begin(&mut self) -> Result<Event, NotTls> {
        let [kind, major, minor, a, b] = self.header;
        let length = u16::from_be_bytes([a, b]);
        let first = std::mem::take(&mut self.first);
        let ssl2 = u64::from(u16::from_be_bytes([kind & 0x7f, major]));
        if first && kind & 0x80 != 0 && minor == 1 && ssl2 >= 9 {
            // SSL 2: two bytes of length, CLIENT-HELLO, version; no server name in it
            self.left = ssl2 - 3;
            self.kind = Kind::Opaque;
            return Ok(Event::Client(ClientHello::ssl2(length)));
        }
        if major != 3 {
            return Err(NotTls);
        }
        self.left = u64::from(length);
        self.kind = Kind::Opaque;
        match kind {
            20 => {
                self.switched = true;
                return Ok(Event::ChangeCipherSpec);
            }
            22 if !self.switched => self.kind = Kind::Handshake,
            23 => return Ok(Event::ApplicationData),
            21 | 22 | 24 => {}
            _ => return Err(NotTls),
        }
        Ok(Event::Record(u16::from_be_bytes([major, minor])))
    }

    pub(super) fn buffered(&self) -> usize {
        self.handshake.message.len()
    }
}

/// Handshake messages out of the bytes of handshake records.
#[derive(Debug)]
struct Handshake {
    /// The beginning of a message, with its type and length.
    message: Vec<u8>,
    /// Bytes left of a message that is passed over.
    skip: usize,
    max: usize,
}

impl Handshake {
    fn feed(&mut self, part: &mut &[u8]) -> Option<Event> {
        while !part.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(part.len());
                self.skip -= n;
                *part = &part[n..];
                continue;
            }
            let want = if self.message.len() < 4 { 4 } else { 4 + length(&self.message) };
            let n = (want - self.message.len()).min(part.len());
            self.message.extend_from_slice(&part[..n]);
            *part = &part[n..];
            if self.message.len() < 4 {
                continue;
            }
            let body = length(&self.message);
            let kind = self.message.first().copied();
            if !matches!(kind, Some(1 | 2)) || body > self.max {
                self.skip = body;
                self.message.clear();
            } else if self.message.len() == 4 + body {
                let message = std::mem::take(&mut self.message);
                return Some(match kind {
                    Some(1) => Event::Client(ClientHello::parse(&message[4..])),
                    _ => Event::Server(ServerHello::parse(&message[4..])),
                });
            }
        }
        None
    }
}

/// The length in a handshake message's head.
fn length(message: &[u8]) -> usize {
    match message {
        [_, a, b, c, ..] => usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
        _ => 0,
    }
}
