//! What the watches have told, put together: the index of pods and resources, which lists are
//! complete, and whether there is news.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ScopeIndex;
use api::documents::Problem;
use api::dpi::NodeStatus;

use super::items::Item;

/// A list that is told anew holds news back so long at the most.
const HOLD: Duration = Duration::from_secs(5);

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// DeepPacketInspections.
    Resources,
    /// Pods; those of one node where only some nodes are in view.
    Pods(Option<Arc<str>>),
    /// Namespaces.
    Namespaces,
    /// Service accounts.
    Accounts,
    /// The nodes in view.
    Nodes,
    /// ConfigMaps of rules, in the sensor's own namespace.
    ConfigMaps,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stream::Resources => "deeppacketinspections",
            Stream::Pods(None) => "pods",
            Stream::Pods(Some(node)) => return write!(f, "pods of node {node}"),
            Stream::Namespaces => "namespaces",
            Stream::Accounts => "serviceaccounts",
            Stream::Nodes => "nodes",
            Stream::ConfigMaps => "configmaps",
        })
    }
}

/// How a watch is.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// Its first list was complete once.
    pub listed: bool,
    /// What is wrong with it now.
    pub error: Option<String>,
    /// Lists that it has begun.
    pub lists: u64,
    /// Objects that it has told of.
    pub events: u64,
    /// Failures that it has had.
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Listing {
    health: Health,
    /// Since when a list is being told anew, and what it has told.
    since: Option<Instant>,
    seen: HashSet<(String, String)>,
}

/// A resource as its status goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Set by the server: another one is another resource of the same name.
    pub uid: Option<String>,
    /// This node's entry, as the server last told it.
    pub entry: Option<NodeStatus>,
    /// Nodes that have an entry.
    pub nodes: Box<[Arc<str>]>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Store {
    node: String,
    pub(super) index: ScopeIndex,
    listings: BTreeMap<Stream, Listing>,
    /// Counts up with all that makes a generation different.
    pub(super) version: u64,
    /// Since when there is news that nobody has asked for.
    pub(super) news_since: Option<Instant>,
    /// What the server says of the resources' status, for whoever writes it.
    pub(super) told: HashMap<(String, String), Arc<Told>>,
    /// Names of nodes with entries, each once.
    told_nodes: HashSet<Arc<str>>,
    /// Problems of resources, by their names.
    problems: BTreeMap<(String, String), Vec<Problem>>,
    pub(super) nodes: BTreeSet<Arc<str>>,
    pub(super) config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Counts up with the ConfigMaps.
    pub(super) rules_version: u64,
    /// Set where no API serves the resources.
    pub(super) not_installed: bool,
}

impl Store {
    /// A store that waits for these watches. `node`: whose entries of status are this sensor's.
    pub(super) fn new(node: String, streams: impl IntoIterator<Item = Stream>) -> Self {
        let listings = streams.into_iter().map(|stream| (stream, Listing::default())).collect();
        Self {
            node,
            index: ScopeIndex::new(),
            listings,
            version: 0,
            news_since: None,
            told: HashMap::new(),
            told_nodes: HashSet::new(),
            problems: BTreeMap::new(),
            nodes: BTreeSet::new(),
            config_maps: BTreeMap::new(),
            rules_version: 0,
            not_installed: false,
        }
    }

    /// How the watches are.
    pub(super) fn health(&self) -> impl Iterator<Item = (&Stream, &Health)> {
        self.listings.iter().map(|(stream, listing)| (stream, &listing.health))
    }

    /// Is this watch's first list complete?
    pub(super) fn is_listed(&self, stream: &Stream) -> bool {
        self.listings.get(stream).is_some_and(|listing| listing.health.listed)
    }

    /// Is every first list complete?
    pub(super) fn is_complete(&self) -> bool {
        self.listings.values().all(|listing| listing.health.listed)
    }

    /// May news be taken now? Not before the first lists are complete, and not in the middle of one
    /// that is told anew, unless that takes long.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        let is_moving = |listing: &Listing| {
            listing.health.error.is_none()
                && listing.since.is_some_and(|since| now.duration_since(since) < HOLD)
        };
        self.is_complete() && !self.listings.values().any(is_moving)
    }

    /// What is wrong with resources and pods.
    pub(super) fn problems(&self) -> Vec<Problem> {
        self.problems.values().flatten().cloned().chain(self.index.problems()).collect()
    }

    /// A list begins.
    pub(super) fn begin(&mut self, stream: &Stream) {
        let listing = self.listings.entry(stream.clone()).or_default();
        listing.health.lists += 1;
        listing.since.get_or_insert_with(Instant::now);
        listing.seen.clear();
    }

    /// An object is there.
    pub(super) fn put(&mut self, stream: &Stream, key: (String, String), item: Item) {
        let Some(listing) = self.listings.get_mut(stream) else { return };
        listing.health.events += 1;
        if listing.since.is_some() {
            listing.seen.insert(key.clone());
        } else {
            listing.health.error = None;
        }
        let is_news = match item {
            Item::Pod(pod) => self.index.put_pod(&pod),
            Item::Namespace(namespace) => self.index.put_namespace(&namespace),
            Item::Account(account) => self.index.put_account(&account),
            Item::Node => self.nodes.insert(key.1.as_str().into()),
            Item::ConfigMap(data) => {
                if self.config_maps.get(&key.1) != Some(&data) {
                    self.config_maps.insert(key.1, data);
                    self.rules_version += 1;
                }
                false
            }
            Item::Unreadable(problem) => {
                self.told.remove(&key);
                let was_there = self.index.take_resource(&key.0, &key.1);
                self.set_problems(key, vec![problem]) | was_there
            }
            Item::Resource(mut dpi, problems) => {
                let status = dpi.status.take().unwrap_or_default();
                let told = Told {
                    uid: dpi.metadata.uid.clone(),
                    nodes: status.nodes.iter().map(|entry| self.told_node(&entry.node)).collect(),
                    entry: status.nodes.into_iter().find(|entry| entry.node == self.node),
                };
                self.told.insert(key.clone(), Arc::new(told));
                // Problems of a status are for the log only.
                for problem in &problems {
                    tracing::debug!("{problem}");
                }
                let is_mended = self.set_problems(key, Vec::new());
                // What is kept for long is what decides.
                dpi.metadata.labels.clear();
                dpi.metadata.resource_version = None;
                self.index.put_resource(*dpi) | is_mended
            }
        };
        self.news(is_news);
    }

    /// An object is gone.
    pub(super) fn take(&mut self, stream: &Stream, key: &(String, String)) {
        if let Some(listing) = self.listings.get_mut(stream) {
            listing.health.events += 1;
            listing.seen.remove(key);
        }
        let (namespace, name) = (key.0.as_str(), key.1.as_str());
        let is_news = match stream {
            Stream::Resources => {
                self.told.remove(key);
                let had_problems = self.problems.remove(key).is_some();
                self.index.take_resource(namespace, name) | had_problems
            }
            Stream::Pods(_) => self.index.take_pod(namespace, name),
            Stream::Namespaces => self.index.take_namespace(name),
            Stream::Accounts => self.index.take_account(namespace, name),
            Stream::Nodes => {
                let node = self.nodes.take(name);
                node.is_some_and(|node| self.forget(&Stream::Pods(Some(node))))
            }
            Stream::ConfigMaps => {
                if self.config_maps.remove(name).is_some() {
                    self.rules_version += 1;
                }
                false
            }
        };
        self.news(is_news);
    }

    /// A list is complete: what it did not tell of is gone.
    pub(super) fn done(&mut self, stream: &Stream) {
        let Some(listing) = self.listings.get_mut(stream) else { return };
        listing.since = None;
        listing.health.error = None;
        let is_first = !std::mem::replace(&mut listing.health.listed, true);
        let seen = std::mem::take(&mut listing.seen);
        for key in self.known(stream) {
            if !seen.contains(&key) {
                self.take(stream, &key);
            }
        }
        if matches!(stream, Stream::ConfigMaps) && is_first {
            // Also that there is none is news for the rules.
            self.rules_version += 1;
        }
        if matches!(stream, Stream::Nodes) {
            // Their pods are waited for, too.
            for node in self.nodes.clone() {
                self.listings.entry(Stream::Pods(Some(node))).or_default();
            }
        }
        self.news(is_first);
    }

    /// Something is wrong with a watch; true if that is news.
    pub(super) fn failed(&mut self, stream: &Stream, error: String) -> bool {
        let Some(listing) = self.listings.get_mut(stream) else { return false };
        listing.health.failures += 1;
        let is_news = listing.health.error.is_none();
        listing.health.error = Some(error);
        is_news
    }

    /// A watch is no longer wanted, and what it told is out of view.
    pub(super) fn forget(&mut self, stream: &Stream) -> bool {
        let mut is_news = false;
        for key in self.known(stream) {
            is_news |= self.index.take_pod(&key.0, &key.1);
        }
        self.listings.remove(stream);
        is_news
    }

    /// No API serves the resources: there are none.
    pub(super) fn no_resources(&mut self) {
        for key in self.known(&Stream::Resources) {
            self.take(&Stream::Resources, &key);
        }
        self.not_installed = true;
        // That is all there is to be told.
        let listing = self.listings.entry(Stream::Resources).or_default();
        listing.since = None;
        let is_first = !std::mem::replace(&mut listing.health.listed, true);
        self.news(is_first);
    }

    /// All that a watch has told of and that is still known.
    fn known(&self, stream: &Stream) -> Vec<(String, String)> {
        match stream {
            Stream::Resources => self.told.keys().chain(self.problems.keys()).cloned().collect(),
            Stream::Pods(node) => self
                .index
                .pod_names()
                .filter(|pod| node.as_ref().is_none_or(|node| pod.node == *node))
                .map(|pod| (pod.namespace.to_string(), pod.pod.to_string()))
                .collect(),
            Stream::Namespaces => {
                self.index.namespace_names().map(|name| (String::new(), name.to_string())).collect()
            }
            Stream::Accounts => self
                .index
                .account_names()
                .map(|(namespace, name)| (namespace.to_string(), name.to_string()))
                .collect(),
            Stream::Nodes => {
                self.nodes.iter().map(|name| (String::new(), name.to_string())).collect()
            }
            Stream::ConfigMaps => {
                self.config_maps.keys().map(|name| (String::new(), name.clone())).collect()
            }
        }
    }

    fn told_node(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.told_nodes.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.told_nodes.insert(Arc::clone(&name));
        name
    }

    fn set_problems(&mut self, key: (String, String), problems: Vec<Problem>) -> bool {
        if problems.is_empty() {
            return self.problems.remove(&key).is_some();
        }
        self.problems.insert(key, problems.clone()).as_ref() != Some(&problems)
    }

    fn news(&mut self, is_news: bool) {
        if is_news {
            self.version += 1;
            self.news_since.get_or_insert_with(Instant::now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::DeepPacketInspection;
    use api::dpi::{DeepPacketInspectionStatus, Time};
    use api::resources::Pod;

    fn key(name: &str) -> (String, String) {
        ("shop".to_owned(), name.to_owned())
    }

    fn pod(name: &str, node: &str) -> Item {
        Item::Pod(Box::new(Pod {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            node: node.to_owned(),
            pod_ip: "10.0.0.1".to_owned(),
            ..Pod::default()
        }))
    }

    fn resource(status: Option<DeepPacketInspectionStatus>) -> Item {
        let mut dpi = DeepPacketInspection::new("shop", "all", "");
        dpi.status = status;
        Item::Resource(Box::new(dpi), Vec::new())
    }

    #[test]
    fn nothing_is_settled_before_every_first_list_is_complete() {
        let streams = [Stream::Resources, Stream::Pods(None)];
        let mut store = Store::new("n1".to_owned(), streams.clone());
        store.begin(&streams[0]);
        store.put(&streams[0], key("all"), resource(None));
        store.done(&streams[0]);
        store.begin(&streams[1]);
        store.put(&streams[1], key("a"), pod("a", "n1"));
        assert!(!store.is_settled(Instant::now()));
        store.done(&streams[1]);
        assert!(store.is_settled(Instant::now()));
        assert_eq!(store.index.table().resources[0].selected, 1);
    }

    #[test]
    fn a_list_told_anew_takes_out_what_it_does_not_tell() {
        let pods = Stream::Pods(None);
        let mut store = Store::new("n1".to_owned(), [pods.clone()]);
        store.begin(&pods);
        store.put(&pods, key("a"), pod("a", "n1"));
        store.put(&pods, key("b"), pod("b", "n1"));
        store.done(&pods);
        let version = store.version;
        store.begin(&pods);
        assert!(!store.is_settled(Instant::now()), "half a list is not taken");
        assert!(store.is_settled(Instant::now() + HOLD), "but for so long only");
        store.put(&pods, key("b"), pod("b", "n1"));
        assert_eq!(store.index.endpoints(), 2, "what was known stays known");
        store.done(&pods);
        assert_eq!(store.index.endpoints(), 1);
        assert_eq!(store.version, version + 1);
    }

    #[test]
    fn a_status_alone_is_no_news() {
        let mut store = Store::new("n1".to_owned(), [Stream::Resources]);
        store.begin(&Stream::Resources);
        store.put(&Stream::Resources, key("all"), resource(None));
        store.done(&Stream::Resources);
        let version = store.version;
        let mut status = DeepPacketInspectionStatus::default();
        status.entry("n1").set_active(true, Time::from_second(0));
        status.entry("n2");
        store.put(&Stream::Resources, key("all"), resource(Some(status)));
        assert_eq!(store.version, version);
        let told = &store.told[&key("all")];
        assert!(told.entry.as_ref().is_some_and(|entry| entry.active.success));
        assert_eq!(told.nodes.len(), 2);
    }

    #[test]
    fn pods_of_a_node_that_left_the_view_are_out_of_it() {
        let mut store = Store::new("n1".to_owned(), [Stream::Nodes]);
        store.begin(&Stream::Nodes);
        store.put(&Stream::Nodes, (String::new(), "n1".to_owned()), Item::Node);
        store.put(&Stream::Nodes, (String::new(), "n2".to_owned()), Item::Node);
        store.done(&Stream::Nodes);
        assert!(!store.is_complete(), "the pods of the nodes are waited for");
        for node in ["n1", "n2"] {
            let stream = Stream::Pods(Some(node.into()));
            store.begin(&stream);
            store.put(&stream, key(node), pod(node, node));
            store.done(&stream);
        }
        assert!(store.is_complete());
        assert_eq!(store.index.endpoints(), 2);
        store.take(&Stream::Nodes, &(String::new(), "n2".to_owned()));
        assert_eq!(store.index.endpoints(), 1);
        assert!(store.is_complete());
    }
}
