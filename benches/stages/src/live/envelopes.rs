//! The same packets in each envelope beside those in none.

use std::sync::Arc;

use dpdk::Eal;
use pollux::bench::Compared;
use rules::ruleset::Ruleset;
use traffic::Envelope;
use traffic::flows::Shape;

use super::Row;
use crate::many_flows;

/// At most a tenth slower.
const ASKED: f64 = 0.9;

/// Flows at a time.
const FLOWS: u32 = 4_000;

/// Packets that count, in a turn.
const PACKETS: u64 = 200_000;

/// A row for each envelope, of those whose name has `only` in it.
///
/// # Errors
/// DPDK's, the worker's.
pub fn rows(
    eal: &'static Eal,
    rules: &Arc<Ruleset>,
    turns: u32,
    only: Option<&str>,
) -> anyhow::Result<Vec<Row>> {
    let [plain, envelopes @ ..] = Envelope::ALL;
    let is_wanted = |it: &Envelope| only.is_none_or(|only| it.name().contains(only));
    let envelopes: Vec<_> = envelopes.into_iter().filter(is_wanted).collect();
    let mut costs = vec![Compared::default(); envelopes.len()];
    for turn in 1..=turns {
        eprintln!("live: envelopes, turn {turn} of {turns}");
        let ns = |envelope| -> anyhow::Result<f64> {
            let shape = Shape { envelope, ..many_flows::shape(FLOWS) };
            Ok(many_flows::settled(eal, rules, &shape, PACKETS)?.ns())
        };
        let beside = ns(plain)?;
        for (&envelope, costs) in envelopes.iter().zip(&mut costs) {
            costs.add(ns(envelope)?, beside);
        }
    }
    let row = |(envelope, costs): (Envelope, Compared)| {
        let what = format!("inspected in {} beside in none", envelope.name());
        Row::new("envelopes", what, "ns", costs, ASKED)
    };
    Ok(envelopes.into_iter().zip(costs).map(row).collect())
}
