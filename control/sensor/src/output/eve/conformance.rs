//! Holds lines against those that Suricata wrote of the shared capture: an alert is made of each of
//! its lines, and must come out as it was, byte for byte. Needs the shared corpus.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use app::{
    AppProto, CertificateSummary, Digests, DnsQuestion, DnsSummary, FileState, HttpSummary,
    TlsSummary, TxSummary,
};
use engine::alert::{FileSummary, FlowSummary};
use engine::scope::Scope;
use rules::signature::Class;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use super::*;
use crate::output::testing;

/// A JSON object with its fields' texts, in order.
struct Ordered(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Ordered;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Ordered(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The fields that both engines write, in the order of the line.
fn fields(line: &str, without: &[&str]) -> Vec<(String, String)> {
    let ordered: Ordered = serde_json::from_str(line).expect("JSON");
    let kept = ordered.0.into_iter().filter(|(name, _)| !without.contains(&name.as_str()));
    kept.map(|(name, text)| (name, text.get().to_owned())).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    value.as_u64().and_then(|n| T::try_from(n).ok())
}

fn address(value: &Value) -> IpAddr {
    testing::address(value.as_str().expect("an address"))
}

fn nanos(value: &Value) -> u64 {
    let text = value.as_str().expect("a time").replace("+0000", "Z");
    let stamp: jiff::Timestamp = text.parse().expect("a time");
    u64::try_from(stamp.as_nanosecond()).expect("after 1970")
}

fn summary(line: &Value) -> Option<TxSummary> {
    let http = &line["http"];
    if http.is_object() {
        return Some(TxSummary::Http(Box::new(HttpSummary {
            hostname: text(&http["hostname"]),
            http_port: number(&http["http_port"]),
            url: text(&http["url"]),
            http_user_agent: text(&http["http_user_agent"]),
            xff: text(&http["xff"]),
            http_content_type: text(&http["http_content_type"]),
            http_refer: text(&http["http_refer"]),
            http_method: text(&http["http_method"]),
            protocol: text(&http["protocol"]),
            status: number(&http["status"]),
            redirect: text(&http["redirect"]),
            length: number(&http["length"])?,
        })));
    }
    if let Some(queries) = line["dns"]["query"].as_array() {
        let first = queries.first()?;
        let question = |query: &Value| {
            Some(DnsQuestion {
                rrname: text(&query["rrname"])?,
                rrtype: 0,
                rrtype_name: text(&query["rrtype"])?,
            })
        };
        return Some(TxSummary::Dns(DnsSummary {
            id: number(&first["id"])?,
            opcode: number(&first["opcode"])?,
            tx_id: number(&first["tx_id"])?,
            questions: queries.iter().filter_map(question).collect(),
            ..DnsSummary::default()
        }));
    }
    let tls = &line["tls"];
    tls.is_object().then(|| {
        let print = |ja3: &Value| Some((text(&ja3["hash"])?, text(&ja3["string"])?));
        TxSummary::Tls(Box::new(TlsSummary {
            sni: text(&tls["sni"]),
            version: text(&tls["version"]).unwrap_or_default(),
            session_resumed: tls["session_resumed"] == true,
            server_certificate: certificate(tls),
            client_certificate: certificate(&tls["client"]),
            ja3: print(&tls["ja3"]),
            ja3s: print(&tls["ja3s"]),
            ja4: text(&tls["ja4"]),
        }))
    })
}

fn file(told: &Value) -> FileSummary {
    FileSummary {
        name: text(&told["filename"]),
        size: number(&told["size"]).expect("a size"),
        state: match told["state"].as_str() {
            Some("CLOSED") => FileState::Closed,
            Some("TRUNCATED") => FileState::Truncated,
            _ => FileState::Open,
        },
        gaps: told["gaps"] == true,
        digests: Digests::default(),
    }
}

fn certificate(told: &Value) -> Option<CertificateSummary> {
    let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
    let moment = |name: &str| {
        let civil: jiff::civil::DateTime = told[name].as_str()?.parse().ok()?;
        Some(jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.as_second())
    };
    told["fingerprint"].as_str()?;
    Some(CertificateSummary {
        subject: text("subject"),
        issuer: text("issuerdn"),
        serial: text("serial"),
        fingerprint: text("fingerprint"),
        validity: moment("notbefore").zip(moment("notafter")),
    })
}

/// The alert that `line` tells of.
fn alert(line: &Value) -> Alert {
    let told = &line["alert"];
    let mut signature = testing::signature(number(&told["signature_id"]).expect("a sid"));
    signature.rev = number(&told["rev"]).expect("a revision");
    signature.msg = told["signature"].as_str().expect("text").into();
    signature.priority = number(&told["severity"]).expect("a severity");
    let description = told["category"].as_str().expect("text");
    signature.class = Some(Class { name: "".into(), description: description.into() });
    let victim = &told["target"];
    signature.target = victim.is_object().then(|| {
        let is_source =
            victim["ip"] == line["src_ip"] && victim.get("port") == line.get("src_port");
        if is_source { Target::Source } else { Target::Destination }
    });
    let metadata = told["metadata"].as_object().into_iter().flatten();
    let mut pairs: Vec<_> = metadata
        .flat_map(|(key, values)| values.as_array().into_iter().flatten().map(move |v| (key, v)))
        .map(|(key, value)| (key.clone(), text(value).expect("text")))
        .collect();
    // In the rule's order: the last one stands first in the line.
    pairs.reverse();
    signature.metadata = Arc::from(pairs);
    let snapshot = testing::snapshot(1, Scope::everything(), vec![signature]);
    let flow = &line["flow"];
    Alert {
        timestamp: nanos(&line["timestamp"]),
        packet_number: number(&line["pcap_cnt"]).unwrap_or(0),
        src: address(&line["src_ip"]),
        dst: address(&line["dest_ip"]),
        src_port: number(&line["src_port"]),
        dst_port: number(&line["dest_port"]),
        protocol: Some(
            (0..=255u8).find(|&n| line["proto"] == ProtoName(n).to_string()).expect("a protocol"),
        ),
        icmp: number(&line["icmp_type"]).zip(number(&line["icmp_code"])),
        vlan: line["vlan"].as_array().into_iter().flatten().filter_map(number).collect(),
        source: match line["pkt_src"].as_str().expect("text") {
            "defrag" => Source::Defragmented,
            "stream (flow timeout)" => Source::StreamEnd,
            "geneve encapsulation" => Source::Tunnel(TunnelKind::Geneve),
            "vxlan encapsulation" => Source::Tunnel(TunnelKind::Vxlan),
            _ => Source::Wire,
        },
        tx_id: number(&line["tx_id"]),
        app_proto: AppProto::ALL.into_iter().find(|proto| line["app_proto"] == proto.name()),
        direction: match line["direction"].as_str() {
            Some("to_server") => Some(Direction::ToServer),
            Some(_) => Some(Direction::ToClient),
            None => None,
        },
        summary: summary(line).map(Box::new),
        files: line["files"].as_array().into_iter().flatten().map(file).collect(),
        flow: flow.is_object().then(|| {
            let n = |name: &str| flow[name].as_u64().unwrap_or(0);
            let port = |name: &str| number(&flow[name]).unwrap_or(0);
            Box::new(FlowSummary {
                id: line["flow_id"].as_u64().expect("an id"),
                start: nanos(&flow["start"]),
                packets: [n("pkts_toserver"), n("pkts_toclient")],
                bytes: [n("bytes_toserver"), n("bytes_toclient")],
                client: (address(&flow["src_ip"]), port("src_port")),
                server: (address(&flow["dest_ip"]), port("dest_port")),
            })
        }),
        ..testing::alert(&snapshot)
    }
}

#[test]
fn lines_are_those_of_suricata_byte_for_byte() {
    let shared = std::env::var_os("POLLUX_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("corpus/captures/dev-open.suricata-7.0.10.alerts.jsonl.gz");
    let unpacked = Command::new("gzip").arg("-dc").arg(&path).output();
    let Some(unpacked) = unpacked.ok().filter(|it| path.exists() && it.status.success()) else {
        eprintln!("skipped: shared corpus absent");
        return;
    };
    let lines = String::from_utf8(unpacked.stdout).expect("UTF-8");
    // What either engine writes and the other does not.
    let theirs_alone = [
        "metadata",
        "tx_guessed",
        "tunnel",
        "app_proto_tc",
        "app_proto_ts",
        "app_proto_orig",
        "app_proto_expected",
        "parent_id",
        "smtp",
        "email",
        "ssh",
        "quic",
        "smb",
        "snmp",
        "ftp",
        "ftp_data",
        "dcerpc",
        "rdp",
        "rfb",
        "sip",
        "mqtt",
        "krb5",
        "ike",
        "nfs",
        "rpc",
        "pgsql",
        "tftp",
        "dhcp",
        "bittorrent_dht",
    ];
    let mut compared = 0;
    for theirs in lines.lines() {
        let value: Value = serde_json::from_str(theirs).expect("JSON");
        let mut without = theirs_alone.to_vec();
        without.push("ip_v");
        // Fingerprints, certificates, ranges and answers are not among what a parser tells.
        let is_more = |object: &str, names: &[&str]| {
            value[object].as_object().is_some_and(|it| names.iter().any(|&n| it.contains_key(n)))
        };
        for (object, names) in [
            ("http", &["content_range", "org_src_ip"][..]),
            ("tls", &["ja3", "ja3s", "subject", "issuerdn", "fingerprint", "client"]),
            ("dns", &["answer", "answers", "grouped", "authorities"]),
        ] {
            if is_more(object, names) {
                without.push(object);
            }
        }
        let alert = alert(&value);
        let ours = {
            let signature = &alert.snapshot.rules.signatures[0];
            let mut out = Vec::new();
            EveFormat::new(EveOptions::default())
                .line(&alert, signature, &Identity::default(), &mut out)
                .expect("a line");
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(fields(&ours, &without), fields(theirs, &without), "\n{theirs}\n{ours}");
        compared += 1;
    }
    assert!(compared > 800, "{compared}");
}
