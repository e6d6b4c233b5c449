//! The timer wheel: entries by the second in which they fall due, filed lazily, so that a packet
//! that prolongs a flow's life does not touch it.

/// Slots of the wheel, one per tick. Due times further away wait in the last one in reach.
const SLOTS: usize = 1024;
/// The list of entries that are due only after a jump in time longer than the wheel is round.
const LATER: usize = SLOTS;
/// No entry. Entry numbers in lists are their index plus one, so that fresh memory is all zero.
const NIL: u32 = 0;
/// The slot of an entry that is in no list, plus nothing: slots are stored plus one as well.
const UNFILED: u32 = 0;

/// `[previous, next, slot]`, each plus one.
type Link = [u32; 3];
const PREV: usize = 0;
const NEXT: usize = 1;
const SLOT: usize = 2;

/// A timer wheel over the entries `0..capacity`. A tick is whatever unit the caller counts in.
///
/// An entry is handed out by [`Self::next`] no later than at the tick under which it was filed; it
/// may come earlier (when its tick is beyond the wheel's reach), so the caller looks at the entry's
/// own deadline and files it again if that is not reached.
#[derive(Debug)]
pub struct Wheel {
    links: Vec<Link>,
    /// First and last entry of every slot.
    lists: Vec<[u32; 2]>,
    /// A bit per slot that is not empty.
    occupied: [u64; SLOTS / 64],
    /// All ticks before this one are swept.
    cursor: u64,
    filed: usize,
}

impl Wheel {
    /// Bytes of an entry.
    pub(crate) const ENTRY_BYTES: usize = size_of::<Link>();

    /// A wheel for `capacity` entries, all unfiled. Its memory is untouched until used.
    pub fn new(capacity: usize) -> Self {
        Self {
            links: vec![[0; 3]; capacity],
            lists: vec![[NIL; 2]; SLOTS + 1],
            occupied: [0; SLOTS / 64],
            cursor: 0,
            filed: 0,
        }
    }

    /// The first tick that is not swept yet.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// How many entries are filed.
    pub fn len(&self) -> usize {
        self.filed
    }

    /// Whether no entry is filed.
    pub fn is_empty(&self) -> bool {
        self.filed == 0
    }

    /// Files `entry` under `tick`, moving it if it is filed already; `now` is the current tick.
    /// A tick that is swept already means the next one. Entries beyond the capacity are ignored.
    pub fn file(&mut self, entry: u32, tick: u64, now: u64) {
        if entry as usize >= self.links.len() {
            return;
        }
        self.remove(entry);
        if self.filed == 0 {
            self.cursor = self.cursor.max(now.min(tick));
        }
        let tick = tick.max(self.cursor);
        let last = self.cursor.saturating_add(SLOTS as u64 - 1);
        let list = if tick > last && now > last { LATER } else { slot_of(tick.min(last)) };
        self.push(entry, list);
    }

    /// Takes `entry` out, if it is in.
    pub fn remove(&mut self, entry: u32) {
        let Some(link) = self.links.get_mut(entry as usize) else { return };
        let [prev, next, slot] = std::mem::take(link);
        if slot == UNFILED {
            return;
        }
        let list = (slot - 1) as usize;
        match prev {
            NIL => self.lists[list][0] = next,
            prev => self.links[(prev - 1) as usize][NEXT] = next,
        }
        match next {
            NIL => self.lists[list][1] = prev,
            next => self.links[(next - 1) as usize][PREV] = prev,
        }
        if self.lists[list][0] == NIL && list < SLOTS {
            self.occupied[list / 64] &= !(1 << (list % 64));
        }
        self.filed -= 1;
    }

    /// Takes out the next entry that is due at `now`. `None` when all up to `now` are swept.
    pub fn next(&mut self, now: u64) -> Option<u32> {
        if self.cursor <= now {
            while let Some(tick) = self.next_occupied() {
                if tick > now {
                    break;
                }
                self.cursor = tick;
                if let Some(entry) = self.pop(slot_of(tick)) {
                    return Some(entry);
                }
            }
            self.cursor = now.saturating_add(1);
        }
        self.pop(LATER)
    }

    /// Entries in the order in which they were filed to fall due, the soonest first, without taking
    /// them out.
    pub fn soonest(&self) -> impl Iterator<Item = u32> + '_ {
        let start = slot_of(self.cursor);
        let mut list = self.occupied_from(start).or(Some(LATER));
        let mut at = list.map_or(NIL, |list| self.lists[list][0]);
        std::iter::from_fn(move || {
            while at == NIL {
                let next = match list? {
                    LATER => None,
                    current => {
                        let passed = (current + SLOTS - start) % SLOTS + 1;
                        let more = (passed < SLOTS)
                            .then(|| self.occupied_from((current + 1) % SLOTS))
                            .flatten()
                            .filter(|found| (found + SLOTS - start) % SLOTS >= passed);
                        more.or(Some(LATER))
                    }
                };
                list = next;
                at = list.map_or(NIL, |list| self.lists[list][0]);
            }
            let entry = at - 1;
            at = self.links[entry as usize][NEXT];
            Some(entry)
        })
    }

    /// Bytes of memory for `used` entries in use.
    pub fn memory_bytes(&self, used: usize) -> usize {
        used.min(self.links.len()) * size_of::<Link>() + self.lists.len() * size_of::<[u32; 2]>()
    }

    fn push(&mut self, entry: u32, list: usize) {
        let tail = std::mem::replace(&mut self.lists[list][1], entry + 1);
        match tail {
            NIL => self.lists[list][0] = entry + 1,
            tail => self.links[(tail - 1) as usize][NEXT] = entry + 1,
        }
        self.links[entry as usize] = [tail, NIL, list as u32 + 1];
        if list < SLOTS {
            self.occupied[list / 64] |= 1 << (list % 64);
        }
        self.filed += 1;
    }

    fn pop(&mut self, list: usize) -> Option<u32> {
        let entry = self.lists[list][0].checked_sub(1)?;
        debug_assert_eq!(self.links[entry as usize][SLOT], list as u32 + 1);
        self.remove(entry);
        Some(entry)
    }

    /// The first tick from the cursor on whose slot is not empty.
    fn next_occupied(&self) -> Option<u64> {
        let start = slot_of(self.cursor);
        let found = self.occupied_from(start)?;
        self.cursor.checked_add(((found + SLOTS - start) % SLOTS) as u64)
    }

    /// The first slot from `start` on, round the wheel, that is not empty.
    fn occupied_from(&self, start: usize) -> Option<usize> {
        let words = self.occupied.len();
        let first = start / 64;
        for step in 0..=words {
            let word = (first + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            } else if step == words {
                bits &= !(u64::MAX << (start % 64));
            }
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
        }
        None
    }
}

fn slot_of(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Sweeps up to `now` as the flow table does: early entries are filed again.
    fn sweep(wheel: &mut Wheel, due: &BTreeMap<u32, u64>, now: u64) -> Vec<u32> {
        let mut out = Vec::new();
        while let Some(entry) = wheel.next(now) {
            let tick = due[&entry];
            if tick <= now {
                out.push(entry);
            } else {
                wheel.file(entry, tick, now);
            }
        }
        out
    }

    #[test]
    fn an_entry_is_due_at_its_tick_and_not_before() {
        let mut wheel = Wheel::new(4);
        let due = BTreeMap::from([(0, 1_700_000_060), (1, 1_700_000_061)]);
        for (&entry, &tick) in &due {
            wheel.file(entry, tick, 1_700_000_000);
        }
        assert_eq!(sweep(&mut wheel, &due, 1_700_000_059), Vec::<u32>::new());
        assert_eq!(sweep(&mut wheel, &due, 1_700_000_060), [0]);
        assert_eq!(sweep(&mut wheel, &due, 1_700_000_061), [1]);
        assert!(wheel.is_empty());
    }

    #[test]
    fn ticks_beyond_the_reach_are_kept_exactly() {
        let mut wheel = Wheel::new(2);
        let due = BTreeMap::from([(0, 10_000), (1, 100)]);
        wheel.file(0, 10_000, 5);
        wheel.file(1, 100, 5);
        for now in 6..10_000 {
            let out = sweep(&mut wheel, &due, now);
            assert_eq!(out, if now == 100 { vec![1] } else { vec![] }, "at {now}");
        }
        assert_eq!(sweep(&mut wheel, &due, 10_000), [0]);
    }

    #[test]
    fn a_jump_of_centuries_hands_out_every_entry_at_most_twice() {
        let mut wheel = Wheel::new(3);
        wheel.file(0, 60, 0);
        wheel.file(1, 600, 0);
        let now = 10_000_000_000;
        wheel.file(2, now + 60, now);
        let mut seen = Vec::new();
        while let Some(entry) = wheel.next(now) {
            seen.push(entry);
            if entry == 2 {
                wheel.file(2, now + 60, now);
            }
        }
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(wheel.next(now + 59), None);
        assert_eq!(wheel.next(now + 60), Some(2));
    }

    #[test]
    fn soonest_goes_through_all_in_order_of_their_ticks() {
        let mut wheel = Wheel::new(8);
        for (entry, tick) in [(0, 900), (1, 20), (2, 1_500), (3, 20), (4, 1_030)] {
            wheel.file(entry, tick, 500);
        }
        assert_eq!(wheel.soonest().collect::<Vec<_>>(), [1, 3, 0, 4, 2]);
        wheel.file(5, 500_000, 400_000);
        assert_eq!(wheel.soonest().collect::<Vec<_>>(), [1, 3, 0, 4, 2, 5]);
        for entry in 0..5 {
            wheel.remove(entry);
        }
        assert_eq!(wheel.soonest().collect::<Vec<_>>(), [5]);
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_sorted_list(
            ops in proptest::collection::vec((0u32..32, 0u64..3000, 0u64..1500, any::<bool>()), 1..200)
        ) {
            let mut wheel = Wheel::new(32);
            let mut due: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = 1_000_000u64;
            for (entry, ahead, step, removed) in ops {
                if removed {
                    wheel.remove(entry);
                    due.remove(&entry);
                } else {
                    due.insert(entry, now + 1 + ahead);
                    wheel.file(entry, now + 1 + ahead, now);
                }
                prop_assert_eq!(wheel.len(), due.len());
                let mut all: Vec<u32> = wheel.soonest().collect();
                all.sort_unstable();
                prop_assert_eq!(&all, &due.keys().copied().collect::<Vec<_>>());
                now += step;
                let mut out = sweep(&mut wheel, &due, now);
                out.sort_unstable();
                let expected: Vec<u32> =
                    due.iter().filter(|(_, tick)| **tick <= now).map(|(entry, _)| *entry).collect();
                prop_assert_eq!(&out, &expected);
                due.retain(|_, tick| *tick > now);
                prop_assert!(wheel.cursor() > now);
            }
        }
    }
}
