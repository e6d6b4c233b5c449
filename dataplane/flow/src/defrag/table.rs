//! The datagrams of one core that are in the making, within their bounds of number, memory and time.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use foldhash::fast::RandomState;
use wire::{Decoded, Event, EventSet, Fragment, MAX_VLANS, Nanos, TunnelId};

use super::tracker::{Refusal, Tracker};
use super::{DefragConfig, DefragOutcome, FragmentPolicy, whole};
use crate::flow::SECOND;

/// What fragments of one datagram have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    /// Of IPv4 only: for IPv6 it is no part of a datagram's identity (RFC 8200, 4.5).
    protocol: u8,
    vlan: [u16; MAX_VLANS],
    vlan_count: u8,
    tunnel: TunnelId,
}

impl Key {
    fn of(fragment: &Fragment, decoded: &Decoded, use_vlan: bool) -> Self {
        let layer = decoded.inner();
        let (mut vlan, mut vlan_count, mut tunnel) = ([0; MAX_VLANS], 0, decoded.tunnel);
        if use_vlan {
            let ids = decoded.vlans();
            vlan_count = ids.len() as u8;
            vlan[..ids.len()].copy_from_slice(ids);
        } else {
            (tunnel.vlan, tunnel.vlan_count) = ([0; 2], 0);
        }
        let protocol = if layer.version == 4 { fragment.protocol } else { 0 };
        let (src, dst) = (layer.src, layer.dst);
        Self { src, dst, id: fragment.id, protocol, vlan, vlan_count, tunnel }
    }
}

/// Where every fragment went: `fragments` is the sum of all others but `datagrams`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DefragStats {
    /// Fragments seen.
    pub fragments: u64,
    /// Of these: waiting for others.
    pub pending: u64,
    /// Of these: in datagrams that were put together.
    pub completed: u64,
    /// Of these: in datagrams that were not complete in time.
    pub timed_out: u64,
    /// Of these: given up for want of memory.
    pub memcap: u64,
    /// Of these: refused for what they say.
    pub refused: u64,
    /// Datagrams that were put together.
    pub datagrams: u64,
}

/// What became of fragments whose fate the caller left open, see [`Defragmenter::push_open`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenFates {
    /// They are in a datagram that was put together.
    pub completed: u64,
    /// Their datagram was not complete in time.
    pub timed_out: u64,
    /// There was no memory for them.
    pub memcap: u64,
    /// They were refused for what they, or their datagram, say.
    pub refused: u64,
}

#[derive(Debug)]
struct Entry {
    tracker: Tracker,
    /// Fragments whose fate is the datagram's.
    open: u64,
    deadline: Nanos,
    /// Tells this entry's place in the queue from that of one before with the same key.
    serial: u64,
}

/// Puts fragments together. One per core.
#[derive(Debug)]
pub struct Defragmenter {
    config: DefragConfig,
    entries: HashMap<Key, Entry, RandomState>,
    /// Keys in the order in which they came, which is that of their time-outs.
    queue: VecDeque<(u64, Key)>,
    serial: u64,
    /// Memory held by all trackers.
    held: usize,
    stats: DefragStats,
    fates: OpenFates,
    /// Of the latest fragment.
    events: EventSet,
    whole: Vec<u8>,
}

impl Defragmenter {
    /// One without any datagram.
    pub fn new(config: &DefragConfig) -> Self {
        Self {
            config: config.clone(),
            entries: HashMap::with_capacity_and_hasher(
                config.trackers.min(1 << 16),
                RandomState::default(),
            ),
            queue: VecDeque::new(),
            serial: 0,
            held: 0,
            stats: DefragStats::default(),
            fates: OpenFates::default(),
            events: EventSet::EMPTY,
            whole: Vec::new(),
        }
    }

    /// Sets whose bytes count in the fragments that come next, until it is set again.
    pub fn with_policy(&mut self, policy: FragmentPolicy) -> &mut Self {
        self.config.policy = policy;
        self
    }

    /// Takes a fragment; `packet` are the bytes that `decoded` is of. A datagram that it completes
    /// is good until the next call.
    pub fn push(&mut self, decoded: &Decoded, packet: &[u8], now: Nanos) -> DefragOutcome<'_> {
        self.take(decoded, packet, now, 0)
    }

    /// As [`Self::push`], for a fragment of which only the whole datagram tells what is to become
    /// of it: [`Self::take_fates`] says what did.
    pub fn push_open(&mut self, decoded: &Decoded, packet: &[u8], now: Nanos) -> DefragOutcome<'_> {
        self.take(decoded, packet, now, 1)
    }

    /// What has become of fragments with an open fate since the last call.
    pub fn take_fates(&mut self) -> OpenFates {
        std::mem::take(&mut self.fates)
    }

    /// What was noticed about the latest fragment.
    pub fn take_events(&mut self) -> EventSet {
        std::mem::take(&mut self.events)
    }

    /// Notes an event of the latest fragment by its name for IPv4, and for IPv6.
    fn note(&mut self, version: u8, v4: Event, v6: Event) {
        self.events.insert(if version == 4 { v4 } else { v6 });
    }

    /// Fragments with an open fate that still wait.
    pub fn open(&self) -> u64 {
        self.entries.values().map(|entry| entry.open).sum()
    }

    fn take(
        &mut self,
        decoded: &Decoded,
        packet: &[u8],
        now: Nanos,
        open: u64,
    ) -> DefragOutcome<'_> {
        let Some(fragment) = decoded.fragment else {
            self.fates.refused += open;
            return DefragOutcome::NotAFragment;
        };
        self.stats.fragments += 1;
        self.events = EventSet::EMPTY;
        let bytes = decoded.payload_of(packet);
        let layer = decoded.inner();
        let header = packet
            .get(layer.header as usize..fragment.unfragmentable_end as usize)
            .filter(|header| !header.is_empty());
        let Some(header) = header else {
            self.stats.refused += 1;
            self.fates.refused += open;
            return DefragOutcome::NotAFragment;
        };
        let key = Key::of(&fragment, decoded, self.config.use_vlan);
        if self.entries.get(&key).is_some_and(|entry| entry.deadline < now) {
            let (gone, left) = self.remove(&key);
            self.stats.timed_out += gone;
            self.fates.timed_out += left;
        }
        let header = if fragment.offset == 0 { header } else { &[] };
        if !self.make_room(&key, bytes.len(), header.len()) {
            self.stats.memcap += 1;
            self.fates.memcap += open;
            self.note(layer.version, Event::Ipv4FragIgnored, Event::Ipv6FragIgnored);
            return DefragOutcome::MemcapDrop;
        }
        let entry = match self.entries.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                self.serial += 1;
                self.queue.push_back((self.serial, key));
                let timeout = Nanos::from(self.config.timeout) * SECOND;
                entry.insert(Entry {
                    tracker: Tracker::default(),
                    open: 0,
                    deadline: now.saturating_add(timeout),
                    serial: self.serial,
                })
            }
        };
        let tracker = &mut entry.tracker;
        let before = tracker.held();
        let (policy, most) = (self.config.policy, self.config.max_fragments);
        let taken = tracker.add(fragment.offset, bytes, fragment.more, policy, most);
        if taken.is_ok() && tracker.header.is_empty() && !header.is_empty() {
            tracker.header = header.to_vec();
            let at = fragment.protocol_at.saturating_sub(layer.header);
            tracker.protocol = (at, fragment.protocol);
        }
        self.held = (self.held + tracker.held()).saturating_sub(before);
        if let Err(refusal) = taken {
            self.stats.refused += 1;
            self.fates.refused += open;
            return match refusal {
                Refusal::TooLarge => {
                    let (v4, v6) = (Event::Ipv4FragPktTooLarge, Event::Ipv6FragPktTooLarge);
                    self.note(layer.version, v4, v6);
                    DefragOutcome::TooLarge
                }
                Refusal::Inconsistent => DefragOutcome::Inconsistent,
                Refusal::TooMany => DefragOutcome::TooMany,
            };
        }
        if taken == Ok(true) {
            let (v4, v6) = (Event::Ipv4FragOverlap, Event::Ipv6FragOverlap);
            self.events.insert(if layer.version == 4 { v4 } else { v6 });
        }
        self.stats.pending += 1;
        entry.open += open;
        let tracker = &entry.tracker;
        if !tracker.is_complete() {
            return DefragOutcome::Pending;
        }
        let fits = whole::write(tracker, &mut self.whole);
        let (fragments, left) = self.remove(&key);
        if !fits {
            self.stats.refused += fragments;
            self.fates.refused += left;
            self.note(layer.version, Event::Ipv4FragPktTooLarge, Event::Ipv6FragPktTooLarge);
            return DefragOutcome::TooLarge;
        }
        self.stats.completed += fragments;
        self.fates.completed += left;
        self.stats.datagrams += 1;
        DefragOutcome::Complete { datagram: &self.whole, fragments: fragments as u32 }
    }

    /// Gives up what was not complete in time; answers how many fragments that are.
    pub fn expire(&mut self, now: Nanos) -> usize {
        let mut gone = 0;
        while let Some((serial, key)) = self.queue.front().copied() {
            match self.entries.get(&key) {
                Some(entry) if entry.serial == serial && entry.deadline >= now => break,
                Some(entry) if entry.serial == serial => {
                    let (fragments, left) = self.remove(&key);
                    gone += fragments;
                    self.fates.timed_out += left;
                }
                _ => {}
            }
            self.queue.pop_front();
        }
        self.stats.timed_out += gone;
        gone as usize
    }

    /// Gives up everything, at the end of a capture; answers how many fragments that are, which
    /// count as timed out.
    pub fn drain(&mut self) -> usize {
        self.expire(Nanos::MAX)
    }

    /// Where the fragments went.
    pub fn stats(&self) -> DefragStats {
        self.stats
    }

    /// Datagrams in the making.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory that fragments take.
    pub fn memory_bytes(&self) -> usize {
        self.held
    }

    /// Gives up the oldest datagrams until one more fragment fits, but not the one that it is of.
    fn make_room(&mut self, key: &Key, len: usize, header: usize) -> bool {
        let known = self.entries.get(key);
        let growth = match known {
            Some(entry) => entry.tracker.worst_growth(len, header),
            None => Tracker::default().worst_growth(len, header),
        };
        let is_new = known.is_none();
        // Of the queue's entries those that are gone already count nothing.
        while self.held + growth > self.config.memcap
            || (is_new && self.entries.len() >= self.config.trackers.max(1))
        {
            let Some((serial, oldest)) = self.queue.pop_front() else { return false };
            if self.entries.get(&oldest).is_none_or(|entry| entry.serial != serial) {
                continue;
            }
            if oldest == *key {
                self.queue.push_front((serial, oldest));
                return false;
            }
            let (gone, left) = self.remove(&oldest);
            self.stats.memcap += gone;
            self.fates.memcap += left;
        }
        // Completed datagrams leave their place in the queue: not for longer than it is worth.
        if self.queue.len() > 2 * self.entries.len() + 64 {
            let entries = &self.entries;
            self.queue.retain(|(serial, key)| {
                entries.get(key).is_some_and(|entry| entry.serial == *serial)
            });
        }
        true
    }

    /// Removes a datagram; answers how many fragments it had, and how many of them have an open
    /// fate. Its place in the queue stays.
    fn remove(&mut self, key: &Key) -> (u64, u64) {
        let Some(entry) = self.entries.remove(key) else { return (0, 0) };
        self.held = self.held.saturating_sub(entry.tracker.held());
        let fragments = u64::from(entry.tracker.fragments);
        self.stats.pending = self.stats.pending.saturating_sub(fragments);
        (fragments, entry.open)
    }
}
