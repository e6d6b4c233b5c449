//! Which addresses are in the scope of at least one resource, and whose they are.
//! Built by the control side, looked up for every IP layer of every packet.

use std::collections::HashMap;
use std::net::IpAddr;

use lanes::{Avx2, U32x8};
use wire::{Decoded, IpLayer, MAX_IP_LAYERS};

/// Stands for "no known endpoint".
pub const NO_ADDRESS: u32 = u32::MAX;

/// What is known of one address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Endpoints that hold it; more than one is an ambiguity that an alert does not guess about.
    pub endpoints: Vec<u32>,
    /// Resources whose scope it is in, ascending.
    pub resources: Vec<u32>,
    /// Rule sets that apply to it: the union over the resources.
    pub rulesets: u64,
}

/// The scope of a generation.
#[derive(Debug, Default)]
pub struct Scope {
    everything: bool,
    /// By the address as a number: quicker to hash than an enum of two.
    v4: HashMap<u32, u32, foldhash::fast::FixedState>,
    v6: HashMap<u128, u32, foldhash::fast::FixedState>,
    addresses: Vec<Address>,
    filter: Filter,
}

/// Two bits of one word for each address, at places that follow from it: where one is not set, the address is not
/// known. One look, where a table takes several.
#[derive(Debug)]
struct Filter {
    /// As many as the most addresses take, of which the first are used: what is known when this is compiled
    /// needs no test where a bit is looked for.
    words: Box<[u32; WORDS]>,
    /// By so much a hash is shifted to a bit's number.
    shift: u32,
    seed: u64,
}

/// Bits of the filter for each address: of what is not known, one in 400 is looked up in vain.
const BITS: usize = 64;

/// Bits of a word's number, at the most.
const WORD_BITS: u32 = 16;

/// The most words of a filter: 256 kB of a core's cache.
const WORDS: usize = 1 << WORD_BITS;

/// What numbers are multiplied by, before and after their upper half is brought into the lower one: after one product
/// alone the places of neighbouring addresses lie as regularly as they do, so that of another neighbourhood none is
/// looked up in vain, or every third.
const FACTORS: [u32; 2] = [0x9e37_79b1, 0x85eb_ca6b];

impl Default for Filter {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl Filter {
    fn new(addresses: usize, seed: u64) -> Self {
        let count = (addresses * BITS / 32).next_power_of_two().clamp(2, WORDS);
        // By way of the heap, for it is much for a stack; a vector of so many is an array of so many.
        let words = vec![0; WORDS].try_into().unwrap_or_else(|_| Box::new([0; WORDS]));
        Self { words, shift: 32 - 5 - count.ilog2(), seed }
    }

    /// One that may know every address.
    fn all() -> Self {
        let mut all = Self::default();
        all.words.fill(u32::MAX);
        all
    }

    /// The word of an address, and the numbers of its bits.
    #[inline(always)]
    fn place(&self, folded: u32) -> (usize, [u32; 2]) {
        let half = (folded ^ self.seed as u32).wrapping_mul(FACTORS[0]);
        let hash = (half ^ half >> 15).wrapping_mul(FACTORS[1]);
        let place = hash >> (self.shift & 31);
        (usize::from((place >> 5) as u16), [place & 31, hash & 31])
    }

    /// An IPv6 address's number in as many bits as an IPv4 address has.
    #[inline(always)]
    fn folded(&self, address: u128) -> u32 {
        let half = (address >> 64) as u64 ^ (address as u64).rotate_left(32);
        ((half ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    fn insert(&mut self, folded: u32) {
        let (word, [one, other]) = self.place(folded);
        self.words[word] |= 1 << one | 1 << other;
    }

    /// May it be known?
    #[inline(always)]
    fn may_know(&self, folded: u32) -> bool {
        let (word, [one, other]) = self.place(folded);
        let word = self.words[word];
        word >> one & word >> other & 1 != 0
    }

    /// The same of eight: each 1 or 0 in its lowest bit.
    #[inline(always)]
    fn may_know_each(&self, avx: Avx2, folded: U32x8) -> U32x8 {
        let half = (folded ^ avx.all(self.seed as u32)) * avx.all(FACTORS[0]);
        let hash = (half ^ half.shr::<15>()) * avx.all(FACTORS[1]);
        let place = hash.shr_each(avx.all(self.shift & 31));
        let word = place.shr::<5>().words_of(&self.words);
        word.shr_each(place & avx.all(31)) & word.shr_each(hash & avx.all(31))
    }
}

/// The addresses of a packet that are known: two per IP layer, source then destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hits {
    ids: [u32; MAX_IP_LAYERS * 2],
    /// Rule sets that apply; 0: the packet is in nobody's scope.
    pub rulesets: u64,
}

impl Default for Hits {
    fn default() -> Self {
        Self { ids: [NO_ADDRESS; MAX_IP_LAYERS * 2], rulesets: 0 }
    }
}

impl Hits {
    /// Is at least one side in the scope of at least one resource?
    #[inline]
    pub fn scoped(&self) -> bool {
        self.rulesets != 0
    }

    /// Ids of known source addresses, inner-most layer first.
    pub fn sources(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().step_by(2).rev().copied().filter(|&id| id != NO_ADDRESS)
    }

    /// Ids of known destination addresses, inner-most layer first.
    pub fn destinations(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().skip(1).step_by(2).rev().copied().filter(|&id| id != NO_ADDRESS)
    }

    /// The same packet seen from the other side.
    pub fn flipped(&self) -> Self {
        let mut other = *self;
        for pair in other.ids.chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        other
    }
}

impl Scope {
    /// All traffic is in scope, under the default rule set.
    pub fn everything() -> Self {
        Self { everything: true, filter: Filter::all(), ..Self::default() }
    }

    /// A scope of these addresses; the seed makes its hash unpredictable to whoever chooses
    /// addresses.
    pub fn of(addresses: impl IntoIterator<Item = (IpAddr, Address)>, seed: u64) -> Self {
        let hasher = foldhash::fast::FixedState::with_seed(seed);
        let mut scope = Self {
            everything: false,
            v4: HashMap::with_hasher(hasher.clone()),
            v6: HashMap::with_hasher(hasher),
            addresses: Vec::new(),
            filter: Filter::default(),
        };
        for (address, entry) in addresses {
            let id = u32::try_from(scope.addresses.len()).unwrap_or(NO_ADDRESS);
            if id == NO_ADDRESS {
                break;
            }
            match address {
                IpAddr::V4(address) => scope.v4.insert(address.to_bits(), id),
                IpAddr::V6(address) => scope.v6.insert(address.to_bits(), id),
            };
            scope.addresses.push(entry);
        }
        scope.filter = Filter::new(scope.addresses.len(), seed);
        for &address in scope.v4.keys() {
            scope.filter.insert(address);
        }
        for &address in scope.v6.keys() {
            let folded = scope.filter.folded(address);
            scope.filter.insert(folded);
        }
        scope
    }

    /// The address with this id.
    pub fn address(&self, id: u32) -> Option<&Address> {
        self.addresses.get(id as usize)
    }

    /// How many addresses are known.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Is no address known?
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Is all traffic in scope?
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    #[inline]
    fn id(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(address) => self.id_v4(address.to_bits()),
            IpAddr::V6(address) => self.id_v6(address.to_bits()),
        }
    }

    #[inline(always)]
    fn id_v4(&self, address: u32) -> Option<u32> {
        self.filter.may_know(address).then(|| self.v4.get(&address).copied()).flatten()
    }

    #[inline(always)]
    fn id_v6(&self, address: u128) -> Option<u32> {
        let may_be = self.filter.may_know(self.filter.folded(address));
        may_be.then(|| self.v6.get(&address).copied()).flatten()
    }

    /// Is neither of two IPv4 addresses, as numbers, in the scope of a resource?
    #[inline(always)]
    pub fn are_nobodys_v4(&self, src: u32, dst: u32) -> bool {
        // Both, without a branch between them: most are not.
        let may_be = self.filter.may_know(src) | self.filter.may_know(dst);
        !may_be || !self.has_either_v4(src, dst)
    }

    /// All ones for each of eight pairs of IPv4 addresses, as numbers, of which the filter alone shows that neither
    /// is in the scope of a resource.
    #[inline(always)]
    pub fn are_surely_nobodys(&self, avx: Avx2, src: U32x8, dst: U32x8) -> U32x8 {
        let may_be = self.filter.may_know_each(avx, src) | self.filter.may_know_each(avx, dst);
        (may_be & avx.all(1)).is(avx.all(0))
    }

    /// The same of two IPv6 addresses.
    #[inline(always)]
    pub fn are_nobodys_v6(&self, src: u128, dst: u128) -> bool {
        let [from, to] = [src, dst].map(|address| self.filter.folded(address));
        let may_be = self.filter.may_know(from) | self.filter.may_know(to);
        !may_be || !self.has_either_v6(src, dst)
    }

    /// A call of its own, so that those whom the filter is enough for have the registers.
    #[inline(never)]
    fn has_either_v4(&self, src: u32, dst: u32) -> bool {
        self.everything
            || [src, dst].into_iter().filter_map(|it| self.id_v4(it)).any(|id| self.has_rules(id))
    }

    #[inline(never)]
    fn has_either_v6(&self, src: u128, dst: u128) -> bool {
        self.everything
            || [src, dst].into_iter().filter_map(|it| self.id_v6(it)).any(|id| self.has_rules(id))
    }

    fn has_rules(&self, id: u32) -> bool {
        self.addresses.get(id as usize).is_some_and(|it| it.rulesets != 0)
    }

    /// Looks every IP layer up.
    #[inline]
    pub fn lookup(&self, packet: &Decoded) -> Hits {
        self.lookup_layers(packet.ip_layers())
    }

    /// Calls for each resource in whose scope these addresses are, once.
    pub fn each_resource(&self, hits: &Hits, mut each: impl FnMut(u32)) {
        let known = |id: &u32| self.address(*id).map_or(&[][..], |it| it.resources.as_slice());
        for (at, id) in hits.ids.iter().enumerate() {
            for &resource in known(id) {
                let earlier = hits.ids.get(..at).unwrap_or(&[]);
                if !earlier.iter().any(|id| known(id).contains(&resource)) {
                    each(resource);
                }
            }
        }
    }

    /// Looks these layers up, outer-most first.
    #[inline]
    pub fn lookup_layers(&self, layers: &[IpLayer]) -> Hits {
        let mut hits = Hits::default();
        if self.everything {
            hits.rulesets = 1;
            return hits;
        }
        for (layer, ids) in layers.iter().zip(hits.ids.chunks_exact_mut(2)) {
            for (address, slot) in [layer.src, layer.dst].into_iter().zip(ids) {
                if let Some(id) = self.id(address) {
                    *slot = id;
                    hits.rulesets |=
                        self.addresses.get(id as usize).map_or(0, |entry| entry.rulesets);
                }
            }
        }
        hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanes::{LANES, Work};
    use wire::{LinkType, decode};

    fn udp(src: [u8; 4], dst: [u8; 4]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
        packet.extend(src);
        packet.extend(dst);
        packet.extend([0, 1, 0, 2, 0, 8, 0, 0]);
        packet
    }

    fn decoded(packet: &[u8]) -> Decoded {
        let config = wire::Config { verify_checksums: false, ..wire::Config::default() };
        decode(LinkType::RawIp, packet, &config).expect("a valid packet")
    }

    #[test]
    fn either_side_scopes_a_packet_and_flipping_swaps_the_sides() {
        let entry = Address { endpoints: vec![7], resources: vec![3], rulesets: 1 };
        let scope = Scope::of([("10.0.0.1".parse().expect("address"), entry)], 42);
        let to = scope.lookup(&decoded(&udp([10, 0, 0, 1], [192, 0, 2, 1])));
        let from = scope.lookup(&decoded(&udp([192, 0, 2, 1], [10, 0, 0, 1])));
        assert!(to.scoped() && from.scoped());
        assert_eq!(to.sources().collect::<Vec<_>>(), [0]);
        assert_eq!(to.destinations().count(), 0);
        assert_eq!(to.flipped(), from);
        assert!(!scope.lookup(&decoded(&udp([10, 0, 0, 2], [192, 0, 2, 1]))).scoped());
    }

    #[test]
    fn a_known_endpoint_outside_every_resource_is_named_but_not_scoped() {
        let entry = Address { endpoints: vec![1], ..Address::default() };
        let scope = Scope::of([("10.0.0.9".parse().expect("address"), entry)], 1);
        let hits = scope.lookup(&decoded(&udp([10, 0, 0, 9], [10, 0, 0, 1])));
        assert!(!hits.scoped());
        assert_eq!(hits.sources().collect::<Vec<_>>(), [0]);
    }

    struct Eight<'a>(&'a Scope, [u32; LANES], [u32; LANES]);

    impl Work for Eight<'_> {
        type Done = u8;

        #[inline(always)]
        fn work(self, avx: Avx2) -> u8 {
            let Self(scope, src, dst) = self;
            scope.are_surely_nobodys(avx, avx.of(&src), avx.of(&dst)).mask()
        }
    }

    #[test]
    fn eight_pairs_at_a_time_are_what_the_filter_says_of_each() {
        let Some(avx) = Avx2::detect() else { return };
        let entry = Address { resources: vec![1], rulesets: 1, ..Address::default() };
        let known = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        for (count, seed) in [(0, 3), (1, 0), (1_000, 7), (70_000, u64::MAX)] {
            let scope = Scope::of((0..count).map(|n| (known(n), entry.clone())), seed);
            let mut surely = 0;
            for n in 0..1_000u32 {
                let address = |lane: u32| 0x0a00_0000 + count + n * 80 - lane * 7 + 50;
                let (src, dst) = (std::array::from_fn(|lane| address(lane as u32)), [n; LANES]);
                let one_by_one = src.iter().rev().fold(0, |mask, &src| {
                    let may_be = scope.filter.may_know(src) || scope.filter.may_know(n);
                    mask << 1 | u8::from(!may_be)
                });
                assert_eq!(avx.run(Eight(&scope, src, dst)), one_by_one);
                assert_eq!(avx.run(Eight(&scope, dst, src)), one_by_one);
                surely += one_by_one.count_ones();
            }
            assert!(surely > 7_000, "{surely} of 8,000 beside {count}");
        }
        let everything = Scope::everything();
        assert_eq!(avx.run(Eight(&everything, [1; LANES], [2; LANES])), 0);
    }

    #[test]
    fn no_neighbourhood_is_mistaken_for_the_known_one() {
        let entry = Address { resources: vec![1], rulesets: 1, ..Address::default() };
        for seed in 0..50u64 {
            let base = 0xf000_0000 + (seed as u32).wrapping_mul(0x0123_4567);
            let known = (0..1_000).map(|n| (IpAddr::V4((base ^ n).into()), entry.clone()));
            let scope = Scope::of(known, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for distance in [1 << 10, 1 << 11, 1 << 16, 1 << 20, 0x1357_9bdf] {
                let others = (0..500).map(|n| (base ^ n).wrapping_add(distance));
                let vain = others.filter(|&address| scope.filter.may_know(address)).count();
                assert!(vain < 10, "{vain} of 500 at {distance:#x} from {base:#x} by {seed}");
            }
        }
    }

    #[test]
    fn what_is_known_is_always_found_and_the_filter_spares_most_of_what_is_not() {
        let entry =
            |resource| Address { resources: vec![resource], rulesets: 1, ..Address::default() };
        for (count, seed) in [(1u32, 0), (1_000, 7), (70_000, u64::MAX)] {
            let four = |n: u32| 0x0a00_0000 + n;
            let six = |n: u32| 0xfd00_u128 << 112 | u128::from(n);
            let all = (0..count).flat_map(|n| {
                [(IpAddr::V4(four(n).into()), entry(n)), (IpAddr::V6(six(n).into()), entry(n))]
            });
            let scope = Scope::of(all, seed);
            for n in 0..count {
                for id in [scope.id_v4(four(n)), scope.id_v6(six(n))] {
                    assert_eq!(scope.address(id.expect("known")), Some(&entry(n)));
                }
                let other = count + n;
                for (src, dst) in [(n, other), (other, n), (n, n)] {
                    assert!(!scope.are_nobodys_v4(four(src), four(dst)));
                    assert!(!scope.are_nobodys_v6(six(src), six(dst)));
                }
            }
            let mut vain = 0;
            for n in count..count + 10_000 {
                assert!(scope.are_nobodys_v4(four(n), four(n + 1)));
                assert!(scope.are_nobodys_v6(six(n), six(n + 1)));
                vain += u32::from(scope.filter.may_know(four(n)));
                vain += u32::from(scope.filter.may_know(scope.filter.folded(six(n))));
            }
            assert!(vain < 1_000, "{vain} of 20,000 are looked up in vain beside {count}");
        }
        let everything = Scope::everything();
        for n in 0..1_000 {
            assert!(!everything.are_nobodys_v4(n, n << 20 | 1));
            assert!(!everything.are_nobodys_v6(n.into(), u128::from(n) << 100 | 1));
        }
        assert!(Scope::of([], 0).are_nobodys_v4(1, 2) && Scope::of([], 0).are_nobodys_v6(1, 2));
    }
}
