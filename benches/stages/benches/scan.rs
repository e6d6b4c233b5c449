//! The prefilter over full segments of HTTP, with about 1,000 and about 2,500 patterns: Hyperscan, and
//! the way from its matches to signatures.

use std::hint::black_box;

use benches::material::{FULL, http_payloads, ruleset};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Payloads that are scanned in turn.
const PAYLOADS: usize = 64;

fn scan(criterion: &mut Criterion) {
    let payloads = http_payloads(PAYLOADS);
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Bytes((PAYLOADS * FULL) as u64));
    for rules in [1000, 2500] {
        let ruleset = ruleset(&traffic::rules::payload_rules(rules)).expect("the rules compile");
        let groups = ruleset.groups(6, 0, 80);
        let prefilter = groups.common.and_then(|group| group.stream.as_ref()).expect("patterns");
        assert!(prefilter.patterns() > rules * 9 / 10);
        let mut scratch = ruleset.scratch().expect("scratch");
        let mut queue = ruleset.queue();
        let mut found = Vec::with_capacity(1 << 12);
        group.bench_function(format!("{rules} patterns"), |bencher| {
            bencher.iter(|| {
                for payload in &payloads {
                    found.clear();
                    prefilter
                        .scan(black_box(payload.as_padded()), &mut scratch, &mut queue, &mut found)
                        .expect("scanned");
                    black_box(&found);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
