//! [`PortMap`]: a small number for each of 65,536 ports, in as few lines of the cache as there are different ones:
//! most pages of neighbouring ports are alike.

use std::collections::HashMap;

/// Ports of a page, as a power of two.
const PAGE_BITS: u32 = 6;

/// Ports of a page.
const PAGE: usize = 1 << PAGE_BITS;

/// Numbers by port; 0 for every port in one that is empty.
#[derive(Debug, Default)]
pub(crate) struct PortMap {
    /// Of each page of ports, which of `pages` it is.
    page_of: Box<[u16]>,
    /// Each different page once.
    pages: Box<[[u16; PAGE]]>,
}

impl PortMap {
    /// From the numbers of all ports in their order; what is missing is 0.
    pub(crate) fn new(numbers: &[u16]) -> Self {
        let mut known: HashMap<[u16; PAGE], u16> = HashMap::new();
        let mut pages = Vec::new();
        let page_of = numbers
            .chunks(PAGE)
            .map(|chunk| {
                let mut page = [0; PAGE];
                page.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
                *known.entry(page).or_insert_with(|| {
                    pages.push(page);
                    // There are 1,024 pages at the most.
                    (pages.len() - 1) as u16
                })
            })
            .collect();
        Self { page_of, pages: pages.into() }
    }

    /// The port's number.
    #[inline]
    pub(crate) fn get(&self, port: u16) -> u16 {
        let page = self.page_of.get(usize::from(port >> PAGE_BITS));
        let page = page.and_then(|&page| self.pages.get(usize::from(page)));
        page.map_or(0, |page| page[usize::from(port) % PAGE])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_port_has_the_number_it_was_given(
            ranges in proptest::collection::vec((any::<u16>(), 0..3000u16, any::<u16>()), 0..20)
        ) {
            let mut numbers = vec![0; 1 << 16];
            for (low, width, number) in ranges {
                let high = usize::from(low.saturating_add(width));
                numbers[usize::from(low)..=high].fill(number);
            }
            let map = PortMap::new(&numbers);
            prop_assert!((0..=u16::MAX).all(|port| map.get(port) == numbers[usize::from(port)]));
            prop_assert!(map.pages.len() <= 1 + 20 * (3000 / PAGE + 2));
        }
    }

    #[test]
    fn an_empty_one_has_zero_for_every_port() {
        let map = PortMap::new(&[]);
        assert!([0, 80, u16::MAX].iter().all(|&port| map.get(port) == 0));
        let one = PortMap::new(&[0; 1 << 16]);
        assert_eq!(one.pages.len(), 1);
    }
}
