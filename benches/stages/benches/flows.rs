//! The flow table, small enough for the caches and far too large for them: packets of flows that are
//! there, and flows that come while as many end by time-out.

use std::hint::black_box;

use benches::material::datagram;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flow::{FlowConfig, FlowTable};
use traffic::Random;
use wire::{FlowKey, KeyOrder};

/// Packets of an iteration.
const PACKETS: usize = 1024;

/// Nanoseconds that a UDP flow of one packet lives at most: 30 s, and the second that is begun.
const LIFE: u64 = 31_000_000_000;

/// When the benches begin: any time but 0.
const START: u64 = 1_000_000_000_000;

fn keys(count: u32) -> Vec<(FlowKey, bool)> {
    (0..count)
        .filter_map(|n| datagram(n).flow_key(true))
        .map(|(key, order)| (key, order == KeyOrder::SrcFirst))
        .collect()
}

fn table(flows: u32) -> FlowTable<u64> {
    let config =
        FlowConfig { capacity: flows as usize * 2, hash_seed: Some(1), ..FlowConfig::default() };
    FlowTable::new(&config)
}

fn flows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flows");
    group.throughput(Throughput::Elements(PACKETS as u64));
    for flows in [10_000u32, 1_000_000] {
        let keys = keys(flows * 2);
        let there = &keys[..flows as usize];

        let mut full = table(flows);
        for (key, forward) in there {
            full.lookup_or_insert(key, *forward, START);
        }
        let mut random = Random::new(9);
        group.bench_function(format!("hit of {flows}"), |bencher| {
            bencher.iter_batched(
                || (0..PACKETS).map(|_| random.pick(there)).collect::<Vec<_>>(),
                |packets| {
                    for (key, forward) in packets {
                        let found = full.lookup_or_insert(black_box(key), *forward, START);
                        full.record(found.id, found.direction, 100, START);
                    }
                },
                BatchSize::SmallInput,
            );
        });
        assert_eq!(full.len(), flows as usize, "every packet was of a flow that was there");
        drop(full);

        // A flow comes every so often that `flows` live at a time. There are twice as many keys, so
        // that a key's flow is gone when the key comes again.
        let mut turning = table(flows);
        let step = LIFE / u64::from(flows);
        let mut now = START;
        let mut next = keys.iter().cycle();
        let mut turn = |table: &mut FlowTable<u64>, packets: usize| {
            let mut ended = 0;
            for (n, (key, forward)) in next.by_ref().take(packets).enumerate() {
                now += step;
                let found = table.lookup_or_insert(black_box(key), *forward, now);
                table.record(found.id, found.direction, 100, now);
                assert!(found.fresh);
                if n % 64 == 0 {
                    table.expire(now, 64, |_, _| ended += 1);
                }
            }
            ended
        };
        // Until as many end as come.
        turn(&mut turning, flows as usize * 2);
        group.bench_function(format!("insert and expire at {flows}"), |bencher| {
            bencher.iter(|| turn(&mut turning, PACKETS));
        });
        let live = turning.len();
        assert!(turning.evicted() == 0, "{live} flows, some put out before their time");
    }
    group.finish();
}

criterion_group!(benches, flows);
criterion_main!(benches);
