//! What a core does when time passes or nothing more comes: flows end, fragments are forgotten, and
//! what it has counted for itself is told.

use std::sync::Arc;

use flow::{FlowTable, Swept};
use wire::Nanos;

use super::Core;
use crate::counters::Drop;
use crate::flow_state::FlowState;
use crate::flow_work::Work;
use crate::profile::Stage;
use crate::snapshot::Snapshot;

impl Core {
    /// Ends flows and forgets fragments whose time has passed, of flows a few with each of the packets that came since,
    /// so that none waits long; says up to which time nothing can come up any more.
    pub fn pass_time(&mut self, now: Nanos, packets: usize) -> Nanos {
        if !self.reorder.is_empty() {
            let window = self.delivery.snapshot.settings.reorder_window;
            self.end_waiting(now.saturating_sub(window), now);
        }
        self.end_flows(now, packets);
        self.defrag.expire(now);
        self.open_fates();
        self.tallies.pass_time(now, &self.counters.tallies);
        self.gauges();
        let waiting = self.reorder.oldest().map_or(Nanos::MAX, |since| since.saturating_sub(1));
        self.flows.swept_until().min(now).min(waiting)
    }

    fn end_flows(&mut self, now: Nanos, packets: usize) -> Swept {
        let taken = self.take_snapshot();
        self.tools.profiler.enter(Stage::Flow);
        let swept = self.with_work(&taken, |flows, work| {
            flows.expire(now, packets, |mut flow, deadline| work.flow_end(&mut flow, deadline))
        });
        self.snapshot = Some(taken);
        swept
    }

    /// Does something with all flows, and with what works on one.
    fn with_work<R>(
        &mut self,
        snapshot: &Arc<Snapshot>,
        ends: impl FnOnce(&mut FlowTable<FlowState>, &mut Work<'_>) -> R,
    ) -> R {
        let Self { flows, memory, tools, emitter, counters, tallies, carriers, .. } = self;
        let (certificates, scratch) = (&self.certificates, &mut self.delivery.scratch);
        let mut work = Work {
            snapshot,
            memory,
            tools,
            emitter,
            counters,
            tallies,
            carriers,
            certificates,
            scratch,
        };
        ends(flows, &mut work)
    }

    /// Nothing more will come: every flow ends, whatever it holds is inspected; those whose time has passed by now as
    /// if no packet had kept them waiting.
    pub fn finish(&mut self, now: Nanos) {
        self.end_waiting(Nanos::MAX, now);
        while self.end_flows(now, 0) == Swept::UpTo {}
        let snapshot = Arc::clone(&self.delivery.snapshot);
        self.with_work(&snapshot, |flows, work| {
            flows.drain(|mut flow| {
                // After everything else, in an order that does not depend on how flows were spread.
                let clock = Nanos::MAX - 1;
                work.flow_end(&mut flow, clock);
            });
        });
        self.defrag.drain();
        self.open_fates();
        self.tallies.hand_over(&self.counters.tallies);
        self.gauges();
    }

    fn gauges(&mut self) {
        self.counters.flows_active.set(self.flows.len() as u64);
        self.counters.flows_evicted.set(self.flows.evicted());
        self.counters.stream_memory.set(self.memory.used());
        let exceeded = self.tools.take_exceeded();
        self.counters.budget_exceeded.add(exceeded);
        self.counters.note_aside(self.tools.set_aside());
    }

    /// Counts fragments of which the defragmenter has decided without a datagram.
    pub(super) fn open_fates(&mut self) {
        let fates = self.defrag.take_fates();
        self.counters.discard_many(Drop::FragmentTimeout, fates.timed_out);
        self.counters.discard_many(Drop::FragmentMemcap, fates.memcap);
        self.counters.discard_many(Drop::Malformed, fates.refused);
    }
}
