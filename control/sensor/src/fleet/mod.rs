//! The sensors of a cluster among themselves: each holds a lease, by which the others see that it
//! lives; one of them is elected, takes out the entries of nodes that are gone, marks those of
//! sensors that are silent, and where so configured writes the status of all.

mod elected;
mod lease;
mod members;
mod tidy;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::source::kubernetes::{Cluster, Patience, chain, explain as explain_watch, jitter};
use crate::status::Standing;
use lease::{Election, Holding};
use members::Members;

/// How long one round may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a report waits at the least to be told again.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What the fleet needs to know of a sensor.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// The node that this sensor is of.
    pub node: String,
    /// How long a lease holds.
    pub lease: Duration,
    /// The elected sensor writes the status of all, of what they say in their leases.
    pub elected_status: bool,
    /// The most writes in a second.
    pub rate: u32,
    /// The elected sensor looks after entries that nobody else does.
    pub tidies: bool,
}

/// This sensor's part in the fleet. Dropped, it goes on until the runtime ends.
#[derive(Debug)]
pub struct Fleet {
    standing: watch::Sender<Arc<Standing>>,
    /// What is said goes into the lease.
    reports: bool,
    leads: Arc<AtomicBool>,
    ended: std::sync::mpsc::Receiver<()>,
}

impl Fleet {
    /// Takes part. Must be called on the runtime.
    pub fn start(cluster: Cluster, config: FleetConfig) -> Self {
        let (standing, standings) = watch::channel(Arc::new(Standing::loading()));
        let (end, ended) = std::sync::mpsc::channel();
        let reports = config.elected_status;
        let leads = Arc::<AtomicBool>::default();
        let member = Member {
            leases: Api::namespaced(cluster.client().clone(), cluster.namespace()),
            cluster,
            config,
            standing: standings,
            leads: Arc::clone(&leads),
            election: Election::default(),
            complained: false,
        };
        tokio::spawn(async move {
            member.run().await;
            let _ = end.send(());
        });
        Self { standing, reports, leads, ended }
    }

    /// Says how this sensor's resources are, for the elected one to write.
    pub fn say(&self, standing: Standing) {
        if !self.reports {
            return;
        }
        self.standing.send_if_modified(|held| {
            let is_news = **held != standing;
            if is_news {
                *held = Arc::new(standing);
            }
            is_news
        });
    }

    /// Is this the elected one?
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    /// Says the last and gives the lease back. Not to be called on the runtime.
    pub fn finish(self, last: Standing) {
        self.say(last);
        drop(self.standing);
        if self.ended.recv_timeout(Duration::from_secs(5)).is_err() {
            tracing::warn!("the sensor's lease could not be given back; it will expire");
        }
    }
}

struct Member {
    cluster: Cluster,
    leases: Api<Lease>,
    config: FleetConfig,
    standing: watch::Receiver<Arc<Standing>>,
    leads: Arc<AtomicBool>,
    election: Election,
    complained: bool,
}

impl Member {
    async fn run(mut self) {
        let mut office: Option<tokio::task::JoinHandle<()>> = None;
        let mut told = Instant::now();
        loop {
            let turn = timeout(PATIENCE, self.turn()).await;
            let turn = turn.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            self.note(&turn);
            let leads = self.election.leads(Instant::now());
            self.leads.store(leads, Ordering::Relaxed);
            match (&office, leads) {
                (None, true) => {
                    tracing::info!("elected among the sensors of the cluster");
                    office = Some(tokio::spawn(lead(self.cluster.clone(), self.config.clone())));
                }
                (Some(task), false) => {
                    task.abort();
                    office = None;
                    tracing::info!("another sensor of the cluster is elected");
                }
                (Some(task), true) if task.is_finished() => office = None,
                _ => {}
            }
            // Three times before the lease ends, and not all sensors at once.
            let third = u64::try_from(self.config.lease.as_millis() / 3).unwrap_or(10_000);
            let pause = tokio::time::sleep(Duration::from_millis(third - jitter(third / 5)));
            tokio::select! {
                () = pause => {}
                changed = self.standing.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    tokio::time::sleep(REPORT_EVERY.saturating_sub(told.elapsed())).await;
                    told = Instant::now();
                }
            }
        }
        if let Some(office) = office {
            office.abort();
        }
        let holding = Holding { released: true, ..self.holding() };
        let released = lease::hold(&self.leases, &holding);
        if !matches!(timeout(Duration::from_secs(2), released).await, Ok(Ok(()))) {
            tracing::debug!("the lease was not given back");
        }
        let resign = self.election.resign(&self.leases, &self.config.node);
        let _ = timeout(Duration::from_secs(1), resign).await;
    }

    fn holding(&mut self) -> Holding {
        let standing = Arc::clone(&self.standing.borrow_and_update());
        Holding {
            node: self.config.node.clone(),
            lease: self.config.lease,
            report: self.config.elected_status.then(|| elected::report(&standing)),
            released: false,
        }
    }

    /// Renews the own lease and takes part in the election.
    async fn turn(&mut self) -> Result<(), String> {
        let holding = self.holding();
        lease::hold(&self.leases, &holding).await.map_err(|error| explain(&error))?;
        self.election
            .turn(&self.leases, &self.config.node, self.config.lease)
            .await
            .map_err(|error| explain(&error))
    }

    fn note(&mut self, turn: &Result<(), String>) {
        match turn {
            Ok(()) => self.complained = false,
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!("the sensor's lease: {error}; trying again");
            }
            Err(_) => {}
        }
    }
}

/// What the elected one does, until it is told to stop. The members are watched all the while: who
/// renews its lease during long work is not taken for silent.
async fn lead(cluster: Cluster, config: FleetConfig) {
    let leases = Api::<Lease>::namespaced(cluster.client().clone(), cluster.namespace());
    let members = Mutex::new(Members::default());
    tokio::select! {
        () = watch_members(leases, &members) => {}
        () = tidy_up(&cluster, &config, &members) => {}
        () = write_for_all(&cluster, &config, &members) => {}
    }
}

/// Keeps the members up to date.
async fn watch_members(leases: Api<Lease>, members: &Mutex<Members>) {
    let selector = watcher::Config::default().labels(lease::SELECTOR).timeout(60);
    let mut events = watcher::watcher(leases, selector).backoff(Patience::default()).boxed();
    let mut complaints = Complaints::default();
    while let Some(event) = events.next().await {
        let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(Event::Init) => members.begin(),
            Ok(Event::InitApply(lease) | Event::Apply(lease)) => {
                members.put(&lease, Instant::now());
            }
            Ok(Event::Delete(lease)) => members.take(&lease),
            Ok(Event::InitDone) => members.end(),
            // The watch comes back by itself; nobody is taken for silent meanwhile.
            Err(error) => {
                complaints.say(explain_watch(&"leases", &error));
                members.excuse(Instant::now());
            }
        }
    }
}

/// The members as they are; nothing while it is not known who and what is there.
fn present(cluster: &Cluster, members: &Mutex<Members>) -> Option<Members> {
    let members = members.lock().unwrap_or_else(PoisonError::into_inner);
    (members.are_listed() && cluster.is_complete()).then(|| members.clone())
}

/// Looks after the entries that nobody else looks after.
async fn tidy_up(cluster: &Cluster, config: &FleetConfig, members: &Mutex<Members>) {
    let mut tidy = tidy::Tidy::default();
    let mut complaints = Complaints::default();
    loop {
        if config.tidies && present(cluster, members).is_some() {
            match node_names(cluster).await {
                Ok(nodes) => {
                    if let Some(members) = present(cluster, members) {
                        tidy.round(cluster, &nodes, &members).await;
                    }
                }
                Err(error) => complaints.say(error),
            }
            tokio::time::sleep(config.lease / 3).await;
        } else {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Writes what the members say, where that is asked for.
async fn write_for_all(cluster: &Cluster, config: &FleetConfig, members: &Mutex<Members>) {
    let mut scribe = elected::Scribe::new(config.rate);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if config.elected_status
            && let Some(members) = present(cluster, members)
        {
            scribe.round(cluster, &members).await;
        }
    }
}

/// The names of all nodes.
async fn node_names(cluster: &Cluster) -> Result<BTreeSet<String>, String> {
    let nodes = Api::<Node>::all(cluster.client().clone());
    let mut names = BTreeSet::new();
    let mut page = ListParams::default().limit(500);
    loop {
        let list = match timeout(PATIENCE, nodes.list_metadata(&page)).await {
            Ok(Ok(list)) => list,
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                return Err("the sensor may not list nodes: entries of nodes that are gone stay; \
                            grant it the right"
                    .to_owned());
            }
            Ok(Err(error)) => return Err(format!("listing nodes: {}", chain(&error))),
            Err(_) => return Err("listing nodes: no answer in time".to_owned()),
        };
        names.extend(list.items.into_iter().filter_map(|node| node.metadata.name));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => break,
        }
    }
    // Rather than take every entry out.
    if names.is_empty() { Err("the cluster has no nodes".to_owned()) } else { Ok(names) }
}

/// What was complained of, so that it is not said again and again.
#[derive(Debug, Default)]
struct Complaints(HashMap<String, Instant>);

impl Complaints {
    fn say(&mut self, text: String) {
        let now = Instant::now();
        self.0.retain(|_, at| now.duration_since(*at) < Duration::from_secs(60));
        self.0.entry(text).or_insert_with_key(|text| {
            tracing::warn!("{text}");
            now
        });
    }
}

fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            "the sensor may not get, create and update leases in its namespace; grant it the \
             rights, or set kubernetes.lease = false"
                .to_owned()
        }
        other => chain(other),
    }
}

/// Writes of the elected one that are under way at a time.
const AT_ONCE: usize = 8;

/// Resources by what is to be done to the entries of which nodes.
type Work = HashMap<(String, String), Vec<String>>;
