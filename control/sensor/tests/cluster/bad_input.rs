//! What is wrong in a cluster is told, where a person sees it, and troubles nobody else.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use traffic::example::cluster;

use crate::common::live::{Net, attacks, write_capture};
use crate::common::{port, sid};
use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{create_node, create_pod, install_rights, pod, populate, resource};
use crate::faults::{NODE, follows, sensor_behind, surroundings};
use crate::sensor::{Setup, entry, errors, is_active};

#[test]
fn of_two_pods_that_claim_one_address_the_alert_names_neither_and_others_keep_their_names() {
    let Some(net) = Net::new() else { return };
    let Some(plane) = ControlPlane::start_in(&net) else { return };
    let kubectl = plane.kubectl();
    populate(&kubectl);
    create_node(&kubectl, NODE);
    kubectl.apply(&resource("shop", "web", "tier == \"web\""));
    let contested = cluster::FRONTEND_1.address.to_string();
    create_pod(&kubectl, &pod("shop", "twin", &contested, &json!({"tier": "web"})));
    let mut sensor = Setup::new(NODE, plane.kubeconfig(SENSOR)).start_on(&net);
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "shop/web", NODE)));
    let said = format!("address {contested} is claimed by pods ");
    sensor.wait("word of it", |it| it.said().contains(&said));

    let capture = sensor.path("attack.pcap");
    let packets = [
        attacks(20_001..20_002, cluster::FRONTEND_1.at(8080)),
        attacks(20_002..20_003, cluster::FRONTEND_2.at(8080)),
    ];
    write_capture(&capture, &packets.concat());
    net.send(&capture, 1000);
    sensor.wait("alerts", |it| it.results.alerts().len() >= 2);
    // Said once, however often other things change.
    create_pod(&kubectl, &pod("shop", "other", "10.1.0.9", &json!({"tier": "web"})));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(sensor.said().matches(&said).count(), 1, "{}", sensor.said());
    sensor.stop();
    let alerts = sensor.results.alerts();
    let named = |attack: u16| -> Value {
        let of = |it: &&Value| port(it, "src_port") == attack;
        let alert = alerts.iter().find(of).unwrap_or_else(|| panic!("{attack}: {alerts:?}"));
        assert_eq!(alert["dpi"], json!([{"namespace": "shop", "name": "web"}]), "{alert}");
        alert["kubernetes"]["destination"].clone()
    };
    assert!(named(20_001)["pod"].is_null(), "{alerts:?}");
    assert_eq!(named(20_002)["pod"], cluster::FRONTEND_2.name, "{alerts:?}");
    assert_eq!(sensor.results.ledger().alert("ambiguous_sides"), 1);
}

#[test]
fn of_more_than_ten_errors_ten_are_told_the_resources_own_first() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut setup = Setup::new(NODE, plane.kubeconfig_at(SENSOR, &proxy.url()));
    let set = |number| format!("[rules.sets.s{number}]\nconfig-maps = [\"absent-{number}\"]\n");
    setup.more = (0..12).map(set).collect();
    let mut sensor = setup.start();
    kubectl.apply(&resource("default", "right", "all()"));
    kubectl.apply(&resource("default", "wrong", "app =="));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/right", NODE)));
    let told = |name| -> Vec<String> {
        errors(&entry(&kubectl, name, NODE)).lines().map(str::to_owned).collect()
    };
    sensor.wait("ten errors", |_| told("default/right").len() == 10);
    sensor.wait("ten errors", |_| told("default/wrong").len() == 10);
    let wrong = told("default/wrong");
    assert!(wrong[0].contains("column"), "{wrong:?}");
    assert!(wrong[1..].iter().all(|it| it.contains("absent-")), "{wrong:?}");
    assert!(!is_active(&entry(&kubectl, "default/wrong", NODE)));
    assert_eq!(sensor.metric("pollux_status_failures_total"), Some(0.0), "{}", sensor.said());
    sensor.stop();
}

#[test]
fn a_resource_that_is_deleted_while_its_rules_are_built_is_gone_and_the_rules_come() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    kubectl.apply(&resource("default", "fleeting", "all()"));
    kubectl.apply(&resource("default", "staying", "all()"));
    for name in ["default/fleeting", "default/staying"] {
        sensor.wait("active status", |_| is_active(&entry(&kubectl, name, NODE)));
    }
    let told = entry(&kubectl, "default/staying", NODE);
    // Enough to take some time, beginning now.
    let rule = |sid: u32| {
        format!(
            "alert tcp any any -> any any (msg:\"{sid}\"; content:\"word {sid} of many\"; sid:{sid};)\n"
        )
    };
    let many: String = (1..=4_000).map(rule).collect();
    fs::write(sensor.path("rules/many.rules"), many).expect("written");
    std::thread::sleep(Duration::from_millis(300));
    kubectl.run(&["delete", "dpi", "fleeting"]);
    sensor.wait("departure", |it| it.metric("pollux_resources") == Some(1.0));
    sensor.wait("the rules", |it| it.metric("pollux_rules_loaded") > Some(4_000.0));
    assert_eq!(sensor.metric("pollux_resources"), Some(1.0));
    sensor.wait("rest", |it| it.metric("pollux_status_behind") == Some(0.0));
    let after = entry(&kubectl, "default/staying", NODE);
    assert!(is_active(&after) && errors(&after) == errors(&told), "{after}");
    assert_eq!(sensor.metric("pollux_status_failures_total"), Some(0.0), "{}", sensor.said());
    follows(&kubectl, &mut sensor, "after");
    sensor.stop();
}

/// A clock that is off by this, for a process and nobody else; none where that cannot be had.
fn skewed(by: &str) -> Option<Vec<(String, String)>> {
    let folders = fs::read_dir("/usr/lib").ok()?;
    let library = folders.flatten().map(|it| it.path().join("faketime/libfaketime.so.1"));
    let Some(library) = library.into_iter().find(|it| it.is_file()) else {
        eprintln!("skipped: libfaketime is absent");
        return None;
    };
    let library = library.display().to_string();
    // What counts time from a start goes on as it does.
    let all =
        [("LD_PRELOAD", library.as_str()), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
    Some(all.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

#[test]
fn sensors_whose_clocks_are_off_are_not_taken_for_dead_and_take_nobody_for_dead() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    kubectl.apply(&resource("default", "all", "all()"));
    let mut sensors = Vec::new();
    for (node, by) in [("node-ahead", "+2h"), ("node-behind", "-2h"), ("node-right", "+0")] {
        let Some(environment) = skewed(by) else { return };
        create_node(&kubectl, node);
        // Without TLS, for a certificate that is not valid yet is nobody's friend.
        let mut setup = Setup::new(node, plane.kubeconfig_at(SENSOR, &proxy.url()));
        setup.kubernetes = "lease-duration = \"3s\"".to_owned();
        setup.environment = environment;
        sensors.push((node, setup.start()));
    }
    for (node, sensor) in &mut sensors {
        sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/all", node)));
    }
    let clock = |node: &str| {
        let text = entry(&kubectl, "default/all", node)["active"]["lastUpdated"].clone();
        text.as_str().and_then(|it| it.parse::<jiff::Timestamp>().ok()).expect("a time").as_second()
    };
    let (ahead, right) = (clock("node-ahead"), clock("node-right"));
    assert!((ahead - right - 7200).abs() < 600, "the clocks are off: {ahead} and {right}");
    let told: Vec<Value> =
        sensors.iter().map(|(node, _)| entry(&kubectl, "default/all", node)).collect();
    // Leases run out several times in this time.
    std::thread::sleep(Duration::from_secs(12));
    for ((node, _), told) in sensors.iter().zip(&told) {
        assert_eq!(&entry(&kubectl, "default/all", node), told, "{node} changed");
    }
    // One that is dead is found so all the same, by whoever is elected.
    let (_, mut dead) = sensors.remove(0);
    dead.kill();
    sensors[0].1.wait("mark of the dead one", |_| {
        let entry = entry(&kubectl, "default/all", "node-ahead");
        !entry.is_null() && !is_active(&entry)
    });
    for (node, sensor) in &mut sensors {
        assert!(is_active(&entry(&kubectl, "default/all", node)), "{node}");
        sensor.stop();
    }
}

#[test]
fn a_node_whose_clock_is_off_names_the_pod_that_had_the_address_all_the_same() {
    let Some(net) = Net::new() else { return };
    let Some(environment) = skewed("+3h") else { return };
    let Some(plane) = ControlPlane::start_in(&net) else { return };
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    create_node(&kubectl, NODE);
    kubectl.apply(&resource("default", "all", "all()"));
    let address = cluster::FRONTEND_1.address.to_string();
    let mut setup = Setup::new(NODE, plane.kubeconfig(SENSOR));
    setup.environment = environment;
    let mut sensor = setup.start_on(&net);
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/all", NODE)));
    let capture = sensor.path("attack.pcap");
    let names = ["first", "second"];
    for (number, name) in (1..).zip(names) {
        create_pod(&kubectl, &pod("default", name, &address, &json!({})));
        sensor.wait("endpoint", |it| it.metric("pollux_endpoints") == Some(1.0));
        std::thread::sleep(Duration::from_millis(500));
        let ports = 20_000 + number..20_001 + number;
        write_capture(&capture, &attacks(ports, cluster::FRONTEND_1.at(8080)));
        net.send(&capture, 1000);
        sensor.wait("alert", |it| it.results.alerts().len() == usize::from(number));
        crate::example::delete_pod(&kubectl, "default", name);
        sensor.wait("departure", |it| it.metric("pollux_endpoints") == Some(0.0));
    }
    sensor.stop();
    let alerts = sensor.results.alerts();
    assert!(alerts.iter().all(|it| sid(it) == crate::attacks::SID), "{alerts:?}");
    let named: Vec<&Value> =
        alerts.iter().map(|it| &it["kubernetes"]["destination"]["pod"]).collect();
    assert_eq!(named, names);
}
