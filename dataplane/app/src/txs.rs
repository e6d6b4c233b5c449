//! The transactions of a session, in order, and what the engine may ask of each.

use std::collections::VecDeque;

use wire::Direction;

use crate::buffer::AppBuffer;
use crate::dns::DnsTx;
use crate::event::{AppEvent, EventSet};
use crate::http1::{BodyWindow, HttpTx};
use crate::summary::TxSummary;
use crate::tls::{TlsFacts, TlsTx};

/// One transaction: a request and its response (HTTP), a message (DNS), or the whole session
/// (TLS).
#[derive(Debug)]
pub struct Tx {
    id: u64,
    kind: TxKind,
    events: EventSet,
}

#[derive(Debug)]
pub(crate) enum TxKind {
    Http(Box<HttpTx>),
    Dns(DnsTx),
    Tls(Box<TlsTx>),
}

impl Tx {
    /// Its number within the flow, from 0 (`tx_id` in EVE).
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How far one direction has come; it never falls. HTTP: [`crate::http_progress`]. DNS: 1.
    /// TLS: 0, then 1 when that side's hello has been read, 2 when its certificates have, 3 when its
    /// handshake is over.
    pub fn progress(&self, dir: Direction) -> u8 {
        match &self.kind {
            TxKind::Http(t) => t.progress(dir),
            TxKind::Dns(_) => crate::dns::COMPLETE,
            TxKind::Tls(t) => t.progress(dir),
        }
    }

    /// Whether nothing more will come in that direction.
    pub fn is_complete(&self, dir: Direction) -> bool {
        let last = match &self.kind {
            TxKind::Http(_) => crate::http1::progress::COMPLETE,
            TxKind::Dns(_) => crate::dns::COMPLETE,
            TxKind::Tls(_) => crate::tls::progress::DONE,
        };
        self.progress(dir) >= last
    }

    /// What is odd about it, as far as its parser has come.
    #[inline]
    pub fn events(&self) -> EventSet {
        self.events
    }

    /// The bytes of a buffer. `index` counts the instances of one that there may be several of
    /// ([`AppBuffer::is_multi`]) and is 0 for the others; `None` ends the count.
    pub fn buffer(&self, buffer: AppBuffer, index: usize) -> Option<&[u8]> {
        match &self.kind {
            TxKind::Http(t) => t.buffer(buffer, index),
            TxKind::Dns(t) if buffer == AppBuffer::DnsQuery => t.query_name(index),
            TxKind::Tls(t) => t.buffer(buffer, index),
            _ => None,
        }
    }

    /// Whether it has anything to do with that direction: a DNS message goes in one.
    pub fn concerns(&self, dir: Direction) -> bool {
        match &self.kind {
            TxKind::Dns(t) => t.is_answer() == (dir == Direction::ToClient),
            TxKind::Http(_) | TxKind::Tls(_) => true,
        }
    }

    /// What keywords without a buffer ask of a TLS session, of the side that sends in `dir`.
    pub fn tls(&self, dir: Direction) -> Option<TlsFacts> {
        match &self.kind {
            TxKind::Tls(t) => Some(t.facts(dir)),
            _ => None,
        }
    }

    /// The opcode of a DNS message.
    pub fn dns_opcode(&self) -> Option<u8> {
        match &self.kind {
            TxKind::Dns(t) => Some(t.opcode()),
            _ => None,
        }
    }

    /// What is ready to be looked at of a body ([`AppBuffer::is_body`]), if anything is new.
    pub fn window(&self, buffer: AppBuffer) -> Option<BodyWindow<'_>> {
        match &self.kind {
            TxKind::Http(t) => t.window(buffer),
            TxKind::Dns(_) | TxKind::Tls(_) => None,
        }
    }

    /// How many bytes of a body have come, decoded; None: it has none.
    pub fn body_size(&self, buffer: AppBuffer) -> Option<u64> {
        match &self.kind {
            TxKind::Http(t) => t.body_size(buffer),
            _ => None,
        }
    }

    /// What EVE tells of it. It allocates: to be called for an alert, not for a packet.
    pub fn summary(&self) -> TxSummary {
        match &self.kind {
            TxKind::Http(t) => TxSummary::Http(Box::new(t.summary())),
            TxKind::Dns(t) => TxSummary::Dns(t.summary(self.id)),
            TxKind::Tls(t) => TxSummary::Tls(Box::new(t.summary())),
        }
    }
}

/// The live transactions of a session: ids `first..next`.
#[derive(Debug, Default)]
pub(crate) struct TxList {
    first: u64,
    live: VecDeque<Tx>,
    progressed: bool,
}

impl TxList {
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn next(&self) -> u64 {
        self.first + self.live.len() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// Bytes that the live HTTP transactions hold.
    pub(crate) fn kept(&self) -> usize {
        let sizes = self.live.iter().map(|t| match &t.kind {
            TxKind::Http(t) => t.kept(),
            TxKind::Dns(_) | TxKind::Tls(_) => 0,
        });
        sizes.sum()
    }

    pub(crate) fn push(&mut self, kind: TxKind) -> u64 {
        let id = self.next();
        if self.live.len() < 4 {
            // Few at a time is the rule.
            self.live.reserve_exact(1);
        }
        self.live.push_back(Tx { id, kind, events: EventSet::default() });
        self.progressed = true;
        id
    }

    fn at(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Tx> {
        self.live.get(self.at(id)?)
    }

    pub(crate) fn http(&mut self, id: u64) -> Option<&mut HttpTx> {
        let at = self.at(id)?;
        match &mut self.live.get_mut(at)?.kind {
            TxKind::Http(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn tls(&mut self, id: u64) -> Option<&mut TlsTx> {
        let at = self.at(id)?;
        match &mut self.live.get_mut(at)?.kind {
            TxKind::Tls(t) => Some(t),
            _ => None,
        }
    }

    /// Records that something is odd about a transaction.
    pub(crate) fn raise(&mut self, id: u64, event: impl Into<AppEvent>) {
        let Some(at) = self.at(id) else { return };
        if let Some(tx) = self.live.get_mut(at) {
            self.progressed |= tx.events.insert(event);
        }
    }

    /// Records all that is odd about a transaction.
    pub(crate) fn raise_all(&mut self, id: u64, events: EventSet) {
        let Some(at) = self.at(id).filter(|_| !events.is_empty()) else { return };
        if let Some(tx) = self.live.get_mut(at) {
            self.progressed |= tx.events.extend(events);
        }
    }

    /// Says that a transaction has moved on.
    pub(crate) fn touch(&mut self) {
        self.progressed = true;
    }

    pub(crate) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    pub(crate) fn free_before(&mut self, id: u64) {
        while self.first < id && self.live.pop_front().is_some() {
            self.first += 1;
        }
        if self.live.is_empty() {
            // A session that waits for more holds nothing.
            self.live = VecDeque::new();
        }
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut TxKind> {
        self.live.iter_mut().map(|t| &mut t.kind)
    }
}
