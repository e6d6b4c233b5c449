use std::sync::Arc;

use app::{AppProto, HttpSummary, TlsSummary, TxSummary};
use engine::scope::Scope;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::output::names::NameBook;
use crate::output::testing;

fn text(options: EveOptions, alert: &Alert, signature: &Signature, book: &NameBook) -> String {
    let mut out = Vec::new();
    let identity = book.identify(alert, 0);
    EveFormat::new(options).line(alert, signature, &identity, &mut out).expect("a line");
    String::from_utf8(out).expect("UTF-8")
}

fn line(options: EveOptions, alert: &Alert, signature: &Signature) -> Value {
    serde_json::from_str(&text(options, alert, signature, &NameBook::default())).expect("JSON")
}

fn first(alert: &Alert) -> &Signature {
    &alert.snapshot.rules.signatures[0]
}

fn dns() -> Alert {
    let mut signature = testing::signature(2_012_811);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    signature.metadata = Arc::new([
        pair("created_at", "2011_05_15"),
        pair("confidence", "High"),
        pair("tag", "one"),
        pair("tag", "two"),
        pair("alone", ""),
    ]);
    testing::alert(&testing::snapshot(1, Scope::everything(), vec![signature]))
}

#[test]
fn a_line_has_suricatas_names_types_and_order() {
    let alert = dns();
    // As Suricata 7.0.10 writes the same alert, but for `ip_v`, which its version 8 has there.
    let expected = concat!(
        r#"{"timestamp":"2023-11-14T22:13:24.650161+0000","flow_id":1385047884398743,"#,
        r#""pcap_cnt":197,"event_type":"alert","src_ip":"10.0.10.1","src_port":51954,"#,
        r#""dest_ip":"10.0.10.2","dest_port":53,"proto":"UDP","ip_v":4,"pkt_src":"wire/pcap","#,
        r#""tx_id":0,"alert":{"action":"allowed","gid":1,"signature_id":2012811,"rev":7,"#,
        r#""signature":"ET DNS Query to a .tk domain - Likely Hostile","#,
        r#""category":"Potentially Bad Traffic","severity":2,"#,
        r#""metadata":{"confidence":["High"],"created_at":["2011_05_15"],"tag":["two","one"]}},"#,
        r#""dns":{"version":2,"query":[{"type":"query","id":2182,"rrname":"whois.dot.tk","#,
        r#""rrtype":"A","tx_id":0,"opcode":0}]},"app_proto":"dns","direction":"to_server","#,
        r#""flow":{"pkts_toserver":1,"pkts_toclient":0,"bytes_toserver":72,"bytes_toclient":0,"#,
        r#""start":"2023-11-14T22:13:24.650161+0000","src_ip":"10.0.10.1","#,
        r#""dest_ip":"10.0.10.2","src_port":51954,"dest_port":53}}"#,
        "\n"
    );
    assert_eq!(text(EveOptions::default(), &alert, first(&alert), &NameBook::default()), expected);
}

#[test]
fn live_alerts_name_their_interface_and_have_no_packet_number() {
    let options = EveOptions { interfaces: vec!["a".into(), "b".into()], ..EveOptions::default() };
    let alert = Alert { packet_number: 7, port: 1, ..dns() };
    let line = line(options, &alert, first(&alert));
    assert_eq!(line["in_iface"], "b");
    assert!(line.get("pcap_cnt").is_none());
}

#[test]
fn vlans_community_id_payload_and_packet_are_there_when_asked_for() {
    let alert = Alert {
        vlan: vec![300, 7],
        payload: Some(Box::from(*b"GET /\r\n\0")),
        packet: Some((Box::from(*b"\x45\0"), 12)),
        stream: true,
        ..dns()
    };
    let all = EveOptions {
        interfaces: Vec::new(),
        community_id: true,
        payload: true,
        payload_printable: true,
        packet: true,
        ..EveOptions::default()
    };
    let full = line(all, &alert, first(&alert));
    assert_eq!(full["vlan"], json!([300, 7]));
    assert!(full["community_id"].as_str().is_some_and(|id| id.starts_with("1:")));
    assert_eq!(full["payload"], "R0VUIC8NCgA=");
    assert_eq!(full["payload_printable"], "GET /\r\n.");
    assert_eq!(full["stream"], 1);
    assert_eq!(full["packet"], "RQA=");
    assert_eq!(full["packet_info"], json!({"linktype": 12}));
    let plain = line(EveOptions::default(), &alert, first(&alert));
    for name in ["community_id", "payload", "payload_printable", "stream", "packet", "packet_info"]
    {
        assert!(plain.get(name).is_none(), "{name}");
    }
}

#[test]
fn an_empty_payload_is_only_told_as_text() {
    let alert = Alert { payload: Some(Box::default()), ..dns() };
    let options = EveOptions { payload: true, payload_printable: true, ..EveOptions::default() };
    let line = line(options, &alert, first(&alert));
    assert!(line.get("payload").is_none());
    assert_eq!((&line["payload_printable"], &line["stream"]), (&json!(""), &json!(0)));
}

#[test]
fn icmp_has_type_and_code_but_no_ports_anywhere() {
    let alert = Alert {
        protocol: Some(58),
        src: testing::address("fe80::1"),
        dst: testing::address("ff02::1"),
        src_port: None,
        dst_port: None,
        icmp: Some((134, 0)),
        summary: None,
        app_proto: None,
        ..dns()
    };
    let line = line(EveOptions::default(), &alert, first(&alert));
    assert_eq!(line["proto"], "IPv6-ICMP");
    assert_eq!((&line["icmp_type"], &line["icmp_code"]), (&json!(134), &json!(0)));
    assert_eq!(line["src_ip"], "fe80:0000:0000:0000:0000:0000:0000:0001");
    assert_eq!(line["ip_v"], 6);
    for object in [&line, &line["flow"]] {
        assert!(object.get("src_port").is_none() && object.get("dest_port").is_none());
    }
    assert!(line.get("app_proto").is_none());
}

#[test]
fn a_tunnel_tells_its_outer_ends_kind_and_network() {
    let outer = TunnelSummary {
        src: testing::address("10.0.61.1"),
        dst: testing::address("10.0.61.2"),
        protocol: 17,
        kind: TunnelKind::Vxlan,
        key: 4096,
        depth: 1,
    };
    let alert =
        Alert { source: Source::Tunnel(TunnelKind::Vxlan), tunnel: Some(outer.clone()), ..dns() };
    let vxlan = line(EveOptions::default(), &alert, first(&alert));
    assert_eq!(vxlan["pkt_src"], "vxlan encapsulation");
    assert_eq!(
        vxlan["tunnel"],
        json!({
            "src_ip": "10.0.61.1", "dest_ip": "10.0.61.2", "proto": "UDP", "depth": 1,
            "pcap_cnt": 197, "pkt_src": "wire/pcap", "kind": "vxlan", "vni": 4096,
        })
    );
    for (kind, protocol, src, name, pkt_src) in [
        (TunnelKind::Ipip, 4, "10.9.0.1", "IP-in-IP", "ipv4 tunnel"),
        (TunnelKind::Ipip, 4, "2001:db8::1", "IP-in-IP", "ipv6 tunnel"),
        (TunnelKind::SixInFour, 41, "10.9.0.1", "IPv6", "ipv4 tunnel"),
        (TunnelKind::Gre, 47, "10.9.0.1", "GRE", "gre tunnel"),
        (TunnelKind::Geneve, 17, "10.9.0.1", "UDP", "geneve encapsulation"),
        (TunnelKind::Teredo, 17, "10.9.0.1", "UDP", "teredo tunnel"),
    ] {
        let tunnel =
            TunnelSummary { kind, protocol, src: testing::address(src), key: 0, ..outer.clone() };
        let alert = Alert { source: Source::Tunnel(kind), tunnel: Some(tunnel), ..dns() };
        let line = line(EveOptions::default(), &alert, first(&alert));
        assert_eq!(line["pkt_src"], pkt_src);
        assert_eq!(line["tunnel"]["proto"], name);
        assert!(line["tunnel"].get("key").is_none());
    }
}

#[test]
fn what_a_time_out_brought_up_has_no_packet_number() {
    let alert = Alert { source: Source::StreamEnd, ..dns() };
    let end = line(EveOptions::default(), &alert, first(&alert));
    assert_eq!(end["pkt_src"], "stream (flow timeout)");
    assert!(end.get("pcap_cnt").is_none());
    let alert = Alert { source: Source::Defragmented, ..dns() };
    assert_eq!(line(EveOptions::default(), &alert, first(&alert))["pkt_src"], "defrag");
}

#[test]
fn a_rules_target_says_who_attacks_whom() {
    let client = json!({"ip": "10.0.10.1", "port": 51954});
    let server = json!({"ip": "10.0.10.2", "port": 53});
    for (target, source, victim) in
        [(Target::Source, &server, &client), (Target::Destination, &client, &server)]
    {
        let mut signature = testing::signature(1);
        signature.target = Some(target);
        let alert = testing::alert(&testing::snapshot(1, Scope::everything(), vec![signature]));
        let line = line(EveOptions::default(), &alert, first(&alert));
        assert_eq!((&line["alert"]["source"], &line["alert"]["target"]), (source, victim));
    }
}

#[test]
fn http_and_tls_have_their_objects() {
    let http = HttpSummary {
        hostname: Some("bro.org".into()),
        url: Some("/\u{1}\"é".into()),
        http_method: Some("GET".into()),
        protocol: Some("HTTP/1.1".into()),
        status: Some(200),
        length: 2594,
        ..HttpSummary::default()
    };
    let alert = Alert {
        summary: Some(Box::new(TxSummary::Http(Box::new(http)))),
        app_proto: Some(AppProto::Http1),
        ..dns()
    };
    let line_of = |alert: &Alert| line(EveOptions::default(), alert, first(alert));
    let http = line_of(&alert);
    assert_eq!(
        http["http"],
        json!({
            "hostname": "bro.org", "url": "/\u{1}\"é", "http_method": "GET",
            "protocol": "HTTP/1.1", "status": 200, "length": 2594,
        })
    );
    assert_eq!(http["app_proto"], "http");
    assert!(http.get("dns").is_none());
    let tls = TlsSummary {
        sni: Some("a.example".into()),
        version: "TLS 1.2".into(),
        ..TlsSummary::default()
    };
    let alert = Alert { summary: Some(Box::new(TxSummary::Tls(Box::new(tls)))), ..alert };
    assert_eq!(line_of(&alert)["tls"], json!({"sni": "a.example", "version": "TLS 1.2"}));
}

#[test]
fn pods_and_resources_stand_beside_the_alert() {
    let table = testing::table(&[
        testing::pod("web", &["10.0.10.1"]),
        testing::pod("dns", &["10.0.10.2", "fd00::2"]),
    ]);
    let scope = testing::scope(&table);
    let hits = testing::hits(&scope, "10.0.10.1", "10.0.10.2", None);
    let snapshot = testing::snapshot(5, scope, vec![testing::signature(1)]);
    let book = NameBook::new();
    book.publish(5, table, 0);
    let alert = Alert { hits, ..testing::alert(&snapshot) };
    let line: Value =
        serde_json::from_str(&text(EveOptions::default(), &alert, first(&alert), &book))
            .expect("JSON");
    let pod = |name: &str| {
        json!({
            "namespace": "shop", "pod": name, "node": "node-1", "service_account": "default",
        })
    };
    assert_eq!(line["kubernetes"], json!({"source": pod("web"), "destination": pod("dns")}));
    assert_eq!(
        line["dpi"],
        json!([{"namespace": "shop", "name": "all"}, {"namespace": "shop", "name": "web"}])
    );
}

#[test]
fn texts_of_one_generation_are_not_used_for_the_next() {
    let mut format = EveFormat::new(EveOptions::default());
    for (generation, value) in [(1, "one"), (2, "two"), (1, "one")] {
        let mut signature = testing::signature(1);
        signature.metadata = Arc::new([("key".to_owned(), value.to_owned())]);
        let snapshot = testing::snapshot(generation, Scope::everything(), vec![signature]);
        let alert = testing::alert(&snapshot);
        let mut out = Vec::new();
        format.line(&alert, first(&alert), &Identity::default(), &mut out).expect("a line");
        let line: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(line["alert"]["metadata"], json!({"key": [value]}));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever a packet says, its alert is one line of valid JSON.
    #[test]
    fn hostile_content_stays_within_its_line(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        let http = HttpSummary {
            hostname: Some(text.clone()),
            url: Some(String::from_utf8_lossy(&bytes).into_owned()),
            ..HttpSummary::default()
        };
        let mut signature = testing::signature(1);
        signature.msg = text.as_str().into();
        signature.metadata = Arc::new([(text.clone(), text.clone())]);
        let alert = Alert {
            summary: Some(Box::new(TxSummary::Http(Box::new(http)))),
            payload: Some(bytes.as_slice().into()),
            packet: Some((bytes.as_slice().into(), 1)),
            ..dns()
        };
        let options = EveOptions {
            payload: true,
            payload_printable: true,
            packet: true,
            ..EveOptions::default()
        };
        let line = super::tests::text(options, &alert, &signature, &NameBook::default());
        prop_assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).expect("JSON");
        prop_assert_eq!(value["http"]["hostname"].as_str(), Some(text.as_str()));
        prop_assert_eq!(value["alert"]["signature"].as_str(), Some(text.as_str()));
    }
}

#[test]
fn what_rules_remember_of_a_flow_is_told_by_name() {
    use engine::inspect::vars::FlowVars;
    use rules::parse::{Context, Names, parse_rules};
    use rules::ruleset::Ruleset;
    let rule = "alert udp any any -> any any (flowbits:set,plain; flowbits:set,traffic/id/curl; \
                flowbits:set,traffic/label/cli; flowint:n,+,7; sid:1;)";
    let mut names = Names::default();
    let parsed = parse_rules("a.rules", rule.as_bytes(), &Context::default(), &mut names);
    let signature = parsed.signatures[0].clone();
    let (mut rules, _) = Ruleset::compile(parsed.signatures, None, 1, &|_| {}).expect("rules");
    rules.names = names.of_flows();
    let scope = Scope::everything();
    let settings = engine::Settings::default();
    let snapshot = Arc::new(engine::Snapshot::new(1, scope, Arc::new(rules), settings));
    let mut vars = FlowVars::default();
    signature.flowbit_sets.iter().for_each(|set| vars.apply_bit(*set));
    signature.flowint_sets.iter().for_each(|set| vars.apply_int(*set));
    let alert = Alert { vars: Some(Box::new(vars)), ..testing::alert(&snapshot) };
    let told = line(EveOptions::default(), &alert, &signature);
    assert_eq!(told["traffic"], json!({"id": ["curl"], "label": ["cli"]}));
    assert_eq!(told["metadata"], json!({"flowbits": ["plain"], "flowints": {"n": 7}}));
    let none = EveOptions { no_metadata: true, ..EveOptions::default() };
    let told = line(none, &alert, &signature);
    assert!(told["traffic"].is_null() && told["metadata"].is_null(), "{told}");
}

#[test]
fn whom_a_proxy_speaks_for_is_told_beside_the_client_or_in_its_place() {
    let mut alert = dns();
    alert.forwarded = Some("10.9.9.1, 10.9.9.2".to_owned());
    let of = |alert: &Alert, xff: XffOptions| {
        let line = line(EveOptions { xff, ..EveOptions::default() }, alert, first(alert));
        ["src_ip", "dest_ip", "xff"].map(|name| line[name].as_str().unwrap_or("-").to_owned())
    };
    let (src, dst) = ("10.0.10.1", "10.0.10.2");
    let extra = XffOptions { enabled: true, ..XffOptions::default() };
    assert_eq!(of(&alert, XffOptions::default()), [src, dst, "-"]);
    assert_eq!(of(&alert, extra.clone()), [src, dst, "10.9.9.2"]);
    let over = XffOptions { mode: XffMode::Overwrite, ..extra };
    assert_eq!(of(&alert, over.clone()), ["10.9.9.2", dst, "-"]);
    alert.direction = Some(Direction::ToClient);
    let forward = XffOptions { deployment: XffDeployment::Forward, ..over.clone() };
    assert_eq!(of(&alert, forward), [src, "10.9.9.1", "-"]);
    alert.forwarded = Some("unknown".to_owned());
    assert_eq!(of(&alert, over), [src, dst, "-"]);
}
