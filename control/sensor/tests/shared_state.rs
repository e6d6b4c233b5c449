//! What rules share across flows, and what stands beside rule files, from capture to eve.json: bits
//! of hosts, data sets and their files, reputation, tags, `threshold.config`.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::Results;
use serde_json::Value;
use tempfile::TempDir;
use traffic::{Path, PcapWriter, START, Side, frame};

/// A folder with rules and a capture.
struct Bench(TempDir);

/// A datagram: second, client's last octet, server's last octet, who sends, payload.
type Datagram = (u64, u8, u8, Side, &'static str);

impl Bench {
    fn new(rules: &str, datagrams: &[Datagram]) -> Self {
        let bench = Self(tempfile::tempdir().expect("a folder"));
        bench.write("a.rules", rules);
        let mut capture = PcapWriter::new(Vec::new()).expect("a capture");
        for (id, &(second, client, server, from, payload)) in (1u16..).zip(datagrams) {
            // Every datagram from a port of its own: each is a flow.
            let path = Path::new(
                ([10, 0, 0, client], 1000 + u16::from(client)).into(),
                ([10, 0, 0, server], 2000).into(),
            );
            let mut bytes = Vec::new();
            frame::udp(&mut bytes, &path, from, id, payload.as_bytes());
            capture.write(START + second * 1_000_000, &bytes).expect("written");
        }
        fs::write(bench.path("a.pcap"), capture.finish().expect("written")).expect("written");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Lines of eve.json and how many alerts each sid has.
    fn replay(&self, words: &[&str]) -> (Vec<Value>, BTreeMap<u64, usize>) {
        let usual = ["replay", "-S", "a.rules", "-l", "out", "--cache", "off"];
        let words = [&usual[..], words, &["a.pcap"]].concat();
        let mut command = Command::new(common::binary());
        common::finish(command.args(words).current_dir(self.0.path())).expect(0);
        let ledger = Results::of(&self.path("out")).ledger_now();
        ledger.check();
        let text = fs::read_to_string(self.path("out/eve.json")).expect("eve.json");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(ledger.alert("written"), lines.len() as u64);
        let mut sids = BTreeMap::new();
        for line in lines.iter().filter(|line| line["event_type"] == "alert") {
            let sid = line["alert"]["signature_id"].as_u64().expect("a sid");
            *sids.entry(sid).or_default() += 1;
        }
        (lines, sids)
    }
}

fn counts<const N: usize>(of: [(u64, usize); N]) -> BTreeMap<u64, usize> {
    BTreeMap::from(of)
}

#[test]
fn bits_of_hosts_and_pairs_are_seen_by_other_flows_until_they_run_out() {
    let rules = r#"
alert udp any any -> any any (content:"mark"; xbits:set,a,track ip_src,expire 10; sid:1;)
alert udp any any -> any any (content:"ask"; xbits:isset,a,track ip_src; sid:2;)
alert udp any any -> any any (content:"ask"; hostbits:isset,a,dst; sid:3;)
alert udp any any -> any any (content:"mark"; xbits:set,b,track ip_pair,expire 10; sid:4;)
alert udp any any -> any any (content:"ask"; xbits:isset,b,track ip_pair; sid:5;)
"#;
    let (client, server) = (Side::Client, Side::Server);
    let bench = Bench::new(
        rules,
        &[
            (0, 1, 9, client, "mark"),
            (1, 1, 8, client, "ask"),
            (2, 2, 1, client, "ask"),
            (3, 1, 9, server, "ask"),
            (30, 1, 9, client, "ask"),
        ],
    );
    let wanted = counts([(1, 1), (2, 1), (3, 2), (4, 1), (5, 1)]);
    assert_eq!(bench.replay(&[]).1, wanted);
}

#[test]
fn data_sets_are_loaded_changed_and_saved_in_their_folder_only() {
    let rules = r#"
alert udp any any -> any any (ip.src; dataset:set,seen,type ipv4,state seen.lst; sid:1;)
alert udp any any -> any any (ip.dst; dataset:isset,bad,type ip,load bad.lst; sid:2;)
alert udp any any -> any any (ip.src; dataset:set,out,type ip,save ../out.lst; sid:3;)
alert udp any any -> any any (ip.src; datarep:rep,>,5,type ip,load rep.lst; sid:4;)
"#;
    let from = Side::Client;
    let bench =
        Bench::new(rules, &[(0, 1, 9, from, "x"), (1, 2, 8, from, "x"), (2, 1, 8, from, "x")]);
    bench.write("bad.lst", "10.0.0.9\n");
    bench.write("rep.lst", "10.0.0.1,7\n10.0.0.2,3\n");
    fs::create_dir(bench.path("data")).expect("made");
    let words = ["--data-dir", "data"];
    assert_eq!(bench.replay(&words).1, counts([(1, 2), (2, 1), (4, 2)]));
    let saved = fs::read_to_string(bench.path("data/seen.lst")).expect("saved");
    assert_eq!(saved, "10.0.0.1\n10.0.0.2\n");
    assert!(!bench.path("out.lst").exists());
    // What was seen in the first run is known in the second.
    assert_eq!(bench.replay(&words).1, counts([(2, 1), (4, 2)]));
    // Without a folder for data the rule that saves does not load.
    assert_eq!(bench.replay(&[]).1, counts([(2, 1), (4, 2)]));
}

#[test]
fn reputation_comes_from_suricatas_own_settings() {
    let rules = "alert udp any any -> any any (iprep:src,Bad,>,10; sid:1;)\n";
    let from = Side::Client;
    let bench = Bench::new(rules, &[(0, 1, 9, from, "x"), (1, 2, 9, from, "x")]);
    bench.write("categories", "1,Bad,Known bad\n");
    bench.write("scores", "10.0.0.2,1,99\n10.0.0.1,1,3\n");
    bench.write(
        "s.yaml",
        "%YAML 1.1\n---\nreputation-categories-file: categories\ndefault-reputation-path: .\n\
         reputation-files:\n  - scores\n",
    );
    assert_eq!(bench.replay(&["--suricata-yaml", "s.yaml"]).1, counts([(1, 1)]));
    assert_eq!(bench.replay(&[]).1, counts([]));
}

#[test]
fn packets_after_a_match_are_tagged_and_told_of() {
    let rules = r#"alert udp any any -> any any (content:"mark"; tag:host,3,packets,src; sid:1;)
alert udp any any -> any any (content:"flow"; tag:session,2,seconds; sid:2;)
"#;
    let from = Side::Client;
    let bench = Bench::new(
        rules,
        &[
            (0, 1, 9, from, "mark"),
            (1, 7, 8, from, "other"),
            (2, 1, 8, from, "x"),
            (3, 2, 1, from, "x"),
            (4, 1, 9, from, "x"),
            (5, 3, 9, from, "flow"),
            (6, 3, 9, Side::Server, "x"),
            (9, 3, 9, from, "x"),
        ],
    );
    let (lines, sids) = bench.replay(&[]);
    assert_eq!(sids, counts([(1, 1), (2, 1)]));
    let tagged = |line: &&Value| line["event_type"] == "packet";
    let packets: Vec<_> =
        lines.iter().filter(tagged).map(|line| line["pcap_cnt"].as_u64()).collect();
    assert_eq!(packets, [Some(3), Some(4), Some(7)]);
    let packet = lines.iter().find(tagged).expect("a packet");
    assert!(packet["packet"].is_string() && packet["packet_info"]["linktype"] == 1, "{packet}");
    assert!(packet.get("alert").is_none());
}

#[test]
fn alerts_are_held_back_as_the_threshold_file_says() {
    let rule = |sid: u32, more: &str| {
        format!("alert udp any any -> any any (content:\"x\"; {more} sid:{sid};)\n")
    };
    let own = "threshold: type limit, track by_src, count 1, seconds 60;";
    let rules: String = (1..=7).map(|sid| rule(sid, if sid == 5 { own } else { "" })).collect();
    let datagrams: Vec<Datagram> =
        (0..12).map(|at| (at / 2, 1 + u8::from(at % 2 == 1), 9, Side::Client, "x")).collect();
    let bench = Bench::new(&rules, &datagrams);
    bench.write(
        "th",
        "# held back\nsuppress gen_id 1, sig_id 1\n\
         suppress gen_id 1, sig_id 2, track by_src, ip 10.0.0.1\n\
         suppress gen_id 1, sig_id 3, track by_either, ip [$LAB,192.0.2.0/24]\n\
         threshold gen_id 1, sig_id 4, type threshold, \\\n  track by_src, count 3, seconds 60\n\
         event_filter gen_id 1, sig_id 5, type limit, track by_src, count 2, seconds 60\n\
         rate_filter gen_id 1, sig_id 6, track by_src, count 2, seconds 60, new_action pass, timeout 2\n\
         nonsense\n",
    );
    let words = ["--set", "threshold-file=th", "--set", "vars.address-groups.LAB=10.0.0.2"];
    let wanted = counts([(2, 6), (3, 6), (4, 4), (5, 4), (6, 6), (7, 12)]);
    for workers in ["1", "2"] {
        let words = [&words[..], &["--workers", workers]].concat();
        assert_eq!(bench.replay(&words).1, wanted);
    }
}

#[test]
fn a_rule_that_costs_too_much_is_set_aside_and_named() {
    let rules = r#"alert udp any any -> any any (content:"a"; content:"a"; distance:0; content:"a"; distance:0; byte_test:1,=,0x62,0,relative; sid:1;)
alert udp any any -> any any (content:"aaaa"; sid:2;)
"#;
    let payload: &'static str = Box::leak("a".repeat(1000).into_boxed_str());
    let datagrams = [(0, 1, 9, Side::Client, payload); 150];
    let bench = Bench::new(rules, &datagrams);
    assert_eq!(bench.replay(&[]).1, counts([(2, 150)]));
    let text = fs::read_to_string(bench.path("out/ledger.json")).expect("a ledger");
    let ledger: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(ledger["trouble"]["rules_set_aside"]["1:1"], 1, "{ledger}");
    assert_eq!(ledger["trouble"]["budget_exceeded"], 100, "{ledger}");
}

#[test]
fn nothing_more_of_a_flow_is_looked_at_after_bypass() {
    let rules = r#"alert udp any any -> any any (content:"go"; bypass; sid:1;)
alert udp any any -> any any (content:"x"; sid:2;)
"#;
    let from = Side::Client;
    let bench = Bench::new(
        rules,
        &[
            (0, 1, 9, from, "x"),
            (1, 1, 9, from, "go x"),
            (2, 1, 9, from, "x"),
            (3, 2, 9, from, "x"),
        ],
    );
    assert_eq!(bench.replay(&[]).1, counts([(1, 1), (2, 3)]));
}
