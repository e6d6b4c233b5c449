//! [`Flows`]: endless traffic of unique flows, made at the speed of copying: the conversations are
//! written once, and each packet gets its flow's client by a change of address, port and checksums.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::payload::{Prose, dns, http, tls};
use crate::{Envelope, Path, Random, Side, TcpSession, Track, frame};

/// Clients are of the range for benchmarks, 198.18.0.0/15 (RFC 2544): from here on, and so many.
const FIRST_CLIENT: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const CLIENTS: u64 = 1 << 17;
const FIRST_PORT: u16 = 1_024;
const PORTS: u64 = 64_000;

/// The server that is in scope, and the one that is not.
pub const SCOPED_SERVER: Ipv4Addr = Ipv4Addr::new(10, 244, 1, 10);
/// See [`SCOPED_SERVER`].
pub const UNSCOPED_SERVER: Ipv4Addr = Ipv4Addr::new(10, 244, 2, 20);

/// Headers of a data packet: Ethernet, IPv4 and TCP without options.
const HEADERS: usize = 14 + 20 + 20;
/// The most payload that a conversation's packets have.
const LARGEST: usize = 1_390;

/// Where in a frame things are, of Ethernet, IPv4 without options, TCP or UDP.
const IP_CHECKSUM: usize = 24;
const SOURCE: usize = 26;
const DESTINATION: usize = 30;
const SOURCE_PORT: usize = 34;
const DESTINATION_PORT: usize = 36;
const UDP_CHECKSUM: usize = 40;
const TCP_CHECKSUM: usize = 50;

/// What conversations there are, by weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// HTTP/1 with a body in the response.
    pub http: u32,
    /// DNS over UDP: a query and its answer.
    pub dns: u32,
    /// TLS with as much encrypted data as HTTP's bodies have.
    pub tls: u32,
}

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Flows that are open at a time.
    pub flows: u32,
    /// Bytes of the frames that carry data.
    pub frame_bytes: usize,
    /// Data packets of a flow.
    pub data_packets: usize,
    /// Conversations.
    pub mix: Mix,
    /// How many flows of a hundred are with the server in scope.
    pub scoped_percent: u32,
    /// What is around every packet, in addition to the frame's bytes.
    pub envelope: Envelope,
    /// What everything drawn at random follows from.
    pub seed: u64,
}

/// A packet of a conversation.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    from: Side,
    is_udp: bool,
}

/// A conversation with the first client.
#[derive(Debug)]
struct Script {
    packets: Vec<Template>,
    scoped: bool,
}

/// A packet that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Bytes of the frame.
    pub length: usize,
    /// Whether it is with the server in scope.
    pub scoped: bool,
    /// Its client and its server.
    pub addresses: (Ipv4Addr, Ipv4Addr),
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// How many flows were in this slot before.
    generation: u32,
    /// The next packet of the script.
    next: u16,
    script: u16,
}

/// Traffic without end.
#[derive(Debug)]
pub struct Flows {
    scripts: Vec<Script>,
    /// Scripts by chance: each as often as it weighs.
    choice: Vec<u16>,
    slots: Vec<Slot>,
    envelope: Envelope,
    turn: usize,
    /// Turns of all flows so far, while some have not begun.
    round: u64,
    /// Flows begin spread over so many rounds.
    stagger: u64,
}

impl Flows {
    /// Writes the conversations.
    pub fn new(shape: &Shape) -> Self {
        let prose = Prose::new(shape.seed);
        let mut random = Random::new(shape.seed);
        let mut scripts = Vec::new();
        for server in [SCOPED_SERVER, UNSCOPED_SERVER] {
            let scoped = server == SCOPED_SERVER;
            let kinds = [
                http_script(shape, server, &prose, &mut random),
                dns_script(shape, server),
                tls_script(shape, server, &mut random),
            ];
            scripts.extend(kinds.into_iter().map(|packets| Script { packets, scoped }));
        }
        let Mix { http, dns, tls } = shape.mix;
        let weights = [http, dns, tls];
        let total = u64::from(http) + u64::from(dns) + u64::from(tls);
        let mut choice = Vec::with_capacity(1 << 12);
        for _ in 0..1 << 12 {
            let mut at = random.below(total.max(1));
            let mut kind = 0;
            while kind < 2 && at >= u64::from(weights[kind]) {
                at -= u64::from(weights[kind]);
                kind += 1;
            }
            let scoped = random.below(100) < u64::from(shape.scoped_percent);
            choice.push((if scoped { kind } else { kind + 3 }) as u16);
        }
        let mut flows = Self {
            scripts,
            choice,
            slots: vec![Slot::default(); shape.flows.max(1) as usize],
            envelope: shape.envelope,
            turn: 0,
            round: 0,
            stagger: 0,
        };
        for at in 0..flows.slots.len() {
            flows.slots[at].script = flows.script_of(at as u64);
        }
        flows
    }

    /// Flows begin spread over so many rounds, in each of which every flow that has begun has its turn:
    /// so they are not all at the same place of their conversations.
    #[must_use]
    pub fn staggered(mut self, rounds: u32) -> Self {
        self.stagger = u64::from(rounds);
        self
    }

    /// Whose turn it is.
    fn next_slot(&mut self) -> usize {
        loop {
            let at = self.turn;
            self.turn = if at + 1 == self.slots.len() { 0 } else { at + 1 };
            self.round += u64::from(self.turn == 0 && self.round < self.stagger);
            // The first flow never waits, so that there is always one whose turn it is.
            if at == 0
                || self.round >= self.stagger
                || mixed(at as u64) % self.stagger <= self.round
            {
                return at;
            }
        }
    }

    /// The number of a slot's flow among all flows.
    fn number(&self, at: usize) -> u64 {
        at as u64 + u64::from(self.slots[at].generation) * self.slots.len() as u64
    }

    fn script_of(&self, number: u64) -> u16 {
        // Neighbours are not alike.
        self.choice[mixed(number) as usize % self.choice.len()]
    }

    /// Writes the next packet into `out`, which must have room for a frame.
    pub fn next_into(&mut self, out: &mut [u8]) -> Made {
        let at = self.next_slot();
        let number = self.number(at);
        let slot = &mut self.slots[at];
        let script = &self.scripts[usize::from(slot.script)];
        let template = &script.packets[usize::from(slot.next)];
        slot.next += 1;
        let scoped = script.scoped;
        let length = template.bytes.len();
        let out = &mut out[..length];
        out.copy_from_slice(&template.bytes);
        let client = FIRST_CLIENT + (number % CLIENTS) as u32;
        let port = FIRST_PORT + (number / CLIENTS % PORTS) as u16;
        if self.envelope.is_udp() {
            // Another flow in the tunnel comes from another port.
            let hash = (client as u16).wrapping_mul(31) ^ port;
            let tunnel = frame::tunnel_port(hash).to_be_bytes();
            out[SOURCE_PORT..SOURCE_PORT + 2].copy_from_slice(&tunnel);
        }
        put_client(&mut out[self.envelope.bytes()..], template, client, port);
        if usize::from(slot.next) == script.packets.len() {
            slot.next = 0;
            slot.generation += 1;
            let number = self.number(at);
            self.slots[at].script = self.script_of(number);
        }
        let server = if scoped { SCOPED_SERVER } else { UNSCOPED_SERVER };
        Made { length, scoped, addresses: (client.into(), server) }
    }
}

const fn mixed(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

/// Puts a client in the place of the first one; checksums follow (RFC 1624, equation 3).
fn put_client(frame: &mut [u8], template: &Template, client: u32, port: u16) {
    let (address_at, port_at) = match template.from {
        Side::Client => (SOURCE, SOURCE_PORT),
        Side::Server => (DESTINATION, DESTINATION_PORT),
    };
    let high = (client >> 16) as u16;
    let low = client as u16;
    let was = |word: u16| u32::from(!word);
    let address = was((FIRST_CLIENT >> 16) as u16)
        + was(FIRST_CLIENT as u16)
        + u32::from(high)
        + u32::from(low);
    frame[address_at..address_at + 4].copy_from_slice(&client.to_be_bytes());
    frame[port_at..port_at + 2].copy_from_slice(&port.to_be_bytes());
    update(frame, IP_CHECKSUM, address, false);
    let transport = if template.is_udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
    update(frame, transport, address + was(FIRST_PORT) + u32::from(port), template.is_udp);
}

fn update(frame: &mut [u8], at: usize, change: u32, is_udp: bool) {
    let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
    let mut sum = u32::from(!old) + change;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    let new = match !(sum as u16) {
        // A UDP checksum of 0 says that there is none.
        0 if is_udp => 0xffff,
        new => new,
    };
    frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

fn path(shape: &Shape, server: Ipv4Addr, port: u16) -> Path {
    let client = SocketAddr::new(IpAddr::V4(FIRST_CLIENT.into()), FIRST_PORT);
    Path::new(client, SocketAddr::new(IpAddr::V4(server), port)).within(shape.envelope)
}

/// Payload bytes of a data packet.
fn data(shape: &Shape) -> usize {
    shape.frame_bytes.saturating_sub(HEADERS).clamp(1, LARGEST)
}

fn tcp_script(
    shape: &Shape,
    server: Ipv4Addr,
    port: u16,
    messages: &[(Side, Vec<u8>)],
    random: &mut Random,
) -> Vec<Template> {
    let mut track = Track::new(0, 1);
    let mut session = TcpSession::new(path(shape, server, port), random);
    // In memory, writing does not fail.
    let mut talk = || -> std::io::Result<()> {
        session.open(&mut track)?;
        for (side, message) in messages {
            session.send(*side, message, &mut track)?;
        }
        session.close(Side::Client, &mut track)
    };
    let told = talk();
    debug_assert!(told.is_ok());
    let packets = track.into_packets().into_iter();
    packets.map(|packet| template(shape, packet.bytes, false)).collect()
}

fn template(shape: &Shape, bytes: Vec<u8>, is_udp: bool) -> Template {
    let source = shape.envelope.bytes() + SOURCE;
    let from_client = bytes[source..source + 4] == FIRST_CLIENT.to_be_bytes();
    Template { from: if from_client { Side::Client } else { Side::Server }, bytes, is_udp }
}

fn http_script(
    shape: &Shape,
    server: Ipv4Addr,
    prose: &Prose,
    random: &mut Random,
) -> Vec<Template> {
    let size = data(shape);
    let request = http::request_head("GET", "/articles/17", "shop.example", &[], 0);
    let body = size * shape.data_packets.max(1);
    let mut messages = vec![
        (Side::Client, request),
        (Side::Server, http::response_head("200 OK", "text/html", body)),
    ];
    for _ in 0..shape.data_packets.max(1) {
        messages.push((Side::Server, prose.slice(size, random).to_vec()));
    }
    tcp_script(shape, server, 8080, &messages, random)
}

fn tls_script(shape: &Shape, server: Ipv4Addr, random: &mut Random) -> Vec<Template> {
    let size = data(shape);
    let mut messages = vec![
        (Side::Client, tls::client_hello("shop.example", random)),
        (Side::Server, tls::server_hello(random)),
        (Side::Client, tls::client_finished(random)),
    ];
    for _ in 0..shape.data_packets.max(1) {
        messages.push((Side::Server, tls::encrypted(size.saturating_sub(5).max(1), random)));
    }
    tcp_script(shape, server, 8443, &messages, random)
}

fn dns_script(shape: &Shape, server: Ipv4Addr) -> Vec<Template> {
    let path = path(shape, server, 53);
    let name = "cart.shop.svc.cluster.local";
    let mut there = Vec::new();
    frame::udp(&mut there, &path, Side::Client, 1, &dns::query(7, name, dns::Kind::A));
    let mut back = Vec::new();
    let answer = dns::address_answer(7, name, Ipv4Addr::new(10, 96, 0, 17));
    frame::udp(&mut back, &path, Side::Server, 2, &answer);
    vec![template(shape, there, true), template(shape, back, true)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use wire::{LinkType, decode};

    fn shape() -> Shape {
        Shape {
            flows: 50,
            frame_bytes: 600,
            data_packets: 3,
            mix: Mix { http: 5, dns: 3, tls: 2 },
            scoped_percent: 40,
            envelope: Envelope::Plain,
            seed: 1,
        }
    }

    #[test]
    fn every_packet_decodes_with_right_checksums_and_flows_are_unique() {
        let mut flows = Flows::new(&shape());
        let mut frame = [0; 2048];
        let (mut keys, mut scoped, mut full) = (HashSet::new(), 0, 0);
        for _ in 0..20_000 {
            let made = flows.next_into(&mut frame);
            let bytes = &frame[..made.length];
            let decoded =
                decode(LinkType::Ethernet, bytes, &wire::Config::default()).expect("decodes");
            assert!(wire::checksum_ok(&decoded, bytes));
            let (src, dst) = (decoded.inner().src, decoded.inner().dst);
            let (client, server) = made.addresses;
            assert!(
                (src, dst) == (client.into(), server.into())
                    || (dst, src) == (client.into(), server.into())
            );
            assert_eq!(made.scoped, server == SCOPED_SERVER);
            let port = if src == IpAddr::V4(client) { SOURCE_PORT } else { DESTINATION_PORT };
            keys.insert((client, frame[port], frame[port + 1]));
            scoped += usize::from(made.scoped);
            full += usize::from(made.length == 600);
        }
        assert!(full > 1_500, "{full} frames of the size that was asked for");
        assert!((4_000..14_000).contains(&scoped), "{scoped}");
        // Ten packets a flow or so.
        assert!((1_000..8_000).contains(&keys.len()), "{}", keys.len());
    }

    #[test]
    fn in_every_envelope_are_the_same_packets() {
        let config = wire::Config::default();
        let mut plain = [0; 2048];
        for envelope in Envelope::ALL {
            let mut flows = Flows::new(&shape());
            let mut within = Flows::new(&Shape { envelope, ..shape() });
            let mut frame = [0; 2048];
            for _ in 0..2_000 {
                let (expected, made) = (flows.next_into(&mut plain), within.next_into(&mut frame));
                assert_eq!((made.scoped, made.addresses), (expected.scoped, expected.addresses));
                let (plain, bytes) = (&plain[..expected.length], &frame[..made.length]);
                let decode = |bytes| decode(LinkType::Ethernet, bytes, &config).expect("decodes");
                let (outside, inside) = (decode(plain), decode(bytes));
                assert!(wire::checksum_ok(&inside, bytes), "{envelope:?}");
                let tunnels =
                    matches!(envelope.name(), "ipip" | "gre" | "erspan" | "vxlan" | "geneve");
                assert_eq!(inside.ip_layers().len(), 1 + usize::from(tunnels), "{envelope:?}");
                assert_eq!(inside.ports(), outside.ports(), "{envelope:?}");
                assert_eq!(
                    (inside.inner().src, inside.inner().dst),
                    (outside.inner().src, outside.inner().dst)
                );
                assert_eq!(inside.payload_of(bytes), outside.payload_of(plain), "{envelope:?}");
            }
        }
    }

    #[test]
    fn staggered_flows_begin_over_so_many_rounds_and_all_begin() {
        let shape = Shape { mix: Mix { http: 1, dns: 0, tls: 0 }, ..shape() };
        let mut flows = Flows::new(&shape).staggered(10);
        let mut frame = [0; 2048];
        let mut after = Vec::new();
        for _ in 0..10 {
            let round = flows.round;
            while flows.round == round && round < 10 {
                flows.next_into(&mut frame);
            }
            after.push(
                flows.slots.iter().filter(|slot| slot.next > 0 || slot.generation > 0).count(),
            );
        }
        assert_eq!(after.last(), Some(&50), "{after:?}");
        assert!(after[0] < 15 && (15..40).contains(&after[4]), "{after:?}");
    }

    #[test]
    fn no_flow_is_begun_before_the_one_in_its_slot_has_ended() {
        let mut flows = Flows::new(&Shape { mix: Mix { http: 0, dns: 1, tls: 0 }, ..shape() });
        let mut frame = [0; 2048];
        let clients: Vec<_> = (0..200).map(|_| flows.next_into(&mut frame).addresses.0).collect();
        assert_eq!(clients[..50], clients[50..100], "query and answer");
        assert_eq!(clients[100..150].iter().filter(|&it| clients[..50].contains(it)).count(), 0);
    }
}
