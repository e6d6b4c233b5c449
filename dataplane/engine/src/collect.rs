//! Brings the alerts of all cores into one order: by the capture's clock and the packet's number,
//! so that what is written does not depend on how traffic was spread.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

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
