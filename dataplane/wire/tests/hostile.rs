//! Whatever the bytes are, decoding neither panics nor points outside of them.

use proptest::prelude::*;
use wire::builder::{self, Ip, Tcp};
use wire::flag;
use wire::{
    Config, Decoded, LinkType, Reject, Transport, checksum_ok, decode, decode_cut_into,
    decode_datagram, decode_into,
};

fn configs() -> [Config; 2] {
    let lenient = Config { verify_checksums: false, ..Config::default() };
    [lenient, Config::default()]
}

/// Decodes, asks everything that can be asked of the result, and checks that it stays within bounds.
fn decode_all(link: LinkType, bytes: &[u8]) -> Result<Decoded, Reject> {
    let [lenient, strict] = configs();
    let result = decode(link, bytes, &lenient);
    let mut place = Decoded::default();
    let again = decode_into(link, bytes, &lenient, &mut place);
    assert_eq!(again.is_ok(), result.is_ok());
    let mut cut = Decoded::default();
    match decode_cut_into(link, bytes, &lenient, &mut cut) {
        Ok(()) => check(&cut, bytes),
        // What can be read whole can be read as a part.
        Err(_) => assert!(result.is_err() && cut.layer_count <= 1),
    }
    match &result {
        Ok(decoded) => {
            assert_eq!(*decoded, place);
            check(decoded, bytes);
            let judged = match decode(link, bytes, &strict) {
                Ok(decoded) => !decoded.has(flag::BAD_TRANSPORT_CHECKSUM),
                Err(reject) => {
                    assert_eq!(reject, Reject::BadChecksum);
                    false
                }
            };
            assert_eq!(judged, checksum_ok(decoded, bytes));
            if decoded.fragment.is_some() {
                let mut datagram = Vec::new();
                let payload = decoded.payload_of(bytes);
                assert!(decoded.begin_datagram(bytes, payload.len(), &mut datagram));
                datagram.extend(payload);
                if let Ok(whole) = decode_datagram(&datagram, decoded, &lenient) {
                    check(&whole, &datagram);
                }
            }
        }
        Err(reject) => assert_eq!(decode(link, bytes, &strict).map(|_| ()), Err(*reject)),
    }
    result
}

fn check(decoded: &Decoded, bytes: &[u8]) {
    let len = bytes.len() as u32;
    let layers = decoded.ip_layers();
    assert!(!layers.is_empty());
    for (index, layer) in layers.iter().enumerate() {
        if index < usize::from(decoded.inherited) {
            assert_eq!((layer.header, layer.payload, layer.end), (0, 0, 0));
            continue;
        }
        assert!(layer.version == 4 || layer.version == 6);
        assert!(layer.header + u32::from(layer.header_len) <= layer.payload);
        assert!(layer.payload <= layer.end && layer.end <= len);
    }
    let inner = decoded.inner();
    let payload = decoded.payload;
    assert!(inner.payload <= payload.start && payload.start <= payload.end);
    assert!(payload.end <= inner.end);
    assert_eq!(decoded.payload_of(bytes).len(), payload.len());
    assert_eq!(decoded.flow_key(true).is_none(), decoded.fragment.is_some());
    assert_eq!(decoded.flow_key(true).is_none(), decoded.flow_key(false).is_none());
    let _ = (decoded.spread_hash(), decoded.icmp_error_key(bytes, true), decoded.vlans());
    if let Transport::Tcp(tcp) = decoded.transport {
        assert_eq!(tcp.header + u32::from(tcp.header_len), payload.start);
        let options = tcp.option_bytes(bytes);
        assert_eq!(options.len() + 20, usize::from(tcp.header_len));
        let _ = tcp.options(bytes);
    }
}

/// Frames of every kind that the decoder knows.
fn samples() -> Vec<Vec<u8>> {
    let v4 = Ip { options: vec![7, 7, 4, 0, 0, 0, 0, 1], ..Ip::new("10.0.0.1", "10.0.0.2") };
    let mut v6 = Ip::new("fd00::1", "fd00::2");
    v6.extensions = vec![
        (0, vec![0, 0, 1, 4, 0, 0, 0, 0]),
        (43, vec![0, 0, 0, 1, 0, 0, 0, 0]),
        (60, vec![0, 0, 1, 4, 0, 0, 0, 0]),
        (51, vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7];
    let tcp = Tcp::new(1000, 80, 1, 1).options(&options);
    let mut datagrams = Vec::new();
    for ip in [&v4, &v6] {
        datagrams.push(ip.tcp(&tcp, b"GET / HTTP/1.1\r\n"));
        datagrams.push(ip.udp(1000, 53, b"query"));
        datagrams.push(ip.icmp(if ip.src.is_ipv4() { 8 } else { 128 }, 0, 1, b"ping"));
        datagrams.push(ip.icmp(
            if ip.src.is_ipv4() { 3 } else { 1 },
            0,
            0,
            &ip.udp(1, 2, b"quoted"),
        ));
        datagrams.push(ip.datagram(132, &[0; 16]));
        datagrams.extend(ip.fragments(9, 17, &builder::udp(1, 2, &[7; 40]), 16));
    }
    let outer = Ip::new("192.168.0.1", "192.168.0.2");
    let outer6 = Ip::new("fd01::1", "fd01::2");
    let mut frames = Vec::new();
    for datagram in &datagrams {
        let frame = builder::frame(datagram);
        let is_v4 = datagram[0] >> 4 == 4;
        let (protocol, ether_type) = if is_v4 { (4, 0x0800) } else { (41, 0x86dd) };
        frames.push(frame.clone());
        frames.push(builder::vlan(0x88a8, 2, &builder::vlan(0x8100, 3, &frame)));
        frames.push(builder::frame(&outer.datagram(protocol, datagram)));
        frames.push(builder::frame(&outer6.udp(9, 4789, &builder::vxlan(5, &frame))));
        frames.push(builder::frame(&outer.udp(9, 6081, &builder::geneve(5, ether_type, datagram))));
        frames.push(builder::frame(&outer.datagram(47, &builder::gre(Some(1), 0x6558, &frame))));
        let mpls = [&[0, 1, 0, 64, 0, 2, 1, 64][..], datagram].concat();
        frames.push(builder::ethernet(0x8847, &mpls));
        if !is_v4 {
            frames.push(builder::frame(&outer.udp(3544, 9, datagram)));
        }
    }
    frames
}

#[test]
fn samples_are_decoded_and_their_checksums_are_right() {
    for frame in samples() {
        let decoded = decode_all(LinkType::Ethernet, &frame).unwrap();
        assert!(checksum_ok(&decoded, &frame), "{frame:x?}");
    }
}

#[test]
fn a_sample_cut_off_anywhere_is_harmless() {
    for frame in samples() {
        for length in 0..frame.len() {
            let result = decode_all(LinkType::Ethernet, &frame[..length]);
            assert!(result.is_err(), "the datagram goes to the frame's end");
        }
    }
}

#[test]
fn a_sample_read_as_another_link_type_is_harmless() {
    for frame in samples() {
        for link in LinkType::ALL {
            for start in 0..frame.len().min(48) {
                let _ = decode_all(link, &frame[start..]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_on_any_link_are_harmless(
        link in 0..LinkType::ALL.len(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode_all(LinkType::ALL[link], &bytes);
    }

    #[test]
    fn any_bytes_that_begin_like_ip_are_harmless(
        version in prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60]),
        protocol in prop::sample::select(vec![0u8, 1, 4, 6, 17, 41, 43, 44, 47, 51, 58, 60, 132]),
        rest in prop::collection::vec(any::<u8>(), 60..200),
    ) {
        let mut bytes = [&[version][..], &rest].concat();
        let length = bytes.len() as u16;
        if version == 0x60 {
            bytes[4..6].copy_from_slice(&(length - 40).to_be_bytes());
            bytes[6] = protocol;
        } else {
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[6..8].fill(0);
            bytes[9] = protocol;
        }
        let _ = decode_all(LinkType::RawIp, &bytes);
    }

    #[test]
    fn a_mutated_sample_is_harmless(
        pick: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut: prop::sample::Index,
        whole: bool,
    ) {
        let samples = samples();
        let mut frame = pick.get(&samples).clone();
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        if !whole {
            frame.truncate(cut.index(frame.len()));
        }
        let _ = decode_all(LinkType::Ethernet, &frame);
    }

    #[test]
    fn a_datagram_of_any_bytes_is_harmless(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let outer = Ip::new("192.168.0.1", "192.168.0.2");
        let part = Ip::new("10.0.0.1", "10.0.0.2").fragments(1, 17, &[0; 64], 32).remove(0);
        let packet = outer.datagram(4, &part);
        let context = decode(LinkType::RawIp, &packet, &Config::default()).unwrap();
        if let Ok(whole) = decode_datagram(&bytes, &context, &configs()[0]) {
            check(&whole, &bytes);
        }
    }
}

/// The packets of a classic pcap file (link type, bytes), as far as it can be read.
fn packets(file: &[u8]) -> Option<(LinkType, Vec<&[u8]>)> {
    let word = |bytes: &[u8], at: usize, big: bool| -> Option<u32> {
        let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    };
    let big = match word(file, 0, false)? {
        0xa1b2_c3d4 | 0xa1b2_3c4d => false,
        0xd4c3_b2a1 | 0x4d3c_b2a1 => true,
        _ => return None,
    };
    let link = LinkType::from_dlt(word(file, 20, big)? & 0x0fff_ffff)?;
    let mut found = Vec::new();
    let mut at = 24;
    while let Some(length) = word(file, at + 8, big) {
        let Some(packet) = file.get(at + 16..at + 16 + length as usize) else { break };
        found.push(packet);
        at += 16 + length as usize;
    }
    Some((link, found))
}

#[test]
fn every_capture_of_the_shared_corpus_is_harmless() {
    let root = std::env::var("POLLUX_SHARED").unwrap_or_else(|_| "../../../shared".into());
    let mut folders = ["corpus/hostile", "corpus/suricata-verify"]
        .map(|folder| std::path::Path::new(&root).join(folder))
        .to_vec();
    if !folders.iter().all(|folder| folder.is_dir()) {
        println!("skipped: shared corpus absent");
        return;
    }
    let (mut files, mut right, mut wrong) = (0, 0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pcap") {
                let file = std::fs::read(&path).unwrap();
                let Some((link, packets)) = packets(&file) else { continue };
                files += 1;
                for packet in packets {
                    match decode_all(link, packet) {
                        Ok(_) => right += 1,
                        Err(_) => wrong += 1,
                    }
                }
            }
        }
    }
    println!("{files} captures, {right} packets decoded, {wrong} refused");
    assert!(files > 0 && right > wrong);
}
