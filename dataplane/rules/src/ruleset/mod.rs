//! [`Ruleset`]: signatures in evaluation order, and the groups, lists and databases by which the
//! few that a packet, stream or transaction may match are found among all of them.
//!
//! Built and dropped off the packet cores, shared among them in an `Arc`; never changed.

mod cache;
mod carriers;
mod classify;
mod databases;
mod describe;
mod events;
mod explain;
mod fast_pattern;
mod gate;
mod group;
mod groups;
mod heads;
mod interval;
mod ip_only;
mod members;
mod order;
pub mod pairs;
mod port_map;
mod ports;
mod prefilter;
mod rarity;
mod report;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transaction;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hyperscan::{Database, MatchQueue, Scratch, ScratchError};
use wire::EventSet;

pub use cache::Cache;
pub use carriers::Carrier;
pub use describe::PrefilterInfo;
pub use explain::{Candidate, Explanation, explain};
pub use gate::{Arrival, Standing};
pub use group::RuleGroup;
pub use groups::Groups;
pub use prefilter::Prefilter;
pub use report::{BuildError, BuildReport, Progress};
pub use transaction::TransactionList;

use crate::parse::FlowNames;
use crate::signature::{Kind, Signature};
use crate::state::TagTable;
use carriers::CarrierIndex;
use databases::Failure;
use events::EventIndex;
use gate::Gates;
use groups::{GroupTable, GroupTableDraft};
use ip_only::IpOnlyIndex;
use prefilter::PatternStore;
use transaction::{Transactions, TransactionsDraft};

/// More than any rule set has by far, and few enough that what is counted per signature and
/// pattern byte fits 32 bits.
const MAX_SIGNATURES: usize = 1 << 24;

/// Compiled signatures.
#[derive(Debug)]
pub struct Ruleset {
    /// In evaluation order. A signature's number, here and in all that this type hands out, is
    /// its place in this list.
    pub signatures: Vec<Signature>,
    /// Names of flowbits and flowints, for whoever tells of them.
    pub names: FlowNames,
    gates: Gates,
    groups: GroupTable,
    transactions: Transactions,
    ip_only: IpOnlyIndex,
    carriers: CarrierIndex,
    events: EventIndex,
    /// Where tags of hosts are, if a signature tags any.
    tags: Option<Arc<TagTable>>,
    /// Each once, however many prefilters share it.
    databases: Vec<Arc<Database>>,
    prefilters: usize,
}

impl Ruleset {
    /// Sorts, classifies, groups and compiles signatures. `threads` compile at the same time;
    /// `progress` is called from the calling thread whenever a database is there.
    ///
    /// # Errors
    /// [`BuildError`]. A cache that cannot be read or written is only a warning in the report.
    pub fn compile(
        mut signatures: Vec<Signature>,
        cache: Option<&Cache>,
        threads: usize,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(Self, BuildReport), BuildError> {
        let begin = Instant::now();
        if signatures.len() > MAX_SIGNATURES {
            return Err(BuildError::TooMany(signatures.len()));
        }
        for signature in &mut signatures {
            classify::classify(signature);
            fast_pattern::choose(signature);
        }
        order::sort(&mut signatures);

        let mut store = PatternStore::default();
        let groups = GroupTableDraft::new(&signatures, &mut store);
        let transactions = TransactionsDraft::new(&signatures, &mut store);
        let gates = Gates::new(&signatures);
        let ip_only = IpOnlyIndex::new(&signatures);
        let carriers = CarrierIndex::new(&signatures);
        let events = EventIndex::new(&signatures);

        let compiled = databases::compile(store.sets(), cache, threads, progress)
            .map_err(|failure| blame(failure, &store, &signatures))?;
        let databases = compiled.databases;
        let missing = BuildError::Internal("a database is missing");
        let (Some(groups), Some(transactions)) =
            (groups.finish(&databases), transactions.finish(&databases))
        else {
            return Err(missing);
        };
        let tags = signatures.iter().find_map(|s| s.extra.as_ref()?.tag_table.clone());
        let prefilters = store.drafts();
        let names = FlowNames::default();
        let ruleset = Self {
            signatures,
            names,
            gates,
            groups,
            transactions,
            ip_only,
            carriers,
            events,
            tags,
            databases,
            prefilters,
        };
        let mut report = ruleset.report();
        report.cached = compiled.cached;
        report.warnings = compiled.warnings;
        report.seconds = begin.elapsed().as_secs_f64();
        Ok((ruleset, report))
    }

    /// Working memory that fits every database of this ruleset, and none of another's.
    ///
    /// # Errors
    /// No memory.
    pub fn scratch(&self) -> Result<Scratch, ScratchError> {
        Scratch::for_databases(self.databases.iter().map(Arc::as_ref))
    }

    /// A queue that no scan of this ruleset's prefilters can overflow.
    pub fn queue(&self) -> MatchQueue {
        let largest = self.databases.iter().map(|database| database.pattern_count()).max();
        MatchQueue::with_limit(largest.unwrap_or(0))
    }

    /// The groups of signatures that a packet meets. `protocol`: the IP protocol; `direction`:
    /// 0 to the server, 1 to the client; `server_port`: the destination's port to the server,
    /// the source's to the client, anything for protocols without ports. Addresses, ports and
    /// everything else of a candidate remain to be verified.
    #[inline]
    pub fn groups(&self, protocol: u8, direction: usize, server_port: u16) -> Groups<'_> {
        self.groups.find(protocol, direction, server_port)
    }

    /// Whether the header of the signature of that number holds for the unit, and what it asks of the flow's state and
    /// protocol (but for `app-layer-protocol`). Most candidates are turned away here.
    #[inline]
    pub fn admits(&self, number: u32, arrival: &Arrival) -> bool {
        self.gates.admit(number, arrival, &self.signatures)
    }

    /// Appends the [`Kind::IpOnly`] signatures whose addresses hold in either way the header
    /// allows, and whose IP protocol and version do; ascending, each once. Ports remain to be
    /// verified, and for `<>` which way it was.
    pub fn ip_only(&self, src: IpAddr, dst: IpAddr, protocol: u8, out: &mut Vec<u32>) {
        self.ip_only.find(&self.signatures, src, dst, protocol, out);
    }

    /// Rule sets with a signature that a packet could match which carries another one and has no
    /// events, as a bit each: those of [`Signature::rulesets`]. Of such a packet no payload is looked at.
    #[inline]
    pub fn of_carriers(&self) -> u64 {
        self.carriers.all()
    }

    /// Rule sets with a signature that this packet could match: it carries another one, and has no
    /// events. As long as no payload of its flow was looked at; tags are apart. `spare` is for what is
    /// found on the way.
    pub fn of_carrier(&self, carrier: &Carrier, spare: &mut Vec<u32>) -> u64 {
        spare.clear();
        self.ip_only(carrier.src, carrier.dst, carrier.protocol, spare);
        self.carriers.find(&self.signatures, carrier, spare)
    }

    /// Does a signature ask for one of these events?
    #[inline]
    pub fn asks_for(&self, events: EventSet) -> bool {
        !events.is_empty() && self.events.asks_for(events)
    }

    /// Appends the [`Kind::Event`] signatures that ask for one of these events.
    #[inline]
    pub fn event_rules(&self, events: EventSet, out: &mut Vec<u32>) {
        if !events.is_empty() {
            self.events.find(events, out);
        }
    }

    /// The tags of hosts; None where no signature tags anything.
    #[inline]
    pub fn tags(&self) -> Option<&TagTable> {
        self.tags.as_deref()
    }

    /// What to look for in the buffers of transactions, one list per buffer and transforms.
    pub fn transaction_lists(&self) -> &[TransactionList] {
        &self.transactions.lists
    }

    /// The [`Kind::Transaction`] signatures without a fast pattern in a transaction buffer,
    /// ascending: candidates for every transaction of the application protocol (`http`, `dns`,
    /// `tls`) and direction.
    pub fn transaction_always(&self, buffer_protocol: &str, direction: usize) -> &[u32] {
        self.transactions.always(buffer_protocol, direction)
    }

    /// The signatures that ask for an event, by event: candidates where it is recorded, and nowhere
    /// else. One that asks for several stands several times.
    pub fn event_signatures(&self) -> &[(app::AppEvent, u32)] {
        &self.transactions.events
    }

    /// How many prefilters there are: [`Prefilter::number`] is below.
    pub fn prefilters(&self) -> usize {
        self.prefilters
    }

    fn report(&self) -> BuildReport {
        let mut report = BuildReport {
            database_bytes: self.databases.iter().map(|database| database.size()).sum(),
            databases: self.databases.len(),
            patterns: self.databases.iter().map(|database| database.pattern_count()).sum(),
            largest_database: self.queue().limit(),
            peak_rss_bytes: report::peak_rss(),
            groups: self.groups.all().count(),
            port_classes: self.groups.port_classes(),
            ..BuildReport::default()
        };
        for signature in &self.signatures {
            let kind = match signature.kind {
                Kind::IpOnly => 0,
                Kind::LikeIpOnly => 1,
                Kind::Packet => 2,
                Kind::Stream => 3,
                Kind::AppProtocol => 4,
                Kind::Transaction => 5,
                Kind::Event => 6,
            };
            report.kinds[kind] += 1;
            let without = signature.fast_pattern.is_none()
                && !matches!(signature.kind, Kind::IpOnly | Kind::Event);
            report.without_fast_pattern += usize::from(without);
        }
        report
    }
}

/// Names the rule behind a pattern that Hyperscan refuses.
fn blame(failure: Failure, store: &PatternStore, signatures: &[Signature]) -> BuildError {
    let (set, error) = match failure {
        Failure::Compile(set, error) => (set, error),
        Failure::Lost => return BuildError::Internal("a thread of the build panicked"),
    };
    let literals = store.sets().get(set);
    let literal = error.pattern.and_then(|pattern| literals?.get(pattern));
    let culprit = literal.and_then(|literal| signatures.iter().find(|s| literal.is_of(s)));
    match culprit {
        Some(signature) => BuildError::Pattern {
            origin: signature.origin.clone(),
            sid: signature.sid,
            message: error.message,
        },
        None => BuildError::Database {
            patterns: literals.map_or(0, |literals| literals.len()),
            message: error.message,
        },
    }
}
