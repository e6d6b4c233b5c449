//! Whose pods a sensor knows: those of all nodes, of nodes that are named, or of nodes that a label picks, for
//! a mirror port carries the traffic of a rack.

use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{create_node, create_pod, install_rights, pod, resource};
use crate::kubectl::Kubectl;
use crate::sensor::{KubeSensor, Setup, entry, is_active};

const NODES: [&str; 3] = ["node-a", "node-b", "node-c"];

/// A pod on each node, and one more on the last.
fn surroundings() -> Option<(ControlPlane, Kubectl)> {
    let plane = ControlPlane::start()?;
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    for (number, node) in NODES.into_iter().enumerate() {
        create_node(&kubectl, node);
        place(&kubectl, node, number + 1);
    }
    place(&kubectl, "node-c", 4);
    kubectl.apply(&resource("default", "all", "all()"));
    Some((plane, kubectl))
}

fn place(kubectl: &Kubectl, node: &str, number: usize) {
    let name = format!("pod-{number}");
    let mut pod: Value = pod("default", &name, &format!("10.1.0.{number}"), &json!({}));
    pod["spec"]["nodeName"] = json!(node);
    create_pod(kubectl, &pod);
}

fn sensor(plane: &ControlPlane, view: &str) -> KubeSensor {
    let mut setup = Setup::new("node-a", plane.kubeconfig(SENSOR));
    setup.kubernetes = view.to_owned();
    setup.start()
}

#[track_caller]
fn sees(sensor: &mut KubeSensor, pods: u32) {
    sensor.wait("pods in view", |it| it.metric("pollux_endpoints") == Some(f64::from(pods)));
}

#[test]
fn without_a_view_the_pods_of_all_nodes_are_known() {
    let Some((plane, kubectl)) = surroundings() else { return };
    let mut sensor = sensor(&plane, "");
    sees(&mut sensor, 4);
    place(&kubectl, "node-b", 5);
    sees(&mut sensor, 5);
    sensor.stop();
}

#[test]
fn of_nodes_that_are_named_the_pods_are_known_and_no_others() {
    let Some((plane, kubectl)) = surroundings() else { return };
    // One of them is not there (yet).
    let mut sensor = sensor(&plane, "nodes = [\"node-a\", \"node-b\", \"node-z\"]");
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/all", "node-a")));
    sees(&mut sensor, 2);
    place(&kubectl, "node-c", 5);
    place(&kubectl, "node-b", 6);
    sees(&mut sensor, 3);
    create_node(&kubectl, "node-z");
    place(&kubectl, "node-z", 7);
    sees(&mut sensor, 4);
    sensor.stop();
}

#[test]
fn of_nodes_that_a_label_picks_the_pods_are_known_as_nodes_come_and_go() {
    let Some((plane, kubectl)) = surroundings() else { return };
    let label = |node: &str, label: &str| kubectl.run(&["label", "node", node, label]);
    label("node-b", "rack=7");
    let mut sensor = sensor(&plane, "node-selector = \"rack=7\"");
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/all", "node-a")));
    sees(&mut sensor, 1);
    label("node-c", "rack=7");
    sees(&mut sensor, 3);
    place(&kubectl, "node-c", 5);
    place(&kubectl, "node-a", 6);
    sees(&mut sensor, 4);
    label("node-b", "rack-");
    sees(&mut sensor, 3);
    kubectl.run(&["delete", "node", "node-c"]);
    sees(&mut sensor, 0);
    assert!(
        is_active(&entry(&kubectl, "default/all", "node-a")),
        "nobody is in view, and that is well"
    );
    sensor.stop();
}
