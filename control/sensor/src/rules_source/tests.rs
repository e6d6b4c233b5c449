//! Rules from files, end to end.

use super::*;
use crate::config::RuleSetConfig;

const GOOD: &str = "alert tcp $LAB any -> any any (msg:\"a\"; content:\"abcdef\"; sid:1;)\n";
const BAD: &str = "alert tcp any any -> any any (nokeyword:1; sid:2;)\n";

fn config(directory: &Path, rules: &str) -> Config {
    std::fs::write(directory.join("a.rules"), rules).expect("written");
    let mut config = Config::default();
    config.rules.paths = vec![directory.display().to_string()];
    config.rules.cache = CacheSetting::Off;
    let place = Place::CommandLine("--set vars.address-groups.LAB=10.0.0.0/8".to_owned());
    config.vars.address_groups.insert("LAB".to_owned(), ("10.0.0.0/8".to_owned(), place));
    config
}

#[test]
fn rules_load_and_those_that_do_not_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config(directory.path(), &format!("{GOOD}{BAD}# {BAD}"));
    let loaded = load(&config, &mut Names::default(), false).expect("rules");
    assert_eq!(loaded.ruleset.signatures.len(), 1);
    assert_eq!((loaded.rejections.len(), loaded.ignored), (1, 1));
    let said = loaded.rejections[0].to_string();
    assert!(said.contains("a.rules:2:31: "), "{said}");
    assert_eq!(loaded.files, [directory.path().join("a.rules")]);
}

#[test]
fn a_variable_that_does_not_resolve_is_told_at_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path(), GOOD);
    let place = Place::File { file: "pollux.toml".to_owned(), line: 3, column: 7 };
    config.vars.address_groups.insert("LAB".to_owned(), ("$NOWHERE".to_owned(), place));
    let error = load(&config, &mut Names::default(), false).map(drop).expect_err("an error");
    assert!(error.is_usage());
    assert!(error.to_string().starts_with("pollux.toml:3:7: variable LAB: "), "{error}");
}

#[test]
fn a_path_without_rules_is_wrong_usage() {
    let mut config = Config::default();
    config.rules.paths = vec!["/nowhere/x.rules".to_owned()];
    let error = parse(&config, None, &mut Names::default()).map(drop).expect_err("an error");
    assert!(error.is_usage() && error.to_string().contains("/nowhere/x.rules"), "{error}");
}

#[test]
fn classes_beside_the_rules_are_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let rule = "alert tcp any any -> any any (classtype:home-made; sid:1;)\n";
    let config = config(directory.path(), rule);
    let file = directory.path().join("classification.config");
    std::fs::write(file, "config classification: home-made,Ours,2\nnonsense\n").expect("written");
    let parsed = parse(&config, None, &mut Names::default()).expect("rules");
    assert_eq!((parsed.signatures.len(), parsed.signatures[0].priority), (1, 2));
    assert_eq!(parsed.warnings.len(), 1);
    assert!(parsed.warnings[0].contains("classification.config:2:"), "{:?}", parsed.warnings);
}

#[test]
fn types_of_references_that_are_not_known_are_told_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let rule = |sid| {
        format!(
            "alert tcp any any -> any any (content:\"a\"; reference:ticket,1; reference:url,x; \
             sid:{sid};)\n"
        )
    };
    let mut config = config(directory.path(), &(rule(1) + &rule(2)));
    let warnings = |config: &Config| {
        let parsed = parse(config, None, &mut Names::default()).expect("rules");
        assert_eq!(parsed.signatures.len(), 2);
        parsed.warnings
    };
    let said = warnings(&config);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("`ticket`") && said[0].contains("2 in rules"), "{said:?}");
    let text = "config reference: ticket https://tickets.test/\nconfig reference: url http://\n";
    let file = directory.path().join("reference.config");
    std::fs::write(&file, text).expect("written");
    assert_eq!(warnings(&config), [""; 0]);
    config.rules.references = Some(directory.path().join("none"));
    let said = warnings(&config);
    assert!(said.len() == 2 && said[0].contains("well-known types of references"), "{said:?}");
}

#[test]
fn a_rule_has_a_bit_for_every_set_that_holds_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path(), GOOD);
    let other = "alert tcp any any -> any any (content:\"ghijkl\"; sid:7; rev:2;)\n";
    let older = "alert tcp any any -> any any (content:\"xyzxyz\"; sid:7; rev:1;)\n";
    let set = |maps: &[&str], paths: &[&str]| RuleSetConfig {
        config_maps: maps.iter().map(|map| (*map).to_owned()).collect(),
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
    };
    config.rules.sets.insert("a".to_owned(), set(&["web", "gone"], &["/nowhere/*.rules"]));
    config.rules.sets.insert("b".to_owned(), set(&["web"], &[]));
    let text = format!("{GOOD}{BAD}{older}{other}");
    let files = BTreeMap::from([("x.rules".to_owned(), text)]);
    let maps = BTreeMap::from([("web".to_owned(), files)]);
    let parsed = parse(&config, Some(&maps), &mut Names::default()).expect("rules");
    let masks: Vec<_> = parsed.signatures.iter().map(|it| (it.sid, it.rulesets)).collect();
    assert_eq!(masks, [(1, 0b111), (7, 0b110)]);
    let said: Vec<String> = parsed.rejections.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.starts_with("configmap/web/x.rules:2:")), "{said:?}");
    assert_eq!(said.iter().filter(|said| said.contains("nokeyword")).count(), 1, "{said:?}");
    let problems = &parsed.set_problems;
    assert!(problems[0].contains("/nowhere") && problems[1].contains("gone"), "{problems:?}");
    config.source.kubernetes = true;
    let parsed = parse(&config, None, &mut Names::default()).expect("rules");
    assert_eq!((parsed.signatures.len(), parsed.set_problems.len()), (1, 1), "not listed yet");
}

#[test]
fn a_second_load_comes_from_the_cache() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = config(directory.path(), GOOD);
    config.rules.cache = CacheSetting::Directory(directory.path().join("cache"));
    let cached = |config| {
        let loaded = load(config, &mut Names::default(), false).expect("rules");
        assert!(loaded.report.warnings.is_empty(), "{:?}", loaded.report.warnings);
        (loaded.report.cached, loaded.report.databases)
    };
    let (first, databases) = cached(&config);
    assert!(databases > 0);
    assert_eq!((first, cached(&config)), (0, (databases, databases)));
}
