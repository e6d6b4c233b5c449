//! What a core does about what the mirror did to its copies, see [`crate::mirror`].

use wire::{FlowKey, Reject};

use super::Core;
use crate::part::{PacketInfo, Part};
use crate::scope::Hits;
use crate::snapshot::Snapshot;

impl Core {
    /// A packet was refused: because the mirror has cut it?
    #[cold]
    pub(super) fn is_sliced(&mut self, bytes: &[u8], reject: Reject) -> bool {
        let is_cut = self.slices.has_cut(bytes.len(), reject);
        self.counters.slice.set(self.slices.length().unwrap_or(0) as u64);
        is_cut
    }

    /// A packet in scope was captured in part.
    #[cold]
    pub(super) fn was_cut(&mut self, snapshot: &Snapshot, hits: &Hits) {
        self.tallies.change(&snapshot.scope, hits, |tally| tally.cut_packets += 1);
    }

    /// The key of a packet's flow where one direction comes in other VLANs than the other.
    pub(super) fn joined_key(&self, key: FlowKey, part: &Part<'_>, info: &PacketInfo) -> FlowKey {
        let vlans = part.decoded.vlans();
        self.vlans.resolve(key, vlans, &self.flows, info.clock, &self.counters)
    }
}
