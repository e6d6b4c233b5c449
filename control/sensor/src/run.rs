//! `pollux run`: the live sensor. Ports are polled until a signal ends it; resources and rules are
//! watched, and their changes published without losing a packet.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use crossbeam::channel::{Receiver, Sender, bounded};
use engine::emit::WhenFull;
use engine::worker::{TimeSource, TscClock};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::Config;
use crate::dataplane::{Dataplane, Mode, output_path, start_eal};
use crate::output::status::StatusFile;
use crate::ports;
use crate::replay::{now, update_status, writer_config};
use crate::source::Watch;
use crate::state::{State, Update};

/// How often ledger and status are written.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How often a watch looks whether it is to end.
const WATCH_TICK: Duration = Duration::from_millis(200);

/// Where outputs go if nothing is configured.
const DEFAULT_DIRECTORY: &str = "/var/log/pollux";

/// What the control side waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// Documents changed.
    Resources,
    /// Rule files changed.
    Rules,
    /// SIGHUP: read everything again.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// Runs until it is told to stop.
pub fn run(config: &Config) -> anyhow::Result<()> {
    let directory =
        config.outputs.directory.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DIRECTORY));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make the output directory {}", directory.display()))?;
    // Signals from here on are events, so that none falls between two chairs.
    let (events, inbox) = bounded(16);
    let _signals = listen(events.clone())?;
    let mut state = State::start(config, true)?;
    let eal = start_eal(config, config.memory.hugepages)?;
    let open = ports::open_all(eal, config)?;
    let interfaces: Vec<String> = open.iter().map(|port| port.name.clone()).collect();
    let start = u64::try_from(now().as_nanosecond()).unwrap_or(0);
    let mode = Mode {
        time: TimeSource::Tsc(TscClock::starting_at(start, eal.tsc_hz())),
        when_full: WhenFull::Lose,
        writer: writer_config(config, &directory, interfaces.clone()),
        nic_counters: true,
    };
    let mut dataplane = Dataplane::start(eal, config, open, mode)?;
    let mut reports = Reports::new(config, &directory);
    let built = state.current().clone();
    dataplane.publish(&built.snapshot, Arc::clone(&built.table), start)?;
    let watches = Watches::start(&state, &events)?;
    reports.write(&dataplane, &state)?;
    tracing::info!("inspecting {} with {} rules", interfaces.join(", "), state.rules().loaded);
    let result = serve(&mut state, &mut dataplane, &mut reports, &inbox);
    tracing::info!("stopping: emptying the queues, ending {} flows", reports.flows);
    drop(watches);
    let (ledger, alerts, stopped) = dataplane.stop();
    reports.last(&ledger, &state)?;
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

fn serve(
    state: &mut State,
    dataplane: &mut Dataplane,
    reports: &mut Reports,
    inbox: &Receiver<Event>,
) -> anyhow::Result<()> {
    let mut next = Instant::now() + REPORT_EVERY;
    loop {
        let event = inbox.recv_deadline(next).ok();
        let updates = match event {
            Some(Event::Stop) => return Ok(()),
            Some(Event::Resources) => vec![state.reload_resources()],
            Some(Event::Rules) => vec![state.reload_rules()],
            Some(Event::Reload) => vec![state.reload_resources(), state.reload_rules()],
            None => Vec::new(),
        };
        for update in updates {
            if let Update::Built(built) = update {
                let at = u64::try_from(now().as_nanosecond()).unwrap_or(0);
                dataplane.publish(&built.snapshot, Arc::clone(&built.table), at)?;
                tracing::info!("generation {} is in force on every core", built.generation());
            }
        }
        if dataplane.has_failed() {
            bail!("a worker has failed; the sensor stops rather than inspect a part of the traffic");
        }
        if event.is_some() || Instant::now() >= next {
            dataplane.tidy();
            reports.write(dataplane, state)?;
            next = Instant::now() + REPORT_EVERY;
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

/// Ledger and status, written now and then.
struct Reports {
    ledger: Option<PathBuf>,
    status: Option<StatusFile>,
    flows: u64,
    failing: bool,
}

impl Reports {
    fn new(config: &Config, directory: &Path) -> Self {
        let outputs = &config.outputs;
        let path = |file: &crate::config::FileConfig| {
            file.enabled.then(|| output_path(directory, &file.path))
        };
        Self {
            ledger: path(&outputs.ledger),
            status: path(&outputs.status)
                .map(|path| StatusFile::resume(path, config.sensor.node_name())),
            flows: 0,
            failing: false,
        }
    }

    fn write(&mut self, dataplane: &Dataplane, state: &State) -> anyhow::Result<()> {
        let ledger = dataplane.ledger(&dataplane.alerts());
        self.flows = ledger.flows.active;
        let acknowledged = dataplane.acknowledged(state.current().generation());
        self.put(&ledger, state, acknowledged)
    }

    /// After the workers have stopped: nothing is active any more.
    fn last(
        &mut self,
        ledger: &crate::output::ledger::Ledger,
        state: &State,
    ) -> anyhow::Result<()> {
        self.failing = false;
        self.put(ledger, state, false)
    }

    /// A disk that is full keeps no packet from being inspected: that is told once, and tried again.
    fn put(
        &mut self,
        ledger: &crate::output::ledger::Ledger,
        state: &State,
        acknowledged: bool,
    ) -> anyhow::Result<()> {
        let mut written = Ok(());
        if let Some(path) = &self.ledger {
            written = ledger
                .write(path)
                .with_context(|| format!("cannot write the ledger to {}", path.display()));
        }
        if let Some(status) = &mut self.status {
            written = written.and(update_status(status, state, ledger, acknowledged));
        }
        match written {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!("{error:#}; trying again every second");
            }
            Err(_) => {}
        }
        Ok(())
    }
}
