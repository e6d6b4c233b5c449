//! Desired state to generations: what is to be inspected and for what, put together and numbered,
//! for the cores to take. What can't be put together leaves the generation in force as it is.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use api::documents::Problem;
use api::{DeepPacketInspection, Inventory, ScopeTable};
use engine::scope::{Address, Scope};
use engine::{Settings, Snapshot};

use rules::parse::{Names, Rejection};
use rules::ruleset::Ruleset;
use rules::state::Datasets;

use crate::config::Config;
use crate::rules_source::{self, LoadedRules, RulesError};
use crate::source::{self, DirectoryError, Watch};

/// Problems of resources that the log names; the rest are counted.
const LOGGED: usize = 20;

/// What is desired.
#[derive(Debug, Clone)]
pub struct Desired {
    /// The resources; `None`: all traffic is in scope.
    pub inventory: Option<Inventory>,
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
    pub resources: Vec<DeepPacketInspection>,
    /// What is wrong with documents, with their places.
    pub problems: Vec<Problem>,
}

impl Built {
    /// The number of the generation.
    pub fn generation(&self) -> u64 {
        self.snapshot.generation
    }

    /// Each resource with the error of its own that keeps it from selecting anything.
    pub fn resource_errors(&self) -> impl Iterator<Item = (&DeepPacketInspection, Option<String>)> {
        // Both are sorted by namespace and name, each once.
        let errors = self.table.resources.iter().map(|state| state.error.as_ref());
        self.resources.iter().zip(errors.map(|error| error.map(ToString::to_string)))
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
        let (table, problems) = table(desired.inventory.as_ref());
        self.build_of(desired, table, problems)
    }

    fn build_of(&mut self, desired: &Desired, table: ScopeTable, problems: Vec<Problem>) -> Built {
        let generation = self.next;
        self.next += 1;
        let scope = match &desired.inventory {
            None => Scope::everything(),
            Some(_) => scope(&table, self.seed),
        };
        let rules = Arc::clone(&desired.ruleset);
        let snapshot = Snapshot::new(generation, scope, rules, desired.settings.clone());
        Built {
            snapshot: Arc::new(snapshot),
            table: Arc::new(table),
            resources: desired.inventory.as_ref().map(Inventory::resources).unwrap_or_default(),
            problems,
        }
    }
}

/// Who is who, and what is wrong with documents.
fn table(inventory: Option<&Inventory>) -> (ScopeTable, Vec<Problem>) {
    let Some(inventory) = inventory else { return (ScopeTable::default(), Vec::new()) };
    let (endpoints, faults) = inventory.endpoints();
    let table = ScopeTable::build(&inventory.resources(), &endpoints);
    (table, inventory.problems.iter().cloned().chain(faults).collect())
}

/// The addresses of a table, as the cores look them up.
fn scope(table: &ScopeTable, seed: u64) -> Scope {
    let addresses = table.by_address.iter().map(|(address, endpoints)| {
        let mut resources: Vec<u32> = endpoints
            .iter()
            .flat_map(|&endpoint| table.resources_of(endpoint).iter().copied())
            .collect();
        resources.sort_unstable();
        resources.dedup();
        // One rule set so far, for every resource alike.
        let rulesets = u64::from(!resources.is_empty());
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
}

impl RulesView {
    fn of(loaded: LoadedRules) -> (Arc<Ruleset>, Self) {
        let LoadedRules { ruleset, report, rejections, ignored: _, files } = loaded;
        let view = Self { loaded: ruleset.signatures.len(), rejections, files, report };
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
        let inventory = config.source.directory.as_deref().map(source::read).transpose()?;
        let mut names = Names::default();
        let hasher = RandomState::new();
        let parsed = rules_source::parse(config, &mut names)?;
        let rules_print = parsed.fingerprint(&hasher);
        let loaded = rules_source::finish(parsed, config, show_progress);
        let (ruleset, rules) = RulesView::of(loaded.map_err(RulesError::from)?);
        let settings = crate::settings::settings(config);
        let desired = Desired { inventory, ruleset, settings };
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
        conditions.extend(self.directory_error.clone());
        conditions.extend(self.rules_error.clone());
        conditions
    }

    /// Reads the resources again.
    pub fn reload_resources(&mut self) -> Update {
        let Some(directory) = self.config.source.directory.as_deref() else {
            return Update::Unchanged;
        };
        match source::read(directory) {
            Ok(inventory) => {
                self.directory_error = None;
                if self.desired.inventory.as_ref() == Some(&inventory) {
                    return Update::Unchanged;
                }
                self.desired.inventory = Some(inventory);
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

    /// Reads the rules again. [`State::conditions`] may change also where the rules don't.
    pub fn reload_rules(&mut self) -> Update {
        match self.try_reload_rules() {
            Ok(update) => {
                self.rules_error = None;
                update
            }
            Err(error) => {
                let reason = format!("{error}; the rules loaded before stay in force");
                tracing::error!("{reason}");
                self.rules_error = Some(reason.clone());
                Update::Rejected(reason)
            }
        }
    }

    fn try_reload_rules(&mut self) -> anyhow::Result<Update> {
        let parsed = rules_source::parse(&self.config, &mut self.names)?;
        if parsed.signatures.is_empty() && self.rules.loaded > 0 {
            anyhow::bail!("no rule loads any more");
        }
        let print = parsed.fingerprint(&self.hasher);
        if print == self.rules_print {
            return Ok(Update::Unchanged);
        }
        let loaded = rules_source::finish(parsed, &self.config, false)?;
        (self.desired.ruleset, self.rules) = RulesView::of(loaded);
        self.rules_print = print;
        Ok(self.rebuild(true))
    }

    fn rebuild(&mut self, new_rules: bool) -> Update {
        let (table, problems) = table(self.desired.inventory.as_ref());
        let resources =
            self.desired.inventory.as_ref().map(Inventory::resources).unwrap_or_default();
        // A pod's event often changes nothing that the cores see.
        if !new_rules
            && table == *self.current.table
            && problems == self.current.problems
            && resources == self.current.resources
        {
            return Update::Unchanged;
        }
        self.current = self.generations.build_of(&self.desired, table, problems);
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
        let paths = self.config.rules.paths.iter().map(|path| {
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
            inventory: Some(inventory(&text.concat())),
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
        let desired =
            Desired { inventory: None, ruleset: no_rules(), settings: Settings::default() };
        let built = Generations::default().build(&desired);
        assert!(built.snapshot.scope.is_everything());
        let desired = Desired { inventory: Some(Inventory::default()), ..desired };
        let built = Generations::default().build(&desired);
        assert!(!built.snapshot.scope.is_everything(), "an empty directory scopes nothing");
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
