//! The extension headers of IPv6 (RFC 8200), and the authentication header of IPv4.

use crate::decoded::flag;
use crate::ip::{
    AUTHENTICATION, DESTINATION, FRAGMENT, Found, HOP_BY_HOP, NO_NEXT, ROUTING, is_extension,
};
use crate::{Event, EventSet, Fragment, IpLayer, MalformedKind, bytes};

/// Extension headers of one datagram that are gone through.
pub(crate) const MAX_EXTENSIONS: usize = 64;

const PAD_1: u8 = 0;
const PAD_N: u8 = 1;
const ROUTER_ALERT: u8 = 5;
pub(crate) const JUMBO_PAYLOAD: u8 = 0xc2;
const HOME_ADDRESS: u8 = 0xc9;

/// Which headers have come; each may come once, destination options twice.
#[derive(Default)]
struct Seen {
    hop: bool,
    routing: bool,
    fragment: bool,
    authentication: bool,
    destination: u8,
}

impl Seen {
    /// Notes a header, and tells if it was one too many.
    fn note(&mut self, protocol: u8, events: &mut EventSet) {
        let (again, event) = match protocol {
            HOP_BY_HOP => (std::mem::replace(&mut self.hop, true), Event::Ipv6ExthdrDuplHh),
            ROUTING => (std::mem::replace(&mut self.routing, true), Event::Ipv6ExthdrDuplRh),
            FRAGMENT => (std::mem::replace(&mut self.fragment, true), Event::Ipv6ExthdrDuplFh),
            AUTHENTICATION => {
                (std::mem::replace(&mut self.authentication, true), Event::Ipv6ExthdrDuplAh)
            }
            DESTINATION => {
                self.destination = self.destination.saturating_add(1);
                (self.destination > 2, Event::Ipv6ExthdrDuplDh)
            }
            _ => return,
        };
        if again {
            events.insert(event);
        }
    }
}

/// Goes through the extension headers of the header at `header`, and leaves protocol, payload and
/// fragment in `found`.
pub(crate) fn parse(
    bytes: &[u8],
    header: usize,
    end: usize,
    found: &mut Found<'_>,
    events: &mut EventSet,
) -> Result<(), MalformedKind> {
    let done = walk(bytes, header, end, found, events);
    match done {
        Err(MalformedKind::ExtensionHeader) => events.insert(Event::Ipv6TruncExthdr),
        Err(MalformedKind::Fragment) => events.insert(Event::Ipv6FragPktTooLarge),
        _ => {}
    }
    done
}

fn walk(
    bytes: &[u8],
    header: usize,
    end: usize,
    found: &mut Found<'_>,
    events: &mut EventSet,
) -> Result<(), MalformedKind> {
    let cut = MalformedKind::ExtensionHeader;
    let bytes = bytes.get(..end).ok_or(cut)?;
    let mut protocol = found.layer.protocol;
    let mut protocol_at = header + 6;
    let mut at = header + 40;
    let mut seen = Seen::default();
    found.flags |= flag::EXTENSIONS;
    for _ in 0..MAX_EXTENSIONS {
        found.layer.protocol = protocol;
        found.layer.payload = at as u32;
        if !is_extension(protocol) {
            // After an extension header there has to be something, as Suricata has it.
            let missing = protocol != NO_NEXT && end - at < 2;
            return if missing { Err(cut) } else { Ok(()) };
        }
        seen.note(protocol, events);
        let head: [u8; 8] = bytes::array_at(bytes, at).ok_or(cut)?;
        let next = head[0];
        let after = match protocol {
            FRAGMENT => {
                let field = u16::from_be_bytes([head[2], head[3]]);
                if head[1] != 0 {
                    events.insert(Event::Ipv6FhNonZeroReservedField);
                }
                found.layer.id = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                if field & 0xfff9 != 0 {
                    return fragment(field, next, at, end, protocol_at, found, events);
                }
                found.flags |= flag::ATOMIC_FRAGMENT;
                events.insert(Event::Ipv6ExthdrUselessFh);
                at + 8
            }
            AUTHENTICATION => {
                if head[2] != 0 || head[3] != 0 {
                    events.insert(Event::Ipv6ExthdrAhResNotNull);
                }
                authentication(bytes, at, end)?.1
            }
            _ => at + 8 + usize::from(head[1]) * 8,
        };
        let body = bytes.get(at..after).ok_or(cut)?;
        match protocol {
            HOP_BY_HOP | DESTINATION => options(body, protocol == HOP_BY_HOP, events),
            ROUTING if head[2] == 0 => events.insert(Event::Ipv6RhType0),
            _ => {}
        }
        // Segments that are left, or a home address (RFC 6275): the pseudo-header is another one.
        if (protocol == ROUTING && head[3] != 0)
            || (protocol == DESTINATION && option_of(body, HOME_ADDRESS).is_some())
        {
            found.flags |= flag::ROUTED;
        }
        protocol = next;
        protocol_at = at;
        at = after;
    }
    events.insert(Event::TooManyLayers);
    Err(MalformedKind::ExtensionCount)
}

/// The fragment header at `at` is that of a part of a datagram.
fn fragment(
    field: u16,
    next: u8,
    at: usize,
    end: usize,
    protocol_at: usize,
    found: &mut Found<'_>,
    events: &mut EventSet,
) -> Result<(), MalformedKind> {
    let offset = u32::from(field & 0xfff8);
    let more = field & 1 != 0;
    let payload = at + 8;
    if more && !(end - payload).is_multiple_of(8) {
        events.insert(Event::Ipv6FragInvalidLength);
    }
    found.layer.payload = payload as u32;
    found.layer.fragment_bits = u8::from(more) * IpLayer::MF;
    found.layer.fragment_offset = field >> 3;
    if offset as usize + (end - payload) > usize::from(u16::MAX) {
        return Err(MalformedKind::Fragment);
    }
    found.layer.protocol = next;
    found.fragment = Some(Fragment {
        id: found.layer.id,
        offset,
        more,
        protocol: next,
        unfragmentable_end: at as u32,
        protocol_at: protocol_at as u32,
    });
    Ok(())
}

/// Notes what is odd about the options of a hop-by-hop or destination options header.
fn options(header: &[u8], hop_by_hop: bool, events: &mut EventSet) {
    let (only_padding, unknown) = if hop_by_hop {
        (Event::Ipv6HopoptsOnlyPadding, Event::Ipv6HopoptsUnknownOpt)
    } else {
        (Event::Ipv6DstoptsOnlyPadding, Event::Ipv6DstoptsUnknownOpt)
    };
    let (mut padding, mut others) = (false, false);
    let mut rest = header.get(2..).unwrap_or(&[]);
    while let [kind, tail @ ..] = rest {
        if *kind == PAD_1 {
            padding = true;
            rest = tail;
            continue;
        }
        let split = tail
            .split_first()
            .and_then(|(length, value)| value.split_at_checked(usize::from(*length)));
        let Some((value, after)) = split else {
            events.insert(Event::Ipv6ExthdrInvalidOptlen);
            return;
        };
        let wanted = match *kind {
            PAD_N => {
                padding = true;
                if value.is_empty() {
                    events.insert(Event::Ipv6ZeroLenPadn);
                }
                value.len()
            }
            ROUTER_ALERT => 2,
            JUMBO_PAYLOAD => 4,
            HOME_ADDRESS => 16,
            _ => {
                events.insert(unknown);
                value.len()
            }
        };
        others |= *kind != PAD_N;
        if value.len() != wanted {
            events.insert(Event::Ipv6ExthdrInvalidOptlen);
            return;
        }
        rest = after;
    }
    if padding && !others {
        events.insert(only_padding);
    }
}

/// The protocol after an authentication header at `at`, and where it begins (RFC 4302).
pub(crate) fn authentication(
    bytes: &[u8],
    at: usize,
    end: usize,
) -> Result<(u8, usize), MalformedKind> {
    let head: [u8; 2] = bytes::array_at(bytes, at).ok_or(MalformedKind::ExtensionHeader)?;
    let after = at + ((usize::from(head[1]) + 2) * 4).max(12);
    if after > end { Err(MalformedKind::ExtensionHeader) } else { Ok((head[0], after)) }
}

/// The payload length of a jumbogram (RFC 2675) in the hop-by-hop header at `at`.
#[cold]
pub(crate) fn jumbo_length(bytes: &[u8], at: usize) -> Option<usize> {
    let length = 8 + usize::from(bytes::u8_at(bytes, at + 1)?) * 8;
    let option = option_of(bytes.get(at..at + length)?, JUMBO_PAYLOAD)?;
    let length = bytes::u32_at(option, 0).filter(|length| *length > u32::from(u16::MAX))?;
    usize::try_from(length).ok()
}

/// The value of the first option of this kind in a hop-by-hop or destination options header.
fn option_of(header: &[u8], kind: u8) -> Option<&[u8]> {
    let mut rest = header.get(2..)?;
    while let [this, tail @ ..] = rest {
        if *this == PAD_1 {
            rest = tail;
            continue;
        }
        let (length, value) = tail.split_first()?;
        let (value, after) = value.split_at_checked(usize::from(*length))?;
        if *this == kind {
            return Some(value);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Ip;
    use crate::ip::UDP;
    use crate::{Config, Decoded, LinkType, decode_into};

    fn events(extensions: Vec<(u8, Vec<u8>)>) -> Vec<Event> {
        let packet = Ip { extensions, ..Ip::new("fd00::1", "fd00::2") }.udp(1, 2, b"abc");
        events_of(&packet)
    }

    fn events_of(packet: &[u8]) -> Vec<Event> {
        let mut decoded = Decoded::EMPTY;
        let _ = decode_into(LinkType::RawIp, packet, &Config::default(), &mut decoded);
        decoded.events.iter().collect()
    }

    #[test]
    fn odd_options_are_told() {
        let hop = |options: [u8; 6]| (HOP_BY_HOP, [vec![0, 0], options.to_vec()].concat());
        assert_eq!(events(vec![hop([5, 2, 0, 0, 1, 0])]), [Event::Ipv6ZeroLenPadn]);
        assert_eq!(events(vec![hop([1, 4, 0, 0, 0, 0])]), [Event::Ipv6HopoptsOnlyPadding]);
        assert_eq!(events(vec![hop([0x1e, 4, 0, 0, 0, 0])]), [Event::Ipv6HopoptsUnknownOpt]);
        assert_eq!(events(vec![hop([5, 9, 0, 0, 0, 0])]), [Event::Ipv6ExthdrInvalidOptlen]);
        let (_, options) = hop([1, 4, 0, 0, 0, 0]);
        assert_eq!(events(vec![(DESTINATION, options)]), [Event::Ipv6DstoptsOnlyPadding]);
    }

    #[test]
    fn headers_that_come_too_often_or_are_of_no_use_are_told() {
        let alert = (HOP_BY_HOP, vec![0, 0, 5, 2, 0, 0, 0, 0]);
        let routing = (ROUTING, vec![0; 8]);
        let fragment = (FRAGMENT, vec![0, 7, 0, 0, 0, 0, 0, 9]);
        assert!(events(vec![alert; 2]).contains(&Event::Ipv6ExthdrDuplHh));
        assert_eq!(events(vec![routing]), [Event::Ipv6RhType0]);
        let found = events(vec![fragment; 2]);
        for event in
            [Event::Ipv6ExthdrDuplFh, Event::Ipv6ExthdrUselessFh, Event::Ipv6FhNonZeroReservedField]
        {
            assert!(found.contains(&event), "{event:?}");
        }
        let other = (DESTINATION, vec![0, 0, 0x1e, 4, 0, 0, 0, 0]);
        assert_eq!(events(vec![other.clone(); 2]), [Event::Ipv6DstoptsUnknownOpt]);
        assert!(events(vec![other; 3]).contains(&Event::Ipv6ExthdrDuplDh));
    }

    #[test]
    fn a_refused_datagram_tells_its_addresses_and_events() {
        let ip = Ip {
            extensions: vec![(FRAGMENT, vec![0, 0, 0, 0, 0, 0, 0, 9])],
            ..Ip::new("fd00::1", "fd00::2")
        };
        let packet = ip.datagram(UDP, b"");
        let mut decoded = Decoded::EMPTY;
        let done = decode_into(LinkType::RawIp, &packet, &Config::default(), &mut decoded);
        assert_eq!(done, Err(MalformedKind::ExtensionHeader.into()));
        assert!(decoded.has(flag::REFUSED) && decoded.layer_count == 1);
        assert_eq!((decoded.inner().src, decoded.inner().dst), (ip.src, ip.dst));
        let found = events_of(&packet);
        assert!(found.contains(&Event::Ipv6ExthdrUselessFh), "{found:?}");
        assert!(found.contains(&Event::Ipv6TruncExthdr), "{found:?}");
        // Cut off within the addresses, nobody is known.
        let done = decode_into(LinkType::Ipv6, &packet[..39], &Config::default(), &mut decoded);
        assert!(done.is_err() && decoded.layer_count == 0);
        assert_eq!(decoded.events.iter().collect::<Vec<_>>(), [Event::Ipv6PktTooSmall]);
    }

    #[test]
    fn a_fragment_of_odd_length_that_is_not_the_last_is_told() {
        let ip = Ip::new("fd00::1", "fd00::2");
        let mut part = ip.fragments(1, UDP, &[0; 64], 32).remove(0);
        assert_eq!(events_of(&part), []);
        part.pop();
        let length = (part.len() - 40) as u16;
        part[4..6].copy_from_slice(&length.to_be_bytes());
        assert_eq!(events_of(&part), [Event::Ipv6FragInvalidLength]);
    }
}
