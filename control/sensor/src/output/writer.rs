//! The thread between the cores' alert rings and eve.json: order, thresholds, names, lines.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use engine::alert::Alert;
use engine::collect::{Collector, Rest};
use engine::counters::Counters;
use engine::threshold::{Decision, Thresholds};
use wire::Nanos;

use super::eve::{EveFormat, EveOptions};
use super::eve_file::EveFile;
pub use super::eve_file::Existing;
use super::names::NameBook;
use super::pcap::{PcapConfig, PcapNotes};
use super::rate::{RateLimits, Rates};
use super::totals::{AlertTotals, Loss};

/// How long the thread rests at the most where packets are written, too.
const PCAP_REST: Duration = Duration::from_millis(1);

/// Waiting bytes that are written without waiting for the clock.
const FLUSH_BYTES: usize = 256 << 10;

/// Alerts that wait for names at the most; the oldest then do without a part of their grace.
const MAX_HELD: usize = 65_536;

/// Rules set aside that are named at the most.
const MOST_SET_ASIDE: usize = 1000;

/// Lines of others that wait to be taken.
const MOST_NOTES: usize = 16;

/// How often a failure to write is logged at the most.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// What the writer is told.
#[derive(Debug, Clone)]
pub struct WriterConfig {
    /// eve.json.
    pub path: PathBuf,
    /// Go on or begin anew.
    pub existing: Existing,
    /// What is written of an alert.
    pub eve: EveOptions,
    /// Threshold counts that are kept at the most.
    pub threshold_capacity: usize,
    /// How long an alert waits for late news of who its ends are: a second live, nothing in replay.
    pub grace: Duration,
    /// How long a line waits to be written at the most.
    pub flush_every: Duration,
    /// The most alerts a second.
    pub rates: RateLimits,
    /// What becomes of the packets of alerting flows; None: nothing. Its thread is another one.
    pub pcap: Option<PcapConfig>,
}

impl WriterConfig {
    /// For a replay: a new file, no grace.
    pub fn replay(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            existing: Existing::Replace,
            eve: EveOptions::default(),
            threshold_capacity: 1 << 20,
            grace: Duration::ZERO,
            flush_every: Duration::from_secs(1),
            rates: RateLimits::default(),
            pcap: None,
        }
    }

    /// For the live sensor: the file goes on, names have a second.
    pub fn live(path: impl Into<PathBuf>) -> Self {
        Self { existing: Existing::Append, grace: Duration::from_secs(1), ..Self::replay(path) }
    }
}

/// Starts the thread.
#[derive(Debug)]
pub struct Writer;

/// The running thread. Dropped without [`finish`](Self::finish), it ends as with it.
#[derive(Debug)]
pub struct WriterHandle {
    thread: Option<JoinHandle<AlertTotals>>,
    shared: Arc<Shared>,
    notes: Sender<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    totals: Mutex<AlertTotals>,
}

impl Writer {
    /// Opens the file and starts to empty the rings. `ledgers` are the counters of all cores.
    ///
    /// # Errors
    /// When the file cannot be opened, or no thread be had.
    pub fn spawn(
        config: WriterConfig,
        collector: Collector,
        names: Arc<NameBook>,
        ledgers: impl IntoIterator<Item = Arc<Counters>>,
    ) -> io::Result<WriterHandle> {
        Self::spawn_noting(config, collector, names, ledgers, None)
    }

    /// As [`Writer::spawn`], with someone to tell which alerts are written.
    ///
    /// # Errors
    /// As [`Writer::spawn`]'s.
    pub fn spawn_noting(
        config: WriterConfig,
        collector: Collector,
        names: Arc<NameBook>,
        ledgers: impl IntoIterator<Item = Arc<Counters>>,
        pcap: Option<PcapNotes>,
    ) -> io::Result<WriterHandle> {
        let file = EveFile::open(&config.path, config.existing)?;
        if file.mended() > 0 {
            tracing::warn!(
                "{} ended in a torn line of {} bytes, as after a crash; it was cut off",
                config.path.display(),
                file.mended()
            );
        }
        let shared = Arc::<Shared>::default();
        let mut totals = AlertTotals::default();
        totals.mended_bytes = file.mended();
        let (notes, noted) = bounded(MOST_NOTES);
        let desk = Desk {
            thresholds: Thresholds::new(config.threshold_capacity),
            rates: Rates::new(config.rates),
            format: EveFormat::new(config.eve.clone()),
            file,
            names,
            held: VecDeque::new(),
            held_by_generation: BTreeMap::new(),
            totals,
            last_flush: Instant::now(),
            last_log: None,
            pcap,
            oldest: 0,
            noted,
            config,
        };
        let ledgers: Vec<_> = ledgers.into_iter().collect();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("pollux-alerts".to_owned())
            .spawn(move || desk.run(collector, &ledgers, &theirs))?;
        Ok(WriterHandle { thread: Some(thread), shared, notes })
    }
}

impl WriterHandle {
    /// The totals as of the last second or so.
    pub fn totals(&self) -> AlertTotals {
        self.shared.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has a line written, its end included, that is no alert: no count of alerts knows of it. False, and it
    /// is not written, where the thread does not keep up.
    pub fn note(&self, line: Vec<u8>) -> bool {
        self.notes.try_send(line).is_ok()
    }

    /// Empties the rings, writes what waits and ends the thread. No core may be running any more:
    /// what it would still raise would be missed.
    pub fn finish(mut self) -> AlertTotals {
        let Some(thread) = self.thread.take() else { return self.totals() };
        self.shared.stop.store(true, Ordering::Release);
        thread.thread().unpark();
        match thread.join() {
            Ok(totals) => totals,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.shared.stop.store(true, Ordering::Release);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct Desk {
    config: WriterConfig,
    thresholds: Thresholds,
    rates: Rates,
    format: EveFormat,
    file: EveFile,
    names: Arc<NameBook>,
    /// Alerts that wait for names, in order, and until when.
    held: VecDeque<(Instant, Box<Alert>)>,
    /// How many of them each generation has.
    held_by_generation: BTreeMap<u64, usize>,
    totals: AlertTotals,
    last_flush: Instant,
    last_log: Option<Instant>,
    pcap: Option<PcapNotes>,
    /// The oldest generation that a core had at the last look.
    oldest: u64,
    /// Lines of others.
    noted: Receiver<Vec<u8>>,
}

impl Desk {
    fn run(
        mut self,
        mut collector: Collector,
        ledgers: &[Arc<Counters>],
        shared: &Shared,
    ) -> AlertTotals {
        let mut rest = Rest::default();
        loop {
            let is_last = shared.stop.load(Ordering::Acquire);
            // Read before the rings are: no core raises alerts of an older generation any more.
            let oldest = ledgers.iter().map(|ledger| ledger.generation.get()).min().unwrap_or(0);
            let moved = if is_last {
                collector.finish(|alert| self.accept(alert));
                0
            } else {
                collector.poll(|alert| self.accept(alert))
            };
            self.release(Instant::now(), is_last);
            if let Some(pcap) = &self.pcap {
                let held = self.held.front().map_or(Nanos::MAX, |(_, alert)| alert.key.clock);
                pcap.settle(held.min(collector.settled()));
            }
            // Before the generations that they are of are forgotten.
            if oldest != self.oldest
                || self.last_flush.elapsed() >= self.config.flush_every
                || is_last
            {
                self.oldest = oldest;
                self.note_tallies(ledgers);
            }
            if collector.waiting() == 0 {
                let held = self.held_by_generation.first_key_value();
                self.names.forget_before(held.map_or(oldest, |(&held, _)| held.min(oldest)));
            }
            let is_due = self.last_flush.elapsed() >= self.config.flush_every;
            if is_due || is_last {
                self.note_asides(ledgers);
                self.take_notes();
            }
            if is_due || is_last || self.file.waiting_bytes() >= FLUSH_BYTES {
                self.flush(is_due);
                let published = self.published(ledgers);
                *shared.totals.lock().unwrap_or_else(PoisonError::into_inner) = published;
            }
            if is_last {
                return self.finish(ledgers, shared);
            }
            if let Some(rest) = rest.after(moved) {
                // Packets that may belong to an alert wait for word of how far alerts are.
                let longest = if self.pcap.is_some() { PCAP_REST } else { rest };
                std::thread::park_timeout(rest.min(longest));
            }
        }
    }

    /// Takes the lines of others. One for which there is no room is left out: the next tells the same and more.
    fn take_notes(&mut self) {
        for line in self.noted.try_iter() {
            self.file.push_aside(&line);
        }
    }

    /// Gives names to what cores tell of resources.
    fn note_tallies(&mut self, ledgers: &[Arc<Counters>]) {
        for tallies in ledgers.iter().flat_map(|ledger| ledger.tallies.take()) {
            if let Some(table) = self.names.table(tallies.generation) {
                self.totals.tally(&tallies, &table);
            }
        }
    }

    /// Names rules that cores have set aside.
    fn note_asides(&mut self, ledgers: &[Arc<Counters>]) {
        for note in ledgers.iter().flat_map(|ledger| ledger.take_asides()) {
            let known = self.totals.set_aside.len();
            let key = (note.gid, note.sid);
            if known >= MOST_SET_ASIDE && !self.totals.set_aside.contains_key(&key) {
                continue;
            }
            let times = self.totals.set_aside.entry(key).or_default();
            *times += 1;
            if times.is_power_of_two() {
                let (file, line) = (&note.origin.file, note.origin.line);
                tracing::warn!(
                    "rule {}:{} ({file}:{line}) costs too much: a core sets it aside for a minute \
                     of the capture's time ({times} so far)",
                    note.gid,
                    note.sid,
                );
            }
        }
    }

    /// Decides whether a match is an alert.
    fn accept(&mut self, alert: Box<Alert>) {
        if alert.tagged {
            // No match of its own: nothing holds it back.
            self.totals.raised += 1;
            self.hold_or_write(alert);
            return;
        }
        let Some(signature) = alert.snapshot.rules.signatures.get(alert.signature as usize) else {
            self.totals.raised += 1;
            self.totals.lose(Loss::Unreadable, 1);
            return;
        };
        match self.thresholds.decide(&alert, signature) {
            Decision::Hold => self.totals.thresholded += 1,
            Decision::Write => {
                self.totals.raise(signature);
                let flow = alert.flow.as_ref().map(|flow| flow.id);
                let (gid, sid) = (signature.gid, signature.sid);
                if self.rates.admit(alert.key.clock, gid, sid, flow) {
                    self.hold_or_write(alert);
                } else {
                    self.totals.lose_of(Loss::RateLimit, Some(signature));
                }
            }
        }
    }

    fn hold_or_write(&mut self, alert: Box<Alert>) {
        if self.config.grace.is_zero() {
            self.write(&alert);
            return;
        }
        let generation = alert.snapshot.generation;
        *self.held_by_generation.entry(generation).or_default() += 1;
        self.held.push_back((Instant::now() + self.config.grace, alert));
        self.release_beyond(MAX_HELD);
    }

    /// Writes those that have waited long enough.
    fn release(&mut self, now: Instant, all: bool) {
        while self.held.front().is_some_and(|&(until, _)| all || until <= now) {
            self.release_beyond(self.held.len() - 1);
        }
    }

    /// Writes the oldest ones, until this many are left.
    fn release_beyond(&mut self, left: usize) {
        while self.held.len() > left
            && let Some((_, alert)) = self.held.pop_front()
        {
            self.write(&alert);
            if let Entry::Occupied(mut held) =
                self.held_by_generation.entry(alert.snapshot.generation)
            {
                *held.get_mut() -= 1;
                if *held.get() == 0 {
                    held.remove();
                }
            }
        }
    }

    fn write(&mut self, alert: &Alert) {
        let signature = alert.snapshot.rules.signatures.get(alert.signature as usize);
        if signature.is_none() && !alert.tagged {
            return;
        }
        let grace = Nanos::try_from(self.config.grace.as_nanos()).unwrap_or(Nanos::MAX);
        let identity = self.names.identify(alert, grace);
        if let Some(signature) = signature {
            self.totals.identified(signature, &identity);
            if let Some(pcap) = &self.pcap {
                self.format.set_capture_file(Some(pcap.file()));
                pcap.alert(alert, signature, &identity);
            }
        }
        if self.file.waiting_bytes() >= FLUSH_BYTES {
            self.flush(false);
        }
        let format = &mut self.format;
        let line = |out: &mut Vec<u8>| match signature {
            Some(signature) => format.line(alert, signature, &identity, out),
            None => format.packet_line(alert, &identity, out),
        };
        match self.file.push(line) {
            Ok(true) => {}
            Ok(false) => self.totals.lose_of(Loss::WriteError, signature),
            Err(_) => self.totals.lose_of(Loss::Unreadable, signature),
        }
    }

    /// Brings what waits into the file. After a failure the next attempt is a moment away, not at
    /// the next alert.
    fn flush(&mut self, is_due: bool) {
        if self.totals.last_error.is_some() && !is_due {
            return;
        }
        self.last_flush = Instant::now();
        if is_due && let Err(error) = self.file.follow() {
            self.complain(&error);
        }
        let (lines, failure) = self.file.flush();
        if lines > 0 {
            self.totals.written += lines;
            self.totals.last_written = Some(Instant::now());
        }
        match failure {
            Some(error) => {
                self.complain(&error);
                self.totals.last_error = Some(error.to_string());
            }
            None if self.totals.last_error.take().is_some() => {
                tracing::info!("{} can be written to again", self.config.path.display());
            }
            None => {}
        }
    }

    /// Counts a failure and logs it, but not every one of a long row.
    fn complain(&mut self, error: &io::Error) {
        self.totals.write_errors += 1;
        if self.last_log.is_none_or(|last| last.elapsed() >= LOG_EVERY) {
            self.last_log = Some(Instant::now());
            tracing::error!(
                "cannot write to {}: {error}; {} alerts wait, {} are lost so far",
                self.config.path.display(),
                self.file.waiting(),
                self.totals.lost(Loss::WriteError)
            );
        }
    }

    /// The totals of what is settled, with the cores' losses.
    fn published(&self, ledgers: &[Arc<Counters>]) -> AlertTotals {
        let mut totals = self.totals.clone();
        totals.thresholds_forgotten = self.thresholds.forgotten;
        totals.waiting = (self.held.len() + self.file.waiting()) as u64;
        totals.raised = totals.raised.saturating_sub(totals.waiting);
        totals.add_ring_losses(ledgers);
        totals
    }

    fn finish(mut self, ledgers: &[Arc<Counters>], shared: &Shared) -> AlertTotals {
        self.flush(true);
        let lost = self.file.give_up();
        if lost > 0 {
            self.totals.lose(Loss::WriteError, lost);
            tracing::error!(
                "{lost} alerts could not be written to {} before the end",
                self.config.path.display()
            );
        }
        let totals = self.published(ledgers);
        shared.totals.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&totals);
        totals
    }
}

#[cfg(test)]
mod tests;
