//! `pollux bench`: a generator feeds the sensor's own workers through rings with unique flows, looks for
//! the rate at which none is lost, and says what a packet costs. Every packet is accounted for.

mod generator;
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

use crate::builder::{Builder, Event};
use crate::cli::BenchArgs;
use crate::config::{Config, Hugepages};
use crate::dataplane::{Dataplane, Mode, OpenPort, start_eal};
use crate::output::ledger::Ledger;
use crate::output::view::View;
use crate::ports::{machine, sizes};
use crate::replay::{now, writer_config};
use crate::state::State;
use generator::{Generator, Pace, Sent};
use meter::Meters;
use report::{Outcome, Reloads, Run};
use site::Site;

/// The redirection table that the generator spreads by, as a NIC would.
const TABLE: usize = 128;

/// Bytes of an mbuf.
const DATA_ROOM: u16 = 2048;

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
    Ok(())
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
        })
    }

    /// Everything that was asked for, one after the other.
    fn measure(&mut self, args: &BenchArgs, site: &Site) -> anyhow::Result<Outcome> {
        let seconds = Duration::from_secs_f64(args.seconds);
        let mut outcome =
            Outcome::of(args, self.hz, self.view.built.snapshot.rules.signatures.len());
        // Caches and branch predictors learn what is ahead; so do the allocators.
        self.run(Pace::Unbounded, seconds / 4, None, site)?;
        let capacity = self.run(Pace::Unbounded, seconds, None, site)?;
        outcome.capacity = Some(capacity.clone());
        let reload = args.reload_every.map(Duration::from_secs_f64);
        let rate = match args.rate {
            Some(rate) => rate as f64,
            None => {
                let mut search = search::Search::new(capacity.pps, args.width / 100.0);
                while let Some(rate) = search.next() {
                    let trial = self.run(Pace::Rate(rate), seconds, None, site)?;
                    tracing::info!("{rate:.0} packets a second: {} lost", trial.lost);
                    search.tell(trial.lost == 0);
                    outcome.trials.push(trial);
                }
                outcome.zero_loss_pps = Some(search.found());
                search.found() * args.at / 100.0
            }
        };
        if rate > 0.0 {
            if reload.is_some() {
                outcome.without_reloads = Some(self.run(Pace::Rate(rate), seconds, None, site)?);
            }
            outcome.run = Some(self.run(Pace::Rate(rate), seconds, reload, site)?);
        }
        if reload.is_some() {
            // What reloads cost in packets shows where there are always more.
            outcome.capacity_reloading = Some(self.run(Pace::Unbounded, seconds, reload, site)?);
            outcome.reloads = Some(self.reloads.clone());
        }
        outcome.memory = self.memory.clone();
        Ok(outcome)
    }

    /// Feeds for so long, waits until all of it is dealt with, and checks every packet's fate.
    fn run(
        &mut self,
        pace: Pace,
        time: Duration,
        reload: Option<Duration>,
        site: &Site,
    ) -> anyhow::Result<Run> {
        let before = self.ledger();
        self.meters.begin();
        let mut generator = self.generator.take().context("the generator is gone")?;
        let feeder =
            std::thread::Builder::new().name("pollux-bench".to_owned()).spawn(move || {
                let sent = generator.feed(pace, time);
                (generator, sent)
            })?;
        let mut due = reload.map(|every| Instant::now() + every / 2);
        while !feeder.is_finished() {
            if let (Some(at), Some(every)) = (due, reload)
                && Instant::now() >= at
            {
                site.change_rules(self.reloads.asked)?;
                self.reloads.asked += 1;
                self.builder.ask(Event::Rules)?;
                due = Some(at + every);
            }
            self.take_generations(Duration::from_millis(20))?;
        }
        let (generator, sent) =
            feeder.join().map_err(|_| anyhow::anyhow!("the generator panicked"))?;
        self.generator = Some(generator);
        let sent = sent?;
        self.drain(&before, &sent)?;
        let after = self.ledger();
        check(&before, &after, &sent)?;
        self.sent.add(&sent);
        let ticks = self.meters.end();
        Ok(Run::of(&sent, ticks, self.hz))
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
