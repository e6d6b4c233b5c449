//! A decoded packet with its bytes, wherever they are: a frame, a datagram put together from
//! fragments, or a packet that carries another one.

use hyperscan::{Padded, PaddedBuf};
use wire::{
    Decoded, Direction, EventSet, IpLayer, LinkType, Nanos, Span, Transport, TunnelId, Udp,
};

use crate::alert::Source;
use crate::emit::Origin;
use crate::inspect::header::Headers;
use crate::inspect::{Life, Unit};
use crate::scope::Hits;

/// What comes with a packet besides its bytes.
#[derive(Debug, Clone, Copy)]
pub struct PacketInfo {
    /// When it was captured, in nanoseconds since 1970.
    pub timestamp: Nanos,
    /// The capture's clock: as `timestamp`, but it never runs back.
    pub clock: Nanos,
    /// 1-based number in the capture; live: a running number of the core.
    pub order: u64,
    /// Its link type.
    pub link: Option<LinkType>,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Its checksums are not to be trusted or checked.
    pub ignore_checksums: bool,
}

/// A datagram that this core put together and another one owns.
#[derive(Debug)]
pub struct Datagram {
    /// IP header and payload.
    pub bytes: Vec<u8>,
    /// The last fragment's outer layers.
    pub context: Box<Decoded>,
    /// The last fragment's times and number.
    pub info: PacketInfo,
    /// Frame length of the last fragment.
    pub frame_len: u32,
    /// What stood before the datagram in the last fragment's frame.
    pub link_header: Vec<u8>,
}

impl Datagram {
    pub(crate) fn whole(&self) -> Whole<'_> {
        Whole {
            bytes: &self.bytes,
            context: &self.context,
            link_header: &self.link_header,
            info: &self.info,
            frame_len: self.frame_len,
        }
    }
}

/// A datagram put together, where it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) context: &'a Decoded,
    pub(crate) link_header: &'a [u8],
    pub(crate) info: &'a PacketInfo,
    pub(crate) frame_len: u32,
}

impl<'a> Whole<'a> {
    pub(crate) fn part(self, decoded: &'a Decoded) -> Part<'a> {
        Part {
            decoded,
            buffer: self.bytes,
            bytes: self.bytes,
            frame_len: self.frame_len,
            source: Source::Defragmented,
            payload: true,
            link_header: self.link_header,
        }
    }

    pub(crate) fn to_owned(self) -> Datagram {
        Datagram {
            bytes: self.bytes.to_vec(),
            context: Box::new(self.context.clone()),
            info: *self.info,
            frame_len: self.frame_len,
            link_header: self.link_header.to_vec(),
        }
    }
}

/// Where a captured packet's bytes come from.
pub(crate) fn source_of(decoded: &Decoded) -> Source {
    if decoded.layer_count > 1 { Source::Tunnel(decoded.tunnel.kind) } else { Source::Wire }
}

/// Source and destination port of a layer that carries another one, if that is by UDP.
#[inline]
pub(crate) fn ports_at(layer: &IpLayer, bytes: &[u8]) -> Option<(u16, u16)> {
    udp_at(layer, bytes).map(|udp| (udp.src_port, udp.dst_port))
}

#[inline]
fn udp_at(layer: &IpLayer, bytes: &[u8]) -> Option<Udp> {
    let header = layer.payload as usize;
    match bytes.get(header..header + 8) {
        Some(&[s1, s0, d1, d0, l1, l0, _, _]) if layer.protocol == 17 => Some(Udp {
            src_port: u16::from_be_bytes([s1, s0]),
            dst_port: u16::from_be_bytes([d1, d0]),
            length: u16::from_be_bytes([l1, l0]),
            header: layer.payload,
        }),
        _ => None,
    }
}

/// The packet of a layer that carries another one, as if nothing were within it.
pub(crate) fn carrier(decoded: &Decoded, bytes: &[u8], number: u8) -> Decoded {
    let mut carrier = decoded.clone();
    carrier.layer_count = number + 1;
    if number == 0 {
        carrier.tunnel = TunnelId::default();
    }
    let layer = *carrier.inner();
    carrier.transport = udp_at(&layer, bytes).map_or(Transport::Other, Transport::Udp);
    carrier.payload = Span { start: layer.payload, end: layer.end };
    carrier.flags &= !wire::flag::BAD_TRANSPORT_CHECKSUM;
    // Of several carriers the first tells the events of all.
    let first = number == decoded.inherited;
    carrier.events = if first { decoded.outer_events } else { EventSet::EMPTY };
    carrier
}

/// A decoded packet with its bytes.
pub(crate) struct Part<'a> {
    pub(crate) decoded: &'a Decoded,
    /// The bytes and what is readable behind them.
    pub(crate) buffer: &'a [u8],
    pub(crate) bytes: &'a [u8],
    pub(crate) frame_len: u32,
    pub(crate) source: Source,
    /// The payload is looked at.
    pub(crate) payload: bool,
    /// What stood before `bytes` in the frame, where they are a datagram without one.
    pub(crate) link_header: &'a [u8],
}

impl<'a> Part<'a> {
    pub(crate) fn payload_bytes(&self) -> &'a [u8] {
        if self.payload { self.decoded.payload_of(self.bytes) } else { &[] }
    }

    /// The payload where it may be scanned: in place if enough is readable behind it.
    fn padded<'s>(&self, spare: &'s mut PaddedBuf) -> Padded<'s>
    where
        'a: 's,
    {
        if self.payload
            && let Some(padded) = Padded::new(self.buffer, self.decoded.payload.range())
        {
            return padded;
        }
        spare.clear();
        spare.extend_from_slice(self.payload_bytes());
        spare.as_padded()
    }

    pub(crate) fn unit<'s>(&'s self, spare: &'s mut PaddedBuf, rulesets: u64) -> Unit<'s> {
        Unit {
            headers: Headers {
                packet: self.decoded,
                bytes: self.bytes,
                payload_len: self.payload_bytes().len(),
                events: self.decoded.events,
                pseudo: false,
            },
            payload: self.padded(spare),
            window: None,
            in_stream: false,
            tail: None,
            opaque: false,
            direction: None,
            established: false,
            defragmented: self.source == Source::Defragmented,
            server_port: self.decoded.ports().1,
            rulesets,
            now: 0,
            life: Life::default(),
        }
    }

    pub(crate) fn origin(
        &self,
        info: &PacketInfo,
        hits: Hits,
        direction: Option<Direction>,
    ) -> Origin<'a> {
        Origin {
            info: *info,
            class: 1,
            source: self.source,
            hits,
            direction,
            decoded: self.decoded,
            bytes: self.bytes,
            link_header: self.link_header,
        }
    }
}
