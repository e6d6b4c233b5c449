//! Streams against a map of bytes: whatever the order, the pieces and the repetitions.

use proptest::prelude::*;

use super::memory::{Debt, Memory};
use super::offer::Chunk;
use super::policy::{Extent, Policy};
use super::stream::{Bounds, Inserted, Stream};

const BOUNDS: Bounds = Bounds { depth: 0, max_blocks: 64, policy: Policy::Bsd };

struct Bench {
    stream: Stream,
    debt: Debt,
    memory: Memory,
    base: u32,
    bounds: Bounds,
    app: Vec<u8>,
    raw: Vec<u8>,
    overlap: u64,
}

impl Bench {
    fn new(base: u32) -> Self {
        let mut stream = Stream::new();
        stream.set_base(base);
        Self {
            stream,
            debt: Debt::default(),
            memory: Memory::new(1 << 20),
            base,
            bounds: BOUNDS,
            app: Vec::new(),
            raw: Vec::new(),
            overlap: 16,
        }
    }

    fn insert(&mut self, at: i64, bytes: &[u8]) -> Inserted {
        let seq = self.base.wrapping_add(at as u32);
        self.stream.insert(seq, bytes, &self.bounds, &mut self.debt, &self.memory)
    }

    fn acknowledge(&mut self, upto: u64) {
        self.stream.acknowledge(self.base.wrapping_add(upto as u32));
    }

    /// The parser takes what there is, a gap as so many NULs.
    fn take_app(&mut self) {
        loop {
            let taken = match self.stream.app_next() {
                Chunk::Data(data) => {
                    self.app.extend_from_slice(data);
                    data.len() as u64
                }
                Chunk::Gap(missing) => {
                    self.app.resize(self.app.len() + missing as usize, 0);
                    missing
                }
                Chunk::Nothing => return,
            };
            self.stream.app_consumed(taken, self.overlap, &mut self.debt);
        }
    }

    /// Raw inspection takes what there is, and looks that what was kept is what it saw.
    fn take_raw(&mut self) {
        loop {
            let window = self.stream.raw_window(self.overlap);
            if window.is_empty() {
                return;
            }
            let new_at = window.stream_offset as usize + window.new_from;
            assert_eq!(window.gap_before, new_at != self.raw.len());
            self.raw.resize(new_at, 0);
            // What was missing (here 0) may have come since, for the parser.
            let old = self.raw[new_at - window.new_from..].iter().zip(window.data);
            assert!(old.into_iter().all(|(seen, kept)| *seen == 0 || seen == kept));
            assert!(window.padded.len() >= window.data.len() + 16);
            assert_eq!(window.padded[..window.data.len()], *window.data);
            self.raw.extend_from_slice(&window.data[window.new_from..]);
            let end = window.end();
            self.stream.raw_consumed(end, self.overlap, &mut self.debt);
        }
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] | 1).collect()
}

#[test]
fn only_acknowledged_bytes_are_offered() {
    let mut bench = Bench::new(1);
    bench.insert(0, b"hello world");
    assert_eq!(bench.stream.app_next(), Chunk::Nothing);
    bench.acknowledge(5);
    assert_eq!(bench.stream.app_next(), Chunk::Data(b"hello"));
    assert_eq!(bench.stream.all_from_start(), Some(&b"hello"[..]));
    assert_eq!(bench.stream.raw_window(0).data, b"hello");
    bench.stream.flush();
    assert_eq!(bench.stream.app_next(), Chunk::Data(b"hello world"));
}

#[test]
fn a_gap_is_passed_once_bytes_behind_it_are_acknowledged() {
    let mut bench = Bench::new(0xffff_fffa);
    bench.insert(0, b"first");
    bench.insert(9, b"third");
    bench.acknowledge(9);
    bench.take_app();
    bench.take_raw();
    assert_eq!((&bench.app[..], &bench.raw[..]), (&b"first"[..], &b"first"[..]));
    assert!(!bench.stream.waits_at_gap());
    bench.acknowledge(14);
    assert!(bench.stream.waits_at_gap());
    assert_eq!(bench.stream.app_next(), Chunk::Gap(4));
    assert!(bench.stream.raw_window(99).gap_before);
    bench.take_app();
    bench.take_raw();
    assert_eq!(bench.app, b"first\0\0\0\0third");
    assert_eq!(bench.raw, bench.app);
}

#[test]
fn bytes_beyond_the_depth_are_counted_and_not_stored() {
    let mut bench = Bench::new(7);
    bench.bounds.depth = 10;
    assert_eq!(bench.insert(0, &[1; 8]).beyond_depth, 0);
    let done = bench.insert(8, &[2; 8]);
    assert_eq!((done.accepted, done.fresh, done.beyond_depth), (true, 2, 6));
    let done = bench.insert(16, &[3; 8]);
    assert_eq!((done.accepted, done.beyond_depth), (false, 8));
    assert!(bench.stream.depth_reached());
    bench.stream.flush();
    bench.take_app();
    assert_eq!(bench.app.len(), 10);
}

#[test]
fn what_nobody_wants_is_not_kept() {
    let mut bench = Bench::new(7);
    bench.insert(0, &[1; 100]);
    bench.stream.disable_app(0, &mut bench.debt);
    assert_ne!(bench.memory.used(), 0);
    bench.stream.disable_raw(0, &mut bench.debt);
    assert_eq!(bench.memory.used(), 0);
    assert!(!bench.insert(100, &[1; 100]).accepted);
    assert_eq!(bench.memory.used(), 0);
    assert!(!bench.stream.has_pending());
}

#[test]
fn a_consumer_that_does_not_take_keeps_the_bytes_for_itself() {
    let mut bench = Bench::new(7);
    bench.overlap = 0;
    bench.insert(0, &content(5000));
    bench.acknowledge(5000);
    bench.take_app();
    assert!(bench.stream.has_pending());
    bench.take_raw();
    assert!(!bench.stream.has_pending());
    assert_eq!(bench.memory.used(), 0);
    assert_eq!(bench.raw, content(5000));
}

#[test]
fn without_memory_bytes_are_refused_and_come_as_a_gap() {
    let mut bench = Bench::new(7);
    bench.memory = Memory::new(3000);
    assert!(!bench.insert(0, &[1; 1000]).refused);
    assert!(bench.insert(1000, &[2; 3000]).refused);
    bench.acknowledge(4000);
    bench.take_app();
    bench.take_raw();
    assert!(bench.insert(4000, &[3; 1000]).accepted);
    bench.acknowledge(5000);
    bench.take_app();
    assert_eq!((bench.app.len(), bench.app[3999], bench.app[4000]), (5000, 0, 3));
}

#[test]
fn too_many_waiting_pieces_are_refused() {
    let mut bench = Bench::new(7);
    for at in 0..64 {
        assert!(!bench.insert(1 + 2 * at, &[1]).refused);
    }
    assert!(bench.insert(1 + 2 * 64, &[1]).refused);
    // What joins pieces makes room.
    assert!(!bench.insert(2, &[1]).refused);
    assert!(!bench.insert(1 + 2 * 64, &[1]).refused);
}

#[test]
fn pieces_in_reverse_order_cost_no_more_than_in_order() {
    let mut bench = Bench::new(7);
    bench.bounds.max_blocks = 5000;
    bench.memory = Memory::new(1 << 22);
    for at in (0..4000).rev() {
        bench.insert(at * 10, &[at as u8; 10]);
    }
    bench.acknowledge(40_000);
    bench.take_app();
    assert_eq!(bench.app.len(), 40_000);
    assert!(bench.app.chunks(10).enumerate().all(|(at, piece)| piece == [at as u8; 10]));
}

#[test]
fn the_last_offset_of_four_gigabytes_is_as_good_as_the_first() {
    let mut bench = Bench::new(0xdead_beef);
    bench.overlap = 0;
    let (chunk, mut at) = (vec![9; 1 << 16], 0u64);
    while at < (1 << 32) + (1 << 20) {
        bench.insert(at as i64, &chunk);
        at += chunk.len() as u64;
        bench.acknowledge(at);
        match bench.stream.app_next() {
            Chunk::Data(data) => assert_eq!(data.len(), chunk.len()),
            other => panic!("{other:?} at {at}"),
        }
        bench.stream.app_consumed(chunk.len() as u64, 0, &mut bench.debt);
        bench.stream.raw_consumed(at, 0, &mut bench.debt);
        assert_eq!(bench.memory.used(), 0);
    }
    assert_eq!(bench.stream.app_offset(), at);
}

/// Cuts `0..len` into pieces and puts them, and some again, into any order.
fn pieces(len: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let cuts = proptest::collection::vec(0..len, 0..40);
    let extra = proptest::collection::vec((0..len, 1usize..300), 0..20);
    (cuts, extra).prop_flat_map(move |(mut cuts, extra)| {
        cuts.extend([0, len]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut all: Vec<(usize, usize)> = cuts.windows(2).map(|two| (two[0], two[1])).collect();
        all.extend(extra.into_iter().map(|(start, size)| (start, (start + size).min(len))));
        Just(all).prop_shuffle()
    })
}

proptest! {
    #[test]
    fn the_same_bytes_make_the_same_stream_in_any_order(
        order in pieces(3000), base: u32, ack_every in 1usize..8, overlap in 0u64..600,
    ) {
        let all = content(3000);
        let mut bench = Bench::new(base);
        bench.overlap = overlap;
        let mut have = vec![false; 3000];
        for (number, (start, end)) in order.into_iter().enumerate() {
            let done = bench.insert(start as i64, &all[start..end]);
            prop_assert!(!done.different && !done.refused);
            have[start..end].fill(true);
            if number % ack_every == 0 {
                // The receiver acknowledges what it has without a hole.
                let upto = have.iter().take_while(|has| **has).count();
                bench.acknowledge(upto as u64);
                bench.take_app();
                if number % 2 == 0 { bench.take_raw() }
            }
        }
        bench.acknowledge(3000);
        bench.take_app();
        bench.take_raw();
        prop_assert_eq!(&bench.app, &all);
        prop_assert_eq!(&bench.raw, &all);
        prop_assert!(!bench.stream.has_pending());
    }

    #[test]
    fn what_was_lost_is_a_gap_and_nothing_else_is(
        order in pieces(2000), keep in proptest::collection::vec(any::<bool>(), 80), base: u32,
    ) {
        let all = content(2000);
        let mut bench = Bench::new(base);
        let mut model = vec![0; 2000];
        for (number, (start, end)) in order.into_iter().enumerate() {
            if keep[number % keep.len()] {
                bench.insert(start as i64, &all[start..end]);
                model[start..end].copy_from_slice(&all[start..end]);
            }
        }
        let seen = model.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        model.truncate(seen);
        bench.stream.flush();
        bench.take_app();
        bench.take_raw();
        prop_assert_eq!(&bench.app, &model);
        prop_assert_eq!(&bench.raw, &model);
    }

    #[test]
    fn overlaps_with_different_bytes_equal_a_map_of_bytes(
        segments in proptest::collection::vec((0usize..120, 1usize..40), 1..30),
        policy in prop_oneof![
            Just(Policy::Bsd), Just(Policy::Linux), Just(Policy::Solaris),
            Just(Policy::First), Just(Policy::Last),
        ],
    ) {
        let mut bench = Bench::new(99);
        bench.bounds.policy = policy;
        bench.bounds.max_blocks = 1000;
        let mut model: Vec<Option<(u8, Extent)>> = vec![None; 200];
        for (number, (start, len)) in segments.into_iter().enumerate() {
            let bytes = vec![number as u8 + 1; len];
            let new = Extent { start: start as u64, end: (start + len) as u64 };
            let differs = model[start..start + len].iter().flatten().any(|(byte, _)| *byte != bytes[0]);
            prop_assert_eq!(bench.insert(start as i64, &bytes).different, differs);
            for byte in &mut model[start..start + len] {
                if byte.is_none_or(|(_, old)| policy.new_wins(new, old)) {
                    *byte = Some((bytes[0], new));
                }
            }
        }
        bench.stream.flush();
        bench.take_app();
        let expected: Vec<u8> = model.iter().map(|byte| byte.map_or(0, |(byte, _)| byte)).collect();
        let end = expected.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        prop_assert_eq!(&bench.app[..], &expected[..end]);
    }

    #[test]
    fn memory_stays_within_the_cap_and_comes_back(
        ops in proptest::collection::vec((0i64..60_000, 0usize..3000, 0u8..8), 1..150),
        cap in 0u64..80_000, base: u32,
    ) {
        let mut bench = Bench::new(base);
        bench.memory = Memory::new(cap);
        for (at, len, op) in ops {
            match op {
                0 => bench.acknowledge(at as u64),
                1 => bench.take_app(),
                2 => bench.take_raw(),
                _ => { bench.insert(at - 100, &vec![op; len]); }
            }
            prop_assert!(bench.memory.used() <= cap, "{} of {cap}", bench.memory.used());
        }
        drop((bench.stream, bench.debt));
        prop_assert_eq!(bench.memory.used(), 0);
    }
}
