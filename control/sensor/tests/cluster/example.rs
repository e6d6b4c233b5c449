//! The example's cluster in a real one: its namespaces, accounts and pods, with the status that a kubelet
//! would have given them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::repository;
use crate::kubectl::Kubectl;

/// Brings the CRD, the sensor's rights, and everything of the example but its resources.
#[track_caller]
pub(crate) fn populate(kubectl: &Kubectl) {
    kubectl.install_crd();
    install_rights(kubectl);
    for file in ["10-namespaces.yaml", "20-service-accounts.yaml", "30-pods.yaml"] {
        let path = repository("deploy/examples/resources").join(file);
        kubectl.run(&["apply", "-f", path.to_str().expect("a path")]);
    }
    let pods = repository("deploy/examples/resources/30-pods.yaml");
    let pods = pods.to_str().expect("a path");
    let list = kubectl.try_run(&["create", "--dry-run=client", "-o", "json", "-f", pods]).expect(0);
    // One document after the other, or a list: both are a stream of values.
    let stream = serde_json::Deserializer::from_str(&list.stdout).into_iter::<Value>();
    for value in stream.map(|it| it.expect("JSON")) {
        match value["items"].as_array() {
            Some(items) => items.iter().for_each(|pod| set_pod_status(kubectl, pod)),
            None => set_pod_status(kubectl, &value),
        }
    }
}

/// The sensor's namespace and rights, exactly as deploy/ has them.
#[track_caller]
pub(crate) fn install_rights(kubectl: &Kubectl) {
    let folder = repository("deploy/kubernetes");
    for file in ["namespace.yaml", "rbac.yaml"] {
        let path = folder.join(file);
        kubectl.run(&["apply", "-n", "pollux", "-f", path.to_str().expect("a path")]);
    }
}

/// A Node, which entries of status must name.
#[track_caller]
pub(crate) fn create_node(kubectl: &Kubectl, name: &str) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}});
    kubectl.apply(&node.to_string());
}

/// A pod of a test's own.
pub(crate) fn pod(namespace: &str, name: &str, address: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {
            "nodeName": "node-a", "serviceAccountName": "default",
            "containers": [{"name": "main", "image": "registry.example/main:1.0"}],
        },
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
    })
}

/// Creates a pod with its status.
#[track_caller]
pub(crate) fn create_pod(kubectl: &Kubectl, pod: &Value) {
    kubectl.apply(&pod.to_string());
    set_pod_status(kubectl, pod);
}

/// Gives a pod the status that its document has, as a kubelet does.
#[track_caller]
pub(crate) fn set_pod_status(kubectl: &Kubectl, pod: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or("default").to_owned();
    let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
    let mut live = kubectl.get(&["pod", "-n", &namespace, &name]);
    live["status"] = pod["status"].clone();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/status");
    kubectl.try_feed(&["replace", "--raw", &path, "-f", "-"], &live.to_string()).expect(0);
}

/// A DeepPacketInspection.
pub(crate) fn resource(namespace: &str, name: &str, selector: &str) -> String {
    json!({
        "apiVersion": "projectcalico.org/v3", "kind": "DeepPacketInspection",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": selector},
    })
    .to_string()
}

/// Removes a pod at once, as a node does that is sure that it has ended.
#[track_caller]
pub(crate) fn delete_pod(kubectl: &Kubectl, namespace: &str, name: &str) {
    kubectl.run(&["delete", "pod", "-n", namespace, name, "--grace-period=0", "--force"]);
}

/// As long as anything may take to change that is to change.
pub(crate) const SOON: Duration = Duration::from_secs(2);
