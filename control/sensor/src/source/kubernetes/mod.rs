//! A cluster as the source: DeepPacketInspections and endpoints watched at the API server, on the
//! control side's runtime, kept in an index that generations are made of.

mod client;
mod discovery;
mod items;
mod nodes;
mod store;
mod watch;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::documents::Problem;
use api::{DeepPacketInspection, ScopeTable};
use futures::stream::StreamExt as _;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::core::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::watcher;
use tokio::sync::Notify;

use crate::config::{Config, KubernetesConfig};
use crate::rules_source::ConfigMaps;
pub(crate) use client::connect;
use discovery::Served;
pub(crate) use discovery::serves;
use items::Item;
use store::Store;
pub use store::{Health, Stream, Told};
use watch::{Ended, Make, follow};
pub(crate) use watch::{Patience, chain, explain};

/// Quiet for this long, news is taken.
const QUIET: Duration = Duration::from_millis(30);
/// News is taken after this, quiet or not.
const LONGEST: Duration = Duration::from_millis(200);
/// How often a server that serves no DeepPacketInspections is asked again.
const RETRY: Duration = Duration::from_secs(2);
/// A server that starts says for a moment that it serves none.
const ABSENT: Duration = Duration::from_secs(10);

/// The cluster as it is known, kept up to date in the background. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
    client: kube::Client,
    namespace: Arc<str>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What the watches share.
#[derive(Debug)]
pub(crate) struct Shared {
    store: Mutex<Store>,
    /// There may be news.
    wake: Notify,
    /// What the server says of statuses is new.
    told: Notify,
    streaming: AtomicBool,
    served: Mutex<Option<ApiResource>>,
}

/// The cluster at a moment: what a generation is made of.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Differs where the rest does.
    pub version: u64,
    /// Who is who, and in whose scope.
    pub table: Arc<ScopeTable>,
    /// The resources, in the order of the table's.
    pub resources: Vec<Arc<DeepPacketInspection>>,
    /// What is wrong with objects.
    pub problems: Vec<Problem>,
}

impl Cluster {
    /// Begins to watch. `news` is called, on the runtime, whenever there is something to be taken.
    /// Must be called on the runtime.
    ///
    /// # Errors
    /// There is no way to a cluster. That the server does not answer is no error.
    pub async fn start(config: &Config, news: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let kubernetes = &config.kubernetes;
        let (client, namespace) = client::connect(kubernetes).await?;
        let shared = Arc::new(Shared::new(config.sensor.node_name(), streams(config)));
        let cluster = Self { shared, client, namespace: namespace.into() };
        cluster.watch_all(config);
        let shared = Arc::clone(&cluster.shared);
        tokio::spawn(async move { shared.tell(news).await });
        Ok(cluster)
    }

    /// The API server.
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// The sensor's own namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Is every first list complete?
    pub fn is_complete(&self) -> bool {
        self.shared.store().is_complete()
    }

    /// The cluster as it is, if every first list is complete and it differs from that version.
    /// `bit` numbers the rule sets: see [`ScopeTable::assign_rulesets`].
    pub fn seen(&self, known: Option<u64>, bit: impl Fn(&str) -> Option<u32>) -> Option<Seen> {
        let store = self.shared.store();
        if !store.is_complete() || known == Some(store.version) {
            return None;
        }
        let mut table = store.index.table();
        let (version, resources) = (store.version, store.index.resources());
        let problems = store.problems();
        drop(store);
        table.assign_rulesets(bit);
        Some(Seen { version, table: Arc::new(table), resources, problems })
    }

    /// How the watches are.
    pub fn watches(&self) -> Vec<(Stream, Health)> {
        let store = self.shared.store();
        store.health().map(|(stream, health)| (stream.clone(), health.clone())).collect()
    }

    /// What is wrong with the source as a whole, for people to read.
    pub fn faults(&self) -> Vec<String> {
        let store = self.shared.store();
        let mut faults = Vec::new();
        if store.not_installed {
            faults.push(
                "the cluster serves no DeepPacketInspections: install Calico's, or `pollux crd | \
                 kubectl apply -f -`"
                    .to_owned(),
            );
        }
        faults.extend(store.health().filter_map(|(_, health)| health.error.clone()));
        faults
    }

    /// The API of the DeepPacketInspections, once it is known.
    pub fn served(&self) -> Option<ApiResource> {
        self.shared.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the server says of each resource's status.
    pub fn told(&self) -> std::collections::HashMap<(String, String), Arc<Told>> {
        self.shared.store().told.clone()
    }

    /// Waits until that may be different.
    pub async fn told_anew(&self) {
        self.shared.told.notified().await;
    }

    /// The ConfigMaps of the sensor's namespace, and a number that differs where they do; nothing
    /// before they are listed, or if no rule set is in one.
    pub fn config_maps(&self) -> Option<(u64, ConfigMaps)> {
        let store = self.shared.store();
        let is_listed = store.is_listed(&Stream::ConfigMaps);
        is_listed.then(|| (store.rules_version, store.config_maps.clone()))
    }

    fn watch_all(&self, config: &Config) {
        let (shared, client) = (&self.shared, &self.client);
        tokio::spawn(follow_resources(Arc::clone(shared), client.clone()));
        let namespaces = Api::<PartialObjectMeta<core::Namespace>>::all(client.clone());
        tokio::spawn(follow(
            Arc::clone(shared),
            Stream::Namespaces,
            watcher::Config::default(),
            Box::new(move |config| watcher::watcher(namespaces.clone(), config).boxed()),
            items::namespace,
        ));
        let accounts = Api::<PartialObjectMeta<core::ServiceAccount>>::all(client.clone());
        tokio::spawn(follow(
            Arc::clone(shared),
            Stream::Accounts,
            watcher::Config::default(),
            Box::new(move |config| watcher::watcher(accounts.clone(), config).boxed()),
            items::account,
        ));
        nodes::watch_pods(shared, client, &config.kubernetes);
        if needs_config_maps(config) {
            let maps = Api::<core::ConfigMap>::namespaced(client.clone(), &self.namespace);
            tokio::spawn(follow(
                Arc::clone(shared),
                Stream::ConfigMaps,
                watcher::Config::default(),
                Box::new(move |config| watcher::watcher(maps.clone(), config).boxed()),
                items::config_map,
            ));
        }
    }
}

/// Is any rule set in a ConfigMap?
pub fn needs_config_maps(config: &Config) -> bool {
    config.rules.sets.values().any(|set| !set.config_maps.is_empty())
}

/// What is watched from the beginning.
fn streams(config: &Config) -> Vec<Stream> {
    let mut streams = vec![Stream::Resources, Stream::Namespaces, Stream::Accounts];
    let KubernetesConfig { nodes, node_selector, .. } = &config.kubernetes;
    if node_selector.is_some() {
        streams.push(Stream::Nodes);
    } else if nodes.is_empty() {
        streams.push(Stream::Pods(None));
    } else {
        streams.extend(nodes.iter().map(|node| Stream::Pods(Some(node.as_str().into()))));
    }
    if needs_config_maps(config) {
        streams.push(Stream::ConfigMaps);
    }
    streams
}

/// Finds out who serves the resources, and follows them there, again and again.
async fn follow_resources(shared: Arc<Shared>, client: kube::Client) {
    let mut absent_since = None;
    loop {
        match discovery::discover(&client).await {
            Ok(Served::By(resource)) => {
                absent_since = None;
                shared.set_served(Some(&resource));
                tracing::info!("deeppacketinspections are served by {}", resource.api_version);
                let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
                let make: Make<DynamicObject> =
                    Box::new(move |config| watcher::watcher(api.clone(), config).boxed());
                let config = watcher::Config::default();
                let ended =
                    follow(Arc::clone(&shared), Stream::Resources, config, make, items::resource);
                let Ended::NotFound = ended.await;
            }
            Ok(Served::Nowhere) => {
                let since = *absent_since.get_or_insert_with(Instant::now);
                let was_served = shared.set_served(None);
                // A first look is believed at once, unless the resource was there before.
                if since.elapsed() >= ABSENT || (!was_served && !shared.store().is_complete()) {
                    shared.not_installed();
                }
            }
            Err(error) => {
                shared.failed(&Stream::Resources, error);
            }
        }
        tokio::time::sleep(RETRY + Duration::from_millis(jitter(1000))).await;
    }
}

impl Shared {
    /// Before anything is told. `node`: whose entries of status are this sensor's.
    fn new(node: String, streams: impl IntoIterator<Item = Stream>) -> Self {
        Self {
            store: Mutex::new(Store::new(node, streams)),
            wake: Notify::new(),
            told: Notify::new(),
            streaming: AtomicBool::new(true),
            served: Mutex::new(None),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streams_lists(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    fn list_in_pages(&self, stream: &Stream, why: &str) {
        if self.streaming.swap(false, Ordering::Relaxed) {
            tracing::info!("watching {stream}: {why}; listing in pages");
        }
    }

    fn set_served(&self, resource: Option<&ApiResource>) -> bool {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let was_served = served.is_some();
        if resource.is_some() {
            *served = resource.cloned();
            self.store().not_installed = false;
        }
        was_served
    }

    fn not_installed(&self) {
        let mut store = self.store();
        if !store.not_installed {
            tracing::warn!(
                "the cluster serves no DeepPacketInspections; `pollux crd | kubectl apply -f -` \
                 installs them where Calico does not"
            );
        }
        store.no_resources();
        drop(store);
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.wake.notify_one();
    }

    fn begin(&self, stream: &Stream) {
        self.store().begin(stream);
    }

    fn put(&self, stream: &Stream, key: (String, String), item: Item) {
        self.store().put(stream, key, item);
        self.stirred(stream);
    }

    fn take(&self, stream: &Stream, key: &(String, String)) {
        self.store().take(stream, key);
        self.stirred(stream);
    }

    fn done(&self, stream: &Stream) {
        let mut store = self.store();
        let was_complete = store.is_complete();
        store.done(stream);
        if !was_complete && store.is_complete() {
            tracing::info!("every list is complete: {} endpoints", store.index.endpoints());
        }
        drop(store);
        self.stirred(stream);
    }

    fn stirred(&self, stream: &Stream) {
        if matches!(stream, Stream::Resources) {
            self.told.notify_one();
        }
        self.wake.notify_one();
    }

    fn failed(&self, stream: &Stream, error: String) {
        if self.store().failed(stream, error.clone()) {
            tracing::warn!("{error}; trying again, going on with what is known");
        }
    }

    /// Tells of news, once things are quiet or have waited long enough.
    async fn tell(&self, news: impl Fn()) {
        let mut rules_version = 0;
        loop {
            self.wake.notified().await;
            let begin = Instant::now();
            while begin.elapsed() < LONGEST
                && tokio::time::timeout(QUIET, self.wake.notified()).await.is_ok()
            {}
            let (is_news, is_settled) = {
                let store = self.store();
                let is_news = store.news_since.is_some() || store.rules_version != rules_version;
                (is_news, store.is_settled(Instant::now()))
            };
            if is_news && is_settled {
                let mut store = self.store();
                store.news_since = None;
                rules_version = store.rules_version;
                drop(store);
                news();
            } else if is_news && self.store().is_complete() {
                // In the middle of a list: look again.
                tokio::time::sleep(LONGEST).await;
                self.wake.notify_one();
            }
        }
    }
}

/// A number below this, by chance.
pub(crate) fn jitter(below: u64) -> u64 {
    match below {
        0 => 0,
        below => RandomState::new().hash_one(Instant::now()) % below,
    }
}
