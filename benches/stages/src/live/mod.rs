//! What a live sensor's speed is measured by: ratios, each of turns within one run, of a port beside DPDK's
//! own receiver, of two workers beside one, of envelopes, of changes, of many flows.

pub mod changes;
pub mod envelopes;
pub mod group;
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
    /// Whether it is: by the least turns, or wherever between the bounds that `spread` tells of the median lies.
    pub met: bool,
    /// Whether what was seen is enough to say so.
    pub decided: bool,
    /// Of costs that are sums of many short turns, how much they differ.
    pub spread: Option<Spread>,
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
        let (what, note) = (what.into(), String::new());
        Self { part, what, unit, costs, asked, met, decided: true, spread: None, note }
    }

    /// A row whose costs are sums of so many short turns that the machine was as fast for the one side as for
    /// the other: all of them count, and where what is asked for lies between the bounds of their median, nothing is
    /// decided.
    pub fn of_sums(
        part: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        costs: Compared,
        asked: f64,
    ) -> Self {
        let spread = Spread::of(&costs);
        let [low, _, high] = spread.bounds;
        let (met, decided) = (low >= asked, low >= asked || high < asked);
        Self { met, decided, spread: Some(spread), ..Self::new(part, what, unit, costs, asked) }
    }

    /// With what else was seen.
    #[must_use]
    pub fn noting(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// How much sums of costs differ, as rates: parts of the rate of what stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// By all sums together.
    pub rate: f64,
    /// The median, sum by sum, between where that of many more sums lies, in 95 cases of 100.
    pub bounds: [f64; 3],
    /// How many sums.
    pub sums: usize,
}

impl Spread {
    fn of(costs: &Compared) -> Self {
        let (of, beside) = costs.means();
        let [low, middle, high] = costs.bounds();
        let bounds = [high, middle, low].map(f64::recip);
        Self { rate: beside / of, bounds, sums: costs.turns() }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((of, beside), rate, median) = match &self.spread {
            Some(spread) => (self.costs.means(), spread.rate, spread.bounds[1]),
            None => (self.costs.costs(), 1.0 / self.costs.least(), 1.0 / self.costs.median()),
        };
        write!(
            f,
            "{:<10} {:<52} {:>7.1} {:>7.1} {:<6} {:>5.1} % {:>5.1} %  {:>4.1} %  {}",
            self.part,
            self.what,
            of,
            beside,
            self.unit,
            100.0 * rate,
            100.0 * median,
            self.asked * 100.0,
            match (self.decided, self.met) {
                (false, _) => "not decided",
                (true, true) => "yes",
                (true, false) => "NO",
            }
        )?;
        if let Some(Spread { bounds: [low, _, high], sums, .. }) = self.spread {
            let (low, high) = (100.0 * low, 100.0 * high);
            write!(f, "\n{:<10}   by {sums} sums the median is from {low:.1} to {high:.1} %", "")?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ratios: &[f64]) -> Row {
        let mut costs = Compared::default();
        for (turn, ratio) in ratios.iter().enumerate() {
            let speed = 1_000.0 * (1.0 + turn as f64);
            costs.add(ratio * speed, speed);
        }
        Row::of_sums("part", "one beside another", "cycles", costs, 0.9)
    }

    #[test]
    fn what_the_median_s_bounds_agree_on_is_decided_and_nothing_else() {
        let told = |ratios: &[f64]| {
            let row = row(ratios);
            (row.decided, row.met)
        };
        assert_eq!(told(&[1.05, 1.04, 1.05, 1.06, 1.10]), (true, true));
        assert_eq!(told(&[1.20, 1.14, 1.18, 1.19, 1.21]), (true, false));
        assert_eq!(told(&[1.05, 1.04, 1.15, 1.16, 1.10]), (false, false));
    }

    #[test]
    fn a_row_of_sums_tells_the_rate_of_all_and_how_sure_it_is() {
        let row = row(&[1.25, 1.25, 1.25, 1.0, 1.25]);
        let spread = row.spread.expect("a row of sums");
        assert!((spread.rate - 15.0 / 17.75).abs() < 1e-9, "{spread:?}");
        assert_eq!((spread.bounds, spread.sums), ([0.8, 0.8, 1.0], 5));
        let text = row.to_string();
        assert!(text.contains(" 84.5 %  80.0 %  90.0 %  not decided"), "{text}");
        assert!(text.ends_with("by 5 sums the median is from 80.0 to 100.0 %"), "{text}");
    }
}
