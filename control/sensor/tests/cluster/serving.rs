//! Who serves the resources, in the order of discovery; who serves none; and what `pollux crd --check` makes
//! of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Run, pollux};
use crate::control_plane::{ADMIN, ControlPlane, SENSOR};
use crate::example::{create_node, install_rights, resource};
use crate::faults::NODE;
use crate::sensor::{Setup, entry, entry_of, is_active};

#[test]
fn without_the_crd_the_sensor_says_so_and_takes_it_up_when_it_comes_and_comes_again() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    install_rights(&kubectl);
    create_node(&kubectl, NODE);
    let mut sensor = Setup::new(NODE, plane.kubeconfig(SENSOR)).start();
    sensor.wait("word of it", |it| it.said().contains("pollux crd | kubectl apply -f -"));
    for name in ["once", "again"] {
        kubectl.install_crd();
        kubectl.apply(&resource("default", name, "all()"));
        let of = format!("default/{name}");
        sensor.wait("active status", |_| is_active(&entry(&kubectl, &of, NODE)));
        kubectl.run(&["delete", "crd", "deeppacketinspections.projectcalico.org"]);
        sensor.wait("no resource", |it| it.metric("pollux_resources") == Some(0.0));
    }
    sensor.stop();
}

#[test]
fn resources_in_calicos_storage_group_are_taken_where_no_other_serves_them() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    install_rights(&kubectl);
    create_node(&kubectl, NODE);
    kubectl.install_stored_crd();
    let mut document: Value =
        serde_json::from_str(&resource("default", "stored", "all()")).expect("JSON");
    document["apiVersion"] = json!("crd.projectcalico.org/v1");
    kubectl.apply(&document.to_string());
    let mut sensor = Setup::new(NODE, plane.kubeconfig(SENSOR)).start();
    sensor.wait("active status", |_| {
        is_active(&entry_of(&kubectl, "crd.projectcalico.org", "default/stored", NODE))
    });
    sensor.stop();
}

/// `pollux crd --check` as an administrator.
fn check(plane: &ControlPlane) -> Run {
    let kubeconfig = plane.kubeconfig(ADMIN);
    pollux(["crd".as_ref(), "--check".as_ref(), "--kubeconfig".as_ref(), kubeconfig.as_os_str()])
}

#[test]
fn the_definition_is_for_clusters_that_have_use_for_it() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    let crd = pollux(["crd"]).expect(0).stdout;
    assert_eq!(check(&plane).expect(0).stdout, crd);
    kubectl.install_crd();
    assert_eq!(check(&plane).expect(0).stdout, crd, "also over an older one of ours");
    kubectl.install_stored_crd();
    let run = check(&plane).expect(1);
    assert_eq!(run.stdout, "");
    run.says(&["crd.projectcalico.org/v1", "a second place"]);
}

#[test]
fn an_aggregated_server_that_is_down_is_told_of_in_plain_words_and_waited_for() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    install_rights(&kubectl);
    create_node(&kubectl, NODE);
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v3.projectcalico.org"},
        "spec": {
            "group": "projectcalico.org", "version": "v3", "insecureSkipTLSVerify": true,
            "groupPriorityMinimum": 1500, "versionPriority": 200,
            "service": {"namespace": "calico-system", "name": "calico-api"},
        },
    });
    kubectl.apply(&service.to_string());
    let asked = ["get", "--raw", "/apis/projectcalico.org/v3"];
    let begin = Instant::now();
    while !kubectl.try_run(&asked).stderr.contains("unable to handle the request") {
        let run = kubectl.try_run(&asked);
        assert!(begin.elapsed() < Duration::from_secs(30), "no 503: {run}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let run = check(&plane).expect(1);
    assert_eq!(run.stdout, "");
    run.says(&[
        "calico-system/calico-api",
        "does not answer",
        "kubectl get apiservice v3.projectcalico.org",
    ]);

    let mut sensor = Setup::new(NODE, plane.kubeconfig(SENSOR)).start();
    sensor.wait("word of it", |it| {
        it.said().contains("whoever serves projectcalico.org/v3 in this cluster does not answer")
    });
    assert!(
        sensor.http("/readyz").is_some_and(|it| it.0 == 503),
        "what is to be inspected is unknown"
    );
    kubectl.run(&["delete", "apiservice", "v3.projectcalico.org"]);
    kubectl.install_crd();
    kubectl.apply(&resource("default", "late", "all()"));
    sensor.wait("active status", |_| is_active(&entry(&kubectl, "default/late", NODE)));
    sensor.stop();
}
