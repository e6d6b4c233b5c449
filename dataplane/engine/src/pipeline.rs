//! The way of one packet through a core: decode, hand over, scope, defragment, flow, reassembly,
//! application parser, detection. It takes bytes and times, so that tests drive it as the worker does.

mod ending;
mod mirrored;
mod shedding;

use std::sync::Arc;

use flow::{DefragOutcome, Defragmenter, FlowConfig, FlowTable, Memory};
use hyperscan::PaddedBuf;
use wire::{Decoded, Direction, KeyOrder, LinkType, Reject, Transport};

use crate::ahead::{self, Ahead, LANES};
use crate::alert::Source;
use crate::counters::{Counters, Drop};
use crate::duplicates::{DuplicateMode, Duplicates};
use crate::emit::Emitter;
use crate::flow_state::FlowState;
use crate::flow_work::Work;
use crate::inspect::{Tools, extra};
use crate::mailbox::Delivery;
use crate::mirror::{Checksums, Slices, Vlans};
use crate::part::{Datagram, PacketInfo, Part, Whole, carriers, source_of};
use crate::profile::{Profiler, Stage};
use crate::scope::Hits;
use crate::settings::Settings;
use crate::shed::{Shedder, begins_anew};
use crate::snapshot::Snapshot;
use crate::spread::Spread;
use crate::tally::Tallies;

/// Packets of a resource in a row after which no packet is glanced at, until another one is nobody's.
const GLANCES: u8 = 8;

/// Where the worker is to send a packet.
#[derive(Debug)]
pub enum Fate {
    /// It was dealt with and counted.
    Done,
    /// Another core owns its flow.
    HandOver(usize),
}

/// Which core of how many this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of this worker.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
}

/// The ledger's name for what the decoder refuses.
fn drop_of(reject: Reject) -> Drop {
    match reject {
        Reject::NonIp => Drop::NonIp,
        Reject::Malformed(_) => Drop::Malformed,
        Reject::BadChecksum => Drop::BadChecksum,
    }
}

/// Do packets of this IP protocol belong to flows? As in Suricata: TCP, UDP, SCTP, ICMP, ICMPv6 and
/// ESP. All others stand for themselves.
const fn has_flows(protocol: u8) -> bool {
    matches!(protocol, 1 | 6 | 17 | 50 | 58 | 132)
}

/// May packets of this IP protocol carry others: IP in IP, UDP (VXLAN, GENEVE …), 6in4, GRE?
const fn may_carry(protocol: u8) -> bool {
    matches!(protocol, 4 | 17 | 41 | 47)
}

/// Sizes that are fixed when a core starts.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    /// The flow table's.
    pub flows: FlowConfig,
    /// Place among the workers.
    pub place: Place,
    /// Who owns which packets.
    pub spread: Spread,
    /// The port's number.
    pub port: u16,
    /// One burst in so many is measured, see [`crate::profile`]; 0: none.
    pub profile_every: u32,
}

/// Everything one core owns.
#[derive(Debug)]
pub struct Core {
    config: CoreConfig,
    delivery: Box<Delivery>,
    /// The delivery's snapshot, out of here while a packet is worked on: a count of references
    /// that cores share is not touched for every packet.
    snapshot: Option<Arc<Snapshot>>,
    counters: Arc<Counters>,
    flows: FlowTable<FlowState>,
    memory: Memory,
    defrag: Defragmenter,
    tools: Tools,
    emitter: Emitter,
    padded: PaddedBuf,
    datagram: Vec<u8>,
    joined: Vec<u8>,
    checksums: Checksums,
    slices: Slices,
    vlans: Vlans,
    duplicates: Duplicates,
    shed: Shedder,
    tallies: Tallies,
    /// Where packets are decoded; out of here while one is worked on. One after the other for those that
    /// are looked at before their turn, and one more.
    slots: [Option<Box<Ahead>>; LANES + 1],
    /// How much of the latest packets was nobody's: while it is above 0, packets are glanced at first.
    idleness: u8,
    outbox: Vec<(usize, Datagram)>,
}

/// What to do with a packet's fate in the ledger: a fragment's may not be known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Inspected,
    Unscoped,
    Dropped(Drop),
    /// Dropped because the core is overloaded.
    Shed(Drop),
    /// It waits in the defragmenter; its fate comes with the datagram's.
    Waits,
}

/// What came of offering a packet to its flow.
enum Offer {
    Taken,
    /// Its payload found no room in the stream's memory.
    NoRoom,
    /// Nothing was done with it: the core is overloaded.
    Shed(Drop),
}

impl Core {
    /// A core with its first generation.
    pub fn new(
        config: CoreConfig,
        delivery: Box<Delivery>,
        counters: Arc<Counters>,
        emitter: Emitter,
    ) -> Result<Self, pcre2::OutOfMemory> {
        let settings = &delivery.snapshot.settings;
        let mut core = Self {
            flows: FlowTable::new(&config.flows),
            memory: Memory::new(settings.streams.memcap),
            defrag: Defragmenter::new(&settings.defrag),
            tools: Tools::new()?,
            padded: PaddedBuf::with_capacity(1 << 16),
            datagram: Vec::with_capacity(1 << 16),
            joined: Vec::new(),
            checksums: Checksums::default(),
            slices: Slices::default(),
            vlans: Vlans::default(),
            duplicates: Duplicates::default(),
            shed: Shedder::default(),
            tallies: Tallies::default(),
            slots: std::array::from_fn(|_| None),
            idleness: GLANCES,
            outbox: Vec::new(),
            snapshot: None,
            config,
            delivery,
            counters,
            emitter,
        };
        core.tools.profiler = Profiler::new(core.config.profile_every);
        core.adopt();
        Ok(core)
    }

    /// The mailbox's slot.
    pub fn delivery_mut(&mut self) -> &mut Box<Delivery> {
        &mut self.delivery
    }

    /// Takes over the generation that has just been put in place.
    pub fn adopt(&mut self) {
        self.snapshot = Some(Arc::clone(&self.delivery.snapshot));
        self.tools.profiler.adopt(&self.delivery.snapshot);
        self.tallies.adopt(self.delivery.snapshot.generation, &self.counters.tallies);
        self.counters.generation.publish(self.delivery.snapshot.generation);
    }

    /// Measures the core's work.
    pub(crate) fn profiler(&mut self) -> &mut Profiler {
        &mut self.tools.profiler
    }

    /// The generation in force.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.delivery.snapshot
    }

    fn take_snapshot(&mut self) -> Arc<Snapshot> {
        self.snapshot.take().unwrap_or_else(|| Arc::clone(&self.delivery.snapshot))
    }

    /// This core's ledger.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The buffer in which packets of several segments are joined, to be given back.
    pub fn take_joined(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.joined)
    }

    /// Gives the buffer back.
    pub fn give_joined(&mut self, joined: Vec<u8>) {
        self.joined = joined;
    }

    /// Datagrams that other cores own, with the core's number.
    pub fn outbox(&mut self) -> &mut Vec<(usize, Datagram)> {
        &mut self.outbox
    }

    /// After a panic nothing of this core's flows can be trusted: it starts anew.
    pub fn start_anew(&mut self) -> Result<(), pcre2::OutOfMemory> {
        let snapshot = Arc::clone(&self.delivery.snapshot);
        let settings = &snapshot.settings;
        self.counters.flows_lost_to_panic.add(self.flows.len() as u64);
        self.open_fates();
        let waiting = self.defrag.open();
        self.counters.discard_many(Drop::Panic, waiting);
        self.flows = FlowTable::new(&self.config.flows);
        self.memory = Memory::new(settings.streams.memcap);
        self.defrag = Defragmenter::new(&settings.defrag);
        let profiler = std::mem::take(&mut self.tools.profiler);
        self.tools = Tools::new()?;
        self.tools.profiler = profiler;
        self.outbox.clear();
        self.emitter.reset();
        Ok(())
    }

    /// Takes a packet that came from the queue (`received`) or from another core.
    /// `buffer` is the frame with whatever is readable behind it, `len` the frame's length.
    pub fn packet(&mut self, buffer: &[u8], len: usize, info: PacketInfo, handed_in: bool) -> Fate {
        self.prepared(LANES, buffer, len, info, handed_in)
    }

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
        let is_nobodys = self.glances(bytes, &info)
            && info.link.is_some_and(|link| {
                self.delivery.snapshot.is_nobodys(link, bytes, info.ignore_checksums)
            });
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
        if self.is_nobodys(snapshot, (lane, handed_in), bytes, (link, info)) {
            self.counters.unscoped.add(1);
            return Fate::Done;
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

    /// Is a glance worth it: was one of the latest packets nobody's, and may this one be?
    #[inline]
    fn glances(&self, bytes: &[u8], info: &PacketInfo) -> bool {
        self.idleness > 0
            && !ahead::is_cut(bytes, info)
            && !self.delivery.snapshot.scope.is_everything()
    }

    /// Whether a glance shows that a packet is in nobody's scope: such a one needs no decoding, nor another
    /// core.
    #[inline]
    fn is_nobodys(
        &mut self,
        snapshot: &Snapshot,
        (lane, handed_in): (usize, bool),
        bytes: &[u8],
        (link, info): (LinkType, &PacketInfo),
    ) -> bool {
        if handed_in {
            return false;
        }
        self.tools.profiler.enter(Stage::Scope);
        let is_nobodys = if lane == LANES {
            if !self.glances(bytes, info) {
                return false;
            }
            snapshot.is_nobodys(link, bytes, info.ignore_checksums)
        } else {
            // It was glanced at before its turn, if at all.
            self.slots.get_mut(lane).and_then(Option::as_mut).is_some_and(|it| it.take_nobodys())
        };
        if is_nobodys {
            self.idleness = GLANCES;
            self.slices.note(bytes.len());
        } else {
            self.idleness = self.idleness.saturating_sub(1);
        }
        self.tools.profiler.enter(Stage::Receive);
        is_nobodys
    }

    /// A packet that the decoder refused is counted as such, but rules can ask for its events.
    #[cold]
    fn refused(
        &mut self,
        snapshot: &Arc<Snapshot>,
        decoded: &Decoded,
        source: Source,
        bytes: &[u8],
        info: &PacketInfo,
    ) {
        if decoded.events.is_empty() {
            return;
        }
        let hits = snapshot.scope.lookup(decoded);
        if hits.scoped() {
            let frame_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let (buffer, payload) = (bytes, false);
            let part =
                Part { decoded, buffer, bytes, frame_len, source, payload, link_header: &[] };
            self.without_flow(snapshot, &part, info, hits);
        }
    }

    /// What becomes of a decoded packet, if it is this core's.
    #[inline]
    fn owned(
        &mut self,
        snapshot: &Arc<Snapshot>,
        decoded: &mut Decoded,
        buffer: &[u8],
        bytes: &[u8],
        info: &PacketInfo,
        handed_in: bool,
    ) -> Fate {
        self.tools.profiler.enter(Stage::Scope);
        let Place { worker, workers } = self.config.place;
        if workers > 1 && !handed_in {
            let owner = self.config.spread.owner(decoded, workers);
            if owner != worker {
                return Fate::HandOver(owner);
            }
        }
        if let Some(kind) = wire::opaque(decoded, bytes, &snapshot.settings.decoder) {
            let ip = decoded.inner();
            self.counters.opaque.count(kind, ip.src, ip.dst);
        }
        let hits = snapshot.scope.lookup(decoded);
        if decoded.has(wire::flag::TRUNCATED) && hits.scoped() {
            self.was_cut(snapshot, &hits);
        }
        let Settings { duplicates, duplicate_window, .. } = snapshot.settings;
        let verdict = if duplicates != DuplicateMode::Off
            && hits.scoped()
            && self.duplicates.is_one(decoded, bytes, info.clock, duplicates, duplicate_window)
        {
            Verdict::Dropped(Drop::Duplicate)
        } else if decoded.fragment.is_some() {
            self.fragment(snapshot, decoded, bytes, info, hits)
        } else if hits.scoped() {
            if !info.ignore_checksums && snapshot.settings.decoder.verify_checksums {
                wire::mark_transport_checksum(decoded, bytes);
                let wrong = decoded.has(wire::flag::BAD_TRANSPORT_CHECKSUM);
                self.checksums.note(&snapshot.settings, wrong, &self.counters);
            }
            self.scoped(snapshot, decoded, buffer, bytes, info, hits)
        } else {
            Verdict::Unscoped
        };
        match verdict {
            Verdict::Inspected => self.counters.inspected.add(1),
            Verdict::Unscoped => {
                self.idleness = GLANCES;
                self.counters.unscoped.add(1);
            }
            Verdict::Dropped(reason) => self.counters.discard(reason),
            Verdict::Shed(reason) => self.was_shed(snapshot, reason, &hits, bytes.len()),
            Verdict::Waits => {}
        }
        Fate::Done
    }

    /// Takes a datagram that another core put together.
    pub fn datagram(&mut self, datagram: &Datagram) {
        let snapshot = self.take_snapshot();
        let whole = datagram.whole();
        let config = snapshot.decoder(whole.info.ignore_checksums);
        if let Ok(mut decoded) = wire::decode_datagram(whole.bytes, whole.context, config) {
            self.mark(&snapshot, &mut decoded, &whole);
            let hits = snapshot.scope.lookup(&decoded);
            if hits.scoped() {
                self.inspect(&snapshot, &whole.part(&decoded), whole.info, hits);
            }
        }
        self.snapshot = Some(snapshot);
    }

    fn scoped(
        &mut self,
        snapshot: &Arc<Snapshot>,
        decoded: &Decoded,
        buffer: &[u8],
        bytes: &[u8],
        info: &PacketInfo,
        hits: Hits,
    ) -> Verdict {
        let frame_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for carrier in carriers(decoded, bytes) {
            // A carrying packet is inspected by its own headers; its payload is the packet within,
            // which is inspected for itself.
            let part = Part {
                decoded: &carrier,
                buffer,
                bytes,
                frame_len,
                source: source_of(&carrier),
                payload: false,
                link_header: &[],
            };
            self.inspect(snapshot, &part, info, hits);
        }
        let source = source_of(decoded);
        let payload = true;
        let part = Part { decoded, buffer, bytes, frame_len, source, payload, link_header: &[] };
        match self.inspect(snapshot, &part, info, hits) {
            Offer::Taken => Verdict::Inspected,
            Offer::NoRoom => Verdict::Dropped(Drop::StreamMemcap),
            Offer::Shed(reason) => Verdict::Shed(reason),
        }
    }

    fn fragment(
        &mut self,
        snapshot: &Arc<Snapshot>,
        decoded: &mut Decoded,
        bytes: &[u8],
        info: &PacketInfo,
        hits: Hits,
    ) -> Verdict {
        let scoped = hits.scoped();
        if !scoped && !may_carry(decoded.inner().protocol) {
            // Nothing in it can be of an address that does not show already.
            return Verdict::Unscoped;
        }
        // What is in scope by the layers that can be seen is counted now; of the rest, the datagram
        // has to tell what they are.
        let receiver = decoded.inner().dst;
        let defrag = self.defrag.with_policy(snapshot.settings.fragment_policy_of(receiver));
        let outcome = if scoped {
            defrag.push(decoded, bytes, info.clock)
        } else {
            defrag.push_open(decoded, bytes, info.clock)
        };
        let verdict = if scoped { Verdict::Inspected } else { Verdict::Waits };
        let mut datagram = std::mem::take(&mut self.datagram);
        datagram.clear();
        let complete = matches!(outcome, DefragOutcome::Complete { .. });
        if let DefragOutcome::Complete { datagram: whole, .. } = outcome {
            datagram.extend_from_slice(whole);
        }
        decoded.events.extend(self.defrag.take_events());
        if scoped {
            // Rules may ask for fragments as such.
            let frame_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let part = Part {
                decoded,
                buffer: bytes,
                bytes,
                frame_len,
                source: Source::Wire,
                payload: false,
                link_header: &[],
            };
            self.inspect(snapshot, &part, info, hits);
        }
        if !complete {
            self.datagram = datagram;
            self.open_fates();
            return verdict;
        }
        self.counters.datagrams_reassembled.add(1);
        let open = self.defrag.take_fates().completed;
        let whole = Whole {
            bytes: &datagram,
            context: decoded,
            link_header: bytes.get(..decoded.inner().header as usize).unwrap_or(&[]),
            info,
            frame_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        let config = snapshot.decoder(info.ignore_checksums);
        let mut inner = Decoded::EMPTY;
        match wire::decode_datagram_into(whole.bytes, whole.context, config, &mut inner) {
            Ok(()) => {
                self.mark(snapshot, &mut inner, &whole);
                let hits = snapshot.scope.lookup(&inner);
                if hits.scoped() {
                    self.counters.inspected.add(open);
                    let Place { worker, workers } = self.config.place;
                    let owner = self.config.spread.owner(&inner, workers);
                    if owner == worker {
                        self.inspect(snapshot, &whole.part(&inner), info, hits);
                    } else {
                        self.outbox.push((owner, whole.to_owned()));
                    }
                } else {
                    self.counters.unscoped.add(open);
                }
            }
            Err(reject) => {
                self.counters.discard_many(drop_of(reject), open);
                self.refused(snapshot, &inner, Source::Defragmented, whole.bytes, info);
            }
        }
        self.datagram = datagram;
        verdict
    }

    /// A datagram's transport checksum can be looked at only now.
    fn mark(&self, snapshot: &Snapshot, decoded: &mut Decoded, whole: &Whole<'_>) {
        if !whole.info.ignore_checksums && snapshot.settings.decoder.verify_checksums {
            wire::mark_transport_checksum(decoded, whole.bytes);
        }
    }

    /// Flow, stream, application and detection of one packet.
    fn inspect(
        &mut self,
        snapshot: &Arc<Snapshot>,
        part: &Part<'_>,
        info: &PacketInfo,
        hits: Hits,
    ) -> Offer {
        self.tools.profiler.enter(Stage::Flow);
        let key = if has_flows(part.decoded.inner().protocol) {
            part.decoded.flow_key(snapshot.settings.vlan_tracking)
        } else {
            None
        };
        let Some((key, order)) = key else {
            self.without_flow(snapshot, part, info, hits);
            return Offer::Taken;
        };
        let forward = order == KeyOrder::SrcFirst;
        let key = if self.vlans.has_pairs() { self.joined_key(key, part, info) } else { key };
        let Self { flows, memory, tools, emitter, counters, padded, delivery, shed, .. } = self;
        let (tallies, scratch) = (&mut self.tallies, &mut delivery.scratch);
        let mut work = Work { snapshot, memory, tools, emitter, counters, tallies, scratch };
        let found = flows.lookup_or_insert(&key, forward, info.clock);
        if let Some(mut ended) = found.expired {
            work.flow_end(&mut ended, found.expired_at);
        }
        let (mut id, mut direction, mut fresh) = (found.id, found.direction, found.fresh);
        if let Transport::Tcp(tcp) = &part.decoded.transport
            && (flows.get(id).tcp.as_ref().is_some_and(|it| it.is_reuse(tcp, direction))
                || begins_anew(flows.get(id), part))
        {
            let (again, mut old) = flows.renew(id, forward, info.clock);
            work.flow_end(&mut old, info.clock);
            (id, direction, fresh) = (again, Direction::ToServer, true);
        }
        if fresh {
            counters.flows.add(1);
            let shed = shed.refuses(&key);
            flows.get_mut(id).user.shed = shed;
            counters.flows_shed.add(u64::from(shed));
            if let Transport::Tcp(tcp) = &part.decoded.transport
                && snapshot.settings.vlan_tracking
            {
                let vlans = part.decoded.vlans();
                self.vlans.fresh(&key, vlans, tcp, flows, info.clock, counters);
            }
        }
        flows.record(id, direction, u64::from(part.frame_len), info.clock);
        if let Some(reason) = shed.of(flows.get(id), part) {
            flows.get_mut(id).user.holed = true;
            return Offer::Shed(reason);
        }
        let outcome = work.packet(flows.get_mut(id), part, info, hits, direction, padded);
        if outcome.swapped {
            let flow = flows.get_mut(id);
            flow.packets.swap(0, 1);
            flow.bytes.swap(0, 1);
        }
        if let Some(phase) = outcome.phase {
            flows.set_state(id, phase);
        }
        if outcome.stored { Offer::Taken } else { Offer::NoRoom }
    }

    /// Detection on a packet that stands for itself.
    fn without_flow(
        &mut self,
        snapshot: &Arc<Snapshot>,
        part: &Part<'_>,
        info: &PacketInfo,
        hits: Hits,
    ) {
        let mut unit = part.unit(&mut self.padded, hits.rulesets);
        unit.established = false;
        unit.now = info.timestamp;
        self.tools.begin();
        self.tools.inspect(&unit, snapshot, &mut self.delivery.scratch, None);
        let origin = part.origin(info, hits, None);
        self.emitter.emit(&mut self.tools, snapshot, &unit, &origin, None, &self.counters);
        if let Some(tags) = snapshot.rules.tags()
            && extra::is_tagged(tags, &unit, unit.headers.bytes.len(), None)
        {
            self.emitter.tagged(snapshot, &unit, &origin, None, &self.counters);
        }
        self.emitter.follow(None, &origin, &self.counters);
    }
}
