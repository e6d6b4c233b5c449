//! The rights in deploy/ are enough, none of them is too much, and of each that is missing the sensor says
//! which it is, and goes on with the rest.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::repository;
use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{install_rights, resource};
use crate::kubectl::Kubectl;
use crate::sensor::{KubeSensor, Setup, entry, is_active};

const NODE: &str = "node-a";

/// Uses every right: leases, ConfigMaps, nodes by label.
const EVERYTHING: &str = "node-selector = \"pollux.dev/view=yes\"";

/// A right: `verb resource`, and the role that grants it.
type Right = (String, &'static str);

/// Every right that deploy/ grants, of the group that this cluster serves.
fn granted(kubectl: &Kubectl) -> Vec<Right> {
    let mut rights = Vec::new();
    for role in ["clusterrole", "role"] {
        for rule in rules(kubectl, role).as_array().expect("rules") {
            let words = |name: &str| rule[name].as_array().cloned().unwrap_or_default();
            for resource in words("resources") {
                for verb in words("verbs") {
                    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
                    rights.push((format!("{} {}", text(&verb), text(&resource)), role));
                }
            }
        }
    }
    rights
}

fn rules(kubectl: &Kubectl, role: &str) -> Value {
    kubectl.get(&[role, "-n", "pollux", "pollux"])["rules"].clone()
}

/// Takes one right away, of all that deploy/ grants.
#[track_caller]
fn take_away(kubectl: &Kubectl, (right, role): &Right) {
    install_rights(kubectl);
    let (verb, resource) = right.split_once(' ').expect("verb resource");
    let mut document = kubectl.get(&[role, "-n", "pollux", "pollux"]);
    let mut kept = Vec::new();
    for rule in document["rules"].as_array().expect("rules") {
        for name in rule["resources"].as_array().expect("resources") {
            let mut rule = rule.clone();
            rule["resources"] = json!([name]);
            if name == resource {
                rule["verbs"].as_array_mut().expect("verbs").retain(|it| it != verb);
            }
            if rule["verbs"] != json!([]) {
                kept.push(rule);
            }
        }
    }
    document["rules"] = Value::Array(kept);
    kubectl.try_feed(&["replace", "-f", "-"], &document.to_string()).expect(0);
}

fn sensor(plane: &ControlPlane) -> KubeSensor {
    let mut setup = Setup::new(NODE, plane.kubeconfig(SENSOR));
    setup.kubernetes = EVERYTHING.to_owned();
    setup.more = "[rules.sets.web]\nconfig-maps = [\"web-rules\"]\n".to_owned();
    setup.start()
}

fn surroundings() -> Option<(ControlPlane, Kubectl)> {
    let plane = ControlPlane::start()?;
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    let node = json!({"apiVersion": "v1", "kind": "Node",
                      "metadata": {"name": NODE, "labels": {"pollux.dev/view": "yes"}}});
    kubectl.apply(&node.to_string());
    let rules =
        fs::read_to_string(repository("deploy/examples/rules/example.rules")).expect("read");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
                     "metadata": {"namespace": "pollux", "name": "web-rules"}, "data": {"web.rules": rules}});
    kubectl.apply(&map.to_string());
    kubectl.apply(&resource("default", "all", "all()"));
    Some((plane, kubectl))
}

#[test]
fn the_rights_in_deploy_are_enough_and_each_is_used() {
    let Some((plane, kubectl)) = surroundings() else { return };
    let mut sensor = sensor(&plane);
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/all", NODE)));
    // A lease is renewed, and somebody else's death looked for.
    std::thread::sleep(Duration::from_secs(12));
    sensor.stop();
    let requests = plane.requests();
    let refused: Vec<String> =
        requests.iter().filter(|it| it.code() == 403).map(|it| it.action()).collect();
    assert_eq!(refused, Vec::<String>::new());
    let used: BTreeSet<String> = requests.iter().map(|it| it.action()).collect();
    let unused: Vec<String> =
        granted(&kubectl).into_iter().map(|it| it.0).filter(|it| !used.contains(it)).collect();
    assert_eq!(unused, Vec::<String>::new(), "used: {used:?}");
}

#[test]
fn of_each_right_that_is_missing_the_sensor_says_which_it_is() {
    let Some((plane, kubectl)) = surroundings() else { return };
    let mut silent = Vec::new();
    for right in granted(&kubectl) {
        take_away(&kubectl, &right);
        // A lease that is there need not be created.
        kubectl.run(&["delete", "leases", "--all", "-n", "pollux"]);
        let mut sensor = sensor(&plane);
        let (verb, resource) = right.0.split_once(' ').expect("verb resource");
        let is_told = |it: &KubeSensor| {
            it.said().lines().any(|line| {
                line.contains(resource) && line.contains(verb) && line.contains("may not")
            })
        };
        let begin = std::time::Instant::now();
        while !is_told(&sensor) && begin.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(100));
        }
        if !is_told(&sensor) {
            silent.push(format!("{}: {}", right.0, sensor.said()));
        }
        // It goes on and takes the right up when it comes.
        install_rights(&kubectl);
        sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/all", NODE)));
        sensor.stop();
        assert!(!is_active(&entry(&kubectl, "default/all", NODE)));
    }
    assert!(silent.is_empty(), "{}", silent.join("\n----\n"));
}
