//! The command line: commands, their flags and what they mean. Flags keep Suricata's names where
//! Suricata users have a habit; those of its flags that mean nothing here are taken and told of.

mod bench;
mod config;
mod replay;
mod rules;
mod run;
mod top;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use bench::BenchArgs;
pub use config::{ChecksumArg, ConfigArgs, PlaceArgs};
pub use replay::{ReplayArgs, Spread, SuricataArgs};
pub use rules::{CheckArgs, ExplainArgs, KeywordsArgs, RulesCommand};
pub use run::{DEFAULT_FILE, RunArgs};
pub use top::{TopArgs, socket};

/// A deep packet inspection sensor for Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "pollux", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit status: 0 done, 1 a failure at run time, 2 wrong usage or \
    configuration.\nEach command's --help shows an example.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the live sensor.
    #[command(after_help = "Example:\n  pollux run -c /etc/pollux/pollux.toml")]
    Run(Box<RunArgs>),
    /// Run the same dataplane over capture files.
    #[command(after_help = "Example:\n  pollux replay -S rules/ -l out -k none \
        --set stream.midstream=true traffic.pcap\n\n\
        Writes eve.json, ledger.json and status.yaml to the directory of -l. Exit status: 0 done (a \
        capture cut off in mid-packet too, with a warning), 1 a failure at run time, 2 wrong usage \
        or configuration.")]
    Replay(Box<ReplayArgs>),
    /// Look whether this machine is ready, and say what to do where it is not.
    #[command(
        after_help = "Examples:\n  pollux doctor --live\n  pollux doctor -c /etc/pollux/pollux.toml\n  pollux doctor \
        --json\n\nExit status: 0 the sensor can start, 1 it cannot, 2 wrong usage or configuration."
    )]
    Doctor(DoctorArgs),
    /// Show what a running sensor does: ports, queues, drops, flows, alerts.
    #[command(
        after_help = "Examples:\n  pollux top\n  pollux top --json | jq .ledger.totals\n\nKeys: q \
        quits, s changes what tables are sorted by, p pauses.\n\nExit status: 0 done, 1 no sensor runs \
        there, 2 wrong usage or configuration."
    )]
    Top(TopArgs),
    /// Measure the dataplane with made traffic: the rate without loss, the cost of a packet.
    #[command(after_help = "Examples:\n  pollux bench -S rules/ --flows 100000 --scoped 50\n  \
        pollux bench -S rules/ --rate 200000 --reload-every 1 --json\n\n\
        A generator on a core of its own feeds the sensor's workers with unique flows. It looks for \
        the highest rate at which no packet finds its ring full, then runs at --at percent of that. \
        Exit status: 0 every packet is accounted for, 1 some is not or a failure, 2 wrong usage.")]
    Bench(Box<BenchArgs>),
    /// Check rules without running them.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Parse a selector, show its canonical text, say whether labels match.
    #[command(after_help = "Examples:\n  pollux selector \"app == 'web' && !has(canary)\" \
        --labels app=web\n  pollux selector --jsonl < requests.jsonl\n\n\
        Exit status: 0 the selector is valid, whether it matches or not, 2 it is invalid.")]
    Selector(SelectorArgs),
    /// Print every setting with its meaning and default, as a commented pollux.toml.
    #[command(after_help = "Example:\n  pollux config > pollux.toml")]
    Config,
    /// Print the CustomResourceDefinition of DeepPacketInspection.
    #[command(after_help = "Examples:\n  pollux crd | kubectl apply -f -\n  pollux crd --check | \
        kubectl apply -f -\n\nExit status: 0 it was printed, 1 the cluster has no use for it (with \
        --check), or cannot be asked.")]
    Crd(CrdArgs),
}

/// `pollux crd`
#[derive(Debug, Clone, Default, Args)]
pub struct CrdArgs {
    /// Ask the cluster first, and print nothing where it serves the resource otherwise.
    #[arg(long)]
    pub check: bool,
    /// The kubeconfig; by default $KUBECONFIG, else the user's.
    #[arg(long, value_name = "FILE", requires = "check")]
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; by default the current one.
    #[arg(long, value_name = "NAME", requires = "check")]
    pub context: Option<String>,
}

/// `pollux doctor`
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    /// Configuration, whose ports are looked at.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Ask the running sensor what the mirror does to its traffic, instead of looking at the machine.
    #[arg(long)]
    pub live: bool,
    /// With --live: the sensor's local socket; by default the configuration's (metrics.socket).
    #[arg(long, value_name = "PATH", requires = "live")]
    pub socket: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pollux selector`
#[derive(Debug, Clone, Default, Args)]
pub struct SelectorArgs {
    /// The selector.
    #[arg(value_name = "EXPR", required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub expression: Option<String>,
    /// Labels to match; may be repeated.
    #[arg(long, value_name = "NAME=VALUE,…", value_delimiter = ',', conflicts_with = "jsonl")]
    pub labels: Option<Vec<String>>,
    /// Answer requests, one JSON object a line, from standard input.
    #[arg(long)]
    pub jsonl: bool,
}
