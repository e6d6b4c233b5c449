//! What deploy/ holds is what the API server takes, systemd understands, and the binary prints.

use std::fs;
use std::process::Command;

use crate::common::{binary, finish, pollux, repository};
use crate::control_plane::ControlPlane;

const DAEMON_SET: &str = "deploy/kubernetes";

#[test]
fn the_crd_in_deploy_is_what_the_binary_prints() {
    let kept = fs::read_to_string(repository("deploy/kubernetes/crd/crd.yaml")).expect("read");
    let printed = pollux(["crd"]).expect(0).stdout;
    assert_eq!(kept, printed, "write it anew: pollux crd > deploy/kubernetes/crd/crd.yaml");
}

#[test]
fn the_api_server_takes_all_of_deploy() {
    let Some(plane) = ControlPlane::start() else { return };
    let kubectl = plane.kubectl();
    let folder = repository(DAEMON_SET);
    let folder = folder.to_str().expect("a path");
    let crd = format!("{folder}/crd");
    kubectl.run(&["apply", "-k", &crd, "--dry-run=server"]);
    kubectl.run(&["apply", "-k", &crd]);
    // A dry run makes no namespace, which the others want to be in.
    kubectl.run(&["apply", "-f", &format!("{folder}/namespace.yaml")]);
    let said = kubectl.run(&["apply", "-k", folder, "--dry-run=server"]);
    for kind in [
        "namespace/pollux",
        "serviceaccount/pollux",
        "clusterrole.rbac.authorization.k8s.io/pollux",
        "clusterrolebinding.rbac.authorization.k8s.io/pollux",
        "role.rbac.authorization.k8s.io/pollux",
        "rolebinding.rbac.authorization.k8s.io/pollux",
        "configmap/pollux-config-",
        "configmap/pollux-rules",
        "daemonset.apps/pollux",
    ] {
        assert!(said.lines().any(|line| line.starts_with(kind)), "no {kind} in {said}");
    }
    assert!(said.lines().all(|line| line.ends_with("(server dry run)")), "{said}");
    // Without the dry run too, and again without a change.
    kubectl.run(&["apply", "-k", folder]);
    let again = kubectl.run(&["apply", "-k", folder]);
    assert!(again.lines().all(|line| line.ends_with("unchanged")), "{again}");
    let set = kubectl.get(&["daemonset", "pollux", "-n", "pollux"]);
    let volumes = set["spec"]["template"]["spec"]["volumes"].as_array().expect("volumes");
    let config = volumes.iter().find(|it| it["name"] == "config").expect("there");
    let name = config["configMap"]["name"].as_str().expect("a name");
    assert!(name.starts_with("pollux-config-"), "{name}");
    assert!(kubectl.get(&["configmap", name, "-n", "pollux"])["data"]["pollux.toml"].is_string());
}

#[test]
fn systemd_understands_the_unit_and_finds_it_confined() {
    let analyze = |words: &[&str]| finish(Command::new("systemd-analyze").args(words));
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is absent");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("pollux.service");
    let text = fs::read_to_string(repository("deploy/systemd/pollux.service")).expect("read");
    // It is not installed here.
    let here = text.replace("/usr/bin/pollux", &binary().display().to_string());
    fs::write(&unit, here).expect("written");
    let unit = unit.to_str().expect("a path");
    let run = analyze(&["verify", "--man=no", unit]).expect(0);
    assert_eq!(run.stderr, "", "{run}");
    // 0 is wholly confined, 10 is a plain service; above the threshold it fails.
    analyze(&["security", "--offline=true", "--threshold=26", unit]).expect(0);
}

#[test]
fn configuration_of_deploy_is_understood() {
    // What is wrong with the configuration is said before a port is opened, with status 2.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pollux.toml");
    let text = fs::read_to_string(repository("deploy/kubernetes/pollux.toml")).expect("read");
    fs::write(&file, format!("{text}\n[nonsense]\n")).expect("written");
    let run = pollux(["run".as_ref(), "-c".as_ref(), file.as_os_str()]).expect(2);
    let complaints = run.stderr.lines().filter(|it| it.contains("pollux.toml:")).count();
    assert_eq!(complaints, 1, "only what was put in is wrong: {run}");
    assert!(run.stderr.contains("nonsense"), "{run}");
}

#[test]
fn the_rules_in_deploy_load() {
    let text = fs::read_to_string(repository("deploy/kubernetes/rules.yaml")).expect("read");
    let (_, rules) = text.split_once("local.rules: |\n").expect("rules");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("local.rules");
    fs::write(&file, rules.replace("\n    ", "\n").trim_start()).expect("written");
    let run = pollux(["rules".as_ref(), "check".as_ref(), "--json".as_ref(), file.as_os_str()]);
    let report = run.expect(0).json();
    assert!(report["loaded"].as_u64() > Some(0), "{report}");
    assert_eq!(report["rejected"], 0, "{report}");
}
