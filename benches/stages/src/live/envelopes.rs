//! The same packets in each envelope beside those in none: two worker loops on one CPU, both with their rings
//! filled before, take turns of four bursts, so that the machine is as fast for the one as for the other.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use dpdk::Eal;
use engine::worker::BURST;
use pollux::bench::Compared;
use rules::ruleset::Ruleset;
use traffic::Envelope;
use traffic::flows::Shape;

use super::Row;
use super::group::{Ground, Group, Place};
use crate::turns::Done;
use crate::{many_flows, port};

/// At most a tenth slower.
const ASKED: f64 = 0.9;

/// Flows at a time.
const FLOWS: u32 = 4_000;

/// Packets of a turn.
const TURN: u64 = 4 * BURST as u64;

/// Turns for which a ring is filled: few enough packets for a core's cache.
const TURNS: u64 = 2;

/// Times that rings are filled before it counts: every flow has gone through a conversation.
const WARM: u64 = FLOWS as u64 * many_flows::CONVERSATION * 5 / 4 / (TURN * TURNS);

/// Times that rings are filled for a sum.
const FILLS: u64 = 32;

/// Sums of a pair of worker loops. Then there are new ones, for memory that lies elsewhere.
const SUMS: usize = 20;

/// Mbufs for two rings, and what workers hold.
const MBUFS: u32 = 4_095;

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
    let [_, envelopes @ ..] = Envelope::ALL;
    let is_wanted = |it: &Envelope| only.is_none_or(|only| it.name().contains(only));
    let mut rows = Vec::new();
    for envelope in envelopes.into_iter().filter(is_wanted) {
        let (mut costs, mut ticks) = (Compared::default(), Compared::default());
        for turn in 1..=turns {
            eprintln!("live: {} beside none, turn {turn} of {turns}", envelope.name());
            pair(eal, rules, envelope, &mut costs, &mut ticks)?;
        }
        let what = format!("inspected in {} beside in none", envelope.name());
        let [high, _, low] = ticks.bounds().map(|ratio| 100.0 / ratio);
        let note = format!("by ticks from receiving to freeing: {low:.1} to {high:.1} %");
        rows.push(Row::of_sums("envelopes", what, "cycles", costs, ASKED).noting(note));
    }
    Ok(rows)
}

/// The sums of two new worker loops: CPU time in cycles of the TSC, and its ticks from before each burst was
/// received until it was freed, a packet.
fn pair(
    eal: &'static Eal,
    rules: &Arc<Ruleset>,
    envelope: Envelope,
    costs: &mut Compared,
    ticks: &mut Compared,
) -> anyhow::Result<()> {
    let ring = u32::try_from(TURN * TURNS)?;
    let port::Wide { port: _open, queues, rings, pool, meta } =
        port::open_wide(eal, 2, ring, MBUFS)?;
    let cpu = dpdk::allowed_cpus().last().copied();
    let mut places = queues.into_iter().zip(rings).map(|(queue, ring)| Place { queue, ring, cpu });
    let ground = Ground { eal, rules, pool: &pool, meta };
    let mut start = |envelope| {
        let place = places.next().context("the port has too few queues")?;
        let shape = Shape { envelope, ..many_flows::shape(FLOWS) };
        Group::start(&ground, vec![place], &shape, TURN)
    };
    let mut sides = [start(envelope)?, start(Envelope::Plain)?];
    let mut go = |fills: u64| -> anyhow::Result<[Done; 2]> {
        let before = [sides[0].done(), sides[1].done()];
        for _ in 0..fills {
            for side in &mut sides {
                side.fill(&ground)?;
            }
            let [one, other] = &sides;
            for turn in 0..TURNS {
                // None of them is always the one who comes after the other.
                let turns = if turn % 2 == 0 { [one, other] } else { [other, one] };
                turns.into_iter().for_each(Group::turn);
            }
        }
        let done = [sides[0].done().since(before[0]), sides[1].done().since(before[1])];
        let packets = done.map(|done| done.packets);
        ensure!(packets == [fills * TURNS * TURN; 2], "{packets:?} packets were taken");
        Ok(done)
    };
    go(WARM)?;
    let hz = eal.tsc_hz() as f64;
    for _ in 0..SUMS {
        let [of, beside] = go(FILLS)?;
        let cycles = |done: Done| done.cpu.as_secs_f64() * hz / done.packets as f64;
        costs.add(cycles(of), cycles(beside));
        ticks.add(of.busy as f64 / of.packets as f64, beside.busy as f64 / beside.packets as f64);
    }
    sides.into_iter().try_for_each(Group::stop)
}
