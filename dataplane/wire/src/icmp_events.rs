//! What is odd about ICMP and ICMPv6 messages: types and codes that nobody has assigned, and quoted
//! packets that are none.

use crate::{Event, EventSet, Icmp};

/// The highest code of an ICMP type (RFC 792, 950, 1256, 1393, 1812, 4884); `None` for types that
/// are not assigned.
const fn highest_code_v4(kind: u8) -> Option<u8> {
    Some(match kind {
        0 | 4 | 8 | 10 | 13..=18 => 0,
        3 => 15,
        5 => 3,
        9 => 16,
        11 => 1,
        12 => 2,
        _ => return None,
    })
}

/// The highest code of an ICMPv6 type (RFC 4443 and the registry).
const fn highest_code_v6(kind: u8) -> Option<u8> {
    Some(match kind {
        1 => 6,
        2 | 128..=137 | 141..=149 | 151..=154 => 0,
        3 => 1,
        4 => 2,
        138 => 255,
        139 | 140 => 2,
        _ => return None,
    })
}

/// Notes what is odd about an ICMP message; `body` is what follows its header.
pub(crate) fn v4(icmp: &Icmp, body: &[u8], events: &mut EventSet) {
    match highest_code_v4(icmp.kind) {
        None => events.insert(Event::Icmpv4UnknownType),
        Some(highest) if icmp.code > highest => events.insert(Event::Icmpv4UnknownCode),
        Some(_) => {}
    }
    if Icmp::is_error(icmp.kind, 4) && !body.is_empty() {
        if body.len() < 20 {
            events.insert(Event::Icmpv4Ipv4TruncPkt);
        } else if body[0] >> 4 != 4 {
            events.insert(Event::Icmpv4Ipv4UnknownVer);
        }
    }
}

/// Notes what is odd about an ICMPv6 message that came with this hop limit.
pub(crate) fn v6(icmp: &Icmp, hop_limit: u8, body: &[u8], events: &mut EventSet) {
    match highest_code_v6(icmp.kind) {
        Some(highest) if icmp.code > highest => events.insert(Event::Icmpv6UnknownCode),
        Some(_) => {}
        None => events.insert(match icmp.kind {
            100 | 101 | 200 | 201 => Event::Icmpv6ExperimentationType,
            5..=99 | 102..=126 | 160..=199 | 202..=254 => Event::Icmpv6UnassignedType,
            _ => Event::Icmpv6UnknownType,
        }),
    }
    // RFC 2710, 3: a listener's message never leaves its link.
    if matches!(icmp.kind, 130..=132) && hop_limit != 1 {
        events.insert(Event::Icmpv6MldMessageWithInvalidHl);
    }
    if Icmp::is_error(icmp.kind, 6) && !body.is_empty() {
        if body.len() < 40 {
            events.insert(Event::Icmpv6Ipv6TruncPkt);
        } else if body[0] >> 4 != 6 {
            events.insert(Event::Icmpv6Ipv6UnknownVersion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Ip;
    use crate::{Config, LinkType, decode};

    fn events(packet: &[u8]) -> Vec<Event> {
        let decoded = decode(LinkType::RawIp, packet, &Config::default());
        decoded.map(|decoded| decoded.events.iter().collect()).unwrap_or_default()
    }

    #[test]
    fn types_and_codes_that_are_not_assigned_are_told() {
        let v4 = Ip::new("10.0.0.1", "10.0.0.2");
        assert_eq!(events(&v4.icmp(8, 0, 1, b"ping")), []);
        assert_eq!(events(&v4.icmp(8, 1, 1, b"ping")), [Event::Icmpv4UnknownCode]);
        assert_eq!(events(&v4.icmp(77, 0, 1, b"ping")), [Event::Icmpv4UnknownType]);
        let v6 = Ip::new("fd00::1", "fd00::2");
        assert_eq!(events(&v6.icmp(128, 0, 1, b"ping")), []);
        assert_eq!(events(&v6.icmp(128, 1, 1, b"ping")), [Event::Icmpv6UnknownCode]);
        assert_eq!(events(&v6.icmp(100, 0, 1, b"ping")), [Event::Icmpv6ExperimentationType]);
        assert_eq!(events(&v6.icmp(50, 0, 1, b"ping")), [Event::Icmpv6UnassignedType]);
        assert_eq!(events(&v6.icmp(131, 0, 1, &[0; 16])), [Event::Icmpv6MldMessageWithInvalidHl]);
    }

    #[test]
    fn quoted_packets_that_are_none_are_told() {
        let v4 = Ip::new("10.0.0.1", "10.0.0.2");
        let quoted = v4.udp(1, 2, b"abc");
        assert_eq!(events(&v4.icmp(3, 1, 0, &quoted)), []);
        assert_eq!(events(&v4.icmp(3, 1, 0, &quoted[..19])), [Event::Icmpv4Ipv4TruncPkt]);
        assert_eq!(events(&v4.icmp(3, 1, 0, &[0x60; 28])), [Event::Icmpv4Ipv4UnknownVer]);
        let v6 = Ip::new("fd00::1", "fd00::2");
        assert_eq!(events(&v6.icmp(1, 1, 0, &[0x60; 39])), [Event::Icmpv6Ipv6TruncPkt]);
        assert_eq!(events(&v6.icmp(1, 1, 0, &[0x40; 40])), [Event::Icmpv6Ipv6UnknownVersion]);
    }
}
