//! Fragments of a few datagrams in any order, with any contents: bounded memory, every fragment has one
//! fate, and a datagram that comes out can be decoded or refused.
#![no_main]

use dataplane_fuzz::Choices;
use flow::{DefragConfig, DefragOutcome, Defragmenter, FragmentPolicy};
use libfuzzer_sys::fuzz_target;
use wire::{Config, LinkType, decode, decode_datagram};

const MEMORY: usize = 1 << 16;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let policies = [
        FragmentPolicy::Bsd,
        FragmentPolicy::BsdRight,
        FragmentPolicy::Linux,
        FragmentPolicy::Windows,
        FragmentPolicy::First,
        FragmentPolicy::Last,
    ];
    let policy = policies[usize::from(choices.byte()) % policies.len()];
    let config = DefragConfig { trackers: 8, memcap: MEMORY, policy, ..DefragConfig::default() };
    let mut defragmenter = Defragmenter::new(&config);
    let decoder = Config { verify_checksums: false, ..Config::default() };
    let mut now = 1_700_000_000_000_000_000;
    while !choices.is_empty() {
        now += u64::from(choices.byte()) * 1_000_000_000 / 4;
        let frame = fragment(&mut choices);
        let Ok(decoded) = decode(LinkType::RawIp, &frame, &decoder) else { continue };
        if decoded.fragment.is_none() {
            continue;
        }
        if let DefragOutcome::Complete { datagram, fragments } =
            defragmenter.push(&decoded, &frame, now)
        {
            assert!(fragments >= 1 && datagram.len() <= 65_535 + 40);
            let whole = datagram.to_vec();
            let _readable: Result<_, _> = decode_datagram(&whole, &decoded, &decoder);
        }
        assert!(defragmenter.memory_bytes() <= MEMORY + 65_535 * 2);
        let stats = defragmenter.stats();
        let fates =
            stats.pending + stats.completed + stats.timed_out + stats.memcap + stats.refused;
        assert_eq!(stats.fragments, fates);
    }
});

/// A fragment of one of four datagrams, IPv4 or IPv6.
fn fragment(choices: &mut Choices<'_>) -> Vec<u8> {
    let kind = choices.byte();
    let offset = choices.word() & 0x1fff;
    let more = u16::from(kind >> 2 & 1);
    let length = usize::from(choices.byte()) * if kind & 8 != 0 { 8 } else { 1 };
    let body = choices.take(length);
    let id = kind & 3;
    let mut packet = Vec::with_capacity(48 + body.len());
    if kind & 16 == 0 {
        let length = (20 + body.len()) as u16;
        let flags = more << 13 | offset;
        packet.extend_from_slice(&[0x45, 0]);
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, id]);
        packet.extend_from_slice(&flags.to_be_bytes());
        packet.extend_from_slice(&[64, [17, 6, 4, 47][usize::from(kind >> 6)], 0, 0]);
        packet.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    } else {
        let next = [17, 6, 60, 44][usize::from(kind >> 6)];
        packet.extend_from_slice(&[0x60, 0, 0, 0]);
        packet.extend_from_slice(&((8 + body.len()) as u16).to_be_bytes());
        packet.extend_from_slice(&[44, 64]);
        packet.extend_from_slice(&[0xfd; 16]);
        packet.extend_from_slice(&[0xfc; 16]);
        packet.extend_from_slice(&[next, 0]);
        packet.extend_from_slice(&(offset << 3 | more).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, id]);
    }
    packet.extend_from_slice(body);
    packet
}
