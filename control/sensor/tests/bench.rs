//! `pollux bench`: what it says is the ledger's, to the packet, with reloads and with several workers.

mod common;

use common::{pollux, repository};
use serde_json::Value;

/// Runs it for a moment at a rate that any machine can do, with more flags.
fn bench(more: &[&str]) -> Value {
    let rules = repository("deploy/examples/rules").display().to_string();
    let words = ["bench", "--json", "-q", "-S", &rules, "--cache", "off", "--seconds", "0.5"];
    let mix = ["--rate", "3000", "--flows", "300", "--scoped", "40", "--ring", "16384"];
    let run = pollux([&words[..], &mix, more].concat().iter().map(ToString::to_string)).expect(0);
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"))
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn every_packet_that_the_generator_sent_is_in_the_ledger() {
    let it = bench(&["--workers", "2"]);
    let totals = &it["ledger"]["totals"];
    let sum = number(&totals["inspected"]) + number(&totals["unscoped"]);
    assert_eq!(number(&totals["received"]), sum + number(&totals["dropped"]));
    assert!(
        number(&totals["received"])
            >= number(&it["capacity"]["packets"]) + number(&it["run"]["packets"])
    );
    assert!(number(&totals["inspected"]) > 0 && number(&totals["unscoped"]) > 0);
    // Spread as by a NIC with a symmetric hash, each worker has its share, and none is handed over.
    for queue in it["ledger"]["ports"][0]["queues"].as_array().expect("queues") {
        assert!(number(&queue["received"]) > 100, "{queue}");
        assert_eq!(queue["handed_out"], 0, "{queue}");
    }
    let bursts = &it["run"]["burst_ns"];
    assert!(number(&bursts["p50"]) > 0 && number(&bursts["p99.99"]) >= number(&bursts["p50"]));
    assert!(it["run"]["cycles_per_packet"].as_f64() > Some(10.0));
    assert!(
        (2_000.0..3_300.0).contains(&it["run"]["pps"].as_f64().expect("a rate")),
        "{}",
        it["run"]
    );
}

#[test]
fn rules_change_under_load_and_no_packet_is_unaccounted_for() {
    let it = bench(&["--reload-every", "0.15"]);
    let reloads = &it["reloads"];
    assert!(number(&reloads["asked"]) >= 4, "{reloads}");
    // What is asked for meanwhile is built once.
    let published = number(&reloads["published"]);
    assert!((2..=number(&reloads["asked"])).contains(&published), "{reloads}");
    assert_eq!(number(&it["ledger"]["generation"]), 1 + published);
    assert_eq!(it["ledger"]["trouble"]["panics"], 0);
}

#[test]
fn parameters_that_cannot_be_are_told() {
    for (words, said) in [
        (["--mix", "ftp=1"], "none of http, dns, tls"),
        (["--mix", "http=0"], "above 0"),
        (["--frame-bytes", "20000"], "64 to 1444"),
        (["--seconds", "0"], "above 0"),
    ] {
        let words = [&["bench"][..], &words].concat();
        pollux(words.iter().map(ToString::to_string)).expect(2).says(&[said]);
    }
}
