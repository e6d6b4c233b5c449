//! Reads Kubernetes documents, YAML or JSON, as `kubectl get -o yaml` prints them: many in one
//! text, `List`s included. What cannot be read becomes a problem with its place; the rest loads.

mod inventory;
mod names;
mod place;
mod raw;
mod read;
mod split;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::dpi::DeepPacketInspection;
use crate::resources::{Namespace, Pod, ServiceAccount};

pub use inventory::{Inventory, ResourceKey};
pub use names::{is_label, is_subdomain};
pub use place::{Place, Problem, ProblemKind};

/// A resource of one of the four kinds that Pollux reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// Kind `DeepPacketInspection` of `projectcalico.org/v3` or `crd.projectcalico.org/v1`.
    DeepPacketInspection(Box<DeepPacketInspection>),
    /// Kind `Pod` of `v1`.
    Pod(Box<Pod>),
    /// Kind `Namespace` of `v1`.
    Namespace(Namespace),
    /// Kind `ServiceAccount` of `v1`.
    ServiceAccount(ServiceAccount),
}

impl Document {
    /// Reads one object that is already parsed, such as a watch event's. The problems that did
    /// not keep it from loading (an unreadable status, an unknown field) come with it.
    ///
    /// # Errors
    /// Why it is none of the four kinds, or not a valid one.
    pub fn from_value(value: serde_json::Value) -> Result<(Document, Vec<Problem>), Problem> {
        let object: raw::Object<serde::de::IgnoredAny> =
            serde_json::from_value(value).map_err(|error| {
                Problem::new(ProblemKind::Syntax, format!("not a Kubernetes object: {error}"))
            })?;
        read::object(object, None)
    }

    /// Kind, namespace and name.
    pub fn key(&self) -> ResourceKey {
        match self {
            Document::DeepPacketInspection(dpi) => {
                ResourceKey::new(crate::dpi::KIND, dpi.namespace(), dpi.name())
            }
            Document::Pod(pod) => ResourceKey::new("Pod", &pod.namespace, &pod.name),
            Document::Namespace(namespace) => ResourceKey::new("Namespace", "", &namespace.name),
            Document::ServiceAccount(account) => {
                ResourceKey::new("ServiceAccount", &account.namespace, &account.name)
            }
        }
    }
}

/// A value and where it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it was read.
    pub place: Place,
}

/// What a text holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The resources, in the order of the text.
    pub documents: Vec<Located<Document>>,
    /// What could not be read, in the order of the text.
    pub problems: Vec<Problem>,
}

/// The reader of a text's documents.
#[derive(Debug)]
pub struct Documents;

impl Documents {
    /// Reads all documents of `text`. `source` names the text in places, usually a file's path.
    ///
    /// Memory is bounded by a multiple of the text: aliases may not expand it, nesting deeper
    /// than 64 is refused, and of each object only the fields that Pollux uses are kept.
    pub fn parse(source: &str, text: &str) -> Parsed {
        let source: Arc<str> = source.into();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parsed = Parsed::default();
        if text.trim_start().starts_with('{') && raw::json(&source, text, &mut parsed) {
            return parsed;
        }
        for chunk in split::documents(text) {
            raw::yaml(&source, &chunk, &mut parsed);
        }
        parsed
    }
}

/// Writes resources as a YAML stream, as `status.yaml` holds them.
///
/// # Errors
/// Only if the serialiser fails, which no value of these types is known to cause.
pub fn to_yaml(resources: &[DeepPacketInspection]) -> Result<String, serde_saphyr::SerializeError> {
    let mut out = String::new();
    for resource in resources {
        out.push_str("---\n");
        out.push_str(&serde_saphyr::to_string(resource)?);
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
    Ok(out)
}
