//! The ledger of one core: every packet's fate, counted where it happens.
//! One writer (the worker), any number of readers, no locks but for the rare note of a rule set aside.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::lost::LostAlerts;
use crate::mirror::vlans::TagPair;
use crate::opaque::OpaquePairs;
use crate::tally::TallyBox;
use std::sync::{Mutex, PoisonError};

use rules::signature::Origin;

/// A counter with one writer. Readers may see a value that is a moment old.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning core may call it: it is a load and a store, not a locked add.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Replaces the value (for gauges). Only the owning core may call it.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Replaces the value and publishes everything that was written before.
    #[inline]
    pub fn publish(&self, n: u64) {
        self.0.store(n, Ordering::Release);
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The value, and with it everything that was written before it was published.
    #[inline]
    pub fn observe(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Why a received packet was not offered to detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Drop {
    /// Neither IPv4 nor IPv6.
    NonIp,
    /// A header contradicts itself or the packet's length.
    Malformed,
    /// A checksum is wrong.
    BadChecksum,
    /// The same packet was seen a moment before, by another way through the switch.
    Duplicate,
    /// The link type is none that the decoder reads.
    UnknownLink,
    /// A fragment whose datagram never became complete and so never told whether it is in scope.
    FragmentTimeout,
    /// The defragmenter's memory is full.
    FragmentMemcap,
    /// The stream memory is full: the segment's payload was not reassembled.
    StreamMemcap,
    /// A long flow's packet, while the core was overloaded.
    ShedElephant,
    /// A packet of a flow that began while the core was overloaded.
    ShedNewFlow,
    /// The ring to the core that owns the packet's flow was full.
    HandOverFull,
    /// Processing the packet panicked.
    Panic,
    /// Still waiting in a ring when the sensor stopped.
    Shutdown,
}

impl Drop {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// All, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::NonIp,
        Self::Malformed,
        Self::BadChecksum,
        Self::Duplicate,
        Self::UnknownLink,
        Self::FragmentTimeout,
        Self::FragmentMemcap,
        Self::StreamMemcap,
        Self::ShedElephant,
        Self::ShedNewFlow,
        Self::HandOverFull,
        Self::Panic,
        Self::Shutdown,
    ];

    /// The name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonIp => "non_ip",
            Self::Malformed => "malformed",
            Self::BadChecksum => "bad_checksum",
            Self::Duplicate => "duplicate",
            Self::UnknownLink => "unknown_link_type",
            Self::FragmentTimeout => "fragment_timeout",
            Self::FragmentMemcap => "fragment_memcap",
            Self::StreamMemcap => "stream_memcap",
            Self::ShedElephant => "shed_elephant",
            Self::ShedNewFlow => "shed_new_flow",
            Self::HandOverFull => "hand_over_full",
            Self::Panic => "worker_panic",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What one worker counts. Aligned so that two workers never share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Packets taken from the queue.
    pub received: Counter,
    /// Bytes of them.
    pub bytes: Counter,
    /// Packets that another core handed to this one.
    pub handed_in: Counter,
    /// Packets that this core handed to another one.
    pub handed_out: Counter,
    /// Packets offered to detection.
    pub inspected: Counter,
    /// Packets of endpoints that no resource selects.
    pub unscoped: Counter,
    /// Packets that were neither, by [`Drop`].
    pub dropped: [Counter; Drop::COUNT],
    /// Bytes of packets that were shed: of elephants, of new flows.
    pub shed_bytes: [Counter; 2],
    /// Flows that were shed from their beginning on.
    pub flows_shed: Counter,
    /// 1: the core is shedding, elephants at least.
    pub shedding: Counter,
    /// Times that the control side could not be asked to have a flow dropped by the NIC: too many
    /// others waited.
    pub bypass_lost: Counter,
    /// Flows made.
    pub flows: Counter,
    /// Flows that are in the table now.
    pub flows_active: Counter,
    /// Flows put out of a full table, inspected to their end before.
    pub flows_evicted: Counter,
    /// TCP flows picked up in the middle.
    pub flows_midstream: Counter,
    /// Flows discarded because a panic left their state in doubt.
    pub flows_lost_to_panic: Counter,
    /// Datagrams put together from fragments.
    pub datagrams_reassembled: Counter,
    /// Packets with a wrong TCP, UDP, ICMP or ICMPv6 checksum. They are inspected as packets; a TCP
    /// segment among them is no part of its stream.
    pub bad_transport_checksum: Counter,
    /// Packets of overlays that cannot be looked into, whosever scope they are in.
    pub opaque: OpaquePairs,
    /// 1: checksums are no longer looked at, too many were wrong.
    pub checksums_untrusted: Counter,
    /// The length at which the mirror cuts packets; 0: it does not.
    pub slice: Counter,
    /// VLAN tags that one direction of connections has in place of the other's, as far as known.
    pub vlan_pairs: [Counter; 8],
    /// Packets that belong to flows in the VLANs of the other direction.
    pub vlan_joined: Counter,
    /// TCP flows of which enough was seen to tell whether both sides are mirrored.
    pub tcp_flows_judged: Counter,
    /// Those of which one side only was seen.
    pub tcp_flows_one_sided: Counter,
    /// TCP segments that were acknowledged before they were seen, in spite of all waiting.
    pub late_segments: Counter,
    /// Packets that came before what they answer, and were put behind it.
    pub reordered: Counter,
    /// Payload bytes that TCP has carried, seen or not, of flows that have ended.
    pub tcp_bytes: Counter,
    /// Payload bytes that the other side has acknowledged, and that were never seen.
    pub missed_bytes: Counter,
    /// Packets that were captured in part: inspected as far as they go.
    pub truncated: Counter,
    /// Payload bytes beyond a stream's depth: inspected as packets only.
    pub beyond_depth: Counter,
    /// Payload bytes after an encrypted session's handshake.
    pub encrypted: Counter,
    /// Bytes that a stream lost: acknowledged, never seen.
    pub gap_bytes: Counter,
    /// Bytes that wait in reassembly now.
    pub stream_memory: Counter,
    /// Candidate alerts put into the ring.
    pub alerts_raised: Counter,
    /// Candidate alerts that the full ring had no room for.
    pub alerts_lost: Counter,
    /// Matches beyond the limit of alerts of one packet.
    pub alerts_over_limit: Counter,
    /// Both kinds by signature.
    pub alerts_lost_of: LostAlerts,
    /// Packets of alerting flows that `pcap-log` missed because too much waited for its writer.
    pub pcap_lost: Counter,
    /// The same, because they had left the core's memory of packets before the alert.
    pub pcap_gone: Counter,
    /// Packets of flows that had alerted, too long or too many after: only another alert brings them.
    pub pcap_beyond: Counter,
    /// Panics caught.
    pub panics: Counter,
    /// Rules set aside for a packet because their verification exceeded its budget.
    pub budget_exceeded: Counter,
    /// How often a rule was set aside for a while because it exceeded its budget again and again.
    pub rules_set_aside: Counter,
    /// Those rules, until the control side takes note.
    asides: Mutex<Vec<AsideNote>>,
    /// What became of resources' traffic.
    pub tallies: TallyBox,
    /// The generation in force on this core.
    pub generation: Counter,
    /// Every packet with a clock before this was received, and handed over if it is another core's.
    pub progress: Counter,
    /// Every alert with a clock before this was put into the ring.
    pub watermark: Counter,
}

/// A rule that a core has set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsideNote {
    /// Generator id.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// Where the rule stands.
    pub origin: Origin,
}

/// Notes that wait for the control side at the most.
const MOST_NOTES: usize = 256;

impl Counters {
    /// Notes rules that were set aside, which happens seldom; without any it does nothing.
    #[inline]
    pub(crate) fn note_aside(&self, news: &mut Vec<AsideNote>) {
        if !news.is_empty() {
            self.rules_set_aside.add(news.len() as u64);
            let mut notes = self.asides.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MOST_NOTES.saturating_sub(notes.len());
            notes.extend(news.drain(..).take(room));
        }
    }

    /// VLAN tags that one direction of connections has in place of the other's.
    pub fn vlan_pairs(&self) -> impl Iterator<Item = TagPair> + '_ {
        self.vlan_pairs.iter().filter_map(|place| TagPair::from_bits(place.get()))
    }

    /// Takes the notes of rules that were set aside.
    pub fn take_asides(&self) -> Vec<AsideNote> {
        std::mem::take(&mut *self.asides.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one packet's drop.
    #[inline]
    pub fn discard(&self, reason: Drop) {
        self.discard_many(reason, 1);
    }

    /// Counts several.
    #[inline]
    pub fn discard_many(&self, reason: Drop, n: u64) {
        if let Some(counter) = self.dropped.get(reason as usize) {
            counter.add(n);
        }
    }

    /// Counts a packet that was shed.
    pub(crate) fn shed(&self, reason: Drop, bytes: u64) {
        self.discard(reason);
        let [elephants, new_flows] = &self.shed_bytes;
        if reason == Drop::ShedElephant { elephants.add(bytes) } else { new_flows.add(bytes) }
    }

    /// Sum over all drop reasons.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().map(Counter::get).sum()
    }

    /// Does every packet have exactly one fate?
    pub fn balances(&self) -> bool {
        self.received.get() + self.handed_in.get()
            == self.inspected.get()
                + self.unscoped.get()
                + self.handed_out.get()
                + self.dropped_total()
    }
}
