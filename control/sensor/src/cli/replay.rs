//! `pollux replay`: its flags, and those of Suricata that mean nothing here.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{ConfigArgs, PlaceArgs};
use crate::config::{Config, ConfigErrors, Loaded};

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

/// How replay spreads packets over its workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// By the inner-most addresses, as live.
    #[default]
    Inner,
    /// To the worker after the right one, so that every packet must be handed over.
    Elsewhere,
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
