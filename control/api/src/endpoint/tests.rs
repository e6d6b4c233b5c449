//! Unit tests of endpoints: which pods are some, their addresses, their labels.

use proptest::prelude::*;

use super::*;

fn pod() -> Pod {
    Pod {
        namespace: "shop".to_owned(),
        name: "web-0".to_owned(),
        node: "node-a".to_owned(),
        service_account: "web".to_owned(),
        phase: "Running".to_owned(),
        pod_ip: "10.0.0.1".to_owned(),
        ..Pod::default()
    }
}

fn endpoint(pod: &Pod) -> Option<Endpoint> {
    Endpoint::from_pod(pod, None, None, &mut Vec::new())
}

fn with_annotation(mut pod: Pod, name: &str, value: &str) -> Pod {
    pod.annotations.insert(name.to_owned(), value.to_owned());
    pod
}

/// Addresses as text, and the faults.
fn addresses_of(pod: &Pod) -> (Vec<String>, Vec<AddressError>) {
    let mut faults = Vec::new();
    let endpoint = Endpoint::from_pod(pod, None, None, &mut faults).unwrap();
    (endpoint.addresses.iter().map(IpAddr::to_string).collect(), faults)
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn a_running_pod_on_a_node_is_an_endpoint() {
    let endpoint = endpoint(&pod()).unwrap();
    assert_eq!(
        (endpoint.namespace.as_str(), endpoint.pod.as_str(), endpoint.node.as_str()),
        ("shop", "web-0", "node-a")
    );
    assert_eq!(endpoint.service_account, "web");
}

#[test]
fn pods_without_an_address_of_their_own_are_none() {
    assert_eq!(endpoint(&Pod { host_network: true, ..pod() }), None);
    assert_eq!(endpoint(&Pod { node: String::new(), ..pod() }), None);
    for phase in ["Succeeded", "Failed"] {
        assert_eq!(endpoint(&Pod { phase: phase.to_owned(), ..pod() }), None);
    }
    for phase in ["Pending", "Running", "Unknown", ""] {
        assert!(endpoint(&Pod { phase: phase.to_owned(), ..pod() }).is_some());
    }
}

#[test]
fn a_terminating_pod_stays_until_its_address_is_given_back() {
    let terminating = Pod { terminating: true, ..pod() };
    assert!(endpoint(&terminating).is_some());
    for name in [ANNOTATION_POD_IP, ANNOTATION_AWS_POD_IPS] {
        assert!(endpoint(&with_annotation(terminating.clone(), name, "10.0.0.1")).is_some());
        assert!(endpoint(&with_annotation(terminating.clone(), name, "")).is_none());
        assert!(endpoint(&with_annotation(pod(), name, "")).is_some());
    }
    assert!(endpoint(&with_annotation(terminating, ANNOTATION_POD_IPS, "")).is_some());
}

#[test]
fn addresses_come_from_the_first_source_that_has_any() {
    let mut pod = pod();
    pod.pod_ips = vec!["10.0.0.2".to_owned(), "fd00::2".to_owned()];
    pod = with_annotation(pod, ANNOTATION_POD_IPS, "10.0.0.3/32, fd00::3/128");
    pod = with_annotation(pod, ANNOTATION_POD_IP, "10.0.0.4/32");
    pod = with_annotation(pod, ANNOTATION_AWS_POD_IPS, "10.0.0.5");
    assert_eq!(addresses_of(&pod).0, ["10.0.0.2", "fd00::2"]);
    pod.pod_ips.clear();
    assert_eq!(addresses_of(&pod).0, ["10.0.0.1"]);
    pod.pod_ip.clear();
    assert_eq!(addresses_of(&pod).0, ["10.0.0.3", "fd00::3"]);
    pod.annotations.remove(ANNOTATION_POD_IPS);
    assert_eq!(addresses_of(&pod).0, ["10.0.0.4"]);
    pod.annotations.remove(ANNOTATION_POD_IP);
    assert_eq!(addresses_of(&pod).0, ["10.0.0.5"]);
    pod.annotations.clear();
    assert_eq!(addresses_of(&pod), (vec![], vec![]));
}

#[test]
fn an_unreadable_address_is_reported_and_the_others_are_used() {
    let mut pod = pod();
    pod.pod_ips = ["10.0.0.1", "10.0.0", "::ffff:10.0.0.2", "10.0.0.1", "0.0.0.0", "fe80::1%eth0"]
        .map(str::to_owned)
        .to_vec();
    let (addresses, faults) = addresses_of(&pod);
    assert_eq!(addresses, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(faults.len(), 3);
    assert_eq!(
        faults[0].to_string(),
        "status.podIPs holds \"10.0.0\", which is no IP address; the address is ignored"
    );
}

#[test]
fn a_network_is_no_address() {
    for (text, expected) in [
        ("10.1.2.3/24", Some("10.1.2.3")),
        ("10.1.2.0/24", None),
        ("10.1.2.3/32", Some("10.1.2.3")),
        ("10.1.2.3/33", None),
        ("10.1.2.3/+8", None),
        ("10.1.2.3/", None),
        ("10.1.2.3/0", Some("10.1.2.3")),
        ("fd00::1/64", Some("fd00::1")),
        ("fd00::/64", None),
        ("224.0.0.1", None),
        ("::1", None),
    ] {
        let found = address(text).ok().map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}

#[test]
fn labels_are_own_forced_and_inherited() {
    let mut pod = pod();
    pod.labels = map(&[("app", "web"), (LABEL_NAMESPACE, "spoofed"), (LABEL_ORCHESTRATOR, "x")]);
    let namespace = Namespace {
        name: "shop".to_owned(),
        labels: map(&[("team", "a"), (LABEL_NAME, "spoofed")]),
    };
    let account = ServiceAccount {
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        labels: map(&[("team", "b")]),
    };
    let endpoint =
        Endpoint::from_pod(&pod, Some(&namespace), Some(&account), &mut Vec::new()).unwrap();
    assert_eq!(
        endpoint.labels,
        map(&[
            ("app", "web"),
            ("projectcalico.org/namespace", "shop"),
            ("projectcalico.org/orchestrator", "k8s"),
            ("projectcalico.org/serviceaccount", "web"),
            ("pcns.team", "a"),
            ("pcns.projectcalico.org/name", "shop"),
            ("pcsa.team", "b"),
            ("pcsa.projectcalico.org/name", "web"),
        ])
    );
}

#[test]
fn a_pod_cannot_pass_for_one_of_another_namespace_or_account() {
    let mut pod = pod();
    pod.labels = map(&[("pcns.team", "x"), ("pcsa.team", "x"), (LABEL_SERVICE_ACCOUNT, "admin")]);
    let labels = endpoint(&pod).unwrap().labels;
    assert!(!labels.contains_key("pcns.team") && !labels.contains_key("pcsa.team"));
    assert_eq!(labels[LABEL_SERVICE_ACCOUNT], "web");

    pod.service_account.clear();
    let labels = endpoint(&pod).unwrap().labels;
    assert!(!labels.contains_key(LABEL_SERVICE_ACCOUNT));
    assert!(!labels.contains_key("pcsa.projectcalico.org/name"));

    pod.service_account = "a".repeat(63);
    let labels = endpoint(&pod).unwrap().labels;
    assert!(!labels.contains_key(LABEL_SERVICE_ACCOUNT));
    assert_eq!(labels["pcsa.projectcalico.org/name"], pod.service_account);
}

proptest! {
    #[test]
    fn no_address_text_panics(text in any::<String>(), number in "[0-9a-f:./]{0,40}") {
        for text in [text, number] {
            if let Ok(address) = address(&text) {
                prop_assert_eq!(address, address.to_canonical());
            }
        }
    }
}
