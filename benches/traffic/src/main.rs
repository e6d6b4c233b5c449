//! `pollux-traffic`: writes captures, and rules, for tests, demonstrations and benches.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use traffic::{Bulk, Example, PcapWriter};

/// Makes captures of pods that talk, from a seed: the same seed, the same bytes.
#[derive(Parser)]
#[command(
    name = "pollux-traffic",
    version,
    after_help = "\
Example:
  pollux-traffic example -o example.pcap --manifest example.json
  pollux-traffic http-bodies --flows 10000 --body-bytes 65536 --packets 1000000 -o bodies.pcap
  pollux-traffic short-flows --flows 1000000 -o - | tcpreplay -i veth0 -"
)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// A few seconds of the small cluster of deploy/examples, with attacks planted
    Example {
        #[command(flatten)]
        to: Output,
        /// Also write what was planted, as JSON: alerts by rule, addresses and resources
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
    },
    /// HTTP with bodies in both directions, to inspected pods of the example
    HttpBodies {
        #[command(flatten)]
        to: Output,
        #[command(flatten)]
        bulk: BulkArguments,
        /// Bytes of each body
        #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u64).range(..=1 << 32))]
        body_bytes: u64,
    },
    /// Short connections of ten packets each, to inspected pods of the example
    ShortFlows {
        #[command(flatten)]
        to: Output,
        /// How many connections
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
        flows: u64,
        /// Packets a second of the capture's own time
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
    },
    /// Rules as large sets have them, in a file instead of a capture
    Rules {
        #[command(flatten)]
        to: Output,
        /// How many
        #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        count: u32,
    },
    /// As http-bodies, to pods that no resource of the example selects
    OutOfScope {
        #[command(flatten)]
        to: Output,
        #[command(flatten)]
        bulk: BulkArguments,
        /// Bytes of each body
        #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u64).range(..=1 << 32))]
        body_bytes: u64,
    },
}

#[derive(Args)]
struct Output {
    /// The file to write; "-" is the standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// What everything drawn at random follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
struct BulkArguments {
    /// How many connections
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    flows: u64,
    /// Exactly so many packets: connections go on with more requests, or are cut off
    #[arg(long)]
    packets: Option<u64>,
    /// Packets a second of the capture's own time
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
}

impl BulkArguments {
    fn onto(self, bulk: Bulk, body_bytes: u64) -> Bulk {
        let Self { flows, packets, rate } = self;
        Bulk { flows, packets, rate, body_bytes, ..bulk }
    }
}

fn main() -> anyhow::Result<()> {
    let (to, bulk) = match Arguments::parse().scenario {
        Scenario::Example { to, manifest } => return example(&to, manifest),
        Scenario::Rules { to, count } => {
            let text = traffic::rules::rules(to.seed, count as usize);
            let mut file = open(&to)?;
            let written = file.write_all(text.as_bytes()).and_then(|()| file.flush());
            return written.with_context(|| format!("cannot write {}", to.output.display()));
        }
        Scenario::HttpBodies { to, bulk, body_bytes } => {
            let bulk = bulk.onto(Bulk::http_bodies(to.seed), body_bytes);
            (to, bulk)
        }
        Scenario::ShortFlows { to, flows, rate } => {
            let bulk = Bulk { flows, rate, ..Bulk::short_flows(to.seed) };
            (to, bulk)
        }
        Scenario::OutOfScope { to, bulk, body_bytes } => {
            let bulk = bulk.onto(Bulk::out_of_scope(to.seed), body_bytes);
            (to, bulk)
        }
    };
    let failed = || format!("cannot write {}", to.output.display());
    let pcap = PcapWriter::new(open(&to)?).with_context(failed)?;
    let pcap = bulk.write(pcap).with_context(failed)?;
    let packets = pcap.packets();
    pcap.finish().with_context(failed)?;
    report(&to, packets);
    Ok(())
}

fn example(to: &Output, manifest: Option<PathBuf>) -> anyhow::Result<()> {
    let example = Example::new(to.seed)?;
    let failed = || format!("cannot write {}", to.output.display());
    example.write(open(to)?).with_context(failed)?;
    if let Some(file) = manifest {
        let mut text = serde_json::to_string_pretty(&example.manifest)?;
        text.push('\n');
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    report(to, example.manifest.fates.packets);
    Ok(())
}

fn open(to: &Output) -> anyhow::Result<Box<dyn Write>> {
    if to.output.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::with_capacity(1 << 18, io::stdout().lock())));
    }
    let file = File::create(&to.output)
        .with_context(|| format!("cannot create {}", to.output.display()))?;
    Ok(Box::new(BufWriter::with_capacity(1 << 18, file)))
}

fn report(to: &Output, packets: u64) {
    eprintln!("{}: {packets} packets", to.output.display());
}
