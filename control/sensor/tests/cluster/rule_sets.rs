//! Rules by resource: a rule alerts only for the resources whose sets hold it, wherever the set is kept.

use std::time::Duration;

use serde_json::{Value, json};
use traffic::example::cluster;

use crate::common::live::{Net, attacks, write_capture};
use crate::common::sid;
use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{create_node, populate, resource};
use crate::sensor::{Setup, entry, errors, is_active};

const NODE: &str = "node-a";

fn rule(sid: u32, word: &str) -> String {
    format!(
        "alert http any any -> any any (msg:\"{word}\"; flow:established,to_server; content:\"${{jndi:\"; \
         sid:{sid};)\n"
    )
}

/// A resource that asks for rule sets.
fn asking(namespace: &str, name: &str, selector: &str, sets: &str) -> String {
    let mut document: Value =
        serde_json::from_str(&resource(namespace, name, selector)).expect("JSON");
    document["metadata"]["annotations"] = json!({"pollux.dev/rulesets": sets});
    document.to_string()
}

fn config_map(rules: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "pollux", "name": "web-rules"}, "data": {"web.rules": rules},
    })
    .to_string()
}

#[test]
fn a_rule_alerts_for_the_resources_whose_sets_hold_it() {
    let Some(net) = Net::new() else { return };
    let Some(plane) = ControlPlane::start_in(&net) else { return };
    let kubectl = plane.kubectl();
    populate(&kubectl);
    create_node(&kubectl, NODE);
    kubectl.apply(&config_map(&rule(7_000_001, "a set's")));
    kubectl.apply(&asking("shop", "asks", "tier == \"web\"", "web"));
    kubectl.apply(&resource("shop", "plain", "tier == \"web\""));
    kubectl.apply(&asking("shop", "wrong", "tier == \"web\"", "web,absent"));
    let mut setup = Setup::new(NODE, plane.kubeconfig(SENSOR));
    setup.rules = Some(rule(7_000_002, "the default's"));
    setup.more = "[rules.sets.web]\nconfig-maps = [\"web-rules\"]\n".to_owned();
    let mut sensor = setup.start_on(&net);
    sensor.wait_ready();
    for name in ["shop/asks", "shop/plain"] {
        sensor.wait("active status without an error", |_| {
            let entry = entry(&kubectl, name, NODE);
            is_active(&entry) && errors(&entry).is_empty()
        });
    }
    sensor.wait("error", |_| errors(&entry(&kubectl, "shop/wrong", NODE)).contains("absent"));

    let capture = sensor.path("attack.pcap");
    let mut port = 20_000;
    let mut attack = || {
        port += 1;
        write_capture(&capture, &attacks(port..port + 1, cluster::FRONTEND_1.at(8080)));
        net.send(&capture, 1000);
    };
    let named = |alerts: &[Value], wanted: u32| -> Vec<String> {
        let of = alerts.iter().filter(|alert| sid(alert) == wanted);
        let names = of.flat_map(|alert| alert["dpi"].as_array().expect("a list").clone());
        names.map(|it| it["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    attack();
    sensor.wait("alerts", |it| it.results.alerts().len() >= 2);
    std::thread::sleep(Duration::from_millis(500));
    let first = sensor.results.alerts();
    assert!(named(&first, 7_000_001).contains(&"asks".to_owned()), "{first:?}");
    assert!(!named(&first, 7_000_001).contains(&"plain".to_owned()), "{first:?}");
    assert_eq!(named(&first, 7_000_002), ["plain"], "{first:?}");

    // The set changes where it is kept, and is in force without a restart.
    kubectl.apply(&config_map(&rule(7_000_003, "the set's new one")));
    sensor.wait("the new rule's alert", |it| {
        attack();
        std::thread::sleep(Duration::from_millis(300));
        named(&it.results.alerts(), 7_000_003).contains(&"asks".to_owned())
    });
    sensor.stop();
    sensor.results.ledger();
}
