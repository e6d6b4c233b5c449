//! Which addresses are in the scope of at least one resource, and whose they are.
//! Built by the control side, looked up for every IP layer of every packet.

use std::collections::HashMap;
use std::net::IpAddr;

use wire::{Decoded, IpLayer, MAX_IP_LAYERS};

/// Stands for "no known endpoint".
pub const NO_ADDRESS: u32 = u32::MAX;

/// What is known of one address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Endpoints that hold it; more than one is an ambiguity that an alert does not guess about.
    pub endpoints: Vec<u32>,
    /// Resources whose scope it is in, ascending.
    pub resources: Vec<u32>,
    /// Rule sets that apply to it: the union over the resources.
    pub rulesets: u64,
}

/// The scope of a generation.
#[derive(Debug, Default)]
pub struct Scope {
    everything: bool,
    /// By the address as a number: quicker to hash than an enum of two.
    v4: HashMap<u32, u32, foldhash::fast::FixedState>,
    v6: HashMap<u128, u32, foldhash::fast::FixedState>,
    addresses: Vec<Address>,
}

/// The addresses of a packet that are known: two per IP layer, source then destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    ids: [u32; MAX_IP_LAYERS * 2],
    /// Rule sets that apply; 0: the packet is in nobody's scope.
    pub rulesets: u64,
}

impl Default for Hits {
    fn default() -> Self {
        Self { ids: [NO_ADDRESS; MAX_IP_LAYERS * 2], rulesets: 0 }
    }
}

impl Hits {
    /// Is at least one side in the scope of at least one resource?
    #[inline]
    pub fn scoped(&self) -> bool {
        self.rulesets != 0
    }

    /// Ids of known source addresses, inner-most layer first.
    pub fn sources(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().step_by(2).rev().copied().filter(|&id| id != NO_ADDRESS)
    }

    /// Ids of known destination addresses, inner-most layer first.
    pub fn destinations(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().skip(1).step_by(2).rev().copied().filter(|&id| id != NO_ADDRESS)
    }

    /// The same packet seen from the other side.
    pub fn flipped(&self) -> Self {
        let mut other = *self;
        for pair in other.ids.chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        other
    }
}

impl Scope {
    /// All traffic is in scope, under the default rule set.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// A scope of these addresses; the seed makes its hash unpredictable to whoever chooses
    /// addresses.
    pub fn of(addresses: impl IntoIterator<Item = (IpAddr, Address)>, seed: u64) -> Self {
        let hasher = foldhash::fast::FixedState::with_seed(seed);
        let mut scope = Self {
            everything: false,
            v4: HashMap::with_hasher(hasher.clone()),
            v6: HashMap::with_hasher(hasher),
            addresses: Vec::new(),
        };
        for (address, entry) in addresses {
            let id = u32::try_from(scope.addresses.len()).unwrap_or(NO_ADDRESS);
            if id == NO_ADDRESS {
                break;
            }
            match address {
                IpAddr::V4(address) => scope.v4.insert(address.to_bits(), id),
                IpAddr::V6(address) => scope.v6.insert(address.to_bits(), id),
            };
            scope.addresses.push(entry);
        }
        scope
    }

    /// The address with this id.
    pub fn address(&self, id: u32) -> Option<&Address> {
        self.addresses.get(id as usize)
    }

    /// How many addresses are known.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Is no address known?
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Is all traffic in scope?
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    #[inline]
    fn id(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => self.v4.get(&address.to_bits()),
            IpAddr::V6(address) => self.v6.get(&address.to_bits()),
        }
        .copied()
    }

    /// Looks every IP layer up.
    #[inline]
    pub fn lookup(&self, packet: &Decoded) -> Hits {
        self.lookup_layers(packet.ip_layers())
    }

    /// Calls for each resource in whose scope these addresses are, once.
    pub fn each_resource(&self, hits: &Hits, mut each: impl FnMut(u32)) {
        let known = |id: &u32| self.address(*id).map_or(&[][..], |it| it.resources.as_slice());
        for (at, id) in hits.ids.iter().enumerate() {
            for &resource in known(id) {
                let earlier = hits.ids.get(..at).unwrap_or(&[]);
                if !earlier.iter().any(|id| known(id).contains(&resource)) {
                    each(resource);
                }
            }
        }
    }

    /// Looks these layers up, outer-most first.
    #[inline]
    pub fn lookup_layers(&self, layers: &[IpLayer]) -> Hits {
        let mut hits = Hits::default();
        if self.everything {
            hits.rulesets = 1;
            return hits;
        }
        for (layer, ids) in layers.iter().zip(hits.ids.chunks_exact_mut(2)) {
            for (address, slot) in [layer.src, layer.dst].into_iter().zip(ids) {
                if let Some(id) = self.id(address) {
                    *slot = id;
                    hits.rulesets |=
                        self.addresses.get(id as usize).map_or(0, |entry| entry.rulesets);
                }
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{LinkType, decode};

    fn udp(src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend(src);
        packet.extend(dst);
        packet.extend([0, 1, 0, 2, 0, 8, 0, 0]);
        packet
    }

    fn decoded(packet: &[u8]) -> Decoded {
        let config = wire::Config { verify_checksums: false, ..wire::Config::default() };
        decode(LinkType::RawIp, packet, &config).expect("a valid packet")
    }

    #[test]
    fn either_side_scopes_a_packet_and_flipping_swaps_the_sides() {
        let entry = Address { endpoints: vec![7], resources: vec![3], rulesets: 1 };
        let scope = Scope::of([("10.0.0.1".parse().expect("address"), entry)], 42);
        let to = scope.lookup(&decoded(&udp([10, 0, 0, 1], [192, 0, 2, 1])));
        let from = scope.lookup(&decoded(&udp([192, 0, 2, 1], [10, 0, 0, 1])));
        assert!(to.scoped() && from.scoped());
        assert_eq!(to.sources().collect::<Vec<_>>(), [0]);
        assert_eq!(to.destinations().count(), 0);
        assert_eq!(to.flipped(), from);
        assert!(!scope.lookup(&decoded(&udp([10, 0, 0, 2], [192, 0, 2, 1]))).scoped());
    }

    #[test]
    fn a_known_endpoint_outside_every_resource_is_named_but_not_scoped() {
        let entry = Address { endpoints: vec![1], ..Address::default() };
        let scope = Scope::of([("10.0.0.9".parse().expect("address"), entry)], 1);
        let hits = scope.lookup(&decoded(&udp([10, 0, 0, 9], [10, 0, 0, 1])));
        assert!(!hits.scoped());
        assert_eq!(hits.sources().collect::<Vec<_>>(), [0]);
    }
}
