//! The compiler against a real rule set of some 25,000 rules, where there is one.

use std::path::PathBuf;

use rules::parse::{Classifications, Context, Names, load};
use rules::ruleset::{BuildReport, Cache, Ruleset};
use rules::signature::{Kind, Signature};

/// `et-open` in the shared corpus, if that is there.
fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("POLLUX_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("corpus/rules/et-open");
    folder.is_dir().then_some(folder)
}

fn signatures(folder: &PathBuf) -> Vec<Signature> {
    let classes = std::fs::read_to_string(folder.join("classification.config")).unwrap();
    let context = Context { classes: Classifications::parse(&classes).0, ..Context::default() };
    let loaded = load([folder], &context, &mut Names::default());
    loaded.parsed.signatures
}

fn build(signatures: Vec<Signature>, cache: Option<&Cache>) -> (Ruleset, BuildReport) {
    let built = Ruleset::compile(signatures, cache, 2, &|_| {}).unwrap();
    println!("{:#?}", built.1);
    built
}

#[test]
fn the_set_compiles_within_bounds_and_comes_back_from_the_cache() {
    let Some(folder) = folder() else {
        println!("skipped: shared corpus absent");
        return;
    };
    let signatures = signatures(&folder);
    println!("{} signatures", signatures.len());
    assert!(signatures.len() > 20_000);

    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::new(directory.path());
    let (ruleset, cold) = build(signatures.clone(), Some(&cache));
    assert_eq!(cold.cached, 0);
    assert!(cold.database_bytes < 60 << 20, "{} bytes", cold.database_bytes);
    assert!(cold.databases < 1000 && cold.port_classes < 1000);
    assert!(cold.without_fast_pattern * 50 < signatures.len());
    assert!(cold.warnings.is_empty(), "{:?}", cold.warnings);

    let (_, warm) = build(signatures, Some(&cache));
    assert_eq!((warm.cached, warm.databases), (cold.databases, cold.databases));

    every_signature_has_its_place(&ruleset);
}

/// Every signature is in as many of the ruleset's lists as there have to be.
fn every_signature_has_its_place(ruleset: &Ruleset) {
    let transactions: usize =
        ruleset.transaction_lists().iter().map(|list| list.prefilter.signatures()).sum();
    let always: std::collections::BTreeSet<u32> = ["http", "dns", "tls"]
        .into_iter()
        .flat_map(|protocol| [0, 1].map(|way| ruleset.transaction_always(protocol, way)))
        .flatten()
        .copied()
        .collect();
    let events: std::collections::BTreeSet<u32> = ruleset
        .event_signatures()
        .iter()
        .map(|&(_, number)| number)
        .filter(|&number| ruleset.signatures[number as usize].kind == Kind::Transaction)
        .collect();
    // A signature with a fast pattern is looked for in each of its directions.
    let places = |(number, s): (u32, &Signature)| match s.kind {
        Kind::Transaction if s.fast_pattern.is_some() && !events.contains(&number) => {
            usize::from(s.to_server) + usize::from(s.to_client)
        }
        Kind::Transaction => 1,
        _ => 0,
    };
    let wanted = (0u32..).zip(&ruleset.signatures).map(places).sum();
    assert_eq!(transactions + always.len() + events.len(), wanted);
    for signature in &ruleset.signatures {
        let needs_fast_pattern = signature.kind == Kind::Transaction
            && signature.fast_pattern.is_some_and(|fast| {
                signature.buffers.get(fast.buffer).is_none_or(|b| !b.buffer.is_transaction())
            });
        assert!(
            !needs_fast_pattern,
            "sid {}: fast pattern outside of the transaction",
            signature.sid
        );
        assert!(signature.to_server || signature.to_client, "sid {}", signature.sid);
    }
    for list in ruleset.transaction_lists() {
        println!(
            "{:?} {:?}: {} patterns, {} signatures",
            list.buffer,
            list.transforms,
            list.prefilter.patterns(),
            list.prefilter.signatures()
        );
    }
    for (protocol, name) in [(6, "tcp"), (17, "udp"), (1, "icmp"), (58, "icmpv6"), (132, "sctp")] {
        for direction in [0, 1] {
            let common = ruleset.groups(protocol, direction, 1).common.unwrap();
            let patterns =
                |p: &Option<rules::ruleset::Prefilter>| p.as_ref().map_or(0, |p| p.patterns());
            println!(
                "{name} {direction}: packet {}, stream {}, headers {}, always {}",
                patterns(&common.packet),
                patterns(&common.stream),
                common.headers.len(),
                common.always.len()
            );
        }
    }
}
