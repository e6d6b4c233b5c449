//! The DeepPacketInspection resource (`projectcalico.org/v3`): which endpoints to inspect, and
//! what each sensor says about it. Shapes and names are those of Calico's API.

mod crd;
mod status;
mod time;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crd::{CRD_NAME, crd_yaml};
pub use status::{
    ActiveStatus, DeepPacketInspectionStatus, ErrorCondition, ErrorConditions,
    MAX_ERROR_CONDITIONS, MAX_MESSAGE, NodeStatus,
};
pub use time::Time;

/// Group and version that Pollux writes, and that its own CRD serves.
pub const API_VERSION: &str = "projectcalico.org/v3";
/// Group and version under which Calico's aggregated API server stores the same resource; read
/// where nothing else serves it, never installed.
pub const STORED_API_VERSION: &str = "crd.projectcalico.org/v1";
/// Annotation: a comma list of the rule sets that inspect what the resource selects.
pub const ANNOTATION_RULESETS: &str = "pollux.dev/rulesets";
/// Annotation of stored objects: the user's own labels and annotations, as JSON.
const ANNOTATION_STORED_METADATA: &str = "projectcalico.org/metadata";
/// The kind's name.
pub const KIND: &str = "DeepPacketInspection";

/// One `DeepPacketInspection`, as `kubectl get -o yaml` prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeepPacketInspection {
    /// [`API_VERSION`] or [`STORED_API_VERSION`].
    #[serde(default = "api_version")]
    pub api_version: String,
    /// [`KIND`].
    #[serde(default = "kind")]
    pub kind: String,
    /// Name, namespace and what the API server keeps beside them.
    pub metadata: ObjectMeta,
    /// What the user asks for.
    #[serde(default)]
    pub spec: DeepPacketInspectionSpec,
    /// What the sensors answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<DeepPacketInspectionStatus>,
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

fn kind() -> String {
    KIND.to_owned()
}

/// The part of Kubernetes' `ObjectMeta` that is read and written back; all but the name may be
/// absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMeta {
    /// A DNS-1123 subdomain.
    pub name: String,
    /// The namespace; [`DeepPacketInspection::namespace`] knows the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Set by the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What a `PUT` must carry to be refused when someone else wrote in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Rises with the spec only, so that events of a mere status change can be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// RFC 3339, as the API server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// The resource's own labels; no selector looks at them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the user asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepPacketInspectionSpec {
    /// A selector over the endpoints of the resource's own namespace; empty means all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
}

impl DeepPacketInspection {
    /// A resource without status.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        selector: impl Into<String>,
    ) -> DeepPacketInspection {
        DeepPacketInspection {
            api_version: api_version(),
            kind: kind(),
            metadata: ObjectMeta {
                name: name.into(),
                namespace: Some(namespace.into()),
                ..ObjectMeta::default()
            },
            spec: DeepPacketInspectionSpec { selector: selector.into() },
            status: None,
        }
    }

    /// The namespace, `default` where none is given.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The rule sets that the annotation [`ANNOTATION_RULESETS`] names, each once, in its order;
    /// none: the default set. Of an object as Calico stores it the annotation is within another.
    pub fn rulesets(&self) -> Vec<String> {
        let annotations = &self.metadata.annotations;
        let stored = || -> Option<String> {
            let text = annotations.get(ANNOTATION_STORED_METADATA)?;
            let metadata: serde_json::Value = serde_json::from_str(text).ok()?;
            metadata.get("annotations")?.get(ANNOTATION_RULESETS)?.as_str().map(str::to_owned)
        };
        let list = annotations.get(ANNOTATION_RULESETS).cloned().or_else(stored);
        let mut names: Vec<String> = Vec::new();
        for name in list.iter().flat_map(|list| list.split(',')).map(str::trim) {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_out() {
        let mut dpi = DeepPacketInspection::new("shop", "all", "");
        let json = serde_json::to_string(&dpi).unwrap();
        assert_eq!(
            json,
            "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"DeepPacketInspection\",\
             \"metadata\":{\"name\":\"all\",\"namespace\":\"shop\"},\"spec\":{}}"
        );
        dpi.status = Some(DeepPacketInspectionStatus { nodes: vec![NodeStatus::new("n1")] });
        let status = serde_json::to_value(&dpi).unwrap()["status"].clone();
        assert_eq!(status, serde_json::json!({"nodes": [{"node": "n1"}]}));
    }

    #[test]
    fn an_object_of_either_group_is_read_back_as_it_was() {
        let json = serde_json::json!({
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "DeepPacketInspection",
            "metadata": {"name": "a", "namespace": "b", "resourceVersion": "17", "generation": 2},
            "spec": {"selector": "has(x)"},
            "status": {"nodes": [{
                "node": "n1",
                "active": {"success": true, "lastUpdated": "2026-11-22T10:00:00Z"},
                "errorConditions": [{"message": "m", "lastUpdated": "2026-11-22T10:00:01Z"}],
            }]},
        });
        let dpi: DeepPacketInspection = serde_json::from_value(json.clone()).unwrap();
        assert_eq!((dpi.namespace(), dpi.name()), ("b", "a"));
        assert_eq!(serde_json::to_value(&dpi).unwrap(), json);
    }

    #[test]
    fn rule_sets_are_read_from_either_place() {
        let mut dpi = DeepPacketInspection::new("shop", "all", "");
        assert!(dpi.rulesets().is_empty());
        let stored = r#"{"annotations":{"pollux.dev/rulesets":"x"}}"#.to_owned();
        dpi.metadata.annotations.insert(ANNOTATION_STORED_METADATA.to_owned(), stored);
        assert_eq!(dpi.rulesets(), ["x"]);
        dpi.metadata.annotations.insert(ANNOTATION_RULESETS.to_owned(), " a, b,,a ".to_owned());
        assert_eq!(dpi.rulesets(), ["a", "b"]);
    }

    #[test]
    fn spec_and_namespace_may_be_absent() {
        let dpi: DeepPacketInspection =
            serde_json::from_str("{\"metadata\":{\"name\":\"a\"}}").unwrap();
        assert_eq!((dpi.namespace(), dpi.spec.selector.as_str()), ("default", ""));
        assert_eq!(dpi.api_version, API_VERSION);
    }
}
