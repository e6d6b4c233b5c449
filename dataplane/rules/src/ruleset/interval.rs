//! [`IntervalIndex`]: which of many ranges hold a value, without walking over the others and
//! without memory beyond a logarithm of their number, however they overlap.

/// Ranges with a label each, as a segment tree over the elementary intervals between their ends.
#[derive(Debug)]
pub(crate) struct IntervalIndex<T> {
    /// Where elementary intervals begin, ascending; the last one ends with the type's values.
    starts: Box<[T]>,
    /// Labels of tree node `n`: `labels[offsets[n]..offsets[n + 1]]`. Node 1 is the root, node
    /// `starts.len() + i` the leaf of interval `i`.
    offsets: Box<[usize]>,
    labels: Box<[u32]>,
    /// Which of the values' upper 16 bits some range holds, as a bit each: one look answers for most values, where the
    /// way through the tree is forty lines of the cache.
    held: Box<[u64]>,
}

/// Types that [`IntervalIndex`] can be made over.
pub(crate) trait Point: Copy + Ord {
    /// The next value; None behind the last.
    fn after(self) -> Option<Self>;

    /// Its upper 16 bits.
    fn upper(self) -> u16;
}

impl Point for u32 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn upper(self) -> u16 {
        (self >> (Self::BITS - u16::BITS)) as u16
    }
}

impl Point for u128 {
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn upper(self) -> u16 {
        (self >> (Self::BITS - u16::BITS)) as u16
    }
}

impl<T: Point> IntervalIndex<T> {
    /// From inclusive ranges `(low, high, label)`.
    pub(crate) fn new(ranges: &[(T, T, u32)]) -> Self {
        let mut starts: Vec<T> =
            ranges.iter().flat_map(|&(low, high, _)| [Some(low), high.after()]).flatten().collect();
        starts.sort_unstable();
        starts.dedup();

        // Counted first, placed second.
        let leaves = starts.len();
        let mut offsets = vec![0usize; 2 * leaves + 1];
        for &(low, high, _) in ranges {
            cover(&starts, low, high, |node| offsets[node + 1] += 1);
        }
        let mut sum = 0;
        for offset in &mut offsets {
            sum += *offset;
            *offset = sum;
        }
        let mut labels = vec![0u32; sum];
        let mut next = offsets.clone();
        for &(low, high, label) in ranges {
            cover(&starts, low, high, |node| {
                labels[next[node]] = label;
                next[node] += 1;
            });
        }
        let held = held(ranges);
        Self { starts: starts.into(), offsets: offsets.into(), labels: labels.into(), held }
    }

    /// Calls `each` with the labels of the ranges that hold `value`, once per range.
    #[inline]
    pub(crate) fn find(&self, value: T, mut each: impl FnMut(u32)) {
        let (word, bit) = place(value.upper());
        if self.held.get(word).is_none_or(|word| word & bit == 0) {
            return;
        }
        let Some(interval) = self.starts.partition_point(|&start| start <= value).checked_sub(1)
        else {
            return;
        };
        let mut node = self.starts.len() + interval;
        while node > 0 {
            let bounds = (self.offsets.get(node), self.offsets.get(node + 1));
            if let (Some(&from), Some(&to)) = bounds
                && let Some(labels) = self.labels.get(from..to)
            {
                labels.iter().copied().for_each(&mut each);
            }
            node /= 2;
        }
    }
}

/// The word and the bit of [`IntervalIndex::held`] for the upper bits of a value.
#[inline]
fn place(upper: u16) -> (usize, u64) {
    (usize::from(upper) / 64, 1 << (upper % 64))
}

/// The bits of [`IntervalIndex::held`]; nothing where there are no ranges.
fn held<T: Point>(ranges: &[(T, T, u32)]) -> Box<[u64]> {
    if ranges.is_empty() {
        return Box::default();
    }
    let mut words = vec![0u64; (1 << u16::BITS) / 64];
    // Wide ranges overlap: each bit is set once.
    let mut wide: Vec<(u16, u16)> =
        ranges.iter().map(|&(low, high, _)| (low.upper(), high.upper())).collect();
    wide.sort_unstable();
    let mut next = 0u32;
    for (low, high) in wide {
        for upper in u32::from(low).max(next)..=u32::from(high) {
            let (word, bit) = place(upper as u16);
            words[word] |= bit;
        }
        next = next.max(u32::from(high) + 1);
    }
    words.into()
}

/// Calls `each` with the tree nodes that together cover the range exactly.
fn cover<T: Point>(starts: &[T], low: T, high: T, mut each: impl FnMut(usize)) {
    let leaves = starts.len();
    let mut from = leaves + starts.partition_point(|&start| start < low);
    let mut to = leaves + starts.partition_point(|&start| start <= high);
    while from < to {
        if from % 2 == 1 {
            each(from);
            from += 1;
        }
        if to % 2 == 1 {
            to -= 1;
            each(to);
        }
        from /= 2;
        to /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found<T: Point>(index: &IntervalIndex<T>, value: T) -> Vec<u32> {
        let mut labels = Vec::new();
        index.find(value, |label| labels.push(label));
        labels.sort_unstable();
        labels
    }

    #[test]
    fn nothing_is_found_where_there_is_nothing() {
        assert_eq!(found(&IntervalIndex::<u32>::new(&[]), 7), []);
        let index = IntervalIndex::new(&[(5u32, 6, 1)]);
        assert_eq!(found(&index, 4), []);
        assert_eq!(found(&index, 6), [1]);
        assert_eq!(found(&index, 7), []);
    }

    #[test]
    fn the_last_value_can_be_held() {
        let index = IntervalIndex::new(&[(3u128, u128::MAX, 1), (u128::MAX, u128::MAX, 2)]);
        assert_eq!(found(&index, u128::MAX), [1, 2]);
        assert_eq!(found(&index, 2), []);
    }

    #[test]
    fn nested_ranges_do_not_multiply() {
        let ranges: Vec<_> = (0..20_000u32).map(|i| (i, 100_000 - i, i)).collect();
        let index = IntervalIndex::new(&ranges);
        assert!(index.labels.len() < 20_000 * 34, "{}", index.labels.len());
        assert_eq!(found(&index, 50_000).len(), 20_000);
        assert_eq!(found(&index, 10), (0..=10).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn it_finds_what_a_walk_over_all_ranges_finds(
            ranges in proptest::collection::vec((0u32..60, 0u32..20), 0..40),
            value in 0u32..90,
        ) {
            let ranges: Vec<_> =
                ranges.into_iter().zip(0..).map(|((low, len), i)| (low, low + len, i)).collect();
            let walked: Vec<u32> = ranges
                .iter()
                .filter(|(low, high, _)| (low..=high).contains(&&value))
                .map(|&(_, _, label)| label)
                .collect();
            prop_assert_eq!(found(&IntervalIndex::new(&ranges), value), walked);
        }
    }
}
