//! Desired state to generations: what is to be inspected and for what, put together and numbered,
//! for the cores to take. What can't be put together leaves the generation in force as it is.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use api::documents::Problem;
use api::scope::ResourceState;
use api::{DeepPacketInspection, Inventory, ScopeTable};
use engine::scope::{Address, Scope};
use engine::{Settings, Snapshot};

use rules::parse::{Names, Rejection};
use rules::ruleset::Ruleset;
use rules::state::Datasets;

use crate::config::Config;
use crate::rules_source::{self, LoadedRules, RulesError};
use crate::source::kubernetes::Seen;
use crate::source::{self, Cluster, DirectoryError, Watch};

/// Problems of resources that the log names; the rest are counted.
const LOGGED: usize = 20;

/// Whose traffic is to be inspected.
#[derive(Debug, Clone)]
pub enum Resources {
    /// Everybody's.
    Everything,
    /// Of the resources of documents.
    Documents(Inventory),
    /// Of the resources of a cluster; `None`: they are not known yet, and nobody's is.
    Cluster(Option<Arc<Seen>>),
}

impl Resources {
    /// Who is who, as the source has it.
    fn known(&self, rulesets: &[String]) -> Known {
        match self {
            Self::Everything | Self::Cluster(None) => Known::default(),
            Self::Documents(inventory) => {
                let (endpoints, faults) = inventory.endpoints();
                let resources = inventory.resources();
                let mut table = ScopeTable::build(&resources, &endpoints);
                table.assign_rulesets(|name| bit(rulesets, name));
                Known {
                    table: Arc::new(table),
                    resources: resources.into_iter().map(Arc::new).collect(),
                    problems: inventory.problems.iter().cloned().chain(faults).collect(),
                }
            }
            Self::Cluster(Some(seen)) => Known {
                table: Arc::clone(&seen.table),
                resources: seen.resources.clone(),
                problems: seen.problems.clone(),
            },
        }
    }
}

/// The number of a rule set beside the default one.
fn bit(rulesets: &[String], name: &str) -> Option<u32> {
    let at = rulesets.iter().position(|known| known == name)?;
    u32::try_from(at + 1).ok()
}

/// What is desired.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The resources.
    pub resources: Resources,
    /// Names of the rule sets beside the default one, in the order of their bits from 1 on.
    pub rulesets: Vec<String>,
    /// The rules.
    pub ruleset: Arc<Ruleset>,
    /// How packets are dealt with.
    pub settings: Settings,
}

/// A generation, ready to be published.
#[derive(Debug, Clone)]
pub struct Built {
    /// What the cores take.
    pub snapshot: Arc<Snapshot>,
    /// Who is who in it: the resources with their states, and the endpoints. Indices in the
    /// snapshot's scope are indices into it.
    pub table: Arc<ScopeTable>,
    /// The resources, as read, for their status; in the order of [`ScopeTable::resources`].
    pub resources: Vec<Arc<DeepPacketInspection>>,
    /// What is wrong with documents, with their places.
    pub problems: Vec<Problem>,
    /// Names of the rule sets beside the default one.
    pub rulesets: Vec<String>,
    /// The source has not said yet what is to be inspected.
    pub is_loading: bool,
    /// Seconds that it took to put together, from what the source had.
    pub build_seconds: f64,
}

impl Built {
    /// The number of the generation.
    pub fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// Each resource with the error of its own that keeps it from being inspected as asked.
    pub fn resource_errors(&self) -> impl Iterator<Item = (&DeepPacketInspection, Option<String>)> {
        // Both are sorted by namespace and name, each once.
        let errors = self.table.resources.iter().map(|state| self.error_of(state));
        self.resources.iter().map(Arc::as_ref).zip(errors)
    }

    fn error_of(&self, state: &ResourceState) -> Option<String> {
        if let Some(error) = &state.error {
            return Some(error.to_string());
        }
        let unknown = state.unknown_rulesets.first()?;
        let known = match self.rulesets.as_slice() {
            [] => "it has none beside the default one".to_owned(),
            names => format!("it has {}", names.join(", ")),
        };
        Some(format!(
            "annotation {}: this sensor has no rule set {unknown:?}; {known}",
            api::dpi::ANNOTATION_RULESETS
        ))
    }
}

/// Makes generations and counts them.
#[derive(Debug)]
pub struct Generations {
    next: u64,
    seed: u64,
}

impl Default for Generations {
    fn default() -> Self {
        // By chance, so that nobody who chooses addresses can choose what collides.
        Self { next: 1, seed: RandomState::new().hash_one(0_u64) }
    }
}

impl Generations {
    /// Puts a generation together.
    pub fn build(&mut self, desired: &Desired) -> Built {
        let begin = Instant::now();
        let known = Known::of(desired);
        self.build_of(desired, known, begin)
    }

    fn build_of(&mut self, desired: &Desired, known: Known, begin: Instant) -> Built {
        let generation = self.next;
        self.next += 1;
        let scope = match &desired.resources {
            Resources::Everything => Scope::everything(),
            Resources::Documents(_) | Resources::Cluster(_) => scope(&known.table, self.seed),
        };
        let rules = Arc::clone(&desired.ruleset);
        let snapshot = Snapshot::new(generation, scope, rules, desired.settings.clone());
        Built {
            snapshot: Arc::new(snapshot),
            table: known.table,
            resources: known.resources,
            problems: known.problems,
            rulesets: desired.rulesets.clone(),
            is_loading: matches!(desired.resources, Resources::Cluster(None)),
            build_seconds: begin.elapsed().as_secs_f64(),
        }
    }
}

/// What the source has, with the numbers of the rule sets; the resources in the table's order.
#[derive(Debug, Default)]
struct Known {
    table: Arc<ScopeTable>,
    resources: Vec<Arc<DeepPacketInspection>>,
    problems: Vec<Problem>,
}

impl Known {
    fn of(desired: &Desired) -> Self {
        desired.resources.known(&desired.rulesets)
    }

    /// The same as what is in force, so far as cores and status go?
    fn is_of(&self, built: &Built) -> bool {
        self.table == built.table
            && self.problems == built.problems
            && self.resources == built.resources
    }
}

/// The addresses of a table, as the cores look them up.
pub fn scope(table: &ScopeTable, seed: u64) -> Scope {
    let addresses = table.by_address.iter().map(|(address, endpoints)| {
        let mut resources: Vec<u32> = endpoints
            .iter()
            .flat_map(|&endpoint| table.resources_of(endpoint).iter().copied())
            .collect();
        resources.sort_unstable();
        resources.dedup();
        let mask_of = |&resource: &u32| table.resources.get(resource as usize).map(|it| it.mask);
        let rulesets = resources.iter().filter_map(mask_of).fold(0, |all, mask| all | mask);
        (*address, Address { endpoints: endpoints.clone(), resources, rulesets })
    });
    Scope::of(addresses, seed)
}

/// What came of looking for news.
#[derive(Debug)]
pub enum Update {
    /// A new generation is to be published.
    Built(Box<Built>),
    /// Nothing is different.
    Unchanged,
    /// The generation in force stays, for this reason.
    Rejected(String),
}

/// Why there is no first generation.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No resources.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// No rules.
    #[error(transparent)]
    Rules(#[from] RulesError),
}

impl StartError {
    /// Is it the user's to mend in the command line or configuration?
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Directory(_) => true,
            Self::Rules(error) => error.is_usage(),
        }
    }
}

/// The control side's knowledge: the configured sources as they were last read, and the
/// generation made of them.
#[derive(Debug)]
pub struct State {
    config: Config,
    names: Names,
    generations: Generations,
    desired: Desired,
    rules: RulesView,
    current: Built,
    cluster: Option<Cluster>,
    /// Which ConfigMaps the rules were read from.
    maps_version: u64,
    directory_error: Option<String>,
    rules_error: Option<String>,
    /// What was read last, so that reading the same again changes nothing.
    rules_print: u64,
    hasher: RandomState,
}

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
    fn of(loaded: LoadedRules) -> (Arc<Ruleset>, Self) {
        let LoadedRules { ruleset, report, rejections, ignored: _, files, set_problems } = loaded;
        let loaded = ruleset.signatures.len();
        let view = Self { loaded, rejections, files, report, set_problems };
        (ruleset, view)
    }
}

impl State {
    /// Reads the configured sources and makes the first generation. On a terminal
    /// `show_progress` draws a bar while rules compile.
    ///
    /// # Errors
    /// The resources directory can't be listed, a path gives no rules, variables don't resolve, or
    /// the rules don't compile.
    pub fn start(config: &Config, show_progress: bool) -> Result<Self, StartError> {
        Self::with_cluster(config, None, show_progress)
    }

    /// The same, with a cluster as the source.
    ///
    /// # Errors
    /// As [`State::start`].
    pub fn with_cluster(
        config: &Config,
        cluster: Option<Cluster>,
        show_progress: bool,
    ) -> Result<Self, StartError> {
        let resources = match (&cluster, config.source.directory.as_deref()) {
            (Some(_), _) => Resources::Cluster(None),
            (None, Some(directory)) => Resources::Documents(source::read(directory)?),
            (None, None) => Resources::Everything,
        };
        let mut names = Names::default();
        let hasher = RandomState::new();
        let maps = cluster.as_ref().and_then(Cluster::config_maps);
        let maps_version = maps.as_ref().map_or(0, |maps| maps.0);
        let parsed = rules_source::parse(config, maps.as_ref().map(|maps| &maps.1), &mut names)?;
        let rules_print = parsed.fingerprint(&hasher);
        let loaded = rules_source::finish(parsed, config, show_progress);
        let (ruleset, rules) = RulesView::of(loaded.map_err(RulesError::from)?);
        let settings = crate::settings::settings(config);
        let rulesets = config.rules.sets.keys().cloned().collect();
        let mut desired = Desired { resources, rulesets, ruleset, settings };
        // What the cluster has said while the rules were loaded; not without those of ConfigMaps.
        let has_maps = maps.is_some() || !source::kubernetes::needs_config_maps(config);
        let seen = |cluster: &Cluster| cluster.seen(None, |name| bit(&desired.rulesets, name));
        if let Some(seen) = cluster.as_ref().filter(|_| has_maps).and_then(seen) {
            desired.resources = Resources::Cluster(Some(Arc::new(seen)));
        }
        let mut generations = Generations::default();
        let current = generations.build(&desired);
        log_problems(&current);
        let config = config.clone();
        let (directory_error, rules_error) = (None, None);
        Ok(Self {
            config,
            names,
            generations,
            desired,
            rules,
            current,
            cluster,
            maps_version,
            directory_error,
            rules_error,
            rules_print,
            hasher,
        })
    }

    /// The newest generation.
    pub fn current(&self) -> &Built {
        &self.current
    }

    /// The rules of the newest generation.
    pub fn rules(&self) -> &RulesView {
        &self.rules
    }

    /// The data sets that rules share.
    pub fn datasets(&self) -> Datasets {
        self.names.datasets.clone()
    }

    /// What is wrong with the sensor as a whole, for the status: what keeps it at an older
    /// generation, and rules that don't load. Not with single resources: those have their own.
    pub fn conditions(&self) -> Vec<String> {
        let mut conditions = Vec::new();
        if let Some(first) = self.rules.rejections.first() {
            let count = self.rules.rejections.len();
            conditions.push(format!("{count} rules do not load; the first: {first}"));
        }
        if let Some(first) = self.current.problems.first() {
            let count = self.current.problems.len();
            conditions.push(format!("{count} problems in resources; the first: {first}"));
        }
        let missing = self.rules.set_problems.iter();
        conditions.extend(missing.cloned());
        conditions.extend(self.directory_error.clone());
        conditions.extend(self.rules_error.clone());
        conditions
    }

    /// Reads the resources again.
    pub fn reload_resources(&mut self) -> Update {
        if let Some(cluster) = &self.cluster {
            let known = match &self.desired.resources {
                Resources::Cluster(Some(seen)) => Some(seen.version),
                _ => None,
            };
            let rulesets = &self.desired.rulesets;
            let Some(seen) = cluster.seen(known, |name| bit(rulesets, name)) else {
                return Update::Unchanged;
            };
            self.desired.resources = Resources::Cluster(Some(Arc::new(seen)));
            return self.rebuild(false);
        }
        let Some(directory) = self.config.source.directory.as_deref() else {
            return Update::Unchanged;
        };
        match source::read(directory) {
            Ok(inventory) => {
                self.directory_error = None;
                if matches!(&self.desired.resources, Resources::Documents(old) if *old == inventory)
                {
                    return Update::Unchanged;
                }
                self.desired.resources = Resources::Documents(inventory);
                self.rebuild(false)
            }
            Err(error) => {
                let reason = format!("{error}; the resources read before stay in force");
                tracing::error!("{reason}");
                self.directory_error = Some(reason.clone());
                Update::Rejected(reason)
            }
        }
    }

    /// Have rules in ConfigMaps changed since they were read?
    pub fn has_new_rule_maps(&self) -> bool {
        let maps = self.cluster.as_ref().and_then(Cluster::config_maps);
        maps.is_some_and(|(version, _)| version != self.maps_version)
    }

    /// Reads the rules again. [`State::conditions`] may change also where the rules don't.
    pub fn reload_rules(&mut self) -> Update {
        let job = self.begin_rules();
        self.end_rules(job.run())
    }

    /// Has the source not said yet what is to be inspected?
    pub fn is_loading(&self) -> bool {
        self.current.is_loading
    }

    /// What is to be done to read the rules again, beside everything else: it may take seconds. No
    /// other may be begun before it has ended.
    pub fn begin_rules(&mut self) -> RulesJob {
        let maps = self.cluster.as_ref().and_then(Cluster::config_maps);
        self.maps_version = maps.as_ref().map_or(0, |maps| maps.0);
        RulesJob {
            config: self.config.clone(),
            maps: maps.map(|maps| maps.1),
            names: std::mem::take(&mut self.names),
            hasher: self.hasher.clone(),
            print: self.rules_print,
            loaded: self.rules.loaded,
        }
    }

    /// Takes what came of reading the rules.
    pub fn end_rules(&mut self, done: RulesDone) -> Update {
        self.names = done.names;
        let update = match done.result {
            Ok(None) => Update::Unchanged,
            Ok(Some((print, loaded))) => {
                (self.desired.ruleset, self.rules) = RulesView::of(loaded);
                self.rules_print = print;
                self.rebuild(true)
            }
            Err(error) => {
                let reason = format!("{error}; the rules loaded before stay in force");
                tracing::error!("{reason}");
                self.rules_error = Some(reason.clone());
                return Update::Rejected(reason);
            }
        };
        self.rules_error = None;
        update
    }

    /// Reading the rules has panicked, and with it went what they were read with.
    pub fn lose_rules(&mut self) {
        let reason = "reading rules failed by a defect of Pollux; the rules loaded before stay in \
                      force, and no new ones are taken until it is started again"
            .to_owned();
        tracing::error!("{reason}");
        self.rules_error = Some(reason);
    }

    fn rebuild(&mut self, new_rules: bool) -> Update {
        let begin = Instant::now();
        let known = Known::of(&self.desired);
        // A pod's event often changes nothing that the cores see.
        let is_cluster = matches!(self.desired.resources, Resources::Cluster(_));
        if !new_rules && !is_cluster && known.is_of(&self.current) {
            return Update::Unchanged;
        }
        self.current = self.generations.build_of(&self.desired, known, begin);
        log_problems(&self.current);
        tracing::info!(
            "generation {}: {} rules, {} resources, {} endpoints",
            self.current.generation(),
            self.rules.loaded,
            self.current.table.resources.len(),
            self.current.table.endpoints.len()
        );
        Update::Built(Box::new(self.current.clone()))
    }

    /// Watches the rules' files and directories, and the classification file.
    ///
    /// # Errors
    /// The system refuses.
    pub fn watch_rules(&self) -> notify::Result<Watch> {
        // Of a pattern the directory that its fixed part names: new files may come to fit it.
        let sets = self.config.rules.sets.values().flat_map(|set| &set.paths);
        let paths = self.config.rules.paths.iter().chain(sets).map(|path| {
            let wild = path.find(['*', '?', '[']);
            match wild.and_then(|at| path.get(..at)) {
                Some(fixed) if !std::path::Path::new(path).exists() => {
                    let directory = fixed.rfind('/').map_or(".", |at| &fixed[..at.max(1)]);
                    PathBuf::from(directory)
                }
                _ => PathBuf::from(path),
            }
        });
        let rules = &self.config.rules;
        let files = [rules.classification.clone(), rules.threshold_file.clone()];
        Watch::new(paths.chain(files.into_iter().flatten()))
    }

    /// Watches the resources directory, if there is one.
    ///
    /// # Errors
    /// The system refuses.
    pub fn watch_resources(&self) -> notify::Result<Option<Watch>> {
        self.config.source.directory.as_ref().map(|directory| Watch::new([directory])).transpose()
    }
}

/// Rules that are to be read and compiled.
#[derive(Debug)]
pub struct RulesJob {
    config: Config,
    maps: Option<rules_source::ConfigMaps>,
    names: Names,
    hasher: RandomState,
    print: u64,
    loaded: usize,
}

/// What came of a [`RulesJob`].
#[derive(Debug)]
pub struct RulesDone {
    names: Names,
    /// New rules with their fingerprint, or that they are the same.
    result: anyhow::Result<Option<(u64, LoadedRules)>>,
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

fn log_problems(built: &Built) {
    for problem in built.problems.iter().take(LOGGED) {
        tracing::warn!("{problem}");
    }
    if built.problems.len() > LOGGED {
        tracing::warn!("… and {} more problems in resources", built.problems.len() - LOGGED);
    }
    for resource in &built.table.resources {
        if let Some(error) = &resource.error {
            let (namespace, name) = (&resource.namespace, &resource.name);
            tracing::warn!("DeepPacketInspection {namespace}/{name}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::IpAddr;
    use std::path::Path;

    use api::Documents;

    use super::*;
    use crate::config::CacheSetting;

    fn dpi(namespace: &str, name: &str, selector: &str) -> String {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\nmetadata:\n  name: \
             {name}\n  namespace: {namespace}\nspec:\n  selector: \"{selector}\"\n"
        )
    }

    fn pod(namespace: &str, name: &str, app: &str, address: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  \
             labels: {{app: {app}}}\nspec:\n  nodeName: n1\nstatus:\n  podIP: {address}\n"
        )
    }

    fn inventory(text: &str) -> Inventory {
        Inventory::from_parsed([Documents::parse("test.yaml", text)])
    }

    fn no_rules() -> Arc<Ruleset> {
        let compiled = Ruleset::compile(Vec::new(), None, 1, &|_| {}).expect("compiled");
        Arc::new(compiled.0)
    }

    fn lookup(built: &Built, address: &str) -> Option<Address> {
        let address: IpAddr = address.parse().expect("an address");
        let scope = &built.snapshot.scope;
        let of = |id| {
            scope.address(id).filter(|entry| {
                entry.endpoints == built.table.by_address.get(&address).cloned().unwrap_or_default()
            })
        };
        (0..scope.len()).find_map(|id| of(u32::try_from(id).expect("small"))).cloned()
    }

    #[test]
    fn documents_become_a_scope() {
        let text = [
            dpi("shop", "web", "app == 'web'"),
            dpi("shop", "all", ""),
            dpi("shop", "bad", "app = "),
            pod("shop", "web-0", "web", "10.0.0.1"),
            pod("shop", "db-0", "db", "10.0.0.2"),
            pod("bank", "web-0", "web", "10.0.0.3"),
            pod("bank", "odd", "web", "10.0.0.1"),
            pod("bank", "wrong", "web", "10.0.0.300"),
        ];
        let desired = Desired {
            resources: Resources::Documents(inventory(&text.concat())),
            rulesets: Vec::new(),
            ruleset: no_rules(),
            settings: Settings::default(),
        };
        let mut generations = Generations::default();
        let built = generations.build(&desired);
        assert_eq!((built.generation(), generations.build(&desired).generation()), (1, 2));
        assert!(!built.snapshot.scope.is_everything());
        assert_eq!(built.snapshot.scope.len(), 3);
        let names: Vec<&str> = built.table.resources.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["all", "bad", "web"]);
        assert!(built.table.resources[1].error.is_some());
        // Two pods hold it; one of them is in the scope of two resources.
        let shared = lookup(&built, "10.0.0.1").expect("known");
        assert_eq!((shared.endpoints.len(), shared.resources.as_slice()), (2, &[0, 2][..]));
        assert_eq!(shared.rulesets, 1);
        assert_eq!(lookup(&built, "10.0.0.2").expect("known").resources, [0]);
        let outside = lookup(&built, "10.0.0.3").expect("known");
        assert_eq!((outside.resources.len(), outside.rulesets), (0, 0));
        assert_eq!(built.problems.len(), 1, "{:?}", built.problems);
        assert_eq!(built.resources.len(), 3);
    }

    #[test]
    fn without_a_directory_everything_is_in_scope() {
        let desired = Desired {
            resources: Resources::Everything,
            rulesets: Vec::new(),
            ruleset: no_rules(),
            settings: Settings::default(),
        };
        let built = Generations::default().build(&desired);
        assert!(built.snapshot.scope.is_everything());
        let desired = Desired { resources: Resources::Documents(Inventory::default()), ..desired };
        let built = Generations::default().build(&desired);
        assert!(!built.snapshot.scope.is_everything(), "an empty directory scopes nothing");
    }

    #[test]
    fn a_resource_has_the_rule_sets_that_it_asks_for() {
        let with = |name: &str, app: &str, sets: &str| {
            let annotation =
                format!("metadata:\n  annotations: {{pollux.dev/rulesets: \"{sets}\"}}");
            dpi("shop", name, &format!("app == '{app}'")).replace("metadata:", &annotation)
        };
        let text = [
            with("web", "web", "b, a"),
            with("db", "db", "none"),
            dpi("shop", "plain", ""),
            pod("shop", "web-0", "web", "10.0.0.1"),
            pod("shop", "db-0", "db", "10.0.0.2"),
        ];
        let mut desired = Desired {
            resources: Resources::Documents(inventory(&text.concat())),
            rulesets: vec!["a".to_owned(), "b".to_owned()],
            ruleset: no_rules(),
            settings: Settings::default(),
        };
        let built = Generations::default().build(&desired);
        assert_eq!(lookup(&built, "10.0.0.1").expect("known").rulesets, 0b111);
        assert_eq!(lookup(&built, "10.0.0.2").expect("known").rulesets, 0b001);
        let errors: Vec<_> = built.resource_errors().map(|(_, error)| error).collect();
        assert_eq!((errors.len(), &errors[1], &errors[2]), (3, &None, &None));
        let error = errors[0].clone().expect("an unknown set");
        assert!(error.contains("\"none\"") && error.contains("a, b"), "{error}");
        desired.rulesets.clear();
        let built = Generations::default().build(&desired);
        assert_eq!(lookup(&built, "10.0.0.1").expect("known").rulesets, 0b001);
    }

    #[test]
    fn before_the_cluster_has_told_everything_nothing_is_in_scope() {
        let desired = Desired {
            resources: Resources::Cluster(None),
            rulesets: Vec::new(),
            ruleset: no_rules(),
            settings: Settings::default(),
        };
        let built = Generations::default().build(&desired);
        assert!(built.is_loading && built.snapshot.scope.is_empty());
        assert!(!built.snapshot.scope.is_everything());
    }

    const RULE: &str = "alert tcp any any -> any any (content:\"abcdef\"; sid:1;)\n";

    fn start(directory: &Path) -> State {
        let resources = directory.join("resources");
        fs::create_dir_all(&resources).expect("made");
        fs::write(resources.join("dpi.yaml"), dpi("shop", "all", "")).expect("written");
        fs::write(directory.join("a.rules"), RULE).expect("written");
        let mut config = Config::default();
        config.source.directory = Some(resources);
        config.rules.paths = vec![directory.join("*.rules").display().to_string()];
        config.rules.cache = CacheSetting::Off;
        State::start(&config, false).expect("started")
    }

    #[test]
    fn resources_are_rebuilt_only_when_they_changed() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut state = start(directory.path());
        let file = directory.path().join("resources/pods.yaml");
        assert!(matches!(state.reload_resources(), Update::Unchanged));
        fs::write(&file, pod("shop", "web-0", "web", "10.0.0.1")).expect("written");
        let Update::Built(built) = state.reload_resources() else { panic!("not built") };
        assert_eq!((built.generation(), built.snapshot.scope.len()), (2, 1));
        fs::write(&file, "# a comment\n".to_owned() + &pod("shop", "web-0", "web", "10.0.0.1"))
            .expect("written");
        assert!(matches!(state.reload_resources(), Update::Unchanged));
        fs::remove_dir_all(directory.path().join("resources")).expect("removed");
        assert!(matches!(state.reload_resources(), Update::Rejected(_)));
        assert_eq!((state.current().generation(), state.conditions().len()), (2, 1));
    }

    #[test]
    fn rules_that_no_longer_load_leave_the_old_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut state = start(directory.path());
        let file = directory.path().join("a.rules");
        fs::write(&file, "nonsense\n").expect("written");
        assert!(matches!(state.reload_rules(), Update::Rejected(_)));
        assert_eq!((state.current().generation(), state.conditions().len()), (1, 1));
        fs::write(&file, format!("nonsense\n{RULE}")).expect("written");
        let Update::Built(built) = state.reload_rules() else { panic!("not built") };
        assert_eq!((built.generation(), built.snapshot.rules.signatures.len()), (2, 1));
        assert_eq!(state.rules().rejections.len(), 1);
        assert!(matches!(state.reload_rules(), Update::Unchanged), "the same again is no news");
        let conditions = state.conditions();
        assert!(conditions.len() == 1 && conditions[0].contains("a.rules:1:1"), "{conditions:?}");
        fs::remove_file(&file).expect("removed");
        assert!(matches!(state.reload_rules(), Update::Rejected(_)));
        assert_eq!(state.current().snapshot.rules.signatures.len(), 1);
    }

    #[test]
    fn a_resource_that_goes_while_rules_build_is_gone() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut state = start(directory.path());
        fs::write(directory.path().join("a.rules"), RULE.replace("sid:1", "sid:2"))
            .expect("written");
        let job = state.begin_rules();
        fs::remove_file(directory.path().join("resources/dpi.yaml")).expect("removed");
        let Update::Built(built) = state.reload_resources() else { panic!("not built") };
        assert_eq!((built.generation(), built.resources.len()), (2, 0));
        assert_eq!(built.snapshot.rules.signatures[0].sid, 1, "rules take their time");
        let Update::Built(built) = state.end_rules(job.run()) else { panic!("not built") };
        assert_eq!((built.generation(), built.resources.len()), (3, 0));
        assert_eq!(built.snapshot.rules.signatures[0].sid, 2);
    }

    #[test]
    fn new_files_of_a_pattern_are_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = start(directory.path());
        let watch = state.watch_rules().expect("watched");
        let resources = state.watch_resources().expect("watched").expect("a directory");
        fs::write(directory.path().join("b.rules"), RULE).expect("written");
        assert!(watch.wait(std::time::Duration::from_secs(10)));
        assert!(!resources.changed());
    }
}
