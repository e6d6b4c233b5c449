//! All resources that are known at a moment, one of each kind, namespace and name.
//! Built from files (the first of a name counts) or kept up to date by watch events.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::{Document, Located, Parsed, Place, Problem, ProblemKind};
use crate::dpi::DeepPacketInspection;
use crate::endpoint::Endpoint;
use crate::resources::{Namespace, Pod, ServiceAccount};

/// What names a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// `DeepPacketInspection`, `Pod`, `Namespace` or `ServiceAccount`.
    pub kind: &'static str,
    /// Empty for a Namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ResourceKey {
    pub(super) fn new(kind: &'static str, namespace: &str, name: &str) -> ResourceKey {
        ResourceKey { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// A resource and, if it came from a file, where it stands.
type Held<T> = BTreeMap<(String, String), (T, Option<Place>)>;

/// The resources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inventory {
    resources: Held<DeepPacketInspection>,
    pods: Held<Pod>,
    namespaces: Held<Namespace>,
    accounts: Held<ServiceAccount>,
    /// What was wrong with the documents, duplicates included, in the order they were read.
    pub problems: Vec<Problem>,
}

impl Inventory {
    /// Takes the documents of any number of texts, in order. Of a kind, namespace and name that
    /// occur more than once the first counts; each later one is a problem that names both places.
    pub fn from_parsed(texts: impl IntoIterator<Item = Parsed>) -> Inventory {
        let mut inventory = Inventory::default();
        for Parsed { documents, problems } in texts {
            inventory.problems.extend(problems);
            for Located { value, place } in documents {
                inventory.add(value, place);
            }
        }
        inventory
    }

    fn add(&mut self, document: Document, place: Place) {
        let key = document.key();
        let first = match document {
            Document::DeepPacketInspection(dpi) => add(&mut self.resources, &key, *dpi, &place),
            Document::Pod(pod) => add(&mut self.pods, &key, *pod, &place),
            Document::Namespace(namespace) => add(&mut self.namespaces, &key, namespace, &place),
            Document::ServiceAccount(account) => add(&mut self.accounts, &key, account, &place),
        };
        if let Some(first) = first {
            let message = match first {
                Some(first) => format!("ignored: the one at {first} has the same name and counts"),
                None => "ignored: another of the same name counts".to_owned(),
            };
            let problem = Problem::new(ProblemKind::Duplicate, message);
            self.problems.push(problem.of(key.to_string()).at(&place));
        }
    }

    /// Puts a resource in, in place of any of the same kind, namespace and name.
    pub fn upsert(&mut self, document: Document) {
        let ResourceKey { namespace, name, .. } = document.key();
        let key = (namespace, name);
        match document {
            Document::DeepPacketInspection(dpi) => {
                self.resources.insert(key, (*dpi, None));
            }
            Document::Pod(pod) => {
                self.pods.insert(key, (*pod, None));
            }
            Document::Namespace(namespace) => {
                self.namespaces.insert(key, (namespace, None));
            }
            Document::ServiceAccount(account) => {
                self.accounts.insert(key, (account, None));
            }
        }
    }

    /// Takes a resource out; true if it was there.
    pub fn remove(&mut self, key: &ResourceKey) -> bool {
        let name = (key.namespace.clone(), key.name.clone());
        match key.kind {
            crate::dpi::KIND => self.resources.remove(&name).is_some(),
            "Pod" => self.pods.remove(&name).is_some(),
            "Namespace" => self.namespaces.remove(&name).is_some(),
            _ => self.accounts.remove(&name).is_some(),
        }
    }

    /// The DeepPacketInspections by namespace and name.
    pub fn resources(&self) -> Vec<DeepPacketInspection> {
        self.resources.values().map(|(dpi, _)| dpi.clone()).collect()
    }

    /// Where a DeepPacketInspection was read, if it came from a file.
    pub fn place_of(&self, namespace: &str, name: &str) -> Option<&Place> {
        self.resources.get(&(namespace.to_owned(), name.to_owned()))?.1.as_ref()
    }

    /// The pods by namespace and name.
    pub fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.values().map(|(pod, _)| pod)
    }

    /// How many resources there are, of all kinds.
    pub fn len(&self) -> usize {
        self.resources.len() + self.pods.len() + self.namespaces.len() + self.accounts.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pods that are endpoints now, by namespace and name, with the labels they inherit;
    /// and the addresses that could not be read.
    pub fn endpoints(&self) -> (Vec<Endpoint>, Vec<Problem>) {
        let mut endpoints = Vec::new();
        let mut problems = Vec::new();
        for (pod, place) in self.pods.values() {
            let namespace = self.namespaces.get(&(String::new(), pod.namespace.clone()));
            let account = self.accounts.get(&(pod.namespace.clone(), pod.service_account.clone()));
            let mut faults = Vec::new();
            endpoints.extend(Endpoint::from_pod(
                pod,
                namespace.map(|(namespace, _)| namespace),
                account.map(|(account, _)| account),
                &mut faults,
            ));
            problems.extend(faults.into_iter().map(|fault| Problem {
                kind: ProblemKind::Address,
                place: place.clone(),
                resource: format!("Pod {}/{}", pod.namespace, pod.name),
                message: fault.to_string(),
            }));
        }
        (endpoints, problems)
    }
}

/// Adds a resource unless there is one already; then the place of that one.
fn add<T>(held: &mut Held<T>, key: &ResourceKey, value: T, place: &Place) -> Option<Option<Place>> {
    match held.entry((key.namespace.clone(), key.name.clone())) {
        Entry::Vacant(entry) => {
            entry.insert((value, Some(place.clone())));
            None
        }
        Entry::Occupied(entry) => Some(entry.get().1.clone()),
    }
}
