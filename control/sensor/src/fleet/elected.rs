//! Status of large fleets: sensors say in their leases how their resources are, and the elected one
//! writes the entries of all, one write a resource for all nodes that have news.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use api::dpi::{NodeStatus, Time};
use futures::stream::{self, StreamExt as _};
use kube::Api;
use kube::core::DynamicObject;
use serde::{Deserialize, Serialize};

use super::AT_ONCE;
use super::members::Members;
use crate::source::kubernetes::Cluster;
use crate::status::object::{Change, change};
use crate::status::pace::Bucket;
use crate::status::{Said, Standing, entry};

/// The most bytes of a report: all annotations of an object together may have 256 KiB.
const MAX_REPORT: usize = 200 << 10;

/// What a sensor says: resources of which it says the same stand together.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Report {
    /// By namespace/name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    said: Vec<Group>,
    /// What it says of resources that it does not name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    others: Option<Same>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Group {
    #[serde(flatten)]
    same: Same,
    resources: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Same {
    success: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<String>,
}

impl From<&Said> for Same {
    fn from(said: &Said) -> Self {
        Self { success: said.success, errors: said.errors.clone() }
    }
}

impl From<&Same> for Said {
    fn from(same: &Same) -> Self {
        Self { success: same.success, errors: same.errors.clone() }
    }
}

/// A standing as text for a lease. Of one that is too long the rarest are left out, and the log says
/// so.
pub(super) fn report(standing: &Standing) -> String {
    let mut groups: BTreeMap<Same, Vec<String>> = BTreeMap::new();
    for ((namespace, name), said) in &standing.resources {
        groups.entry(said.into()).or_default().push(format!("{namespace}/{name}"));
    }
    let mut said: Vec<Group> = groups
        .into_iter()
        .map(|(same, mut resources)| {
            resources.sort_unstable();
            Group { same, resources }
        })
        .collect();
    said.sort_by_key(|group| std::cmp::Reverse(group.resources.len()));
    let mut report = Report { said, others: standing.others.as_ref().map(Same::from) };
    loop {
        let text = serde_json::to_string(&report).unwrap_or_default();
        if text.len() <= MAX_REPORT {
            return text;
        }
        let Some(last) = report.said.last_mut() else { return text };
        let half = last.resources.len() / 2;
        if half == 0 {
            report.said.pop();
        } else {
            last.resources.truncate(half);
        }
        tracing::warn!("the sensor's report is too long for its lease; a part is left out");
    }
}

/// Writes what sensors say.
#[derive(Debug)]
pub(super) struct Scribe {
    /// Reports as they were read last.
    read: HashMap<String, (String, Arc<Standing>)>,
    /// What was written, by resource and node.
    written: HashMap<(String, String), HashMap<String, Said>>,
    bucket: Bucket,
}

impl Scribe {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            read: HashMap::new(),
            written: HashMap::new(),
            bucket: Bucket::new(rate, Instant::now()),
        }
    }

    /// Writes the news of all sensors, as far as the rate allows; the rest is next.
    pub(super) async fn round(&mut self, cluster: &Cluster, members: &Members) {
        let Some(resource) = cluster.served() else { return };
        let now = Instant::now();
        let mut standings: Vec<(String, Arc<Standing>)> = Vec::new();
        for (node, text) in members.reports(now) {
            let is_known = self.read.get(node).is_some_and(|(known, _)| known == text);
            if !is_known {
                let Some(standing) = standing(text) else { continue };
                self.read.insert(node.to_owned(), (text.to_owned(), Arc::new(standing)));
            }
            if let Some((_, standing)) = self.read.get(node) {
                standings.push((node.to_owned(), Arc::clone(standing)));
            }
        }
        let told = cluster.told();
        self.written.retain(|key, _| told.contains_key(key));
        // Of those that are silent the entry is marked meanwhile: it is written anew when they live.
        let lives = |node: &String| standings.iter().any(|(living, _)| living == node);
        self.written.values_mut().for_each(|nodes| nodes.retain(|node, _| lives(node)));
        let mut due = Vec::new();
        for key in told.keys() {
            let written = self.written.entry(key.clone()).or_default();
            let news: Vec<(String, Said)> = standings
                .iter()
                .filter_map(|(node, standing)| Some((node, standing.of_resource(key)?)))
                .filter(|(node, said)| written.get(*node) != Some(*said))
                .map(|(node, said)| (node.clone(), said.clone()))
                .collect();
            if news.is_empty() {
                continue;
            }
            if self.bucket.take(Instant::now()).is_err() {
                break;
            }
            due.push((key.clone(), news));
        }
        let writes = stream::iter(due).map(|(key, news)| {
            let client = cluster.client().clone();
            let api = Api::<DynamicObject>::namespaced_with(client, &key.0, &resource);
            async move {
                let done = change(&api, &key.1, None, |object| write(object, &news)).await;
                (key, news, done)
            }
        });
        let mut writes = writes.buffer_unordered(AT_ONCE);
        while let Some((key, news, done)) = writes.next().await {
            match done {
                Change::Made | Change::Needless => {
                    self.written.entry(key).or_default().extend(news);
                }
                Change::Failed(error) => {
                    tracing::warn!("status of {}/{}: {error}; trying again", key.0, key.1);
                }
                Change::Gone | Change::Contended => {}
            }
        }
    }
}

/// A report as it was meant.
fn standing(text: &str) -> Option<Standing> {
    let report: Report = serde_json::from_str(text).ok()?;
    let resources = report.said.iter().flat_map(|group| {
        group.resources.iter().filter_map(|resource| {
            let (namespace, name) = resource.split_once('/')?;
            Some(((namespace.to_owned(), name.to_owned()), Said::from(&group.same)))
        })
    });
    Some(Standing {
        resources: resources.collect(),
        others: report.others.as_ref().map(Said::from),
    })
}

/// Makes the entries of nodes say this; true if any did not.
fn write(object: &mut serde_json::Value, news: &[(String, Said)]) -> bool {
    let mut is_changed = false;
    for (node, said) in news {
        let mut entry = entry::read(object, node).unwrap_or_else(|| NodeStatus::new(&**node));
        if said.is_said_by(&entry) {
            continue;
        }
        said.say_in(&mut entry, Time::from(jiff::Timestamp::now()));
        is_changed |= entry::write(object, &entry).is_ok();
    }
    is_changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> (String, String) {
        ("shop".to_owned(), name.to_owned())
    }

    #[test]
    fn what_a_report_says_is_read_as_it_was_meant() {
        let bad = Said { success: false, errors: vec!["invalid selector".to_owned()] };
        let good = Said { success: true, errors: Vec::new() };
        let resources =
            HashMap::from([(key("a"), good.clone()), (key("b"), bad), (key("c"), good)]);
        let meant = Standing { resources, others: Some(Said::default()) };
        let text = report(&meant);
        assert!(text.contains(r#""resources":["shop/a","shop/c"]"#), "{text}");
        assert_eq!(standing(&text), Some(meant));
        assert_eq!(standing("scribble"), None);
    }

    #[test]
    fn a_report_fits_into_a_lease() {
        let said =
            |n: usize| Said { success: false, errors: vec![format!("{n} {}", "x".repeat(900))] };
        let resources = (0..1000).map(|n| (key(&n.to_string()), said(n))).collect();
        let text = report(&Standing { resources, others: None });
        assert!(text.len() <= MAX_REPORT && standing(&text).is_some());
    }

    #[test]
    fn entries_of_all_nodes_with_news_are_written_at_once() {
        let good = Said { success: true, errors: Vec::new() };
        let news = [("a".to_owned(), good.clone()), ("b".to_owned(), good)];
        let mut object = serde_json::json!({});
        assert!(write(&mut object, &news));
        assert!(!write(&mut object, &news));
        assert!(entry::read(&object, "b").is_some_and(|entry| entry.active.success));
    }
}
