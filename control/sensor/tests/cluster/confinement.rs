//! The capabilities that deploy/ gives the sensor are enough, and each of them is needed.

use std::fs;
use std::time::Duration;

use crate::child::Running;
use crate::common::live::{Net, TAP};
use crate::common::{binary, repository};

/// `CAP_NET_RAW` of `+net_raw`.
fn name(capability: &str) -> String {
    format!("CAP_{}", capability.trim_start_matches('+').to_uppercase())
}

/// What the DaemonSet's container adds to none.
fn capabilities() -> Vec<String> {
    let text = fs::read_to_string(repository("deploy/kubernetes/daemonset.yaml")).expect("read");
    let list = text.lines().find_map(|line| line.trim().strip_prefix("add: ["));
    let list = list.and_then(|it| it.strip_suffix(']')).expect("a list of capabilities");
    list.split(", ").map(|it| format!("+{}", it.to_lowercase())).collect()
}

/// Comes to inspect with these capabilities alone, and none to be had; else what it says.
fn inspects(net: &Net, capabilities: &[String]) -> Result<(), String> {
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
            return Ok(());
        }
        if running.ended().is_some() {
            return Err(fs::read_to_string(&log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_capabilities_in_deploy_are_enough_and_each_that_is_missing_is_named() {
    let Some(net) = Net::new() else { return };
    let all = capabilities();
    inspects(&net, &all).unwrap_or_else(|said| panic!("{all:?} are not enough: {said}"));
    for missing in &all {
        let others: Vec<String> = all.iter().filter(|it| *it != missing).cloned().collect();
        let said = inspects(&net, &others).expect_err(missing);
        assert!(said.contains(&name(missing)), "{missing} is not named: {said}");
    }
    let unit = fs::read_to_string(repository("deploy/systemd/pollux.service")).expect("read");
    let names: Vec<String> = all.iter().map(|it| name(it)).collect();
    for setting in ["CapabilityBoundingSet", "AmbientCapabilities"] {
        assert!(unit.contains(&format!("{setting}={}\n", names.join(" "))), "{setting} differs");
    }
}
