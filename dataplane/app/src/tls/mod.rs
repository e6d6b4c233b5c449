//! TLS and SSL up to the point where they encrypt: the server name that the client asks for, and
//! the version agreed on. One transaction a session.

mod hello;
mod record;
#[cfg(test)]
mod tests;

use wire::Direction;

use crate::limits::Limits;
use crate::session::Outcome;
use crate::summary::{TlsSummary, text};
use crate::txs::{TxKind, TxList};
use hello::{ClientHello, ServerHello};
use record::{Event, Layer};

/// How far one side of a TLS session has come.
pub(crate) mod progress {
    /// Its hello has been read (or will not be).
    pub(crate) const HELLO: u8 = 1;
    /// Its handshake is over.
    pub(crate) const DONE: u8 = 2;
}

/// The session, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct TlsTx {
    progress: [u8; 2],
    client: Option<ClientHello>,
    server: Option<ServerHello>,
    /// Of the last record before encryption, for a server whose hello was not seen.
    record_version: [u16; 2],
}

impl TlsTx {
    pub(crate) fn progress(&self, dir: Direction) -> u8 {
        self.progress[dir.index()]
    }

    pub(crate) fn sni(&self) -> Option<&[u8]> {
        self.client.as_ref()?.sni.as_deref()
    }

    pub(crate) fn summary(&self) -> TlsSummary {
        let agreed = self.server.as_ref().map(|s| s.version);
        let [client, server] = self.record_version;
        let resumed = match (&self.client, &self.server) {
            (Some(c), Some(s)) => !s.session_id.is_empty() && c.session_id == s.session_id,
            _ => false,
        };
        TlsSummary {
            sni: self.sni().map(text),
            version: version_name(agreed.unwrap_or(if server != 0 { server } else { client })),
            session_resumed: resumed,
        }
    }
}

fn version_name(version: u16) -> String {
    match version {
        0x0002 | 0x0200 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        v if v >> 8 == 0x7f => return format!("TLS 1.3 draft-{:02}", v & 0xff),
        _ => "UNDETERMINED",
    }
    .to_owned()
}

/// The parser of one session.
#[derive(Debug)]
pub(crate) struct Conn {
    tx: u64,
    layers: [Layer; 2],
    /// That side's handshake is over: what it sends from then on is encrypted.
    switched: [bool; 2],
    application_data: bool,
    tls13: bool,
    dead: bool,
}

impl Conn {
    pub(crate) fn new(limits: &Limits, txs: &mut TxList) -> Self {
        Self {
            tx: txs.push(TxKind::Tls(Box::default())),
            layers: [Layer::new(limits.tls_handshake), Layer::new(limits.tls_handshake)],
            switched: [false; 2],
            application_data: false,
            tls13: false,
            dead: false,
        }
    }

    pub(crate) fn data(&mut self, txs: &mut TxList, dir: Direction, bytes: &[u8]) -> Outcome {
        if self.dead {
            return Outcome::Error;
        }
        if self.is_encrypted() {
            return Outcome::Ok;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.layers[dir.index()].feed(&mut rest) {
                Ok(Some(event)) => self.event(txs, dir, event),
                Ok(None) => {}
                Err(record::NotTls) => {
                    self.end(txs);
                    return Outcome::Error;
                }
            }
        }
        Outcome::Ok
    }

    fn event(&mut self, txs: &mut TxList, dir: Direction, event: Event) {
        match event {
            Event::Record(version) => {
                if let Some(tx) = txs.tls(self.tx) {
                    tx.record_version[dir.index()] = version;
                }
            }
            Event::Client(hello) => {
                if dir == Direction::ToServer
                    && let Some(tx) = txs.tls(self.tx)
                {
                    // a second one, after HelloRetryRequest, asks for the same server
                    tx.client.get_or_insert(hello);
                }
                self.step(txs, dir, progress::HELLO);
            }
            Event::Server(hello) => {
                self.tls13 |= hello.version == 0x0304;
                if dir == Direction::ToClient
                    && let Some(tx) = txs.tls(self.tx)
                {
                    tx.server = Some(hello);
                }
                self.step(txs, dir, progress::HELLO);
            }
            Event::ChangeCipherSpec => {
                self.switched[dir.index()] = true;
                self.step(txs, dir, progress::HELLO);
            }
            Event::ApplicationData => {
                self.application_data = true;
                self.switched[dir.index()] |= self.tls13;
                self.step(txs, dir, progress::DONE);
            }
        }
    }

    fn step(&self, txs: &mut TxList, dir: Direction, to: u8) {
        if let Some(tx) = txs.tls(self.tx) {
            let progress = &mut tx.progress[dir.index()];
            if *progress < to {
                *progress = to;
                txs.touch();
            }
        }
    }

    /// After a gap nothing can be told of the session any more.
    pub(crate) fn gap(&mut self, txs: &mut TxList) {
        if !self.is_encrypted() {
            self.end(txs);
        }
    }

    fn end(&mut self, txs: &mut TxList) {
        self.dead = true;
        for dir in Direction::BOTH {
            self.step(txs, dir, progress::DONE);
        }
    }

    pub(crate) fn close(&mut self, txs: &mut TxList, dir: Direction) {
        self.step(txs, dir, progress::DONE);
    }

    /// Whether both sides encrypt and application data flows.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.application_data && self.switched == [true; 2]
    }

    pub(crate) fn buffered(&self) -> usize {
        self.layers.iter().map(Layer::buffered).sum()
    }
}
