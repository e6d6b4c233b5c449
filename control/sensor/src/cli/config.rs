//! What several commands are configured by: the configuration, rules, directories.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use crate::config::{CacheSetting, Checksums, Config, Sources};

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

pub(super) fn set_cache(config: &mut Config, cache: Option<&str>) {
    config.rules.cache = match cache {
        Some("off" | "none") => CacheSetting::Off,
        Some("auto") => CacheSetting::Auto,
        Some(directory) => CacheSetting::Directory(PathBuf::from(directory)),
        None => return,
    };
}
