//! What the control side says of itself once a second, for those who ask over HTTP.

use crate::output::ledger::Ledger;

/// How things are.
#[derive(Debug, Clone, Default)]
pub struct Sample {
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
    /// Alerts by namespace and name of the resource.
    pub alerts_by_resource: Vec<(String, String, u64)>,
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

/// The rules in force.
#[derive(Debug, Clone, Default)]
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
#[derive(Debug, Clone, Default)]
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
#[derive(Debug, Clone, Copy, Default)]
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
