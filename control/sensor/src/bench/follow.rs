//! An offered rate that follows what the workers can take: a soak asks whether nothing is lost and nothing grows
//! at a share of that, not whether the machine is as fast for ten minutes as it was for ten seconds.
//!
//! What workers can take is the rate that a trial has confirmed, less as much as turns of their loops take longer than in
//! that trial where nothing held them up, by ticks from one turn's begin to the next. How full the rings are is not
//! looked at: what does not fit is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::counters::Counter;
use hdrhistogram::Histogram;
use serde::Serialize;

/// Turns are told apart by the packets of their burst, in powers of two: a burst of one takes more than a 64th of one
/// of 64, and a worker that has less to do finds less at a time.
const SIZES: usize = 7;

/// Packets of bursts of a size from which on it is known what these take.
const KNOWN: u64 = 1_000;

/// Packets from which on it is said how fast a worker is.
const ENOUGH: u64 = 128;

/// A turn that takes longer was held up: a full burst takes a fifth of it.
const HELD_UP: Duration = Duration::from_millis(1);

/// The longest time between two changes of the rate.
const SELDOM: Duration = Duration::from_millis(100);

/// The least part of its share that is offered, so that there is always something to measure.
const LEAST: f64 = 0.05;

/// What a worker tells of its turns with packets while it runs.
#[derive(Debug)]
pub(super) struct Spent {
    all: Told,
    /// Of turns that were not held up.
    calm: Told,
    /// Ticks beyond which a turn was held up.
    held_up: u64,
    /// Ticks of the longest turn since somebody asked.
    longest: AtomicU64,
}

/// Ticks and packets by the size of the burst, told by one thread and read by others.
#[derive(Debug, Default)]
struct Told {
    ticks: [Counter; SIZES],
    packets: [Counter; SIZES],
}

impl Told {
    /// Of a turn that had packets.
    fn add(&self, packets: usize, ticks: u64) {
        let size = (packets.max(1).ilog2() as usize).min(SIZES - 1);
        if let (Some(all), Some(its)) = (self.ticks.get(size), self.packets.get(size)) {
            all.add(ticks);
            its.add(packets as u64);
        }
    }

    fn cost(&self) -> Cost {
        let get = |of: &[Counter; SIZES]| std::array::from_fn(|size| of[size].get());
        Cost { ticks: get(&self.ticks), packets: get(&self.packets) }
    }
}

impl Spent {
    /// Of a worker whose clock has so many ticks a second.
    pub(super) fn new(hz: u64) -> Self {
        let held_up = (HELD_UP.as_secs_f64() * hz as f64) as u64;
        Self { all: Told::default(), calm: Told::default(), held_up, longest: AtomicU64::new(0) }
    }

    /// A turn of the worker's loop, with packets or without. Only the worker may tell.
    pub(super) fn add(&self, packets: usize, ticks: u64) {
        self.longest.fetch_max(ticks, Ordering::Relaxed);
        if packets > 0 {
            self.all.add(packets, ticks);
            if ticks <= self.held_up {
                self.calm.add(packets, ticks);
            }
        }
    }

    /// Ticks of the longest turn since this was asked for the last time.
    pub(super) fn take_longest(&self) -> u64 {
        self.longest.swap(0, Ordering::Relaxed)
    }

    /// What was told so far.
    pub(super) fn cost(&self) -> Cost {
        self.all.cost()
    }

    /// The same of the turns that were not held up: what packets take where nobody else wants the CPU. Few bursts of a size
    /// are a measure only without them.
    pub(super) fn calm(&self) -> Cost {
        self.calm.cost()
    }
}

/// Ticks and packets of bursts, by their size.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cost {
    ticks: [u64; SIZES],
    packets: [u64; SIZES],
}

impl Cost {
    /// What came since.
    pub(super) fn since(&self, before: &Self) -> Self {
        let less = |all: &[u64; SIZES], it: &[u64; SIZES]| {
            std::array::from_fn(|size| all[size].wrapping_sub(it[size]))
        };
        Self {
            ticks: less(&self.ticks, &before.ticks),
            packets: less(&self.packets, &before.packets),
        }
    }

    /// All ticks, and all packets.
    pub(super) fn sums(&self) -> (u64, u64) {
        (Self::total(&self.ticks), Self::total(&self.packets))
    }

    fn total(of: &[u64; SIZES]) -> u64 {
        of.iter().sum()
    }

    /// Ticks of a packet in a burst of this size, or of the next one up or down that came often enough.
    fn of_packet(&self, size: usize) -> Option<f64> {
        let known = |size: &usize| self.packets.get(*size).is_some_and(|&it| it >= KNOWN);
        let size = (size..SIZES).find(known).or_else(|| (0..size).rev().find(known))?;
        Some(*self.ticks.get(size)? as f64 / *self.packets.get(size)? as f64)
    }

    /// How many times as long these bursts took as bursts of the same sizes took there; None where they are
    /// too few to say.
    fn beside(&self, reference: &Self) -> Option<f64> {
        if Self::total(&self.packets) < ENOUGH {
            return None;
        }
        let mut expected = 0.0;
        for (size, &packets) in self.packets.iter().enumerate().filter(|&(_, &it)| it > 0) {
            expected += packets as f64 * reference.of_packet(size)?;
        }
        let ratio = Self::total(&self.ticks) as f64 / expected;
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }
}

/// How the offered rate came to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Offered {
    /// Packets a second: the least, the median and the most that it was, by time.
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
    /// Seconds between two adjustments: half of what a ring takes to fill, at the most.
    pub(super) every: f64,
    /// How often it was adjusted.
    pub(super) adjusted: u64,
}

/// The rate, and what it follows.
#[derive(Debug)]
pub(super) struct Follow {
    /// What the workers tell.
    spent: Vec<Arc<Spent>>,
    /// What they had told when the rate was adjusted last, each of them.
    seen: Vec<Cost>,
    pace: Tempo,
    every: Duration,
}

impl Follow {
    /// Follows workers from here on. `found` packets a second were without loss in a trial in which bursts took
    /// what `reference` has; of what they can take this share is offered. Each has a ring of so many packets.
    pub(super) fn new(
        spent: Vec<Arc<Spent>>,
        found: f64,
        share: f64,
        reference: Vec<Cost>,
        ring: u32,
    ) -> anyhow::Result<Self> {
        let every = cadence(found / spent.len().max(1) as f64, ring);
        let seen = spent.iter().map(|spent| spent.cost()).collect();
        Ok(Self { spent, seen, pace: Tempo::new(found, share, reference)?, every })
    }

    /// The rate now.
    pub(super) fn rate(&self) -> f64 {
        self.pace.rate
    }

    /// When it is to be adjusted again.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// Adjusts the rate to what the workers took since; it from now on.
    pub(super) fn adjust(&mut self) -> f64 {
        for (worker, (spent, seen)) in self.spent.iter().zip(&mut self.seen).enumerate() {
            let now = spent.cost();
            if self.pace.hear(worker, &now.since(seen)) {
                *seen = now;
            }
        }
        self.pace.adjust()
    }

    /// How it was.
    pub(super) fn offered(&self) -> Offered {
        let rates = &self.pace.rates;
        Offered {
            least: rates.min() as f64,
            median: rates.value_at_quantile(0.5) as f64,
            most: rates.max() as f64,
            every: self.every.as_secs_f64(),
            // The first was not adjusted to anything.
            adjusted: rates.len() - 1,
        }
    }
}

/// How long a rate may stand when a ring takes so many packets a second and holds so many: half of what it takes
/// to fill, so that a worker that stops takes no more than that until it is known.
fn cadence(rate: f64, ring: u32) -> Duration {
    let full = f64::from(ring) / rate.max(1.0);
    Duration::from_secs_f64(full / 2.0).min(SELDOM)
}

/// The arithmetic.
#[derive(Debug)]
struct Tempo {
    found: f64,
    share: f64,
    reference: Vec<Cost>,
    /// How much slower than there each worker is.
    slower: Vec<f64>,
    rate: f64,
    rates: Histogram<u64>,
}

impl Tempo {
    fn new(found: f64, share: f64, reference: Vec<Cost>) -> anyhow::Result<Self> {
        let mut rates = Histogram::new_with_bounds(1, 1_000_000_000, 3)?;
        let slower = vec![1.0; reference.len()];
        let rate = found * share.min(1.0);
        rates.saturating_record(rate as u64);
        Ok(Self { found, share, reference, slower, rate, rates })
    }

    /// What a worker took; whether that was enough to learn from.
    fn hear(&mut self, worker: usize, cost: &Cost) -> bool {
        let beside = self.reference.get(worker).and_then(|reference| cost.beside(reference));
        let (Some(beside), Some(slower)) = (beside, self.slower.get_mut(worker)) else {
            return false;
        };
        *slower = beside;
        true
    }

    /// The share of what the slowest can take; never more than the rate that was found.
    fn adjust(&mut self) -> f64 {
        let slowest = self.slower.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let taken = self.found / slowest;
        self.rate = (self.share * taken).max(LEAST * self.share * self.found).min(self.found);
        self.rates.saturating_record(self.rate as u64);
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 2_000_000_000;

    /// Bursts of these sizes, so many of each, by a worker to whom a burst costs 200 ticks and a packet 1,000,
    /// so many times.
    fn cost(bursts: &[(usize, usize)], times: f64) -> Cost {
        let spent = Spent::new(HZ);
        for &(size, count) in bursts {
            for _ in 0..count {
                spent.add(size, ((200 + 1_000 * size) as f64 * times) as u64);
            }
        }
        spent.cost()
    }

    /// What a trial sees: all sizes.
    fn reference() -> Cost {
        cost(&[(1, 2_000), (3, 2_000), (5, 500), (10, 500), (20, 100), (40, 100), (64, 1_000)], 1.0)
    }

    fn after(costs: &[Cost]) -> f64 {
        let mut tempo = Tempo::new(1_000_000.0, 0.8, vec![reference(); costs.len()]).unwrap();
        for (worker, cost) in costs.iter().enumerate() {
            tempo.hear(worker, cost);
        }
        tempo.adjust()
    }

    #[track_caller]
    fn about(rate: f64, wanted: f64) {
        assert!((rate / wanted - 1.0).abs() < 0.001, "{rate} for {wanted}");
    }

    #[test]
    fn the_rate_is_the_share_of_what_the_worker_can_take_and_never_above_the_one_found() {
        let as_fast = cost(&[(64, 100)], 1.0);
        about(after(&[as_fast]), 800_000.0);
        about(after(&[cost(&[(64, 100)], 1.5)]), 800_000.0 / 1.5);
        about(after(&[cost(&[(64, 100)], 0.9)]), 800_000.0 / 0.9);
        about(after(&[cost(&[(64, 100)], 0.5)]), 1_000_000.0);
    }

    #[test]
    fn small_bursts_are_not_taken_for_a_slower_machine() {
        // A packet alone costs 1,200 ticks, one of 64 costs 1,003.
        about(after(&[cost(&[(1, 500)], 1.0)]), 800_000.0);
        about(after(&[cost(&[(1, 500), (3, 100), (64, 2)], 1.25)]), 640_000.0);
    }

    #[test]
    fn sizes_that_the_trial_hardly_saw_are_taken_for_the_nearest_that_it_saw() {
        let reference = cost(&[(1, 20), (64, 1_000)], 1.0);
        let mut tempo = Tempo::new(1_000_000.0, 0.8, vec![reference]).unwrap();
        assert!(tempo.hear(0, &cost(&[(1, 500)], 1.0)));
        about(tempo.adjust(), 800_000.0 * 1_003.125 / 1_200.0);
        let mut tempo = Tempo::new(1_000_000.0, 0.8, vec![cost(&[(1, 20)], 1.0)]).unwrap();
        assert!(!tempo.hear(0, &cost(&[(1, 500)], 9.0)), "nothing is known");
        about(tempo.adjust(), 800_000.0);
    }

    #[test]
    fn the_slowest_worker_decides() {
        let (fast, slow) = (cost(&[(64, 100)], 0.8), cost(&[(64, 100)], 2.0));
        about(after(&[fast, slow, fast]), 400_000.0);
    }

    #[test]
    fn turns_that_were_held_up_make_a_worker_slower_and_not_what_it_is_compared_with() {
        let spent = Spent::new(HZ);
        (0..100).for_each(|_| spent.add(64, 64_200));
        let calm = spent.cost();
        spent.add(64, 2_000_001);
        assert_eq!(spent.calm(), calm);
        assert_eq!(spent.cost().sums(), (6_420_000 + 2_000_001, 6_464));
        let mut tempo = Tempo::new(1_000_000.0, 0.8, vec![spent.calm()]).unwrap();
        tempo.hear(0, &spent.cost());
        about(tempo.adjust(), 800_000.0 * 6_464.0 * 64_200.0 / 64.0 / 8_420_001.0);
    }

    #[test]
    fn a_few_packets_change_nothing_and_there_are_always_packets_to_learn_from() {
        let mut tempo = Tempo::new(1_000_000.0, 0.8, vec![reference()]).unwrap();
        assert!(!tempo.hear(0, &cost(&[(1, 100)], 50.0)), "too few to say");
        about(tempo.adjust(), 800_000.0);
        assert!(tempo.hear(0, &cost(&[(1, 200)], 1e6)));
        about(tempo.adjust(), 40_000.0);
        assert!(tempo.hear(0, &cost(&[(1, 200)], 1.0)));
        about(tempo.adjust(), 800_000.0);
    }

    #[test]
    fn what_workers_tell_between_two_adjustments_counts_and_is_told_at_the_end() {
        let spent = Arc::new(Spent::new(HZ));
        let tell = |times: u64| (0..100).for_each(|_| spent.add(64, 64_200 * times));
        tell(7);
        let mut follow =
            Follow::new(vec![Arc::clone(&spent)], 500_000.0, 0.8, vec![reference()], 32_768)
                .unwrap();
        about(follow.rate(), 400_000.0);
        for times in [1, 2, 4, 1, 1] {
            tell(times);
            about(follow.adjust(), 400_000.0 / times as f64);
        }
        let Offered { least, median, most, every, adjusted } = follow.offered();
        about(least, 100_000.0);
        about(median, 400_000.0);
        about(most, 400_000.0);
        assert_eq!(adjusted, 5);
        about(every, follow.every().as_secs_f64());
    }

    #[test]
    fn a_ring_bears_a_worker_that_stops_between_two_adjustments() {
        for (rate, ring) in [(740_000.0, 32_768), (740_000.0, 4_096), (3_000.0, 32_768), (1e6, 64)]
        {
            let every = cadence(rate, ring);
            assert!(every <= SELDOM && every > Duration::ZERO, "{every:?}");
            assert!(rate * every.as_secs_f64() <= f64::from(ring) / 2.0 * 1.001, "{rate}, {ring}");
        }
        about(cadence(740_000.0, 32_768).as_secs_f64(), 32_768.0 / 740_000.0 / 2.0);
    }
}
