//! A core that cannot keep up sheds whole flows and what elephants carry beyond their depth, each packet
//! counted; one that can sheds nothing.

use std::collections::BTreeMap;

use traffic::{Path, Random, Side, TcpSession, Track};

use crate::common::{pollux, sid};
use crate::sensor::RingSensor;
use crate::site::{RESOURCES, SERVER};

/// The first request and the last one of each flow are told apart; the last rule has much to do.
const RULES: &str = r#"
alert tcp any any -> any any (msg:"first"; flow:to_server; content:"the-first-of-all"; sid:1;)
alert tcp any any -> any any (msg:"last"; flow:to_server; content:"the-last-of-all"; sid:2;)
alert ip any any -> any any (msg:"slow"; content:"aaaaaaaa"; pcre:"/(a+)+[bc]+(a+)+d/"; sid:3;)
"#;

/// Flows at a time, their packets by turns.
const AT_ONCE: u16 = 64;

/// The packets of one connection to the server, from this port.
fn connection(port: u16) -> Vec<Vec<u8>> {
    let client = ([10, 8, (port >> 8) as u8, port as u8], port).into();
    let path = Path::new(client, (SERVER, 7000).into());
    let mut session = TcpSession::new(path, &mut Random::new(u64::from(port)));
    let mut track = Track::new(0, u64::from(port));
    session.open(&mut track).expect("in memory");
    let filling = [b'a'; 600];
    for text in ["the-first-of-all", "something between", "the-last-of-all"] {
        let message = [text.as_bytes(), &filling].concat();
        session.send(Side::Client, &message, &mut track).expect("in memory");
        session.send(Side::Server, b"so be it", &mut track).expect("in memory");
    }
    session.close(Side::Client, &mut track).expect("in memory");
    track.into_packets().into_iter().map(|packet| packet.bytes).collect()
}

/// Packets of so many connections, those of [`AT_ONCE`] of them by turns, with a datagram of one long
/// flow between every two.
fn traffic(connections: u16) -> Vec<Vec<u8>> {
    let elephant = Path::new(([10, 8, 0, 1], 9).into(), (SERVER, 9).into());
    let mut all = Vec::new();
    for group in (1000..1000 + connections).collect::<Vec<_>>().chunks(usize::from(AT_ONCE)) {
        let flows: Vec<_> = group.iter().map(|&port| connection(port)).collect();
        let longest = flows.iter().map(Vec::len).max().unwrap_or(0);
        for turn in 0..longest {
            for flow in &flows {
                all.extend(flow.get(turn).cloned());
                let mut datagram = Vec::new();
                let id = all.len() as u16;
                traffic::frame::udp(&mut datagram, &elephant, Side::Client, id, &[b'a'; 1200]);
                all.push(datagram);
            }
        }
    }
    all
}

/// By client port: whether the first and the last request have raised their alerts.
fn flows(alerts: &[serde_json::Value]) -> BTreeMap<u64, [bool; 2]> {
    let mut found: BTreeMap<u64, [bool; 2]> = BTreeMap::new();
    for alert in alerts {
        let port = alert["src_port"].as_u64().expect("a port");
        let which = sid(alert) as usize - 1;
        found.entry(port).or_default()[which] = true;
    }
    found
}

#[test]
fn a_core_under_pressure_sheds_whole_flows_and_elephants_and_counts_each_packet() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = ["overload.elephant-depth=200kb", "flows.max=20000"];
    let mut sensor = RingSensor::start(folder.path(), Some(RESOURCES), RULES, &set, 4095);
    let traffic = traffic(4000);
    let bytes: u64 = traffic.iter().map(|frame| frame.len() as u64).sum();
    for frame in &traffic {
        sensor.push(frame);
    }
    let (ledger, alerts) = sensor.stop();
    let drops = ledger.drops();
    let shed = ["shed_elephant", "shed_new_flow"].map(|it| drops.get(it).copied().unwrap_or(0));
    assert!(shed.iter().all(|&count| count > 1000), "{drops:?}");
    assert_eq!(drops.values().sum::<u64>(), shed.iter().sum::<u64>(), "{drops:?}");
    assert_eq!(ledger.totals.inspected + ledger.totals.dropped, traffic.len() as u64);

    // All of it is in the scope of one resource, which is told all of it.
    let [web] = ledger.resources.as_slice() else { panic!("{:?}", ledger.resources) };
    assert_eq!((web.namespace.as_str(), web.name.as_str()), ("shop", "web"));
    assert_eq!(web.tally.shed_packets, shed.iter().sum::<u64>());
    assert_eq!(web.tally.shed_bytes, ledger.flows.shed_bytes.values().sum::<u64>());
    assert!(
        web.tally.shed_bytes < bytes && ledger.flows.shed_bytes["shed_elephant"] > shed[0] * 1200
    );

    // A flow is inspected from its first packet to its last one, or not at all.
    let found = flows(&alerts);
    let torn: Vec<_> = found.iter().filter(|(_, both)| **both != [true; 2]).collect();
    assert!(torn.is_empty(), "{torn:?}");
    let (inspected, flows_shed) = (found.len() as u64, ledger.flows.shed);
    // How many depends on what else the machine does.
    assert!(inspected > 10 && flows_shed > 50, "{inspected} inspected, {flows_shed} shed");
    assert_eq!(inspected + flows_shed, 4000, "every flow is one or the other");
}

#[test]
fn a_core_that_keeps_up_sheds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = ["overload.elephant-depth=200kb", "flows.max=20000"];
    let mut sensor = RingSensor::start(folder.path(), Some(RESOURCES), RULES, &set, 4095);
    let traffic = traffic(640);
    for burst in traffic.chunks(100) {
        burst.iter().for_each(|frame| sensor.push(frame));
        sensor.settle();
    }
    let (ledger, alerts) = sensor.stop();
    assert_eq!(ledger.totals.inspected, traffic.len() as u64);
    assert_eq!((ledger.totals.dropped, ledger.flows.shed), (0, 0));
    let found = flows(&alerts);
    assert!(found.len() == 640 && found.values().all(|both| *both == [true; 2]));
}

#[test]
fn shedding_can_be_switched_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = ["overload.shed=no", "overload.elephant-depth=200kb", "flows.max=20000"];
    let mut sensor = RingSensor::start(folder.path(), None, RULES, &set, 4095);
    let traffic = traffic(640);
    traffic.iter().for_each(|frame| sensor.push(frame));
    let (ledger, alerts) = sensor.stop();
    assert_eq!(ledger.totals.inspected, traffic.len() as u64, "whoever feeds it waits");
    assert_eq!(flows(&alerts).len(), 640);
}

#[test]
fn where_the_driver_cannot_drop_flows_the_ledger_says_so_and_they_are_shed_as_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let set = ["overload.bypass=auto", "overload.elephant-depth=200kb", "flows.max=20000"];
    let mut sensor = RingSensor::start(folder.path(), Some(RESOURCES), RULES, &set, 4095);
    let traffic = traffic(1000);
    traffic.iter().for_each(|frame| sensor.push(frame));
    let (ledger, _) = sensor.stop();
    assert!(ledger.drops()["shed_elephant"] > 100, "{:?}", ledger.drops());
    let its = ledger.ports[0].bypass.as_ref().expect("it was asked");
    let refusal = its.refusal.as_deref().expect("rings drop nothing");
    assert!(refusal.starts_with("net_ring could not have a flow dropped: "), "{refusal}");
    assert_eq!((its.made, its.packets, its.bytes), (0, None, None));
    let bypass = ledger.bypass.expect("it was wanted");
    assert_eq!((bypass.begun, bypass.requests_lost, bypass.beyond_limit), (0, 0, 0));
    assert_eq!(ledger.resources[0].bypassed.flows, 0);
}

#[test]
fn a_port_that_is_asked_to_drop_flows_and_cannot_keeps_the_sensor_from_starting() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |below: &str| folder.path().join(below).display().to_string();
    std::fs::write(at("test.rules"), RULES).expect("written");
    let set = [
        "ports.0.device=net_null0,size=64".to_owned(),
        "overload.bypass=on".to_owned(),
        "memory.hugepages=no".to_owned(),
        "rules.cache=off".to_owned(),
        format!("rules.paths={}", at("test.rules")),
        format!("outputs.directory={}", at("out")),
    ];
    let words = set.iter().flat_map(|it| ["--set", it.as_str()]);
    let run = pollux(std::iter::once("run").chain(words));
    assert_ne!(run.code, Some(0));
    run.says(&["port net_null0: net_null could not have a flow dropped: ", "overload.bypass"]);
}
