//! Odd packets through `pollux replay`: rules find what the decoder refuses and what does not fit
//! its stream, and the ledger tells of all of them.

mod common;

use std::fs::{File, write};

use common::{Results, pollux, sid};
use serde_json::Value;
use traffic::PcapWriter;
use wire::builder::{Ip, Tcp, ethernet, frame};
use wire::tcp_flag::{ACK, FIN, PSH, RST, SYN};

/// Replays frames with rules; the alerts, each with its packet's number, and the ledger.
fn replay(rules: &str, frames: &[Vec<u8>]) -> (Vec<Value>, common::Ledger) {
    replay_with(rules, frames, "decoder.duplicates=off")
}

/// The same with a setting.
fn replay_with(rules: &str, frames: &[Vec<u8>], set: &str) -> (Vec<Value>, common::Ledger) {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("made.pcap");
    let mut pcap = PcapWriter::new(File::create(&capture).expect("a file")).expect("a capture");
    for (at, frame) in (1_700_000_000_000_000..).step_by(1000).zip(frames) {
        pcap.write(at, frame).expect("written");
    }
    pcap.finish().expect("written");
    let file = folder.path().join("event.rules");
    write(&file, rules).expect("written");
    let out = folder.path().join("out");
    pollux(words!["replay", "-S", file, "-l", out.clone(), "--set", set, capture]).expect(0);
    let results = Results::of(&out);
    (results.alerts(), results.ledger())
}

/// What a client sends from this port, and what its server sends, by sequence, acknowledgment, flags and payload.
fn sides(port: u16) -> [impl Fn(u32, u32, u8, &[u8]) -> Vec<u8>; 2] {
    let side = |from: &str, to: &str, src: u16, dst: u16| {
        let ip = Ip::new(from, to);
        move |seq, ack, flags, payload: &[u8]| {
            frame(&ip.tcp(&Tcp::new(src, dst, seq, ack).flags(flags), payload))
        }
    };
    [side("10.0.0.1", "10.0.0.2", port, 80), side("10.0.0.2", "10.0.0.1", 80, port)]
}

/// Rule and packet of each alert.
fn found(alerts: &[Value]) -> Vec<(u32, u64)> {
    alerts.iter().map(|alert| (sid(alert), alert["pcap_cnt"].as_u64().unwrap_or(0))).collect()
}

#[test]
fn a_refused_packet_is_found_by_its_event_and_counted_as_malformed() {
    let (client, v6) = (Ip::new("10.0.0.1", "10.0.0.2"), Ip::new("fd00::1", "fd00::2"));
    let whole = client.tcp(&Tcp::new(1, 80, 1, 0).flags(SYN), b"");
    let mut cut = frame(&client.udp(1, 2, b"abc"));
    cut.pop();
    let frames = [
        cut,
        frame(&client.datagram(6, &[0; 19])),
        frame(&client.datagram(17, &[0; 7])),
        frame(&v6.datagram(6, &[0; 19])),
        ethernet(0x8100, &[0, 1]),
        frame(&whole),
        frame(&client.datagram(47, &[0; 3])),
    ];
    let (alerts, ledger) = replay(
        "alert pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)\n\
         alert tcp any any -> any any (decode-event:tcp.pkt_too_small; sid:2;)\n\
         alert udp any any -> any any (decode-event:udp.hlen_too_small; sid:3;)\n\
         alert tcp 10.0.0.0/8 any -> any any (decode-event:tcp.pkt_too_small; sid:4;)\n\
         alert pkthdr any any -> any any (decode-event:vlan.header_too_small; sid:5;)\n\
         alert pkthdr !10.0.0.0/8 any -> any any (decode-event:ipv4.trunc_pkt; sid:6;)\n\
         alert ip any any -> any any (decode-event:gre.pkt_too_small; sid:7;)\n\
         alert tcp any any -> any any (flags:S; sid:8;)\n",
        &frames,
    );
    let expected = [(1, 1), (2, 2), (4, 2), (3, 3), (2, 4), (5, 5), (8, 6), (7, 7)];
    assert_eq!(found(&alerts), expected);
    // What was not read is not told.
    assert!(alerts[0]["src_ip"].is_null() && alerts[0]["proto"].is_null(), "{}", alerts[0]);
    assert_eq!((&alerts[1]["src_ip"], &alerts[1]["proto"]), (&"10.0.0.1".into(), &"TCP".into()));
    assert_eq!((ledger.dropped("malformed"), ledger.total("inspected")), (5, 2));
}

#[test]
fn stream_events_are_found_where_they_happen() {
    let [c, s] = sides(1000);
    let frames = [
        c(100, 0, SYN, b""),
        s(500, 101, SYN | ACK, b""),
        c(101, 501, ACK, b""),
        c(101, 501, ACK | PSH, b"hello"),
        s(501, 106, ACK, b""),
        // Not the client's: the client goes on.
        c(106, 501, RST | ACK, b""),
        c(106, 501, ACK | PSH, b"still here"),
        // Out of the window by far.
        c(1_000_000_000, 501, ACK | PSH, b"far"),
    ];
    let (alerts, ledger) = replay(
        "alert tcp any any -> any any (stream-event:est_packet_out_of_window; sid:1;)\n\
         alert tcp any any -> any any (stream-event:suspected_rst_inject; sid:2;)\n\
         alert tcp any any -> any any (engine-event:stream.3whs_ack_in_wrong_dir; sid:3;)\n",
        &frames,
    );
    assert_eq!(found(&alerts), [(2, 7), (1, 8)]);
    assert_eq!(ledger.total("inspected"), 8);
}

#[test]
fn what_waits_when_a_connection_ends_is_found_then_and_not_at_its_time_out() {
    let begun = |port| {
        let [c, s] = sides(port);
        [
            c(100, 0, SYN, b""),
            s(500, 101, SYN | ACK, b""),
            c(101, 501, ACK, b""),
            s(501, 101, ACK | PSH, b"strag"),
            s(506, 101, ACK | PSH, b"gler!"),
        ]
    };
    let [c, s] = sides(1000);
    let finished =
        [s(511, 101, FIN | ACK, b""), c(101, 512, FIN | ACK, b""), s(512, 102, ACK, b"")];
    let [c, _] = sides(2000);
    let reset = [c(101, 511, RST | ACK, b"")];
    let later = [frame(&Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"later"))];
    let frames: Vec<Vec<u8>> = [&begun(1000)[..], &finished, &begun(2000), &reset, &later].concat();
    let rules = "alert tcp any any -> any any (flow:established,to_client; content:\"straggler\"; sid:1;)\n\
         alert udp any any -> any any (content:\"later\"; sid:2;)\n";
    let (alerts, _) = replay(rules, &frames);
    let told: Vec<_> =
        alerts.iter().map(|it| (sid(it), it["flow"]["dest_port"].as_u64())).collect();
    assert_eq!(told, [(1, Some(80)), (1, Some(80)), (2, Some(2))], "in order of time");
    // By the time of the last packet of each.
    let micros = |alert: &Value| alert["timestamp"].as_str().map(|it| it[20..26].to_owned());
    assert_eq!(micros(&alerts[0]).as_deref(), Some("007000"));
    assert_eq!(micros(&alerts[1]).as_deref(), Some("013000"));
}

#[test]
fn a_stream_goes_on_after_a_reset_that_was_not_the_peers() {
    let [c, s] = sides(1000);
    let frames = [
        c(100, 0, SYN, b""),
        s(500, 101, SYN | ACK, b""),
        c(101, 501, ACK, b""),
        c(101, 501, ACK | PSH, b"strag"),
        s(501, 106, ACK, b""),
        c(106, 501, RST | ACK, b""),
        c(106, 501, ACK | PSH, b"gler!"),
        s(501, 111, ACK, b""),
    ];
    let rule = "alert tcp any any -> any any (flow:established; content:\"straggler\"; sid:1;)\n";
    let (alerts, _) = replay(rule, &frames);
    assert_eq!(alerts.iter().map(sid).collect::<Vec<_>>(), [1]);
}

#[test]
fn what_a_mirror_copies_twice_is_dropped_where_asked_for() {
    let at = |ttl, id| Ip { ttl, id, ..Ip::new("10.0.0.1", "10.0.0.2") }.udp(1, 2, b"twice");
    let frames = [frame(&at(64, 1)), frame(&at(63, 1)), frame(&at(64, 2))];
    let rule = "alert udp any any -> any any (content:\"twice\"; sid:1;)\n";
    let (alerts, ledger) = replay_with(rule, &frames, "decoder.duplicates=on");
    assert_eq!(found(&alerts), [(1, 1), (1, 3)]);
    assert_eq!((ledger.dropped("duplicate"), ledger.total("inspected")), (1, 2));
    let (alerts, ledger) = replay(rule, &frames);
    assert_eq!((alerts.len(), ledger.dropped("duplicate")), (3, 0));
}

#[test]
fn a_packet_captured_in_part_is_inspected_as_far_as_it_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let capture = folder.path().join("cut.pcap");
    let whole = frame(&Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"attack, and what is lost"));
    let captured = whole.len() - 10;
    let mut file = PcapWriter::new(Vec::new()).and_then(PcapWriter::finish).expect("a header");
    for word in [1_700_000_000, 0, captured as u32, whole.len() as u32] {
        file.extend(word.to_le_bytes());
    }
    file.extend(&whole[..captured]);
    write(&capture, file).expect("written");
    let rules = folder.path().join("cut.rules");
    write(&rules, "alert udp any any -> any any (content:\"attack\"; sid:1;)\n").expect("written");
    let out = folder.path().join("out");
    pollux(words!["replay", "-S", rules, "-l", out.clone(), capture]).expect(0);
    let results = Results::of(&out);
    assert_eq!(found(&results.alerts()), [(1, 1)]);
    let ledger = results.ledger();
    assert_eq!((ledger.total("inspected"), &ledger.0["flows"]["truncated"]), (1, &1.into()));
}

#[test]
fn overlapping_fragments_are_put_together_as_their_receiver_does() {
    // "GET evil" and "GET good" at the same place: who begins there first, or who comes last.
    let ip = Ip::new("10.0.0.1", "10.0.0.2");
    let body = |word: &[u8; 8]| {
        let payload = [b"12345678", &word[..], b"87654321"].concat();
        wire::builder::udp(7, 53, &payload)
    };
    let (good, evil) = (body(b"GET good"), body(b"GET evil"));
    let [first, second, third, last] = &ip.fragments(5, 17, &good, 8)[..] else {
        panic!("four parts")
    };
    let other = &ip.fragments(5, 17, &evil, 8)[2];
    let frames = [third, other, last, second, first].map(|part| frame(part));
    let rules = "alert udp any any -> any any (content:\"evil\"; sid:1;)\n\
                 alert udp any any -> any any (content:\"good\"; sid:2;)\n";
    let seen = |policy: &str| {
        let (alerts, _) = replay_with(rules, &frames, &format!("defrag.policy={policy}"));
        alerts.iter().map(sid).collect::<Vec<_>>()
    };
    assert_eq!(seen("first"), [2]);
    assert_eq!(seen("bsd"), [2]);
    assert_eq!(seen("last"), [1]);
    assert_eq!(seen("linux"), [1]);
    assert_eq!(seen("solaris"), [2]);
}

#[test]
fn an_encrypted_overlay_is_told_by_its_ends() {
    let nodes = Ip::new("192.0.2.2", "192.0.2.1");
    let mut data = vec![7; 96];
    data[..4].copy_from_slice(&[4, 0, 0, 0]);
    let frames = [
        frame(&nodes.udp(51_820, 51_820, &data)),
        frame(&nodes.reversed().udp(51_820, 51_820, &data)),
        frame(&nodes.datagram(50, &[9; 64])),
    ];
    let rule = "alert udp any any -> any any (content:\"never\"; sid:1;)\n";
    let (_, ledger) = replay(rule, &frames);
    let expected = serde_json::json!([
        {"first": "192.0.2.1", "second": "192.0.2.2", "kind": "WireGuard", "packets": 2},
        {"first": "192.0.2.1", "second": "192.0.2.2", "kind": "IPsec", "packets": 1},
    ]);
    assert_eq!(ledger.0["opaque"], expected);
}

#[test]
fn matches_beyond_the_limit_of_a_packet_are_counted_by_signature() {
    let ip = Ip::new("10.0.0.1", "10.0.0.2");
    let frames: Vec<_> =
        (0..5u8).map(|at| frame(&ip.udp(1, 2, &[b"found ".as_slice(), &[at]].concat()))).collect();
    let rules: String = (1..=3)
        .map(|sid| format!("alert udp any any -> any any (content:\"found\"; sid:{sid};)\n"))
        .collect();
    let (alerts, ledger) = replay_with(&rules, &frames, "packet-alert-max=1");
    assert_eq!(alerts.len(), 5);
    let written = sid(&alerts[0]);
    assert!(alerts.iter().all(|alert| sid(alert) == written), "{alerts:?}");
    assert_eq!(ledger.0["alerts"]["lost"]["packet_alert_max"], 10);
    for sid in (1..=3).filter(|&sid| sid != written) {
        let lost = &ledger.0["alerts"]["lost_by_signature"][format!("1:{sid}")];
        assert_eq!(*lost, 5, "sid {sid}: {}", ledger.0);
    }
}
