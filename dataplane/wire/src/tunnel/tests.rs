//! Envelopes of every kind, and what is within them.

use super::*;
use crate::builder::{self, Ip, Tcp};
use crate::decoded::flag;
use crate::{Decoded, LinkType, MAX_IP_LAYERS, MalformedKind, Reject, decode};

fn outer() -> Ip {
    Ip::new("192.168.0.1", "192.168.0.2")
}

fn inner() -> Vec<u8> {
    Ip::new("10.0.0.1", "10.0.0.2").tcp(&Tcp::new(1000, 80, 1, 1), b"secret")
}

fn inner6() -> Vec<u8> {
    Ip::new("fd00::1", "fd00::2").tcp(&Tcp::new(1000, 80, 1, 1), b"secret")
}

fn read(packet: &[u8]) -> Result<Decoded, Reject> {
    decode(LinkType::RawIp, packet, &Config::default())
}

/// The tunnel of a packet that has to be one with `inner` or `inner6` within.
fn tunnel_of(packet: &[u8]) -> TunnelId {
    let decoded = read(packet).unwrap();
    assert_eq!(decoded.payload_of(packet), b"secret");
    assert_eq!(decoded.ports(), (1000, 80));
    assert_eq!(decoded.layer_count, 2);
    assert_eq!(decoded.layers[0].src, outer().src);
    decoded.tunnel
}

fn id(kind: TunnelKind, key: u32) -> TunnelId {
    TunnelId { kind, key, ..TunnelId::default() }
}

#[test]
fn ip_in_ip_of_both_versions_is_opened() {
    assert_eq!(tunnel_of(&outer().datagram(ip::IPV4, &inner())), id(TunnelKind::Ipip, 0));
    assert_eq!(tunnel_of(&outer().datagram(ip::IPV6, &inner6())), id(TunnelKind::SixInFour, 0));
    let decoded = read(&Ip::new("fd01::1", "fd01::2").datagram(ip::IPV4, &inner())).unwrap();
    assert_eq!((decoded.layers[0].version, decoded.inner().version), (6, 4));
}

#[test]
fn vxlan_is_opened_at_its_ports_and_tells_its_network_and_vlan() {
    let frame = builder::vlan(0x8100, 5, &builder::frame(&inner()));
    for port in [4789, 8472] {
        let packet = outer().udp(50000, port, &builder::vxlan(0x123456, &frame));
        let expected = TunnelId { vlan: [5, 0], vlan_count: 1, ..id(TunnelKind::Vxlan, 0x123456) };
        assert_eq!(tunnel_of(&packet), expected);
    }
    let packet = outer().udp(4789, 50000, &builder::vxlan(1, &frame));
    assert_eq!(read(&packet).unwrap().layer_count, 1);
}

#[test]
fn vxlan_without_its_flag_is_plain_udp() {
    let mut body = builder::vxlan(1, &builder::frame(&inner()));
    body[0] = 0;
    let decoded = read(&outer().udp(1, 4789, &body)).unwrap();
    assert!(decoded.layer_count == 1 && decoded.tunnel.is_none());
}

#[test]
fn vxlan_gpe_and_geneve_are_opened() {
    let mut body = builder::vxlan(9, &inner());
    body[0] = 0x0c;
    body[3] = 1;
    assert_eq!(tunnel_of(&outer().udp(1, 4790, &body)), id(TunnelKind::VxlanGpe, 9));
    let body = builder::geneve(7, 0x0800, &inner());
    assert_eq!(tunnel_of(&outer().udp(1, 6081, &body)), id(TunnelKind::Geneve, 7));
    let mut body = builder::geneve(7, 0x6558, &[0; 8]);
    body[0] = 2;
    body.extend(builder::frame(&inner6()));
    assert_eq!(tunnel_of(&outer().udp(1, 6081, &body)), id(TunnelKind::Geneve, 7));
}

#[test]
fn gre_with_every_option_is_opened() {
    let gre = |body: &[u8]| outer().datagram(ip::GRE, body);
    let plain = id(TunnelKind::Gre, 0);
    assert_eq!(tunnel_of(&gre(&builder::gre(None, 0x0800, &inner()))), plain);
    assert_eq!(tunnel_of(&gre(&builder::gre(None, 0x86dd, &inner6()))), plain);
    let keyed = gre(&builder::gre(Some(77), 0x0800, &inner()));
    assert_eq!(tunnel_of(&keyed), id(TunnelKind::Gre, 77));
    let nvgre = gre(&builder::gre(Some(0x000102ff), 0x6558, &builder::frame(&inner())));
    assert_eq!(tunnel_of(&nvgre), id(TunnelKind::Nvgre, 0x000102));
    // Checksum, routing (one entry of 4 bytes, and the last), key and sequence number.
    let mut body = vec![0xf0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 9];
    body.extend([8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0]);
    body.extend(inner());
    assert_eq!(tunnel_of(&gre(&body)), id(TunnelKind::Gre, 3));
}

#[test]
fn pptp_is_opened_and_its_call_number_is_no_identity() {
    let mut content = vec![0xff, 0x03, 0x00, 0x21];
    content.extend(inner());
    let mut body = vec![0x30, 0x81, 0x88, 0x0b];
    body.extend((content.len() as u16).to_be_bytes());
    body.extend([0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2]);
    body.extend(content);
    assert_eq!(tunnel_of(&outer().datagram(ip::GRE, &body)), id(TunnelKind::Gre, 0));
}

#[test]
fn erspan_of_all_types_is_opened() {
    let gre = |body: Vec<u8>| outer().datagram(ip::GRE, &body);
    let frame = builder::frame(&inner());
    let one = [vec![0, 0, 0x88, 0xbe], frame.clone()].concat();
    assert_eq!(tunnel_of(&gre(one)), id(TunnelKind::Erspan, 0));
    let two = [vec![0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], vec![0x10, 5, 0, 9, 0, 0, 0, 0]];
    let expected = TunnelId { vlan: [5, 0], vlan_count: 1, ..id(TunnelKind::Erspan, 9) };
    assert_eq!(tunnel_of(&gre([two.concat(), frame.clone()].concat())), expected);
    let mut three = vec![0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 9];
    three.extend([0, 0, 0, 0, 0, 0, 0, 1]);
    three.extend([0; 8]);
    three.extend(&frame);
    assert_eq!(tunnel_of(&gre(three)), id(TunnelKind::Erspan, 9));
}

#[test]
fn teredo_is_opened_when_every_byte_is_accounted_for() {
    assert_eq!(tunnel_of(&outer().udp(3544, 9, &inner6())), id(TunnelKind::Teredo, 0));
    let origin = [vec![0, 0, 1, 2, 3, 4, 5, 6], inner6()].concat();
    let authentication = [vec![0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0], origin.clone()].concat();
    assert_eq!(tunnel_of(&outer().udp(9, 3544, &origin)).kind, TunnelKind::Teredo);
    assert_eq!(tunnel_of(&outer().udp(9, 3544, &authentication)).kind, TunnelKind::Teredo);
    let longer = [inner6(), vec![0]].concat();
    assert_eq!(read(&outer().udp(9, 3544, &longer)).unwrap().layer_count, 1);
}

#[test]
fn tzsp_is_opened_after_its_tags() {
    let mut body = vec![1, 0, 0, 1, 0, 10, 1, 200, 1];
    body.extend(builder::frame(&inner()));
    assert_eq!(tunnel_of(&outer().udp(1, 37_008, &body)), id(TunnelKind::Tzsp, 0));
    // Tags without an end.
    let body = [vec![1, 0, 0, 1], vec![0; 200]].concat();
    assert_eq!(read(&outer().udp(1, 37_008, &body)).unwrap().layer_count, 1);
}

#[test]
fn l2tp_is_opened_with_every_field() {
    let ppp = [vec![0xff, 0x03, 0x00, 0x21], inner()].concat();
    let plain = [vec![0, 2, 0, 7, 0, 9], ppp.clone()].concat();
    assert_eq!(tunnel_of(&outer().udp(1701, 1701, &plain)), id(TunnelKind::L2tp, 0));
    let mut full = vec![0x4a, 0x02, 0, 0, 0, 7, 0, 9, 0, 1, 0, 2, 0, 3, 9, 9, 9];
    full.extend(&ppp);
    let length = full.len() as u16;
    full[2..4].copy_from_slice(&length.to_be_bytes());
    assert_eq!(tunnel_of(&outer().udp(5, 1701, &full)), id(TunnelKind::L2tp, 0));
    let control = [vec![0xc8, 2, 0, 20, 0, 7, 0, 0, 0, 0, 0, 0], vec![0; 8]].concat();
    assert_eq!(read(&outer().udp(1701, 1701, &control)).unwrap().layer_count, 1);
}

#[test]
fn equal_flows_in_tunnels_within_different_tunnels_are_two() {
    let key = |vni, inner_vni| {
        let frame = builder::frame(&inner());
        let middle = Ip::new("172.16.0.1", "172.16.0.2");
        let middle = middle.udp(9, 4789, &builder::vxlan(inner_vni, &frame));
        let packet = outer().udp(9, 4789, &builder::vxlan(vni, &builder::frame(&middle)));
        read(&packet).unwrap().flow_key(true).map(|(key, _)| key)
    };
    assert!(key(1, 5).is_some() && key(1, 5) == key(1, 5));
    assert_ne!(key(1, 5), key(2, 5));
    assert_ne!(key(1, 5), key(1, 6));
}

#[test]
fn what_was_captured_in_part_is_read_as_far_as_it_goes() {
    let config = Config::default();
    let mut decoded = Decoded::EMPTY;
    let mut cut = |packet: &[u8]| {
        let done = crate::decode_cut_into(LinkType::RawIp, packet, &config, &mut decoded);
        done.map(|()| (decoded.payload_of(packet).to_vec(), decoded.flags, decoded.layer_count))
    };
    let packet = inner();
    let (payload, flags, _) = cut(&packet[..43]).unwrap();
    assert_eq!((&payload[..], flags & flag::TRUNCATED), (&b"sec"[..], flag::TRUNCATED));
    assert_eq!(flags & flag::BAD_TRANSPORT_CHECKSUM, 0);
    // Nothing is missing, whatever the link's trailer was.
    assert_eq!(cut(&packet).unwrap().1 & flag::TRUNCATED, 0);
    let udp = outer().udp(1, 2, b"abcdef");
    assert_eq!(cut(&udp[..31]).unwrap().0, b"abc");
    // Within a tunnel.
    let packet = outer().udp(1, 4789, &builder::vxlan(1, &builder::frame(&inner6())));
    let (payload, _, layers) = cut(&packet[..packet.len() - 2]).unwrap();
    assert_eq!((&payload[..], layers), (&b"secr"[..], 2));
    assert!(cut(&inner()[..30]).is_err(), "within the TCP header");
    let part = outer().fragments(1, ip::UDP, &[0; 64], 64).remove(0);
    let part = [&part[..6], &[0x20, 0], &part[8..60]].concat();
    assert!(cut(&part).is_err());
}

#[test]
fn an_envelope_stands_when_its_content_cannot_be_read() {
    let cut = &inner()[..30];
    let packet = outer().udp(1, 4789, &builder::vxlan(1, &builder::frame(cut)));
    let decoded = read(&packet).unwrap();
    assert_eq!((decoded.layer_count, decoded.ports()), (1, (1, 4789)));
    assert_eq!(decoded.payload_of(&packet).len(), 8 + 14 + 30);
    assert!(decoded.tunnel.is_none() && decoded.has(flag::INNER_UNREADABLE));

    let packet = outer().datagram(ip::GRE, &builder::gre(None, 0x0806, &[0; 28]));
    let decoded = read(&packet).unwrap();
    assert_eq!((decoded.transport, decoded.inner().protocol), (Transport::Other, ip::GRE));

    // The outer tunnel could be read: that is where it stays.
    let middle = Ip::new("172.16.0.1", "172.16.0.2").datagram(ip::IPV4, &[0x45; 10]);
    let decoded = read(&outer().datagram(ip::IPV4, &middle)).unwrap();
    assert_eq!((decoded.layer_count, decoded.tunnel.kind), (2, TunnelKind::Ipip));
    assert!(decoded.has(flag::INNER_UNREADABLE));
}

#[test]
fn tunnels_end_where_their_envelope_ends() {
    // The inner datagram says that it goes on into what is behind the outer one.
    let mut packet = outer().datagram(ip::IPV4, &inner()[..40]);
    packet.extend(b"secret");
    let decoded = read(&packet).unwrap();
    assert!(decoded.layer_count == 1 && decoded.has(flag::INNER_UNREADABLE));
}

#[test]
fn a_packet_that_is_too_deep_is_told_so() {
    let mut packet = inner();
    for _ in 1..MAX_IP_LAYERS {
        packet = outer().datagram(ip::IPV4, &packet);
    }
    assert_eq!(read(&packet).map(|decoded| decoded.layer_count), Ok(MAX_IP_LAYERS as u8));
    let packet = outer().datagram(ip::IPV4, &packet);
    assert_eq!(read(&packet), Err(MalformedKind::TooDeep.into()));
}

#[test]
fn what_is_switched_off_is_not_opened() {
    let config = Config {
        vxlan: false,
        geneve: false,
        gre: false,
        ip_in_ip: false,
        teredo: false,
        ..Config::default()
    };
    let packets = [
        outer().udp(1, 4789, &builder::vxlan(1, &builder::frame(&inner()))),
        outer().udp(1, 6081, &builder::geneve(7, 0x0800, &inner())),
        outer().datagram(ip::GRE, &builder::gre(None, 0x0800, &inner())),
        outer().datagram(ip::IPV4, &inner()),
        outer().udp(3544, 9, &inner6()),
    ];
    for packet in packets {
        let decoded = decode(LinkType::RawIp, &packet, &config).unwrap();
        assert!(decoded.layer_count == 1 && !decoded.has(flag::INNER_UNREADABLE));
    }
}
