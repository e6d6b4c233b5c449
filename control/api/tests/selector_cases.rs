//! The shared corpus of selectors with the answers of Calico's own parser.
//! Skipped, with a message, where the corpus is absent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::Selector;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    selector: String,
    valid: bool,
    canonical: Option<String>,
    uid: Option<String>,
    matches: Vec<BTreeMap<String, String>>,
    nonmatches: Vec<BTreeMap<String, String>>,
}

#[test]
fn every_case_of_the_shared_corpus_agrees() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared =
        std::env::var("POLLUX_SHARED").map_or_else(|_| root.join("../shared"), PathBuf::from);
    let path = shared.join("corpus/selector_cases.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: shared corpus absent");
        return;
    };
    let cases: Vec<Case> = serde_json::from_str(&text).expect("the corpus is a list of cases");
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in &cases {
        let shown: String = case.selector.chars().take(80).collect();
        match Selector::parse(&case.selector) {
            Err(error) if case.valid => wrong.push(format!("{shown:?}: refused: {error}")),
            Err(_) => {}
            Ok(_) if !case.valid => wrong.push(format!("{shown:?}: accepted")),
            Ok(parsed) => {
                if Some(parsed.canonical()) != case.canonical {
                    wrong.push(format!("{shown:?}: canonical {}", parsed.canonical()));
                }
                if Some(parsed.uid()) != case.uid {
                    wrong.push(format!("{shown:?}: uid {}", parsed.uid()));
                }
                for labels in case.matches.iter().filter(|labels| !parsed.matches(*labels)) {
                    wrong.push(format!("{shown:?}: must match {labels:?}"));
                }
                for labels in case.nonmatches.iter().filter(|labels| parsed.matches(*labels)) {
                    wrong.push(format!("{shown:?}: must not match {labels:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    println!("{} cases agree", cases.len());
}
