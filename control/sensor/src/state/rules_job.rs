//! Rules as the control side has them: what is known of those in force, and the work of reading
//! them again, which goes on beside everything else.

use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;

use rules::parse::{Names, Rejection};
use rules::ruleset::Ruleset;

use crate::config::Config;
use crate::rules_source::{self, LoadedRules};

/// What is known of the rules in force.
#[derive(Debug, Clone, Default)]
pub struct RulesView {
    /// How many are loaded.
    pub loaded: usize,
    /// Those that don't load.
    pub rejections: Vec<Rejection>,
    /// The files that they were read from.
    pub files: Vec<PathBuf>,
    /// Figures of their build.
    pub report: rules::ruleset::BuildReport,
    /// What is wrong with rule sets other than the default one.
    pub set_problems: Vec<String>,
}

impl RulesView {
    pub(super) fn of(loaded: LoadedRules) -> (Arc<Ruleset>, Self) {
        let LoadedRules { ruleset, report, rejections, ignored: _, files, set_problems } = loaded;
        let loaded = ruleset.signatures.len();
        let view = Self { loaded, rejections, files, report, set_problems };
        (ruleset, view)
    }
}

/// Rules that are to be read and compiled.
#[derive(Debug)]
pub struct RulesJob {
    pub(super) config: Config,
    pub(super) maps: Option<rules_source::ConfigMaps>,
    pub(super) names: Names,
    pub(super) hasher: RandomState,
    /// Of the rules in force.
    pub(super) print: u64,
    /// How many are in force.
    pub(super) loaded: usize,
}

/// What came of a [`RulesJob`].
#[derive(Debug)]
pub struct RulesDone {
    pub(super) names: Names,
    /// New rules with their fingerprint, or that they are the same.
    pub(super) result: anyhow::Result<Option<(u64, LoadedRules)>>,
}

impl RulesJob {
    /// Does it.
    pub fn run(mut self) -> RulesDone {
        let result = self.try_run();
        RulesDone { names: self.names, result }
    }

    fn try_run(&mut self) -> anyhow::Result<Option<(u64, LoadedRules)>> {
        let parsed = rules_source::parse(&self.config, self.maps.as_ref(), &mut self.names)?;
        if parsed.signatures.is_empty() && self.loaded > 0 {
            anyhow::bail!("no rule loads any more");
        }
        let print = parsed.fingerprint(&self.hasher);
        if print == self.print {
            return Ok(None);
        }
        let loaded = rules_source::finish(parsed, &self.config, false)?;
        Ok(Some((print, loaded)))
    }
}
