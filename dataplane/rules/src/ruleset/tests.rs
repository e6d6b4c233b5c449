//! What the ruleset promises as a whole: whatever could match is a candidate.

use hyperscan::{MatchQueue, PaddedBuf, Scratch};
use proptest::prelude::*;

use super::testing::{ports, rule};
use super::*;
use crate::signature::{
    AppProtocolTest, Buffer, Compare, HeaderTest, Number, PortSet, Test, Transform,
};

fn compile(signatures: Vec<Signature>) -> (Ruleset, BuildReport) {
    Ruleset::compile(signatures, None, 2, &|_| {}).unwrap()
}

/// A ruleset with what is needed to scan.
struct Scanner {
    ruleset: Ruleset,
    scratch: Scratch,
    queue: MatchQueue,
}

impl Scanner {
    fn new(signatures: Vec<Signature>) -> Self {
        let (ruleset, _) = compile(signatures);
        let (scratch, queue) = (ruleset.scratch().unwrap(), ruleset.queue());
        Self { ruleset, scratch, queue }
    }

    /// What one packet with this payload leads to, the stream's new bytes being the same.
    fn candidates(&mut self, protocol: u8, direction: usize, port: u16, data: &[u8]) -> Vec<u32> {
        let mut padded = PaddedBuf::new();
        padded.extend_from_slice(data);
        let groups = self.ruleset.groups(protocol, direction, port);
        let mut out = Vec::new();
        for group in groups.common.into_iter().chain(groups.port) {
            for prefilter in group.packet.iter().chain(&group.stream) {
                let data = padded.as_padded();
                prefilter.scan(data, &mut self.scratch, &mut self.queue, &mut out).unwrap();
            }
            out.extend_from_slice(&group.always);
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    fn sids(&mut self, protocol: u8, direction: usize, port: u16, data: &[u8]) -> Vec<u32> {
        let candidates = self.candidates(protocol, direction, port, data);
        let mut sids: Vec<u32> =
            candidates.iter().map(|&n| self.ruleset.signatures[n as usize].sid).collect();
        sids.sort_unstable();
        sids
    }
}

#[test]
fn an_empty_ruleset_compiles_and_finds_nothing() {
    let mut scanner = Scanner::new(vec![]);
    assert_eq!(scanner.candidates(6, 0, 80, b"anything"), []);
    assert!(scanner.ruleset.transaction_lists().is_empty());
    assert_eq!(scanner.ruleset.groups(6, 7, 80).common.map(|_| ()), None, "no such direction");
}

#[test]
fn ports_are_the_servers_in_either_direction() {
    let mut scanner = Scanner::new(vec![
        rule("tcp", 1)
            .with(|s| s.dst_port = ports(&[(80, 80)]))
            .with(|s| s.flow.to_server = true)
            .content(Buffer::Payload, b"abc"),
        rule("tcp", 2)
            .with(|s| s.src_port = ports(&[(80, 80)]))
            .with(|s| s.flow.to_client = true)
            .content(Buffer::Payload, b"abc"),
        rule("tcp", 3)
            .with(|s| s.src_port = ports(&[(25, 25)]))
            .with(|s| s.dst_port = ports(&[(80, 80)]))
            .with(|s| s.bidirectional = true)
            .content(Buffer::Payload, b"abc"),
    ]);
    assert_eq!(scanner.sids(6, 0, 80, b"xabcx"), [1, 3]);
    assert_eq!(scanner.sids(6, 1, 80, b"xabcx"), [2, 3]);
    assert_eq!(scanner.sids(6, 0, 25, b"xabcx"), [3]);
    assert_eq!(scanner.sids(6, 0, 81, b"xabcx"), []);
    assert_eq!(scanner.sids(17, 0, 80, b"xabcx"), []);
}

#[test]
fn ip_rules_are_stream_rules_on_tcp_and_packet_rules_elsewhere() {
    let (ruleset, _) = compile(vec![rule("ip", 1).content(Buffer::Payload, b"abc")]);
    let tcp = ruleset.groups(6, 0, 80).common.unwrap();
    assert!(tcp.packet.is_none() && tcp.stream.is_some());
    for protocol in [0, 1, 17, 47, 58, 132, 255] {
        let other = ruleset.groups(protocol, 1, 80).common.unwrap();
        assert!(other.packet.is_some() && other.stream.is_none());
    }
}

#[test]
fn a_rule_with_depth_is_in_both_scans_of_tcp() {
    let anchored = rule("tcp", 1)
        .content_with(Buffer::Payload, b"abc", |c| c.depth = Some(Number::Literal(9)));
    let (ruleset, _) = compile(vec![anchored]);
    let tcp = ruleset.groups(6, 0, 80).common.unwrap();
    assert!(tcp.packet.is_some() && tcp.stream.is_some());
}

#[test]
fn what_has_no_fast_pattern_is_always_a_candidate_once() {
    let mut scanner = Scanner::new(vec![
        rule("tcp", 1).content_with(Buffer::Payload, b"abc", |c| c.negated = true),
        rule("http", 2),
        rule("tcp", 3).with(|s| s.header.push(HeaderTest::Ttl(Compare::Equal(1)))),
        rule("tcp", 4).with(|s| s.src.negated = true),
        rule("tcp", 5),
        rule("tcp", 6).with(|s| {
            s.app_protocol_tests.push(AppProtocolTest { name: "ftp", negated: false });
        }),
    ]);
    // The fifth asks for nothing but addresses.
    assert_eq!(scanner.sids(6, 0, 80, b""), [1, 2, 3, 4, 6]);
    let mut out = Vec::new();
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    scanner.ruleset.ip_only(address, address, 6, &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(scanner.ruleset.signatures[out[0] as usize].sid, 5);
}

#[test]
fn header_patterns_are_scanned_for_by_buffer() {
    let (ruleset, _) = compile(vec![
        rule("tcp", 1).content(Buffer::TcpHdr, b"\x02\x04\x05\xb4"),
        rule("ip", 2).content(Buffer::Ipv4Hdr, b"\x94\x04"),
    ]);
    let headers = |protocol| -> Vec<Buffer> {
        let group = ruleset.groups(protocol, 0, 80).common.unwrap();
        group.headers.iter().map(|&(buffer, _)| buffer).collect()
    };
    assert_eq!(headers(6), [Buffer::Ipv4Hdr, Buffer::TcpHdr]);
    assert_eq!(headers(17), [Buffer::Ipv4Hdr]);
}

#[test]
fn transactions_are_listed_by_buffer_and_transforms() {
    let sni = |sid, pattern: &[u8], transforms: &[Transform]| {
        let test = Test::Content(super::testing::content(pattern));
        rule("tls", sid).transformed(Buffer::TlsSni, transforms, test)
    };
    let (ruleset, _) = compile(vec![
        sni(1, b"evil.example", &[]),
        sni(2, b".evil.example", &[Transform::DotPrefix]),
        sni(3, b"evil.example", &[]),
        rule("http", 4).content_with(Buffer::HttpUri, b"abc", |c| c.negated = true),
        rule("http", 5).content(Buffer::HttpUri, b"abc"),
    ]);
    let lists: Vec<_> = ruleset
        .transaction_lists()
        .iter()
        .map(|l| (l.buffer, l.transforms.len(), l.direction, l.prefilter.signatures()))
        .collect();
    assert_eq!(
        lists,
        [(Buffer::HttpUri, 0, 0, 1), (Buffer::TlsSni, 0, 0, 2), (Buffer::TlsSni, 1, 0, 1),]
    );
    assert_eq!(ruleset.transaction_lists()[1].prefilter.patterns(), 1, "equal patterns are one");
    assert_eq!(ruleset.transaction_always("http", 0).len(), 1);
    assert!(ruleset.transaction_always("http", 1).is_empty());
    assert!(ruleset.transaction_always("tls", 0).is_empty());
    assert!(ruleset.transaction_always("smtp", 0).is_empty());
    assert!(ruleset.groups(6, 0, 443).common.is_none(), "packets have nothing to do with them");
}

#[test]
fn a_queue_too_small_makes_every_member_a_candidate() {
    let mut scanner = Scanner::new(vec![
        rule("udp", 1).content(Buffer::Payload, b"abc"),
        rule("udp", 2).content(Buffer::Payload, b"xyz"),
        rule("udp", 3).content(Buffer::Payload, b"not there"),
    ]);
    scanner.queue = MatchQueue::with_limit(1);
    assert_eq!(scanner.sids(17, 0, 53, b"abc xyz"), [1, 2, 3]);
    assert_eq!(scanner.sids(17, 0, 53, b"only xyz"), [2]);
}

#[test]
fn progress_runs_from_nothing_to_everything() {
    let seen = std::sync::Mutex::new(Vec::new());
    let signatures = vec![
        rule("udp", 1).content(Buffer::Payload, b"abc"),
        rule("dns", 2).content(Buffer::DnsQuery, b"xyz"),
    ];
    Ruleset::compile(signatures, None, 3, &|p| seen.lock().unwrap().push((p.done, p.total)))
        .unwrap();
    assert_eq!(seen.into_inner().unwrap(), [(0, 2), (1, 2), (2, 2)]);
}

#[test]
fn equal_patterns_share_a_database() {
    let (ruleset, report) = compile(vec![
        rule("tcp-pkt", 1).content(Buffer::Payload, b"abc"),
        rule("udp", 2).content(Buffer::Payload, b"abc"),
        rule("dns", 3).content(Buffer::DnsQuery, b"abc"),
    ]);
    assert_eq!((report.databases, report.patterns), (1, 1));
    assert_eq!(ruleset.transaction_lists()[0].prefilter.max_len(), 3);
}

#[test]
fn short_patterns_in_one_place_need_no_database() {
    let anchored = |sid, pattern: &[u8], offset: i64| {
        rule("udp", sid).content_with(Buffer::Payload, pattern, |c| {
            c.offset = Some(Number::Literal(offset));
            c.depth = Some(Number::Literal(pattern.len() as i64));
        })
    };
    let signatures = vec![anchored(1, b"a", 0), anchored(2, b"a", 1), anchored(3, b"\xff\0b", 2)];
    let (ruleset, report) = compile(signatures.clone());
    assert_eq!(report.databases, 0);
    let prefilter = ruleset.groups(17, 0, 53).common.unwrap().packet.as_ref().unwrap();
    assert_eq!((prefilter.patterns(), prefilter.min_len(), prefilter.max_len()), (3, 1, 0));
    let mut scanner = Scanner::new(signatures);
    assert_eq!(scanner.sids(17, 0, 53, b"aa\xff\0b"), [1, 2, 3]);
    assert_eq!(scanner.sids(17, 0, 53, b"xa"), [2]);
    assert_eq!(scanner.sids(17, 0, 53, b""), []);
}

#[test]
fn a_ruleset_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Ruleset>();
}

/// Few bytes, so that patterns occur often, overlap and differ in case only.
fn word(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'a'), Just(b'A'), Just(b'b'), Just(0), Just(0xff), Just(b'.')];
    proptest::collection::vec(byte, len)
}

fn port_set() -> impl Strategy<Value = PortSet> {
    let range = (0u16..12, 0u16..4).prop_map(|(low, len)| (low, low + len));
    prop_oneof![
        2 => Just(super::testing::any_port()),
        1 => Just(ports(&[(0, 4), (6, 65_535)])),
        4 => proptest::collection::vec(range, 1..3).prop_map(|ranges| ports(&ranges)),
    ]
}

fn signature() -> impl Strategy<Value = Signature> {
    let protocol = prop_oneof![
        Just("tcp"),
        Just("udp"),
        Just("ip"),
        Just("tcp-pkt"),
        Just("http"),
        Just("dns")
    ];
    let contents = proptest::collection::vec((word(1..40), any::<bool>(), any::<bool>()), 1..3);
    let anchored = proptest::option::of((0i64..4, prop_oneof![2 => Just(0i64), 1 => 1i64..60]));
    let shape = (any::<bool>(), any::<bool>(), any::<bool>(), anchored);
    (protocol, port_set(), port_set(), contents, shape).prop_map(
        |(protocol, src_port, dst_port, contents, (to_server, to_client, turned, anchored))| {
            let base = rule(protocol, 0).with(|s| {
                (s.src_port, s.dst_port, s.bidirectional) = (src_port, dst_port, turned);
                (s.flow.to_server, s.flow.to_client) = (to_server, to_client);
                s.flow.present = to_server || to_client;
            });
            contents.into_iter().fold(base, |s, (pattern, nocase, marked)| {
                let pattern = if nocase { pattern.to_ascii_lowercase() } else { pattern };
                s.content_with(Buffer::Payload, &pattern, |c| {
                    (c.nocase, c.fast_pattern) = (nocase, marked);
                    if let Some((offset, more)) = anchored {
                        c.offset = Some(Number::Literal(offset));
                        c.depth = Some(Number::Literal(pattern.len() as i64 + more));
                    }
                })
            })
        },
    )
}

/// Does the signature's fast pattern stand where its content may stand in a packet?
fn occurs(signature: &Signature, data: &[u8]) -> bool {
    let fast = signature.fast_pattern.unwrap();
    let Test::Content(content) = &signature.buffers[fast.buffer].tests[fast.test] else {
        panic!("a fast pattern is a content");
    };
    let number = |number| match number {
        Some(Number::Literal(n)) => usize::try_from(n).ok(),
        _ => None,
    };
    let first = number(content.offset).unwrap_or(0);
    let last = number(content.depth)
        .map_or(usize::MAX - fast.start, |depth| first + depth - content.pattern.len());
    places(signature, data).any(|at| (first + fast.start..=last + fast.start).contains(&at))
}

/// Where the signature's fast pattern stands.
fn places(signature: &Signature, data: &[u8]) -> impl Iterator<Item = usize> {
    let (pattern, nocase) = fast_pattern::bytes(signature).unwrap();
    data.windows(pattern.len())
        .enumerate()
        .filter(
            move |(_, window)| {
                if nocase { window.eq_ignore_ascii_case(pattern) } else { *window == pattern }
            },
        )
        .map(|(at, _)| at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// And no other: what is found beyond them must have been bound to more ports than were
    /// asked for, which verification sorts out.
    #[test]
    fn every_signature_whose_fast_pattern_occurs_is_a_candidate(
        signatures in proptest::collection::vec(signature(), 1..12),
        packets in proptest::collection::vec((word(0..60), 0u16..20, 0usize..2), 8),
    ) {
        let mut scanner = Scanner::new(signatures);
        for (data, port, direction) in packets {
            for protocol in [6u8, 17, 1] {
                let found = scanner.candidates(protocol, direction, port, &data);
                for (number, s) in (0u32..).zip(&scanner.ruleset.signatures) {
                    let may_meet = (s.protocol.ip_protocols.is_empty()
                            || s.protocol.ip_protocols.contains(&protocol))
                        && (if direction == 0 { s.to_server } else { s.to_client });
                    let (ahead, behind) = if direction == 0 {
                        (&s.dst_port, &s.src_port)
                    } else {
                        (&s.src_port, &s.dst_port)
                    };
                    let port_fits = ![6, 17].contains(&protocol)
                        || ahead.contains(port)
                        || s.bidirectional && behind.contains(port);
                    // Within a stream only what has one place is bound to it.
                    let ends = fast_pattern::ends(s);
                    let in_place = occurs(s, &data)
                        || protocol == 6
                            && s.needs_stream
                            && ends.first != ends.last
                            && places(s, &data).next().is_some();
                    let is_candidate = found.binary_search(&number).is_ok();
                    prop_assert!(is_candidate || !(may_meet && port_fits && in_place), "{s:?} {data:?}");
                    prop_assert!(
                        !is_candidate || may_meet && places(s, &data).next().is_some(),
                        "{s:?} {data:?}"
                    );
                }
            }
        }
    }
}
