//! A live sensor over a `net_ring` port that the test feeds: the sensor's own dataplane and worker loop,
//! with the time of the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use dpdk::{Eal, Mbuf, Mempool, PortConfig, RingFeeder, RingPort};
use engine::emit::WhenFull;
use engine::worker::{TimeSource, TscClock};
use pollux::config::{Config, Hugepages, Sources};
use pollux::dataplane::{Dataplane, Mode, OpenPort, start_eal};
use pollux::output::ledger::Ledger;
use pollux::output::writer::WriterConfig;
use pollux::state::State;

/// Packets that the ring holds, as many as a NIC's queue.
const RING: u32 = 1024;

/// Megabytes of DPDK's memory: its pools' and rings'.
const MEMORY: u64 = 128 << 20;

/// What waits for room or for the worker gives up after so long.
const PATIENCE: Duration = Duration::from_secs(120);

/// The sensor.
pub(crate) struct RingSensor {
    dataplane: Dataplane,
    feeder: RingFeeder,
    /// Where packets come from.
    pub(crate) pool: Mempool,
    /// Packets that went in.
    pub(crate) sent: u64,
    out: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// One sensor at a time: each takes a CPU for itself.
static TURN: Mutex<()> = Mutex::new(());

impl RingSensor {
    /// Starts one in this folder, of the resources (documents; none: all traffic is in scope), rules
    /// and settings that are given; its pool has so many buffers.
    pub(crate) fn start(
        folder: &Path,
        resources: Option<&str>,
        rules: &str,
        set: &[&str],
        buffers: u32,
    ) -> Self {
        Self::changed(folder, resources, rules, set, buffers, |_| {})
    }

    /// As [`Self::start`], with more changed than settings can.
    pub(crate) fn changed(
        folder: &Path,
        resources: Option<&str>,
        rules: &str,
        set: &[&str],
        buffers: u32,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let at = |below: &str| folder.join(below);
        fs::write(at("test.rules"), rules).expect("written");
        let mut set: Vec<String> = set.iter().map(|it| (*it).to_owned()).collect();
        set.push(format!("rules.paths={}", at("test.rules").display()));
        set.push("rules.cache=off".to_owned());
        if let Some(text) = resources {
            fs::create_dir_all(at("resources")).expect("made");
            fs::write(at("resources/all.yaml"), text).expect("written");
            set.push(format!("source.directory={}", at("resources").display()));
        }
        let sources = Sources { set, live: true, ..Sources::default() };
        let mut config = Config::load(&sources).expect("settings").config;
        change(&mut config);
        let state = State::start(&config, false).expect("rules and resources");
        let eal: &'static Eal = start_eal(MEMORY, Hugepages::No, Vec::new()).expect("DPDK");
        let pool = Mempool::new(&format!("ring{number}"), buffers, 32, 8192, None).expect("a pool");
        let (mut port, feeders) = RingPort::new(eal, "test", 1, RING).expect("a port");
        port.configure(PortConfig::new(pool.clone())).expect("configured");
        port.start().expect("started");
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time");
        let start = u64::try_from(since.as_nanos()).expect("this century");
        let mode = Mode {
            time: TimeSource::Tsc(TscClock::starting_at(start, eal.tsc_hz())),
            when_full: WhenFull::Lose,
            writer: WriterConfig {
                grace: Duration::from_millis(10),
                ..WriterConfig::live(at("eve.json"))
            },
            nic_counters: false,
        };
        let ports = vec![OpenPort::of_rings(port)];
        let mut dataplane = Dataplane::start(eal, &config, ports, mode).expect("workers");
        let built = state.current();
        dataplane
            .publish(&built.snapshot, Arc::clone(&built.table), start)
            .expect("a generation in force");
        let feeder = feeders.into_iter().next().expect("a queue");
        Self { dataplane, feeder, pool, sent: 0, out: folder.to_owned(), _turn: turn }
    }

    /// Puts a frame into the ring, once there is room.
    #[track_caller]
    pub(crate) fn push(&mut self, frame: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        // No buffer left: they are on their way back.
        let mut mbuf = loop {
            if let Some(mbuf) = Mbuf::from_bytes(&self.pool, frame) {
                break mbuf;
            }
            assert!(Instant::now() < deadline, "no buffer comes back");
            std::thread::yield_now();
        };
        while let Err(back) = self.feeder.push(mbuf) {
            assert!(Instant::now() < deadline, "the worker takes nothing");
            assert!(!self.dataplane.has_failed(), "the worker has failed");
            mbuf = back;
            std::thread::yield_now();
        }
        self.sent += 1;
    }

    /// Waits until the ring is empty.
    #[track_caller]
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.feeder.waiting() > 0 {
            assert!(Instant::now() < deadline, "the worker takes nothing");
            std::thread::yield_now();
        }
    }

    /// Ends it; the ledger has balanced, and its packets are those that went in. The alerts, too.
    #[track_caller]
    pub(crate) fn stop(self) -> (Ledger, Vec<serde_json::Value>) {
        let sent = self.sent;
        self.settle();
        let (ledger, _, stopped) = self.dataplane.stop();
        stopped.expect("the workers end well");
        ledger.balances().expect("the ledger balances");
        assert_eq!(ledger.totals.received, sent, "packets that went in");
        let text = fs::read_to_string(self.out.join("eve.json")).expect("alerts");
        let alerts: Vec<_> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(ledger.alerts.written, alerts.len() as u64);
        (ledger, alerts)
    }
}
