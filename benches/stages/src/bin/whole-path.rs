//! `whole-path`: Pollux's worker loop, what bounds it, and Suricata, in one run on the same bytes and
//! the same rules. See the library's documentation for what is measured.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use benches::load::{RuleSource, Rules};
use benches::memory::Peak;
use benches::peer::{Peer, PeerRuns, due};
use benches::raw_scan::RawScan;
use benches::report::{Bursts, Rate, RawScanned, Report};
use benches::{memory, port, worker};
use clap::Parser;
use engine::scope::Scope;
use hdrhistogram::Histogram;
use traffic::Bulk;

/// Measures the whole path by CPU time.
#[derive(Debug, Parser)]
struct Options {
    /// The capture; by default one that is made, HTTP with bodies.
    #[arg(long)]
    capture: Option<PathBuf>,
    /// Rule files, folders or patterns.
    #[arg(long, num_args = 1.., default_value = "deploy/examples/rules")]
    rules: Vec<PathBuf>,
    /// Take the shared corpus (POLLUX_SHARED): its open capture with ET Open; and with the same rules
    /// two captures that are made: HTTP with bodies, and many short connections.
    #[arg(long, conflicts_with_all = ["capture", "rules"])]
    corpus: bool,
    /// With that: only the corpus's capture.
    #[arg(long, requires = "corpus")]
    no_made: bool,
    /// Connections of the capture of HTTP with bodies of 16 kB each.
    #[arg(long, default_value_t = 10_000)]
    body_flows: u64,
    /// Connections of ten packets each of the capture of short ones.
    #[arg(long, default_value_t = 1_000_000)]
    short_flows: u64,
    /// HOME_NET; by default the private ranges.
    #[arg(long)]
    home_net: Option<String>,
    /// Passes, of which the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Suricata's runs, spread over ours, of which the median counts; 0: none.
    #[arg(long, default_value_t = 3)]
    peer_runs: usize,
    /// Leave the measuring of memory out.
    #[arg(long)]
    no_memory: bool,
    /// Write the figures here, too.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep compiled rules here; by default for this run only.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Only pass over the capture so many times, for a profiler.
    #[arg(long, value_name = "PASSES")]
    only_worker: Option<usize>,
    /// With that: nothing is in scope.
    #[arg(long, requires = "only_worker")]
    out_of_scope: bool,
    /// Replay so many times in this process and tell what it held.
    #[arg(long, hide = true)]
    measure_memory: Option<u32>,
}

fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    ensure!(options.runs > 0, "--runs must be at least 1");
    let work = tempfile::tempdir()?;
    if options.corpus {
        let shared = std::env::var_os("POLLUX_SHARED").map_or("../shared".into(), PathBuf::from);
        options.capture = Some(shared.join("corpus/captures/dev-open.pcap"));
        options.rules = vec![shared.join("corpus/rules/et-open")];
    }
    let captures = match &options.capture {
        Some(capture) if options.corpus && !options.no_made => {
            let bodies = Bulk { flows: options.body_flows, ..Bulk::http_bodies(1) };
            let short = Bulk { flows: options.short_flows, ..Bulk::short_flows(1) };
            vec![
                capture.clone(),
                made(work.path(), "http-bodies", &bodies)?,
                made(work.path(), "short-flows", &short)?,
            ]
        }
        Some(capture) => vec![capture.clone()],
        None => vec![made(work.path(), "http-bodies", &Bulk::http_bodies(1))?],
    };
    let capture = captures.first().context("no capture")?;
    let source = RuleSource {
        paths: options.rules.clone(),
        home_net: options.home_net.clone(),
        cache: options.cache.clone().unwrap_or_else(|| work.path().join("cache")),
    };
    if let Some(times) = options.measure_memory {
        let peak = memory::measure_here(&source, capture, times)?;
        println!("{}", serde_json::to_string(&peak)?);
        return Ok(());
    }
    let rules = source.load()?;
    one_core()?;
    if let Some(passes) = options.only_worker {
        let eal = port::eal()?;
        for _ in 0..passes {
            let scope = if options.out_of_scope { worker::nowhere() } else { Scope::everything() };
            let pass = worker::pass(eal, capture, &rules.ruleset, scope)?;
            println!(
                "{} packets, {:?} of the worker, {:?} of the process",
                pass.fed.packets, pass.worker, pass.process
            );
        }
        return Ok(());
    }
    let mut reports = Vec::new();
    for (number, capture) in captures.iter().enumerate() {
        // Memory does not depend on the traffic's kind: once is enough.
        let memory = number == 0 && !options.no_memory;
        let report = measure(&options, capture, &source, &rules, memory)?;
        if number > 0 {
            println!();
        }
        print!("{report}");
        reports.push(report);
    }
    if let Some(path) = &options.json {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        serde_json::to_writer_pretty(BufWriter::new(file), &reports)?;
    }
    Ok(())
}

/// Keeps this process, and Suricata that it starts, to the last core: its threads take turns, so that one
/// finds in the core's cache what the other has left there.
fn one_core() -> anyhow::Result<()> {
    let cpu = dpdk::allowed_cpus().into_iter().next_back().context("no core is allowed")?;
    let id = core_affinity::CoreId { id: cpu };
    ensure!(core_affinity::set_for_current(id), "this process cannot be kept to core {cpu}");
    Ok(())
}

/// Makes a capture.
fn made(folder: &Path, name: &str, bulk: &Bulk) -> anyhow::Result<PathBuf> {
    let path = folder.join(name).with_extension("pcap");
    let file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    bulk.write(traffic::PcapWriter::new(file)?)?.finish()?;
    Ok(path)
}

fn measure(
    options: &Options,
    capture: &Path,
    source: &RuleSource,
    rules: &Rules,
    memory: bool,
) -> anyhow::Result<Report> {
    let say = |what: &str| eprintln!("whole-path: {what}");
    let eal = port::eal()?;
    let mut scan = RawScan::new(rules, capture)?;
    let (mut workers, mut processes, mut feeders) = (Vec::new(), Vec::new(), Vec::new());
    let (mut frees, mut touches) = (Vec::new(), Vec::new());
    let (mut unscoped, mut scans) = (Vec::new(), Vec::new());
    let mut last = None;
    let mut bursts = Histogram::new(3)?;
    let mut matches = 0;
    let (peer, mut peers) = (peer(options, capture, rules)?, PeerRuns::default());
    // Each kind in turn, Suricata's too, so that whatever else the machine does meets all of them.
    for run in 1..=options.runs {
        say(&format!("run {run} of {}", options.runs));
        let pass = worker::pass(eal, capture, &rules.ruleset, Scope::everything())?;
        workers.push(pass.worker);
        processes.push(pass.process);
        feeders.push(pass.fed.cpu);
        frees.push(worker::receive_and_free(eal, capture, false)?.1);
        touches.push(worker::receive_and_free(eal, capture, true)?.1);
        unscoped.push(worker::pass(eal, capture, &rules.ruleset, worker::nowhere())?.worker);
        if let Some(scan) = &mut scan {
            let (time, found) = scan.pass()?;
            scans.push(time);
            matches = found;
        }
        bursts.add(&pass.bursts)?;
        let due = due(run, options.runs, options.peer_runs);
        while let Some(peer) = peer.as_ref().filter(|_| peers.over() < due) {
            say(&format!("suricata, run {} of {}", peers.over() + 1, options.peer_runs));
            peers.add(peer, pass.worker, pass.process)?;
        }
        last = Some(pass);
    }
    let last = last.context("no run")?;
    let (packets, bytes) = (last.fed.packets, last.fed.bytes);
    let rate = |times: &[_]| Rate::of(packets, bytes, times);
    let raw_scan = scan.map(|scan| RawScanned {
        rate: rate(&scans),
        patterns: scan.patterns(),
        payload_bytes: scan.bytes(),
        payload_bits_per_cpu_second: Rate::of(packets, scan.bytes() as u64, &scans)
            .bits_per_cpu_second,
        matches,
    });
    let peer = peer.and_then(|peer| peers.measured(&peer, packets, bytes));
    let memory = if memory { peaks(source, capture)? } else { Vec::new() };
    let report = Report {
        capture: capture.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        packets,
        bytes,
        rules: rules.ruleset.signatures.len(),
        rules_rejected: rules.rejected,
        database_mb: rules.database_mb,
        runs: options.runs,
        worker: rate(&workers),
        process: rate(&processes),
        feeder: rate(&feeders),
        alerts: last.alerts,
        fates: last.fates,
        bursts: Bursts::from(&bursts),
        receive_and_free: rate(&frees),
        receive_touch_and_free: rate(&touches),
        out_of_scope: rate(&unscoped),
        raw_scan,
        peer,
        memory,
        ratios: benches::report::Ratios::default(),
    };
    Ok(report.compared())
}

/// Suricata, if it is wanted and there.
fn peer(options: &Options, capture: &Path, rules: &Rules) -> anyhow::Result<Option<Peer>> {
    if options.peer_runs == 0 {
        return Ok(None);
    }
    let peer = Peer::new(rules, capture)?;
    if peer.is_none() {
        eprintln!("whole-path: suricata is not installed: scripts/setup --peer");
    }
    Ok(peer)
}

fn peaks(source: &RuleSource, capture: &Path) -> anyhow::Result<Vec<Peak>> {
    eprintln!("whole-path: memory of a replay once and ten times");
    [1, 10].into_iter().map(|times| memory::measure(source, capture, times)).collect()
}
