//! Kinds, directions, payload needs and evaluation order against what Suricata 7 says of the same
//! rules: recorded here, and asked again where `suricata` is installed.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use rules::parse::{Classifications, Context, Names, parse_rules};
use rules::ruleset::Ruleset;
use rules::signature::{Buffer, Kind, Signature};

/// Rules (each with its sid prepended) by the type that Suricata 7.0.10 gives them, and whether
/// raw payload is looked for in packets (`p`) and the stream (`s`).
const RULES: &[(&str, &str, &str)] = &[
    ("ip_only", "", r#"alert ip 10.0.0.1 any -> any any ("#),
    ("ip_only", "", r#"alert ip any any -> any any ("#),
    ("ip_only", "", r#"alert tcp [1.2.3.4,5.6.7.8] any -> 10.0.0.0/8 any ("#),
    (
        "ip_only",
        "",
        r#"alert tcp 1.2.3.4 any -> any any (threshold: type limit, track by_src, seconds 60, count 1; flowbits:set,ET.Evil;"#,
    ),
    (
        "ip_only",
        "",
        r#"alert tcp 1.2.3.4 any -> any any (detection_filter:track by_src, count 5, seconds 60;"#,
    ),
    (
        "ip_only",
        "",
        r#"alert tcp 1.2.3.4 any -> any any (priority:1; metadata: a b; reference:url,foo; target:src_ip;"#,
    ),
    ("ip_only", "", r#"alert tcp any any -> any 80 ("#),
    ("ip_only", "", r#"alert tcp any any -> 1.2.3.4 ![80,443] ("#),
    ("ip_only", "", r#"alert ip any any -> any any (ip_proto:6;"#),
    ("ip_only", "", r#"alert ip 1.2.3.4 any <> any any ("#),
    ("ip_only", "", r#"alert icmp any any -> any any ("#),
    ("ip_only", "", r#"alert ipv6 any any -> any any ("#),
    ("ip_only", "", r#"drop tcp 1.2.3.4 any -> any any ("#),
    ("ip_only", "", r#"pass tcp 1.2.3.4 any -> any any ("#),
    ("like_ip_only", "", r#"alert ip !10.0.0.1 any -> any any ("#),
    ("like_ip_only", "", r#"alert ip [10.0.0.0/8,!10.0.0.1] any -> any any ("#),
    ("like_ip_only", "", r#"alert tcp any any -> [1.0.0.0/8,!1.2.3.4] 80 ("#),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flags:S;"#),
    ("pkt", "", r#"alert tcp any any -> any any (ttl:5;"#),
    ("pkt", "", r#"alert ip 1.2.3.4 any -> any any (sameip;"#),
    ("pkt", "", r#"alert icmp any any -> any any (itype:8;"#),
    ("pkt", "", r#"alert udp any any -> any 53 (dsize:>100;"#),
    ("pkt", "", r#"alert ip any any -> any any (flow:established;"#),
    ("pkt", "", r#"alert ip 1.2.3.4 any -> any any (flow:to_server;"#),
    ("pkt", "", r#"alert tcp-pkt any any -> any any (flow:established;"#),
    ("pkt", "", r#"alert tcp any any -> any any (flowbits:isset,ET.Evil;"#),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flowbits:isnotset,foo; flowbits:set,foo;"#),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flowbits:unset,foo;"#),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flowbits:toggle,foo;"#),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flowint:name_a, +, 1;"#),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flowint:name_a, >, 1;"#),
    (
        "pkt",
        "",
        r#"alert tcp 1.2.3.4 any -> any any (flowint:name_a, isset; flowint:name_b, +, 1;"#,
    ),
    ("pkt", "", r#"alert tcp 1.2.3.4 any -> any any (flowint:name_a, notset; flowbits:set,foo;"#),
    ("pkt", "", r#"alert tcp any any -> any any (tcp.hdr; content:"|02 04|";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (content:"abcdef"; tcp.hdr; content:"|02 04|";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (dsize:10; content:"abc";"#),
    ("pkt", "p", r#"alert tcp-pkt any any -> any any (content:"abc";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (flow:established,no_stream; content:"abc";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (ttl:5; content:"abc";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (flags:PA; content:"abc";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (id:5; content:"abc";"#),
    ("pkt", "p", r#"alert tcp any any -> any any (window:5; content:"abc"; depth:5;"#),
    ("pkt", "p", r#"alert ip any any -> any any (ip_proto:6; content:"abc";"#),
    ("pkt", "p", r#"alert icmp any any -> any any (itype:8; content:"abc";"#),
    ("pkt", "p", r#"alert dns any any -> any 53 (dsize:>10; content:"y";"#),
    ("pkt_stream", "p", r#"alert udp any any -> any any (content:"abc";"#),
    ("pkt_stream", "ps", r#"alert tcp any any -> any any (content:"abc"; depth:10;"#),
    ("pkt_stream", "ps", r#"alert tcp any any -> any any (content:"abc"; startswith;"#),
    (
        "pkt_stream",
        "ps",
        r#"alert tcp any any -> any any (content:"abc"; content:"def"; offset:20;"#,
    ),
    ("pkt_stream", "ps", r#"alert tcp any any -> any any (content:!"a"; depth:2;"#),
    ("pkt_stream", "ps", r#"alert ip any any -> any any (content:"abc"; depth:10;"#),
    ("pkt_stream", "ps", r#"alert dns any any -> any 53 (content:"y"; depth:1;"#),
    ("stream", "s", r#"alert tcp any any -> any any (content:"abc";"#),
    ("stream", "s", r#"alert tcp any any -> any any (content:"abc"; endswith;"#),
    (
        "stream",
        "s",
        r#"alert tcp any any -> any any (content:"abc"; content:"def"; distance:0; within:20;"#,
    ),
    ("stream", "s", r#"alert tcp-stream any any -> any any (content:"abc"; depth:10;"#),
    (
        "stream",
        "s",
        r#"alert tcp any any -> any any (flow:established,only_stream; content:"abc";"#,
    ),
    ("stream", "s", r#"alert tcp any any -> any any (flow:stateless; content:"abc";"#),
    ("stream", "s", r#"alert ip any any -> any any (content:"abc";"#),
    ("stream", "s", r#"alert http any any -> any any (content:"abc";"#),
    ("stream", "s", r#"alert tcp any any -> any any (content:!"abc";"#),
    ("stream", "s", r#"alert tcp any any -> any any (pcre:"/abc/";"#),
    ("stream", "s", r#"alert tcp any any -> any any (isdataat:10;"#),
    ("stream", "s", r#"alert tcp any any -> any any (byte_test:1,>,5,0;"#),
    ("stream", "s", r#"alert tcp any any -> any any (app-layer-protocol:!http; content:"abc";"#),
    (
        "stream",
        "s",
        r#"alert tcp any any -> any any (content:"a"; flowbits:isset,x; flowbits:set,y; priority:2;"#,
    ),
    (
        "stream",
        "s",
        r#"alert tcp any any -> any any (content:"c"; flowbits:isset,y; flowbits:set,z;"#,
    ),
    ("stream", "s", r#"alert tcp any any -> any any (content:"b"; flowbits:set,x;"#),
    ("stream", "s", r#"alert tcp any any <> any any (flow:to_server; content:"abc";"#),
    ("stream", "s", r#"alert tcp any any -> any any (flow:to_client; content:"abc"; priority:1;"#),
    ("stream", "s", r#"pass tcp any any -> any any (content:"abc"; priority:9;"#),
    ("app_layer", "", r#"alert http any any -> any any ("#),
    ("app_layer", "", r#"alert dns any any -> any any ("#),
    ("pkt", "", r#"alert http any any -> any any (flow:to_server,established;"#),
    ("pkt", "", r#"alert http any any -> any any (flowbits:isset,x;"#),
    ("pkt", "", r#"alert http any any -> any any (flags:S;"#),
    ("pd_only", "", r#"alert tcp any any -> any any (app-layer-protocol:http;"#),
    ("pd_only", "", r#"alert tcp any any -> any 443 (app-layer-protocol:!tls;"#),
    ("pkt", "", r#"alert tcp any any -> any any (app-layer-protocol:tls; flow:established;"#),
    ("app_tx", "", r#"alert http any any -> any any (http.uri; content:"abc";"#),
    ("app_tx", "", r#"alert http any any -> any any (http.uri; content:!"abc";"#),
    ("app_tx", "", r#"alert http any any -> any any (urilen:5;"#),
    (
        "app_tx",
        "",
        r#"alert tcp any any -> any any (http.host; content:"abc"; http.uri; content:"longer";"#,
    ),
    ("app_tx", "", r#"alert dns any any -> any any (dns.query; content:"evil.com"; nocase;"#),
    (
        "app_tx",
        "",
        r#"alert tls any any -> any any (tls.sni; dotprefix; content:".evil.com"; endswith;"#,
    ),
    (
        "app_tx",
        "s",
        r#"alert http any any -> any any (content:"longer content here"; http.uri; content:"abc";"#,
    ),
    (
        "app_tx",
        "ps",
        r#"alert dns any any -> any any (content:"|01 00|"; offset:2; depth:2; dns.query; content:"a";"#,
    ),
];

/// The rule of the place `at`, complete. Sids fall, so that their order is not the places'.
fn rule(at: usize) -> String {
    format!("{} msg:\"rule\"; sid:{};)", RULES[at].2, sid(at))
}

fn sid(at: usize) -> u32 {
    10_000 - at as u32
}

fn text() -> String {
    (0..RULES.len()).map(|at| rule(at) + "\n").collect()
}

/// The rules in evaluation order.
fn compiled() -> Vec<Signature> {
    let (classes, _) = Classifications::parse("");
    let context = Context { classes, ..Context::default() };
    let parsed = parse_rules("kinds.rules", text().as_bytes(), &context, &mut Names::default());
    assert!(parsed.rejections.is_empty(), "{:?}", parsed.rejections);
    Ruleset::compile(parsed.signatures, None, 1, &|_| {}).unwrap().0.signatures
}

/// Is it the kind that corresponds to Suricata's type?
fn corresponds(signature: &Signature, suricata: &str) -> bool {
    let about_protocol =
        signature.protocol.app.is_some() || !signature.app_protocol_tests.is_empty();
    let header_tests = !signature.header.is_empty();
    match (suricata, signature.kind) {
        ("ip_only", Kind::IpOnly) | ("like_ip_only", Kind::LikeIpOnly) => true,
        ("app_layer" | "pd_only", Kind::AppProtocol) | ("app_tx", Kind::Transaction) => true,
        // Suricata's packet type is where we say more.
        ("pkt", Kind::AppProtocol) => about_protocol && !header_tests,
        ("pkt", Kind::Packet) => !signature.needs_stream,
        ("stream", Kind::Stream) => !signature.needs_packet,
        ("pkt_stream", Kind::Stream) => signature.needs_packet && signature.needs_stream,
        // Without TCP both of Suricata's ways come to the packet.
        ("pkt_stream", Kind::Packet) => !signature.protocol.ip_protocols.contains(&6),
        _ => false,
    }
}

#[test]
fn every_rule_has_the_kind_that_suricata_gives_it() {
    let signatures = compiled();
    assert_eq!(signatures.len(), RULES.len());
    for (at, (kind, needs, _)) in RULES.iter().enumerate() {
        let signature = signatures.iter().find(|s| s.sid == sid(at)).unwrap();
        assert!(corresponds(signature, kind), "{} is {:?}", rule(at), signature.kind);
        assert_eq!(signature.needs_packet, needs.contains('p'), "{}", rule(at));
        assert_eq!(signature.needs_stream, needs.contains('s'), "{}", rule(at));
    }
}

/// What Suricata says of a rule.
struct Analysis {
    kind: String,
    flags: Vec<String>,
}

/// Suricata's analysis of the rules by sid, and the sids in its evaluation order.
fn analysis(directory: &Path) -> Option<(HashMap<u32, Analysis>, Vec<u32>)> {
    let rules = directory.join("kinds.rules");
    std::fs::write(&rules, text()).unwrap();
    let config = directory.join("suricata.yaml");
    std::fs::write(
        &config,
        "%YAML 1.1\n---\nengine-analysis:\n  rules-fast-pattern: yes\n  rules: yes\n\
         app-layer:\n  protocols:\n    http: {enabled: yes}\n    tls: {enabled: yes}\n\
         \x20   dns: {udp: {enabled: yes}, tcp: {enabled: yes}}\n",
    )
    .unwrap();
    let ran = Command::new("suricata")
        .arg("--engine-analysis")
        .args(["-k", "none", "-c"])
        .arg(&config)
        .arg("-S")
        .arg(&rules)
        .arg("-l")
        .arg(directory)
        .output()
        .ok()?;
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let mut by_sid = HashMap::new();
    let mut order = Vec::new();
    for line in std::fs::read_to_string(directory.join("rules.json")).unwrap().lines() {
        let found: serde_json::Value = serde_json::from_str(line).unwrap();
        let sid = found["id"].as_u64().unwrap() as u32;
        let flags = found["flags"].as_array().unwrap();
        let flags = flags.iter().map(|flag| flag.as_str().unwrap().to_owned()).collect();
        let kind = found["type"].as_str().unwrap().to_owned();
        // A rule for both directions is two of Suricata's.
        if order.last() != Some(&sid) {
            order.push(sid);
        }
        by_sid.insert(sid, Analysis { kind, flags });
    }
    Some((by_sid, order))
}

#[test]
fn suricata_says_the_same_where_it_is_installed() {
    let directory = tempfile::tempdir().unwrap();
    let Some((by_sid, order)) = analysis(directory.path()) else {
        println!("skipped: suricata absent");
        return;
    };
    let signatures = compiled();
    for (at, (kind, ..)) in RULES.iter().enumerate() {
        let found = by_sid.get(&sid(at)).unwrap_or_else(|| panic!("refused: {}", rule(at)));
        assert_eq!(found.kind, *kind, "recorded wrongly: {}", rule(at));
        let signature = signatures.iter().find(|s| s.sid == sid(at)).unwrap();
        let says = |flag: &str| found.flags.iter().any(|f| f == flag);
        assert_eq!(signature.to_server, says("toserver"), "{}", rule(at));
        assert_eq!(signature.to_client, says("toclient"), "{}", rule(at));
        let payload =
            signature.buffers.iter().any(|b| b.buffer == Buffer::Payload && !b.tests.is_empty());
        if payload && signature.protocol.ip_protocols != [17] {
            assert_eq!(signature.needs_packet, says("need_packet"), "{}", rule(at));
            assert_eq!(signature.needs_stream, says("need_stream"), "{}", rule(at));
        }
    }
    let ours: Vec<u32> = signatures.iter().map(|s| s.sid).collect();
    assert_eq!(ours, order, "evaluation order");
}
