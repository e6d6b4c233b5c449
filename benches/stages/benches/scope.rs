//! Whose packet is it: both addresses looked up in a scope of a node's and of a cluster's size.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use benches::material::datagram;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::scope::{Address, Scope};
use wire::Decoded;

/// Packets that are looked up in turn.
const PACKETS: u32 = 1024;

fn scope(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scope");
    group.throughput(Throughput::Elements(u64::from(PACKETS)));
    for addresses in [10u32, 100_000] {
        let entry = Address { endpoints: vec![1], resources: vec![1], rulesets: 1 };
        let address = |n: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 + n));
        let scope = Scope::of((0..addresses).map(|n| (address(n), entry.clone())), 7);
        // Spread over the whole table; those that miss come from beyond it.
        let spread = |n: u32| n.wrapping_mul(0x9e37_79b1) % addresses;
        let hits: Vec<Decoded> = (0..PACKETS).map(|n| datagram(spread(n))).collect();
        let misses: Vec<Decoded> =
            (0..PACKETS).map(|n| datagram(addresses + spread(n) + n)).collect();
        for (name, packets, scoped) in [("hit", &hits, true), ("miss", &misses, false)] {
            assert!(packets.iter().all(|packet| scope.lookup(packet).scoped() == scoped));
            group.bench_function(format!("{name} of {addresses}"), |bencher| {
                bencher.iter(|| {
                    for packet in packets {
                        black_box(scope.lookup(black_box(packet)));
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, scope);
criterion_main!(benches);
