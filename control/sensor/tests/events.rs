//! Decoder and stream events through `pollux replay`: rules find packets that the decoder refuses,
//! and the ledger tells of these as before.

mod common;

use std::fs::{File, write};

use common::{Results, pollux, sid};
use serde_json::Value;
use traffic::PcapWriter;
use wire::builder::{Ip, Tcp, ethernet, frame};
use wire::tcp_flag::{ACK, PSH, RST, SYN};

/// Replays frames with rules; the alerts, each with its packet's number, and the ledger.
fn replay(rules: &str, frames: &[Vec<u8>]) -> (Vec<Value>, common::Ledger) {
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
    pollux(words!["replay", "-S", file, "-l", out.clone(), capture]).expect(0);
    let results = Results::of(&out);
    (results.alerts(), results.ledger())
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
    let (client, server) = (Ip::new("10.0.0.1", "10.0.0.2"), Ip::new("10.0.0.2", "10.0.0.1"));
    let c = |seq, ack, flags, payload: &[u8]| {
        frame(&client.tcp(&Tcp::new(1000, 80, seq, ack).flags(flags), payload))
    };
    let s = |seq, ack, flags, payload: &[u8]| {
        frame(&server.tcp(&Tcp::new(80, 1000, seq, ack).flags(flags), payload))
    };
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
