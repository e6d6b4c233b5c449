//! `pcap-log`: the packets of alerting flows in rotated pcapng files, with the alerts in their comments.
//! A thread of its own writes them, so that a slow disk holds up neither alerts nor workers.
//!
//! Cores give the packets of flows that *may* have an alert; thresholds and rates are applied by the alerts'
//! writer. A packet waits until every alert that concerns it has been decided on (its `due` has passed).

mod blocks;
mod file;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use engine::alert::Alert;
use engine::counters::Counters;
use engine::pcap::{PcapLanes, PcapPacket};
use rules::signature::Signature;
use serde::{Deserialize, Serialize};
use wire::Nanos;

use super::eve_file::Existing;
use super::names::Identity;
pub use file::numbered;
use file::{Files, Item};

/// How long the thread rests when nothing comes.
const REST: Duration = Duration::from_millis(2);

/// How often what waits is written.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Notes of alerts that wait at the most.
const NOTES: usize = 1 << 16;

/// Flows whose alerts are remembered: twice as many at the most.
const FLOWS: usize = 1 << 16;

/// Bytes of packets whose alerts were held back, kept for the case that another one of their flow is not.
const WITHHELD_BYTES: usize = 8 << 20;

/// The longest comment.
const COMMENT_BYTES: usize = 4096;

/// How often a failure is logged at the most.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Where packets are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcapConfig {
    /// The files' path; a number comes before the extension: `log.pcapng` is `log.1.pcapng`, ….
    pub path: PathBuf,
    /// Bytes of a file after which the next one is begun.
    pub limit: u64,
    /// Files that are kept.
    pub max_files: usize,
    /// Go on or begin anew.
    pub existing: Existing,
    /// Names of the ports, by their numbers; in a replay there are none.
    pub interfaces: Vec<String>,
    /// What cores remember and give.
    pub cores: engine::PcapConfig,
}

/// What became of the packets of alerting flows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcapTotals {
    /// Packets in the files.
    pub written: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that were begun.
    pub files: u64,
    /// Packets that are in no file: because too much waited for the disk.
    pub lost: u64,
    /// Because they could not be written.
    pub write_error: u64,
    /// Because a core no longer remembered them when the alert came.
    pub gone: u64,
    /// Because they came too late or too many after the alert.
    pub beyond: u64,
    /// Because a threshold or rate held the alert back.
    pub withheld: u64,
    /// Comments that found no packet: it was lost, or written before.
    pub uncommented: u64,
}

impl PcapTotals {
    fn add_cores(&mut self, ledgers: &[Arc<Counters>]) {
        for counters in ledgers {
            self.lost += counters.pcap_lost.get();
            self.gone += counters.pcap_gone.get();
            self.beyond += counters.pcap_beyond.get();
        }
    }
}

/// An alert that is written.
#[derive(Debug)]
struct Note {
    flow: Option<u64>,
    clock: Nanos,
    packet: (Nanos, u64),
    comment: String,
}

/// What both threads share.
#[derive(Debug, Default)]
struct Shared {
    /// Every alert with a clock before this has been decided on, and its note sent.
    settled: AtomicU64,
    stop: AtomicBool,
    totals: Mutex<PcapTotals>,
    /// The file that is written to, or will be.
    current: Mutex<Arc<str>>,
    notes_lost: AtomicU64,
}

/// The end of the alerts' writer.
#[derive(Debug)]
pub struct PcapNotes {
    notes: Sender<Note>,
    shared: Arc<Shared>,
    /// In a replay nothing is lost.
    waits: bool,
}

impl PcapNotes {
    /// The name of the file that the packets of an alert go to: the one that is written to at present.
    pub(crate) fn file(&self) -> Arc<str> {
        Arc::clone(&self.shared.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An alert is written.
    pub(crate) fn alert(&self, alert: &Alert, signature: &Signature, identity: &Identity) {
        let Some(packet) = alert.pcap else { return };
        let flow = alert.flow.as_ref().map(|flow| flow.id);
        let note = Note {
            flow,
            clock: alert.key.clock,
            packet,
            comment: comment(signature, flow, identity),
        };
        let sent = if self.waits {
            self.notes.send(note).is_ok()
        } else {
            !matches!(self.notes.try_send(note), Err(TrySendError::Full(_)))
        };
        if !sent {
            self.shared.notes_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every alert with a clock before this has been decided on.
    pub(crate) fn settle(&self, clock: Nanos) {
        self.shared.settled.fetch_max(clock, Ordering::Release);
    }
}

/// `alert sid=1 gid=1 rev=1 msg="…" flow_id=… resource=shop/web-tier`
fn comment(signature: &Signature, flow: Option<u64>, identity: &Identity) -> String {
    use std::fmt::Write as _;
    let Signature { gid, sid, rev, msg, .. } = signature;
    let mut text = format!("alert sid={sid} gid={gid} rev={rev} msg=\"{msg}\"");
    if let Some(flow) = flow {
        let _ = write!(text, " flow_id={flow}");
    }
    for (at, resource) in identity.resources().enumerate() {
        let before = if at == 0 { " resource=" } else { "," };
        let _ = write!(text, "{before}{}/{}", resource.namespace, resource.name);
    }
    if text.len() > COMMENT_BYTES {
        let end = (0..=COMMENT_BYTES).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The running thread.
#[derive(Debug)]
pub struct PcapLog {
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    ledgers: Vec<Arc<Counters>>,
}

impl PcapLog {
    /// Starts to write what the cores give. No file is made before there is something to write.
    ///
    /// # Errors
    /// The directory cannot be read, or no thread be had.
    pub fn spawn(
        config: PcapConfig,
        lanes: PcapLanes,
        ledgers: impl IntoIterator<Item = Arc<Counters>>,
    ) -> std::io::Result<(Self, PcapNotes)> {
        let waits = config.existing == Existing::Replace;
        let files = Files::new(&config)?;
        let shared = Arc::new(Shared { current: Mutex::new(files.name()), ..Shared::default() });
        let (notes, inbox) = bounded(NOTES);
        let desk = Desk {
            lanes,
            inbox,
            files,
            waiting: BinaryHeap::new(),
            comments: HashMap::new(),
            flows: Flows::default(),
            withheld: VecDeque::new(),
            withheld_bytes: 0,
            totals: PcapTotals::default(),
            last_flush: Instant::now(),
            last_log: None,
        };
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("pollux-pcap".to_owned())
            .spawn(move || desk.run(&theirs))?;
        let handle = Self {
            thread: Some(thread),
            shared: Arc::clone(&shared),
            ledgers: ledgers.into_iter().collect(),
        };
        Ok((handle, PcapNotes { notes, shared, waits }))
    }

    /// What became of packets, as of the last second or so.
    pub fn totals(&self) -> PcapTotals {
        let mut totals = self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        totals.add_cores(&self.ledgers);
        totals.uncommented += self.shared.notes_lost.load(Ordering::Relaxed);
        totals
    }

    /// Writes what waits and ends the thread. Neither cores nor the alerts' writer may be running.
    pub fn finish(&mut self) -> PcapTotals {
        if let Some(thread) = self.thread.take() {
            self.shared.stop.store(true, Ordering::Release);
            thread.thread().unpark();
            let _ = thread.join();
        }
        self.totals()
    }
}

impl Drop for PcapLog {
    fn drop(&mut self) {
        self.finish();
    }
}

/// A packet by when it is due, then by its place in the capture.
#[derive(Debug, PartialEq, Eq)]
struct Due(Box<PcapPacket>);

impl Due {
    fn key(&self) -> (Nanos, Nanos, u64) {
        (self.0.due, self.0.clock, self.0.order)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Flows that have an alert: the latest ones.
#[derive(Debug, Default)]
struct Flows {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Flows {
    fn contains(&mut self, flow: u64) -> bool {
        if self.young.contains(&flow) {
            return true;
        }
        let known = self.old.contains(&flow);
        if known {
            self.insert(flow);
        }
        known
    }

    fn insert(&mut self, flow: u64) {
        if self.young.len() >= FLOWS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(flow);
    }
}

/// What an alert is told on: the flow, and clock and number of its packet.
type Place = (Option<u64>, Nanos, u64);

/// What the thread works with.
struct Desk {
    lanes: PcapLanes,
    inbox: Receiver<Note>,
    files: Files,
    waiting: BinaryHeap<Reverse<Due>>,
    /// Comments by what they are on, and the alerts' clock.
    comments: HashMap<Place, (Nanos, Vec<String>)>,
    flows: Flows,
    withheld: VecDeque<Box<PcapPacket>>,
    withheld_bytes: usize,
    totals: PcapTotals,
    last_flush: Instant,
    last_log: Option<Instant>,
}

impl Desk {
    fn run(mut self, shared: &Shared) {
        loop {
            let is_last = shared.stop.load(Ordering::Acquire);
            // Read before packets and notes are: whatever it promises is there by then.
            let settled = if is_last { Nanos::MAX } else { shared.settled.load(Ordering::Acquire) };
            let moved = self.step(settled);
            if is_last {
                self.withhold_down_to(0);
            }
            if is_last || self.files.is_full() || self.last_flush.elapsed() >= FLUSH_EVERY {
                self.flush(shared);
            }
            if is_last {
                return;
            }
            if moved == 0 {
                std::thread::park_timeout(REST);
            }
        }
    }

    /// Takes what has come and writes what is due.
    fn step(&mut self, settled: Nanos) -> usize {
        let Self { lanes, waiting, .. } = self;
        let mut moved = lanes.poll(|packet| waiting.push(Reverse(Due(packet))));
        while let Ok(note) = self.inbox.try_recv() {
            moved += 1;
            self.note(note);
        }
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.0.due >= settled {
                break;
            }
            let Some(Reverse(Due(packet))) = self.waiting.pop() else { break };
            self.lanes.done(packet.bytes.len());
            self.place(packet);
        }
        if !self.comments.is_empty() {
            let before = self.comments.len();
            self.comments.retain(|_, (clock, _)| *clock >= settled);
            self.totals.uncommented += (before - self.comments.len()) as u64;
        }
        moved
    }

    fn note(&mut self, note: Note) {
        let place = (note.flow, note.packet.0, note.packet.1);
        self.comments.entry(place).or_insert_with(|| (note.clock, Vec::new())).1.push(note.comment);
        let Some(flow) = note.flow else { return };
        if self.flows.contains(flow) {
            return;
        }
        self.flows.insert(flow);
        // Packets that came with an alert that was held back are wanted after all.
        let (wanted, rest): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.withheld)
            .into_iter()
            .partition(|packet| packet.flow == Some(flow));
        self.withheld = rest;
        for packet in wanted {
            self.withheld_bytes -= packet.bytes.len();
            self.write(&packet);
        }
    }

    /// A packet is due: is its alert one that is written?
    fn place(&mut self, packet: Box<PcapPacket>) {
        let wanted = match packet.flow {
            Some(flow) => self.flows.contains(flow),
            None => self.comments.contains_key(&(None, packet.clock, packet.order)),
        };
        if wanted {
            self.write(&packet);
        } else if packet.flow.is_none() {
            self.totals.withheld += 1;
        } else {
            self.withheld_bytes += packet.bytes.len();
            self.withheld.push_back(packet);
            self.withhold_down_to(WITHHELD_BYTES);
        }
    }

    fn withhold_down_to(&mut self, bytes: usize) {
        while self.withheld_bytes > bytes
            && let Some(packet) = self.withheld.pop_front()
        {
            self.withheld_bytes -= packet.bytes.len();
            self.totals.withheld += 1;
        }
    }

    fn write(&mut self, packet: &PcapPacket) {
        let place = (packet.flow, packet.clock, packet.order);
        let comments = self.comments.remove(&place).map(|(_, comments)| comments);
        self.files.push(&Item { packet, comments: comments.as_deref().unwrap_or(&[]) });
    }

    fn flush(&mut self, shared: &Shared) {
        self.last_flush = Instant::now();
        if let Err(error) = self.files.flush()
            && self.last_log.is_none_or(|last| last.elapsed() >= LOG_EVERY)
        {
            self.last_log = Some(Instant::now());
            let lost = self.files.lost;
            tracing::error!("cannot write packets: {error}; {lost} are lost so far");
        }
        let Files { written, bytes, files, lost, .. } = self.files;
        (self.totals.written, self.totals.bytes) = (written, bytes);
        (self.totals.files, self.totals.write_error) = (files, lost);
        *shared.current.lock().unwrap_or_else(PoisonError::into_inner) = self.files.name();
        shared.totals.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&self.totals);
    }
}

#[cfg(test)]
mod tests;
