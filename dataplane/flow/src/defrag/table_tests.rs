//! Datagrams cut up and put together again, through the decoder.

use proptest::prelude::*;
use wire::builder::Ip;
use wire::{Config, Decoded, LinkType, decode, decode_datagram};

use super::{DefragConfig, DefragOutcome, DefragStats, Defragmenter};
use crate::flow::SECOND;

const NOW: u64 = 1_700_000_000 * SECOND;

fn decoded(packet: &[u8]) -> Decoded {
    decode(LinkType::RawIp, packet, &Config::default()).unwrap()
}

fn push<'a>(defrag: &'a mut Defragmenter, packet: &[u8], now: u64) -> DefragOutcome<'a> {
    defrag.push(&decoded(packet), packet, now)
}

fn udp(len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|at| (at * 31 / 7) as u8).collect();
    wire::builder::udp(7, 53, &payload)
}

fn balances(stats: DefragStats) -> bool {
    stats.fragments
        == stats.pending + stats.completed + stats.timed_out + stats.memcap + stats.refused
}

fn versions() -> [Ip; 2] {
    let mut v4 = Ip::new("192.0.2.1", "198.51.100.2");
    v4.options = vec![7, 7, 4, 0, 0, 0, 0];
    let mut v6 = Ip::new("2001:db8::1", "2001:db8::2");
    v6.extensions = vec![(60, vec![0, 0, 1, 4, 0, 0, 0, 0])];
    [v4, v6]
}

#[test]
fn the_whole_is_a_datagram_with_a_right_header() {
    for ip in versions() {
        let body = udp(3000);
        let fragments = ip.fragments(77, 17, &body, 1000);
        let mut defrag = Defragmenter::new(&DefragConfig::default());
        for order in [[3, 1, 0, 2], [0, 1, 2, 3], [3, 2, 1, 0]] {
            for at in &order[..3] {
                assert_eq!(push(&mut defrag, &fragments[*at], NOW), DefragOutcome::Pending);
            }
            assert!(defrag.memory_bytes() > 1000);
            let last = &fragments[order[3]];
            let context = decoded(last);
            let DefragOutcome::Complete { datagram, fragments } = defrag.push(&context, last, NOW)
            else {
                panic!("not complete")
            };
            assert_eq!(fragments, 4);
            // The decoder verifies lengths and checksums.
            let whole = decode_datagram(datagram, &context, &Config::default()).unwrap();
            assert_eq!(whole.ports(), (7, 53));
            assert_eq!(whole.payload_of(datagram), &body[8..]);
            assert_eq!((defrag.len(), defrag.memory_bytes()), (0, 0));
        }
        assert_eq!((defrag.stats().datagrams, defrag.stats().completed), (3, 12));
        assert!(balances(defrag.stats()));
    }
}

#[test]
fn datagrams_of_different_ids_ends_or_protocols_are_kept_apart() {
    let ip = Ip::new("192.0.2.1", "198.51.100.2");
    let other = Ip::new("192.0.2.1", "198.51.100.3");
    let body = udp(100);
    let mut defrag = Defragmenter::new(&DefragConfig::default());
    push(&mut defrag, &ip.fragments(1, 17, &body, 80)[0], NOW);
    for second in [
        &ip.fragments(2, 17, &body, 80)[1],
        &other.fragments(1, 17, &body, 80)[1],
        &ip.reversed().fragments(1, 17, &body, 80)[1],
        &ip.fragments(1, 99, &body, 80)[1],
    ] {
        assert_eq!(push(&mut defrag, second, NOW), DefragOutcome::Pending);
    }
    assert_eq!(defrag.len(), 5);
    let last = push(&mut defrag, &ip.fragments(1, 17, &body, 80)[1], NOW);
    assert!(matches!(last, DefragOutcome::Complete { .. }));
}

#[test]
fn what_is_not_complete_in_time_is_given_up() {
    let ip = Ip::new("192.0.2.1", "198.51.100.2");
    let fragments = ip.fragments(1, 17, &udp(3000), 1000);
    let mut defrag = Defragmenter::new(&DefragConfig::default());
    push(&mut defrag, &fragments[0], NOW);
    push(&mut defrag, &fragments[1], NOW + 59 * SECOND);
    assert_eq!(defrag.expire(NOW + 60 * SECOND), 0);
    assert_eq!(defrag.expire(NOW + 60 * SECOND + 1), 2);
    assert_eq!((defrag.len(), defrag.memory_bytes(), defrag.stats().timed_out), (0, 0, 2));
    // Without a call of `expire` a late fragment does not meet the old ones either.
    push(&mut defrag, &fragments[0], NOW);
    push(&mut defrag, &fragments[1], NOW + 100 * SECOND);
    assert_eq!((defrag.stats().timed_out, defrag.stats().pending), (3, 1));
    assert_eq!(defrag.expire(NOW + 150 * SECOND), 0);
    assert_eq!(defrag.drain(), 1);
    assert!(balances(defrag.stats()) && defrag.is_empty());
}

#[test]
fn the_oldest_give_way_when_memory_or_places_are_short() {
    let ip = Ip::new("192.0.2.1", "198.51.100.2");
    let config = DefragConfig { trackers: 3, ..DefragConfig::default() };
    let mut defrag = Defragmenter::new(&config);
    for id in 0..5 {
        let fragment = &ip.fragments(id, 17, &udp(3000), 1000)[0];
        assert_eq!(push(&mut defrag, fragment, NOW), DefragOutcome::Pending);
    }
    assert_eq!((defrag.len(), defrag.stats().memcap), (3, 2));
    let config = DefragConfig { memcap: 10_000, ..DefragConfig::default() };
    let mut defrag = Defragmenter::new(&config);
    for id in 0..50 {
        push(&mut defrag, &ip.fragments(id, 17, &udp(3000), 1000)[0], NOW);
        assert!(defrag.memory_bytes() <= 10_000);
    }
    assert!(defrag.len() > 2 && balances(defrag.stats()));
    // One that does not fit by itself is dropped without an end of others' datagrams in its place.
    let config = DefragConfig { memcap: 500, ..DefragConfig::default() };
    let mut defrag = Defragmenter::new(&config);
    let outcome = push(&mut defrag, &ip.fragments(1, 17, &udp(3000), 1000)[0], NOW);
    assert_eq!(outcome, DefragOutcome::MemcapDrop);
    assert!(balances(defrag.stats()) && defrag.memory_bytes() == 0);
}

#[test]
fn a_packet_that_is_no_fragment_is_told() {
    let packet = Ip::new("192.0.2.1", "198.51.100.2").udp(1, 2, b"x");
    let mut defrag = Defragmenter::new(&DefragConfig::default());
    assert_eq!(push(&mut defrag, &packet, NOW), DefragOutcome::NotAFragment);
}

#[test]
fn a_datagram_beyond_the_largest_is_refused() {
    let ip = Ip::new("2001:db8::1", "2001:db8::2");
    let mut fragments = ip.fragments(1, 17, &udp(60_000), 8000);
    let mut defrag = Defragmenter::new(&DefragConfig::default());
    let last = fragments.pop().unwrap();
    for fragment in &fragments {
        assert_eq!(push(&mut defrag, fragment, NOW), DefragOutcome::Pending);
    }
    // The decoder may refuse it before: what counts is that nobody puts it together.
    let mut far = last.clone();
    far[42..44].copy_from_slice(&((65_000u16 / 8) << 3).to_be_bytes());
    if let Ok(fragment) = decode(LinkType::RawIp, &far, &Config::default()) {
        assert_eq!(defrag.push(&fragment, &far, NOW), DefragOutcome::TooLarge);
    }
    assert!(matches!(push(&mut defrag, &last, NOW), DefragOutcome::Complete { .. }));
    assert!(balances(defrag.stats()));
}

proptest! {
    #[test]
    fn fragments_in_any_order_and_number_make_the_same_datagram(
        len in 1usize..5000, size in 1usize..60, repeated in proptest::collection::vec(0usize..400, 0..20),
        shuffle: u64, version in 0usize..2,
    ) {
        let ip = &versions()[version];
        let body = udp(len);
        let fragments = ip.fragments(9, 17, &body, size * 8);
        prop_assume!(fragments.len() > 1);
        let mut order: Vec<usize> = (0..fragments.len()).collect();
        let mut state = shuffle | 1;
        for at in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(at, (state >> 33) as usize % (at + 1));
        }
        let last = order.pop().unwrap();
        order.extend(repeated.into_iter().map(|at| at % fragments.len()).filter(|at| *at != last));
        order.push(last);
        let mut defrag = Defragmenter::new(&DefragConfig::default());
        for (count, at) in order.iter().enumerate() {
            let packet = &fragments[*at];
            let context = decoded(packet);
            match defrag.push(&context, packet, NOW) {
                DefragOutcome::Complete { datagram, fragments } => {
                    prop_assert_eq!(count + 1, order.len());
                    prop_assert_eq!(fragments as usize, order.len());
                    let whole = decode_datagram(datagram, &context, &Config::default()).unwrap();
                    prop_assert_eq!(whole.payload_of(datagram), &body[8..]);
                }
                outcome => {
                    prop_assert_eq!(outcome, DefragOutcome::Pending);
                    prop_assert!(count + 1 < order.len());
                }
            }
        }
        prop_assert!(defrag.is_empty() && defrag.memory_bytes() == 0 && balances(defrag.stats()));
    }

    #[test]
    fn any_fragments_whatever_stay_within_the_bounds(
        all in proptest::collection::vec(
            (0u32..4, 0u16..8192, any::<bool>(), 0usize..100, 0u64..40), 1..200),
        memcap in 0usize..20_000,
    ) {
        let config = DefragConfig { memcap, trackers: 3, max_fragments: 20, ..DefragConfig::default() };
        let mut defrag = Defragmenter::new(&config);
        let ip = Ip::new("192.0.2.1", "198.51.100.2");
        let mut now = NOW;
        for (id, offset, more, len, step) in all {
            now += step * SECOND / 4;
            let mut packet = ip.fragments(id, 17, &vec![id as u8; len * 8 + 8], 2000).remove(0);
            let field = u16::from(more) << 13 | (offset % 300);
            packet[6..8].copy_from_slice(&field.to_be_bytes());
            let config = Config { verify_checksums: false, ..Config::default() };
            let Ok(fragment) = decode(LinkType::RawIp, &packet, &config) else { continue };
            if fragment.fragment.is_some() {
                defrag.push(&fragment, &packet, now);
            }
            prop_assert!(defrag.memory_bytes() <= memcap, "{}", defrag.memory_bytes());
            prop_assert!(defrag.len() <= 3 && balances(defrag.stats()));
            if step > 30 { defrag.expire(now); }
        }
        defrag.drain();
        prop_assert!(defrag.is_empty() && defrag.memory_bytes() == 0 && balances(defrag.stats()));
        prop_assert_eq!(defrag.stats().pending, 0);
    }
}
