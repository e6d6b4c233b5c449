//! What became of each resource's traffic beside being inspected.

use std::collections::BTreeMap;

use crate::bypass::ledger::Bypassed;
use engine::tally::Tally;
use serde::{Deserialize, Serialize};

/// What a resource lost, or could not have inspected whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLedger {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The counts.
    #[serde(flatten)]
    pub tally: Tally,
    /// What NICs were told to drop of it.
    #[serde(flatten)]
    pub bypassed: Bypassed,
}

impl ResourceLedger {
    /// All, by namespace and name.
    pub(crate) fn all(tallies: &BTreeMap<(String, String), Tally>) -> Vec<Self> {
        let of = |((namespace, name), tally): (&(String, String), &Tally)| Self {
            namespace: namespace.clone(),
            name: name.clone(),
            tally: *tally,
            bypassed: Bypassed::default(),
        };
        tallies.iter().map(of).collect()
    }
}
