//! Unit tests of reading documents: what loads, what is refused, and with which words.

use proptest::prelude::*;

use super::*;
use crate::dpi::{ErrorCondition, Time};

fn parse(text: &str) -> Parsed {
    Documents::parse("a.yaml", text)
}

/// The keys of what loaded, and the problems, as text.
fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let parsed = parse(text);
    (
        parsed.documents.iter().map(|document| document.value.key().to_string()).collect(),
        parsed.problems.iter().map(Problem::to_string).collect(),
    )
}

const DPI: &str = "apiVersion: projectcalico.org/v3
kind: DeepPacketInspection
metadata:
  name: web
  namespace: shop
spec:
  selector: k8s-app == \"web\"
";

#[test]
fn all_four_kinds_load_from_one_stream() {
    let text = format!(
        "# resources\n---\n{DPI}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\n\
         ---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels: {{team: a}}\n\
         ---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: s, namespace: shop}}\n"
    );
    let (keys, problems) = read(&text);
    assert_eq!(problems, [""; 0]);
    assert_eq!(
        keys,
        [
            "DeepPacketInspection shop/web",
            "Pod default/p",
            "Namespace shop",
            "ServiceAccount shop/s"
        ]
    );
    let parsed = parse(&text);
    assert_eq!(parsed.documents[0].place.to_string(), "a.yaml:3 (document 1)");
    let Document::DeepPacketInspection(dpi) = &parsed.documents[0].value else { panic!() };
    assert_eq!(dpi.spec.selector, "k8s-app == \"web\"");
}

#[test]
fn every_used_field_of_a_pod_is_read_and_the_rest_is_not() {
    let pod = |text: &str| match parse(text).documents.pop().map(|document| document.value) {
        Some(Document::Pod(pod)) => *pod,
        other => panic!("{other:?}"),
    };
    let full = pod("
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: shop
  deletionTimestamp: \"2026-11-22T10:00:00Z\"
  labels: {app: web, empty: \"\"}
  annotations:
    cni.projectcalico.org/podIP: 10.0.0.1/32
    other: anything
  managedFields: [{f: {k: 1}}]
spec:
  nodeName: node-a
  hostNetwork: true
  serviceAccountName: web
  containers: [{name: c, ports: [{containerPort: 80}]}]
status:
  phase: Running
  podIP: 10.0.0.1
  podIPs:
  - ip: 10.0.0.1
  - ip: fd00::1
");
    let strings = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    };
    assert_eq!(
        full,
        Pod {
            namespace: "shop".to_owned(),
            name: "web-0".to_owned(),
            labels: strings(&[("app", "web"), ("empty", "")]),
            annotations: strings(&[("cni.projectcalico.org/podIP", "10.0.0.1/32")]),
            terminating: true,
            node: "node-a".to_owned(),
            host_network: true,
            service_account: "web".to_owned(),
            phase: "Running".to_owned(),
            pod_ips: vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()],
            pod_ip: "10.0.0.1".to_owned(),
        }
    );
    let bare = pod("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {serviceAccount: old}}");
    assert_eq!((bare.service_account.as_str(), bare.terminating), ("old", false));
}

#[test]
fn words_that_older_yaml_takes_for_booleans_are_strings() {
    let (keys, problems) =
        read("{apiVersion: v1, kind: Pod, metadata: {name: n, labels: {a: on, b: yes}}}");
    assert_eq!((keys, problems), (vec!["Pod default/n".to_owned()], vec![]));
    let (_, problems) =
        read("{apiVersion: v1, kind: Pod, metadata: {name: n}, spec: {hostNetwork: yes}}");
    assert!(problems[0].ends_with("spec.hostNetwork must be true or false, is \"yes\""));
}

#[test]
fn lists_load_item_by_item_with_their_own_lines() {
    let text = "apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
- apiVersion: v1
  kind: Secret
  metadata: {name: b}
- apiVersion: v1
  kind: Pod
  metadata: {name: c, labels: {n: 1}}
";
    let (keys, problems) = read(text);
    assert_eq!(keys, ["Pod default/a"]);
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("a.yaml:7 (document 1, item 2): kind \"Secret\" is none"));
    assert_eq!(
        problems[1],
        "a.yaml:10 (document 1, item 3): Pod default/c: metadata.labels[\"n\"] must be a string, \
         is the number 1: put it in quotes"
    );
}

#[test]
fn a_typed_list_names_the_kind_of_its_items() {
    let (keys, problems) = read(
        "{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}}]}\n---\n\
         {apiVersion: projectcalico.org/v3, kind: DeepPacketInspectionList, items: \
         [{metadata: {name: b}}]}\n---\n{apiVersion: v1, kind: List, items: []}\n---\n\
         {apiVersion: v1, kind: List, items: [{metadata: {name: c}}]}\n",
    );
    assert_eq!(keys, ["Pod default/a", "DeepPacketInspection default/b"]);
    assert_eq!(problems, ["a.yaml:7 (document 4, item 1): kind is missing"]);
}

#[test]
fn json_loads_as_kubectl_prints_it() {
    let text = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [\n    \
                {\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\", \
                \"annotations\": {\"x\": \"\\ud83d\\ude00\\/\"}}}\n  ]\n}\n";
    assert_eq!(read(text), (vec!["Pod default/a".to_owned()], vec![]));
    // One after the other, and broken at the end.
    let pod = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}";
    let (keys, problems) =
        read(&format!("{pod}\n\n{}\n{{\"kind\": ]", pod.replace(":\"a\"", ":1")));
    assert_eq!(keys, ["Pod default/a"]);
    assert_eq!(
        problems,
        [
            "a.yaml:3 (document 2): Pod: metadata.name must be a string, is the number 1",
            "a.yaml:4:10 (document 3): expected value"
        ]
    );
}

#[test]
fn a_broken_document_leaves_the_others_whole() {
    let (keys, problems) =
        read(&format!("{DPI}---\nkind: [\n  a: b: c\n---\n{}", DPI.replace("web", "db")));
    assert_eq!(keys, ["DeepPacketInspection shop/web", "DeepPacketInspection shop/db"]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("a.yaml:1"), "{}", problems[0]);
    assert!(problems[0].contains("(document 2)"), "{}", problems[0]);
}

#[test]
fn what_is_no_map_is_no_object() {
    for text in ["just words", "- a\n- b\n", "7", "{kind: List, items: [1]}"] {
        let (keys, problems) = read(text);
        assert_eq!(keys, [""; 0]);
        assert!(
            problems[0].ends_with("expected a Kubernetes object, which is a map"),
            "{problems:?}"
        );
    }
}

#[test]
fn kinds_groups_and_names_are_checked() {
    for (from, to, expected) in [
        ("projectcalico.org/v3", "crd.projectcalico.org/v1", ""),
        (
            "projectcalico.org/v3",
            "projectcalico.org/v1",
            "apiVersion of a DeepPacketInspection must be projectcalico.org/v3 or crd.projectcalico.org/v1, is \"projectcalico.org/v1\"",
        ),
        (
            "apiVersion: projectcalico.org/v3",
            "x: y",
            "apiVersion of a DeepPacketInspection must be projectcalico.org/v3 or crd.projectcalico.org/v1, is missing",
        ),
        (
            "kind: DeepPacketInspection",
            "kind: NetworkPolicy",
            "kind \"NetworkPolicy\" is none that is read here",
        ),
        ("kind: DeepPacketInspection", "x: y", "kind is missing"),
        ("  name: web\n", "", "DeepPacketInspection: metadata.name is missing"),
        ("name: web", "name: Web_1", "metadata.name \"Web_1\" is not allowed"),
        ("name: web", "name: 7", "metadata.name must be a string, is the number 7"),
        ("namespace: shop", "namespace: shop.eu", "metadata.namespace \"shop.eu\" is not allowed"),
        (
            "selector: k8s-app == \"web\"",
            "selector: [a]",
            "spec.selector must be a string, is a list",
        ),
        ("spec:\n  selector: k8s-app == \"web\"", "spec: all", "spec must be a map, is a string"),
        ("spec:\n  selector: k8s-app == \"web\"", "spec:", ""),
        ("  selector:", "  selectr:", "spec.\"selectr\" is unknown and ignored"),
    ] {
        assert!(DPI.contains(from));
        let (keys, problems) = read(&DPI.replace(from, to));
        let unknown_only = to.contains("selectr:");
        assert_eq!(keys.len(), usize::from(expected.is_empty() || unknown_only), "{to}");
        match expected {
            "" => assert_eq!(problems, [""; 0], "{to}"),
            _ => assert!(problems[0].contains(expected), "{}", problems[0]),
        }
    }
}

#[test]
fn a_selector_that_yaml_takes_for_a_tag_is_refused_not_emptied() {
    let (keys, problems) = read(&DPI.replace("k8s-app == \"web\"", "!has(x)"));
    assert_eq!(keys, [""; 0]);
    assert!(problems[0].contains("must stand in quotes"), "{}", problems[0]);
}

#[test]
fn a_bad_status_costs_the_status_only() {
    let text = format!("{DPI}status:\n  nodes:\n  - node: n\n    active: {{lastUpdated: never}}\n");
    let parsed = parse(&text);
    let Document::DeepPacketInspection(dpi) = &parsed.documents[0].value else { panic!() };
    assert_eq!(dpi.status, None);
    assert!(parsed.problems[0].message.starts_with("the status is ignored: status.nodes"));
}

#[test]
fn what_is_written_is_read_back() {
    let mut dpi = DeepPacketInspection::new("shop", "web", "!has(a) || b == 'x: # \"'");
    let mut status = crate::dpi::DeepPacketInspectionStatus::default();
    let node = status.entry("node-a");
    node.set_active(false, Time::from_second(1_795_000_000));
    node.error_conditions
        .push(ErrorCondition::new("column 1: expected\n'---'\t\"", Time::from_second(1)));
    dpi.status = Some(status);
    let all = [dpi.clone(), DeepPacketInspection::new("shop", "yes", "")];
    let parsed = parse(&to_yaml(&all).unwrap());
    assert_eq!(parsed.problems, []);
    let read: Vec<_> = parsed
        .documents
        .into_iter()
        .map(|document| match document.value {
            Document::DeepPacketInspection(dpi) => *dpi,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(read, all);
}

#[test]
fn of_a_repeated_resource_the_first_counts_and_both_places_are_named() {
    let first = Documents::parse("a.yaml", DPI);
    let again = DPI.replace("projectcalico.org/v3", "crd.projectcalico.org/v1");
    let second = Documents::parse("b.yaml", &again.replace("\"web\"", "\"other\""));
    let inventory = Inventory::from_parsed([first, second]);
    assert_eq!(inventory.len(), 1);
    assert_eq!(inventory.resources()[0].spec.selector, "k8s-app == \"web\"");
    assert_eq!(inventory.problems.len(), 1);
    assert_eq!(inventory.problems[0].kind, ProblemKind::Duplicate);
    assert_eq!(
        inventory.problems[0].to_string(),
        "b.yaml:1 (document 1): DeepPacketInspection shop/web: ignored: the one at a.yaml:1 \
         (document 1) has the same name and counts"
    );
    assert_eq!(inventory.place_of("shop", "web").unwrap().to_string(), "a.yaml:1 (document 1)");
}

#[test]
fn an_inventory_follows_a_watch() {
    let mut inventory = Inventory::default();
    let value = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "1"}},
        "spec": {"nodeName": "n"}, "status": {"podIP": "10.0.0.1", "podIPs": null},
    });
    let (document, problems) = Document::from_value(value).unwrap();
    assert_eq!(problems, []);
    let key = document.key();
    inventory.upsert(document.clone());
    inventory.upsert(document);
    assert_eq!(inventory.endpoints().0[0].addresses.len(), 1);
    assert!(inventory.remove(&key));
    assert!(!inventory.remove(&key));
    assert!(inventory.is_empty());
    assert!(Document::from_value(serde_json::json!([1])).is_err());
}

#[test]
fn endpoints_inherit_from_the_documents_beside_them() {
    let text = "
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: shop, labels: {tier: b}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web, labels: {tier: other}}}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop}
spec: {nodeName: n, serviceAccountName: web}
status: {podIPs: [{ip: 10.0.0.1}, {ip: ten}]}
";
    let inventory = Inventory::from_parsed([parse(text)]);
    assert_eq!(inventory.problems, []);
    let (endpoints, problems) = inventory.endpoints();
    assert_eq!(endpoints[0].labels["pcns.team"], "a");
    assert_eq!(endpoints[0].labels["pcsa.tier"], "b");
    assert_eq!(endpoints[0].addresses.len(), 1);
    assert_eq!(
        problems[0].to_string(),
        "a.yaml:8 (document 4): Pod shop/p: status.podIPs holds \"ten\", which is no IP address; \
         the address is ignored"
    );
}

#[test]
fn aliases_cannot_multiply_the_text() {
    let mut bomb = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n".to_owned();
    bomb.push_str("    a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..20 {
        let previous = format!("*a{}", level - 1);
        let all = vec![previous; 10].join(",");
        bomb.push_str(&format!("    a{level}: &a{level} [{all}]\n"));
    }
    let (keys, problems) = read(&bomb);
    assert_eq!((keys.len(), problems.len()), (0, 1));

    // One long string, referred to again and again.
    let long = "x".repeat(100_000);
    let mut bomb = format!("metadata:\n  labels:\n    a: &a {long}\n");
    (0..1000).for_each(|n| bomb.push_str(&format!("    b{n}: *a\n")));
    let (keys, problems) = read(&bomb);
    assert_eq!((keys.len(), problems.len()), (0, 1));
    assert!(problems[0].len() < 500, "{}", problems[0]);

    // An honest alias is fine.
    let (keys, problems) =
        read("{apiVersion: v1, kind: Pod, metadata: {name: &n p, labels: {name: *n}}}");
    assert_eq!((keys.len(), problems), (1, vec![]));
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    for text in [
        format!("metadata: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("x: {}", "[".repeat(100_000)),
        format!("{{\"metadata\": {{\"labels\": {}", "[".repeat(100_000)),
        format!("{{\"x\": {}", "{\"x\":".repeat(100_000)),
        "- ".repeat(100_000),
        (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect(),
    ] {
        let (keys, problems) = read(&text);
        assert_eq!((keys.len(), problems.len()), (0, 1));
        assert!(problems[0].len() < 500, "{}", problems[0]);
    }
}

#[test]
fn many_comments_and_many_pods_are_within_the_limits() {
    let mut text = "# a comment\n".repeat(2_000);
    text.push_str("apiVersion: v1\nkind: List\nitems:\n");
    for n in 0..2_000 {
        text.push_str(&format!(
            "# one\n- apiVersion: v1\n  kind: Pod\n  metadata: {{name: p{n}}}\n  spec: {{a: [1,2,,]}}\n"
        ).replace(",,", ",3"));
    }
    let (keys, problems) = read(&text);
    assert_eq!(problems, [""; 0]);
    assert_eq!(keys.len(), 2_000);
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        parse(&text);
    }

    #[test]
    fn no_damaged_document_panics(
        at in 0..DPI.len(), junk in "[-:{}\\[\\]&*!|>'\"%#\n a?,.]{0,6}", cut in 0..12_usize,
    ) {
        let end = (at + cut).min(DPI.len());
        let text = format!("{DPI}---\n{}{junk}{}", &DPI[..at], &DPI[end..]);
        let parsed = parse(&text);
        // The first document is whole, whatever became of the second.
        prop_assert!(!parsed.documents.is_empty());
        let first = &parsed.documents[0].value;
        prop_assert_eq!(first.key().to_string(), "DeepPacketInspection shop/web");
    }
}
