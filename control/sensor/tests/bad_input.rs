//! Wrong captures, rules, settings and resources: each is told of by name and place, with the exit
//! status that a script can go by, and spoils nothing of what is right.

mod common;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Results, Run, pollux};
use serde_json::Value;
use tempfile::TempDir;
use traffic::Example;

const RULE: &str = r#"alert tcp any any -> any any (msg:"a request"; content:"GET "; sid:1;)"#;

/// A folder with a rule file and a capture that are right.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        bench.write("ok.rules", RULE);
        bench.write("ok.pcap", capture());
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    fn results(&self) -> Results {
        Results::of(&self.path("out"))
    }

    /// Runs the binary in the folder, where messages name files as they were given.
    fn run(&self, words: &[&str]) -> Run {
        common::finish(Command::new(common::binary()).args(words).current_dir(self.folder.path()))
    }

    /// Replays with these words after the usual ones.
    fn replay(&self, words: &[&str]) -> Run {
        let usual = ["replay", "-l", "out", "--cache", "off"];
        self.run(&[&usual[..], words].concat())
    }
}

fn capture() -> Vec<u8> {
    Example::new(1).and_then(|example| example.write(Vec::new())).expect("an example")
}

#[test]
fn a_capture_that_is_none_is_named_and_nothing_is_written() {
    let bench = Bench::new();
    fs::create_dir(bench.path("folder.pcap")).expect("made");
    let run = bench.replay(&["-S", "ok.rules", "missing.pcap"]);
    run.expect(2).says(&["missing.pcap", "No such file"]);
    let run = bench.replay(&["-S", "ok.rules", "ok.pcap", "folder.pcap"]);
    run.expect(2).says(&["folder.pcap", "directory"]);
    assert!(!bench.path("out").exists());
    let run = bench.replay(&["-S", "ok.rules"]);
    assert_eq!(run.code, Some(2), "{run}");
}

#[test]
fn what_is_no_capture_fails_after_what_came_before_is_written() {
    for (name, bytes) in [
        ("empty.pcap", Vec::new()),
        ("text.pcap", b"this is a text, and no capture of anything\n".repeat(20)),
        ("short.pcap", capture().split_off(0)[..20].to_vec()),
        ("elf.pcap", fs::read(common::binary()).expect("read")[..4096].to_vec()),
    ] {
        let bench = Bench::new();
        bench.write(name, bytes);
        let run = bench.replay(&["-S", "ok.rules", "ok.pcap", name]);
        run.expect(1).says(&[name]);
        let ledger = bench.results().ledger();
        let frames = Example::new(1).expect("an example").packets.len() as u64;
        assert_eq!(ledger.total("received"), frames, "{name}");
        assert!(ledger.alert("written") > 0, "{name}");
    }
}

#[test]
fn a_capture_cut_off_anywhere_is_replayed_up_to_there() {
    let bytes = capture();
    for length in [24, 25, 39, 40, 41, 1000, 100_001, bytes.len() - 1] {
        let bench = Bench::new();
        let path = bench.write("cut.pcap", &bytes[..length]);
        let count = common::captures::count(&path).expect("a capture");
        let run = bench.replay(&["-S", "ok.rules", "cut.pcap"]).expect(0);
        assert_eq!(count.cut, run.stderr.contains("cut.pcap"), "{length}: {run}");
        assert_eq!(bench.results().ledger().total("received"), count.frames, "{length}");
    }
}

#[test]
fn a_rule_that_does_not_load_is_told_by_file_line_and_column_and_the_others_load() {
    let bench = Bench::new();
    bench.write(
        "mixed.rules",
        [
            RULE,
            r#"alert tcp any any -> any any (msg:"a"; conten:"x"; sid:2;)"#,
            r#"alert tcp any any -> any (msg:"b"; content:"x"; sid:3;)"#,
            r#"alert tcp any any -> any any (msg:"c"; content:"x|0g|"; sid:4;)"#,
            r#"alert tcp any any -> any any (msg:"d"; pcre:"/(/"; sid:5;)"#,
            r#"alert tcp any any -> any any (msg:"no end"; content:"x"; sid:6;"#,
            "",
        ]
        .join("\n"),
    );
    let run = bench.replay(&["-S", "mixed.rules", "ok.pcap"]).expect(0);
    let run = run.says(&["mixed.rules:2:40", "conten", "`content`", "mixed.rules:3:1"]);
    run.says(&["mixed.rules:4:", "mixed.rules:5:", "mixed.rules:6:"]);
    assert!(bench.results().ledger().alert("written") > 0);
}

#[test]
fn without_rule_files_nothing_starts() {
    let bench = Bench::new();
    fs::create_dir(bench.path("folder")).expect("made");
    for missing in ["missing.rules", "missing-*.rules", "folder"] {
        bench.replay(&["-S", missing, "ok.pcap"]).expect(2).says(&[missing]);
    }
    bench.write("broken.rules", [0xff, 0xfe, 0, 1, b'\n']);
    let run = bench.replay(&["-S", "broken.rules", "ok.pcap"]);
    assert!(run.stderr.contains("broken.rules:1"), "{run}");
}

#[test]
fn wrong_settings_are_told_by_their_place() {
    let bench = Bench::new();
    let set = |setting| bench.replay(&["-S", "ok.rules", "--set", setting, "ok.pcap"]).expect(2);
    set("stream.midstreem=true").says(&["stream.midstreem", "`stream.midstream`"]);
    set("stream.midstream=perhaps").says(&["stream.midstream", "perhaps"]);
    set("flows.max=-1").says(&["flows.max"]);
    set("nothing").says(&["nothing", "NAME=VALUE"]);
    bench.write("bad.toml", "[flows]\nmax = 10\n\n[streams]\nmidstreem = true\n");
    let with = |file| bench.replay(&["-c", file, "-S", "ok.rules", "ok.pcap"]).expect(2);
    with("bad.toml").says(&["bad.toml:5:1", "streams.midstreem", "`streams.midstream`"]);
    bench.write("torn.toml", "[sensor]\nnode = \"a\"\n[flows\nmax = 10\n");
    with("torn.toml").says(&["torn.toml:3:"]);
    bench.write("type.toml", "[flows]\nmax = \"many\"\n");
    with("type.toml").says(&["type.toml:2:", "flows.max"]);
    with("missing.toml").says(&["missing.toml"]);
    bench.write("bad.yaml", "%YAML 1.1\n---\nvars:\n  address-groups: [\n");
    let run = bench.replay(&["--suricata-yaml", "bad.yaml", "-S", "ok.rules", "ok.pcap"]);
    run.expect(2).says(&["bad.yaml"]);
    assert!(!bench.path("out").exists(), "found wrong before anything was done");
}

#[test]
fn an_output_directory_that_cannot_be_made_is_a_failure() {
    let bench = Bench::new();
    let run = bench.run(&["replay", "-S", "ok.rules", "-l", "ok.pcap/out", "ok.pcap"]);
    run.expect(1).says(&["ok.pcap/out"]);
}

const WEB: &str = "apiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\nmetadata: \
                   {name: web, namespace: shop}\nspec: {selector: \"app == 'web'\"}\n";

#[test]
fn wrong_documents_are_told_by_their_place_and_the_right_ones_count() {
    let bench = Bench::new();
    bench.write("res/10-web.yaml", WEB);
    bench.write(
        "res/20-pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web-0, namespace: shop, labels: {app: web}}\n\
         spec: {nodeName: node-a}\nstatus: {phase: Running, podIP: 10.244.1.12}\n",
    );
    let right = bench.replay(&["-S", "ok.rules", "--resources", "res", "ok.pcap"]).expect(0);
    assert!(!right.stderr.contains("WARN"), "{right}");
    let inspected = bench.results().ledger().total("inspected");
    assert!(inspected > 0);

    bench.write("res/30-twice.yaml", WEB.replace("app == 'web'", "app == 'db'"));
    bench.write("res/40-service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n");
    bench.write("res/50-torn.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: [\n");
    bench.write("res/60-selector.yaml", {
        WEB.replace("name: web", "name: bad").replace("app == 'web'", "app == ")
    });
    bench.write("res/70-fields.yaml", "apiVersion: v1\nkind: Pod\nmetadata: 7\n");
    bench.write("res/80-json.json", "{\"kind\": \"Pod\", ");
    bench.write("res/90-notes.txt", "no document");
    let run = bench.replay(&["-S", "ok.rules", "--resources", "res", "ok.pcap"]).expect(0);
    run.says(&["30-twice.yaml:1", "shop/web", "10-web.yaml:1"])
        .says(&["40-service.yaml:1", "\"Service\""])
        .says(&["50-torn.yaml:", "70-fields.yaml:", "80-json.json:"])
        .says(&["shop/bad", "column 8"]);
    let ledger = bench.results().ledger();
    assert_eq!(ledger.total("inspected"), inspected, "the first of two counts");

    let statuses = bench.results().statuses();
    let node = |name: &str| {
        let found = statuses.iter().find(|it| it["metadata"]["name"] == name);
        found.map_or(Value::Null, |it| it["status"]["nodes"][0].clone())
    };
    assert_eq!(statuses.len(), 2);
    assert_eq!(node("web")["active"]["success"], true);
    assert_ne!(node("bad")["active"]["success"], true);
    let own = node("bad")["errorConditions"][0]["message"].to_string();
    assert!(own.contains("column 8"), "{own}");
    let told = node("web")["errorConditions"][0]["message"].to_string();
    assert!(told.contains("40-service.yaml") || told.contains("30-twice.yaml"), "{told}");
}

#[test]
fn a_resources_directory_that_is_not_there_is_wrong_usage() {
    let bench = Bench::new();
    let run = bench.replay(&["-S", "ok.rules", "--resources", "missing", "ok.pcap"]);
    run.expect(2).says(&["missing"]);
    let run = bench.replay(&["-S", "ok.rules", "--resources", "ok.rules", "ok.pcap"]);
    run.expect(2).says(&["ok.rules"]);
}

#[test]
fn an_empty_resources_directory_inspects_nothing() {
    let bench = Bench::new();
    fs::create_dir(bench.path("res")).expect("made");
    bench.replay(&["-S", "ok.rules", "--resources", "res", "ok.pcap"]).expect(0);
    let ledger = bench.results().ledger();
    assert_eq!((ledger.total("inspected"), ledger.alert("raised")), (0, 0));
    assert!(ledger.total("unscoped") > 0);
}

#[test]
fn a_live_sensor_without_its_interface_says_which_one() {
    let bench = Bench::new();
    let usual = ["run", "-S", "ok.rules", "-l", "out", "--cache", "off"];
    let run = bench.run(&usual);
    run.expect(2).says(&["no port is configured"]);
    let run = bench.run(&[&usual[..], &["--set", "ports.0.device=nowhere7"]].concat());
    assert!(matches!(run.code, Some(1 | 2)), "{run}");
    run.says(&["nowhere7"]);
}

/// The binary as a user without privileges; none where that cannot be tried.
fn unprivileged(folder: &Path) -> Option<Command> {
    let nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(common::binary()).current_dir(folder);
        command
    };
    let open = Command::new("chmod").args(["-R", "a+rwX"]).arg(folder).status();
    let can = open.is_ok_and(|status| status.success())
        && nobody().arg("--version").output().is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("skipped: cannot run the binary as an unprivileged user");
    }
    can.then(nobody)
}

#[test]
fn a_live_sensor_without_the_privilege_to_capture_says_so() {
    let bench = Bench::new();
    let Some(mut command) = unprivileged(bench.folder.path()) else { return };
    let words = ["run", "-S", "ok.rules", "-l", "out", "--cache", "off"];
    command.args(words).args(["--set", "ports.0.device=lo"]);
    common::finish(&mut command).expect(1).says(&["\"lo\"", "CAP_NET_RAW"]);
}

#[test]
fn a_replay_needs_no_privilege() {
    let bench = Bench::new();
    let Some(mut command) = unprivileged(bench.folder.path()) else { return };
    command.args(["replay", "-S", "ok.rules", "-l", "out", "--cache", "off", "ok.pcap"]);
    common::finish(&mut command).expect(0);
    assert!(bench.results().ledger().alert("written") > 0);
}

#[test]
fn hugepages_that_are_asked_for_and_not_there_are_told_with_what_to_do() {
    let bench = Bench::new();
    let words = ["run", "-S", "ok.rules", "-l", "out", "--cache", "off"];
    let more = ["--set", "ports.0.device=lo", "--set", "memory.hugepages=yes"];
    let size = ["--set", "memory.size=900gb"];
    let run = bench.run(&[&words[..], &more, &size].concat());
    run.expect(1).says(&["hugepages", "sysctl"]);
}

#[test]
fn two_replays_at_once_do_not_meet() {
    let bench = Bench::new();
    let replay = |out: &'static str| {
        let mut words = words!["replay", "-S", bench.path("ok.rules"), "-l", bench.path(out)];
        words.extend(words!["--cache", "off", bench.path("ok.pcap")]);
        move || pollux(words).expect(0)
    };
    let (one, two) = (replay("one"), replay("two"));
    std::thread::scope(|scope| {
        let other = scope.spawn(two);
        one();
        other.join().expect("no panic");
    });
    let keys = |out| common::exact_keys(&Results::of(&bench.path(out)).alerts());
    assert_eq!(keys("one"), keys("two"));
    assert!(!keys("one").is_empty());
}

#[test]
fn the_outputs_of_an_earlier_replay_are_replaced() {
    let bench = Bench::new();
    bench.replay(&["-S", "ok.rules", "ok.pcap"]).expect(0);
    let first = bench.results().ledger().alert("written");
    bench.replay(&["-S", "ok.rules", "ok.pcap"]).expect(0);
    assert_eq!(bench.results().ledger().alert("written"), first);
    let out = BufWriter::new(File::create(bench.path("none.pcap")).expect("a file"));
    traffic::PcapWriter::new(out).and_then(traffic::PcapWriter::finish).expect("written");
    bench.replay(&["-S", "ok.rules", "none.pcap"]).expect(0);
    assert_eq!(bench.results().ledger().alert("written"), 0);
    assert!(bench.results().alerts().is_empty());
}
