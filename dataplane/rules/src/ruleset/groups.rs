//! [`GroupTable`]: from a packet's protocol, direction and server port to its rule groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyperscan::Database;

use super::classify::{TCP, holds_for};
use super::describe::PrefilterInfo;
use super::group::{GroupDraft, RuleGroup};
use super::port_map::PortMap;
use super::ports::{Bound, PortClasses, union};
use super::prefilter::PatternStore;
use crate::signature::{HeaderTest, Kind, Signature};

/// UDP's IP protocol number.
const UDP: u8 = 17;

/// Port classes per protocol and direction, the largest, whose groups hold the signatures for every
/// port too: one scan of a large database costs less than two, and the ports of most rules are those
/// of most traffic.
const WHOLE_CLASSES: usize = 4;

/// Signatures that such a class has at least.
const WHOLE_SIZE: usize = 12;

/// The groups that a packet meets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Groups<'a> {
    /// Signatures for every port, unless `port` holds them too; for protocols other than TCP and UDP,
    /// all there are.
    pub common: Option<&'a RuleGroup>,
    /// TCP and UDP: signatures bound to some ports, the packet's server port among them.
    pub port: Option<&'a RuleGroup>,
}

/// Groups of every protocol.
#[derive(Debug)]
pub(crate) struct GroupTable {
    /// Which of `protocols` holds for an IP protocol number.
    protocol_of: Box<[u16; 256]>,
    protocols: Vec<[Directed; 2]>,
}

/// Groups of one protocol in one direction.
#[derive(Debug, Default)]
struct Directed {
    common: Option<RuleGroup>,
    /// Class of each port, 0 for none.
    class_of: PortMap,
    /// Class `n + 1`'s group, and whether it holds the signatures for every port too.
    classes: Vec<(RuleGroup, bool)>,
}

/// A [`GroupTable`] whose databases are not compiled yet.
#[derive(Debug)]
pub(crate) struct GroupTableDraft {
    protocol_of: Box<[u16; 256]>,
    protocols: Vec<[DirectedDraft; 2]>,
}

#[derive(Debug)]
struct DirectedDraft {
    common: GroupDraft,
    class_of: Box<[u16]>,
    classes: Vec<(GroupDraft, bool)>,
}

impl GroupTableDraft {
    /// Sorts every signature that packets are tested against into groups. Each IP protocol that
    /// a signature names has its own; all others share those of the signatures that name none.
    pub(crate) fn new(signatures: &[Signature], store: &mut PatternStore) -> Self {
        let mut named: BTreeSet<u8> =
            signatures.iter().flat_map(|s| s.protocol.ip_protocols).copied().collect();
        named.extend([TCP, UDP]);

        let mut protocol_of = Box::new([0u16; 256]);
        // 255 is reserved and stands for the protocols that no signature names.
        named.remove(&255);
        let mut protocols = vec![both_directions(255, signatures, store)];
        for (place, protocol) in (1..).zip(named) {
            if let Some(slot) = protocol_of.get_mut(usize::from(protocol)) {
                *slot = place;
            }
            protocols.push(both_directions(protocol, signatures, store));
        }
        Self { protocol_of, protocols }
    }

    /// The table with its databases; None if one is missing.
    pub(crate) fn finish(self, databases: &[Arc<Database>]) -> Option<GroupTable> {
        let protocols = self
            .protocols
            .into_iter()
            .map(|[to_server, to_client]| {
                Some([to_server.finish(databases)?, to_client.finish(databases)?])
            })
            .collect::<Option<_>>()?;
        Some(GroupTable { protocol_of: self.protocol_of, protocols })
    }
}

fn both_directions(
    protocol: u8,
    signatures: &[Signature],
    store: &mut PatternStore,
) -> [DirectedDraft; 2] {
    [0, 1].map(|direction| DirectedDraft::new(protocol, direction, signatures, store))
}

impl DirectedDraft {
    fn new(
        protocol: u8,
        direction: usize,
        signatures: &[Signature],
        store: &mut PatternStore,
    ) -> Self {
        let mut bound = Vec::new();
        let mut common = Vec::new();
        for (number, signature) in (0u32..).zip(signatures) {
            let met = !matches!(signature.kind, Kind::IpOnly | Kind::Transaction | Kind::Event)
                && holds_for(signature, protocol)
                && asks_for(signature, protocol)
                && if direction == 0 { signature.to_server } else { signature.to_client };
            if !met {
                continue;
            }
            // The server's port is the destination's on the way to it, the source's back.
            let (ahead, behind) = if direction == 0 {
                (&signature.dst_port, &signature.src_port)
            } else {
                (&signature.src_port, &signature.dst_port)
            };
            let sets = [ahead, behind];
            let ports = union(if signature.bidirectional { &sets } else { &sets[..1] });
            match ports {
                Some(ports) if protocol == TCP || protocol == UDP => {
                    bound.push(Bound { signature: number, ports });
                }
                _ => common.push(number),
            }
        }
        let ports = if bound.is_empty() {
            PortClasses { class_of: Box::default(), classes: Vec::new(), common }
        } else {
            PortClasses::new(bound, common)
        };
        let whole = largest(&ports.classes);
        let mut group = |numbers: &[u32]| GroupDraft::new(numbers, protocol, signatures, store);
        let common = group(&ports.common);
        let classes = ports.classes.iter().zip(whole).map(|(numbers, whole)| {
            if !whole {
                return (group(numbers), false);
            }
            let mut all = [numbers.as_slice(), &ports.common].concat();
            all.sort_unstable();
            all.dedup();
            (group(&all), true)
        });
        Self { common, classes: classes.collect(), class_of: ports.class_of }
    }

    fn finish(self, databases: &[Arc<Database>]) -> Option<Directed> {
        Some(Directed {
            common: match self.common {
                empty if empty.is_empty() => None,
                draft => Some(draft.finish(databases)?),
            },
            class_of: PortMap::new(&self.class_of),
            classes: self
                .classes
                .into_iter()
                .map(|(draft, whole)| Some((draft.finish(databases)?, whole)))
                .collect::<Option<_>>()?,
        })
    }
}

/// Which classes are to hold the signatures for every port too.
fn largest(classes: &[Vec<u32>]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    let size = |at: usize| classes.get(at).map_or(0, Vec::len);
    order.sort_by_key(|&at| std::cmp::Reverse(size(at)));
    let mut whole = vec![false; classes.len()];
    for at in order.into_iter().take(WHOLE_CLASSES).filter(|&at| size(at) >= WHOLE_SIZE) {
        if let Some(whole) = whole.get_mut(at) {
            *whole = true;
        }
    }
    whole
}

/// Does `ip_proto` leave the protocol in? 255 stands for all that no signature names.
fn asks_for(signature: &Signature, protocol: u8) -> bool {
    protocol == 255
        || signature.header.iter().all(|test| match test {
            HeaderTest::IpProto(compare) => compare.holds(protocol),
            _ => true,
        })
}

/// Most ranges of ports that are named.
const RANGES: usize = 4;

/// The ports of a class as ranges, the first few.
fn ports_of(class_of: &PortMap, class: u16) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let its = (0..=u16::MAX).filter(|&port| class_of.get(port) == class);
    for port in its.map(usize::from) {
        match ranges.last_mut() {
            Some(last) if last.1 + 1 == port => last.1 = port,
            _ => ranges.push((port, port)),
        }
    }
    let mut text: Vec<String> = ranges
        .iter()
        .take(RANGES)
        .map(|&(low, high)| if low == high { low.to_string() } else { format!("{low}:{high}") })
        .collect();
    if ranges.len() > RANGES {
        text.push(format!("… ({} ranges)", ranges.len()));
    }
    text.join(",")
}

impl GroupTable {
    /// The groups of an IP protocol, direction (0: to the server) and server port.
    #[inline]
    pub(crate) fn find(&self, protocol: u8, direction: usize, server_port: u16) -> Groups<'_> {
        let place = self.protocol_of[usize::from(protocol)];
        let Some(directed) =
            self.protocols.get(usize::from(place)).and_then(|both| both.get(direction))
        else {
            return Groups::default();
        };
        let class = directed.class_of.get(server_port);
        let at = usize::from(class).checked_sub(1);
        match at.and_then(|at| directed.classes.get(at)) {
            Some((port, true)) => Groups { common: None, port: Some(port) },
            Some((port, false)) => Groups { common: directed.common.as_ref(), port: Some(port) },
            None => Groups { common: directed.common.as_ref(), port: None },
        }
    }

    /// Every group.
    pub(crate) fn all(&self) -> impl Iterator<Item = &RuleGroup> {
        self.protocols
            .iter()
            .flatten()
            .flat_map(|d| d.common.iter().chain(d.classes.iter().map(|(group, _)| group)))
    }

    /// What there is to tell of every prefilter.
    pub(crate) fn describe(&self) -> Vec<PrefilterInfo> {
        let mut out = Vec::new();
        for (place, both) in self.protocols.iter().enumerate() {
            let number =
                self.protocol_of.iter().position(|&p| usize::from(p) == place && place > 0);
            let protocol = match number {
                Some(6) => "tcp".to_owned(),
                Some(17) => "udp".to_owned(),
                Some(number) => number.to_string(),
                None => "other".to_owned(),
            };
            for (direction, directed) in both.iter().enumerate() {
                let classes = (1u16..).zip(&directed.classes).map(|(class, (group, whole))| {
                    let ports = ports_of(&directed.class_of, class);
                    (if *whole { format!("any+{ports}") } else { ports }, group)
                });
                let common = directed.common.iter().map(|group| ("any".to_owned(), group));
                for (ports, group) in common.chain(classes) {
                    out.extend(group.describe().into_iter().map(|info| PrefilterInfo {
                        protocol: protocol.clone(),
                        direction,
                        ports: ports.clone(),
                        ..info
                    }));
                }
            }
        }
        out
    }

    /// Port classes of TCP and UDP in both directions together.
    pub(crate) fn port_classes(&self) -> usize {
        self.protocols.iter().flatten().map(|directed| directed.classes.len()).sum()
    }
}
