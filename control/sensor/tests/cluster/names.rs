//! The custom resource as kubectl sees it: every name of the specification, columns, and what its schema
//! refuses.

use std::time::{Duration, Instant};

use crate::control_plane::{ControlPlane, STRANGER};
use crate::kubectl::Kubectl;

const SAMPLE: &str = "
apiVersion: projectcalico.org/v3
kind: DeepPacketInspection
metadata: {name: sample-dpi, namespace: default}
spec: {selector: k8s-app == \"sample-app\"}
";

#[test]
fn every_name_of_the_specification_works_with_kubectl() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    kubectl.apply(SAMPLE);
    let names = [
        "deeppacketinspection",
        "deeppacketinspections",
        "DeepPacketInspection",
        "DEEPPACKETINSPECTIONS",
        "deeppacketinspection.projectcalico.org",
        "deeppacketinspections.projectcalico.org",
        "deeppacketinspection.p",
        "deeppacketinspections.p",
        "dpi",
    ];
    for name in names {
        let listed = kubectl.run(&["get", name, "-o", "name"]);
        assert_eq!(listed.trim(), "deeppacketinspection.projectcalico.org/sample-dpi", "{name}");
    }
    // The server describes a new resource some seconds after it serves it.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let run = kubectl.try_run(&["explain", "dpi.spec.selector"]);
        if run.code == Some(0) {
            assert!(run.stdout.contains("every endpoint of the namespace"), "{run}");
            break;
        }
        assert!(Instant::now() < deadline, "{run}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn columns_show_selector_nodes_and_errors() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    kubectl.apply(SAMPLE);
    put_status(
        &kubectl,
        r#"[{"node":"a","active":{"success":true}},
            {"node":"b","active":{"success":false},"errorConditions":[{"message":"port eth1 is down"}]}]"#,
    );
    let table = kubectl.run(&["get", "dpi"]);
    let mut lines = table.lines();
    let header = lines.next().expect("a header");
    for column in ["NAME", "SELECTOR", "ACTIVE NODES", "ERRORS", "AGE"] {
        assert!(header.contains(column), "{table}");
    }
    let row = lines.next().expect("a row");
    for cell in ["sample-dpi", "k8s-app == \"sample-app\"", "port eth1 is down"] {
        assert!(row.contains(cell), "{table}");
    }
    let nodes = &row[header.find("ACTIVE NODES").expect("there")..];
    assert!(nodes.starts_with("a ") || nodes.starts_with("[\"a\"]"), "{table}");
}

#[test]
fn the_schema_refuses_an_eleventh_error_and_status_by_the_main_resource() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    kubectl.apply(SAMPLE);
    let errors = |count| {
        let one = r#"{"message":"m","lastUpdated":"2026-01-02T03:04:05Z"}"#;
        format!(r#"[{{"node":"a","errorConditions":[{}]}}]"#, vec![one; count].join(","))
    };
    put_status(&kubectl, &errors(10));
    let run = try_put_status(&kubectl, &errors(11));
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("errorConditions"), "{run}");
    // An apply of the whole document leaves the status alone.
    kubectl.apply(&format!("{SAMPLE}status: {{nodes: []}}\n"));
    let nodes = &kubectl.get(&["dpi", "sample-dpi"])["status"]["nodes"];
    assert_eq!(nodes[0]["node"], "a", "{nodes}");
}

#[test]
fn one_without_rights_cannot_read_it() {
    let Some(plane) = ControlPlane::start() else { return };
    plane.kubectl().install_crd();
    let stranger = Kubectl::new(None, plane.kubeconfig(STRANGER));
    let run = stranger.try_run(&["get", "dpi", "-A"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("forbidden"), "{run}");
}

#[track_caller]
fn put_status(kubectl: &Kubectl, nodes: &str) {
    try_put_status(kubectl, nodes).expect(0);
}

/// Replaces the status as a sensor does, by its subresource.
#[track_caller]
fn try_put_status(kubectl: &Kubectl, nodes: &str) -> crate::common::Run {
    let mut document = kubectl.get(&["dpi", "sample-dpi"]);
    document["status"] = serde_json::json!({"nodes": serde_json::from_str::<serde_json::Value>(nodes).expect("JSON")});
    let path =
        "/apis/projectcalico.org/v3/namespaces/default/deeppacketinspections/sample-dpi/status";
    kubectl.try_feed(&["replace", "--raw", path, "-f", "-"], &document.to_string())
}
