//! The capabilities that deploy/ gives the sensor are enough, and each of them is needed.

use std::fs;
use std::time::Duration;

use crate::child::Running;
use crate::common::live::{Net, TAP};
use crate::common::{binary, repository};

/// What the DaemonSet's container adds to none.
fn capabilities() -> Vec<String> {
    let text = fs::read_to_string(repository("deploy/kubernetes/daemonset.yaml")).expect("read");
    let list = text.lines().find_map(|line| line.trim().strip_prefix("add: ["));
    let list = list.and_then(|it| it.strip_suffix(']')).expect("a list of capabilities");
    list.split(", ").map(|it| format!("+{}", it.to_lowercase())).collect()
}

/// Does it come to inspect with these capabilities alone, and none to be had?
fn inspects(net: &Net, capabilities: &[String]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |below: &str| folder.path().join(below).display().to_string();
    fs::create_dir(at("resources")).expect("made");
    let text = format!(
        "[[ports]]\ndevice = \"{TAP}\"\n[source]\ndirectory = \"{}\"\n[rules]\npaths = [\"{}\"]\n\
         cache = \"off\"\n[outputs]\ndirectory = \"{}\"\n[memory]\nsize = \"96mb\"\n",
        at("resources"),
        repository("deploy/examples/rules").display(),
        at("out"),
    );
    fs::write(at("pollux.toml"), text).expect("written");
    let mut set = vec!["-all".to_owned()];
    set.extend(capabilities.iter().cloned());
    let set = set.join(",");
    let mut command = net.command("setpriv");
    command.args(["--bounding-set", &set, "--inh-caps", &set, "--no-new-privs", "--"]);
    command.arg(binary()).args(["run", "-c", &at("pollux.toml")]);
    let log = folder.path().join("log");
    let mut running = Running::start_logged(&mut command, &log);
    loop {
        if fs::read_to_string(&log).unwrap_or_default().contains(&format!("inspecting {TAP}")) {
            assert_eq!(running.terminate(Duration::from_secs(20)), Some(0));
            return true;
        }
        if running.ended().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_capabilities_in_deploy_are_enough_and_each_is_needed() {
    let Some(net) = Net::new() else { return };
    let all = capabilities();
    assert!(inspects(&net, &all), "{all:?} are not enough");
    for missing in &all {
        let others: Vec<String> = all.iter().filter(|it| *it != missing).cloned().collect();
        assert!(!inspects(&net, &others), "{missing} is not needed");
    }
    let unit = fs::read_to_string(repository("deploy/systemd/pollux.service")).expect("read");
    let names: Vec<String> =
        all.iter().map(|it| format!("CAP_{}", it.trim_start_matches('+').to_uppercase())).collect();
    for setting in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        assert!(unit.contains(&format!("{setting}={}\n", names.join(" "))), "{setting} differs");
    }
}
