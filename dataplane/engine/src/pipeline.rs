//! The way of one packet through a core: decode, hand over, scope, defragment, flow, reassembly,
//! application parser, detection. It takes bytes and times, so that tests drive it as the worker does.

mod arrival;
mod carrying;
mod ending;
mod fragments;
mod mirrored;
mod reordering;
mod shedding;

use std::sync::Arc;

use app::Certificates;
use flow::{Defragmenter, FlowConfig, FlowTable, Memory, Missing};
use hyperscan::PaddedBuf;
use wire::{Decoded, Direction, KeyOrder, Reject, Transport};

use self::arrival::GLANCES;
pub(crate) use self::arrival::Glancing;
use self::reordering::missing_before;
use crate::ahead::{Ahead, LANES};
use crate::alert::Source;
use crate::bypass::Asker;
use crate::carriers::Carriers;
use crate::counters::{Counters, Drop};
use crate::duplicates::{DuplicateMode, Duplicates};
use crate::emit::Emitter;
use crate::flow_state::{FlowState, Mark};
use crate::flow_work::Work;
use crate::inspect::{Tools, extra};
use crate::mailbox::Delivery;
use crate::mirror::{Checksums, Slices, Vlans};
use crate::part::{Datagram, PacketInfo, Part, source_of};
use crate::profile::{Profiler, Stage};
use crate::reorder::{Reorder, Whose};
use crate::scope::Hits;
use crate::settings::Settings;
use crate::shed::{Shedder, begins_anew};
use crate::snapshot::Snapshot;
use crate::spread::Spread;
use crate::tally::Tallies;

/// Where the worker is to send a packet.
#[derive(Debug)]
pub enum Fate {
    /// It was dealt with and counted.
    Done,
    /// Another core owns its flow.
    HandOver(usize),
}

/// Which core of how many this is: by default the only one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of this worker.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { worker: 0, workers: 1 }
    }
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

/// Sizes that are fixed when a core starts.
#[derive(Debug, Clone, Default)]
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
    reorder: Reorder,
    shed: Shedder,
    asker: Asker,
    carriers: Carriers,
    /// Certificates that connections have in common.
    certificates: Certificates,
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
    /// It waits in the defragmenter, its fate comes with the datagram's, or for what it answers.
    Waits,
}

/// What came of offering a packet to its flow.
enum Offer {
    Taken,
    /// Its payload found no room in the stream's memory.
    NoRoom,
    /// Nothing was done with it: the core is overloaded.
    Shed(Drop),
    /// Nothing was done with it: it came before what it answers, or others of its flow did, and is to wait.
    Ahead(Box<Whose>),
}

impl From<Offer> for Verdict {
    fn from(offer: Offer) -> Self {
        match offer {
            Offer::Taken => Self::Inspected,
            Offer::NoRoom => Self::Dropped(Drop::StreamMemcap),
            Offer::Shed(reason) => Self::Shed(reason),
            Offer::Ahead(_) => Self::Waits,
        }
    }
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
            reorder: Reorder::default(),
            shed: Shedder::default(),
            asker: Asker::default(),
            carriers: Carriers::default(),
            certificates: Certificates::default(),
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
        self.carriers.adopt();
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
        self.counters.discard_many(Drop::Panic, waiting + self.reorder.lost_to_panic());
        self.reorder = Reorder::default();
        self.flows = FlowTable::new(&self.config.flows);
        self.carriers = Carriers::default();
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
        if !handed_in {
            let bytes = buffer.get(..len).unwrap_or(buffer);
            if self.glancing().is_some_and(|eye| eye.passes(bytes, &info)) {
                self.note_passed(1, bytes.len());
                self.counters.unscoped.add(1);
                return Fate::Done;
            }
            self.note_somebodys();
        }
        self.prepared(LANES, buffer, len, info, handed_in)
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
        self.count(snapshot, verdict, &hits, bytes.len());
        Fate::Done
    }

    /// Counts a packet of so many bytes in the ledger.
    #[inline]
    fn count(&mut self, snapshot: &Snapshot, verdict: Verdict, hits: &Hits, length: usize) {
        match verdict {
            Verdict::Inspected => self.counters.inspected.add(1),
            Verdict::Unscoped => {
                self.idleness = GLANCES;
                self.counters.unscoped.add(1);
            }
            Verdict::Dropped(reason) => self.counters.discard(reason),
            Verdict::Shed(reason) => self.was_shed(snapshot, reason, hits, length),
            Verdict::Waits => {}
        }
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
        self.carriers(snapshot, decoded, bytes, info, hits);
        let source = source_of(decoded);
        let payload = true;
        let part = Part { decoded, buffer, bytes, frame_len, source, payload, link_header: &[] };
        self.in_its_place(snapshot, &part, info, hits)
    }

    /// Flow, stream, application and detection of one packet. `may_wait`: it can be kept until what it answers
    /// has come.
    fn inspect(
        &mut self,
        snapshot: &Arc<Snapshot>,
        part: &Part<'_>,
        info: &PacketInfo,
        hits: Hits,
        may_wait: bool,
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
        if may_wait && self.reorder.concerns(&key) {
            return Offer::Ahead(Box::new(Whose {
                key,
                side: forward,
                missing: Missing::default(),
            }));
        }
        let Self {
            flows, memory, tools, emitter, counters, padded, delivery, shed, reorder, ..
        } = self;
        let (tallies, carriers, scratch) =
            (&mut self.tallies, &mut self.carriers, &mut delivery.scratch);
        let certificates = &self.certificates;
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
        if may_wait
            && let Transport::Tcp(tcp) = &part.decoded.transport
            && let Some(missing) = missing_before(Some(flows.get(id)), tcp, part.decoded, forward)
            && reorder.admits(snapshot, missing, info.clock)
        {
            if fresh {
                // Its first packet, and its client, will show.
                flows.remove(id);
            }
            return Offer::Ahead(Box::new(Whose { key, side: forward, missing }));
        }
        if fresh {
            counters.flows.add(1);
            let shed = shed.refuses(&key);
            flows.get_mut(id).user.mark_if(Mark::SHED, shed);
            counters.flows_shed.add(u64::from(shed));
            if let Transport::Tcp(tcp) = &part.decoded.transport
                && snapshot.settings.vlan_tracking
            {
                let vlans = part.decoded.vlans();
                self.vlans.fresh(&key, vlans, tcp, flows, info.clock, counters);
            }
            if matches!(part.decoded.transport, Transport::Udp(_))
                && snapshot.settings.decoder.may_carry(part.decoded.ports())
            {
                flows.get_mut(id).user.mark(Mark::CARRIES);
                work.carriers.has_begun(part.decoded);
            }
        }
        flows.record(id, direction, u64::from(part.frame_len), info.clock);
        if let Some(reason) = shed.of(flows.get(id), part) {
            flows.get_mut(id).user.mark(Mark::HOLED);
            if reason == Drop::ShedElephant {
                self.asker.ask(flows.get(id), part, self.vlans.has_pairs(), counters);
            }
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
