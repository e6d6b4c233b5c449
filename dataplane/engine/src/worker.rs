//! The worker loop: one thread pinned to one core, one queue of a DPDK port. Live capture, replay,
//! tests and benches all run this loop.

mod burst;
mod look;
mod time;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dpdk::{Burst, Eal, Mbuf, PacketMeta, RxQueue};
use lanes::Avx2;
use rtrb::Producer;
use wire::{LinkType, Nanos};

pub use self::time::{META_IGNORE_CHECKSUMS, TimeSource, TscClock};
use crate::ahead::LANES;
use crate::bypass::Elephant;
use crate::counters::{Counters, Drop};
use crate::emit::{Emitter, WhenFull};
use crate::handover::{Exchange, Parcel};
use crate::mailbox::Receiver;
use crate::pipeline::{Core, CoreConfig};
use crate::pressure::Pressure;
use crate::profile::Profile;

/// Packets of one burst.
pub const BURST: usize = 64;

/// Packets that a worker still takes once it is told to stop, if its queue does not run empty.
const LAST_PACKETS: usize = 1 << 16;

/// Panics after which a worker gives up: something is wrong with it, not with a packet.
const PANIC_LIMIT: u64 = 64;

/// What all workers of a sensor share.
#[derive(Debug, Default)]
pub struct Shared {
    /// Set to stop: workers empty their queues, end their flows and leave.
    pub stop: AtomicBool,
    /// Workers whose queue is empty for good.
    quiet: AtomicUsize,
    /// Workers that are still running.
    running: AtomicUsize,
    /// A worker that cannot go on says so here.
    pub failed: AtomicBool,
    /// What each worker that has ended measured of itself, if it was to.
    pub profiles: Mutex<Vec<Profile>>,
}

impl Shared {
    /// How many workers are running.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Acquire)
    }
}

/// Watches a worker's loop from within, for measurements: in the worker's own thread, dropped with
/// it. A sensor has none, which costs a comparison a burst.
pub trait Watch: std::fmt::Debug + Send {
    /// So many packets of the queue were dealt with, in so many ticks of the TSC: from before the
    /// burst was received until all of its packets were freed or handed over.
    fn burst(&mut self, packets: usize, ticks: u64);

    /// A turn of the loop in which so many packets came in all has ended after so many ticks: what is behind the burst
    /// is in it, too. Nothing but the next turn's begin lies between two of them.
    fn turn(&mut self, _packets: usize, _ticks: u64) {}

    /// There was nothing to do. The worker stands still until this returns.
    fn idle(&mut self) {}
}

/// Fills a worker's queue from within its own thread, whenever it is empty: a replay that needs no second thread, nor
/// a change between two of them. Dropped with the worker.
pub trait Supply: std::fmt::Debug + Send {
    /// Puts more packets into the queue, if there is room; false when none will come any more. `TimeSource::Packets`'
    /// clock is kept as every feeder keeps it.
    fn more(&mut self) -> bool;
}

/// What a worker does while nothing comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Idle {
    /// It goes on polling: the core is its own.
    #[default]
    Poll,
    /// It sleeps between polls, longer and longer up to this: shorter than its queue takes to fill.
    Sleep(Duration),
    /// It waits for the queue's interrupt, at most a few milliseconds; without interrupts it sleeps.
    Interrupt(Duration),
}

/// Polls without a packet before a worker is idle.
const IDLE_POLLS: u32 = 2000;

/// The longest wait for an interrupt: what is not a packet (a generation, the end) must not wait.
const INTERRUPT_MS: u16 = 10;

/// The same where other workers may hand something over, of which no interrupt tells: it waits in a ring.
const INTERRUPT_MS_WITH_PEERS: u16 = 1;

/// Everything a worker is handed.
#[derive(Debug)]
pub struct WorkerConfig {
    /// Its core's sizes and place.
    pub core: CoreConfig,
    /// The CPU to pin it to; None: wherever the scheduler puts it.
    pub cpu: Option<usize>,
    /// What it does while nothing comes.
    pub idle: Idle,
    /// Its queue; None for a worker that only takes what others hand over.
    pub queue: Option<RxQueue>,
    /// Link type of packets that do not say (live).
    pub link: LinkType,
    /// Time.
    pub time: TimeSource,
    /// What to do when a ring to another core or the alert ring is full.
    pub when_full: WhenFull,
    /// Where to ask that elephants be dropped by the NIC, if it can.
    pub bypass: Option<Producer<Elephant>>,
    /// Who fills its queue from within, if not another thread or a NIC.
    pub supply: Option<Box<dyn Supply>>,
    /// Who measures the loop.
    pub watch: Option<Box<dyn Watch>>,
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    /// The thread; its result is an error's text if it could not start or go on.
    pub thread: JoinHandle<Result<(), String>>,
    /// Its ledger.
    pub counters: Arc<Counters>,
}

/// Starts a worker. It waits for its first generation before it receives. `ledgers` are the
/// counters of all workers, by their numbers.
pub fn spawn(
    eal: &'static Eal,
    mut config: WorkerConfig,
    mut mailbox: Receiver,
    exchange: Exchange,
    emitter: Emitter,
    shared: Arc<Shared>,
    ledgers: Arc<[Arc<Counters>]>,
) -> std::io::Result<Worker> {
    let me = config.core.place.worker;
    let counters = ledgers.get(me).map_or_else(Arc::default, Arc::clone);
    let ledger = Arc::clone(&counters);
    shared.running.fetch_add(1, Ordering::AcqRel);
    let thread = std::thread::Builder::new().name(format!("pollux-{me}")).spawn(move || {
        let guard = Leaving { shared: &shared, counters: &ledger };
        if let Some(id) = config.cpu
            && !core_affinity::set_for_current(core_affinity::CoreId { id })
        {
            return Err(format!("cannot pin a worker to CPU {id}: is it online and allowed?"));
        }
        if config.idle != Idle::Poll {
            dpdk::sharpen_sleep();
        }
        let registration = eal.register_thread().map_err(|e| e.to_string())?;
        let Some(delivery) = mailbox.first(&|| shared.stop.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        let mut core = Core::new(config.core.clone(), delivery, Arc::clone(&ledger), emitter)
            .map_err(|e| e.to_string())?;
        if let Some(ring) = config.bypass.take() {
            core.ask_through(ring);
        }
        let peers = exchange.peers();
        let mut looped = Loop {
            core,
            pressure: Pressure::new(config.queue.as_ref()),
            config,
            mailbox,
            exchange,
            shared: &shared,
            ledgers: &ledgers,
            order: 0,
            avx: Avx2::detect(),
            idle_polls: 0,
            clock: 0,
            promises: vec![0; peers],
            reached: vec![0; peers],
        };
        let result = looped.run();
        if result.is_err() {
            shared.failed.store(true, Ordering::Release);
        }
        if let Some(profile) = looped.core.profiler().take() {
            shared.profiles.lock().unwrap_or_else(PoisonError::into_inner).push(profile);
        }
        drop(looped);
        drop(registration);
        drop(guard);
        result
    })?;
    Ok(Worker { thread, counters })
}

/// Says that a worker has left, however it did.
struct Leaving<'a> {
    shared: &'a Shared,
    counters: &'a Counters,
}

impl std::ops::Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.failed.store(true, Ordering::Release);
        }
        self.counters.progress.publish(Nanos::MAX);
        self.counters.watermark.publish(Nanos::MAX);
        // Nobody is to wait for a worker that is gone, whether or not it said that it is quiet.
        self.shared.quiet.fetch_add(1, Ordering::AcqRel);
        self.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Loop<'a> {
    core: Core,
    pressure: Pressure,
    config: WorkerConfig,
    mailbox: Receiver,
    exchange: Exchange,
    shared: &'a Shared,
    ledgers: &'a [Arc<Counters>],
    /// Running number of packets that carry none.
    order: u64,
    /// Packets can be looked at eight at a time.
    avx: Option<Avx2>,
    /// Polls in a row that brought nothing.
    idle_polls: u32,
    /// The latest clock of its own queue.
    clock: Nanos,
    /// By peer: before when it has handed over everything, read before its ring is.
    promises: Vec<Nanos>,
    /// By peer: before when everything that it handed over was taken out of its ring.
    reached: Vec<Nanos>,
}

impl Loop<'_> {
    fn run(&mut self) -> Result<(), String> {
        let mut burst: Burst<BURST> = Burst::new();
        let mut last_packets = LAST_PACKETS;
        let mut quiet = false;
        let mut begin = dpdk::rdtsc();
        let now = loop {
            if self.mailbox.exchange(self.core.delivery_mut()) {
                self.core.adopt();
            }
            // What feeder and peers promise is read before the rings are: an empty ring proves it.
            // So is the order to stop: what was put into the ring before it must still be taken.
            let stopping = self.shared.stop.load(Ordering::Acquire);
            let promised = self.promised(begin);
            self.note_promises();
            self.core.profiler().begin();
            let received = match &mut self.config.queue {
                Some(queue) if !quiet => queue.receive(&mut burst),
                _ => 0,
            };
            if received > 0 {
                self.burst(&mut burst, promised)?;
                if let Some(watch) = &mut self.config.watch {
                    watch.burst(received, dpdk::rdtsc().wrapping_sub(begin));
                }
            }
            let occupancy =
                self.pressure.read(self.config.queue.as_ref(), received, &self.exchange);
            self.core.press(occupancy, promised);
            let idle = received == 0;
            if idle {
                self.core.profiler().cancel();
            }
            let handed = self.handed_in()?;
            self.flush_outbox()?;
            let mine = if idle { promised.max(self.clock) } else { self.clock };
            self.core.counters().progress.publish(mine);
            // Flows end by the time of the slowest core: it may still hand over their packets, and
            // what it has handed over may still wait in its ring.
            let reached = self.reached.iter().copied().min().unwrap_or(Nanos::MAX);
            let now = mine.min(reached);
            let mut safe = None;
            self.guarded(|this| {
                safe = Some(this.core.pass_time(now, received + handed));
                Ok(())
            })?;
            if let Some(safe) = safe
                && self.exchange.is_empty()
            {
                self.core.counters().watermark.publish(safe);
            }
            self.core.profiler().end(received);
            if stopping {
                last_packets = last_packets.saturating_sub(received);
                if (idle || last_packets == 0) && !quiet {
                    quiet = true;
                    self.core.counters().progress.publish(Nanos::MAX);
                    self.shared.quiet.fetch_add(1, Ordering::AcqRel);
                }
                // Others may still hand something over until they are quiet, too.
                let all = self.config.core.place.workers;
                if quiet
                    && self.shared.quiet.load(Ordering::Acquire) >= all
                    && self.exchange.is_empty()
                {
                    break now;
                }
            }
            let end = dpdk::rdtsc();
            if let Some(watch) = &mut self.config.watch {
                watch.turn(received + handed, end.wrapping_sub(begin));
            }
            begin = end;
            if !idle || handed > 0 {
                self.idle_polls = 0;
            } else if quiet || !self.config.supply.as_mut().is_some_and(|supply| supply.more()) {
                self.rest();
                // After it, so that what is measured begins with work.
                if let Some(watch) = &mut self.config.watch {
                    watch.idle();
                }
                begin = dpdk::rdtsc();
            }
        };
        self.guarded(|this| {
            this.core.finish(now);
            Ok(())
        })
    }

    /// Nothing came. The core is given up for a moment, if others may have it.
    fn rest(&mut self) {
        std::hint::spin_loop();
        if matches!(self.config.time, TimeSource::Packets(..)) {
            // The feeder may need this very CPU.
            std::thread::yield_now();
            return;
        }
        self.idle_polls = self.idle_polls.saturating_add(1);
        let Some(beyond) = self.idle_polls.checked_sub(IDLE_POLLS) else { return };
        let longest = match self.config.idle {
            Idle::Poll => return,
            Idle::Sleep(longest) => longest,
            Idle::Interrupt(longest) => {
                let wait = match self.exchange.peers() {
                    0 => INTERRUPT_MS,
                    _ => INTERRUPT_MS_WITH_PEERS,
                };
                if self.config.queue.as_mut().is_some_and(|queue| queue.wait(wait)) {
                    return;
                }
                longest
            }
        };
        std::thread::sleep(longest.min(Duration::from_micros(1 << (beyond / 64).min(16))));
    }

    /// Takes down up to when each other worker has handed over what is this one's.
    fn note_promises(&mut self) {
        let me = self.config.core.place.worker;
        let others = self.ledgers.iter().enumerate().filter(|&(i, _)| i != me);
        for (promise, (_, ledger)) in self.promises.iter_mut().zip(others) {
            *promise = ledger.progress.observe();
        }
    }

    /// The time before which every packet of this worker is in a ring already; `tsc` is now.
    fn promised(&self, tsc: u64) -> Nanos {
        match &self.config.time {
            TimeSource::Packets(clock, _) => clock.load(Ordering::Acquire),
            TimeSource::Tsc(clock) => clock.at(tsc),
        }
    }

    fn guarded(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(result) => result,
            Err(_) => self.recover(),
        }
    }

    /// After a panic: the core's flows are given up, the core goes on; too often, and it stops.
    fn recover(&mut self) -> Result<(), String> {
        let counters = Arc::clone(self.core.counters());
        counters.panics.add(1);
        self.core.start_anew().map_err(|e| e.to_string())?;
        if counters.panics.get() >= PANIC_LIMIT {
            return Err(format!(
                "worker {} panicked {PANIC_LIMIT} times and gives up",
                self.config.core.place.worker
            ));
        }
        Ok(())
    }

    fn handed_in(&mut self) -> Result<usize, String> {
        let mut handed = 0;
        for peer in 0..self.exchange.peers() {
            for _ in 0..BURST {
                let Some(parcel) = self.exchange.receive(peer) else {
                    let promise = self.promises.get(peer).copied().unwrap_or(0);
                    self.reach(peer, promise);
                    break;
                };
                handed += 1;
                // A peer's packets come in order. A datagram's fragments may be another's.
                if let Parcel::Packet(_, meta) = &parcel {
                    self.reach(peer, meta.clock_ns);
                }
                self.parcel(parcel)?;
            }
        }
        Ok(handed)
    }

    fn reach(&mut self, peer: usize, clock: Nanos) {
        if let Some(reached) = self.reached.get_mut(peer) {
            *reached = clock.max(*reached);
        }
    }

    fn parcel(&mut self, parcel: Parcel) -> Result<(), String> {
        match parcel {
            Parcel::Packet(mbuf, meta) => {
                self.core.counters().handed_in.add(1);
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    self.one(&mbuf, meta, LANES, true);
                }));
                if caught.is_err() {
                    self.core.counters().discard(Drop::Panic);
                    self.recover()?;
                }
            }
            Parcel::Datagram(datagram) => {
                self.guarded(|this| {
                    this.core.datagram(&datagram);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn hand_over(&mut self, to: usize, mbuf: Mbuf, meta: PacketMeta) -> Result<(), String> {
        match self.deliver(to, Parcel::Packet(mbuf, meta))? {
            true => self.core.counters().handed_out.add(1),
            false => self.core.counters().discard(Drop::HandOverFull),
        }
        Ok(())
    }

    fn flush_outbox(&mut self) -> Result<(), String> {
        for (to, datagram) in std::mem::take(self.core.outbox()) {
            self.deliver(to, Parcel::Datagram(Box::new(datagram)))?;
        }
        Ok(())
    }

    /// Sends to another core; where nothing may be lost, what comes in meanwhile is worked on, so
    /// that two cores never wait for each other.
    fn deliver(&mut self, to: usize, mut parcel: Parcel) -> Result<bool, String> {
        loop {
            match self.exchange.send(to, parcel) {
                Ok(()) => return Ok(true),
                Err(_) if self.config.when_full == WhenFull::Lose => return Ok(false),
                Err(_) if self.shared.running() < self.config.core.place.workers => {
                    return Ok(false);
                }
                Err(back) => parcel = back,
            }
            self.handed_in()?;
            std::thread::yield_now();
        }
    }
}
