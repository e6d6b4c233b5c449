//! What a core does with a packet until it knows whose it is: a look before its turn, a glance at its
//! addresses, decoding.

use std::sync::Arc;

use lanes::Avx2;
use wire::{FRONT, LinkType, Reject, Told};

use super::{Core, Fate, drop_of};
use crate::ahead::{self, LANES};
use crate::counters::Drop;
use crate::part::{PacketInfo, source_of};
use crate::profile::Stage;
use crate::snapshot::Snapshot;

/// Packets of a resource in a row after which no packet is glanced at, until another one is nobody's.
pub(super) const GLANCES: u8 = 8;

impl Core {
    /// As [`Self::packet`], of a packet that [`Self::prepare`] may have looked at.
    pub(crate) fn prepared(
        &mut self,
        lane: usize,
        buffer: &[u8],
        len: usize,
        mut info: PacketInfo,
        handed_in: bool,
    ) -> Fate {
        info.ignore_checksums |= self.checksums.untrusted;
        let snapshot = self.take_snapshot();
        let fate = self.captured(&snapshot, lane, buffer, len, &info, handed_in);
        self.snapshot = Some(snapshot);
        fate
    }

    /// Are there so many flows that packets should be looked at before their turn?
    pub(crate) fn looks_ahead(&self) -> bool {
        ahead::pays(&self.flows)
    }

    /// Forgets what was looked at before its turn in another burst.
    pub(crate) fn forget_ahead(&mut self) {
        self.slots.iter_mut().flatten().for_each(|slot| slot.forget());
    }

    /// Looks at a packet before its turn.
    pub(crate) fn prepare(&mut self, lane: usize, bytes: &[u8], mut info: PacketInfo) {
        self.tools.profiler.enter(Stage::Decode);
        info.ignore_checksums |= self.checksums.untrusted;
        let is_nobodys = self.glancing().is_some_and(|eye| eye.passes(bytes, &info));
        let Some(slot) = self.slots.get_mut(lane) else { return };
        let slot = slot.get_or_insert_default();
        if is_nobodys {
            slot.note_nobodys();
            return;
        }
        slot.prepare(&self.delivery.snapshot, &self.flows, bytes, &info);
    }

    /// Brings the flows of packets that were looked at towards the cache: the flow of the first, what the
    /// second's points to, what the third's streams hold.
    pub(crate) fn bring(&mut self, lanes: [Option<usize>; 3]) {
        let slot = |lane: Option<usize>| self.slots.get(lane?).and_then(Option::as_deref);
        let [flow, state, stored] = lanes.map(slot);
        if let Some(slot) = flow {
            slot.bring_flow(&self.flows);
        }
        if let Some(slot) = state {
            slot.bring_state(&self.flows);
        }
        if let Some(slot) = stored {
            slot.bring_stored(&self.flows);
        }
    }

    fn captured(
        &mut self,
        snapshot: &Arc<Snapshot>,
        lane: usize,
        buffer: &[u8],
        len: usize,
        info: &PacketInfo,
        handed_in: bool,
    ) -> Fate {
        let bytes = buffer.get(..len).unwrap_or(buffer);
        if snapshot.settings.drill_panic == Some(info.order) {
            // The only panic that is meant: it shows what a defect in here would cost.
            panic!("drill: packet {} asked for it", info.order);
        }
        let Some(link) = info.link else {
            self.counters.discard(Drop::UnknownLink);
            return Fate::Done;
        };
        if lane < LANES && !handed_in {
            // It was glanced at before its turn, if at all.
            let slot = self.slots.get_mut(lane).and_then(Option::as_mut);
            let is_nobodys = slot.is_some_and(|it| it.take_nobodys());
            if is_nobodys {
                self.note_passed(1, bytes.len());
                self.counters.unscoped.add(1);
                return Fate::Done;
            }
            self.note_somebodys();
        }
        self.tools.profiler.enter(Stage::Decode);
        let mut slot = self.slots.get_mut(lane).and_then(Option::take).unwrap_or_default();
        self.slices.note(bytes.len());
        let done = match slot.take_done(info) {
            Some(done) => done,
            None => ahead::decode(snapshot, bytes, (link, info), &mut slot.decoded),
        };
        let done = match done {
            Err(reject) if snapshot.settings.learn_slices && self.is_sliced(bytes, reject) => {
                let config = snapshot.decoder(info.ignore_checksums);
                wire::decode_cut_into(link, bytes, config, &mut slot.decoded)
            }
            done => done,
        };
        let decoded = &mut slot.decoded;
        if ahead::is_cut(bytes, info) || decoded.has(wire::flag::TRUNCATED) {
            self.counters.truncated.add(1);
        }
        let fate = match done {
            Ok(()) => self.owned(snapshot, decoded, buffer, bytes, info, handed_in),
            Err(reject) => {
                let wrong = reject == Reject::BadChecksum;
                self.checksums.note(&snapshot.settings, wrong, &self.counters);
                self.counters.discard(drop_of(reject));
                let source = source_of(decoded);
                self.refused(snapshot, decoded, source, bytes, info);
                Fate::Done
            }
        };
        if let Some(place) = self.slots.get_mut(lane) {
            *place = Some(slot);
        }
        self.tools.profiler.enter(Stage::Receive);
        fate
    }

    /// What packets are glanced at with, if that is worth it: one of the latest was nobody's, and others may be.
    #[inline]
    pub(crate) fn glancing(&self) -> Option<Glancing<'_>> {
        let snapshot = &*self.delivery.snapshot;
        let pays = self.idleness > 0
            && !snapshot.scope.is_everything()
            // The only panic that is meant is for every packet.
            && snapshot.settings.drill_panic.is_none();
        pays.then_some(Glancing { snapshot, untrusted: self.checksums.untrusted })
    }

    /// Takes note of packets in a row that a glance was enough for, the longest of them of so many bytes: they
    /// have had their turn, and it remains to count them.
    #[inline]
    pub(crate) fn note_passed(&mut self, packets: u64, longest: usize) {
        if packets > 0 {
            self.idleness = GLANCES;
            self.slices.note(longest);
        }
    }

    /// Takes note of a packet that a glance was not enough for.
    #[inline]
    pub(crate) fn note_somebodys(&mut self) {
        self.idleness = self.idleness.saturating_sub(1);
    }
}

/// The eye for packets in nobody's scope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glancing<'a> {
    snapshot: &'a Snapshot,
    /// Checksums are not to be trusted on this port.
    untrusted: bool,
}

impl Glancing<'_> {
    /// May a packet be one of eight in [`Self::are_nobodys`]?
    #[inline(always)]
    pub(crate) fn is_alike(&self, bytes: &[u8], info: &PacketInfo) -> bool {
        !ahead::is_cut(bytes, info)
            && info.link == Some(LinkType::Ethernet)
            && !info.ignore_checksums
    }

    /// Which of eight packets are plain, and which of these in nobody's scope? See [`Snapshot::are_nobodys`].
    #[inline(always)]
    pub(crate) fn are_nobodys(
        &self,
        avx: Avx2,
        fronts: &[&[u8; FRONT]; lanes::LANES],
        lengths: &[u32; lanes::LANES],
    ) -> Told {
        self.snapshot.are_nobodys(avx, fronts, lengths, self.untrusted)
    }

    /// Does a glance at a packet of the own queue show that it is in nobody's scope? Then it needs no decoding,
    /// nor another core.
    #[inline(always)]
    pub(crate) fn passes(&self, bytes: &[u8], info: &PacketInfo) -> bool {
        let ignore_checksums = info.ignore_checksums || self.untrusted;
        !ahead::is_cut(bytes, info)
            && info.link.is_some_and(|link| self.snapshot.is_nobodys(link, bytes, ignore_checksums))
    }
}
