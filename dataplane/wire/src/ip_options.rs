//! The options of an IPv4 header (RFC 791 and its successors), as far as rules can ask for them.

use crate::decoded::{flag, ip_option};
use crate::{Event, EventSet};

/// The bits of [`ip_option`] and of [`flag`] for an IPv4 header's options. After a broken one the
/// rest is not read. Of an option that comes twice the first counts.
#[cold]
pub(crate) fn parse(mut rest: &[u8], events: &mut EventSet) -> (u16, u32) {
    let mut found = 0;
    let mut flags = 0;
    if !rest.len().is_multiple_of(8) {
        events.insert(Event::Ipv4OptPadRequired);
    }
    while let [kind, tail @ ..] = rest {
        match *kind {
            0 => {
                found |= ip_option::EOL;
                break;
            }
            1 => {
                found |= ip_option::NOP;
                rest = tail;
                continue;
            }
            _ => {}
        }
        let Some(length) = tail.first().map(|length| usize::from(*length)) else {
            events.insert(Event::Ipv4OptEolRequired);
            break;
        };
        if length < 2 || length > rest.len() {
            flags |= flag::IPV4_OPTION_INVALID;
            events.insert(Event::Ipv4OptInvalidLen);
            break;
        }
        let pointer = usize::from(rest.get(2).copied().unwrap_or(0));
        let (bit, wrong) = check(*kind, length, pointer);
        if bit != ip_option::OTHER && found & bit != 0 {
            events.insert(Event::Ipv4OptDuplicate);
        } else if let Some(event) = wrong {
            events.insert(event);
            // An option that nobody knows is no reason to stop.
            if bit != ip_option::OTHER {
                flags |= flag::IPV4_OPTION_INVALID;
                break;
            }
        }
        found |= bit;
        if bit & (ip_option::LSRR | ip_option::SSRR) != 0 && pointer <= length {
            flags |= flag::ROUTED;
        }
        rest = rest.get(length..).unwrap_or(&[]);
    }
    (found, flags)
}

/// An option's bit, and what is wrong with it.
fn check(kind: u8, length: usize, pointer: usize) -> (u16, Option<Event>) {
    let exactly = |bit, wanted| (bit, (length != wanted).then_some(Event::Ipv4OptInvalidLen));
    let route = |bit| (bit, route(length, pointer));
    match kind {
        7 => route(ip_option::RR),
        131 => route(ip_option::LSRR),
        137 => route(ip_option::SSRR),
        68 => (
            ip_option::TS,
            match length {
                ..5 => Some(Event::Ipv4OptInvalidLen),
                _ if pointer < 5 || pointer > length + 1 => Some(Event::Ipv4OptMalformed),
                _ => None,
            },
        ),
        130 => exactly(ip_option::SEC, 11),
        136 => exactly(ip_option::SATID, 4),
        148 => exactly(ip_option::RTRALT, 4),
        133 => (ip_option::ESEC, (length < 3).then_some(Event::Ipv4OptInvalidLen)),
        25 => (ip_option::QS, (length < 8).then_some(Event::Ipv4OptInvalidLen)),
        134 => (ip_option::CIPSO, (length < 10).then_some(Event::Ipv4OptMalformed)),
        _ => (ip_option::OTHER, Some(Event::Ipv4OptInvalid)),
    }
}

/// What is wrong with a route option: its 1-based pointer goes to one of its addresses, or just
/// after the last.
fn route(length: usize, pointer: usize) -> Option<Event> {
    if length < 3 {
        return Some(Event::Ipv4OptInvalidLen);
    }
    let fits = pointer >= 4 && pointer.is_multiple_of(4) && pointer <= length + 1;
    (!fits).then_some(Event::Ipv4OptMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(options: &[u8]) -> Vec<Event> {
        let mut events = EventSet::EMPTY;
        parse(options, &mut events);
        events.iter().collect()
    }

    #[test]
    fn what_is_wrong_with_an_option_is_told_by_its_name() {
        assert_eq!(events(&[1, 1, 1, 1, 1, 1, 1, 0]), []);
        assert_eq!(events(&[1, 1, 1, 0]), [Event::Ipv4OptPadRequired]);
        assert_eq!(events(&[1, 1, 1, 1, 1, 1, 1, 7]), [Event::Ipv4OptEolRequired]);
        assert_eq!(events(&[7, 40, 4, 0, 0, 0, 0, 0]), [Event::Ipv4OptInvalidLen]);
        assert_eq!(events(&[7, 7, 5, 0, 0, 0, 0, 0]), [Event::Ipv4OptMalformed]);
        assert_eq!(events(&[148, 4, 0, 0, 148, 4, 0, 0]), [Event::Ipv4OptDuplicate]);
        assert_eq!(events(&[99, 4, 0, 0, 0, 0, 0, 0]), [Event::Ipv4OptInvalid]);
    }
}
