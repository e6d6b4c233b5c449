//! `pollux top` and `pollux doctor --live` of a sensor that runs: in a terminal, and for scripts.

mod common;

use std::fs::{self, write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::live::{Net, Sensor, TAP, write_capture};
use common::{binary, finish, pollux};
use traffic::{Packet, Random, Side, TcpSession, Track};
use wire::builder::{Ip, frame};

fn packets() -> Vec<Packet> {
    let ip = Ip::new("10.0.0.1", "10.0.1.1");
    // Each another one: what a mirror copies twice is dropped.
    let bytes = |at| frame(&ip.udp(1000, 9999, format!("an attack, the {at}th").as_bytes()));
    let arp = wire::builder::ethernet(0x0806, &[0; 46]);
    let of = |at: u64| Packet {
        time: 1_700_000_000_000_000 + at,
        bytes: if at.is_multiple_of(4) { arp.clone() } else { bytes(at) },
    };
    (0..100).map(of).collect()
}

/// A sensor in a namespace, with its socket.
fn sensor(net: &Net, folder: &Path) -> (Sensor, PathBuf) {
    let path = |below: &str| folder.join(below);
    fs::create_dir(path("out")).expect("made");
    let rule = "alert udp any any -> any any (msg:\"an attack\"; content:\"attack\"; sid:77;)\n";
    write(path("x.rules"), rule).expect("written");
    let socket = path("run/x.sock");
    let text = format!(
        "[sensor]\nnode = \"node-a\"\ngrace = \"50ms\"\n[[ports]]\ndevice = \"{TAP}\"\n\
         [rules]\npaths = [\"{}\"]\ncache = \"off\"\n[metrics]\nsocket = \"{}\"\n\
         [outputs]\ndirectory = \"{}\"\n[memory]\nhugepages = \"no\"\n",
        path("x.rules").display(),
        socket.display(),
        path("out").display(),
    );
    write(path("pollux.toml"), text).expect("written");
    (Sensor::start(net, folder), socket)
}

/// A terminal, gone when dropped.
struct Terminal {
    server: String,
}

impl Terminal {
    /// Runs a command in one of 80 by 24; none where there is no tmux, which is said.
    fn run(command: &str) -> Option<Self> {
        let server = format!("pollux-test-{}", std::process::id());
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &server, "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24"]);
        // What is drawn last is to be seen after the end, too.
        tmux.arg(format!("{command}; echo ended with $?; sleep 60"));
        if !tmux.env("TERM", "xterm").output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no tmux here");
            return None;
        }
        Some(Self { server })
    }

    fn tmux(&self, words: &[&str]) -> String {
        finish(Command::new("tmux").args(["-L", &self.server]).args(words)).expect(0).stdout
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Waits until the screen shows what it should.
    #[track_caller]
    fn wait(&self, what: &str, shows: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if shows(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "no {what} on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.server, "kill-server"]).output();
    }
}

#[test]
fn a_running_sensor_is_shown_in_a_terminal_and_told_to_scripts() {
    let Some(net) = Net::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut sensor, socket) = sensor(&net, folder.path());
    let capture = folder.path().join("made.pcap");
    write_capture(&capture, &packets());
    let sent = net.send(&capture, 1000);
    sensor.wait("every packet", |it| it.accounted() >= sent);
    sensor.wait("the alerts", |it| it.results.ledger_now().alert("written") == 75);

    let words = ["top", "--json", "--socket"].map(std::ffi::OsString::from);
    let sample = pollux(words.into_iter().chain([socket.clone().into()])).expect(0).json();
    assert_eq!(
        (&sample["node"], &sample["ledger"]["totals"]["received"]),
        (&"node-a".into(), &100.into())
    );
    let alert = &sample["alerts_by_signature"][0];
    assert_eq!(
        (&alert["sid"], &alert["msg"], &alert["alerts"]),
        (&77.into(), &"an attack".into(), &75.into())
    );

    let config = folder.path().join("pollux.toml");
    let diagnosis = pollux(words!["doctor", "--live", "--json", "-c", config]).expect(0).json();
    let findings = diagnosis["findings"].as_array().expect("findings");
    let of = |check: &str| findings.iter().find(|it| it["check"] == check).expect("looked at");
    assert!(
        of("drops")["found"].as_str().is_some_and(|it| it.contains("25 dropped as non_ip")),
        "{diagnosis}"
    );
    assert!(
        of("traffic")["found"].as_str().is_some_and(|it| it.contains("100 packets")),
        "{diagnosis}"
    );

    let command = format!("{} top --socket {}", binary().display(), socket.display());
    if let Some(terminal) = Terminal::run(&command) {
        let screen = terminal.wait("sensor", |it| it.contains("on node-a") && it.contains("1:77"));
        for words in ["received 100", "an attack", "non_ip", TAP, "q quit", "sort: total"] {
            assert!(screen.contains(words), "{words:?} is not in\n{screen}");
        }
        terminal.press("s");
        terminal.wait("other order", |it| it.contains("sort: rate"));
        terminal.press("p");
        terminal.wait("pause", |it| it.contains("PAUSED"));
        net.send(&capture, 1000);
        sensor.wait("more packets", |it| it.accounted() >= 2 * sent);
        std::thread::sleep(Duration::from_millis(1500));
        terminal.wait("standing still", |it| it.contains("received 100"));
        terminal.press("p");
        terminal.wait("going on", |it| it.contains("received 200"));
        sensor.stop();
        terminal.wait("that the sensor has gone", |it| it.contains("no sensor runs at"));
        terminal.press("q");
        terminal.wait("the end", |it| it.contains("ended with 0"));
    } else {
        sensor.stop();
    }
    assert!(!socket.exists(), "the socket is gone with its sensor");
    let gone = pollux(words!["top", "--json", "--socket", socket.clone()]).expect(1);
    gone.says(&["no sensor runs at", "pollux run"]);
    pollux(words!["doctor", "--live", "--socket", socket]).expect(1).says(&["no sensor runs at"]);
}

/// A connection, and of each of its frames whether the client has sent it.
fn connection(port: u16) -> Vec<(bool, Packet)> {
    let client = std::net::Ipv4Addr::new(10, 8, 0, 7);
    let path = traffic::Path::new((client, port).into(), ([10, 8, 1, 1], 7000).into());
    let mut session = TcpSession::new(path, &mut Random::new(u64::from(port)));
    let mut track = Track::new(0, u64::from(port));
    session.open(&mut track).expect("in memory");
    for _ in 0..5 {
        session.send(Side::Client, b"a question", &mut track).expect("in memory");
        session.send(Side::Server, b"an answer", &mut track).expect("in memory");
    }
    session.close(Side::Client, &mut track).expect("in memory");
    let of_client = |packet: &Packet| packet.bytes[26..30] == client.octets();
    track.into_packets().into_iter().map(|packet| (of_client(&packet), packet)).collect()
}

#[test]
fn a_mirror_of_one_direction_and_one_that_tags_one_direction_are_told() {
    let Some(net) = Net::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut sensor, socket) = sensor(&net, folder.path());
    let one_sided = (0..40).flat_map(|at| connection(20_000 + at)).filter(|it| it.0);
    let tagged = (0..10).flat_map(|at| connection(30_000 + at)).map(|(is_client, mut packet)| {
        if is_client {
            packet.bytes.splice(12..12, [0x81, 0, 0, 5]);
        }
        (is_client, packet)
    });
    let packets: Vec<Packet> = one_sided.chain(tagged).map(|it| it.1).collect();
    let capture = folder.path().join("made.pcap");
    write_capture(&capture, &packets);
    let sent = net.send(&capture, 2000);
    sensor.wait("every packet", |it| it.accounted() >= sent);
    let told = |sensor: &Sensor| sensor.results.ledger_now().0["ports"][0]["mirror"].clone();
    sensor.wait("judged flows", |it| told(it)["tcp_flows"].as_u64() >= Some(40));

    let run = pollux(words!["doctor", "--live", "--json", "--socket", socket]).expect(0).json();
    let findings = run["findings"].as_array().expect("findings");
    let of = |check: &str| {
        let found = findings.iter().find(|it| it["check"] == check).expect("looked at");
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("found"), text("remedy"))
    };
    let (verdict, found, remedy) = of("one-direction");
    assert_eq!(verdict, "warning", "{run:#}");
    assert!(found.contains("TCP connections") && remedy.contains("both directions"), "{run:#}");
    let (verdict, found, _) = of("vlan-tags");
    assert_eq!(verdict, "note", "{run:#}");
    assert!(found.contains("comes in VLAN 5, the other in none"), "{run:#}");
    sensor.stop();
}
