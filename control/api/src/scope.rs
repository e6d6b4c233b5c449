//! Which resource inspects which endpoint: the table that the sensor's snapshot is made of.
//! Each selector is asked once for each different set of labels, not once for each pod.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::dpi::DeepPacketInspection;
use crate::endpoint::Endpoint;
use crate::selector::{Selector, SelectorError};

/// How much of an invalid selector its error quotes, in characters.
const QUOTED: usize = 200;

/// Who an endpoint is, as an alert names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EndpointIdentity {
    /// The pod's namespace.
    pub namespace: Arc<str>,
    /// The pod's name.
    pub pod: Arc<str>,
    /// The node that it runs on.
    pub node: Arc<str>,
    /// The service account that it runs under; empty if it has none.
    pub service_account: Arc<str>,
}

/// A DeepPacketInspection, and whether its selector is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceState {
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub name: String,
    /// The canonical text of its selector; empty where that is invalid.
    pub selector: String,
    /// Why it selects nothing, if its selector is invalid.
    pub error: Option<InvalidSelector>,
    /// The rule sets that it asks for by its annotation; none: the default set.
    pub rulesets: Vec<String>,
    /// Those sets as bits, bit 0 for the default one; see [`ScopeTable::assign_rulesets`].
    pub mask: u64,
    /// Those of the sets that the sensor does not have.
    pub unknown_rulesets: Vec<String>,
    /// How many endpoints it selects.
    pub selected: u32,
}

impl ResourceState {
    /// A resource that selects nothing yet, and its selector if that is one.
    pub(crate) fn of(dpi: &DeepPacketInspection) -> (ResourceState, Option<Selector>) {
        let mut state = ResourceState {
            namespace: dpi.namespace().to_owned(),
            name: dpi.name().to_owned(),
            selector: String::new(),
            error: None,
            rulesets: dpi.rulesets(),
            mask: 1,
            unknown_rulesets: Vec::new(),
            selected: 0,
        };
        let selector = match Selector::parse(&dpi.spec.selector) {
            Ok(selector) => {
                state.selector = selector.canonical();
                Some(selector)
            }
            Err(error) => {
                state.error = Some(InvalidSelector::new(&dpi.spec.selector, error));
                None
            }
        };
        (state, selector)
    }
}

/// A resource's selector that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid selector at column {column}: {message}; the selector is: {selector}")]
pub struct InvalidSelector {
    /// Where, in characters, 1-based.
    pub column: usize,
    /// What was expected there and what was found.
    pub message: String,
    /// The selector; of a long one the beginning. Control characters are escaped.
    pub selector: String,
}

impl InvalidSelector {
    fn new(text: &str, error: SelectorError) -> InvalidSelector {
        let shown: String = text.chars().take(QUOTED).collect();
        let dots = if shown.len() < text.len() { "…" } else { "" };
        // Quotes belong to the language; only what would break a line is escaped.
        let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.into() };
        let shown: String = shown.chars().map(escape).collect();
        InvalidSelector {
            column: error.column,
            message: error.message,
            selector: format!("{shown}{dots}"),
        }
    }
}

/// Addresses to endpoints, endpoints to the resources whose scope they are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeTable {
    /// The endpoints, in the order given.
    pub endpoints: Vec<Arc<EndpointIdentity>>,
    /// The resources, sorted by namespace and name, each once.
    pub resources: Vec<ResourceState>,
    /// The endpoints (indices into [`ScopeTable::endpoints`], ascending) that claim an address.
    /// More than one means that the address does not tell them apart.
    pub by_address: HashMap<IpAddr, Vec<u32>>,
    /// For each endpoint, an index into `scopes`.
    scope_of: Vec<u32>,
    /// The different sets of resources: sorted indices into [`ScopeTable::resources`].
    scopes: Vec<Box<[u32]>>,
}

impl ScopeTable {
    /// Evaluates all selectors over all endpoints. Of resources of the same namespace and name
    /// the first counts.
    ///
    /// A resource whose selector is invalid selects nothing and carries the error; the others
    /// are not affected. A selector never reaches outside its resource's namespace, and
    /// `global()` selects nothing.
    pub fn build(resources: &[DeepPacketInspection], endpoints: &[Endpoint]) -> ScopeTable {
        let mut table = ScopeTable::default();
        let selectors = table.add_resources(resources);
        let mut by_labels: HashMap<(&str, &BTreeMap<String, String>), u32> = HashMap::new();
        let mut by_scope: HashMap<Box<[u32]>, u32> = HashMap::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let index = index as u32;
            let key = (endpoint.namespace.as_str(), &endpoint.labels);
            let scope = *by_labels.entry(key).or_insert_with(|| {
                let selected: Box<[u32]> = selectors
                    .get(endpoint.namespace.as_str())
                    .into_iter()
                    .flatten()
                    .filter(|(_, selector)| selector.matches_namespaced(&endpoint.labels))
                    .map(|(resource, _)| *resource)
                    .collect();
                let next = table.scopes.len() as u32;
                *by_scope.entry(selected).or_insert_with_key(|selected| {
                    table.scopes.push(selected.clone());
                    next
                })
            });
            for &resource in &table.scopes[scope as usize] {
                table.resources[resource as usize].selected += 1;
            }
            table.scope_of.push(scope);
            table.endpoints.push(Arc::new(EndpointIdentity {
                namespace: endpoint.namespace.as_str().into(),
                pod: endpoint.pod.as_str().into(),
                node: endpoint.node.as_str().into(),
                service_account: endpoint.service_account.as_str().into(),
            }));
            for &address in &endpoint.addresses {
                let claims = table.by_address.entry(address).or_default();
                if claims.last() != Some(&index) {
                    claims.push(index);
                }
            }
        }
        table
    }

    /// Gives each resource the bits of the rule sets that it asks for. `bit`: the number of a set
    /// by its name, 1 to 63, if there is one. A resource that asks for none has the default set.
    pub fn assign_rulesets(&mut self, bit: impl Fn(&str) -> Option<u32>) {
        for resource in &mut self.resources {
            if resource.rulesets.is_empty() {
                continue;
            }
            resource.mask = 0;
            resource.unknown_rulesets.clear();
            for name in &resource.rulesets {
                match bit(name).and_then(|bit| 1_u64.checked_shl(bit)) {
                    Some(bit) => resource.mask |= bit,
                    None => resource.unknown_rulesets.push(name.clone()),
                }
            }
        }
    }

    /// A table whose scopes are known: see the fields.
    pub(crate) fn of_parts(
        endpoints: Vec<Arc<EndpointIdentity>>,
        resources: Vec<ResourceState>,
        by_address: HashMap<IpAddr, Vec<u32>>,
        scope_of: Vec<u32>,
        scopes: Vec<Box<[u32]>>,
    ) -> ScopeTable {
        ScopeTable { endpoints, resources, by_address, scope_of, scopes }
    }

    /// Fills `resources`; the result is the valid selectors by namespace, in ascending order of
    /// their resource.
    fn add_resources<'a>(
        &mut self,
        resources: &'a [DeepPacketInspection],
    ) -> HashMap<&'a str, Vec<(u32, Selector)>> {
        let mut sorted: Vec<&DeepPacketInspection> = resources.iter().collect();
        sorted.sort_by_key(|dpi| (dpi.namespace(), dpi.name()));
        sorted.dedup_by_key(|dpi| (dpi.namespace(), dpi.name()));
        let mut selectors: HashMap<&str, Vec<(u32, Selector)>> = HashMap::new();
        for dpi in sorted {
            let (state, selector) = ResourceState::of(dpi);
            if let Some(selector) = selector {
                let index = self.resources.len() as u32;
                selectors.entry(dpi.namespace()).or_default().push((index, selector));
            }
            self.resources.push(state);
        }
        selectors
    }

    /// The resources in whose scope an endpoint is: ascending indices into
    /// [`ScopeTable::resources`], so sorted by namespace and name. Empty for an index that is no
    /// endpoint's.
    pub fn resources_of(&self, endpoint: u32) -> &[u32] {
        self.scope_of
            .get(endpoint as usize)
            .and_then(|&scope| self.scopes.get(scope as usize))
            .map_or(&[], |scope| scope)
    }

    /// Which of the different sets of resources an endpoint has: an index into
    /// [`ScopeTable::scopes`].
    pub fn scope_of(&self, endpoint: u32) -> Option<u32> {
        self.scope_of.get(endpoint as usize).copied()
    }

    /// The different sets of resources that endpoints have, each sorted.
    pub fn scopes(&self) -> &[Box<[u32]>] {
        &self.scopes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dpi(namespace: &str, name: &str, selector: &str) -> DeepPacketInspection {
        DeepPacketInspection::new(namespace, name, selector)
    }

    fn endpoint(namespace: &str, pod: &str, address: &str, labels: &[(&str, &str)]) -> Endpoint {
        let mut all: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        all.insert(crate::endpoint::LABEL_NAMESPACE.to_owned(), namespace.to_owned());
        Endpoint {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            node: "node-a".to_owned(),
            service_account: "default".to_owned(),
            addresses: vec![address.parse().unwrap()],
            labels: all,
        }
    }

    /// The names of the resources in whose scope an endpoint is.
    fn scope(table: &ScopeTable, endpoint: u32) -> Vec<String> {
        let name = |&resource: &u32| {
            let state = &table.resources[resource as usize];
            format!("{}/{}", state.namespace, state.name)
        };
        table.resources_of(endpoint).iter().map(name).collect()
    }

    #[test]
    fn a_resource_selects_in_its_own_namespace_only() {
        let resources = [
            dpi("b", "web", "app == 'web'"),
            dpi("a", "web", "app=='web'"),
            dpi("a", "all", ""),
            dpi("a", "a", "!has(app)"),
        ];
        let endpoints = [
            endpoint("a", "p", "10.0.0.1", &[("app", "web")]),
            endpoint("b", "p", "10.0.0.2", &[("app", "web")]),
            endpoint("b", "q", "10.0.0.3", &[]),
            endpoint("a", "q", "10.0.0.4", &[]),
        ];
        let table = ScopeTable::build(&resources, &endpoints);
        assert_eq!(scope(&table, 0), ["a/all", "a/web"]);
        assert_eq!(scope(&table, 1), ["b/web"]);
        assert_eq!(scope(&table, 2), [""; 0]);
        assert_eq!(scope(&table, 3), ["a/a", "a/all"]);
        assert_eq!(scope(&table, 4), [""; 0]);
        let selected: Vec<_> = table.resources.iter().map(|state| state.selected).collect();
        assert_eq!(selected, [1, 2, 1, 1]);
        assert_eq!(table.resources[2].selector, "app == \"web\"");
        assert_eq!(&*table.endpoints[1].namespace, "b");
    }

    #[test]
    fn an_invalid_selector_costs_its_own_resource_only() {
        let resources = [dpi("a", "bad", "app = 'web'\n"), dpi("a", "good", "all()")];
        let table = ScopeTable::build(&resources, &[endpoint("a", "p", "10.0.0.1", &[])]);
        assert_eq!(scope(&table, 0), ["a/good"]);
        assert_eq!(
            table.resources[0].error.as_ref().unwrap().to_string(),
            "invalid selector at column 5: expected ==, found a single =; the selector is: \
             app = 'web'\\n"
        );
        assert_eq!(table.resources[1].error, None);
        let long = InvalidSelector::new(&"é".repeat(9_999), Selector::parse("é").unwrap_err());
        assert_eq!(long.selector.chars().count(), QUOTED + 1);
    }

    #[test]
    fn global_selects_no_endpoint() {
        let resources = [dpi("a", "g", "global()"), dpi("a", "n", "!global()")];
        let table = ScopeTable::build(&resources, &[endpoint("a", "p", "10.0.0.1", &[])]);
        assert_eq!(scope(&table, 0), ["a/n"]);
        assert_eq!(table.resources[0].selector, "global()");
    }

    #[test]
    fn an_address_claimed_twice_keeps_both() {
        let mut twice = endpoint("a", "p", "10.0.0.1", &[]);
        twice.addresses = ["10.0.0.1", "fd00::1", "10.0.0.1"].map(|ip| ip.parse().unwrap()).into();
        let endpoints = [twice, endpoint("b", "q", "10.0.0.1", &[])];
        let table = ScopeTable::build(&[], &endpoints);
        assert_eq!(table.by_address[&"10.0.0.1".parse::<IpAddr>().unwrap()], [0, 1]);
        assert_eq!(table.by_address[&"fd00::1".parse::<IpAddr>().unwrap()], [0]);
        assert_eq!(table.by_address.len(), 2);
    }

    #[test]
    fn replicas_share_a_scope_and_a_repeated_resource_counts_once() {
        let resources = [dpi("a", "x", "has(app)"), dpi("a", "x", "all()"), dpi("a", "y", "all()")];
        let endpoints: Vec<_> = (0..100)
            .map(|n| endpoint("a", &format!("p{n}"), &format!("10.0.0.{n}"), &[("app", "1")]))
            .collect();
        let table = ScopeTable::build(&resources, &endpoints);
        assert_eq!(table.scopes().len(), 1);
        assert_eq!(table.scope_of(99), Some(0));
        assert_eq!(scope(&table, 7), ["a/x", "a/y"]);
        assert_eq!(table.resources[0].selected, 100);
        assert_eq!(table.resources[0].selector, "has(app)");
        assert_eq!(table, ScopeTable::build(&resources, &endpoints));
    }

    proptest! {
        #[test]
        fn every_pair_is_decided_as_if_asked_alone(
            resources in prop::collection::vec(
                ("[ab]", "[a-c]", prop::sample::select(vec![
                    "", "has(x)", "x == '1'", "y != '1'", "x = 1", "global()", "!has(x) || has(y)",
                ])), 0..8),
            endpoints in prop::collection::vec(
                ("[abc]", 0..6_u8, prop::option::of("[12]"), prop::option::of("[12]")), 0..12),
        ) {
            let resources: Vec<_> =
                resources.iter().map(|(namespace, name, text)| dpi(namespace, name, text)).collect();
            let endpoints: Vec<_> = endpoints
                .iter()
                .map(|(namespace, address, x, y)| {
                    let labels = [("x", x), ("y", y)];
                    let labels: Vec<_> = labels
                        .iter()
                        .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
                        .collect();
                    endpoint(namespace, "p", &format!("10.0.0.{address}"), &labels)
                })
                .collect();
            let table = ScopeTable::build(&resources, &endpoints);
            let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
            for dpi in &resources {
                first.entry((dpi.namespace(), dpi.name())).or_insert(&dpi.spec.selector);
            }
            prop_assert_eq!(table.resources.len(), first.len());
            for (index, endpoint) in endpoints.iter().enumerate() {
                let expected: Vec<String> = first
                    .iter()
                    .filter(|((namespace, _), text)| {
                        *namespace == endpoint.namespace
                            && Selector::parse(text)
                                .is_ok_and(|it| it.matches_namespaced(&endpoint.labels))
                    })
                    .map(|((namespace, name), _)| format!("{namespace}/{name}"))
                    .collect();
                prop_assert_eq!(scope(&table, index as u32), expected);
                prop_assert!(table.by_address[&endpoint.addresses[0]].contains(&(index as u32)));
            }
            let claims: usize = table.by_address.values().map(Vec::len).sum();
            prop_assert_eq!(claims, endpoints.len());
        }
    }
}
