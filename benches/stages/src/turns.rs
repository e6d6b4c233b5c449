//! Feeder and worker take turns: the ring is filled while the worker stands still, and emptied while
//! the feeder does. So each thread's CPU time is that of its work, on a busy machine too.

use std::iter::Sum;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::worker::Watch;
use hdrhistogram::Histogram;

use crate::cpu;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Feeder,
    Worker,
    /// Nobody waits any more.
    Over,
}

/// Whose turn it is. The worker begins, and finds nothing to do: [`Turns::wait`] for it.
#[derive(Debug)]
pub struct Turns {
    turn: Mutex<Turn>,
    changed: Condvar,
    /// Nanoseconds of CPU time that the worker has taken in its turns.
    spent: AtomicU64,
    /// Ticks of the TSC of its bursts.
    busy: AtomicU64,
    /// Its packets.
    packets: AtomicU64,
    /// Its bursts.
    bursts: AtomicU64,
    /// The worker does not wait for its turn.
    freely: AtomicBool,
}

/// What a worker has done up to its last turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// CPU time.
    pub cpu: Duration,
    /// Ticks of the TSC from before each burst was received until it was freed; of polls that brought
    /// nothing, none.
    pub busy: u64,
    /// Packets.
    pub packets: u64,
    /// Bursts.
    pub bursts: u64,
}

impl Done {
    /// What was done since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            busy: self.busy - before.busy,
            packets: self.packets - before.packets,
            bursts: self.bursts - before.bursts,
        }
    }
}

impl Sum for Done {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, it| Self {
            cpu: sum.cpu + it.cpu,
            busy: sum.busy + it.busy,
            packets: sum.packets + it.packets,
            bursts: sum.bursts + it.bursts,
        })
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            turn: Mutex::new(Turn::Worker),
            changed: Condvar::new(),
            spent: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            bursts: AtomicU64::new(0),
            freely: AtomicBool::new(false),
        }
    }
}

impl Turns {
    /// Lets the worker empty the ring, and waits until it has.
    pub fn worker_next(&self) {
        self.pass(Turn::Feeder, Turn::Worker);
    }

    /// Lets the worker empty the ring; [`Self::wait`] waits until it has. So several workers can be at work
    /// at a time.
    pub fn release(&self) {
        self.hand_over(Turn::Feeder, Turn::Worker);
    }

    /// Makes it their turn, if it is mine.
    fn hand_over(&self, mine: Turn, theirs: Turn) {
        {
            let mut turn = self.lock();
            if *turn != mine {
                return;
            }
            *turn = theirs;
        }
        // Not before the lock is free: on one core whoever wakes up may go on at once, and would wait for it.
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the worker that was released has emptied the ring.
    pub fn wait(&self) {
        let mut turn = self.lock();
        while *turn == Turn::Worker {
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the feeder fill the ring, and waits until it has.
    fn feeder_next(&self) {
        self.pass(Turn::Worker, Turn::Feeder);
    }

    /// CPU time of the worker up to its last turn.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Acquire))
    }

    /// Lets the worker go on, whether or not there is something to do, while `meanwhile` lasts.
    pub fn freely<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.freely.store(true, Ordering::Release);
        self.release();
        let result = meanwhile();
        self.freely.store(false, Ordering::Release);
        self.wait();
        result
    }

    /// What the worker has done up to its last turn.
    pub fn done(&self) -> Done {
        Done {
            cpu: self.spent(),
            busy: self.busy.load(Ordering::Acquire),
            packets: self.packets.load(Ordering::Acquire),
            bursts: self.bursts.load(Ordering::Acquire),
        }
    }

    /// Nobody waits any more.
    pub fn end(&self) {
        *self.lock() = Turn::Over;
        self.changed.notify_all();
    }

    /// Is it over?
    pub fn is_over(&self) -> bool {
        *self.lock() == Turn::Over
    }

    fn pass(&self, mine: Turn, theirs: Turn) {
        self.hand_over(mine, theirs);
        let mut turn = self.lock();
        while *turn == theirs {
            turn = self.changed.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a worker took.
#[derive(Debug)]
pub struct Measured {
    /// Its thread's CPU time without what it stood still, its last flows' end included.
    pub cpu: Duration,
    /// Nanoseconds of wall time of each burst.
    pub bursts: Histogram<u64>,
}

/// Watches a worker and makes it take turns. Sends what it measured when the worker drops it.
#[derive(Debug)]
pub struct Meter {
    turns: Arc<Turns>,
    /// Thread time when the turn began; None before the first one.
    began: Option<Duration>,
    cpu: Duration,
    bursts: Histogram<u64>,
    tsc_hz: u64,
    result: SyncSender<Measured>,
    done: Done,
    /// Packets after which a turn ends, though more may wait.
    most: u64,
    /// Packets of this turn.
    taken: u64,
}

/// The longest burst that a histogram tells apart from longer ones, in nanoseconds.
const LONGEST: u64 = 100_000_000_000;

impl Meter {
    /// A meter; `tsc_hz` is the rate of the TSC.
    ///
    /// # Errors
    /// No memory for the histogram's bounds.
    pub fn new(
        turns: Arc<Turns>,
        tsc_hz: u64,
        result: SyncSender<Measured>,
    ) -> Result<Self, hdrhistogram::CreationError> {
        let bursts = Histogram::new_with_bounds(1, LONGEST, 3)?;
        Ok(Self {
            turns,
            began: None,
            cpu: Duration::ZERO,
            bursts,
            tsc_hz: tsc_hz.max(1),
            result,
            done: Done::default(),
            most: u64::MAX,
            taken: 0,
        })
    }

    /// Ends turns after so many packets: for ports that never run empty.
    #[must_use]
    pub fn at_most(mut self, most: u64) -> Self {
        self.most = most;
        self
    }

    fn rest(&mut self) {
        self.stop_clock();
        self.turns.feeder_next();
        self.taken = 0;
        self.began = cpu::of_thread().ok();
    }

    fn stop_clock(&mut self) {
        if let (Some(began), Ok(now)) = (self.began.take(), cpu::of_thread()) {
            self.cpu += now.saturating_sub(began);
            let spent = u64::try_from(self.cpu.as_nanos()).unwrap_or(u64::MAX);
            self.turns.busy.store(self.done.busy, Ordering::Release);
            self.turns.packets.store(self.done.packets, Ordering::Release);
            self.turns.bursts.store(self.done.bursts, Ordering::Release);
            self.turns.spent.store(spent, Ordering::Release);
        }
    }
}

impl Watch for Meter {
    fn burst(&mut self, packets: usize, ticks: u64) {
        self.done.busy += ticks;
        self.done.packets += packets as u64;
        self.done.bursts += 1;
        self.taken += packets as u64;
        let nanoseconds = u128::from(ticks) * 1_000_000_000 / u128::from(self.tsc_hz);
        self.bursts.saturating_record(u64::try_from(nanoseconds).unwrap_or(LONGEST));
        if self.taken >= self.most && !self.turns.freely.load(Ordering::Acquire) {
            self.rest();
        }
    }

    fn idle(&mut self) {
        if !self.turns.freely.load(Ordering::Acquire) {
            self.rest();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop_clock();
        self.turns.end();
        let empty = Histogram::new_from(&self.bursts);
        let bursts = std::mem::replace(&mut self.bursts, empty);
        // Whoever measures may have given up.
        let _ = self.result.try_send(Measured { cpu: self.cpu, bursts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn only_one_works_at_a_time_and_only_work_is_charged() {
        let turns = Arc::new(Turns::default());
        let (result, measured) = std::sync::mpsc::sync_channel(1);
        let mut meter = Meter::new(Arc::clone(&turns), 1_000_000_000, result).unwrap();
        let full = Arc::new(AtomicU32::new(0));
        let ring = Arc::clone(&full);
        let worker = std::thread::spawn(move || {
            loop {
                meter.idle();
                if meter.turns.is_over() {
                    break;
                }
                assert_eq!(ring.swap(0, Ordering::AcqRel), 7, "the feeder was not done");
                let start = cpu::of_thread().unwrap();
                while cpu::of_thread().unwrap() - start < Duration::from_millis(5) {}
                meter.burst(7, 1000);
            }
        });
        turns.wait();
        for _ in 0..4 {
            for _ in 0..7 {
                full.fetch_add(1, Ordering::AcqRel);
                std::thread::sleep(Duration::from_millis(1));
            }
            turns.worker_next();
            assert_eq!(full.load(Ordering::Acquire), 0, "the worker was not done");
        }
        turns.end();
        worker.join().unwrap();
        let measured = measured.recv().unwrap();
        assert!(measured.cpu >= Duration::from_millis(20), "{:?}", measured.cpu);
        assert!(measured.cpu < Duration::from_millis(60), "{:?}", measured.cpu);
        assert_eq!(measured.bursts.len(), 4);
    }

    #[test]
    fn a_turn_ends_after_as_many_packets_as_were_asked_for() {
        let turns = Arc::new(Turns::default());
        let (result, _measured) = std::sync::mpsc::sync_channel(1);
        let meter = Meter::new(Arc::clone(&turns), 1_000_000_000, result).unwrap();
        let mut meter = meter.at_most(100);
        let worker = std::thread::spawn(move || {
            meter.idle();
            while !meter.turns.is_over() {
                meter.burst(60, 7);
            }
        });
        turns.wait();
        turns.release();
        turns.wait();
        let first = turns.done();
        assert_eq!((first.packets, first.bursts, first.busy), (120, 2, 14));
        turns.worker_next();
        assert_eq!(turns.done().since(first).packets, 120);
        turns.end();
        worker.join().unwrap();
    }

    #[test]
    fn a_worker_that_is_gone_keeps_nobody_waiting() {
        let turns = Arc::new(Turns::default());
        let (result, _measured) = std::sync::mpsc::sync_channel(1);
        drop(Meter::new(Arc::clone(&turns), 1, result).unwrap());
        turns.worker_next();
        assert!(turns.is_over());
    }
}
