//! Sensors among each other: who is silent is marked, whose node is gone is taken out, one may write for all,
//! or nobody.

use std::time::Duration;

use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{create_node, install_rights, resource};
use crate::kubectl::Kubectl;
use crate::sensor::{KubeSensor, Setup, entry, errors, is_active};

const ALL: &str = "default/all";

/// As long as a lease takes to run out, somebody to be elected, and to act.
const TURNOVER: Duration = Duration::from_secs(40);

/// Sensors on nodes of these names, with short leases and further settings.
#[track_caller]
fn fleet(names: &[&str], settings: &str) -> Option<(ControlPlane, Kubectl, Vec<KubeSensor>)> {
    let plane = ControlPlane::start()?;
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    kubectl.apply(&resource("default", "all", "all()"));
    let kubeconfig = plane.kubeconfig(SENSOR);
    let sensors = names.iter().map(|name| {
        create_node(&kubectl, name);
        let mut setup = Setup::new(name, kubeconfig.clone());
        setup.kubernetes = format!("lease-duration = \"3s\"\n{settings}");
        setup.start()
    });
    let mut sensors: Vec<KubeSensor> = sensors.collect();
    for sensor in &mut sensors {
        sensor.wait_ready();
    }
    Some((plane, kubectl, sensors))
}

#[test]
fn the_entry_of_a_silent_sensor_is_marked_until_it_speaks_again() {
    let Some((_plane, kubectl, mut sensors)) = fleet(&["node-a", "node-b"], "") else { return };
    for (sensor, node) in sensors.iter_mut().zip(["node-a", "node-b"]) {
        sensor.wait("active status", |_| is_active(&entry(&kubectl, ALL, node)));
    }
    let [witness, dead] = &mut sensors[..] else { panic!("two") };
    dead.kill();
    witness.wait_for("mark", TURNOVER, |_| {
        let entry = entry(&kubectl, ALL, "node-b");
        !is_active(&entry) && errors(&entry).contains("lease")
    });
    assert!(is_active(&entry(&kubectl, ALL, "node-a")));
    dead.launch();
    dead.wait_for("active status", TURNOVER, |_| {
        let entry = entry(&kubectl, ALL, "node-b");
        is_active(&entry) && errors(&entry).is_empty()
    });
}

#[test]
fn the_entry_of_a_node_that_is_gone_is_taken_out() {
    let Some((_plane, kubectl, mut sensors)) = fleet(&["node-a", "node-b"], "") else { return };
    let [witness, gone] = &mut sensors[..] else { panic!("two") };
    gone.wait("active status", |_| is_active(&entry(&kubectl, ALL, "node-b")));
    gone.kill();
    kubectl.run(&["delete", "node", "node-b"]);
    witness.wait_for("absence", TURNOVER, |_| entry(&kubectl, ALL, "node-b").is_null());
    witness.wait("active status", |_| is_active(&entry(&kubectl, ALL, "node-a")));
}

#[test]
fn a_lease_tells_that_a_sensor_lives_and_is_given_back_when_it_stops() {
    let Some((_plane, kubectl, mut sensors)) = fleet(&["node-a"], "") else { return };
    let lease = || kubectl.get(&["lease", "-n", "pollux", "pollux-node-a"])["spec"].clone();
    let sensor = &mut sensors[0];
    sensor.wait("lease", |_| lease()["holderIdentity"].is_string());
    let first = lease()["renewTime"].clone();
    sensor.wait("renewal", |_| lease()["renewTime"] != first);
    sensor.stop();
    let holder = lease()["holderIdentity"].clone();
    assert!(holder.is_null() || holder == "", "{holder}");
}

#[test]
fn one_that_is_elected_writes_for_all_and_another_when_it_dies() {
    let names = ["node-a", "node-b", "node-c"];
    let Some((plane, kubectl, mut sensors)) = fleet(&names, "status = \"elected\"") else {
        return;
    };
    let all_active = || names.iter().all(|node| is_active(&entry(&kubectl, ALL, node)));
    sensors[0].wait_for("active status of all", TURNOVER, |_| all_active());
    let elected = kubectl.get(&["lease", "-n", "pollux", "pollux-leader"]);
    let elected = elected["spec"]["holderIdentity"].as_str().expect("somebody").to_owned();
    let leader = names.iter().position(|name| elected.contains(name)).expect("one of them");
    let writes = plane.requests().iter().filter(|it| it.action().ends_with("/status")).count();
    assert!(writes < 2 * names.len(), "one writes for all: {writes}");
    sensors[leader].kill();
    let other = (leader + 1) % 3;
    sensors[other].wait_for("mark of the dead one", TURNOVER, |_| {
        let entry = entry(&kubectl, ALL, names[leader]);
        !entry.is_null() && !is_active(&entry)
    });
    kubectl.apply(&resource("default", "later", "all()"));
    sensors[other].wait_for("active status of the others", TURNOVER, |_| {
        (0..3)
            .filter(|it| *it != leader)
            .all(|it| is_active(&entry(&kubectl, "default/later", names[it])))
    });
}

#[test]
fn status_that_is_switched_off_is_not_written() {
    let Some((plane, kubectl, mut sensors)) = fleet(&["node-a"], "status = \"off\"") else {
        return;
    };
    let sensor = &mut sensors[0];
    sensor.wait("resource", |it| it.metric("pollux_resources") == Some(1.0));
    std::thread::sleep(Duration::from_secs(3));
    assert!(entry(&kubectl, ALL, "node-a").is_null());
    sensor.stop();
    let writes = plane.requests().iter().filter(|it| it.action().ends_with("/status")).count();
    assert_eq!(writes, 0);
}
