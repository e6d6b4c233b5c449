//! A port that goes down, comes back and disappears under a running sensor: it stays up, says what
//! happened, goes on with what comes, and its ledger balances. Needs root.

mod common;

use std::fs;

use common::live::{Net, Sensor, TAP, write_capture};
use common::repository;
use serde_json::Value;
use traffic::Example;

/// The first resource's entry for this node.
fn status(sensor: &Sensor) -> Value {
    sensor.results.statuses().first().map_or(Value::Null, |it| it["status"]["nodes"][0].clone())
}

/// Whether the status says that the port is down.
fn says_down(sensor: &Sensor) -> bool {
    let status = status(sensor);
    let conditions = status["errorConditions"].as_array().cloned().unwrap_or_default();
    let word = format!("port {TAP} is down");
    let told = conditions.iter().any(|it| it["message"].to_string().contains(&word));
    assert_eq!(told, status["active"]["success"] != true, "{status}");
    told
}

#[test]
fn a_port_that_flaps_and_disappears_is_told_and_survived() {
    let Some(net) = Net::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |below: &str| folder.path().join(below);
    let example = Example::new(1).expect("an example");
    write_capture(&at("example.pcap"), &example.packets);
    let sources = ["resources", "rules"].map(|it| repository("deploy/examples").join(it));
    let text = format!(
        "[sensor]\nnode = \"node-a\"\n[[ports]]\ndevice = \"{TAP}\"\nmtu = 1600\n\
         [source]\ndirectory = \"{}\"\n[rules]\npaths = [\"{}\"]\ncache = \"off\"\n\
         [outputs]\ndirectory = \"{}\"\n[memory]\nhugepages = \"no\"\n",
        sources[0].display(),
        sources[1].display(),
        at("out").display(),
    );
    fs::write(at("pollux.toml"), text).expect("written");
    let mut sensor = Sensor::start(&net, folder.path());
    sensor.wait("active status", |it| status(it)["active"]["success"] == true);
    let sent = net.send(&at("example.pcap"), 3000);
    sensor.wait("packets in the ledger", |it| it.accounted() == sent);

    for _ in 0..3 {
        net.must(&["ip", "link", "set", TAP, "down"]);
        sensor.wait("word of the link that is down", says_down);
        net.must(&["ip", "link", "set", TAP, "up"]);
        sensor.wait("word of the link that is back", |it| !says_down(it));
    }
    sensor.wait("a line in the log", |it| it.said().contains("the link went down"));
    let before = sensor.accounted();
    let again = net.send(&at("example.pcap"), 3000);
    sensor.wait("packets after the flaps", |it| it.accounted() >= before + again);

    net.must(&["ip", "link", "del", TAP]);
    sensor.wait("word of the port that is gone", says_down);
    std::thread::sleep(std::time::Duration::from_secs(2));
    sensor.stop();
    let ledger = sensor.results.ledger();
    assert!(ledger.total("received") > 0 && ledger.0["trouble"]["panics"] == 0);
}
