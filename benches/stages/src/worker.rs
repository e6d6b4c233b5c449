//! The worker loop over a fed port, and beside it a loop that only receives and frees.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use dpdk::{Burst, Eal, RxQueue};
use engine::counters::Counters;
use engine::emit::WhenFull;
use engine::scope::{Address, Scope};
use engine::threshold::{Decision, Thresholds};
use engine::worker::{BURST, TimeSource, Watch};
use engine::{Crew, CrewConfig, Seat, Settings, Snapshot};
use flow::FlowConfig;
use hdrhistogram::Histogram;
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

/// One pass over the capture with the worker loop of the sensor.
///
/// # Errors
/// DPDK's, the capture's, the worker's.
pub fn pass(
    eal: &'static Eal,
    capture: &Path,
    rules: &Arc<Ruleset>,
    scope: Scope,
) -> anyhow::Result<Pass> {
    let settings = Settings::default();
    run(eal, rules, scope, (settings, FlowConfig::default()), |feeder, _| feeder.feed(capture))
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
    let seat = Seat::new(Some(fed_port.queue), 0);
    let config = CrewConfig {
        flows,
        time: TimeSource::Packets(Arc::clone(&clock)),
        when_full: WhenFull::Wait,
        exchange_capacity: 64,
        alert_capacity: 1 << 14,
        meta: fed_port.meta,
        profile_every: 0,
        pcap: None,
    };
    let turns = Arc::new(Turns::default());
    let (result, measured) = sync_channel(1);
    let meter = Meter::new(Arc::clone(&turns), eal.tsc_hz(), result)?;
    let mut watch: Option<Box<dyn Watch>> = Some(Box::new(meter));
    let (mut crew, mut collector) =
        Crew::start_watched(eal, vec![seat], &config, |_| watch.take())?;
    crew.publish(&snapshot)?;
    // The worker's own beginnings (a flow table) are not what is measured.
    while !crew.acknowledged(1) && !crew.has_failed() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let before = cpu::of_process()?;
    let done = AtomicBool::new(false);
    let mut thresholds = Thresholds::new(1 << 16);
    let mut alerts = 0;
    let (fed, stopped, ledgers) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut take = |alert: Box<engine::alert::Alert>| {
                let signature = alert.snapshot.rules.signatures.get(alert.signature as usize);
                let passes =
                    signature.is_some_and(|s| thresholds.decide(&alert, s) != Decision::Hold);
                alerts += u64::from(passes);
            };
            while !done.load(Ordering::Acquire) {
                if collector.poll(&mut take) == 0 {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            collector.finish(&mut take);
        });
        let feeder = Feeder {
            ring: &mut fed_port.ring,
            pool: &fed_port.pool,
            meta: fed_port.meta,
            clock: &clock,
            turns: &turns,
        };
        let ledgers = Arc::clone(crew.ledgers());
        let fed = match ledgers.first() {
            Some(ledger) => feed(feeder, ledger),
            None => Err(anyhow::anyhow!("there is no worker")),
        };
        crew.shared().stop.store(true, Ordering::Release);
        turns.end();
        let stopped = crew.stop();
        done.store(true, Ordering::Release);
        (fed, stopped, ledgers)
    });
    let process = cpu::of_process()?.saturating_sub(before);
    stopped?;
    let fed = fed?;
    let Measured { cpu: worker, bursts } = take(&measured)?;
    let fates = ledgers.iter().fold([0; 3], |[inspected, unscoped, dropped], ledger| {
        [
            inspected + ledger.inspected.get(),
            unscoped + ledger.unscoped.get(),
            dropped + ledger.dropped_total(),
        ]
    });
    anyhow::ensure!(
        fates.iter().sum::<u64>() == fed.packets,
        "{} packets went in, and their fates are {fates:?}",
        fed.packets
    );
    Ok(Pass { fed, worker, process, bursts, alerts, fates })
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
