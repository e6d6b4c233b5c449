//! Who owns an address pair: which of the workers its packets belong to. Where a NIC spreads by the
//! inner-most address pair, the same is reckoned here, so that only what it could not place moves.

use std::net::IpAddr;
use std::sync::Arc;

use wire::Decoded;

/// How packets are spread over the workers.
#[derive(Debug, Clone, Default)]
pub enum Spread {
    /// By [`Decoded::spread_hash`]; what a NIC gave to another core is handed over.
    #[default]
    Hash,
    /// As the NIC of these workers does it.
    Nic(Arc<NicSpread>),
}

impl Spread {
    /// The worker that owns a packet's inner-most address pair.
    #[inline]
    pub fn owner(&self, decoded: &Decoded, workers: usize) -> usize {
        match self {
            Self::Hash => owner(decoded.spread_hash(), workers),
            Self::Nic(nic) => {
                let layer = decoded.inner();
                nic.owner(layer.src, layer.dst)
            }
        }
    }
}

/// The worker that owns an address pair with this [`Decoded::spread_hash`].
#[inline]
pub fn owner(hash: u32, workers: usize) -> usize {
    ((u64::from(hash) * workers as u64) >> 32) as usize
}

/// A NIC's receive-side scaling by a symmetric key: the Toeplitz hash over both addresses, and the
/// redirection table that its low bits index (Microsoft, "RSS hashing functions").
#[derive(Debug)]
pub struct NicSpread {
    /// The hash of the high byte and of the low byte of the addresses' 16-bit words, all xored.
    high: [u32; 256],
    low: [u32; 256],
    /// The worker of each entry.
    workers: Vec<usize>,
}

impl NicSpread {
    /// A NIC whose key repeats these two bytes, with the queue of each entry of its redirection
    /// table; `first` is the worker of queue 0. None if the table is not as long as a power of two.
    pub fn new(key: [u8; 2], table: &[u16], first: usize) -> Option<Self> {
        if !table.len().is_power_of_two() {
            return None;
        }
        // The key repeats every 16 bits, so that bit i of every word is hashed alike: by the key
        // from bit i on. Words can be xored first.
        let [a, b] = key;
        let key = u32::from_be_bytes([a, b, a, b]);
        let hash = |word: u16| {
            (0..16u32)
                .filter(|bit| word >> (15 - bit) & 1 == 1)
                .fold(0, |hash, bit| hash ^ key.rotate_left(bit))
        };
        let mut high = [0; 256];
        let mut low = [0; 256];
        for (byte, (high, low)) in (0..=255).zip(high.iter_mut().zip(&mut low)) {
            *high = hash(u16::from_be_bytes([byte, 0]));
            *low = hash(u16::from_be_bytes([0, byte]));
        }
        let workers = table.iter().map(|&queue| first + usize::from(queue)).collect();
        Some(Self { high, low, workers })
    }

    /// The worker of an address pair.
    #[inline]
    pub fn owner(&self, src: IpAddr, dst: IpAddr) -> usize {
        let [high, low] = (fold(src) ^ fold(dst)).to_be_bytes();
        let hash = self.high.get(usize::from(high)).copied().unwrap_or(0)
            ^ self.low.get(usize::from(low)).copied().unwrap_or(0);
        self.workers.get(hash as usize & (self.workers.len() - 1)).copied().unwrap_or(0)
    }
}

/// All 16-bit words of an address, xored.
#[inline]
fn fold(address: IpAddr) -> u16 {
    let wide = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            (bits >> 64) as u64 ^ bits as u64
        }
    };
    let half = (wide >> 32) as u32 ^ wide as u32;
    (half >> 16) as u16 ^ half as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 2] = [0x6d, 0x5a];

    /// The Toeplitz hash as the specification has it: bit by bit over the input.
    fn toeplitz(input: &[u8]) -> u32 {
        let key: Vec<u8> = KEY.into_iter().cycle().take(64).collect();
        let bit = |i: usize| key[i / 8] >> (7 - i % 8) & 1;
        let window = |at: usize| (0..32).fold(0_u32, |w, i| w << 1 | u32::from(bit(at + i)));
        (0..input.len() * 8)
            .filter(|i| input[i / 8] >> (7 - i % 8) & 1 == 1)
            .fold(0, |hash, i| hash ^ window(i))
    }

    fn bytes(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }

    fn check(src: IpAddr, dst: IpAddr, queues: u16) {
        let table: Vec<u16> = (0..128).map(|entry| entry % queues).collect();
        let nic = NicSpread::new(KEY, &table, 3).expect("a table");
        let hash = toeplitz(&[bytes(src), bytes(dst)].concat());
        let expected = 3 + usize::from(table[hash as usize % 128]);
        assert_eq!(nic.owner(src, dst), expected);
        assert_eq!(nic.owner(dst, src), expected);
    }

    proptest! {
        #[test]
        fn the_owner_is_whom_the_nic_gives_it_to(a: u32, b: u32, c: u128, d: u128, queues in 1..9u16) {
            check(IpAddr::V4(a.into()), IpAddr::V4(b.into()), queues);
            check(IpAddr::V6(c.into()), IpAddr::V6(d.into()), queues);
        }
    }

    #[test]
    fn the_clients_of_a_server_are_spread() {
        let table: Vec<u16> = (0..128).map(|entry| entry % 4).collect();
        let nic = NicSpread::new(KEY, &table, 0).expect("a table");
        let server = IpAddr::from([10, 0, 7, 1]);
        let mut counts = [0; 4];
        for client in 0..=255 {
            counts[nic.owner(IpAddr::from([10, 0, 1, client]), server)] += 1;
        }
        assert!(counts.iter().all(|&count| count >= 32), "{counts:?}");
    }

    #[test]
    fn a_table_that_no_hash_can_index_is_refused() {
        assert!(NicSpread::new(KEY, &[], 0).is_none());
        assert!(NicSpread::new(KEY, &[0, 1, 2], 0).is_none());
    }
}
