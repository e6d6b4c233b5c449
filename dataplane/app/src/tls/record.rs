//! The record layer and the handshake messages in it, however they are split (RFC 8446, 5.1).

use crate::event::TlsEvent;
use crate::waiting::Waiting;

/// Length of a record's header.
const HEADER: usize = 5;

/// The longest record: data, and what encryption may add to them (RFC 5246, 6.2).
const LONGEST: u16 = (1 << 14) + 2048;

/// Handshake messages by their types.
pub(super) mod message {
    pub(crate) const CLIENT_HELLO: u8 = 1;
    pub(crate) const SERVER_HELLO: u8 = 2;
    pub(crate) const CERTIFICATE: u8 = 11;
    pub(crate) const SERVER_KEY_EXCHANGE: u8 = 12;
    pub(crate) const SERVER_HELLO_DONE: u8 = 14;
    pub(crate) const CLIENT_KEY_EXCHANGE: u8 = 16;
}

/// One direction's records.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The beginning of a handshake message, with its type and length.
    message: Waiting,
    /// Bytes left of a handshake message that is passed over.
    skip: u32,
    length: u16,
    /// Bytes of the record still to come.
    left: u16,
    /// The beginning of a record header, or of a heartbeat.
    header: [u8; HEADER],
    have: u8,
    /// Of the current record; None: none has begun.
    kind: Option<Kind>,
    /// Handshake records are encrypted from here on.
    switched: bool,
}

/// What the bytes of the current record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Handshake,
    Heartbeat,
    /// Of no interest, or encrypted.
    Opaque,
}

/// What the layer has come upon.
#[derive(Debug)]
pub(super) enum Event {
    /// A record with this version began.
    Record(u16),
    /// A hello in the format of SSL 2 that asks for this version.
    Ssl2(u16),
    /// A handshake message whose contents matter: its type, and what follows its head.
    Message(u8, Vec<u8>),
    /// Another one, of this type.
    Passed(u8),
    /// Type and length of a heartbeat, and the length of its record; None where it is encrypted.
    Heartbeat(Option<(u8, u16)>, u16),
    ChangeCipherSpec,
    ApplicationData,
}

/// The bytes are no TLS records, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTls(pub(super) TlsEvent);

impl Layer {
    /// Takes bytes off `rest` until something is come upon or they are used up. A handshake message
    /// longer than `longest` is passed over.
    pub(super) fn feed(
        &mut self,
        rest: &mut &[u8],
        longest: usize,
    ) -> Result<Option<Event>, NotTls> {
        while !rest.is_empty() {
            if self.left == 0 {
                if self.collect(rest, HEADER) {
                    return self.begin().map(Some);
                }
                continue;
            }
            let n = usize::from(self.left).min(rest.len());
            let mut part = &rest[..n];
            let event = match self.kind {
                None | Some(Kind::Opaque) => {
                    part = &[];
                    None
                }
                Some(Kind::Handshake) => self.handshake(&mut part, longest),
                Some(Kind::Heartbeat) => self.heartbeat(&mut part),
            };
            let used = n - part.len();
            self.left -= used as u16;
            *rest = &rest[used..];
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Collects the first `want` bytes; true when they are there.
    fn collect(&mut self, from: &mut &[u8], want: usize) -> bool {
        let have = usize::from(self.have);
        let n = (want - have).min(from.len());
        self.header[have..have + n].copy_from_slice(&from[..n]);
        self.have += n as u8;
        *from = &from[n..];
        let whole = usize::from(self.have) == want;
        if whole {
            self.have = 0;
        }
        whole
    }

    fn heartbeat(&mut self, part: &mut &[u8]) -> Option<Event> {
        let want = usize::from(self.length).min(3);
        if !self.collect(part, want) {
            return None;
        }
        self.kind = Some(Kind::Opaque);
        let [kind, high, low, ..] = self.header;
        let heart = (want == 3).then_some((kind, u16::from_be_bytes([high, low])));
        Some(Event::Heartbeat(heart.filter(|_| !self.switched), self.length))
    }

    fn begin(&mut self) -> Result<Event, NotTls> {
        let [kind, major, minor, a, b] = self.header;
        let length = u16::from_be_bytes([a, b]);
        if self.kind.is_none() && kind & 0x80 != 0 {
            return self.ssl2(kind, major, minor, length);
        }
        if !(20..=24).contains(&kind) {
            return Err(NotTls(TlsEvent::InvalidRecordType));
        }
        let version = u16::from_be_bytes([major, minor]);
        if major != 3 {
            return Err(NotTls(TlsEvent::InvalidRecordVersion));
        }
        if length == 0 || length > LONGEST {
            return Err(NotTls(TlsEvent::InvalidRecordLength));
        }
        self.length = length;
        self.left = length;
        self.kind = Some(Kind::Opaque);
        match kind {
            20 => {
                self.switched = true;
                return Ok(Event::ChangeCipherSpec);
            }
            22 if !self.switched => self.kind = Some(Kind::Handshake),
            23 => return Ok(Event::ApplicationData),
            24 => self.kind = Some(Kind::Heartbeat),
            _ => {}
        }
        Ok(Event::Record(version))
    }

    /// A record of SSL 2: two bytes of length, then a CLIENT-HELLO and the version; no server name in
    /// it. What servers send in that format is passed over.
    fn ssl2(&mut self, high: u8, low: u8, kind: u8, version: u16) -> Result<Event, NotTls> {
        let length = u16::from_be_bytes([high & 0x7f, low]);
        if length < 9 {
            return Err(NotTls(TlsEvent::InvalidSslv2Header));
        }
        self.left = length - 3;
        self.kind = (kind == 1).then_some(Kind::Opaque);
        Ok(if kind == 1 { Event::Ssl2(version) } else { Event::Record(2) })
    }

    /// Does a record begin with the next byte?
    pub(super) fn at_record(&self) -> bool {
        self.left == 0 && self.have == 0
    }

    pub(super) fn buffered(&self) -> usize {
        self.message.len()
    }

    /// Takes handshake messages out of the bytes of a handshake record.
    fn handshake(&mut self, part: &mut &[u8], longest: usize) -> Option<Event> {
        use message::{CERTIFICATE, CLIENT_HELLO, SERVER_HELLO};
        while !part.is_empty() {
            if self.skip > 0 {
                let n = (self.skip as usize).min(part.len());
                self.skip -= n as u32;
                *part = &part[n..];
                continue;
            }
            let message = self.message.get_mut();
            let want = if message.len() < 4 { 4 } else { 4 + length(message) };
            let n = (want - message.len()).min(part.len());
            message.extend_from_slice(&part[..n]);
            *part = &part[n..];
            if message.len() < 4 {
                continue;
            }
            let body = length(message);
            let kind = message.first().copied().unwrap_or_default();
            if !matches!(kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE) || body > longest {
                self.skip = body as u32;
                self.message = Waiting::default();
                return Some(Event::Passed(kind));
            }
            if message.len() == 4 + body {
                let mut message = self.message.take().unwrap_or_default();
                message.drain(..4);
                return Some(Event::Message(kind, message));
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
