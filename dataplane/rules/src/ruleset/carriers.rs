//! [`CarrierIndex`]: the rules that a packet could match which carries another one. Only its headers are
//! looked at, so that most rules never match it, and most tunnels' packets none at all.

use std::net::IpAddr;

use super::classify::holds_for;
use crate::signature::{
    Buffer, BufferTests, ChecksumOf, HeaderTest, Kind, PortSet, Signature, Test,
};

/// UDP's IP protocol number.
const UDP: u8 = 17;

/// IP protocols of packets that carry others: IP and IPv6 in IP, GRE; and UDP.
const CARRYING: [u8; 4] = [4, 41, 47, UDP];

/// A packet that carries another one, by what all packets of a tunnel's direction have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// Its source.
    pub src: IpAddr,
    /// Its destination.
    pub dst: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// UDP's destination port; None for other protocols. Its source port is another one for every flow
    /// within, and left open.
    pub dst_port: Option<u16>,
}

/// Signatures that a carrier could match, but for [`Kind::IpOnly`], which have an index of their own, and
/// [`Kind::Event`], which events propose.
#[derive(Debug)]
pub(crate) struct CarrierIndex {
    /// Of UDP, which has flows.
    udp: Box<[u32]>,
    /// Of other protocols.
    other: Box<[u32]>,
    /// Rule sets of these and of all that are [`Kind::IpOnly`].
    all: u64,
}

impl CarrierIndex {
    /// Goes through the signatures, which are numbered by their position.
    pub(crate) fn new(signatures: &[Signature]) -> Self {
        let numbered = || (0u32..).zip(signatures);
        let of = |protocols: &[u8], has_flow| -> Box<[u32]> {
            let those = numbered().filter(|(_, signature)| {
                protocols.iter().any(|&protocol| asks_for(signature, protocol))
                    && could_match(signature, has_flow)
            });
            those.map(|(number, _)| number).collect()
        };
        let [rest @ .., udp] = &CARRYING;
        let (udp, other) = (of(&[*udp], true), of(rest, false));
        let rulesets = |number: &u32| signatures.get(*number as usize).map_or(0, |s| s.rulesets);
        let headers = udp.iter().chain(&other).map(rulesets).fold(0, |all, sets| all | sets);
        let addresses = numbered()
            .filter(|(_, s)| s.kind == Kind::IpOnly && CARRYING.iter().any(|&p| asks_for(s, p)))
            .fold(0, |all, (_, s)| all | s.rulesets);
        Self { udp, other, all: headers | addresses }
    }

    /// Rule sets with a signature that some carrier could match.
    #[inline]
    pub(crate) fn all(&self) -> u64 {
        self.all
    }

    /// Rule sets with a signature that this one could match; `addressed` are the numbers of those that are
    /// [`Kind::IpOnly`] and hold for its addresses.
    pub(crate) fn find(
        &self,
        signatures: &[Signature],
        carrier: &Carrier,
        addressed: &[u32],
    ) -> u64 {
        let members = if carrier.protocol == UDP { &self.udp } else { &self.other };
        let mut found = 0;
        for &number in addressed.iter().chain(members) {
            let Some(signature) = signatures.get(number as usize) else { continue };
            if signature.rulesets & !found != 0 && fits(signature, carrier) {
                found |= signature.rulesets;
            }
            if found & self.all == self.all {
                break;
            }
        }
        found
    }
}

/// Could a packet match that is UDP (then it has a flow) or neither that, TCP nor ICMP, of which no payload
/// is looked at, and of whose flow no payload ever was? Doubt is a yes.
fn could_match(signature: &Signature, has_flow: bool) -> bool {
    let asks_of_protocol = signature.protocol.app.is_some()
        || !signature.app_protocol_tests.is_empty()
        || !signature.events.is_empty();
    let asks_of_flow = signature.flow.present
        || !signature.flowbit_tests.is_empty()
        || !signature.flowint_tests.is_empty();
    matches!(signature.kind, Kind::LikeIpOnly | Kind::Packet | Kind::Stream)
        && !asks_of_protocol
        && (has_flow || !asks_of_flow)
        && !signature.flow.only_frag
        && signature.extra.as_ref().is_none_or(|extra| extra.stream_sizes.is_empty())
        && signature.header.iter().all(could_hold)
        && signature.buffers.iter().all(could_be_met)
}

/// Could a header test hold of such a packet?
fn could_hold(test: &HeaderTest) -> bool {
    match test {
        HeaderTest::Dsize(compare) => compare.holds(0),
        HeaderTest::TcpFlags { .. }
        | HeaderTest::TcpSeq(_)
        | HeaderTest::TcpAck(_)
        | HeaderTest::TcpWindow(..)
        | HeaderTest::TcpMss(_)
        | HeaderTest::IcmpType(_)
        | HeaderTest::IcmpCode(_)
        | HeaderTest::IcmpId(_)
        | HeaderTest::IcmpSeq(_)
        | HeaderTest::Icmpv6Mtu(_)
        | HeaderTest::FtpBounce
        | HeaderTest::Checksum { of: ChecksumOf::Tcp | ChecksumOf::Icmp, .. } => false,
        HeaderTest::Ttl(_)
        | HeaderTest::Tos(..)
        | HeaderTest::IpId(_)
        | HeaderTest::IpOption(_)
        | HeaderTest::FragBits { .. }
        | HeaderTest::FragOffset(_)
        | HeaderTest::IpProto(_)
        | HeaderTest::SameIp
        | HeaderTest::Checksum { .. }
        | HeaderTest::Rpc { .. }
        | HeaderTest::Event(_) => true,
    }
}

/// Could what is asked of a buffer be found? In an empty payload no content is.
fn could_be_met(tests: &BufferTests) -> bool {
    match tests.buffer {
        Buffer::TcpHdr | Buffer::Icmpv4Hdr | Buffer::Icmpv6Hdr => tests.tests.is_empty(),
        Buffer::Payload if tests.transforms.is_empty() => {
            !tests.tests.iter().any(|test| match test {
                Test::Content(content) => !content.negated && !content.pattern.is_empty(),
                _ => false,
            })
        }
        _ => true,
    }
}

/// Do header and `ip_proto` leave the IP protocol in?
fn asks_for(signature: &Signature, protocol: u8) -> bool {
    holds_for(signature, protocol)
        && signature.header.iter().all(|test| match test {
            HeaderTest::IpProto(compare) => compare.holds(protocol),
            _ => true,
        })
}

/// Do IP protocol and version, addresses and ports fit, as far as they are known?
fn fits(signature: &Signature, carrier: &Carrier) -> bool {
    let version = if carrier.src.is_ipv4() { 4 } else { 6 };
    // Any source port may come.
    let of_source = |set: &PortSet| set.any || carrier.dst_port.is_some();
    let of_destination =
        |set: &PortSet| set.any || carrier.dst_port.is_some_and(|port| set.contains(port));
    let straight = || {
        of_source(&signature.src_port)
            && of_destination(&signature.dst_port)
            && signature.src.contains(carrier.src)
            && signature.dst.contains(carrier.dst)
    };
    let turned = || {
        of_source(&signature.dst_port)
            && of_destination(&signature.src_port)
            && signature.src.contains(carrier.dst)
            && signature.dst.contains(carrier.src)
    };
    asks_for(signature, carrier.protocol)
        && signature.protocol.ip_version.is_none_or(|asked| asked == version)
        && (straight() || signature.bidirectional && turned())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::ruleset::Ruleset;
    use crate::ruleset::testing::{content, ports, rule, v4};
    use crate::signature::{BitModifier, Compare, FlowMatch, FlowbitTest};

    const SRC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const DST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    fn vxlan(dst_port: u16) -> Carrier {
        Carrier { src: SRC.into(), dst: DST.into(), protocol: 17, dst_port: Some(dst_port) }
    }

    const fn of(protocol: u8) -> Carrier {
        let (src, dst) = (IpAddr::V4(SRC), IpAddr::V4(DST));
        Carrier { src, dst, protocol, dst_port: None }
    }

    /// Of all and of some carriers: rule sets that ask.
    fn asked<const N: usize>(
        signatures: Vec<Signature>,
        carriers: [Carrier; N],
    ) -> (u64, [u64; N]) {
        let (ruleset, _) = Ruleset::compile(signatures, None, 1, &|_| {}).unwrap();
        let mut spare = vec![7];
        (ruleset.of_carriers(), carriers.map(|it| ruleset.of_carrier(&it, &mut spare)))
    }

    #[test]
    fn rules_that_need_a_payload_a_stream_or_another_protocol_ask_for_no_carrier() {
        let ip = || rule("ip", 1);
        let flags = HeaderTest::TcpFlags { bits: 2, modifier: BitModifier::Exact, ignored: 0 };
        let none = [
            ip().content(Buffer::Payload, b"abc"),
            rule("udp", 1).content(Buffer::Payload, b"abc"),
            rule("udp", 1).with(|s| s.header.push(HeaderTest::Dsize(Compare::Greater(0)))),
            rule("tcp", 1),
            rule("icmp", 1),
            rule("dns", 1),
            rule("dns", 1).content(Buffer::DnsQuery, b"abc"),
            ip().with(|s| s.header.push(flags)),
            ip().with(|s| s.header.push(HeaderTest::IcmpType(Compare::Equal(8)))),
            ip().with(|s| s.header.push(HeaderTest::IpProto(Compare::Equal(6)))),
        ];
        for signature in none {
            let told = asked(vec![signature.clone()], [vxlan(4789), of(47)]);
            assert_eq!(told, (0, [0, 0]), "{signature:?}");
        }
        let absent = Test::Content(crate::signature::Content { negated: true, ..content(b"abc") });
        let some = [
            ip().test(Buffer::Payload, absent),
            ip().with(|s| s.header.push(HeaderTest::Dsize(Compare::Less(9)))),
            ip().with(|s| s.header.push(HeaderTest::Ttl(Compare::Equal(9)))),
            ip().content(Buffer::IpSrc, b"abc"),
            ip(),
        ];
        for signature in some {
            let told = asked(vec![signature.clone()], [vxlan(4789), of(47)]);
            assert_eq!(told, (1, [1, 1]), "{signature:?}");
        }
    }

    #[test]
    fn without_a_flow_nobody_asks_for_one() {
        let asks: [fn(&mut Signature); 2] = [
            |s| s.flow = FlowMatch { present: true, ..FlowMatch::default() },
            |s| s.flowbit_tests.push(FlowbitTest { any_of: vec![1], negated: true }),
        ];
        for ask in asks {
            assert_eq!(asked(vec![rule("ip", 1).with(ask)], [vxlan(9), of(4)]), (1, [1, 0]));
        }
    }

    #[test]
    fn addresses_ports_and_rule_sets_tell_carriers_apart() {
        let only = |of: Ipv4Addr| v4(&[(of, of)]);
        let ttl = || HeaderTest::Ttl(Compare::Greater(9));
        let signatures = vec![
            rule("ip", 1).with(|s| (s.src, s.rulesets) = (only(DST), 1)),
            rule("ip", 2).with(|s| (s.dst, s.rulesets) = (only(DST), 2)),
            rule("udp", 3).with(|s| (s.dst_port, s.rulesets) = (ports(&[(4789, 4789)]), 4)),
            rule("udp", 4).with(|s| {
                (s.src, s.dst_port, s.rulesets) = (only(SRC), ports(&[(1, 99)]), 8);
                s.header.push(ttl());
            }),
            rule("ip", 5).with(|s| {
                (s.src, s.src_port, s.rulesets) = (only(DST), ports(&[(53, 53)]), 16);
                s.bidirectional = true;
                s.header.push(ttl());
            }),
            rule("ip", 6).with(|s| {
                (s.protocol.ip_version, s.rulesets) = (Some(6), 32);
                s.header.push(ttl());
            }),
        ];
        let carriers = [vxlan(4789), vxlan(53), vxlan(6081), of(47)];
        let (all, told) = asked(signatures, carriers);
        assert_eq!((all, told), (63, [2 | 4, 2 | 8 | 16, 2, 2]));
    }
}
