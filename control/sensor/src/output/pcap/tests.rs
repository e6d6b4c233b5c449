use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::capture::{self, End};

fn config(path: &Path) -> PcapConfig {
    PcapConfig {
        path: path.to_owned(),
        limit: 20_000,
        max_files: 3,
        existing: Existing::Append,
        interfaces: vec!["eth0".to_owned()],
        cores: engine::PcapConfig {
            history_bytes: 1 << 16,
            history_packets: 64,
            after_packets: 10,
            after: 1000,
            queue_packets: 64,
            queue_bytes: 1 << 20,
        },
    }
}

fn packet(number: u64) -> PcapPacket {
    PcapPacket {
        due: number,
        clock: number,
        order: number,
        flow: Some(7),
        timestamp: 1_700_000_000_000_000_000 + number,
        wire_len: 2000,
        link: 1,
        port: 0,
        bytes: vec![number as u8; 1000].into(),
    }
}

fn write(files: &mut Files, numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        files.push(&Item { packet: &packet(number), comments: &["a word".to_owned()] });
    }
}

/// Times of the packets in a file, by the reader that replay has.
fn times(path: &Path) -> Vec<u64> {
    let mut times = Vec::new();
    let end = capture::read(path, |frame| {
        assert_eq!((frame.link, frame.wire_len, frame.data.len()), (1, 2000, 1000));
        times.push(frame.timestamp - 1_700_000_000_000_000_000);
        true
    });
    assert_eq!(end.expect("a capture"), End::Complete);
    times
}

#[test]
fn files_are_bounded_in_size_and_number_and_their_numbers_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.pcapng");
    fs::write(folder.path().join("log.old.pcapng"), "not ours").expect("written");
    let mut files = Files::new(&config(&path)).expect("begun");
    assert!(files.name().ends_with("log.1.pcapng"));
    write(&mut files, 0..100);
    files.flush().expect("written");
    assert_eq!((files.written, files.lost), (100, 0));
    let last = files.number;
    assert_eq!(files.there, [last - 2, last - 1, last]);
    let all: Vec<u64> =
        files.there.iter().flat_map(|&number| times(&numbered(&path, number))).collect();
    assert_eq!(all, (100 - all.len() as u64..100).collect::<Vec<_>>());
    for &number in &files.there {
        assert!(fs::metadata(numbered(&path, number)).expect("there").len() <= 20_000);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 4);
    // The next sensor begins a file of its own; a replay begins anew.
    let mut next = Files::new(&config(&path)).expect("begun");
    write(&mut next, 0..1);
    next.flush().expect("written");
    assert_eq!(times(&numbered(&path, last + 1)), [0]);
    let anew = PcapConfig { existing: Existing::Replace, ..config(&path) };
    assert_eq!(Files::new(&anew).expect("begun").number, 1);
    let left: Vec<_> = fs::read_dir(folder.path()).expect("read").flatten().collect();
    assert_eq!(left.len(), 1, "only what is not ours: {left:?}");
}

/// A disk of so many bytes, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(bytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path());
        if !mount.output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: cannot mount a small disk, which root can");
            return None;
        }
        Some(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_is_survived_and_what_it_costs_is_counted() {
    let Some(disk) = Disk::of(64 << 10) else { return };
    let path = disk.0.path().join("log.pcapng");
    let filler = disk.0.path().join("filler");
    let big = PcapConfig { limit: 1 << 20, ..config(&path) };
    let mut files = Files::new(&big).expect("begun");
    write(&mut files, 0..10);
    files.flush().expect("written");
    fs::write(&filler, vec![0; 40 << 10]).expect("written");
    write(&mut files, 10..50);
    assert!(files.flush().is_err());
    // A little has room again, then nothing.
    write(&mut files, 50..60);
    let _ = files.flush();
    write(&mut files, 60..100);
    assert!(files.flush().is_err());
    fs::remove_file(&filler).expect("removed");
    write(&mut files, 100..105);
    files.flush().expect("there is room again");
    assert_eq!(files.written + files.lost, 105, "every packet is in one count");
    let (mut seen, mut last) = (0, Vec::new());
    for &number in &files.there {
        last = times(&numbered(&path, number));
        seen += last.len() as u64;
    }
    assert_eq!(seen, files.written, "what is counted as written is there, in whole blocks");
    assert_eq!(last, (100..105).collect::<Vec<_>>());
}
