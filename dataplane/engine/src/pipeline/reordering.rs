//! What a core does with packets that came before what they answer, see [`crate::reorder`].

use std::sync::Arc;

use flow::{Flow, TcpSession};
use wire::{Decoded, FlowKey, Nanos, Tcp, Transport};

use super::{Core, Offer, Verdict};
use crate::flow_state::{FlowState, Mark};
use crate::part::{PacketInfo, Part};
use crate::reorder::{Held, Waiting};
use crate::scope::Hits;
use crate::snapshot::Snapshot;

#[cfg(test)]
#[path = "reordering_tests.rs"]
mod tests;

/// Whether a packet came before what it answers, by what its flow has seen.
#[inline]
pub(super) fn is_ahead(
    flow: &Flow<FlowState>,
    tcp: &Tcp,
    decoded: &Decoded,
    forward: bool,
) -> bool {
    // What a stream does not take it does not answer either.
    if flow.user.is(Mark::HOLED) || decoded.has(wire::flag::BAD_TRANSPORT_CHECKSUM) {
        return false;
    }
    match &flow.tcp {
        Some(session) => session.is_ahead(tcp, flow.direction(forward)),
        None => TcpSession::lacks_syn(tcp),
    }
}

impl Core {
    /// Whether a packet is to wait for others of its flow, before that is looked up: some wait already, or
    /// it would be the first of a connection, and is no beginning.
    #[inline]
    pub(super) fn is_to_wait(
        &mut self,
        snapshot: &Snapshot,
        key: &FlowKey,
        part: &Part<'_>,
        info: &PacketInfo,
    ) -> bool {
        let Transport::Tcp(tcp) = &part.decoded.transport else { return false };
        self.reorder.concerns(key)
            || TcpSession::lacks_syn(tcp)
                && !part.decoded.has(wire::flag::BAD_TRANSPORT_CHECKSUM)
                && self.flows.lookup(key, info.clock).is_none()
                && self.reorder.admits(snapshot, info.clock)
    }

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
        (key, side): (FlowKey, bool),
        part: &Part<'_>,
        info: &PacketInfo,
    ) {
        let mut waiting = self.reorder.take(&key);
        self.reorder.hold(&mut waiting, side, part, *info);
        let before = waiting.len();
        self.go_on(snapshot, &key, &mut waiting, info.clock);
        // This one need not have waited.
        let went = before - waiting.len();
        let helped = went.saturating_sub(usize::from(waiting.is_empty_at(side)));
        if helped > 0 {
            self.counters.reordered.add(helped as u64);
            self.reorder.has_helped();
        }
        while (waiting.is_over() || !self.reorder.has_room())
            && let Some(side) = waiting.earliest()
        {
            self.reorder.was_in_vain(info.clock);
            self.release(snapshot, &mut waiting, side);
            self.go_on(snapshot, &key, &mut waiting, info.clock);
        }
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
            let turn = waiting.turn(|held, side| held.is_ahead(flow, side));
            let Some(side) = turn else { return };
            self.release(snapshot, waiting, side);
        }
    }

    /// Takes the first packet of a side.
    fn release(&mut self, snapshot: &Arc<Snapshot>, waiting: &mut Waiting, side: bool) {
        let Some(held) = self.reorder.release(waiting, side) else { return };
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
        self.reorder.recycle(held);
    }

    /// Takes all packets that have waited since this time or longer: what they answer has not come.
    pub(super) fn end_waiting(&mut self, upto: Nanos, now: Nanos) {
        let snapshot = self.take_snapshot();
        self.reorder.set_alone(true);
        while let Some(key) = self.reorder.next_upto(upto) {
            let mut waiting = self.reorder.take(&key);
            self.reorder.was_in_vain(now);
            if let Some(side) = waiting.earliest() {
                self.release(&snapshot, &mut waiting, side);
            }
            self.go_on(&snapshot, &key, &mut waiting, now);
            self.reorder.put(key, waiting);
        }
        self.reorder.set_alone(false);
        self.snapshot = Some(snapshot);
    }
}

impl Held {
    /// Whether it still is, by its flow, if there is one.
    fn is_ahead(&self, flow: Option<&Flow<FlowState>>, forward: bool) -> bool {
        let decoded = self.part().0.decoded;
        let Transport::Tcp(tcp) = &decoded.transport else { return false };
        match flow {
            Some(flow) => is_ahead(flow, tcp, decoded, forward),
            None => TcpSession::lacks_syn(tcp),
        }
    }
}
