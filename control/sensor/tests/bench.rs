//! `pollux bench`: what it says is the ledger's, to the packet, with reloads and with several workers.

mod common;

use common::{pollux, repository};
use serde_json::Value;

/// Runs it for a moment at a rate that any machine can do, with more flags.
fn bench(more: &[&str]) -> Value {
    searching(&[&["--rate", "3000"], more].concat())
}

/// Runs it for a moment, with more flags.
fn searching(more: &[&str]) -> Value {
    let rules = repository("deploy/examples/rules").display().to_string();
    let words = ["bench", "--json", "-q", "-S", &rules, "--cache", "off", "--seconds", "0.5"];
    let mix = ["--flows", "300", "--scoped", "40", "--ring", "16384"];
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
fn in_a_soak_pods_come_and_go_and_memory_is_told() {
    let changes = ["--reload-every", "1", "--churn-every", "0.2"];
    let soak = ["--envelope", "vxlan", "--soak", "9", "--growth", "90"];
    let it = bench(&[&changes[..], &soak].concat());
    assert!(it["run"]["seconds"].as_f64() >= Some(9.0), "{}", it["run"]);
    let resident = it["growth"]["resident"].as_array().expect("bytes by the second");
    assert!(resident.len() >= 8 && resident.iter().all(|bytes| number(bytes) > 1 << 20));
    assert!(number(&it["reloads"]["published"]) >= 10, "{}", it["reloads"]);
    let cost = &it["reload_cost"];
    assert!(
        cost["least"].as_f64() > Some(0.0) && cost["of"].as_array().is_some_and(|of| of.len() == 1)
    );
    // What is in the envelope is in scope, or not, as without.
    let totals = &it["ledger"]["totals"];
    assert!(number(&totals["inspected"]) > 0 && number(&totals["unscoped"]) > 0);
}

#[test]
fn a_soak_goes_by_a_rate_that_has_held_and_offers_a_share_of_what_the_workers_take() {
    // So small a share that any machine can do it.
    let it = searching(&["--reload-every", "1", "--soak", "9", "--at", "5", "--growth", "90"]);
    let rate = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    let found = rate(&it["zero_loss_pps"]);
    let trials = it["confirmations"].as_array().expect("longer trials");
    let held = trials.last().expect("one at least");
    assert_eq!(held["lost"], 0, "{held}");
    assert!(rate(&held["seconds"]) >= 1.5 && found <= rate(&held["pps"]), "{found}, {held}");
    let offered = &it["run"]["offered"];
    let [least, median, most] = ["least", "median", "most"].map(|what| rate(&offered[what]));
    assert!(0.0 < least && least <= median && median <= most, "{offered}");
    assert!(most <= found * 1.001, "{offered} of {found}");
    assert!(number(&offered["adjusted"]) >= 20, "{offered}");
    let every = rate(&offered["every"]);
    assert!(every <= 0.1 && every * found <= 16_384.0 / 2.0 * 1.001, "{offered}");
    assert!(rate(&it["run"]["pps"]) <= most * 1.05, "{}", it["run"]);
    assert!(it["run"]["stolen"].as_f64().is_some_and(|part| (0.0..1.0).contains(&part)));
    assert!(it["without_reloads"]["offered"].is_null(), "a fixed rate");
}

#[test]
fn a_soak_that_is_too_short_to_tell_is_an_error() {
    let words =
        ["bench", "-q", "--cache", "off", "--seconds", "0.3", "--rate", "1000", "--soak", "1"];
    pollux(words.iter().map(ToString::to_string)).expect(1).says(&["at least 8 seconds"]);
}

#[test]
fn parameters_that_cannot_be_are_told() {
    for (words, said) in [
        (["--mix", "ftp=1"], "none of http, dns, tls"),
        (["--mix", "http=0"], "above 0"),
        (["--frame-bytes", "20000"], "64 to 1444"),
        (["--envelope", "ipsec"], "none of none, vlan"),
        (["--seconds", "0"], "above 0"),
    ] {
        let words = [&["bench"][..], &words].concat();
        pollux(words.iter().map(ToString::to_string)).expect(2).says(&[said]);
    }
}
