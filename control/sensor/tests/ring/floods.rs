//! Floods and hostile captures at full rate, and the example's planted attacks among them: every one is
//! found, and every packet accounted for.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use traffic::example::cluster;
use traffic::{Example, Random};
use wire::builder::{self, Ip, Tcp};

use crate::common::{repository, shared, sid};
use crate::sensor::RingSensor;

/// Packets of the flood between two of the example's.
const BETWEEN: usize = 12;

/// Small, so that floods push against the bounds.
const SMALL: [&str; 4] =
    ["overload.shed=no", "flows.max=4096", "streams.reassembly.memcap=8mb", "defrag.trackers=4096"];

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Endless packets at a server that is in scope.
struct Flood {
    random: Random,
    number: u32,
    target: String,
    bombs: Vec<Vec<u8>>,
}

impl Flood {
    fn new() -> Self {
        let target = cluster::FRONTEND_1.at(8080).ip().to_string();
        let bombs = bombs(&target);
        Self { random: Random::new(7), number: 0, target, bombs }
    }

    fn anywhere(&mut self) -> Ip {
        let source = Ipv4Addr::from(0x6440_0000 | self.random.number() as u32 & 0x003f_ffff);
        Ip::new(&source.to_string(), &self.target)
    }

    /// A SYN of somebody else.
    fn syn(&mut self) -> Vec<u8> {
        let (port, seq) = (self.random.number() as u16 | 1024, self.random.number() as u32);
        builder::frame(&self.anywhere().tcp(&Tcp::new(port, 8080, seq, 0).flags(SYN), b""))
    }

    /// A fragment whose datagram never becomes complete.
    fn fragment(&mut self) -> Vec<u8> {
        let (id, which) = (self.random.number() as u32 & 0xffff, self.number as usize % 2);
        let body = builder::udp(9, 9, &[0x41; 88]);
        builder::frame(&self.anywhere().fragments(id, 17, &body, 32)[which])
    }

    /// One byte of a stream, with holes between them.
    fn tiny(&mut self) -> Vec<u8> {
        let port = 20_000 + (self.number % 64) as u16;
        let seq = self.number / 64 * 2;
        let ip = Ip::new("100.127.0.1", &self.target);
        builder::frame(&ip.tcp(&Tcp::new(port, 8080, seq, 1).flags(ACK), b"x"))
    }

    /// A flow of one packet.
    fn single(&mut self) -> Vec<u8> {
        let port = self.random.number() as u16;
        builder::frame(&self.anywhere().udp(port, 5353, b"to nobody in particular"))
    }

    fn next(&mut self) -> Vec<u8> {
        self.number += 1;
        match self.number % 5 {
            0 => self.syn(),
            1 => self.fragment(),
            2 => self.tiny(),
            3 => self.single(),
            _ => self.bombs[self.number as usize / 5 % self.bombs.len()].clone(),
        }
    }
}

/// Packets within packets, a hundred deep.
fn bombs(target: &str) -> Vec<Vec<u8>> {
    const DEEP: usize = 100;
    let ip = Ip::new("100.127.0.2", target);
    let inner = ip.udp(1, 2, b"the innermost");
    let nested = |wrap: &dyn Fn(&[u8]) -> Vec<u8>, inner: &[u8]| {
        (0..DEEP).fold(inner.to_vec(), |packet, _| wrap(&packet))
    };
    let frame = builder::frame(&inner);
    let in_ip = nested(&|packet| ip.datagram(4, packet), &inner);
    let in_gre = nested(&|packet| ip.datagram(47, &builder::gre(None, 0x0800, packet)), &inner);
    let in_vxlan =
        nested(&|frame| builder::frame(&ip.udp(9, 4789, &builder::vxlan(1, frame))), &frame);
    let in_geneve = nested(&|packet| ip.udp(9, 6081, &builder::geneve(1, 0x0800, packet)), &inner);
    let in_vlans = nested(&|frame| builder::vlan(0x8100, 5, frame), &frame);
    let mut labels: Vec<u8> = [0, 1, 0, 64].repeat(DEEP);
    labels.extend(&inner);
    let in_mpls = builder::ethernet(0x8847, &labels);
    vec![
        builder::frame(&in_ip),
        builder::frame(&in_gre),
        in_vxlan,
        builder::frame(&in_geneve),
        in_vlans,
        in_mpls,
    ]
}

/// The example's resources, as one text.
fn resources() -> String {
    let folder = repository("deploy/examples/resources");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let texts: Vec<_> = files.iter().map(|it| fs::read_to_string(it).expect("a text")).collect();
    texts.join("\n---\n")
}

fn start(folder: &std::path::Path) -> RingSensor {
    let rules = repository("deploy/examples/rules/example.rules");
    let rules = fs::read_to_string(rules).expect("rules");
    RingSensor::start(folder, Some(&resources()), &rules, &SMALL, 4095)
}

/// Sends the example with a flood between its packets, and asserts that everything planted is found.
#[track_caller]
fn everything_is_found(mut flood: impl FnMut(&mut RingSensor)) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sensor = start(folder.path());
    let example = Example::new(1).expect("an example");
    for packet in &example.packets {
        flood(&mut sensor);
        sensor.push(&packet.bytes);
    }
    let (ledger, alerts) = sensor.stop();
    assert_eq!(ledger.trouble.panics, 0);
    let mut found: Vec<_> = alerts.iter().map(key).collect();
    let mut missing = Vec::new();
    for planted in example.manifest.alerts.iter().filter(|it| !it.resources.is_empty()) {
        let key = (planted.sid, Some(planted.src_ip), Some(planted.dest_ip));
        match found.iter().position(|it| *it == key) {
            Some(at) => drop(found.swap_remove(at)),
            None => missing.push(planted.what),
        }
    }
    assert!(missing.is_empty(), "{missing:?}; {:?} {:?}", ledger.drops(), ledger.flows);
}

fn key(alert: &Value) -> (u32, Option<IpAddr>, Option<IpAddr>) {
    let address = |name: &str| alert[name].as_str().and_then(|text| text.parse().ok());
    (sid(alert), address("src_ip"), address("dest_ip"))
}

#[test]
fn attacks_are_found_amid_floods_of_every_kind() {
    let mut flood = Flood::new();
    everything_is_found(|sensor| {
        for _ in 0..BETWEEN {
            sensor.push(&flood.next());
        }
    });
}

#[test]
fn attacks_are_found_amid_hostile_captures() {
    let Some(shared) = shared() else { return };
    let mut frames = Vec::new();
    for entry in fs::read_dir(shared.join("corpus/hostile")).expect("a folder") {
        let path = entry.expect("an entry").path();
        // Whatever their link type is, they are taken for Ethernet here: the more hostile.
        let _ = pollux::capture::read(&path, |frame| {
            frames.push(frame.data.get(..frame.data.len().min(6000)).unwrap_or_default().to_vec());
            true
        });
    }
    assert!(frames.len() > 2_000, "{}", frames.len());
    let mut next = frames.iter().filter(|frame| !frame.is_empty()).cycle();
    everything_is_found(|sensor| {
        for frame in next.by_ref().take(BETWEEN) {
            sensor.push(frame);
        }
    });
}

/// One-packet flows, of which each puts another one out of the full table.
#[track_caller]
fn flows_of_one_packet(count: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sensor = start(folder.path());
    let mut flood = Flood::new();
    for _ in 0..count {
        let frame = flood.single();
        sensor.push(&frame);
    }
    let (ledger, _) = sensor.stop();
    assert_eq!((ledger.totals.inspected, ledger.totals.dropped), (count, 0));
    let flows = &ledger.flows;
    assert_eq!(flows.active, 0, "all have ended");
    assert!(flows.created > count / 100 * 99, "{flows:?}");
    assert!(flows.evicted >= flows.created - 4096 - 64, "{flows:?}");
}

#[test]
fn flows_of_one_packet_each_stay_within_the_table() {
    flows_of_one_packet(200_000);
}

#[test]
#[ignore = "minutes of CPU time: scripts/test --all"]
fn ten_million_flows_of_one_packet_each_stay_within_the_table() {
    flows_of_one_packet(10_000_000);
}
