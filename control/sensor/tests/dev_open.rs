//! A large capture of real traffic with a large set of real rules: what is found beside Suricata's
//! alerts on the same, with one worker and with two, and with a few of its addresses in scope.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{Key, Results, address, exact_keys, key, pollux, shared, sid};
use serde_json::{Value, json};

/// Frames of the capture.
const FRAMES: u64 = 238_237;

/// What all tests start from.
struct Stage {
    shared: PathBuf,
    folder: PathBuf,
    /// The answers of two checks of the rules, the first with an empty cache.
    checks: [Value; 2],
    /// A replay with one worker and everything in scope.
    one: Results,
}

impl Stage {
    fn get() -> Option<&'static Self> {
        static STAGE: OnceLock<Option<Stage>> = OnceLock::new();
        STAGE.get_or_init(|| shared().map(Self::new)).as_ref()
    }

    fn new(shared: PathBuf) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev-open");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("made");
        let rules = rules(&shared);
        let check = || {
            let cache = folder.join("cache");
            let words = words!["rules", "check", "--json", "--cache", cache, rules.clone()];
            pollux(words).expect(0).json()
        };
        let checks = [check(), check()];
        let one = replay(&shared, &folder, "one", &[]);
        Self { shared, folder, checks, one }
    }

    fn replay(&self, name: &str, more: &[&str]) -> Results {
        replay(&self.shared, &self.folder, name, more)
    }

    /// Suricata's alerts by rules of the first slice.
    fn reference(&self) -> Vec<Value> {
        let file = self.shared.join("corpus/captures/dev-open.suricata-7.0.10.alerts.jsonl.gz");
        let output = Command::new("gzip").arg("-dc").arg(file).output().expect("gzip starts");
        assert!(output.status.success(), "{output:?}");
        let first = fs::read_to_string(rules(&self.shared).join("first-slice-sids.json"));
        let first: BTreeSet<u32> = serde_json::from_str(&first.expect("read")).expect("sids");
        String::from_utf8(output.stdout)
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|alert| first.contains(&sid(alert)))
            .collect()
    }
}

fn rules(shared: &Path) -> PathBuf {
    shared.join("corpus/rules/et-open")
}

fn replay(shared: &Path, folder: &Path, name: &str, more: &[&str]) -> Results {
    let out = folder.join(name);
    let mut words = words!["replay", "-q", "-k", "none", "-S", rules(shared), "-l", out.clone()];
    words.extend(words!["--cache", folder.join("cache")]);
    words.extend(more.iter().map(Into::into));
    words.push(shared.join("corpus/captures/dev-open.pcap").into());
    pollux(words).expect(0);
    Results::of(&out)
}

fn multiset<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// What is in `a` and not in `b`, as often as it is.
fn beyond<'a>(a: &'a BTreeMap<Key, u64>, b: &BTreeMap<Key, u64>) -> Vec<(&'a Key, u64)> {
    a.iter()
        .map(|(key, count)| (key, count.saturating_sub(b.get(key).copied().unwrap_or(0))))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn sum(of: &[(&Key, u64)]) -> u64 {
    of.iter().map(|(_, count)| count).sum()
}

#[test]
fn most_rules_load_and_all_that_the_reference_needs() {
    let Some(stage) = Stage::get() else { return };
    let answer = &stage.checks[0];
    assert!(answer["loaded"].as_u64() >= Some(24_600), "{}", answer["loaded"]);
    let needed: BTreeSet<u32> = stage.reference().iter().map(sid).collect();
    assert_eq!(needed.len(), 46);
    let rejections = answer["rejections"].as_array().expect("rejections");
    assert_eq!(Some(rejections.len() as u64), answer["rejected"].as_u64());
    for rejection in rejections {
        assert!(rejection["line"].as_u64() > Some(0), "{rejection}");
        assert!(rejection["reason"].as_str().is_some_and(|it| !it.is_empty()), "{rejection}");
        let sid = rejection["sid"].as_u64().and_then(|sid| u32::try_from(sid).ok());
        assert!(sid.is_none_or(|sid| !needed.contains(&sid)), "{rejection}");
    }
}

#[test]
fn a_second_start_takes_every_database_from_the_cache() {
    let Some(stage) = Stage::get() else { return };
    let [cold, warm] = &stage.checks.each_ref().map(|check| &check["build"]);
    assert_eq!(cold["cached"], 0, "{cold}");
    assert!(cold["databases"].as_u64() > Some(100), "{cold}");
    assert_eq!((&warm["databases"], &warm["cached"]), (&cold["databases"], &cold["databases"]));
    assert_eq!(warm["database_bytes"], cold["database_bytes"]);
    let seconds = [cold, warm].map(|build| build["seconds"].as_f64().expect("seconds"));
    assert!(seconds[1] < seconds[0] / 2.0, "{seconds:?}");
}

#[test]
fn suricatas_alerts_are_found_and_few_others() {
    let Some(stage) = Stage::get() else { return };
    assert_eq!(stage.one.ledger().total("received"), FRAMES);
    let reference = stage.reference();
    assert_eq!(reference.len(), 638);
    let slice: BTreeSet<u32> = {
        let file = rules(&stage.shared).join("first-slice-sids.json");
        serde_json::from_str(&fs::read_to_string(file).expect("read")).expect("sids")
    };
    let ours = stage.one.alerts();
    let ours = multiset(ours.iter().filter(|it| slice.contains(&sid(it))).map(key));
    let theirs = multiset(reference.iter().map(key));
    let (missed, more) = (beyond(&theirs, &ours), beyond(&ours, &theirs));
    println!("missed: {missed:#?}\nmore: {more:#?}");
    assert!(sum(&missed) * 100 <= 638 * 3, "{} missed", sum(&missed));
    assert!(sum(&more) * 100 <= 638 * 2, "{} more", sum(&more));
    let is_tcp = |key: &Key| key.5 == "TCP";
    let tcp: u64 = theirs.iter().filter(|(key, _)| is_tcp(key)).map(|(_, count)| count).sum();
    assert_eq!(tcp, 74);
    let missed_tcp = missed.iter().filter(|(key, _)| is_tcp(key)).map(|(_, count)| count);
    assert!(missed_tcp.sum::<u64>() <= 4);
}

#[test]
fn two_workers_raise_exactly_the_alerts_of_one() {
    let Some(stage) = Stage::get() else { return };
    let one = exact_keys(&stage.one.alerts());
    for (name, more) in [
        ("two", &["--workers", "2"][..]),
        ("elsewhere", &["--workers", "2", "--spread", "elsewhere"]),
    ] {
        let two = stage.replay(name, more);
        let ledger = two.ledger();
        assert_eq!(ledger.total("received"), FRAMES);
        assert_eq!(ledger.total("inspected"), stage.one.ledger().total("inspected"));
        for queue in ledger.queues() {
            assert!(queue["received"].as_u64() >= Some(FRAMES / 4), "{queue}");
        }
        assert!(exact_keys(&two.alerts()) == one, "{name}: compare {}", stage.folder.display());
    }
}

/// A pod of the scope that the last test makes up.
struct Pod {
    namespace: &'static str,
    name: String,
    app: &'static str,
    address: IpAddr,
    resources: &'static [&'static str],
}

/// Six addresses that alerts are about as pods, in two namespaces; the last is in no scope. They
/// are the busiest that are not so busy that little is left out of scope.
fn pods(alerts: &[Value]) -> Vec<Pod> {
    let busiest = |is_tcp: bool| -> Vec<IpAddr> {
        let these = alerts.iter().filter(|alert| (alert["proto"] == "TCP") == is_tcp);
        let ends = these.flat_map(|it| [address(it, "src_ip"), address(it, "dest_ip")]);
        let mut all: Vec<(IpAddr, u64)> = multiset(ends).into_iter().collect();
        all.sort_by_key(|(address, count)| (std::cmp::Reverse(*count), *address));
        all.into_iter().map(|(address, _)| address).collect()
    };
    let (tcp, other) = (busiest(true), busiest(false));
    let chosen = [tcp[0], tcp[1], tcp[2], other[2], other[3], tcp[3]];
    let places: [(&str, &str, &[&str]); 6] = [
        ("one", "a", &["one/every", "one/some"]),
        ("one", "b", &["one/every"]),
        ("one", "a", &["one/every", "one/some"]),
        ("two", "a", &["two/some"]),
        ("two", "a", &["two/some"]),
        ("two", "b", &[]),
    ];
    let pods: Vec<Pod> = places
        .into_iter()
        .zip(chosen)
        .enumerate()
        .map(|(number, ((namespace, app, resources), address))| Pod {
            namespace,
            name: format!("pod-{number}"),
            app,
            address,
            resources,
        })
        .collect();
    assert_eq!(pods.len(), 6);
    pods
}

fn write_resources(pods: &[Pod], folder: &Path) {
    let mut text = String::new();
    for (namespace, name, selector) in
        [("one", "every", ""), ("one", "some", "app == 'a'"), ("two", "some", "app in {'a'}")]
    {
        writeln!(
            text,
            "---\napiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\nmetadata: \
             {{name: {name}, namespace: {namespace}}}\nspec: {{selector: \"{selector}\"}}"
        )
        .expect("written");
    }
    for Pod { namespace, name, app, address, .. } in pods {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, \
             labels: {{app: {app}}}}}\nspec: {{nodeName: n}}\nstatus: {{phase: Running, \
             podIPs: [{{ip: \"{address}\"}}]}}"
        )
        .expect("written");
    }
    fs::create_dir_all(folder).expect("made");
    fs::write(folder.join("all.yaml"), text).expect("written");
}

/// Rules that count what they see: their alerts depend on what else is in scope.
fn counting(rules: &Path) -> BTreeSet<u32> {
    let mut sids = BTreeSet::new();
    for entry in fs::read_dir(rules).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "rules") {
            continue;
        }
        for rule in fs::read_to_string(path).expect("read").lines() {
            if rule.contains("threshold:") || rule.contains("detection_filter:") {
                let sid = rule.rsplit_once("sid:").and_then(|(_, rest)| rest.split_once(';'));
                sids.extend(sid.and_then(|(sid, _)| sid.trim().parse::<u32>().ok()));
            }
        }
    }
    assert!(sids.len() > 100);
    sids
}

#[test]
fn in_a_scope_the_alerts_are_those_of_its_addresses_with_their_resources_and_pods() {
    let Some(stage) = Stage::get() else { return };
    let counting = counting(&rules(&stage.shared));
    let counted = |alert: &Value| counting.contains(&sid(alert));
    let all: Vec<Value> = stage.one.alerts().into_iter().filter(|it| !counted(it)).collect();
    let pods = pods(&all);
    let folder = stage.folder.join("resources");
    write_resources(&pods, &folder);
    let results = stage.replay("scoped", &["--resources", folder.to_str().expect("a name")]);
    let scoped: Vec<Value> = results.alerts().into_iter().filter(|it| !counted(it)).collect();

    let pod = |address: IpAddr| pods.iter().find(|pod| pod.address == address);
    // Also the outer addresses of what came in a tunnel.
    let addresses = |alert: &Value| {
        let mut all = vec![address(alert, "src_ip"), address(alert, "dest_ip")];
        if alert["tunnel"].is_object() {
            let outer = &alert["tunnel"];
            all.extend([address(outer, "src_ip"), address(outer, "dest_ip")]);
        }
        all
    };
    let resources = |alert: &Value| -> BTreeSet<&str> {
        let pods = addresses(alert).into_iter().filter_map(pod);
        pods.flat_map(|pod| pod.resources.iter().copied()).collect()
    };
    let expected: Vec<Value> =
        all.iter().filter(|alert| !resources(alert).is_empty()).cloned().collect();
    assert!(expected.len() >= 100 && expected.len() < all.len(), "{}", expected.len());
    assert_eq!(exact_keys(&scoped), exact_keys(&expected));
    let both = |alert: &&Value| {
        ["source", "destination"].iter().all(|side| alert["kubernetes"][side].is_object())
    };
    assert!(scoped.iter().filter(both).count() > 5);
    for alert in &scoped {
        let named: Vec<Value> = resources(alert)
            .into_iter()
            .filter_map(|name| name.split_once('/'))
            .map(|(namespace, name)| json!({"namespace": namespace, "name": name}))
            .collect();
        assert_eq!(alert["dpi"], json!(named), "{alert}");
        for (side, end) in [("source", "src_ip"), ("destination", "dest_ip")] {
            let said = alert["kubernetes"].get(side).cloned().unwrap_or(Value::Null);
            match pod(address(alert, end)) {
                None => assert!(said.is_null(), "{alert}"),
                Some(pod) => {
                    assert_eq!(said["namespace"], pod.namespace, "{alert}");
                    assert_eq!(said["pod"], pod.name.as_str(), "{alert}");
                    assert_eq!(said["node"], "n", "{alert}");
                }
            }
        }
    }
    let ledger = results.ledger();
    assert_eq!(ledger.total("received"), FRAMES);
    assert!(ledger.total("unscoped") > ledger.total("inspected"));
    let two = ["--workers", "2", "--resources", folder.to_str().expect("a name")];
    let two = stage.replay("scoped-two", &two);
    assert_eq!(exact_keys(&two.alerts()), exact_keys(&results.alerts()));
}
