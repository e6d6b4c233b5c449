//! Tells the cluster: for each resource the entry of this node alone is written, on change only,
//! not more often than is useful, and with the version that was read, so that nobody else's entry
//! is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::dpi::{NodeStatus, Time};
use futures::stream::{FuturesUnordered, StreamExt as _};
use kube::Api;
use kube::core::DynamicObject;
use tokio::sync::watch;

use super::entry;
use super::object::{Change, change_counted};
use super::pace::{Bucket, Rests};
use super::standing::{Said, Standing};
use crate::source::kubernetes::{Cluster, Told, jitter};

/// Writes under way at a time.
const AT_ONCE: usize = 8;

/// How long what is new is waited for to be all of it.
const SETTLE: Duration = Duration::from_millis(100);

/// At the end, how long is tried.
const FAREWELL: Duration = Duration::from_secs(20);

/// And how long without any success.
const FRUITLESS: Duration = Duration::from_secs(5);

type Key = (String, String);

/// What came of writing, counted.
#[derive(Debug, Default)]
pub struct StatusCounts {
    /// Statuses written.
    pub writes: AtomicU64,
    /// Writes refused because somebody else wrote in between; they were tried again.
    pub conflicts: AtomicU64,
    /// Writes that failed for another reason.
    pub failures: AtomicU64,
    /// Looks that showed the server to say it already.
    pub unchanged: AtomicU64,
    /// Resources whose status is not yet what it should be.
    pub behind: AtomicU64,
}

/// The control side's end.
#[derive(Debug)]
pub struct ClusterStatus {
    standing: watch::Sender<Arc<Standing>>,
    /// Becomes ready when the writer has ended.
    ended: std::sync::mpsc::Receiver<()>,
    counts: Arc<StatusCounts>,
}

impl ClusterStatus {
    /// Begins to write, of a sensor that is loading. Must be called on the runtime.
    pub fn start(cluster: Cluster, node: String, rate: u32, interval: Duration) -> Self {
        let (standing, standings) = watch::channel(Arc::new(Standing::loading()));
        let (end, ended) = std::sync::mpsc::channel();
        let counts = Arc::<StatusCounts>::default();
        let mut writer = Writer {
            cluster,
            node,
            standing: standings,
            written: HashMap::new(),
            rests: Rests::default(),
            bucket: Bucket::new(rate, Instant::now()),
            interval,
            counts: Arc::clone(&counts),
            last_complaint: None,
        };
        tokio::spawn(async move {
            writer.run().await;
            let _ = end.send(());
        });
        Self { standing, ended, counts }
    }

    /// Says what is so.
    pub fn say(&self, standing: Standing) {
        self.standing.send_if_modified(|held| {
            let is_news = **held != standing;
            if is_news {
                *held = Arc::new(standing);
            }
            is_news
        });
    }

    /// What came of it.
    pub fn counts(&self) -> Arc<StatusCounts> {
        Arc::clone(&self.counts)
    }

    /// Says the last, and waits until it is written, for some seconds at the most. Not to be called
    /// on the runtime.
    pub fn finish(self, last: Standing) {
        self.say(last);
        drop(self.standing);
        if self.ended.recv_timeout(FAREWELL + Duration::from_secs(1)).is_err() {
            tracing::warn!("the cluster was not told that this sensor has stopped");
        }
    }
}

/// What came of one write.
enum Outcome {
    /// The server says it now; true if that took a write.
    Said(NodeStatus, bool),
    /// The resource is gone.
    Gone,
    /// Not now: too many conflicts.
    Contended,
    /// An error.
    Failed(String),
}

/// What the server was made to say, until the watch tells of it.
struct Written {
    uid: Option<String>,
    entry: NodeStatus,
    /// What the watch had told before.
    told: Option<NodeStatus>,
}

struct Writer {
    cluster: Cluster,
    node: String,
    standing: watch::Receiver<Arc<Standing>>,
    /// What the server was last made to say, by resource and uid: the watch may lag behind it.
    written: HashMap<Key, Written>,
    rests: Rests<Key>,
    bucket: Bucket,
    interval: Duration,
    counts: Arc<StatusCounts>,
    last_complaint: Option<Instant>,
}

impl Writer {
    async fn run(&mut self) {
        loop {
            let wait = self.round(None).await;
            let wait = wait.unwrap_or(Duration::from_secs(3600));
            tokio::select! {
                changed = self.standing.changed() => if changed.is_err() { break },
                () = self.cluster.told_anew() => {}
                () = tokio::time::sleep(wait) => continue,
            }
            tokio::time::sleep(SETTLE).await;
        }
        // The last word: without a rest between writes, for a while.
        self.interval = Duration::ZERO;
        self.rests = Rests::default();
        self.bucket = Bucket::new(10_000, Instant::now());
        let until = Instant::now() + FAREWELL;
        let (mut progress, mut done) = (Instant::now(), self.done());
        while let Some(wait) = self.round(Some(until)).await {
            if self.done() != done {
                (progress, done) = (Instant::now(), self.done());
            }
            if Instant::now() + wait >= until || progress.elapsed() > FRUITLESS {
                break;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// How much came to a good end.
    fn done(&self) -> u64 {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        of(&self.counts.writes) + of(&self.counts.unchanged)
    }

    /// Writes what is to be written and may be; how long until more may, if there is more.
    async fn round(&mut self, until: Option<Instant>) -> Option<Duration> {
        let resource = self.cluster.served()?;
        let standing = Arc::clone(&self.standing.borrow_and_update());
        let told = self.cluster.told();
        self.written.retain(|key, _| told.contains_key(key));
        self.rests.keep(|key| told.contains_key(key));
        let now = Instant::now();
        let mut waits: Option<Instant> = None;
        let mut due: Vec<(Key, Said, Arc<Told>)> = Vec::new();
        let mut behind = 0;
        for (key, told) in &told {
            let Some(said) = standing.of_resource(key) else { continue };
            if self.is_said(key, told, said) {
                continue;
            }
            behind += 1;
            match self.rests.until(key, now) {
                Some(rest) => waits = Some(waits.map_or(rest, |first| first.min(rest))),
                None => due.push((key.clone(), said.clone(), Arc::clone(told))),
            }
        }
        self.counts.behind.store(behind, Ordering::Relaxed);
        let mut under_way = FuturesUnordered::new();
        let mut due = due.into_iter();
        let mut out_of_tokens = None;
        loop {
            let is_time = until.is_none_or(|until| Instant::now() < until);
            while is_time && under_way.len() < AT_ONCE && out_of_tokens.is_none() {
                let Some((key, said, told)) = due.next() else { break };
                if let Err(wait) = self.bucket.take(Instant::now()) {
                    out_of_tokens = Some(wait);
                    break;
                }
                let client = self.cluster.client().clone();
                let api = Api::<DynamicObject>::namespaced_with(client, &key.0, &resource);
                let (node, counts) = (self.node.clone(), Arc::clone(&self.counts));
                under_way.push(async move {
                    let uid = told.uid.as_deref();
                    let outcome = write(&api, &key.1, uid, &node, &said, &counts).await;
                    (key, told, outcome)
                });
            }
            let Some((key, told, outcome)) = under_way.next().await else { break };
            let rest = self.take(key, &told, outcome);
            waits = Some(waits.map_or(rest, |first| first.min(rest)));
        }
        let now = Instant::now();
        let wait = waits.map(|until| until.saturating_duration_since(now));
        match (wait, out_of_tokens) {
            (Some(wait), Some(token)) => Some(wait.min(token)),
            (wait, token) => wait.or(token),
        }
    }

    /// Does the server say it already, so far as is known? The watch tells late of what was written.
    fn is_said(&mut self, key: &Key, told: &Told, said: &Said) -> bool {
        let lags = |written: &Written| written.uid == told.uid && written.told == told.entry;
        if told.entry.as_ref().is_some_and(|entry| said.is_said_by(entry)) {
            // Unless that is what was written over.
            if self.written.get(key).is_none_or(|it| !lags(it) || said.is_said_by(&it.entry)) {
                self.written.remove(key);
                return true;
            }
            return false;
        }
        self.written.get(key).is_some_and(|it| lags(it) && said.is_said_by(&it.entry))
    }

    /// Takes note of what came of a write; until when its resource rests.
    fn take(&mut self, key: Key, told: &Told, outcome: Outcome) -> Instant {
        let now = Instant::now();
        match outcome {
            Outcome::Said(entry, wrote) => {
                let counter = if wrote { &self.counts.writes } else { &self.counts.unchanged };
                counter.fetch_add(1, Ordering::Relaxed);
                let (uid, told) = (told.uid.clone(), told.entry.clone());
                self.written.insert(key.clone(), Written { uid, entry, told });
                self.rests.succeeded(key, now, self.interval);
                now + self.interval
            }
            Outcome::Gone => {
                self.rests.succeeded(key, now, self.interval);
                now + self.interval
            }
            Outcome::Contended => {
                self.rests.failed(key.clone(), now, jitter(1000));
                self.rests.until(&key, now).unwrap_or(now)
            }
            Outcome::Failed(error) => {
                self.counts.failures.fetch_add(1, Ordering::Relaxed);
                let is_due = |last: Instant| last.elapsed() > Duration::from_secs(30);
                if self.last_complaint.is_none_or(is_due) {
                    self.last_complaint = Some(now);
                    tracing::warn!("status of {}/{}: {error}; trying again", key.0, key.1);
                }
                self.rests.failed(key.clone(), now, jitter(1000));
                self.rests.until(&key, now).unwrap_or(now)
            }
        }
    }
}

/// Makes the node's entry say it, and changes nothing else.
async fn write(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<&str>,
    node: &str,
    said: &Said,
    counts: &StatusCounts,
) -> Outcome {
    let mut entry = NodeStatus::new(node);
    let edit = |object: &mut serde_json::Value| {
        entry = entry::read(object, node).unwrap_or_else(|| NodeStatus::new(node));
        if said.is_said_by(&entry) {
            return false;
        }
        said.say_in(&mut entry, Time::from(jiff::Timestamp::now()));
        entry::write(object, &entry).is_ok()
    };
    let conflict = || {
        counts.conflicts.fetch_add(1, Ordering::Relaxed);
    };
    match change_counted(api, name, uid, edit, conflict).await {
        Change::Made => Outcome::Said(entry, true),
        Change::Needless => Outcome::Said(entry, false),
        Change::Gone => Outcome::Gone,
        Change::Contended => Outcome::Contended,
        Change::Failed(error) => Outcome::Failed(error),
    }
}
