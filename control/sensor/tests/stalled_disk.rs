//! A disk that takes nothing for a while, as a full queue or a frozen snapshot makes one: workers go on as if
//! nothing were, what is not written is counted, and what comes afterwards is written.

mod common;

use std::fs::{self, write};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::finish;
use common::live::{Net, Sensor, TAP, write_capture};
use serde_json::Value;
use traffic::Packet;
use wire::builder::{Ip, frame};

/// Each of them alerts: more than wait for the writer at the most.
const ATTACKS: u64 = 40_000;

const RULES: &str =
    "alert udp any any -> any any (msg:\"an attack\"; content:\"an attack\"; sid:1;)\n";

/// A disk of its own in a file, thawed and gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// None where it cannot be made, which is said.
    fn new(folder: &Path) -> Option<Self> {
        let (image, at) = (folder.join("image"), folder.join("disk"));
        fs::create_dir(&at).expect("made");
        let file = fs::File::create(&image).expect("made");
        file.set_len(256 << 20).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).args([&image, &at]);
        let made = Command::new("mkfs.ext4").arg("-q").arg(&image).output();
        if !made.is_ok_and(|it| it.status.success()) || finish(&mut mount).code != Some(0) {
            eprintln!("skipped: cannot mount a disk in a file, which root can");
            return None;
        }
        Some(Self(at))
    }

    #[track_caller]
    fn freeze(&self) {
        finish(Command::new("fsfreeze").arg("-f").arg(&self.0)).expect(0);
    }

    #[track_caller]
    fn thaw(&self) {
        finish(Command::new("fsfreeze").arg("-u").arg(&self.0)).expect(0);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // In a test that fails, too: a frozen disk would hold up everything.
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Datagrams of as many flows; each alerts.
fn attacks(from: u64, count: u64) -> Vec<Packet> {
    let attack = |number: u64| {
        let ip = Ip::new(&format!("10.1.{}.{}", number >> 8 & 0xff, number & 0xff), "10.0.1.1");
        let port = 1_000 + (number >> 16) as u16;
        let bytes = frame(&ip.udp(port, 9999, format!("{number}: an attack").as_bytes()));
        Packet { time: 1_700_000_000_000_000 + number * 10, bytes }
    };
    (from..from + count).map(attack).collect()
}

fn count(ledger: &Value, part: &str, name: &str) -> u64 {
    ledger[part][name].as_u64().unwrap_or_else(|| panic!("{part}.{name} in {ledger}"))
}

/// Alerts that were raised and not written, whatever the reason.
fn lost(ledger: &Value) -> u64 {
    let lost = ledger["alerts"]["lost"].as_object().expect("losses by reason");
    lost.values().filter_map(Value::as_u64).sum()
}

#[test]
fn a_disk_that_stalls_holds_up_no_worker_and_what_it_costs_is_counted() {
    let Some(net) = Net::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |below: &str| folder.path().join(below);
    // Unmounted before the folder goes, and after the sensor has.
    let Some(disk) = Disk::new(folder.path()) else { return };
    fs::create_dir(path("out")).expect("made");
    write(path("x.rules"), RULES).expect("written");
    let text = format!(
        "[sensor]\nnode = \"node-a\"\ngrace = \"50ms\"\n[[ports]]\ndevice = \"{TAP}\"\ndescriptors = 16384\n\
         [rules]\npaths = [\"{}\"]\ncache = \"off\"\n\
         [outputs]\ndirectory = \"{}\"\n[outputs.eve]\npath = \"{}\"\n\
         [outputs.pcap-log]\nenabled = true\npath = \"{}\"\n[memory]\nhugepages = \"no\"\n",
        path("x.rules").display(),
        path("out").display(),
        path("disk/eve.json").display(),
        path("disk/log.pcapng").display(),
    );
    write(path("pollux.toml"), text).expect("written");
    let mut sensor = Sensor::start(&net, folder.path());
    let capture = path("made.pcap");

    write_capture(&capture, &attacks(0, 100));
    let before = net.send(&capture, 1_000);
    sensor.wait("the first alerts", |it| {
        count(&it.results.ledger_now().0, "alerts", "written") >= before
    });

    disk.freeze();
    write_capture(&capture, &attacks(100, ATTACKS));
    let sent = before + net.send(&capture, 20_000);
    sensor.wait("every packet, while nothing can be written", |it| it.accounted() >= sent);
    let ledger = sensor.results.ledger_now().0;
    let inspected = count(&ledger, "totals", "inspected");
    assert!(inspected > ATTACKS / 2, "a worker was held up: {ledger}");
    assert!(count(&ledger, "alerts", "written") < before + ATTACKS / 2, "{ledger}");

    disk.thaw();
    write_capture(&capture, &attacks(100 + ATTACKS, 100));
    let sent = sent + net.send(&capture, 1_000);
    sensor.wait("every packet", |it| it.accounted() >= sent);
    sensor.wait("every alert's fate", |it| {
        let ledger = it.results.ledger_now().0;
        count(&ledger, "alerts", "raised") == count(&ledger, "totals", "inspected")
    });
    sensor.stop();

    let ledger = sensor.results.ledger_now().0;
    let (raised, written) =
        (count(&ledger, "alerts", "raised"), count(&ledger, "alerts", "written"));
    assert_eq!(raised, count(&ledger, "totals", "inspected"));
    assert_eq!(written + lost(&ledger), raised, "{ledger}");
    assert!(lost(&ledger) > 0, "40,000 alerts do not fit into what waits: {ledger}");
    let text = fs::read_to_string(path("disk/eve.json")).expect("alerts");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("whole lines")).collect();
    assert_eq!(lines.len() as u64, written);
    let last = lines.last().and_then(|line| line["src_ip"].as_str()).expect("an address");
    let number = 100 + ATTACKS + 99;
    assert_eq!(last, format!("10.1.{}.{}", number >> 8 & 0xff, number & 0xff), "the last one");
    assert!(count(&ledger, "pcap_log", "written") > 0, "{ledger}");
}
