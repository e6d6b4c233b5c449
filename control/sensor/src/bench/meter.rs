//! What workers tell of their loop while it runs: the time of each burst, and how many packets that was.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::worker::Watch;
use hdrhistogram::Histogram;

use super::follow::{Cost, Spent};
use crate::cpu;

/// The longest burst that is told apart, in nanoseconds; longer ones count as this.
const LONGEST: u64 = 60_000_000_000;

/// What was measured of all workers in one run.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    /// Nanoseconds of bursts.
    pub(super) bursts: Histogram<u64>,
    /// Ticks of all bursts together.
    pub(super) busy: u64,
    /// Their packets.
    pub(super) packets: u64,
    /// Ticks of the longest turn of a loop.
    pub(super) longest_turn: u64,
    /// CPU time of the bursts that came right after another one, with all that was done in between.
    pub(super) cpu: Duration,
    /// Their packets.
    pub(super) cpu_packets: u64,
}

/// The meters of all workers.
#[derive(Debug)]
pub(super) struct Meters {
    results: Vec<Arc<Mutex<Ticks>>>,
    spent: Vec<Arc<Spent>>,
    empty: Ticks,
    hz: u64,
}

impl Ticks {
    fn clear(&mut self) {
        self.bursts.reset();
        (self.busy, self.packets, self.longest_turn) = (0, 0, 0);
        (self.cpu, self.cpu_packets) = (Duration::ZERO, 0);
    }
}

impl Meters {
    pub(super) fn new(workers: usize, hz: u64) -> anyhow::Result<Self> {
        let bursts = Histogram::new_with_bounds(1, LONGEST, 3)?;
        let cpu = Duration::ZERO;
        let empty = Ticks { bursts, busy: 0, packets: 0, longest_turn: 0, cpu, cpu_packets: 0 };
        let results = (0..workers).map(|_| Arc::new(Mutex::new(empty.clone()))).collect();
        let spent = (0..workers).map(|_| Arc::new(Spent::new(hz))).collect();
        Ok(Self { results, spent, empty, hz: hz.max(1) })
    }

    /// The meter of a worker.
    pub(super) fn watch(&self, worker: usize) -> Option<Box<dyn Watch>> {
        let result = Arc::clone(self.results.get(worker)?);
        let spent = Arc::clone(self.spent.get(worker)?);
        Some(Box::new(Meter { result, spent, hz: self.hz, since: None }))
    }

    /// What each worker tells of its turns while it runs.
    pub(super) fn spent(&self) -> &[Arc<Spent>] {
        &self.spent
    }

    /// What each worker's turns took since the beginning that were not held up.
    pub(super) fn calm_costs(&self) -> Vec<Cost> {
        self.spent.iter().map(|spent| spent.calm()).collect()
    }

    /// Forgets what was measured.
    pub(super) fn begin(&self) {
        for result in &self.results {
            result.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// What was measured since.
    pub(super) fn end(&self) -> Ticks {
        let mut all = self.empty.clone();
        for result in &self.results {
            let its = result.lock().unwrap_or_else(PoisonError::into_inner);
            // Equal bounds: nothing is out of range.
            let _ = all.bursts.add(&its.bursts);
            all.busy += its.busy;
            all.packets += its.packets;
            all.longest_turn = all.longest_turn.max(its.longest_turn);
            all.cpu += its.cpu;
            all.cpu_packets += its.cpu_packets;
        }
        all
    }
}

/// In the worker's thread. Its lock is nobody else's while packets come.
#[derive(Debug)]
struct Meter {
    result: Arc<Mutex<Ticks>>,
    spent: Arc<Spent>,
    hz: u64,
    /// The thread's CPU time at the end of the burst before, if nothing was waited for since.
    since: Option<Duration>,
}

impl Watch for Meter {
    fn burst(&mut self, packets: usize, ticks: u64) {
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.hz);
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.bursts.saturating_record(u64::try_from(nanoseconds).unwrap_or(LONGEST));
        result.busy += ticks;
        result.packets += packets as u64;
        let now = cpu::of_thread().ok();
        if let (Some(since), Some(now)) = (self.since, now) {
            result.cpu += now.saturating_sub(since);
            result.cpu_packets += packets as u64;
        }
        self.since = now;
    }

    fn turn(&mut self, packets: usize, ticks: u64) {
        self.spent.add(packets, ticks);
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.longest_turn = result.longest_turn.max(ticks);
    }

    fn idle(&mut self) {
        // What polling takes until something comes is no packet's.
        self.since = None;
    }
}
