//! What the control side says of itself once a second: over HTTP as metrics, over the local socket as it is.

use serde::{Deserialize, Serialize};

use crate::output::ledger::Ledger;
use crate::output::totals::AlertTotals;

/// Signatures that a sample names at the most.
const SIGNATURES: usize = 1000;

/// How things are. On the local socket each is a line of JSON; fields may be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// When, in nanoseconds since 1970.
    pub time_ns: u64,
    /// The node's name.
    pub node: String,
    /// The sensor's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The ledger.
    pub ledger: Ledger,
    /// The newest generation.
    pub generation: u64,
    /// Whether every core has it.
    pub acknowledged: bool,
    /// The generation of each worker, by port and place.
    pub workers: Vec<(String, u64)>,
    /// The source has not told everything yet.
    pub is_loading: bool,
    /// DeepPacketInspections, those with an error of their own, and endpoints.
    pub resources: usize,
    /// Resources with an error of their own.
    pub resource_errors: usize,
    /// Endpoints.
    pub endpoints: usize,
    /// Alerts by resource, sorted by its name.
    pub alerts_by_resource: Vec<ResourceAlerts>,
    /// Alerts by signature, the most frequent first.
    pub alerts_by_signature: Vec<SignatureAlerts>,
    /// Sides of alerts that could be more than one pod.
    pub ambiguous_sides: u64,
    /// The rules in force.
    pub rules: RulesSample,
    /// Conditions of the sensor as a whole.
    pub conditions: Vec<String>,
    /// One of them keeps traffic from being inspected.
    pub is_stopped: bool,
    /// Ports with their links, where known.
    pub ports: Vec<(String, Option<bool>)>,
    /// The cluster's watches.
    pub watches: Vec<WatchSample>,
    /// What came of writing status to the cluster.
    pub status: Option<StatusSample>,
    /// Seconds that the newest generation took to build and to reach every core.
    pub build_seconds: f64,
    /// See [`Sample::build_seconds`].
    pub publish_seconds: f64,
}

/// Alerts of a DeepPacketInspection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAlerts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub alerts: u64,
}

/// Alerts of a signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureAlerts {
    /// Generator id.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// 1 is the gravest.
    pub severity: u32,
    /// Its message.
    pub msg: String,
    /// Alerts raised.
    pub alerts: u64,
    /// Those of them that are not written.
    pub lost: u64,
}

impl SignatureAlerts {
    /// Of the most frequent signatures.
    pub(crate) fn all(totals: &AlertTotals) -> Vec<Self> {
        let signatures = totals.signatures().into_iter().take(SIGNATURES);
        let of = |it: &crate::output::totals::SignatureTotal| Self {
            gid: it.gid,
            sid: it.sid,
            severity: it.severity,
            msg: it.msg.to_string(),
            alerts: it.count,
            lost: it.lost,
        };
        signatures.map(of).collect()
    }
}

/// The rules in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RulesSample {
    /// Rules that are loaded.
    pub loaded: usize,
    /// Rules that do not load.
    pub rejected: usize,
    /// Seconds that their compilation took.
    pub build_seconds: f64,
    /// Bytes of their databases.
    pub database_bytes: usize,
}

/// A watch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchSample {
    /// What is watched.
    pub name: String,
    /// Its first list is complete.
    pub listed: bool,
    /// Nothing is wrong with it now.
    pub up: bool,
    /// Objects that it has told of.
    pub events: u64,
    /// Lists that it has begun.
    pub lists: u64,
    /// Failures.
    pub failures: u64,
}

/// What came of writing status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusSample {
    /// Written.
    pub writes: u64,
    /// Refused for a newer version, and tried again.
    pub conflicts: u64,
    /// Failed otherwise.
    pub failures: u64,
    /// Found to be so already.
    pub unchanged: u64,
    /// Not yet what they should be.
    pub behind: u64,
}

impl Sample {
    /// Does the sensor inspect what it is to inspect? Else why not.
    ///
    /// # Errors
    /// The reasons.
    pub fn readiness(&self) -> Result<(), String> {
        if self.is_loading {
            let waiting: Vec<&str> = self
                .watches
                .iter()
                .filter(|watch| !watch.listed)
                .map(|watch| watch.name.as_str())
                .collect();
            return Err(format!("waiting for the cluster to list {}", waiting.join(", ")));
        }
        if !self.acknowledged {
            return Err(format!("generation {} is not on every core yet", self.generation));
        }
        if self.is_stopped {
            return Err(self.conditions.join("\n"));
        }
        Ok(())
    }
}
