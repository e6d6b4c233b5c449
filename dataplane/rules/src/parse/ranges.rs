//! Sets of numbers as sorted, disjoint, inclusive ranges: union and difference.

/// A number that ranges are made of.
pub(crate) trait Bound: Ord + Copy {
    /// The smallest.
    const LOWEST: Self;
    /// The largest.
    const HIGHEST: Self;
    /// The number after it.
    fn after(self) -> Option<Self>;
    /// The number before it.
    fn before(self) -> Option<Self>;
}

macro_rules! bound {
    ($($number:ty),*) => {$(
        impl Bound for $number {
            const LOWEST: Self = Self::MIN;
            const HIGHEST: Self = Self::MAX;
            fn after(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}

bound!(u16, u32, u128);

/// Sorts ranges and joins those that overlap or touch.
pub(crate) fn union<T: Bound>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match joined.last_mut() {
            Some((_, end)) if end.after().is_none_or(|next| low <= next) => *end = high.max(*end),
            _ => joined.push((low, high)),
        }
    }
    joined
}

/// What is in the first set and not in the second; both as [`union`] leaves them.
pub(crate) fn difference<T: Bound>(from: &[(T, T)], without: &[(T, T)]) -> Vec<(T, T)> {
    let mut left = Vec::with_capacity(from.len());
    let mut holes = without.iter().peekable();
    for &(low, high) in from {
        let mut start = Some(low);
        while let Some(&&(hole_low, hole_high)) = holes.peek() {
            let Some(low) = start.filter(|&low| low <= high) else { break };
            if hole_high < low {
                holes.next();
                continue;
            }
            if hole_low > high {
                break;
            }
            if let Some(end) = hole_low.before().filter(|&end| low <= end) {
                left.push((low, end));
            }
            start = hole_high.after();
        }
        if let Some(low) = start.filter(|&low| low <= high) {
            left.push((low, high));
        }
    }
    left
}

/// Is it every number?
pub(crate) fn is_everything<T: Bound>(ranges: &[(T, T)]) -> bool {
    matches!(ranges, [(low, high)] if *low == T::LOWEST && *high == T::HIGHEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ordered(pairs: Vec<(u16, u16)>) -> Vec<(u16, u16)> {
        pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect()
    }

    fn holds(ranges: &[(u16, u16)], value: u16) -> bool {
        ranges.iter().any(|&(low, high)| low <= value && value <= high)
    }

    fn edges(ranges: &[(u16, u16)]) -> Vec<u16> {
        let near = |n: u16| [n.saturating_sub(1), n, n.saturating_add(1)];
        ranges.iter().flat_map(|&(low, high)| near(low).into_iter().chain(near(high))).collect()
    }

    proptest! {
        #[test]
        fn union_and_difference_agree_with_membership(
            a in proptest::collection::vec(any::<(u16, u16)>(), 0..8),
            b in proptest::collection::vec(any::<(u16, u16)>(), 0..8),
        ) {
            let (a, b) = (ordered(a), ordered(b));
            let (joined_a, joined_b) = (union(a.clone()), union(b.clone()));
            let left = difference(&joined_a, &joined_b);
            for pair in joined_a.windows(2).chain(left.windows(2)) {
                prop_assert!(pair[0].1 < pair[1].0);
            }
            for value in edges(&a).into_iter().chain(edges(&b)).chain([0, u16::MAX]) {
                prop_assert_eq!(holds(&joined_a, value), holds(&a, value));
                prop_assert_eq!(holds(&left, value), holds(&a, value) && !holds(&b, value));
            }
        }
    }

    #[test]
    fn everything_is_known_as_such() {
        assert!(is_everything(&union(vec![(0u16, 80), (81, u16::MAX)])));
        assert!(!is_everything(&union(vec![(0u16, 80), (82, u16::MAX)])));
        assert!(difference(&[(0, u16::MAX)], &[(0, u16::MAX)]).is_empty());
    }
}
