//! A packet whose processing panics is one drop in the ledger; the sensor goes on without it.

use std::process::Command;

use traffic::Example;

#[test]
fn a_panic_costs_one_packet_and_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let capture = directory.path().join("example.pcap");
    let example = Example::new(1).expect("an example");
    example.write(std::fs::File::create(&capture).expect("a file")).expect("written");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples/rules");
    let output = Command::new(env!("CARGO_BIN_EXE_pollux"))
        .args(["replay", "--drill-panic", "100", "-k", "none", "-S", rules, "-l"])
        .arg(directory.path())
        .arg(&capture)
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let ledger = std::fs::read(directory.path().join("ledger.json")).expect("a ledger");
    let ledger: serde_json::Value = serde_json::from_slice(&ledger).expect("JSON");
    let totals = &ledger["totals"];
    let sum =
        ["inspected", "unscoped", "dropped"].map(|name| totals[name].as_u64().expect("a count"));
    assert_eq!(totals["received"], example.packets.len() as u64);
    assert_eq!(totals["received"], sum.iter().sum::<u64>());
    assert_eq!(ledger["ports"][0]["queues"][0]["dropped"]["worker_panic"], 1);
    assert_eq!(ledger["trouble"]["panics"], 1);
    assert!(ledger["alerts"]["written"].as_u64().expect("a count") > 0, "it has gone on");
}
