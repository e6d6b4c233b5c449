//! Which protocol a flow speaks, from its first bytes: byte patterns at fixed places, and for some
//! ports a look at the structure. What is recognised, and where, follows Suricata 7 as Debian
//! configures it.
//!
//! Both directions are tried on their own; what either shows, the flow speaks. A direction whose
//! bytes fit no pattern and no probe is done, and when both are, the search has failed.

mod patterns;
mod probes;

use wire::Direction;

use crate::proto::{AppProto, Transport};
use patterns::Match;

/// Once this many bytes of one direction tell nothing, the search ends without waiting for the
/// other direction.
pub const BAIL_BYTES: usize = 100_000;

/// The search for one flow's protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detector {
    done: [bool; 2],
    midstream: bool,
}

/// What a look at some bytes has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Nothing yet.
    NeedMore,
    /// The protocol of the flow. Bytes of the other direction that came before are its as well.
    Found {
        /// Which one.
        proto: AppProto,
        /// The bytes are those of the other direction: who opened the flow is the server. Over TCP
        /// only a flow picked up in midstream can be so.
        reversed: bool,
    },
    /// It is none of those known.
    NotFound,
}

impl Detector {
    /// A search in a flow whose beginning was seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// A search in a TCP flow picked up in midstream: who is the client is a guess, so patterns of
    /// either side count in both directions, and the guessed client's bytes must show something.
    pub fn midstream() -> Self {
        Self { done: [false; 2], midstream: true }
    }

    /// Whether that direction has nothing more to tell.
    pub fn is_done(&self, dir: Direction) -> bool {
        self.done[dir.index()]
    }

    /// What EVE calls the flow while nothing is found: over UDP it has failed as soon as one
    /// direction has, though the other may still tell.
    pub fn interim(&self, transport: Transport) -> AppProto {
        match (transport, self.done) {
            (_, [true, true]) | (Transport::Udp, [true, _] | [_, true]) => AppProto::Failed,
            _ => AppProto::Unknown,
        }
    }

    /// Looks at `data`: all bytes of direction `dir` from the start of the stream, or a datagram.
    ///
    /// `src_port` is the port of the flow's client (who sent its first packet) and `dst_port` that
    /// of its server, in both directions. `fin`: there will be no more bytes in this direction.
    pub fn probe(
        &mut self,
        transport: Transport,
        dir: Direction,
        src_port: u16,
        dst_port: u16,
        data: &[u8],
        fin: bool,
    ) -> Probe {
        match transport {
            Transport::Tcp => self.stream(dir, src_port, dst_port, data, fin),
            Transport::Udp => self.datagram(dir, (src_port, dst_port), data),
        }
    }

    fn stream(
        &mut self,
        dir: Direction,
        src_port: u16,
        dst_port: u16,
        data: &[u8],
        fin: bool,
    ) -> Probe {
        if let found @ Probe::Found { .. } = self.look(dir, src_port, dst_port, data, fin) {
            return found;
        }
        let hopeless = self.midstream && self.is_done(Direction::ToServer);
        if self.done == [true; 2] || hopeless || data.len() >= BAIL_BYTES {
            self.done = [true; 2];
            return Probe::NotFound;
        }
        Probe::NeedMore
    }

    /// Looks at the bytes of one direction once the other has told the protocol: what this one shows
    /// by itself ([`Probe::NotFound`]: nothing).
    pub fn probe_other(
        &mut self,
        transport: Transport,
        dir: Direction,
        src_port: u16,
        dst_port: u16,
        data: &[u8],
    ) -> Probe {
        match transport {
            Transport::Tcp => self.look(dir, src_port, dst_port, data, false),
            Transport::Udp => match probes::datagram(dir, dst_port, data) {
                Some((proto, reversed)) => Probe::Found { proto, reversed },
                None => Probe::NotFound,
            },
        }
    }

    /// Looks at one direction alone.
    fn look(
        &mut self,
        dir: Direction,
        src_port: u16,
        dst_port: u16,
        data: &[u8],
        fin: bool,
    ) -> Probe {
        if self.is_done(dir) {
            return Probe::NotFound;
        }
        let mut open = false;
        let sides = if self.midstream { 2 } else { 1 };
        // the direction's own side first
        for (side, port) in [(dir, dst_port), (dir.flip(), src_port)].into_iter().take(sides) {
            match patterns::stream(side, data).or(probes::stream(side, port, data)) {
                Match::Yes(proto) => return Probe::Found { proto, reversed: side != dir },
                Match::Maybe => open = true,
                Match::No => {}
            }
        }
        self.done[dir.index()] = !open || fin;
        if self.is_done(dir) { Probe::NotFound } else { Probe::NeedMore }
    }

    /// Of each direction the first datagram is looked at.
    fn datagram(&mut self, dir: Direction, (client, server): (u16, u16), data: &[u8]) -> Probe {
        if !self.is_done(dir) {
            self.done[dir.index()] = true;
            let found = probes::datagram(dir, server, data);
            if let Some((proto, reversed)) =
                found.or_else(|| probes::early_answer(dir, client, data))
            {
                return Probe::Found { proto, reversed };
            }
        }
        if self.done == [true; 2] { Probe::NotFound } else { Probe::NeedMore }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::dns_query;
    use Direction::{ToClient, ToServer};
    use Transport::{Tcp, Udp};

    fn found(proto: AppProto) -> Probe {
        Probe::Found { proto, reversed: false }
    }

    fn tcp(dir: Direction, data: &[u8]) -> Probe {
        Detector::new().probe(Tcp, dir, 40_000, 8_080, data, false)
    }

    #[test]
    fn protocols_are_known_by_their_first_bytes_on_any_port() {
        for (dir, data, proto) in [
            (ToServer, &b"GET /"[..], AppProto::Http1),
            (ToServer, b"PROPFIND\t/", AppProto::Http1),
            (ToClient, b"HTTP/1.1 200 OK\r\n", AppProto::Http1),
            (ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", AppProto::Http2),
            (ToServer, b"\x16\x03\x01\x02\x00", AppProto::Tls),
            (ToServer, b"\x80\x2e\x01\x00\x02\x00", AppProto::Tls),
            (ToClient, b"\x15\x03\x03\x00\x02", AppProto::Tls),
            (ToClient, b"SSH-2.0-x", AppProto::Ssh),
            (ToServer, b"\0\0\0\x54\xffSMB", AppProto::Smb),
            (ToServer, b"\0\0\0\x54\xfeSMB", AppProto::Smb),
            (ToServer, b"EHLO x\r\n", AppProto::Smtp),
            (ToServer, b"user anonymous\r\n", AppProto::Ftp),
            (ToClient, b"220 (vsFTPd 3.0)\r\n", AppProto::Ftp),
            (ToServer, b"1 CAPABILITY\r\n", AppProto::Imap),
            (ToServer, b"get / http/1.1\r\n", AppProto::Http1),
            (ToClient, b"http/1.0 200 ok\r\n", AppProto::Http1),
            (ToClient, b"RFB 003.008\n", AppProto::Rfb),
            (ToServer, b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c", AppProto::Mqtt),
        ] {
            assert_eq!(tcp(dir, data), found(proto), "{proto:?}");
        }
    }

    #[test]
    fn a_pattern_in_pieces_is_waited_for() {
        assert_eq!(tcp(ToServer, b"GE"), Probe::NeedMore);
        assert_eq!(tcp(ToServer, b"\x16"), Probe::NeedMore);
        let mut d = Detector::new();
        assert_eq!(d.probe(Tcp, ToServer, 1, 2, b"HEAD", false), Probe::NeedMore);
        assert!(!d.is_done(ToServer));
        assert_eq!(d.probe(Tcp, ToServer, 1, 2, b"HEAD /", false), found(AppProto::Http1));
    }

    #[test]
    fn the_other_direction_can_still_tell() {
        let mut d = Detector::new();
        let junk = b"\r\nGET /lead HTTP/1.1\r\nHost: i\r\n\r\n";
        assert_eq!(d.probe(Tcp, ToServer, 1, 80, junk, false), Probe::NeedMore);
        assert!(d.is_done(ToServer));
        let answer = b"HTTP/1.1 200 OK\r\n";
        assert_eq!(d.probe(Tcp, ToClient, 1, 80, answer, false), found(AppProto::Http1));
    }

    #[test]
    fn the_search_ends() {
        let junk = [0x55; 64];
        let mut d = Detector::new();
        assert_eq!(d.probe(Tcp, ToServer, 1, 2, &junk, false), Probe::NeedMore);
        assert_eq!(d.probe(Tcp, ToClient, 1, 2, &junk[..7], false), Probe::NeedMore);
        assert_eq!(d.probe(Tcp, ToClient, 1, 2, &junk[..8], false), Probe::NotFound);
        let mut d = Detector::new();
        let much = vec![0x55; BAIL_BYTES];
        assert_eq!(d.probe(Tcp, ToServer, 1, 2, &much, false), Probe::NotFound);
        let mut d = Detector::new();
        assert_eq!(d.probe(Tcp, ToServer, 1, 2, b"GE", true), Probe::NeedMore);
        assert_eq!(d.probe(Tcp, ToClient, 1, 2, b"", true), Probe::NotFound);
    }

    #[test]
    fn in_midstream_the_sides_may_be_swapped_but_not_left_open() {
        let answer = b"HTTP/1.1 200 OK\r\n";
        assert_eq!(tcp(ToServer, b"HTTP/1.1 200 OK\r\n-------------"), Probe::NeedMore);
        let mut d = Detector::midstream();
        assert_eq!(
            d.probe(Tcp, ToServer, 80, 40_000, answer, false),
            Probe::Found { proto: AppProto::Http1, reversed: true }
        );
        let mut d = Detector::midstream();
        assert_eq!(d.probe(Tcp, ToServer, 1, 80, &[0x55; 64], false), Probe::NotFound);
    }

    #[test]
    fn dns_is_looked_for_on_port_53() {
        let query = dns_query(1, b"\x03www\0");
        let mut answer = query.clone();
        answer[2] |= 0x80;
        let udp = |dir, sp, dp, data: &[u8]| Detector::new().probe(Udp, dir, sp, dp, data, false);
        assert_eq!(udp(ToServer, 40_000, 53, &query), found(AppProto::Dns));
        assert_eq!(udp(ToClient, 40_000, 53, &answer), found(AppProto::Dns));
        assert_eq!(
            udp(ToServer, 40_000, 53, &answer),
            Probe::Found { proto: AppProto::Dns, reversed: true }
        );
        assert_eq!(udp(ToServer, 40_000, 5353, &query), Probe::NeedMore);
        // The answer came first.
        assert_eq!(
            udp(ToServer, 53, 40_000, &answer),
            Probe::Found { proto: AppProto::Dns, reversed: true }
        );
        assert_eq!(udp(ToServer, 53, 40_000, &query), Probe::NeedMore);
        let mut framed = (query.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(&query);
        let mut d = Detector::new();
        assert_eq!(d.probe(Tcp, ToServer, 1, 53, &framed[..3], false), Probe::NeedMore);
        assert_eq!(d.probe(Tcp, ToServer, 1, 53, &framed[..20], false), found(AppProto::Dns));
        assert_eq!(tcp(ToServer, &framed), Probe::NeedMore);
    }

    #[test]
    fn one_datagram_a_direction_decides() {
        let query = dns_query(1, b"\x03www\0");
        let mut d = Detector::new();
        assert_eq!(d.probe(Udp, ToServer, 1, 53, b"junk", false), Probe::NeedMore);
        assert_eq!(d.probe(Udp, ToServer, 1, 53, &query, false), Probe::NeedMore);
        assert_eq!(d.probe(Udp, ToClient, 1, 53, b"junk", false), Probe::NotFound);
    }

    #[test]
    fn what_one_direction_shows_by_itself_can_be_asked_for() {
        let mut d = Detector::new();
        assert_eq!(d.probe(Tcp, ToServer, 1, 22, b"GET / HTTP/1.1", false), found(AppProto::Http1));
        let mut other = |data: &[u8]| d.probe_other(Tcp, ToClient, 1, 22, data);
        assert_eq!(other(b"SS"), Probe::NeedMore);
        assert_eq!(other(b"SSH-2.0-x"), found(AppProto::Ssh));
        assert_eq!(other(b"junk"), Probe::NeedMore);
        assert_eq!(other(b"junkjunk"), Probe::NotFound);
    }

    #[test]
    fn until_then_a_flow_bears_the_name_that_eve_gives_it() {
        let mut d = Detector::new();
        assert_eq!(d.interim(Udp), AppProto::Unknown);
        let _ = d.probe(Udp, ToServer, 1, 9, b"junk", false);
        assert_eq!(d.interim(Udp), AppProto::Failed);
        let mut d = Detector::new();
        let _ = d.probe(Tcp, ToServer, 1, 9, &[0x55; 64], false);
        assert_eq!(d.interim(Tcp), AppProto::Unknown);
        let _ = d.probe(Tcp, ToClient, 1, 9, &[0x55; 64], false);
        assert_eq!(d.interim(Tcp), AppProto::Failed);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_harm(
            data: Vec<u8>, sp: u16, dp in proptest::sample::select(vec![53u16, 80, 443, 88, 161, 123, 67, 69, 500, 3389, 9]),
            to_server: bool, midstream: bool, udp: bool,
        ) {
            let mut d = if midstream { Detector::midstream() } else { Detector::new() };
            let dir = if to_server { ToServer } else { ToClient };
            let transport = if udp { Udp } else { Tcp };
            let _ = d.probe(transport, dir, sp, dp, &data, false);
        }

        #[test]
        fn more_bytes_never_change_what_was_found(data in proptest::collection::vec(0u8..255, 0..64), head in proptest::sample::select(vec![
            &b"GET / HTTP/1.1\r\n"[..], b"\x16\x03\x01\x00\x20", b"SSH-2.0-OpenSSH\r\n", b"EHLO a\r\n",
        ])) {
            let all = [head, &data].concat();
            let mut first = None;
            let mut d = Detector::new();
            for n in 1..all.len() {
                if let p @ Probe::Found { .. } = d.probe(Tcp, ToServer, 1, 9, &all[..n], false) {
                    proptest::prop_assert_eq!(*first.get_or_insert(p), p);
                }
            }
            proptest::prop_assert!(first.is_some());
        }
    }
}
