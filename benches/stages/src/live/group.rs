//! Worker loops that are fed by one generator: their rings are filled while they stand still, then they go, all
//! of them at a time, and each has a CPU of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, ensure};
use dpdk::{Eal, Mempool, MetaField, RingFeeder, RxQueue, SYMMETRIC_KEY};
use engine::scope::Scope;
use engine::spread::{NicSpread, Spread};
use engine::worker::TimeSource;
use engine::{Seat, Snapshot};
use rules::ruleset::Ruleset;
use traffic::flows::Shape;

use crate::many_flows::{self, Source};
use crate::turns::Done;
use crate::worker::{How, Workers};

/// The redirection table.
const TABLE: u16 = 128;

/// What all groups have in common.
#[derive(Debug)]
pub struct Ground<'a> {
    /// DPDK.
    pub eal: &'static Eal,
    /// The workers' rules.
    pub rules: &'a Arc<Ruleset>,
    /// Where mbufs come from.
    pub pool: &'a Mempool,
    /// The packets' metadata.
    pub meta: MetaField,
}

/// A worker's place: what it takes packets from, who fills that, and the CPU.
#[derive(Debug)]
pub struct Place {
    /// Where packets come out.
    pub queue: RxQueue,
    /// Where they go in.
    pub ring: RingFeeder,
    /// The CPU.
    pub cpu: Option<usize>,
}

/// The worker loops, and what feeds them.
#[derive(Debug)]
pub struct Group {
    workers: Workers,
    rings: Vec<RingFeeder>,
    nic: Arc<NicSpread>,
    source: Source,
    clock: Arc<AtomicU64>,
    /// Packets that went in.
    order: u64,
}

impl Group {
    /// One worker in each place; `shape.flows` are for each of them. A turn ends when its ring is empty, or
    /// after `most` packets.
    ///
    /// # Errors
    /// DPDK's, a worker's.
    pub fn start(
        ground: &Ground<'_>,
        places: Vec<Place>,
        shape: &Shape,
        most: u64,
    ) -> anyhow::Result<Self> {
        let count = u16::try_from(places.len())?;
        ensure!(count > 0, "a group has workers");
        let table: Vec<u16> = (0..TABLE).map(|entry| entry % count).collect();
        let nic = Arc::new(NicSpread::new(SYMMETRIC_KEY, &table, 0).context("no table")?);
        let (mut seats, mut rings) = (Vec::new(), Vec::new());
        for Place { queue, ring, cpu } in places {
            // One queue has nothing to spread over.
            let spread = if count > 1 { Spread::Nic(Arc::clone(&nic)) } else { Spread::default() };
            seats.push(Seat { cpu, spread, ..Seat::new(Some(queue), 0) });
            rings.push(ring);
        }
        let (settings, flows) = many_flows::room(shape.flows);
        let rules = Arc::clone(ground.rules);
        let snapshot = Arc::new(Snapshot::new(1, Scope::everything(), rules, settings));
        let clock = Arc::new(AtomicU64::new(0));
        let time = TimeSource::Packets(Arc::clone(&clock), ground.meta);
        let workers = Workers::start(ground.eal, seats, &snapshot, How { flows, time, most })?;
        let shape = Shape { flows: shape.flows * u32::from(count), ..*shape };
        let source = Source::new(&shape).staggered();
        Ok(Self { workers, rings, nic, source, clock, order: 0 })
    }

    /// Fills the rings until the first is full.
    ///
    /// # Errors
    /// There are too few mbufs.
    pub fn fill(&mut self, ground: &Ground<'_>) -> anyhow::Result<()> {
        loop {
            self.source.make();
            let (client, server) = self.source.made().addresses;
            let queue = self.nic.owner(IpAddr::V4(client), IpAddr::V4(server));
            let ring = self.rings.get_mut(queue).context("there is no such queue")?;
            self.order += 1;
            let mbuf = self.source.mbuf(ground.pool, ground.meta, self.order)?;
            ensure!(ring.push(mbuf).is_ok(), "a ring has no room");
            if ring.free_slots() == 0 {
                self.clock.store(self.source.now(), Ordering::Release);
                return Ok(());
            }
        }
    }

    /// Lets them have their turn, all at the same time, and waits for the last one.
    pub fn turn(&self) {
        self.workers.turns().iter().for_each(|turns| turns.release());
        self.workers.turns().iter().for_each(|turns| turns.wait());
    }

    /// What they have done up to their last turn, together.
    pub fn done(&self) -> Done {
        self.workers.turns().iter().map(|turns| turns.done()).sum()
    }

    /// Ends them; every packet must have been inspected.
    ///
    /// # Errors
    /// A worker's; a packet that was not.
    pub fn stop(self) -> anyhow::Result<()> {
        self.clock.store(u64::MAX, Ordering::Release);
        let fates = self.workers.stop()?.fates;
        let order = self.order;
        ensure!(fates == [order, 0, 0], "{order} packets went in, and their fates are {fates:?}");
        Ok(())
    }
}
