//! Objects of the API as they arrive, cut down to what is kept of them.

use std::collections::BTreeMap;

use api::documents::{Document, Problem};
use api::resources::{Namespace, POD_ANNOTATIONS, Pod, ServiceAccount};
use api::{DeepPacketInspection, dpi};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DynamicObject, Object, PartialObjectMeta};
use serde::{Deserialize, Serialize};

/// What is read of a pod's spec.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    node_name: Option<String>,
    host_network: Option<bool>,
    service_account_name: Option<String>,
}

/// What is read of a pod's status.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<PodIp>>,
}

/// An address of a pod.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct PodIp {
    ip: Option<String>,
}

/// A pod as it is read: everything else is passed over.
pub(super) type PodObject = Object<PodSpec, PodStatus>;

/// An object that matters, cut down.
#[derive(Debug)]
pub(super) enum Item {
    Pod(Box<Pod>),
    Namespace(Namespace),
    Account(ServiceAccount),
    Resource(Box<DeepPacketInspection>, Vec<Problem>),
    /// A DeepPacketInspection that is none.
    Unreadable(Problem),
    Node,
    /// Rule texts by file name.
    ConfigMap(BTreeMap<String, String>),
}

/// Namespace and name, and what is kept.
pub(super) type Named = ((String, String), Item);

fn key(metadata: &ObjectMeta) -> (String, String) {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    (of(&metadata.namespace), of(&metadata.name))
}

pub(super) fn pod(object: PodObject) -> Named {
    let key = key(&object.metadata);
    let metadata = object.metadata;
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.retain(|name, _| POD_ANNOTATIONS.contains(&name.as_str()));
    let status = object.status.unwrap_or_default();
    let pod = Pod {
        namespace: key.0.clone(),
        name: key.1.clone(),
        labels: metadata.labels.unwrap_or_default(),
        annotations,
        terminating: metadata.deletion_timestamp.is_some(),
        node: object.spec.node_name.unwrap_or_default(),
        host_network: object.spec.host_network.unwrap_or_default(),
        service_account: object.spec.service_account_name.unwrap_or_default(),
        phase: status.phase.unwrap_or_default(),
        pod_ips: status.pod_ips.into_iter().flatten().filter_map(|entry| entry.ip).collect(),
        pod_ip: status.pod_ip.unwrap_or_default(),
    };
    (key, Item::Pod(Box::new(pod)))
}

pub(super) fn namespace(object: PartialObjectMeta<core::Namespace>) -> Named {
    let key = key(&object.metadata);
    let labels = object.metadata.labels.unwrap_or_default();
    let namespace = Namespace { name: key.1.clone(), labels };
    (key, Item::Namespace(namespace))
}

pub(super) fn account(object: PartialObjectMeta<core::ServiceAccount>) -> Named {
    let key = key(&object.metadata);
    let labels = object.metadata.labels.unwrap_or_default();
    let account = ServiceAccount { namespace: key.0.clone(), name: key.1.clone(), labels };
    (key, Item::Account(account))
}

pub(super) fn node(object: PartialObjectMeta<core::Node>) -> Named {
    (key(&object.metadata), Item::Node)
}

pub(super) fn config_map(object: core::ConfigMap) -> Named {
    // All are of the sensor's namespace: the store knows them by name.
    let (_, name) = key(&object.metadata);
    ((String::new(), name), Item::ConfigMap(object.data.unwrap_or_default()))
}

/// A resource, read as its documents are. What others wrote into its status may be anything.
pub(super) fn resource(mut object: DynamicObject) -> Named {
    let key = key(&object.metadata);
    object.metadata.managed_fields = None;
    // Items of a list come without kind and version.
    let types = object.types.take();
    let version = types.map(|types| types.api_version).filter(|version| !version.is_empty());
    let value = serde_json::to_value(&object).map(|mut value| {
        value["kind"] = dpi::KIND.into();
        value["apiVersion"] = version.as_deref().unwrap_or(dpi::API_VERSION).into();
        value
    });
    let read = value
        .map_err(|error| error.to_string())
        .and_then(|value| Document::from_value(value).map_err(|problem| problem.to_string()));
    let item = match read {
        Ok((Document::DeepPacketInspection(dpi), problems)) => Item::Resource(dpi, problems),
        Ok(_) => Item::Unreadable(unreadable(&key, "is of another kind".to_owned())),
        Err(message) => Item::Unreadable(unreadable(&key, message)),
    };
    (key, item)
}

fn unreadable((namespace, name): &(String, String), message: String) -> Problem {
    Problem {
        kind: api::documents::ProblemKind::Field,
        place: None,
        resource: format!("{} {namespace}/{name}", dpi::KIND),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_keeps_what_is_needed() {
        let object: PodObject = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web-0", "namespace": "shop", "labels": {"app": "web"},
                "deletionTimestamp": "2026-11-22T10:00:00Z",
                "annotations": {"cni.projectcalico.org/podIP": "", "other": "x"},
                "managedFields": [{"manager": "m", "operation": "Update", "fieldsV1": {"f:a": {}}}],
            },
            "spec": {"nodeName": "n1", "serviceAccountName": "s", "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
        }))
        .expect("a pod");
        let (key, Item::Pod(pod)) = pod(object) else { panic!("no pod") };
        assert_eq!(key, ("shop".to_owned(), "web-0".to_owned()));
        assert!(pod.terminating && !pod.host_network);
        assert_eq!((pod.node.as_str(), pod.service_account.as_str()), ("n1", "s"));
        assert_eq!(pod.annotations.len(), 1);
        assert_eq!(pod.pod_ips, ["10.0.0.1"]);
    }

    #[test]
    fn a_scribbled_status_costs_the_status_only() {
        let object: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
            "spec": {"selector": "has(x)"},
            "status": {"nodes": "scribble"},
        }))
        .expect("an object");
        let (_, Item::Resource(dpi, problems)) = resource(object) else { panic!("no resource") };
        assert_eq!(dpi.spec.selector, "has(x)");
        assert_eq!(problems.len(), 1, "{problems:?}");
    }
}
