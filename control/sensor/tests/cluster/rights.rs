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
use crate::proxy::Proxy;
use crate::sensor::{KubeSensor, Setup, entry_of, is_active};

const NODE: &str = "node-a";

/// Where the resources are served.
const OWN: &str = "projectcalico.org";
/// Or where Calico's aggregated server keeps them.
const STORED: &str = "crd.projectcalico.org";

/// Uses every right: leases, ConfigMaps, nodes by label.
const EVERYTHING: &str = "node-selector = \"pollux.dev/view=yes\"";

/// A right that deploy/ grants: one verb, of one resource, in one group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    verb: String,
    resource: String,
    group: String,
    /// The kind of role that grants it.
    role: &'static str,
}

impl Right {
    /// `verb resource`, as the audit log and the sensor name it.
    fn action(&self) -> String {
        format!("{} {}", self.verb, self.resource)
    }

    /// Is it of a group that a cluster does not serve whose resources are of this one?
    fn is_elsewhere(&self, group: &str) -> bool {
        self.group.ends_with("projectcalico.org") && self.group != group
    }
}

/// Every right that deploy/ grants, as the roles have it in the cluster.
fn granted(kubectl: &Kubectl) -> Vec<Right> {
    let mut rights = Vec::new();
    for role in ["clusterrole", "role"] {
        for rule in rules(kubectl, role) {
            let words = |name: &str| -> Vec<String> {
                let words = rule[name].as_array().cloned().unwrap_or_default();
                words.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect()
            };
            for group in words("apiGroups") {
                for resource in words("resources") {
                    for verb in words("verbs") {
                        let (group, resource) = (group.clone(), resource.clone());
                        rights.push(Right { verb, resource, group, role });
                    }
                }
            }
        }
    }
    assert!(rights.len() > 20, "deploy/ has lost its rights: {rights:?}");
    rights
}

fn rules(kubectl: &Kubectl, role: &str) -> Vec<Value> {
    let document = kubectl.get(&[role, "-n", "pollux", "pollux"]);
    document["rules"].as_array().cloned().expect("rules")
}

/// Takes one right away, of all that deploy/ grants.
#[track_caller]
fn take_away(kubectl: &Kubectl, missing: &Right) {
    install_rights(kubectl);
    let rest = granted(kubectl).into_iter().filter(|it| it.role == missing.role && it != missing);
    let rules: Vec<Value> = rest
        .map(|it| json!({"apiGroups": [it.group], "resources": [it.resource], "verbs": [it.verb]}))
        .collect();
    let mut document = kubectl.get(&[missing.role, "-n", "pollux", "pollux"]);
    document["rules"] = Value::Array(rules);
    kubectl.try_feed(&["replace", "-f", "-"], &document.to_string()).expect(0);
}

/// A sensor that uses all that it may. The proxy refuses lists as streams, for which watching would be enough.
fn sensor(plane: &ControlPlane, proxy: &Proxy) -> KubeSensor {
    let mut setup = Setup::new(NODE, plane.kubeconfig_at(SENSOR, &proxy.url()));
    setup.kubernetes = EVERYTHING.to_owned();
    setup.more = "[rules.sets.web]\nconfig-maps = [\"web-rules\"]\n".to_owned();
    setup.start()
}

/// A cluster whose resources are served by Calico's own group, or by the one that it keeps them in.
fn surroundings(group: &str) -> Option<(ControlPlane, Kubectl, Proxy)> {
    let plane = ControlPlane::start()?;
    let kubectl = plane.kubectl();
    match group {
        OWN => kubectl.install_crd(),
        _ => kubectl.install_stored_crd(),
    }
    install_rights(&kubectl);
    let node = json!({"apiVersion": "v1", "kind": "Node",
                      "metadata": {"name": NODE, "labels": {"pollux.dev/view": "yes"}}});
    kubectl.apply(&node.to_string());
    let rules =
        fs::read_to_string(repository("deploy/examples/rules/example.rules")).expect("read");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
                     "metadata": {"namespace": "pollux", "name": "web-rules"}, "data": {"web.rules": rules}});
    kubectl.apply(&map.to_string());
    let mut document: Value =
        serde_json::from_str(&resource("default", "all", "all()")).expect("JSON");
    if group == STORED {
        document["apiVersion"] = json!("crd.projectcalico.org/v1");
    }
    kubectl.apply(&document.to_string());
    let proxy = Proxy::start(&plane);
    Some((plane, kubectl, proxy))
}

/// Is the resource active on the node?
fn is_inspected(kubectl: &Kubectl, group: &str) -> bool {
    is_active(&entry_of(kubectl, group, "default/all", NODE))
}

/// All rights are used, and none is wanting, where the resources are of this group.
#[track_caller]
fn all_are_used(group: &str) {
    let Some((plane, kubectl, proxy)) = surroundings(group) else { return };
    let mut sensor = sensor(&plane, &proxy);
    sensor.wait("active status", |_| is_inspected(&kubectl, group));
    // A lease is renewed, and somebody else's death looked for.
    std::thread::sleep(Duration::from_secs(12));
    sensor.stop();
    let requests = plane.requests();
    let refused: Vec<String> =
        requests.iter().filter(|it| it.code() == 403).map(|it| it.action()).collect();
    assert_eq!(refused, Vec::<String>::new());
    let used: BTreeSet<(String, String)> =
        requests.iter().map(|it| (it.group(), it.action())).collect();
    let unused: Vec<Right> = granted(&kubectl)
        .into_iter()
        .filter(|it| !it.is_elsewhere(group) && !used.contains(&(it.group.clone(), it.action())))
        .collect();
    assert_eq!(unused, Vec::new(), "used: {used:?}");
}

/// Of each right that is taken away, of those that `is_tried` names, the sensor says that it is missing.
#[track_caller]
fn each_missing_one_is_told(group: &str, is_tried: impl Fn(&Right) -> bool) {
    let Some((plane, kubectl, proxy)) = surroundings(group) else { return };
    let mut silent = Vec::new();
    for right in granted(&kubectl).iter().filter(|it| is_tried(it)) {
        take_away(&kubectl, right);
        // A lease that is there need not be created.
        kubectl.run(&["delete", "leases", "--all", "-n", "pollux"]);
        let mut sensor = sensor(&plane, &proxy);
        let is_told = |it: &KubeSensor| {
            it.said().lines().any(|line| {
                line.contains(&right.resource)
                    && line.contains(&right.verb)
                    && line.contains("may not")
            })
        };
        let begin = std::time::Instant::now();
        while !is_told(&sensor) && begin.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(100));
        }
        if !is_told(&sensor) {
            silent.push(format!("{right:?}: {}", sensor.said()));
        }
        // It goes on and takes the right up when it comes.
        install_rights(&kubectl);
        sensor.wait("active status", |_| is_inspected(&kubectl, group));
        sensor.stop();
        assert!(!is_inspected(&kubectl, group));
    }
    assert!(silent.is_empty(), "{}", silent.join("\n----\n"));
}

#[test]
fn the_rights_in_deploy_are_enough_and_each_is_used() {
    all_are_used(OWN);
}

#[test]
fn so_are_they_where_calico_keeps_the_resources_in_its_own_store() {
    all_are_used(STORED);
}

#[test]
fn of_each_right_that_is_missing_the_sensor_says_which_it_is() {
    each_missing_one_is_told(OWN, |right| right.group != STORED);
}

#[test]
fn so_it_does_of_those_to_calicos_own_store() {
    each_missing_one_is_told(STORED, |right| right.group == STORED);
}
