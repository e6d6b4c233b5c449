//! The flow table of one core: a chained index over a slab of flows, and their timers.

use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use foldhash::quality;
use wire::{Direction, FlowKey, Nanos};

use crate::config::{FlowConfig, Timeouts};
use crate::flow::{Flow, FlowState, SECOND};
use crate::wheel::Wheel;

/// No slot. Slot numbers in chains are indices plus one, so that a fresh index is all zero.
const NIL: u32 = 0;
/// How many flows are compared when one has to go.
const EVICTION_SAMPLE: usize = 32;
/// [`Flow::id`] has 53 bits: what every JSON reader keeps.
const ID_MASK: u64 = (1 << 53) - 1;

/// Where a flow is in its table; good until the flow is removed, expired or evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowId(u32);

/// What [`FlowTable::lookup_or_insert`] found or made.
#[derive(Debug)]
pub struct Lookup<T> {
    /// The packet's flow.
    pub id: FlowId,
    /// Whether it was made for this packet.
    pub fresh: bool,
    /// The packet's direction in it.
    pub direction: Direction,
    /// A flow that had to go, to be flushed: the one with this key, whose time had passed, or
    /// another one, when the table is full.
    pub expired: Option<Flow<T>>,
    /// When `expired` was due: the time at which [`FlowTable::expire`] would have handed it out; now,
    /// of one that is evicted.
    pub expired_at: Nanos,
    /// Whether `expired` went for want of room, before its time.
    pub evicted: bool,
}

/// Whether a slot holds a flow: a bit of its hash, which picks no bucket.
const LIVE: u32 = 1 << 31;
/// The most slots that there can be: buckets are picked by what is left of the hash.
const MOST: usize = 1 << 30;

/// What a look-up compares, and the flow's key with it, is one line of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct Slot<T> {
    /// The key's hash with [`LIVE`]; 0: free.
    hash: u32,
    /// The next slot of the chain, or of the free list; plus one.
    next: u32,
    flow: Flow<T>,
}

/// Packets for each flow that ends while they come.
const PACKETS_PER_END: usize = 4;

/// Seconds that ends may be behind before every packet pays for one.
const MOST_BEHIND: u64 = 2;

/// How far a call of [`FlowTable::expire`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swept {
    /// Every flow whose time has passed has been handed out.
    All,
    /// Those up to [`FlowTable::swept_until`].
    UpTo,
}

/// Where a key's flow would be, see [`FlowTable::hint`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint(u32);

/// The flows of one core, with the engine's state `T` in each.
///
/// Nothing is moved when it grows: the index is as large as the capacity asks from the start, and
/// the slab's memory is reserved but not touched until used.
#[derive(Debug)]
pub struct FlowTable<T> {
    hasher: SeedableRandomState,
    id_hasher: quality::FixedState,
    /// Heads of the chains by hash; plus one.
    heads: Vec<u32>,
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
    capacity: usize,
    timeouts: Timeouts,
    expire_budget: usize,
    wheel: Wheel,
    swept: u64,
    evicted: u64,
}

impl<T: Default> FlowTable<T> {
    /// An empty table.
    pub fn new(config: &FlowConfig) -> Self {
        let capacity = config.capacity.clamp(1, MOST);
        let hasher = match config.hash_seed {
            Some(seed) => SeedableRandomState::with_seed(seed, SharedSeed::global_fixed()),
            None => SeedableRandomState::random(),
        };
        Self {
            hasher,
            id_hasher: quality::FixedState::with_seed(config.id_seed),
            heads: vec![NIL; capacity.next_power_of_two()],
            slots: Vec::with_capacity(capacity),
            free: NIL,
            len: 0,
            capacity,
            timeouts: config.timeouts,
            expire_budget: config.expire_budget.max(1),
            wheel: Wheel::new(capacity),
            swept: 0,
            evicted: 0,
        }
    }

    /// The packet's flow, made if there is none. `forward` says that the packet's source is the
    /// key's first side; the first packet's source is the client. Does not count the packet: see
    /// [`Self::record`].
    pub fn lookup_or_insert(&mut self, key: &FlowKey, forward: bool, now: Nanos) -> Lookup<T> {
        let hash = self.hash(key);
        let (mut expired, mut expired_at) = (None, now);
        let mut order = 0;
        if let Some(index) = self.find(hash, key) {
            let flow = &self.slots[index as usize].flow;
            if flow.deadline(&self.timeouts) > now / SECOND {
                let direction = flow.direction(forward);
                return Lookup {
                    id: FlowId(index),
                    fresh: false,
                    direction,
                    expired: None,
                    expired_at: now,
                    evicted: false,
                };
            }
            order = following_order(flow, now);
            expired_at = flow.deadline(&self.timeouts).saturating_mul(SECOND);
            expired = Some(self.take(index));
        }
        let mut evicted = false;
        if self.len == self.capacity
            && let Some(victim) = self.victim()
        {
            (expired, expired_at) = (Some(self.take(victim)), now);
            evicted = true;
            self.evicted += 1;
        }
        let index = self.insert(hash, Flow::new(*key, forward, now, order, T::default()), now);
        let direction = Direction::ToServer;
        Lookup { id: FlowId(index), fresh: true, direction, expired, expired_at, evicted }
    }

    /// The flow of a key, if there is one that is not timed out: nothing is made.
    pub fn lookup(&self, key: &FlowKey, now: Nanos) -> Option<FlowId> {
        let index = self.find(self.hash(key), key)?;
        let flow = &self.slots[index as usize].flow;
        (flow.deadline(&self.timeouts) > now / SECOND).then_some(FlowId(index))
    }

    /// Puts a new flow in the place of one with the same key (a TCP port pair used again), whose
    /// old flow is handed out to be flushed. The sender of this packet is the client.
    pub fn renew(&mut self, id: FlowId, forward: bool, now: Nanos) -> (FlowId, Flow<T>) {
        let order = following_order(self.get(id), now);
        let old = self.take(id.0);
        let flow = Flow::new(old.key, forward, now, order, T::default());
        (FlowId(self.insert(self.hash(&old.key), flow, now)), old)
    }

    /// Takes a flow out of the table.
    pub fn remove(&mut self, id: FlowId) -> Flow<T> {
        self.take(id.0)
    }

    /// A flow. The id must come from this table and its flow be in it still; otherwise what comes
    /// is another flow, or a panic.
    #[inline]
    pub fn get(&self, id: FlowId) -> &Flow<T> {
        &self.slots[id.0 as usize].flow
    }

    /// A flow to change, see [`Self::get`].
    #[inline]
    pub fn get_mut(&mut self, id: FlowId) -> &mut Flow<T> {
        &mut self.slots[id.0 as usize].flow
    }

    /// Counts a packet and puts off the flow's time-out. All but TCP flows become established by
    /// a packet of the second direction.
    #[inline]
    pub fn record(&mut self, id: FlowId, direction: Direction, bytes: u64, now: Nanos) {
        let flow = &mut self.slots[id.0 as usize].flow;
        let side = direction.index();
        flow.packets[side] = flow.packets[side].saturating_add(1);
        flow.bytes[side] = flow.bytes[side].saturating_add(bytes);
        flow.last = flow.last.max(now);
        if flow.state() == FlowState::New && flow.both_seen() && flow.key.protocol() != 6 {
            self.set_state(id, FlowState::Established);
        }
    }

    /// Sets how far a flow has come.
    #[inline]
    pub fn set_state(&mut self, id: FlowId, state: FlowState) {
        let flow = &mut self.slots[id.0 as usize].flow;
        if flow.state() == state {
            return;
        }
        flow.set_state(state);
        // A longer time-out is noticed when the earlier one falls due; a shorter one is not.
        let (deadline, last) = (flow.deadline(&self.timeouts), flow.last);
        self.wheel.file(id.0, deadline, last / SECOND);
    }

    /// Turns a flow round: who was taken for its server is its client.
    pub fn swap_direction(&mut self, id: FlowId) {
        let flow = self.get_mut(id);
        flow.client_first = !flow.client_first;
        flow.packets.swap(0, 1);
        flow.bytes.swap(0, 1);
    }

    /// Hands out the flows whose time has passed, with the time at which it had, in the order of
    /// these times by the second (if called at least every 17 minutes). Looks at no more entries than the configured budget where none of
    /// `packets` came since the last call, else at a few for each of them; answers whether it came to an end, and
    /// [`Self::swept_until`] how far.
    pub fn expire(
        &mut self,
        now: Nanos,
        packets: usize,
        mut each: impl FnMut(Flow<T>, Nanos),
    ) -> Swept {
        let tick = now / SECOND;
        if tick <= self.swept {
            return Swept::All;
        }
        for _ in 0..self.budget(tick, packets) {
            let Some(index) = self.wheel.next(tick) else {
                self.swept = tick;
                return Swept::All;
            };
            let Some(slot) = self.slots.get(index as usize) else { continue };
            let deadline = slot.flow.deadline(&self.timeouts);
            // Filed under an earlier time than is right, it waits for its turn all the same.
            if deadline <= tick.min(self.wheel.cursor()) {
                let flow = self.take(index);
                each(flow, deadline.saturating_mul(SECOND));
            } else {
                self.wheel.file(index, deadline, tick);
            }
        }
        // What falls due at the cursor itself may not have been handed out in full.
        self.swept = self.swept.max(self.wheel.cursor().saturating_sub(1).min(tick - 1));
        Swept::UpTo
    }

    /// How many entries to look at. All flows of a second fall due at once: were they to end at once, the packets
    /// that come meanwhile would wait for them. So each packet pays for a part of a flow, as it does anyway on the whole;
    /// for a whole one where that falls behind by more than a second.
    fn budget(&self, tick: u64, packets: usize) -> usize {
        match packets {
            0 => self.expire_budget,
            _ if tick - self.swept > MOST_BEHIND => packets,
            _ => packets.div_ceil(PACKETS_PER_END),
        }
    }

    /// No flow that has not been handed out ends before this moment: flows end at whole seconds, and those of
    /// the second before have been.
    pub fn swept_until(&self) -> Nanos {
        self.swept.saturating_add(1).saturating_mul(SECOND)
    }

    /// Empties the table at the end of a capture: by the time of the flows' latest packets, then
    /// that of their first, then their ids.
    pub fn drain(&mut self, mut each: impl FnMut(Flow<T>)) {
        let mut order: Vec<u32> =
            (0..self.slots.len() as u32).filter(|at| self.slots[*at as usize].hash != 0).collect();
        order.sort_unstable_by_key(|at| {
            let flow = &self.slots[*at as usize].flow;
            (flow.last, flow.start, flow.id)
        });
        for index in order {
            each(self.take(index));
        }
    }

    fn insert(&mut self, hash: u32, mut flow: Flow<T>, now: Nanos) -> u32 {
        flow.id = self.id_hasher.hash_one((flow.key, flow.start, flow.order())) & ID_MASK;
        let deadline = flow.deadline(&self.timeouts);
        let bucket = self.bucket(hash);
        let next = self.heads[bucket];
        let index = match self.free.checked_sub(1) {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                self.free = slot.next;
                *slot = Slot { hash, next, flow };
                index
            }
            None => {
                self.slots.push(Slot { hash, next, flow });
                (self.slots.len() - 1) as u32
            }
        };
        self.heads[bucket] = index + 1;
        self.len += 1;
        self.wheel.file(index, deadline, now / SECOND);
        index
    }

    /// Takes a live flow out of its slot, which goes to the free list.
    fn take(&mut self, index: u32) -> Flow<T> {
        let slot = &self.slots[index as usize];
        let (hash, next) = (slot.hash, slot.next);
        let live = hash != 0;
        let blank = Flow::new(slot.flow.key, false, 0, 0, T::default());
        if live {
            let bucket = self.bucket(hash);
            if self.heads[bucket] == index + 1 {
                self.heads[bucket] = next;
            } else {
                let mut at = self.heads[bucket];
                while let Some(slot) = at.checked_sub(1).map(|at| &mut self.slots[at as usize]) {
                    if slot.next == index + 1 {
                        slot.next = next;
                        break;
                    }
                    at = slot.next;
                }
            }
            self.wheel.remove(index);
            self.len -= 1;
        }
        let free = self.free;
        let slot = &mut self.slots[index as usize];
        if live {
            slot.hash = 0;
            slot.next = free;
            self.free = index + 1;
        }
        std::mem::replace(&mut self.slots[index as usize].flow, blank)
    }

    /// Who goes when there is no room: of those that would time out soonest a closed one, or else
    /// the one nearest to its end.
    fn victim(&self) -> Option<u32> {
        self.wheel.soonest().take(EVICTION_SAMPLE).min_by_key(|index| {
            let flow = &self.slots[*index as usize].flow;
            (flow.state() != FlowState::Closed, flow.deadline(&self.timeouts), flow.last)
        })
    }
}

impl<T> FlowTable<T> {
    /// Bytes that a flow takes in the table: its slot, its timer and its share of the index, which has no more
    /// than twice as many places as there may be flows. What it points to comes on top.
    pub const FLOW_BYTES: usize = size_of::<Slot<T>>() + Wheel::ENTRY_BYTES + 2 * size_of::<u32>();

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most flows that there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many flows went for want of room.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Bytes of memory that have been used at some time, without what the flows point to.
    pub fn memory_bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot<T>>()
            + self.heads.len() * size_of::<u32>()
            + self.wheel.memory_bytes(self.slots.len())
    }

    /// Brings the place of a key's bucket towards the cache, long before it is looked up. Of many flows
    /// nearly none is there: a burst's look-ups wait for memory together, not one after the other.
    #[inline]
    pub fn hint(&self, key: &FlowKey) -> Hint {
        let hash = self.hash(key);
        prefetch::first(&self.heads[self.bucket(hash)]);
        Hint(hash)
    }

    /// Brings the first flow of the bucket, which is there by now.
    #[inline]
    pub fn hint_flow(&self, hint: Hint) {
        let head = self.heads[self.bucket(hint.0)];
        if let Some(slot) = head.checked_sub(1).and_then(|index| self.slots.get(index as usize)) {
            prefetch::whole(slot);
        }
    }

    /// The flow of the key, timed out or not, which is there by now: for bringing what it points to.
    #[inline]
    pub fn hinted(&self, hint: Hint, key: &FlowKey) -> Option<&Flow<T>> {
        let index = self.find(hint.0, key)?;
        self.slots.get(index as usize).map(|slot| &slot.flow)
    }

    #[inline]
    fn hash(&self, key: &FlowKey) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32 | LIVE
    }

    #[inline]
    fn bucket(&self, hash: u32) -> usize {
        hash as usize & (self.heads.len() - 1)
    }

    #[inline]
    fn find(&self, hash: u32, key: &FlowKey) -> Option<u32> {
        let mut at = self.heads[self.bucket(hash)];
        while let Some(index) = at.checked_sub(1) {
            let slot = &self.slots[index as usize];
            if slot.hash == hash && slot.flow.key == *key {
                return Some(index);
            }
            at = slot.next;
        }
        None
    }
}

/// What [`Flow::order`] is of a flow that begins `now`, after `old` of the same key.
fn following_order<T>(old: &Flow<T>, now: Nanos) -> u32 {
    if old.start == now { old.order().saturating_add(1) } else { 0 }
}
