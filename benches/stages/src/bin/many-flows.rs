//! `many-flows`: what a million flows at a time cost beside ten thousand, in one run by turns, and bytes
//! of memory a flow.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use benches::load::RuleSource;
use benches::many_flows::{self, Held, Measured};
use benches::{port, report};
use clap::Parser;
use traffic::flows::{Mix, Shape};

/// Measures the worker with many flows at a time, by CPU time.
#[derive(Debug, Parser)]
struct Options {
    /// Rule files, folders or patterns.
    #[arg(long, num_args = 1.., default_value = "deploy/examples/rules")]
    rules: Vec<PathBuf>,
    /// The fewer flows.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    few: u32,
    /// The more flows.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    many: u32,
    /// Packets that are measured in each turn, after every flow has gone through one conversation.
    #[arg(long, default_value_t = 4_000_000)]
    packets: u64,
    /// Turns, of which the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Measure this one only, for a profiler.
    #[arg(long, value_name = "FLOWS", conflicts_with_all = ["few", "many"])]
    only: Option<u32>,
    /// Leave the measuring of memory out.
    #[arg(long)]
    no_memory: bool,
    /// Measure only memory.
    #[arg(long)]
    no_rate: bool,
    /// Keep compiled rules here; by default for this run only.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// Measure the memory of so many flows of one protocol in this process.
    #[arg(long, hide = true, num_args = 2)]
    measure_memory: Option<Vec<String>>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    ensure!(options.runs > 0, "--runs must be at least 1");
    let work = tempfile::tempdir()?;
    let cache = options.cache.clone().unwrap_or_else(|| work.path().join("cache"));
    let source = RuleSource { paths: options.rules.clone(), home_net: None, cache };
    let rules = source.load()?;
    let eal = port::eal()?;
    if let Some(asked) = &options.measure_memory {
        let [flows, protocol] = asked.as_slice() else { unreachable!("two values, clap says") };
        let mix = mix(protocol)?;
        let shape = Shape { mix, ..many_flows::shape(flows.parse()?) };
        let held = many_flows::memory(eal, &rules.ruleset, &shape)?;
        println!("{}", serde_json::to_string(&held)?);
        return Ok(());
    }
    if !options.no_rate {
        let counts = options.only.map_or(vec![options.few, options.many], |only| vec![only]);
        let mut all: Vec<Vec<Measured>> = vec![Vec::new(); counts.len()];
        for run in 1..=options.runs {
            eprintln!("many-flows: run {run} of {}", options.runs);
            for (&flows, measured) in counts.iter().zip(&mut all) {
                let shape = many_flows::shape(flows);
                let rules = &rules.ruleset;
                measured.push(many_flows::settled(eal, rules, &shape, options.packets)?);
            }
        }
        let mut rates = Vec::new();
        for (flows, measured) in counts.iter().zip(&all) {
            let times: Vec<_> = measured.iter().map(|it| it.worker).collect();
            let time = report::median(&times).as_secs_f64() / options.packets as f64;
            let live = measured.last().map_or(0, |it| it.live);
            println!(
                "{flows:>9} flows: {:>4.0} ns a packet, {live} in the table, closed ones too",
                time * 1e9
            );
            rates.push(1.0 / time);
        }
        if let [few, many] = rates.as_slice() {
            println!("rate with {} beside {}: {:.2}", options.many, options.few, many / few);
        }
    }
    if !options.no_memory {
        for flows in [options.many / 10, options.many] {
            for protocol in ["dns", "http", "tls"] {
                let held = in_a_process(&options, &source, flows, protocol)?;
                println!("\n{flows} flows of {protocol}: bytes of memory a flow, after");
                for Held { after, resident, buffered } in held {
                    println!(
                        "  {after:<14}{resident:>7}  of these {buffered:>6} in stream buffers"
                    );
                }
            }
        }
    }
    Ok(())
}

fn mix(protocol: &str) -> anyhow::Result<Mix> {
    let none = Mix { http: 0, dns: 0, tls: 0 };
    Ok(match protocol {
        "http" => Mix { http: 1, ..none },
        "dns" => Mix { dns: 1, ..none },
        "tls" => Mix { tls: 1, ..none },
        other => anyhow::bail!("http, dns or tls, not {other}"),
    })
}

fn in_a_process(
    options: &Options,
    source: &RuleSource,
    flows: u32,
    protocol: &str,
) -> anyhow::Result<Vec<Held>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let told = Command::new(program)
        .args(["--measure-memory", &flows.to_string(), protocol])
        .arg("--cache")
        .arg(&source.cache)
        .arg("--rules")
        .args(&options.rules)
        .output()?;
    let error = String::from_utf8_lossy(&told.stderr);
    ensure!(told.status.success(), "measuring memory failed: {}", error.trim());
    let text = String::from_utf8_lossy(&told.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("an answer was expected, not {last:?}"))
}
