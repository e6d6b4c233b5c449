//! What became of the alerts: raised, written, lost and why; by signature, pod and resource.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use api::ScopeTable;
use engine::counters::Counters;
use engine::tally::{GenerationTallies, Tally};
use rules::signature::Signature;

use super::names::Identity;

/// Pods that are told apart under one signature; those after them are counted together.
const PODS_PER_SIGNATURE: usize = 64;

/// Resources that are told apart.
const RESOURCES: usize = 65_536;

/// Why an alert that was raised is not in eve.json. The order is that of [`Loss::name`]s in the
/// ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// A core's alert ring was full.
    RingFull,
    /// A packet matched more signatures than it may raise alerts (`packet-alert-max`).
    PacketAlertMax,
    /// The file could not be written to.
    WriteError,
    /// The alert's signature is not in its generation, or could not be put into JSON.
    Unreadable,
    /// Its signature, or its signature in its flow, had its alerts of that second.
    RateLimit,
}

impl Loss {
    /// All.
    pub const ALL: [Self; 5] =
        [Self::RingFull, Self::PacketAlertMax, Self::WriteError, Self::Unreadable, Self::RateLimit];

    /// The name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::PacketAlertMax => "packet_alert_max",
            Self::WriteError => "write_error",
            Self::Unreadable => "unreadable",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// Alerts of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureTotal {
    /// Generator id.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// 1 is the gravest.
    pub severity: u32,
    /// Its message.
    pub msg: Arc<str>,
    /// How many alerts it raised.
    pub count: u64,
    /// How many of them the writer could or might not write.
    pub lost: u64,
    /// Alerts by pod; one with two known ends counts for both.
    pub pods: NameCounts,
}

/// All alerts of a run.
#[derive(Debug, Clone, Default)]
pub struct AlertTotals {
    /// Matches to be reported, after thresholds, and tagged packets, whose fate is known: `written`
    /// and everything in `lost`.
    pub raised: u64,
    /// Matches to be reported that are still with the writer; none once it has finished.
    pub waiting: u64,
    /// Lines in eve.json, of this run.
    pub written: u64,
    /// Raised but not written, by [`Loss`] as index.
    lost: [u64; Loss::ALL.len()],
    /// Matches that a rule's own threshold held back: no alerts.
    pub thresholded: u64,
    /// Threshold counts that were forgotten for want of room.
    pub thresholds_forgotten: u64,
    /// Sides of alerts that could be more than one pod and so carry none.
    pub ambiguous_sides: u64,
    /// Alerts of a generation that nobody gave names for.
    pub unnamed: u64,
    /// Bytes of a torn last line that were cut off eve.json at the start.
    pub mended_bytes: u64,
    /// Failed attempts to write.
    pub write_errors: u64,
    /// The text of the latest failure.
    pub last_error: Option<String>,
    /// When the last line was written.
    pub last_written: Option<Instant>,
    /// Rules that cores set aside for a while, by gid and sid, and how often.
    pub set_aside: BTreeMap<(u32, u32), u64>,
    /// What the cores lost before the writer saw it, by gid and sid, as far as they tell it apart.
    pub lost_by_cores: BTreeMap<(u32, u32), u64>,
    /// What became of resources' traffic, by namespace and name.
    pub tallies: BTreeMap<(String, String), Tally>,
    signatures: HashMap<(u32, u32), SignatureTotal>,
    resources: NameCounts,
}

impl Default for NameCounts {
    fn default() -> Self {
        Self::new(RESOURCES)
    }
}

impl AlertTotals {
    /// How many were lost for this reason.
    pub fn lost(&self, loss: Loss) -> u64 {
        self.lost.get(loss as usize).copied().unwrap_or(0)
    }

    /// How many were lost.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// Signatures that raised alerts, the most frequent first.
    pub fn signatures(&self) -> Vec<&SignatureTotal> {
        let mut all: Vec<_> = self.signatures.values().collect();
        all.sort_by_key(|it| (std::cmp::Reverse(it.count), it.gid, it.sid));
        all
    }

    /// Losses by gid and sid, wherever they happened, as far as the signature is known.
    pub fn lost_by_signature(&self) -> BTreeMap<(u32, u32), u64> {
        let mut all = self.lost_by_cores.clone();
        for total in self.signatures.values().filter(|total| total.lost > 0) {
            *all.entry((total.gid, total.sid)).or_default() += total.lost;
        }
        all
    }

    /// Alerts by resource: namespace, name, count; sorted by name.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.resources.iter()
    }

    /// Adds what cores have told of resources, of the generation that this is the table of.
    pub(crate) fn tally(&mut self, tallies: &GenerationTallies, table: &ScopeTable) {
        for (resource, tally) in table.resources.iter().zip(&tallies.resources) {
            let key = (resource.namespace.to_string(), resource.name.to_string());
            if *tally != Tally::default()
                && (self.tallies.len() < RESOURCES || self.tallies.contains_key(&key))
            {
                self.tallies.entry(key).or_default().add(tally);
            }
        }
    }

    /// Counts losses.
    pub(crate) fn lose(&mut self, loss: Loss, n: u64) {
        if let Some(count) = self.lost.get_mut(loss as usize) {
            *count += n;
        }
    }

    /// Counts the loss of an alert that was raised, with its signature.
    pub(crate) fn lose_of(&mut self, loss: Loss, signature: Option<&Signature>) {
        self.lose(loss, 1);
        let key = signature.map(|signature| (signature.gid, signature.sid));
        if let Some(total) = key.and_then(|key| self.signatures.get_mut(&key)) {
            total.lost += 1;
        }
    }

    /// Counts an alert that passed its threshold.
    pub(crate) fn raise(&mut self, signature: &Signature) {
        self.raised += 1;
        let total = self.signatures.entry((signature.gid, signature.sid)).or_insert_with(|| {
            SignatureTotal {
                gid: signature.gid,
                sid: signature.sid,
                severity: signature.priority,
                msg: Arc::clone(&signature.msg),
                count: 0,
                lost: 0,
                pods: NameCounts::new(PODS_PER_SIGNATURE),
            }
        });
        total.count += 1;
    }

    /// Counts whom the alert is about.
    pub(crate) fn identified(&mut self, signature: &Signature, identity: &Identity) {
        self.ambiguous_sides += u64::from(identity.ambiguous);
        self.unnamed += u64::from(identity.unknown_generation);
        if let Some(total) = self.signatures.get_mut(&(signature.gid, signature.sid)) {
            for named in identity.source.iter().chain(&identity.destination) {
                let Some(pod) = named.endpoint() else { continue };
                total.pods.count(&pod.namespace, &pod.pod);
            }
        }
        for resource in identity.resources() {
            self.resources.count(&resource.namespace, &resource.name);
        }
    }

    /// Adds what the cores lost before the writer saw it: both raised and lost.
    pub(crate) fn add_ring_losses(&mut self, ledgers: &[Arc<Counters>]) {
        let sum = |counter: fn(&Counters) -> u64| ledgers.iter().map(|it| counter(it)).sum::<u64>();
        let full = sum(|counters| counters.alerts_lost.get());
        let over = sum(|counters| counters.alerts_over_limit.get());
        self.lose(Loss::RingFull, full);
        self.lose(Loss::PacketAlertMax, over);
        self.raised += full + over;
        for (gid, sid, n) in ledgers.iter().flat_map(|ledger| ledger.alerts_lost_of.iter()) {
            *self.lost_by_cores.entry((gid, sid)).or_default() += n;
        }
    }
}

/// Counts by namespace and name, for so many names at the most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCounts {
    names: BTreeMap<String, BTreeMap<String, u64>>,
    known: usize,
    capacity: usize,
    others: u64,
}

impl NameCounts {
    /// Counts for the first `capacity` names; those after them are counted together.
    pub fn new(capacity: usize) -> Self {
        Self { names: BTreeMap::new(), known: 0, capacity, others: 0 }
    }

    /// Counts one. Allocates for a new name only.
    pub fn count(&mut self, namespace: &str, name: &str) {
        let counted = self.names.get_mut(namespace).and_then(|names| names.get_mut(name));
        if let Some(count) = counted {
            *count += 1;
        } else if self.known < self.capacity {
            self.known += 1;
            let names = self.names.entry(namespace.to_owned()).or_default();
            names.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Namespace, name, count; sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.names.iter().flat_map(|(namespace, names)| {
            names.iter().map(|(name, &n)| (namespace.as_str(), name.as_str(), n))
        })
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.known
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }

    /// What was counted for names that found no place.
    pub fn others(&self) -> u64 {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_capacity_are_counted_together() {
        let mut counts = NameCounts::new(2);
        for name in ["b", "a", "b", "c", "d", "a"] {
            counts.count("ns", name);
        }
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("ns", "a", 2), ("ns", "b", 2)]);
        assert_eq!((counts.len(), counts.others()), (2, 2));
    }

    #[test]
    fn the_most_frequent_signature_comes_first() {
        let mut totals = AlertTotals::default();
        for (sid, n) in [(5, 1), (7, 3), (6, 3)] {
            let signature = crate::output::testing::signature(sid);
            (0..n).for_each(|_| totals.raise(&signature));
        }
        let sids: Vec<_> = totals.signatures().iter().map(|it| (it.sid, it.count)).collect();
        assert_eq!(sids, [(6, 3), (7, 3), (5, 1)]);
        assert_eq!(totals.raised, 7);
    }
}
