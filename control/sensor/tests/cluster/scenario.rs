//! From `kubectl apply` to alerts and back, in one go, with traffic that never stops: what `scripts/lab
//! cluster` shows. What should change changes within two seconds, what should not does not, and the ledger
//! has every packet.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use traffic::example::cluster;

use crate::attacks::{Attacker, SOME_GOES, Stopper, Stretch, none_doubled};
use crate::common::live::Net;
use crate::control_plane::{ControlPlane, SENSOR};
use crate::example::{SOON, create_node, create_pod, delete_pod, pod, populate, resource};
use crate::kubectl::Kubectl;
use crate::sensor::{KubeSensor, Setup, entry, errors, is_active};

const NODE: &str = "node-a";
const WEB: &str = "shop/web-tier";
/// A resource that nothing is done to.
const BYSTANDER: &str = "batch/bystander";

/// Says what is done, for those who watch.
fn say(text: &str) {
    println!("\n== {text}");
}

/// Shows what kubectl prints, and returns it.
fn show(kubectl: &Kubectl, words: &[&str]) -> String {
    println!("   $ kubectl {}", words.join(" "));
    let printed = kubectl.run(words);
    for line in printed.lines() {
        println!("   {line}");
    }
    printed
}

/// Shows `kubectl get dpi`, and asserts that the line of a resource has all of this.
#[track_caller]
fn show_resources(kubectl: &Kubectl, name: &str, cells: &[&str]) {
    let table = show(kubectl, &["get", "dpi", "-A"]);
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {table}"));
    for cell in cells {
        assert!(line.contains(cell), "no {cell:?} in {line}");
    }
}

/// Everything of a scenario.
struct Stage<'a> {
    kubectl: Kubectl,
    sensor: KubeSensor,
    attacker: &'a Attacker,
    bystander: &'a Attacker,
    stretches: Vec<Stretch>,
    /// Of the resource that nothing is done to.
    undisturbed: Option<Stretch>,
}

impl Stage<'_> {
    /// From two seconds after now on it is so that attacks are told of with these names, or not at all.
    fn stretch(&mut self, name: &'static str, pod: Option<&'static str>, dpi: &Value) {
        std::thread::sleep(SOON);
        let begin = Instant::now();
        std::thread::sleep(SOME_GOES);
        // Longer than a go takes, so that there are at least two.
        while self.attacker.within(&(begin..Instant::now())).len() < 10 {
            std::thread::sleep(Duration::from_millis(50));
            assert!(begin.elapsed() < Duration::from_secs(30), "the attacker has stopped");
        }
        let time = begin..Instant::now();
        self.stretches.push(Stretch { name, time, pod, dpi: dpi.clone() });
        println!("   {name}");
    }

    /// Begins to inspect a pod that nothing is done to: from when on, and what its resource's status is.
    #[track_caller]
    fn begin_undisturbed(&mut self) -> (Instant, Value) {
        self.apply(&resource("batch", "bystander", "all()"));
        self.wait_status("active status", BYSTANDER, is_active);
        std::thread::sleep(SOON);
        (Instant::now(), entry(&self.kubectl, BYSTANDER, NODE))
    }

    /// That pod's alerts are to be complete until now.
    fn end_alerts(&mut self, begin: Instant) {
        let (name, time) = ("a pod that nothing was done to", begin..Instant::now());
        let dpi = json!([{"namespace": "batch", "name": "bystander"}]);
        self.undisturbed = Some(Stretch { name, time, pod: Some(cluster::IMPORT.name), dpi });
    }

    /// The same, and its resource's status is what it was.
    #[track_caller]
    fn end_undisturbed(&mut self, (begin, told): (Instant, Value)) {
        self.end_alerts(begin);
        assert_eq!(entry(&self.kubectl, BYSTANDER, NODE), told, "nothing was done to it");
    }

    #[track_caller]
    fn apply(&self, resource: &str) {
        self.kubectl.apply(resource);
    }

    /// Waits until a resource's status is so; that must be soon.
    #[track_caller]
    fn wait_status(&mut self, what: &str, resource: &str, is_so: impl Fn(&Value) -> bool) {
        let kubectl = self.kubectl.clone();
        let is_so = |_: &KubeSensor| is_so(&entry(&kubectl, resource, NODE));
        let took = self.sensor.wait_for(what, SOON, is_so);
        println!("   {what} of {resource} after {took:.1?}");
    }

    #[track_caller]
    fn wait_active(&mut self) {
        self.wait_status("active status", WEB, is_active);
    }
}

/// A node, a sensor on the tap, and pods.
fn set_up<'a>(
    net: &Net,
    plane: &ControlPlane,
    attacker: &'a Attacker,
    bystander: &'a Attacker,
) -> Stage<'a> {
    say("pollux crd | kubectl apply -f -; then the sensor's rights, namespaces and pods");
    let kubectl = plane.kubectl();
    populate(&kubectl);
    for name in [NODE, "node-b"] {
        create_node(&kubectl, name);
    }
    show(&kubectl, &["get", "pods", "-A", "-o", "wide", "--no-headers"]);
    say("pollux run, on a mirror port that traffic comes in by");
    let mut sensor = Setup::new(NODE, plane.kubeconfig(SENSOR)).start_on(net);
    sensor.wait_ready();
    Stage { kubectl, sensor, attacker, bystander, stretches: Vec::new(), undisturbed: None }
}

/// Attackers of a pod that things happen to, and of one that they do not.
fn attackers() -> (Attacker, Attacker) {
    let attacker = Attacker::of(cluster::FRONTEND_1.at(8080), 10_000..35_000);
    (attacker, Attacker::of(cluster::IMPORT.at(8080), 35_000..60_000))
}

/// Stops the sensor, and looks at what it leaves: alerts by stretch, and every packet.
#[track_caller]
fn reckon(mut stage: Stage<'_>, net: &Net, taken_before: u64) {
    let sent = stage.attacker.packets() + stage.bystander.packets();
    stage
        .sensor
        .wait("all packets in the ledger", |it| it.results.ledger_now().total("received") >= sent);
    // Longer than an alert is held back.
    std::thread::sleep(Duration::from_millis(500));
    stage.sensor.stop();
    let alerts = stage.sensor.results.alerts();
    for stretch in &stage.stretches {
        stretch.check(stage.attacker, &alerts);
    }
    stage.undisturbed.expect("there is one").check(stage.bystander, &alerts);
    none_doubled(&alerts);
    let ledger = stage.sensor.results.ledger();
    let taken = net.taken() - taken_before;
    println!(
        "   {sent} packets sent, {taken} taken by the interface, {} in the ledger",
        ledger.total("received")
    );
    assert_eq!((taken, ledger.total("received")), (sent, sent), "{}", ledger.0);
    assert_eq!(ledger.total("dropped"), 0, "{}", ledger.0);
    assert_eq!(ledger.alert("raised"), ledger.alert("written"));
    assert_eq!(ledger.0["trouble"]["panics"], 0);
}

#[test]
fn what_changes_in_the_cluster_changes_inspection_and_no_packet_is_lost() {
    let Some(net) = Net::new() else { return };
    let Some(mut plane) = ControlPlane::start_in(&net) else { return };
    let frontend = cluster::FRONTEND_1.name;
    let (attacker, bystander) = attackers();
    let mut stage = set_up(&net, &plane, &attacker, &bystander);
    let folder = tempfile::tempdir().expect("a folder");
    let taken_before = net.taken();
    let web = json!([{"namespace": "shop", "name": "web-tier"}]);
    std::thread::scope(|scope| {
        scope.spawn(|| attacker.run(&net, folder.path()));
        scope.spawn(|| bystander.run(&net, folder.path()));
        let _stoppers = [Stopper(&attacker), Stopper(&bystander)];
        let kubectl = stage.kubectl.clone();
        let undisturbed = stage.begin_undisturbed();
        stage.stretch("no resource, no alert", None, &web);

        say("kubectl apply of a DeepPacketInspection");
        stage.apply(&resource("shop", "web-tier", "tier == \"web\""));
        stage.wait_active();
        show_resources(&kubectl, "web-tier", &["tier == \"web\"", NODE]);
        let first = entry(&kubectl, WEB, NODE);
        assert_eq!(errors(&first), "");
        stage.stretch("selected", Some(frontend), &web);

        say("another selector, which selects other pods");
        stage.apply(&resource("shop", "web-tier", "app == \"cart\""));
        stage.stretch("not selected any more", None, &web);

        say("a selector that is none");
        stage.apply(&resource("shop", "web-tier", "tier =="));
        stage.wait_status("error", WEB, |it| errors(it).contains("column"));
        assert!(!is_active(&entry(&kubectl, WEB, NODE)));
        show_resources(&kubectl, "web-tier", &["tier ==", "invalid selector at column"]);

        say("the first selector again");
        stage.apply(&resource("shop", "web-tier", "tier == \"web\""));
        stage.wait_active();
        stage.stretch("selected again", Some(frontend), &web);
        let settled = entry(&stage.kubectl, WEB, NODE);

        say("the pod is deleted");
        delete_pod(&stage.kubectl, "shop", frontend);
        stage.stretch("no pod", None, &web);

        say("a new pod has its address");
        let address = cluster::FRONTEND_1.address.to_string();
        create_pod(&stage.kubectl, &pod("shop", "frontend-new", &address, &json!({"tier": "web"})));
        stage.stretch("a new pod", Some("frontend-new"), &web);

        say("the API server is killed");
        plane.kill_api();
        stage.stretch("no API server", Some("frontend-new"), &web);
        assert!(stage.sensor.http("/healthz").is_some_and(|it| it.0 == 200));

        say("the API server is back");
        plane.start_api();
        stage.stretch("the API server again", Some("frontend-new"), &web);
        let after = entry(&stage.kubectl, WEB, NODE);
        assert_eq!(after, settled, "nothing of this is told in the status, for nothing changed");
        show_resources(&kubectl, "web-tier", &["tier == \"web\"", NODE]);

        say("the resource is deleted");
        kubectl.run(&["delete", "dpi", "-n", "shop", "web-tier"]);
        stage.stretch("no resource", None, &web);
        stage.end_undisturbed(undisturbed);
        pause(&plane, &stage.sensor);
    });
    say("the sensor is stopped; alerts and ledger");
    reckon(stage, &net, taken_before);
}

/// Waits for whoever looks on, where `scripts/lab cluster --pause` asks for that.
fn pause(plane: &ControlPlane, sensor: &KubeSensor) {
    let Some(file) = std::env::var_os("POLLUX_LAB_PAUSE") else { return };
    let netns = plane.netns().unwrap_or_default();
    let kubeconfig = plane.kubeconfig(crate::control_plane::ADMIN);
    let assets = crate::control_plane::assets().expect("there are");
    say("held for you to look around; in another terminal:");
    println!(
        "   ip netns exec {netns} {}/kubectl --kubeconfig {} get dpi -A",
        assets.display(),
        kubeconfig.display()
    );
    println!("   tail -f {}", sensor.path("out/eve.json").display());
    println!("   remove {} to go on", file.display());
    fs::write(&file, "").expect("written");
    while std::path::Path::new(&file).exists() {
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "long: scripts/test --all"]
fn a_minute_without_api_server_loses_and_doubles_nothing() {
    let Some(net) = Net::new() else { return };
    let Some(mut plane) = ControlPlane::start_in(&net) else { return };
    let (attacker, bystander) = attackers();
    let mut stage = set_up(&net, &plane, &attacker, &bystander);
    let folder = tempfile::tempdir().expect("a folder");
    let taken_before = net.taken();
    let web = json!([{"namespace": "shop", "name": "web-tier"}]);
    std::thread::scope(|scope| {
        scope.spawn(|| attacker.run(&net, folder.path()));
        scope.spawn(|| bystander.run(&net, folder.path()));
        let _stoppers = [Stopper(&attacker), Stopper(&bystander)];
        stage.apply(&resource("shop", "web-tier", "tier == \"web\""));
        stage.wait_active();
        let before = entry(&stage.kubectl, WEB, NODE);
        let undisturbed = stage.begin_undisturbed();
        let begin = Instant::now();
        say("the API server is killed, for a minute");
        plane.kill_api();
        std::thread::sleep(Duration::from_secs(55));
        // Something to tell when it is back: rules that do not load.
        let rules = stage.sensor.path("rules/broken.rules");
        fs::write(&rules, "alert tcp any any -> any any (msg:\"x\"; conten:\"y\"; sid:1;)\n")
            .expect("written");
        std::thread::sleep(Duration::from_secs(5));
        plane.start_api();
        say("the API server is back");
        let (kubectl, back) = (stage.kubectl.clone(), Instant::now());
        let is_right = |resource| {
            let entry = entry(&kubectl, resource, NODE);
            is_active(&entry) && errors(&entry).contains("broken.rules")
        };
        stage.sensor.wait_for("the error in the status", Duration::from_secs(5), |_| {
            is_right(WEB) && is_right(BYSTANDER)
        });
        println!("   status is right after {:.1?}", back.elapsed());
        let after = entry(&kubectl, WEB, NODE);
        assert_eq!(after["active"], before["active"], "it was active all the time");
        let time = begin..Instant::now();
        let pod = Some(cluster::FRONTEND_1.name);
        stage.stretches.push(Stretch { name: "all the time", time, pod, dpi: web.clone() });
        stage.end_alerts(undisturbed.0);
    });
    reckon(stage, &net, taken_before);
}

#[test]
fn the_example_in_a_cluster_raises_what_it_raises_in_replay() {
    use crate::common::live::write_capture;
    use crate::common::{repository, sid};
    use traffic::Example;

    let Some(net) = Net::new() else { return };
    let Some(plane) = ControlPlane::start_in(&net) else { return };
    let kubectl = plane.kubectl();
    populate(&kubectl);
    create_node(&kubectl, NODE);
    let resources = repository("deploy/examples/resources/40-deep-packet-inspections.yaml");
    kubectl.run(&["apply", "-f", resources.to_str().expect("a path")]);
    let example = Example::new(1).expect("an example");
    let mut sensor = Setup::new(NODE, plane.kubeconfig(SENSOR)).start_on(&net);
    sensor.wait_ready();
    let capture = sensor.path("example.pcap");
    write_capture(&capture, &example.packets);
    let sent = net.send(&capture, 1500);
    std::thread::sleep(Duration::from_millis(1500));
    let status = |resource| entry(&kubectl, resource, NODE);
    for resource in
        ["shop/web-tier", "shop/edge", "batch/whole-namespace", "data/production-databases"]
    {
        assert!(is_active(&status(resource)), "{resource}: {}", status(resource));
    }
    let invalid = status("shop/invalid-selector-on-purpose");
    assert!(!is_active(&invalid) && errors(&invalid).contains("column"), "{invalid}");
    sensor.stop();
    let alerts = sensor.results.alerts();
    let mut sids: Vec<u32> = alerts.iter().map(sid).collect();
    let planted = example.manifest.alerts.iter().filter(|it| !it.resources.is_empty());
    let mut expected: Vec<u32> = planted.map(|it| it.sid).collect();
    sids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sids, expected);
    assert_eq!(sensor.results.ledger().total("received"), sent);
    let stopped = status("shop/web-tier");
    assert!(!stopped.is_null() && !is_active(&stopped), "marked inactive: {stopped}");
}
