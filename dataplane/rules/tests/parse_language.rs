//! What rules become: the meaning of keywords, seen through the signatures that they give.

use rules::parse::{Classifications, Context, Names, Parsed, parse_rules};
use rules::signature::{
    Action, BitModifier, BitOperation, Buffer, ByteOperator, ChecksumOf, Compare, Content,
    Encoding, HeaderTest, IntCondition, IntOperation, IntOperator, IntValue, Number, Signature,
    Target, Test, ThresholdKind, Track, Transform,
};

fn parse(text: &str) -> Parsed {
    parse_rules("test.rules", text.as_bytes(), &Context::default(), &mut Names::default())
}

/// The one rule of a text.
#[track_caller]
fn rule(text: &str) -> Signature {
    let mut parsed = parse(text);
    assert!(parsed.rejections.is_empty(), "{}", parsed.rejections[0]);
    assert_eq!(parsed.signatures.len(), 1);
    parsed.signatures.remove(0)
}

/// A TCP rule with these options.
#[track_caller]
fn options(options: &str) -> Signature {
    rule(&format!("alert tcp any any -> any any ({options} sid:1;)"))
}

#[track_caller]
fn contents(signature: &Signature, buffer: usize) -> Vec<&Content> {
    let tests = &signature.buffers[buffer].tests;
    tests.iter().filter_map(|t| if let Test::Content(c) = t { Some(c) } else { None }).collect()
}

fn buffers(signature: &Signature) -> Vec<(Buffer, usize)> {
    signature.buffers.iter().map(|b| (b.buffer, b.tests.len())).collect()
}

#[test]
fn a_whole_rule_is_understood() {
    let context = Context {
        classes: Classifications::parse("config classification: odd,Odd traffic,2").0,
        ..Context::default()
    };
    let text = "\n# a comment\ndrop http $HOME_NET any -> [$EXTERNAL_NET,!8.8.8.8] [80,8080:8090] ( \\\n  \
        msg:\"Odd \\\"thing\\\"\\; really\"; flow:established,to_server; http.uri; content:\"/a|2F|b\"; \\\n\
        classtype:odd; reference:url,example.com/a\\;b; metadata:made_by me, at 2026_01_01; \
        target:src_ip; gid:3; sid:77; rev:5;)\n";
    let mut names = Names::default();
    let parsed = parse_rules("my.rules", text.as_bytes(), &context, &mut names);
    let [signature] = parsed.signatures.as_slice() else { panic!("{:?}", parsed.rejections) };
    assert_eq!((signature.gid, signature.sid, signature.rev), (3, 77, 5));
    assert_eq!(&*signature.msg, "Odd \"thing\"; really");
    assert_eq!((&*signature.origin.file, signature.origin.line), ("my.rules", 3));
    assert!(signature.text.starts_with("drop http") && signature.text.ends_with("rev:5;)"));
    assert!(!signature.text.contains('\n'));
    assert_eq!(signature.action, Action::Drop);
    assert_eq!((signature.protocol.name, signature.protocol.app), ("http", Some("http")));
    assert!(signature.src.contains("10.0.0.1".parse().unwrap()) && !signature.src.negated);
    assert!(!signature.dst.contains("8.8.8.8".parse().unwrap()) && signature.dst.negated);
    assert!(signature.dst.contains("8.8.4.4".parse().unwrap()));
    assert!(signature.src_port.any);
    assert_eq!(&*signature.dst_port.ranges, [(80, 80), (8080, 8090)]);
    let class = signature.class.as_ref().expect("a class");
    assert_eq!((&*class.name, &*class.description, signature.priority), ("odd", "Odd traffic", 2));
    assert_eq!(*signature.references, [("url".to_owned(), "example.com/a;b".to_owned())]);
    assert_eq!(signature.metadata[1], ("at".to_owned(), "2026_01_01".to_owned()));
    assert_eq!(signature.target, Some(Target::Source));
    assert!(signature.flow.established && signature.flow.to_server && signature.flow.present);
    assert_eq!(&*contents(signature, 0)[0].pattern, b"/a/b");
    assert_eq!((signature.to_server, signature.to_client, signature.rulesets), (true, false, 1));
}

#[test]
fn directions_follow_flow_and_buffers() {
    let both = |text: &str| {
        let signature = options(text);
        (signature.to_server, signature.to_client)
    };
    assert_eq!(both(""), (true, true));
    assert_eq!(both("flow:from_server;"), (false, true));
    assert_eq!(both("flow:from_client;"), (true, false));
    assert_eq!(both("tls.sni; content:\"a\";"), (true, false));
    assert_eq!(both("flow:to_server; flow:to_client;"), (true, true));
    assert!(rule("alert tcp any any <> any any (sid:1;)").bidirectional);
}

#[test]
fn modifiers_place_the_content_before_them() {
    let signature = options(
        "content:\"AbC\"; nocase; offset:3; depth:10; content:!\"x\"; distance:-2; within:7; \
         content:\"end\"; endswith; fast_pattern; content:\"go\"; startswith;",
    );
    let [first, second, third, fourth] = contents(&signature, 0)[..] else { panic!() };
    assert_eq!((&*first.pattern, first.nocase), (&b"abc"[..], true));
    assert_eq!(first.offset, Some(Number::Literal(3)));
    assert_eq!(first.depth, Some(Number::Literal(10)));
    assert!(second.negated && second.is_relative());
    assert_eq!(second.distance, Some(Number::Literal(-2)));
    assert_eq!(second.within, Some(Number::Literal(7)));
    assert!(third.ends_with && third.fast_pattern && !third.starts_with);
    assert!(fourth.starts_with);
    assert_eq!((fourth.offset, fourth.depth), (Some(Number::Literal(0)), Some(Number::Literal(2))));
}

#[test]
fn relative_next_marks_what_a_relative_test_leans_on() {
    let marks = |text: &str| -> Vec<bool> {
        options(text).buffers[0]
            .tests
            .iter()
            .filter_map(|test| match test {
                Test::Content(content) => Some(content.relative_next),
                Test::Pcre(pcre) => Some(pcre.relative_next),
                _ => None,
            })
            .collect()
    };
    assert_eq!(
        marks("content:\"a\"; content:\"b\"; distance:0; content:\"c\";"),
        [true, false, false]
    );
    assert_eq!(
        marks("content:\"a\"; pcre:\"/b/R\"; content:\"c\"; within:9;"),
        [true, true, false]
    );
    assert_eq!(
        marks("content:\"a\"; content:!\"b\"; content:\"c\"; distance:0;"),
        [false, true, false]
    );
    assert_eq!(
        marks("content:\"a\"; byte_test:1,>,5,0; content:\"c\"; distance:0;"),
        [true, false]
    );
    assert_eq!(marks("content:\"a\"; byte_test:1,>,5,0; byte_test:1,>,5,0,relative;"), [false]);
    assert_eq!(marks("content:\"a\"; byte_test:1,>,5,0,relative;"), [true]);
    assert_eq!(marks("content:\"a\"; isdataat:5,relative;"), [true]);
    assert_eq!(marks("content:\"a\"; isdataat:5;"), [false]);
    assert_eq!(marks("http.uri; content:\"a\"; bsize:5; isdataat:4,relative;"), [true]);
}

#[test]
fn nothing_behind_a_content_is_its_end() {
    let signature = options("content:\"a\"; isdataat:!1,relative;");
    assert_eq!(signature.buffers[0].tests.len(), 1);
    assert!(contents(&signature, 0)[0].ends_with);
    let signature = options("pcre:\"/a/\"; isdataat:!1,relative;");
    assert_eq!(signature.buffers[0].tests.len(), 2);
}

#[test]
fn sticky_buffers_hold_until_the_next_one() {
    let signature = options(
        "content:\"p\"; http.uri; content:\"a\"; http.method; content:\"GET\"; \
         http.uri; content:\"b\"; distance:1; pkt_data; content:\"q\";",
    );
    assert_eq!(
        buffers(&signature),
        [(Buffer::Payload, 2), (Buffer::HttpUri, 2), (Buffer::HttpMethod, 1)]
    );
    assert!(contents(&signature, 1)[0].relative_next);
    assert_eq!(signature.protocol.app, Some("http"));
    assert_eq!(signature.protocol.name, "tcp");
}

#[test]
fn every_use_of_dns_query_asks_for_a_question_of_its_own() {
    let signature = rule(
        "alert dns any any -> any any (dns.query; content:\"a\"; content:\"b\"; distance:0; \
         dns_query; content:\"c\"; sid:1;)",
    );
    assert_eq!(buffers(&signature), [(Buffer::DnsQuery, 2), (Buffer::DnsQuery, 1)]);
}

#[test]
fn a_transform_concerns_what_stands_behind_it() {
    let signature =
        options("tls.sni; content:\"a\"; dotprefix; content:\".b\"; tls_sni; content:\"c\";");
    assert_eq!(buffers(&signature), [(Buffer::TlsSni, 2), (Buffer::TlsSni, 1)]);
    assert_eq!(signature.buffers[0].transforms, []);
    assert_eq!(signature.buffers[1].transforms, [Transform::DotPrefix]);
}

#[test]
fn older_modifiers_move_their_content() {
    let signature = options(
        "content:\"p\"; content:\"a\"; http_uri; nocase; content:\"b\"; http_raw_host; \
         uricontent:\"c\"; pcre:\"/d/U\"; content:\"e\"; distance:1;",
    );
    assert_eq!(
        buffers(&signature),
        [(Buffer::Payload, 2), (Buffer::HttpUri, 3), (Buffer::HttpHostRaw, 1)]
    );
    assert!(contents(&signature, 1)[0].nocase);
    assert!(contents(&signature, 0)[0].relative_next);
    // A payload that lost all its contents leaves nothing behind.
    let signature = options("content:\"a\"; http_method;");
    assert_eq!(buffers(&signature), [(Buffer::HttpMethod, 1)]);
}

#[test]
fn directions_follow_from_who_fills_the_buffers() {
    let ways = |text: &str| {
        let signature = options(text);
        (signature.to_server, signature.to_client)
    };
    assert_eq!(ways("http.user_agent; content:\"a\";"), (true, false));
    assert_eq!(ways("http.stat_code; content:\"2\"; file_data; content:\"a\";"), (false, true));
    assert_eq!(ways("http.header; content:\"a\";"), (true, true));
    assert_eq!(ways("flow:to_client; http.header; content:\"a\";"), (false, true));
}

#[test]
fn files_are_asked_for_by_name_ending_and_size() {
    let signature = options(
        "filename:\"a\"; fileext:\"PDF\"; filesize:>9; filestore; file_data; content:\"x\";",
    );
    assert_eq!(
        buffers(&signature),
        [(Buffer::FileName, 2), (Buffer::FileSize, 1), (Buffer::FileData, 1)]
    );
    let ext = contents(&signature, 0)[1];
    assert!(ext.nocase && ext.ends_with && *ext.pattern == *b".pdf");
}

#[test]
fn sizes_stand_with_their_buffer() {
    let signature = options("urilen:5<>10,raw; http.uri; bsize:>3;");
    assert_eq!(buffers(&signature), [(Buffer::HttpUriRaw, 1), (Buffer::HttpUri, 1)]);
    assert!(matches!(signature.buffers[0].tests[0], Test::Size(Compare::Between(5, 10))));
    assert!(matches!(signature.buffers[1].tests[0], Test::Size(Compare::Greater(3))));
}

#[test]
fn numbers_taken_from_the_payload_are_understood() {
    let signature = options(
        "byte_extract:2,4,len,relative,little,multiplier 2,align 4; \
         byte_test:3,!&,0xff,len,string,hex,bitmask 0x0f; \
         byte_jump:4,-2,relative,align,from_end,post_offset -3,multiplier 8; \
         content:\"x\"; offset:len; isdataat:!len,relative;",
    );
    assert_eq!(signature.variables, 1);
    let [
        Test::ByteExtract(extract),
        Test::ByteTest(test),
        Test::ByteJump(jump),
        Test::Content(x),
        Test::IsDataAt(at),
    ] = &signature.buffers[0].tests[..]
    else {
        panic!("{:?}", signature.buffers)
    };
    assert_eq!((extract.bytes, extract.offset, extract.slot), (2, 4, 0));
    assert_eq!((extract.encoding, extract.multiplier, extract.align), (Encoding::Little, 2, 4));
    assert!(extract.relative);
    assert_eq!((test.operator, test.negated), (ByteOperator::And, true));
    assert_eq!((test.value, test.offset), (Number::Literal(255), Number::Variable(0)));
    assert_eq!((test.encoding, test.bitmask, test.relative), (Encoding::Hex, Some(15), false));
    assert_eq!((jump.bytes, jump.offset), (Number::Literal(4), Number::Literal(-2)));
    assert!(jump.align && jump.from_end && jump.relative && !jump.from_beginning);
    assert_eq!((jump.post_offset, jump.multiplier), (-3, 8));
    assert_eq!(x.offset, Some(Number::Variable(0)));
    assert_eq!((at.offset, at.negated, at.relative), (Number::Variable(0), true, true));
}

#[test]
fn a_byte_test_compares_with_all_of_64_bits() {
    let signature = options("byte_test:8,=,18446744073709551615,0;");
    let Test::ByteTest(test) = &signature.buffers[0].tests[0] else { panic!() };
    assert_eq!(test.value, Number::Literal(-1));
}

#[test]
fn header_fields_are_understood() {
    let of = |text: &str| {
        let signature = rule(&format!("alert ip any any -> any any ({text} sid:1;)"));
        assert_eq!(signature.header.len(), 1);
        signature.header[0].clone()
    };
    assert!(matches!(of("dsize:10<>20;"), HeaderTest::Dsize(Compare::Between(10, 20))));
    assert!(matches!(of("ttl:<5;"), HeaderTest::Ttl(Compare::Less(5))));
    assert!(matches!(of("tos:!x1f;"), HeaderTest::Tos(0x1f, true)));
    assert!(matches!(of("id:513;"), HeaderTest::IpId(513)));
    assert!(matches!(of("ipopts:LSRR;"), HeaderTest::IpOption(Some(131))));
    assert!(matches!(of("ipopts:any;"), HeaderTest::IpOption(None)));
    assert!(matches!(
        of("fragbits:M D+;"),
        HeaderTest::FragBits { bits: 0x6000, modifier: BitModifier::All }
    ));
    assert!(matches!(of("fragoffset:>0;"), HeaderTest::FragOffset(Compare::Greater(0))));
    assert!(matches!(of("fragoffset:1<>5;"), HeaderTest::FragOffset(Compare::Equal(1))));
    assert!(matches!(of("ip_proto:!IGMP;"), HeaderTest::IpProto(Compare::NotEqual(2))));
    assert!(matches!(of("sameip;"), HeaderTest::SameIp));
    assert!(matches!(
        of("udpv6-csum:\"INVALID\";"),
        HeaderTest::Checksum { version: 6, of: ChecksumOf::Udp, valid: false }
    ));
    assert!(matches!(
        of("ipv4-csum:valid;"),
        HeaderTest::Checksum { version: 4, of: ChecksumOf::Header, valid: true }
    ));
    assert!(matches!(
        of("rpc:100000, 2, *;"),
        HeaderTest::Rpc { program: 100_000, version: Some(2), procedure: None }
    ));
    assert!(matches!(of("rpc:7;"), HeaderTest::Rpc { program: 7, version: None, procedure: None }));
    assert!(matches!(
        of("flags:SF,12;"),
        HeaderTest::TcpFlags { bits: 3, modifier: BitModifier::Exact, ignored: 0xc0 }
    ));
    assert!(matches!(
        of("tcp.flags:*PA;"),
        HeaderTest::TcpFlags { bits: 0x18, modifier: BitModifier::Any, ignored: 0 }
    ));
    assert!(matches!(of("seq:4294967295;"), HeaderTest::TcpSeq(u32::MAX)));
    assert!(matches!(of("tcp.ack:0;"), HeaderTest::TcpAck(0)));
    assert!(matches!(of("window:!1024;"), HeaderTest::TcpWindow(1024, true)));
    assert!(matches!(of("tcp.mss:<536;"), HeaderTest::TcpMss(Compare::Less(536))));
    assert!(matches!(of("itype:8;"), HeaderTest::IcmpType(Compare::Equal(8))));
    assert!(matches!(of("icode:>1;"), HeaderTest::IcmpCode(Compare::Greater(1))));
    assert!(matches!(of("icmp_id:7;"), HeaderTest::IcmpId(7)));
    assert!(matches!(of("icmp_seq:9;"), HeaderTest::IcmpSeq(9)));
    assert!(matches!(of("icmpv6.mtu:<1280;"), HeaderTest::Icmpv6Mtu(Compare::Less(1280))));
}

#[test]
fn state_of_flows_is_understood_and_keeps_its_numbers() {
    let text = "alert tcp any any -> any any (flowbits:isset,a|b; flowbits:isnotset, c; \
        flowbits:set,d; flowbits:toggle,a; flowbits:noalert; flowint:n,+,1; flowint:n,>,m; \
        flowint:n,notset; sid:1;)";
    let mut names = Names::default();
    let first = parse_rules("f", text.as_bytes(), &Context::default(), &mut names);
    let second = parse_rules("f", text.as_bytes(), &Context::default(), &mut names);
    assert_eq!(names.bits.len(), 4);
    for signature in [&first.signatures[0], &second.signatures[0]] {
        let (a, b) = (names.bits.id("a").unwrap(), names.bits.id("b").unwrap());
        assert_eq!(signature.flowbit_tests[0].any_of, [a, b]);
        assert!(signature.flowbit_tests[1].negated && signature.noalert);
        assert_eq!(signature.flowbit_sets[0].operation, BitOperation::Set);
        assert_eq!(signature.flowbit_sets[1].operation, BitOperation::Toggle);
        assert_eq!(signature.flowbit_sets[1].bit, a);
        let (n, m) = (names.ints.id("n").unwrap(), names.ints.id("m").unwrap());
        let [compared, not_set] = &signature.flowint_tests[..] else { panic!() };
        assert_eq!(compared.variable, n);
        assert!(matches!(
            compared.condition,
            IntCondition::Compare(IntOperator::Greater, IntValue::Variable(v)) if v == m
        ));
        assert!(matches!(not_set.condition, IntCondition::NotSet));
        let [added] = &signature.flowint_sets[..] else { panic!() };
        assert_eq!((added.operation, added.value), (IntOperation::Add, IntValue::Literal(1)));
    }
}

#[test]
fn thresholds_are_understood() {
    let signature = options("threshold:type both, track by_dst, count 5, seconds 60;");
    let threshold = signature.threshold.expect("a threshold");
    assert_eq!((threshold.kind, threshold.track), (ThresholdKind::Both, Track::Destination));
    assert_eq!((threshold.count, threshold.seconds), (5, 60));
    let signature = options("detection_filter:track by_src, count 3, seconds 10;");
    let filter = signature.detection_filter.expect("a filter");
    assert_eq!((filter.track, filter.count, filter.seconds), (Track::Source, 3, 10));
}

#[test]
fn equal_expressions_are_compiled_once() {
    let text = "alert tcp any any -> any any (pcre:\"/a+/i\"; sid:1;)\n\
                alert tcp any any -> any any (pcre:!\"/a+/iR\"; content:\"x\"; sid:2;)\n\
                alert tcp any any -> any any (content:\"x\"; pcre:!\"/a+/iR\"; sid:3;)\n\
                alert tcp any any -> any any (pcre:\"/a+/\"; sid:4;)";
    let parsed = parse(text);
    assert_eq!(parsed.rejections.len(), 1, "sid 2 has nothing to be relative to");
    let regex = |index: usize, test: usize| match &parsed.signatures[index].buffers[0].tests[test] {
        Test::Pcre(pcre) => pcre,
        other => panic!("{other:?}"),
    };
    assert!(std::sync::Arc::ptr_eq(&regex(0, 0).regex, &regex(1, 1).regex));
    assert!(!std::sync::Arc::ptr_eq(&regex(0, 0).regex, &regex(2, 0).regex));
    assert!(regex(1, 1).negated && regex(1, 1).relative);
    assert_eq!(&*regex(1, 1).source, "/a+/iR");
}

#[test]
fn a_chopped_fast_pattern_is_handed_on() {
    let signature = options("content:\"x\"; http.uri; content:\"abcdef\"; fast_pattern:1,3;");
    let chosen = signature.fast_pattern.expect("a slice");
    assert_eq!((chosen.buffer, chosen.test, chosen.start, chosen.len), (1, 0, 1, 3));
    assert!(options("content:\"abc\"; fast_pattern;").fast_pattern.is_none());
}

#[test]
fn of_duplicates_the_newest_stays() {
    let line = |msg: &str, gid: u32, rev: u32| {
        format!("alert tcp any any -> any any (msg:\"{msg}\"; gid:{gid}; sid:9; rev:{rev};)\n")
    };
    let parsed = parse(&(line("a", 1, 1) + &line("b", 1, 3) + &line("c", 1, 2) + &line("d", 2, 1)));
    let kept: Vec<&str> = parsed.signatures.iter().map(|s| &*s.msg).collect();
    assert_eq!(kept, ["b", "d"]);
    let lines: Vec<u32> = parsed.rejections.iter().map(|r| r.origin.line).collect();
    assert_eq!(lines, [1, 3]);
    assert!(parsed.rejections.iter().all(|r| r.reason.contains("duplicate") && r.sid == Some(9)));
}

#[test]
fn a_rejection_names_place_keyword_and_sid() {
    let text = "alert tcp any any -> any any (msg:\"x\"; \\\n  nonsense:5; sid:12;)\n\
                alert tcp any any -> $NOWHERE any (sid:13;)\n";
    let parsed = parse(text);
    let [first, second] = &parsed.rejections[..] else { panic!("{:?}", parsed.rejections) };
    assert_eq!((first.origin.line, first.column, first.end_column), (2, 3, Some(13)));
    assert_eq!((first.sid, first.keyword.as_deref()), (Some(12), Some("nonsense")));
    assert_eq!(first.to_string(), "test.rules:2:3: unknown keyword `nonsense`");
    assert_eq!((second.origin.line, second.column, second.sid), (3, 22, Some(13)));
    assert!(second.reason.contains("$NOWHERE"));
}

#[test]
fn bytes_that_are_not_utf8_are_kept() {
    let text = b"alert tcp any any -> any any (msg:\"caf\xe9\"; content:\"\xff\xfe\"; sid:1;)";
    let parsed = parse_rules("f", text, &Context::default(), &mut Names::default());
    assert_eq!(&*parsed.signatures[0].msg, "café");
    assert_eq!(&*contents(&parsed.signatures[0], 0)[0].pattern, b"\xff\xfe");
}
