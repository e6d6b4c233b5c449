//! Messages for the tests of this crate, all made here, and what takes them.

use std::ops::{Deref, DerefMut};

use wire::Direction;

use crate::{AppProto, BufferSet, Certificates, Config, Limits, Outcome, Session, Transport};

/// A session with what it is told in every call.
#[derive(Debug)]
pub(crate) struct Parser {
    session: Session,
    limits: Limits,
    pub(crate) wanted: BufferSet,
    certificates: Certificates,
}

impl Parser {
    pub(crate) fn over(proto: AppProto, transport: Transport, limits: &Limits) -> Self {
        let session = Session::over(proto, transport).unwrap();
        let certificates = Certificates::default();
        Self { session, limits: *limits, wanted: BufferSet::ALL, certificates }
    }

    pub(crate) fn new(proto: AppProto) -> Self {
        Self::over(proto, Transport::Tcp, &Limits::default())
    }

    pub(crate) fn data(&mut self, dir: Direction, bytes: &[u8]) -> Outcome {
        let Self { session, limits, wanted, certificates } = self;
        let config = Config { limits, wanted: *wanted, certificates };
        session.data(&config, dir, bytes)
    }

    pub(crate) fn gap(&mut self, dir: Direction, len: u64) {
        let Self { session, limits, wanted, certificates } = self;
        let config = Config { limits, wanted: *wanted, certificates };
        session.gap(&config, dir, len);
    }

    pub(crate) fn close(&mut self, dir: Direction) {
        let Self { session, limits, wanted, certificates } = self;
        let config = Config { limits, wanted: *wanted, certificates };
        session.close(&config, dir);
    }
}

impl Deref for Parser {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Parser {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// A DNS query for type A with id `id` and the encoded name `name`.
pub(crate) fn dns_query(id: u16, name: &[u8]) -> Vec<u8> {
    let mut m = id.to_be_bytes().to_vec();
    m.extend_from_slice(b"\x01\0\0\x01\0\0\0\0\0\0");
    m.extend_from_slice(name);
    m.extend_from_slice(b"\0\x01\0\x01");
    m
}

/// The body of a TLS 1.2 ClientHello, with a server name or without.
pub(crate) fn client_hello(sni: Option<&[u8]>) -> Vec<u8> {
    let mut m = vec![3, 3];
    m.extend_from_slice(&[7; 32]);
    m.extend_from_slice(b"\x02id\0\x04\x13\x01\xc0\x2f\x01\0");
    let mut ext = b"\0\x17\0\0".to_vec();
    if let Some(name) = sni {
        let n = name.len() as u16;
        ext.extend_from_slice(b"\0\0");
        ext.extend_from_slice(&(n + 5).to_be_bytes());
        ext.extend_from_slice(&(n + 3).to_be_bytes());
        ext.push(0);
        ext.extend_from_slice(&n.to_be_bytes());
        ext.extend_from_slice(name);
    }
    m.extend_from_slice(&(ext.len() as u16).to_be_bytes());
    m.extend_from_slice(&ext);
    m
}

/// A handshake message of the given type.
pub(crate) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![kind];
    m.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    m.extend_from_slice(body);
    m
}

/// A TLS record of the given type.
pub(crate) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![kind, 3, 1];
    m.extend_from_slice(&(body.len() as u16).to_be_bytes());
    m.extend_from_slice(body);
    m
}

mod size {
    //! What is held besides what was sent.

    use wire::Direction::{ToClient, ToServer};

    use super::{Parser, client_hello, dns_query, handshake, record};
    use crate::{AppProto, Limits, Transport};

    const REQUEST: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 \
        (X11; Linux x86_64)\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n";

    #[test]
    fn a_session_that_waits_takes_no_more_than_128_bytes() {
        for proto in [AppProto::Http1, AppProto::Dns, AppProto::Tls] {
            let mut s = Parser::new(proto);
            s.free_before(1);
            let held = s.held();
            assert!(held.text == 0 && held.state <= 128, "{proto:?}: {held:?}");
        }
    }

    #[test]
    fn a_transaction_takes_little_besides_its_text() {
        let mut s = Parser::new(AppProto::Http1);
        let _ = s.data(ToServer, REQUEST);
        let held = s.held();
        // a session of 128, a request of 160, five fields of 12
        assert!(held.state <= 348, "{held:?}");
        let _ = s.data(ToClient, b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 9\r\n\r\n");
        assert!(s.held().state <= 348 + 128 + 24, "{:?}", s.held());

        let mut s = Parser::new(AppProto::Tls);
        let _ = s.data(ToServer, &record(22, &handshake(1, &client_hello(Some(b"shop.example")))));
        let held = s.held();
        assert!(held.text > 0 && held.state <= 128 + 128, "{held:?}");

        let mut s = Parser::over(AppProto::Dns, Transport::Udp, &Limits::default());
        let _ = s.data(ToServer, &dns_query(1, b"\x04shop\x07example\0"));
        let held = s.held();
        assert!(held.state <= 128 + 112 + 64, "{held:?}");
    }

    #[test]
    fn text_is_kept_without_waste() {
        let mut s = Parser::new(AppProto::Http1);
        s.wanted = crate::BufferSet::default();
        let _ = s.data(ToServer, REQUEST);
        assert!(s.held().text <= REQUEST.len() + 8, "{:?} of {}", s.held(), REQUEST.len());
    }
}

mod hostile {
    //! Whatever comes: no panic, no hoarding, progress that never falls.

    use proptest::prelude::*;
    use wire::Direction::{ToClient, ToServer};

    use super::Parser;
    use crate::{AppBuffer, AppProto, Limits, Transport};

    #[derive(Debug, Clone)]
    enum Step {
        Data(bool, Vec<u8>),
        Gap(bool, u64),
        Close(bool),
        Free(u64),
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let words = prop::sample::select(vec![
            &b"GET "[..],
            b"/a",
            b" HTTP/1.1",
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"Host: h",
            b": ",
            b" ",
            b"\t",
            b"Content-Length: 5",
            b"Transfer-Encoding: chunked",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 101 S\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 100 C\r\n\r\n",
            b"0\r\n",
            b"5;x\r\n",
            b"abcde",
            b"\0",
            b"\x16\x03\x01\0\x05",
            b"\x16\x03\x03\0\x40\x01\0\0\x3c\x03\x03",
            b"\x14\x03\x03\0\x01\x01",
            b"\x17\x03\x03\0\x02",
            b"\0\x1d",
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0",
            b"\x03www\x02ex\0",
            b"\0\x01\0\x01",
            b"\xc0\x0c",
            b"\x80\x2e\x01\x03\x01",
        ]);
        let word = prop_oneof![4 => words.prop_map(<[u8]>::to_vec), 1 => prop::collection::vec(any::<u8>(), 0..40)];
        prop::collection::vec(word, 0..12).prop_map(|w| w.concat())
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (any::<bool>(), bytes()).prop_map(|(d, b)| Step::Data(d, b)),
            1 => (any::<bool>(), prop_oneof![0u64..20, Just(u64::MAX)]).prop_map(|(d, n)| Step::Gap(d, n)),
            1 => any::<bool>().prop_map(Step::Close),
            1 => (0u64..6).prop_map(Step::Free),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn any_traffic_is_survived(
            proto in prop::sample::select(vec![AppProto::Http1, AppProto::Dns, AppProto::Tls]), udp: bool,
            steps in prop::collection::vec(step(), 0..25),
        ) {
            let transport = if udp && proto == AppProto::Dns { Transport::Udp } else { Transport::Tcp };
            let limits = Limits { http_field: 200, http_transactions: 8, tls_handshake: 300, ..Limits::default() };
            let mut s = Parser::over(proto, transport, &limits);
            let mut seen = std::collections::HashMap::new();
            for step in steps {
                let dir = |d: bool| if d { ToServer } else { ToClient };
                let next = s.next_tx();
                match step {
                    Step::Data(d, b) => { let _ = s.data(dir(d), &b); }
                    Step::Gap(d, n) => s.gap(dir(d), n),
                    Step::Close(d) => s.close(dir(d)),
                    Step::Free(n) => s.free_before(n.min(next)),
                }
                prop_assert!(s.next_tx() >= next && s.first_tx() <= s.next_tx());
                prop_assert!(s.buffered() <= 2 * 65_540);
                prop_assert!(s.next_tx() - s.first_tx() <= 32);
                for id in s.first_tx()..s.next_tx() {
                    let tx = s.tx(id).unwrap();
                    for b in AppBuffer::ALL {
                        let _ = tx.buffer(b, 0);
                    }
                    let _ = tx.summary(id);
                    for d in [ToServer, ToClient] {
                        let before = seen.insert((id, d), tx.progress(d)).unwrap_or(0);
                        prop_assert!(tx.progress(d) >= before);
                    }
                }
            }
        }

        #[test]
        fn a_buffer_that_is_final_does_not_change(pieces in prop::collection::vec(bytes(), 1..12)) {
            let mut s = Parser::new(AppProto::Http1);
            let mut seen = std::collections::HashMap::new();
            for piece in pieces {
                let _ = s.data(ToServer, &piece);
                for id in s.first_tx()..s.next_tx() {
                    let tx = s.tx(id).unwrap();
                    for b in AppBuffer::ALL.into_iter().filter(|b| crate::buffer_spec(*b).dir == ToServer) {
                        if tx.progress(ToServer) >= crate::buffer_spec(b).min_progress {
                            let now = tx.buffer(b, 0).map(<[u8]>::to_vec);
                            let before = seen.entry((id, b)).or_insert_with(|| now.clone());
                            prop_assert_eq!(&*before, &now);
                        }
                    }
                }
            }
        }
    }
}
