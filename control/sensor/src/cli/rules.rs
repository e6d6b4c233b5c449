//! `pollux rules …`: its commands and their flags.

use clap::{ArgAction, Args, Subcommand};

use super::ConfigArgs;
use super::config::set_cache;
use crate::config::{Config, ConfigErrors, Loaded};

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

/// `pollux rules check`
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Show how the rules fall into groups, and each group's patterns and database.
    #[arg(long)]
    pub groups: bool,
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
