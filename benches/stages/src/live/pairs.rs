//! Two workers beside one: rings are filled while they stand still, then both go at the same time. So nothing
//! but the workers has a CPU in what is measured.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use dpdk::{Eal, SYMMETRIC_KEY};
use engine::scope::Scope;
use engine::spread::{NicSpread, Spread};
use engine::worker::TimeSource;
use engine::{Seat, Settings, Snapshot};
use flow::FlowConfig;
use pollux::bench::{Compared, median};
use rules::ruleset::Ruleset;

use super::Row;
use crate::worker::{How, Workers};
use crate::{many_flows, port};

/// At most 5 % more cycles a packet.
const ASKED: f64 = 1.0 / 1.05;

/// Packets that a ring holds.
const RING: u32 = 4_096;

/// Mbufs for two rings, and what workers hold.
const MBUFS: u32 = 16_383;

/// Flows of each worker.
const FLOWS: u32 = 10_000;

/// Times that rings are filled before it counts: every flow has gone through a conversation.
const WARM: usize = 50;

/// Times that count, in a turn.
const ROUNDS: usize = 25;

/// The redirection table.
const TABLE: u16 = 128;

/// The row.
///
/// # Errors
/// DPDK's, the workers'.
pub fn row(eal: &'static Eal, rules: &Arc<Ruleset>, turns: u32) -> anyhow::Result<Row> {
    let mut costs = Compared::default();
    let mut together = Vec::new();
    for turn in 1..=turns {
        eprintln!("live: two workers beside one, turn {turn} of {turns}");
        let one = measure(eal, rules, 1)?;
        let two = measure(eal, rules, 2)?;
        for (two, one) in two.iter().zip(&one) {
            costs.add(two.cycles, one.cycles);
        }
        together.extend(two.iter().map(|round| round.together));
    }
    let what = "two workers beside one, rings filled before";
    let note = format!(
        "the two were at work at the same time for {:.0} % of the time (median)",
        median(&together) * 100.0
    );
    Ok(Row::new("workers", what, "cycles", costs, ASKED).noting(note))
}

/// What came of rings that were filled once.
#[derive(Debug)]
struct Round {
    /// A packet's, of CPU time.
    cycles: f64,
    /// CPU time of the workers as a part of what they could have had meanwhile.
    together: f64,
}

fn measure(eal: &'static Eal, rules: &Arc<Ruleset>, count: usize) -> anyhow::Result<Vec<Round>> {
    let queues = u16::try_from(count)?;
    let mut wide = port::open_wide(eal, queues, RING, MBUFS)?;
    let table: Vec<u16> = (0..TABLE).map(|entry| entry % queues).collect();
    let nic = Arc::new(NicSpread::new(SYMMETRIC_KEY, &table, 0).context("no table")?);
    let cpus = dpdk::allowed_cpus();
    let seats = std::mem::take(&mut wide.queues).into_iter().enumerate().map(|(at, queue)| Seat {
        cpu: cpus.iter().rev().nth(at).copied(),
        spread: Spread::Nic(Arc::clone(&nic)),
        ..Seat::new(Some(queue), 0)
    });
    let snapshot =
        Arc::new(Snapshot::new(1, Scope::everything(), Arc::clone(rules), Settings::default()));
    let clock = Arc::new(AtomicU64::new(0));
    let time = TimeSource::Packets(Arc::clone(&clock), wide.meta);
    let how = How { flows: FlowConfig::default(), time, most: u64::MAX };
    let workers = Workers::start(eal, seats.collect(), &snapshot, how)?;
    let mut source = many_flows::Source::new(&many_flows::shape(FLOWS * u32::from(queues)));
    let mut order = 0;
    let mut rounds = Vec::new();
    for round in 0..WARM + ROUNDS {
        fill(&mut wide, &nic, &mut source, &mut order)?;
        clock.store(source.now(), Ordering::Release);
        let before: Vec<_> = workers.turns().iter().map(|turns| turns.done()).collect();
        let begin = Instant::now();
        workers.turns().iter().for_each(|turns| turns.release());
        workers.turns().iter().for_each(|turns| turns.wait());
        let passed = begin.elapsed();
        let done = workers.turns().iter().zip(before).map(|(turns, it)| turns.done().since(it));
        let (cpu, packets) = done.fold((Duration::ZERO, 0), |(cpu, packets), done| {
            (cpu + done.cpu, packets + done.packets)
        });
        ensure!(packets > 0, "a worker has given up");
        if round >= WARM {
            rounds.push(Round {
                cycles: cpu.as_secs_f64() * eal.tsc_hz() as f64 / packets as f64,
                together: cpu.as_secs_f64() / (passed.as_secs_f64() * count as f64),
            });
        }
    }
    clock.store(u64::MAX, Ordering::Release);
    let stopped = workers.stop()?;
    ensure!(
        stopped.fates == [order, 0, 0],
        "{order} packets went in, and their fates are {:?}",
        stopped.fates
    );
    Ok(rounds)
}

/// Fills the rings until the first is full.
fn fill(
    wide: &mut port::Wide,
    nic: &NicSpread,
    source: &mut many_flows::Source,
    order: &mut u64,
) -> anyhow::Result<()> {
    loop {
        source.make();
        let (client, server) = source.made().addresses;
        let queue = nic.owner(IpAddr::V4(client), IpAddr::V4(server));
        let ring = wide.rings.get_mut(queue).context("there is no such queue")?;
        *order += 1;
        let mbuf = source.mbuf(&wide.pool, wide.meta, *order)?;
        ensure!(ring.push(mbuf).is_ok(), "a ring has no room");
        if ring.free_slots() == 0 {
            return Ok(());
        }
    }
}
