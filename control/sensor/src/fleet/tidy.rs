//! Entries that nobody looks after: of nodes that are gone they are taken out, of sensors that are
//! silent they are marked.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use api::dpi::{NodeStatus, Time};
use futures::stream::{self, StreamExt as _};
use kube::Api;
use kube::core::DynamicObject;

use super::members::{Life, Members};
use super::{AT_ONCE, Work};
use crate::source::kubernetes::{Cluster, Told};
use crate::status::entry;
use crate::status::object::{Change, change};

/// What was marked, so that it is not looked at again and again.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    marked: HashSet<(String, String, String)>,
}

/// What the entry of a silent sensor says.
fn silent(node: &str) -> String {
    format!(
        "the sensor of node {node} does not renew its lease: it is down or cut off from the API \
         server; see its pod and its node"
    )
}

impl Tidy {
    /// Looks at all entries once. A failure is tried again in the next round.
    pub(super) async fn round(
        &mut self,
        cluster: &Cluster,
        nodes: &BTreeSet<String>,
        members: &Members,
    ) {
        let Some(resource) = cluster.served() else { return };
        let now = Instant::now();
        // Whoever lives again is looked at again.
        self.marked.retain(|(_, _, node)| members.life(node, now) == Life::Silent);
        let told = cluster.told();
        let (gone, silents) =
            work(told.iter().map(|(key, told)| (key, &**told)), nodes, members, now, &self.marked);
        let api = |key: &(String, String)| {
            Api::<DynamicObject>::namespaced_with(cluster.client().clone(), &key.0, &resource)
        };
        let prunes = stream::iter(gone).map(|(key, names)| {
            let api = api(&key);
            async move {
                let is_gone = |node: &str| names.iter().any(|name| name == node);
                let done = change(&api, &key.1, None, |object| entry::prune(object, is_gone)).await;
                (key, names, done)
            }
        });
        let mut prunes = prunes.buffer_unordered(AT_ONCE);
        while let Some((key, names, done)) = prunes.next().await {
            let (resource, names) = (format!("{}/{}", key.0, key.1), names.join(", "));
            match done {
                Change::Made => {
                    tracing::info!(
                        "took the entries of nodes that are gone out of {resource}: {names}"
                    );
                }
                Change::Failed(error) => tracing::debug!("{resource}: {error}"),
                Change::Needless | Change::Gone | Change::Contended => {}
            }
        }
        let marks = stream::iter(silents).map(|(key, names)| {
            let api = api(&key);
            async move {
                let done = change(&api, &key.1, None, |object| {
                    names.iter().fold(false, |changed, node| mark(object, node) | changed)
                });
                (done.await, key, names)
            }
        });
        let mut marks = marks.buffer_unordered(AT_ONCE);
        while let Some((done, key, names)) = marks.next().await {
            if matches!(done, Change::Made | Change::Needless) {
                let marks = names.into_iter().map(|node| (key.0.clone(), key.1.clone(), node));
                self.marked.extend(marks);
            }
        }
    }
}

/// Which entries are to go, and which are to be marked.
fn work<'a>(
    told: impl Iterator<Item = (&'a (String, String), &'a Told)>,
    nodes: &BTreeSet<String>,
    members: &Members,
    now: Instant,
    marked: &HashSet<(String, String, String)>,
) -> (Work, Work) {
    let (mut gone, mut silents) = (Work::new(), Work::new());
    for (key, told) in told {
        for node in &told.nodes {
            let life = members.life(node, now);
            // A living sensor may stand beside the cluster: it looks after its entry itself.
            if !nodes.contains(&**node) && life != Life::Lives {
                gone.entry(key.clone()).or_default().push(node.to_string());
            } else if life == Life::Silent
                && !marked.contains(&(key.0.clone(), key.1.clone(), node.to_string()))
            {
                silents.entry(key.clone()).or_default().push(node.to_string());
            }
        }
    }
    (gone, silents)
}

/// Says in an entry that its sensor is silent; true if it did not say so.
fn mark(object: &mut serde_json::Value, node: &str) -> bool {
    let Some(before) = entry::read(object, node) else { return false };
    let mut after: NodeStatus = before.clone();
    let now = Time::from(jiff::Timestamp::now());
    let message = silent(node);
    after.set_active(false, now);
    let kept: Vec<String> =
        before.error_conditions.iter().map(|condition| condition.message.clone()).collect();
    let kept = kept.iter().map(String::as_str).filter(|kept| *kept != message);
    after.set_errors(kept.chain([message.as_str()]), now);
    after != before && entry::write(object, &after).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn entries_of_nodes_that_are_gone_go_and_those_of_the_silent_are_marked() {
        let start = Instant::now();
        let mut members = Members::default();
        for node in ["silent", "beside"] {
            let mut lease = Lease::default();
            lease.metadata.name = Some(format!("pollux-{node}"));
            let holder_identity = Some(node.to_owned());
            let lease_duration_seconds = Some(if node == "silent" { 1 } else { 1000 });
            lease.spec =
                Some(LeaseSpec { holder_identity, lease_duration_seconds, ..LeaseSpec::default() });
            members.put(&lease, start);
        }
        let told = Told {
            uid: None,
            entry: None,
            nodes: ["here", "silent", "gone", "beside"].map(|node| node.into()).into(),
        };
        let key = ("shop".to_owned(), "web".to_owned());
        let nodes: BTreeSet<String> = ["here", "silent"].map(str::to_owned).into();
        let now = start + Duration::from_secs(2);
        let look =
            |marked: &HashSet<_>| work([(&key, &told)].into_iter(), &nodes, &members, now, marked);
        let (gone, silents) = look(&HashSet::new());
        assert_eq!(gone[&key], ["gone"]);
        assert_eq!(silents[&key], ["silent"]);
        let marked = HashSet::from([(key.0.clone(), key.1.clone(), "silent".to_owned())]);
        assert!(look(&marked).1.is_empty(), "what was marked is not looked at again");
    }

    #[test]
    fn a_mark_is_made_once_and_keeps_what_else_is_wrong() {
        let mut object = json!({"status": {"nodes": [{
            "node": "a", "active": {"success": true, "lastUpdated": "2026-11-22T10:00:00Z"},
            "errorConditions": [{"message": "m", "lastUpdated": "2026-11-22T10:00:00Z"}],
        }]}});
        assert!(mark(&mut object, "a"));
        assert!(!mark(&mut object, "a"));
        assert!(!mark(&mut object, "b"), "there is nothing to be marked");
        let entry = entry::read(&object, "a").expect("an entry");
        assert!(!entry.active.success);
        assert_eq!((entry.error_conditions.len(), &*entry.error_conditions[0].message), (2, "m"));
    }
}
