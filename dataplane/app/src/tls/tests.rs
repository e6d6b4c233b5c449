//! Whole sessions, with records and segments cut at will.

use proptest::prelude::*;
use wire::Direction::{self, ToClient, ToServer};

use super::progress;
use crate::tests::{Parser, client_hello, handshake, record};
use crate::{
    AppBuffer, AppProto, BufferSet, Limits, Outcome, TlsEvent, TlsSummary, Transport, TxSummary,
};

fn session() -> Parser {
    let mut s = Parser::new(AppProto::Tls);
    s.wanted = BufferSet::default();
    s
}

fn sni(s: &Parser) -> Option<&[u8]> {
    s.tx(0)?.buffer(AppBuffer::TlsSni, 0)
}

fn summary(s: &Parser) -> TlsSummary {
    match s.tx(0).unwrap().summary(0) {
        TxSummary::Tls(t) => *t,
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

/// A DER value.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    if content.len() < 128 {
        out.push(content.len() as u8);
    } else {
        out.push(0x82);
        out.extend_from_slice(&(content.len() as u16).to_be_bytes());
    }
    out.extend_from_slice(content);
    out
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    der(0x30, &parts.concat())
}

/// One attribute of a name: the last byte of its type below 2.5.4.
fn attribute(kind: u8, value: &str) -> Vec<u8> {
    der(0x31, &sequence(&[der(6, &[0x55, 4, kind]), der(0x13, value.as_bytes())]))
}

/// A certificate for a host, valid from 2020 to 2030, with an invented key and signature.
pub(super) fn certificate(host: &str, serial: [u8; 2]) -> Vec<u8> {
    let algorithm =
        sequence(&[der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11]), der(5, b"")]);
    let key = sequence(&[
        sequence(&[der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), der(5, b"")]),
        der(3, &[0, 1, 2, 3]),
    ]);
    let tbs = sequence(&[
        der(0xa0, &der(2, &[2])),
        der(2, &serial),
        algorithm.clone(),
        sequence(&[attribute(3, "Root")]),
        sequence(&[der(0x17, b"200101000000Z"), der(0x17, b"300101000000Z")]),
        sequence(&[attribute(6, "US"), attribute(10, "Test"), attribute(3, host)]),
        key,
    ]);
    sequence(&[tbs, algorithm, der(3, &[0; 9])])
}

/// The body of a Certificate message.
pub(super) fn certificates(list: &[&[u8]]) -> Vec<u8> {
    let u24 = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
    let entries: Vec<u8> =
        list.iter().flat_map(|one| [u24(one.len()), one.to_vec()].concat()).collect();
    [u24(entries.len()), entries].concat()
}

fn text(s: &Parser, buffer: AppBuffer, index: usize) -> Option<String> {
    let bytes = s.tx(0)?.buffer(buffer, index)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn raised(s: &Parser, event: TlsEvent) -> bool {
    s.tx(0).unwrap().events().contains(event.into())
}

#[test]
fn a_server_shows_its_certificates() {
    let mut s = session();
    s.wanted = BufferSet::ALL;
    let own = certificate("ex.org", [0x0a, 0xbc]);
    let hello = handshake(1, &client_hello(Some(b"ex.org")));
    assert_eq!(s.data(ToServer, &record(22, &hello)), Outcome::Ok);
    let first = handshake(2, &server_hello(b""));
    assert_eq!(s.data(ToClient, &record(22, &first)), Outcome::Ok);
    assert_eq!(s.tx(0).unwrap().progress(ToClient), progress::HELLO);
    let shown = handshake(11, &certificates(&[&own, b"other"]));
    assert_eq!(s.data(ToClient, &record(22, &shown)), Outcome::Ok);
    assert_eq!(s.tx(0).unwrap().progress(ToClient), progress::CERTIFICATES);
    let get = |buffer, index| text(&s, buffer, index);
    assert_eq!(get(AppBuffer::TlsCertSubject, 0).as_deref(), Some("C=US, O=Test, CN=ex.org"));
    assert_eq!(get(AppBuffer::TlsCertIssuer, 0).as_deref(), Some("CN=Root"));
    assert_eq!(get(AppBuffer::TlsCertSerial, 0).as_deref(), Some("0A:BC"));
    assert_eq!(get(AppBuffer::TlsCerts, 1).as_deref(), Some("other"));
    assert_eq!(
        (get(AppBuffer::TlsCerts, 2), get(AppBuffer::TlsClientCertSubject, 0)),
        (None, None)
    );
    assert_eq!(get(AppBuffer::Ja3String, 0).as_deref(), Some("771,4865-49199,23-0,,"));
    assert_eq!(get(AppBuffer::Ja3sString, 0).as_deref(), Some("771,4865,"));
    assert_eq!(s.tx(0).unwrap().buffer(AppBuffer::TlsServerRandomTime, 0), Some(&[9; 4][..]));
    assert_eq!(s.tx(0).unwrap().buffer(AppBuffer::TlsRandomBytes, 0), Some(&[7; 28][..]));
    let facts = s.tx(0).unwrap().tls(ToClient).unwrap();
    assert_eq!((facts.version, facts.chain_length), (0x0303, 2));
    let told = summary(&s);
    assert_eq!(told.server_certificate.map(|c| c.serial), Some("0A:BC".into()));
    assert!(!told.session_resumed);
}

#[test]
fn only_what_is_wanted_is_made() {
    let mut s = session();
    s.wanted = BufferSet::default();
    let _ = s.data(ToServer, &record(22, &handshake(1, &client_hello(Some(b"ex.org")))));
    let shown = handshake(11, &certificates(&[b"one", b"two"]));
    assert_eq!(s.data(ToClient, &record(22, &shown)), Outcome::Ok);
    assert_eq!(text(&s, AppBuffer::Ja3String, 0), None);
    assert_eq!(text(&s, AppBuffer::Ja4Hash, 0), None);
    assert_eq!(text(&s, AppBuffer::TlsCerts, 1), None);
}

#[test]
fn a_certificate_that_cannot_be_read_is_an_event_where_asked_for() {
    let broken = record(22, &handshake(11, &certificates(&[&certificate("a", [1, 2])[..40]])));
    let mut s = session();
    assert_eq!(s.data(ToClient, &broken), Outcome::Ok);
    assert!(!raised(&s, TlsEvent::CertificateInvalidLength));
    let limits = Limits { tls_certificate_events: true, ..Limits::default() };
    let mut s = Parser::over(AppProto::Tls, Transport::Tcp, &limits);
    assert_eq!(s.data(ToClient, &broken), Outcome::Error);
    assert!(raised(&s, TlsEvent::CertificateInvalidLength));
    assert!(raised(&s, TlsEvent::InvalidHandshakeMessage));
}

#[test]
fn odd_records_are_events() {
    for (bytes, event) in [
        (&b"\x55\x03\x03\0\x02ab"[..], TlsEvent::InvalidRecordType),
        (b"\x16\x05\x03\0\x02ab", TlsEvent::InvalidRecordVersion),
        (b"\x16\x03\x03\0\0", TlsEvent::InvalidRecordLength),
        (b"\x16\x03\x03\xff\xff", TlsEvent::InvalidRecordLength),
        (b"\x18\x03\x02\0\x03\x01\x40\0", TlsEvent::OverflowHeartbeatMessage),
        (b"\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03", TlsEvent::InvalidHandshakeMessage),
    ] {
        let mut s = session();
        assert_eq!(s.data(ToServer, bytes), Outcome::Error, "{event:?}");
        assert!(raised(&s, event), "{event:?}");
    }
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
    assert_eq!(summary(&s).version, "UNDETERMINED");
    let _ = s.data(ToClient, &record(22, &handshake(2, &server_hello(b""))));
    let want = TlsSummary {
        sni: Some("Www.Ex.com".into()),
        version: "TLS 1.2".into(),
        session_resumed: true,
        ..TlsSummary::default()
    };
    assert_eq!(summary(&s), want);
}

#[test]
fn a_session_is_resumed_by_a_ticket_unless_a_certificate_comes() {
    let told = |ticket: &[u8], version: &[u8], rest: &[u8]| {
        let fixed = [&[3, 3][..], &[7; 32], b"\0\0\x02\x13\x01\x01\0"].concat();
        let length = ticket.len() as u8;
        let extensions = [&[0, length + 4, 0, 35, 0, length][..], ticket].concat();
        let mut s = session();
        let hello = handshake(1, &[fixed, extensions].concat());
        let _ = s.data(ToServer, &record(22, &hello));
        assert!(!summary(&s).session_resumed, "no server has answered");
        let hello = handshake(2, &server_hello(version));
        let _ = s.data(ToClient, &record(22, &[&hello[..], rest].concat()));
        summary(&s).session_resumed
    };
    assert!(told(b"ticket", b"", b""));
    assert!(!told(b"", b"", b""), "an empty one asks for a ticket");
    assert!(!told(b"ticket", b"\0\x2b\0\x02\x03\x04", b""), "TLS 1.3");
    let shown = handshake(11, &certificates(&[&certificate("a", [1, 2])]));
    assert!(!told(b"ticket", b"", &shown));
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

fn feed(s: &mut Parser, dir: Direction, bytes: &[u8], sizes: &[usize]) {
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
