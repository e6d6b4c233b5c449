//! Who is selected: what a pod's or a resource's coming and going costs in a cluster of 10,000 pods and
//! 1,000 resources, by the index and by asking every selector about every pod; what a generation's table
//! and scope cost; and what the index of 100,000 pods holds in memory.

use std::collections::BTreeMap;
use std::hint::black_box;

use api::resources::{Namespace, Pod, ServiceAccount};
use api::{DeepPacketInspection, Endpoint, ScopeIndex, ScopeTable};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pollux::state::scope;

const PODS: u32 = 10_000;
const RESOURCES: u32 = 1_000;
/// Few, so that many resources are in each: selectors never reach beyond one.
const NAMESPACES: u32 = 4;
/// Pods of one deployment.
const REPLICAS: u32 = 10;

fn labels(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn pod(number: u32) -> Pod {
    let deployment = number / REPLICAS;
    Pod {
        namespace: format!("namespace-{}", deployment % NAMESPACES),
        name: format!("deployment-{deployment}-5d9c7b4f6d-{number:05}"),
        labels: labels(&[
            ("app", format!("app-{deployment}")),
            ("tier", format!("tier-{}", deployment % 7)),
            ("pod-template-hash", format!("{:010x}", deployment.wrapping_mul(0x9e37_79b1))),
            ("app.kubernetes.io/instance", format!("instance-{deployment}")),
        ]),
        node: format!("node-{}", number % 200),
        service_account: format!("account-{}", deployment % 50),
        phase: "Running".to_owned(),
        pod_ips: vec![
            std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string(),
            std::net::Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(number)).to_string(),
        ],
        ..Pod::default()
    }
}

fn resource(number: u32) -> DeepPacketInspection {
    let app = number * 3;
    let selector = match number % 10 {
        0 => format!("tier == 'tier-{}' && app != 'app-{app}'", number % 7),
        1 => format!("app in {{'app-{app}', 'app-{}'}} || app == 'app-{}'", app + 4, app + 8),
        2 => format!("has(app) && pcns.team == 'team-{}'", number % 3),
        _ => format!("app == 'app-{app}' && !has(canary)"),
    };
    DeepPacketInspection::new(
        format!("namespace-{}", number % NAMESPACES),
        format!("dpi-{number}"),
        selector,
    )
}

fn index(pods: u32) -> ScopeIndex {
    let mut index = ScopeIndex::new();
    for number in 0..NAMESPACES {
        let name = format!("namespace-{number}");
        let labels = labels(&[("team", format!("team-{}", number % 3))]);
        index.put_namespace(&Namespace { name: name.clone(), labels });
        for account in 0..50 {
            index.put_account(&ServiceAccount {
                namespace: name.clone(),
                name: format!("account-{account}"),
                ..ServiceAccount::default()
            });
        }
    }
    for number in 0..RESOURCES {
        index.put_resource(resource(number));
    }
    for number in 0..pods {
        index.put_pod(&pod(number));
    }
    index
}

/// Bytes that this process holds.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

fn memory() {
    let before = resident();
    let index = index(100_000);
    let held = resident().saturating_sub(before);
    let table = index.table();
    let with_table = resident().saturating_sub(before);
    eprintln!(
        "index of 100,000 pods in 10,000 deployments, {RESOURCES} resources: {} MB; with a \
         generation's table: {} MB",
        held >> 20,
        with_table >> 20
    );
    black_box((index, table));
}

fn changes(criterion: &mut Criterion) {
    memory();
    let mut group = criterion.benchmark_group("index");
    group.sample_size(20);
    let mut index = index(PODS);
    let mut other = pod(77);
    other.labels.insert("app".to_owned(), "app-12".to_owned());
    group.bench_function("a pod of a known deployment comes and goes", |bencher| {
        let new = pod(PODS + 5);
        let first = pod(0);
        let new = Pod { labels: first.labels, namespace: first.namespace, ..new };
        bencher.iter(|| {
            index.put_pod(black_box(&new));
            index.take_pod(&new.namespace, &new.name);
        });
    });
    group.bench_function("a pod changes its labels and back", |bencher| {
        let before = pod(77);
        bencher.iter(|| {
            index.put_pod(black_box(&other));
            index.put_pod(black_box(&before));
        });
    });
    group.bench_function("a resource changes its selector and back", |bencher| {
        let before = resource(3);
        let mut after = before.clone();
        after.spec.selector = "app == 'app-40'".to_owned();
        bencher.iter(|| {
            index.put_resource(black_box(after.clone()));
            index.put_resource(black_box(before.clone()));
        });
    });
    group.bench_function("the table of a generation", |bencher| {
        bencher.iter(|| black_box(index.table()));
    });
    let table = index.table();
    group.bench_function("the scope of a generation", |bencher| {
        bencher.iter(|| black_box(scope(&table, 7)));
    });
    group.bench_function("the naive table, every selector asked", |bencher| {
        let resources: Vec<_> = (0..RESOURCES).map(resource).collect();
        let endpoints: Vec<Endpoint> = (0..PODS)
            .filter_map(|number| {
                let namespace = format!("namespace-{}", number / REPLICAS % NAMESPACES);
                let namespace = Namespace { name: namespace, ..Namespace::default() };
                Endpoint::from_pod(&pod(number), Some(&namespace), None, &mut Vec::new())
            })
            .collect();
        bencher.iter_batched(
            || (),
            |()| black_box(ScopeTable::build(&resources, &endpoints)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, changes);
criterion_main!(benches);
