//! What a mirror does to the traffic that it copies: learnt from what comes, corrected where it can be,
//! and told of the port and of the resource that it blinds.

use engine::tally::Tally;
use pollux::output::ledger::{Ledger, MirrorLedger};
use traffic::{Path, Random, Side, TcpSession, Track};

use crate::sensor::RingSensor;
use crate::site::{RESOURCES, SERVER};

const RULES: &str = r#"
alert tcp any any -> any any (msg:"asked"; flow:established,to_server; content:"the-question"; sid:1;)
alert tcp any any -> any any (msg:"answered"; flow:established,to_client; content:"the-answer"; sid:2;)
"#;

/// Bytes of each request and answer.
const LONG: usize = 700;

/// A frame and whether the client has sent it.
type Frame = (bool, Vec<u8>);

/// A connection to the server: asked, answered, closed.
fn connection(port: u16) -> Vec<Frame> {
    let client = ([10, 8, 0, 7], port).into();
    let path = Path::new(client, (SERVER, 7000).into());
    let mut session = TcpSession::new(path, &mut Random::new(u64::from(port)));
    let mut track = Track::new(0, u64::from(port));
    let padded = |text: &str| [text.as_bytes(), &vec![b'.'; LONG - text.len()]].concat();
    session.open(&mut track).expect("in memory");
    session.send(Side::Client, &padded("the-question"), &mut track).expect("in memory");
    session.send(Side::Server, &padded("the-answer"), &mut track).expect("in memory");
    session.send(Side::Client, &padded("thanks"), &mut track).expect("in memory");
    session.close(Side::Client, &mut track).expect("in memory");
    let of_client = |frame: &[u8]| frame[26..30] == [10, 8, 0, 7];
    track
        .into_packets()
        .into_iter()
        .map(|packet| (of_client(&packet.bytes), packet.bytes))
        .collect()
}

/// Connections one after the other, as this mirror copies them: the ledger, and how often each of the
/// two rules has matched.
fn seen(connections: u16, mirror: impl Fn(u16, Vec<Frame>) -> Vec<Frame>) -> (Ledger, [usize; 2]) {
    seen_with(&[], connections, mirror)
}

fn seen_with(
    set: &[&str],
    connections: u16,
    mirror: impl Fn(u16, Vec<Frame>) -> Vec<Frame>,
) -> (Ledger, [usize; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let set = [&["overload.shed=no", "flows.max=20000"], set].concat();
    let mut sensor = RingSensor::start(folder.path(), Some(RESOURCES), RULES, &set, 4095);
    for number in 0..connections {
        for (_, frame) in mirror(number, connection(20_000 + number)) {
            sensor.push(&frame);
        }
    }
    let (ledger, alerts) = sensor.stop();
    let of = |sid: u32| alerts.iter().filter(|alert| crate::common::sid(alert) == sid).count();
    (ledger, [of(1), of(2)])
}

/// What was learnt of the port, and of the resource.
fn learnt(ledger: &Ledger) -> (&MirrorLedger, &Tally) {
    let [port] = ledger.ports.as_slice() else { panic!("{:?}", ledger.ports) };
    let [resource] = ledger.resources.as_slice() else { panic!("{:?}", ledger.resources) };
    assert_eq!(resource.name, "web");
    (&port.mirror, &resource.tally)
}

/// A frame with a VLAN tag.
fn tagged(id: u16, frame: &[u8]) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    [&frame[..12], &[0x81, 0, high, low], &frame[12..]].concat()
}

#[test]
fn a_faithful_mirror_is_not_complained_of() {
    let (ledger, alerts) = seen(200, |_, frames| frames);
    let (mirror, resource) = learnt(&ledger);
    assert_eq!(alerts, [200, 200]);
    assert_eq!((mirror.tcp_flows, resource.tcp_flows), (200, 200));
    let bytes = 200 * 3 * LONG as u64;
    let expected = MirrorLedger { tcp_flows: 200, tcp_bytes: bytes, ..MirrorLedger::default() };
    assert_eq!(*mirror, expected);
    assert_eq!((resource.tcp_bytes, resource.missed_bytes), (bytes, 0));
}

#[test]
fn connections_of_which_one_side_is_mirrored_are_told() {
    let one = |_, frames: Vec<Frame>| frames.into_iter().filter(|it| it.0).collect();
    let (ledger, _) = seen(100, one);
    let (mirror, resource) = learnt(&ledger);
    assert_eq!((mirror.tcp_flows, mirror.one_sided_flows), (100, 100));
    assert_eq!((resource.tcp_flows, resource.one_sided_flows), (100, 100));
    assert_eq!(mirror.missed_bytes, 0, "what was never mirrored was not lost");
}

#[test]
fn tags_that_one_direction_has_make_one_flow_of_the_two_once_that_has_shown() {
    let tag = |_, frames: Vec<Frame>| {
        let tag = |(client, frame): Frame| (client, if client { tagged(5, &frame) } else { frame });
        frames.into_iter().map(tag).collect()
    };
    let (ledger, alerts) = seen(100, tag);
    let (mirror, resource) = learnt(&ledger);
    assert_eq!(mirror.vlan_pairs, [(vec![5], vec![])].into());
    assert!(mirror.vlan_joined > 300, "{mirror:?}");
    // The first four show it; of all others there is one flow.
    assert!(ledger.flows.created <= 104, "{}", ledger.flows.created);
    assert!(mirror.one_sided_flows <= 8 && resource.one_sided_flows <= 8, "{mirror:?}");
    assert!(alerts.iter().all(|&count| count >= 96), "{alerts:?}");
}

#[test]
fn equal_connections_in_two_vlans_stay_two_flows() {
    // Two tenants with the same addresses and ports, packet by packet by turns.
    let twice = |_, frames: Vec<Frame>| {
        let both = |(client, frame): Frame| [6, 7].map(|id| (client, tagged(id, &frame)));
        frames.into_iter().flat_map(both).collect()
    };
    let window = ["decoder.duplicates=off"];
    let (ledger, alerts) = seen_with(&window, 50, twice);
    assert_eq!((ledger.flows.created, alerts), (100, [100, 100]));
    let (mirror, _) = learnt(&ledger);
    assert_eq!((mirror.vlan_pairs.len(), mirror.vlan_joined), (0, 0));
}

#[test]
fn checksums_that_senders_leave_to_their_nics_are_no_longer_looked_at() {
    let spoil = |_, frames: Vec<Frame>| {
        let spoil = |(client, mut frame): Frame| {
            if client {
                frame[50] ^= 0x55; // the TCP checksum, behind 14 bytes of Ethernet and 20 of IP
            }
            (client, frame)
        };
        frames.into_iter().map(spoil).collect()
    };
    let (ledger, alerts) = seen(100, spoil);
    let (mirror, _) = learnt(&ledger);
    assert!(mirror.checksums_ignored, "{mirror:?}");
    assert!(mirror.bad_transport_checksum < 200, "{mirror:?}");
    assert_eq!(mirror.missed_bytes, 0, "left out here, not lost by the mirror: {mirror:?}");
    assert!(alerts.iter().all(|&count| count >= 80), "{alerts:?}");
    let (ledger, _) = seen_with(&["decoder.checksum-checks=yes"], 100, spoil);
    assert!(!learnt(&ledger).0.checksums_ignored);
}

#[test]
fn packets_that_the_mirror_cuts_are_inspected_as_far_as_they_go() {
    let cut = |_, frames: Vec<Frame>| {
        let cut = |(client, mut frame): Frame| {
            frame.truncate(200);
            (client, frame)
        };
        frames.into_iter().map(cut).collect()
    };
    let (ledger, alerts) = seen(100, cut);
    let (mirror, resource) = learnt(&ledger);
    assert_eq!(mirror.cut_at, Some(200));
    assert!(mirror.cut_packets > 250 && mirror.cut_packets < 300, "{mirror:?}");
    assert_eq!(resource.cut_packets, mirror.cut_packets);
    assert_eq!(ledger.drops()["malformed"] + mirror.cut_packets, 300);
    assert!(alerts.iter().all(|&count| count >= 90), "{alerts:?}");
}

#[test]
fn what_the_mirror_loses_is_estimated_to_the_byte_where_the_other_side_acknowledges_it() {
    // Of every other connection the second message, which is the server's, is lost.
    let lose = |number: u16, frames: Vec<Frame>| {
        let is_lost = |(client, frame): &Frame| {
            number.is_multiple_of(2)
                && !client
                && frame.windows(10).any(|part| part == b"the-answer")
        };
        frames.into_iter().filter(|frame| !is_lost(frame)).collect()
    };
    let (ledger, alerts) = seen(100, lose);
    let (mirror, resource) = learnt(&ledger);
    assert_eq!(mirror.missed_bytes, 50 * LONG as u64);
    assert_eq!((resource.missed_bytes, resource.tcp_bytes), (50 * LONG as u64, 300 * LONG as u64));
    assert_eq!(alerts, [100, 50]);
}

#[test]
fn a_direction_that_comes_after_the_other_is_inspected_as_if_it_had_come_in_time() {
    // Of every other connection the server's packets, the SYN/ACK first, come before the client's.
    let late = |number: u16, mut frames: Vec<Frame>| {
        frames.sort_by_key(|frame| frame.0 == number.is_multiple_of(2));
        frames
    };
    let (ledger, alerts) = seen(100, late);
    let (mirror, _) = learnt(&ledger);
    assert_eq!((ledger.flows.created, mirror.late_segments, mirror.missed_bytes), (100, 0, 0));
    assert!(mirror.reordered_packets >= 400, "{mirror:?}");
    assert_eq!(alerts, [100, 100]);
    let (_, alerts) = seen_with(&["decoder.reorder-window=0s"], 100, late);
    assert!(alerts < [100, 100], "nothing waits: {alerts:?}");
}

#[test]
fn directions_that_come_out_of_order_are_counted_and_still_inspected() {
    // The acknowledgment of the question comes before the question.
    let swap = |_, mut frames: Vec<Frame>| {
        let asked = frames.iter().position(|(_, frame)| frame.len() > LONG).expect("a question");
        let answer = frames[asked..].iter().position(|it| !it.0).expect("an answer") + asked;
        let acknowledgment = frames.remove(answer);
        frames.insert(asked, acknowledgment);
        frames
    };
    let (ledger, alerts) = seen_with(&["decoder.reorder-window=0s"], 100, swap);
    let (mirror, _) = learnt(&ledger);
    assert_eq!((mirror.reordered_packets, mirror.late_segments, mirror.missed_bytes), (0, 100, 0));
    assert_eq!(alerts, [100, 100]);
    let (ledger, alerts) = seen(100, swap);
    let (mirror, _) = learnt(&ledger);
    assert_eq!((mirror.reordered_packets, mirror.late_segments, mirror.missed_bytes), (100, 0, 0));
    assert_eq!(alerts, [100, 100]);
}
