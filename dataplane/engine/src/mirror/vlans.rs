//! VLAN tags that one direction has and the other has not, or has others: a switch that mirrors a
//! port's two directions at different places. Learnt by answers to a SYN that came in other VLANs: their
//! acknowledgment says whose they are. Where VLAN ids tell flows apart, only those of learnt pairs
//! are looked for in each other; all others stay apart.

use flow::FlowTable;
use wire::{FlowKey, Nanos, Tcp, tcp_flag};

use crate::counters::Counters;
use crate::flow_state::FlowState;

/// The VLAN ids of a frame, outer-most first: two at the most, in 12 bits each, with their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags(u32);

impl Tags {
    /// `None`: more than there is room for.
    pub(crate) fn new(vlans: &[u16]) -> Option<Self> {
        match *vlans {
            [] => Some(Self(0)),
            [one] => Some(Self(1 << 24 | u32::from(one) & 0xfff)),
            [one, two] => {
                Some(Self(2 << 24 | (u32::from(one) & 0xfff) << 12 | u32::from(two) & 0xfff))
            }
            _ => None,
        }
    }

    fn ids(self) -> ([u16; 2], usize) {
        let (first, second) = ((self.0 >> 12 & 0xfff) as u16, (self.0 & 0xfff) as u16);
        match self.0 >> 24 {
            0 => ([0, 0], 0),
            1 => ([second, 0], 1),
            _ => ([first, second], 2),
        }
    }

    /// The ids.
    pub fn to_vec(self) -> Vec<u16> {
        let (ids, count) = self.ids();
        ids.into_iter().take(count).collect()
    }

    fn key(self, key: &FlowKey) -> FlowKey {
        let (ids, count) = self.ids();
        key.with_vlans(ids.get(..count).unwrap_or(&[]))
    }
}

/// Two sets of tags that one connection's directions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagPair(pub Tags, pub Tags);

impl TagPair {
    /// As one number, never 0.
    pub(crate) fn to_bits(self) -> u64 {
        1 << 63 | u64::from(self.0.0) << 32 | u64::from(self.1.0)
    }

    /// From [`Self::to_bits`]; `None` of 0.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        let low = |bits: u64| Tags((bits & 0x7fff_ffff) as u32);
        (bits != 0).then(|| Self(low(bits >> 32), low(bits)))
    }

    fn other(self, tags: Tags) -> Option<Tags> {
        match tags {
            tags if tags == self.0 => Some(self.1),
            tags if tags == self.1 => Some(self.0),
            _ => None,
        }
    }
}

/// Pairs that are known at the most, and tags among which pairs are looked for.
pub(crate) const MOST: usize = 8;

const SYN_ACK: u8 = tcp_flag::SYN | tcp_flag::ACK;

/// Connections that must have shown a pair.
const ENOUGH: u32 = 4;

/// What a core has learnt.
#[derive(Debug, Default)]
pub(crate) struct Vlans {
    /// Tags that SYNs came with.
    tags: Vec<Tags>,
    /// Pairs, and how many connections have shown each.
    pairs: Vec<(TagPair, u32)>,
    /// How many pairs are in force.
    known: usize,
}

impl Vlans {
    /// Whether any pair is in force.
    #[inline]
    pub(crate) fn has_pairs(&self) -> bool {
        self.known > 0
    }

    /// The key of a packet's flow: its own, or that of a flow in the VLANs that the other direction
    /// of the port's traffic has.
    pub(crate) fn resolve(
        &self,
        key: FlowKey,
        vlans: &[u16],
        flows: &FlowTable<FlowState>,
        now: Nanos,
        counters: &Counters,
    ) -> FlowKey {
        let Some(tags) = Tags::new(vlans) else { return key };
        let mut others = self
            .pairs
            .iter()
            .filter(|(_, shown)| *shown >= ENOUGH)
            .filter_map(|(pair, _)| pair.other(tags))
            .peekable();
        if others.peek().is_none() || flows.lookup(&key, now).is_some() {
            return key;
        }
        let found = others.map(|tags| tags.key(&key)).find(|key| flows.lookup(key, now).is_some());
        counters.vlan_joined.add(u64::from(found.is_some()));
        found.unwrap_or(key)
    }

    /// A TCP packet has begun a flow.
    #[inline]
    pub(crate) fn fresh(
        &mut self,
        key: &FlowKey,
        vlans: &[u16],
        tcp: &Tcp,
        flows: &FlowTable<FlowState>,
        now: Nanos,
        counters: &Counters,
    ) {
        match tcp.flags & (tcp_flag::SYN | tcp_flag::ACK) {
            tcp_flag::SYN => self.begun(vlans),
            SYN_ACK => self.unexpected(key, vlans, tcp.ack, flows, now, counters),
            _ => {}
        }
    }

    /// A SYN has begun a flow.
    fn begun(&mut self, vlans: &[u16]) {
        if let Some(tags) = Tags::new(vlans)
            && !self.tags.contains(&tags)
            && self.tags.len() < MOST
        {
            self.tags.push(tags);
        }
    }

    /// A SYN/ACK belongs to no flow: is it the answer to a SYN in other VLANs?
    fn unexpected(
        &mut self,
        key: &FlowKey,
        vlans: &[u16],
        ack: u32,
        flows: &FlowTable<FlowState>,
        now: Nanos,
        counters: &Counters,
    ) {
        let Some(tags) = Tags::new(vlans) else { return };
        let awaits = |other: &Tags| {
            let flow = flows.lookup(&other.key(key), now).map(|id| flows.get(id));
            flow.and_then(|flow| flow.tcp.as_ref()).is_some_and(|tcp| tcp.awaits_answer(ack))
        };
        let asked = self.tags.iter().copied().filter(|&other| other != tags).find(awaits);
        let Some(asked) = asked else { return };
        let pair = TagPair(asked, tags);
        let has_room = self.pairs.len() < MOST;
        match self.pairs.iter_mut().find(|(known, _)| *known == pair) {
            Some((_, shown)) => *shown = shown.saturating_add(1),
            None if has_room => self.pairs.push((pair, 1)),
            None => return,
        }
        let in_force = || self.pairs.iter().filter(|(_, shown)| *shown >= ENOUGH);
        self.known = in_force().count();
        for (place, (pair, _)) in counters.vlan_pairs.iter().zip(in_force()) {
            place.set(pair.to_bits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_pairs_go_into_numbers_and_come_back() {
        let of = |ids: &[u16]| Tags::new(ids).expect("there is room");
        for ids in [&[][..], &[0], &[4095], &[5, 0], &[4095, 4094]] {
            assert_eq!(of(ids).to_vec(), ids);
        }
        assert_eq!(Tags::new(&[1, 2, 3]), None);
        let pair = TagPair(of(&[4095, 1]), of(&[]));
        assert_eq!(TagPair::from_bits(pair.to_bits()), Some(pair));
        assert_eq!(TagPair::from_bits(0), None);
        assert_eq!(TagPair(of(&[]), of(&[])).other(of(&[])), Some(of(&[])));
        assert_eq!((pair.other(of(&[])), pair.other(of(&[1]))), (Some(of(&[4095, 1])), None));
    }
}
