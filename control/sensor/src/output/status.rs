//! status.yaml: the DeepPacketInspections with what this node says of each. Times move only with
//! what they are the time of, and the file is written only when it says something new.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use api::DeepPacketInspection;
use api::documents::{Document, Documents, to_yaml};
use api::dpi::{DeepPacketInspectionStatus, MAX_ERROR_CONDITIONS, NodeStatus, Time};

use super::atomic;
use super::ledger::Ledger;

/// A resource, and why it selects nothing if its selector is invalid.
#[derive(Debug, Clone, Copy)]
pub struct ResourceInput<'a> {
    /// The resource, as read.
    pub resource: &'a DeepPacketInspection,
    /// Its own error, such as an [`api::scope::InvalidSelector`]'s text.
    pub error: Option<&'a str>,
}

/// The file, and what it said last.
#[derive(Debug)]
pub struct StatusFile {
    path: PathBuf,
    node: String,
    /// This node's entries by the resource's namespace and name.
    entries: BTreeMap<(String, String), NodeStatus>,
    /// What is in the file.
    text: Option<String>,
}

impl StatusFile {
    /// A file that begins anew: what an earlier run said is of no account.
    pub fn new(path: impl Into<PathBuf>, node: impl Into<String>) -> Self {
        Self { path: path.into(), node: node.into(), entries: BTreeMap::new(), text: None }
    }

    /// Goes on with what is there, so that a restart alone moves no time. A file that is absent or
    /// cannot be read counts as empty.
    pub fn resume(path: impl Into<PathBuf>, node: impl Into<String>) -> Self {
        let mut status = Self::new(path, node);
        let Ok(text) = std::fs::read_to_string(&status.path) else { return status };
        let parsed = Documents::parse(&status.path.display().to_string(), &text);
        for document in parsed.documents {
            if let Document::DeepPacketInspection(resource) = document.value
                && let Some(entry) = own_entry(&resource, &status.node)
            {
                status.entries.insert(key(&resource), entry);
            }
        }
        status.text = Some(text);
        status
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says what is so. A resource is active once every core has acknowledged the generation that
    /// holds it, unless it has an error of its own; `conditions` are what troubles the sensor as a
    /// whole. Of more than ten errors the resource's own and the last conditions stay. True if the
    /// file changed.
    ///
    /// # Errors
    /// When the file cannot be written; the next call tries again.
    pub fn update(
        &mut self,
        resources: &[ResourceInput<'_>],
        acknowledged: bool,
        conditions: &[String],
        now: Time,
    ) -> io::Result<bool> {
        let mut sorted: Vec<_> = resources.iter().collect();
        // Stable: of two of the same name the first counts, as it does for the scope.
        sorted.sort_by_key(|input| key(input.resource));
        sorted.dedup_by_key(|input| key(input.resource));
        let mut entries = BTreeMap::new();
        let mut documents = Vec::with_capacity(sorted.len());
        for input in sorted {
            let key = key(input.resource);
            let mut entry = self
                .entries
                .remove(&key)
                .or_else(|| own_entry(input.resource, &self.node))
                .unwrap_or_else(|| NodeStatus::new(&*self.node));
            entry.set_active(acknowledged && input.error.is_none(), now);
            let room = MAX_ERROR_CONDITIONS - usize::from(input.error.is_some());
            let general = conditions.get(conditions.len().saturating_sub(room)..).unwrap_or(&[]);
            entry
                .set_errors(input.error.into_iter().chain(general.iter().map(String::as_str)), now);
            let mut document = input.resource.clone();
            let status = document.status.get_or_insert_with(DeepPacketInspectionStatus::default);
            *status.entry(&self.node) = entry.clone();
            documents.push(document);
            entries.insert(key, entry);
        }
        self.entries = entries;
        let text = to_yaml(&documents).map_err(io::Error::other)?;
        if self.text.as_ref() == Some(&text) {
            return Ok(false);
        }
        atomic::replace(&self.path, text.as_bytes())?;
        self.text = Some(text);
        Ok(true)
    }

    /// What this node says of its resources: namespace, name, entry; sorted.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str, &NodeStatus)> {
        self.entries.iter().map(|((namespace, name), it)| (namespace.as_str(), name.as_str(), it))
    }
}

fn key(resource: &DeepPacketInspection) -> (String, String) {
    (resource.namespace().to_owned(), resource.name().to_owned())
}

fn own_entry(resource: &DeepPacketInspection, node: &str) -> Option<NodeStatus> {
    let status = resource.status.as_ref()?;
    status.nodes.iter().find(|entry| entry.node == node).cloned()
}

/// An error condition for rules that did not load: how many, and the first with its place.
pub fn rejected_rules(count: usize, first: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 rule does not load: {first}")),
        _ => Some(format!("{count} rules do not load, the first: {first}")),
    }
}

/// Rules set aside that the status names at the most.
const MOST_NAMED: usize = 5;

/// Error conditions for what the sensor lost. Numbers are orders of magnitude, so that a loss that
/// goes on does not rewrite the status with every packet.
pub fn losses(ledger: &Ledger) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |n: u64, what: &str| {
        if let Some(digits) = n.checked_ilog10() {
            all.push(format!("at least {} {what}", 10u64.pow(digits)));
        }
    };
    for port in &ledger.ports {
        let name = &port.name;
        let missed = port.nic.imissed.unwrap_or(0);
        say(
            missed,
            &format!("packets lost by {name} before a core took them: add queues and cores"),
        );
        let no_buffer = port.nic.rx_nombuf.unwrap_or(0);
        say(no_buffer, &format!("times no packet buffer was left for {name}: enlarge its pool"));
    }
    for rule in ledger.trouble.rules_set_aside.keys().take(MOST_NAMED) {
        say(1, &format!("time rule {rule} was set aside for its cost: see the log"));
    }
    let drops = ledger.drops();
    for (reason, what) in [
        ("hand_over_full", "packets lost between cores: a core is overloaded"),
        ("stream_memcap", "packets not reassembled: raise the streams' memcap"),
        ("fragment_memcap", "fragments not reassembled: raise the defragmenter's memcap"),
        ("worker_panic", "packets lost to a defect of the sensor: see its log"),
    ] {
        say(drops.get(reason).copied().unwrap_or(0), what);
    }
    for (reason, what) in [
        ("ring_full", "alerts lost on their way from the cores: too many rules match"),
        ("write_error", "alerts not written: is the disk of eve.json full?"),
    ] {
        say(ledger.alerts.lost.get(reason).copied().unwrap_or(0), what);
    }
    all
}

#[cfg(test)]
mod tests;
