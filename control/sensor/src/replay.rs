//! `pollux replay`: capture files through the dataplane, over a port of rings, and what came of it.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, bail};
use dpdk::{Fresh, Mempool, PortConfig, RingPort};
use engine::emit::WhenFull;
use engine::worker::TimeSource;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::{ReplayArgs, Spread as SpreadArg};
use crate::config::{Checksums as ChecksumConfig, Config, Hugepages};
use crate::dataplane::{Dataplane, Mode, OpenPort, output_path, start_eal};
use crate::exit::UsageError;
use crate::feeder::own::Awaited;
use crate::feeder::{Checksums, Fed, Feeder, Spread};
use crate::output::eve::EveOptions;
use crate::output::ledger::Ledger;
use crate::output::pcap::PcapConfig;
use crate::output::profile::{PROFILE_FILE, ProfileReport};
use crate::output::report::{self, Look, Report, ResourceLine};
use crate::output::status::StatusFile;
use crate::output::totals::AlertTotals;
use crate::output::view::View;
use crate::output::writer::WriterConfig;
use crate::state::State;
use crate::status::{Checks, Facts};

/// Packets that wait in a queue at the most.
const RING_SIZE: u32 = 1024;

/// Bytes of a mbuf: a full Ethernet frame with tags and room behind it. Longer frames are chained.
const DATA_ROOM: u16 = 2048;

/// Memory for mbufs, rings and the rest of DPDK, if the configuration says nothing.
const MEMORY: u64 = 96 << 20;

/// Packets of alerting flows that wait in a core's ring at the most.
const PCAP_QUEUE: usize = 4096;

/// Bytes of them, of all cores.
const PCAP_QUEUE_BYTES: u64 = 64 << 20;

/// Does what the command line says.
pub fn run(args: &ReplayArgs, mut config: Config) -> anyhow::Result<()> {
    let captures: Vec<PathBuf> = args.all_captures().cloned().collect();
    for capture in &captures {
        readable(capture)?;
    }
    let directory = config.outputs.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make the output directory {}", directory.display()))?;
    // Two replays may run at once: neither takes the machine's hugepages unless told to.
    let hugepages = match config.memory.hugepages {
        Hugepages::Yes => Hugepages::Yes,
        Hugepages::Auto | Hugepages::No => Hugepages::No,
    };
    if let Some(every) = args.profile {
        config.sensor.profile_every = every;
    }
    let state = State::start(&config, true)?;
    let workers = usize::from(args.workers.unwrap_or(1));
    let outcome = replay(args, &config, &state, &captures, &directory, workers, hugepages)?;
    write_outcome(args, &config, &state, &directory, &captures, &outcome)?;
    if let Err(imbalance) = outcome.ledger.balances() {
        bail!("the ledger does not balance: {imbalance}; this is a defect of Pollux");
    }
    for warning in &outcome.fed.warnings {
        tracing::warn!("{warning}; what came before was replayed");
    }
    if outcome.fed.checksums_ignored {
        tracing::info!("more than one checksum in ten is wrong: none is looked at any more");
    }
    outcome.result
}

/// Where captures are read.
enum Feeding {
    ByItsWorker(Awaited),
    Here(Box<Feeder>),
}

/// What a replay came to.
struct Outcome {
    ledger: Ledger,
    alerts: AlertTotals,
    fed: Fed,
    acknowledged: bool,
    result: anyhow::Result<()>,
    profile: Option<ProfileReport>,
}

fn readable(capture: &Path) -> anyhow::Result<()> {
    match std::fs::File::open(capture).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_dir() => {
            let text = format!("{}: is a directory, not a capture file", capture.display());
            Err(UsageError(text).into())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(UsageError(format!("{}: {error}", capture.display())).into()),
    }
}

fn replay(
    args: &ReplayArgs,
    config: &Config,
    state: &State,
    captures: &[PathBuf],
    directory: &Path,
    workers: usize,
    hugepages: Hugepages,
) -> anyhow::Result<Outcome> {
    let eal = start_eal(
        config.memory.size.map_or(MEMORY, |size| size.min(MEMORY)),
        hugepages,
        Vec::new(),
    )?;
    let buffers = 2 * RING_SIZE * u32::try_from(workers)? + 4096;
    let pool = Mempool::new("replay", buffers, 256, DATA_ROOM, None)?;
    let (mut port, rings) = RingPort::new(eal, "replay", workers, RING_SIZE)?;
    let mut port_config = PortConfig::new(pool.clone());
    port_config.rx_queues = u16::try_from(workers)?;
    port.configure(port_config)?;
    port.start()?;
    let mut open = OpenPort::of_rings(port);
    let clock = Arc::new(AtomicU64::new(0));
    let meta = dpdk::MetaField::register()?;
    let mode = Mode {
        time: TimeSource::Packets(Arc::clone(&clock), meta),
        when_full: WhenFull::Wait,
        writer: writer_config(config, directory, Vec::new()),
        nic_counters: true,
    };
    let feeder = Feeder {
        rings,
        fresh: Fresh::new(pool),
        meta,
        clock,
        shared: None,
        checksums: match config.effective_checksums() {
            ChecksumConfig::No => Checksums::Ignore,
            ChecksumConfig::Auto => Checksums::Auto,
            ChecksumConfig::Yes => Checksums::Check,
        },
        spread: match args.spread {
            SpreadArg::Inner => Spread::Inner,
            SpreadArg::Elsewhere => Spread::Elsewhere,
        },
        decoder: config.decoder.clone(),
    };
    let bar = progress_bar(captures);
    let built = state.current();
    let feeding = if workers == 1 {
        let (own, awaited) = feeder.into_own(captures);
        open.supply = Some(Box::new(own));
        Feeding::ByItsWorker(awaited)
    } else {
        Feeding::Here(Box::new(feeder))
    };
    let mut dataplane = Dataplane::start(eal, config, vec![open], mode)?;
    dataplane.publish(&built.snapshot, Arc::clone(&built.table), 0)?;
    let acknowledged = dataplane.acknowledged(built.generation());
    let (fed, read) = match feeding {
        Feeding::ByItsWorker(awaited) => awaited.wait(&|bytes| bar.set_position(bytes)),
        Feeding::Here(mut feeder) => {
            feeder.shared = Some(dataplane.shared().context("the workers have stopped")?);
            feeder.feed(captures, &|fed| bar.set_position(fed.bytes))
        }
    };
    bar.finish_and_clear();
    let shared = dataplane.shared();
    let (ledger, alerts, stopped) = dataplane.stop();
    save(&state.datasets());
    let profile = shared.and_then(|shared| ProfileReport::of(&shared, eal.tsc_hz()));
    if let Some(profile) = &profile {
        profile.write(&directory.join(PROFILE_FILE))?;
    }
    let result = stopped.and(read.map_err(anyhow::Error::from));
    Ok(Outcome { ledger, alerts, fed, acknowledged, result, profile })
}

/// Saves the data sets that rules want saved.
pub(crate) fn save(datasets: &rules::state::Datasets) {
    for failed in datasets.save() {
        tracing::error!("{failed}");
    }
}

/// The writer's settings, out of the configuration.
pub(crate) fn writer_config(
    config: &Config,
    directory: &Path,
    interfaces: Vec<String>,
) -> WriterConfig {
    let eve = &config.outputs.eve;
    let live = !interfaces.is_empty();
    let path =
        if eve.enabled { output_path(directory, &eve.path) } else { PathBuf::from("/dev/null") };
    let options = EveOptions {
        interfaces,
        community_id: true,
        payload: eve.payload,
        payload_printable: eve.payload_printable,
        packet: eve.packet,
        no_metadata: !eve.metadata,
        xff: eve.xff.clone(),
    };
    let base = if live {
        WriterConfig { grace: config.sensor.grace, ..WriterConfig::live(path) }
    } else {
        WriterConfig::replay(path)
    };
    let log = &config.outputs.pcap_log;
    let pcap = log.enabled.then(|| PcapConfig {
        path: output_path(directory, &log.path),
        limit: log.limit,
        max_files: log.max_files,
        existing: base.existing,
        interfaces: options.interfaces.clone(),
        cores: engine::PcapConfig {
            history_bytes: log.history_size,
            history_packets: log.history_packets,
            after_packets: log.after_packets,
            after: u64::try_from(log.after.as_nanos()).unwrap_or(u64::MAX),
            queue_packets: PCAP_QUEUE,
            queue_bytes: PCAP_QUEUE_BYTES,
        },
    });
    WriterConfig { eve: options, rates: eve.rates, pcap, ..base }
}

fn write_outcome(
    args: &ReplayArgs,
    config: &Config,
    state: &State,
    directory: &Path,
    captures: &[PathBuf],
    outcome: &Outcome,
) -> anyhow::Result<()> {
    let outputs = &config.outputs;
    if outputs.ledger.enabled {
        let path = output_path(directory, &outputs.ledger.path);
        outcome
            .ledger
            .write(&path)
            .with_context(|| format!("cannot write the ledger to {}", path.display()))?;
    }
    let path = output_path(directory, &outputs.status.path);
    let mut status = StatusFile::new(path, config.sensor.node_name());
    if outputs.status.enabled {
        let view = View::of(state);
        let conditions = Checks::standard().look(&Facts {
            ledger: &outcome.ledger,
            ports: &[],
            state: &view.conditions,
            source: &[],
            now: now().into(),
        });
        view.write_status(&mut status, outcome.acknowledged, &conditions)?;
    }
    let built = state.current();
    let report = Report {
        ledger: &outcome.ledger,
        alerts: &outcome.alerts,
        captures: captures.len(),
        rules: (state.rules().loaded, state.rules().rejections.len()),
        resources: ResourceLine::all(&built.table, &status),
        directory: &directory.display().to_string(),
    };
    let out = &mut io::stdout().lock();
    let printed = match &outcome.profile {
        Some(profile) if args.json => profile.write_json(&mut *out),
        Some(profile) => report::print(&mut *out, &report, Look::of_stdout())
            .and_then(|()| write!(out, "\n{profile}")),
        None => report::print(&mut *out, &report, Look::of_stdout()),
    };
    match printed {
        // Whoever reads has gone: the results are in the files.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// The wall clock.
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn progress_bar(captures: &[PathBuf]) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bytes = captures.iter().filter_map(|path| path.metadata().ok()).map(|m| m.len()).sum();
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style = "replaying {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    bar.with_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    )
}
