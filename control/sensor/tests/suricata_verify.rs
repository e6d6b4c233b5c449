//! Suricata's own tests, those that need only the first slice's keywords, through `pollux replay`.

mod common;

use std::process::Command;

use common::{binary, finish, shared};
use serde_json::Value;

/// How many must pass.
const LEAST: usize = 68;

#[test]
fn suricatas_own_tests_pass() {
    let Some(shared) = shared() else { return };
    let yaml = Command::new("python3").args(["-c", "import yaml"]).output();
    if !yaml.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 with yaml is absent");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let answer = folder.path().join("answer.json");
    let suite = shared.join("corpus/suricata-verify");
    let engine = format!(
        "'{}' replay -S {{rules}} -l {{outdir}} --cache '{}' --suricata-yaml {{yaml}} {{args}} \
         {{pcap}}",
        binary().display(),
        folder.path().join("cache").display()
    );
    let run = finish(
        Command::new("python3")
            .arg(shared.join("tools/sv_run.py"))
            .arg("--suite")
            .arg(suite.join("tests"))
            .arg("--names")
            .arg(suite.join("first-slice-tests.json"))
            .args(["--timeout", "60", "--engine", &engine, "--json"])
            .arg(&answer),
    );
    assert!(matches!(run.code, Some(0 | 1)), "{run}");
    let answer = std::fs::read_to_string(&answer).expect("an answer");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let results = answer["results"].as_array().expect("results");
    let by = |status: &str| -> Vec<&str> {
        let these = results.iter().filter(|result| result["status"] == status);
        these.filter_map(|result| result["name"].as_str()).collect()
    };
    let (passed, failed) = (by("passed"), by("failed"));
    println!("{} passed; failed: {failed:#?}; skipped: {:?}", passed.len(), by("skipped"));
    assert_eq!(answer["crashes_or_timeouts"], serde_json::json!([]));
    assert!(passed.len() >= LEAST, "only {} passed; {}", passed.len(), failed.join(", "));
    // An engine that never alerts passes those that expect none.
    assert!(answer["checks_ok"].as_u64() > Some(150), "{}", answer["checks_ok"]);
}
