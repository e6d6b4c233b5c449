//! [`PortClasses`]: ports with equal sets of port-bound signatures share a class, so that any
//! port leads to its rule group with one look.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::signature::PortSet;

/// A set that covers more ports than this is treated as if it covered all: such a range says
/// little about the service, and a scan of its own for every packet to it costs more than a few
/// patterns more in the one that every packet has anyway.
const WIDE: u32 = 4096;

/// Most classes per protocol and direction; a database or more stands behind each.
const MAX_CLASSES: usize = 512;

/// Most classes that a class number can tell apart.
const MOST_CLASSES: usize = u16::MAX as usize;

/// Most times, on average, that a port-bound signature may stand in a class.
const MAX_COPIES: usize = 4;

/// Ports of one protocol and direction, and the signatures bound to them.
#[derive(Debug)]
pub(crate) struct PortClasses {
    /// Class of each port; 0: no port-bound signatures.
    pub(crate) class_of: Box<[u16]>,
    /// The signatures of class `n + 1`, sorted.
    pub(crate) classes: Vec<Vec<u32>>,
    /// The signatures for every port, sorted; ports are checked again when one is verified.
    pub(crate) common: Vec<u32>,
}

/// A signature and the ports it holds for.
pub(crate) struct Bound {
    pub(crate) signature: u32,
    pub(crate) ports: Vec<(u16, u16)>,
}

impl Bound {
    /// Number of ports.
    fn width(&self) -> u32 {
        self.ports.iter().map(|&(low, high)| u32::from(high.saturating_sub(low)) + 1).sum()
    }
}

/// The union of port sets as ranges that may overlap; None for all ports.
pub(crate) fn union(sets: &[&PortSet]) -> Option<Vec<(u16, u16)>> {
    if sets.iter().any(|set| set.any) {
        return None;
    }
    let mut ranges: Vec<(u16, u16)> =
        sets.iter().flat_map(|set| set.ranges.iter().copied()).collect();
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    Some(merged)
}

impl PortClasses {
    /// Sorts signatures into classes. `common` are those for all ports. Where there would be too
    /// many classes, or too many copies of signatures in them, the widest port sets go to all
    /// ports first, then those of the least populated classes.
    pub(crate) fn new(mut bound: Vec<Bound>, mut common: Vec<u32>) -> Self {
        let mut width = WIDE;
        let partition = loop {
            bound.retain(|b| {
                let keep = b.width() <= width;
                if !keep {
                    common.push(b.signature);
                }
                keep
            });
            match Partition::of(&bound, MAX_CLASSES, bound.len() * MAX_COPIES) {
                Some(partition) => break partition,
                None if width > 1 => width /= 2,
                None => {
                    keep_fullest(&mut bound, &mut common);
                    break Partition::of(&bound, usize::MAX, usize::MAX).unwrap_or_default();
                }
            }
        };
        common.sort_unstable();
        common.dedup();
        Self { class_of: partition.class_of, classes: partition.classes, common }
    }
}

/// Moves the signatures of all but the ports with the most of them to `common`. Every signature
/// has a single port here.
fn keep_fullest(bound: &mut Vec<Bound>, common: &mut Vec<u32>) {
    let port = |b: &Bound| b.ports.first().map_or(0, |&(low, _)| low);
    let mut populations: HashMap<u16, usize> = HashMap::new();
    for b in bound.iter() {
        *populations.entry(port(b)).or_default() += 1;
    }
    let mut ports: Vec<(usize, u16)> = populations.into_iter().map(|(p, n)| (n, p)).collect();
    ports.sort_unstable_by(|a, b| b.cmp(a));
    let kept: HashSet<u16> = ports.into_iter().take(MAX_CLASSES).map(|(_, port)| port).collect();
    bound.retain(|b| {
        let keep = kept.contains(&port(b));
        if !keep {
            common.push(b.signature);
        }
        keep
    });
}

/// Class per port and the classes' signatures.
#[derive(Default)]
struct Partition {
    class_of: Box<[u16]>,
    classes: Vec<Vec<u32>>,
}

impl Partition {
    /// None if there would be more than `max_classes`, or more than `max_copies` signatures in
    /// all of them together.
    fn of(bound: &[Bound], max_classes: usize, max_copies: usize) -> Option<Self> {
        // What begins and ends where; between two such ports the set stays the same. Sets are
        // told apart by the sum (exclusive or) of their members' random 128-bit names, because
        // comparing them whole at each of up to 65,536 steps would take hostile rules' time.
        let names = [RandomState::new(), RandomState::new()];
        let mut events: Vec<(u32, bool, u32)> = Vec::new();
        for b in bound {
            for &(low, high) in &b.ports {
                events.push((u32::from(low), true, b.signature));
                events.push((u32::from(high) + 1, false, b.signature));
            }
        }
        events.sort_unstable();

        let mut class_of = vec![0u16; 65_536].into_boxed_slice();
        let mut classes: Vec<Vec<u32>> = Vec::new();
        let mut copies = 0;
        let mut known: HashMap<[u64; 2], u16> = HashMap::new();
        let mut active = BTreeSet::new();
        let mut active_name = [0u64; 2];
        for (at, &(port, begins, signature)) in events.iter().enumerate() {
            let changed = if begins { active.insert(signature) } else { active.remove(&signature) };
            if changed {
                for (name, hasher) in active_name.iter_mut().zip(&names) {
                    *name ^= hasher.hash_one(signature);
                }
            }
            let Some(&(next, ..)) = events.get(at + 1) else { break };
            if next == port || active.is_empty() {
                continue;
            }
            let class = match known.get(&active_name) {
                Some(&class) => class,
                None => {
                    copies += active.len();
                    if classes.len() >= max_classes.min(MOST_CLASSES) || copies > max_copies {
                        return None;
                    }
                    classes.push(active.iter().copied().collect());
                    let class = classes.len() as u16;
                    known.insert(active_name, class);
                    class
                }
            };
            if let Some(ports) = class_of.get_mut(port as usize..next as usize) {
                ports.fill(class);
            }
        }
        Some(Self { class_of, classes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::testing::{any_port, ports};
    use proptest::prelude::*;

    fn bound(ranges: &[&[(u16, u16)]]) -> Vec<Bound> {
        (0..).zip(ranges).map(|(signature, r)| Bound { signature, ports: r.to_vec() }).collect()
    }

    /// The signatures that a port leads to, with those for all ports.
    fn found(classes: &PortClasses, port: u16) -> Vec<u32> {
        let class = usize::from(classes.class_of[usize::from(port)]);
        let bound = class.checked_sub(1).map_or(&[][..], |at| &classes.classes[at]);
        classes.common.iter().chain(bound).copied().collect()
    }

    #[test]
    fn equal_sets_share_a_class() {
        let classes = PortClasses::new(
            bound(&[&[(80, 80), (8080, 8080)], &[(80, 80), (8080, 8080)]]),
            vec![],
        );
        assert_eq!(classes.classes, [[0, 1]]);
        assert_eq!(classes.class_of[80], classes.class_of[8080]);
        assert_eq!(classes.class_of[81], 0);
    }

    #[test]
    fn the_first_and_the_last_port_are_ports() {
        let classes = PortClasses::new(bound(&[&[(0, 0)], &[(65_535, 65_535)]]), vec![]);
        assert_eq!(found(&classes, 0), [0]);
        assert_eq!(found(&classes, 65_535), [1]);
    }

    #[test]
    fn wide_sets_belong_to_every_port() {
        let classes = PortClasses::new(bound(&[&[(0, 79), (81, 65_535)], &[(25, 25)]]), vec![7]);
        assert_eq!(classes.common, [0, 7]);
        assert_eq!(classes.classes, [[1]]);
    }

    #[test]
    fn too_many_ports_leave_the_fullest() {
        let mut ranges: Vec<Vec<(u16, u16)>> =
            (1000..3000).map(|port| vec![(port, port)]).collect();
        ranges.extend([vec![(25, 25)], vec![(25, 25)]]);
        let ranges: Vec<&[(u16, u16)]> = ranges.iter().map(Vec::as_slice).collect();
        let classes = PortClasses::new(bound(&ranges), vec![]);
        assert_eq!(classes.classes.len(), MAX_CLASSES);
        assert!(classes.classes.contains(&vec![2000, 2001]));
        assert_eq!(classes.common.len(), 2000 - (MAX_CLASSES - 1));
        for port in 1000..3000 {
            assert!(found(&classes, port).contains(&u32::from(port - 1000)));
        }
    }

    #[test]
    fn nested_ranges_are_not_copied_into_every_class() {
        let ranges: Vec<[(u16, u16); 1]> = (0..10_000).map(|i| [(i / 8, 4000 - i / 8)]).collect();
        let ranges: Vec<&[(u16, u16)]> = ranges.iter().map(|r| &r[..]).collect();
        let classes = PortClasses::new(bound(&ranges), vec![]);
        assert!(classes.classes.len() <= MAX_CLASSES);
        let copies: usize = classes.classes.iter().map(Vec::len).sum();
        assert!(copies <= 10_000 * MAX_COPIES);
        assert_eq!(found(&classes, 2000).len(), 10_000);
    }

    #[test]
    fn unions_merge_what_touches_and_any_is_all() {
        let sets = [&ports(&[(10, 20), (30, 40)]), &ports(&[(21, 25), (35, 50)])];
        assert_eq!(union(&sets), Some(vec![(10, 25), (30, 50)]));
        assert_eq!(union(&[&ports(&[(1, 65_535)]), &any_port()]), None);
        assert_eq!(union(&[&ports(&[])]), Some(vec![]));
    }

    proptest! {
        #[test]
        fn every_port_leads_to_every_signature_that_holds_for_it(
            sets in proptest::collection::vec(
                proptest::collection::vec((any::<u16>(), 0u16..9000), 0..3),
                0..12,
            ),
            probes in proptest::collection::vec(any::<u16>(), 20),
        ) {
            let sets: Vec<PortSet> = sets
                .into_iter()
                .map(|set| {
                    let ranges: Vec<_> =
                        set.into_iter().map(|(low, len)| (low, low.saturating_add(len))).collect();
                    ports(&ranges)
                })
                .collect();
            let bound = (0..)
                .zip(&sets)
                .map(|(signature, set)| Bound { signature, ports: union(&[set]).unwrap() })
                .collect();
            let classes = PortClasses::new(bound, vec![]);
            let edges = sets.iter().flat_map(|set| set.ranges.iter().flat_map(|&(l, h)| [l, h]));
            for port in probes.iter().copied().chain(edges) {
                let found = found(&classes, port);
                for (signature, set) in (0..).zip(&sets) {
                    prop_assert!(!set.contains(port) || found.contains(&signature));
                }
            }
        }
    }
}
