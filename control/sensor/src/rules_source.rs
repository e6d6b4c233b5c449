//! Rules from files to a compiled ruleset: paths, variables, classes, cache, and what is said of
//! rules that don't load.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash as _, Hasher as _};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use rules::parse::{
    Classifications, Context, FileError, FlowNames, Names, ReferenceTypes, Rejection, Variables,
};
use rules::ruleset::{BuildError, BuildReport, Cache, Progress, Ruleset};
use rules::signature::Signature;
use rules::state::DataPaths;

use crate::config::{CacheSetting, Config, ConfigError, ConfigErrors, Place, RuleSetConfig};
use crate::rules_tables as tables;

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
        classes: classes(config, warnings),
        references: references(config, warnings),
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
        let mut reading = Reading { context: &context, names: &mut *names, rules: &mut rules };
        if maps.is_none() && !config.source.kubernetes && !set.config_maps.is_empty() {
            let problem =
                format!("rule set {name}: ConfigMaps are read with source.kubernetes only");
            reading.rules.set_problems.push(problem);
        }
        let signatures = reading.set(name, set, maps);
        sets.add(bit, signatures);
    }
    for problem in &rules.set_problems {
        rules.warnings.push(problem.clone());
    }
    rules.signatures = sets.all;
    rules.names = names.of_flows();
    Ok(rules)
}

/// The reading of rule sets beside the default one. What is wrong with one costs that one only.
struct Reading<'a> {
    context: &'a Context,
    names: &'a mut Names,
    rules: &'a mut ParsedRules,
}

impl Reading<'_> {
    fn set(
        &mut self,
        name: &str,
        set: &RuleSetConfig,
        maps: Option<&ConfigMaps>,
    ) -> Vec<Signature> {
        let loaded = rules::parse::load(&set.paths, self.context, self.names);
        for error in loaded.errors {
            self.rules.set_problems.push(format!("rule set {name}: {error}"));
        }
        for file in loaded.files {
            if !self.rules.files.contains(&file) {
                self.rules.files.push(file);
            }
        }
        self.rules.ignored += loaded.parsed.ignored;
        self.warn(loaded.parsed.warnings);
        self.reject(loaded.parsed.rejections);
        let mut signatures = loaded.parsed.signatures;
        let Some(maps) = maps else { return signatures };
        for map in &set.config_maps {
            let Some(files) = maps.get(map) else {
                let problem = format!(
                    "rule set {name}: there is no ConfigMap {map} in the sensor's namespace"
                );
                self.rules.set_problems.push(problem);
                continue;
            };
            for (key, text) in files {
                let source = format!("configmap/{map}/{key}");
                let parsed =
                    rules::parse::parse_rules(&source, text.as_bytes(), self.context, self.names);
                self.rules.ignored += parsed.ignored;
                self.warn(parsed.warnings);
                self.reject(parsed.rejections);
                signatures.extend(parsed.signatures);
            }
        }
        signatures
    }

    /// Says what is not said yet.
    fn warn(&mut self, warnings: Vec<String>) {
        for warning in warnings {
            if !self.rules.warnings.contains(&warning) {
                self.rules.warnings.push(warning);
            }
        }
    }

    /// Files of several sets are read for each; what is wrong with them is told once.
    fn reject(&mut self, rejections: Vec<Rejection>) {
        let told: HashSet<String> = self.rules.rejections.iter().map(|r| r.to_string()).collect();
        self.rules
            .rejections
            .extend(rejections.into_iter().filter(|r| !told.contains(&r.to_string())));
    }
}

/// The rules of all sets together, each once with a bit for every set that holds it.
struct RuleSets {
    all: Vec<Signature>,
    /// Where the rule of a text stands.
    by_text: HashMap<Arc<str>, usize>,
}

impl RuleSets {
    /// Begins with the default set.
    fn new(all: Vec<Signature>) -> Self {
        let by_text = all.iter().enumerate().map(|(at, rule)| (Arc::clone(&rule.text), at));
        Self { by_text: by_text.collect(), all }
    }

    /// Adds a set. Of rules with the same gid and sid within it the highest revision counts.
    fn add(&mut self, bit: u32, signatures: Vec<Signature>) {
        let mut newest: HashMap<(u32, u32), u32> = HashMap::new();
        for rule in &signatures {
            let rev = newest.entry((rule.gid, rule.sid)).or_default();
            *rev = rule.rev.max(*rev);
        }
        let mut taken = HashSet::new();
        for mut rule in signatures {
            let key = (rule.gid, rule.sid);
            if newest.get(&key) != Some(&rule.rev) || !taken.insert(key) {
                continue;
            }
            match self.by_text.get(&rule.text).and_then(|&at| self.all.get_mut(at)) {
                Some(known) => known.rulesets |= 1 << bit,
                None => {
                    rule.rulesets = 1 << bit;
                    self.by_text.insert(Arc::clone(&rule.text), self.all.len());
                    self.all.push(rule);
                }
            }
        }
    }
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

/// The configured classes, else those of a `classification.config` beside the rules, else
/// Suricata's well-known ones.
fn classes(config: &Config, warnings: &mut Vec<String>) -> Classifications {
    let set = config.rules.classification.as_deref();
    let place = (set, "classification.config", "classes");
    table(config, place, Classifications::parse, warnings)
}

/// The configured types of references, else those of a `reference.config` beside the rules, else
/// Suricata's well-known ones.
fn references(config: &Config, warnings: &mut Vec<String>) -> ReferenceTypes {
    let place = (config.rules.references.as_deref(), "reference.config", "types of references");
    table(config, place, ReferenceTypes::parse, warnings)
}

/// What the configured file, or the one of this name beside the rules, holds.
fn table<T: Default>(
    config: &Config,
    (set, name, what): (Option<&Path>, &str, &str),
    parse: impl Fn(&str) -> (T, Vec<(u32, String)>),
    warnings: &mut Vec<String>,
) -> T {
    let beside = || {
        config.rules.paths.iter().map(Path::new).find_map(|path| {
            let directory = if path.is_dir() { path } else { path.parent()? };
            let file = directory.join(name);
            file.is_file().then_some(file)
        })
    };
    let Some(file) = set.map(Path::to_owned).or_else(beside) else { return T::default() };
    let text = match std::fs::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let file = file.display();
            warnings.push(format!("{file}: {error}; Suricata's well-known {what} are used"));
            return T::default();
        }
    };
    let (table, faults) = parse(&text);
    for (line, fault) in faults.iter().take(LOGGED) {
        warnings.push(format!("{}:{line}: {fault}", file.display()));
    }
    table
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

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "alert tcp $LAB any -> any any (msg:\"a\"; content:\"abcdef\"; sid:1;)\n";
    const BAD: &str = "alert tcp any any -> any any (nokeyword:1; sid:2;)\n";

    fn config(directory: &Path, rules: &str) -> Config {
        std::fs::write(directory.join("a.rules"), rules).expect("written");
        let mut config = Config::default();
        config.rules.paths = vec![directory.display().to_string()];
        config.rules.cache = CacheSetting::Off;
        let place = Place::CommandLine("--set vars.address-groups.LAB=10.0.0.0/8".to_owned());
        config.vars.address_groups.insert("LAB".to_owned(), ("10.0.0.0/8".to_owned(), place));
        config
    }

    #[test]
    fn rules_load_and_those_that_do_not_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let config = config(directory.path(), &format!("{GOOD}{BAD}# {BAD}"));
        let loaded = load(&config, &mut Names::default(), false).expect("rules");
        assert_eq!(loaded.ruleset.signatures.len(), 1);
        assert_eq!((loaded.rejections.len(), loaded.ignored), (1, 1));
        let said = loaded.rejections[0].to_string();
        assert!(said.contains("a.rules:2:31: "), "{said}");
        assert_eq!(loaded.files, [directory.path().join("a.rules")]);
    }

    #[test]
    fn a_variable_that_does_not_resolve_is_told_at_its_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = config(directory.path(), GOOD);
        let place = Place::File { file: "pollux.toml".to_owned(), line: 3, column: 7 };
        config.vars.address_groups.insert("LAB".to_owned(), ("$NOWHERE".to_owned(), place));
        let error = load(&config, &mut Names::default(), false).map(drop).expect_err("an error");
        assert!(error.is_usage());
        assert!(error.to_string().starts_with("pollux.toml:3:7: variable LAB: "), "{error}");
    }

    #[test]
    fn a_path_without_rules_is_wrong_usage() {
        let mut config = Config::default();
        config.rules.paths = vec!["/nowhere/x.rules".to_owned()];
        let error = parse(&config, None, &mut Names::default()).map(drop).expect_err("an error");
        assert!(error.is_usage() && error.to_string().contains("/nowhere/x.rules"), "{error}");
    }

    #[test]
    fn classes_beside_the_rules_are_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let rule = "alert tcp any any -> any any (classtype:home-made; sid:1;)\n";
        let config = config(directory.path(), rule);
        let file = directory.path().join("classification.config");
        std::fs::write(file, "config classification: home-made,Ours,2\nnonsense\n")
            .expect("written");
        let parsed = parse(&config, None, &mut Names::default()).expect("rules");
        assert_eq!((parsed.signatures.len(), parsed.signatures[0].priority), (1, 2));
        assert_eq!(parsed.warnings.len(), 1);
        assert!(parsed.warnings[0].contains("classification.config:2:"), "{:?}", parsed.warnings);
    }

    #[test]
    fn types_of_references_that_are_not_known_are_told_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let rule = |sid| {
            format!(
                "alert tcp any any -> any any (content:\"a\"; reference:ticket,1; reference:url,x; \
                 sid:{sid};)\n"
            )
        };
        let mut config = config(directory.path(), &(rule(1) + &rule(2)));
        let warnings = |config: &Config| {
            let parsed = parse(config, None, &mut Names::default()).expect("rules");
            assert_eq!(parsed.signatures.len(), 2);
            parsed.warnings
        };
        let said = warnings(&config);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("`ticket`") && said[0].contains("2 in rules"), "{said:?}");
        let text =
            "config reference: ticket https://tickets.test/\nconfig reference: url http://\n";
        let file = directory.path().join("reference.config");
        std::fs::write(&file, text).expect("written");
        assert_eq!(warnings(&config), [""; 0]);
        config.rules.references = Some(directory.path().join("none"));
        let said = warnings(&config);
        assert!(said.len() == 2 && said[0].contains("well-known types of references"), "{said:?}");
    }

    #[test]
    fn a_rule_has_a_bit_for_every_set_that_holds_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = config(directory.path(), GOOD);
        let other = "alert tcp any any -> any any (content:\"ghijkl\"; sid:7; rev:2;)\n";
        let older = "alert tcp any any -> any any (content:\"xyzxyz\"; sid:7; rev:1;)\n";
        let set = |maps: &[&str], paths: &[&str]| RuleSetConfig {
            config_maps: maps.iter().map(|map| (*map).to_owned()).collect(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        config.rules.sets.insert("a".to_owned(), set(&["web", "gone"], &["/nowhere/*.rules"]));
        config.rules.sets.insert("b".to_owned(), set(&["web"], &[]));
        let text = format!("{GOOD}{BAD}{older}{other}");
        let files = BTreeMap::from([("x.rules".to_owned(), text)]);
        let maps = BTreeMap::from([("web".to_owned(), files)]);
        let parsed = parse(&config, Some(&maps), &mut Names::default()).expect("rules");
        let masks: Vec<_> = parsed.signatures.iter().map(|it| (it.sid, it.rulesets)).collect();
        assert_eq!(masks, [(1, 0b111), (7, 0b110)]);
        let said: Vec<String> = parsed.rejections.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|said| said.starts_with("configmap/web/x.rules:2:")), "{said:?}");
        assert_eq!(said.iter().filter(|said| said.contains("nokeyword")).count(), 1, "{said:?}");
        let problems = &parsed.set_problems;
        assert!(problems[0].contains("/nowhere") && problems[1].contains("gone"), "{problems:?}");
        config.source.kubernetes = true;
        let parsed = parse(&config, None, &mut Names::default()).expect("rules");
        assert_eq!((parsed.signatures.len(), parsed.set_problems.len()), (1, 1), "not listed yet");
    }

    #[test]
    fn a_second_load_comes_from_the_cache() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut config = config(directory.path(), GOOD);
        config.rules.cache = CacheSetting::Directory(directory.path().join("cache"));
        let cached = |config| {
            let loaded = load(config, &mut Names::default(), false).expect("rules");
            assert!(loaded.report.warnings.is_empty(), "{:?}", loaded.report.warnings);
            (loaded.report.cached, loaded.report.databases)
        };
        let (first, databases) = cached(&config);
        assert!(databases > 0);
        assert_eq!((first, cached(&config)), (0, (databases, databases)));
    }
}
