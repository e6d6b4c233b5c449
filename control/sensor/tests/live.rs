//! `pollux run` on an interface: nothing that it takes is unaccounted for while resources and rules
//! change, alerts follow the scope in force, and signals do what they are for.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::live::{Net, Sensor, TAP, attacks, is_ipv4_fragment, write_capture};
use common::{repository, sid};
use serde_json::{Value, json};
use tempfile::TempDir;
use traffic::Example;
use traffic::example::cluster;

/// The rule that is added and removed.
const EXTRA: &str = "alert tcp any any -> any any (msg:\"a request\"; flow:to_server; \
                     content:\"GET /\"; sid:9100000;)\n";

/// The configuration, resources and rules of a sensor, in a folder of its own.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self::with_port("")
    }

    /// With more settings of the port.
    fn with_port(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Self { folder };
        for below in ["resources", "rules", "elsewhere"] {
            fs::create_dir(site.path(below)).expect("made");
        }
        let example = repository("deploy/examples");
        for file in ["10-namespaces.yaml", "20-service-accounts.yaml", "30-pods.yaml"] {
            let to = site.path("resources").join(file);
            fs::copy(example.join("resources").join(file), to).expect("copied");
        }
        let rules = example.join("rules/example.rules");
        fs::copy(rules, site.path("rules/example.rules")).expect("copied");
        let at = |below| site.path(below).display().to_string();
        let text = format!(
            "[sensor]\nnode = \"node-a\"\ngrace = \"50ms\"\n\
             [[ports]]\ndevice = \"{TAP}\"\nmtu = 1600\n{settings}\
             [source]\ndirectory = \"{}\"\n\
             [rules]\npaths = [\"{}\"]\ncache = \"{}\"\n\
             [outputs]\ndirectory = \"{}\"\n\
             [memory]\nhugepages = \"no\"\n",
            at("resources"),
            at("rules"),
            at("cache"),
            at("out"),
        );
        fs::write(site.path("pollux.toml"), text).expect("written");
        site
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Puts a file in its place at once, as a careful editor does.
    fn put(&self, below: &str, text: &str) {
        let new = self.path("elsewhere/new");
        fs::write(&new, text).expect("written");
        fs::rename(new, self.path(below)).expect("renamed");
    }

    /// Makes this the only resource, or leaves none.
    fn scope(&self, scope: Scope) {
        match scope {
            Scope::Nothing => {
                let _ = fs::remove_file(self.path("resources/40-scope.yaml"));
            }
            Scope::One { namespace, name, selector } => self.put(
                "resources/40-scope.yaml",
                &format!(
                    "apiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\nmetadata:\n  \
                     name: {name}\n  namespace: {namespace}\nspec:\n  selector: {selector}\n"
                ),
            ),
        }
    }

    /// A capture of one connection: an attacker's request to a frontend, answered.
    fn attack(&self) -> PathBuf {
        static PORT: AtomicU32 = AtomicU32::new(40_000);
        let port = u16::try_from(PORT.fetch_add(1, Ordering::Relaxed)).expect("a port");
        let capture = self.path("attack.pcap");
        write_capture(&capture, &attacks(port..port + 1, cluster::FRONTEND_1.at(8080)));
        capture
    }
}

/// What is in scope.
#[derive(Debug, Clone, Copy)]
enum Scope {
    Nothing,
    One { namespace: &'static str, name: &'static str, selector: &'static str },
}

const SHOP: Scope = Scope::One { namespace: "shop", name: "web-tier", selector: "tier == \"web\"" };
const BATCH: Scope = Scope::One { namespace: "batch", name: "everything", selector: "all()" };

/// The entry of this node in the status of the only resource.
fn status(sensor: &Sensor) -> Value {
    match sensor.results.statuses().as_slice() {
        [only] => only["status"]["nodes"][0].clone(),
        others => panic!("{others:?}"),
    }
}

/// Sends captures of the example, each with other ports, until it is told to stop; how many packets
/// that were.
fn send_examples(net: &Net, folder: &Path, stop: &AtomicBool) -> u64 {
    let mut sent = 0;
    for seed in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let capture = folder.join("example.pcap");
        let example = Example::new(seed).expect("an example");
        // What the kernel does to fragments is the next test's matter.
        let whole = example.packets.iter().filter(|packet| !is_ipv4_fragment(&packet.bytes));
        write_capture(&capture, whole);
        sent += net.send(&capture, 1500);
    }
    sent
}

#[test]
fn a_hundred_changes_lose_no_packet() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    site.scope(SHOP);
    let taken_before = net.taken();
    let mut sensor = Sensor::start(&net, site.folder.path());
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_examples(&net, site.folder.path(), &stop));
        // Whatever fails: the sender must not be waited for for ever.
        let _stopper = Stopper(&stop);
        let mut with_rule = false;
        for number in 0..100 {
            sensor.change("new generation", || match number % 4 {
                0 => site.scope(BATCH),
                2 => site.scope(if number % 8 == 2 { Scope::Nothing } else { SHOP }),
                _ if with_rule => {
                    with_rule = false;
                    fs::remove_file(site.path("rules/extra.rules")).expect("removed");
                }
                _ => {
                    with_rule = true;
                    site.put("rules/extra.rules", EXTRA);
                }
            });
        }
        stop.store(true, Ordering::Relaxed);
        sender.join().expect("no panic")
    });
    let taken = net.taken() - taken_before;
    assert_eq!(taken, sent);
    assert!(sent > 5_000, "{sent}");
    sensor.wait("all packets in the ledger", |it| it.accounted() >= sent);
    sensor.stop();

    let ledger = sensor.results.ledger();
    let nic = &ledger.0["ports"][0]["nic"];
    let lost = nic["imissed"].as_u64().unwrap_or(0) + nic["ierrors"].as_u64().unwrap_or(0);
    assert_eq!(ledger.total("received") + lost, taken, "{}", ledger.0);
    assert!(ledger.0["generation"].as_u64() > Some(90), "{}", ledger.0["generation"]);
    assert_eq!(ledger.0["trouble"]["panics"], 0);
    let fates = [ledger.total("inspected"), ledger.total("unscoped")];
    assert!(fates.iter().all(|count| *count > 500), "{fates:?}");

    // Only scopes that were in force are named, each of them at some time; so is the rule.
    let alerts = sensor.results.alerts();
    let shop = json!([{"namespace": "shop", "name": "web-tier"}]);
    let batch = json!([{"namespace": "batch", "name": "everything"}]);
    let of = |scope: &Value| alerts.iter().filter(|alert| alert["dpi"] == *scope).count();
    assert!(of(&shop) > 0 && of(&batch) > 0, "{} and {}", of(&shop), of(&batch));
    assert_eq!(of(&shop) + of(&batch), alerts.len());
    assert!(alerts.iter().any(|alert| sid(alert) == 9_100_000));
    for alert in &alerts {
        let namespace = &alert["dpi"][0]["namespace"];
        let sides = ["source", "destination"].map(|side| &alert["kubernetes"][side]["namespace"]);
        assert!(sides.contains(&namespace), "{alert}");
        assert_eq!(alert["in_iface"], TAP);
        assert!(alert.get("pcap_cnt").is_none(), "{alert}");
    }
}

/// Says stop when it is dropped.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_example_live_is_what_it_is_in_replay_fragments_too() {
    let Some(net) = Net::new() else { return };
    let port = the_example_comes_out(&net, &Site::new());
    assert_eq!(port["driver"], "net_af_packet");
    assert_eq!(port["spread"], "one worker");
    assert_eq!(port["link"]["up"], true);
    assert_eq!(port["xstats"]["rx_good_packets"], port["queues"][0]["received"]);
}

#[test]
fn two_queues_of_af_xdp_are_both_polled_and_what_is_anothers_is_handed_over() {
    let Some(net) = Net::new() else { return };
    let port = the_example_comes_out(&net, &Site::with_port("driver = \"af_xdp\"\n"));
    assert_eq!(port["driver"], "net_af_xdp");
    assert!(port["spread"].as_str().expect("text").starts_with("hand-over"), "{port}");
    let queues = port["queues"].as_array().expect("queues");
    assert_eq!(queues.len(), 2, "as many as the interface has");
    for queue in queues {
        assert!(queue["received"].as_u64() > Some(500), "{port}");
        assert!(queue["handed_out"].as_u64() > Some(100), "{port}");
    }
}

#[test]
fn a_core_that_helps_a_packet_socket_takes_its_share() {
    let Some(net) = Net::new() else { return };
    let port = the_example_comes_out(&net, &Site::with_port("cores = 2\n"));
    let [polls, helps] = [0, 1].map(|number| &port["queues"][number]);
    assert_eq!((&polls["queue"], &helps["queue"]), (&json!(0), &Value::Null));
    assert_eq!(helps["handed_in"], polls["handed_out"]);
    assert!(helps["inspected"].as_u64() > Some(500), "{port}");
}

#[test]
fn a_quiet_sensor_gives_its_core_back() {
    let Some(net) = Net::new() else { return };
    for driver in ["af_packet", "af_xdp"] {
        let site = Site::with_port(&format!("driver = \"{driver}\"\n"));
        let mut sensor = Sensor::start(&net, site.folder.path());
        let before = sensor.cpu_time();
        std::thread::sleep(Duration::from_secs(2));
        let taken = sensor.cpu_time() - before;
        assert!(taken < Duration::from_millis(600), "{driver}: {taken:?} in two seconds");
        sensor.stop();
    }
}

/// Sends the example past a sensor, whose alerts and fates are then those of the manifest; its port
/// in the ledger.
#[track_caller]
fn the_example_comes_out(net: &Net, site: &Site) -> Value {
    let resources = repository("deploy/examples/resources/40-deep-packet-inspections.yaml");
    fs::copy(resources, site.path("resources/40-scope.yaml")).expect("copied");
    let example = Example::new(1).expect("an example");
    let capture = site.path("example.pcap");
    write_capture(&capture, &example.packets);
    let before = net.taken();
    let mut sensor = Sensor::start(net, site.folder.path());
    let sent = net.send(&capture, 1500);
    assert_eq!(sent, example.packets.len() as u64);
    assert_eq!(net.taken() - before, sent, "by the interface's own counter");
    std::thread::sleep(Duration::from_millis(1500));
    sensor.stop();
    let alerts = sensor.results.alerts();
    let mut sids: Vec<u32> = alerts.iter().map(sid).collect();
    let planted = example.manifest.alerts.iter().filter(|it| !it.resources.is_empty());
    let mut expected: Vec<u32> = planted.map(|it| it.sid).collect();
    sids.sort_unstable();
    expected.sort_unstable();
    let ledger = sensor.results.ledger();
    assert_eq!(ledger.total("received"), sent, "as many as were sent, none put together");
    assert_eq!(sids, expected);
    let fates = example.manifest.fates;
    assert_eq!(ledger.total("unscoped"), fates.unscoped);
    assert_eq!(ledger.total("inspected") + ledger.dropped("fragment_timeout"), fates.scoped);
    assert_eq!(ledger.dropped("malformed"), fates.malformed);
    ledger.0["ports"][0].clone()
}

#[test]
fn alerts_follow_the_scope_in_force_and_the_status_says_what_is() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    site.scope(SHOP);
    let mut sensor = Sensor::start(&net, site.folder.path());
    sensor.wait("active status", |it| status(it)["active"]["success"] == true);
    assert_eq!(status(&sensor)["node"], "node-a");
    sensor.change("empty scope", || site.scope(Scope::Nothing));
    sensor.wait("empty status", |it| it.results.statuses().is_empty());
    let mut sent = net.send(&site.attack(), 1000);
    sensor.wait("packets in the ledger", |it| it.received() == sent);
    // Longer than an alert is held back.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(sensor.results.alerts(), Vec::<Value>::new());
    assert_eq!(sensor.results.ledger_now().total("unscoped"), sent);

    sensor.change("scope", || site.scope(SHOP));
    sent += net.send(&site.attack(), 1000);
    sensor.wait("alert", |it| !it.results.alerts().is_empty());
    let alert = sensor.results.alerts().remove(0);
    assert_eq!(sid(&alert), 9_000_001);
    assert_eq!(alert["kubernetes"]["destination"]["pod"], cluster::FRONTEND_1.name);
    assert_eq!(alert["dpi"], json!([{"namespace": "shop", "name": "web-tier"}]));
    sensor.wait("active status", |it| status(it)["active"]["success"] == true);

    // A selector that is none keeps its resource from selecting anything, and says so.
    let broken = Scope::One { namespace: "shop", name: "web-tier", selector: "\"tier ==\"" };
    sensor.change("broken scope", || site.scope(broken));
    sensor.wait("error in the status", |it| {
        let node = status(it);
        let message = node["errorConditions"][0]["message"].as_str().unwrap_or_default();
        node["active"]["success"] != true && message.contains("column 8")
    });
    sent += net.send(&site.attack(), 1000);
    sensor.wait("packets in the ledger", |it| it.received() == sent);
    sensor.change("scope", || site.scope(SHOP));
    sensor.wait("active status", |it| status(it)["active"]["success"] == true);
    sensor.stop();
    assert_eq!(sensor.results.alerts().len(), 1, "none for what was out of scope");
    assert_eq!(sensor.results.ledger().total("received"), sent);
    assert_ne!(status(&sensor)["active"]["success"], true, "nothing is active any more");
}

#[test]
fn rules_that_cannot_be_loaded_leave_those_before_in_force() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    site.scope(SHOP);
    let mut sensor = Sensor::start(&net, site.folder.path());
    let generation = sensor.generation();
    site.put(
        "rules/example.rules",
        "alert tcp any any -> any any (msg:\"x\"; conten:\"y\"; sid:1;)",
    );
    sensor.wait("error", |it| it.said().contains("stay in force"));
    sensor.wait("error in the status", |it| status(it)["errorConditions"].is_array());
    assert_eq!(sensor.generation(), generation);
    assert_eq!(status(&sensor)["active"]["success"], true);
    net.send(&site.attack(), 1000);
    sensor.wait("alert", |it| !it.results.alerts().is_empty());
    assert_eq!(sid(&sensor.results.alerts()[0]), 9_000_001);
    let rules = fs::read_to_string(repository("deploy/examples/rules/example.rules"));
    site.put("rules/example.rules", &rules.expect("read"));
    sensor.wait("status without error", |it| status(it).get("errorConditions").is_none());
    sensor.stop();
    sensor.results.ledger();
}

#[test]
fn a_hangup_reads_everything_again() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    // Behind a link no change is seen.
    fs::write(site.path("elsewhere/extra.rules"), "# none yet\n").expect("written");
    let link = site.path("rules/extra.rules");
    std::os::unix::fs::symlink(site.path("elsewhere/extra.rules"), link).expect("linked");
    site.scope(SHOP);
    let mut sensor = Sensor::start(&net, site.folder.path());
    let generation = sensor.generation();
    fs::write(site.path("elsewhere/extra.rules"), EXTRA).expect("written");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(sensor.generation(), generation);
    sensor.signal("HUP");
    sensor.wait("new generation", |it| it.generation() > generation);
    sensor.stop();
}

#[test]
fn an_idle_sensor_ends_at_once() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    let mut sensor = Sensor::start(&net, site.folder.path());
    sensor.stop();
    let ledger = sensor.results.ledger();
    assert_eq!((ledger.total("received"), ledger.alert("raised")), (0, 0));
    assert_eq!(net.taken(), 0);
}

#[test]
fn stats_events_tell_what_the_ledger_tells_and_are_no_alerts() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    site.scope(SHOP);
    let yaml = "stats:\n  enabled: yes\n  interval: 1\noutputs:\n  - eve-log:\n      enabled: yes\n      \
                types:\n        - alert\n        - stats:\n            totals: yes\n            threads: yes\n            \
                deltas: yes\n";
    fs::write(site.path("suricata.yaml"), yaml).expect("written");
    let mut sensor = Sensor::start_with(&net, site.folder.path(), |command| {
        command.arg("--suricata-yaml").arg(site.path("suricata.yaml"));
    });
    let sent = net.send(&site.attack(), 1000);
    let stats = |it: &Sensor| -> Vec<Value> {
        let events = it.results.events().into_iter();
        events.filter(|it| it["event_type"] == "stats").map(|it| it["stats"].clone()).collect()
    };
    // Once all is told, what came since is nothing.
    let all = |it: &Value| {
        (it["decoder"]["pkts"].as_u64(), it["decoder"]["pkts_delta"].as_u64())
            == (Some(sent), Some(0))
            && it["pollux"]["alerts"]["written"] == 1
    };
    sensor.wait("stats with everything", |it| stats(it).last().is_some_and(all));
    sensor.stop();
    let last = stats(&sensor).pop().expect("some");
    assert_eq!(
        (&last["detect"]["alert"], &last["pollux"]["alerts"]["written"]),
        (&json!(1), &json!(1))
    );
    let thread = &last["threads"][format!("W#01-{TAP}")];
    assert_eq!(
        (&thread["decoder"]["pkts"], &thread["decoder"]["pkts_delta"]),
        (&json!(sent), &json!(0))
    );
    assert!(last["detect"]["engines"][0]["rules_loaded"].as_u64() > Some(0), "{last}");
    assert!(last["uptime"].as_u64() >= Some(2), "{last}");
    let ledger = sensor.results.ledger_now();
    assert_eq!((ledger.alert("written"), ledger.alert("raised")), (1, 1), "of alerts alone");
}

#[test]
fn what_other_interfaces_carry_while_a_port_opens_is_not_received() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    net.must(&["ip", "link", "set", "lo", "up"]);
    let capture = site.path("elsewhere.pcap");
    write_capture(&capture, &attacks(40_000..40_010, cluster::FRONTEND_1.at(8080)));
    let mut sender = net.command("tcpreplay");
    sender.args(["-q", "-i", "lo", "--loop", "100000", "--pps", "20000"]).arg(&capture);
    let mut elsewhere = Elsewhere(sender.stdout(Stdio::null()).spawn().expect("it starts"));
    for _ in 0..3 {
        let before = net.taken();
        let mut sensor = Sensor::start(&net, site.folder.path());
        let sent = net.send(&site.attack(), 1000);
        sensor.wait("packets in the ledger", |it| it.accounted() >= sent);
        sensor.stop();
        let received = sensor.results.ledger().total("received");
        assert_eq!((net.taken() - before, received), (sent, sent), "taken, received");
    }
    assert!(elsewhere.0.try_wait().expect("a child").is_none(), "all the time there was traffic");
}

/// A sender on another interface, killed when dropped.
struct Elsewhere(Child);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_the_kernel_drops_while_the_sensor_is_held_up_is_in_the_ledger() {
    let Some(net) = Net::new() else { return };
    let site = Site::new();
    site.scope(SHOP);
    let taken_before = net.taken();
    let mut sensor = Sensor::start(&net, site.folder.path());
    let capture = site.folder.path().join("example.pcap");
    let example = Example::new(7).expect("an example");
    write_capture(&capture, example.packets.iter());
    sensor.signal("STOP");
    let sent: u64 = (0..3).map(|_| net.send(&capture, 20_000)).sum();
    sensor.signal("CONT");
    assert_eq!(net.taken() - taken_before, sent);
    sensor.wait("all packets in the ledger", |it| it.accounted() >= sent);
    sensor.stop();
    let ledger = sensor.results.ledger();
    let missed = ledger.0["ports"][0]["nic"]["imissed"].as_u64().expect("a count");
    assert!(missed > 0, "{sent} packets fitted into the kernel's ring");
    assert_eq!(ledger.total("received") + missed, sent);
    let statuses = sensor.results.statuses();
    let errors = statuses[0]["status"]["nodes"][0]["errorConditions"].to_string();
    assert!(errors.contains("packets lost by"), "{errors}");
}
