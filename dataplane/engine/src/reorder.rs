//! Packets that came before what they answer, as where a mirror's two directions go through different queues:
//! they wait, copied, until that has come, for a short time and in bounded memory. Which of them do is told by
//! their connection ([`flow::TcpSession::missing_before`]); here is where they are meanwhile.

use std::collections::{BTreeMap, HashMap, VecDeque};

use flow::Missing;
use wire::{Decoded, FlowKey, Nanos, Tcp, Transport, tcp_flag};

use crate::alert::Source;
use crate::part::{PacketInfo, Part};
use crate::snapshot::Snapshot;

/// The most packets of a flow that wait.
const MOST_OF_FLOW: usize = 128;

/// The most packets of a core that wait, and their bytes.
const MOST: usize = 8192;
const MOST_BYTES: usize = 8 << 20;

/// How often waiting may be in vain, at once and a second: where one direction only is mirrored, or much is lost,
/// what is answered never comes.
const VAIN_AT_ONCE: u64 = 256;
const VAIN_PER_SECOND: u64 = 64;

/// How far a connection's first packets are behind its opening at the most.
const FURTHEST: u32 = 1 << 24;

/// Packets whose memory is kept for others.
const SPARE: usize = 64;

/// A packet that waits.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    decoded: Decoded,
    info: PacketInfo,
    frame_len: u32,
    source: Source,
    link_header: Vec<u8>,
    /// Its number among all that came to wait.
    arrival: u64,
}

impl Held {
    fn new(part: &Part<'_>, info: PacketInfo, arrival: u64) -> Self {
        Self {
            bytes: part.bytes.to_vec(),
            decoded: part.decoded.clone(),
            info,
            frame_len: part.frame_len,
            source: part.source,
            link_header: part.link_header.to_vec(),
            arrival,
        }
    }

    /// The same in the memory of another one.
    fn renew(&mut self, part: &Part<'_>, info: PacketInfo, arrival: u64) {
        for (mine, its) in
            [(&mut self.bytes, part.bytes), (&mut self.link_header, part.link_header)]
        {
            mine.clear();
            mine.extend_from_slice(its);
        }
        self.decoded.clone_from(part.decoded);
        (self.info, self.arrival) = (info, arrival);
        (self.frame_len, self.source) = (part.frame_len, part.source);
    }

    /// The packet, and what came with it.
    pub(crate) fn part(&self) -> (Part<'_>, &PacketInfo) {
        let part = Part {
            decoded: &self.decoded,
            buffer: &self.bytes,
            bytes: &self.bytes,
            frame_len: self.frame_len,
            source: self.source,
            payload: true,
            link_header: &self.link_header,
        };
        (part, &self.info)
    }

    /// Whether it has a place in the ledger still to come; a datagram's fragments have theirs.
    pub(crate) fn is_to_be_counted(&self) -> bool {
        self.source != Source::Defragmented
    }

    /// Its TCP header.
    fn tcp(&self) -> Option<&Tcp> {
        match &self.decoded.transport {
            Transport::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// Whether this one opens the connection that the other one of the same side is of.
    fn opens(&self, other: &Self) -> bool {
        let (Some(tcp), Some(other)) = (self.tcp(), other.tcp()) else { return false };
        let after = other.seq.wrapping_sub(tcp.seq);
        tcp.has(tcp_flag::SYN) && !other.has(tcp_flag::SYN) && (1..=FURTHEST).contains(&after)
    }
}

/// Where a packet waits whose turn it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    side: bool,
    index: usize,
}

/// Packets of one flow that wait, by the side that sent them: 0 the key's second, 1 its first.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    sides: [VecDeque<Box<Held>>; 2],
    /// What the first of them waited for.
    missing: Missing,
}

impl Waiting {
    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.sides.iter().map(VecDeque::len).sum()
    }

    /// Whether none waits of a side.
    pub(crate) fn is_empty_at(&self, side: bool) -> bool {
        self.sides[usize::from(side)].is_empty()
    }

    /// Whether more wait than may.
    pub(crate) fn is_over(&self) -> bool {
        self.len() > MOST_OF_FLOW
    }

    /// The packet whose turn it is; None: all wait. `missing_before` tells of a packet and its side what it still
    /// waits for.
    pub(crate) fn turn(
        &self,
        missing_before: impl Fn(&Held, bool) -> Option<Missing>,
    ) -> Option<Turn> {
        let fits = |held: &Held, side| missing_before(held, side).is_none();
        let head = self.earliest_of(1, &fits);
        // Where each side's first waits, what they wait for may be behind one of them: a direction that was spread
        // over queues is out of order itself.
        let both = self.sides.iter().all(|side| !side.is_empty());
        head.or_else(|| if both { self.earliest_of(usize::MAX, &fits) } else { None })
    }

    /// The packet that has waited longest.
    pub(crate) fn earliest(&self) -> Option<Turn> {
        self.earliest_of(1, &|_, _| true)
    }

    /// The earliest of the first so many of each side that fit.
    fn earliest_of(&self, most: usize, fits: &impl Fn(&Held, bool) -> bool) -> Option<Turn> {
        let of_side = |side: bool| {
            let packets = self.sides[usize::from(side)].iter().take(most).enumerate();
            let mut fitting = packets.filter(move |(_, held)| fits(held, side));
            fitting.next().map(|(index, held)| (held.arrival, Turn { side, index }))
        };
        let turns = [false, true].into_iter().filter_map(of_side);
        turns.min_by_key(|(arrival, _)| *arrival).map(|(_, turn)| turn)
    }

    /// When the first of them came.
    fn since(&self) -> Option<Nanos> {
        self.sides.iter().flatten().map(|held| held.info.clock).min()
    }
}

/// A packet that is to wait: its flow's key, its side of that, and what for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) key: FlowKey,
    pub(crate) side: bool,
    pub(crate) missing: Missing,
}

/// How often waiting for something was in vain lately.
#[derive(Debug, Default)]
struct Patience {
    vain: u64,
    /// Up to when that was worked off.
    worked_off: Nanos,
}

impl Patience {
    fn is_left(&mut self, now: Nanos) -> bool {
        if self.vain >= VAIN_AT_ONCE {
            let passed = u128::from(now.saturating_sub(self.worked_off));
            let done = (passed * u128::from(VAIN_PER_SECOND) / 1_000_000_000) as u64;
            if done > 0 {
                self.vain = self.vain.saturating_sub(done);
                self.worked_off = now;
            }
        }
        self.vain < VAIN_AT_ONCE
    }

    fn was_in_vain(&mut self, now: Nanos) {
        if self.vain == 0 {
            self.worked_off = now;
        }
        self.vain += 1;
    }

    fn has_helped(&mut self) {
        self.vain = self.vain.saturating_sub(1);
    }
}

/// All packets of a core that wait.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    flows: HashMap<FlowKey, (Waiting, Due), foldhash::fast::RandomState>,
    /// Flows by when the first of their packets came.
    due: BTreeMap<Due, FlowKey>,
    packets: usize,
    /// Those of them that have a place in the ledger still to come.
    uncounted: usize,
    bytes: usize,
    arrivals: u64,
    /// What is left of the patience for each: who sends packets of connections that do not exist does not use up
    /// that for what is acknowledged.
    patience: [Patience; 2],
    #[expect(
        clippy::vec_box,
        reason = "they move from here to a flow's queue and back, and are large"
    )]
    spare: Vec<Box<Held>>,
    /// The packet that has just come is among them: whoever panics counts that one, too.
    twice: bool,
}

/// When a flow's first packet came, and a number that tells flows of the same time apart.
type Due = (Nanos, u64);

impl Reorder {
    /// Whether nothing waits.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Whether packets of this flow wait.
    #[inline]
    pub(crate) fn concerns(&self, key: &FlowKey) -> bool {
        !self.flows.is_empty() && self.flows.contains_key(key)
    }

    /// Whether packets are put in order, and there is room and patience for one of another flow to wait for this.
    #[cold]
    pub(crate) fn admits(&mut self, snapshot: &Snapshot, missing: Missing, now: Nanos) -> bool {
        snapshot.settings.reorder_window > 0
            && self.has_room()
            && self.patience[missing as usize].is_left(now)
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        self.packets < MOST && self.bytes < MOST_BYTES
    }

    /// What waits of a flow, to be given back by [`Self::put`].
    pub(crate) fn take(&mut self, key: &FlowKey, missing: Missing) -> Waiting {
        match self.flows.remove(key) {
            Some((waiting, due)) => {
                self.due.remove(&due);
                waiting
            }
            None => Waiting { missing, ..Waiting::default() },
        }
    }

    /// Gives back what still waits of a flow.
    pub(crate) fn put(&mut self, key: FlowKey, waiting: Waiting) {
        if let Some(since) = waiting.since() {
            self.arrivals += 1;
            let due = (since, self.arrivals);
            self.due.insert(due, key);
            self.flows.insert(key, (waiting, due));
        }
    }

    /// Lets a packet wait behind those of its side.
    pub(crate) fn hold(
        &mut self,
        waiting: &mut Waiting,
        side: bool,
        part: &Part<'_>,
        info: PacketInfo,
    ) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let held = match self.spare.pop() {
            Some(mut held) => {
                held.renew(part, info, arrival);
                held
            }
            None => Box::new(Held::new(part, info, arrival)),
        };
        self.packets += 1;
        self.uncounted += usize::from(held.is_to_be_counted());
        self.bytes += part.bytes.len();
        let side = &mut waiting.sides[usize::from(side)];
        match side.front() {
            Some(head) if held.opens(head) => side.push_front(held),
            _ => side.push_back(held),
        }
    }

    /// A packet waits no longer; its place in the ledger is still to come.
    pub(crate) fn release(&mut self, waiting: &mut Waiting, turn: Turn) -> Option<Box<Held>> {
        let held = waiting.sides[usize::from(turn.side)].remove(turn.index)?;
        self.packets -= 1;
        self.bytes -= held.bytes.len();
        Some(held)
    }

    /// A packet has its place in the ledger, and its memory may be used for another one.
    pub(crate) fn settle(&mut self, held: Box<Held>) {
        self.uncounted -= usize::from(held.is_to_be_counted());
        if self.spare.len() < SPARE {
            self.spare.push(held);
        }
    }

    /// What a flow waited for did not come.
    pub(crate) fn was_in_vain(&mut self, waiting: &Waiting, now: Nanos) {
        self.patience[waiting.missing as usize].was_in_vain(now);
    }

    /// What a flow waited for has come.
    pub(crate) fn has_helped(&mut self, waiting: &Waiting) {
        self.patience[waiting.missing as usize].has_helped();
    }

    /// When the packet that has waited longest came.
    #[inline]
    pub(crate) fn oldest(&self) -> Option<Nanos> {
        self.due.first_key_value().map(|((since, _), _)| *since)
    }

    /// The flow whose packets have waited longest, if they came up to this time.
    pub(crate) fn next_upto(&self, time: Nanos) -> Option<FlowKey> {
        self.due.first_key_value().filter(|((since, _), _)| *since <= time).map(|(_, key)| *key)
    }

    /// Whether a packet that has just come, of those that have a place in the ledger, is among those that wait.
    pub(crate) fn set_twice(&mut self, twice: bool) {
        self.twice = twice;
    }

    /// How many packets have no place in the ledger if a panic ends all waiting.
    pub(crate) fn lost_to_panic(&self) -> u64 {
        self.uncounted.saturating_sub(usize::from(self.twice)) as u64
    }
}
