//! How full the queues are that wait for a core: read once a burst, from what is cheap and true.

use dpdk::RxQueue;

use crate::handover::Exchange;
use crate::worker::BURST;

/// How full a queue is, in thousandths.
pub type Occupancy = u16;

/// A queue without room.
pub const FULL: Occupancy = 1000;

/// Packets that a queue is taken to hold where the driver does not tell: those over kernel
/// interfaces, whose rings the sensor asks for 4096 frames at the least.
const ASSUMED: u32 = 4096;

/// How many times what a queue holds must have come in full bursts until it is taken for full, where
/// the driver does not tell what waits.
const SUSTAINED: u32 = 4;

/// Reads how full a core's queues are.
#[derive(Debug)]
pub(crate) struct Pressure {
    /// What the port's queue holds at the most.
    capacity: u32,
    /// Bursts in a row that were full, where the driver does not tell what waits.
    full_bursts: u32,
}

impl Pressure {
    pub(crate) fn new(queue: Option<&RxQueue>) -> Self {
        let capacity = queue.and_then(RxQueue::capacity).unwrap_or(ASSUMED).max(1);
        Self { capacity, full_bursts: 0 }
    }

    /// How full the fullest queue is, after a burst of so many packets.
    #[inline]
    pub(crate) fn read(
        &mut self,
        queue: Option<&RxQueue>,
        received: usize,
        exchange: &Exchange,
    ) -> Occupancy {
        let waiting = if received < BURST {
            // The queue has run dry.
            self.full_bursts = 0;
            0
        } else {
            self.waiting(queue.and_then(RxQueue::waiting))
        };
        share(waiting, self.capacity).max(exchange.occupancy())
    }

    /// What waits after a full burst. Where the driver does not tell, a queue that gives out full
    /// bursts, several times what it holds, without running dry is taken for the fuller the longer
    /// that goes on: one that was full by chance runs dry before.
    fn waiting(&mut self, told: Option<u32>) -> u32 {
        match told {
            Some(waiting) => waiting,
            None => {
                self.full_bursts = self.full_bursts.saturating_add(1);
                self.full_bursts.saturating_mul(BURST as u32) / SUSTAINED
            }
        }
    }
}

/// A part of a whole, in thousandths.
pub(crate) fn share(part: u32, whole: u32) -> Occupancy {
    let thousandths = u64::from(part) * u64::from(FULL) / u64::from(whole.max(1));
    Occupancy::try_from(thousandths).map_or(FULL, |share| share.min(FULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_runs_dry_has_room_and_one_that_cannot_tell_is_full_after_many_full_bursts() {
        let mut pressure = Pressure { capacity: 1024, full_bursts: 0 };
        let exchange = Exchange::default();
        let seen: Vec<_> = (0..80).map(|_| pressure.read(None, BURST, &exchange)).collect();
        assert!(seen[15] < 300, "a full queue that empties is not under pressure");
        assert_eq!((seen[0], seen[31], seen[63], seen[79]), (15, 500, FULL, FULL));
        assert_eq!(pressure.read(None, BURST - 1, &exchange), 0);
        assert_eq!(pressure.read(None, BURST, &exchange), 15, "it begins anew");
        assert_eq!(pressure.waiting(Some(700)), 700);
        assert_eq!(share(700, 1024), 683);
    }
}
