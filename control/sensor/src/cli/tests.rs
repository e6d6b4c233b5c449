//! What the command line takes and refuses.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser as _};

use super::*;
use crate::config::Checksums;

fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("pollux").chain(words.iter().copied()))
}

fn replay(words: &[&str]) -> ReplayArgs {
    let words: Vec<&str> = std::iter::once("replay").chain(words.iter().copied()).collect();
    match parse(&words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command {
        Command::Replay(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn replay_takes_what_suricata_takes() {
    let args = replay(&[
        "-S",
        "a.rules",
        "-l",
        "out",
        "--suricata-yaml",
        "s.yaml",
        "-k",
        "none",
        "--runmode=single",
        "--simulate-ips",
        "--set",
        "stream.midstream=true",
        "--set",
        "mpm-algo=ac",
        "--init-errors-fatal",
        "--data-dir=out",
        "x.pcap",
    ]);
    assert_eq!(args.places.rules, ["a.rules"]);
    assert_eq!(args.places.checksums, Some(ChecksumArg::None));
    assert_eq!(args.config.set, ["stream.midstream=true", "mpm-algo=ac"]);
    assert_eq!(args.captures, [PathBuf::from("x.pcap")]);
    assert_eq!(args.data_dir, Some(PathBuf::from("out")));
    assert_eq!(args.suricata.given(), ["--runmode", "--simulate-ips", "--init-errors-fatal"]);
    let args = replay(&["-r", "x.pcap", "--runmode", "single"]);
    assert_eq!(args.all_captures().count(), 1);
    assert!(args.captures.is_empty());
}

#[test]
fn wrong_usage_has_status_two() {
    for words in [
        &["replay"][..],
        &["replay", "--workers", "0", "x.pcap"],
        &["replay", "--wrokers", "2", "x.pcap"],
        &["rules", "check"],
        &["selector"],
        &["selector", "all()", "--jsonl"],
        &["unknown"],
        &[],
    ] {
        assert_eq!(parse(words).expect_err("an error").exit_code(), 2, "{words:?}");
    }
    assert_eq!(parse(&["replay", "--help"]).expect_err("help").exit_code(), 0);
}

#[test]
fn every_command_shows_an_example() {
    fn check(command: &clap::Command) {
        if command.has_subcommands() {
            command.get_subcommands().for_each(check);
        } else {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{}", command.get_name());
        }
    }
    Cli::command().get_subcommands().for_each(check);
}

#[test]
fn flags_count_over_the_configuration() {
    let mut args = replay(&["-S", "a", "-s", "b", "-k", "none", "--cache", "off", "x.pcap"]);
    args.config.set = vec!["rules.paths=c".to_owned(), "rules.cache=/tmp/x".to_owned()];
    let config = args.load().expect("valid").config;
    assert_eq!(config.rules.paths, ["a", "b"]);
    assert_eq!(config.rules.cache, crate::config::CacheSetting::Off);
    assert_eq!(config.effective_checksums(), Checksums::No);
    let all = replay(&["-k", "all", "--set", "stream.checksum-validation=no", "x.pcap"]);
    assert_eq!(all.load().expect("valid").config.effective_checksums(), Checksums::Yes);
}

#[test]
fn run_needs_a_port() {
    let args = RunArgs {
        config: ConfigArgs { set: vec!["sensor.node=x".to_owned()], ..ConfigArgs::default() },
        ..RunArgs::default()
    };
    let error = args.load().map(drop).expect_err("no port").to_string();
    assert!(error.contains("[[ports]]"), "{error}");
}

/// The arguments of every test of the shared corpus, as its runner gives them.
#[test]
fn the_arguments_of_the_corpus_are_understood() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("POLLUX_SHARED").map_or(root, PathBuf::from);
    let Ok(_) = std::fs::read_dir(shared.join("corpus/suricata-verify/tests")) else {
        println!("skipped: shared corpus absent");
        return;
    };
    let mut directories = vec![shared.join("corpus/suricata-verify/tests")];
    let mut seen = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.file_name().is_some_and(|name| name == "test.yaml") {
                let text = std::fs::read_to_string(&path).expect("a file");
                #[derive(serde::Deserialize)]
                struct Test {
                    #[serde(default)]
                    args: Vec<String>,
                }
                let test: Test = serde_saphyr::from_str(&text).expect("valid YAML");
                let words: Vec<String> = test
                    .args
                    .iter()
                    .flat_map(|line| line.split_whitespace())
                    .map(|word| word.replace("${OUTPUT_DIR}", "out"))
                    .chain(["x.pcap".to_owned()])
                    .collect();
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let args = replay(&words);
                if let Err(error) = args.load() {
                    panic!("{}: {error}", path.display());
                }
                seen += usize::from(!test.args.is_empty());
            }
        }
    }
    assert!(seen > 100, "only {seen} tests have arguments");
}
