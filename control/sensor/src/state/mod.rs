//! Desired state to generations: the configured sources as they were last read, and what is made of
//! them. What can't be put together leaves the generation in force as it is.

mod generation;
mod rules_job;

use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rules::parse::Names;
use rules::state::Datasets;

use crate::config::Config;
use crate::rules_source::{self, RulesError};
use crate::source::{self, Cluster, DirectoryError, Watch};
pub use generation::{Built, Desired, Generations, Resources, scope};
use generation::{Known, bit, log_problems};
pub use rules_job::{RulesDone, RulesJob, RulesView};

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
        log_problems(&current, &[]);
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
        let built = self.generations.build_of(&self.desired, known, begin);
        let before = std::mem::replace(&mut self.current, built);
        log_problems(&self.current, &before.contested);
        tracing::info!(
            "generation {}: {} rules, {} resources, {} endpoints",
            self.current.generation(),
            self.rules.loaded,
            self.current.table.resources.len(),
            self.current.table.endpoints.len()
        );
        Update::Built(Box::new(self.current.clone()))
    }

    /// Watches the rules' files and directories, and the files beside them.
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
        let files = [&rules.classification, &rules.references, &rules.threshold_file];
        let files = files.map(Clone::clone);
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

#[cfg(test)]
mod testing {
    //! Documents of a test's own.

    pub(super) fn dpi(namespace: &str, name: &str, selector: &str) -> String {
        format!(
            "---\napiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\nmetadata:\n  name: \
             {name}\n  namespace: {namespace}\nspec:\n  selector: \"{selector}\"\n"
        )
    }

    pub(super) fn pod(namespace: &str, name: &str, app: &str, address: &str) -> String {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  \
             labels: {{app: {app}}}\nspec:\n  nodeName: n1\nstatus:\n  podIP: {address}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::testing::{dpi, pod};
    use super::*;
    use crate::config::CacheSetting;

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
