//! A pod as an endpoint: who it is, which addresses are its own, and its labels as a selector
//! sees them. The rules are Calico's conversion of a pod to a workload endpoint.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::resources::{
    ANNOTATION_AWS_POD_IPS, ANNOTATION_POD_IP, ANNOTATION_POD_IPS, Namespace, Pod, ServiceAccount,
};

/// Label that every endpoint has: its namespace.
pub const LABEL_NAMESPACE: &str = "projectcalico.org/namespace";
/// Label that every endpoint has: `k8s`.
pub const LABEL_ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
/// Label of an endpoint that runs under a service account: the account's name.
pub const LABEL_SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
/// Label that namespaces and service accounts pass on, with their prefix: their own name.
pub const LABEL_NAME: &str = "projectcalico.org/name";
/// Prefix of the labels inherited from the namespace.
pub const PREFIX_NAMESPACE: &str = "pcns.";
/// Prefix of the labels inherited from the service account.
pub const PREFIX_SERVICE_ACCOUNT: &str = "pcsa.";

/// Calico forces the service account's label only where the name may be a label's value.
const MAX_ACCOUNT_LABEL: usize = 62;

/// A pod whose traffic can be told by its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The node that it runs on.
    pub node: String,
    /// The service account that it runs under; empty if it has none.
    pub service_account: String,
    /// Its addresses, in the order given, each once. May be empty: a pod that was just scheduled.
    pub addresses: Vec<IpAddr>,
    /// Its labels, the inherited ones included.
    pub labels: BTreeMap<String, String>,
}

/// An address of a pod that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} holds \"{}\", {reason}; the address is ignored", shorten(text))]
pub struct AddressError {
    /// The field or annotation that holds it.
    pub field: &'static str,
    /// What stands there.
    pub text: String,
    /// Why it is no pod's address.
    pub reason: &'static str,
}

impl Endpoint {
    /// The endpoint that a pod is, if it is one now. Addresses that cannot be read go to
    /// `faults`; the others are used.
    ///
    /// Not an endpoint: a pod on the host's network, one not yet on a node, a finished one (its
    /// address may belong to another by now) and a terminating one whose address was given back.
    /// A namespace or account that is not known passes on its name only.
    pub fn from_pod(
        pod: &Pod,
        namespace: Option<&Namespace>,
        account: Option<&ServiceAccount>,
        faults: &mut Vec<AddressError>,
    ) -> Option<Endpoint> {
        if !is_endpoint(pod) {
            return None;
        }
        Some(Endpoint {
            namespace: pod.namespace.clone(),
            pod: pod.name.clone(),
            node: pod.node.clone(),
            service_account: pod.service_account.clone(),
            addresses: addresses(pod, faults),
            labels: inherited_labels(
                pod.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())),
                &pod.namespace,
                &pod.service_account,
                namespace.map(|it| &it.labels),
                account.map(|it| &it.labels),
            ),
        })
    }
}

/// Whether a pod is an endpoint now: see [`Endpoint::from_pod`].
pub(crate) fn is_endpoint(pod: &Pod) -> bool {
    !pod.host_network && !pod.node.is_empty() && !is_over(pod)
}

/// Whether the pod's addresses are no longer its own.
fn is_over(pod: &Pod) -> bool {
    let given_back = [ANNOTATION_POD_IP, ANNOTATION_AWS_POD_IPS]
        .iter()
        .any(|name| pod.annotations.get(*name).is_some_and(String::is_empty));
    matches!(pod.phase.as_str(), "Succeeded" | "Failed") || (pod.terminating && given_back)
}

/// The addresses by the first source that holds any.
pub(crate) fn addresses(pod: &Pod, faults: &mut Vec<AddressError>) -> Vec<IpAddr> {
    let annotation = |name| pod.annotations.get(name).map_or("", String::as_str);
    let mut sources: [(&'static str, Vec<&str>); 5] = [
        ("status.podIPs", pod.pod_ips.iter().map(String::as_str).collect()),
        ("status.podIP", vec![pod.pod_ip.as_str()]),
        (ANNOTATION_POD_IPS, annotation(ANNOTATION_POD_IPS).split(',').collect()),
        (ANNOTATION_POD_IP, vec![annotation(ANNOTATION_POD_IP)]),
        (ANNOTATION_AWS_POD_IPS, annotation(ANNOTATION_AWS_POD_IPS).split(',').collect()),
    ];
    for (_, texts) in &mut sources {
        texts.iter_mut().for_each(|text| *text = text.trim());
        texts.retain(|text| !text.is_empty());
    }
    let Some((field, texts)) = sources.into_iter().find(|(_, texts)| !texts.is_empty()) else {
        return Vec::new();
    };
    let mut addresses = Vec::new();
    for text in texts {
        match address(text) {
            Ok(address) if addresses.contains(&address) => {}
            Ok(address) => addresses.push(address),
            Err(reason) => faults.push(AddressError { field, text: text.to_owned(), reason }),
        }
    }
    addresses
}

/// An address, alone or with a prefix length. IPv4 within IPv6 is IPv4: so it is on the wire.
fn address(text: &str) -> Result<IpAddr, &'static str> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| "which is no IP address")?;
    if let Some(prefix) = prefix {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = prefix
            .parse()
            .ok()
            .filter(|length| *length <= bits && prefix.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or("whose prefix length is invalid")?;
        if prefix < bits && !has_host_bits(address, prefix) {
            return Err("which is a network, not an address");
        }
    }
    let address = address.to_canonical();
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() {
        return Err("which no pod can have");
    }
    Ok(address)
}

/// Whether any bit beyond the prefix, shorter than the address, is set.
fn has_host_bits(address: IpAddr, prefix: u32) -> bool {
    match address {
        IpAddr::V4(v4) => v4.to_bits() & (u32::MAX >> prefix) != 0,
        IpAddr::V6(v6) => v6.to_bits() & (u128::MAX >> prefix) != 0,
    }
}

/// Own labels without those that only inheritance may set, then the forced ones, then the
/// namespace's, then the service account's; what is there already wins.
pub(crate) fn inherited_labels<'a>(
    own: impl Iterator<Item = (&'a str, &'a str)>,
    namespace: &str,
    account: &str,
    namespace_labels: Option<&BTreeMap<String, String>>,
    account_labels: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = own
        .filter(|(name, _)| !is_inheritable(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    labels.insert(LABEL_NAMESPACE.to_owned(), namespace.to_owned());
    labels.insert(LABEL_ORCHESTRATOR.to_owned(), "k8s".to_owned());
    // Also where none is forced, a pod may not pass for one of another account.
    labels.remove(LABEL_SERVICE_ACCOUNT);
    let has_account = !account.is_empty();
    if has_account && account.len() <= MAX_ACCOUNT_LABEL {
        labels.insert(LABEL_SERVICE_ACCOUNT.to_owned(), account.to_owned());
    }
    inherit(&mut labels, PREFIX_NAMESPACE, namespace, namespace_labels);
    if has_account {
        inherit(&mut labels, PREFIX_SERVICE_ACCOUNT, account, account_labels);
    }
    labels
}

/// Is this a label that only inheritance may set?
fn is_inheritable(name: &str) -> bool {
    name.starts_with(PREFIX_NAMESPACE) || name.starts_with(PREFIX_SERVICE_ACCOUNT)
}

/// Is this a label that a pod cannot choose: inherited or forced?
pub(crate) fn is_given(name: &str) -> bool {
    is_inheritable(name)
        || matches!(name, LABEL_NAMESPACE | LABEL_ORCHESTRATOR | LABEL_SERVICE_ACCOUNT)
}

fn inherit(
    labels: &mut BTreeMap<String, String>,
    prefix: &str,
    name: &str,
    inherited: Option<&BTreeMap<String, String>>,
) {
    labels.entry(format!("{prefix}{LABEL_NAME}")).or_insert_with(|| name.to_owned());
    for (name, value) in inherited.into_iter().flatten() {
        labels.entry(format!("{prefix}{name}")).or_insert_with(|| value.clone());
    }
}

/// Untrusted text in a message: shortened, and safe to print.
fn shorten(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
