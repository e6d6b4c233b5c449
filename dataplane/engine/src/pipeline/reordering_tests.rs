//! That it does not matter how a mirror's two directions come, as long as each is in order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rtrb::Consumer;
use wire::LinkType;
use wire::builder::{Ip, Tcp};
use wire::tcp_flag::{ACK, FIN, PSH, RST, SYN};

use super::*;
use crate::alert::Alert;
use crate::settings::Settings;
use crate::testing;

const RULES: &str = r#"
alert http any any -> any any (http.uri; content:"/attack"; sid:1;)
alert http any any -> any any (flow:established,to_client; http.stat_code; content:"200"; http.response_body; content:"the-answer"; sid:2;)
alert tcp any any -> any any (flow:established,to_server; content:"the-question"; sid:3;)
alert tcp any any -> any any (flow:established; flags:FA,CE; dsize:0; sid:4;)
alert dns any any -> any 53 (flow:to_server; dns.query; content:"shop.example"; sid:5;)
alert dns any 53 -> any any (flow:to_client; content:"|81 80|"; offset:2; depth:2; sid:6;)
"#;

const MILLISECOND: Nanos = 1_000_000;

/// A packet, and whether the client has sent it.
type Sent = (bool, Vec<u8>);

/// Both ends of a connection, which take turns.
struct Ends {
    ip: Ip,
    ports: (u16, u16),
    /// What each has sent, server first.
    sent: [u32; 2],
    packets: Vec<Sent>,
}

impl Ends {
    fn new(host: u8) -> Self {
        let ip = Ip::new(&format!("10.0.0.{host}"), "10.1.0.1");
        let ports = (40_000 + u16::from(host), 80);
        // Numbers that wrap.
        Self { ip, ports, sent: [u32::from(host), 0xffff_ff80], packets: Vec::new() }
    }

    fn packet(&mut self, client: bool, flags: u8, seq: u32, payload: &[u8]) {
        let ack = if flags & ACK != 0 { self.sent[usize::from(!client)] } else { 0 };
        let (from, to) = if client { self.ports } else { (self.ports.1, self.ports.0) };
        let tcp = Tcp::new(from, to, seq, ack).flags(flags);
        let ip = if client { &self.ip } else { &self.ip.reversed() };
        self.packets.push((client, ip.tcp(&tcp, payload)));
    }

    fn next(&mut self, client: bool, flags: u8, payload: &[u8]) {
        let seq = self.sent[usize::from(client)];
        self.packet(client, flags, seq, payload);
        let taken = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.sent[usize::from(client)] = seq.wrapping_add(taken);
    }

    /// Sends in segments, the second of each pair first; the other side acknowledges each.
    fn say(&mut self, client: bool, data: &[u8], crossed: bool) {
        for pair in data.chunks(2 * 16) {
            let seq = self.sent[usize::from(client)];
            if let (true, Some((first, second))) = (crossed, pair.split_at_checked(16)) {
                self.packet(client, PSH | ACK, seq.wrapping_add(16), second);
                self.next(!client, ACK, b"");
                self.packet(client, ACK, seq, first);
                self.sent[usize::from(client)] = seq.wrapping_add(pair.len() as u32);
            } else {
                self.next(client, PSH | ACK, pair);
            }
            self.next(!client, ACK, b"");
        }
    }
}

/// A connection with a request, its answer and the end, either's first.
fn connection(host: u8, crossed: bool, server_ends: bool) -> Vec<Sent> {
    let mut ends = Ends::new(host);
    ends.next(true, SYN, b"");
    ends.next(false, SYN | ACK, b"");
    ends.next(true, ACK, b"");
    ends.say(true, b"GET /attack?the-question HTTP/1.1\r\nHost: a\r\n\r\n", crossed);
    ends.say(false, b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nthe-answer..", crossed);
    ends.say(true, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n", crossed);
    ends.say(false, b"HTTP/1.1 204 No Content\r\n\r\n", crossed);
    ends.next(!server_ends, FIN | ACK, b"");
    ends.next(server_ends, FIN | ACK, b"");
    ends.next(!server_ends, ACK, b"");
    ends.packets
}

/// A connection whose client's packets come in fragments, if they have a payload.
fn fragmented(host: u8) -> Vec<Sent> {
    let ip = Ip::new(&format!("10.0.0.{host}"), "10.1.0.1");
    let mut all = Vec::new();
    for (number, (client, bytes)) in connection(host, false, false).into_iter().enumerate() {
        match bytes.get(20..).filter(|body| client && body.len() > 20) {
            Some(body) => {
                // The checksum is put in anew.
                let body = [&body[..16], &[0; 2], &body[18..]].concat();
                let fragments = ip.fragments(number as u32 + 1, 6, &body, 24);
                all.extend(fragments.into_iter().map(|fragment| (client, fragment)));
            }
            None => all.push((client, bytes)),
        }
    }
    all
}

/// A name asked for and told.
fn lookup(host: u8) -> Vec<Sent> {
    let ip = Ip::new(&format!("10.0.0.{host}"), "10.1.0.2");
    let port = 30_000 + u16::from(host);
    let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01".to_vec();
    let mut answer = query.clone();
    (answer[2], answer[3]) = (0x81, 0x80);
    vec![(true, ip.udp(port, 53, &query)), (false, ip.reversed().udp(53, port, &answer))]
}

/// A core and what it raises.
struct Bench {
    core: Core,
    alerts: Consumer<Box<Alert>>,
    now: Nanos,
    sent: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let (core, alerts) = testing::core(RULES, settings);
        Self { core, alerts, now: 1_000 * MILLISECOND, sent: 0 }
    }

    fn packet(&mut self, bytes: &[u8]) {
        self.now += MILLISECOND / 10;
        self.sent += 1;
        let info = PacketInfo {
            timestamp: self.now,
            clock: self.now,
            order: self.sent,
            link: Some(LinkType::RawIp),
            wire_len: bytes.len() as u32,
            ignore_checksums: false,
        };
        let _ = self.core.packet(bytes, bytes.len(), info, false);
        self.core.pass_time(self.now, 1);
    }

    /// So much time passes in which nothing comes.
    fn pause(&mut self, time: Nanos) -> Nanos {
        self.now += time;
        self.core.pass_time(self.now, 0)
    }

    fn inspected(&self) -> u64 {
        self.core.counters().inspected.get()
    }

    /// How often each rule has matched in which flow; all packets are in the ledger then.
    fn finish(mut self) -> BTreeMap<(u32, u16), usize> {
        self.core.finish(self.now);
        assert_eq!(self.inspected(), self.sent);
        assert!(self.core.reorder.is_empty());
        let mut told = BTreeMap::new();
        while let Ok(alert) = self.alerts.pop() {
            let rules = &alert.snapshot.rules.signatures;
            let sid = rules.get(alert.signature as usize).map_or(0, |signature| signature.sid);
            let ports = [alert.src_port, alert.dst_port].map(Option::unwrap_or_default);
            *told.entry((sid, ports.into_iter().max().unwrap_or_default())).or_default() += 1;
        }
        told
    }
}

/// What comes of these, by turns so many packets of all clients and of all servers as `lags` says, then one each:
/// what was raised, segments that were late all the same, and flows.
fn through(all: &[Vec<Sent>], lags: &[u8]) -> (BTreeMap<(u32, u16), usize>, u64, u64) {
    let mut bench = Bench::new();
    // Connections take turns.
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|at| all.iter().filter_map(move |one| one.get(at)));
    let turns: Vec<&Sent> = turns.collect();
    let mut at = [0usize, 0];
    for (step, lag) in lags.iter().copied().chain(std::iter::repeat(1)).enumerate() {
        let client = step % 2 == 0;
        for _ in 0..lag {
            let place = &mut at[usize::from(client)];
            while turns.get(*place).is_some_and(|it| it.0 != client) {
                *place += 1;
            }
            if let Some((_, bytes)) = turns.get(*place) {
                bench.packet(bytes);
                *place += 1;
            }
        }
        if at.iter().all(|place| *place >= turns.len()) {
            break;
        }
    }
    let counters = std::sync::Arc::clone(bench.core.counters());
    let told = bench.finish();
    (told, counters.late_segments.get(), counters.flows.get())
}

/// The connections and look-ups of the tests, and what they raise in order.
fn conversations() -> Vec<Vec<Sent>> {
    vec![
        connection(1, false, false),
        connection(2, true, false),
        connection(3, false, true),
        connection(4, true, true),
        fragmented(5),
        lookup(6),
        lookup(7),
    ]
}

#[test]
fn in_order_each_rule_matches_once_and_nothing_waits() {
    let all = conversations();
    let mut bench = Bench::new();
    all.iter().flatten().for_each(|(_, bytes)| bench.packet(bytes));
    assert_eq!(bench.core.counters().reordered.get(), 0);
    let told = bench.finish();
    for port in 40_001..=40_005 {
        assert_eq!([1, 2, 3, 4].map(|sid| told.get(&(sid, port)).copied()), [1, 1, 1, 2].map(Some));
    }
    for port in [30_006, 30_007] {
        assert_eq!([5, 6].map(|sid| told.get(&(sid, port)).copied()), [Some(1); 2]);
    }
    assert_eq!(told.len(), 24);
}

#[test]
fn a_whole_direction_may_come_first() {
    let all = conversations();
    let (expected, ..) = through(&all, &[1]);
    for lags in [[255, 255], [0, 255]] {
        let (told, late, flows) = through(&all, &lags);
        assert_eq!((told, late, flows), (expected.clone(), 0, 7), "{lags:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn however_the_directions_come_the_alerts_are_those_of_the_conversations(
        lags in proptest::collection::vec(0u8..40, 2..30),
    ) {
        let all = conversations();
        let expected = through(&all, &[1]).0;
        let (told, late, flows) = through(&all, &lags);
        prop_assert_eq!((told, late, flows), (expected, 0, 7));
    }
}

/// All orders of the numbers below this.
fn orders(below: usize) -> Vec<Vec<usize>> {
    match below.checked_sub(1) {
        None => vec![Vec::new()],
        Some(last) => {
            let shorter = orders(last);
            let with =
                |at: usize| shorter.iter().map(move |it| [&it[..at], &[last], &it[at..]].concat());
            (0..below).flat_map(with).collect()
        }
    }
}

#[test]
fn the_first_packets_may_come_in_any_order_as_where_queues_share_a_direction() {
    let all = connection(1, false, false);
    let expected = through(std::slice::from_ref(&all), &[1]).0;
    let (first, rest) = all.split_at(5);
    for order in orders(first.len()) {
        let mut bench = Bench::new();
        order.iter().for_each(|&at| bench.packet(&first[at].1));
        rest.iter().for_each(|(_, bytes)| bench.packet(bytes));
        assert_eq!(bench.core.counters().flows.get(), 1, "{order:?}");
        assert_eq!(bench.finish(), expected, "{order:?}");
    }
}

#[test]
fn a_connection_whose_beginning_was_not_seen_is_taken_up_after_a_moment() {
    let streams = flow::StreamConfig { midstream: true, ..flow::StreamConfig::default() };
    let mut bench = Bench::with(Settings { streams, ..Settings::default() });
    for (_, bytes) in connection(1, false, false).iter().skip(3) {
        bench.packet(bytes);
    }
    assert_eq!(bench.inspected(), 0);
    bench.pause(300 * MILLISECOND);
    assert_eq!(bench.inspected(), bench.sent);
    let told = bench.finish();
    assert_eq!([1, 2, 3].map(|sid| told.get(&(sid, 40_001)).copied()), [Some(1); 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn however_packets_are_spread_over_two_queues_the_alerts_are_those_of_the_conversations(
        queues in proptest::collection::vec(any::<bool>(), 400),
        lags in proptest::collection::vec(0u8..20, 2..60),
    ) {
        let all: Vec<_> = conversations().into_iter().map(|one| {
            let spread = one.into_iter().zip(&queues);
            spread.map(|((_, bytes), queue)| (*queue, bytes)).collect::<Vec<Sent>>()
        }).collect();
        let expected = through(&conversations(), &[1]).0;
        let (told, _, flows) = through(&all, &lags);
        prop_assert_eq!((told, flows), (expected, 7));
    }
}

#[test]
fn what_is_never_answered_waits_for_a_moment_only_and_holds_up_the_alerts_time() {
    let mut bench = Bench::new();
    let of_client = connection(1, false, false).into_iter().filter(|it| it.0);
    let of_client: Vec<_> = of_client.map(|it| it.1).collect();
    for bytes in &of_client {
        bench.packet(bytes);
    }
    let since = bench.now - MILLISECOND / 10 * (of_client.len() as u64 - 2);
    assert_eq!(bench.inspected(), 1, "the SYN alone");
    assert!(bench.pause(0) < since, "alerts of what waits may still come");
    bench.pause(100 * MILLISECOND);
    assert_eq!(bench.inspected(), 1);
    bench.pause(250 * MILLISECOND);
    assert_eq!(bench.inspected(), bench.sent);
    assert!(bench.pause(2_000 * MILLISECOND) > since);
    bench.finish();
}

#[test]
fn a_flow_does_not_wait_for_more_than_so_many_packets() {
    let mut bench = Bench::new();
    let mut ends = Ends::new(1);
    ends.next(true, SYN, b"");
    ends.sent[0] = 1;
    for _ in 0..300 {
        ends.next(true, PSH | ACK, b"0123456789");
    }
    for (_, bytes) in &ends.packets {
        bench.packet(bytes);
    }
    assert_eq!(bench.sent - bench.inspected(), 300 - 2 * 129, "twice there was one too many");
    bench.finish();
}

#[test]
fn where_waiting_is_in_vain_again_and_again_nothing_waits_for_a_while() {
    let mut bench = Bench::new();
    let opened = |bench: &mut Bench, from: u16, to: u16| {
        for number in from..to {
            let ip = Ip::new(&format!("10.2.{}.{}", number >> 8, number & 255), "10.1.0.1");
            bench.packet(&ip.tcp(&Tcp::new(1, 80, 5, 0).flags(SYN), b""));
            bench.packet(&ip.tcp(&Tcp::new(1, 80, 6, 77).flags(ACK), b""));
        }
        bench.sent - bench.inspected()
    };
    assert_eq!(opened(&mut bench, 0, 300), 300);
    bench.pause(300 * MILLISECOND);
    assert_eq!(opened(&mut bench, 300, 310), 0, "it has been in vain 300 times");
    bench.pause(1_000 * MILLISECOND);
    assert_eq!(opened(&mut bench, 310, 330), 20, "some patience has come back");
    bench.finish();
}

#[test]
fn a_reset_is_in_its_place_too() {
    let mut ends = Ends::new(1);
    ends.next(true, SYN, b"");
    ends.next(false, SYN | ACK, b"");
    ends.next(true, ACK, b"");
    ends.say(true, b"GET /attack?the-question HTTP/1.1\r\nHost: a\r\n\r\n", false);
    ends.next(false, RST | ACK, b"");
    let all = [ends.packets];
    let expected = through(&all, &[1]).0;
    assert_eq!(expected.len(), 2);
    assert_eq!(through(&all, &[0, 255, 255]).0, expected);
}

#[test]
fn what_waits_when_a_panic_ends_all_is_counted() {
    let mut bench = Bench::new();
    for (_, bytes) in connection(1, false, false).iter().filter(|it| !it.0) {
        bench.packet(bytes);
    }
    assert_eq!(bench.inspected(), 0);
    bench.core.start_anew().expect("memory");
    assert_eq!(bench.core.counters().dropped_total(), bench.sent);
    assert!(bench.core.reorder.is_empty());
}
