//! Which rules are refused: each line is one that Suricata 7 refuses too, or one that asks for
//! what this build does not evaluate.

use rules::parse::{Context, Names, parse_rules};

fn refusal(rule: &str) -> Option<String> {
    let parsed =
        parse_rules("test.rules", rule.as_bytes(), &Context::default(), &mut Names::default());
    assert_eq!(parsed.signatures.len() + parsed.rejections.len(), 1, "{rule}");
    parsed.rejections.first().map(|rejection| rejection.reason.clone())
}

#[track_caller]
fn all_refused(lines: &[&str]) {
    for line in lines {
        let rule = format!("alert tcp any any -> any any ({line} sid:1;)");
        assert!(refusal(&rule).is_some(), "loads: {rule}");
    }
}

#[track_caller]
fn all_load(lines: &[&str]) {
    for line in lines {
        let rule = format!("alert tcp any any -> any any ({line} sid:1;)");
        assert_eq!(refusal(&rule), None, "{rule}");
    }
}

#[test]
fn contents_that_can_never_match() {
    all_refused(&[
        r#"content:"";"#,
        r#"content:"|0|";"#,
        r#"content:"|00";"#,
        r#"content:"a\xb";"#,
        r#"content:abc;"#,
        r#"content:"a"b";"#,
        r#"content:"abc"; depth:2;"#,
        r#"content:!"abc"; depth:2;"#,
        r#"content:"x"; content:"abc"; within:2;"#,
        r#"content:"abc"; depth:0;"#,
        r#"http.uri; bsize:5; content:"abcdef";"#,
        r#"http.uri; bsize:5; content:"abc"; content:"def"; distance:0;"#,
        r#"urilen:5; content:"abcdef"; http_uri;"#,
        r#"dsize:5; content:"abcd"; offset:3;"#,
        r#"http.host; content:"ABC";"#,
        r#"content:"abc"; nocase; http_host;"#,
        r#"http.method; content:"GET ";"#,
        r#"pcre:"/[A-Z]/W";"#,
    ]);
}

#[test]
fn modifiers_that_contradict_each_other() {
    all_refused(&[
        "nocase;",
        "depth:5;",
        r#"content:"abc"; depth:3; distance:1;"#,
        r#"content:"abc"; offset:3; within:10;"#,
        r#"content:"abc"; startswith; depth:3;"#,
        r#"content:"abc"; startswith; offset:1;"#,
        r#"content:"abc"; offset:0; startswith;"#,
        r#"content:"abc"; startswith; startswith;"#,
        r#"content:"x"; content:"abc"; startswith; distance:1;"#,
        r#"content:"abc"; nocase; nocase;"#,
        r#"content:"abc"; depth:5; depth:5;"#,
        r#"content:"x"; content:"abc"; within:5; within:5;"#,
        r#"content:"abc"; offset:65536;"#,
        r#"content:"abc"; offset:-1;"#,
        r#"content:"x"; content:"abc"; distance:1048577;"#,
        r#"content:"a"; offset:unknown;"#,
        r#"content:!"abc"; fast_pattern:only;"#,
        r#"content:!"abc"; offset:1; fast_pattern;"#,
        r#"content:!"abc"; fast_pattern; offset:1;"#,
        r#"content:"abc"; offset:1; fast_pattern:only;"#,
        r#"content:"abc"; fast_pattern:only; offset:1;"#,
        r#"content:"abc"; fast_pattern:only; content:"d"; distance:1;"#,
        r#"content:"abcdef"; fast_pattern:1,9;"#,
        r#"content:"abcdef"; fast_pattern:1;"#,
        r#"content:"abcdef"; fast_pattern; content:"b"; fast_pattern;"#,
        r#"http.uri; content:"abc"; rawbytes;"#,
        r#"content:"abc"; rawbytes; http_uri;"#,
        r#"content:"x"; endswith:5;"#,
    ]);
    all_load(&[
        r#"content:"abc"; endswith; depth:3;"#,
        r#"content:"abc"; startswith; endswith;"#,
        r#"content:"abc"; distance:-3;"#,
        r#"content:!"abc"; fast_pattern;"#,
        r#"content:"abcdef"; endswith; fast_pattern:only;"#,
        r#"http.uri; content:"a"; fast_pattern; http.host; content:"b"; fast_pattern;"#,
        r#"Content:"abc";"#,
        r#"content:"abc"; nocase: ;"#,
        r#"content: ! "abc" ;"#,
    ]);
}

#[test]
fn buffers_that_do_not_go_together() {
    all_refused(&[
        "http.uri;",
        r#"http.uri; content:"a"; http.host;"#,
        r#"tls.sni; tls.sni; content:"a";"#,
        r#"tls.sni; dotprefix; tls.sni; content:"a";"#,
        r#"dotprefix; content:"a";"#,
        r#"http.uri; content:"a"; http_uri;"#,
        r#"http.uri; uricontent:"a";"#,
        r#"http_uri; content:"a";"#,
        r#"content:"abc"; http_uri; http_method;"#,
        r#"dns.query; content:"a"; http.uri; content:"b";"#,
        r#"bsize:5; content:"abc";"#,
        r#"udp.hdr; content:"a";"#,
        r#"icmpv4.hdr; content:"a";"#,
        r#"flow:to_client; http.uri; content:"a";"#,
        r#"dsize:5; http.uri; content:"a";"#,
        r#"tcp.hdr; content:"x"; http.uri; content:"a";"#,
        r#"flow:no_stream; tls.sni; content:"a";"#,
        "flow:only_stream; dsize:5;",
        "app-layer-protocol:http; app-layer-protocol:tls;",
        r#"http.uri; content:"a"; app-layer-protocol:!tls;"#,
        "ip_proto:6;",
    ]);
    all_load(&[
        r#"app-layer-protocol:http; http.uri; content:"a";"#,
        r#"http.method; pcre:"/a/R";"#,
        r#"tls.sni; dotprefix; dotprefix; content:"c";"#,
        r#"http.host; dotprefix; content:".a"; nocase;"#,
        "pkt_data;",
    ]);
    for rule in [
        r#"alert tls any any -> any any (http.uri; content:"a"; sid:1;)"#,
        r#"alert http2 any any -> any any (http.uri; content:"a"; sid:1;)"#,
        r#"alert tcp-pkt any any -> any any (http.uri; content:"a"; sid:1;)"#,
        "alert tcp-stream any any -> any any (ttl:5; sid:1;)",
        "alert http any any -> any any (app-layer-protocol:http; sid:1;)",
        r#"alert icmpv4 any any -> any any (icmpv6.hdr; content:"a"; sid:1;)"#,
    ] {
        assert!(refusal(rule).is_some(), "loads: {rule}");
    }
    // Suricata loads these; no packet of theirs will ever hold the buffer.
    for protocol in ["udp", "ip", "icmp"] {
        let rule = format!("alert {protocol} any any -> any any (http.uri; content:\"a\"; sid:1;)");
        assert_eq!(refusal(&rule), None, "{rule}");
    }
}

#[test]
fn expressions_that_cannot_be_evaluated() {
    all_refused(&[
        r#"pcre:"a";"#,
        r#"pcre:"/a";"#,
        r#"pcre:"/(a/";"#,
        r#"pcre:"/a/q";"#,
        r#"pcre:"/a/UI";"#,
        r#"pcre:"/a/BU";"#,
        r#"pcre:"/a/R";"#,
        r#"content:"a"; pcre:"/b/UR";"#,
        r#"http.host; pcre:"/b/U";"#,
        r#"pcre:"/a/,flow:x";"#,
        r#"pcre:"/(a)/,foo:x";"#,
        r#"pcre:"/a;b/";"#,
    ]);
    all_load(&[
        r#"pcre:"/a\"b\;c\/d/Oix";"#,
        r#"pcre:!"/a/";"#,
        r#"pcre:/a/;"#,
        r#"pcre:"/(?P<x>a)/";"#,
        r#"pcre:"/(?P<flow_x>a)/";"#,
        r#"pcre:"/(a)(b)/i ,flow:x,pkt:y";"#,
        r#"pcre:"/\S/W";"#,
        r#"pcre:"/a/U"; content:"a"; http_uri; pcre:"/b/UR";"#,
    ]);
    let reason = refusal(r#"alert tcp any any -> any any (pcre:"/ab(c/"; sid:1;)"#);
    assert!(reason.is_some_and(|reason| reason.contains("at byte 4")), "the place is named");
}

#[test]
fn malformed_values() {
    all_refused(&[
        "byte_test:1,==,5,0;",
        "byte_test:9,>,5,0;",
        "byte_test:24,>,5,0,string,oct;",
        "byte_test:5,>,5,0,hex;",
        "byte_test:5,>,18446744073709551616,0;",
        "byte_test:2,>,10,0,foo;",
        "byte_test:2,>,10;",
        "byte_test:2,>,v,0;",
        "byte_test:2,>,10,0,dce;",
        "byte_jump:9,0;",
        "byte_jump:4,0,from_end,from_beginning;",
        "byte_jump:4,0,multiplier 0;",
        "byte_jump:4,65536;",
        "byte_extract:4,0,v,align 3;",
        "byte_extract:9,0,v;",
        "byte_extract:4,0,5;",
        "isdataat:65536;",
        "isdataat:5,foo;",
        "dsize:20<>10;",
        "dsize:\"10\";",
        "dsize:10; dsize:5;",
        "ttl:256;",
        "tos:0x8;",
        "id:65536;",
        "ipopts:foo;",
        "fragbits:m;",
        "flags:s;",
        "flags:S,;",
        "seq:!5;",
        "window:65536;",
        "icmp_id:!8;",
        "itype:8<>9;",
        "flow:foo;",
        "flow:to_server,to_client;",
        "flow:established,stateless;",
        "flow;",
        "flowbits:set;",
        "flowbits:noalert,a;",
        "flowbits:foo,a;",
        "flowbits:set,a b;",
        "flowint:a,foo,5;",
        "flowint:a-b,=,5;",
        "flowint:a,>,4294967296;",
        "threshold:type limit, track by_src, count 1;",
        "threshold:type limit, track by_foo, count 1, seconds 60;",
        "detection_filter:track by_src, count 0, seconds 60;",
        "noalert:foo;",
        "app-layer-protocol:foo;",
        "rev:0;",
        "msg:abc;",
        "msg:\"a\"; msg:\"b\";",
        "reference:url;",
        "target:foo;",
        "classtype:\"trojan-activity\";",
        "sid:2;",
        ";",
    ]);
    for rule in [
        "alert tcp any any -> any any (msg:\"no sid\";)",
        "alert tcp any any -> any any (sid:0;)",
        "alert tcp any any -> any any (sid:4294967295;)",
        "alert tcp any any -> any any (sid:1)",
        "alert tcp any any -> any any (sid:1;) trailing",
        "alert tcp any any -> any any (sid:1;",
        "alert tcp !any any -> any any (sid:1;)",
        "alert tcp any !any -> any any (sid:1;)",
        "alert tcp $UNKNOWN any -> any any (sid:1;)",
        "alert tcp any any => any any (sid:1;)",
        "alert nothing any any -> any any (sid:1;)",
    ] {
        assert!(refusal(rule).is_some(), "loads: {rule}");
    }
}

#[test]
fn checksums_and_calls_are_refused_where_they_say_nothing_that_can_be() {
    all_refused(&[
        "tcpv4-csum;",
        "tcpv4-csum:wrong;",
        "rpc:*;",
        "rpc:1,x;",
        "rpc:1,2,3,4;",
        "rpc:1,,3;",
    ]);
    let reason = refusal("alert ip any any -> any any (ipv4-csum:invalid; sid:1;)");
    assert!(reason.as_ref().is_some_and(|reason| reason.contains("`bad_checksum`")), "{reason:?}");
}

#[test]
fn keywords_that_are_not_evaluated_are_named() {
    for keyword in ["lua", "cip_service", "pktvar"] {
        let rule = format!("alert tcp any any -> any any (content:\"a\"; {keyword}; sid:1;)");
        let reason = refusal(&rule).expect("refused");
        assert!(reason.contains(&format!("`{keyword}`")), "{reason}");
        assert!(reason.contains("not evaluated"), "{reason}");
    }
}

#[test]
fn events_are_known_by_their_names_alone() {
    all_load(&[
        "decode-event:ipv4.trunc_pkt;",
        "decode-event:IPv6.Zero_Len_PadN;",
        "stream-event:3whs_ack_in_wrong_dir;",
        "stream-event:est_synack_resend_with_different_ack;",
        "engine-event:stream.fin_syn;",
        "engine-event:decoder.too_many_layers;",
    ]);
    all_refused(&[
        "decode-event:decoder.ipv4.trunc_pkt;",
        "decode-event:!ipv4.trunc_pkt;",
        "engine-event:fin_syn;",
        "decode-event:ipv4.trunc_pkt; http.uri; content:\"a\";",
    ]);
    let reason = refusal("alert pkthdr any any -> any any (decode-event:ipv4.truncpkt; sid:1;)");
    let expected = "event `ipv4.truncpkt` is not known, did you mean `ipv4.trunc_pkt`?";
    assert!(reason.as_ref().is_some_and(|reason| reason.contains(expected)), "{reason:?}");
}
