//! Link layers: which first header a captured packet has, and the way from there to IP.

use crate::decoded::flag;
use crate::{Event, EventSet, MalformedKind, Reject, bytes};

/// The link layer of a capture, by the pcap `LINKTYPE_` registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum LinkType {
    /// Ethernet II, or 802.3 with LLC (1).
    #[default]
    Ethernet = 0,
    /// IPv4 or IPv6 without a link header (101; 12 and 14 on some systems).
    RawIp = 1,
    /// IPv4 without a link header (228).
    Ipv4 = 2,
    /// IPv6 without a link header (229).
    Ipv6 = 3,
    /// BSD loopback: an address family of 4 bytes in either byte order (0 and 108).
    Null = 4,
    /// Linux "cooked" capture (113).
    LinuxSll = 5,
    /// Linux "cooked" capture, version 2 (276).
    LinuxSll2 = 6,
    /// PPP, with or without address and control bytes (9 and 50).
    Ppp = 7,
    /// PPPoE session packets without their Ethernet header (51).
    PppEther = 8,
    /// Cisco HDLC (104).
    Chdlc = 9,
}

impl LinkType {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 10] = [
        Self::Ethernet,
        Self::RawIp,
        Self::Ipv4,
        Self::Ipv6,
        Self::Null,
        Self::LinuxSll,
        Self::LinuxSll2,
        Self::Ppp,
        Self::PppEther,
        Self::Chdlc,
    ];

    /// From the link type in a capture file's header; `None` for those that cannot be read.
    pub const fn from_dlt(dlt: u32) -> Option<Self> {
        Some(match dlt {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 => Self::RawIp,
            51 => Self::PppEther,
            104 => Self::Chdlc,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }

    /// The `LINKTYPE_` value that a capture file's header would have.
    pub const fn dlt(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::RawIp => 101,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::Null => 0,
            Self::LinuxSll => 113,
            Self::LinuxSll2 => 276,
            Self::Ppp => 9,
            Self::PppEther => 51,
            Self::Chdlc => 104,
        }
    }

    /// The inverse of `as u8`, for link types that travel in a packet buffer's metadata.
    #[inline]
    pub const fn from_index(index: u8) -> Option<Self> {
        if (index as usize) < Self::ALL.len() { Some(Self::ALL[index as usize]) } else { None }
    }
}

/// What comes next, at some offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// An Ethernet header.
    Ethernet,
    /// What an Ethernet type names.
    EtherType(u16),
    /// PPP, from the address or the protocol field on.
    Ppp,
    /// The six bytes of a PPPoE session header (RFC 2516).
    Pppoe,
    /// Cisco HDLC.
    Chdlc,
    /// BSD loopback.
    Null,
    /// Linux cooked, version 1.
    Sll,
    /// Linux cooked, version 2.
    Sll2,
    /// An MPLS label stack entry (RFC 3032).
    Mpls,
    /// A network service header (RFC 8300).
    Nsh,
    /// IP of whatever version it says.
    Ip,
    /// IPv4 and nothing else.
    Ipv4,
    /// IPv6 and nothing else.
    Ipv6,
}

impl From<LinkType> for Step {
    fn from(link: LinkType) -> Self {
        match link {
            LinkType::Ethernet => Self::Ethernet,
            LinkType::RawIp => Self::Ip,
            LinkType::Ipv4 => Self::Ipv4,
            LinkType::Ipv6 => Self::Ipv6,
            LinkType::Null => Self::Null,
            LinkType::LinuxSll => Self::Sll,
            LinkType::LinuxSll2 => Self::Sll2,
            LinkType::Ppp => Self::Ppp,
            LinkType::PppEther => Self::Pppoe,
            LinkType::Chdlc => Self::Chdlc,
        }
    }
}

/// What links leave behind on the way to IP.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    /// VLAN ids, outer-most first.
    pub(crate) vlan: [u16; crate::MAX_VLANS],
    /// How many of them.
    pub(crate) count: u8,
    /// Flags of [`crate::Decoded::flags`].
    pub(crate) flags: u32,
    /// A VN-tag was gone through.
    pub(crate) vntag: bool,
}

impl Tags {
    /// Keeps the id of one more tag, if there is room for it.
    pub(crate) fn push(&mut self, id: u16) {
        match self.vlan.get_mut(usize::from(self.count)) {
            Some(place) => {
                *place = id & 0x0fff;
                self.count += 1;
            }
            None => self.flags |= flag::VLAN_OVERFLOW,
        }
    }
}

/// Goes from `step` at `at` to an IP header, and says of which version and where. Every header
/// costs one of `budget`.
#[inline]
pub(crate) fn to_ip(
    bytes: &[u8],
    mut step: Step,
    mut at: usize,
    tags: &mut Tags,
    budget: &mut u8,
    events: &mut EventSet,
) -> Result<(u8, usize), Reject> {
    loop {
        let Some(left) = budget.checked_sub(1) else {
            events.insert(Event::TooManyLayers);
            return Err(MalformedKind::TooDeep.into());
        };
        *budget = left;
        (step, at) = match step {
            Step::Ethernet => {
                let Some(ether_type) = bytes::u16_at(bytes, at + 12) else {
                    events.insert(Event::EthernetPktTooSmall);
                    return Err(MalformedKind::Link.into());
                };
                match ether_type {
                    0x0800 => return Ok((4, at + 14)),
                    0x86dd => return Ok((6, at + 14)),
                    0x0000..0x0600 => (Step::EtherType(llc(bytes, at + 14)?), at + 22),
                    _ => (Step::EtherType(ether_type), at + 14),
                }
            }
            Step::EtherType(0x0800) | Step::Ipv4 => return Ok((4, at)),
            Step::EtherType(0x86dd) | Step::Ipv6 => return Ok((6, at)),
            Step::Ip => {
                let first = bytes::u8_at(bytes, at).ok_or(MalformedKind::Truncated)?;
                return Ok((first >> 4, at));
            }
            other => match one(bytes, other, at, tags, events) {
                Ok(next) => next,
                Err(reject) => {
                    note(other, reject, tags, events);
                    return Err(reject);
                }
            },
        };
    }
}

/// The event of a step that could not be taken.
#[cold]
fn note(step: Step, reject: Reject, tags: &Tags, events: &mut EventSet) {
    let cut = matches!(reject, Reject::Malformed(_));
    let event = match step {
        Step::EtherType(0x8100 | 0x88a8 | 0x9100 | 0x9200) if cut => Event::VlanHeaderTooSmall,
        Step::EtherType(0x8926) if cut => Event::VntagHeaderTooSmall,
        Step::EtherType(0x88e7) if cut => Event::Ieee8021ahHeaderTooSmall,
        Step::EtherType(0x8903) if cut => Event::DcePktTooSmall,
        Step::EtherType(_) if !cut && tags.vntag => Event::VntagUnknownType,
        Step::EtherType(_) if !cut && tags.count > 0 => Event::VlanUnknownType,
        Step::Mpls if cut => Event::MplsHeaderTooSmall,
        Step::Mpls => Event::MplsUnknownPayloadType,
        Step::Nsh if cut => Event::NshHeaderTooSmall,
        Step::Nsh => Event::NshUnsupportedType,
        Step::Ppp if cut => Event::PppPktTooSmall,
        Step::Ppp => Event::PppUnsupProto,
        Step::Pppoe if cut => Event::PppoePktTooSmall,
        Step::Pppoe => Event::PppoeWrongCode,
        Step::Chdlc if cut => Event::ChdlcPktTooSmall,
        Step::Null if cut => Event::LtnullPktTooSmall,
        Step::Null => Event::LtnullUnsupportedType,
        Step::Sll | Step::Sll2 if cut => Event::SllPktTooSmall,
        _ => return,
    };
    events.insert(event);
}

/// The Ethernet type within an 802.3 frame's LLC and SNAP headers (RFC 1042).
fn llc(bytes: &[u8], at: usize) -> Result<u16, Reject> {
    let head: [u8; 8] = bytes::array_at(bytes, at).ok_or(Reject::NonIp)?;
    match head {
        [0xaa, 0xaa, 0x03, 0, 0, 0, high, low] => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Reject::NonIp),
    }
}

/// One of the less usual steps.
fn one(
    bytes: &[u8],
    step: Step,
    at: usize,
    tags: &mut Tags,
    events: &mut EventSet,
) -> Result<(Step, usize), Reject> {
    let word = |at| bytes::u32_at(bytes, at).ok_or(Reject::Malformed(MalformedKind::Link));
    Ok(match step {
        Step::EtherType(ether_type) => match ether_type {
            // 802.1Q, 802.1ad and what QinQ was before it.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let tag = word(at)?;
                tags.push((tag >> 16) as u16);
                if tags.flags & flag::VLAN_OVERFLOW != 0 {
                    events.insert(Event::VlanTooManyLayers);
                }
                // Some stacks put a length and LLC after the tag.
                match tag as u16 {
                    0x0000..0x0600 => (Step::EtherType(llc(bytes, at + 4)?), at + 12),
                    inner => (Step::EtherType(inner), at + 4),
                }
            }
            0x8847 | 0x8848 => (Step::Mpls, at),
            0x8864 => (Step::Pppoe, at),
            0x880b => (Step::Ppp, at),
            0x6558 => (Step::Ethernet, at),
            // 802.1ah: a service tag, and then the customer's frame.
            0x88e7 => {
                word(at)?;
                (Step::Ethernet, at + 4)
            }
            // Cisco FabricPath: the tag's two bytes, and then the frame.
            0x8903 => (Step::Ethernet, at + 2),
            // VN-Tag.
            0x8926 => {
                tags.vntag = true;
                (Step::EtherType(word(at + 2)? as u16), at + 6)
            }
            // 802.1BR: six bytes of E-tag.
            0x893f => (Step::EtherType(word(at + 4)? as u16), at + 8),
            0x894f => (Step::Nsh, at),
            _ => return Err(Reject::NonIp),
        },
        Step::Mpls => {
            tags.flags |= flag::MPLS;
            let entry = word(at)?;
            if entry & 0x100 == 0 {
                (Step::Mpls, at + 4)
            } else {
                match entry >> 12 {
                    1 => events.insert(Event::MplsBadLabelRouterAlert),
                    3 => events.insert(Event::MplsBadLabelImplicitNull),
                    4..16 => events.insert(Event::MplsBadLabelReserved),
                    _ => {}
                }
                // The bottom of the stack says nothing of what is below: the first nibble does.
                match bytes::u8_at(bytes, at + 4).ok_or(MalformedKind::Link)? >> 4 {
                    4 => (Step::Ipv4, at + 4),
                    6 => (Step::Ipv6, at + 4),
                    // RFC 4448: the control word of an Ethernet pseudowire.
                    0 => (Step::Ethernet, at + 8),
                    _ => return Err(Reject::NonIp),
                }
            }
        }
        Step::Nsh => {
            let base = word(at)?;
            let after = at + ((base >> 16) as usize & 0x3f) * 4;
            match base as u8 {
                1 => (Step::Ipv4, after),
                2 => (Step::Ipv6, after),
                3 => (Step::Ethernet, after),
                4 => (Step::Nsh, after),
                5 => (Step::Mpls, after),
                _ => return Err(Reject::NonIp),
            }
        }
        Step::Ppp => ppp(bytes, at)?,
        Step::Pppoe => match word(at)? >> 16 {
            0x1100 => (Step::Ppp, at + 6),
            // Discovery and its relatives.
            0x1101..=0x11ff => return Err(Reject::NonIp),
            _ => return Err(MalformedKind::Link.into()),
        },
        Step::Chdlc => (Step::EtherType(word(at)? as u16), at + 4),
        Step::Null => {
            let family = word(at)?;
            // The capturing host's byte order, and address families are small numbers.
            let family = if family > 0xffff { family.swap_bytes() } else { family };
            match family {
                2 => (Step::Ipv4, at + 4),
                // Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
                10 | 24 | 28 | 30 => (Step::Ipv6, at + 4),
                _ => return Err(Reject::NonIp),
            }
        }
        Step::Sll => (Step::EtherType(word(at + 12)? as u16), at + 16),
        Step::Sll2 => (Step::EtherType((word(at)? >> 16) as u16), at + 20),
        Step::Ethernet | Step::Ip | Step::Ipv4 | Step::Ipv6 => (step, at),
    })
}

/// PPP (RFC 1661, 1662), with or without address and control, the protocol compressed or not.
fn ppp(bytes: &[u8], mut at: usize) -> Result<(Step, usize), Reject> {
    if let Some([0xff, 0x03]) = bytes::array_at(bytes, at) {
        at += 2;
    }
    let first = bytes::u8_at(bytes, at).ok_or(MalformedKind::Link)?;
    let (protocol, at) = if first & 1 == 1 {
        (u16::from(first), at + 1)
    } else {
        (bytes::u16_at(bytes, at).ok_or(MalformedKind::Link)?, at + 2)
    };
    match protocol {
        0x0021 => Ok((Step::Ipv4, at)),
        0x0057 => Ok((Step::Ipv6, at)),
        0x0281 | 0x0283 => Ok((Step::Mpls, at)),
        _ => Err(Reject::NonIp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip};
    use crate::{Config, Decoded, decode};

    fn v4() -> Vec<u8> {
        Ip::new("10.0.0.1", "10.0.0.2").udp(1, 2, b"abc")
    }

    fn v6() -> Vec<u8> {
        Ip::new("fd00::1", "fd00::2").udp(1, 2, b"abc")
    }

    fn read(link: LinkType, header: &[u8], datagram: &[u8]) -> Result<Decoded, Reject> {
        let packet = [header, datagram].concat();
        let decoded = decode(link, &packet, &Config::default())?;
        assert_eq!(decoded.payload_of(&packet), b"abc");
        Ok(decoded)
    }

    #[test]
    fn link_types_are_known_by_their_number() {
        for (index, link) in LinkType::ALL.into_iter().enumerate() {
            assert_eq!(LinkType::from_dlt(u32::from(link.dlt())), Some(link));
            assert_eq!(LinkType::from_index(index as u8), Some(link));
            assert_eq!(link as usize, index);
        }
        assert_eq!(LinkType::from_index(LinkType::ALL.len() as u8), None);
        let others = [(12, LinkType::RawIp), (14, LinkType::RawIp), (108, LinkType::Null)];
        for (dlt, link) in others {
            assert_eq!(LinkType::from_dlt(dlt), Some(link));
        }
        assert_eq!(LinkType::from_dlt(105), None);
    }

    #[test]
    fn every_link_type_leads_to_ip() {
        let sll = |proto: u16| [vec![0; 14], proto.to_be_bytes().to_vec()].concat();
        let sll2 = |proto: u16| [proto.to_be_bytes().to_vec(), vec![0; 18]].concat();
        let pppoe = [0x11, 0, 0, 1, 0, 33, 0, 0x21];
        let cases: &[(LinkType, Vec<u8>, Vec<u8>)] = &[
            (LinkType::RawIp, vec![], v4()),
            (LinkType::RawIp, vec![], v6()),
            (LinkType::Ipv4, vec![], v4()),
            (LinkType::Ipv6, vec![], v6()),
            (LinkType::Null, vec![2, 0, 0, 0], v4()),
            (LinkType::Null, vec![0, 0, 0, 2], v4()),
            (LinkType::Null, vec![30, 0, 0, 0], v6()),
            (LinkType::Null, vec![0, 0, 0, 24], v6()),
            (LinkType::LinuxSll, sll(0x0800), v4()),
            (LinkType::LinuxSll, sll(0x86dd), v6()),
            (LinkType::LinuxSll2, sll2(0x0800), v4()),
            (LinkType::LinuxSll2, sll2(0x86dd), v6()),
            (LinkType::Ppp, vec![0xff, 0x03, 0x00, 0x21], v4()),
            (LinkType::Ppp, vec![0x00, 0x57], v6()),
            (LinkType::Ppp, vec![0x21], v4()),
            (LinkType::Ppp, vec![0xff, 0x03, 0x57], v6()),
            (LinkType::PppEther, pppoe.to_vec(), v4()),
            (LinkType::Chdlc, vec![0x0f, 0, 0x08, 0], v4()),
            (LinkType::Chdlc, vec![0x0f, 0, 0x86, 0xdd], v6()),
        ];
        for (link, header, datagram) in cases {
            let decoded = read(*link, header, datagram);
            let header_len = header.len() as u32;
            assert_eq!(decoded.map(|d| d.inner().header), Ok(header_len), "{link:?} {header:?}");
        }
    }

    #[test]
    fn ethernet_types_lead_to_ip() {
        let mac = [2u8; 12];
        let snap = |ty: u16| {
            let mut header = [&mac[..], &[0, 39, 0xaa, 0xaa, 3, 0, 0, 0]].concat();
            header.extend(ty.to_be_bytes());
            header
        };
        let with = |rest: &[u8]| [&mac[..], rest].concat();
        let cases = [
            (snap(0x0800), v4()),
            (snap(0x86dd), v6()),
            (with(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, 0x21]), v4()),
            (with(&[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64]), v4()),
            (with(&[0x88, 0x48, 0, 2, 1, 64]), v6()),
            (with(&[&[0x88, 0x47, 0, 2, 1, 64, 0, 0, 0, 0][..], &mac, &[8, 0]].concat()), v4()),
            (with(&[&[0x88, 0xe7, 0, 0, 0, 1][..], &mac, &[8, 0]].concat()), v4()),
            (with(&[&[0x89, 0x03, 0, 1][..], &mac, &[8, 0]].concat()), v4()),
            (with(&[0x89, 0x26, 0, 0, 0, 0, 8, 0]), v4()),
            (with(&[0x89, 0x3f, 0, 0, 0, 0, 0, 0, 8, 0]), v4()),
            (with(&[0x89, 0x4f, 0, 0x02, 1, 2, 0, 0, 1, 1]), v6()),
        ];
        for (header, datagram) in &cases {
            let decoded = read(LinkType::Ethernet, header, datagram);
            assert!(decoded.is_ok(), "{header:x?}: {decoded:?}");
        }
    }

    #[test]
    fn vlans_are_kept_outermost_first_and_twelve_bits_wide() {
        let frame = builder::frame(&v4());
        let one = builder::vlan(0x8100, 0xe00a, &frame);
        let three = builder::vlan(0x9100, 1, &builder::vlan(0x88a8, 2, &one));
        let decoded = decode(LinkType::Ethernet, &three, &Config::default()).unwrap();
        assert_eq!(decoded.vlans(), [1, 2, 10]);
        assert!(!decoded.has(flag::VLAN_OVERFLOW));
        let four = builder::vlan(0x8100, 7, &three);
        let decoded = decode(LinkType::Ethernet, &four, &Config::default()).unwrap();
        assert_eq!(decoded.vlans(), [7, 1, 2]);
        assert!(decoded.has(flag::VLAN_OVERFLOW));
    }

    #[test]
    fn what_is_not_ip_is_told_from_what_is_broken() {
        let decode = |bytes: &[u8]| decode(LinkType::Ethernet, bytes, &Config::default());
        assert_eq!(decode(&builder::ethernet(0x0806, &[0; 28])), Err(Reject::NonIp));
        assert_eq!(decode(&builder::ethernet(0x0026, &[0x42; 38])), Err(Reject::NonIp));
        assert_eq!(decode(&builder::ethernet(0x8863, &[0x11, 9, 0, 0])), Err(Reject::NonIp));
        assert_eq!(decode(&[0; 13]), Err(MalformedKind::Link.into()));
        assert_eq!(decode(&builder::ethernet(0x8100, &[0; 3])), Err(MalformedKind::Link.into()));
    }

    #[test]
    fn tags_without_end_are_too_deep() {
        let mut frame = builder::frame(&v4());
        for _ in 0..20 {
            frame = builder::vlan(0x8100, 1, &frame);
        }
        let decoded = decode(LinkType::Ethernet, &frame, &Config::default());
        assert_eq!(decoded, Err(MalformedKind::TooDeep.into()));
    }
}
