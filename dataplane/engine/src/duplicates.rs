//! The same packet seen twice: a switch that mirrors both of a packet's ports copies it twice, and
//! twice is once too much for every count. A table of what came within a short time, of fixed size.

use std::hash::{BuildHasher as _, Hasher as _};

use wire::{Decoded, Nanos};

/// What is done about packets that are seen twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DuplicateMode {
    /// Nothing: what a capture holds is what happened.
    #[default]
    Off,
    /// They are dropped as long as at least one in twenty packets is one.
    Auto,
    /// They are dropped.
    On,
}

/// Places in the table; a newer packet takes the place of an older one.
const PLACES: usize = 1 << 13;

/// Bytes from the transport header on that tell packets apart: with its checksum, by them all.
const HEAD: usize = 64;

/// Packets after which `auto` decides anew.
const SAMPLE: u32 = 1024;

/// What came a short time ago.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    /// Hash and time; made with the first packet that is looked at.
    places: Vec<(u64, Nanos)>,
    hasher: foldhash::fast::RandomState,
    looked_at: u32,
    twice: u32,
    many: bool,
}

impl Duplicates {
    /// Whether the packet is to be dropped: it was seen no longer than `window` ago.
    pub(crate) fn is_one(
        &mut self,
        decoded: &Decoded,
        bytes: &[u8],
        now: Nanos,
        mode: DuplicateMode,
        window: Nanos,
    ) -> bool {
        if self.places.is_empty() {
            self.places = vec![(0, 0); PLACES];
        }
        let hash = self.hash(decoded, bytes);
        let Some(place) = self.places.get_mut(hash as usize % PLACES) else { return false };
        let twice = place.0 == hash && now.saturating_sub(place.1) <= window;
        if !twice {
            *place = (hash, now);
        }
        self.looked_at += 1;
        self.twice += u32::from(twice);
        if self.looked_at == SAMPLE {
            self.many = self.twice >= SAMPLE / 20;
            (self.looked_at, self.twice) = (0, 0);
        }
        twice && (mode == DuplicateMode::On || self.many)
    }

    /// A hash of what a packet keeps on its way: not the link's header, not the time to live and
    /// what depends on it.
    fn hash(&self, decoded: &Decoded, bytes: &[u8]) -> u64 {
        let layer = decoded.inner();
        let mut hasher = self.hasher.build_hasher();
        match (layer.src, layer.dst) {
            (std::net::IpAddr::V4(src), std::net::IpAddr::V4(dst)) => {
                hasher.write_u64(u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits()));
            }
            (std::net::IpAddr::V6(src), std::net::IpAddr::V6(dst)) => {
                hasher.write_u128(src.to_bits());
                hasher.write_u128(dst.to_bits());
            }
            _ => {}
        }
        let length = layer.end.saturating_sub(layer.header);
        hasher.write_u64(u64::from(layer.id) << 32 | u64::from(length));
        let place = u32::from(layer.fragment_offset) << 8 | u32::from(layer.protocol);
        hasher.write_u64(u64::from(place) << 32 | u64::from(decoded.tunnel.key));
        let (start, end) = (layer.payload as usize, layer.end as usize);
        hasher.write(bytes.get(start..end.min(start + HEAD)).unwrap_or(&[]));
        // 0 stands for an empty place.
        hasher.finish() | 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{LinkType, decode};

    const WINDOW: Nanos = 1_000_000;

    fn packet(id: u16, ttl: u8, payload: &[u8]) -> Vec<u8> {
        let length = (28 + payload.len()) as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet.extend([0, 0, ttl, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2]);
        packet.extend((length - 20).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        packet
    }

    fn seen(table: &mut Duplicates, packet: &[u8], now: Nanos, mode: DuplicateMode) -> bool {
        let config = wire::Config { verify_checksums: false, ..wire::Config::default() };
        let decoded = decode(LinkType::RawIp, packet, &config).expect("a packet");
        table.is_one(&decoded, packet, now, mode, WINDOW)
    }

    #[test]
    fn a_packet_that_comes_again_by_another_way_is_a_duplicate_for_a_short_time() {
        let mut table = Duplicates::default();
        let on = DuplicateMode::On;
        assert!(!seen(&mut table, &packet(1, 64, b"a"), 5, on));
        assert!(seen(&mut table, &packet(1, 63, b"a"), 6, on), "one hop on");
        assert!(!seen(&mut table, &packet(2, 64, b"a"), 7, on), "another identification");
        assert!(!seen(&mut table, &packet(1, 64, b"b"), 8, on), "another payload");
        assert!(!seen(&mut table, &packet(1, 64, b"a"), 6 + 2 * WINDOW, on), "too late");
    }

    #[test]
    fn by_itself_it_drops_only_where_many_packets_come_twice() {
        let mut table = Duplicates::default();
        let auto = DuplicateMode::Auto;
        // Few at first: nothing is dropped.
        for id in 0..SAMPLE {
            assert!(!seen(&mut table, &packet(id as u16, 64, b"x"), u64::from(id), auto));
        }
        // A sample in which every other one is a copy, and then they go.
        for id in 0..SAMPLE as u16 / 2 {
            let now = 1_000_000_000 + u64::from(id);
            assert!(!seen(&mut table, &packet(id, 64, b"y"), now, auto));
            let _ = seen(&mut table, &packet(id, 63, b"y"), now, auto);
        }
        assert!(!seen(&mut table, &packet(9, 64, b"z"), 3_000_000_000, auto));
        assert!(seen(&mut table, &packet(9, 63, b"z"), 3_000_000_000, auto));
    }
}
