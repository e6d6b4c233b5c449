//! Frames, payloads and rules for the benches of single stages, made from seeds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyperscan::PaddedBuf;
use rules::parse::{Context, Names, parse_rules};
use rules::ruleset::Ruleset;
use rules::signature::Test;
use traffic::payload::{Prose, http};
use traffic::{Envelope, Path, Random, Side, frame};
use wire::{Decoded, LinkType};

/// Bytes of payload of a full segment.
pub const FULL: usize = 1400;

/// Frames of TCP segments with full payloads, of as many connections, in an envelope.
pub fn segments(count: u16, envelope: Envelope, six: bool) -> Vec<Vec<u8>> {
    let prose = Prose::new(1);
    let mut random = Random::new(2);
    let client = |n: u16| -> IpAddr {
        let low = u32::from(n);
        match six {
            false => Ipv4Addr::from(0x0a01_0000 + low).into(),
            true => Ipv6Addr::from((0xfd00 << 112) + u128::from(low)).into(),
        }
    };
    (0..count)
        .map(|n| {
            let server = SocketAddr::new(client(n ^ 0x8000), 80);
            let path = Path::new(SocketAddr::new(client(n), 20_000), server).within(envelope);
            let header = frame::Tcp { seq: 7, ack: 9, flags: frame::tcp_flag::ACK, options: &[] };
            let mut out = Vec::new();
            let payload = prose.slice(FULL, &mut random);
            frame::tcp(&mut out, &path, Side::Client, n, &header, payload);
            out
        })
        .collect()
}

/// A UDP datagram between two IPv4 addresses that follow from `number`, decoded.
pub fn datagram(number: u32) -> Decoded {
    let (client, server) = (Ipv4Addr::from(0x0a00_0000 + number), Ipv4Addr::new(192, 0, 2, 1));
    let path = Path::new(SocketAddr::new(client.into(), 5000), SocketAddr::new(server.into(), 53));
    let mut out = Vec::new();
    frame::udp(&mut out, &path, Side::Client, 1, b"x");
    wire::decode(LinkType::Ethernet, &out, &wire::Config::default()).unwrap_or(Decoded::EMPTY)
}

/// Payloads as HTTP has them, each of a full segment: heads of requests and responses with the
/// beginning of a body, and bodies going on.
pub fn http_payloads(count: usize) -> Vec<PaddedBuf> {
    let prose = Prose::new(3);
    let mut random = Random::new(4);
    (0..count)
        .map(|n| {
            let target = format!("/articles/{}?page={}", random.below(100_000), random.below(50));
            let head = match n % 4 {
                0 => http::request_head("POST", &target, "shop.example", &[], 10_000),
                1 => http::response_head("200 OK", "text/html", 10_000),
                _ => Vec::new(),
            };
            let mut out = PaddedBuf::with_capacity(FULL);
            out.extend_from_slice(&head);
            out.extend_from_slice(prose.slice(FULL - head.len(), &mut random));
            out
        })
        .collect()
}

/// Compiles rules.
///
/// # Errors
/// One of them is refused, or they do not compile.
pub fn ruleset(text: &str) -> anyhow::Result<Ruleset> {
    let parsed =
        parse_rules("bench.rules", text.as_bytes(), &Context::default(), &mut Names::default());
    if let Some(rejection) = parsed.rejections.first() {
        anyhow::bail!("{rejection}");
    }
    Ok(Ruleset::compile(parsed.signatures, None, 1, &|_| ())?.0)
}

/// The tests of a rule's first buffer, as they are evaluated.
///
/// # Errors
/// The rule is refused or has no buffer.
pub fn tests(rule: &str) -> anyhow::Result<Vec<Test>> {
    let ruleset = ruleset(rule)?;
    let first = ruleset.signatures.into_iter().next().and_then(|s| s.buffers.into_iter().next());
    first.map(|buffer| buffer.tests).ok_or_else(|| anyhow::anyhow!("no tests in {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_what_they_are_meant_to_be() {
        let node = |n| Ipv4Addr::new(192, 168, 0, n);
        let vxlan = Envelope::Vxlan { vni: 42, client: node(1), server: node(2) };
        for (envelope, six, layers, vlans) in [
            (Envelope::Plain, false, 1, 0),
            (Envelope::Vlan(7), false, 1, 1),
            (vxlan, false, 2, 0),
            (Envelope::Plain, true, 1, 0),
        ] {
            for frame in segments(8, envelope, six) {
                let config = wire::Config::default();
                let decoded = wire::decode(LinkType::Ethernet, &frame, &config).unwrap();
                assert_eq!(usize::from(decoded.layer_count), layers);
                assert_eq!(decoded.vlans().len(), vlans);
                assert_eq!(decoded.inner().src.is_ipv6(), six);
                assert_eq!(decoded.payload_of(&frame).len(), FULL);
                assert!(!decoded.has(wire::flag::BAD_TRANSPORT_CHECKSUM));
            }
        }
    }

    #[test]
    fn every_rule_has_a_pattern_of_its_own() {
        let ruleset = ruleset(&traffic::rules::payload_rules(1000)).unwrap();
        assert_eq!(ruleset.signatures.len(), 1000);
        let group = ruleset.groups(6, 0, 80).common.unwrap();
        assert!(group.stream.as_ref().unwrap().patterns() >= 950);
    }

    #[test]
    fn made_rules_are_rules() {
        let ruleset = ruleset(&traffic::rules::rules(1, 1000)).unwrap();
        assert_eq!(ruleset.signatures.len(), 1000);
    }

    #[test]
    fn payloads_fill_a_segment() {
        assert!(http_payloads(16).iter().all(|payload| payload.len() == FULL));
    }
}
