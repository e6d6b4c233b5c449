//! The transactions of a session, in order, and what the engine may ask of each.

use smallvec::SmallVec;
use wire::Direction;

use crate::buffer::AppBuffer;
use crate::dns::DnsTx;
use crate::event::{AppEvent, EventSet};
use crate::file::File;
use crate::http1::{BodyWindow, HttpTx};
use crate::looked::Looked;
use crate::session::Held;
use crate::summary::TxSummary;
use crate::tls::{TlsFacts, TlsTx};

/// One transaction: a request and its response (HTTP), a message (DNS), or the whole session
/// (TLS).
#[derive(Debug)]
pub struct Tx {
    kind: TxKind,
    events: EventSet,
    looked: Looked,
}

#[derive(Debug)]
pub(crate) enum TxKind {
    Http(Box<HttpTx>),
    Dns(Box<DnsTx>),
    Tls(Box<TlsTx>),
}

impl Tx {
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

    /// A file that the side which sends in `dir` transfers; `index` counts them, `None` ends the count.
    pub fn file(&self, dir: Direction, index: usize) -> Option<File<'_>> {
        match &self.kind {
            TxKind::Http(t) => t.file(dir, index),
            TxKind::Dns(_) | TxKind::Tls(_) => None,
        }
    }

    /// The value of a field of an HTTP request's header, by its name in any case.
    pub fn request_field(&self, name: &[u8]) -> Option<&[u8]> {
        let TxKind::Http(tx) = &self.kind else { return None };
        (0..)
            .map_while(|at| tx.buffer(AppBuffer::HttpRequestHeader, at))
            .filter_map(|line| line.split_at_checked(name.len()))
            .find(|(this, rest)| this.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
            .map(|(_, rest)| rest.trim_ascii().strip_prefix(b":").unwrap_or(rest).trim_ascii())
    }

    /// What EVE tells of it; `id` is its number within the flow. It allocates: to be called for an alert, not
    /// for a packet.
    pub fn summary(&self, id: u64) -> TxSummary {
        match &self.kind {
            TxKind::Http(t) => TxSummary::Http(Box::new(t.summary())),
            TxKind::Dns(t) => TxSummary::Dns(t.summary(id)),
            TxKind::Tls(t) => TxSummary::Tls(Box::new(t.summary())),
        }
    }
}

/// The live transactions of a session: ids `first..next`, from 0. One at a time is the rule, and has its
/// place within. After four thousand millions they begin anew.
#[derive(Debug, Default)]
pub(crate) struct TxList {
    live: SmallVec<[Tx; 1]>,
    first: u32,
    progressed: bool,
}

impl TxList {
    /// A list whose first transaction will have this id.
    pub(crate) fn from(first: u64) -> Self {
        Self { first: first as u32, ..Self::default() }
    }

    /// Brings the oldest transaction towards the cache.
    #[inline]
    pub(crate) fn prefetch(&self) {
        match self.live.first().map(|tx| &tx.kind) {
            Some(TxKind::Http(t)) => prefetch::whole(&**t),
            Some(TxKind::Tls(t)) => prefetch::whole(&**t),
            Some(TxKind::Dns(_)) | None => {}
        }
    }

    pub(crate) fn first(&self) -> u64 {
        u64::from(self.first)
    }

    pub(crate) fn next(&self) -> u64 {
        self.first() + self.live.len() as u64
    }

    /// Whether the transaction of a number, as [`push`](Self::push) gave them or the next, is still to begin.
    pub(crate) fn is_to_come(&self, id: u32) -> bool {
        id.wrapping_sub(self.next() as u32) <= u32::MAX / 2
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

    /// What the transactions take of memory, beside the room for one within the list.
    pub(crate) fn held(&self) -> Held {
        let mut held = Held::default();
        for tx in &self.live {
            let (state, text) = match &tx.kind {
                TxKind::Http(t) => (t.state(), t.kept() - t.state()),
                TxKind::Dns(t) => t.held(),
                TxKind::Tls(t) => t.held(),
            };
            held.state += state;
            held.text += text;
        }
        if self.live.spilled() {
            held.state += self.live.capacity() * size_of::<Tx>();
        }
        held
    }

    pub(crate) fn push(&mut self, kind: TxKind) -> u64 {
        let id = self.next();
        self.live.push(Tx { kind, events: EventSet::default(), looked: Looked::default() });
        self.progressed = true;
        id
    }

    /// Where it is; of one that is gone, far behind those that live.
    fn at(&self, id: u64) -> usize {
        (id as u32).wrapping_sub(self.first) as usize
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Tx> {
        self.live.get(self.at(id))
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Tx> {
        let at = self.at(id);
        self.live.get_mut(at)
    }

    /// How far a transaction has been looked at.
    pub(crate) fn looked(&mut self, id: u64) -> Option<&mut Looked> {
        Some(&mut self.get_mut(id)?.looked)
    }

    pub(crate) fn http(&mut self, id: u64) -> Option<&mut HttpTx> {
        match &mut self.get_mut(id)?.kind {
            TxKind::Http(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn tls(&mut self, id: u64) -> Option<&mut TlsTx> {
        match &mut self.get_mut(id)?.kind {
            TxKind::Tls(t) => Some(t),
            _ => None,
        }
    }

    /// Records that something is odd about a transaction.
    pub(crate) fn raise(&mut self, id: u64, event: impl Into<AppEvent>) {
        if let Some(tx) = self.get_mut(id) {
            let new = tx.events.insert(event);
            self.progressed |= new;
        }
    }

    /// Records all that is odd about a transaction.
    pub(crate) fn raise_all(&mut self, id: u64, events: EventSet) {
        if !events.is_empty()
            && let Some(tx) = self.get_mut(id)
        {
            let new = tx.events.extend(events);
            self.progressed |= new;
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
        let gone = usize::try_from(id.saturating_sub(self.first())).unwrap_or(usize::MAX);
        let gone = gone.min(self.live.len());
        if gone == 0 {
            return;
        }
        self.first = self.first.wrapping_add(gone as u32);
        if gone == self.live.len() {
            // A session that waits for more holds nothing.
            self.live = SmallVec::new();
        } else {
            self.live.drain(..gone);
        }
    }

    /// Lets go of the oldest transactions that have been looked at to their end in both directions,
    /// and of the oldest beyond `most`.
    pub(crate) fn release(&mut self, most: usize) {
        let done = self.live.iter().take_while(|tx| tx.looked.done == [true; 2]).count();
        let gone = done.max(self.live.len().saturating_sub(most));
        self.free_before(self.first() + gone as u64);
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut TxKind> {
        self.live.iter_mut().map(|t| &mut t.kind)
    }
}
