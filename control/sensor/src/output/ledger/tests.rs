use serde_json::json;

use super::*;

fn counters(change: impl FnOnce(&Counters)) -> Counters {
    let counters = Counters::default();
    change(&counters);
    counters
}

fn two_cores() -> [Counters; 2] {
    [
        counters(|it| {
            it.received.add(100);
            it.bytes.add(6400);
            it.handed_out.add(10);
            it.inspected.add(70);
            it.unscoped.add(15);
            it.dropped[Drop::NonIp as usize].add(3);
            it.dropped[Drop::Malformed as usize].add(2);
            it.flows.add(4);
            it.generation.set(3);
        }),
        counters(|it| {
            it.received.add(50);
            it.bytes.add(3200);
            it.handed_in.add(10);
            it.inspected.add(59);
            it.dropped[Drop::NonIp as usize].add(1);
            it.flows.add(5);
            it.encrypted.add(99);
            it.generation.set(2);
        }),
    ]
}

fn view<'a>(cores: &'a [Counters; 2], nic: NicCounters) -> [PortView<'a>; 1] {
    let queues = cores
        .iter()
        .enumerate()
        .map(|(i, counters)| QueueView { queue: Some(i as u16), core: Some(i + 1), counters })
        .collect();
    [PortView { facts: PortFacts::named("net_ring0"), xstats: BTreeMap::new(), nic, queues }]
}

#[test]
fn the_ledger_has_the_shape_that_outside_checks_rely_on() {
    let cores = two_cores();
    let nic = NicCounters { imissed: Some(0), ..NicCounters::default() };
    let ledger = Ledger::collect(&view(&cores, nic), &AlertTotals::default(), 1.5);
    ledger.balances().expect("balances");
    let value = serde_json::to_value(&ledger).expect("JSON");
    assert_eq!((&value["generation"], &value["seconds"]), (&json!(2), &json!(1.5)));
    assert_eq!(
        value["ports"],
        json!([{
            "name": "net_ring0",
            "driver": "", "numa_node": null, "link": {"up": false, "speed_mbps": null},
            "spread": "", "xstats": {},
            "mirror": {"tcp_flows": 0, "one_sided_flows": 0, "reordered_packets": 0, "late_segments": 0,
                       "bad_transport_checksum": 0, "checksums_ignored": false, "cut_packets": 0,
                       "cut_at": null, "vlan_pairs": [], "vlan_joined": 0, "tcp_bytes": 0,
                       "missed_bytes": 0},
            "nic": {"imissed": 0, "ierrors": null, "rx_nombuf": null},
            "queues": [
                {"queue": 0, "core": 1, "received": 100, "handed_in": 0, "handed_out": 10,
                 "inspected": 70, "unscoped": 15, "dropped": {"malformed": 2, "non_ip": 3},
                 "bytes": 6400},
                {"queue": 1, "core": 2, "received": 50, "handed_in": 10, "handed_out": 0,
                 "inspected": 59, "unscoped": 0, "dropped": {"non_ip": 1}, "bytes": 3200},
            ],
        }])
    );
    assert_eq!((&value["flows"]["created"], &value["flows"]["encrypted"]), (&json!(9), &json!(99)));
    assert_eq!(
        value["totals"],
        json!({"received": 150, "inspected": 129, "unscoped": 15, "dropped": 6, "bytes": 9600})
    );
    assert_eq!(ledger.drops().into_iter().collect::<Vec<_>>(), [("malformed", 2), ("non_ip", 4)]);
}

#[test]
fn every_missing_packet_and_alert_is_noticed_where_it_is_missing() {
    let balanced = || {
        Ledger::collect(&view(&two_cores(), NicCounters::default()), &AlertTotals::default(), 1.0)
    };
    balanced().balances().expect("balances");

    let mut ledger = balanced();
    ledger.ports[0].queues[1].inspected -= 1;
    let error = ledger.balances().expect_err("a packet is missing").to_string();
    assert!(error.contains("net_ring0, queue 1: 50 received + 10 handed in"), "{error}");
    assert!(error.contains("58 inspected"), "{error}");

    let mut ledger = balanced();
    ledger.ports[0].queues[1].handed_in -= 1;
    ledger.ports[0].queues[1].inspected -= 1;
    let expected = Imbalance::HandOver { handed_out: 10, handed_in: 9 };
    assert_eq!(ledger.balances(), Err(expected));

    let mut ledger = balanced();
    ledger.totals.received += 1;
    assert!(matches!(ledger.balances(), Err(Imbalance::Total { received: 151, .. })));

    let mut ledger = balanced();
    ledger.alerts.raised = 2;
    ledger.alerts.lost.insert("ring_full".to_owned(), 1);
    let expected = Imbalance::Alerts { raised: 2, written: 0, lost: 1 };
    assert_eq!(ledger.balances(), Err(expected));
}

#[test]
fn a_written_ledger_is_read_back_as_it_was() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("ledger.json");
    let cores = two_cores();
    let mut alerts = AlertTotals::default();
    (alerts.raised, alerts.written) = (3, 1);
    alerts.lose(Loss::WriteError, 2);
    let ledger = Ledger::collect(&view(&cores, NicCounters::default()), &alerts, 0.25);
    ledger.write(&path).expect("written");
    let text = std::fs::read_to_string(&path).expect("read");
    assert_eq!(serde_json::from_str::<Ledger>(&text).expect("JSON"), ledger);
    assert!(text.contains("\"write_error\": 2") && !text.contains("ring_full"), "{text}");
}
