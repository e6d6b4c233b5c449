//! [`TransactionList`]: the fast patterns of one transaction buffer; and the signatures on
//! transactions that have none, by the events that they ask for or tried on all.

use std::collections::BTreeMap;
use std::sync::Arc;

use app::AppEvent;
use hyperscan::Database;

use super::fast_pattern;
use super::prefilter::{Data, Draft, PatternStore, Prefilter};
use crate::signature::{Buffer, Kind, Signature, Transform};

/// Fast patterns in one buffer of a transaction, as it is after the transforms.
#[derive(Debug)]
pub struct TransactionList {
    /// The buffer.
    pub buffer: Buffer,
    /// Applied to it in order before the scan.
    pub transforms: Vec<Transform>,
    /// Who fills the buffer: 0 the client (to the server), 1 the server.
    pub direction: usize,
    /// What to look for, in the whole buffer.
    pub prefilter: Prefilter,
}

/// Application protocols with transaction buffers, in Suricata's names.
const PROTOCOLS: [&str; 3] = ["http", "dns", "tls"];

/// Everything about transactions.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) lists: Vec<TransactionList>,
    /// By protocol (as in [`PROTOCOLS`]) and direction.
    always: [[Vec<u32>; 2]; PROTOCOLS.len()],
    /// Signatures by the events that they ask for, in order.
    pub(crate) events: Vec<(AppEvent, u32)>,
}

/// [`Transactions`] whose databases are not compiled yet.
#[derive(Debug, Default)]
pub(crate) struct TransactionsDraft {
    lists: Vec<((Buffer, Vec<Transform>), Draft)>,
    always: [[Vec<u32>; 2]; PROTOCOLS.len()],
    events: Vec<(AppEvent, u32)>,
}

/// The buffer's application protocol as an index into [`PROTOCOLS`], and who fills it.
fn origin(buffer: Buffer) -> Option<(usize, usize)> {
    match buffer {
        Buffer::HttpMethod
        | Buffer::HttpUri
        | Buffer::HttpUriRaw
        | Buffer::HttpHost
        | Buffer::HttpHostRaw => Some((0, 0)),
        Buffer::DnsQuery => Some((1, 0)),
        Buffer::TlsSni => Some((2, 0)),
        Buffer::Payload
        | Buffer::Ipv4Hdr
        | Buffer::Ipv6Hdr
        | Buffer::TcpHdr
        | Buffer::UdpHdr
        | Buffer::Icmpv4Hdr
        | Buffer::Icmpv6Hdr
        | Buffer::IpSrc
        | Buffer::IpDst
        | Buffer::Base64Data => None,
    }
}

impl TransactionsDraft {
    /// Sorts the [`Kind::Transaction`] signatures by the buffer of their fast pattern.
    pub(crate) fn new(signatures: &[Signature], store: &mut PatternStore) -> Self {
        let mut draft = Self::default();
        let mut by_place: BTreeMap<(Buffer, Vec<Transform>), Vec<u32>> = BTreeMap::new();
        for (number, signature) in (0u32..).zip(signatures) {
            draft.events.extend(signature.events.iter().map(|&event| (event, number)));
            if signature.kind != Kind::Transaction || signature.has_transaction_event() {
                continue;
            }
            if let Some(place) = fast_pattern::place(signature) {
                let place = (place.buffer, place.transforms.clone());
                by_place.entry(place).or_default().push(number);
                continue;
            }
            for tests in &signature.buffers {
                let Some((protocol, direction)) = origin(tests.buffer) else { continue };
                let always = &mut draft.always[protocol][direction];
                if always.last() != Some(&number) {
                    always.push(number);
                }
            }
        }
        draft.events.sort_unstable();
        draft.events.dedup();
        draft.lists = by_place
            .into_iter()
            .filter_map(|(place, numbers)| {
                Some((place, store.draft(&numbers, signatures, Data::Whole)?))
            })
            .collect();
        draft
    }

    /// The lists with their databases; None if one is missing.
    pub(crate) fn finish(self, databases: &[Arc<Database>]) -> Option<Transactions> {
        let lists = self
            .lists
            .into_iter()
            .map(|((buffer, transforms), draft)| {
                let (_, direction) = origin(buffer)?;
                let prefilter = draft.finish(databases)?;
                Some(TransactionList { buffer, transforms, direction, prefilter })
            })
            .collect::<Option<_>>()?;
        Some(Transactions { lists, always: self.always, events: self.events })
    }
}

impl Transactions {
    /// The signatures without a fast pattern on buffers of this protocol and direction.
    pub(crate) fn always(&self, protocol: &str, direction: usize) -> &[u32] {
        PROTOCOLS
            .iter()
            .position(|&name| name == protocol)
            .and_then(|at| self.always.get(at)?.get(direction))
            .map_or(&[], Vec::as_slice)
    }
}
