//! [`PortClasses`]: ports with equal sets of port-bound signatures share a class, so that any
//! port leads to its rule group with one look.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::signature::PortSet;

/// A set that covers more ports than this is treated as if it covered all.
const WIDE: u32 = 32_768;

/// Most classes per protocol and direction; a database or more stands behind each.
const MAX_CLASSES: usize = 160;

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
