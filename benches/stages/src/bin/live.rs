//! `live`: the speed of a live sensor as ratios, each of turns within one run. See the library's module of
//! the same name for what is measured.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use anyhow::ensure;
use benches::live::testpmd::Testpmd;
use benches::live::{Row, changes, envelopes, heading, pairs, ports, receive};
use benches::load::RuleSource;
use benches::{many_flows, port};
use clap::{Parser, ValueEnum};
use pollux::bench::Compared;
use pollux::capture;

/// A million flows beside ten thousand: at most 30 % slower.
const ASKED_OF_FLOWS: f64 = 0.7;

/// Flows, the fewer and the more.
const FEW_AND_MANY: (u32, u32) = (10_000, 1_000_000);

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Packets out of scope beside dpdk-testpmd.
    Ports,
    /// Two workers beside one.
    Workers,
    /// Envelopes beside none.
    Envelopes,
    /// Rules that change every second beside none.
    Reloads,
    /// A million flows beside ten thousand.
    Flows,
}

/// Measures what is asked of a live sensor.
#[derive(Debug, Parser)]
struct Options {
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Of ports only those whose driver's name has this in it.
    #[arg(long, value_name = "TEXT")]
    port: Option<String>,
    /// Both receivers of ports keep their buffers in hugepages, not in ordinary ones (256 MB).
    #[arg(long)]
    hugepages: bool,
    /// Of envelopes only those whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    envelope: Option<String>,
    /// Turns that the two sides of a ratio take.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    turns: u32,
    /// Rule files, folders or patterns.
    #[arg(long, num_args = 1.., default_value = "deploy/examples/rules")]
    rules: Vec<PathBuf>,
    /// Keep compiled rules here; by default for this run only.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    /// Receive from this device, by orders from standard input.
    #[arg(long, hide = true, requires = "frames")]
    receive: Option<String>,
    /// A capture whose frames fill buffers.
    #[arg(long, hide = true)]
    frames: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let work = tempfile::tempdir()?;
    let cache = options.cache.clone().unwrap_or_else(|| work.path().join("cache"));
    let source = RuleSource { paths: options.rules.clone(), home_net: None, cache };
    if let (Some(device), Some(frames)) = (&options.receive, &options.frames) {
        // Nothing is in scope, so that no rule is ever asked.
        let none = rules::ruleset::Ruleset::compile(Vec::new(), None, 1, &|_| ())?.0;
        let device = receive::Device { spec: device.clone(), hugepages: options.hugepages };
        return receive::serve(&device, &short_frames(frames)?, none);
    }
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let mut rows = Vec::new();
    if wanted(Part::Ports) {
        ensure!(Testpmd::is_there(), "dpdk-testpmd is not installed: scripts/setup --testpmd");
        rows.extend(ports::rows(options.turns, options.port.as_deref(), options.hugepages)?);
    }
    if wanted(Part::Reloads) {
        rows.push(changes::row(&source.paths, &source.cache, options.turns)?);
    }
    if [Part::Workers, Part::Envelopes, Part::Flows].into_iter().any(wanted) {
        let rules = source.load()?.ruleset;
        let eal = port::eal()?;
        if wanted(Part::Workers) {
            rows.push(pairs::row(eal, &rules, options.turns)?);
        }
        if wanted(Part::Envelopes) {
            rows.extend(envelopes::rows(eal, &rules, options.turns, options.envelope.as_deref())?);
        }
        if wanted(Part::Flows) {
            let (few, many) = FEW_AND_MANY;
            let mut costs = Compared::default();
            for turn in 1..=options.turns.min(3) {
                eprintln!("live: {many} flows beside {few}, turn {turn}");
                let ns = |flows| -> anyhow::Result<f64> {
                    let shape = many_flows::shape(flows);
                    Ok(many_flows::settled(eal, &rules, &shape, 2_000_000)?.ns())
                };
                let beside = ns(few)?;
                costs.add(ns(many)?, beside);
            }
            let what = format!("{many} flows beside {few}");
            rows.push(Row::new("flows", what, "ns", costs, ASKED_OF_FLOWS));
        }
    }
    tell(&rows, options.json)
}

fn tell(rows: &[Row], json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
        return Ok(());
    }
    println!("{}", heading());
    for row in rows {
        println!("{row}");
    }
    let met = rows.iter().filter(|row| row.met).count();
    let open = rows.iter().filter(|row| !row.decided).count();
    println!("\n{met} of {} as asked, {open} not decided", rows.len());
    Ok(())
}

/// The frames of a capture that are not longer than the first one, padded to its length.
fn short_frames(capture: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut frames: Vec<Vec<u8>> = Vec::new();
    capture::read(capture, |frame| {
        let length = frames.first().map_or(frame.data.len(), Vec::len);
        if frame.data.len() <= length {
            let mut padded = frame.data.to_vec();
            padded.resize(length, 0);
            frames.push(padded);
        }
        true
    })?;
    ensure!(!frames.is_empty(), "the capture is empty");
    Ok(frames)
}
