//! The same packets in each envelope beside those in none: two worker loops on one CPU, both with their rings
//! filled before, take turns of four bursts, so that the machine is as fast for the one as for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, ensure};
use dpdk::{Eal, Mempool, MetaField, RingFeeder, RxQueue};
use engine::scope::Scope;
use engine::worker::{BURST, TimeSource};
use engine::{Seat, Snapshot};
use pollux::bench::Compared;
use rules::ruleset::Ruleset;
use traffic::Envelope;
use traffic::flows::Shape;

use super::Row;
use crate::turns::Done;
use crate::worker::{How, Workers};
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
        let [high, _, low] = ticks.quartiles().map(|ratio| 100.0 / ratio);
        let note = format!("by ticks from receiving to freeing: {low:.1} to {high:.1} %");
        rows.push(Row::of_sums("envelopes", what, "cycles", costs, ASKED).noting(note));
    }
    Ok(rows)
}

/// A worker loop, and what feeds it.
struct Side {
    workers: Workers,
    ring: RingFeeder,
    source: many_flows::Source,
    clock: Arc<AtomicU64>,
    /// Packets that went in.
    order: u64,
}

impl Side {
    fn start(
        eal: &'static Eal,
        rules: &Arc<Ruleset>,
        envelope: Envelope,
        (queue, ring): (RxQueue, RingFeeder),
        meta: MetaField,
    ) -> anyhow::Result<Self> {
        let shape = Shape { envelope, ..many_flows::shape(FLOWS) };
        let (settings, flows) = many_flows::room(FLOWS);
        let snapshot = Snapshot::new(1, Scope::everything(), Arc::clone(rules), settings);
        let clock = Arc::new(AtomicU64::new(0));
        let time = TimeSource::Packets(Arc::clone(&clock), meta);
        let cpu = dpdk::allowed_cpus().last().copied();
        let seats = vec![Seat { cpu, ..Seat::new(Some(queue), 0) }];
        let how = How { flows, time, most: TURN };
        let workers = Workers::start(eal, seats, &Arc::new(snapshot), how)?;
        let source = many_flows::Source::new(&shape).staggered();
        Ok(Self { workers, ring, source, clock, order: 0 })
    }

    /// Puts the packets of a few turns into the ring.
    fn fill(&mut self, pool: &Mempool, meta: MetaField) -> anyhow::Result<()> {
        for _ in 0..TURN * TURNS {
            self.source.make();
            self.order += 1;
            let mbuf = self.source.mbuf(pool, meta, self.order)?;
            ensure!(self.ring.push(mbuf).is_ok(), "a ring has no room");
        }
        self.clock.store(self.source.now(), Ordering::Release);
        Ok(())
    }

    /// Lets it take the packets of a turn.
    fn turn(&self) {
        self.workers.turns().iter().for_each(|turns| turns.worker_next());
    }

    /// What it has done.
    fn done(&self) -> anyhow::Result<Done> {
        Ok(self.workers.turns().first().context("there is no worker")?.done())
    }

    /// Ends it; every packet must have been inspected.
    fn stop(self) -> anyhow::Result<()> {
        self.clock.store(u64::MAX, Ordering::Release);
        let fates = self.workers.stop()?.fates;
        let order = self.order;
        ensure!(fates == [order, 0, 0], "{order} packets went in, and their fates are {fates:?}");
        Ok(())
    }
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
    let mut ends = queues.into_iter().zip(rings);
    let mut start = |envelope| {
        let ends = ends.next().context("the port has too few queues")?;
        Side::start(eal, rules, envelope, ends, meta)
    };
    let mut sides = [start(envelope)?, start(Envelope::Plain)?];
    let mut go = |fills: u64| -> anyhow::Result<[Done; 2]> {
        let before = [sides[0].done()?, sides[1].done()?];
        for _ in 0..fills {
            for side in &mut sides {
                side.fill(&pool, meta)?;
            }
            let [one, other] = &sides;
            for turn in 0..TURNS {
                // None of them is always the one who comes after the other.
                let turns = if turn % 2 == 0 { [one, other] } else { [other, one] };
                turns.into_iter().for_each(Side::turn);
            }
        }
        let done = [sides[0].done()?.since(before[0]), sides[1].done()?.since(before[1])];
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
    sides.into_iter().try_for_each(Side::stop)
}
