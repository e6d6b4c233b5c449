//! [`GroupTable`]: from a packet's protocol, direction and server port to its rule groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use hyperscan::Database;

use super::classify::{TCP, holds_for};
use super::describe::PrefilterInfo;
use super::group::{GroupDraft, RuleGroup};
use super::ports::{Bound, PortClasses, union};
use super::prefilter::PatternStore;
use crate::signature::{Kind, Signature};

/// UDP's IP protocol number.
const UDP: u8 = 17;

/// The groups that a packet meets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Groups<'a> {
    /// Signatures for every port; for protocols other than TCP and UDP, all there are.
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
    /// Class of each port, 0 for none; empty for protocols without ports.
    class_of: Box<[u16]>,
    /// Class `n + 1`'s group.
    classes: Vec<RuleGroup>,
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
    classes: Vec<GroupDraft>,
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
        let mut group = |numbers: &[u32]| GroupDraft::new(numbers, protocol, signatures, store);
        Self {
            common: group(&ports.common),
            class_of: ports.class_of,
            classes: ports.classes.iter().map(|numbers| group(numbers)).collect(),
        }
    }

    fn finish(self, databases: &[Arc<Database>]) -> Option<Directed> {
        Some(Directed {
            common: match self.common {
                empty if empty.is_empty() => None,
                draft => Some(draft.finish(databases)?),
            },
            class_of: self.class_of,
            classes: self
                .classes
                .into_iter()
                .map(|draft| draft.finish(databases))
                .collect::<Option<_>>()?,
        })
    }
}

/// Most ranges of ports that are named.
const RANGES: usize = 4;

/// The ports of a class as ranges, the first few.
fn ports_of(class_of: &[u16], class: u16) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (port, _) in class_of.iter().enumerate().filter(|(_, of)| **of == class) {
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
        let class = directed.class_of.get(usize::from(server_port)).copied().unwrap_or(0);
        let port = usize::from(class).checked_sub(1).and_then(|at| directed.classes.get(at));
        Groups { common: directed.common.as_ref(), port }
    }

    /// Every group.
    pub(crate) fn all(&self) -> impl Iterator<Item = &RuleGroup> {
        self.protocols.iter().flatten().flat_map(|d| d.common.iter().chain(&d.classes))
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
                let classes = (1u16..)
                    .zip(&directed.classes)
                    .map(|(class, group)| (ports_of(&directed.class_of, class), group));
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
