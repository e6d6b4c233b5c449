//! Real rules: an ET Open snapshot, and the rules of Suricata's own tests. Both are looked for in
//! the folder that `POLLUX_SHARED` names, `../shared` beside the repository by default.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rules::parse::{Classifications, Context, Names, load, parse_rules};

/// A folder of the shared corpus, if it is there.
fn corpus(part: &str) -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = match std::env::var_os("POLLUX_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => repository.join("../shared"),
    };
    let folder = shared.join("corpus").join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: shared corpus absent");
    None
}

/// The items of a JSON list of numbers or of strings without escapes.
fn items(json: &str) -> Vec<String> {
    let list = json.trim().trim_start_matches('[').trim_end_matches(']');
    let items = list.split(',').map(|item| item.trim().trim_matches('"').to_owned());
    items.filter(|item| !item.is_empty()).collect()
}

#[test]
fn rules_of_et_open_that_need_these_keywords_only_all_load() {
    let Some(folder) = corpus("rules/et-open") else { return };
    let text = fs::read(folder.join("emerging-composite.rules")).expect("the rules");
    let classes = fs::read_to_string(folder.join("classification.config")).expect("the classes");
    let (classes, faults) = Classifications::parse(&classes);
    assert_eq!(faults, []);
    let context = Context { classes, ..Context::default() };
    let start = std::time::Instant::now();
    let parsed = parse_rules("emerging.rules", &text, &context, &mut Names::default());
    println!("{} rules in {:?}", parsed.signatures.len(), start.elapsed());
    let loaded: BTreeSet<u32> = parsed.signatures.iter().map(|s| s.sid).collect();
    assert!(loaded.len() >= 24_600, "{}", loaded.len());
    let wanted = fs::read_to_string(folder.join("first-slice-sids.json")).expect("the list");
    let missing: Vec<String> =
        items(&wanted).into_iter().filter(|sid| !loaded.contains(&sid.parse().unwrap())).collect();
    assert!(missing.is_empty(), "{missing:?}: {:?}", parsed.rejections.first());
    // What is refused is refused for a keyword that it names, not for its syntax; but for a rule
    // with two thresholds, which Suricata does not take either.
    let refused = parsed.rejections.iter().filter(|rejection| rejection.sid != Some(2_016_867));
    for rejection in refused {
        assert!(rejection.reason.contains("not evaluated"), "{rejection}");
    }
    assert!(parsed.ignored > 10_000, "{}", parsed.ignored);
    // Every class is known there, and flows' state is used.
    assert!(
        parsed
            .signatures
            .iter()
            .filter_map(|s| s.class.as_ref())
            .all(|c| !c.description.is_empty())
    );
    assert!(parsed.signatures.iter().any(|s| !s.flowbit_tests.is_empty()));
}

#[test]
fn rules_of_suricatas_tests_that_need_these_keywords_only_all_load() {
    let Some(folder) = corpus("suricata-verify") else { return };
    let tests = fs::read_to_string(folder.join("first-slice-tests.json")).expect("the list");
    let tests = items(&tests);
    assert!(tests.len() > 50);
    // `pcre` with the flag P looks at the request's body, which is no keyword of its own there.
    let excused = ["detect-pcre/detect-pcre-02"];
    let mut seen = 0;
    for test in tests {
        let path = folder.join("tests").join(&test);
        let loaded = load([&path], &Context::default(), &mut Names::default());
        let missing_rules = loaded.errors.len() == 1 && loaded.files.is_empty();
        assert!(loaded.errors.is_empty() || missing_rules, "{test}: {:?}", loaded.errors);
        if excused.contains(&test.as_str()) {
            assert!(loaded.parsed.rejections.iter().all(|r| r.reason.contains("request_body")));
            continue;
        }
        assert!(missing_rules || !loaded.parsed.signatures.is_empty(), "{test}");
        assert_eq!(loaded.parsed.rejections, [], "{test}");
        seen += loaded.parsed.signatures.len();
    }
    assert!(seen > 150, "{seen}");
}
