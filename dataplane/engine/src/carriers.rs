//! Packets that carry others: of which of them a rule could match the headers, and of which there are
//! flows. All others need no look of their own: what they carry is inspected.

use std::net::IpAddr;

use rules::ruleset::{Carrier, Ruleset};
use wire::{Decoded, FlowKey, IpLayer, address_bits};

use crate::tunnels::Tunnels;

/// Ends of tunnels that are remembered, in one direction each.
const KNOWN: usize = 256;

/// Counters of flows.
const PLACES: usize = 1024;

/// What a core knows of packets that carry others.
#[derive(Debug)]
pub(crate) struct Carriers {
    /// By a hash of [`Ends`], the latest of each.
    known: Box<[Option<(Ends, u64)>]>,
    /// How many flows there are in the table that carriers may belong to, by a hash of their ends.
    flows: Box<[u32]>,
    /// How many in all.
    count: u32,
    spare: Vec<u32>,
    /// What is around the flows within.
    pub(crate) tunnels: Tunnels,
    /// Every carrier is asked for, as a test's model.
    #[cfg(test)]
    pub(crate) asks_for_all: bool,
}

/// A [`Carrier`] as numbers, which are quicker to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    addresses: [u128; 2],
    /// Version (8), protocol (8), whether there is a port (1) and which (16).
    rest: u64,
}

impl Ends {
    #[inline]
    fn new(layer: &IpLayer, dst_port: Option<u16>) -> Self {
        let port = dst_port.map_or(0, |port| 1 << 16 | u64::from(port));
        let rest = u64::from(layer.version) << 40 | u64::from(layer.protocol) << 32 | port;
        Self { addresses: [address_bits(layer.src), address_bits(layer.dst)], rest }
    }

    #[inline]
    fn place(&self) -> usize {
        let [src, dst] = self.addresses.map(mixed);
        let sum = (src.rotate_left(17) ^ dst ^ self.rest).wrapping_mul(ODD);
        (sum >> 40) as usize % KNOWN
    }
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
fn mixed(address: u128) -> u64 {
    let folded = (address >> 64) as u64 ^ (address as u64).rotate_left(32);
    let product = folded.wrapping_mul(ODD);
    product ^ product >> 29
}

/// The same for both directions of a flow.
#[inline]
fn place_of(addresses: [IpAddr; 2], ports: (u16, u16)) -> usize {
    let [one, other] = addresses.map(|address| mixed(address_bits(address)));
    let ports = u64::from(ports.0) + u64::from(ports.1);
    let sum = (one.wrapping_add(other) ^ ports).wrapping_mul(ODD);
    (sum >> 40) as usize % PLACES
}

impl Default for Carriers {
    fn default() -> Self {
        let known = vec![None; KNOWN].into();
        Self {
            known,
            flows: vec![0; PLACES].into(),
            count: 0,
            spare: Vec::new(),
            tunnels: Tunnels::default(),
            #[cfg(test)]
            asks_for_all: false,
        }
    }
}

impl Carriers {
    /// Other rules are in force: what is known of the old ones is forgotten.
    pub(crate) fn adopt(&mut self) {
        self.known.fill(None);
    }

    /// Could a signature of these rule sets match the packet of this layer, which carries another one and
    /// has no events?
    #[inline]
    pub(crate) fn could_match(
        &mut self,
        rules: &Ruleset,
        layer: &IpLayer,
        dst_port: Option<u16>,
        rulesets: u64,
    ) -> bool {
        #[cfg(test)]
        if self.asks_for_all {
            return true;
        }
        if rules.of_carriers() & rulesets == 0 {
            return false;
        }
        let ends = Ends::new(layer, dst_port);
        let Some(known) = self.known.get_mut(ends.place()) else { return true };
        let asked = match known {
            Some((of, asked)) if *of == ends => *asked,
            _ => {
                let (src, dst, protocol) = (layer.src, layer.dst, layer.protocol);
                let carrier = Carrier { src, dst, protocol, dst_port };
                let asked = rules.of_carrier(&carrier, &mut self.spare);
                *known = Some((ends, asked));
                asked
            }
        };
        asked & rulesets != 0
    }

    /// May a packet with these ends have a flow?
    #[inline]
    pub(crate) fn may_have_flow(&self, layer: &IpLayer, ports: (u16, u16)) -> bool {
        self.count > 0 && {
            let place = place_of([layer.src, layer.dst], ports);
            self.flows.get(place).is_some_and(|&count| count > 0)
        }
    }

    /// Is there any flow that carriers may belong to?
    #[cfg(test)]
    pub(crate) fn has_flows(&self) -> bool {
        self.count > 0
    }

    /// A flow has begun that carriers may belong to.
    pub(crate) fn has_begun(&mut self, packet: &Decoded) {
        let layer = packet.inner();
        self.change([layer.src, layer.dst], packet.ports(), 1);
    }

    /// Such a flow is no longer in the table.
    pub(crate) fn has_ended(&mut self, key: &FlowKey) {
        let (first, second) = key.addresses();
        self.change([first, second], key.ports(), u32::MAX);
    }

    fn change(&mut self, addresses: [IpAddr; 2], ports: (u16, u16), by: u32) {
        if let Some(count) = self.flows.get_mut(place_of(addresses, ports)) {
            *count = count.wrapping_add(by);
            self.count = self.count.wrapping_add(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::builder::{self, Ip};
    use wire::{Config, LinkType, decode};

    use super::*;

    fn packet(src: &str, dst: &str, ports: (u16, u16)) -> Decoded {
        let config = Config::default();
        let datagram = Ip::new(src, dst).udp(ports.0, ports.1, b"x");
        decode(LinkType::Ethernet, &builder::frame(&datagram), &config).unwrap()
    }

    #[test]
    fn flows_are_counted_by_ends_in_either_direction_until_the_last_is_gone() {
        let mut carriers = Carriers::default();
        let one = packet("192.0.2.1", "192.0.2.2", (50_000, 4789));
        let six = packet("fd00::1", "fd00::2", (50_000, 4789));
        let has =
            |carriers: &Carriers, it: &Decoded| carriers.may_have_flow(it.inner(), it.ports());
        assert!(!has(&carriers, &one) && !has(&carriers, &six));
        carriers.has_begun(&one);
        carriers.has_begun(&six);
        carriers.has_begun(&packet("192.0.2.2", "192.0.2.1", (4789, 50_000)));
        assert!(has(&carriers, &one) && has(&carriers, &six));
        assert!(has(&carriers, &packet("192.0.2.2", "192.0.2.1", (4789, 50_000))));
        let key = |it: &Decoded| it.flow_key(true).unwrap().0;
        carriers.has_ended(&key(&one));
        assert!(has(&carriers, &one), "one more");
        carriers.has_ended(&key(&one));
        assert!(!has(&carriers, &one) && has(&carriers, &six));
        carriers.has_ended(&key(&six));
        assert_eq!(carriers.count, 0);
        assert!(carriers.flows.iter().all(|&count| count == 0));
    }

    #[test]
    fn neighbouring_tunnels_have_places_of_their_own() {
        let mut places: Vec<usize> = (0..128u32)
            .map(|host| {
                let src = std::net::Ipv4Addr::from(0x0a00_0000 | host).to_string();
                Ends::new(packet(&src, "10.0.1.1", (1, 2)).inner(), Some(4789)).place()
            })
            .collect();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() > 80, "{} of 128", places.len());
    }
}
