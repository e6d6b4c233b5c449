//! Brings the alerts of all cores into one order: by the capture's clock and the packet's number,
//! so that what is written does not depend on how traffic was spread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use rtrb::Consumer;

use crate::alert::{Alert, OrderKey};
use crate::counters::Counters;
use crate::pcap::PcapLanes;

/// The rings of all cores, read by the control side.
#[derive(Debug)]
pub struct Collector {
    lanes: Vec<Lane>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    /// Every alert with a clock before this was handed out.
    settled: u64,
    packets: Option<PcapLanes>,
}

/// How long whoever takes alerts rests when none came: the longer, the longer none did.
#[derive(Debug)]
pub struct Rest(Duration);

impl Rest {
    const SHORTEST: Duration = Duration::from_millis(1);
    /// Rings hold what cores raise meanwhile.
    const LONGEST: Duration = Duration::from_millis(16);

    /// How long to rest, when so many alerts were moved; None: there may be more.
    pub fn after(&mut self, moved: usize) -> Option<Duration> {
        if moved > 0 {
            self.0 = Self::SHORTEST;
            return None;
        }
        let rest = self.0;
        self.0 = (rest * 2).min(Self::LONGEST);
        Some(rest)
    }
}

impl Default for Rest {
    fn default() -> Self {
        Self(Self::SHORTEST)
    }
}

#[derive(Debug)]
struct Lane {
    ring: Consumer<Box<Alert>>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Waiting(Box<Alert>);

impl Waiting {
    fn key(&self) -> OrderKey {
        self.0.key
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Collector {
    /// Reads these rings; the counters tell how far each core has come.
    pub fn new(lanes: impl IntoIterator<Item = (Consumer<Box<Alert>>, Arc<Counters>)>) -> Self {
        let lanes = lanes.into_iter().map(|(ring, counters)| Lane { ring, counters }).collect();
        Self { lanes, waiting: BinaryHeap::new(), settled: 0, packets: None }
    }

    /// The cores give packets, too.
    pub(crate) fn with_packets(self, packets: Option<PcapLanes>) -> Self {
        Self { packets, ..self }
    }

    /// What the cores give of packets, once, if they were told to.
    pub fn take_packets(&mut self) -> Option<PcapLanes> {
        self.packets.take()
    }

    /// Every alert with a clock before this was handed out.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Hands out, in order, every alert that no earlier one can come before any more. Returns how
    /// many alerts were moved; 0 means that there is nothing to do for a moment.
    pub fn poll(&mut self, mut each: impl FnMut(Box<Alert>)) -> usize {
        // The watermark is read before the ring: whatever it promises is in the ring by then.
        let mut safe = u64::MAX;
        let mut moved = 0;
        for lane in &mut self.lanes {
            safe = safe.min(lane.counters.watermark.observe());
            while let Ok(alert) = lane.ring.pop() {
                self.waiting.push(Reverse(Waiting(alert)));
                moved += 1;
            }
        }
        while let Some(Reverse(first)) = self.waiting.peek() {
            if first.key().clock >= safe {
                break;
            }
            if let Some(Reverse(first)) = self.waiting.pop() {
                each(first.0);
                moved += 1;
            }
        }
        self.settled = self.settled.max(safe);
        moved
    }

    /// Hands out everything that is left, in order: no core will raise another alert.
    pub fn finish(&mut self, mut each: impl FnMut(Box<Alert>)) {
        for lane in &mut self.lanes {
            while let Ok(alert) = lane.ring.pop() {
                self.waiting.push(Reverse(Waiting(alert)));
            }
        }
        while let Some(Reverse(first)) = self.waiting.pop() {
            each(first.0);
        }
        self.settled = u64::MAX;
    }

    /// Alerts that wait for a slower core.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_while_nothing_comes_and_begin_anew_with_an_alert() {
        let mut rest = Rest::default();
        let mut rests = |moved: &[usize]| -> Vec<_> {
            moved.iter().map(|&moved| rest.after(moved).map(|rest| rest.as_millis())).collect()
        };
        assert_eq!(rests(&[0, 0, 0]), [Some(1), Some(2), Some(4)]);
        assert_eq!(rests(&[7, 0, 0]), [None, Some(1), Some(2)]);
        assert_eq!(rests(&[0; 5]), [Some(4), Some(8), Some(16), Some(16), Some(16)]);
    }
}
