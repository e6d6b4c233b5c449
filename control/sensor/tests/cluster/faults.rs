//! What a real API server does on a bad day, made on demand by a proxy before it: the sensor goes on with
//! what it knows, comes back by itself, and writes nothing twice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{create_node, create_pod, delete_pod, install_rights, pod, resource};
use crate::kubectl::Kubectl;
use crate::proxy::{Asked, Ending, Fault, Proxy};
use crate::sensor::{KubeSensor, Setup, entry, errors, is_active};

pub(crate) const NODE: &str = "node-a";

/// As long as coming back may take, on a busy machine.
const RECOVERY: Duration = Duration::from_secs(15);

/// A control plane with the CRD and the sensor's rights, and a proxy before it.
pub(crate) fn surroundings() -> Option<(ControlPlane, Kubectl, Proxy)> {
    let plane = ControlPlane::start()?;
    let kubectl = plane.kubectl();
    kubectl.install_crd();
    install_rights(&kubectl);
    create_node(&kubectl, NODE);
    let proxy = Proxy::start(&plane);
    Some((plane, kubectl, proxy))
}

pub(crate) fn sensor_behind(plane: &ControlPlane, proxy: &Proxy) -> KubeSensor {
    Setup::new(NODE, plane.kubeconfig_at(SENSOR, &proxy.url())).start()
}

/// Everything is followed: a new resource becomes active, a new pod an endpoint, a label is inherited.
#[track_caller]
pub(crate) fn follows(kubectl: &Kubectl, sensor: &mut KubeSensor, name: &str) {
    let endpoints = sensor.metric("pollux_endpoints").unwrap_or(0.0);
    let number = endpoints + 1.0;
    let address = format!("10.1.0.{number}");
    create_pod(kubectl, &pod("default", &format!("pod-{name}"), &address, &json!({"app": name})));
    kubectl.apply(&resource("default", name, &format!("app == \"{name}\"")));
    let of = format!("default/{name}");
    sensor.wait_for("active status", RECOVERY, |_| is_active(&entry(kubectl, &of, NODE)));
    sensor.wait_for("endpoint", RECOVERY, |it| it.metric("pollux_endpoints") == Some(number));
}

fn any(_: &Asked) -> bool {
    true
}

#[test]
fn watches_that_end_in_whatever_way_are_begun_anew_and_nothing_is_told_twice() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    follows(&kubectl, &mut sensor, "first");
    let told = entry(&kubectl, "default/first", NODE);
    let endings = [Ending::Gone, Ending::HalfEvent, Ending::Garbage, Ending::Abort];
    for (number, ending) in endings.into_iter().enumerate() {
        let watches = proxy.count(|asked| asked.watches("pods"));
        proxy.end_watches(ending);
        sensor.wait_for("another watch", RECOVERY, |_| {
            proxy.count(|it| it.watches("pods")) > watches
        });
        let known = sensor.metric("pollux_endpoints");
        assert!(known >= Some(1.0), "{ending:?}: what was known is not forgotten: {known:?}");
        follows(&kubectl, &mut sensor, &format!("after-{number}"));
    }
    assert_eq!(entry(&kubectl, "default/first", NODE), told, "written once");
    sensor.stop();
}

#[test]
fn connections_that_break_are_made_anew() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    for number in 0..3 {
        proxy.cut();
        proxy.fault(2, Fault::Drop, any);
        follows(&kubectl, &mut sensor, &format!("cut-{number}"));
    }
    sensor.stop();
}

#[test]
fn nothing_is_inspected_before_every_list_is_whole() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    kubectl.apply(&resource("default", "early", "all()"));
    create_pod(&kubectl, &pod("default", "early", "10.1.0.9", &json!({})));
    for plural in ["namespaces", "pods"] {
        proxy.fault(1, Fault::Half, move |asked| asked.lists(plural));
        proxy.fault(1, Fault::Delay(Duration::from_secs(3)), move |asked| asked.lists(plural));
    }
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait("refusal to be ready", |it| {
        it.http("/readyz").is_some_and(|(code, text)| code == 503 && text.contains("pods"))
    });
    assert!(!is_active(&entry(&kubectl, "default/early", NODE)));
    sensor.wait_ready();
    assert_eq!(proxy.pending(), 0, "all the faults happened");
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/early", NODE)));
    sensor.stop();
}

#[test]
fn a_storm_of_conflicts_ends_in_one_write() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    proxy.fault(25, Fault::Answer(409, "Conflict"), Asked::writes_status);
    kubectl.apply(&resource("default", "contended", "all()"));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/contended", NODE)));
    assert_eq!(proxy.pending(), 0);
    sensor.wait("metrics", |it| it.metric("pollux_status_writes_total") == Some(1.0));
    assert_eq!(sensor.metric("pollux_status_conflicts_total"), Some(25.0));
    assert_eq!(successful_writes(&plane), 1);
    sensor.stop();
}

#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    proxy.fault(4, Fault::RetryAfter(429, 1), |asked| asked.lists("pods"));
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    proxy.fault(3, Fault::RetryAfter(429, 1), Asked::writes_status);
    follows(&kubectl, &mut sensor, "patient");
    assert_eq!(proxy.pending(), 0);
    sensor.stop();
}

#[test]
fn a_write_whose_answer_is_lost_is_not_done_again() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    proxy.fault(1, Fault::LoseAnswer, Asked::writes_status);
    kubectl.apply(&resource("default", "lost", "all()"));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/lost", NODE)));
    let told = entry(&kubectl, "default/lost", NODE);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(proxy.pending(), 0);
    assert_eq!(entry(&kubectl, "default/lost", NODE), told);
    assert_eq!(successful_writes(&plane), 1);
    sensor.stop();
}

#[test]
fn an_expired_token_is_told_and_a_renewed_one_taken() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    follows(&kubectl, &mut sensor, "before");
    proxy.fault(usize::MAX, Fault::Answer(401, "Unauthorized"), any);
    proxy.cut();
    sensor.wait("word of it", |it| it.said().contains("credentials"));
    assert!(sensor.http("/readyz").is_some_and(|it| it.0 == 200), "it inspects what it knows");
    proxy.heal();
    follows(&kubectl, &mut sensor, "after");
    assert!(is_active(&entry(&kubectl, "default/before", NODE)));
    sensor.stop();
}

#[test]
fn a_server_that_is_away_at_the_start_is_waited_for() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    kubectl.apply(&resource("default", "waiting", "all()"));
    proxy.fault(usize::MAX, Fault::Drop, any);
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor
        .wait("refusal to be ready", |it| it.http("/readyz").is_some_and(|(code, _)| code == 503));
    std::thread::sleep(Duration::from_secs(2));
    assert!(sensor.http("/healthz").is_some_and(|it| it.0 == 200), "alive all the same");
    proxy.heal();
    sensor.wait_for("active status", RECOVERY, |_| {
        is_active(&entry(&kubectl, "default/waiting", NODE))
    });
    sensor.stop();
}

#[test]
fn a_sensor_that_is_stopped_while_the_server_hangs_ends_all_the_same() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    kubectl.apply(&resource("default", "hung", "all()"));
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/hung", NODE)));
    proxy.fault(usize::MAX, Fault::Delay(Duration::from_secs(600)), any);
    sensor.stop();
}

#[test]
fn what_others_wrote_into_a_status_stays_and_what_they_wrote_into_ours_does_not() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    // Without leases nobody finds the other sensor, which is not there, silent.
    let mut setup = Setup::new(NODE, plane.kubeconfig_at(SENSOR, &proxy.url()));
    setup.kubernetes = "lease = false".to_owned();
    let mut sensor = setup.start();
    kubectl.apply(&resource("default", "shared", "all()"));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/shared", NODE)));
    let other = json!({"node": "node-b", "active": {"success": true, "lastUpdated": "2026-01-02T03:04:05Z"},
                       "errorConditions": [{"message": "theirs", "lastUpdated": "2026-01-02T03:04:05Z"}]});
    let scribble = json!({"node": NODE, "errorConditions": [{"message": "scribble"}]});
    let mut document = kubectl.get(&["dpi", "-n", "default", "shared"]);
    document["status"] = json!({"nodes": [other, scribble]});
    let path = "/apis/projectcalico.org/v3/namespaces/default/deeppacketinspections/shared/status";
    kubectl.try_feed(&["replace", "--raw", path, "-f", "-"], &document.to_string()).expect(0);
    sensor.wait("its own words again", |_| {
        let own = entry(&kubectl, "default/shared", NODE);
        is_active(&own) && errors(&own).is_empty()
    });
    assert_eq!(entry(&kubectl, "default/shared", "node-b"), other);
    let nodes = kubectl.get(&["dpi", "-n", "default", "shared"])["status"]["nodes"].clone();
    assert_eq!(nodes.as_array().map(Vec::len), Some(2), "{nodes}");
    sensor.stop();
    let own = entry(&kubectl, "default/shared", NODE);
    assert!(!own.is_null() && !is_active(&own), "stopped: {own}");
    assert_eq!(entry(&kubectl, "default/shared", "node-b"), other);
}

/// Statuses that the server took, by its own log.
fn successful_writes(plane: &ControlPlane) -> usize {
    let requests = plane.requests();
    let is_write = |it: &&crate::control_plane::Request| {
        it.action() == "update deeppacketinspections/status" && it.code() == 200
    };
    requests.iter().filter(is_write).count()
}

#[test]
fn bad_pods_and_resources_trouble_nobody_else() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    let labels: Value = json!({"app": "x"});
    // Two pods claim one address; a third is on the host's network; a selector that is none.
    create_pod(&kubectl, &pod("default", "one", "10.1.0.1", &labels));
    create_pod(&kubectl, &pod("default", "two", "10.1.0.1", &labels));
    let mut host = pod("default", "host", "192.168.1.1", &labels);
    host["spec"]["hostNetwork"] = json!(true);
    create_pod(&kubectl, &host);
    let mut annotated = pod("default", "odd", "", &labels);
    annotated["status"] = json!({"phase": "Running"});
    annotated["metadata"]["annotations"] =
        json!({"cni.projectcalico.org/podIPs": "10.1.0.300,not-an-address"});
    create_pod(&kubectl, &annotated);
    kubectl.apply(&resource("default", "wrong", "app == 'x' &&"));
    kubectl.apply(&resource("default", "right", "app == 'x'"));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/right", NODE)));
    sensor.wait("error", |_| errors(&entry(&kubectl, "default/wrong", NODE)).contains("column"));
    assert!(!is_active(&entry(&kubectl, "default/wrong", NODE)));
    let right = entry(&kubectl, "default/right", NODE);
    assert!(!errors(&right).contains("column"), "{right}");
    assert!(
        sensor.said().contains("10.1.0.300") || errors(&right).contains("10.1.0.300"),
        "{}",
        sensor.said()
    );
    sensor.stop();
}

#[test]
fn a_namespace_that_is_deleted_takes_its_resource_along_and_nothing_else() {
    let Some((mut plane, kubectl, proxy)) = surroundings() else { return };
    if !plane.start_manager() {
        return;
    }
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    kubectl.run(&["create", "namespace", "fleeting"]);
    kubectl.apply(&resource("fleeting", "gone", "all()"));
    create_pod(&kubectl, &pod("fleeting", "gone", "10.1.0.77", &json!({})));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "fleeting/gone", NODE)));
    // What is followed from here on is one more than these.
    sensor.wait("endpoint", |it| it.metric("pollux_endpoints") == Some(1.0));
    follows(&kubectl, &mut sensor, "staying");
    let told = entry(&kubectl, "default/staying", NODE);
    kubectl.run(&["delete", "namespace", "fleeting", "--wait=false"]);
    // There is no kubelet to say that the pod has ended.
    delete_pod(&kubectl, "fleeting", "gone");
    sensor.wait("departure", |it| {
        it.metric("pollux_resources") == Some(1.0) && it.metric("pollux_endpoints") == Some(1.0)
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(entry(&kubectl, "default/staying", NODE), told);
    assert_eq!(sensor.metric("pollux_status_behind"), Some(0.0), "{}", sensor.said());
    sensor.stop();
}

#[test]
fn a_resource_that_comes_and_goes_at_once_leaves_nothing_behind() {
    let Some((plane, kubectl, proxy)) = surroundings() else { return };
    let mut sensor = sensor_behind(&plane, &proxy);
    sensor.wait_ready();
    // Every write comes too late.
    proxy.fault(3, Fault::Delay(Duration::from_secs(1)), Asked::writes_status);
    for number in 0..3 {
        kubectl.apply(&resource("default", &format!("brief-{number}"), "all()"));
        std::thread::sleep(Duration::from_millis(150));
        kubectl.run(&["delete", "dpi", &format!("brief-{number}")]);
    }
    follows(&kubectl, &mut sensor, "lasting");
    sensor.wait("rest", |it| it.metric("pollux_status_behind") == Some(0.0));
    assert_eq!(sensor.metric("pollux_resources"), Some(1.0));
    sensor.stop();
}
