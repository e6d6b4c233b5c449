//! `pollux run`: the live sensor. Ports are polled until a signal ends it; resources and rules are
//! watched, and their changes published without losing a packet.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use crossbeam::channel::{Receiver, Sender, bounded, select, tick};
use engine::emit::WhenFull;
use engine::worker::{TimeSource, TscClock};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::background::Background;
use crate::builder::{Builder, Event};
use crate::config::Config;
use crate::dataplane::{Dataplane, Mode, start_eal};
use crate::output::profile::{PROFILE_FILE, ProfileReport};
use crate::output::view::View;
use crate::ports;
use crate::replay::{now, writer_config};
use crate::reports::Reports;
use crate::source::Watch;
use crate::state::State;

/// How often ledger and status are written.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How often a watch looks whether it is to end.
const WATCH_TICK: Duration = Duration::from_millis(200);

/// Where outputs go if nothing is configured.
const DEFAULT_DIRECTORY: &str = "/var/log/pollux";

/// Runs until it is told to stop.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let directory =
        config.outputs.directory.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIRECTORY));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make the output directory {}", directory.display()))?;
    // Signals from here on are events, so that none falls between two chairs.
    let (events, inbox) = bounded(64);
    let _signals = listen(events.clone())?;
    // Before the rules: the cluster is listed while they compile.
    let background = Background::start(config, events.clone())?;
    let state = State::with_cluster(config, background.cluster.clone(), true)?;
    let (sysfs, mut cpus) = ports::machine();
    let plans = ports::plan(config, &sysfs, &mut cpus)?;
    cpus.stay_off();
    let pci = plans.iter().filter_map(|plan| plan.pci().map(str::to_owned)).collect();
    let memory = ports::sizes::memory(config, &plans);
    let eal = start_eal(memory, config.memory.hugepages, pci)?;
    let open = ports::open_all(eal, config, plans)?;
    let interfaces: Vec<String> = open.iter().map(|port| port.facts.name.clone()).collect();
    let start = nanoseconds();
    let mode = Mode {
        time: TimeSource::Tsc(TscClock::starting_at(start, eal.tsc_hz())),
        when_full: WhenFull::Lose,
        writer: writer_config(config, &directory, interfaces.clone()),
        nic_counters: true,
    };
    let mut dataplane = Dataplane::start(eal, config, open, mode)?;
    let mut view = View::of(&state);
    dataplane.publish(&view.built.snapshot, Arc::clone(&view.built.table), start)?;
    let watches = Watches::start(&state, &events)?;
    let mut reports = Reports::new(config, &directory, background);
    reports.write(&dataplane, &view);
    tracing::info!("inspecting {} with {} rules", interfaces.join(", "), state.rules().loaded);
    if view.built.is_loading {
        tracing::info!("nothing is in scope before the cluster has told all that there is");
    }
    let datasets = state.datasets();
    let builder = Builder::start(state)?;
    let result = serve(&mut dataplane, &mut view, &mut reports, &inbox, &builder);
    tracing::info!("stopping: emptying the queues, ending {} flows", reports.flows);
    drop((watches, builder));
    let shared = dataplane.shared();
    let (ledger, alerts, stopped) = dataplane.stop();
    crate::replay::save(&datasets);
    if let Some(profile) = shared.and_then(|shared| ProfileReport::of(&shared, eal.tsc_hz())) {
        profile.write(&directory.join(PROFILE_FILE))?;
    }
    reports.finish(&ledger, &view);
    tracing::info!(
        "stopped: {} packets received, {} inspected, {} unscoped, {} dropped; {} alerts",
        ledger.totals.received,
        ledger.totals.inspected,
        ledger.totals.unscoped,
        ledger.totals.dropped,
        alerts.written,
    );
    if let Err(imbalance) = ledger.balances() {
        bail!("the ledger does not balance: {imbalance}; this is a defect of Pollux");
    }
    result.and(stopped)
}

fn nanoseconds() -> u64 {
    u64::try_from(now().as_nanosecond()).unwrap_or(0)
}

fn serve(
    dataplane: &mut Dataplane,
    view: &mut View,
    reports: &mut Reports,
    inbox: &Receiver<Event>,
    builder: &Builder,
) -> anyhow::Result<()> {
    let ticks = tick(REPORT_EVERY);
    loop {
        select! {
            recv(inbox) -> event => match event {
                Ok(Event::Stop) | Err(_) => return Ok(()),
                Ok(event) => builder.ask(event)?,
            },
            recv(builder.views()) -> news => {
                let news = news.context("the thread that builds generations has died")?;
                let is_new = news.built.generation() != view.built.generation();
                *view = news;
                if is_new {
                    let table = Arc::clone(&view.built.table);
                    let begin = Instant::now();
                    dataplane.publish(&view.built.snapshot, table, nanoseconds())?;
                    reports.publish_seconds = begin.elapsed().as_secs_f64();
                    let generation = view.built.generation();
                    tracing::info!("generation {generation} is in force on every core");
                }
                reports.write(dataplane, view);
            }
            recv(ticks) -> _ => {
                dataplane.tidy();
                dataplane.watch_links();
                reports.write(dataplane, view);
            }
        }
        if dataplane.has_failed() {
            bail!(
                "a worker has failed; the sensor stops rather than inspect a part of the traffic"
            );
        }
    }
}

/// Turns signals into events, on a thread of its own.
fn listen(events: Sender<Event>) -> anyhow::Result<signal_hook::iterator::Handle> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).context("cannot catch signals")?;
    let handle = signals.handle();
    std::thread::Builder::new().name("pollux-signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Stop };
            if events.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(handle)
}

/// The threads that wait for changes; they end when this is dropped.
struct Watches {
    stop: Arc<AtomicBool>,
}

impl Watches {
    fn start(state: &State, events: &Sender<Event>) -> anyhow::Result<Self> {
        let watches = Self { stop: Arc::default() };
        if let Some(watch) = state.watch_resources().context("cannot watch the resources")? {
            watches.follow(watch, Event::Resources, events.clone())?;
        }
        let rules = state.watch_rules().context("cannot watch the rules")?;
        watches.follow(rules, Event::Rules, events.clone())?;
        Ok(watches)
    }

    fn follow(&self, watch: Watch, event: Event, events: Sender<Event>) -> anyhow::Result<()> {
        let stop = Arc::clone(&self.stop);
        std::thread::Builder::new().name("pollux-changes".to_owned()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if watch.wait(WATCH_TICK) && events.send(event).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
