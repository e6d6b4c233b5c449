//! Any frame of any link type: decoding stays within the bytes, and so does what it points at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Config, Decoded, LinkType, decode, decode_datagram};

fuzz_target!(|input: &[u8]| {
    let Some((&kind, frame)) = input.split_first() else { return };
    let Some(link) = LinkType::from_index(kind & 0x1f) else { return };
    let config = Config { verify_checksums: kind & 0x80 != 0, ..Config::default() };
    let Ok(decoded) = decode(link, frame, &config) else { return };
    check(&decoded, frame);
    if decoded.fragment.is_some() {
        let payload = decoded.payload_of(frame);
        let mut datagram = Vec::new();
        if decoded.begin_datagram(frame, payload.len(), &mut datagram) {
            datagram.extend_from_slice(payload);
            if let Ok(whole) = decode_datagram(&datagram, &decoded, &config) {
                check(&whole, &datagram);
            }
        }
    }
});

fn check(decoded: &Decoded, bytes: &[u8]) {
    assert!(!decoded.ip_layers().is_empty());
    assert!(decoded.payload.range().end <= bytes.len());
    for layer in decoded.ip_layers().iter().skip(usize::from(decoded.inherited)) {
        assert!(layer.header <= layer.payload && layer.payload <= layer.end);
        assert!(layer.end as usize <= bytes.len());
    }
    for use_vlan in [false, true] {
        if let Some((key, _)) = decoded.flow_key(use_vlan) {
            assert!(matches!(key.version(), 4 | 6));
        }
        let _of_the_error: Option<_> = decoded.icmp_error_key(bytes, use_vlan);
    }
    assert_eq!(decoded.spread_hash(), decoded.spread_hash());
}
