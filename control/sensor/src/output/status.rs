//! status.yaml: the DeepPacketInspections with what this node says of each. Times move only with
//! what they are the time of, and the file is written only when it says something new.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use api::DeepPacketInspection;
use api::documents::{Document, Documents, to_yaml};
use api::dpi::{DeepPacketInspectionStatus, NodeStatus, Time};

use super::atomic;
use crate::status::standing::ByResource;
use crate::status::{Condition, Said};

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
        conditions: &[Condition],
        now: Time,
    ) -> io::Result<bool> {
        let conditions = ByResource::new(conditions);
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
            let its = conditions.of(&key);
            Said::new(input.error, acknowledged, its).say_in(&mut entry, now);
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

#[cfg(test)]
mod tests;
