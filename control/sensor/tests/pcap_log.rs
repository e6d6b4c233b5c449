//! `pcap-log`: the files hold the packets of the flows that alert, whole and nothing else, with the
//! alerts in their comments. They are read here without the sensor's own code, and by tcpdump.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::live::{Net, Sensor, TAP, write_capture};
use common::{Results, finish, pollux};
use tempfile::TempDir;
use traffic::Packet;
use wire::builder::{Ip, frame};

/// A packet in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    interface: Option<String>,
    micros: u64,
    bytes: Vec<u8>,
    comments: Vec<String>,
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Code and value of each option.
fn options(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = Vec::new();
    while bytes.len() >= 4 {
        let code = u16::from_le_bytes([bytes[0], bytes[1]]);
        let len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
        if code == 0 {
            break;
        }
        all.push((code, &bytes[4..4 + len]));
        bytes = &bytes[4 + len.next_multiple_of(4)..];
    }
    all
}

/// The packets of a pcapng file, by its format's description alone.
fn read(path: &Path) -> Vec<Kept> {
    let file = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut at, mut names, mut packets) = (0, Vec::new(), Vec::new());
    while at < file.len() {
        let (kind, len) = (number(&file, at), number(&file, at + 4));
        assert_eq!(number(&file, at + len - 4), len, "the length stands at both ends");
        let body = &file[at + 8..at + len - 4];
        match kind {
            0x0a0d_0d0a => assert_eq!(number(body, 0), 0x1a2b_3c4d),
            1 => {
                assert_eq!(body[..2], [1, 0], "Ethernet");
                let options = options(&body[8..]);
                assert!(options.contains(&(9, &[9][..])), "nanoseconds: {options:?}");
                let name = options.iter().find(|(code, _)| *code == 2);
                names.push(name.map(|(_, name)| String::from_utf8_lossy(name).into_owned()));
            }
            6 => {
                let (high, low) = (number(body, 4) as u64, number(body, 8) as u64);
                let captured = number(body, 12);
                let comments = options(&body[20 + captured.next_multiple_of(4)..]);
                packets.push(Kept {
                    interface: names[number(body, 0)].clone(),
                    micros: (high << 32 | low) / 1000,
                    bytes: body[20..20 + captured].to_vec(),
                    comments: comments
                        .into_iter()
                        .map(|(code, text)| {
                            assert_eq!(code, 1, "a comment");
                            String::from_utf8(text.to_vec()).expect("UTF-8")
                        })
                        .collect(),
                });
            }
            other => panic!("a block of type {other:#x}"),
        }
        at += len;
    }
    // Someone else's reader takes every packet, too.
    let mut tcpdump = Command::new("tcpdump");
    if let Ok(output) = tcpdump.args(["-nn", "-t", "-r"]).arg(path).output() {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter(|line| !line.starts_with(['\t', ' '])).count();
        assert_eq!(lines, packets.len(), "{text}");
    }
    packets
}

/// The packets of all files in a directory, in their order.
fn kept(directory: &Path) -> Vec<Kept> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        if let Some(number) = name.strip_prefix("log.").and_then(|it| it.strip_suffix(".pcapng")) {
            files.insert(number.parse::<u64>().expect("a number"), entry.path());
        }
    }
    files.values().flat_map(|path| read(path)).collect()
}

/// Clients of which the first one's datagrams alert in the middle, the second one's are held back by
/// a threshold, the third one's by a threshold until the last, the others' never match.
fn datagrams() -> Vec<Packet> {
    let mut packets = Vec::new();
    for round in 0..10u64 {
        for client in 1..=6u64 {
            let text = match (client, round) {
                (1, 4) => "an attack",
                (2, 3) | (3, 3 | 7) => "now and then",
                _ => "nothing at all",
            };
            let ip = Ip::new(&format!("10.0.0.{client}"), "10.0.1.1");
            let payload = format!("{client} {round}: {text}");
            let bytes = frame(&ip.udp(1000 + client as u16, 9999, payload.as_bytes()));
            packets.push(Packet { time: 1_700_000_000_000_000 + round * 1000 + client, bytes });
        }
    }
    packets
}

const RULES: &str = "alert udp any any -> any any (msg:\"an attack\"; content:\"an attack\"; \
                     sid:1; rev:3;)\n\
                     alert udp any any -> any any (msg:\"often\"; content:\"now and then\"; \
                     threshold:type threshold, track by_src, count 2, seconds 60; sid:2;)\n";

/// Whose packet it is, and which.
fn tell(packet: &Kept) -> (u64, u64) {
    // Behind the headers of Ethernet, IPv4 and UDP.
    let text = String::from_utf8_lossy(&packet.bytes[42..]).into_owned();
    let words = text.split_once(':').expect("our payload").0.split_once(' ');
    let (client, round) = words.expect("our payload");
    (client.parse().expect("a number"), round.parse().expect("a number"))
}

struct Replayed {
    folder: TempDir,
    ledger: serde_json::Value,
    files: Vec<serde_json::Value>,
}

impl Replayed {
    fn new(rules: &str, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (capture, file) = (folder.path().join("made.pcap"), folder.path().join("x.rules"));
        write_capture(&capture, &datagrams());
        write(&file, rules).expect("written");
        let out = folder.path().join("out");
        let mut words = words!["replay", "-S", file, "-l", out.clone(), "--cache", "off"];
        for set in more {
            words.extend(words!["--set", *set]);
        }
        words.push(capture.into());
        pollux(words).expect(0);
        let results = Results::of(&out);
        let ledger = results.ledger().0;
        let files = results.alerts().iter().map(|it| it["capture_file"].clone()).collect();
        Self { folder, ledger, files }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

const ON: &str = "outputs.pcap-log.enabled=true";

#[test]
fn a_flow_that_alerts_is_kept_whole_with_the_alert_on_its_packet() {
    for spread in [1, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let (capture, file) = (folder.path().join("made.pcap"), folder.path().join("x.rules"));
        let sent = datagrams();
        write_capture(&capture, &sent);
        write(&file, RULES).expect("written");
        let out = folder.path().join("out");
        let workers = spread.to_string();
        pollux(words![
            "replay",
            "-S",
            file,
            "-l",
            out.clone(),
            "--workers",
            workers,
            "--set",
            ON,
            capture
        ])
        .expect(0);
        let packets = kept(&out);
        let mut told: Vec<_> = packets.iter().map(tell).collect();
        told.sort_unstable();
        let expected: Vec<_> =
            [1, 3].into_iter().flat_map(|client| (0..10).map(move |it| (client, it))).collect();
        assert_eq!(told, expected, "of the flows with an alert every packet, of others none");
        for packet in &packets {
            let original = sent.iter().find(|it| it.bytes == packet.bytes).expect("it was sent");
            assert_eq!(packet.micros, original.time);
            let comment = match tell(packet) {
                (1, 4) => "alert sid=1 gid=1 rev=3 msg=\"an attack\" flow_id=",
                (3, 7) => "alert sid=2 gid=1 rev=0 msg=\"often\" flow_id=",
                _ => {
                    assert_eq!(packet.comments, [""; 0], "{packet:?}");
                    continue;
                }
            };
            assert_eq!(packet.comments.len(), 1, "{packet:?}");
            assert!(packet.comments[0].starts_with(comment), "{packet:?}");
        }
        let results = Results::of(&out);
        let pcap_log = results.ledger().0["pcap_log"].clone();
        let count = |name: &str| pcap_log[name].as_u64().expect("a count");
        assert_eq!((count("written"), count("files"), count("withheld")), (20, 1, 10));
        let others = ["lost", "write_error", "gone", "beyond", "uncommented"];
        assert!(others.iter().all(|name| count(name) == 0), "{pcap_log}");
        for alert in results.alerts() {
            let file = alert["capture_file"].as_str().expect("a file");
            assert!(file.ends_with("out/log.1.pcapng"), "{alert}");
            let flow = format!("flow_id={}", alert["flow_id"]);
            let commented = packets.iter().flat_map(|it| &it.comments);
            assert_eq!(commented.filter(|it| it.ends_with(&flow)).count(), 1, "{alert}");
        }
    }
}

#[test]
fn without_an_alert_or_without_being_asked_for_no_file_is_made() {
    let silent = Replayed::new("alert udp any any -> any any (content:\"never\"; sid:1;)\n", &[ON]);
    assert_eq!(kept(&silent.out()), []);
    assert_eq!(silent.ledger["pcap_log"]["written"], 0);
    let off = Replayed::new(RULES, &[]);
    assert_eq!(kept(&off.out()), []);
    assert!(off.ledger["pcap_log"].is_null() && off.files.iter().all(|it| it.is_null()));
}

#[test]
fn what_is_remembered_and_what_follows_is_bounded_and_the_rest_counted() {
    let bounded = Replayed::new(
        RULES,
        &[ON, "outputs.pcap-log.history-packets=13", "outputs.pcap-log.after-packets=2"],
    );
    let told: Vec<_> =
        kept(&bounded.out()).iter().map(tell).filter(|(client, _)| *client == 1).collect();
    // Thirteen packets of six flows reach two rounds back.
    assert_eq!(told, [(1, 2), (1, 3), (1, 4), (1, 5), (1, 6)]);
    let log = &bounded.ledger["pcap_log"];
    assert!(log["gone"].as_u64() >= Some(2) && log["beyond"].as_u64() >= Some(3), "{log}");
}

#[test]
fn a_live_sensor_keeps_what_alerts_with_the_interface_and_the_resource() {
    let Some(net) = Net::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |below: &str| folder.path().join(below);
    for below in ["resources", "out"] {
        fs::create_dir(path(below)).expect("made");
    }
    write(
        path("resources/all.yaml"),
        "apiVersion: projectcalico.org/v3\nkind: DeepPacketInspection\n\
         metadata: {name: everything, namespace: shop}\nspec: {selector: all()}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop, labels: {app: web}}\n\
         spec: {nodeName: node-a}\nstatus: {phase: Running, podIP: 10.0.1.1, \
         podIPs: [{ip: 10.0.1.1}]}\n",
    )
    .expect("written");
    write(path("x.rules"), RULES).expect("written");
    let text = format!(
        "[sensor]\nnode = \"node-a\"\ngrace = \"50ms\"\n[[ports]]\ndevice = \"{TAP}\"\n\
         [source]\ndirectory = \"{}\"\n[rules]\npaths = [\"{}\"]\ncache = \"off\"\n\
         [outputs]\ndirectory = \"{}\"\n[outputs.pcap-log]\nenabled = true\n\
         [memory]\nhugepages = \"no\"\n",
        path("resources").display(),
        path("x.rules").display(),
        path("out").display(),
    );
    write(path("pollux.toml"), text).expect("written");
    let mut sensor = Sensor::start(&net, folder.path());
    let capture = path("made.pcap");
    write_capture(&capture, &datagrams());
    let sent = net.send(&capture, 1000);
    sensor.wait("every packet", |it| it.accounted() >= sent);
    // They are in the file while the sensor runs.
    sensor.wait("the packets", |it| {
        it.results.ledger_now().0["pcap_log"]["written"].as_u64() >= Some(20)
    });
    let packets = kept(&path("out"));
    sensor.stop();
    assert_eq!(kept(&path("out")), packets);
    let mut told: Vec<_> = packets.iter().map(tell).collect();
    told.sort_unstable();
    let expected: Vec<_> =
        [1, 3].into_iter().flat_map(|client| (0..10).map(move |it| (client, it))).collect();
    assert_eq!(told, expected);
    for packet in &packets {
        assert_eq!(packet.interface.as_deref(), Some(TAP));
        let is_alert = matches!(tell(packet), (1, 4) | (3, 7));
        assert_eq!(packet.comments.len(), usize::from(is_alert), "{packet:?}");
        assert!(packet.comments.iter().all(|it| it.ends_with(" resource=shop/everything")));
    }
}

#[test]
fn a_disk_too_small_for_the_packets_costs_packets_and_no_alert() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).expect("made");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"]).arg(&disk);
    if finish(&mut mount).code != Some(0) {
        eprintln!("skipped: cannot mount a small disk, which root can");
        return;
    }
    // Neither file fits beside what lies there.
    write(disk.join("filler"), [0; 4096]).expect("written");
    let set = format!("outputs.pcap-log.path={}", disk.join("log.pcapng").display());
    let full = Replayed::new(RULES, &[ON, &set]);
    finish(Command::new("umount").arg(&disk)).expect(0);
    assert_eq!(full.files.len(), 2, "both alerts are written");
    let log = &full.ledger["pcap_log"];
    assert_eq!(
        (log["write_error"].as_u64(), log["written"].as_u64()),
        (Some(20), Some(0)),
        "{log}"
    );
}
