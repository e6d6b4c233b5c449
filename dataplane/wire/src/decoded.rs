//! What the decoder leaves of a packet: offsets and header fields, no borrow.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use crate::{Transport, TunnelId};

/// The most IP headers, one within the other, that a packet may have.
pub const MAX_IP_LAYERS: usize = 4;

/// The most VLAN tags that are kept.
pub const MAX_VLANS: usize = 3;

/// The bits of [`Decoded::flags`].
pub mod flag {
    /// An IPv4 header of the packet has options.
    pub const IPV4_OPTIONS: u32 = 1 << 0;
    /// The inner-most IPv6 layer has extension headers.
    pub const IPV6_EXTENSIONS: u32 = 1 << 1;
    /// An atomic fragment (RFC 6946): an IPv6 fragment header of a whole datagram.
    pub const ATOMIC_FRAGMENT: u32 = 1 << 2;
    /// There are bytes after the IP datagram: an Ethernet trailer or padding.
    pub const TRAILER: u32 = 1 << 3;
    /// The UDP length is shorter than what the IP datagram has room for.
    pub const UDP_SHORT: u32 = 1 << 4;
    /// The UDP checksum is 0 over IPv6, which only tunnels may do (RFC 6935).
    pub const UDP6_NO_CHECKSUM: u32 = 1 << 5;
    /// The bytes within a tunnel could not be read: the packet that carries them stands.
    pub const INNER_UNREADABLE: u32 = 1 << 6;
    /// More VLAN tags than are kept.
    pub const VLAN_OVERFLOW: u32 = 1 << 7;
    /// MPLS labels were gone through.
    pub const MPLS: u32 = 1 << 8;
    /// The datagram was put together from fragments.
    pub const REASSEMBLED: u32 = 1 << 9;
    /// A TCP option has a length that its kind cannot have.
    pub const TCP_OPTION_LENGTH: u32 = 1 << 10;
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

/// A part of the packet's bytes. Of what `decode` returns, always within them.
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

    pub(crate) const EMPTY: Self = Self {
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
/// A whole datagram for `decode_datagram` is made of the first fragment's bytes from
/// [`IpLayer::header`] to [`Self::unfragmentable_end`], and the fragments' payloads.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// IP layers, outer-most first; the last one is the packet that is inspected.
    pub layers: [IpLayer; MAX_IP_LAYERS],
    /// How many of [`Self::layers`] there are, at least one.
    pub layer_count: u8,
    /// How many of [`Self::layers`] were taken over by `decode_datagram`: their offsets
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
    /// Events, see [`flag`].
    pub flags: u32,
}

impl Decoded {
    /// What decoding starts from: no layer yet.
    pub(crate) const EMPTY: Self = Self {
        layers: [IpLayer::EMPTY; MAX_IP_LAYERS],
        layer_count: 0,
        inherited: 0,
        vlan_count: 0,
        vlan: [0; MAX_VLANS],
        tunnel: TunnelId { kind: crate::TunnelKind::None, key: 0, vlan: [0; 2], vlan_count: 0 },
        transport: Transport::None,
        payload: Span { start: 0, end: 0 },
        fragment: None,
        flags: 0,
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
