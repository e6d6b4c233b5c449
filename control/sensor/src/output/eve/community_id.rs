//! The Community ID of a flow, version 1 with seed 0: the same text in every tool that sees the
//! flow, from either direction (<https://github.com/corelight/community-id-spec>).
//!
//! It follows the specification where Suricata 7 does not: equal addresses are ordered by their
//! ports, protocols without ports hash none, ICMP without a counterpart keeps its direction.

use std::fmt;
use std::net::IpAddr;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use sha1::{Digest, Sha1};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
const SCTP: u8 = 132;

/// ICMP types that answer each other.
const PAIRS: [(u8, u8); 5] = [(8, 0), (13, 14), (15, 16), (17, 18), (10, 9)];
/// ICMPv6 types that answer each other.
const PAIRS6: [(u8, u8); 6] =
    [(128, 129), (133, 134), (135, 136), (130, 131), (139, 140), (144, 145)];

/// SHA-1 over a flow's ends; `1:` and base64 when written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommunityId([u8; 20]);

impl CommunityId {
    /// The id of the flow that this packet is of. `icmp`: type and code.
    pub(crate) fn of(
        protocol: u8,
        src: (IpAddr, u16),
        dst: (IpAddr, u16),
        icmp: Option<(u8, u8)>,
    ) -> Self {
        let mut one_way = false;
        let (src_port, dst_port, with_ports) = match (protocol, icmp) {
            (ICMP | ICMP6, Some((kind, code))) => {
                let pairs: &[_] = if protocol == ICMP { &PAIRS } else { &PAIRS6 };
                let answer = pairs.iter().find_map(|&(a, b)| match kind {
                    _ if kind == a => Some(b),
                    _ if kind == b => Some(a),
                    _ => None,
                });
                one_way = answer.is_none();
                (u16::from(kind), u16::from(answer.unwrap_or(code)), true)
            }
            (TCP | UDP | SCTP, _) => (src.1, dst.1, true),
            _ => (0, 0, false),
        };
        let (mut first, mut second) = ((src.0, src_port), (dst.0, dst_port));
        if !one_way && first > second {
            std::mem::swap(&mut first, &mut second);
        }
        let mut hash = Sha1::new();
        hash.update([0, 0]);
        for address in [first.0, second.0] {
            match address {
                IpAddr::V4(address) => hash.update(address.octets()),
                IpAddr::V6(address) => hash.update(address.octets()),
            }
        }
        hash.update([protocol, 0]);
        if with_ports {
            hash.update(first.1.to_be_bytes());
            hash.update(second.1.to_be_bytes());
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1:")?;
        Base64Display::new(&self.0, &STANDARD).fmt(f)
    }
}

impl Serialize for CommunityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(
        protocol: u8,
        src: &str,
        src_port: u16,
        dst: &str,
        dst_port: u16,
        icmp: Option<(u8, u8)>,
    ) -> String {
        let end = |address: &str, port| (address.parse().expect("an address"), port);
        CommunityId::of(protocol, end(src, src_port), end(dst, dst_port), icmp).to_string()
    }

    #[test]
    fn ids_are_those_of_the_specifications_examples() {
        let tcp = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        assert_eq!(id(TCP, "128.232.110.120", 34855, "66.35.250.204", 80, None), tcp);
        let udp = "1:d/FP5EW3wiY1vCndhwleRRKHowQ=";
        assert_eq!(id(UDP, "192.168.1.52", 54585, "8.8.8.8", 53, None), udp);
    }

    #[test]
    fn ids_are_those_that_suricata_gives() {
        let ping = id(ICMP, "10.0.0.8", 0, "10.0.1.8", 0, Some((8, 0)));
        assert_eq!(ping, "1:/cr73I3B32axsusw8uMEHP9pNCU=");
        let sctp = id(SCTP, "10.2.55.83", 54342, "10.2.55.84", 38412, None);
        assert_eq!(sctp, "1:D3se2GZ8mSubuGTQl3t5vQnYzhE=");
        let tcp = id(TCP, "10.0.0.226", 39088, "95.217.228.176", 80, None);
        assert_eq!(tcp, "1:UWheTIB6pT2Tvkb78+DYangAIyQ=");
        let advert = id(ICMP6, "fe80::2e7e:81ff:feb0:4aa1", 0, "ff02::1", 0, Some((134, 0)));
        assert_eq!(advert, "1:ZBmnZveCd4xRVBPJdMbD8ixKE2g=");
    }

    #[test]
    fn both_directions_have_one_id_unless_icmp_has_no_answer() {
        for protocol in [TCP, UDP, SCTP, 50] {
            let there = id(protocol, "10.0.0.9", 1, "10.0.0.1", 2, None);
            assert_eq!(there, id(protocol, "10.0.0.1", 2, "10.0.0.9", 1, None));
        }
        let same_host = id(TCP, "127.0.0.1", 9, "127.0.0.1", 3, None);
        assert_eq!(same_host, id(TCP, "127.0.0.1", 3, "127.0.0.1", 9, None));
        let ping = id(ICMP, "10.0.0.9", 0, "10.0.0.1", 0, Some((8, 0)));
        assert_eq!(ping, id(ICMP, "10.0.0.1", 0, "10.0.0.9", 0, Some((0, 0))));
        let solicit = id(ICMP6, "fe80::1", 0, "fe80::2", 0, Some((135, 0)));
        assert_eq!(solicit, id(ICMP6, "fe80::2", 0, "fe80::1", 0, Some((136, 0))));
        let redirect = id(ICMP, "10.0.0.9", 0, "10.0.0.1", 0, Some((5, 1)));
        assert_ne!(redirect, id(ICMP, "10.0.0.1", 0, "10.0.0.9", 0, Some((5, 1))));
    }
}
