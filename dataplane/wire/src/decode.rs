//! The loop that goes from link layer to IP, from IP to transport, and on into tunnels.

use crate::ip::Extent;
use crate::link::{Step, Tags};
use crate::{
    Config, Decoded, Event, EventSet, IpLayer, LinkType, MAX_IP_LAYERS, MalformedKind, Reject,
    Span, Transport, TunnelId,
    checksum::{headers_ok, mark_transport_checksum},
    decoded::flag,
    ip, link, transport, tunnel,
};

/// Decodes one captured packet.
///
/// A packet that carries another one is an envelope: the inner-most packet that can be read is what
/// [`Decoded::inner`], [`Decoded::transport`] and [`Decoded::payload`] are about. Where the content
/// of an envelope cannot be read, the envelope itself stands, with
/// [`flag::INNER_UNREADABLE`] set.
#[inline]
pub fn decode(link: LinkType, bytes: &[u8], config: &Config) -> Result<Decoded, Reject> {
    let mut decoded = Decoded::EMPTY;
    decode_into(link, bytes, config, &mut decoded)?;
    Ok(decoded)
}

/// As [`decode`], but into a place of the caller's, such as an array for a burst.
///
/// After an error `into` has the events of what was read, and, if its IP header told addresses, one
/// layer without transport or payload; otherwise none.
#[inline]
pub fn decode_into(
    link: LinkType,
    bytes: &[u8],
    config: &Config,
    into: &mut Decoded,
) -> Result<(), Reject> {
    captured(link, bytes, config, into, Extent::Stated)
}

/// As [`decode_into`], for a packet of which not all was captured: it is read as far as it goes,
/// with [`flag::TRUNCATED`] set where a datagram is longer. Of fragments nothing can be made then.
pub fn decode_cut_into(
    link: LinkType,
    bytes: &[u8],
    config: &Config,
    into: &mut Decoded,
) -> Result<(), Reject> {
    captured(link, bytes, config, into, Extent::Cut)
}

#[inline]
fn captured(
    link: LinkType,
    bytes: &[u8],
    config: &Config,
    into: &mut Decoded,
    extent: Extent,
) -> Result<(), Reject> {
    into.layer_count = 0;
    into.inherited = 0;
    into.vlan_count = 0;
    into.tunnel = TunnelId::default();
    into.flags = 0;
    into.events = EventSet::EMPTY;
    into.outer_events = EventSet::EMPTY;
    into.layers[0].version = 0;
    let done = run(Step::from(link), bytes, config, into, extent);
    if done.is_err() {
        refused(into, 0);
    }
    done
}

/// Leaves of a packet that is refused the layer at `index`, if it was read.
#[cold]
fn refused(into: &mut Decoded, index: u8) {
    let version = into.layers.get(usize::from(index)).map_or(0, |layer| layer.version);
    into.layer_count = index + u8::from(version != 0);
    if version == 0
        && let Some(layer) = into.layers.get_mut(usize::from(index))
    {
        *layer = IpLayer::EMPTY;
    }
    into.transport = Transport::None;
    into.fragment = None;
    into.payload = Span::default();
    into.flags |= flag::REFUSED;
}

/// Decodes a datagram that was put together from fragments: `bytes` are its IP header (see
/// [`Decoded::begin_datagram`]) and its whole payload, `context` is one of its fragments as decoded.
///
/// VLANs, tunnel and the IP layers outside of the fragmented one are taken over from `context`
/// ([`Decoded::inherited`] of them); all offsets are into `bytes`. The datagram may be an envelope
/// itself. Its own lengths, fragment fields and IPv4 header checksum are not looked at.
pub fn decode_datagram(
    bytes: &[u8],
    context: &Decoded,
    config: &Config,
) -> Result<Decoded, Reject> {
    let mut decoded = Decoded::EMPTY;
    decode_datagram_into(bytes, context, config, &mut decoded)?;
    Ok(decoded)
}

/// As [`decode_datagram`], but into a place of the caller's; of errors holds what does for
/// [`decode_into`].
pub fn decode_datagram_into(
    bytes: &[u8],
    context: &Decoded,
    config: &Config,
    decoded: &mut Decoded,
) -> Result<(), Reject> {
    decoded.clone_from(context);
    let outer = decoded.layer_count.saturating_sub(1).min(MAX_IP_LAYERS as u8);
    decoded.layer_count = outer;
    decoded.inherited = outer;
    for layer in decoded.layers.iter_mut().take(usize::from(outer)) {
        *layer = IpLayer { header: 0, header_len: 0, payload: 0, end: 0, ..*layer };
    }
    decoded.flags = (context.flags & !flag::OF_LAYER) | flag::REASSEMBLED;
    // Events of the fragments were theirs.
    decoded.events = EventSet::EMPTY;
    decoded.outer_events = EventSet::EMPTY;
    if let Some(layer) = decoded.layers.get_mut(usize::from(outer)) {
        layer.version = 0;
    }
    let done = run(Step::Ip, bytes, config, decoded, Extent::Whole);
    if done.is_err() {
        refused(decoded, outer);
    }
    done
}

/// Reads the packet that begins with `step`, then whatever it is the envelope of.
#[inline]
fn run(
    step: Step,
    bytes: &[u8],
    config: &Config,
    into: &mut Decoded,
    extent: Extent,
) -> Result<(), Reject> {
    // Offsets are kept in 32 bits.
    if u32::try_from(bytes.len()).is_err() {
        return Err(MalformedKind::Link.into());
    }
    let mut budget = config.max_layers;
    let mut tags = Tags::default();
    packet(bytes, step, 0, into, &mut tags, &mut budget, extent)?;
    if into.inherited == 0 && tags.count > 0 && into.flags & flag::REASSEMBLED == 0 {
        into.vlan = tags.vlan;
        into.vlan_count = tags.count;
    }
    if !matches!(into.transport, Transport::Tcp(_)) {
        let within = if extent == Extent::Cut { Extent::Cut } else { Extent::Stated };
        unwrap(bytes, config, into, &mut budget, within)?;
    }
    if config.verify_checksums {
        if !headers_ok(into, bytes) {
            return Err(Reject::BadChecksum);
        }
        if config.verify_transport {
            mark_transport_checksum(into, bytes);
        }
    }
    Ok(())
}

/// Opens envelope after envelope; a content that cannot be read leaves its envelope standing.
fn unwrap(
    bytes: &[u8],
    config: &Config,
    into: &mut Decoded,
    budget: &mut u8,
    extent: Extent,
) -> Result<(), Reject> {
    loop {
        let protocol = into.inner().protocol;
        let envelope = (&into.transport, into.payload, protocol);
        let Some(entry) = tunnel::entry(bytes, envelope, config, &mut into.events) else { break };
        let mut tags = Tags::default();
        let carrier = into.events;
        if !carrier.is_empty() {
            into.events = EventSet::EMPTY;
        }
        let content = bytes.get(..entry.end).unwrap_or(&[]);
        for id in entry.id.vlan.iter().take(usize::from(entry.id.vlan_count)) {
            tags.push(*id);
        }
        match packet(content, entry.step, entry.at, into, &mut tags, budget, extent) {
            Ok(()) => {
                let outer = into.tunnel.chained();
                into.tunnel = TunnelId { outer, ..entry.id };
                into.tunnel.vlan = [tags.vlan[0], tags.vlan[1]];
                into.tunnel.vlan_count = tags.count.min(2);
                if !carrier.is_empty() {
                    into.outer_events.extend(carrier);
                }
            }
            Err(Reject::Malformed(MalformedKind::TooDeep)) => {
                into.events.extend(carrier);
                return Err(MalformedKind::TooDeep.into());
            }
            Err(_) => {
                // A UDP port is a guess: what is no such tunnel is nothing odd.
                let content = std::mem::replace(&mut into.events, carrier);
                if !entry.is_guess() {
                    into.events.extend(content);
                }
                into.flags |= flag::INNER_UNREADABLE;
                break;
            }
        }
    }
    Ok(())
}

/// Reads one packet, from a link layer at `at` to its transport, as the next layer of `into`. An
/// error leaves `into` as it was, so that an envelope stands.
#[inline]
fn packet(
    bytes: &[u8],
    step: Step,
    at: usize,
    into: &mut Decoded,
    tags: &mut Tags,
    budget: &mut u8,
    extent: Extent,
) -> Result<(), Reject> {
    let events = &mut into.events;
    let (version, at) = link::to_ip(bytes, step, at, tags, budget, events)?;
    let slot = usize::from(into.layer_count);
    let Some(slot) = into.layers.get_mut(slot) else {
        events.insert(Event::TooManyLayers);
        return Err(MalformedKind::TooDeep.into());
    };
    let found = match version {
        4 => ip::parse_v4(bytes, at, extent, slot, events)?,
        6 => ip::parse_v6(bytes, at, extent, slot, events)?,
        _ => {
            events.insert(Event::IprawInvalidIpVersion);
            return Err(MalformedKind::IpVersion.into());
        }
    };
    if let Some(kind) = found.refused {
        return Err(kind.into());
    }
    let layer = &*found.layer;
    let flags = (into.flags & !flag::OF_LAYER) | found.flags | tags.flags;
    let (start, end) = (layer.payload as usize, layer.end as usize);
    if found.fragment.is_some() {
        if flags & flag::TRUNCATED != 0 {
            // A part of a fragment is no part of a datagram.
            return Err(MalformedKind::Truncated.into());
        }
        into.transport = Transport::None;
        into.payload = Span { start: layer.payload, end: layer.end };
        into.flags = flags;
    } else {
        let is_cut = found.flags & flag::TRUNCATED != 0;
        let above = transport::parse(bytes, layer, start, end, is_cut, events)?;
        into.transport = above.transport;
        into.payload = Span { start: above.payload.0 as u32, end: above.payload.1 as u32 };
        into.flags = flags | above.flags;
    }
    into.fragment = found.fragment;
    into.layer_count += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{self, Ip, Tcp};

    const OUTER: [&str; 2] = ["192.168.0.1", "192.168.0.2"];

    /// Fragments a UDP datagram, puts each fragment into an envelope, and puts it together again.
    fn reassemble(inner: &Ip, body: &[u8], wrap: impl Fn(&[u8]) -> Vec<u8>) -> (Decoded, Vec<u8>) {
        let parts = inner.fragments(5, ip::UDP, body, 32);
        let mut datagram = Vec::new();
        let mut last = Decoded::EMPTY;
        for part in parts {
            let packet = wrap(&part);
            let decoded = decode(LinkType::Ethernet, &packet, &Config::default()).unwrap();
            if datagram.is_empty() {
                assert!(decoded.begin_datagram(&packet, body.len(), &mut datagram));
            }
            datagram.extend(decoded.payload_of(&packet));
            last = decoded;
        }
        let whole = decode_datagram(&datagram, &last, &Config::default()).unwrap();
        (whole, datagram)
    }

    #[test]
    fn a_datagram_put_together_inherits_what_its_fragments_came_through() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let inner = Ip::new(src, dst);
            let body = builder::udp(7, 9, &[3; 100]);
            let (whole, bytes) = reassemble(&inner, &body, |part| {
                let vxlan = builder::vxlan(42, &builder::vlan(0x8100, 6, &builder::frame(part)));
                let outer = Ip::new(OUTER[0], OUTER[1]).udp(1, 4789, &vxlan);
                builder::vlan(0x8100, 3, &builder::frame(&outer))
            });
            assert_eq!((whole.layer_count, whole.inherited), (2, 1));
            assert_eq!(
                (whole.inner().src, whole.layers[0].src),
                (inner.src, OUTER[0].parse().unwrap())
            );
            assert_eq!((whole.vlans(), whole.tunnel.key), (&[3][..], 42));
            assert_eq!(whole.tunnel.vlan, [6, 0]);
            assert_eq!((whole.ports(), whole.fragment), ((7, 9), None));
            assert_eq!(whole.payload_of(&bytes), [3; 100]);
            assert!(whole.has(flag::REASSEMBLED));

            // The same flow as if it had come in one piece.
            let vxlan = builder::vxlan(
                42,
                &builder::vlan(0x8100, 6, &builder::frame(&inner.udp(7, 9, b"x"))),
            );
            let outer = Ip::new(OUTER[0], OUTER[1]).udp(1, 4789, &vxlan);
            let one = builder::vlan(0x8100, 3, &builder::frame(&outer));
            let one = decode(LinkType::Ethernet, &one, &Config::default()).unwrap();
            assert_eq!(whole.flow_key(true), one.flow_key(true));
            assert_eq!(whole.spread_hash(), one.spread_hash());
        }
    }

    #[test]
    fn an_envelope_that_came_in_fragments_is_opened() {
        let inner = Ip::new("10.0.0.1", "10.0.0.2").tcp(&Tcp::new(1, 80, 0, 0), b"secret");
        let body = builder::udp(1, 4789, &builder::vxlan(42, &builder::frame(&inner)));
        let (whole, bytes) = reassemble(&Ip::new(OUTER[0], OUTER[1]), &body, builder::frame);
        assert_eq!((whole.layer_count, whole.inherited, whole.tunnel.key), (2, 0, 42));
        assert_eq!(whole.payload_of(&bytes), b"secret");
    }

    #[test]
    fn the_checksum_of_a_datagram_put_together_is_verified() {
        let body = builder::udp(7, 9, &[3; 100]);
        let parts = Ip::new("10.0.0.1", "10.0.0.2").fragments(5, ip::UDP, &body, 200);
        let mut part = parts[0].clone();
        part[6] = 0x20;
        let config = Config { verify_checksums: false, ..Config::default() };
        let first = decode(LinkType::RawIp, &part, &config).unwrap();
        let mut datagram = Vec::new();
        assert!(first.begin_datagram(&part, body.len(), &mut datagram));
        datagram.extend(first.payload_of(&part));
        assert!(decode_datagram(&datagram, &first, &Config::default()).is_ok());
        *datagram.last_mut().unwrap() ^= 1;
        let decoded = decode_datagram(&datagram, &first, &Config::default()).unwrap();
        assert!(decoded.has(flag::BAD_TRANSPORT_CHECKSUM));
    }

    #[test]
    fn what_was_decoded_into_the_same_place_before_leaves_nothing() {
        let deep = Ip::new(OUTER[0], OUTER[1])
            .datagram(ip::IPV4, &Ip::new("10.0.0.1", "10.0.0.2").icmp(8, 0, 0, b""));
        let deep = builder::vlan(0x8100, 3, &builder::frame(&deep));
        let plain = builder::frame(&Ip::new("fd00::1", "fd00::2").udp(1, 2, b"x"));
        let mut place = Decoded::EMPTY;
        let config = Config::default();
        decode_into(LinkType::Ethernet, &deep, &config, &mut place).unwrap();
        decode_into(LinkType::Ethernet, &plain, &config, &mut place).unwrap();
        assert_eq!(Ok(place), decode(LinkType::Ethernet, &plain, &config));
    }
}
