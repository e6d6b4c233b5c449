//! Generations: what is to be inspected and for what, put together and numbered, for the cores to
//! take. Who is who comes from the source, whichever it is.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use api::documents::Problem;
use api::scope::ResourceState;
use api::{DeepPacketInspection, Inventory, ScopeTable};
use engine::scope::{Address, Scope};
use engine::{Settings, Snapshot};
use rules::ruleset::Ruleset;

use crate::source::kubernetes::Seen;

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
pub(super) fn bit(rulesets: &[String], name: &str) -> Option<u32> {
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
    /// Addresses that more than one pod claims, ascending: their alerts name none of them.
    pub contested: Vec<IpAddr>,
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

    pub(super) fn build_of(&mut self, desired: &Desired, known: Known, begin: Instant) -> Built {
        let generation = self.next;
        self.next += 1;
        let scope = match &desired.resources {
            Resources::Everything => Scope::everything(),
            Resources::Documents(_) | Resources::Cluster(_) => scope(&known.table, self.seed),
        };
        let rules = Arc::clone(&desired.ruleset);
        let claims = known.table.by_address.iter().filter(|(_, endpoints)| endpoints.len() > 1);
        let mut contested: Vec<IpAddr> = claims.map(|(address, _)| *address).collect();
        contested.sort_unstable();
        let snapshot = Snapshot::new(generation, scope, rules, desired.settings.clone());
        Built {
            snapshot: Arc::new(snapshot),
            table: known.table,
            resources: known.resources,
            problems: known.problems,
            contested,
            rulesets: desired.rulesets.clone(),
            is_loading: matches!(desired.resources, Resources::Cluster(None)),
            build_seconds: begin.elapsed().as_secs_f64(),
        }
    }
}

/// What the source has, with the numbers of the rule sets; the resources in the table's order.
#[derive(Debug, Default)]
pub(super) struct Known {
    table: Arc<ScopeTable>,
    resources: Vec<Arc<DeepPacketInspection>>,
    problems: Vec<Problem>,
}

impl Known {
    pub(super) fn of(desired: &Desired) -> Self {
        desired.resources.known(&desired.rulesets)
    }

    /// The same as what is in force, so far as cores and status go?
    pub(super) fn is_of(&self, built: &Built) -> bool {
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

/// Tells the log what is wrong with documents and resources; of contested addresses those that were
/// not contested before.
pub(super) fn log_problems(built: &Built, before: &[IpAddr]) {
    let contested = built.contested.iter().filter(|it| before.binary_search(it).is_err());
    let contested = contested.map(|address| {
        let claims = built.table.by_address.get(address).into_iter().flatten();
        let pods = claims.filter_map(|&it| built.table.endpoints.get(it as usize)).take(LOGGED);
        let pods: Vec<String> = pods.map(|it| format!("{}/{}", it.namespace, it.pod)).collect();
        let pods = pods.join(" and ");
        format!("address {address} is claimed by pods {pods}: its alerts name none of them")
    });
    let lines: Vec<String> =
        built.problems.iter().map(ToString::to_string).chain(contested).collect();
    for line in lines.iter().take(LOGGED) {
        tracing::warn!("{line}");
    }
    if lines.len() > LOGGED {
        tracing::warn!("… and {} more problems in resources", lines.len() - LOGGED);
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
    use api::Documents;

    use super::*;
    use crate::state::testing::{dpi, pod};

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
        assert_eq!(built.contested, ["10.0.0.1".parse::<IpAddr>().expect("an address")]);
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
}
