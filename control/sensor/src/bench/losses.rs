//! When packets found no room, and what the workers did just then: whether they were late, or were offered too much.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::follow::Spent;

/// Seconds without a loss after which the next one counts as another time.
const APART: f64 = 0.1;

/// Seconds between two looks at the workers, which tell what was before a loss: a ring was filled then.
const LOOKS: f64 = 0.05;

/// Times that are told apart; of those that come after, only the packets are.
const TOLD: usize = 100;

/// One time at which packets found no room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Seconds from the run's beginning on, of the first packet that was lost.
    pub(super) at: f64,
    /// From the first to the last.
    pub(super) seconds: f64,
    /// Packets.
    pub(super) packets: u64,
    /// Packets a second that were offered when it began.
    pub(super) offered: f64,
    /// From a moment before until after: packets a second that all workers took.
    pub(super) taken: f64,
    /// The part of that time that the workers' turns took, from 0 to 1.
    pub(super) busy: f64,
    /// The longest turn of a worker in that time, in seconds.
    pub(super) longest_turn: f64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lost {} in {:.3} s at {:.1} s: {:.0} packets/s offered, {:.0} taken, workers busy {:.0} % of the time, \
             longest turn {:.1} ms",
            self.packets,
            self.seconds,
            self.at,
            self.offered,
            self.taken,
            self.busy * 100.0,
            self.longest_turn * 1e3
        )
    }
}

/// All of a run.
#[derive(Debug)]
pub(super) struct Losses {
    workers: Vec<Arc<Spent>>,
    hz: f64,
    /// The last two looks, the older one first.
    looks: [Look; 2],
    /// What goes on.
    open: Option<Open>,
    told: Vec<Loss>,
}

/// A loss that goes on.
#[derive(Debug)]
struct Open {
    loss: Loss,
    before: Look,
    /// The longest turn since a moment before.
    longest: u64,
}

/// What the workers had done by then.
#[derive(Debug, Clone, Default)]
struct Look {
    at: f64,
    ticks: u64,
    packets: u64,
    /// The longest turn since the look before.
    longest: u64,
}

impl Losses {
    /// Of a run that begins now.
    pub(super) fn of(workers: Vec<Arc<Spent>>, hz: u64) -> Self {
        let (hz, looks) = (hz.max(1) as f64, Default::default());
        let mut losses = Self { workers, hz, looks, open: None, told: Vec::new() };
        // What was before counts in none.
        let now = Look { longest: 0, ..losses.look(0.0) };
        losses.looks = [now.clone(), now];
        losses
    }

    fn look(&self, at: f64) -> Look {
        let mut look = Look { at, ..Look::default() };
        for worker in &self.workers {
            let (ticks, packets) = worker.cost().sums();
            look.ticks += ticks;
            look.packets += packets;
            look.longest = look.longest.max(worker.take_longest());
        }
        look
    }

    /// So many seconds have passed.
    pub(super) fn pass(&mut self, at: f64) {
        if at - self.looks[1].at >= LOOKS {
            self.look_again(at);
            if self.open.as_ref().is_some_and(|it| at - it.loss.at - it.loss.seconds >= APART) {
                self.close();
            }
        }
    }

    fn look_again(&mut self, at: f64) {
        let now = self.look(at);
        if let Some(open) = &mut self.open {
            open.longest = open.longest.max(now.longest);
        }
        self.looks.swap(0, 1);
        self.looks[1] = now;
    }

    /// A packet found no room, at this rate.
    pub(super) fn lost(&mut self, at: f64, offered: f64) {
        let open = self.open.get_or_insert_with(|| {
            let [before, last] = &self.looks;
            let longest = before.longest.max(last.longest);
            let loss = Loss { at, offered, ..Loss::default() };
            Open { loss, before: before.clone(), longest }
        });
        open.loss.packets += 1;
        open.loss.seconds = at - open.loss.at;
    }

    /// What goes on has ended by the last look.
    fn close(&mut self) {
        let Some(Open { mut loss, before, longest }) = self.open.take() else { return };
        let now = &self.looks[1];
        let seconds = (now.at - before.at).max(1e-9);
        loss.taken = (now.packets - before.packets) as f64 / seconds;
        let all = seconds * self.hz * self.workers.len().max(1) as f64;
        loss.busy = (now.ticks - before.ticks) as f64 / all;
        loss.longest_turn = longest as f64 / self.hz;
        match self.told.get_mut(TOLD - 1) {
            Some(last) => last.packets += loss.packets,
            None => self.told.push(loss),
        }
    }

    /// The run has ended.
    pub(super) fn end(mut self, at: f64) -> Vec<Loss> {
        self.look_again(at);
        self.close();
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_close_to_each_other_are_one_and_tell_what_workers_did_from_before_on() {
        let worker = Arc::new(Spent::new(1_000));
        let mut losses = Losses::of(vec![Arc::clone(&worker)], 1_000);
        let mut at = 0.0;
        let mut pass = |losses: &mut Losses, packets: usize, ticks: u64| {
            at += 0.0625;
            worker.add(packets, ticks);
            losses.pass(at);
            at
        };
        for _ in 0..4 {
            pass(&mut losses, 8, 31);
        }
        // A turn takes twice as long as there is between two looks.
        let now = pass(&mut losses, 2, 125);
        losses.lost(now, 100.0);
        let now = pass(&mut losses, 8, 62);
        losses.lost(now, 90.0);
        for _ in 0..4 {
            pass(&mut losses, 8, 0);
        }
        let now = pass(&mut losses, 8, 10);
        losses.lost(now, 80.0);
        let told = losses.end(now);
        let [first, second] = &told[..] else { panic!("{told:?}") };
        assert_eq!((first.at, first.seconds, first.packets), (0.3125, 0.0625, 2));
        assert_eq!((first.offered, first.longest_turn), (100.0, 0.125));
        // From a look before the slow turn until one after the last loss: four turns.
        assert!((first.taken - 26.0 / 0.25).abs() < 1e-6, "{first:?}");
        assert!((first.busy - 187.0 / 250.0).abs() < 1e-6, "{first:?}");
        assert_eq!((second.packets, second.offered, second.longest_turn), (1, 80.0, 0.01));
    }

    #[test]
    fn a_run_without_loss_has_none_and_the_last_time_has_all_packets_that_come_after() {
        let mut losses = Losses::of(Vec::new(), 1_000);
        for second in 0..100 {
            losses.pass(f64::from(second));
        }
        assert_eq!(losses.end(100.0), []);
        let mut losses = Losses::of(Vec::new(), 1_000);
        for second in 0..300 {
            losses.pass(f64::from(second));
            losses.lost(f64::from(second), 1.0);
        }
        let told = losses.end(300.0);
        assert_eq!((told.len(), told.iter().map(|it| it.packets).sum()), (TOLD, 300));
    }
}
