//! The example is what its manifest, `deploy/examples/resources` and `deploy/examples/rules` say.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::{fs, str};

use api::documents::Documents;
use api::{Inventory, ScopeTable};
use common::{assert_complete, decode, ends, example_file, read, reassemble};
use traffic::example::{Example, Fates, cluster};
use wire::{Reject, Transport};

fn inventory() -> Inventory {
    let mut files: Vec<_> = fs::read_dir(example_file("resources"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| {
        Documents::parse(&file.display().to_string(), &fs::read_to_string(file).unwrap())
    });
    let inventory = Inventory::from_parsed(texts);
    assert!(inventory.problems.is_empty(), "{:?}", inventory.problems);
    inventory
}

fn table(inventory: &Inventory) -> ScopeTable {
    let (endpoints, problems) = inventory.endpoints();
    assert!(problems.is_empty(), "{problems:?}");
    ScopeTable::build(&inventory.resources(), &endpoints)
}

/// The resources in whose scope an address is, as `namespace/name`.
fn resources_of(table: &ScopeTable, address: IpAddr) -> BTreeSet<String> {
    let endpoints = table.by_address.get(&address).into_iter().flatten();
    let resources = endpoints.flat_map(|endpoint| table.resources_of(*endpoint));
    let resources = resources.map(|resource| &table.resources[*resource as usize]);
    resources.map(|resource| format!("{}/{}", resource.namespace, resource.name)).collect()
}

#[test]
fn the_pods_are_those_of_the_resources() {
    let (endpoints, problems) = inventory().endpoints();
    assert!(problems.is_empty(), "{problems:?}");
    let read: BTreeMap<_, _> = endpoints
        .iter()
        .map(|pod| {
            let identity = (&*pod.node, &*pod.service_account);
            ((&*pod.namespace, &*pod.pod), (identity, pod.addresses.clone()))
        })
        .collect();
    let made: BTreeMap<_, _> = cluster::PODS
        .iter()
        .map(|pod| {
            let addresses = vec![IpAddr::V4(pod.address), IpAddr::V6(pod.address6())];
            let identity = (pod.node.name, pod.service_account);
            ((pod.namespace, pod.name), (identity, addresses))
        })
        .collect();
    assert_eq!(read, made);
}

#[test]
fn the_finished_job_has_the_address_that_another_pod_holds_now() {
    let inventory = inventory();
    let (namespace, name) = cluster::FINISHED_JOB;
    let job = inventory.pods().find(|pod| (&*pod.namespace, &*pod.name) == (namespace, name));
    assert_eq!(job.unwrap().pod_ip, cluster::GRAFANA.address.to_string());
    let address = IpAddr::V4(cluster::GRAFANA.address);
    assert_eq!(table(&inventory).by_address[&address].len(), 1);
}

#[test]
fn every_pod_is_inspected_by_the_resources_that_its_table_names() {
    let table = table(&inventory());
    for pod in cluster::PODS {
        for address in [IpAddr::V4(pod.address), IpAddr::V6(pod.address6())] {
            let expected: BTreeSet<_> = pod.resources.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(resources_of(&table, address), expected, "{}", pod.name);
        }
    }
}

#[test]
fn the_invalid_selector_has_an_error_with_its_column_and_the_idle_one_selects_nothing() {
    let table = table(&inventory());
    let find = |name: &str| table.resources.iter().find(|resource| resource.name == name).unwrap();
    let invalid = find("invalid-selector-on-purpose");
    assert_eq!(invalid.error.as_ref().map(|error| error.column), Some(18));
    let idle = find("selects-nothing");
    assert_eq!((idle.selected, &idle.error), (0, &None));
    let broken = table.resources.iter().filter(|resource| resource.error.is_some());
    assert_eq!(broken.count(), 1);
}

#[test]
fn every_packet_has_the_fate_that_the_manifest_counts() {
    let table = table(&inventory());
    for seed in 1..4 {
        let example = Example::new(seed).unwrap();
        let mut fates = Fates { packets: example.packets.len() as u64, ..Fates::default() };
        let mut fragments: BTreeMap<_, (usize, bool)> = BTreeMap::new();
        for packet in &example.packets {
            match decode(&packet.bytes) {
                Ok(decoded) => {
                    let mut layers = decoded.ip_layers().iter();
                    let hit = layers.any(|layer| {
                        [layer.src, layer.dst]
                            .iter()
                            .any(|address| !resources_of(&table, *address).is_empty())
                    });
                    let fate = if hit { &mut fates.scoped } else { &mut fates.unscoped };
                    *fate += 1;
                    if let Some(fragment) = &decoded.fragment {
                        let key = (decoded.inner().src, decoded.inner().dst, fragment.id);
                        let (count, ended) = fragments.entry(key).or_default();
                        *count += 1;
                        *ended |= !fragment.more;
                    }
                }
                Err(Reject::NonIp) => fates.non_ip += 1,
                Err(Reject::Malformed(_)) => fates.malformed += 1,
                Err(Reject::BadChecksum) => fates.bad_checksum += 1,
            }
        }
        let alone = fragments.values().filter(|(_, ended)| !ended);
        fates.incomplete_fragments = alone.map(|(count, _)| *count as u64).sum();
        assert_eq!(fates, example.manifest.fates, "seed {seed}");
        assert!((2_000..=5_000).contains(&fates.packets), "seed {seed}: {fates:?}");
        let each =
            [fates.scoped, fates.unscoped, fates.non_ip, fates.malformed, fates.bad_checksum];
        assert!(each.iter().all(|count| *count > 0));
        assert_eq!(each.iter().sum::<u64>(), fates.packets);
    }
}

#[test]
fn sequence_numbers_hold_in_every_connection() {
    for seed in 1..4 {
        let example = Example::new(seed).unwrap();
        let all = reassemble(example.packets.iter().map(|packet| &*packet.bytes));
        assert!(all.len() > 300, "{}", all.len());
        assert_complete(&all);
    }
}

#[test]
fn a_seed_makes_the_same_capture_and_another_seed_another() {
    let capture = |seed| Example::new(seed).unwrap().write(Vec::new()).unwrap();
    assert!(capture(5) == capture(5));
    assert!(capture(5) != capture(6));
    let planted = |seed| {
        let alerts = Example::new(seed).unwrap().manifest.alerts;
        alerts.iter().map(|alert| (alert.sid, alert.what)).collect::<BTreeSet<_>>()
    };
    assert_eq!(planted(5), planted(6));
}

#[test]
fn the_capture_is_well_formed_in_time_order_and_a_few_seconds_long() {
    let example = Example::new(1).unwrap();
    let frames = read(&example.write(Vec::new()).unwrap());
    assert_eq!(frames.len(), example.packets.len());
    assert!(frames.is_sorted_by_key(|(time, _)| *time));
    let length = frames.last().unwrap().0 - frames[0].0;
    assert!((2_000_000..10_000_000).contains(&length), "{length}");
}

/// What gives each attack away, apart from the rules: bytes of a direction of a TCP connection, or
/// of a datagram.
fn gives_away(sid: u32, bytes: &[u8]) -> bool {
    let has = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    let begins = |part: &str| bytes.starts_with(part.as_bytes());
    match sid {
        9_000_001 => has("${jndi:"),
        9_000_002 => has("/../../etc/passwd HTTP"),
        9_000_003 => has("root:x:0:0:"),
        9_000_004 => has("POST /uploads/") && has(".php HTTP"),
        9_000_005 => has("\x09Known-Bad\x07example\0") && bytes[2] & 0x80 == 0,
        9_000_006 => has("\x01t\x06tunnel\x07example\0") && bytes[2] & 0x80 == 0,
        9_000_007 => has("cdn.c2.example") && bytes[0] == 22,
        9_000_008 => has("uid=0(root)"),
        9_000_009 => has("%20UnIoN%20AlL%20sElEcT%20"),
        9_000_010 => has("CONFIG\r\n$3\r\nSET\r\n") && has("/var/spool/cron"),
        9_000_011 => has("class.module.classLoader."),
        9_000_012 => has("User-Agent: sqlmap/"),
        9_000_013 => has("\"method\":\"mining.subscribe\""),
        9_000_014 => begins("BEACON|") && has("|END-OF-BEACON"),
        9_000_016 => has("Welcome, root"),
        9_000_017 => begins("EXFIL|"),
        _ => panic!("no such rule: {sid}"),
    }
}

#[test]
fn what_gives_an_attack_away_is_where_the_manifest_says_and_nowhere_else() {
    let example = Example::new(3).unwrap();
    let frames = || example.packets.iter().map(|packet| &*packet.bytes);
    let mut messages: Vec<(&str, SocketAddr, SocketAddr, Vec<u8>)> = Vec::new();
    for ((source, destination), direction) in reassemble(frames()) {
        messages.push(("TCP", source, destination, direction.payload()));
    }
    let mut parts: BTreeMap<_, Vec<(u32, Vec<u8>)>> = BTreeMap::new();
    for frame in frames() {
        let Ok(decoded) = decode(frame) else { continue };
        let (source, destination) = ends(&decoded);
        let payload = decoded.payload_of(frame).to_vec();
        let proto = match (&decoded.transport, &decoded.fragment) {
            (_, Some(fragment)) => {
                let key = (source.ip(), destination.ip(), fragment.id);
                parts.entry(key).or_default().push((fragment.offset, payload));
                continue;
            }
            (Transport::Udp(_), None) => "UDP",
            // Echo requests only.
            (Transport::Icmp(icmp), None) if icmp.kind == 8 => "ICMP",
            _ => continue,
        };
        messages.push((proto, source, destination, payload));
    }
    for ((source, destination, _), mut parts) in parts {
        parts.sort();
        let datagram: Vec<u8> = parts.into_iter().flat_map(|(_, bytes)| bytes).collect();
        let port = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
        let ends = (SocketAddr::new(source, port(0)), SocketAddr::new(destination, port(2)));
        messages.push(("UDP", ends.0, ends.1, datagram[8..].to_vec()));
    }

    let sids: BTreeSet<u32> = example.manifest.alerts.iter().map(|alert| alert.sid).collect();
    let mut found = BTreeSet::new();
    for (proto, source, destination, bytes) in &messages {
        // The server name is sought in what looks like TLS, the query in what looks like DNS.
        let of = |sid: u32| match sid {
            9_000_005 | 9_000_006 => *proto == "UDP" && bytes.len() > 12,
            9_000_007 => *proto == "TCP" && !bytes.is_empty(),
            9_000_014 => *proto == "UDP",
            9_000_017 => *proto == "ICMP",
            _ => *proto == "TCP",
        };
        for sid in sids.iter().filter(|sid| of(**sid) && gives_away(**sid, bytes)) {
            found.insert((*sid, *proto, *source, *destination));
        }
    }
    let planted: BTreeSet<_> = example
        .manifest
        .alerts
        .iter()
        .map(|alert| {
            let source = SocketAddr::new(alert.src_ip, alert.src_port);
            (alert.sid, alert.proto, source, SocketAddr::new(alert.dest_ip, alert.dest_port))
        })
        .collect();
    assert_eq!(planted.len(), example.manifest.alerts.len(), "an alert is announced twice");
    assert_eq!(found, planted);
}

#[test]
fn alerts_are_in_scope_as_the_resources_have_it() {
    let table = table(&inventory());
    let alerts = Example::new(1).unwrap().manifest.alerts;
    for alert in &alerts {
        let scope: BTreeSet<String> =
            &resources_of(&table, alert.src_ip) | &resources_of(&table, alert.dest_ip);
        let expected: BTreeSet<_> = alert.resources.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(scope, expected, "{alert:?}");
        assert!(alert.resources.is_sorted());
    }
    let scoped = alerts.iter().filter(|alert| !alert.resources.is_empty()).count();
    assert!(scoped > 10 && alerts.len() - scoped > 10);
    for envelope in ["none", "vlan", "vxlan", "ipip"] {
        assert!(alerts.iter().any(|alert| alert.envelope == envelope), "{envelope}");
    }
    for resource in table.resources.iter().filter(|resource| resource.selected > 0) {
        let name = format!("{}/{}", resource.namespace, resource.name);
        assert!(alerts.iter().any(|alert| alert.resources.contains(&&*name)), "{name}");
    }
}

#[test]
fn every_rule_is_raised_but_those_that_are_there_to_be_silent() {
    let text = fs::read_to_string(example_file("rules/example.rules")).unwrap();
    let mut rules = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for rule in text.lines().filter(|line| line.starts_with("alert ")) {
        let value = |key: &str| {
            let at = rule.find(&format!(" {key}:")).unwrap_or_else(|| panic!("no {key}: {rule}"));
            rule[at + key.len() + 2..].split(';').next().unwrap()
        };
        let sid: u32 = value("sid").parse().unwrap();
        assert!(rules.insert(sid), "sid {sid} twice");
        value("rev").parse::<u32>().unwrap();
        assert!(!value("classtype").is_empty() && !value("metadata").is_empty());
        if rule.contains("EXAMPLE silent") || rule.contains("flowbits:noalert") {
            silent.insert(sid);
        }
    }
    let alerts = Example::new(1).unwrap().manifest.alerts;
    let raised: BTreeSet<u32> = alerts.iter().map(|alert| alert.sid).collect();
    assert_eq!(&rules - &raised, silent);
    assert_eq!(&raised - &rules, BTreeSet::new());
}

#[test]
fn the_manifest_is_written_with_the_names_of_eve() {
    let json = serde_json::to_value(Example::new(1).unwrap().manifest).unwrap();
    let alert = &json["alerts"][0];
    for key in ["sid", "src_port", "dest_port"] {
        assert!(alert[key].is_u64(), "{key}");
    }
    for key in ["proto", "src_ip", "dest_ip", "envelope", "what"] {
        assert!(alert[key].is_string(), "{key}");
    }
    assert!(alert["resources"].is_array() && json["fates"]["scoped"].is_u64());
}
