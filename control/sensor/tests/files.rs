//! Files over HTTP, from capture to eve.json: names of parts, digests in lists, `files` in alerts.

mod common;

use std::fs::{self, File};
use std::path::Path;

use common::{Results, pollux, sid};
use serde_json::{Value, json};
use traffic::payload::http;
use traffic::{Path as Ends, PcapWriter, Random, Side, TcpSession, Track};

/// Replays one connection with these messages; the alerts.
fn replay(folder: &Path, rules: &str, messages: &[(Side, Vec<u8>)], more: &[&str]) -> Vec<Value> {
    let ends = Ends::new(([10, 0, 0, 1], 40_000).into(), ([10, 0, 0, 2], 80).into());
    let mut track = Track::new(0, 1);
    let mut session = TcpSession::new(ends, &mut Random::new(1));
    session.open(&mut track).expect("opened");
    for (from, message) in messages {
        session.send(*from, message, &mut track).expect("sent");
    }
    session.close(Side::Client, &mut track).expect("closed");
    let capture = folder.join("made.pcap");
    let mut pcap = PcapWriter::new(File::create(&capture).expect("a file")).expect("a capture");
    for packet in track.into_packets() {
        pcap.write(packet.time, &packet.bytes).expect("written");
    }
    pcap.finish().expect("written");
    let (file, out) = (folder.join("file.rules"), folder.join("out"));
    fs::write(&file, rules).expect("written");
    let mut words = words!["replay", "-S", file, "-l", out.clone(), "--cache", "off", capture];
    words.extend(more.iter().map(Into::into));
    pollux(words).expect(0);
    let results = Results::of(&out);
    results.ledger().check();
    results.alerts()
}

fn found(alerts: &[Value]) -> Vec<(u32, &Value)> {
    alerts.iter().map(|alert| (sid(alert), &alert["files"])).collect()
}

/// A request that carries two files and a field.
fn upload() -> Vec<u8> {
    let part = |disposition: &str, body: &str| {
        format!("--edge\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{body}\r\n")
    };
    let body = part("name=\"note\"", "first.txt")
        + &part("name=\"a\"; filename=\"first.txt\"", "abc")
        + &part("name=\"b\"; filename=\"second.jpg\"", "not a picture")
        + "--edge--\r\n";
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: files.test\r\nContent-Type: multipart/form-data; \
         boundary=edge\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: files.test\r\n\r\n").into_bytes()
}

const MD5_OF_ABC: &str = "900150983cd24fb0d6963f7d28e17f72";
const SHA1_OF_ABC: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn each_part_of_a_request_is_a_file_and_told_of_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let messages = [(Side::Client, upload()), (Side::Server, http::response("200 OK", "a/b", b""))];
    let rules = "alert http any any -> any any (filename:\"s\"; sid:1;)\n\
        alert http any any -> any any (fileext:\"jpg\"; filesize:13; sid:2;)\n\
        alert http any any -> any any (fileext:\"jpg\"; filesize:3; sid:3;)\n\
        alert http any any -> any any (file.name; content:\"upload\"; sid:4;)\n\
        alert http any any -> any any (http.method; content:\"POST\"; sid:5;)\n";
    let alerts = replay(folder.path(), rules, &messages, &[]);
    let file = |name: &str, size: u64| {
        json!({"filename": name, "gaps": false, "state": "CLOSED", "stored": false, "size": size,
               "tx_id": 0})
    };
    let (first, second) = (file("first.txt", 3), file("second.jpg", 13));
    let both = json!([first, second]);
    assert_eq!(
        found(&alerts),
        [
            (1, &json!([first])),
            (1, &json!([file("second.jpg", 13)])),
            (2, &json!([second])),
            (5, &both)
        ]
        .map(|(sid, files)| (sid, files)),
    );
}

#[test]
fn digests_are_looked_up_in_lists_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, digest) in [("m", MD5_OF_ABC), ("s", SHA1_OF_ABC), ("l", SHA256_OF_ABC)] {
        fs::write(folder.path().join(name), format!("# digests\n{digest} abc\n")).expect("written");
    }
    let messages = [
        (Side::Client, get("/x")),
        (Side::Server, http::chunked_response("text/plain", b"abc", 2)),
        (Side::Client, get("/y")),
        (Side::Server, http::response("200 OK", "text/plain", b"abcd")),
        (Side::Client, upload()),
        (Side::Server, http::response("200 OK", "a/b", b"")),
    ];
    let rules = "alert http any any -> any any (filemd5:m; sid:1;)\n\
        alert http any any -> any any (flow:to_client; filesha1:s; sid:2;)\n\
        alert http any any -> any any (flow:to_client; filesha256:!l; sid:3;)\n";
    let alerts = replay(folder.path(), rules, &messages, &[]);
    let told: Vec<_> = alerts
        .iter()
        .map(|alert| {
            let file = &alert["files"][0];
            let digests = ["md5", "sha1", "sha256"].map(|kind| file[kind].as_str().unwrap_or("-"));
            assert_eq!(alert["files"].as_array().map(Vec::len), Some(1));
            (sid(alert), file["filename"].as_str().unwrap_or("-"), digests)
        })
        .collect();
    let of_abc = [MD5_OF_ABC, SHA1_OF_ABC, SHA256_OF_ABC];
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told[..2], [(1, "/x", of_abc), (2, "/x", of_abc)]);
    assert_eq!((told[2].0, told[2].1), (3, "/y"));
    assert_eq!(told[3], (1, "first.txt", of_abc));
    let rules = "alert http any any -> any any (filesize:3; flow:to_client; sid:1;)\n";
    let alerts = replay(folder.path(), rules, &messages, &[]);
    assert!(alerts.len() == 1 && alerts[0]["files"][0]["md5"].is_null(), "nobody asks");
}

#[test]
fn a_file_beyond_the_limit_has_no_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("m"), MD5_OF_ABC).expect("written");
    let messages = [
        (Side::Client, get("/long")),
        (Side::Server, http::response("200 OK", "text/plain", &[b'x'; 5000])),
    ];
    let rules = "alert http any any -> any any (filemd5:!m; sid:1;)\n\
        alert http any any -> any any (flow:to_client; filesize:>9; sid:2;)\n";
    let limit = ["--set", "protocols.http.response-body-limit=4kb"];
    let alerts = replay(folder.path(), rules, &messages, &limit);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let file = &alerts[0]["files"][0];
    assert_eq!(
        (sid(&alerts[0]), &file["state"], &file["size"]),
        (2, &json!("TRUNCATED"), &json!(4096))
    );
    assert_eq!(replay(folder.path(), rules, &messages, &[]).len(), 2);
}
