//! Rules from files to a compiled ruleset: paths, variables, classes, cache, and what is said of
//! rules that don't load.

mod sets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash as _, Hasher as _};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use rules::parse::{Context, FileError, FlowNames, Names, Rejection, Variables};
use rules::ruleset::{BuildError, BuildReport, Cache, Progress, Ruleset};
use rules::signature::Signature;
use rules::state::DataPaths;

use crate::config::{CacheSetting, Config, ConfigError, ConfigErrors, Place};
use crate::rules_tables as tables;
use sets::{Reading, RuleSets};

/// Rejected rules that the log names; the rest are counted.
const LOGGED: usize = 20;

/// Why there is no ruleset.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Paths that gave no rules.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Paths(Vec<FileError>),
    /// Variables that don't resolve.
    #[error(transparent)]
    Variables(#[from] ConfigErrors),
    /// The rules don't compile.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl RulesError {
    /// Is it the user's to mend in the command line or configuration?
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Paths(_) | Self::Variables(_))
    }
}

/// Rules, read but not compiled.
#[derive(Debug)]
pub struct ParsedRules {
    /// Those that load.
    pub signatures: Vec<Signature>,
    /// Those that don't, in the order of the files.
    pub rejections: Vec<Rejection>,
    /// Those in comments.
    pub ignored: usize,
    /// Those that ask for nothing here ([`rules::parse::Parsed::skipped`]).
    pub skipped: usize,
    /// Names of flowbits and their like, as far as they are known.
    pub names: FlowNames,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What else is to be said, each a line.
    pub warnings: Vec<String>,
    /// What is wrong with rule sets other than the default one, each a line.
    pub set_problems: Vec<String>,
}

impl ParsedRules {
    /// Differs where rules do that would raise different alerts or be told of differently.
    pub fn fingerprint(&self, hasher: &impl BuildHasher) -> u64 {
        let mut state = hasher.build_hasher();
        for signature in &self.signatures {
            signature.text.hash(&mut state);
            (signature.priority, signature.rulesets).hash(&mut state);
            if let Some(threshold) = &signature.threshold {
                format!("{threshold:?}").hash(&mut state);
            }
            if let Some(filters) = &signature.filters {
                format!("{filters:?}").hash(&mut state);
            }
            for list in signature.hash_lists() {
                list.hash(&mut state);
            }
            if let Some(class) = &signature.class {
                (&class.name, &class.description).hash(&mut state);
            }
        }
        for rejection in &self.rejections {
            rejection.to_string().hash(&mut state);
        }
        (&self.files, &self.set_problems).hash(&mut state);
        state.finish()
    }
}

/// Rules, ready to be used.
#[derive(Debug)]
pub struct LoadedRules {
    /// The compiled rules.
    pub ruleset: Arc<Ruleset>,
    /// Figures of the build.
    pub report: BuildReport,
    /// Rules that don't load, in the order of the files.
    pub rejections: Vec<Rejection>,
    /// Rules in comments.
    pub ignored: usize,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What is wrong with rule sets other than the default one, each a line.
    pub set_problems: Vec<String>,
}

/// Rule texts by ConfigMap and key.
pub type ConfigMaps = BTreeMap<String, BTreeMap<String, String>>;

/// What rules refer to, as configured; what cannot be used is a warning.
///
/// # Errors
/// Variables that don't resolve.
pub fn context(config: &Config, warnings: &mut Vec<String>) -> Result<Context, RulesError> {
    Ok(Context {
        variables: variables(config)?,
        classes: tables::classes(config, warnings),
        references: tables::references(config, warnings),
        reputation: tables::reputation(config, warnings),
        countries: tables::countries(config, warnings),
        data: DataPaths { data: config.rules.data_directory.clone() },
    })
}

/// Reads the configured rules, those of all sets. `maps`: the ConfigMaps that there are; `None`: they
/// are not known, and are left out. `names` outlives reloads, so that flows keep the meaning of their
/// flowbits.
///
/// # Errors
/// A path that gives no rules, or variables that don't resolve. Rules that don't load are none.
pub fn parse(
    config: &Config,
    maps: Option<&ConfigMaps>,
    names: &mut Names,
) -> Result<ParsedRules, RulesError> {
    let mut warnings = Vec::new();
    let context = context(config, &mut warnings)?;
    let loaded = rules::parse::load(&config.rules.paths, &context, names);
    if !loaded.errors.is_empty() {
        return Err(RulesError::Paths(loaded.errors));
    }
    if config.rules.paths.is_empty() && config.rules.sets.is_empty() {
        warnings.push("no rules are configured; nothing can raise an alert".to_owned());
    }
    warnings.extend(loaded.parsed.warnings);
    let mut signatures = loaded.parsed.signatures;
    tables::thresholds(config, &context.variables, &mut signatures, &mut warnings);
    let mut sets = RuleSets::new(signatures);
    let mut rules = ParsedRules {
        signatures: Vec::new(),
        rejections: loaded.parsed.rejections,
        ignored: loaded.parsed.ignored,
        skipped: loaded.parsed.skipped,
        names: FlowNames::default(),
        files: loaded.files,
        warnings,
        set_problems: Vec::new(),
    };
    for (bit, (name, set)) in (1_u32..).zip(&config.rules.sets) {
        let mut reading = Reading {
            context: &context,
            names: &mut *names,
            rules: &mut rules,
            earlier: &sets.by_text,
        };
        if maps.is_none() && !config.source.kubernetes && !set.config_maps.is_empty() {
            let problem =
                format!("rule set {name}: ConfigMaps are read with source.kubernetes only");
            reading.rules.set_problems.push(problem);
        }
        let held = reading.set(name, set, maps);
        sets.add(bit, held);
    }
    for problem in &rules.set_problems {
        rules.warnings.push(problem.clone());
    }
    rules.signatures = sets.all;
    rules.names = names.of_flows();
    Ok(rules)
}

/// Compiles rules. On a terminal `show_progress` draws a bar.
///
/// # Errors
/// See [`BuildError`].
pub fn compile(
    signatures: Vec<Signature>,
    config: &Config,
    show_progress: bool,
) -> Result<(Ruleset, BuildReport), BuildError> {
    let cache = cache_directory(&config.rules.cache).map(Cache::new);
    let threads = config
        .rules
        .threads
        .unwrap_or_else(|| thread::available_parallelism().map_or(1, std::num::NonZero::get));
    let bar = Bar::new(show_progress);
    Ruleset::compile(signatures, cache.as_ref(), threads, &|progress| bar.show(progress))
}

/// Reads and compiles the configured rules, and logs what is to be said of them.
///
/// # Errors
/// See [`parse`] and [`compile`].
pub fn load(
    config: &Config,
    names: &mut Names,
    show_progress: bool,
) -> Result<LoadedRules, RulesError> {
    let parsed = parse(config, None, names)?;
    Ok(finish(parsed, config, show_progress)?)
}

/// Compiles rules that were read, and logs what is to be said of them.
///
/// # Errors
/// See [`compile`].
pub fn finish(
    parsed: ParsedRules,
    config: &Config,
    show_progress: bool,
) -> Result<LoadedRules, BuildError> {
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    log_rejections(&parsed.rejections);
    let (mut ruleset, report) = compile(parsed.signatures, config, show_progress)?;
    ruleset.names = parsed.names;
    for warning in &report.warnings {
        tracing::warn!("rules: {warning}");
    }
    tracing::info!(
        "{} rules loaded from {} files, {} rejected; compiled in {:.1} s ({} of {} databases from \
         the cache, {})",
        ruleset.signatures.len(),
        parsed.files.len(),
        parsed.rejections.len(),
        report.seconds,
        report.cached,
        report.databases,
        indicatif::BinaryBytes(report.database_bytes as u64),
    );
    if parsed.skipped > 0 {
        tracing::info!(
            "{} rules are meant for another engine or for logs, and were skipped",
            parsed.skipped
        );
    }
    if ruleset.signatures.is_empty() && !parsed.rejections.is_empty() {
        tracing::error!("none of {} rules loads", parsed.rejections.len());
    }
    Ok(LoadedRules {
        ruleset: Arc::new(ruleset),
        report,
        rejections: parsed.rejections,
        ignored: parsed.ignored,
        files: parsed.files,
        set_problems: parsed.set_problems,
    })
}

fn log_rejections(rejections: &[Rejection]) {
    for rejection in rejections.iter().take(LOGGED) {
        tracing::warn!("{rejection}");
    }
    if rejections.len() > LOGGED {
        tracing::warn!(
            "… and {} more rules that don't load; `pollux rules check` lists them all",
            rejections.len() - LOGGED
        );
    }
}

/// Suricata's variables with the configured ones over them.
///
/// # Errors
/// Every variable that does not resolve, at its place.
pub fn variables(config: &Config) -> Result<Variables, ConfigErrors> {
    let mut variables = Variables::default();
    let groups = [&config.vars.address_groups, &config.vars.port_groups];
    let set = || groups.into_iter().flatten();
    let pairs = set().map(|(name, (value, _))| (name.as_str(), value.as_str()));
    if let Err(error) = variables.set_all(pairs) {
        let place = set()
            .find(|(name, _)| **name == error.name)
            .map_or_else(|| Place::CommandLine("vars".to_owned()), |(_, (_, place))| place.clone());
        return Err(ConfigError::new(place, error.to_string()).into());
    }
    Ok(variables)
}

/// Where compiled rules are kept, if anywhere.
fn cache_directory(setting: &CacheSetting) -> Option<PathBuf> {
    match setting {
        CacheSetting::Off => None,
        CacheSetting::Directory(directory) => Some(directory.clone()),
        CacheSetting::Auto => {
            let user = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
            let choices = [
                user("XDG_CACHE_HOME").map(|cache| Path::new(&cache).join("pollux")),
                Some(PathBuf::from("/var/cache/pollux")),
                user("HOME").map(|home| Path::new(&home).join(".cache/pollux")),
            ];
            choices.into_iter().flatten().find(|directory| is_writable(directory))
        }
    }
}

/// Can files be made in this directory? It is made if need be.
fn is_writable(directory: &Path) -> bool {
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    let made = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&probe, b""));
    let _ = std::fs::remove_file(&probe);
    made.is_ok()
}

/// A progress bar on a terminal, nothing elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(wanted: bool) -> Self {
        let shown = wanted && std::io::stderr().is_terminal();
        Self(shown.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "compiling rules {bar:30} {pos}/{len} databases, {elapsed}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        }))
    }

    fn show(&self, progress: Progress) {
        if let Some(bar) = &self.0 {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
