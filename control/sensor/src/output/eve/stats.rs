//! `event_type: stats`: the ledger's counters at an interval, under Suricata's names where it counts the same,
//! and what only Pollux counts under `pollux`.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::text::Time;
use crate::config::StatsConfig;
use crate::health::RulesSample;
use crate::output::ledger::{Ledger, PortLedger, QueueLedger};

/// Composes the lines, one an interval.
#[derive(Debug)]
pub struct Stats {
    config: StatsConfig,
    started: Instant,
    /// When the next one is due.
    due: Instant,
    /// The counters of the last one, for what has been added since.
    before: Map<String, Value>,
    /// The generation in force, and since when.
    reload: (u64, u64),
}

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: Time,
    event_type: &'static str,
    stats: &'a Map<String, Value>,
}

impl Stats {
    /// None where none are to be written.
    pub fn new(config: &StatsConfig) -> Option<Self> {
        let started = Instant::now();
        let due = started + config.interval;
        config.is_on().then(|| Self {
            config: config.clone(),
            started,
            due,
            before: Map::new(),
            reload: (0, 0),
        })
    }

    /// The line that is due, its end included. `now`: nanoseconds since 1970.
    pub fn due(&mut self, ledger: &Ledger, rules: &RulesSample, now: u64) -> Option<Vec<u8>> {
        if ledger.generation != self.reload.0 {
            self.reload = (ledger.generation, now);
        }
        if Instant::now() < self.due {
            return None;
        }
        // What a machine that was held up has missed is not made up for.
        self.due =
            (self.due + self.config.interval).max(Instant::now() + Duration::from_millis(500));
        Some(self.line(ledger, rules, now))
    }

    /// A line now, whether it is due or not.
    pub fn line(&mut self, ledger: &Ledger, rules: &RulesSample, now: u64) -> Vec<u8> {
        let mut counters = self.counters(ledger, rules);
        if self.config.deltas {
            let before = std::mem::replace(&mut self.before, counters.clone());
            add_deltas(&mut counters, &before);
        }
        let mut stats = Map::new();
        stats.insert("uptime".to_owned(), self.started.elapsed().as_secs().into());
        stats.append(&mut counters);
        if let Some(engine) = stats.get_mut("detect").and_then(Value::as_object_mut) {
            let engine_of = json!([{
                "id": 0,
                "last_reload": Time(self.reload.1).to_string(),
                "rules_loaded": rules.loaded,
                "rules_failed": rules.rejected,
                "rules_skipped": 0,
            }]);
            engine.insert("engines".to_owned(), engine_of);
        }
        let line = Line { timestamp: Time(now), event_type: "stats", stats: &stats };
        // Numbers and names: nothing of it can fail.
        let mut out = serde_json::to_vec(&line).unwrap_or_default();
        out.push(b'\n');
        out
    }

    fn counters(&self, ledger: &Ledger, rules: &RulesSample) -> Map<String, Value> {
        let mut all = if self.config.totals { totals(ledger, rules) } else { Map::new() };
        if self.config.threads {
            let queues = ledger
                .ports
                .iter()
                .flat_map(|port| port.queues.iter().map(move |queue| (port.name.as_str(), queue)));
            let threads = queues.enumerate().map(|(number, (port, queue))| {
                (format!("W#{:02}-{port}", number + 1), Value::Object(of_queue(queue)))
            });
            all.insert("threads".to_owned(), Value::Object(threads.collect()));
        }
        all
    }
}

/// An object's fields.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn totals(ledger: &Ledger, rules: &RulesSample) -> Map<String, Value> {
    let (totals, flows, alerts) = (&ledger.totals, &ledger.flows, &ledger.alerts);
    let dropped = ledger.drops();
    let drops = |reason: &str| dropped.get(reason).copied().unwrap_or(0);
    let of_ports =
        |of: fn(&PortLedger) -> Option<u64>| -> u64 { ledger.ports.iter().filter_map(of).sum() };
    let imissed = of_ports(|port| port.nic.imissed);
    let ierrors = of_ports(|port| port.nic.ierrors);
    let no_mbufs = of_ports(|port| port.nic.rx_nombuf);
    let lost = imissed + ierrors + no_mbufs;
    object(json!({
        "capture": {
            "packets": totals.received + lost,
            "rx_errors": lost,
            "dpdk": { "imissed": imissed, "no_mbufs": no_mbufs, "ierrors": ierrors },
        },
        "decoder": {
            "pkts": totals.received,
            "bytes": totals.bytes,
            "invalid": drops("malformed"),
            "avg_pkt_size": totals.bytes.checked_div(totals.received).unwrap_or(0),
        },
        "tcp": {
            "invalid_checksum": flows.bad_transport_checksum,
            "midstream_pickups": flows.midstream,
            "segment_memcap_drop": drops("stream_memcap"),
            "reassembly_memuse": flows.stream_memory,
        },
        "flow": { "total": flows.created, "active": flows.active },
        "detect": {
            "alert": alerts.raised,
            "alert_queue_overflow": alerts.lost.get("packet_alert_max").copied().unwrap_or(0),
            "alerts_suppressed": alerts.thresholded,
        },
        "pollux": {
            "generation": ledger.generation,
            "inspected": totals.inspected,
            "unscoped": totals.unscoped,
            "dropped": dropped,
            "flows": {
                "evicted": flows.evicted,
                "shed": flows.shed,
                "datagrams_reassembled": flows.datagrams_reassembled,
                "gap_bytes": flows.gap_bytes,
                "truncated": flows.truncated,
                "encrypted": flows.encrypted,
            },
            "alerts": { "written": alerts.written, "waiting": alerts.waiting, "lost": alerts.lost },
            "mirror": mirror(ledger),
            "panics": ledger.trouble.panics,
            "budget_exceeded": ledger.trouble.budget_exceeded,
            "rules_database_bytes": rules.database_bytes,
        },
    }))
}

/// What mirrors were found to do, over all ports.
fn mirror(ledger: &Ledger) -> Value {
    let sum = |of: fn(&PortLedger) -> u64| ledger.ports.iter().map(of).sum::<u64>();
    json!({
        "tcp_flows": sum(|port| port.mirror.tcp_flows),
        "one_sided_flows": sum(|port| port.mirror.one_sided_flows),
        "reordered_packets": sum(|port| port.mirror.reordered_packets),
        "late_segments": sum(|port| port.mirror.late_segments),
        "vlan_joined": sum(|port| port.mirror.vlan_joined),
        "tcp_bytes": sum(|port| port.mirror.tcp_bytes),
        "missed_bytes": sum(|port| port.mirror.missed_bytes),
    })
}

fn of_queue(queue: &QueueLedger) -> Map<String, Value> {
    object(json!({
        "decoder": { "pkts": queue.received, "bytes": queue.bytes },
        "pollux": {
            "handed_in": queue.handed_in,
            "handed_out": queue.handed_out,
            "inspected": queue.inspected,
            "unscoped": queue.unscoped,
            "dropped": queue.dropped,
        },
    }))
}

/// Beside each number, as `NAME_delta`, what it has grown by; Suricata's form.
fn add_deltas(now: &mut Map<String, Value>, before: &Map<String, Value>) {
    let mut deltas = Vec::new();
    for (name, value) in now.iter_mut() {
        match (value, before.get(name)) {
            (Value::Object(fields), then) => {
                let none = Map::new();
                add_deltas(fields, then.and_then(Value::as_object).unwrap_or(&none));
            }
            (Value::Number(number), then) => {
                let then = then.and_then(Value::as_i64).unwrap_or(0);
                let grown = number.as_i64().map(|number| number.saturating_sub(then));
                deltas.push((format!("{name}_delta"), Value::from(grown.unwrap_or(0))));
            }
            _ => {}
        }
    }
    now.extend(deltas);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ledger::{NicCounters, TotalLedger};

    fn ledger(received: u64) -> Ledger {
        let dropped = [("malformed".to_owned(), 3), ("non_ip".to_owned(), 2)].into();
        let inspected = received - 5;
        let queue = QueueLedger { received, inspected, dropped, ..QueueLedger::default() };
        let nic = NicCounters { imissed: Some(7), ierrors: None, rx_nombuf: Some(1) };
        let name = "eth1".to_owned();
        let ports = vec![PortLedger { name, nic, queues: vec![queue], ..PortLedger::default() }];
        let bytes = received * 100;
        let totals = TotalLedger { received, inspected, dropped: 5, bytes, unscoped: 0 };
        Ledger { generation: 4, ports, totals, ..Ledger::default() }
    }

    fn config(totals: bool, threads: bool, deltas: bool) -> StatsConfig {
        StatsConfig { totals, threads, deltas, interval: Duration::ZERO, ..StatsConfig::default() }
    }

    fn stats(stats: &mut Stats, received: u64) -> Value {
        let rules = RulesSample { loaded: 12, rejected: 1, ..RulesSample::default() };
        let line = stats.due(&ledger(received), &rules, 1_700_000_000_000_000_000);
        let line = line.expect("it is due");
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        let value: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["event_type"], "stats");
        assert_eq!(value["timestamp"], "2023-11-14T22:13:20.000000+0000");
        value["stats"].clone()
    }

    #[test]
    fn counters_have_suricatas_names_where_it_counts_the_same() {
        let mut it = Stats::new(&config(true, false, false)).expect("on");
        let stats = stats(&mut it, 100);
        assert_eq!(stats["capture"]["packets"], 108, "lost ones, too");
        assert_eq!(stats["capture"]["dpdk"], json!({"imissed": 7, "no_mbufs": 1, "ierrors": 0}));
        assert_eq!(stats["decoder"]["pkts"], 100);
        assert_eq!(
            (&stats["decoder"]["bytes"], &stats["decoder"]["invalid"]),
            (&10_000.into(), &3.into())
        );
        let engine = &stats["detect"]["engines"][0];
        assert_eq!((&engine["rules_loaded"], &engine["rules_failed"]), (&12.into(), &1.into()));
        assert_eq!(engine["last_reload"], "2023-11-14T22:13:20.000000+0000");
        assert_eq!(stats["pollux"]["inspected"], 95);
        assert_eq!(stats["pollux"]["dropped"], json!({"malformed": 3, "non_ip": 2}));
        assert_eq!(stats.get("threads"), None);
    }

    #[test]
    fn deltas_and_threads_are_there_if_asked_for() {
        let mut it = Stats::new(&config(true, true, true)).expect("on");
        assert_eq!(stats(&mut it, 100)["decoder"]["pkts_delta"], 100);
        let second = {
            it.due = Instant::now();
            stats(&mut it, 160)
        };
        assert_eq!(second["decoder"]["pkts_delta"], 60);
        assert_eq!(second["pollux"]["dropped"]["non_ip_delta"], 0);
        let worker = &second["threads"]["W#01-eth1"];
        assert_eq!(
            (&worker["decoder"]["pkts"], &worker["decoder"]["pkts_delta"]),
            (&160.into(), &60.into())
        );
        assert_eq!(second["detect"]["engines"][0].get("id_delta"), None);
    }

    #[test]
    fn none_are_written_where_neither_totals_nor_threads_are_asked_for() {
        assert!(Stats::new(&StatsConfig::default()).is_none());
        assert!(Stats::new(&config(false, false, true)).is_none());
        let off = StatsConfig { enabled: false, ..config(true, true, false) };
        assert!(Stats::new(&off).is_none());
        let mut later =
            Stats::new(&StatsConfig { totals: true, ..StatsConfig::default() }).expect("on");
        assert!(later.due(&ledger(10), &RulesSample::default(), 0).is_none(), "in eight seconds");
    }
}
