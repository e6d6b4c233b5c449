//! A namespace within the index: its different label sets and its resources, each found from the
//! other by the labels that selectors need.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::dpi::DeepPacketInspection;
use crate::endpoint::{inherited_labels, is_given};
use crate::scope::ResourceState;
use crate::selector::{Need, Selector};

/// A pod's own labels, sorted by name.
pub(super) type OwnLabels = Box<[(Arc<str>, Arc<str>)]>;

/// What decides which resources select a pod of a namespace. Replicas have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SetKey {
    pub(super) account: Arc<str>,
    pub(super) labels: OwnLabels,
}

/// A label set and who selects it.
#[derive(Debug)]
pub(super) struct LabelSet {
    pub(super) key: Arc<SetKey>,
    /// Endpoints that have it; without any it is dropped.
    pub(super) members: u32,
    /// Names of the resources that select it.
    pub(super) selected_by: BTreeSet<Arc<str>>,
}

/// A resource.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) dpi: Arc<DeepPacketInspection>,
    pub(super) state: ResourceState,
    selector: Option<Selector>,
}

/// Where a selector is found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shelf {
    /// It matches nothing.
    Nowhere,
    /// By label and values.
    Values(Arc<str>, Vec<Arc<str>>),
    /// By label.
    Label(Arc<str>),
    /// It has to be asked always.
    Any,
}

/// Things found by a label.
#[derive(Debug, Default)]
struct ByLabel<T: Ord> {
    present: BTreeSet<T>,
    values: HashMap<Arc<str>, BTreeSet<T>>,
}

impl<T: Ord> ByLabel<T> {
    fn is_empty(&self) -> bool {
        self.present.is_empty() && self.values.is_empty()
    }
}

/// A namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    /// Its own labels; `None` if it is not known.
    labels: Option<BTreeMap<String, String>>,
    accounts: HashMap<Arc<str>, BTreeMap<String, String>>,
    pub(super) sets: HashMap<u32, LabelSet>,
    ids: HashMap<Arc<SetKey>, u32>,
    next: u32,
    pub(super) resources: BTreeMap<Arc<str>, Resource>,
    /// Label sets by the pods' own labels.
    sets_by_label: HashMap<Arc<str>, ByLabel<u32>>,
    /// Resources by what their selectors need of the pods' own labels.
    selectors: HashMap<Arc<str>, ByLabel<Arc<str>>>,
    /// Resources whose selectors need nothing in particular.
    always: BTreeSet<Arc<str>>,
}

impl Space {
    /// Nothing is left in it.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_none()
            && self.accounts.is_empty()
            && self.sets.is_empty()
            && self.resources.is_empty()
    }

    /// Are its labels known?
    pub(super) fn is_known(&self) -> bool {
        self.labels.is_some()
    }

    /// The service accounts whose labels are known.
    pub(super) fn account_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.accounts.keys()
    }

    /// Adds a member to a label set, which is made and matched if it is new.
    pub(super) fn join(&mut self, name: &str, key: SetKey) -> u32 {
        if let Some(&id) = self.ids.get(&key) {
            if let Some(set) = self.sets.get_mut(&id) {
                set.members += 1;
            }
            return id;
        }
        let key = Arc::new(key);
        while self.sets.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.ids.insert(Arc::clone(&key), id);
        for (label, value) in &key.labels {
            let shelf = self.sets_by_label.entry(Arc::clone(label)).or_default();
            shelf.values.entry(Arc::clone(value)).or_default().insert(id);
        }
        let selected_by = self.selectors_of(name, &key);
        self.sets.insert(id, LabelSet { key, members: 1, selected_by });
        id
    }

    /// Takes a member from a label set.
    pub(super) fn leave(&mut self, id: u32) {
        let Some(set) = self.sets.get_mut(&id) else { return };
        set.members -= 1;
        if set.members > 0 {
            return;
        }
        let Some(set) = self.sets.remove(&id) else { return };
        self.ids.remove(&set.key);
        for (label, value) in &set.key.labels {
            let Some(shelf) = self.sets_by_label.get_mut(label) else { continue };
            if let Some(ids) = shelf.values.get_mut(value) {
                ids.remove(&id);
                if ids.is_empty() {
                    shelf.values.remove(value);
                }
            }
            if shelf.is_empty() {
                self.sets_by_label.remove(label);
            }
        }
    }

    /// All labels of a set, the inherited ones included.
    fn full_labels(&self, name: &str, key: &SetKey) -> BTreeMap<String, String> {
        inherited_labels(
            key.labels.iter().map(|(label, value)| (&**label, &**value)),
            name,
            &key.account,
            self.labels.as_ref(),
            self.accounts.get(&key.account),
        )
    }

    /// Who selects a set: of the resources that could, those whose selectors say so.
    fn selectors_of(&self, name: &str, key: &SetKey) -> BTreeSet<Arc<str>> {
        if self.resources.is_empty() {
            return BTreeSet::new();
        }
        let full = self.full_labels(name, key);
        let by_label = key.labels.iter().filter_map(|(label, value)| {
            let shelf = self.selectors.get(label)?;
            Some(shelf.present.iter().chain(shelf.values.get(value).into_iter().flatten()))
        });
        let candidates = by_label.flatten().chain(&self.always);
        let matches = |resource: &&Arc<str>| {
            let resource = self.resources.get(*resource);
            resource
                .and_then(|it| it.selector.as_ref())
                .is_some_and(|it| it.matches_namespaced(&full))
        };
        candidates.filter(matches).cloned().collect()
    }

    /// Puts a resource in, in place of any of its name. Only the sets that its selector could
    /// select, or did, are looked at.
    pub(super) fn put_resource(&mut self, space: &str, dpi: Arc<DeepPacketInspection>) {
        let name: Arc<str> = dpi.name().into();
        if let Some(held) = self.resources.get_mut(&name)
            && held.dpi.spec == dpi.spec
        {
            held.state.rulesets = dpi.rulesets();
            held.dpi = dpi;
            return;
        }
        self.take_resource(&name);
        let (state, selector) = ResourceState::of(&dpi);
        if let Some(selector) = &selector {
            let shelf = shelf(selector);
            let candidates: Vec<u32> = self.sets_on(&shelf);
            for id in candidates {
                let Some(key) = self.sets.get(&id).map(|set| Arc::clone(&set.key)) else {
                    continue;
                };
                if selector.matches_namespaced(&self.full_labels(space, &key))
                    && let Some(set) = self.sets.get_mut(&id)
                {
                    set.selected_by.insert(Arc::clone(&name));
                }
            }
            self.shelve(&shelf, &name);
        }
        self.resources.insert(name, Resource { dpi, state, selector });
    }

    /// Takes a resource out; true if it was there.
    pub(super) fn take_resource(&mut self, name: &str) -> bool {
        let Some((name, resource)) = self.resources.remove_entry(name) else { return false };
        let Some(selector) = &resource.selector else { return true };
        let shelf = shelf(selector);
        for id in self.sets_on(&shelf) {
            if let Some(set) = self.sets.get_mut(&id) {
                set.selected_by.remove(&name);
            }
        }
        match shelf {
            Shelf::Nowhere => {}
            Shelf::Any => {
                self.always.remove(&name);
            }
            Shelf::Label(label) => {
                let emptied = self.selectors.get_mut(&label).is_some_and(|shelf| {
                    shelf.present.remove(&name);
                    shelf.is_empty()
                });
                if emptied {
                    self.selectors.remove(&label);
                }
            }
            Shelf::Values(label, values) => {
                let emptied = self.selectors.get_mut(&label).is_some_and(|shelf| {
                    for value in &values {
                        if let Some(names) = shelf.values.get_mut(value) {
                            names.remove(&name);
                            if names.is_empty() {
                                shelf.values.remove(value);
                            }
                        }
                    }
                    shelf.is_empty()
                });
                if emptied {
                    self.selectors.remove(&label);
                }
            }
        }
        true
    }

    fn shelve(&mut self, shelf: &Shelf, name: &Arc<str>) {
        match shelf {
            Shelf::Nowhere => {}
            Shelf::Any => {
                self.always.insert(Arc::clone(name));
            }
            Shelf::Label(label) => {
                let shelf = self.selectors.entry(Arc::clone(label)).or_default();
                shelf.present.insert(Arc::clone(name));
            }
            Shelf::Values(label, values) => {
                let shelf = self.selectors.entry(Arc::clone(label)).or_default();
                for value in values {
                    let names = shelf.values.entry(Arc::clone(value)).or_default();
                    names.insert(Arc::clone(name));
                }
            }
        }
    }

    /// The sets that a selector on this shelf could select.
    fn sets_on(&self, shelf: &Shelf) -> Vec<u32> {
        match shelf {
            Shelf::Nowhere => Vec::new(),
            Shelf::Any => self.sets.keys().copied().collect(),
            Shelf::Label(label) => {
                let shelf = self.sets_by_label.get(label);
                shelf.into_iter().flat_map(|it| it.values.values().flatten()).copied().collect()
            }
            Shelf::Values(label, values) => {
                let Some(shelf) = self.sets_by_label.get(label) else { return Vec::new() };
                let by_value = values.iter().filter_map(|value| shelf.values.get(value));
                by_value.flatten().copied().collect()
            }
        }
    }

    /// Says which labels the namespace passes on; true if that is news.
    pub(super) fn set_labels(
        &mut self,
        name: &str,
        labels: Option<BTreeMap<String, String>>,
    ) -> bool {
        if self.labels == labels {
            return false;
        }
        self.labels = labels;
        self.match_again(name, |_| true);
        true
    }

    /// Says which labels a service account passes on; true if that is news.
    pub(super) fn set_account(
        &mut self,
        name: &str,
        account: &Arc<str>,
        labels: Option<BTreeMap<String, String>>,
    ) -> bool {
        if self.accounts.get(account) == labels.as_ref() {
            return false;
        }
        match labels {
            Some(labels) => self.accounts.insert(Arc::clone(account), labels),
            None => self.accounts.remove(account),
        };
        self.match_again(name, |key| key.account == *account);
        true
    }

    /// What sets inherit is new: who selects them is found anew.
    fn match_again(&mut self, name: &str, concerns: impl Fn(&SetKey) -> bool) {
        let found: Vec<(u32, BTreeSet<Arc<str>>)> = self
            .sets
            .iter()
            .filter(|(_, set)| concerns(&set.key))
            .map(|(&id, set)| (id, self.selectors_of(name, &set.key)))
            .collect();
        for (id, selected_by) in found {
            if let Some(set) = self.sets.get_mut(&id) {
                set.selected_by = selected_by;
            }
        }
    }
}

/// Where a selector is to be found. Labels that pods do not choose themselves are the same for most
/// of a namespace: there is nothing to be found by them.
fn shelf(selector: &Selector) -> Shelf {
    match selector.need() {
        Need::Never => Shelf::Nowhere,
        Need::Values(label, values) if !is_given(label) => {
            Shelf::Values(label.into(), values.into_iter().map(Arc::from).collect())
        }
        Need::Present(label) if !is_given(label) => Shelf::Label(label.into()),
        Need::Values(..) | Need::Present(_) | Need::Anything => Shelf::Any,
    }
}
