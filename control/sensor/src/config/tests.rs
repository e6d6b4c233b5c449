//! Tests of configurations as a whole: what counts over what, and the corpus' own settings.

use std::path::{Path, PathBuf};

use super::*;

fn load(yaml: Option<&str>, toml: Option<&str>, set: &[&str]) -> Result<Loaded, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: Option<&str>| {
        let path = directory.path().join(name);
        text.map(|text| {
            std::fs::write(&path, text).expect("written");
            path
        })
    };
    let sources = Sources {
        file: write("pollux.toml", toml),
        suricata_yaml: write("suricata.yaml", yaml),
        set: set.iter().map(|set| (*set).to_owned()).collect(),
        live: false,
    };
    let prefix = format!("{}/", directory.path().display());
    Config::load(&sources).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

#[test]
fn the_command_line_counts_over_the_file_and_that_over_suricatas() {
    let yaml = "stream:\n  midstream: yes\n  async-oneside: yes\n  reassembly:\n    depth: 4kb\n\
                packet-alert-max: 3\n";
    let toml = "[streams]\nmidstream = false\nreassembly.depth = 8192\n";
    let loaded = load(Some(yaml), Some(toml), &["stream.reassembly.depth=16kb"]).expect("valid");
    let config = loaded.config;
    assert!(!config.streams.midstream && config.streams.async_oneside);
    assert_eq!((config.streams.depth, config.packet_alert_max), (16 << 10, 3));
    assert_eq!(loaded.passed_over, None);
}

#[test]
fn a_file_that_suricatas_configuration_names_may_be_beside_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let elsewhere = path("elsewhere.config").display().to_string();
    let yaml = format!(
        "classification-file: classes.config\nreference-config-file: none.config\n\
         threshold-file: {elsewhere}\n"
    );
    for (name, text) in [("suricata.yaml", yaml.as_str()), ("classes.config", "")] {
        std::fs::write(path(name), text).expect("written");
    }
    let sources = Sources { suricata_yaml: Some(path("suricata.yaml")), ..Sources::default() };
    let rules = Config::load(&sources).expect("valid").config.rules;
    assert_eq!(rules.classification, Some(path("classes.config")));
    assert_eq!(rules.references, Some(PathBuf::from("none.config")), "as it was named");
    assert_eq!(rules.threshold_file, Some(PathBuf::from(elsewhere)));
}

#[test]
fn suricatas_pcap_log_of_alerts_is_ours_and_one_of_everything_is_none() {
    let log = |more: &str| {
        let yaml = format!(
            "outputs:\n  - pcap-log:\n      filename: alerts.pcap\n      limit: 20mb\n      max-files: 7\n{more}"
        );
        load(Some(&yaml), None, &[]).expect("valid").config.outputs.pcap_log
    };
    let of_alerts = log("      enabled: yes\n      conditional: alerts\n");
    assert!(of_alerts.enabled);
    assert_eq!(of_alerts.path, PathBuf::from("alerts.pcapng"));
    assert_eq!((of_alerts.limit, of_alerts.max_files), (20 << 20, 7));
    assert!(!log("      enabled: yes\n      conditional: all\n").enabled);
    assert!(!log("      enabled: yes\n").enabled);
    assert!(!log("      enabled: no\n      conditional: alerts\n").enabled);
}

#[test]
fn suricatas_silence_is_not_our_default() {
    let depth = |yaml| load(yaml, None, &[]).expect("valid").config.streams.depth;
    assert_eq!(depth(None), 1 << 20);
    assert_eq!(depth(Some("%YAML 1.1\n---\n")), 0);
    assert_eq!(depth(Some("stream:\n  reassembly:\n    depth: 1mb\n")), 1 << 20);
}

#[test]
fn variables_and_alert_options_come_from_suricatas_file() {
    let yaml = "vars:\n  address-groups:\n    HOME_NET: \"[10.0.0.0/8]\"\n  port-groups:\n    \
                HTTP_PORTS: \"80\"\noutputs:\n  - eve-log:\n      enabled: no\n      types:\n        \
                - alert:\n            packet: yes\n  - eve-log:\n      enabled: yes\n      types:\n        \
                - alert:\n            payload: yes\n            payload-printable: yes\n            \
                payload-buffer-size: 8kb\n  - fast:\n      enabled: yes\naf-packet:\n  - interface: eth0\n";
    let loaded = load(Some(yaml), None, &["vars.port-groups.SSH_PORTS=22"]).expect("valid");
    let config = loaded.config;
    assert_eq!(config.vars.address_groups["HOME_NET"].0, "[10.0.0.0/8]");
    assert_eq!(config.vars.port_groups["HTTP_PORTS"].0, "80");
    assert_eq!(
        config.vars.port_groups["SSH_PORTS"].1.to_string(),
        "--set vars.port-groups.SSH_PORTS=22"
    );
    let eve = config.outputs.eve;
    assert!(eve.payload && eve.payload_printable && !eve.packet);
    assert_eq!(eve.payload_buffer_size, 8192);
    assert_eq!(
        loaded.passed_over.as_deref(),
        Some("settings of Suricata's that have no effect here: outputs.fast, af-packet")
    );
}

#[test]
fn the_policy_of_all_hosts_is_used_but_for_hosts_with_one_of_their_own() {
    let yaml = "host-os-policy:\n  windows: [0.0.0.0/0]\n  linux: []\n  old-linux: [2.2.2.2, \
                10.0.0.0/8]\n";
    let config = load(Some(yaml), None, &[]).expect("valid").config;
    assert_eq!(config.streams.policy, flow::Policy::Windows);
    assert_eq!(config.defrag.policy, flow::FragmentPolicy::Windows);
    let settings = crate::settings::settings(&config);
    let policy = |text: &str| settings.policy_of(text.parse().expect("an address"));
    assert_eq!(policy("2.2.2.2"), flow::Policy::OldLinux);
    assert_eq!(policy("10.9.9.9"), flow::Policy::OldLinux);
    assert_eq!(policy("2.2.2.3"), flow::Policy::Windows);
    let wrong = "host-os-policy:\n  linux: [10.0.0.0/40]\n";
    let error = load(Some(wrong), None, &[]).map(drop).expect_err("an error");
    assert!(error.contains("`10.0.0.0/40` is no address or network"), "{error}");
}

#[test]
fn errors_name_place_and_remedy() {
    let error = |yaml, set: &[&str]| load(yaml, None, set).map(drop).expect_err("an error");
    assert_eq!(
        error(
            None,
            &["stream.midstraem=true", "mpm-algo=ac", "nonsense", "streams.midstream=maybe"]
        ),
        "--set stream.midstraem=true: unknown setting `stream.midstraem`; did you mean \
         `stream.midstream`?\n--set nonsense: expected NAME=VALUE\n--set streams.midstream=maybe: \
         streams.midstream: expected true or false, found \"maybe\""
    );
    assert_eq!(
        error(Some("a: 1\nstream:\n  midstream: perhaps\n"), &[]),
        "suricata.yaml:3:14: stream.midstream: expected true or false, found \"perhaps\""
    );
    let missing =
        Sources { file: Some(PathBuf::from("/nowhere/pollux.toml")), ..Sources::default() };
    let error = Config::load(&missing).map(drop).expect_err("an error").to_string();
    assert!(error.starts_with("/nowhere/pollux.toml: No such file"), "{error}");
}

#[test]
fn checksums_are_skipped_if_either_says_so() {
    let effective =
        |set: &[&str]| load(None, None, set).expect("valid").config.effective_checksums();
    assert_eq!(effective(&[]), Checksums::Auto);
    assert_eq!(effective(&["stream.checksum-validation=no"]), Checksums::No);
    assert_eq!(effective(&["pcap-file.checksum-checks=no"]), Checksums::No);
    assert_eq!(effective(&["capture.checksum-validation=all"]), Checksums::Yes);
}

/// The shared corpus, if it is there.
fn corpus() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../");
    let shared = std::env::var_os("POLLUX_SHARED").map_or(root.join("../shared"), PathBuf::from);
    let tests = shared.join("corpus/suricata-verify/tests");
    if tests.is_dir() {
        return Some(tests);
    }
    println!("skipped: shared corpus absent");
    None
}

#[test]
fn every_suricata_configuration_of_the_corpus_is_read() {
    let Some(tests) = corpus() else { return };
    let mut files = Vec::new();
    let mut directories = vec![tests];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.file_name().is_some_and(|name| name == "suricata.yaml") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50);
    for file in files {
        let sources = Sources { suricata_yaml: Some(file.clone()), ..Sources::default() };
        if let Err(errors) = Config::load(&sources) {
            panic!("{}: {errors}", file.display());
        }
    }
}
