use engine::scope::Scope;

use super::*;
use crate::output::testing::{self, TIME};

const SECOND: Nanos = 1_000_000_000;

/// An alert from `src` to 10.0.10.2 under a generation with these pods.
fn alert_of(generation: u64, pods: &[api::Endpoint], src: &str) -> (Alert, Arc<ScopeTable>) {
    let table = testing::table(pods);
    let scope = testing::scope(&table);
    let hits = testing::hits(&scope, src, "10.0.10.2", None);
    let snapshot = testing::snapshot(generation, scope, vec![testing::signature(1)]);
    let alert = Alert { hits, src: testing::address(src), ..testing::alert(&snapshot) };
    (alert, table)
}

fn name(side: &Option<Named>) -> Option<&str> {
    side.as_ref()?.endpoint().map(|it| &*it.pod)
}

#[test]
fn an_address_of_two_pods_names_neither() {
    let pods = [testing::pod("a", &["10.0.0.1"]), testing::pod("b", &["10.0.0.1"])];
    let (alert, table) = alert_of(1, &pods, "10.0.0.1");
    let book = NameBook::new();
    book.publish(1, table, 0);
    let identity = book.identify(&alert, 0);
    assert_eq!(name(&identity.source), None);
    assert_eq!(identity.ambiguous, 1);
    // Whoever it was, it is in the scope of the namespace's resource.
    let resources: Vec<_> = identity.resources().map(|it| it.name.as_str()).collect();
    assert_eq!(resources, ["all"]);
}

#[test]
fn a_pod_that_is_reported_late_is_named_within_the_grace_only() {
    let (alert, table) = alert_of(1, &[testing::pod("dns", &["10.0.10.2"])], "10.0.0.7");
    let late =
        testing::table(&[testing::pod("dns", &["10.0.10.2"]), testing::pod("late", &["10.0.0.7"])]);
    for (published, grace, expected) in [
        (TIME + SECOND / 2, SECOND, Some("late")),
        (TIME + 2 * SECOND, SECOND, None),
        (TIME + SECOND / 2, 0, None),
    ] {
        let book = NameBook::new();
        book.publish(1, Arc::clone(&table), TIME - SECOND);
        book.publish(2, Arc::clone(&late), published);
        let identity = book.identify(&alert, grace);
        assert_eq!(name(&identity.source), expected);
        assert_eq!(name(&identity.destination), Some("dns"));
        assert_eq!(identity.ambiguous, 0);
    }
}

#[test]
fn an_address_that_changes_hands_within_the_grace_names_nobody() {
    let (alert, table) = alert_of(1, &[testing::pod("old", &["10.0.0.7"])], "10.0.0.7");
    let next = testing::table(&[testing::pod("new", &["10.0.0.7"])]);
    let book = NameBook::new();
    book.publish(1, table, 0);
    book.publish(2, next, TIME + 1);
    let identity = book.identify(&alert, SECOND);
    assert_eq!((name(&identity.source), identity.ambiguous), (None, 1));
    // Without a grace the generation of the packet is all that counts.
    assert_eq!(name(&book.identify(&alert, 0).source), Some("old"));
}

#[test]
fn a_pod_that_stays_is_no_ambiguity() {
    let (alert, table) = alert_of(1, &[testing::pod("web", &["10.0.0.7"])], "10.0.0.7");
    let book = NameBook::new();
    book.publish(1, Arc::clone(&table), 0);
    book.publish(2, table, TIME + 1);
    let identity = book.identify(&alert, SECOND);
    assert_eq!((name(&identity.source), identity.ambiguous), (Some("web"), 0));
}

#[test]
fn the_inner_packets_pod_comes_before_the_envelopes() {
    let pods = [
        testing::pod("web", &["10.0.0.1"]),
        testing::pod("node-a", &["192.0.2.1"]),
        testing::pod("node-b", &["192.0.2.2"]),
    ];
    let table = testing::table(&pods);
    let scope = testing::scope(&table);
    let hits = testing::hits(&scope, "10.0.0.1", "10.0.10.2", Some(("192.0.2.1", "192.0.2.2")));
    let snapshot = testing::snapshot(1, scope, vec![testing::signature(1)]);
    let src = testing::address("10.0.0.1");
    let alert = Alert { hits, src, ..testing::alert(&snapshot) };
    let book = NameBook::new();
    book.publish(1, Arc::clone(&table), 0);
    let identity = book.identify(&alert, SECOND);
    assert_eq!(name(&identity.source), Some("web"));
    assert_eq!(name(&identity.destination), Some("node-b"));
    let resources: Vec<_> = identity.resources().map(|it| it.name.as_str()).collect();
    assert_eq!(resources, ["all", "web"]);

    // Late news of the inner address are nearer than the envelope's.
    let late = testing::table(&[testing::pod("dns", &["10.0.10.2"])]);
    book.publish(2, late, TIME + 1);
    assert_eq!(name(&book.identify(&alert, SECOND).destination), Some("dns"));
}

#[test]
fn an_alert_of_a_generation_that_nobody_knows_is_not_named() {
    let (alert, table) = alert_of(3, &[testing::pod("web", &["10.0.0.7"])], "10.0.0.7");
    let book = NameBook::new();
    book.publish(4, table, 0);
    let identity = book.identify(&alert, SECOND);
    assert!(identity.unknown_generation && name(&identity.source).is_none());
    // Where all traffic is in scope there is nobody to name, and nothing is amiss.
    let everything = testing::snapshot(1, Scope::everything(), vec![testing::signature(1)]);
    let identity = book.identify(&testing::alert(&everything), 0);
    assert!(!identity.unknown_generation);
}

#[test]
fn the_book_is_bounded_and_never_forgets_the_newest() {
    let book = NameBook::new();
    let table = testing::table(&[]);
    for generation in 1..=2 * CAPACITY as u64 {
        book.publish(generation, Arc::clone(&table), 0);
    }
    assert_eq!(book.len(), CAPACITY);
    book.forget_before(2 * CAPACITY as u64 - 2);
    assert_eq!(book.len(), 3);
    book.forget_before(u64::MAX);
    assert_eq!(book.len(), 1);
}
