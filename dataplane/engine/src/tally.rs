//! What each resource lost, or could not have inspected whole: added up on the core by the resource's
//! number in the generation, and handed to the control side, which knows the names, now and then.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use wire::Nanos;

use crate::scope::{Hits, Scope};

/// How long what is new may stay with the core.
const HAND_OVER_AFTER: Nanos = 200_000_000;

/// What became of one resource's traffic, beside being inspected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Packets shed because a core was overloaded.
    pub shed_packets: u64,
    /// Bytes of them, whole frames.
    pub shed_bytes: u64,
    /// Packets that were captured in part.
    pub cut_packets: u64,
    /// TCP flows of which enough was seen to tell whether both sides are mirrored.
    pub tcp_flows: u64,
    /// Those of them of which one side only was seen.
    pub one_sided_flows: u64,
    /// Payload bytes that TCP has carried, seen or not, of flows that have ended.
    pub tcp_bytes: u64,
    /// Payload bytes that the other side has acknowledged, and that were never seen: an estimate of
    /// what the mirror lost.
    pub missed_bytes: u64,
}

impl Tally {
    /// Adds another one's counts.
    pub fn add(&mut self, other: &Self) {
        self.shed_packets += other.shed_packets;
        self.shed_bytes += other.shed_bytes;
        self.cut_packets += other.cut_packets;
        self.tcp_flows += other.tcp_flows;
        self.one_sided_flows += other.one_sided_flows;
        self.tcp_bytes += other.tcp_bytes;
        self.missed_bytes += other.missed_bytes;
    }
}

/// The tallies of a generation's resources, by their numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenerationTallies {
    /// The generation that the numbers are of.
    pub generation: u64,
    /// By number.
    pub resources: Vec<Tally>,
}

/// The core's end.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    current: GenerationTallies,
    is_new: bool,
    handed_over: Nanos,
}

impl Tallies {
    /// Changes the tallies of all resources whose scope these addresses are in.
    pub(crate) fn change(&mut self, scope: &Scope, hits: &Hits, change: impl Fn(&mut Tally)) {
        let resources = &mut self.current.resources;
        scope.each_resource(hits, |number| {
            let at = number as usize;
            if resources.len() <= at {
                resources.resize(at + 1, Tally::default());
            }
            if let Some(tally) = resources.get_mut(at) {
                change(tally);
            }
        });
        self.is_new = true;
    }

    /// Hands over what is new if it is time to, and nobody reads right now.
    #[inline]
    pub(crate) fn pass_time(&mut self, now: Nanos, to: &TallyBox) {
        if self.is_new && now.saturating_sub(self.handed_over) >= HAND_OVER_AFTER {
            self.handed_over = now;
            if let Ok(mut waiting) = to.0.try_lock() {
                self.put(&mut waiting);
            }
        }
    }

    /// Hands over everything, and goes on with another generation's numbers.
    pub(crate) fn adopt(&mut self, generation: u64, to: &TallyBox) {
        self.hand_over(to);
        self.current.generation = generation;
    }

    /// Hands over everything.
    pub(crate) fn hand_over(&mut self, to: &TallyBox) {
        if self.is_new {
            self.put(&mut to.0.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn put(&mut self, waiting: &mut Vec<GenerationTallies>) {
        self.is_new = false;
        match waiting.last_mut().filter(|last| last.generation == self.current.generation) {
            Some(last) => {
                if last.resources.len() < self.current.resources.len() {
                    last.resources.resize(self.current.resources.len(), Tally::default());
                }
                for (to, from) in last.resources.iter_mut().zip(&self.current.resources) {
                    to.add(from);
                }
                self.current.resources.clear();
            }
            None => {
                let resources = std::mem::take(&mut self.current.resources);
                let generation = self.current.generation;
                waiting.push(GenerationTallies { generation, resources });
            }
        }
    }
}

/// What cores have handed over and the control side has not taken yet.
#[derive(Debug, Default)]
pub struct TallyBox(Mutex<Vec<GenerationTallies>>);

impl TallyBox {
    /// Takes it.
    pub fn take(&self) -> Vec<GenerationTallies> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Address;
    use std::net::IpAddr;

    fn scope() -> Scope {
        let of = |resources: &[u32]| Address {
            resources: resources.to_vec(),
            rulesets: 1,
            ..Address::default()
        };
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        Scope::of([(address(1), of(&[0, 2])), (address(2), of(&[2]))], 7)
    }

    fn hits(scope: &Scope, src: u8, dst: u8) -> Hits {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, src];
        packet.extend([10, 0, 0, dst, 0, 1, 0, 2, 0, 8, 0, 0]);
        let config = wire::Config { verify_checksums: false, ..wire::Config::default() };
        scope.lookup(&wire::decode(wire::LinkType::RawIp, &packet, &config).expect("a packet"))
    }

    #[test]
    fn a_resource_of_both_sides_is_counted_once_and_generations_are_kept_apart() {
        let (scope, waiting) = (scope(), TallyBox::default());
        let mut tallies = Tallies::default();
        tallies.adopt(1, &waiting);
        let count = |tally: &mut Tally| tally.shed_packets += 1;
        tallies.change(&scope, &hits(&scope, 1, 2), count);
        tallies.change(&scope, &hits(&scope, 9, 2), count);
        tallies.adopt(2, &waiting);
        tallies.change(&scope, &hits(&scope, 1, 9), count);
        tallies.pass_time(HAND_OVER_AFTER, &waiting);
        tallies.change(&scope, &hits(&scope, 1, 9), count);
        tallies.hand_over(&waiting);
        let shed: Vec<(u64, Vec<u64>)> = waiting
            .take()
            .into_iter()
            .map(|it| (it.generation, it.resources.iter().map(|t| t.shed_packets).collect()))
            .collect();
        assert_eq!(shed, [(1, vec![1, 0, 2]), (2, vec![2, 0, 2])]);
        assert!(waiting.take().is_empty());
    }
}
