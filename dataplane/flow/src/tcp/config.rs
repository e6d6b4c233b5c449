//! Settings of TCP tracking and reassembly.

use wire::Direction;

use super::policy::Policy;
use super::urgent::UrgentPolicy;

/// Settings of TCP tracking and reassembly (Suricata's `stream` section; the defaults are its).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConfig {
    /// Take up connections whose beginning was not seen.
    pub midstream: bool,
    /// Take up connections of which one side only is seen.
    pub async_oneside: bool,
    /// Bytes of each direction that are reassembled; 0: all.
    pub depth: u64,
    /// Bytes that one core buffers: the cap for [`super::Memory::new`].
    pub memcap: u64,
    /// Pieces of one direction that wait for what is missing before them.
    pub max_segments: usize,
    /// Whose bytes count where segments overlap.
    pub policy: Policy,
    /// What becomes of urgent data.
    pub urgent: UrgentPolicy,
    /// New bytes to the server that are worth a raw inspection.
    pub toserver_chunk: u32,
    /// New bytes to the client that are worth a raw inspection.
    pub toclient_chunk: u32,
    /// By how many percent of it a chunk may be larger or smaller than those two say, so that nobody can
    /// lay an attack across an edge that is known beforehand; 0: by nothing.
    pub chunk_range: u32,
    /// What the sizes within that range follow from, besides the connection and the place in it.
    pub chunk_seed: u64,
    /// Inspected bytes that are kept before the new ones, for patterns that straddle.
    pub raw_overlap: u32,
    /// Different SYN/ACKs (or SYNs) that are kept until it shows which one counts.
    pub max_handshakes: usize,
}

impl StreamConfig {
    /// New bytes that are worth a raw inspection at this place of a stream.
    pub(crate) fn chunk(&self, direction: Direction, isn: u32, offset: u64) -> u64 {
        let size = match direction {
            Direction::ToServer => self.toserver_chunk,
            Direction::ToClient => self.toclient_chunk,
        };
        let size = u64::from(size);
        let range = size * u64::from(self.chunk_range.min(100)) / 100;
        if range == 0 {
            return size;
        }
        // SplitMix64's finish, of what an attacker does not know.
        let mut mixed = (self.chunk_seed ^ offset).wrapping_add(u64::from(isn) << 32);
        for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
            mixed = (mixed ^ mixed >> shift).wrapping_mul(factor);
        }
        (size - range + (mixed >> 31) % (2 * range + 1)).max(1)
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            midstream: false,
            async_oneside: false,
            depth: 1 << 20,
            memcap: 256 << 20,
            max_segments: 1024,
            policy: Policy::Bsd,
            urgent: UrgentPolicy::Inline,
            toserver_chunk: 2560,
            toclient_chunk: 2560,
            chunk_range: 10,
            chunk_seed: 0,
            raw_overlap: 512,
            max_handshakes: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_vary_within_their_range_by_connection_place_and_seed() {
        let config = StreamConfig { toserver_chunk: 1000, ..StreamConfig::default() };
        let sizes = |config: &StreamConfig| -> Vec<u64> {
            let places = (0..500u64).map(|n| (n as u32 / 10, n % 10 * 1000));
            places.map(|(isn, at)| config.chunk(Direction::ToServer, isn, at)).collect()
        };
        let some = sizes(&config);
        assert!(some.iter().all(|size| (900..=1100).contains(size)));
        assert!(some.iter().min() < Some(&910) && some.iter().max() > Some(&1090));
        assert_eq!(some, sizes(&config), "the same place has the same size");
        assert_ne!(some, sizes(&StreamConfig { chunk_seed: 1, ..config.clone() }));
        let fixed = StreamConfig { chunk_range: 0, ..config.clone() };
        assert!(sizes(&fixed).iter().all(|&size| size == 1000));
        let least = StreamConfig { toserver_chunk: 1, chunk_range: 100, ..config };
        assert!(sizes(&least).iter().all(|size| (1..=2).contains(size)));
    }
}
