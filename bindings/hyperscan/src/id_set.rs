//! [`IdSet`]: which databases a scratch was made for, asked before every scan and
//! therefore answered with one look as a rule.

/// A fixed set of non-zero numbers in an open-addressed table at most half full. The ids
/// of databases are counted up, so their low bits alone spread them well.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdSet {
    /// A power of two of slots, or none at all; 0 is a free slot.
    slots: Box<[u64]>,
}

impl IdSet {
    pub(crate) fn new(ids: &[u64]) -> Self {
        if ids.is_empty() {
            return Self::default();
        }
        let mut slots = vec![0; (ids.len() * 2).next_power_of_two()].into_boxed_slice();
        let mask = slots.len() - 1;
        for &id in ids {
            let mut slot = id as usize & mask;
            while slots[slot] != 0 && slots[slot] != id {
                slot = (slot + 1) & mask;
            }
            slots[slot] = id;
        }
        Self { slots }
    }

    #[inline]
    pub(crate) fn contains(&self, id: u64) -> bool {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = id as usize & mask;
        // Ends at a free slot at the latest: at most half of them are taken.
        while let Some(&found) = self.slots.get(slot) {
            if found == id {
                return true;
            }
            if found == 0 {
                return false;
            }
            slot = (slot + 1) & mask;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_set_contains_nothing() {
        assert!(!IdSet::new(&[]).contains(1));
        assert!(!IdSet::new(&[]).contains(u64::MAX));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_tree(
            ids in proptest::collection::vec(1u64..60, 0..40),
            asked in proptest::collection::vec(1u64..60, 0..40),
        ) {
            let set = IdSet::new(&ids);
            let model: BTreeSet<u64> = ids.into_iter().collect();
            for id in asked {
                prop_assert_eq!(set.contains(id), model.contains(&id));
            }
        }
    }
}
