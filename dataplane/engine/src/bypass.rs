//! What a core asks of the control side when it sheds an elephant: that the NIC drop the flow, so that
//! its packets need not even be received. The core only asks, through a ring, and never waits.

use std::net::SocketAddr;

use flow::Flow;
use rtrb::{Consumer, Producer, RingBuffer};
use wire::{Transport, TunnelKind};

use crate::alert::Source;
use crate::counters::Counters;
use crate::flow_state::FlowState;
use crate::part::Part;

/// Requests of a core that wait at the most.
const WAITING: usize = 256;

/// One packet in so many of a flow asks again, a power of two: the request may have been lost, or the
/// rule taken away since.
const EVERY: u32 = 32;

/// Bytes of an Ethernet header, and of a VLAN tag.
const ETHERNET: usize = 14;
const TAG: usize = 4;

/// A flow that is to be dropped by the NIC, by one of its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Elephant {
    /// The packet's source.
    pub src: SocketAddr,
    /// Its destination.
    pub dst: SocketAddr,
    /// TCP, or else UDP.
    pub tcp: bool,
    /// The identifier of its only VLAN tag.
    pub vlan: Option<u16>,
    /// The other direction is alike. If not, it is in other VLANs, and its own packets ask for it.
    pub both: bool,
}

impl Elephant {
    /// The flow of a packet, if a NIC can tell it by its outer-most headers: TCP or UDP, in no tunnel,
    /// put together from no fragments, with one VLAN tag at the most.
    fn of(part: &Part<'_>, both: bool) -> Option<Self> {
        let decoded = part.decoded;
        let vlan = match decoded.vlans() {
            [] => None,
            [id] => Some(*id),
            _ => return None,
        };
        let tcp = match decoded.transport {
            Transport::Tcp(_) => true,
            Transport::Udp(_) => false,
            _ => return None,
        };
        let ip = decoded.inner();
        // What else is before the header (MPLS, PPPoE, another way to tag) hides it from the NIC.
        let is_plain = part.source == Source::Wire
            && decoded.layer_count == 1
            && decoded.tunnel.kind == TunnelKind::None
            && decoded.fragment.is_none()
            && ip.header as usize == ETHERNET + TAG * usize::from(vlan.is_some());
        let (src_port, dst_port) = decoded.ports();
        is_plain.then(|| Self {
            src: SocketAddr::new(ip.src, src_port),
            dst: SocketAddr::new(ip.dst, dst_port),
            tcp,
            vlan,
            both,
        })
    }

    /// The same for packets of either direction, where one rule goes with the other.
    #[must_use]
    pub fn normal(self) -> Self {
        if self.both && self.dst < self.src { self.back() } else { self }
    }

    /// The other direction.
    #[must_use]
    pub fn back(self) -> Self {
        Self { src: self.dst, dst: self.src, ..self }
    }
}

/// A core's requests, and the control side's end of them.
pub fn requests() -> (Producer<Elephant>, Consumer<Elephant>) {
    RingBuffer::new(WAITING)
}

/// The core's end; it asks for nothing where the NIC cannot.
#[derive(Debug, Default)]
pub(crate) struct Asker(Option<Producer<Elephant>>);

impl Asker {
    pub(crate) fn through(ring: Producer<Elephant>) -> Self {
        Self(Some(ring))
    }

    /// A packet of an elephant was shed: asks, now and then.
    #[inline]
    pub(crate) fn ask(
        &mut self,
        flow: &Flow<FlowState>,
        part: &Part<'_>,
        one_way: bool,
        counters: &Counters,
    ) {
        let Some(ring) = &mut self.0 else { return };
        let packets = flow.packets[0].wrapping_add(flow.packets[1]);
        if packets.is_multiple_of(EVERY)
            && let Some(elephant) = Elephant::of(part, !one_way)
            && ring.push(elephant).is_err()
        {
            counters.bypass_lost.add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::LinkType;
    use wire::builder::{self, Ip};

    use super::*;
    use crate::part::PacketInfo;
    use crate::pipeline::Core;
    use crate::pressure::FULL;
    use crate::settings::Settings;
    use crate::shed::Overload;
    use crate::testing;

    /// A core whose elephants have more than 1000 bytes, and what it asks.
    fn core() -> (Core, Consumer<Elephant>) {
        let overload = Overload { shed: true, elephant_depth: 1000, ..Overload::default() };
        let (mut core, _) = testing::core("", Settings { overload, ..Settings::default() });
        let (producer, consumer) = requests();
        core.ask_through(producer);
        (core, consumer)
    }

    /// Gives a core so many times this frame.
    fn give(core: &mut Core, frame: &[u8], times: u64) {
        for n in 0..times {
            core.counters().received.add(1);
            let info = PacketInfo {
                timestamp: n,
                clock: n,
                order: n,
                link: Some(LinkType::Ethernet),
                wire_len: frame.len() as u32,
                ignore_checksums: true,
            };
            core.packet(frame, frame.len(), info, false);
        }
        assert!(core.counters().balances());
    }

    fn asked(consumer: &mut Consumer<Elephant>) -> Vec<Elephant> {
        std::iter::from_fn(|| consumer.pop().ok()).collect()
    }

    #[test]
    fn only_a_core_under_pressure_asks_and_only_for_what_it_sheds() {
        let (mut core, mut ring) = core();
        let frame = builder::frame(&Ip::new("10.0.0.1", "10.0.0.2").udp(7, 9, &[b'a'; 400]));
        give(&mut core, &frame, 300);
        assert_eq!(asked(&mut ring), [], "nothing is shed while there is room");
        assert_eq!(core.counters().shedding.get(), 0);
        core.press(FULL, 0);
        assert_eq!(core.counters().shedding.get(), 1);
        give(&mut core, &frame, 64);
        let elephants = asked(&mut ring);
        assert_eq!(elephants.len(), 2, "one packet in {EVERY} asks");
        assert_eq!(elephants[0].src, "10.0.0.1:7".parse().unwrap());
        assert_eq!(elephants[0].dst, "10.0.0.2:9".parse().unwrap());
        assert!(!elephants[0].tcp && elephants[0].both && elephants[0].vlan.is_none());
        // Flows that are shed whole, or short, are not asked for.
        let other = builder::frame(&Ip::new("10.0.0.1", "10.0.0.2").udp(8, 9, &[b'a'; 400]));
        give(&mut core, &other, 300);
        assert_eq!(asked(&mut ring), []);
        // As many wait as there is room for; the others are counted.
        give(&mut core, &frame, u64::from(EVERY) * (WAITING as u64 + 5));
        assert_eq!((asked(&mut ring).len(), core.counters().bypass_lost.get()), (WAITING, 5));
    }

    #[test]
    fn what_a_nic_cannot_tell_by_its_outer_headers_is_not_asked_for() {
        let inner = Ip::new("10.0.0.1", "10.0.0.2").udp(7, 9, &[b'a'; 400]);
        let nodes = Ip::new("192.0.2.1", "192.0.2.2");
        let tagged = |ids: &[u16]| {
            let plain = builder::frame(&inner);
            ids.iter().rev().fold(plain, |frame, id| builder::vlan(0x8100, *id, &frame))
        };
        let mut labelled = builder::frame(&inner);
        labelled.splice(12..14, [0x88, 0x47, 0, 0, 0x11, 64]);
        let cases = [
            (builder::frame(&inner), Some(None)),
            (tagged(&[5]), Some(Some(5))),
            (tagged(&[5, 6]), None),
            (labelled, None),
            (builder::frame(&nodes.datagram(4, &inner)), None),
        ];
        for (frame, wanted) in cases {
            let (mut core, mut ring) = core();
            give(&mut core, &frame, 1);
            core.press(FULL, 0);
            give(&mut core, &frame, 200);
            assert!(core.counters().shed_bytes[0].get() > 0, "{frame:02x?}");
            let told = asked(&mut ring).first().map(|elephant| elephant.vlan);
            assert_eq!(told, wanted, "{frame:02x?}");
        }
    }

    #[test]
    fn both_directions_are_one_flow_unless_each_has_a_rule_of_its_own() {
        let one = Elephant {
            src: "10.0.0.2:9".parse().unwrap(),
            dst: "10.0.0.1:7".parse().unwrap(),
            tcp: true,
            vlan: None,
            both: true,
        };
        assert_eq!(one.normal(), one.back().normal());
        let alone = Elephant { both: false, ..one };
        assert_ne!(alone.normal(), alone.back().normal());
    }
}
