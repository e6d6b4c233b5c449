//! Pods, namespaces, service accounts and resources as they come and go, always matched: a change
//! costs what it changes. Selectors are found by the labels that they need, pods by their labels,
//! and pods whose labels are the same are matched once. Says the same as [`ScopeTable::build`].

mod space;
mod strings;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::documents::{Problem, ProblemKind};
use crate::dpi::DeepPacketInspection;
use crate::endpoint::{addresses, is_endpoint};
use crate::resources::{Namespace, Pod, ServiceAccount};
use crate::scope::{EndpointIdentity, ScopeTable};
use space::{SetKey, Space};
use strings::Strings;

/// What is kept of a pod that is an endpoint.
#[derive(Debug, PartialEq)]
struct Entry {
    identity: Arc<EndpointIdentity>,
    addresses: Box<[IpAddr]>,
    /// Its label set in its namespace.
    set: u32,
}

/// The pods of a namespace that are endpoints, and the namespace.
#[derive(Debug, Default)]
struct Place {
    space: Space,
    pods: BTreeMap<Arc<str>, Entry>,
}

/// The index. Its answers are as of the last change.
#[derive(Debug, Default)]
pub struct ScopeIndex {
    strings: Strings,
    places: BTreeMap<Arc<str>, Place>,
    /// Addresses that could not be read, by the pod that has them.
    faults: BTreeMap<(Arc<str>, Arc<str>), Vec<Problem>>,
    endpoints: usize,
}

impl ScopeIndex {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many pods are endpoints.
    pub fn endpoints(&self) -> usize {
        self.endpoints
    }

    /// Puts a pod in, in place of any of its name; one that is no endpoint (any more) takes that
    /// out. True if anything that matters is new.
    pub fn put_pod(&mut self, pod: &Pod) -> bool {
        if !is_endpoint(pod) {
            return self.take_pod(&pod.namespace, &pod.name);
        }
        let namespace = self.strings.get(&pod.namespace);
        let name = self.strings.get(&pod.name);
        let mut faults = Vec::new();
        let addresses = addresses(pod, &mut faults).into_boxed_slice();
        let is_new_fault = self.set_faults(&namespace, &name, &faults);
        let identity = EndpointIdentity {
            namespace: Arc::clone(&namespace),
            pod: Arc::clone(&name),
            node: self.strings.get(&pod.node),
            service_account: self.strings.get(&pod.service_account),
        };
        let labels: Vec<_> = pod
            .labels
            .iter()
            .map(|(label, value)| (self.strings.get(label), self.strings.get(value)))
            .filter(|(label, _)| !crate::endpoint::is_given(label))
            .collect();
        let key = SetKey {
            account: Arc::clone(&identity.service_account),
            labels: labels.into_boxed_slice(),
        };
        let place = self.places.entry(Arc::clone(&namespace)).or_default();
        let set = place.space.join(&namespace, key);
        let identity = match place.pods.get(&name) {
            Some(held) if *held.identity == identity => Arc::clone(&held.identity),
            _ => Arc::new(identity),
        };
        let entry = Entry { identity, addresses, set };
        match place.pods.insert(name, entry) {
            Some(old) => {
                place.space.leave(old.set);
                let now = place.pods.get(&*old.identity.pod);
                is_new_fault || now != Some(&old)
            }
            None => {
                self.endpoints += 1;
                true
            }
        }
    }

    /// Takes a pod out; true if it was there.
    pub fn take_pod(&mut self, namespace: &str, name: &str) -> bool {
        let had_faults = self.faults.remove(&(namespace.into(), name.into())).is_some();
        let Some(place) = self.places.get_mut(namespace) else { return had_faults };
        let Some(entry) = place.pods.remove(name) else { return had_faults };
        place.space.leave(entry.set);
        self.endpoints -= 1;
        self.tidy(namespace);
        true
    }

    /// Puts a resource in, in place of any of its name. True if anything but its status is new.
    pub fn put_resource(&mut self, dpi: DeepPacketInspection) -> bool {
        let namespace = self.strings.get(dpi.namespace());
        let place = self.places.entry(Arc::clone(&namespace)).or_default();
        if let Some(held) = place.space.resources.get(dpi.name())
            && held.dpi.spec == dpi.spec
            && held.dpi.metadata.uid == dpi.metadata.uid
            && held.dpi.rulesets() == dpi.rulesets()
        {
            return false;
        }
        place.space.put_resource(&namespace, Arc::new(dpi));
        true
    }

    /// Takes a resource out; true if it was there.
    pub fn take_resource(&mut self, namespace: &str, name: &str) -> bool {
        let Some(place) = self.places.get_mut(namespace) else { return false };
        let was_there = place.space.take_resource(name);
        self.tidy(namespace);
        was_there
    }

    /// Puts a namespace in, in place of any of its name; true if that changes labels.
    pub fn put_namespace(&mut self, namespace: &Namespace) -> bool {
        let name = self.strings.get(&namespace.name);
        let place = self.places.entry(Arc::clone(&name)).or_default();
        place.space.set_labels(&name, Some(namespace.labels.clone()))
    }

    /// Takes a namespace out; its pods and resources are taken out by themselves.
    pub fn take_namespace(&mut self, name: &str) -> bool {
        let Some(place) = self.places.get_mut(name) else { return false };
        let is_news = place.space.set_labels(name, None);
        self.tidy(name);
        is_news
    }

    /// Puts a service account in, in place of any of its name; true if that changes labels.
    pub fn put_account(&mut self, account: &ServiceAccount) -> bool {
        let namespace = self.strings.get(&account.namespace);
        let name = self.strings.get(&account.name);
        let place = self.places.entry(Arc::clone(&namespace)).or_default();
        place.space.set_account(&namespace, &name, Some(account.labels.clone()))
    }

    /// Takes a service account out.
    pub fn take_account(&mut self, namespace: &str, name: &str) -> bool {
        let name = self.strings.get(name);
        let Some(place) = self.places.get_mut(namespace) else { return false };
        let is_news = place.space.set_account(namespace, &name, None);
        self.tidy(namespace);
        is_news
    }

    /// The resources, by namespace and name; in the order of [`ScopeTable::resources`].
    pub fn resources(&self) -> Vec<Arc<DeepPacketInspection>> {
        let spaces = self.places.values().map(|place| &place.space);
        spaces.flat_map(|space| space.resources.values()).map(|it| Arc::clone(&it.dpi)).collect()
    }

    /// Namespaces and names of the resources.
    pub fn resource_names(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.places
            .iter()
            .flat_map(|(space, place)| place.space.resources.keys().map(move |name| (space, name)))
    }

    /// The namespaces whose labels are known.
    pub fn namespace_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.places.iter().filter(|(_, place)| place.space.is_known()).map(|(name, _)| name)
    }

    /// Namespaces and names of the service accounts whose labels are known.
    pub fn account_names(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.places
            .iter()
            .flat_map(|(space, place)| place.space.account_names().map(move |name| (space, name)))
    }

    /// Namespaces, names and nodes of the pods that are endpoints.
    pub fn pod_names(&self) -> impl Iterator<Item = &EndpointIdentity> {
        self.places.values().flat_map(|place| place.pods.values()).map(|entry| &*entry.identity)
    }

    /// What is wrong with pods: addresses that are none.
    pub fn problems(&self) -> Vec<Problem> {
        self.faults.values().flatten().cloned().collect()
    }

    /// Who is who, and in whose scope, as [`ScopeTable::build`] says it. No selector is asked.
    pub fn table(&self) -> ScopeTable {
        let mut resources = Vec::new();
        let mut endpoints = Vec::with_capacity(self.endpoints);
        let mut by_address: HashMap<IpAddr, Vec<u32>> = HashMap::with_capacity(self.endpoints);
        let mut scope_of = Vec::with_capacity(self.endpoints);
        let mut scopes: Vec<Box<[u32]>> = Vec::new();
        let mut by_scope: HashMap<Box<[u32]>, u32> = HashMap::new();
        for place in self.places.values() {
            let mut numbers: HashMap<&str, u32> = HashMap::new();
            for (name, resource) in &place.space.resources {
                numbers.insert(name, resources.len() as u32);
                resources.push(resource.state.clone());
            }
            // By label set, so that each is looked at once.
            let mut known: HashMap<u32, u32> = HashMap::with_capacity(place.space.sets.len());
            for (&id, set) in &place.space.sets {
                let mut selected: Vec<u32> = Vec::with_capacity(set.selected_by.len());
                for name in &set.selected_by {
                    let Some(&number) = numbers.get(&**name) else { continue };
                    selected.push(number);
                    if let Some(state) = resources.get_mut(number as usize) {
                        state.selected += set.members;
                    }
                }
                let next = scopes.len() as u32;
                let scope = *by_scope.entry(selected.into()).or_insert_with_key(|selected| {
                    scopes.push(selected.clone());
                    next
                });
                known.insert(id, scope);
            }
            for entry in place.pods.values() {
                let index = endpoints.len() as u32;
                scope_of.push(known.get(&entry.set).copied().unwrap_or(u32::MAX));
                endpoints.push(Arc::clone(&entry.identity));
                for &address in &entry.addresses {
                    by_address.entry(address).or_default().push(index);
                }
            }
        }
        ScopeTable::of_parts(endpoints, resources, by_address, scope_of, scopes)
    }

    /// Remembers what is wrong with a pod; true if that is news.
    fn set_faults(
        &mut self,
        namespace: &Arc<str>,
        name: &Arc<str>,
        faults: &[crate::endpoint::AddressError],
    ) -> bool {
        let key = (Arc::clone(namespace), Arc::clone(name));
        if faults.is_empty() {
            return self.faults.remove(&key).is_some();
        }
        let problems: Vec<Problem> = faults
            .iter()
            .map(|fault| {
                let problem = Problem::new(ProblemKind::Address, fault.to_string());
                problem.of(format!("Pod {namespace}/{name}"))
            })
            .collect();
        let is_news = self.faults.get(&key) != Some(&problems);
        self.faults.insert(key, problems);
        is_news
    }

    /// Drops a namespace of which nothing is left.
    fn tidy(&mut self, namespace: &str) {
        let is_over = |place: &Place| place.pods.is_empty() && place.space.is_empty();
        if self.places.get(namespace).is_some_and(is_over) {
            self.places.remove(namespace);
        }
    }
}
