//! Tunnels of GRE: with IP, PPP or MPLS within, with Ethernet (NVGRE), and mirrored frames (ERSPAN).

use super::{Entry, TunnelKind};
use crate::link::Step;
use crate::{Config, Event, EventSet, bytes};

/// GRE: RFC 2784 and 2890 with the routing of RFC 1701, and version 1 as in PPTP (RFC 2637).
pub(super) fn entry(
    bytes: &[u8],
    at: usize,
    config: &Config,
    events: &mut EventSet,
) -> Option<Entry> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const STRICT: u16 = 0x0800;
    const RECURSION: u16 = 0x0700;
    const ACKNOWLEDGMENT: u16 = 0x0080;
    const OTHER_FLAGS: u16 = 0x00f8;

    let words = bytes::u16_at(bytes, at).zip(bytes::u16_at(bytes, at + 2));
    let Some((flags, protocol)) = words else {
        events.insert(Event::GrePktTooSmall);
        return None;
    };
    let mut end = bytes.len();
    let mut next = at + 4;
    match flags & 7 {
        0 => {
            if flags & RECURSION != 0 {
                events.insert(Event::GreVersion0Recur);
            }
            if flags & OTHER_FLAGS != 0 {
                events.insert(Event::GreVersion0Flags);
            }
            let optional = [CHECKSUM | ROUTING, KEY, SEQUENCE].map(|bit| flags & bit != 0);
            if bytes.len() < next + 4 * optional.into_iter().filter(|bit| *bit).count() {
                events.insert(Event::GreVersion0HdrTooBig);
                return None;
            }
            if flags & (CHECKSUM | ROUTING) != 0 {
                next += 4;
            }
            let mut key = 0;
            if flags & KEY != 0 {
                key = bytes::u32_at(bytes, next)?;
                next += 4;
            }
            if flags & SEQUENCE != 0 {
                next += 4;
            }
            if flags & ROUTING != 0 {
                let Some(after) = after_routing(bytes, next) else {
                    events.insert(Event::GreVersion0MalformedSreHdr);
                    return None;
                };
                next = after;
            }
            match protocol {
                0x88be if config.erspan && flags & SEQUENCE == 0 => {
                    Some(Entry::new(TunnelKind::Erspan, 0, Step::Ethernet, next, end))
                }
                0x88be if config.erspan => erspan(bytes, next, 1, events),
                0x22eb if config.erspan => erspan(bytes, next, 2, events),
                // The low byte is a hash of the flow, the two directions of which may differ.
                0x6558 if flags & KEY != 0 => {
                    Some(Entry::new(TunnelKind::Nvgre, key >> 8, Step::Ethernet, next, end))
                }
                _ => {
                    let step = Step::EtherType(protocol);
                    Some(Entry::new(TunnelKind::Gre, key, step, next, end))
                }
            }
        }
        1 => {
            let odd = [
                (flags & CHECKSUM != 0, Event::GreVersion1Chksum),
                (flags & ROUTING != 0, Event::GreVersion1Route),
                (flags & STRICT != 0, Event::GreVersion1Ssr),
                (flags & RECURSION != 0, Event::GreVersion1Recur),
                (flags & (OTHER_FLAGS & !ACKNOWLEDGMENT) != 0, Event::GreVersion1Flags),
                (flags & KEY == 0, Event::GreVersion1NoKey),
                (protocol != 0x880b, Event::GreVersion1WrongProtocol),
            ];
            for (_, event) in odd.iter().filter(|(is_so, _)| *is_so) {
                events.insert(*event);
            }
            if flags & KEY == 0 || protocol != 0x880b {
                return None;
            }
            let optional = [KEY, SEQUENCE, ACKNOWLEDGMENT].map(|bit| flags & bit != 0);
            if bytes.len() < next + 4 * optional.into_iter().filter(|bit| *bit).count() {
                events.insert(Event::GreVersion1HdrTooBig);
                return None;
            }
            let length = usize::from(bytes::u16_at(bytes, at + 4)?);
            next += 4;
            if flags & SEQUENCE != 0 {
                next += 4;
            }
            if flags & ACKNOWLEDGMENT != 0 {
                next += 4;
            }
            end = end.min(next + length);
            // The call number is the receiver's: the two directions of a call have two.
            (length > 0).then(|| Entry::new(TunnelKind::Gre, 0, Step::Ppp, next, end))
        }
        _ => {
            events.insert(Event::GreWrongVersion);
            None
        }
    }
}

/// The end of a list of source route entries.
fn after_routing(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let entry = bytes::u32_at(bytes, at)?;
        let length = entry as usize & 0xff;
        at += 4;
        if entry >> 16 == 0 && length == 0 {
            return Some(at);
        }
        at += length;
    }
}

/// ERSPAN II (version 1) and III (version 2).
fn erspan(bytes: &[u8], at: usize, version: u16, events: &mut EventSet) -> Option<Entry> {
    if bytes.len() < at + if version == 1 { 8 } else { 12 } {
        events.insert(Event::ErspanHeaderTooSmall);
        return None;
    }
    let first = bytes::u16_at(bytes, at)?;
    let session = u32::from(bytes::u16_at(bytes, at + 2)? & 0x03ff);
    if first >> 12 != version {
        events.insert(Event::ErspanUnsupportedVersion);
        return None;
    }
    let (step, next) = if version == 1 {
        (Step::Ethernet, at + 8)
    } else {
        let last = bytes::u16_at(bytes, at + 10)?;
        let step = match (last >> 10) & 0x1f {
            0 => Step::Ethernet,
            2 => Step::Ip,
            _ => return None,
        };
        (step, at + 12 + usize::from(last & 1) * 8)
    };
    let mut entry = Entry::new(TunnelKind::Erspan, session, step, next, bytes.len());
    // The mirrored frame's VLAN has been taken out of it and put here.
    if first & 0x0fff != 0 {
        entry.id.vlan[0] = first & 0x0fff;
        entry.id.vlan_count = 1;
    }
    Some(entry)
}
