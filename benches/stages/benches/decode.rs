//! Bytes to headers: full TCP segments, plain, tagged, in VXLAN and over IPv6, with and without
//! their checksums verified.

use std::hint::black_box;
use std::net::Ipv4Addr;

use benches::material::segments;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use traffic::Envelope;
use wire::{Config, Decoded, LinkType};

/// Frames that are decoded in turn: their headers stay in the cache, as after a receive burst.
const FRAMES: u16 = 64;

fn decode(criterion: &mut Criterion) {
    let node = |n| Ipv4Addr::new(192, 168, 0, n);
    let vxlan = Envelope::Vxlan { vni: 4096, client: node(1), server: node(2) };
    let cases = [
        ("tcp", Envelope::Plain, false),
        ("vlan", Envelope::Vlan(7), false),
        ("vxlan", vxlan, false),
        ("ipv6", Envelope::Plain, true),
    ];
    for (group, verify_checksums) in [("decode", false), ("decode with checksums", true)] {
        let config = Config { verify_checksums, ..Config::default() };
        let mut group = criterion.benchmark_group(group);
        group.throughput(Throughput::Elements(u64::from(FRAMES)));
        for (name, envelope, six) in cases {
            let frames = segments(FRAMES, envelope, six);
            let mut place = Decoded::EMPTY;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    for frame in &frames {
                        let link = LinkType::Ethernet;
                        let done = wire::decode_into(link, black_box(frame), &config, &mut place);
                        assert!(done.is_ok());
                    }
                    black_box(&place);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
