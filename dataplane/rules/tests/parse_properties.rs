//! Properties of the parser: no text breaks it, and a rule that was written is read as it was
//! meant.

use proptest::prelude::*;
use rules::parse::{Context, Names, parse_rules};
use rules::signature::{Number, Signature, Test};

fn read(text: &[u8]) -> (Vec<Signature>, usize) {
    let parsed = parse_rules("f", text, &Context::default(), &mut Names::default());
    for rejection in &parsed.rejections {
        assert!(!rejection.to_string().is_empty());
        assert!(rejection.column >= 1);
    }
    (parsed.signatures, parsed.rejections.len())
}

/// A content as a rule's author means it.
#[derive(Debug, Clone)]
struct Meant {
    pattern: Vec<u8>,
    hexadecimal: Vec<bool>,
    nocase: bool,
    negated: bool,
    place: Place,
    ends: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Anywhere,
    Absolute(u16, u16),
    Relative(i32, u16),
    Start,
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::Anywhere),
        Just(Place::Start),
        (0..1000u16, 0..1000u16).prop_map(|(offset, more)| Place::Absolute(offset, more)),
        (-1000..1000i32, 0..1000u16).prop_map(|(distance, more)| Place::Relative(distance, more)),
    ]
}

fn meant() -> impl Strategy<Value = Meant> {
    (
        proptest::collection::vec(any::<u8>(), 1..12),
        proptest::collection::vec(any::<bool>(), 12),
        any::<bool>(),
        any::<bool>(),
        place(),
        any::<bool>(),
    )
        .prop_map(|(pattern, hexadecimal, nocase, negated, place, ends)| Meant {
            pattern,
            hexadecimal,
            nocase,
            negated,
            place,
            ends,
        })
}

/// Writes a content as rules do.
fn write(content: &Meant, rule: &mut Vec<u8>) {
    rule.extend_from_slice(if content.negated { b"content:!\"" } else { b"content:\"" });
    for (byte, hexadecimal) in content.pattern.iter().zip(&content.hexadecimal) {
        match byte {
            b'"' | b';' | b':' | b'\\' if !hexadecimal => rule.extend([b'\\', *byte]),
            b'|' | b'\n' | b'\r' => rule.extend(format!("|{byte:02X}|").bytes()),
            _ if *hexadecimal => rule.extend(format!("|{byte:02x}|").bytes()),
            _ => rule.push(*byte),
        }
    }
    rule.extend_from_slice(b"\";");
    let length = content.pattern.len();
    let place = match content.place {
        Place::Anywhere => String::new(),
        Place::Start => " startswith;".to_owned(),
        Place::Absolute(offset, more) => {
            format!(" offset:{offset}; depth:{};", length + usize::from(more))
        }
        Place::Relative(distance, more) => {
            format!(" distance:{distance}; within:{};", length + usize::from(more))
        }
    };
    rule.extend(place.bytes());
    if content.nocase {
        rule.extend_from_slice(b" nocase;");
    }
    if content.ends {
        rule.extend_from_slice(b"endswith ; ");
    }
}

proptest! {
    #[test]
    fn contents_are_read_as_they_were_written(
        contents in proptest::collection::vec(meant(), 1..6),
        sid in 1..u32::MAX,
        port in any::<u16>(),
    ) {
        let mut rule = format!("alert tcp any {port} -> any any (").into_bytes();
        for content in &contents {
            write(content, &mut rule);
        }
        rule.extend(format!("sid:{sid};)").bytes());
        let (signatures, rejected) = read(&rule);
        prop_assert_eq!(rejected, 0);
        let signature = &signatures[0];
        prop_assert_eq!(signature.sid, sid);
        prop_assert!(signature.src_port.contains(port));
        prop_assert_eq!(signature.src_port.ranges.len(), 1);
        let tests = &signature.buffers[0].tests;
        prop_assert_eq!(tests.len(), contents.len());
        for (test, meant) in tests.iter().zip(&contents) {
            let Test::Content(content) = test else { panic!("{test:?}") };
            let mut pattern = meant.pattern.clone();
            if meant.nocase {
                pattern.make_ascii_lowercase();
            }
            prop_assert_eq!(&*content.pattern, &*pattern);
            prop_assert_eq!((content.nocase, content.negated), (meant.nocase, meant.negated));
            prop_assert_eq!(content.ends_with, meant.ends);
            let length = meant.pattern.len() as i64;
            let literal = |n: i64| Some(Number::Literal(n));
            let (offset, depth, distance, within) = match meant.place {
                Place::Anywhere => (None, None, None, None),
                Place::Start => (literal(0), literal(length), None, None),
                Place::Absolute(offset, more) => {
                    (literal(offset.into()), literal(length + i64::from(more)), None, None)
                }
                Place::Relative(distance, more) => {
                    (None, None, literal(distance.into()), literal(length + i64::from(more)))
                }
            };
            prop_assert_eq!((content.offset, content.depth), (offset, depth));
            prop_assert_eq!((content.distance, content.within), (distance, within));
        }
        for pair in tests.windows(2) {
            let [Test::Content(first), Test::Content(second)] = pair else { panic!("{pair:?}") };
            prop_assert_eq!(first.relative_next, second.is_relative());
        }
    }

    #[test]
    fn no_bytes_break_the_parser(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        read(&text);
    }

    #[test]
    fn no_change_to_a_rule_breaks_the_parser(
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..12),
    ) {
        let mut rule = br#"alert tcp [$HOME_NET,!1.2.3.4/8] [80,!90:99] <> any ![1,2] (msg:"a\"b"; flow:established,to_server; content:"|41 42|c"; nocase; offset:3; depth:9; pcre:"/a(b)+\/c/Ri"; byte_extract:2,0,v,relative; byte_test:1,!&,v,2,string,hex; http.uri; dotprefix; content:!"x"; bsize:3<>9; threshold:type both, track by_src, count 1, seconds 2; flowbits:isset,a|b; flowint:aa,>,bb; classtype:misc-attack; metadata:a b, c d; reference:url,x; sid:1; rev:2;)"#.to_vec();
        for (at, byte, what) in cuts {
            let at = at.index(rule.len());
            match what {
                0 => rule[at] = byte,
                1 => rule.insert(at, byte),
                _ => { rule.remove(at); }
            }
            if rule.is_empty() {
                break;
            }
        }
        read(&rule);
    }

    #[test]
    fn no_value_breaks_a_keyword(
        keyword in prop::sample::select(vec![
            "content", "uricontent", "pcre", "byte_test", "byte_jump", "byte_extract", "isdataat",
            "bsize", "urilen", "dsize", "ttl", "tos", "id", "ipopts", "fragbits", "fragoffset",
            "ip_proto", "flags", "seq", "window", "tcp.mss", "itype", "icmp_id", "icmpv6.mtu",
            "flow", "flowbits", "flowint", "threshold", "detection_filter", "app-layer-protocol",
            "msg", "sid", "gid", "classtype", "priority", "reference", "metadata", "target",
            "depth", "offset", "distance", "within", "fast_pattern",
        ]),
        value in "[-!\"/<>=&|\\\\,.: a-f0-9x+*SARM$]{0,30}",
        quoted in any::<bool>(),
    ) {
        let value = if quoted { format!("\"{value}\"") } else { value };
        read(format!("alert ip any any -> any any (content:\"abc\"; {keyword}:{value}; sid:7;)").as_bytes());
        read(format!("alert ip {value} {value} -> any any (sid:7;)").as_bytes());
    }
}

#[test]
fn hostile_texts_take_little_time_and_room() {
    let open = "[".repeat(200_000);
    let long = "a".repeat(1_000_000);
    let texts = [
        format!("alert tcp {open} any -> any any (sid:1;)"),
        format!("alert tcp any any -> any any (content:\"{long}\"; sid:1;)"),
        format!("alert tcp any any -> any any ({long}:1; sid:1;)"),
        format!("alert tcp any any -> any any (pcre:\"/{}/\"; sid:1;)", "(".repeat(100_000)),
        format!("alert tcp any any -> any any ({} sid:1;)", "content:\"a\"; ".repeat(20_000)),
        format!(
            "alert tcp any any -> any any ({} sid:1;)",
            "dns.query; content:\"a\"; ".repeat(5_000)
        ),
        format!("alert tcp any any -> any any ({} sid:1;)", "byte_extract:1,0,v; ".repeat(2_000)),
        format!(
            "alert tcp any any -> any any ({} sid:1;)",
            "app-layer-protocol:!tls; ".repeat(50_000)
        ),
        format!(
            "alert dns any any -> any any ({} sid:1;)",
            "dns.query; content:\"a\"; pkt_data; content:\"b\"; ".repeat(20_000)
        ),
        format!("alert tcp [{}] any -> any any (sid:1;)", "1.2.3.4,".repeat(300_000)),
        "\\\n".repeat(200_000),
        "# alert \n".repeat(100_000),
    ];
    for text in texts {
        let start = std::time::Instant::now();
        read(text.as_bytes());
        assert!(start.elapsed().as_secs() < 20, "{}", &text[..60]);
    }
}
