use std::fs;

use engine::Snapshot;
use engine::alert::OrderKey;
use engine::scope::Scope;
use rtrb::{Producer, RingBuffer};
use rules::signature::{Signature, Threshold, ThresholdKind, Track};

use super::*;
use crate::output::ledger::Ledger;
use crate::output::testing;

struct Core {
    ring: Producer<Box<Alert>>,
    counters: Arc<Counters>,
}

fn cores(n: usize) -> (Vec<Core>, Collector) {
    let (cores, lanes): (Vec<_>, Vec<_>) = (0..n)
        .map(|_| {
            let (ring, lane) = RingBuffer::new(4096);
            let counters = Arc::<Counters>::default();
            (Core { ring, counters: Arc::clone(&counters) }, (lane, counters))
        })
        .unzip();
    (cores, Collector::new(lanes))
}

fn ledgers(cores: &[Core]) -> Vec<Arc<Counters>> {
    cores.iter().map(|core| Arc::clone(&core.counters)).collect()
}

/// So many cores and their writer.
fn start(n: usize, config: WriterConfig) -> (Vec<Core>, WriterHandle) {
    let (cores, collector) = cores(n);
    let writer = Writer::spawn(config, collector, NameBook::new(), ledgers(&cores));
    (cores, writer.expect("spawned"))
}

fn raise(core: &mut Core, snapshot: &Arc<Snapshot>, clock: Nanos) {
    let key = OrderKey { clock, class: 1, order: clock, index: 0 };
    let alert = Alert { key, timestamp: clock, packet_number: clock, ..testing::alert(snapshot) };
    core.ring.push(Box::new(alert)).expect("room");
}

fn rule(change: impl FnOnce(&mut Signature)) -> Arc<Snapshot> {
    let mut signature = testing::signature(1);
    change(&mut signature);
    testing::snapshot(1, Scope::everything(), vec![signature])
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("eve.json");
    (dir, path)
}

fn numbers(path: &PathBuf) -> Vec<u64> {
    fs::read_to_string(path)
        .expect("read")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|line| line["pcap_cnt"].as_u64().expect("a number"))
        .collect()
}

fn balances(totals: &AlertTotals) {
    Ledger::collect(&[], totals, 1.0).balances().expect("the ledger balances");
}

#[test]
fn alerts_of_all_cores_are_written_in_one_order_and_counted() {
    let (_dir, path) = file();
    let snapshot = rule(|_| {});
    let (mut cores, writer) = start(2, WriterConfig::replay(&path));
    for clock in 1..=1000 {
        raise(&mut cores[(clock % 3 % 2) as usize], &snapshot, clock);
    }
    let totals = writer.finish();
    assert_eq!(numbers(&path), (1..=1000).collect::<Vec<_>>());
    assert_eq!((totals.raised, totals.written, totals.lost_total()), (1000, 1000, 0));
    assert_eq!(totals.signatures()[0].count, 1000);
    assert!(totals.last_written.is_some());
    balances(&totals);
}

#[test]
fn lines_are_in_the_file_without_waiting_for_the_end() {
    let (_dir, path) = file();
    let snapshot = rule(|_| {});
    let config =
        WriterConfig { flush_every: Duration::from_millis(20), ..WriterConfig::replay(&path) };
    let (mut cores, writer) = start(1, config);
    raise(&mut cores[0], &snapshot, 5);
    cores[0].counters.watermark.publish(6);
    let begin = Instant::now();
    while writer.totals().written == 0 && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(numbers(&path), [5]);
    assert_eq!(writer.finish().written, 1);
}

#[test]
fn what_a_threshold_holds_back_was_never_raised() {
    let (_dir, path) = file();
    let snapshot = rule(|signature| {
        signature.threshold = Some(Threshold {
            kind: ThresholdKind::Limit,
            track: Track::Source,
            count: 2,
            seconds: 60,
        });
    });
    let (mut cores, writer) = start(1, WriterConfig::replay(&path));
    for clock in 1..=10 {
        raise(&mut cores[0], &snapshot, clock);
    }
    let totals = writer.finish();
    assert_eq!(numbers(&path), [1, 2]);
    assert_eq!((totals.raised, totals.written, totals.thresholded), (2, 2, 8));
    balances(&totals);
}

#[test]
fn a_storm_is_cut_to_its_rate_and_what_is_cut_is_counted_by_signature() {
    let (_dir, path) = file();
    let snapshot = rule(|_| {});
    let rates = RateLimits { signature: 10, flow: 0 };
    let config = WriterConfig { rates, ..WriterConfig::replay(&path) };
    let (mut cores, writer) = start(1, config);
    for clock in 1..=500 {
        // Two seconds and a half.
        raise(&mut cores[0], &snapshot, clock * 5_000_000);
    }
    let totals = writer.finish();
    assert_eq!((totals.raised, totals.written), (500, 30));
    assert_eq!(totals.lost(Loss::RateLimit), 470);
    assert_eq!(totals.signatures()[0].lost, 470);
    balances(&totals);
}

/// A file system of this many kilobytes in a folder, gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let disk = Self(tempfile::tempdir().expect("a folder"));
        disk.mount("size=64k").then_some(disk)
    }

    fn mount(&self, options: &str) -> bool {
        let mut command = std::process::Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0.path());
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_disk_that_was_full_and_has_room_again_gets_whole_lines_in_order() {
    let Some(disk) = SmallDisk::new() else {
        eprintln!("skipped: cannot mount a file system, which root can");
        return;
    };
    let path = disk.0.path().join("eve.json");
    let snapshot = rule(|_| {});
    let config =
        WriterConfig { flush_every: Duration::from_millis(20), ..WriterConfig::replay(&path) };
    let (mut cores, writer) = start(1, config);
    for clock in 1..=1000 {
        raise(&mut cores[0], &snapshot, clock);
        cores[0].counters.watermark.publish(clock + 1);
        if clock % 100 == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while writer.totals().write_errors == 0 {
        assert!(Instant::now() < deadline, "the disk is never full");
        std::thread::sleep(Duration::from_millis(5));
    }
    let full = writer.totals();
    assert!(full.written > 0 && full.written < 1000, "{}", full.written);
    assert!(disk.mount("remount,size=16m"), "no room could be made");
    let totals = writer.finish();
    assert_eq!((totals.raised, totals.written, totals.lost_total()), (1000, 1000, 0));
    assert_eq!(numbers(&path), (1..=1000).collect::<Vec<u64>>());
    balances(&totals);
}

#[test]
fn what_the_cores_lost_is_raised_and_lost() {
    let (_dir, path) = file();
    let snapshot = rule(|_| {});
    let (mut cores, writer) = start(2, WriterConfig::replay(&path));
    raise(&mut cores[0], &snapshot, 1);
    cores[0].counters.alerts_lost.add(3);
    cores[1].counters.alerts_lost.add(4);
    cores[1].counters.alerts_over_limit.add(5);
    let totals = writer.finish();
    assert_eq!((totals.raised, totals.written), (13, 1));
    assert_eq!((totals.lost(Loss::RingFull), totals.lost(Loss::PacketAlertMax)), (7, 5));
    balances(&totals);
}

#[test]
fn a_full_disk_loses_alerts_by_name_and_nothing_else() {
    let snapshot = rule(|_| {});
    let config = WriterConfig::replay("/dev/full");
    let (mut cores, writer) = start(1, config);
    for clock in 1..=100 {
        raise(&mut cores[0], &snapshot, clock);
    }
    let totals = writer.finish();
    assert_eq!((totals.raised, totals.written), (100, 0));
    assert_eq!(totals.lost(Loss::WriteError), 100);
    assert!(totals.write_errors > 0 && totals.last_error.is_some());
    balances(&totals);
}

#[test]
fn an_alert_without_a_signature_is_lost_by_name() {
    let (_dir, path) = file();
    let snapshot = rule(|_| {});
    let (mut cores, writer) = start(1, WriterConfig::replay(&path));
    let alert = Alert { signature: 99, ..testing::alert(&snapshot) };
    cores[0].ring.push(Box::new(alert)).expect("room");
    let totals = writer.finish();
    assert_eq!((totals.raised, totals.lost(Loss::Unreadable)), (1, 1));
    balances(&totals);
}

#[test]
fn an_alert_waits_its_grace_for_a_name_and_is_counted_by_pod_and_resource() {
    let (_dir, path) = file();
    let (mut cores, collector) = cores(1);
    let table = testing::table(&[testing::pod("web", &["10.0.10.1"])]);
    let scope = testing::scope(&table);
    let hits = testing::hits(&scope, "10.0.10.1", "10.0.10.2", None);
    let snapshot = testing::snapshot(1, scope, vec![testing::signature(1)]);
    let names = NameBook::new();
    names.publish(1, table, 0);
    let config = WriterConfig {
        grace: Duration::from_secs(3600),
        flush_every: Duration::from_millis(5),
        ..WriterConfig::replay(&path)
    };
    let writer =
        Writer::spawn(config, collector, Arc::clone(&names), ledgers(&cores)).expect("spawned");
    let alert = Alert { hits, ..testing::alert(&snapshot) };
    cores[0].ring.push(Box::new(alert)).expect("room");
    cores[0].counters.watermark.publish(Nanos::MAX);
    let begin = Instant::now();
    while writer.totals().waiting == 0 && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = writer.totals();
    assert_eq!((before.waiting, before.raised, before.written), (1, 0, 0));
    // News of the other side come in while it waits.
    let late =
        testing::table(&[testing::pod("web", &["10.0.10.1"]), testing::pod("dns", &["10.0.10.2"])]);
    names.publish(2, late, testing::TIME + 1);
    let totals = writer.finish();
    assert_eq!((totals.waiting, totals.raised, totals.written), (0, 1, 1));
    let signatures = totals.signatures();
    let pods: Vec<_> = signatures[0].pods.iter().collect();
    assert_eq!(pods, [("shop", "dns", 1), ("shop", "web", 1)]);
    let resources: Vec<_> = totals.resources().collect();
    assert_eq!(resources, [("shop", "all", 1), ("shop", "web", 1)]);
    let line = fs::read_to_string(&path).expect("read");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["kubernetes"]["destination"]["pod"], "dns");
}

#[test]
fn generations_that_no_alert_can_be_of_are_forgotten() {
    let (_dir, path) = file();
    let (cores, collector) = cores(2);
    let names = NameBook::new();
    for generation in 1..=5 {
        names.publish(generation, testing::table(&[]), 0);
    }
    cores[0].counters.generation.set(4);
    cores[1].counters.generation.set(3);
    let writer =
        Writer::spawn(WriterConfig::replay(&path), collector, Arc::clone(&names), ledgers(&cores))
            .expect("spawned");
    writer.finish();
    assert_eq!(names.len(), 3);
}

#[test]
fn generations_of_alerts_that_wait_are_kept() {
    let (_dir, path) = file();
    let (mut cores, collector) = cores(2);
    let table = testing::table(&[testing::pod("web", &["10.0.10.1"])]);
    let names = NameBook::new();
    let config = WriterConfig { grace: Duration::from_secs(3600), ..WriterConfig::replay(&path) };
    // One core is a generation behind the other when it raises its alert, the later one.
    for (core, (clock, generation)) in cores.iter_mut().zip([(1, 2), (2, 1)]) {
        names.publish(generation, Arc::clone(&table), 0);
        let scope = testing::scope(&table);
        let hits = testing::hits(&scope, "10.0.10.1", "10.0.10.2", None);
        let snapshot = testing::snapshot(generation, scope, vec![testing::signature(1)]);
        let key = OrderKey { clock, class: 1, order: clock, index: 0 };
        let alert = Alert { key, hits, ..testing::alert(&snapshot) };
        core.ring.push(Box::new(alert)).expect("room");
        core.counters.watermark.publish(Nanos::MAX);
    }
    let writer =
        Writer::spawn(config, collector, Arc::clone(&names), ledgers(&cores)).expect("spawned");
    std::thread::sleep(Duration::from_millis(50));
    cores.iter().for_each(|core| core.counters.generation.set(2));
    std::thread::sleep(Duration::from_millis(50));
    let totals = writer.finish();
    assert_eq!((totals.written, totals.unnamed), (2, 0));
    let signatures = totals.signatures();
    assert_eq!(signatures[0].pods.iter().collect::<Vec<_>>(), [("shop", "web", 2)]);
    // The generation of before went once nothing needed it.
    assert_eq!(names.len(), 1);
}

#[test]
fn a_writer_that_is_dropped_still_writes() {
    let (_dir, path) = file();
    let snapshot = rule(|_| {});
    let (mut cores, writer) = start(1, WriterConfig::live(&path));
    raise(&mut cores[0], &snapshot, 9);
    drop(writer);
    assert_eq!(numbers(&path), [9]);
}

#[test]
fn a_path_that_cannot_be_opened_is_named() {
    let (_, collector) = cores(1);
    let error = Writer::spawn(
        WriterConfig::replay("/no/such/place/eve.json"),
        collector,
        NameBook::new(),
        Vec::new(),
    )
    .expect_err("refused");
    assert!(error.to_string().contains("/no/such/place/eve.json"), "{error}");
}

#[test]
fn a_disk_that_stands_still_holds_up_no_core_and_costs_what_finds_the_ring_full() {
    // A pipe that nobody empties: the first lines fill it, then every write waits.
    let (_dir, path) = file();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    let reader = {
        let path = path.clone();
        std::thread::spawn(move || fs::File::open(path).expect("opened"))
    };
    let snapshot = rule(|_| {});
    let config =
        WriterConfig { flush_every: Duration::from_millis(1), ..WriterConfig::live(&path) };
    let config = WriterConfig { grace: Duration::ZERO, ..config };
    let (mut cores, writer) = start(1, config);
    let mut pipe = reader.join().expect("it opens");
    let core = &mut cores[0];
    let (mut pushed, mut full) = (0u64, 0u64);
    let mut longest = Duration::ZERO;
    let begin = Instant::now();
    // The writer holds a pipe's and a buffer's worth, the ring the rest; then the core loses.
    while full < 100 && begin.elapsed() < Duration::from_secs(60) {
        pushed += 1;
        let key = OrderKey { clock: pushed, class: 1, order: pushed, index: 0 };
        let alert = Box::new(Alert { key, timestamp: pushed, ..testing::alert(&snapshot) });
        let before = Instant::now();
        if core.ring.push(alert).is_err() {
            full += 1;
        }
        core.counters.watermark.publish(pushed);
        longest = longest.max(before.elapsed());
    }
    assert_eq!(full, 100, "the ring never filled, of {pushed}");
    assert!(longest < Duration::from_secs(1), "a push took {longest:?}");
    // The disk goes on: everything else is written.
    let drain = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut pipe, &mut text).expect("read");
        text.lines().count() as u64
    });
    let totals = writer.finish();
    assert_eq!(drain.join().expect("read"), totals.written);
    assert_eq!(totals.written, pushed - full);
    balances(&totals);
}
