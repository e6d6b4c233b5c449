//! The index says what the naive way says, whatever came and went before.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::documents::{Document, Inventory};

const SELECTORS: [&str; 12] = [
    "",
    "has(x)",
    "x == '1'",
    "y != '1'",
    "x = 1",
    "global()",
    "!has(x) || has(y)",
    "x in {'1', '2'} && y == '2'",
    "pcns.tier == '1'",
    "pcsa.tier == '2' && has(x)",
    "projectcalico.org/namespace == 'a'",
    "x starts with '1' || x == '2'",
];

/// A change of the cluster.
#[derive(Debug, Clone)]
enum Change {
    Pod(Pod),
    NoPod(String, String),
    Resource(String, String, usize),
    NoResource(String, String),
    Namespace(String, Option<String>),
    NoNamespace(String),
    Account(String, Option<String>),
    NoAccount(String),
}

fn labels(pairs: [(&str, &Option<String>); 2]) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter();
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}

fn pod(
    (namespace, name, address, x, y, account, phase): (
        String,
        String,
        u8,
        Option<String>,
        Option<String>,
        String,
        &'static str,
    ),
) -> Change {
    Change::Pod(Pod {
        labels: labels([("x", &x), ("y", &y)]),
        namespace,
        name,
        node: "n".to_owned(),
        service_account: account,
        phase: phase.to_owned(),
        pod_ips: vec![format!("10.0.0.{address}")],
        ..Pod::default()
    })
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let value = || prop::option::of("[12]");
    let phase = prop::sample::select(vec!["Running", "Running", "Succeeded"]);
    let pods = ("[ab]", "[p-t]", 0..6_u8, value(), value(), "[st]?", phase).prop_map(pod);
    let change = prop_oneof![
        6 => pods,
        2 => ("[ab]", "[p-t]").prop_map(|(space, name)| Change::NoPod(space, name)),
        5 => ("[ab]", "[f-i]", 0..SELECTORS.len())
            .prop_map(|(space, name, at)| Change::Resource(space, name, at)),
        2 => ("[ab]", "[f-i]").prop_map(|(space, name)| Change::NoResource(space, name)),
        2 => ("[ab]", value()).prop_map(|(space, tier)| Change::Namespace(space, tier)),
        1 => "[ab]".prop_map(Change::NoNamespace),
        2 => ("[st]", value()).prop_map(|(name, tier)| Change::Account(name, tier)),
        1 => "[st]".prop_map(Change::NoAccount),
    ];
    prop::collection::vec(change, 0..60)
}

fn tier(value: &Option<String>) -> BTreeMap<String, String> {
    labels([("tier", value), ("", &None)])
}

/// Makes a change in both; true if the index says that it is news.
fn apply(change: Change, index: &mut ScopeIndex, inventory: &mut Inventory) -> bool {
    let key = |document: Document| document.key();
    match change {
        Change::Pod(pod) => {
            inventory.upsert(Document::Pod(Box::new(pod.clone())));
            index.put_pod(&pod)
        }
        Change::NoPod(namespace, name) => {
            let pod = Pod { namespace, name, ..Pod::default() };
            inventory.remove(&key(Document::Pod(Box::new(pod.clone()))));
            index.take_pod(&pod.namespace, &pod.name)
        }
        Change::Resource(namespace, name, at) => {
            let dpi = DeepPacketInspection::new(namespace, name, SELECTORS[at]);
            inventory.upsert(Document::DeepPacketInspection(Box::new(dpi.clone())));
            index.put_resource(dpi)
        }
        Change::NoResource(namespace, name) => {
            let dpi = DeepPacketInspection::new(&*namespace, &*name, "");
            inventory.remove(&key(Document::DeepPacketInspection(Box::new(dpi))));
            index.take_resource(&namespace, &name)
        }
        Change::Namespace(name, value) => {
            let namespace = Namespace { name, labels: tier(&value) };
            inventory.upsert(Document::Namespace(namespace.clone()));
            index.put_namespace(&namespace)
        }
        Change::NoNamespace(name) => {
            let namespace = Namespace { name, ..Namespace::default() };
            inventory.remove(&key(Document::Namespace(namespace.clone())));
            index.take_namespace(&namespace.name)
        }
        Change::Account(name, value) => {
            let namespace = "a".to_owned();
            let account = ServiceAccount { namespace, name, labels: tier(&value) };
            inventory.upsert(Document::ServiceAccount(account.clone()));
            index.put_account(&account)
        }
        Change::NoAccount(name) => {
            let account =
                ServiceAccount { namespace: "a".to_owned(), name, ..ServiceAccount::default() };
            inventory.remove(&key(Document::ServiceAccount(account.clone())));
            index.take_account(&account.namespace, &account.name)
        }
    }
}

/// All that a table says, in names: endpoints with the resources that select them, addresses with
/// who claims them, resources.
fn said(table: &ScopeTable) -> impl PartialEq + std::fmt::Debug + use<> {
    let name = |endpoint: u32| {
        let it = &table.endpoints[endpoint as usize];
        format!("{}/{}@{} {}", it.namespace, it.pod, it.node, it.service_account)
    };
    let endpoints: BTreeSet<(String, Vec<u32>)> = (0..table.endpoints.len() as u32)
        .map(|endpoint| (name(endpoint), table.resources_of(endpoint).to_vec()))
        .collect();
    let addresses: BTreeMap<IpAddr, BTreeSet<String>> = table
        .by_address
        .iter()
        .map(|(address, claims)| (*address, claims.iter().map(|&claim| name(claim)).collect()))
        .collect();
    (endpoints, addresses, table.resources.clone())
}

proptest! {
    #[test]
    fn it_says_what_asking_every_selector_about_every_pod_says(changes in changes()) {
        let (mut index, mut inventory) = (ScopeIndex::new(), Inventory::default());
        for change in changes {
            let before = said(&index.table());
            let told = format!("{change:?}");
            let is_news = apply(change, &mut index, &mut inventory);
            let (endpoints, _) = inventory.endpoints();
            let naive = ScopeTable::build(&inventory.resources(), &endpoints);
            let now = said(&index.table());
            prop_assert!(now == said(&naive), "after {}: {:?} {:?}", told, now, said(&naive));
            prop_assert!(is_news || before == now, "{} was said to be no news", told);
            prop_assert_eq!(index.endpoints(), endpoints.len());
        }
    }
}

fn web(name: &str, address: &str, phase: &str) -> Pod {
    Pod {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        node: "n1".to_owned(),
        phase: phase.to_owned(),
        pod_ip: address.to_owned(),
        ..Pod::default()
    }
}

#[test]
fn a_finished_pod_gives_its_address_up_and_a_terminating_one_keeps_it() {
    let mut index = ScopeIndex::new();
    assert!(index.put_pod(&web("a", "10.0.0.1", "Running")));
    let mut terminating = web("a", "10.0.0.1", "Running");
    terminating.terminating = true;
    assert!(!index.put_pod(&terminating), "terminating alone changes nothing");
    assert!(index.put_pod(&web("a", "10.0.0.1", "Succeeded")));
    assert!(index.put_pod(&web("b", "10.0.0.1", "Running")));
    let table = index.table();
    assert_eq!(table.endpoints.len(), 1);
    assert_eq!(&*table.endpoints[0].pod, "b");
    assert!(!index.put_pod(&web("a", "10.0.0.1", "Succeeded")));
}

#[test]
fn a_status_alone_is_no_news_and_another_uid_is() {
    let mut index = ScopeIndex::new();
    let mut dpi = DeepPacketInspection::new("shop", "all", "");
    assert!(index.put_resource(dpi.clone()));
    dpi.status = Some(crate::dpi::DeepPacketInspectionStatus::default());
    dpi.metadata.resource_version = Some("7".to_owned());
    assert!(!index.put_resource(dpi.clone()));
    dpi.metadata.uid = Some("other".to_owned());
    assert!(index.put_resource(dpi.clone()));
    dpi.metadata.annotations.insert(crate::dpi::ANNOTATION_RULESETS.to_owned(), "a".to_owned());
    assert!(index.put_resource(dpi));
    assert_eq!(index.table().resources[0].rulesets, ["a"]);
}

#[test]
fn a_malformed_address_is_told_until_it_is_gone() {
    let mut index = ScopeIndex::new();
    assert!(index.put_pod(&web("a", "10.0.0.300", "Running")));
    assert_eq!(index.problems().len(), 1);
    assert!(index.problems()[0].to_string().contains("10.0.0.300"));
    assert!(!index.put_pod(&web("a", "10.0.0.300", "Running")));
    assert!(index.put_pod(&web("a", "10.0.0.3", "Running")));
    assert!(index.problems().is_empty());
    assert!(index.take_pod("shop", "a"));
    assert!(index.places.is_empty(), "nothing is kept of a namespace that is empty");
}

#[test]
fn a_namespace_that_goes_before_its_resources_takes_only_its_labels() {
    let mut index = ScopeIndex::new();
    let labels = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
    index.put_namespace(&Namespace { name: "shop".to_owned(), labels });
    index.put_resource(DeepPacketInspection::new("shop", "gold", "pcns.tier == 'gold'"));
    index.put_pod(&web("a", "10.0.0.1", "Running"));
    assert_eq!(index.table().resources[0].selected, 1);
    assert!(index.take_namespace("shop"));
    assert_eq!(index.table().resources[0].selected, 0);
    assert!(index.take_pod("shop", "a") && index.take_resource("shop", "gold"));
    assert!(index.places.is_empty());
}
