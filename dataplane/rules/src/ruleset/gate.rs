//! [`Gates`]: what signatures ask of a packet's header and of its flow's state, 32 bytes each, so that most
//! candidates are turned away without a look at the signature, which is spread over many lines of the cache.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;

use app::AppProto;
use wire::{Decoded, Direction, Transport};

use super::classify::holds_for;
use crate::signature::{AddressSet, PortSet, Signature};

/// A unit of traffic as far as gates look at it.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Protocols that its flow may be said to have, as bits; [`NO_FLOW_PROTOCOL`] without a flow.
    protocols: u64,
    /// Rule sets that apply.
    rulesets: u64,
    /// Bits of [`is`].
    is: u32,
    ip_protocol: u8,
    src: End,
    dst: End,
}

/// Where a unit comes from, or goes to.
#[derive(Debug, Clone)]
struct End {
    address: IpAddr,
    port: u16,
    /// Of the sets with the lowest numbers: which were asked for, and which of these have the address. A few sets are
    /// asked for again and again.
    asked: Cell<u64>,
    within: Cell<u64>,
}

impl End {
    fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port, asked: Cell::new(0), within: Cell::new(0) }
    }

    /// Is the address in the set of that number?
    #[inline]
    fn is_in(&self, number: SetNumber, sets: &[AddressSet]) -> bool {
        let bit = 1u64.checked_shl(u32::from(number)).unwrap_or(0);
        if self.asked.get() & bit != 0 {
            return self.within.get() & bit != 0;
        }
        let within = sets.get(usize::from(number)).is_some_and(|set| set.contains(self.address));
        self.asked.set(self.asked.get() | bit);
        if within {
            self.within.set(self.within.get() | bit);
        }
        within
    }
}

/// What a unit can be, as bits; a gate has those that its signature does not bear.
mod is {
    pub(super) const TO_SERVER: u32 = 1;
    pub(super) const TO_CLIENT: u32 = 1 << 1;
    pub(super) const WITHOUT_FLOW: u32 = 1 << 2;
    pub(super) const ESTABLISHED: u32 = 1 << 3;
    pub(super) const NOT_ESTABLISHED: u32 = 1 << 4;
    pub(super) const DEFRAGMENTED: u32 = 1 << 5;
    pub(super) const NOT_DEFRAGMENTED: u32 = 1 << 6;
    pub(super) const NOT_V4: u32 = 1 << 7;
    pub(super) const NOT_V6: u32 = 1 << 8;
    pub(super) const WITHOUT_PORTS: u32 = 1 << 9;
    /// No IP layer was understood: nobody knows where it came from.
    pub(super) const FROM_NOWHERE: u32 = 1 << 10;
    pub(super) const TCP: u32 = 1 << 11;
    pub(super) const UDP: u32 = 1 << 12;
    pub(super) const ICMP: u32 = 1 << 13;
    pub(super) const ICMP6: u32 = 1 << 14;
    pub(super) const OTHER_PROTOCOL: u32 = 1 << 15;
}

/// IP protocols that have a bit of their own.
const OWN_BIT: [(u8, u32); 4] = [(6, is::TCP), (17, is::UDP), (1, is::ICMP), (58, is::ICMP6)];

/// The bit of [`Arrival::protocols`] that stands for no flow at all.
const NO_FLOW_PROTOCOL: u64 = 1 << 63;

const _: () = assert!(AppProto::COUNT < 63, "every protocol has a bit, and there is one for none");

/// What rules ask for beside header and protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing {
    /// Its direction in its flow, where that is known.
    pub direction: Option<Direction>,
    /// Its flow was established before it came.
    pub established: bool,
    /// It was put together from fragments.
    pub defragmented: bool,
}

impl Arrival {
    /// A packet to which these rule sets apply, with its flow's protocol; None: it has no flow.
    pub fn new(
        packet: &Decoded,
        rulesets: u64,
        protocol: Option<AppProto>,
        standing: Standing,
    ) -> Self {
        let ip = packet.inner();
        let (src_port, dst_port) = packet.ports();
        let bit = |holds: bool, bit: u32, otherwise: u32| if holds { bit } else { otherwise };
        let way = match standing.direction {
            Some(Direction::ToServer) => is::TO_SERVER,
            Some(Direction::ToClient) => is::TO_CLIENT,
            None => 0,
        };
        let has_ports =
            matches!(packet.transport, Transport::Tcp(_) | Transport::Udp(_) | Transport::Sctp(_));
        let is = way
            | bit(protocol.is_none(), is::WITHOUT_FLOW, 0)
            | bit(standing.established, is::ESTABLISHED, is::NOT_ESTABLISHED)
            | bit(standing.defragmented, is::DEFRAGMENTED, is::NOT_DEFRAGMENTED)
            | bit(ip.version == 4, 0, is::NOT_V4)
            | bit(ip.version == 6, 0, is::NOT_V6)
            | bit(has_ports, 0, is::WITHOUT_PORTS)
            | bit(packet.layer_count == 0, is::FROM_NOWHERE, 0)
            | own_bit(ip.protocol).unwrap_or(is::OTHER_PROTOCOL);
        Self {
            protocols: protocol.map_or(NO_FLOW_PROTOCOL, |protocol| 1 << protocol.index()),
            rulesets,
            is,
            ip_protocol: ip.protocol,
            src: End::new(ip.src, src_port),
            dst: End::new(ip.dst, dst_port),
        }
    }

    /// The same, for signatures that were chosen by the flow's protocol: it is not asked for again.
    pub fn of_any_protocol(self) -> Self {
        Self { protocols: u64::MAX, ..self }
    }
}

fn own_bit(ip_protocol: u8) -> Option<u32> {
    OWN_BIT.iter().find(|(number, _)| *number == ip_protocol).map(|&(_, bit)| bit)
}

/// Place of a set among [`Gates::addresses`].
type SetNumber = u16;

/// Every address.
const ANYWHERE: SetNumber = 0;

/// The set has no number: the signature itself has it.
const OWN_SET: SetNumber = SetNumber::MAX;

/// What a signature asks for.
#[derive(Debug, Clone, Copy)]
#[repr(align(32))]
struct Gate {
    /// As [`Arrival::protocols`].
    protocols: u64,
    rulesets: u64,
    /// Bits of [`is`] that turn a unit away, and of [`ask`].
    refused: u32,
    src: SetNumber,
    dst: SetNumber,
    /// Least and greatest.
    src_ports: (u16, u16),
    dst_ports: (u16, u16),
}

/// What a gate cannot tell alone, in the upper bits of [`Gate::refused`].
mod ask {
    /// The header holds in either direction.
    pub(super) const BOTH_WAYS: u32 = 1 << 31;
    /// Not every port between the least and the greatest.
    pub(super) const PORTS: u32 = 1 << 30;
    /// Among the protocols without a bit of their own not all.
    pub(super) const PROTOCOL: u32 = 1 << 29;
}

/// The gates of a ruleset's signatures, by number.
#[derive(Debug)]
pub(crate) struct Gates {
    gates: Box<[Gate]>,
    addresses: Box<[AddressSet]>,
}

impl Gates {
    /// In the order of the signatures, which are numbered by their position.
    pub(crate) fn new(signatures: &[Signature]) -> Self {
        let mut sets = Sets::default();
        let gates = signatures.iter().map(|signature| Gate::new(signature, &mut sets)).collect();
        Self { gates, addresses: sets.sets.into() }
    }

    /// Whether the header of the signature of that number, one of `signatures`, holds for the unit, and what it asks
    /// of the flow's state and protocol.
    #[inline]
    pub(crate) fn admit(&self, number: u32, arrival: &Arrival, signatures: &[Signature]) -> bool {
        let Some(gate) = self.gates.get(number as usize) else { return false };
        if gate.protocols & arrival.protocols == 0
            || gate.rulesets & arrival.rulesets == 0
            || gate.refused & arrival.is != 0
        {
            return false;
        }
        // Nobody knows where it came from: that no address and no port is asked for was just seen.
        if arrival.is & is::FROM_NOWHERE != 0 {
            return !gate.asks(ask::PROTOCOL) || self.protocol_holds(number, arrival, signatures);
        }
        let ends = |src, dst| self.ends_hold(gate, number, (src, dst), signatures);
        (ends(&arrival.src, &arrival.dst)
            || gate.asks(ask::BOTH_WAYS) && ends(&arrival.dst, &arrival.src))
            && (!gate.asks(ask::PROTOCOL) || self.protocol_holds(number, arrival, signatures))
    }

    /// Do addresses and ports hold this way round?
    #[inline]
    fn ends_hold(
        &self,
        gate: &Gate,
        number: u32,
        (src, dst): (&End, &End),
        signatures: &[Signature],
    ) -> bool {
        let within = |(low, high): (u16, u16), port: u16| low <= port && port <= high;
        if !within(gate.src_ports, src.port) || !within(gate.dst_ports, dst.port) {
            return false;
        }
        let signature = || signatures.get(number as usize);
        let holds = |set: SetNumber, end: &End, own: fn(&Signature) -> &AddressSet| match set {
            ANYWHERE => true,
            OWN_SET => signature().is_some_and(|signature| own(signature).contains(end.address)),
            set => end.is_in(set, &self.addresses),
        };
        holds(gate.src, src, |signature| &signature.src)
            && holds(gate.dst, dst, |signature| &signature.dst)
            && (!gate.asks(ask::PORTS)
                || signature().is_some_and(|signature| {
                    signature.src_port.contains(src.port) && signature.dst_port.contains(dst.port)
                }))
    }

    #[cold]
    fn protocol_holds(&self, number: u32, arrival: &Arrival, signatures: &[Signature]) -> bool {
        signatures
            .get(number as usize)
            .is_some_and(|signature| holds_for(signature, arrival.ip_protocol))
    }
}

impl Gate {
    fn new(signature: &Signature, sets: &mut Sets) -> Self {
        let mut refused = 0;
        let mut refuse = |holds: bool, bits: u32| {
            if holds {
                refused |= bits;
            }
        };
        refuse(!signature.to_server, is::TO_SERVER);
        refuse(!signature.to_client, is::TO_CLIENT);
        let flow = &signature.flow;
        refuse(flow.present, is::WITHOUT_FLOW);
        refuse(flow.present && flow.established, is::NOT_ESTABLISHED);
        refuse(flow.present && flow.not_established, is::ESTABLISHED);
        refuse(flow.present && flow.only_frag, is::NOT_DEFRAGMENTED);
        refuse(flow.present && flow.no_frag, is::DEFRAGMENTED);
        let protocol = &signature.protocol;
        // Of other versions than these there is none.
        refuse(protocol.ip_version.is_some_and(|version| version != 6), is::NOT_V4);
        refuse(protocol.ip_version.is_some_and(|version| version != 4), is::NOT_V6);
        for (number, bit) in OWN_BIT {
            refuse(!holds_for(signature, number), bit);
        }
        let others = protocol.ip_protocols.iter().any(|&number| own_bit(number).is_none());
        let all = protocol.ip_protocols.is_empty();
        refuse(!all && !others, is::OTHER_PROTOCOL);
        refuse(!all && others, ask::PROTOCOL);
        let any_port = signature.src_port.any && signature.dst_port.any;
        refuse(!any_port, is::WITHOUT_PORTS);
        refuse(!any_port || !signature.src.any || !signature.dst.any, is::FROM_NOWHERE);
        let in_one = |ports: &PortSet| ports.any || ports.ranges.len() <= 1;
        refuse(!in_one(&signature.src_port) || !in_one(&signature.dst_port), ask::PORTS);
        refuse(signature.bidirectional, ask::BOTH_WAYS);
        Self {
            protocols: protocol.app.map_or(u64::MAX, |name| {
                let meant = AppProto::ALL.into_iter().filter(|proto| proto.is_rule_name(name));
                meant.fold(0, |bits, proto| bits | 1 << proto.index())
            }),
            rulesets: signature.rulesets,
            refused,
            src: sets.number(&signature.src),
            dst: sets.number(&signature.dst),
            src_ports: hull(&signature.src_port),
            dst_ports: hull(&signature.dst_port),
        }
    }

    #[inline]
    fn asks(&self, what: u32) -> bool {
        self.refused & what != 0
    }
}

/// The least and the greatest port of a set; the other way round for an empty one.
fn hull(ports: &PortSet) -> (u16, u16) {
    match (ports.any, ports.ranges.first(), ports.ranges.last()) {
        (true, ..) => (0, u16::MAX),
        (false, Some(&(low, _)), Some(&(_, high))) => (low, high),
        _ => (u16::MAX, 0),
    }
}

/// Sets of addresses, each once: most signatures share a few.
struct Sets {
    sets: Vec<AddressSet>,
    numbers: HashMap<AddressSet, SetNumber>,
}

impl Sets {
    fn number(&mut self, set: &AddressSet) -> SetNumber {
        if set.any {
            return ANYWHERE;
        }
        if let Some(&number) = self.numbers.get(set) {
            return number;
        }
        match SetNumber::try_from(self.sets.len()) {
            Ok(number) if number != OWN_SET => {
                self.sets.push(set.clone());
                self.numbers.insert(set.clone(), number);
                number
            }
            _ => OWN_SET,
        }
    }
}

impl Default for Sets {
    /// With the one of every address.
    fn default() -> Self {
        let every = AddressSet { any: true, ..AddressSet::default() };
        Self { sets: vec![every], numbers: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use proptest::sample::select;
    use wire::builder::{Ip, Tcp};
    use wire::{Config, LinkType};

    use super::*;
    use crate::ruleset::testing::{any_address, any_port, ports, rule, v4};

    /// What a gate is to answer, said in the plainest way.
    fn holds(
        signature: &Signature,
        packet: &Decoded,
        rulesets: u64,
        protocol: Option<AppProto>,
        standing: Standing,
    ) -> bool {
        let ip = packet.inner();
        let (src_port, dst_port) = packet.ports();
        let has_ports =
            matches!(packet.transport, Transport::Tcp(_) | Transport::Udp(_) | Transport::Sctp(_));
        let port = |set: &PortSet, port| set.any || has_ports && set.contains(port);
        let ends = |src: (IpAddr, u16), dst: (IpAddr, u16)| {
            port(&signature.src_port, src.1)
                && port(&signature.dst_port, dst.1)
                && signature.src.contains(src.0)
                && signature.dst.contains(dst.0)
        };
        let (src, dst) = ((ip.src, src_port), (ip.dst, dst_port));
        let somewhere = if packet.layer_count == 0 {
            let anywhere = signature.src.any && signature.dst.any;
            anywhere && signature.src_port.any && signature.dst_port.any
        } else {
            ends(src, dst) || signature.bidirectional && ends(dst, src)
        };
        let of_protocol = match signature.protocol.app {
            Some(app) => protocol.is_some_and(|protocol| protocol.is_rule_name(app)),
            None => true,
        };
        let its_way = match standing.direction {
            Some(Direction::ToServer) => signature.to_server,
            Some(Direction::ToClient) => signature.to_client,
            None => true,
        };
        let flow = &signature.flow;
        let stands = !flow.present
            || protocol.is_some()
                && (!flow.established || standing.established)
                && (!flow.not_established || !standing.established)
                && (!flow.only_frag || standing.defragmented)
                && (!flow.no_frag || !standing.defragmented);
        holds_for(signature, ip.protocol)
            && signature.protocol.ip_version.is_none_or(|version| version == ip.version)
            && somewhere
            && of_protocol
            && its_way
            && stands
            && signature.rulesets & rulesets != 0
    }

    fn packets() -> Vec<Decoded> {
        let (v4, v6) = (Ip::new("10.0.0.1", "192.0.2.7"), Ip::new("fd00::1", "2001:db8::7"));
        let v4 = [v4.reversed(), v4];
        let mut datagrams = vec![
            v6.udp(53, 1000, b"abc"),
            v6.icmp(128, 0, 1, b"abc"),
            v6.tcp(&Tcp::new(80, 81, 3, 4), b"abc"),
        ];
        for ip in &v4 {
            for (src, dst) in [(1000, 80), (80, 1000), (53, 53), (8080, 443)] {
                datagrams.push(ip.tcp(&Tcp::new(src, dst, 3, 4), b"abc"));
                datagrams.push(ip.udp(src, dst, b"abc"));
            }
            datagrams.extend([ip.icmp(8, 0, 1, b""), ip.datagram(50, b"abcdefgh")]);
            datagrams.extend([ip.datagram(255, b"abc"), ip.datagram(132, &[0; 12])]);
        }
        let mut packets: Vec<_> = datagrams
            .iter()
            .map(|datagram| wire::decode(LinkType::RawIp, datagram, &Config::default()).unwrap())
            .collect();
        packets.push(Decoded::default());
        packets
    }

    fn addresses() -> impl Strategy<Value = AddressSet> {
        let at = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        let inside = v4(&[(at("10.0.0.0"), at("10.255.255.255"))]);
        let both = AddressSet { v6: [(0xfd << 120, 0xfe << 120)].into(), ..inside.clone() };
        let apart = v4(&[
            (at("10.0.0.1"), at("10.0.0.1")),
            (at("192.0.2.0"), at("192.0.2.3")),
            (at("192.0.2.7"), at("192.0.2.9")),
        ]);
        select(vec![any_address(), any_address(), inside, both, apart, AddressSet::default()])
    }

    fn some_ports() -> impl Strategy<Value = PortSet> {
        let sets = [&[(80, 80)][..], &[(53, 80), (443, 443)], &[(1, 1023)], &[]];
        let mut all: Vec<_> = sets.into_iter().map(ports).collect();
        all.extend([any_port(), any_port()]);
        select(all)
    }

    fn signature() -> impl Strategy<Value = Signature> {
        let protocols: [(&str, &'static [u8]); 7] = [
            ("ip", &[]),
            ("tcp", &[6]),
            ("udp", &[17]),
            ("icmp", &[1, 58]),
            ("sctp", &[132]),
            ("esp", &[50, 51]),
            ("dns", &[6, 17]),
        ];
        let header = (addresses(), some_ports(), addresses(), some_ports(), any::<bool>());
        let app = select(vec![None, None, Some("http"), Some("tls"), Some("gopher")]);
        let protocol = (select(protocols.to_vec()), select(vec![None, Some(4), Some(6)]), app);
        (header, protocol, any::<[bool; 7]>(), 1..8u64).prop_map(
            |((src, src_port, dst, dst_port, bidirectional), protocol, flags, rulesets)| {
                let ((name, ip_protocols), ip_version, app) = protocol;
                let [to_server, to_client, present, established, not, only_frag, no_frag] = flags;
                rule(name, 1).with(|s| {
                    (s.src, s.src_port, s.dst, s.dst_port) = (src, src_port, dst, dst_port);
                    (s.bidirectional, s.rulesets) = (bidirectional, rulesets);
                    (s.to_server, s.to_client) = (to_server, to_client);
                    s.protocol.ip_protocols = ip_protocols;
                    (s.protocol.ip_version, s.protocol.app) = (ip_version, app);
                    s.flow.present = present;
                    (s.flow.established, s.flow.not_established) = (established, not);
                    (s.flow.only_frag, s.flow.no_frag) = (only_frag, no_frag);
                })
            },
        )
    }

    proptest! {
        #[test]
        fn a_gate_admits_what_header_and_flow_allow(
            signatures in proptest::collection::vec(signature(), 1..20),
            rulesets in 1..8u64,
            (established, defragmented) in any::<(bool, bool)>(),
        ) {
            let gates = Gates::new(&signatures);
            let protocols =
                [None, Some(AppProto::Unknown), Some(AppProto::Http1), Some(AppProto::Tls)];
            let directions = [None, Some(Direction::ToServer), Some(Direction::ToClient)];
            for packet in packets() {
                for (protocol, direction) in
                    protocols.into_iter().flat_map(|p| directions.map(|way| (p, way)))
                {
                    let standing = Standing { direction, established, defragmented };
                    let arrival = Arrival::new(&packet, rulesets, protocol, standing);
                    for (number, signature) in (0u32..).zip(&signatures) {
                        let holds = holds(signature, &packet, rulesets, protocol, standing);
                        prop_assert_eq!(gates.admit(number, &arrival, &signatures), holds);
                    }
                    prop_assert!(!gates.admit(signatures.len() as u32, &arrival, &signatures));
                }
            }
        }
    }

    #[test]
    fn more_sets_of_addresses_than_have_numbers_are_looked_up_in_their_signatures() {
        let of = |n: u32| v4(&[(Ipv4Addr::from(n), Ipv4Addr::from(n))]);
        let signatures: Vec<_> = (1..70_000u32)
            .map(|n| {
                rule("ip", n).with(|s| (s.dst, s.to_server, s.to_client) = (of(n), true, true))
            })
            .collect();
        let gates = Gates::new(&signatures);
        assert!(gates.gates.last().is_some_and(|gate| gate.dst == OWN_SET));
        for number in [1, 65_000, 65_533, 65_534, 65_535, 69_999u32] {
            let to = Ipv4Addr::from(number).to_string();
            let datagram = Ip::new("10.0.0.1", &to).udp(1, 2, b"");
            let packet = wire::decode(LinkType::RawIp, &datagram, &Config::default()).unwrap();
            let arrival = Arrival::new(&packet, 1, None, Standing::default());
            let admitted: Vec<u32> = (0..signatures.len() as u32)
                .filter(|&at| gates.admit(at, &arrival, &signatures))
                .collect();
            assert_eq!(admitted, [number - 1]);
        }
    }

    #[test]
    fn two_gates_share_a_line_of_the_cache() {
        assert_eq!(size_of::<Gate>(), 32);
    }
}
