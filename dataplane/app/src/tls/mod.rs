//! TLS and SSL up to the point where they encrypt: hellos, certificates, and what is odd about them.
//! One transaction a session.

mod certificate;
mod heartbeat;
mod hello;
mod known;
mod prints;
mod record;
#[cfg(test)]
mod tests;

use wire::Direction;

use crate::buffer::{AppBuffer, BufferSet};
use crate::event::TlsEvent;
use crate::session::{Config, Outcome};
use crate::summary::{CertificateSummary, TlsSummary, text};
use crate::txs::{TxKind, TxList};
use certificate::Chain;
use heartbeat::Heartbeats;
use hello::{ClientHello, Prints, Read, ServerHello};
use record::{Event, Layer, message};

pub use known::Certificates;

/// How far one side of a TLS session has come.
pub(crate) mod progress {
    /// Its hello has been read (or will not be).
    pub(crate) const HELLO: u8 = 1;
    /// Its certificates have been read (or will not be).
    pub(crate) const CERTIFICATES: u8 = 2;
    /// Its handshake is over.
    pub(crate) const DONE: u8 = 3;
}

/// Parts of a handshake, as `ssl_state` tells them apart; together in one byte.
pub mod tls_state {
    /// ClientHello
    pub const CLIENT_HELLO: u8 = 1;
    /// ServerHello
    pub const SERVER_HELLO: u8 = 2;
    /// ClientKeyExchange
    pub const CLIENT_KEY_EXCHANGE: u8 = 4;
    /// ServerKeyExchange
    pub const SERVER_KEY_EXCHANGE: u8 = 8;
    /// Any other; as in Suricata no message is one.
    pub const UNKNOWN: u8 = 16;
}

/// What the keywords without a buffer ask of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// The version that this side has told, in its hello or else in its records; 0: none.
    pub version: u16,
    /// The handshake messages in the bytes that came last, as [`tls_state`].
    pub state: u8,
    /// Since when and until when the side's certificate is valid, in seconds since 1970.
    pub validity: Option<(i64, i64)>,
    /// How many certificates it has shown.
    pub chain_length: usize,
}

/// The session, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct TlsTx {
    progress: [u8; 2],
    client: Option<ClientHello>,
    server: Option<Box<ServerHello>>,
    /// Of the last record before encryption, for a side whose hello was not seen.
    record_version: [u16; 2],
    /// Messages in the bytes that came last.
    state: u8,
    /// By who sent them.
    chains: [Option<Box<Chain>>; 2],
}

impl TlsTx {
    pub(crate) fn progress(&self, dir: Direction) -> u8 {
        self.progress[dir.index()]
    }

    pub(crate) fn sni(&self) -> Option<&[u8]> {
        self.client.as_ref()?.sni.as_deref()
    }

    fn chain(&self, dir: Direction) -> Option<&Chain> {
        self.chains[dir.index()].as_deref()
    }

    fn random(&self, dir: Direction) -> Option<&[u8; 32]> {
        match dir {
            Direction::ToServer => self.client.as_ref()?.random.as_ref(),
            Direction::ToClient => self.server.as_ref()?.random.as_ref(),
        }
    }

    /// The bytes of a buffer; `index` counts the certificates.
    pub(crate) fn buffer(&self, buffer: AppBuffer, index: usize) -> Option<&[u8]> {
        use AppBuffer as B;
        use Direction::{ToClient, ToServer};
        if index > 0 && !matches!(buffer, B::TlsCerts | B::TlsClientCerts) {
            return None;
        }
        let leaf = |dir| self.chain(dir).and_then(Chain::leaf);
        let text = match buffer {
            B::TlsSni => return self.sni(),
            B::TlsCerts => return self.chain(ToClient)?.der(index),
            B::TlsClientCerts => return self.chain(ToServer)?.der(index),
            B::TlsRandom => return self.random(ToServer).map(|r| &r[..]),
            B::TlsRandomTime => return self.random(ToServer).map(|r| &r[..4]),
            B::TlsRandomBytes => return self.random(ToServer).map(|r| &r[4..]),
            B::TlsServerRandom => return self.random(ToClient).map(|r| &r[..]),
            B::TlsServerRandomTime => return self.random(ToClient).map(|r| &r[..4]),
            B::TlsServerRandomBytes => return self.random(ToClient).map(|r| &r[4..]),
            B::TlsCertSubject => &leaf(ToClient)?.subject,
            B::TlsCertIssuer => &leaf(ToClient)?.issuer,
            B::TlsCertSerial => &leaf(ToClient)?.serial,
            B::TlsCertFingerprint => &leaf(ToClient)?.fingerprint,
            B::TlsClientCertSubject => &leaf(ToServer)?.subject,
            B::TlsClientCertIssuer => &leaf(ToServer)?.issuer,
            B::TlsClientCertSerial => &leaf(ToServer)?.serial,
            B::TlsClientCertFingerprint => &leaf(ToServer)?.fingerprint,
            B::Ja3Hash => &self.client.as_ref()?.ja3.as_ref()?.hash,
            B::Ja3String => &self.client.as_ref()?.ja3.as_ref()?.string,
            B::Ja3sHash => &self.server.as_ref()?.ja3s.as_ref()?.hash,
            B::Ja3sString => &self.server.as_ref()?.ja3s.as_ref()?.string,
            B::Ja4Hash => {
                return self.client.as_ref()?.ja4.as_ref().map(|print| print.as_bytes());
            }
            _ => return None,
        };
        (!text.is_empty()).then_some(text.as_bytes())
    }

    /// Bytes held: of state, and of what hellos and certificates say.
    pub(crate) fn held(&self) -> (usize, usize) {
        let client = self.client.as_ref().map_or(0, ClientHello::text);
        let server = self.server.as_ref().map_or((0, 0), |s| (size_of::<ServerHello>(), s.text()));
        let chains = || self.chains.iter().flatten();
        let state = size_of::<Self>() + server.0 + chains().count() * size_of::<Chain>();
        (state, client + server.1 + chains().map(|chain| chain.text()).sum::<usize>())
    }

    /// The version that a side has told; 0: none.
    fn version(&self, dir: Direction) -> u16 {
        let hello = match dir {
            Direction::ToServer => self.client.as_ref().map(|hello| hello.version),
            Direction::ToClient => self.server.as_ref().map(|hello| hello.version),
        };
        hello.unwrap_or(self.record_version[dir.index()])
    }

    pub(crate) fn facts(&self, dir: Direction) -> TlsFacts {
        let chain = self.chain(dir);
        TlsFacts {
            version: self.version(dir),
            state: self.state,
            validity: chain.and_then(Chain::leaf).and_then(|leaf| leaf.validity),
            chain_length: chain.map_or(0, |chain| chain.count),
        }
    }

    pub(crate) fn summary(&self) -> TlsSummary {
        let resumed = match (&self.client, &self.server) {
            // without a certificate; TLS 1.3 sends the id back whatever comes
            (Some(c), Some(s)) if s.version <= 0x0303 => {
                let same = !s.session_id.is_empty() && c.session_id == s.session_id;
                (same || c.ticket) && self.chain(Direction::ToClient).is_none()
            }
            _ => false,
        };
        let certificate = |dir| {
            let leaf = self.chain(dir)?.leaf()?;
            Some(CertificateSummary {
                subject: leaf.subject.clone(),
                issuer: leaf.issuer.clone(),
                serial: leaf.serial.clone(),
                fingerprint: leaf.fingerprint.clone(),
                validity: leaf.validity,
            })
        };
        let ja3 = self.client.as_ref().and_then(|hello| hello.ja3.as_deref());
        let ja3s = self.server.as_ref().and_then(|hello| hello.ja3s.as_deref());
        let both = |ja3: &prints::Ja3| (ja3.hash.clone(), ja3.string.clone());
        TlsSummary {
            sni: self.sni().map(text),
            version: version_name(self.version(Direction::ToClient)),
            session_resumed: resumed,
            server_certificate: certificate(Direction::ToClient),
            client_certificate: certificate(Direction::ToServer),
            ja3: ja3.map(both),
            ja3s: ja3s.map(both),
            ja4: self.client.as_ref().and_then(|hello| hello.ja4.as_deref().map(str::to_owned)),
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
        0x7f01..=0x7f0f => "TLS 1.3 draft-<16",
        v if v >> 8 == 0xfb => return format!("TLS 1.3 draft-{:02}-fb", v & 0xff),
        v if v >> 8 == 0x7f => return format!("TLS 1.3 draft-{:02}", v & 0xff),
        _ => "UNDETERMINED",
    }
    .to_owned()
}

/// Which fingerprints rules ask for.
fn prints(wanted: BufferSet) -> Prints {
    use AppBuffer as B;
    Prints {
        ja3: wanted.meets(const { BufferSet::of(&[B::Ja3Hash, B::Ja3String]) }),
        ja3s: wanted.meets(const { BufferSet::of(&[B::Ja3sHash, B::Ja3sString]) }),
        ja4: wanted.contains(B::Ja4Hash),
    }
}

/// Whether all certificates are asked for, not only the first.
fn chains(wanted: BufferSet) -> bool {
    wanted.meets(const { BufferSet::of(&[AppBuffer::TlsCerts, AppBuffer::TlsClientCerts]) })
}

/// The one transaction of a session.
const TX: u64 = 0;

/// The parser of one session.
#[derive(Debug, Default)]
pub(crate) struct Conn {
    layers: [Layer; 2],
    /// That side's handshake is over: what it sends from then on is encrypted.
    switched: [bool; 2],
    heartbeats: Heartbeats,
    application_data: bool,
    tls13: bool,
    dead: bool,
}

impl Conn {
    pub(crate) fn new(txs: &mut TxList) -> Self {
        txs.push(TxKind::Tls(Box::default()));
        Self::default()
    }

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
        if self.is_encrypted() {
            return Outcome::Ok;
        }
        if self.layers[dir.index()].at_record()
            && let Some(tx) = txs.tls(TX)
        {
            tx.state = 0;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let outcome =
                match self.layers[dir.index()].feed(&mut rest, config.limits.tls_handshake) {
                    Ok(Some(event)) => self.event(txs, config, dir, event),
                    Ok(None) => Ok(()),
                    Err(record::NotTls(event)) => Err(event),
                };
            if let Err(event) = outcome {
                txs.raise(TX, event);
                self.end(txs);
                return Outcome::Error;
            }
        }
        Outcome::Ok
    }

    /// Takes what the records hold. An error ends the parsing of the session.
    fn event(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        dir: Direction,
        event: Event,
    ) -> Result<(), TlsEvent> {
        match event {
            Event::Record(version) => {
                if let Some(tx) = txs.tls(TX) {
                    tx.record_version[dir.index()] = version;
                }
            }
            Event::Ssl2(version) => self.client(txs, dir, Read::ssl2(version))?,
            Event::Message(message::CLIENT_HELLO, body) => {
                let read = Read::<ClientHello>::parse(&body, prints(config.wanted));
                self.client(txs, dir, read)?;
            }
            Event::Message(message::SERVER_HELLO, body) => {
                let read = Read::<ServerHello>::parse(&body, prints(config.wanted));
                self.tls13 |= read.hello.version == 0x0304;
                read.events.iter().for_each(|&event| txs.raise(TX, event));
                if dir == Direction::ToClient
                    && let Some(tx) = txs.tls(TX)
                {
                    tx.server = Some(Box::new(read.hello));
                }
                self.state(txs, tls_state::SERVER_HELLO);
                self.step(txs, dir, progress::HELLO);
                if read.broken {
                    return Err(TlsEvent::InvalidHandshakeMessage);
                }
            }
            Event::Message(_, body) => self.certificates(txs, config, dir, &body)?,
            Event::Passed(kind) => {
                let (state, next) = match kind {
                    message::CLIENT_KEY_EXCHANGE => {
                        (tls_state::CLIENT_KEY_EXCHANGE, progress::CERTIFICATES)
                    }
                    message::SERVER_KEY_EXCHANGE => {
                        (tls_state::SERVER_KEY_EXCHANGE, progress::CERTIFICATES)
                    }
                    message::SERVER_HELLO_DONE => (0, progress::CERTIFICATES),
                    _ => (0, 0),
                };
                self.state(txs, state);
                self.step(txs, dir, next);
            }
            Event::Heartbeat(heart, length) => {
                self.heartbeats.take(dir, heart, length, self.switched != [false; 2])?;
            }
            Event::ChangeCipherSpec => {
                self.switched[dir.index()] = true;
                self.step(txs, dir, progress::CERTIFICATES);
            }
            Event::ApplicationData => {
                self.application_data = true;
                self.switched[dir.index()] |= self.tls13;
                self.step(txs, dir, progress::DONE);
            }
        }
        Ok(())
    }

    fn client(
        &mut self,
        txs: &mut TxList,
        dir: Direction,
        read: Read<ClientHello>,
    ) -> Result<(), TlsEvent> {
        read.events.iter().for_each(|&event| txs.raise(TX, event));
        if dir == Direction::ToServer
            && let Some(tx) = txs.tls(TX)
        {
            // a second one, after HelloRetryRequest, asks for the same server
            tx.client.get_or_insert(read.hello);
        }
        self.state(txs, tls_state::CLIENT_HELLO);
        self.step(txs, dir, progress::HELLO);
        if read.broken { Err(TlsEvent::InvalidHandshakeMessage) } else { Ok(()) }
    }

    fn certificates(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        dir: Direction,
        body: &[u8],
    ) -> Result<(), TlsEvent> {
        let chain = match Chain::parse(body, chains(config.wanted), config.certificates) {
            Ok(chain) => chain,
            Err(certificate::Broken) => {
                txs.raise(TX, TlsEvent::InvalidCertificate);
                return Err(TlsEvent::InvalidHandshakeMessage);
            }
        };
        let fault = if config.limits.tls_certificate_events { chain.fault() } else { None };
        if let Some(tx) = txs.tls(TX) {
            tx.chains[dir.index()].get_or_insert_with(|| Box::new(chain));
        }
        self.step(txs, dir, progress::CERTIFICATES);
        match fault {
            Some(fault) => {
                txs.raise(TX, fault);
                Err(TlsEvent::InvalidHandshakeMessage)
            }
            None => Ok(()),
        }
    }

    /// Notes a handshake message.
    fn state(&self, txs: &mut TxList, state: u8) {
        if let Some(tx) = txs.tls(TX) {
            tx.state |= state;
            txs.touch();
        }
    }

    fn step(&self, txs: &mut TxList, dir: Direction, to: u8) {
        if let Some(tx) = txs.tls(TX) {
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
