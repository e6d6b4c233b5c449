//! What the ledger tells of flows that NICs drop. Their packets are never received: they are no part of
//! what is balanced.

use std::collections::BTreeMap;

use dpdk::{FlowError, RuleScope};
use serde::{Deserialize, Serialize};

/// Flows that NICs drop, over all ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BypassLedger {
    /// Flows that are dropped now.
    pub flows: u64,
    /// How often a flow was begun to be dropped.
    pub begun: u64,
    /// How often one was received again, by reason: `eased` (pressure), `idle`, `life` (of the rule),
    /// `stopped` (the sensor); only reasons that occurred.
    pub ended: BTreeMap<String, u64>,
    /// Requests of cores that came while as many flows were dropped as may be.
    pub beyond_limit: u64,
    /// Requests of cores that found no room in their rings.
    pub requests_lost: u64,
}

/// What a port's NIC can drop, and has dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortBypass {
    /// Why it can drop no flows; null: it can.
    pub refusal: Option<String>,
    /// Its driver leaves SYN, FIN and RST of flows that are dropped to be received.
    pub keeps_ends: bool,
    /// Rules in force, one for each direction of a flow.
    pub rules: u64,
    /// Rules made.
    pub made: u64,
    /// Rules that it refused.
    pub refused: u64,
    /// Rules that it did not take away when told to.
    pub stuck: u64,
    /// Packets dropped, as it counts them; null: its driver does not.
    pub packets: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
}

impl PortBypass {
    /// A port that was asked what it can.
    pub(super) fn of(answer: Result<RuleScope, &FlowError>) -> Self {
        match answer {
            Ok(scope) => {
                let counted = scope.counted.then_some(0);
                let keeps_ends = scope.keeps_ends;
                Self { keeps_ends, packets: counted, bytes: counted, ..Self::default() }
            }
            Err(error) => Self { refusal: Some(error.to_string()), ..Self::default() },
        }
    }
}

/// What NICs dropped of a resource's traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bypassed {
    /// How often a flow was begun to be dropped.
    #[serde(rename = "bypassed_flows")]
    pub flows: u64,
    /// Packets dropped, as far as drivers count them.
    #[serde(rename = "bypassed_packets")]
    pub packets: u64,
    /// Their bytes.
    #[serde(rename = "bypassed_bytes")]
    pub bytes: u64,
}
