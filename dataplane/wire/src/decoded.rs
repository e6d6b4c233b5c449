//! What the decoder leaves of a packet: offsets and header fields, no borrow.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use crate::{EventSet, Transport, TunnelId};

/// The most IP headers, one within the other, that a packet may have.
pub const MAX_IP_LAYERS: usize = 4;

/// The most VLAN tags that are kept.
pub const MAX_VLANS: usize = 3;

/// The bits of [`Decoded::flags`]. The first group is of the inner-most layer alone, the second
/// of the whole packet.
pub mod flag {
    /// The IPv4 header has options.
    pub const IPV4_OPTIONS: u32 = 1 << 0;
    /// An IPv4 option runs beyond the header, has an impossible length or pointer. As in Suricata
    /// that is an event, and the packet is inspected.
    pub const IPV4_OPTION_INVALID: u32 = 1 << 1;
    /// The IPv6 header has extension headers, or the IPv4 header an authentication header.
    pub const EXTENSIONS: u32 = 1 << 2;
    /// An atomic fragment (RFC 6946): an IPv6 fragment header of a whole datagram.
    pub const ATOMIC_FRAGMENT: u32 = 1 << 3;
    /// There are bytes after the IP datagram: an Ethernet trailer or padding.
    pub const TRAILER: u32 = 1 << 4;
    /// The UDP length is shorter than what the IP datagram has room for.
    pub const UDP_SHORT: u32 = 1 << 5;
    /// The UDP checksum is 0: none was made.
    pub const UDP_NO_CHECKSUM: u32 = 1 << 6;
    /// A source route, routing header or home address stands between this packet and its last
    /// destination, so that the transport's checksum cannot be verified here.
    pub const ROUTED: u32 = 1 << 7;
    /// The inner-most transport's checksum is wrong, and [`crate::Config::verify_checksums`] is
    /// set. A host would not take the packet; what a sensor does with it is the caller's to say.
    pub const BAD_TRANSPORT_CHECKSUM: u32 = 1 << 8;

    /// Not all of the datagram was captured (a snapshot length): lengths are those of what there is,
    /// and its checksum says nothing.
    pub const TRUNCATED: u32 = 1 << 9;

    /// The bytes within a tunnel could not be read: the packet that carries them stands.
    pub const INNER_UNREADABLE: u32 = 1 << 16;
    /// There were more VLAN tags than are kept.
    pub const VLAN_OVERFLOW: u32 = 1 << 17;
    /// MPLS labels were gone through.
    pub const MPLS: u32 = 1 << 18;
    /// The datagram was put together from fragments.
    pub const REASSEMBLED: u32 = 1 << 19;
    /// The packet was refused: only its events and, if there is a layer, its addresses are known.
    pub const REFUSED: u32 = 1 << 20;

    /// The flags that begin anew with every IP layer.
    pub(crate) const OF_LAYER: u32 = 0xffff;
}

/// The bits of [`IpLayer::options`]: IPv4 options by the names of Suricata's `ipopts`.
pub mod ip_option {
    /// End of list.
    pub const EOL: u16 = 1 << 0;
    /// No operation.
    pub const NOP: u16 = 1 << 1;
    /// Record route.
    pub const RR: u16 = 1 << 2;
    /// Timestamp.
    pub const TS: u16 = 1 << 3;
    /// Security (RFC 1108).
    pub const SEC: u16 = 1 << 4;
    /// Extended security (RFC 1108).
    pub const ESEC: u16 = 1 << 5;
    /// Loose source route.
    pub const LSRR: u16 = 1 << 6;
    /// Strict source route.
    pub const SSRR: u16 = 1 << 7;
    /// Stream identifier.
    pub const SATID: u16 = 1 << 8;
    /// Quick start (RFC 4782).
    pub const QS: u16 = 1 << 9;
    /// Commercial security.
    pub const CIPSO: u16 = 1 << 10;
    /// Router alert (RFC 2113).
    pub const RTRALT: u16 = 1 << 11;
    /// Any other.
    pub const OTHER: u16 = 1 << 15;
}

/// A part of the packet's bytes. Of what [`crate::decode`] returns, always within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset of the first byte after.
    pub end: u32,
}

impl Span {
    /// Length in bytes.
    #[inline]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there are no bytes in it.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// As a range of indices.
    #[inline]
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes themselves; empty if `packet` is not what was decoded and too short for it.
    #[inline]
    pub fn of(self, packet: &[u8]) -> &[u8] {
        packet.get(self.range()).unwrap_or(&[])
    }
}

/// One IP header and what it says of its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpLayer {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// 4 or 6.
    pub version: u8,
    /// The upper-layer protocol, after all IPv6 extension headers. Of a fragment that is not the
    /// first: the one that the fragment header names.
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// Identification: of IPv4 16 bits, of IPv6 that of the fragment header, otherwise 0.
    pub id: u32,
    /// IPv6 flow label; 0 for IPv4.
    pub flow_label: u32,
    /// Offset of the header's first byte.
    pub header: u32,
    /// Header length in bytes: with options for IPv4, the fixed 40 for IPv6.
    pub header_len: u16,
    /// Options of IPv4, see [`ip_option`].
    pub options: u16,
    /// Offset of the upper-layer header, after options or extension headers.
    pub payload: u32,
    /// Offset of the datagram's end as its own length says; never beyond what was captured.
    pub end: u32,
    /// The upper three bits of IPv4's fragment field in the lower three here, see
    /// [`Self::DF`] and [`Self::MF`]; of an IPv6 fragment header only `MF`.
    pub fragment_bits: u8,
    /// Fragment offset in units of 8 bytes.
    pub fragment_offset: u16,
}

impl IpLayer {
    /// Bit of [`Self::fragment_bits`]: more fragments follow.
    pub const MF: u8 = 1;
    /// Bit of [`Self::fragment_bits`]: do not fragment.
    pub const DF: u8 = 2;
    /// Bit of [`Self::fragment_bits`]: reserved.
    pub const RESERVED: u8 = 4;

    /// No header yet.
    pub const EMPTY: Self = Self {
        src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        version: 0,
        protocol: 0,
        ttl: 0,
        tos: 0,
        id: 0,
        flow_label: 0,
        header: 0,
        header_len: 0,
        options: 0,
        payload: 0,
        end: 0,
        fragment_bits: 0,
        fragment_offset: 0,
    };

    /// Whether more fragments follow this one.
    #[inline]
    pub const fn mf(&self) -> bool {
        self.fragment_bits & Self::MF != 0
    }

    /// Whether the datagram must not be fragmented.
    #[inline]
    pub const fn df(&self) -> bool {
        self.fragment_bits & Self::DF != 0
    }
}

/// A fragment of a datagram. Its bytes are [`Decoded::payload`], its addresses those of
/// [`Decoded::inner`].
///
/// A whole datagram for [`crate::decode_datagram`] is what [`Decoded::begin_datagram`] makes of the
/// first fragment, and then all fragments' payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification: 16 bits for IPv4, 32 for IPv6.
    pub id: u32,
    /// Offset of these bytes in the datagram's fragmentable part, in bytes.
    pub offset: u32,
    /// Whether more fragments follow.
    pub more: bool,
    /// Protocol of the fragmentable part: of IPv4 the header's protocol, of IPv6 the next header
    /// that the fragment header names (which may be another extension header).
    pub protocol: u8,
    /// Offset of the end of the part that every fragment repeats: of IPv4 the end of the header,
    /// of IPv6 the start of the fragment header.
    pub unfragmentable_end: u32,
    /// Offset of the byte that, for IPv6, names the fragment header (44) and that must name
    /// [`Self::protocol`] in the whole datagram; for IPv4 the header's protocol byte.
    pub protocol_at: u32,
}

/// A decoded packet.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// IP layers, outer-most first; the last one is the packet that is inspected.
    pub layers: [IpLayer; MAX_IP_LAYERS],
    /// How many of [`Self::layers`] there are, at least one.
    pub layer_count: u8,
    /// How many of [`Self::layers`] were taken over by [`crate::decode_datagram`]: their offsets
    /// are 0, for their headers are not in the datagram's bytes.
    pub inherited: u8,
    /// How many of [`Self::vlan`] there are.
    pub vlan_count: u8,
    /// VLANs of the outer-most frame, 12 bits each, outer-most first. Those of a frame in a tunnel
    /// are in [`TunnelId::vlan`].
    pub vlan: [u16; MAX_VLANS],
    /// The inner-most tunnel that the last layer was in.
    pub tunnel: TunnelId,
    /// The header after the last IP layer.
    pub transport: Transport,
    /// The transport's payload: after the TCP, UDP, ICMP (8 bytes) or SCTP (12 bytes) header, or
    /// the IP payload of any other protocol, or a fragment's bytes.
    pub payload: Span,
    /// Set when the last layer is a fragment. [`Self::transport`] is then [`Transport::None`].
    pub fragment: Option<Fragment>,
    /// What was noticed, see [`flag`].
    pub flags: u32,
    /// Events of the last layer, and of the link before it.
    pub events: EventSet,
    /// Events of the packets that carry it.
    pub outer_events: EventSet,
}

impl PartialEq for Decoded {
    fn eq(&self, other: &Self) -> bool {
        // Beyond the counts there may be leavings of what was decoded into the same place before.
        self.ip_layers() == other.ip_layers()
            && self.vlans() == other.vlans()
            && self.inherited == other.inherited
            && self.tunnel == other.tunnel
            && self.transport == other.transport
            && self.payload == other.payload
            && self.fragment == other.fragment
            && self.flags == other.flags
            && self.events == other.events
            && self.outer_events == other.outer_events
    }
}

impl Eq for Decoded {}

impl Default for Decoded {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Decoded {
    /// Nothing decoded yet: a place for [`crate::decode_into`].
    pub const EMPTY: Self = Self {
        layers: [IpLayer::EMPTY; MAX_IP_LAYERS],
        layer_count: 0,
        inherited: 0,
        vlan_count: 0,
        vlan: [0; MAX_VLANS],
        tunnel: TunnelId {
            kind: crate::TunnelKind::None,
            key: 0,
            outer: 0,
            vlan: [0; 2],
            vlan_count: 0,
        },
        transport: Transport::None,
        payload: Span { start: 0, end: 0 },
        fragment: None,
        flags: 0,
        events: EventSet::EMPTY,
        outer_events: EventSet::EMPTY,
    };

    /// The inner-most IP layer, the one that is inspected.
    #[inline]
    pub fn inner(&self) -> &IpLayer {
        let last = usize::from(self.layer_count).clamp(1, MAX_IP_LAYERS) - 1;
        &self.layers[last]
    }

    /// The IP layers, outer-most first.
    #[inline]
    pub fn ip_layers(&self) -> &[IpLayer] {
        &self.layers[..usize::from(self.layer_count).min(MAX_IP_LAYERS)]
    }

    /// The outer-most frame's VLANs, outer-most first.
    #[inline]
    pub fn vlans(&self) -> &[u16] {
        &self.vlan[..usize::from(self.vlan_count).min(MAX_VLANS)]
    }

    /// Source and destination port; 0 and 0 where the transport has none.
    #[inline]
    pub fn ports(&self) -> (u16, u16) {
        match &self.transport {
            Transport::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
            Transport::Udp(udp) => (udp.src_port, udp.dst_port),
            Transport::Sctp(sctp) => (sctp.src_port, sctp.dst_port),
            _ => (0, 0),
        }
    }

    /// Begins a whole datagram: appends to `into` the header that the fragments of one datagram
    /// share, from this fragment and its bytes, with the lengths and the protocol as they must be
    /// with `payload_len` bytes of payload to follow. The IPv4 header's checksum is left as it was,
    /// [`crate::decode_datagram`] does not look at it.
    ///
    /// False, and nothing appended, if this is no fragment or `packet` are not its bytes.
    pub fn begin_datagram(&self, packet: &[u8], payload_len: usize, into: &mut Vec<u8>) -> bool {
        let Some(fragment) = &self.fragment else { return false };
        let layer = self.inner();
        let range = layer.header as usize..fragment.unfragmentable_end as usize;
        let protocol_at = (fragment.protocol_at as usize).wrapping_sub(range.start);
        let Some(header) = packet.get(range).filter(|header| header.len() >= 20) else {
            return false;
        };
        let start = into.len();
        into.extend_from_slice(header);
        let copy = &mut into[start..];
        let (length_at, length) = match layer.version {
            4 => (2, header.len() + payload_len),
            _ => (4, header.len() - header.len().min(40) + payload_len),
        };
        let length = u16::try_from(length).unwrap_or(0).to_be_bytes();
        if let Some(field) = copy.get_mut(length_at..length_at + 2) {
            field.copy_from_slice(&length);
        }
        if layer.version == 4 {
            // What is left of the fragment field is "do not fragment" and the reserved bit.
            copy[6] &= 0xc0;
            copy[7] = 0;
        } else if let Some(byte) = copy.get_mut(protocol_at) {
            *byte = fragment.protocol;
        }
        true
    }

    /// The payload's bytes; `packet` are the bytes that were decoded.
    #[inline]
    pub fn payload_of<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet.get(self.payload.range()).unwrap_or(&[])
    }

    /// Whether all bits of `mask` are set, see [`flag`].
    #[inline]
    pub const fn has(&self, mask: u32) -> bool {
        self.flags & mask == mask
    }
}
