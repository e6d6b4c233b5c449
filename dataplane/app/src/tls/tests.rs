//! Whole sessions, with records and segments cut at will.

use proptest::prelude::*;
use wire::Direction::{self, ToClient, ToServer};

use super::progress;
use crate::tests::{client_hello, handshake, record};
use crate::{AppBuffer, AppProto, Limits, Outcome, Session, TlsSummary, TxSummary};

fn session() -> Session {
    Session::new(AppProto::Tls, &Limits::default()).unwrap()
}

fn sni(s: &Session) -> Option<&[u8]> {
    s.tx(0)?.buffer(AppBuffer::TlsSni, 0)
}

fn summary(s: &Session) -> TlsSummary {
    match s.tx(0).unwrap().summary() {
        TxSummary::Tls(t) => t,
        other => panic!("{other:?}"),
    }
}

fn server_hello(extensions: &[u8]) -> Vec<u8> {
    let mut m = vec![3, 3];
    m.extend_from_slice(&[9; 32]);
    m.extend_from_slice(b"\x02id\x13\x01\0");
    m.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    m.extend_from_slice(extensions);
    m
}

#[test]
fn a_handshake_tells_name_and_version() {
    let mut s = session();
    assert!(s.take_progress());
    assert_eq!((s.next_tx(), sni(&s), s.tx(0).unwrap().progress(ToServer)), (1, None, 0));
    let hello = record(22, &handshake(1, &client_hello(Some(b"Www.Ex.com"))));
    assert_eq!(s.data(ToServer, &hello), Outcome::Ok);
    assert!(s.take_progress());
    assert_eq!(sni(&s), Some(&b"Www.Ex.com"[..]));
    assert_eq!(s.tx(0).unwrap().progress(ToServer), progress::HELLO);
    assert_eq!(summary(&s).version, "TLSv1");
    let _ = s.data(ToClient, &record(22, &handshake(2, &server_hello(b""))));
    let want = TlsSummary {
        sni: Some("Www.Ex.com".into()),
        version: "TLS 1.2".into(),
        session_resumed: true,
    };
    assert_eq!(summary(&s), want);
}

#[test]
fn encryption_is_noticed_when_both_sides_have_switched() {
    let mut s = session();
    let ccs = record(20, b"\x01");
    let data = record(23, &[0; 50]);
    let _ = s.data(ToServer, &record(22, &handshake(1, &client_hello(None))));
    let _ =
        s.data(ToClient, &[record(22, &handshake(2, &server_hello(b""))), ccs.clone()].concat());
    // after the switch a handshake record is encrypted: no hello in it
    let _ =
        s.data(ToServer, &[ccs, record(22, &handshake(1, &client_hello(Some(b"fake"))))].concat());
    assert_eq!((s.is_encrypted(), sni(&s)), (false, None));
    let _ = s.data(ToServer, &data);
    assert!(s.is_encrypted() && s.tx(0).unwrap().is_complete(ToServer));
    assert_eq!(s.data(ToServer, b"whatever"), Outcome::Ok);
}

#[test]
fn tls_13_without_compatibility_mode_is_noticed_as_well() {
    let mut s = session();
    let _ = s.data(ToServer, &record(22, &handshake(1, &client_hello(None))));
    let _ = s.data(ToClient, &record(22, &handshake(2, &server_hello(b"\0\x2b\0\x02\x03\x04"))));
    assert_eq!(summary(&s).version, "TLS 1.3");
    let _ = s.data(ToClient, &record(23, &[0; 50]));
    assert!(!s.is_encrypted());
    let _ = s.data(ToServer, &record(23, &[0; 50]));
    assert!(s.is_encrypted());
}

#[test]
fn an_ssl2_hello_has_no_name_and_records_follow() {
    let mut s = session();
    let hello = [&b"\x80\x1c\x01\x03\x01\0\x03\0\0\0\x10"[..], &[0; 19]].concat();
    assert_eq!(s.data(ToServer, &hello), Outcome::Ok);
    assert_eq!((sni(&s), s.tx(0).unwrap().progress(ToServer)), (None, progress::HELLO));
    assert_eq!(s.data(ToServer, &record(22, &handshake(16, &[0; 8]))), Outcome::Ok);
    let _ = s.data(ToClient, &record(22, &handshake(2, &server_hello(b""))));
    assert_eq!(summary(&s).version, "TLS 1.2");
}

#[test]
fn the_first_hello_counts() {
    let mut s = session();
    let hellos = [&b"one"[..], b"two"].map(|n| record(22, &handshake(1, &client_hello(Some(n)))));
    let _ = s.data(ToServer, &hellos.concat());
    assert_eq!(sni(&s), Some(&b"one"[..]));
}

#[test]
fn what_is_no_record_ends_the_parsing() {
    for bad in [&b"\x55\x03\x03\0\x02ab"[..], b"\x16\x05\x03\0\x02ab"] {
        let mut s = session();
        assert_eq!(s.data(ToServer, bad), Outcome::Error);
        let tx = s.tx(0).unwrap();
        assert!(tx.is_complete(ToServer) && tx.is_complete(ToClient));
        assert_eq!(s.data(ToClient, b"x"), Outcome::Error);
    }
}

#[test]
fn a_gap_ends_the_parsing() {
    let mut s = session();
    s.gap(ToServer, 10);
    assert_eq!(s.data(ToServer, b"x"), Outcome::Error);
    assert!(s.tx(0).unwrap().is_complete(ToServer));
}

#[test]
fn lengths_that_lie_do_not_make_it_hoard() {
    let mut s = session();
    // a ClientHello of 16 MB is passed over, 60 KB of one are kept
    let huge = [&[1u8, 0xff, 0xff, 0xff][..], &[0; 1000]].concat();
    for _ in 0..100 {
        let _ = s.data(ToServer, &record(22, &huge));
    }
    assert_eq!(s.buffered(), 0);
    let mut s = session();
    let _ = s.data(ToServer, &record(22, &[1, 0, 0xf0, 0]));
    for _ in 0..100 {
        let _ = s.data(ToServer, &record(22, &[0; 10_000]));
    }
    assert!(s.buffered() <= Limits::default().tls_handshake + 4);
}

fn feed(s: &mut Session, dir: Direction, bytes: &[u8], sizes: &[usize]) {
    let mut sizes = sizes.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let n = (*sizes.next().unwrap()).clamp(1, rest.len());
        let _ = s.data(dir, &rest[..n]);
        rest = &rest[n..];
    }
}

proptest! {
    #[test]
    fn cutting_records_and_segments_anywhere_changes_nothing(
        name in "[a-zA-Z0-9.-]{1,60}",
        records in prop::collection::vec(1usize..60, 1..5), segments in prop::collection::vec(1usize..60, 1..5),
    ) {
        let messages = [handshake(0, b""), handshake(1, &client_hello(Some(name.as_bytes()))), handshake(16, &[1; 9])].concat();
        let mut stream = Vec::new();
        let mut sizes = records.iter().cycle();
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let n = (*sizes.next().unwrap()).min(rest.len());
            stream.extend(record(22, &rest[..n]));
            rest = &rest[n..];
        }
        let mut s = session();
        feed(&mut s, ToServer, &stream, &segments);
        prop_assert_eq!(sni(&s), Some(name.as_bytes()));
        prop_assert_eq!(s.buffered(), 0);
    }
}
