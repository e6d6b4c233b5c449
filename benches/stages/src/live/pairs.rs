//! Two workers beside one: rings are filled while they stand still, then both go at the same time. So nothing
//! but the workers has a CPU in what is measured. Each of the CPUs also has a worker that goes alone, and the
//! three take turns of milliseconds, so that the machine is as fast for the one side as for the other.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use dpdk::Eal;
use pollux::bench::{Compared, median};
use rules::ruleset::Ruleset;

use super::Row;
use super::group::{Ground, Group, Place};
use crate::turns::Done;
use crate::{many_flows, port};

/// At most 5 % more cycles a packet.
const ASKED: f64 = 1.0 / 1.05;

/// Packets that a ring holds, as many as a NIC's queue often does.
const RING: u32 = 1_024;

/// Mbufs for four rings, and what workers hold.
const MBUFS: u32 = 8_191;

/// Flows of each worker.
const FLOWS: u32 = 10_000;

/// Times that rings are filled before it counts: every flow has gone through a conversation.
const WARM: u64 = FLOWS as u64 * many_flows::CONVERSATION * 5 / 4 / RING as u64;

/// Times that rings are filled for a sum.
const FILLS: u64 = 16;

/// Sums of workers. Then there are new ones, for memory that lies elsewhere.
const SUMS: usize = 20;

/// CPUs, and workers at a time.
const WORKERS: usize = 2;

/// The row.
///
/// # Errors
/// DPDK's, the workers'; a machine of one CPU.
pub fn row(eal: &'static Eal, rules: &Arc<Ruleset>, turns: u32) -> anyhow::Result<Row> {
    let mut costs = Compared::default();
    let mut together = Vec::new();
    for turn in 1..=turns {
        eprintln!("live: two workers beside one, turn {turn} of {turns}");
        measure(eal, rules, &mut costs, &mut together)?;
    }
    let what = "two workers beside one, rings filled before";
    let note = format!(
        "the two were at work at the same time for {:.0} % of the time (median)",
        median(&together) * 100.0
    );
    Ok(Row::of_sums("workers", what, "cycles", costs, ASKED).noting(note))
}

/// The sums of new workers: CPU time in cycles of the TSC a packet; and how much of the time that both could
/// have had they were at work.
fn measure(
    eal: &'static Eal,
    rules: &Arc<Ruleset>,
    costs: &mut Compared,
    together: &mut Vec<f64>,
) -> anyhow::Result<()> {
    let port::Wide { port: _open, queues, rings, pool, meta } =
        port::open_wide(eal, 2 * WORKERS as u16, RING, MBUFS)?;
    let cpus = dpdk::allowed_cpus();
    let cpus = cpus.last_chunk::<WORKERS>().context("two workers need two CPUs")?;
    let place = |((queue, ring), cpu): (_, &usize)| Place { queue, ring, cpu: Some(*cpu) };
    let mut places = queues.into_iter().zip(rings).zip(cpus.iter().cycle()).map(place);
    let ground = Ground { eal, rules, pool: &pool, meta };
    let shape = many_flows::shape(FLOWS);
    let mut start = |count| {
        let places: Vec<_> = places.by_ref().take(count).collect();
        ensure!(places.len() == count, "the port has too few queues");
        Group::start(&ground, places, &shape, u64::MAX)
    };
    let mut alone = [start(1)?, start(1)?];
    let mut both = start(WORKERS)?;
    let hz = eal.tsc_hz() as f64;
    let of_all = |groups: &[Group]| groups.iter().map(Group::done).sum::<Done>();
    let mut go = |fills: u64| -> anyhow::Result<([f64; 2], f64)> {
        let before = [of_all(&alone), both.done()];
        let mut passed = 0.0;
        for _ in 0..fills {
            for group in &mut alone {
                group.fill(&ground)?;
                group.turn();
            }
            both.fill(&ground)?;
            let begin = Instant::now();
            both.turn();
            passed += begin.elapsed().as_secs_f64();
        }
        let [of, beside] = [both.done().since(before[1]), of_all(&alone).since(before[0])];
        ensure!(of.packets > 0 && beside.packets > 0, "a worker has given up");
        let cycles = [of, beside].map(|done| done.cpu.as_secs_f64() * hz / done.packets as f64);
        Ok((cycles, of.cpu.as_secs_f64() / (passed * WORKERS as f64)))
    };
    go(WARM)?;
    for _ in 0..SUMS {
        let ([of, beside], at_once) = go(FILLS)?;
        costs.add(of, beside);
        together.push(at_once);
    }
    alone.into_iter().try_for_each(Group::stop)?;
    both.stop()
}
