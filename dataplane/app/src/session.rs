//! A session: the parser of one flow and its transactions.

use wire::Direction;

use crate::buffer::BufferSet;
use crate::limits::Limits;
use crate::looked::Looked;
use crate::proto::{AppProto, Transport};
use crate::txs::{Tx, TxList};
use crate::{Certificates, dns, http1, tls};

/// How parsing went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// All bytes were taken.
    Ok,
    /// The parser has given up on the flow: nothing more will come of this direction, and further
    /// bytes are ignored. Transactions found before stay as they are.
    Error,
}

/// How a flow left HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// CONNECT was accepted: another flow begins inside.
    Connect,
    /// The server switched protocols (status 101).
    Upgrade,
}

/// What a parser is told with every call, as it is the same for all flows.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    /// How much it may hold.
    pub limits: &'a Limits,
    /// Which buffers rules look at: no others are made.
    pub wanted: BufferSet,
    /// The certificates that their owner knows.
    pub certificates: &'a Certificates,
}

/// What a session takes of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Of what messages said, as it was sent or made ready for rules: lines, fields, names, bodies,
    /// certificates.
    pub text: usize,
    /// All else.
    pub state: usize,
}

/// The parser of one flow.
#[derive(Debug)]
pub struct Session {
    kind: Kind,
    txs: TxList,
}

#[derive(Debug)]
enum Kind {
    Http(http1::Conn),
    Dns(dns::Conn),
    Tls(tls::Conn),
}

impl Session {
    /// A parser for a flow over TCP, or `None` where there is none for the protocol.
    pub fn new(proto: AppProto) -> Option<Self> {
        Self::over(proto, Transport::Tcp)
    }

    /// A parser for a flow over `transport`: over UDP, [`data`](Self::data) takes one datagram.
    pub fn over(proto: AppProto, transport: Transport) -> Option<Self> {
        Self::resumed(proto, transport, 0)
    }

    /// A parser for a flow whose last one had so many transactions and was let go as
    /// [idle](Self::is_idle); None for TLS, of which nothing more comes then.
    pub fn resumed(proto: AppProto, transport: Transport, transactions: u64) -> Option<Self> {
        let mut txs = TxList::from(transactions);
        let kind = match (proto, transport) {
            (AppProto::Http1, Transport::Tcp) => Kind::Http(http1::Conn::default()),
            (AppProto::Dns, _) => Kind::Dns(dns::Conn::new(transport)),
            (AppProto::Tls, Transport::Tcp) if transactions == 0 => {
                Kind::Tls(tls::Conn::new(&mut txs))
            }
            _ => return None,
        };
        Some(Self { kind, txs })
    }

    /// Brings what its own state points to towards the cache, once the session itself is there.
    #[inline]
    pub fn prefetch(&self) {
        self.txs.prefetch();
    }

    /// What it parses.
    pub fn proto(&self) -> AppProto {
        match self.kind {
            Kind::Http(_) => AppProto::Http1,
            Kind::Dns(_) => AppProto::Dns,
            Kind::Tls(_) => AppProto::Tls,
        }
    }

    /// Takes the next bytes of a direction (or a datagram). All are consumed; what is incomplete
    /// waits inside, bounded by [`Limits`].
    pub fn data(&mut self, config: &Config<'_>, dir: Direction, bytes: &[u8]) -> Outcome {
        if bytes.is_empty() {
            return Outcome::Ok;
        }
        match &mut self.kind {
            Kind::Http(c) => c.data(&mut self.txs, config, dir, bytes),
            Kind::Dns(c) => c.data(&mut self.txs, config, dir, bytes),
            Kind::Tls(c) => c.data(&mut self.txs, config, dir, bytes),
        }
    }

    /// Says that `len` bytes of a direction are missing here.
    pub fn gap(&mut self, config: &Config<'_>, dir: Direction, len: u64) {
        match &mut self.kind {
            Kind::Http(c) => c.gap(&mut self.txs, config, dir, len),
            Kind::Dns(c) => c.gap(dir, len),
            Kind::Tls(c) => c.gap(&mut self.txs),
        }
    }

    /// Says that a direction has ended, and finishes what waited for that: a response body without
    /// length, a request line without its line feed.
    pub fn close(&mut self, config: &Config<'_>, dir: Direction) {
        match &mut self.kind {
            Kind::Http(c) => c.close(&mut self.txs, config, dir),
            Kind::Dns(_) => {}
            Kind::Tls(c) => c.close(&mut self.txs, dir),
        }
    }

    /// The id of the oldest live transaction; equal to [`next_tx`](Self::next_tx) when none lives.
    pub fn first_tx(&self) -> u64 {
        self.txs.first()
    }

    /// The id that the next transaction will get: how many there have been.
    pub fn next_tx(&self) -> u64 {
        self.txs.next()
    }

    /// How many transactions live.
    pub fn live_tx_count(&self) -> usize {
        self.txs.len()
    }

    /// A live transaction.
    pub fn tx(&self, id: u64) -> Option<&Tx> {
        self.txs.get(id)
    }

    /// What [`Tx::window`] gave of a transaction's bodies in a direction has been looked at.
    pub fn window_seen(&mut self, id: u64, dir: Direction) {
        if let Some(tx) = self.txs.http(id) {
            tx.looked(dir);
        }
    }

    /// How far a transaction has been inspected, to be written.
    pub fn looked_mut(&mut self, id: u64) -> Option<&mut Looked> {
        self.txs.looked(id)
    }

    /// Lets go of the oldest transactions that were [inspected](Looked) to their end in both
    /// directions, and of the oldest if there are more than `most`.
    pub fn release(&mut self, most: usize) {
        self.txs.release(most);
    }

    /// Whether it may be let go, for it holds nothing that another one that is made when more comes
    /// would not know, except how many transactions there have been.
    pub fn is_idle(&self) -> bool {
        let rests = match &self.kind {
            Kind::Http(_) => false,
            Kind::Dns(c) => c.is_idle(),
            // it takes no more
            Kind::Tls(c) => c.is_encrypted(),
        };
        rests && self.txs.len() == 0
    }

    /// Lets go of the transactions with ids below `id`. One that the parser still fills may be
    /// freed: what comes later for it is parsed and dropped.
    pub fn free_before(&mut self, id: u64) {
        self.txs.free_before(id);
    }

    /// Whether a transaction began or moved on since the last call.
    pub fn take_progress(&mut self) -> bool {
        self.txs.take_progress()
    }

    /// Whether what flows now is encrypted, so that its payload need not be looked at.
    pub fn is_encrypted(&self) -> bool {
        matches!(&self.kind, Kind::Tls(c) if c.is_encrypted())
    }

    /// Whether the flow has left its protocol: nothing more is parsed then. After
    /// [`Tunnel::Connect`] the protocol inside can be detected anew; the bytes of both directions
    /// that come after this call's are its beginning.
    pub fn tunnel(&self) -> Option<Tunnel> {
        match &self.kind {
            Kind::Http(c) => c.tunnel(),
            Kind::Dns(_) | Kind::Tls(_) => None,
        }
    }

    /// What it takes of memory, itself included.
    pub fn held(&self) -> Held {
        let mut held = self.txs.held();
        held.state += size_of::<Self>();
        held.text += self.buffered();
        held
    }

    /// Bytes held beyond the transactions: unfinished lines and messages.
    pub fn buffered(&self) -> usize {
        match &self.kind {
            Kind::Http(c) => c.buffered(),
            Kind::Dns(c) => c.buffered(),
            Kind::Tls(c) => c.buffered(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::dns_query;

    #[test]
    fn transactions_go_on_where_their_numbers_begin_anew() {
        let (limits, wanted) = (Limits::default(), BufferSet::default());
        let certificates = Certificates::default();
        let config = Config { limits: &limits, wanted, certificates: &certificates };
        let last = u64::from(u32::MAX);
        let mut session = Session::resumed(AppProto::Dns, Transport::Udp, last).unwrap();
        for _ in 0..2 {
            let taken = session.data(&config, Direction::ToServer, &dns_query(7, b"\x01a\0"));
            assert_eq!(taken, Outcome::Ok);
        }
        assert_eq!((session.first_tx(), session.next_tx()), (last, last + 2));
        assert!((last..last + 2).all(|id| session.tx(id).is_some()));
        session.free_before(last + 1);
        assert_eq!((session.first_tx(), session.next_tx()), (0, 1));
        assert!(session.tx(0).is_some() && session.tx(last).is_none());
    }
}
