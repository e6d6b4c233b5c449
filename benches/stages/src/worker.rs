//! The worker loop over a fed port, and beside it a loop that only receives and frees.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use dpdk::{Burst, Eal, Fresh, RxQueue};
use engine::collect::{Collector, Rest};
use engine::counters::Counters;
use engine::emit::WhenFull;
use engine::scope::{Address, Scope};
use engine::threshold::{Decision, Thresholds};
use engine::worker::{BURST, Supply, TimeSource, Watch};
use engine::{Crew, CrewConfig, Seat, Settings, Snapshot};
use flow::FlowConfig;
use hdrhistogram::Histogram;
use pollux::feeder::own::OwnFeeder;
use pollux::feeder::{Checksums, Spread};
use rules::ruleset::Ruleset;

use crate::cpu;
use crate::feed::{Fed, Feeder};
use crate::port;
use crate::turns::{Measured, Meter, Turns};

/// What one pass over the capture took.
#[derive(Debug)]
pub struct Pass {
    /// What went through, and what feeding it took.
    pub fed: Fed,
    /// CPU time of the worker.
    pub worker: Duration,
    /// CPU time of all threads: worker, feeder, and who takes the alerts.
    pub process: Duration,
    /// Nanoseconds of each burst, by the wall clock.
    pub bursts: Histogram<u64>,
    /// Alerts that thresholds let through.
    pub alerts: u64,
    /// Packets that were inspected, out of scope, dropped.
    pub fates: [u64; 3],
}

/// A scope of addresses that no traffic comes from or goes to (240.0.0.0/4 is reserved, RFC 1112).
pub fn nowhere() -> Scope {
    let address = |n: u32| IpAddr::from(Ipv4Addr::from(0xf000_0000 | n));
    let entry = Address { endpoints: Vec::new(), resources: vec![0], rulesets: 1 };
    Scope::of((0..1000).map(|n| (address(n), entry.clone())), 1)
}

/// One pass over the capture with the worker loop of the sensor, which feeds itself as in a replay. Checksums are not
/// looked at, as with Suricata's `-k none`.
///
/// # Errors
/// DPDK's, the capture's, the worker's.
pub fn pass(
    eal: &'static Eal,
    capture: &Path,
    rules: &Arc<Ruleset>,
    scope: Scope,
) -> anyhow::Result<Pass> {
    let port = port::open(eal)?;
    let snapshot = Arc::new(Snapshot::new(1, scope, Arc::clone(rules), Settings::default()));
    let clock = Arc::new(AtomicU64::new(0));
    let time = TimeSource::Packets(Arc::clone(&clock), port.meta);
    let feeder = pollux::feeder::Feeder {
        rings: vec![port.ring],
        fresh: Fresh::new(port.pool),
        meta: port.meta,
        clock,
        shared: None,
        checksums: Checksums::Ignore,
        spread: Spread::Inner,
        decoder: wire::Config::default(),
    };
    let (own, awaited) = feeder.into_own(&[capture.to_owned()]);
    let (begun, ticks) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
    let supply = Timed { own, begun: Arc::clone(&begun), ticks: Arc::clone(&ticks) };
    let seat = Seat { supply: Some(Box::new(supply)), ..Seat::new(Some(port.queue), 0) };
    let how = How { flows: FlowConfig::default(), time, most: u64::MAX };
    let workers = Workers::start(eal, vec![seat], &snapshot, how)?;
    let before = cpu::of_process()?;
    begun.store(true, Ordering::Release);
    workers.turns[0].release();
    workers.turns[0].wait();
    let stopped = workers.stop();
    let process = cpu::of_process()?.saturating_sub(before);
    let stopped = stopped?;
    let (fed, read) = awaited.wait(&|_| ());
    read?;
    let feeding = ticks.load(Ordering::Acquire) as f64 / eal.tsc_hz().max(1) as f64;
    let cpu = Duration::from_secs_f64(feeding);
    let mut pass = stopped.pass(Fed { packets: fed.packets, bytes: fed.bytes, cpu }, process)?;
    pass.worker = pass.worker.saturating_sub(cpu);
    Ok(pass)
}

/// A worker's own feeder, as soon as it is to begin, and how long it takes.
#[derive(Debug)]
struct Timed {
    own: OwnFeeder,
    begun: Arc<AtomicBool>,
    /// Of the TSC.
    ticks: Arc<AtomicU64>,
}

impl Supply for Timed {
    fn more(&mut self) -> bool {
        if !self.begun.load(Ordering::Acquire) {
            return false;
        }
        let began = dpdk::rdtsc();
        let more = self.own.more();
        self.ticks.fetch_add(dpdk::rdtsc().wrapping_sub(began), Ordering::Relaxed);
        more
    }
}

/// The sensor's workers, who take turns with whoever feeds them, and a thread that takes their alerts.
#[derive(Debug)]
pub struct Workers {
    crew: Crew,
    alerts: JoinHandle<u64>,
    done: Arc<AtomicBool>,
    turns: Vec<Arc<Turns>>,
    measured: Vec<Receiver<Measured>>,
}

/// What is left of workers.
#[derive(Debug)]
pub struct Stopped {
    /// What each of them measured.
    pub measured: Vec<Measured>,
    /// Alerts that thresholds let through.
    pub alerts: u64,
    /// Packets inspected, out of scope, dropped, of all of them.
    pub fates: [u64; 3],
}

/// How workers are run.
#[derive(Debug)]
pub struct How {
    /// Their flow tables.
    pub flows: FlowConfig,
    /// Their time.
    pub time: TimeSource,
    /// Packets after which a turn ends.
    pub most: u64,
}

impl Workers {
    /// Starts one in each seat, and waits until they have their tables and rules.
    ///
    /// # Errors
    /// DPDK's, the system's.
    pub fn start(
        eal: &'static Eal,
        seats: Vec<Seat>,
        snapshot: &Arc<Snapshot>,
        how: How,
    ) -> anyhow::Result<Self> {
        let when_full = match &how.time {
            TimeSource::Packets(..) => WhenFull::Wait,
            TimeSource::Tsc(_) => WhenFull::Lose,
        };
        let config = CrewConfig {
            flows: how.flows,
            time: how.time,
            when_full,
            exchange_capacity: 64,
            alert_capacity: 1 << 14,
            profile_every: 0,
            pcap: None,
        };
        let (mut turns, mut measured, mut meters) = (Vec::new(), Vec::new(), Vec::new());
        for _ in &seats {
            let its = Arc::new(Turns::default());
            let (result, measure) = sync_channel(1);
            let meter = Meter::new(Arc::clone(&its), eal.tsc_hz(), result)?.at_most(how.most);
            let watch: Box<dyn Watch> = Box::new(meter);
            meters.push(Some(watch));
            turns.push(its);
            measured.push(measure);
        }
        let watch = |worker| meters.get_mut(worker).and_then(Option::take);
        let (mut crew, collector) = Crew::start_watched(eal, seats, &config, watch)?;
        crew.publish(snapshot)?;
        // The workers' own beginnings (a flow table) are not what is measured.
        while !crew.acknowledged(1) && !crew.has_failed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        turns.iter().for_each(|turns| turns.wait());
        let done = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&done);
        let alerts = std::thread::spawn(move || take_alerts(collector, &ended));
        Ok(Self { crew, alerts, done, turns, measured })
    }

    /// Whose turn it is, by worker.
    pub fn turns(&self) -> &[Arc<Turns>] {
        &self.turns
    }

    /// Their ledgers.
    pub fn ledgers(&self) -> &Arc<[Arc<Counters>]> {
        self.crew.ledgers()
    }

    /// Lets them end their flows, and leave.
    ///
    /// # Errors
    /// A worker's.
    pub fn stop(self) -> anyhow::Result<Stopped> {
        self.crew.shared().stop.store(true, Ordering::Release);
        self.turns.iter().for_each(|turns| turns.end());
        let ledgers = Arc::clone(self.crew.ledgers());
        let stopped = self.crew.stop();
        self.done.store(true, Ordering::Release);
        let alerts =
            self.alerts.join().map_err(|_| anyhow::anyhow!("whoever takes alerts panicked"))?;
        stopped?;
        let measured = self.measured.iter().map(take).collect::<anyhow::Result<_>>()?;
        let fates = ledgers.iter().fold([0; 3], |[inspected, unscoped, dropped], ledger| {
            [
                inspected + ledger.inspected.get(),
                unscoped + ledger.unscoped.get(),
                dropped + ledger.dropped_total(),
            ]
        });
        Ok(Stopped { measured, alerts, fates })
    }
}

/// Takes alerts until all is done; how many thresholds let through.
fn take_alerts(mut collector: Collector, done: &AtomicBool) -> u64 {
    let mut thresholds = Thresholds::new(1 << 16);
    let (mut alerts, mut rest) = (0, Rest::default());
    let mut take = |alert: Box<engine::alert::Alert>| {
        let signature = alert.snapshot.rules.signatures.get(alert.signature as usize);
        let passes = signature.is_some_and(|s| thresholds.decide(&alert, s) != Decision::Hold);
        alerts += u64::from(passes);
    };
    while !done.load(Ordering::Acquire) {
        if let Some(rest) = rest.after(collector.poll(&mut take)) {
            std::thread::sleep(rest);
        }
    }
    collector.finish(&mut take);
    alerts
}

/// The worker loop of the sensor over what `feed` makes of the feeder; it may look at the worker's
/// ledger meanwhile.
///
/// # Errors
/// DPDK's, the worker's, those of `feed`.
pub fn run(
    eal: &'static Eal,
    rules: &Arc<Ruleset>,
    scope: Scope,
    (settings, flows): (Settings, FlowConfig),
    feed: impl FnOnce(Feeder<'_>, &Counters) -> anyhow::Result<Fed>,
) -> anyhow::Result<Pass> {
    let mut fed_port = port::open(eal)?;
    let snapshot = Arc::new(Snapshot::new(1, scope, Arc::clone(rules), settings));
    let clock = Arc::new(AtomicU64::new(0));
    let time = TimeSource::Packets(Arc::clone(&clock), fed_port.meta);
    let seats = vec![Seat::new(Some(fed_port.queue), 0)];
    let workers = Workers::start(eal, seats, &snapshot, How { flows, time, most: u64::MAX })?;
    let before = cpu::of_process()?;
    let (turns, ledgers) = (Arc::clone(&workers.turns[0]), Arc::clone(workers.ledgers()));
    let feeder = Feeder {
        ring: &mut fed_port.ring,
        pool: &fed_port.pool,
        meta: fed_port.meta,
        clock: &clock,
        turns: &turns,
    };
    let fed = feed(feeder, &ledgers[0]);
    let stopped = workers.stop();
    let process = cpu::of_process()?.saturating_sub(before);
    let stopped = stopped?;
    stopped.pass(fed?, process)
}

impl Stopped {
    /// What a pass of one worker came to, that was fed this and took so much CPU time.
    fn pass(mut self, fed: Fed, process: Duration) -> anyhow::Result<Pass> {
        let Measured { cpu: worker, bursts } =
            self.measured.pop().context("there was no worker")?;
        let Self { alerts, fates, .. } = self;
        anyhow::ensure!(
            fates.iter().sum::<u64>() == fed.packets,
            "{} packets went in, and their fates are {fates:?}",
            fed.packets
        );
        Ok(Pass { fed, worker, process, bursts, alerts, fates })
    }
}

/// One pass over the capture with a loop that receives and frees, and does nothing else: not even
/// the packets' memory is looked at, unless `touch` asks for the sum of some bytes of their headers.
///
/// # Errors
/// DPDK's and the capture's.
pub fn receive_and_free(
    eal: &'static Eal,
    capture: &Path,
    touch: bool,
) -> anyhow::Result<(Fed, Duration)> {
    let mut fed_port = port::open(eal)?;
    let turns = Arc::new(Turns::default());
    let (result, measured) = sync_channel(1);
    let queue = fed_port.queue;
    let worker = {
        let turns = Arc::clone(&turns);
        std::thread::spawn(move || drain(eal, queue, touch, &turns, result))
    };
    turns.wait();
    let clock = AtomicU64::new(0);
    let feeder = Feeder {
        ring: &mut fed_port.ring,
        pool: &fed_port.pool,
        meta: fed_port.meta,
        clock: &clock,
        turns: &turns,
    };
    let fed = feeder.feed(capture);
    turns.end();
    let received = worker.join().map_err(|_| anyhow::anyhow!("the receiver panicked"))??;
    let fed = fed?;
    anyhow::ensure!(received == fed.packets, "{received} of {} packets came", fed.packets);
    Ok((fed, take(&measured)?.cpu))
}

fn drain(
    eal: &'static Eal,
    mut queue: RxQueue,
    touch: bool,
    turns: &Arc<Turns>,
    result: SyncSender<Measured>,
) -> anyhow::Result<u64> {
    let mut meter = Meter::new(Arc::clone(turns), eal.tsc_hz(), result)?;
    let _registration = eal.register_thread()?;
    let mut burst: Burst<BURST> = Burst::new();
    let mut packets = 0;
    loop {
        match queue.receive(&mut burst) {
            0 if turns.is_over() => return Ok(packets),
            0 => meter.idle(),
            received => {
                packets += received as u64;
                if touch {
                    let headers = burst.iter().map(|mbuf| mbuf.data().iter().take(64).step_by(16));
                    let sum = headers.flatten().fold(0u64, |sum, &byte| sum + u64::from(byte));
                    std::hint::black_box(sum);
                }
                burst.clear();
            }
        }
    }
}

fn take(measured: &Receiver<Measured>) -> anyhow::Result<Measured> {
    measured.try_recv().context("the worker left nothing to measure")
}
