//! Flows of DNS messages, as datagrams and in streams.

use proptest::prelude::*;
use wire::Direction::{ToClient, ToServer};

use crate::tests::{Parser, dns_query};
use crate::{AppBuffer, AppProto, DnsEvent, DnsSummary, Limits, Outcome, Transport, TxSummary};

fn session(transport: Transport) -> Parser {
    Parser::over(AppProto::Dns, transport, &Limits::default())
}

fn answer(query: &[u8]) -> Vec<u8> {
    let mut m = query.to_vec();
    m[2] |= 0x80;
    m[3] = 0x83;
    m
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn names(s: &Parser) -> Vec<Vec<String>> {
    let of = |tx| {
        (0..)
            .map_while(|i| s.tx(tx)?.buffer(AppBuffer::DnsQuery, i))
            .map(|n| String::from_utf8_lossy(n).into_owned())
            .collect()
    };
    (s.first_tx()..s.next_tx()).map(of).collect()
}

fn summary(s: &Parser, tx: u64) -> DnsSummary {
    match s.tx(tx).unwrap().summary(tx) {
        TxSummary::Dns(d) => d,
        other => panic!("{other:?}"),
    }
}

const WWW: &[u8] = b"\x03Www\x02ex\0";

#[test]
fn each_datagram_is_a_transaction() {
    let mut s = session(Transport::Udp);
    let query = dns_query(7, WWW);
    let _ = s.data(ToServer, &query);
    let _ = s.data(ToClient, &answer(&query));
    assert_eq!(names(&s), vec![vec!["Www.ex".to_owned()], vec![]]);
    let d = summary(&s, 0);
    assert_eq!((d.answer, d.id, d.opcode, d.tx_id), (false, 7, 0, 0));
    assert_eq!(
        (d.questions[0].rrname.as_str(), d.questions[0].rrtype_name.as_str()),
        ("Www.ex", "A")
    );
    let d = summary(&s, 1);
    assert_eq!((d.answer, d.rcode, d.tx_id, d.flags), (true, 3, 1, 0x8183));
    let tx = s.tx(0).unwrap();
    assert!(tx.is_complete(ToServer) && tx.is_complete(ToClient));
}

#[test]
fn a_bad_datagram_does_not_spoil_the_next() {
    let mut s = session(Transport::Udp);
    assert_eq!(s.data(ToServer, b"junk"), Outcome::Ok);
    let mut bad = dns_query(1, WWW);
    bad[12] = 0x43;
    assert_eq!(s.data(ToServer, &bad), Outcome::Ok);
    let _ = s.data(ToServer, &dns_query(2, WWW));
    assert_eq!(names(&s), vec![vec!["Www.ex".to_owned()]]);
}

#[test]
fn what_the_header_should_not_say_is_an_event() {
    let mut s = session(Transport::Udp);
    let mut query = dns_query(1, WWW);
    query[3] |= 0x40;
    let _ = s.data(ToServer, &query);
    query[3] = 0;
    query[2] = 7 << 3;
    let _ = s.data(ToServer, &query);
    let has = |tx, event: DnsEvent| s.tx(tx).unwrap().events().contains(event.into());
    assert!(has(0, DnsEvent::ZFlagSet) && !has(0, DnsEvent::InvalidOpcode));
    assert!(!has(1, DnsEvent::ZFlagSet) && has(1, DnsEvent::InvalidOpcode));
}

#[test]
fn the_root_has_no_query_buffer() {
    let mut s = session(Transport::Udp);
    let _ = s.data(ToServer, &dns_query(1, b"\0"));
    assert_eq!((s.next_tx(), names(&s)), (1, vec![vec![]]));
}

#[test]
fn streams_carry_several_messages() {
    let mut s = session(Transport::Tcp);
    let two = [framed(&dns_query(1, WWW)), framed(b""), framed(&dns_query(2, b"\x01b\0"))].concat();
    assert_eq!(s.data(ToServer, &two), Outcome::Ok);
    assert_eq!(names(&s), vec![vec!["Www.ex".to_owned()], vec!["b".to_owned()]]);
    // in a stream the direction says what a message is
    let _ = s.data(ToClient, &framed(&dns_query(1, WWW)));
    assert_eq!((names(&s)[2].len(), summary(&s, 2).answer), (0, true));
}

#[test]
fn a_bad_message_ends_a_stream() {
    let mut s = session(Transport::Tcp);
    let bytes = [framed(&[0xff; 30]), framed(&dns_query(2, WWW))].concat();
    assert_eq!(s.data(ToServer, &bytes), Outcome::Error);
    assert_eq!(s.data(ToServer, &framed(&dns_query(3, WWW))), Outcome::Error);
    assert_eq!(s.next_tx(), 0);
}

#[test]
fn a_gap_costs_the_messages_it_touches() {
    let first = framed(&dns_query(1, WWW));
    // within a message: the next one begins where its length said
    let mut s = session(Transport::Tcp);
    let _ = s.data(ToServer, &first[..8]);
    s.gap(ToServer, 4);
    let _ = s.data(ToServer, &[&first[12..], &framed(&dns_query(2, b"\x01b\0"))].concat());
    assert_eq!(names(&s), vec![vec!["b".to_owned()]]);
    // beyond it: what looks like a beginning is taken for one
    let mut s = session(Transport::Tcp);
    let _ = s.data(ToServer, &first[..8]);
    s.gap(ToServer, 1000);
    assert_eq!(s.data(ToServer, &[0xff; 40]), Outcome::Ok);
    let _ = s.data(ToServer, &first);
    assert_eq!(names(&s), vec![vec!["Www.ex".to_owned()]]);
}

#[test]
fn live_transactions_are_bounded() {
    let mut s = session(Transport::Udp);
    for id in 0..100 {
        let _ = s.data(ToServer, &dns_query(id, WWW));
    }
    assert_eq!((s.first_tx(), s.next_tx()), (68, 100));
    assert_eq!(summary(&s, 99).id, 99);
}

proptest! {
    #[test]
    fn cutting_a_stream_anywhere_changes_nothing(
        labels in prop::collection::vec("[a-z]{1,20}", 1..5), sizes in prop::collection::vec(1usize..30, 1..5),
    ) {
        let mut stream = Vec::new();
        for (id, label) in labels.iter().enumerate() {
            let name = [&[label.len() as u8], label.as_bytes(), b"\0"].concat();
            stream.extend(framed(&dns_query(id as u16, &name)));
        }
        let mut s = session(Transport::Tcp);
        let mut sizes = sizes.iter().cycle();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let n = (*sizes.next().unwrap()).min(rest.len());
            let _ = s.data(ToServer, &rest[..n]);
            rest = &rest[n..];
        }
        prop_assert_eq!(names(&s), labels.iter().map(|l| vec![l.clone()]).collect::<Vec<_>>());
        prop_assert_eq!(s.buffered(), 0);
    }
}
