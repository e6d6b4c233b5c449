//! Who is selected: what a pod's or a resource's coming and going costs in a cluster of 10,000 pods and
//! 1,000 resources, by the index and by asking every selector about every pod; what a generation's table
//! and scope cost; how long it takes until a core has it; and what the index of 100,000 pods holds in memory.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::resources::{Namespace, Pod, ServiceAccount};
use api::{DeepPacketInspection, Endpoint, ScopeIndex, ScopeTable};
use benches::port;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use engine::emit::WhenFull;
use engine::worker::TimeSource;
use engine::{Crew, CrewConfig, Seat, Settings};
use flow::FlowConfig;
use pollux::source::kubernetes::Seen;
use pollux::state::{Desired, Generations, Resources, scope};
use rules::ruleset::Ruleset;

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

/// Pods that belong to a deployment which the index knows, one for each number.
fn another(number: u32) -> Pod {
    let first = pod(0);
    Pod { labels: first.labels, namespace: first.namespace, ..pod(PODS + number) }
}

/// What the naive table is made of.
fn everything() -> (Vec<DeepPacketInspection>, Vec<Endpoint>) {
    let endpoints = (0..PODS).filter_map(|number| {
        let namespace = format!("namespace-{}", number / REPLICAS % NAMESPACES);
        let labels = labels(&[("team", format!("team-{}", number / REPLICAS % NAMESPACES % 3))]);
        let namespace = Namespace { name: namespace, labels };
        Endpoint::from_pod(&pod(number), Some(&namespace), None, &mut Vec::new())
    });
    ((0..RESOURCES).map(resource).collect(), endpoints.collect())
}

/// The middle of some times, and the longest.
fn times(mut run: impl FnMut() -> Duration) -> (Duration, Duration) {
    let mut all: Vec<Duration> = (0..30).map(|_| run()).collect();
    all.sort_unstable();
    (all[all.len() / 2], all[all.len() - 1])
}

/// A pod's event and the new table of it, by the index and by asking all, one after the other in one run.
fn ratio() {
    let mut index = index(PODS);
    let (resources, endpoints) = everything();
    let mut number = 0;
    let mut indexed = || {
        number += 1;
        let new = another(number);
        let begin = Instant::now();
        index.put_pod(&new);
        let event = begin.elapsed();
        black_box(index.table());
        let both = begin.elapsed();
        index.take_pod(&new.namespace, &new.name);
        (event, both)
    };
    let mut events = Vec::new();
    let mut ratios: Vec<f64> = Vec::new();
    for _ in 0..15 {
        let (event, both) = indexed();
        let begin = Instant::now();
        black_box(ScopeTable::build(&resources, &endpoints));
        let naive = begin.elapsed();
        events.push(naive.as_secs_f64() / event.as_secs_f64());
        ratios.push(naive.as_secs_f64() / both.as_secs_f64());
    }
    events.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    eprintln!(
        "a pod comes, {PODS} pods and {RESOURCES} resources: asking every selector anew takes {:.0} times as \
         long as the index, and {:.1} times as long as the index and the generation's table (medians)",
        events[7], ratios[7]
    );
}

/// From a pod's event, as the watch tells it, to a polling core that has the generation with it.
fn event_to_core() {
    let eal = port::eal().expect("DPDK starts");
    let fed = port::open(eal).expect("a port");
    let config = CrewConfig {
        flows: FlowConfig::default(),
        time: TimeSource::Packets(Arc::<AtomicU64>::default(), fed.meta),
        when_full: WhenFull::Wait,
        exchange_capacity: 64,
        alert_capacity: 1 << 10,
        profile_every: 0,
        pcap: None,
    };
    let (mut crew, _collector) =
        Crew::start_watched(eal, vec![Seat::new(Some(fed.queue), 0)], &config, |_| None)
            .expect("a crew");
    let ruleset = Ruleset::compile(Vec::new(), None, 1, &|_| {}).expect("compiled").0;
    let mut desired = Desired {
        resources: Resources::Everything,
        rulesets: Vec::new(),
        ruleset: Arc::new(ruleset),
        settings: Settings::default(),
    };
    let mut index = index(PODS);
    let mut generations = Generations::default();
    let mut version = 0;
    let (median, longest) = times(|| {
        version += 1;
        let new = another(u32::try_from(version).expect("few"));
        let begin = Instant::now();
        index.put_pod(&new);
        let mut table = index.table();
        table.assign_rulesets(|_| None);
        let resources = index.resources();
        let seen = Seen { version, table: Arc::new(table), resources, problems: index.problems() };
        desired.resources = Resources::Cluster(Some(Arc::new(seen)));
        let built = generations.build(&desired);
        crew.publish(&built.snapshot).expect("published");
        while !crew.acknowledged(built.generation()) {
            assert!(!crew.has_failed(), "the worker failed");
            std::thread::sleep(Duration::from_micros(200));
        }
        begin.elapsed()
    });
    crew.shared().stop.store(true, Ordering::Release);
    crew.stop().expect("stopped");
    eprintln!(
        "from a pod's event to a core, {PODS} pods and {RESOURCES} resources: {:.1} ms, the longest of 30 \
         {:.1} ms; to which the wait for more news adds 30 to 200 ms",
        median.as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e3
    );
}

fn changes(criterion: &mut Criterion) {
    memory();
    ratio();
    event_to_core();
    let mut group = criterion.benchmark_group("index");
    group.sample_size(20);
    let mut index = index(PODS);
    let mut other = pod(77);
    other.labels.insert("app".to_owned(), "app-12".to_owned());
    group.bench_function("a pod of a known deployment comes and goes", |bencher| {
        let new = another(5);
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
        let (resources, endpoints) = everything();
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
