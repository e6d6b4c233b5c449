//! Who the addresses of an alert are: the tables of the generations that alerts may still refer to.
//!
//! An alert carries the generation that its core had. What a watch reports late is in the next ones;
//! so the writer waits a moment, and takes those published within it into account. Where two pods
//! could be meant, none is named.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use api::ScopeTable;
use api::scope::{EndpointIdentity, ResourceState};
use engine::alert::Alert;
use wire::Nanos;

/// Generations that are kept at the most, whatever refers to them.
const CAPACITY: usize = 64;

/// One generation's table.
#[derive(Debug, Clone)]
struct Edition {
    generation: u64,
    /// When it was published, by the alerts' clock.
    published: Nanos,
    table: Arc<ScopeTable>,
}

/// Generation → who is who. Published to by the control side, read by the writer.
///
/// The snapshot of a generation must be made from the same table: the endpoints and resources of
/// its [`engine::scope::Address`] are indices into [`ScopeTable::endpoints`] and
/// [`ScopeTable::resources`].
#[derive(Debug, Default)]
pub struct NameBook {
    editions: RwLock<VecDeque<Edition>>,
}

impl NameBook {
    /// A book without any generation: no alert can be given names.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a generation, before any core gets it. `now`: nanoseconds since 1970, by the clock that
    /// gives packets their time; of no importance in replay.
    pub fn publish(&self, generation: u64, table: Arc<ScopeTable>, now: Nanos) {
        let mut editions = self.editions.write().unwrap_or_else(PoisonError::into_inner);
        editions.retain(|edition| edition.generation != generation);
        if editions.len() >= CAPACITY {
            editions.pop_front();
        }
        let at = editions.partition_point(|edition| edition.generation < generation);
        editions.insert(at, Edition { generation, published: now, table });
    }

    /// Forgets the generations before this one, but never the newest.
    pub fn forget_before(&self, generation: u64) {
        let mut editions = self.editions.write().unwrap_or_else(PoisonError::into_inner);
        while editions.len() > 1
            && editions.front().is_some_and(|edition| edition.generation < generation)
        {
            editions.pop_front();
        }
    }

    /// Who is who in a generation.
    pub(crate) fn table(&self, generation: u64) -> Option<Arc<ScopeTable>> {
        let editions = self.editions.read().unwrap_or_else(PoisonError::into_inner);
        let edition = editions.iter().find(|edition| edition.generation == generation)?;
        Some(Arc::clone(&edition.table))
    }

    /// Who is who in the newest generation.
    pub(crate) fn newest(&self) -> Option<Arc<ScopeTable>> {
        let editions = self.editions.read().unwrap_or_else(PoisonError::into_inner);
        editions.back().map(|edition| Arc::clone(&edition.table))
    }

    /// How many generations it holds.
    pub fn len(&self) -> usize {
        self.editions.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finds out who the alert is about. Generations published up to `grace` after it count, too.
    pub(crate) fn identify(&self, alert: &Alert, grace: Nanos) -> Identity {
        let until = alert.timestamp.saturating_add(grace);
        let (own, later) = {
            let editions = self.editions.read().unwrap_or_else(PoisonError::into_inner);
            let generation = alert.snapshot.generation;
            let at = editions.partition_point(|edition| edition.generation < generation);
            let own = editions.get(at).filter(|edition| edition.generation == generation).cloned();
            let after = at + usize::from(own.is_some());
            let is_late = |edition: &&Edition| grace > 0 && edition.published <= until;
            let later: Vec<_> =
                editions.iter().skip(after).take_while(is_late).map(|e| e.table.clone()).collect();
            (own, later)
        };
        let Some(own) = own else {
            // Without a table there is nobody whom the scope could name, unless it has addresses.
            let is_missing = alert.hits.sources().chain(alert.hits.destinations()).next().is_some();
            return Identity { unknown_generation: is_missing, ..Identity::default() };
        };
        let side = |address, ids: &mut dyn Iterator<Item = u32>| {
            who(alert, address, ids.next(), &own.table, &later)
        };
        let source = side(alert.src, &mut alert.hits.sources());
        let destination = side(alert.dst, &mut alert.hits.destinations());
        Identity {
            ambiguous: u8::from(matches!(source, Who::Several))
                + u8::from(matches!(destination, Who::Several)),
            source: source.one(),
            destination: destination.one(),
            resources: resources(alert, &own.table),
            table: Some(own.table),
            unknown_generation: false,
        }
    }
}

/// What is known of an alert's ends.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// The source, if it is one known endpoint.
    pub(crate) source: Option<Named>,
    /// The destination.
    pub(crate) destination: Option<Named>,
    /// Sides that could be more than one pod.
    pub(crate) ambiguous: u8,
    /// The alert's generation is not in the book.
    pub(crate) unknown_generation: bool,
    /// Resources in whose scope the alert is, ascending.
    resources: Vec<u32>,
    table: Option<Arc<ScopeTable>>,
}

impl Identity {
    /// The resources in whose scope the alert is, sorted by namespace and name.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &ResourceState> + Clone {
        self.resources
            .iter()
            .filter_map(|&index| self.table.as_ref()?.resources.get(index as usize))
    }
}

/// An endpoint of some table.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    table: Arc<ScopeTable>,
    index: u32,
}

impl Named {
    /// Who it is.
    pub(crate) fn endpoint(&self) -> Option<&EndpointIdentity> {
        self.table.endpoints.get(self.index as usize).map(Arc::as_ref)
    }
}

enum Who {
    Nobody,
    One(Named),
    Several,
}

impl Who {
    fn one(self) -> Option<Named> {
        match self {
            Self::One(named) => Some(named),
            Self::Nobody | Self::Several => None,
        }
    }

    /// Takes one more candidate into account.
    fn or(self, table: &Arc<ScopeTable>, index: u32) -> Self {
        let Some(other) = table.endpoints.get(index as usize) else { return self };
        match self {
            Self::Nobody => Self::One(Named { table: Arc::clone(table), index }),
            Self::One(named) => {
                let is_same = named
                    .endpoint()
                    .is_some_and(|one| one.namespace == other.namespace && one.pod == other.pod);
                if is_same { Self::One(named) } else { Self::Several }
            }
            Self::Several => Self::Several,
        }
    }
}

/// Who is at one side. `known` is the inner-most address of it that the scope had.
fn who(
    alert: &Alert,
    address: IpAddr,
    known: Option<u32>,
    own: &Arc<ScopeTable>,
    later: &[Arc<ScopeTable>],
) -> Who {
    let mut who = Who::Nobody;
    for table in later {
        for &index in table.by_address.get(&address).into_iter().flatten() {
            who = who.or(table, index);
        }
    }
    // What was known is of an outer packet if the inner address was not: late news are nearer then.
    if matches!(who, Who::Nobody) || own.by_address.contains_key(&address) {
        let endpoints = known
            .and_then(|id| alert.snapshot.scope.address(id))
            .map_or(&[][..], |address| &address.endpoints);
        for &index in endpoints {
            who = who.or(own, index);
        }
    }
    who
}

/// The resources of all layers of both sides whose rule sets hold the rule.
fn resources(alert: &Alert, table: &ScopeTable) -> Vec<u32> {
    let signature = alert.snapshot.rules.signatures.get(alert.signature as usize);
    let rulesets = signature.map_or(u64::MAX, |signature| signature.rulesets);
    let holds = |&resource: &u32| {
        let resource = table.resources.get(resource as usize);
        resource.is_none_or(|resource| resource.mask & rulesets != 0)
    };
    let mut all: Vec<u32> = alert
        .hits
        .sources()
        .chain(alert.hits.destinations())
        .filter_map(|id| alert.snapshot.scope.address(id))
        .flat_map(|address| address.resources.iter().copied())
        .filter(holds)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
