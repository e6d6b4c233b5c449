//! The parts of Pod, Namespace and ServiceAccount that decide who an endpoint is.
//! Own structs of a dozen fields rather than the API's hundreds; unknown fields are never kept.

use std::collections::BTreeMap;

/// A pod, as far as identity and addresses go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.namespace`, `default` where none was given.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// Of `metadata.annotations` those in [`POD_ANNOTATIONS`].
    pub annotations: BTreeMap<String, String>,
    /// Whether `metadata.deletionTimestamp` is set.
    pub terminating: bool,
    /// `spec.nodeName`; empty until the pod is scheduled.
    pub node: String,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `spec.serviceAccountName`, or its old name `spec.serviceAccount`; may be empty.
    pub service_account: String,
    /// `status.phase`; may be empty.
    pub phase: String,
    /// `status.podIPs[].ip`, unread.
    pub pod_ips: Vec<String>,
    /// `status.podIP`, unread; may be empty.
    pub pod_ip: String,
}

/// Annotation: a comma list of the pod's addresses, written by Calico's CNI plugin.
pub const ANNOTATION_POD_IPS: &str = "cni.projectcalico.org/podIPs";
/// Annotation: the pod's address; set to nothing once the address was given back.
pub const ANNOTATION_POD_IP: &str = "cni.projectcalico.org/podIP";
/// Annotation: the same, written by the AWS VPC CNI plugin.
pub const ANNOTATION_AWS_POD_IPS: &str = "vpc.amazonaws.com/pod-ips";
/// The annotations of a pod that matter.
pub const POD_ANNOTATIONS: [&str; 3] =
    [ANNOTATION_POD_IPS, ANNOTATION_POD_IP, ANNOTATION_AWS_POD_IPS];

/// A namespace: its pods inherit its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}

/// A service account: the pods that run under it inherit its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceAccount {
    /// `metadata.namespace`, `default` where none was given.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
}
