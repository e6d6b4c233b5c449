//! What a flow shows of its mirror: whether both sides are copied, and what was lost.

use flow::Flow;
use wire::Direction;

use crate::flow_state::{FlowState, Mark};
use crate::flow_work::{Work, layers};
use crate::mirror;
use crate::scope::Hits;

impl Work<'_> {
    /// Enough of a flow was seen to say whether both of its sides are mirrored.
    #[cold]
    pub(crate) fn judge(&mut self, flow: &mut Flow<FlowState>, hits: Hits) {
        flow.user.mark(Mark::JUDGED);
        let one_sided = u64::from(!flow.both_seen());
        self.counters.tcp_flows_judged.add(1);
        self.counters.tcp_flows_one_sided.add(one_sided);
        self.tallies.change(&self.snapshot.scope, &hits, |tally| {
            tally.tcp_flows += 1;
            tally.one_sided_flows += one_sided;
        });
    }

    /// A TCP flow ends: says what has not been said of it.
    pub(crate) fn account(&mut self, flow: &mut Flow<FlowState>) {
        let (layers, count) = layers(flow, Direction::ToServer);
        let hits = self.snapshot.scope.lookup_layers(layers.get(..count).unwrap_or(&layers));
        if mirror::is_to_be_judged(flow, true) {
            self.judge(flow, hits);
        }
        self.tell_carried(flow, hits, true);
    }

    /// What a TCP flow has carried since this was told last, and what of it was never seen.
    #[cold]
    pub(crate) fn tell_carried(&mut self, flow: &mut Flow<FlowState>, hits: Hits, ends: bool) {
        let Some(session) = &mut flow.tcp else { return };
        let (missed, carried) = session.take_carried(ends);
        // What was left out here says nothing of the mirror.
        let missed = if flow.user.is(Mark::HOLED) { 0 } else { missed };
        if carried > 0 || missed > 0 {
            self.counters.tcp_bytes.add(carried);
            self.counters.missed_bytes.add(missed);
            self.tallies.change(&self.snapshot.scope, &hits, |tally| {
                tally.tcp_bytes += carried;
                tally.missed_bytes += missed;
            });
        }
    }
}
