use std::collections::BTreeMap;

use engine::counters::{Counters, Drop};

use super::*;
use crate::output::ledger::{NicCounters, PortFacts, PortView, QueueView};
use crate::output::names::NameBook;
use crate::output::testing;
use crate::output::totals::NameCounts;

fn totals() -> AlertTotals {
    let table = testing::table(&[testing::pod("web", &["10.0.10.1"])]);
    let scope = testing::scope(&table);
    let hits = testing::hits(&scope, "10.0.10.1", "10.0.10.2", None);
    let mut other = testing::signature(9_000_001);
    other.msg = "tabs\tand \x1b[31mcolours".into();
    other.priority = 1;
    let snapshot = testing::snapshot(1, scope, vec![testing::signature(2_012_811), other]);
    let book = NameBook::new();
    book.publish(1, table, 0);
    let mut totals = AlertTotals::default();
    let alert = engine::alert::Alert { hits, ..testing::alert(&snapshot) };
    let identity = book.identify(&alert, 0);
    let by_sid = |sid| snapshot.rules.signatures.iter().find(|it| it.sid == sid).expect("there");
    for (sid, n) in [(2_012_811, 1200), (9_000_001, 3)] {
        for _ in 0..n {
            totals.raise(by_sid(sid));
            totals.identified(by_sid(sid), &identity);
            totals.written += 1;
        }
    }
    totals.thresholded = 7;
    totals
}

fn ledger(alerts: &AlertTotals) -> Ledger {
    let counters = Counters::default();
    counters.received.add(238_237);
    counters.bytes.add(84_809_922);
    counters.inspected.add(230_000);
    counters.unscoped.add(8_000);
    counters.dropped[Drop::NonIp as usize].add(237);
    counters.flows.add(1_234);
    counters.encrypted.add(1_500_000);
    let queues = vec![QueueView { queue: Some(0), core: Some(1), counters: &counters }];
    let ports = [PortView {
        facts: PortFacts::named("net_ring0"),
        xstats: BTreeMap::new(),
        nic: NicCounters::default(),
        queues,
    }];
    Ledger::collect(&ports, alerts, 2.0)
}

fn text(ledger: &Ledger, alerts: &AlertTotals, look: Look) -> String {
    let resources = vec![
        ResourceLine {
            namespace: "shop".into(),
            name: "all".into(),
            active: true,
            endpoints: 1,
            errors: Vec::new(),
        },
        ResourceLine {
            namespace: "shop".into(),
            name: "broken".into(),
            active: false,
            endpoints: 0,
            errors: vec!["invalid selector at column 7: expected a string".into()],
        },
    ];
    let report =
        Report { ledger, alerts, captures: 1, rules: (24_793, 2), resources, directory: "out" };
    let mut out = Vec::new();
    print(&mut out, &report, look).expect("printed");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn the_report_says_it_all_in_plain_aligned_text() {
    let alerts = totals();
    let text = text(&ledger(&alerts), &alerts, Look::default());
    let expected = "\
read      1 capture, 84.8 MB in 2.00 s: 119,118 packets/s, 0.34 Gbit/s
rules     24,793 in force, 2 did not load
packets   received  238,237
          inspected 230,000   96.5 %
          unscoped    8,000    3.4 %
          dropped       237    0.1 %  non_ip 237
          the ledger balances
flows     1,234 seen
          1.5 MB encrypted
alerts    1,203 by 2 signatures, 7 more held back by thresholds  → out/eve.json

  count  sev  sid      signature
  1,200    2  2012811  ET DNS Query to a .tk domain - Likely Hostile
                       shop/web 1,200
      3    1  9000001  tabs·and ·[31mcolours
                       shop/web 3

resources
  shop/all     active    1 endpoint, 1,203 alerts
  shop/broken  inactive  0 endpoints, 0 alerts
      invalid selector at column 7: expected a string
";
    assert_eq!(text, expected);
}

#[test]
fn colours_are_for_terminals_and_change_nothing_else() {
    let alerts = totals();
    let ledger = ledger(&alerts);
    let plain = text(&ledger, &alerts, Look::default());
    let coloured = text(&ledger, &alerts, Look { colour: true, width: None });
    assert!(!plain.contains('\x1b') && coloured.contains('\x1b'));
    let mut stripped = String::new();
    for (i, part) in coloured.split("\x1b[").enumerate() {
        stripped.push_str(if i == 0 { part } else { part.split_once('m').expect("a code").1 });
    }
    assert_eq!(stripped, plain);
}

#[test]
fn long_messages_fit_the_terminal() {
    let alerts = totals();
    let ledger = ledger(&alerts);
    let text = text(&ledger, &alerts, Look { colour: false, width: Some(60) });
    let row = text.lines().find(|line| line.contains("ET DNS")).expect("there");
    assert_eq!(row.chars().count(), 60);
    assert!(row.ends_with('…'));
}

#[test]
fn a_ledger_that_does_not_balance_is_cried_out() {
    let alerts = totals();
    let mut ledger = ledger(&alerts);
    ledger.ports[0].queues[0].inspected -= 1;
    let text = text(&ledger, &alerts, Look::default());
    assert!(text.contains("THE LEDGER DOES NOT BALANCE: net_ring0, queue 0"), "{text}");
}

#[test]
fn an_empty_run_is_reported_without_tables() {
    let alerts = AlertTotals::default();
    let ledger = Ledger::default();
    let report = Report {
        ledger: &ledger,
        alerts: &alerts,
        captures: 2,
        rules: (0, 0),
        resources: Vec::new(),
        directory: ".",
    };
    let mut out = Vec::new();
    print(&mut out, &report, Look::default()).expect("printed");
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(text.contains("read      2 captures, 0 B in 0.00 s\n"), "{text}");
    assert!(text.contains("alerts    0  → ./eve.json\n"), "{text}");
    assert!(!text.contains("resources") && !text.contains("count"), "{text}");
}

#[test]
fn only_so_many_signatures_and_pods_are_listed() {
    let mut alerts = AlertTotals::default();
    for sid in 0..100 {
        let signature = testing::signature(sid);
        for _ in 0..=sid {
            alerts.raise(&signature);
        }
    }
    let ledger = Ledger::default();
    let text = text(&ledger, &alerts, Look::default());
    assert_eq!(text.lines().filter(|line| line.contains("ET DNS")).count(), SIGNATURES);
    // 5,050 alerts in all, of which the first 25 signatures raised 100 + 99 + … + 76.
    assert!(text.contains("2,850  by 75 signatures more"), "{text}");

    let mut pods = NameCounts::new(5);
    for n in 0..7 {
        (0..10 + n).for_each(|_| pods.count("ns", &format!("pod-{n}")));
    }
    let signature =
        SignatureTotal { gid: 1, sid: 1, severity: 3, msg: "".into(), count: 91, lost: 0, pods };
    let listed = super::pods(&signature).expect("pods");
    assert_eq!(listed, "ns/pod-4 14, ns/pod-3 13, ns/pod-2 12, other pods 52");
}

#[test]
fn numbers_are_readable() {
    let all: Vec<_> = [0, 999, 1_000, 1_234_567].map(grouped).into();
    assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
    let all: Vec<_> = [0, 999, 1_000, 999_949, 999_951, 84_809_922, u64::MAX].map(bytes).into();
    assert_eq!(all, ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "84.8 MB", "18446.7 PB"]);
}
