//! The command line: commands, their flags and what they mean. Flags keep Suricata's names where
//! Suricata users have a habit; those of its flags that mean nothing here are taken and told of.

use std::path::PathBuf;

use traffic::flows::{Mix, Shape};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::{Checksums, Config, ConfigError, ConfigErrors, Loaded, Place, Sources};

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
        after_help = "Examples:\n  pollux doctor -c /etc/pollux/pollux.toml\n  pollux doctor \
        --json\n\nExit status: 0 the sensor can start, 1 it cannot, 2 wrong usage or configuration."
    )]
    Doctor(DoctorArgs),
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

/// `pollux rules …`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say how many rules load, and of each that doesn't where and why.
    #[command(after_help = "Example:\n  pollux rules check --json /etc/pollux/rules\n\n\
        Exit status: 0 the check was made and some rule loads (those that don't are listed), 1 no \
        rule loads or they can't be compiled, 2 a path is missing, unreadable or holds no rules, or \
        the configuration is wrong.")]
    Check(CheckArgs),
    /// Show how a rule is understood: its kind, buffers and group, what is looked for first and why,
    /// what a verification costs, and what keeps it from ever matching.
    #[command(after_help = "Examples:\n  pollux rules explain 2019401 -S /etc/pollux/rules\n  \
        pollux rules explain 'alert tcp any any -> any 80 (content:\"x\"; sid:1;)'\n\n\
        Exit status: 0 it is explained, 1 the rule is refused or there is none of that sid, 2 the \
        rules or the configuration can't be read.")]
    Explain(ExplainArgs),
    /// List the keywords of Suricata 7.0.10, and which of them are evaluated.
    #[command(after_help = "Example:\n  pollux rules keywords --json")]
    Keywords(KeywordsArgs),
}

/// What several commands are configured by.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file (TOML).
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Set NAME, ours or Suricata's, over the configuration; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", action = ArgAction::Append)]
    pub set: Vec<String>,
    /// Take variables, stream, flow, parser and alert settings from a Suricata configuration.
    #[arg(long, value_name = "FILE")]
    pub suricata_yaml: Option<PathBuf>,
    /// Log more; twice: even more.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Log errors only.
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// Where rules and outputs are, over the configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// Rule files, directories or glob patterns, in place of the configuration's; may be repeated.
    #[arg(short = 'S', value_name = "RULES", action = ArgAction::Append)]
    pub rules: Vec<String>,
    /// Rules beside the configuration's; may be repeated.
    #[arg(short = 's', value_name = "RULES", action = ArgAction::Append)]
    pub more_rules: Vec<String>,
    /// Directory of the outputs.
    #[arg(short = 'l', value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// Directory of Kubernetes documents; without one all traffic is in scope.
    #[arg(long, value_name = "DIR")]
    pub resources: Option<PathBuf>,
    /// Directory of compiled rules, or `off`.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<String>,
    /// Checksums: `none` skips the check, `all` makes it, `auto` skips it where most are wrong.
    #[arg(short = 'k', value_name = "MODE")]
    pub checksums: Option<ChecksumArg>,
    /// Make the worker that meets this packet panic, to see what happens then.
    #[arg(long, value_name = "PACKET", hide = true)]
    pub drill_panic: Option<u64>,
}

/// `-k`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChecksumArg {
    /// Check, and drop what is wrong.
    All,
    /// Check, unless most are wrong at first.
    Auto,
    /// Don't check.
    None,
}

/// Suricata's flags that mean nothing here.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Suricata's flags that have no effect here")]
pub struct SuricataArgs {
    #[arg(long, value_name = "MODE", hide_short_help = true)]
    runmode: Option<String>,
    #[arg(long, hide_short_help = true)]
    simulate_ips: bool,
    #[arg(long, hide_short_help = true)]
    init_errors_fatal: bool,
    #[arg(long, value_name = "USER", hide_short_help = true)]
    user: Option<String>,
    #[arg(long, value_name = "GROUP", hide_short_help = true)]
    group: Option<String>,
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pidfile: Option<PathBuf>,
    #[arg(long, hide_short_help = true)]
    disable_hashing: bool,
    #[arg(long, value_name = "KEYWORDS", num_args = 0..=1, require_equals = true, hide_short_help = true)]
    strict_rule_keywords: Option<Option<String>>,
}

impl SuricataArgs {
    /// The flags that were given.
    pub fn given(&self) -> Vec<&'static str> {
        [
            ("--runmode", self.runmode.is_some()),
            ("--simulate-ips", self.simulate_ips),
            ("--init-errors-fatal", self.init_errors_fatal),
            ("--user", self.user.is_some()),
            ("--group", self.group.is_some()),
            ("--pidfile", self.pidfile.is_some()),
            ("--disable-hashing", self.disable_hashing),
            ("--strict-rule-keywords", self.strict_rule_keywords.is_some()),
        ]
        .into_iter()
        .filter_map(|(flag, given)| given.then_some(flag))
        .collect()
    }
}

/// `pollux run`
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Rules and directories.
    #[command(flatten)]
    pub places: PlaceArgs,
}

/// `pollux replay`
#[derive(Debug, Clone, Default, Args)]
pub struct ReplayArgs {
    /// Directory in which rules may have data sets saved (rules.data-directory).
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Rules and directories.
    #[command(flatten)]
    pub places: PlaceArgs,
    /// Workers that inspect, each with a queue of its own; default: 1. The alerts are the same
    /// with any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,
    /// How packets are spread over the workers.
    #[arg(long, value_name = "HOW", default_value = "inner", hide = true)]
    pub spread: Spread,
    /// A capture file, as Suricata names it; may be repeated.
    #[arg(short = 'r', value_name = "CAPTURE", hide = true, action = ArgAction::Append)]
    pub read: Vec<PathBuf>,
    /// Capture files (pcap, pcapng), replayed in this order.
    #[arg(value_name = "CAPTURE", required_unless_present = "read")]
    pub captures: Vec<PathBuf>,
    /// Measure one burst in N (by default 16) and show where the cycles went: by stage, by group of
    /// rules, by rule.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "16", require_equals = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub profile: Option<u32>,
    /// With --profile: print it as JSON, and nothing else.
    #[arg(long, requires = "profile")]
    pub json: bool,
    /// Suricata's flags.
    #[command(flatten)]
    pub suricata: SuricataArgs,
}

impl ReplayArgs {
    /// All captures, in order.
    pub fn all_captures(&self) -> impl Iterator<Item = &PathBuf> {
        self.read.iter().chain(&self.captures)
    }
}

/// How replay spreads packets over its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// By the inner-most addresses, as live.
    #[default]
    Inner,
    /// To the worker after the right one, so that every packet must be handed over.
    Elsewhere,
}

/// `pollux doctor`
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorArgs {
    /// Configuration, whose ports are looked at.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pollux bench`
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Rules and directories.
    #[command(flatten)]
    pub places: PlaceArgs,
    /// Workers that inspect, each with a ring of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Flows that are open at a time.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=16_000_000))]
    pub flows: u32,
    /// Bytes of the frames that carry data.
    #[arg(long, value_name = "BYTES", default_value_t = 1_000, value_parser = frame_bytes)]
    pub frame_bytes: usize,
    /// Packets of a flow that carry data, beside handshake, request and end.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = data_packets)]
    pub data_packets: usize,
    /// Protocols by weight, of http, dns and tls.
    #[arg(long, value_name = "NAME=WEIGHT,…", default_value = "http=6,dns=2,tls=2", value_parser = mix_text)]
    pub mix: String,
    /// How many flows of a hundred are with an endpoint in scope.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub scoped: u32,
    /// Packets a second, in place of a search for the rate without loss.
    #[arg(long, value_name = "PACKETS")]
    pub rate: Option<u64>,
    /// Seconds of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = positive)]
    pub seconds: f64,
    /// How far apart the rate without loss and one with may be when the search ends.
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = positive)]
    pub width: f64,
    /// The share of the rate without loss at which it runs at the end.
    #[arg(long, value_name = "PERCENT", default_value_t = 80.0, value_parser = positive)]
    pub at: f64,
    /// Change the rules so often, without and with: what that costs.
    #[arg(long, value_name = "SECONDS", value_parser = positive)]
    pub reload_every: Option<f64>,
    /// Packets that wait in a ring: what does not fit is lost.
    #[arg(long, value_name = "PACKETS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(64..=1 << 20))]
    pub ring: u32,
    /// What everything drawn at random follows from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
}

fn frame_bytes(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (64..=1_444).contains(number));
    number.ok_or_else(|| "expected 64 to 1444 bytes".to_owned())
}

fn data_packets(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| "expected 1 to 10000 packets".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number > 0.0 && *number <= 86_400.0);
    number.ok_or_else(|| "expected a number above 0 and at most 86400".to_owned())
}

fn mix_text(text: &str) -> Result<String, String> {
    mix(text).map(|_| text.to_owned())
}

/// `http=6,dns=2` as weights.
fn mix(text: &str) -> Result<Mix, String> {
    let mut mix = Mix { http: 0, dns: 0, tls: 0 };
    for part in text.split(',') {
        let (name, weight) = part.split_once('=').ok_or("expected NAME=WEIGHT,…")?;
        let weight: u32 = weight
            .trim()
            .parse()
            .ok()
            .filter(|weight| *weight <= 1_000_000)
            .ok_or_else(|| format!("{weight:?} is no weight from 0 to 1000000"))?;
        match name.trim() {
            "http" => mix.http = weight,
            "dns" => mix.dns = weight,
            "tls" => mix.tls = weight,
            other => return Err(format!("{other:?} is none of http, dns, tls")),
        }
    }
    if mix.http + mix.dns + mix.tls == 0 {
        return Err("one weight must be above 0".to_owned());
    }
    Ok(mix)
}

impl BenchArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut loaded = Config::load(&self.config.sources(None))?;
        self.places.apply(&mut loaded.config);
        Ok(loaded)
    }

    /// What the generator is to make.
    pub fn shape(&self) -> Shape {
        Shape {
            flows: self.flows,
            frame_bytes: self.frame_bytes,
            data_packets: self.data_packets,
            // The text was read before.
            mix: mix(&self.mix).unwrap_or(Mix { http: 1, dns: 0, tls: 0 }),
            scoped_percent: self.scoped,
            seed: self.seed,
        }
    }
}

/// `pollux rules explain`
#[derive(Debug, Clone, Default, Args)]
pub struct ExplainArgs {
    /// The sid of a configured rule, or the text of a rule.
    #[arg(value_name = "SID|RULE")]
    pub rule: String,
    /// Rules and directories; may be repeated.
    #[arg(short = 'S', long = "rules", value_name = "PATH", action = ArgAction::Append)]
    pub rules: Vec<String>,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

impl ExplainArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut loaded = Config::load(&self.config.sources(None))?;
        if !self.rules.is_empty() {
            loaded.config.rules.paths.clone_from(&self.rules);
        }
        Ok(loaded)
    }
}

/// `pollux rules keywords`
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct KeywordsArgs {
    /// Answer in JSON: name, meaning, whether it is supported, and why not.
    #[arg(long)]
    pub json: bool,
}

/// `pollux rules check`
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Answer in JSON.
    #[arg(long)]
    pub json: bool,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Directory of compiled rules, or `off`.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<String>,
    /// Rule files, directories or glob patterns.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<String>,
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

impl ConfigArgs {
    /// The sources of the configuration, the file being this one unless another was named.
    pub fn sources(&self, default_file: Option<PathBuf>) -> Sources {
        Sources {
            file: self.file.clone().or(default_file),
            suricata_yaml: self.suricata_yaml.clone(),
            set: self.set.clone(),
            live: false,
        }
    }
}

/// The configuration that `run` reads if it is there and no other is named.
pub const DEFAULT_FILE: &str = "/etc/pollux/pollux.toml";

impl RunArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let default = PathBuf::from(DEFAULT_FILE);
        let sources = self.config.sources(default.exists().then_some(default));
        let mut loaded = Config::load(&Sources { live: true, ..sources })?;
        self.places.apply(&mut loaded.config);
        if loaded.config.ports.is_empty() {
            let place = match &self.config.file {
                Some(file) => Place::WholeFile(file.display().to_string()),
                None => Place::CommandLine("pollux run".to_owned()),
            };
            let message = "no port is configured; add [[ports]] with device = \"INTERFACE\", or \
                           --set ports.0.device=INTERFACE";
            return Err(ConfigError::new(place, message).into());
        }
        let source = &loaded.config.source;
        if source.kubernetes && source.directory.is_some() {
            let place = Place::CommandLine("pollux run".to_owned());
            let message = "resources come from a cluster (source.kubernetes) or from a directory \
                           (source.directory, --resources), not from both";
            return Err(ConfigError::new(place, message).into());
        }
        Ok(loaded)
    }
}

impl ReplayArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut loaded = Config::load(&self.config.sources(None))?;
        self.places.apply(&mut loaded.config);
        if let Some(directory) = &self.data_dir {
            loaded.config.rules.data_directory = Some(directory.clone());
        }
        let flags = self.suricata.given();
        if !flags.is_empty() {
            loaded.notes.push(format!("flags that have no effect here: {}", flags.join(", ")));
        }
        Ok(loaded)
    }
}

impl CheckArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let mut loaded = Config::load(&self.config.sources(None))?;
        loaded.config.rules.paths.clone_from(&self.paths);
        set_cache(&mut loaded.config, self.cache.as_deref());
        Ok(loaded)
    }
}

impl PlaceArgs {
    /// Puts what the flags say over a configuration.
    pub fn apply(&self, config: &mut Config) {
        if !self.rules.is_empty() {
            config.rules.paths.clone_from(&self.rules);
        }
        config.rules.paths.extend_from_slice(&self.more_rules);
        if let Some(directory) = &self.log_dir {
            config.outputs.directory = Some(directory.clone());
        }
        if let Some(directory) = &self.resources {
            config.source.directory = Some(directory.clone());
        }
        set_cache(config, self.cache.as_deref());
        match self.checksums {
            Some(ChecksumArg::All) => {
                (config.checksums, config.checksum_validation) = (Checksums::Yes, true);
            }
            Some(ChecksumArg::Auto) => config.checksums = Checksums::Auto,
            Some(ChecksumArg::None) => config.checksums = Checksums::No,
            None => {}
        }
        if self.drill_panic.is_some() {
            config.drill_panic = self.drill_panic;
        }
    }
}

fn set_cache(config: &mut Config, cache: Option<&str>) {
    use crate::config::CacheSetting;
    config.rules.cache = match cache {
        Some("off" | "none") => CacheSetting::Off,
        Some("auto") => CacheSetting::Auto,
        Some(directory) => CacheSetting::Directory(PathBuf::from(directory)),
        None => return,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("pollux").chain(words.iter().copied()))
    }

    fn replay(words: &[&str]) -> ReplayArgs {
        let words: Vec<&str> = std::iter::once("replay").chain(words.iter().copied()).collect();
        match parse(&words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command {
            Command::Replay(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn replay_takes_what_suricata_takes() {
        let args = replay(&[
            "-S",
            "a.rules",
            "-l",
            "out",
            "--suricata-yaml",
            "s.yaml",
            "-k",
            "none",
            "--runmode=single",
            "--simulate-ips",
            "--set",
            "stream.midstream=true",
            "--set",
            "mpm-algo=ac",
            "--init-errors-fatal",
            "--data-dir=out",
            "x.pcap",
        ]);
        assert_eq!(args.places.rules, ["a.rules"]);
        assert_eq!(args.places.checksums, Some(ChecksumArg::None));
        assert_eq!(args.config.set, ["stream.midstream=true", "mpm-algo=ac"]);
        assert_eq!(args.captures, [PathBuf::from("x.pcap")]);
        assert_eq!(args.data_dir, Some(PathBuf::from("out")));
        assert_eq!(args.suricata.given(), ["--runmode", "--simulate-ips", "--init-errors-fatal"]);
        let args = replay(&["-r", "x.pcap", "--runmode", "single"]);
        assert_eq!(args.all_captures().count(), 1);
        assert!(args.captures.is_empty());
    }

    #[test]
    fn wrong_usage_has_status_two() {
        for words in [
            &["replay"][..],
            &["replay", "--workers", "0", "x.pcap"],
            &["replay", "--wrokers", "2", "x.pcap"],
            &["rules", "check"],
            &["selector"],
            &["selector", "all()", "--jsonl"],
            &["unknown"],
            &[],
        ] {
            assert_eq!(parse(words).expect_err("an error").exit_code(), 2, "{words:?}");
        }
        assert_eq!(parse(&["replay", "--help"]).expect_err("help").exit_code(), 0);
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command) {
            if command.has_subcommands() {
                command.get_subcommands().for_each(check);
            } else {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains("Example"), "{}", command.get_name());
            }
        }
        Cli::command().get_subcommands().for_each(check);
    }

    #[test]
    fn flags_count_over_the_configuration() {
        let mut args = replay(&["-S", "a", "-s", "b", "-k", "none", "--cache", "off", "x.pcap"]);
        args.config.set = vec!["rules.paths=c".to_owned(), "rules.cache=/tmp/x".to_owned()];
        let config = args.load().expect("valid").config;
        assert_eq!(config.rules.paths, ["a", "b"]);
        assert_eq!(config.rules.cache, crate::config::CacheSetting::Off);
        assert_eq!(config.effective_checksums(), Checksums::No);
        let all = replay(&["-k", "all", "--set", "stream.checksum-validation=no", "x.pcap"]);
        assert_eq!(all.load().expect("valid").config.effective_checksums(), Checksums::Yes);
    }

    #[test]
    fn run_needs_a_port() {
        let args = RunArgs {
            config: ConfigArgs { set: vec!["sensor.node=x".to_owned()], ..ConfigArgs::default() },
            ..RunArgs::default()
        };
        let error = args.load().map(drop).expect_err("no port").to_string();
        assert!(error.contains("[[ports]]"), "{error}");
    }

    /// The arguments of every test of the shared corpus, as its runner gives them.
    #[test]
    fn the_arguments_of_the_corpus_are_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let shared = std::env::var_os("POLLUX_SHARED").map_or(root, PathBuf::from);
        let Ok(_) = std::fs::read_dir(shared.join("corpus/suricata-verify/tests")) else {
            println!("skipped: shared corpus absent");
            return;
        };
        let mut directories = vec![shared.join("corpus/suricata-verify/tests")];
        let mut seen = 0;
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).expect("a directory").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.file_name().is_some_and(|name| name == "test.yaml") {
                    let text = std::fs::read_to_string(&path).expect("a file");
                    #[derive(serde::Deserialize)]
                    struct Test {
                        #[serde(default)]
                        args: Vec<String>,
                    }
                    let test: Test = serde_saphyr::from_str(&text).expect("valid YAML");
                    let words: Vec<String> = test
                        .args
                        .iter()
                        .flat_map(|line| line.split_whitespace())
                        .map(|word| word.replace("${OUTPUT_DIR}", "out"))
                        .chain(["x.pcap".to_owned()])
                        .collect();
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    let args = replay(&words);
                    if let Err(error) = args.load() {
                        panic!("{}: {error}", path.display());
                    }
                    seen += usize::from(!test.args.is_empty());
                }
            }
        }
        assert!(seen > 100, "only {seen} tests have arguments");
    }
}
