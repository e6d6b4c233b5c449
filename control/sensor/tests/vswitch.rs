//! Ports of virtual switches, `net_memif`, `net_vhost` and `net_virtio_user`: another DPDK process at the other end
//! sends the example and leaves. Needs dpdk-testpmd and the drivers.

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use common::live::{Sensor, turn, write_capture};
use common::{repository, sid};
use serde_json::Value;
use traffic::Example;

/// A DPDK process that forwards a capture to a device, killed when dropped.
struct Peer {
    child: Child,
    words: ChildStdin,
    log: PathBuf,
}

impl Peer {
    /// Connects; forwards nothing before it is told.
    #[track_caller]
    fn start(folder: &Path, capture: &Path, device: &str) -> Self {
        let log = folder.join("peer");
        let file = File::create(&log).expect("a file");
        let mut command = Command::new("dpdk-testpmd");
        command
            .args(["--lcores=(0,1)@0", "--no-huge", "-m", "128", "--no-shconf", "--no-pci"])
            .args(["--no-telemetry", "--iova-mode=va"])
            .arg(format!("--file-prefix=pollux-peer-{}", std::process::id()))
            .arg(format!("--vdev=net_pcap0,rx_pcap={}", capture.display()))
            .arg(format!("--vdev={device}"))
            .args(["--", "-i", "--total-num-mbufs=16384", "--disable-link-check", "--no-flush-rx"]);
        let errors = file.try_clone().expect("a file");
        let mut child =
            command.stdin(Stdio::piped()).stdout(file).stderr(errors).spawn().expect("it starts");
        let words = child.stdin.take().expect("a pipe");
        let mut peer = Self { child, words, log };
        peer.wait("testpmd>");
        peer
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    #[track_caller]
    fn wait(&mut self, word: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.said().contains(word) {
            let status = self.child.try_wait().expect("a child");
            assert!(status.is_none(), "the peer ended with {status:?}: {}", self.said());
            assert!(Instant::now() < deadline, "no {word:?} for too long: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends the capture, waiting where there is no room.
    #[track_caller]
    fn send(&mut self) {
        let words = b"set fwd io retry\nset burst tx delay 10 retry 1000000\nstart\n";
        self.words.write_all(words).expect("it listens");
    }

    /// Disconnects.
    #[track_caller]
    fn leave(mut self) {
        self.words.write_all(b"stop\nquit\n").expect("it listens");
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the other process is there, and DPDK's driver; what is missing is said.
fn can_run(driver: &str) -> bool {
    let has = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.stdin(Stdio::null()).status().is_ok()
    };
    let path = Command::new("pkg-config").args(["--variable=libdir", "libdpdk"]).output();
    let libraries = path.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    let is_there = libraries
        .ok()
        .and_then(|folder| fs::read_dir(Path::new(&folder).join("dpdk")).ok())
        .into_iter()
        .flatten()
        .flatten()
        .any(|plugins| plugins.path().join(format!("librte_{driver}.so")).exists());
    if !has("dpdk-testpmd") || !is_there {
        eprintln!(
            "skipped: dpdk-testpmd or DPDK's {driver} is absent (scripts/setup installs both)"
        );
        return false;
    }
    true
}

/// Whether the status says that nothing is at the other end.
fn says_down(sensor: &Sensor, port: &str) -> bool {
    let statuses = sensor.results.statuses();
    let word = format!("port {port} is down");
    !statuses.is_empty() && statuses.iter().all(|it| it.to_string().contains(&word))
}

/// Asserts that a core takes little time while nothing comes.
#[track_caller]
fn idles(sensor: &Sensor) {
    let before = sensor.cpu_time();
    std::thread::sleep(Duration::from_secs(1));
    let taken = sensor.cpu_time() - before;
    assert!(taken < Duration::from_millis(300), "{taken:?} in a second without packets");
}

/// Writes the configuration of a sensor on this device.
fn configure(folder: &Path, device: &str, queues: u16) {
    let sources = ["resources", "rules"].map(|it| repository("deploy/examples").join(it));
    let text = format!(
        "[sensor]\nnode = \"node-a\"\ngrace = \"50ms\"\n\
         [[ports]]\ndevice = \"{device}\"\nqueues = {queues}\nmtu = 1600\nidle = \"interrupt\"\n\
         [source]\ndirectory = \"{}\"\n[rules]\npaths = [\"{}\"]\ncache = \"off\"\n\
         [outputs]\ndirectory = \"{}\"\n[memory]\nhugepages = \"no\"\n",
        sources[0].display(),
        sources[1].display(),
        folder.join("out").display(),
    );
    fs::write(folder.join("pollux.toml"), text).expect("written");
}

/// Asserts that a stopped sensor has every packet of these examples, and their alerts alone; its port in the
/// ledger.
#[track_caller]
fn reckon(sensor: &Sensor, examples: &[&Example]) -> Value {
    let ledger = sensor.results.ledger();
    let packets: usize = examples.iter().map(|it| it.packets.len()).sum();
    assert_eq!(ledger.total("received"), packets as u64);
    let mut sids: Vec<u32> = sensor.results.alerts().iter().map(sid).collect();
    let planted = examples.iter().flat_map(|it| &it.manifest.alerts);
    let mut expected: Vec<u32> =
        planted.filter(|it| !it.resources.is_empty()).map(|it| it.sid).collect();
    sids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sids, expected);
    ledger.0["ports"][0].clone()
}

/// The example through a port to which another process connects, which it does twice: what came of it, and
/// what was said.
#[track_caller]
fn the_example_comes_through(
    port: &str,
    arguments: &str,
    peer: &str,
    queues: u16,
) -> (Value, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |below: &str| folder.path().join(below);
    let socket = at("switch.sock").display().to_string();
    let example = Example::new(1).expect("an example");
    write_capture(&at("example.pcap"), &example.packets);
    configure(folder.path(), &format!("{port},{}", arguments.replace("SOCKET", &socket)), queues);
    let mut sensor = Sensor::start_by(Command::new(common::binary()), folder.path(), port, |_| {});
    sensor.wait("word that nothing is connected", |it| says_down(it, port));

    let device = peer.replace("SOCKET", &socket);
    let mut first = Peer::start(folder.path(), &at("example.pcap"), &device);
    sensor.wait("the connection", |it| it.said().contains(": link up") && !says_down(it, port));
    idles(&sensor);
    first.send();
    let sent = example.packets.len() as u64;
    sensor.wait("all packets", |it| it.received() >= sent);
    idles(&sensor);
    first.leave();
    sensor.wait("word that it has gone", |it| says_down(it, port));

    // Other connections than those before, so that they are flows of their own.
    let again = Example::new(2).expect("an example");
    write_capture(&at("example.pcap"), &again.packets);
    let mut second = Peer::start(folder.path(), &at("example.pcap"), &device);
    sensor.wait("the connection", |it| !says_down(it, port));
    second.send();
    let all = sent + again.packets.len() as u64;
    sensor.wait("all packets", |it| it.received() >= all);
    let said = sensor.said();
    sensor.stop();
    second.leave();

    (reckon(&sensor, &[&example, &again]), said)
}

#[test]
fn what_comes_by_memif_is_inspected() {
    let _turn = turn();
    if !can_run("net_memif") || !can_run("net_pcap") {
        return;
    }
    let (port, said) = the_example_comes_through(
        "net_memif0",
        "role=server,socket=SOCKET",
        "net_memif0,role=client,socket=SOCKET,rsize=12",
        1,
    );
    assert_eq!(port["driver"], "net_memif");
    assert_eq!(port["nic"]["imissed"], Value::Null, "it tells no losses, and has none to tell");
    assert!(said.contains("net_memif has none for receive queues"), "{said}");
}

#[test]
fn what_comes_by_vhost_is_inspected() {
    let _turn = turn();
    if !can_run("net_vhost") || !can_run("net_virtio") || !can_run("net_pcap") {
        return;
    }
    let (port, said) = the_example_comes_through(
        "net_vhost0",
        "iface=SOCKET",
        "net_virtio_user0,path=SOCKET,queue_size=1024",
        1,
    );
    assert_eq!(port["driver"], "net_vhost");
    assert!(!said.contains("wait for no interrupt"), "{said}");
}

#[test]
fn cores_that_wait_for_interrupts_take_what_others_hand_over() {
    let _turn = turn();
    if !can_run("net_vhost") || !can_run("net_virtio") || !can_run("net_pcap") {
        return;
    }
    // The other end sends by one queue: half of the flows are the other core's.
    let (port, said) = the_example_comes_through(
        "net_vhost0",
        "iface=SOCKET,queues=2",
        "net_virtio_user0,path=SOCKET,queue_size=1024,queues=2",
        2,
    );
    assert!(!said.contains("wait for no interrupt"), "{said}");
    let count = |queue: usize, what: &str| port["queues"][queue][what].as_u64().unwrap_or(0);
    assert!(count(0, "received") > 0 && count(1, "handed_in") > 0, "{port}");
}

#[test]
fn what_comes_by_a_switchs_vhost_user_port_is_inspected() {
    let _turn = turn();
    if !can_run("net_vhost") || !can_run("net_virtio") || !can_run("net_pcap") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = |below: &str| folder.path().join(below);
    let socket = at("switch.sock").display().to_string();
    let example = Example::new(1).expect("an example");
    write_capture(&at("example.pcap"), &example.packets);
    // The switch is there first: its port is what the sensor plugs into.
    let device = format!("net_vhost0,iface={socket}");
    let mut switch = Peer::start(folder.path(), &at("example.pcap"), &device);
    let port = "net_virtio_user0";
    configure(folder.path(), &format!("{port},path={socket},queue_size=1024"), 1);
    let mut sensor = Sensor::start_by(Command::new(common::binary()), folder.path(), port, |_| {});
    sensor.wait("the link", |it| it.said().contains("link up"));
    idles(&sensor);
    switch.send();
    let sent = example.packets.len() as u64;
    sensor.wait("all packets", |it| it.received() >= sent);
    idles(&sensor);
    switch.leave();
    sensor.wait("word that it has gone", |it| says_down(it, port));
    sensor.stop();
    let port = reckon(&sensor, &[&example]);
    assert_eq!(
        (&port["driver"], &port["nic"]["imissed"]),
        (&"net_virtio_user".into(), &Value::Null)
    );
}
