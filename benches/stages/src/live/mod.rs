//! What a live sensor's speed is measured by: ratios, each of turns within one run, of a port beside DPDK's
//! own receiver, of two workers beside one, of envelopes, of changes, of many flows.

pub mod changes;
pub mod envelopes;
pub mod net;
pub mod pairs;
pub mod ports;
pub mod receive;
pub mod testpmd;

use std::fmt;

use pollux::bench::Compared;
use serde::Serialize;

/// How two costs compare, and what was asked for.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What of.
    pub part: &'static str,
    /// What, and beside what.
    pub what: String,
    /// What costs are counted in, for a packet.
    pub unit: &'static str,
    /// The costs.
    pub costs: Compared,
    /// The least that the rate is to be, as a part of the rate of what stands beside.
    pub asked: f64,
    /// Whether it is, by the least turns.
    pub met: bool,
    /// What else was seen.
    pub note: String,
}

impl Row {
    /// A row.
    pub fn new(
        part: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        costs: Compared,
        asked: f64,
    ) -> Self {
        let met = costs.least().recip() >= asked;
        Self { part, what: what.into(), unit, costs, asked, met, note: String::new() }
    }

    /// With what else was seen.
    #[must_use]
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, beside) = self.costs.costs();
        write!(
            f,
            "{:<10} {:<52} {:>7.1} {:>7.1} {:<6} {:>5.1} % {:>5.1} %  {:>4.1} %  {}",
            self.part,
            self.what,
            of,
            beside,
            self.unit,
            100.0 / self.costs.least(),
            100.0 / self.costs.median(),
            self.asked * 100.0,
            if self.met { "yes" } else { "NO" }
        )?;
        if !self.note.is_empty() {
            write!(f, "\n{:<10}   {}", "", self.note)?;
        }
        Ok(())
    }
}

/// The line above rows.
pub fn heading() -> String {
    format!(
        "{:<10} {:<52} {:>7} {:>7} {:<6} {:>7} {:>7}  {:>6}  {}",
        "part", "what beside what", "of", "beside", "unit", "rate", "median", "asked", "met"
    )
}
