//! `pollux bench`: a generator feeds the sensor's own workers through rings with unique flows, looks for
//! the rate at which none is lost, and says what a packet costs. Every packet is accounted for.

mod changes;
mod compared;
mod follow;
mod generator;
mod growth;
mod losses;
mod meter;
mod report;
mod search;
mod site;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use crossbeam::channel::RecvTimeoutError;
use dpdk::{Mempool, PortConfig, RingPort, SYMMETRIC_KEY};
use engine::emit::WhenFull;
use engine::spread::{NicSpread, Spread};
use engine::worker::{TimeSource, TscClock};
use traffic::flows::Flows;

pub use compared::{Compared, median};
pub use losses::Loss;

use crate::builder::Builder;
use crate::cli::BenchArgs;
use crate::config::{Config, Hugepages};
use crate::cpu::{self, MachineTime};
use crate::dataplane::{Dataplane, Mode, OpenPort, start_eal};
use crate::output::ledger::Ledger;
use crate::output::view::View;
use crate::ports::{machine, sizes};
use crate::replay::{now, writer_config};
use crate::state::State;
use changes::Changes;
use follow::{Cost, Follow};
use generator::{Generator, Pace, Sent};
use growth::Growth;
use meter::Meters;
use report::{Outcome, Reloads, Run};
use site::Site;

/// The redirection table that the generator spreads by, as a NIC would.
const TABLE: usize = 128;

/// Bytes of an mbuf.
const DATA_ROOM: u16 = 2048;

/// Of so many packets one may be lost in a soak: the machine is never all ours.
const SOAK_LOSS: u64 = 10_000;

/// How long a rate must hold under changes before a soak goes by it; at most a sixth of the soak. Before another run under
/// changes it must hold for as long as that.
const CONFIRM: Duration = Duration::from_secs(10);

/// How many times as many flows as are open at a time the table holds in a soak.
const SOAK_FLOWS: usize = 4;

/// Seconds after which flows are forgotten in a soak, at the most.
const SOAK_TIMEOUT: u32 = 20;

/// How long the workers may take for what waits in their rings.
const DRAIN: Duration = Duration::from_secs(30);

/// Measures, prints what came of it; an error if the ledger does not account for what was sent.
///
/// # Errors
/// The configuration's, DPDK's, a worker's, the ledger's.
pub fn run(args: &BenchArgs, mut config: Config) -> anyhow::Result<()> {
    let site = Site::new(args)?;
    site.apply(&mut config);
    // Each core may have all of them.
    let flows = (args.flows as usize).saturating_add(args.flows as usize / 8);
    config.flows.capacity = config.flows.capacity.max(flows);
    if args.soak.is_some() {
        // The table is full before memory is compared, and remains so: how many ended flows it keeps, and so
        // memory, does not follow the rate.
        config.flows.capacity = (args.flows as usize).saturating_mul(SOAK_FLOWS);
        for timeouts in [&mut config.flows.timeouts.tcp, &mut config.flows.timeouts.udp] {
            timeouts.established = timeouts.established.min(SOAK_TIMEOUT);
            timeouts.closed = timeouts.closed.min(SOAK_TIMEOUT);
        }
    }
    config.live = true;
    // What is looked for is the rate without loss.
    config.overload.shed = false;
    let state = State::start(&config, true)?;
    let mut bench = Bench::start(args, &config, state, &site)?;
    let measured = bench.measure(args, &site);
    let (ledger, stopped) = bench.stop();
    let mut outcome = measured?;
    stopped?;
    ledger.balances().context("the ledger does not balance: this is a defect of Pollux")?;
    outcome.ledger = ledger;
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &outcome)?;
        writeln!(out)?;
    } else {
        outcome.write(&mut out)?;
    }
    if args.soak.is_some() { soaked(&outcome, args.growth) } else { Ok(()) }
}

/// Did it bear a long run?
fn soaked(outcome: &Outcome, most: f64) -> anyhow::Result<()> {
    let run = outcome.run.as_ref().context("no rate without loss was found to soak it at")?;
    ensure!(
        run.lost <= run.packets / SOAK_LOSS,
        "{} of {} packets were lost",
        run.lost,
        run.packets + run.lost
    );
    let growth = outcome.growth.as_ref().context("a soak of at least 8 seconds is needed")?;
    ensure!(growth.percent <= most, "memory grew by more than {most} %: {}", growth.told());
    Ok(())
}

/// A rate that a longer trial has confirmed.
struct Confirmed {
    /// Packets a second.
    rate: f64,
    /// What each worker's turns took in that trial that were not held up.
    costs: Vec<Cost>,
}

struct Bench {
    dataplane: Dataplane,
    generator: Option<Generator>,
    builder: Builder,
    view: View,
    meters: Meters,
    hz: u64,
    reloads: Reloads,
    /// What went into the rings since the beginning.
    sent: Sent,
    memory: report::Memory,
    /// Memory in the run that goes on.
    growth: Growth,
}

impl Bench {
    fn start(args: &BenchArgs, config: &Config, state: State, site: &Site) -> anyhow::Result<Self> {
        let workers = usize::from(args.workers);
        let buffers = sizes::buffers(args.workers, args.ring, workers, crate::ports::exchange());
        let memory = sizes::for_pools([(buffers, DATA_ROOM)]);
        let hugepages = match config.memory.hugepages {
            // A sensor on the same machine keeps its own.
            Hugepages::Auto | Hugepages::No => Hugepages::No,
            Hugepages::Yes => Hugepages::Yes,
        };
        let eal = start_eal(memory, hugepages, Vec::new())?;
        let (_, mut cpus) = machine();
        let pins: Vec<Option<usize>> = (0..workers).map(|_| cpus.take(None)).collect();
        cpus.stay_off();
        let pool = Mempool::new("bench", buffers, sizes::POOL_CACHE, DATA_ROOM, None)?;
        let (mut port, rings) = RingPort::new(eal, "bench", workers, args.ring)?;
        let mut port_config = PortConfig::new(pool.clone());
        port_config.rx_queues = args.workers;
        port.configure(port_config)?;
        port.start()?;
        let table: Vec<u16> = (0..TABLE).map(|entry| (entry % workers) as u16).collect();
        let nic = NicSpread::new(SYMMETRIC_KEY, &table, 0).context("no table")?;
        let nic = Arc::new(nic);
        let mut open = OpenPort::of_rings(port);
        open.spread = Spread::Nic(Arc::clone(&nic));
        for ((_, cpu), pin) in open.queues.iter_mut().zip(pins) {
            *cpu = pin;
        }
        let start = u64::try_from(now().as_nanosecond()).unwrap_or(0);
        let mode = Mode {
            time: TimeSource::Tsc(TscClock::starting_at(start, eal.tsc_hz())),
            when_full: WhenFull::Lose,
            writer: writer_config(config, site.path(), vec!["bench".to_owned()]),
            nic_counters: false,
        };
        let meters = Meters::new(workers, eal.tsc_hz())?;
        let mut dataplane =
            Dataplane::start_watched(eal, config, vec![open], mode, |worker| meters.watch(worker))?;
        let view = View::of(&state);
        dataplane.publish(&view.built.snapshot, Arc::clone(&view.built.table), start)?;
        let generator = Generator {
            eal,
            rings,
            pool,
            nic,
            flows: Flows::new(&args.shape()),
            hz: eal.tsc_hz(),
            cpu: cpus.take(None),
            workers: meters.spent().to_vec(),
        };
        Ok(Self {
            dataplane,
            generator: Some(generator),
            builder: Builder::start(state)?,
            view,
            meters,
            hz: eal.tsc_hz(),
            reloads: Reloads::default(),
            sent: Sent::default(),
            memory: report::Memory::now(),
            growth: Growth::default(),
        })
    }

    /// Everything that was asked for, one after the other.
    fn measure(&mut self, args: &BenchArgs, site: &Site) -> anyhow::Result<Outcome> {
        let seconds = Duration::from_secs_f64(args.seconds);
        let mut outcome =
            Outcome::of(args, self.hz, self.view.built.snapshot.rules.signatures.len());
        let changes = Changes::of(args);
        // Caches and branch predictors learn what is ahead; so do the allocators.
        self.run(Pace::Unbounded, seconds / 4, Changes::none(), site)?;
        let capacity = self.run(Pace::Unbounded, seconds, Changes::none(), site)?;
        outcome.capacity = Some(capacity.clone());
        let share = args.at / 100.0;
        let mut confirmed = None;
        let rate = match args.rate {
            Some(rate) => rate as f64,
            None => {
                let mut search = search::Search::new(capacity.pps, args.width / 100.0);
                while let Some(rate) = search.next() {
                    let trial = self.run(Pace::Rate(rate), seconds, Changes::none(), site)?;
                    tracing::info!("{rate:.0} packets a second: {} lost", trial.lost);
                    search.tell(trial.lost == 0);
                    outcome.trials.push(trial);
                }
                let mut found = search.found();
                if changes.are_any() || args.soak.is_some() {
                    let most =
                        args.soak.map_or(seconds, |soak| Duration::from_secs_f64(soak / 6.0));
                    let time = CONFIRM.min(most).max(seconds);
                    let trials = &mut outcome.confirmations;
                    confirmed = self.confirm(found, time, &changes, site, trials)?;
                    found = confirmed.as_ref().map_or(0.0, |it| it.rate);
                }
                outcome.zero_loss_pps = Some(found);
                found * share
            }
        };
        if rate > 0.0 {
            if changes.are_any() {
                let still = self.run(Pace::Rate(rate), seconds, Changes::none(), site)?;
                outcome.without_reloads = Some(still);
            }
            let long = args.soak.map_or(seconds, Duration::from_secs_f64);
            let pace = match confirmed {
                None => Pace::Rate(rate),
                Some(Confirmed { rate, costs }) => {
                    let spent = self.meters.spent().to_vec();
                    let follow = Follow::new(spent, rate, share, costs, args.ring)?;
                    Pace::Follow(Box::new(follow))
                }
            };
            outcome.run = Some(self.run(pace, long, changes.clone(), site)?);
            outcome.growth = std::mem::take(&mut self.growth).finish();
        }
        if changes.are_any() {
            // What changes cost in packets shows where there are always more.
            let mut cost = Compared::default();
            for turn in 0..args.turns {
                let mut go = |changes| self.run(Pace::Unbounded, seconds, changes, site);
                // Neither is always the one that comes after the other.
                let (still, run) = if turn % 2 == 0 {
                    let still = go(Changes::none())?;
                    (still, go(changes.clone())?)
                } else {
                    let run = go(changes.clone())?;
                    (go(Changes::none())?, run)
                };
                cost.add(run.cpu_ns_per_packet, still.cpu_ns_per_packet);
                outcome.capacity_reloading = Some(run);
            }
            outcome.reload_cost = Some(cost);
            outcome.reloads = Some(self.reloads.clone());
        }
        outcome.memory = self.memory.clone();
        Ok(outcome)
    }

    /// Lets the rate that short trials found hold for longer, under changes, and lower ones until one does;
    /// None if none does.
    fn confirm(
        &mut self,
        found: f64,
        time: Duration,
        changes: &Changes,
        site: &Site,
        trials: &mut Vec<Run>,
    ) -> anyhow::Result<Option<Confirmed>> {
        for rate in search::Lower::from(found) {
            let before = self.meters.calm_costs();
            let trial = self.run(Pace::Rate(rate), time, changes.clone(), site)?;
            tracing::info!("{rate:.0} packets a second for longer: {} lost", trial.lost);
            let (lost, pps) = (trial.lost, trial.pps);
            trials.push(trial);
            if lost == 0 {
                let costs = self.meters.calm_costs();
                let costs = costs.iter().zip(&before).map(|(now, then)| now.since(then)).collect();
                // A generator that could not go so fast has shown no more than it did.
                return Ok(Some(Confirmed { rate: rate.min(pps), costs }));
            }
        }
        Ok(None)
    }

    /// Feeds for so long, waits until all of it is dealt with, and checks every packet's fate.
    fn run(
        &mut self,
        mut pace: Pace,
        time: Duration,
        mut changes: Changes,
        site: &Site,
    ) -> anyhow::Result<Run> {
        let (before, machine_before) = (self.ledger(), MachineTime::now());
        self.meters.begin();
        self.growth = Growth::default();
        let mut generator = self.generator.take().context("the generator is gone")?;
        let feeder =
            std::thread::Builder::new().name("pollux-bench".to_owned()).spawn(move || {
                let sent = generator.feed(&mut pace, time);
                (generator, pace, sent)
            })?;
        let begin = Instant::now();
        while !feeder.is_finished() {
            for event in changes.due(begin.elapsed(), site)? {
                self.reloads.asked += 1;
                self.builder.ask(event)?;
            }
            self.take_generations(Duration::from_millis(20))?;
            self.growth.look(begin.elapsed(), cpu::rss);
        }
        let (generator, pace, sent) =
            feeder.join().map_err(|_| anyhow::anyhow!("the generator panicked"))?;
        let machine_after = MachineTime::now();
        self.generator = Some(generator);
        let sent = sent?;
        self.drain(&before, &sent)?;
        let after = self.ledger();
        check(&before, &after, &sent)?;
        self.sent.add(&sent);
        let mut run = Run::of(&sent, self.meters.end(), self.hz);
        if let Pace::Follow(follow) = &pace {
            run.offered = Some(follow.offered());
        }
        run.stolen =
            machine_before.zip(machine_after).map(|(before, after)| after.stolen_since(before));
        Ok(run)
    }

    /// Publishes what was built meanwhile.
    fn take_generations(&mut self, patience: Duration) -> anyhow::Result<()> {
        let view = match self.builder.views().recv_timeout(patience) {
            Ok(view) => view,
            Err(RecvTimeoutError::Timeout) => {
                self.memory.look();
                ensure!(!self.dataplane.has_failed(), "a worker has failed");
                return Ok(());
            }
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the thread that builds generations has died")
            }
        };
        self.memory.look();
        let begin = Instant::now();
        let time = u64::try_from(now().as_nanosecond()).unwrap_or(0);
        if view.built.generation() != self.view.built.generation() {
            self.dataplane.publish(&view.built.snapshot, Arc::clone(&view.built.table), time)?;
            self.reloads.taken(begin.elapsed());
        }
        self.view = view;
        Ok(())
    }

    fn drain(&mut self, before: &Ledger, sent: &Sent) -> anyhow::Result<()> {
        let deadline = Instant::now() + DRAIN;
        let total = before.totals.received + sent.packets;
        loop {
            let ledger = self.ledger();
            let fates = ledger.totals.inspected + ledger.totals.unscoped + ledger.totals.dropped;
            if ledger.totals.received == total && fates == total {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{} packets went in, and after {} s {} were received and {fates} have a fate",
                sent.packets,
                DRAIN.as_secs(),
                ledger.totals.received - before.totals.received
            );
            self.take_generations(Duration::from_millis(2))?;
        }
    }

    fn ledger(&self) -> Ledger {
        self.dataplane.ledger(&self.dataplane.alerts())
    }

    fn stop(self) -> (Ledger, anyhow::Result<()>) {
        let Self { dataplane, builder, generator, .. } = self;
        drop(builder);
        let (ledger, _, stopped) = dataplane.stop();
        drop(generator);
        (ledger, stopped)
    }
}

/// Does every packet that went in have the fate that it must have?
fn check(before: &Ledger, after: &Ledger, sent: &Sent) -> anyhow::Result<()> {
    let (was, is) = (&before.totals, &after.totals);
    let unscoped = is.unscoped - was.unscoped;
    let scoped = is.inspected + is.dropped - was.inspected - was.dropped;
    let bytes = is.bytes - was.bytes;
    ensure!(
        (unscoped, scoped, bytes) == (sent.packets - sent.scoped, sent.scoped, sent.bytes),
        "the generator sent {} packets in scope, {} out of it, {} bytes; the ledger has {scoped} \
         inspected or dropped, {unscoped} out of scope, {bytes} bytes: this is a defect of Pollux",
        sent.scoped,
        sent.packets - sent.scoped,
        sent.bytes,
    );
    Ok(())
}
