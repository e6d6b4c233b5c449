//! The layers around flows in tunnels. A tunnel has many flows: what is remembered of it they share.

use std::sync::Arc;

use wire::{Decoded, Direction, IpLayer, MAX_IP_LAYERS, address_bits};

/// Tunnels that are kept at hand for further flows.
const KNOWN: usize = 64;

/// The addresses, versions and protocols of the layers around a flow's own, as in packets to the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outer {
    layers: [IpLayer; MAX_IP_LAYERS - 1],
    count: usize,
}

impl Outer {
    /// Around a packet of this direction; None where there is nothing around it.
    fn of(packet: &Decoded, direction: Direction) -> Option<Self> {
        let (_, around) = packet.ip_layers().split_last()?;
        let mut outer = Self { layers: [IpLayer::EMPTY; _], count: 0 };
        for (slot, layer) in outer.layers.iter_mut().zip(around) {
            let (src, dst) = match direction {
                Direction::ToServer => (layer.src, layer.dst),
                Direction::ToClient => (layer.dst, layer.src),
            };
            let (version, protocol) = (layer.version, layer.protocol);
            *slot = IpLayer { src, dst, version, protocol, ..IpLayer::EMPTY };
            outer.count += 1;
        }
        (outer.count > 0).then_some(outer)
    }

    /// The layers, outer-most first.
    pub(crate) fn layers(&self) -> &[IpLayer] {
        self.layers.get(..self.count).unwrap_or(&self.layers)
    }

    fn place(&self) -> usize {
        let mixed = self.layers().iter().fold(0u64, |hash, layer| {
            let bits = address_bits(layer.src).rotate_left(64) ^ address_bits(layer.dst);
            let folded = (bits >> 64) as u64 ^ (bits as u64).rotate_left(32);
            (hash ^ folded).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        mixed as usize % KNOWN
    }
}

/// The latest tunnels of a core, by a hash of them.
#[derive(Debug)]
pub(crate) struct Tunnels {
    known: [Option<Arc<Outer>>; KNOWN],
}

impl Default for Tunnels {
    fn default() -> Self {
        Self { known: [const { None }; KNOWN] }
    }
}

impl Tunnels {
    /// What is around a packet of this direction, shared with other flows in the same tunnel.
    #[cold]
    pub(crate) fn around(&mut self, packet: &Decoded, direction: Direction) -> Option<Arc<Outer>> {
        let outer = Outer::of(packet, direction)?;
        let known = self.known.get_mut(outer.place())?;
        if known.as_deref() != Some(&outer) {
            *known = Some(Arc::new(outer));
        }
        known.clone()
    }
}

#[cfg(test)]
mod tests {
    use wire::builder::{self, Ip};
    use wire::{Config, LinkType, decode};

    use super::*;

    fn packet(around: &[(&str, &str)], (src, dst): (&str, &str)) -> Decoded {
        let inner = Ip::new(src, dst).udp(1, 2, b"x");
        let datagram = around.iter().rev().fold(inner, |inner, (src, dst)| {
            Ip { ttl: 9, id: 7, ..Ip::new(src, dst) }.datagram(4, &inner)
        });
        decode(LinkType::Ethernet, &builder::frame(&datagram), &Config::default()).unwrap()
    }

    #[test]
    fn flows_of_a_tunnel_share_what_is_around_them_in_either_direction() {
        let mut tunnels = Tunnels::default();
        let there = packet(&[("192.0.2.1", "192.0.2.2")], ("10.0.0.1", "10.0.0.2"));
        let back = packet(&[("192.0.2.2", "192.0.2.1")], ("10.0.0.9", "10.0.0.1"));
        let one = tunnels.around(&there, Direction::ToServer).expect("a tunnel");
        let other = tunnels.around(&back, Direction::ToClient).expect("a tunnel");
        assert!(Arc::ptr_eq(&one, &other));
        let [layer] = one.layers() else { panic!("{one:?}") };
        let of = &there.layers[0];
        assert_eq!((layer.src, layer.dst), (of.src, of.dst));
        assert_eq!((layer.version, layer.protocol, layer.ttl), (4, 4, 0));
        let reversed = tunnels.around(&back, Direction::ToServer).expect("a tunnel");
        assert_ne!(reversed, one);
    }

    #[test]
    fn each_has_its_own_layers_however_many_tunnels_there_are() {
        let mut tunnels = Tunnels::default();
        let all: Vec<_> = (0..1000u32)
            .map(|n| {
                let src = std::net::Ipv4Addr::from(0x0a00_0000 | n).to_string();
                let packet =
                    packet(&[("192.0.2.1", &src), (&src, "192.0.2.2")], (&src, "10.0.0.2"));
                (tunnels.around(&packet, Direction::ToServer).expect("a tunnel"), packet)
            })
            .collect();
        for (outer, packet) in &all {
            let ends = |layer: &IpLayer| (layer.src, layer.dst);
            let expected: Vec<_> = packet.ip_layers()[..2].iter().map(ends).collect();
            assert_eq!(outer.layers().iter().map(ends).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_in_no_tunnel_has_nothing_around_it() {
        let plain = packet(&[], ("10.0.0.1", "10.0.0.2"));
        assert_eq!(Tunnels::default().around(&plain, Direction::ToServer), None);
    }
}
