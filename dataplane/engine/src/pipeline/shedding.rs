//! What a core does about more than it can bear, see [`crate::shed`].

use rtrb::Producer;
use wire::Nanos;

use super::Core;
use crate::bypass::{Asker, Elephant};
use crate::counters::Drop;
use crate::pressure::Occupancy;
use crate::scope::Hits;
use crate::snapshot::Snapshot;

impl Core {
    /// Takes note of how full the fullest queue is that waits for this core, once a burst.
    #[inline]
    pub(crate) fn press(&mut self, occupancy: Occupancy, now: Nanos) {
        self.shed.press(occupancy, now, &self.delivery.snapshot.settings.overload);
        self.counters.shedding.set(u64::from(self.shed.sheds()));
    }

    /// Where to ask that elephants be dropped by the NIC.
    pub(crate) fn ask_through(&mut self, ring: Producer<Elephant>) {
        self.asker = Asker::through(ring);
    }

    /// Counts a packet that was shed, for the core and for those in whose scope it is.
    pub(super) fn was_shed(
        &mut self,
        snapshot: &Snapshot,
        reason: Drop,
        hits: &Hits,
        length: usize,
    ) {
        let bytes = length as u64;
        self.counters.shed(reason, bytes);
        self.tallies.change(&snapshot.scope, hits, |tally| {
            tally.shed_packets += 1;
            tally.shed_bytes += bytes;
        });
    }
}
