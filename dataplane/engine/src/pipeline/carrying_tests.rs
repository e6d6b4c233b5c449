//! That sparing packets which carry others loses nothing: beside a core that inspects all of them.

use std::net::IpAddr;

use proptest::prelude::*;
use rtrb::Consumer;
use wire::LinkType;
use wire::builder::{self, Ip};

use super::*;
use crate::alert::{Alert, FlowSummary, Source};
use crate::settings::Settings;
use crate::testing;

const NODES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const NODES_V6: [&str; 2] = ["fd00::1", "fd00::2"];
const PODS: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const PODS_V6: [&str; 2] = ["fd00:1::1", "fd00:1::2"];

/// Kinds of envelopes: how a datagram (of IPv6 for the last few) is put into one, by the nodes that it goes
/// between, from a port that the flow within tells, and whether back.
type Wrap = fn(&Ip, (u16, bool), &[u8]) -> Vec<u8>;
const ENVELOPES: [Wrap; 17] = [
    |nodes, _, inner| nodes.datagram(4, inner),
    |nodes, _, inner| nodes.datagram(47, &builder::gre(None, 0x0800, inner)),
    |nodes, _, inner| nodes.datagram(47, &builder::gre(Some(7), 0x6558, &builder::frame(inner))),
    // GRE that says of itself that it is odd.
    |nodes, _, inner| nodes.datagram(47, &[&[1, 0, 8, 0], inner].concat()),
    // ERSPAN of type I, II and III.
    |nodes, _, inner| nodes.datagram(47, &builder::gre(None, 0x88be, &builder::frame(inner))),
    |nodes, _, inner| {
        let head = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 5, 0, 0, 0, 0];
        nodes.datagram(47, &[&head[..], &builder::frame(inner)].concat())
    },
    |nodes, _, inner| {
        let head = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        nodes.datagram(47, &[&head[..], &builder::frame(inner)].concat())
    },
    |nodes, (from, _), inner| nodes.udp(from, 4789, &builder::vxlan(9, &builder::frame(inner))),
    |nodes, _, inner| nodes.udp(4789, 4789, &builder::vxlan(9, &builder::frame(inner))),
    |nodes, (from, _), inner| {
        nodes.udp(from, 4790, &[&[0x0c, 0, 0, 1, 0, 0, 9, 0], inner].concat())
    },
    |nodes, (from, _), inner| nodes.udp(from, 6081, &builder::geneve(9, 0x0800, inner)),
    |nodes, (from, _), inner| {
        nodes.udp(from, 37_008, &[&[1, 0, 0, 1, 1][..], &builder::frame(inner)].concat())
    },
    |nodes, _, inner| {
        nodes.udp(1701, 1701, &[&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21][..], inner].concat())
    },
    // One within the other.
    |nodes, (from, _), inner| {
        let between = Ip::new("198.51.100.1", "198.51.100.2");
        let within = between.udp(from, 4789, &builder::vxlan(3, &builder::frame(inner)));
        nodes.datagram(4, &within)
    },
    |nodes, _, inner| nodes.datagram(41, inner),
    |nodes, (from, back), inner| {
        if back { nodes.udp(3544, from, inner) } else { nodes.udp(from, 3544, inner) }
    },
    |nodes, (from, _), inner| nodes.udp(from, 6081, &builder::geneve(9, 0x86dd, inner)),
];
/// The first envelope of an IPv6 datagram.
const OF_V6: usize = 14;

/// A packet: its envelope, whether its nodes have IPv6 addresses, which way it goes, which flow it is of, and its payload.
#[derive(Debug, Clone, Copy)]
struct Sent {
    envelope: usize,
    v6: bool,
    back: bool,
    flow: u16,
    payload: &'static str,
}

impl Sent {
    const fn new(envelope: usize) -> Self {
        Self { envelope, v6: false, back: false, flow: 1, payload: "attack" }
    }

    fn ends(self, [one, other]: [&str; 2]) -> Ip {
        if self.back { Ip::new(other, one) } else { Ip::new(one, other) }
    }

    fn frame(self) -> Vec<u8> {
        let pods = self.ends(if self.envelope < OF_V6 { PODS } else { PODS_V6 });
        let ports = (4000 + self.flow, 7);
        let (from, to) = if self.back { (ports.1, ports.0) } else { ports };
        let inner = pods.udp(from, to, self.payload.as_bytes());
        let nodes = self.ends(if self.v6 { NODES_V6 } else { NODES });
        builder::frame(&ENVELOPES[self.envelope](&nodes, (50_000 + self.flow, self.back), &inner))
    }
}

/// A core, and its alerts.
struct Bench {
    core: Core,
    alerts: Consumer<Box<Alert>>,
    order: u64,
    generation: u64,
}

/// What is compared of an alert: packet, sid (0: tagged), ends, what it is of.
type Told = (u64, u32, (IpAddr, Option<u16>), (IpAddr, Option<u16>), Source);

impl Bench {
    fn new(rules: &str) -> Self {
        let (core, alerts) = testing::core(rules, Settings::default());
        Self { core, alerts, order: 0, generation: 1 }
    }

    fn adopt(&mut self, rules: &str) {
        self.generation += 1;
        *self.core.delivery_mut() = testing::delivery(self.generation, rules, Settings::default());
        self.core.adopt();
    }

    fn frame(&mut self, frame: &[u8]) {
        self.order += 1;
        let info = PacketInfo {
            timestamp: self.order * 100_000_000,
            clock: self.order * 100_000_000,
            order: self.order,
            link: Some(LinkType::Ethernet),
            wire_len: frame.len() as u32,
            ignore_checksums: false,
        };
        let _ = self.core.packet(frame, frame.len(), info, false);
    }

    fn send(&mut self, sent: impl IntoIterator<Item = Sent>) -> &mut Self {
        sent.into_iter().for_each(|it| self.frame(&it.frame()));
        self
    }

    fn told(&mut self) -> Vec<(Told, Option<FlowSummary>)> {
        let all = std::iter::from_fn(|| self.alerts.pop().ok());
        all.map(|alert| {
            let rules = &alert.snapshot.rules.signatures;
            let sid = rules.get(alert.signature as usize).map_or(0, |signature| signature.sid);
            let ends = ((alert.src, alert.src_port), (alert.dst, alert.dst_port));
            let told = (alert.packet_number, sid, ends.0, ends.1, alert.source);
            (told, alert.flow.map(|flow| *flow))
        })
        .collect()
    }

    /// Packet and sid of alerts on packets as they came, not on those within.
    fn on_carriers(&mut self) -> Vec<(u64, u32)> {
        let told = self.told().into_iter().map(|(told, _)| told);
        told.filter(|it| it.4 == Source::Wire).map(|it| (it.0, it.1)).collect()
    }

    fn flows(&self) -> u64 {
        self.core.counters.flows.get()
    }
}

const CONTENT: &str = r#"alert udp any any -> any 7 (content:"attack"; sid:1;)"#;
const VXLAN: usize = 7;
const GRE: usize = 1;

#[test]
fn what_is_carried_is_found_in_every_envelope_and_carriers_have_no_flow() {
    for envelope in 0..ENVELOPES.len() {
        let mut bench = Bench::new(CONTENT);
        let there = Sent::new(envelope);
        bench.send([there, Sent { back: true, ..there }, there]);
        let told = bench.told();
        let found: Vec<_> = told.iter().map(|(it, _)| (it.0, it.1)).collect();
        assert_eq!(found, [(1, 1), (3, 1)], "envelope {envelope}");
        assert!(told.iter().all(|(it, _)| matches!(it.4, Source::Tunnel(_))), "{told:?}");
        let summary = told[1].1.as_ref().unwrap();
        assert_eq!(summary.packets, [2, 1], "envelope {envelope}");
        // Where both directions are one flow it tells which is which.
        let both = matches!(envelope, 8 | 12 | 15);
        assert_eq!(bench.flows(), 1 + u64::from(both), "envelope {envelope}");
        assert_eq!(bench.core.counters.inspected.get(), 3);
    }
}

#[test]
fn rules_of_addresses_alone_and_of_headers_alone_fire_on_carriers() {
    let rules = r#"
alert ip 192.0.2.1 any -> any any (sid:1;)
alert udp any any -> any 4789 (sid:2;)
alert udp any any -> any 4789 (ttl:64; sid:3;)
alert ip any any -> any any (ip_proto:47; sid:4;)
alert udp any any -> any 4789 (content:"attack"; sid:5;)
alert tcp 192.0.2.1 any -> any any (sid:6;)
"#;
    let mut bench = Bench::new(rules);
    let there = Sent::new(VXLAN);
    let back = Sent { back: true, ..there };
    bench.send([there, there, back]);
    let expected = [(1, 1), (1, 2), (1, 3), (2, 3), (3, 2), (3, 3)];
    assert_eq!(bench.on_carriers(), expected, "addresses once for each flow");
    assert_eq!(bench.flows(), 3);
    bench.send([Sent::new(GRE), Sent { back: true, ..Sent::new(GRE) }]);
    assert_eq!(bench.on_carriers(), [(4, 1), (4, 4), (5, 4)]);
}

#[test]
fn rules_that_come_fire_at_once_on_carriers_that_were_spared() {
    let mut bench = Bench::new(CONTENT);
    let sent = [Sent::new(VXLAN), Sent::new(GRE)];
    bench.send(sent).send(sent);
    assert_eq!((bench.on_carriers(), bench.flows()), (vec![], 1 + 1));
    bench.adopt(r#"alert ip any any -> 192.0.2.2 any (sid:7;)"#);
    bench.send(sent);
    assert_eq!(bench.on_carriers(), [(5, 7), (6, 7)]);
    bench.adopt(r#"alert udp any any -> any 4789 (ttl:64; sid:8;)"#);
    bench.send(sent).send(sent);
    assert_eq!(bench.on_carriers(), [(7, 8), (9, 8)]);
    bench.adopt(CONTENT);
    bench.send(sent);
    assert_eq!(bench.on_carriers(), []);
}

#[test]
fn a_tag_that_runs_when_the_rules_change_counts_on() {
    let tag = r#"alert udp any any -> any 4789 (ttl:64; tag:session,4,packets; sid:1;)"#;
    let mut bench = Bench::new(tag);
    bench.send([Sent::new(VXLAN)]);
    assert_eq!(bench.on_carriers(), [(1, 1)]);
    bench.adopt(r#"alert udp any any -> any 9 (ttl:1; tag:session,4,packets; sid:2;)"#);
    bench.send([Sent::new(VXLAN), Sent { flow: 2, ..Sent::new(VXLAN) }, Sent::new(VXLAN)]);
    assert_eq!(bench.on_carriers(), [(2, 0), (4, 0)]);
}

#[test]
fn a_flow_that_a_carrier_shares_with_payloads_is_its_own() {
    let rules = r#"
alert udp any any -> any 4789 (content:"mark"; tag:session,3,packets; sid:1;)
"#;
    let mut bench = Bench::new(rules);
    let carrier = Sent::new(VXLAN);
    bench.send([carrier]);
    // Neither VXLAN nor anything else, from the same port to the same.
    bench.frame(&builder::frame(&Ip::new(NODES[0], NODES[1]).udp(50_001, 4789, b"mark")));
    bench.send([carrier, Sent { back: true, ..carrier }]);
    assert_eq!(bench.on_carriers(), [(2, 1), (3, 0)]);
    assert!(bench.core.carriers.may_have_flow(layer(&carrier).inner(), (50_001, 4789)));
    bench.core.finish(0);
    assert!(!bench.core.carriers.has_flows());
}

/// The packet that carries it.
fn layer(sent: &Sent) -> Decoded {
    let decoded = wire::decode(LinkType::Ethernet, &sent.frame(), &wire::Config::default());
    carrier(&decoded.unwrap(), &sent.frame(), 0)
}

const HEADERS: [&str; 13] = [
    "ip any any -> any any",
    "ip 192.0.2.1 any -> any any",
    "ip any any -> !192.0.2.2 any",
    "ip [192.0.2.0/24,fd00::/64] any <> 192.0.2.2 any",
    "ip fd00::1 any -> any any",
    "udp any any -> any 4789",
    "udp any 50001 -> any any",
    "udp any 3544 -> any any",
    "udp any any -> any [1701,3544,6081]",
    "udp any any <> any !4789",
    "udp 198.51.100.1 any -> any any",
    "tcp any any -> any any",
    "icmp any any -> any any",
];

const OPTIONS: [&str; 31] = [
    "",
    "",
    "",
    "ttl:64;",
    "ttl:>64;",
    "dsize:0;",
    "dsize:>2;",
    r#"content:"attack";"#,
    r#"content:!"attack";"#,
    "isdataat:!1;",
    r#"pcre:"/^$/";"#,
    "ip_proto:47;",
    "ip_proto:!17;",
    "sameip;",
    "flowbits:set,a;",
    "flowbits:isset,a;",
    "flowbits:isnotset,a;",
    "flow:to_server;",
    "flow:to_client;",
    "flow:established;",
    "flow:stateless;",
    "flow.age:>0;",
    r#"ipv4.hdr; content:"|45 00|";"#,
    r#"udp.hdr; content:"|12 b5|"; offset:2; depth:2;"#,
    r#"ip.src; content:"|c0 00|";"#,
    "decode-event:gre.version0_recur;",
    "tag:session,2,packets;",
    "tag:host,2,packets,dst;",
    "xbits:set,x,track ip_src; noalert;",
    "xbits:isset,x,track ip_dst;",
    "bypass;",
];

/// Rules of headers, addresses and what else there is, such that some carriers match.
fn rules() -> impl Strategy<Value = String> {
    use proptest::sample::select;
    let rule = (0..10u8, select(&HEADERS[..]), select(&OPTIONS[..]));
    proptest::collection::vec(rule, 1..5).prop_map(|all| {
        let rule = |(sid, (chance, header, options)): (u32, (u8, &str, &str))| {
            let action = if chance == 0 { "pass" } else { "alert" };
            format!("{action} {header} ({options} sid:{sid};)\n")
        };
        (1..).zip(all).map(rule).collect()
    })
}

fn packets() -> impl Strategy<Value = Vec<Sent>> {
    let payload = prop_oneof![Just("attack"), Just("nothing"), Just("")];
    let one = (0..ENVELOPES.len(), any::<bool>(), any::<bool>(), 1u16..4, payload);
    let sent = one.prop_map(|(envelope, v6, back, flow, payload)| Sent {
        envelope,
        v6,
        back,
        flow,
        payload,
    });
    proptest::collection::vec(sent, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn sparing_carriers_changes_no_alert(rules in rules(), packets in packets()) {
        let (mut spared, mut all) = (Bench::new(&rules), Bench::new(&rules));
        all.core.carriers.asks_for_all = true;
        let (spared, all) = (spared.send(packets.clone()), all.send(packets));
        let (told, expected) = (spared.told(), all.told());
        // What was spared before a host was tagged is missing in its flow, if nothing else asks for it.
        let counts = !rules.contains("tag:");
        for (told, expected) in told.iter().zip(&expected) {
            prop_assert_eq!(&told.0, &expected.0, "{}", rules);
            prop_assert!(!counts || told.1 == expected.1, "{:?} {:?} {}", told, expected, rules);
        }
        prop_assert_eq!(told.len(), expected.len(), "{}", rules);
        let [one, other] = [&spared.core, &all.core].map(|core| core.counters.inspected.get());
        prop_assert_eq!(one, other);
        prop_assert!(spared.flows() <= all.flows());
        // Once every flow has ended, none is counted.
        spared.core.finish(0);
        prop_assert!(!spared.core.carriers.has_flows());
    }
}
