//! What a core does with packets that came before what they answer, see [`crate::reorder`].

use std::sync::Arc;

use flow::{Flow, Missing, TcpSession};
use wire::{Decoded, FlowKey, Nanos, Tcp, Transport};

use super::{Core, Offer, Verdict};
use crate::alert::Source;
use crate::flow_state::{FlowState, Mark};
use crate::part::{PacketInfo, Part};
use crate::reorder::{Held, Turn, Waiting, Whose};
use crate::scope::Hits;
use crate::snapshot::Snapshot;

#[cfg(test)]
#[path = "reordering_tests.rs"]
mod tests;

/// What a packet is to wait for, by what its flow has seen; None: nothing.
#[inline]
pub(super) fn missing_before(
    flow: Option<&Flow<FlowState>>,
    tcp: &Tcp,
    decoded: &Decoded,
    forward: bool,
) -> Option<Missing> {
    // What a stream does not take it does not answer either.
    let is_holed = flow.is_some_and(|flow| flow.user.is(Mark::HOLED));
    if is_holed || decoded.has(wire::flag::BAD_TRANSPORT_CHECKSUM) {
        return None;
    }
    let session = flow.and_then(|flow| Some((flow.tcp.as_ref()?, flow.direction(forward))));
    match session {
        Some((session, direction)) => session.missing_before(tcp, direction),
        None => TcpSession::lacks_opening(tcp).then_some(Missing::Opening),
    }
}

impl Core {
    /// As [`Self::inspect`], of a packet that can wait.
    #[inline]
    pub(super) fn in_its_place(
        &mut self,
        snapshot: &Arc<Snapshot>,
        part: &Part<'_>,
        info: &PacketInfo,
        hits: Hits,
    ) -> Verdict {
        let offer = self.inspect(snapshot, part, info, hits, true);
        if let Offer::Ahead(whose) = &offer {
            self.wait(snapshot, **whose, part, info);
        }
        offer.into()
    }

    /// Lets a packet wait for what it answers, or for those before it in its flow that do; then goes on with
    /// those that need not any more.
    #[cold]
    fn wait(
        &mut self,
        snapshot: &Arc<Snapshot>,
        Whose { key, side, missing }: Whose,
        part: &Part<'_>,
        info: &PacketInfo,
    ) {
        let mut waiting = self.reorder.take(&key, missing);
        self.reorder.hold(&mut waiting, side, part, *info);
        self.reorder.set_twice(part.source != Source::Defragmented);
        let before = waiting.len();
        self.go_on(snapshot, &key, &mut waiting, info.clock);
        // This one need not have waited.
        let went = before - waiting.len();
        let helped = went.saturating_sub(usize::from(waiting.is_empty_at(side)));
        if helped > 0 {
            self.counters.reordered.add(helped as u64);
            self.reorder.has_helped(&waiting);
        }
        if waiting.is_over() || !self.reorder.has_room() {
            self.reorder.was_in_vain(&waiting, info.clock);
            while let Some(turn) = waiting.earliest() {
                self.release(snapshot, &mut waiting, turn);
                self.go_on(snapshot, &key, &mut waiting, info.clock);
            }
        }
        self.reorder.set_twice(false);
        self.reorder.put(key, waiting);
    }

    /// Takes the packets of a flow whose turn it is.
    fn go_on(
        &mut self,
        snapshot: &Arc<Snapshot>,
        key: &FlowKey,
        waiting: &mut Waiting,
        now: Nanos,
    ) {
        loop {
            let flow = self.flows.lookup(key, now).map(|id| self.flows.get(id));
            let turn = waiting.turn(|held, side| held.missing(flow, side));
            let Some(turn) = turn else { return };
            self.release(snapshot, waiting, turn);
        }
    }

    /// Takes a packet.
    fn release(&mut self, snapshot: &Arc<Snapshot>, waiting: &mut Waiting, turn: Turn) {
        let Some(held) = self.reorder.release(waiting, turn) else { return };
        let (part, info) = held.part();
        // Another generation may be in force by now.
        let hits = snapshot.scope.lookup(part.decoded);
        let verdict = match hits.scoped() {
            true => self.inspect(snapshot, &part, info, hits, false).into(),
            false => Verdict::Unscoped,
        };
        if held.is_to_be_counted() {
            self.count(snapshot, verdict, &hits, part.bytes.len());
        }
        self.reorder.settle(held);
    }

    /// Takes all packets that have waited since this time or longer: what they answer has not come.
    pub(super) fn end_waiting(&mut self, upto: Nanos, now: Nanos) {
        let snapshot = self.take_snapshot();
        while let Some(key) = self.reorder.next_upto(upto) {
            let mut waiting = self.reorder.take(&key, Missing::default());
            self.reorder.was_in_vain(&waiting, now);
            if let Some(turn) = waiting.earliest() {
                self.release(&snapshot, &mut waiting, turn);
            }
            self.go_on(&snapshot, &key, &mut waiting, now);
            self.reorder.put(key, waiting);
        }
        self.snapshot = Some(snapshot);
    }
}

impl Held {
    /// What it still waits for, by its flow, if there is one.
    fn missing(&self, flow: Option<&Flow<FlowState>>, forward: bool) -> Option<Missing> {
        let decoded = self.part().0.decoded;
        let Transport::Tcp(tcp) = &decoded.transport else { return None };
        missing_before(flow, tcp, decoded, forward)
    }
}
