//! The generator's core: makes packets, spreads them as a NIC would, and loses, as a NIC does, what finds
//! its ring full.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dpdk::{Eal, Mbuf, Mempool, RingFeeder};
use engine::spread::NicSpread;
use traffic::flows::Flows;

use super::follow::{Follow, Spent};
use super::losses::{Loss, Losses};

/// Packets between two looks at the clock.
const BATCH: u64 = 32;

/// Packets that are made up for at the most when the generator was late: its own pauses are no bursts of the
/// wire's, which a ring would have to bear.
const MOST_OWED: u64 = 1_024;

/// How fast to go.
#[derive(Debug)]
pub(super) enum Pace {
    /// As fast as the workers take it: it waits for room, and loses nothing.
    Unbounded,
    /// Packets a second; what finds no room is lost.
    Rate(f64),
    /// As many packets a second as follow from what the workers can take; what finds no room is lost.
    Follow(Box<Follow>),
}

/// Packets due by the time, at a rate that may change.
#[derive(Debug)]
struct Due {
    hz: f64,
    /// Packets a second since then.
    rate: f64,
    since: u64,
    /// Packets that were due by then.
    before: f64,
}

impl Due {
    fn at(rate: f64, hz: u64) -> Self {
        Self { hz: hz.max(1) as f64, rate, since: 0, before: 0.0 }
    }

    /// By so many ticks from the beginning on.
    fn by(&self, passed: u64) -> f64 {
        self.before + passed.saturating_sub(self.since) as f64 / self.hz * self.rate
    }

    /// From so many ticks on at another rate.
    fn change(&mut self, passed: u64, rate: f64) {
        (self.before, self.since, self.rate) = (self.by(passed), passed, rate);
    }
}

/// What was made.
#[derive(Debug, Clone, Default)]
pub(super) struct Sent {
    /// Packets put into rings.
    pub(super) packets: u64,
    /// Those of them with an address in scope.
    pub(super) scoped: u64,
    /// Bytes of them.
    pub(super) bytes: u64,
    /// Packets that found no room.
    pub(super) lost: u64,
    /// When they did, of a rate that was given.
    pub(super) losses: Vec<Loss>,
    /// From the first packet to the last.
    pub(super) seconds: f64,
    /// Turns at which the generator was late by more than a batch: it could not go so fast.
    pub(super) behind: u64,
}

impl Sent {
    pub(super) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.scoped += other.scoped;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.seconds += other.seconds;
        self.behind += other.behind;
    }
}

/// The generator.
#[derive(Debug)]
pub(super) struct Generator {
    pub(super) eal: &'static Eal,
    pub(super) rings: Vec<RingFeeder>,
    pub(super) pool: Mempool,
    pub(super) nic: Arc<NicSpread>,
    pub(super) flows: Flows,
    pub(super) hz: u64,
    pub(super) cpu: Option<usize>,
    /// What the workers tell.
    pub(super) workers: Vec<Arc<Spent>>,
}

impl Generator {
    /// Feeds for so long.
    pub(super) fn feed(&mut self, pace: &mut Pace, time: Duration) -> anyhow::Result<Sent> {
        if let Some(id) = self.cpu {
            // A hint: the generator works wherever it is.
            core_affinity::set_for_current(core_affinity::CoreId { id });
        }
        let _registration = self.eal.register_thread()?;
        let mut sent = Sent::default();
        let start = dpdk::rdtsc();
        let end = (time.as_secs_f64() * self.hz as f64) as u64;
        let mut frame = [0; 2048];
        let mut forgiven = 0;
        let mut due = match pace {
            Pace::Unbounded => None,
            Pace::Rate(rate) => Some(Due::at(*rate, self.hz)),
            Pace::Follow(follow) => Some(Due::at(follow.rate(), self.hz)),
        };
        let mut losses = Losses::of(self.workers.clone(), self.hz);
        let mut looked = 0;
        loop {
            let passed = dpdk::rdtsc().wrapping_sub(start);
            if passed >= end {
                sent.seconds = passed as f64 / self.hz as f64;
                sent.losses = losses.end(sent.seconds);
                return Ok(sent);
            }
            if let (Pace::Follow(follow), Some(due)) = (&mut *pace, &mut due) {
                let every = (follow.every().as_secs_f64() * self.hz as f64) as u64;
                if passed - looked >= every {
                    due.change(passed, follow.adjust());
                    looked = passed;
                }
            }
            let batch = match &due {
                None => BATCH,
                Some(due) => {
                    let due = due.by(passed) as u64;
                    let owed = due.saturating_sub(sent.packets + sent.lost + forgiven);
                    sent.behind += u64::from(owed > 8 * BATCH);
                    forgiven += owed.saturating_sub(MOST_OWED);
                    owed.min(BATCH)
                }
            };
            if batch == 0 {
                std::hint::spin_loop();
            }
            let at = passed as f64 / self.hz as f64;
            losses.pass(at);
            for _ in 0..batch {
                if !self.one(&mut frame, due.is_none(), start, end, &mut sent) {
                    sent.lost += 1;
                    losses.lost(at, due.as_ref().map_or(0.0, |due| due.rate));
                }
            }
        }
    }

    /// Makes a packet and puts it into its ring; not, if there is no room.
    fn one(
        &mut self,
        frame: &mut [u8; 2048],
        waits: bool,
        start: u64,
        end: u64,
        sent: &mut Sent,
    ) -> bool {
        let made = self.flows.next_into(frame);
        let (client, server) = made.addresses;
        let queue = self.nic.owner(IpAddr::V4(client), IpAddr::V4(server));
        let Some(ring) = self.rings.get_mut(queue) else { return false };
        let bytes = frame.get(..made.length).unwrap_or_default();
        loop {
            let pushed = Mbuf::from_bytes(&self.pool, bytes).map(|mbuf| ring.push(mbuf));
            if let Some(Ok(())) = pushed {
                sent.packets += 1;
                sent.scoped += u64::from(made.scoped);
                sent.bytes += made.length as u64;
                return true;
            }
            let late = dpdk::rdtsc().wrapping_sub(start) >= end.saturating_mul(2);
            if !waits || late {
                return false;
            }
            // The worker may need this very CPU.
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_goes_on_from_where_it_was_when_the_rate_changes() {
        let mut due = Due::at(1_000.0, 1_000_000);
        assert!((due.by(500_000) - 500.0).abs() < 1e-6);
        due.change(500_000, 200.0);
        assert!((due.by(500_000) - 500.0).abs() < 1e-6);
        due.change(1_500_000, 4_000.0);
        assert!((due.by(1_750_000) - 1_700.0).abs() < 1e-6);
    }
}
