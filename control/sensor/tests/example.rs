//! The example's capture, rules and resources through `pollux replay`: the alerts are exactly those
//! that were planted, with the resources and pods they are of, and no packet is unaccounted for.

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::net::IpAddr;
use std::path::PathBuf;

use common::{Results, exact_keys, key, pollux, repository};
use serde_json::Value;
use tempfile::TempDir;
use traffic::example::{Expected, cluster};
use traffic::{Example, Manifest};

/// The example on disk, and a place for what comes of it.
struct Stage {
    folder: TempDir,
    manifest: Manifest,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let example = Example::new(seed).expect("an example");
        let file = File::create(folder.path().join("example.pcap")).expect("a file");
        example.write(BufWriter::new(file)).expect("written");
        Self { folder, manifest: example.manifest }
    }

    /// Replays with the example's rules and resources.
    fn scoped(&self, name: &str, more: &[&str]) -> Results {
        let resources = repository("deploy/examples/resources");
        let mut words = words!["--resources", resources];
        words.extend(more.iter().map(Into::into));
        self.replay(name, words)
    }

    /// Replays with the example's rules and everything in scope.
    fn unscoped(&self, name: &str, more: &[&str]) -> Results {
        self.replay(name, more.iter().map(Into::into).collect())
    }

    fn replay(&self, name: &str, more: Vec<std::ffi::OsString>) -> Results {
        let out: PathBuf = self.folder.path().join(name);
        let rules = repository("deploy/examples/rules/example.rules");
        let cache = self.folder.path().join("cache");
        let mut words = words!["replay", "-S", rules, "-l", out.clone(), "--cache", cache];
        words.extend(more);
        words.push(self.folder.path().join("example.pcap").into());
        pollux(words).expect(0);
        Results::of(&out)
    }
}

/// Expectations as keys of alerts, sorted.
fn expected<'a>(alerts: impl Iterator<Item = &'a Expected>) -> Vec<common::Key> {
    let mut keys: Vec<_> = alerts
        .map(|it| {
            let proto = it.proto.to_owned();
            (it.sid, it.src_ip, it.src_port, it.dest_ip, it.dest_port, proto)
        })
        .collect();
    keys.sort();
    keys
}

fn keys(alerts: &[Value]) -> Vec<common::Key> {
    let mut keys: Vec<_> = alerts.iter().map(key).collect();
    keys.sort();
    keys
}

/// What an alert must say of the pod with an address.
fn endpoint(address: IpAddr) -> Value {
    let owner = cluster::PODS
        .iter()
        .find(|pod| [IpAddr::V4(pod.address), IpAddr::V6(pod.address6())].contains(&address));
    owner.map_or(Value::Null, |pod| {
        serde_json::json!({
            "namespace": pod.namespace,
            "pod": pod.name,
            "node": pod.node.name,
            "service_account": pod.service_account,
        })
    })
}

#[test]
fn alerts_are_those_planted_in_scope_with_their_resources_and_pods() {
    for seed in 1..=3 {
        let stage = Stage::new(seed);
        let results = stage.scoped("out", &[]);
        let alerts = results.alerts();
        let planted = || stage.manifest.alerts.iter().filter(|it| !it.resources.is_empty());
        assert_eq!(keys(&alerts), expected(planted()), "seed {seed}");
        assert!(stage.manifest.alerts.len() > planted().count(), "some are out of scope");
        for alert in &alerts {
            let planted = planted().find(|it| expected([*it].into_iter()) == [key(alert)]);
            let planted = planted.expect("compared above");
            let resources: Vec<String> = alert["dpi"]
                .as_array()
                .expect("resources")
                .iter()
                .map(|it| format!("{}/{}", it["namespace"], it["name"]).replace('"', ""))
                .collect();
            assert_eq!(resources, planted.resources, "{alert}");
            let sides = [("source", planted.src_ip), ("destination", planted.dest_ip)];
            for (side, address) in sides {
                let said = alert["kubernetes"].get(side).cloned().unwrap_or(Value::Null);
                assert_eq!(said, endpoint(address), "{side}: {alert}");
            }
            match planted.envelope {
                "vlan" => assert_eq!(alert["vlan"], serde_json::json!([100]), "{alert}"),
                "vxlan" | "ipip" => assert!(alert["tunnel"].is_object(), "{alert}"),
                _ => assert!(alert.get("tunnel").or(alert.get("vlan")).is_none(), "{alert}"),
            }
        }
    }
}

#[test]
fn without_resources_everything_planted_is_alerted_and_nothing_is_attributed() {
    let stage = Stage::new(1);
    let results = stage.unscoped("out", &[]);
    let alerts = results.alerts();
    assert_eq!(keys(&alerts), expected(stage.manifest.alerts.iter()));
    assert!(alerts.iter().all(|alert| alert.get("kubernetes").is_none()));
    assert!(alerts.iter().all(|alert| alert.get("dpi").is_none()));
    assert!(results.statuses().is_empty());
}

#[test]
fn every_packet_has_the_fate_that_the_manifest_says() {
    for seed in 1..=3 {
        let stage = Stage::new(seed);
        let fates = stage.manifest.fates;
        let ledger = stage.scoped("scoped", &[]).ledger();
        let lost_fragments = ledger.dropped("fragment_timeout");
        assert_eq!(ledger.total("received"), fates.packets);
        assert_eq!(ledger.total("inspected") + lost_fragments, fates.scoped);
        assert!(lost_fragments <= fates.incomplete_fragments);
        assert_eq!(ledger.total("unscoped"), fates.unscoped);
        assert_eq!(ledger.dropped("non_ip"), fates.non_ip);
        assert_eq!(ledger.dropped("malformed"), fates.malformed);
        assert_eq!(ledger.dropped("bad_checksum"), fates.bad_checksum);

        let ledger = stage.unscoped("all", &[]).ledger();
        assert_eq!(ledger.total("unscoped"), 0);
        let dropped = fates.non_ip + fates.malformed + fates.bad_checksum;
        let lost_fragments = ledger.dropped("fragment_timeout");
        assert_eq!(ledger.total("dropped"), dropped + lost_fragments);

        let ledger = stage.scoped("unchecked", &["-k", "none"]).ledger();
        assert_eq!(ledger.dropped("bad_checksum"), 0);
        assert_eq!(ledger.total("unscoped"), fates.unscoped + fates.bad_checksum);
    }
}

#[test]
fn the_status_names_the_invalid_selector_and_its_column_and_the_others_are_active() {
    let stage = Stage::new(1);
    let statuses = stage.scoped("out", &["--set", "sensor.node=node-z"]).statuses();
    let names: BTreeSet<_> = statuses.iter().map(|it| it["metadata"]["name"].to_string()).collect();
    assert_eq!((statuses.len(), names.len()), (6, 6), "each resource once");
    for status in &statuses {
        assert_eq!(status["kind"], "DeepPacketInspection");
        let nodes = status["status"]["nodes"].as_array().expect("nodes");
        assert_eq!(nodes.len(), 1);
        assert_eq!(nodes[0]["node"], "node-z");
        let active = nodes[0]["active"]["success"].as_bool().unwrap_or(false);
        let errors = nodes[0]["errorConditions"].as_array().map_or(&[][..], Vec::as_slice);
        if status["metadata"]["name"] == "invalid-selector-on-purpose" {
            assert!(!active);
            assert_eq!(errors.len(), 2, "{errors:?}");
            let message = errors[0]["message"].as_str().expect("a message");
            assert!(message.contains("column 18"), "{message}");
        } else {
            // The nodes also talk through WireGuard: that is said to all, and keeps nobody from being active.
            assert!(active, "{status}");
            assert_eq!(errors.len(), 1, "{errors:?}");
            let message = errors[0]["message"].as_str().expect("a message");
            assert!(
                message.contains("encrypted overlay") && message.contains("WireGuard"),
                "{message}"
            );
        }
        assert!(nodes[0]["active"]["lastUpdated"].is_string());
    }
}

#[test]
fn any_number_of_workers_raises_the_same_alerts_also_where_every_packet_is_handed_over() {
    let stage = Stage::new(2);
    for (name, resources) in [("scoped", true), ("all", false)] {
        let run = |out: &str, more: &[&str]| {
            let out = format!("{name}-{out}");
            if resources { stage.scoped(&out, more) } else { stage.unscoped(&out, more) }
        };
        let one = run("one", &[]);
        let alone = one.ledger();
        let reference = exact_keys(&one.alerts());
        assert!(!reference.is_empty());
        for (out, more) in [
            ("two", &["--workers", "2"][..]),
            ("elsewhere", &["--workers", "2", "--spread", "elsewhere"]),
            ("four", &["--workers", "4", "--spread", "elsewhere"]),
        ] {
            let results = run(out, more);
            assert_eq!(exact_keys(&results.alerts()), reference, "{out}");
            let ledger = results.ledger();
            for total in ["received", "inspected", "unscoped", "dropped", "bytes"] {
                assert_eq!(ledger.total(total), alone.total(total), "{out}: {total}");
            }
            // No flow ended before its time because one worker was ahead of another.
            for count in ["midstream", "datagrams_reassembled"] {
                let (ours, theirs) = (&ledger.0["flows"][count], &alone.0["flows"][count]);
                assert_eq!(ours, theirs, "{out}: {count}");
            }
            for queue in ledger.queues() {
                assert!(queue["received"].as_u64() > Some(100), "{out}: {queue}");
            }
            let handed: u64 = ledger.queues().filter_map(|it| it["handed_out"].as_u64()).sum();
            let wrong = ["non_ip", "malformed", "bad_checksum"].map(|it| ledger.dropped(it));
            let movable = ledger.total("received") - wrong.iter().sum::<u64>();
            // What is plainly nobody's may stay where it came.
            let nobodys = ledger.total("unscoped");
            let expected = if out == "two" { 0..=0 } else { movable - nobodys..=movable };
            assert!(expected.contains(&handed), "{out}: {handed} of {movable}, {nobodys} nobody's");
        }
    }
}

#[test]
fn the_same_capture_twice_gives_the_same_alerts_twice() {
    let stage = Stage::new(1);
    let capture = stage.folder.path().join("example.pcap");
    let once = stage.unscoped("once", &[]);
    let twice = stage.unscoped("twice", &[capture.to_str().expect("a name")]);
    assert_eq!(twice.ledger().total("received"), 2 * once.ledger().total("received"));
    let count = |results: &Results, sid| {
        results.alerts().iter().filter(|alert| common::sid(alert) == sid).count()
    };
    // Datagrams and pings are matched by packet, whatever flows they were in before.
    assert_eq!(count(&twice, 9_000_017), 2 * count(&once, 9_000_017));
    assert!(count(&once, 9_000_017) > 0);
}
