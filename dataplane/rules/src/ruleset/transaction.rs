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

/// By application protocol, in Suricata's names, and direction.
type Always = BTreeMap<&'static str, [Vec<u32>; 2]>;

/// Everything about transactions.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) lists: Vec<TransactionList>,
    always: Always,
    /// Signatures by the events that they ask for, in order.
    pub(crate) events: Vec<(AppEvent, u32)>,
}

/// Buffer, transforms and direction of a list.
type Place = (Buffer, Vec<Transform>, usize);

/// [`Transactions`] whose databases are not compiled yet.
#[derive(Debug, Default)]
pub(crate) struct TransactionsDraft {
    lists: Vec<(Place, Draft)>,
    always: Always,
    events: Vec<(AppEvent, u32)>,
}

impl TransactionsDraft {
    /// Sorts the [`Kind::Transaction`] signatures by the buffer of their fast pattern.
    pub(crate) fn new(signatures: &[Signature], store: &mut PatternStore) -> Self {
        let mut draft = Self::default();
        let mut by_place: BTreeMap<Place, Vec<u32>> = BTreeMap::new();
        for (number, signature) in (0u32..).zip(signatures) {
            draft.events.extend(signature.events.iter().map(|&event| (event, number)));
            if signature.kind != Kind::Transaction || signature.has_transaction_event() {
                continue;
            }
            for direction in directions(signature) {
                if let Some(place) = fast_pattern::place(signature) {
                    let place = (place.buffer, place.transforms.clone(), direction);
                    by_place.entry(place).or_default().push(number);
                    continue;
                }
                for app in apps(signature) {
                    draft.always.entry(app).or_default()[direction].push(number);
                }
            }
        }
        draft.events.sort_unstable();
        draft.events.dedup();
        draft.lists = by_place
            .into_iter()
            .filter_map(|(place, numbers)| {
                let data = if place.0.is_body() { Data::Piece } else { Data::Whole };
                Some((place, store.draft(&numbers, signatures, data)?))
            })
            .collect();
        draft
    }

    /// The lists with their databases; None if one is missing.
    pub(crate) fn finish(self, databases: &[Arc<Database>]) -> Option<Transactions> {
        let lists = self
            .lists
            .into_iter()
            .map(|((buffer, transforms, direction), draft)| {
                let prefilter = draft.finish(databases)?;
                Some(TransactionList { buffer, transforms, direction, prefilter })
            })
            .collect::<Option<_>>()?;
        Some(Transactions { lists, always: self.always, events: self.events })
    }
}

/// The directions that a signature is for: 0 to the server, 1 to the client.
fn directions(signature: &Signature) -> impl Iterator<Item = usize> + use<> {
    let ways = [signature.to_server, signature.to_client];
    (0..ways.len()).filter(move |&way| ways[way])
}

/// The application protocols in whose transactions all buffers of a signature are.
fn apps(signature: &Signature) -> Vec<&'static str> {
    let mut origins = signature.buffers.iter().filter_map(|tests| tests.buffer.origin());
    let mut apps = match origins.next() {
        Some(origin) => origin.apps.to_vec(),
        None => signature.protocol.app.into_iter().collect(),
    };
    for origin in origins {
        apps.retain(|app| origin.apps.contains(app));
    }
    apps.retain(|app| signature.protocol.app.is_none_or(|set| set == *app));
    apps
}

impl Transactions {
    /// The signatures without a fast pattern on buffers of this protocol and direction.
    pub(crate) fn always(&self, protocol: &str, direction: usize) -> &[u32] {
        self.always.get(protocol).and_then(|ways| ways.get(direction)).map_or(&[], Vec::as_slice)
    }
}
