//! Many sensors and many resources: they come to rest, and every status was written no more often than
//! something was new.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{create_node, install_rights, resource};
use crate::kubectl::Kubectl;
use crate::sensor::{KubeSensor, Setup, is_active};

/// Resources by how many of their entries are active, and how many have an error.
fn tally(kubectl: &Kubectl, sensors: usize) -> (usize, usize) {
    let list = kubectl.get(&["dpi", "-A"]);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let entries = |it: &Value| it["status"]["nodes"].as_array().cloned().unwrap_or_default();
    let all = |of: &dyn Fn(&Value) -> bool| {
        items.iter().filter(|it| entries(it).iter().filter(|it| of(it)).count() == sensors).count()
    };
    (all(&is_active), all(&|it: &Value| it["errorConditions"].is_array()))
}

/// Statuses that the server took, by resource.
fn writes(plane: &ControlPlane) -> BTreeMap<String, usize> {
    let mut writes = BTreeMap::new();
    for request in plane.requests() {
        if request.action() == "update deeppacketinspections/status" && request.code() == 200 {
            *writes.entry(request.object()).or_default() += 1;
        }
    }
    writes
}

#[track_caller]
fn await_tally(
    kubectl: &Kubectl,
    sensors: usize,
    wanted: (usize, usize),
    patience: Duration,
) -> Duration {
    let begin = Instant::now();
    loop {
        let now = tally(kubectl, sensors);
        if now == wanted {
            return begin.elapsed();
        }
        assert!(begin.elapsed() < patience, "{now:?} instead of {wanted:?} after {patience:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[track_caller]
fn converge(sensors: usize, resources: usize, patience: Duration) {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    let node = |number: usize| format!("node-{number}");
    for number in 0..sensors {
        create_node(&kubectl, &node(number));
    }
    let kubeconfig = plane.kubeconfig(SENSOR);
    let sensor = |number| {
        let mut setup = Setup::new(&node(number), kubeconfig.clone());
        // However slow the machine is: a sensor taken for dead is marked, and that is a change too.
        setup.kubernetes = "lease-duration = \"15m\"".to_owned();
        setup.start()
    };
    let mut fleet: Vec<KubeSensor> = (0..sensors).map(sensor).collect();
    for sensor in &mut fleet {
        sensor.wait_for("readiness", Duration::from_secs(180), |it| {
            it.http("/readyz").is_some_and(|(code, _)| code == 200)
        });
    }
    let name = |number: usize| format!("many-{number}");
    let documents: Vec<String> = (0..resources)
        .map(|number| resource("default", &name(number), &format!("app == \"{number}\"")))
        .collect();
    kubectl.try_feed(&["create", "-f", "-"], &documents.join("\n")).expect(0);
    let took = await_tally(&kubectl, sensors, (resources, 0), patience);
    println!(
        "{resources} resources active on {sensors} sensors {took:.1?} after the last was created"
    );
    // Long enough for a needless write.
    std::thread::sleep(Duration::from_secs(5));
    // Every entry is there, so each sensor has written each resource once: as many writes are all of them.
    let first = writes(&plane);
    println!("{} writes of status for {} changes", sum(&first), sensors * resources);
    assert_eq!(first.len(), resources);
    let excess: Vec<_> = first.iter().filter(|it| *it.1 != sensors).collect();
    assert!(excess.is_empty(), "more than a write for each sensor: {excess:?}");

    // A selector that is as good writes nothing; one that is none, once for each sensor.
    kubectl.apply(&resource("default", &name(0), "has(other)"));
    kubectl.apply(&resource("default", &name(1), "has("));
    await_tally(&kubectl, sensors, (resources - 1, 1), patience);
    std::thread::sleep(Duration::from_secs(5));
    let second = writes(&plane);
    println!("{} writes of status for {sensors} changes", sum(&second) - sum(&first));
    for (resource, count) in &second {
        let changes = if resource.ends_with(&format!("/{}", name(1))) { sensors } else { 0 };
        assert_eq!(*count, first[resource] + changes, "{resource}");
    }
    for sensor in &mut fleet {
        sensor.stop();
    }
    // A sensor that stops takes its time, but not any time.
    if resources <= 100 {
        await_tally(&kubectl, sensors, (0, 0), patience);
    }
    let third = writes(&plane);
    println!("{} writes of status for the stop of all", sum(&third) - sum(&second));
    for (resource, count) in &third {
        let more = count - second[resource];
        assert!(more <= sensors, "{resource}: each says at most once that it has stopped: {more}");
    }
}

fn sum(writes: &BTreeMap<String, usize>) -> usize {
    writes.values().sum()
}

#[test]
fn a_small_fleet_writes_each_status_once() {
    converge(3, 20, Duration::from_secs(60));
}

#[test]
#[ignore = "long: scripts/test --all"]
fn ten_sensors_and_a_thousand_resources_come_to_rest() {
    converge(10, 1_000, Duration::from_secs(600));
}

#[test]
fn five_hundred_resources_at_once_are_active_soon() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    create_node(&kubectl, "node-a");
    let mut sensor = Setup::new("node-a", plane.kubeconfig(SENSOR)).start();
    sensor.wait_ready();
    let documents: Vec<String> =
        (0..500).map(|number| resource("default", &format!("many-{number}"), "all()")).collect();
    kubectl.try_feed(&["create", "-f", "-"], &documents.join("\n")).expect(0);
    let took = await_tally(&kubectl, 1, (500, 0), Duration::from_secs(60));
    println!("500 resources active {took:.1?} after the last was created");
    assert_eq!(writes(&plane).values().sum::<usize>(), 500);
    sensor.stop();
}
