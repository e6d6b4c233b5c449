//! A running sensor's traffic: what the ports lose, cores drop and outputs miss, and what to do about each; what
//! mirrors do is in [`super::mirrors`]. Whoever knows of another trouble adds a function to [`CHECKS`].

use super::mirrors::{
    checksums, cut_packets, duplicates, midstream, mirror_losses, one_direction, reordering,
    vlan_tags,
};
use super::{Finding, Verdict};
use crate::health::Sample;
use crate::output::ledger::{PortLedger, QueueLedger};

/// Everything that is looked at, in this order.
const CHECKS: &[fn(&Sample) -> Vec<Finding>] = &[
    traffic,
    nic_losses,
    drops,
    duplicates,
    one_direction,
    midstream,
    mirror_losses,
    vlan_tags,
    reordering,
    checksums,
    cut_packets,
    overlays,
    spread,
    flow_losses,
    alerts,
    packets,
    conditions,
];

/// Looks at all of it.
pub(super) fn all(sample: &Sample) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(sample)).collect()
}

/// So many of so many, as a share of a hundred.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn queues(sample: &Sample) -> impl Iterator<Item = (&PortLedger, &QueueLedger)> {
    sample.ledger.ports.iter().flat_map(|port| port.queues.iter().map(move |queue| (port, queue)))
}

/// `eth1 queue 0 (core 2)`
fn place(port: &PortLedger, queue: &QueueLedger) -> String {
    let number = queue.queue.map_or_else(|| "helper".to_owned(), |it| format!("queue {it}"));
    let core = queue.core.map_or_else(String::new, |core| format!(" (core {core})"));
    format!("{} {number}{core}", port.name)
}

/// Is anything coming, and is any of it in scope?
fn traffic(sample: &Sample) -> Vec<Finding> {
    let totals = &sample.ledger.totals;
    let mut found: Vec<Finding> = sample
        .ledger
        .ports
        .iter()
        .filter(|port| port.queues.iter().all(|queue| queue.received == 0))
        .map(|port| {
            let text = format!("nothing has come to {} in {:.0} s", port.name, sample.ledger.seconds);
            let remedy = "is the mirror session of the switch on, the cable in, the interface up and \
                          promiscuous? `tcpdump -ni` shows what the kernel sees";
            Finding::of("traffic", Verdict::Warning, text, remedy)
        })
        .collect();
    let is_unscoped = totals.received > 0 && totals.inspected == 0;
    if is_unscoped {
        let remedy = "do the resources' selectors match pods whose addresses are in the mirrored traffic? \
                      `pollux selector` tries one; with overlays, is the overlay's port among decoder.*.ports?";
        let text = format!("of {} packets none is in any resource's scope", totals.received);
        found.push(Finding::of("traffic", Verdict::Warning, text, remedy));
    }
    if found.is_empty() {
        let share = percent(totals.inspected, totals.received);
        let text = format!("{} packets received, {share:.1} % inspected", totals.received);
        found.push(Finding::good("traffic", text));
    }
    found
}

/// What was lost before a core took it.
fn nic_losses(sample: &Sample) -> Vec<Finding> {
    let mut found = Vec::new();
    for port in &sample.ledger.ports {
        let name = &port.name;
        let received: u64 = port.queues.iter().map(|queue| queue.received).sum();
        let kinds = [
            (
                port.nic.imissed,
                "packets found the receive queue full",
                "add queues and cores (ports.queues, ports.cores), or descriptors",
            ),
            (
                port.nic.rx_nombuf,
                "times no packet buffer was left",
                "enlarge the pool (memory.packets) and its hugepages (scripts/hugepages)",
            ),
            (
                port.nic.ierrors,
                "packets came with errors",
                "frames longer than ports.mtu, or a bad cable or transceiver; see xstats in ledger.json",
            ),
        ];
        for (count, what, remedy) in kinds {
            let Some(count) = count.filter(|&count| count > 0) else { continue };
            let share = percent(count, received + count);
            let text = format!("{name}: {count} {what} ({share:.2} % of what came)");
            found.push(Finding::of("nic-losses", Verdict::Warning, text, remedy));
        }
        if port.nic.imissed.is_none() {
            let text = format!("{name}: its driver ({}) does not tell what it loses", port.driver);
            let remedy =
                "compare with the counters of the interface (`ip -s link`) and of the switch";
            found.push(Finding::of("nic-losses", Verdict::Note, text, remedy));
        }
    }
    if found.is_empty() {
        found.push(Finding::good("nic-losses", "no port has lost a packet"));
    }
    found
}

/// What to do about a reason for which packets are dropped. What no network should do is a note.
fn remedy_of(reason: &str) -> (Verdict, &'static str) {
    match reason {
        "non_ip" => (Verdict::Note, "nothing: ARP, LLDP, spanning tree and the like"),
        "duplicate" => (Verdict::Note, "see duplicates"),
        "malformed" => {
            (Verdict::Note, "headers that contradict themselves; rules with decode-event show them")
        }
        "bad_checksum" => (
            Verdict::Warning,
            "offloading at the sender? see checksums; decoder.checksum-checks = \"no\" looks at none",
        ),
        "unknown_link_type" => (Verdict::Warning, "the port's link type is none that is read"),
        "fragment_timeout" => {
            (Verdict::Note, "fragments of which others never came: does the mirror lose packets?")
        }
        "fragment_memcap" => (Verdict::Warning, "raise defrag.memcap"),
        "stream_memcap" => (Verdict::Warning, "raise streams.reassembly.memcap"),
        "hand_over_full" => (
            Verdict::Warning,
            "a core is overloaded: add cores, or let the NIC spread (ports.spread)",
        ),
        "worker_panic" => {
            (Verdict::Warning, "a defect of Pollux: the log says where, please report it")
        }
        other if other.starts_with("shed") => {
            (Verdict::Warning, "cores cannot keep up: add cores, or narrow what is in scope")
        }
        _ => (Verdict::Note, "see the ledger's names in README"),
    }
}

fn drops(sample: &Sample) -> Vec<Finding> {
    let mut found = Vec::new();
    for (port, queue) in queues(sample) {
        for (reason, count) in &queue.dropped {
            let share = percent(*count, queue.received + queue.handed_in);
            let text =
                format!("{}: {count} dropped as {reason} ({share:.2} %)", place(port, queue));
            let (verdict, remedy) = remedy_of(reason);
            found.push(Finding::of("drops", verdict, text, remedy));
        }
    }
    if found.is_empty() {
        found.push(Finding::good("drops", "no packet was dropped"));
    }
    found
}

fn overlays(sample: &Sample) -> Vec<Finding> {
    let opaque = &sample.ledger.opaque;
    if opaque.is_empty() {
        return vec![Finding::good("overlays", "no encrypted overlay was seen")];
    }
    let remedy = "nobody can look into it: mirror the pods' interfaces instead of the nodes'";
    let of = |it: &crate::output::ledger::OpaqueLedger| {
        let text =
            format!("{} between {} and {}: {} packets", it.kind, it.first, it.second, it.packets);
        Finding::of("overlays", Verdict::Warning, text, remedy)
    };
    opaque.iter().map(of).collect()
}

/// How evenly the work is spread over the cores.
fn spread(sample: &Sample) -> Vec<Finding> {
    let work =
        |queue: &QueueLedger| (queue.received + queue.handed_in).saturating_sub(queue.handed_out);
    let mut found = Vec::new();
    for port in sample.ledger.ports.iter().filter(|port| port.queues.len() > 1) {
        let all: u64 = port.queues.iter().map(work).sum();
        let Some(busiest) = port.queues.iter().max_by_key(|queue| work(queue)) else { continue };
        if all < 1000 {
            continue;
        }
        let fair = 100.0 / port.queues.len() as f64;
        let share = percent(work(busiest), all);
        let text = format!(
            "{} has {share:.0} % of the packets of {} cores",
            place(port, busiest),
            port.queues.len()
        );
        found.push(if share > 2.0 * fair && share > 60.0 {
            let remedy = "few pairs of addresses carry most of the traffic, or the NIC spreads by outer addresses: \
                          see `spread` in ledger.json, and ports.spread";
            Finding::of("spread", Verdict::Warning, text, remedy)
        } else {
            Finding::good("spread", text)
        });
    }
    found
}

fn flow_losses(sample: &Sample) -> Vec<Finding> {
    let flows = &sample.ledger.flows;
    if flows.evicted == 0 {
        return vec![Finding::good(
            "flows",
            format!("{} flows, none put out before its time", flows.active),
        )];
    }
    let text = format!("{} flows were put out of full tables", flows.evicted);
    vec![Finding::of("flows", Verdict::Warning, text, "raise flows.max")]
}

fn alerts(sample: &Sample) -> Vec<Finding> {
    let alerts = &sample.ledger.alerts;
    let mut found = Vec::new();
    for (reason, count) in &alerts.lost {
        let remedy = match reason.as_str() {
            "ring_full" => "too many rules match: thresholds, or outputs.eve.signature-rate",
            "write_error" => "is the disk of eve.json full, or too slow?",
            "rate_limit" => "as configured (outputs.eve.signature-rate, flow-rate)",
            "packet_alert_max" => "detection.packet-alert-max",
            _ => "see the log",
        };
        let mut worst: Vec<_> = alerts.lost_by_signature.iter().collect();
        worst.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let named: Vec<&str> = worst.iter().take(3).map(|(name, _)| name.as_str()).collect();
        let named = if named.is_empty() {
            String::new()
        } else {
            format!(", most of {}", named.join(", "))
        };
        let text = format!("{count} alerts lost as {reason}{named}");
        found.push(Finding::of("alerts", Verdict::Warning, text, remedy));
    }
    if found.is_empty() {
        found.push(Finding::good("alerts", format!("{} alerts, none lost", alerts.written)));
    }
    found
}

fn packets(sample: &Sample) -> Vec<Finding> {
    let Some(log) = &sample.ledger.pcap_log else { return Vec::new() };
    let kinds = [
        (
            log.lost,
            "more came than the disk takes",
            "a faster disk, or a lower outputs.pcap-log.after-packets",
        ),
        (
            log.write_error,
            "they could not be written",
            "is the disk full? outputs.pcap-log.limit and max-files bound it",
        ),
        (
            log.gone,
            "they were forgotten before the alert",
            "raise outputs.pcap-log.history-size and history-packets",
        ),
    ];
    let of = |(count, why, remedy): (u64, &str, &str)| {
        (count > 0).then(|| {
            let text = format!("{count} packets of alerting flows are in no file: {why}");
            Finding::of("pcap-log", Verdict::Note, text, remedy)
        })
    };
    let found: Vec<_> = kinds.into_iter().filter_map(of).collect();
    if found.is_empty() {
        let text = format!("{} packets of alerting flows written", log.written);
        return vec![Finding::good("pcap-log", text)];
    }
    found
}

/// What the sensor says of itself.
fn conditions(sample: &Sample) -> Vec<Finding> {
    let verdict = if sample.is_stopped { Verdict::Bad } else { Verdict::Warning };
    let of =
        |text: &String| Finding { check: "condition", verdict, found: text.clone(), remedy: None };
    sample.conditions.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use engine::tally::Tally;

    use super::*;
    use crate::output::ledger::{NicCounters, OpaqueLedger, ResourceLedger};

    fn healthy() -> Sample {
        let queue = |core| QueueLedger {
            queue: Some(core as u16),
            core: Some(core),
            received: 10_000,
            inspected: 10_000,
            ..QueueLedger::default()
        };
        let nic = NicCounters { imissed: Some(0), ierrors: Some(0), rx_nombuf: Some(0) };
        let port = PortLedger {
            name: "eth1".to_owned(),
            nic,
            queues: vec![queue(0), queue(1)],
            ..PortLedger::default()
        };
        let mut sample = Sample::default();
        sample.ledger.ports = vec![port];
        (sample.ledger.totals.received, sample.ledger.totals.inspected) = (20_000, 20_000);
        sample
    }

    /// Changes a healthy sensor, and asserts that this, and nothing else, is found wrong.
    #[track_caller]
    fn finds(check: &str, words: &str, change: impl FnOnce(&mut Sample)) {
        let mut sample = healthy();
        change(&mut sample);
        let found = all(&sample);
        let wrong: Vec<_> = found.iter().filter(|it| it.verdict != Verdict::Good).collect();
        let is_told = |it: &&Finding| it.check == check && it.found.contains(words);
        assert!(wrong.iter().any(is_told), "{check}: {words:?} is not in {wrong:#?}");
        assert!(wrong.iter().all(|it| it.check == check || check == "duplicates"), "{wrong:#?}");
        assert!(wrong.iter().all(|it| it.remedy.is_some() || it.check == "condition"));
    }

    #[test]
    fn a_healthy_sensor_is_good_everywhere() {
        let found = all(&healthy());
        assert!(
            found.len() >= 10 && found.iter().all(|it| it.verdict == Verdict::Good),
            "{found:#?}"
        );
    }

    #[test]
    fn a_few_connections_of_one_side_are_no_trouble() {
        let mut sample = healthy();
        let mirror = &mut sample.ledger.ports[0].mirror;
        (mirror.tcp_flows, mirror.one_sided_flows) = (100, 4);
        assert!(all(&sample).iter().all(|it| it.verdict == Verdict::Good));
        let mirror = &mut sample.ledger.ports[0].mirror;
        (mirror.tcp_flows, mirror.one_sided_flows) = (20, 20);
        assert!(all(&sample).iter().all(|it| it.verdict == Verdict::Good), "too few to tell");
    }

    #[test]
    fn each_trouble_is_found_and_only_that() {
        finds("nic-losses", "eth1: 50 packets found the receive queue full (0.25 %", |it| {
            it.ledger.ports[0].nic.imissed = Some(50);
        });
        finds("nic-losses", "does not tell", |it| it.ledger.ports[0].nic.imissed = None);
        finds("drops", "eth1 queue 1 (core 1): 100 dropped as stream_memcap (1.00 %)", |it| {
            it.ledger.ports[0].queues[1].dropped = [("stream_memcap".to_owned(), 100)].into();
        });
        finds("duplicates", "4000 packets came twice (20.0 %)", |it| {
            it.ledger.ports[0].queues[0].dropped = [("duplicate".to_owned(), 4000)].into();
        });
        finds("midstream", "50 of 100 flows", |it| {
            (it.ledger.flows.created, it.ledger.flows.midstream) = (100, 50);
        });
        finds("one-direction", "eth1: of 60 of 100 TCP connections (60 %)", |it| {
            let mirror = &mut it.ledger.ports[0].mirror;
            (mirror.tcp_flows, mirror.one_sided_flows) = (100, 60);
        });
        finds("one-direction", "resource shop/web: of 4 of 4 TCP connections", |it| {
            it.ledger.resources = vec![ResourceLedger {
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                tally: Tally { tcp_flows: 4, one_sided_flows: 4, ..Tally::default() },
                ..ResourceLedger::default()
            }];
        });
        finds(
            "vlan-tags",
            "eth1: one direction of connections comes in VLAN 5, the other in none",
            |it| {
                it.ledger.ports[0].mirror.vlan_pairs = [(vec![5], vec![])].into();
            },
        );
        finds("reordering", "eth1: 300 packets (1.5 %", |it| {
            it.ledger.ports[0].mirror.reordered_packets = 300;
        });
        finds("reordering", "eth1: 300 segments (1.5 %", |it| {
            let mirror = &mut it.ledger.ports[0].mirror;
            (mirror.reordered_packets, mirror.late_segments) = (900, 300);
        });
        finds("mirror-losses", "77 bytes", |it| it.ledger.flows.gap_bytes = 77);
        finds("mirror-losses", "eth1: 20 of 1000 bytes of TCP connections (2.00 %)", |it| {
            let mirror = &mut it.ledger.ports[0].mirror;
            (mirror.tcp_bytes, mirror.missed_bytes) = (1000, 20);
        });
        finds("checksums", "9000 transport", |it| it.ledger.flows.bad_transport_checksum = 9000);
        finds("checksums", "eth1: so many transport checksums", |it| {
            it.ledger.ports[0].mirror.checksums_ignored = true;
        });
        finds("cut-packets", "3 packets", |it| it.ledger.flows.truncated = 3);
        finds("cut-packets", "eth1 at 128 bytes", |it| {
            it.ledger.flows.truncated = 3;
            it.ledger.ports[0].mirror.cut_at = Some(128);
        });
        finds("spread", "eth1 queue 0 (core 0) has 100 %", |it| {
            it.ledger.ports[0].queues.extend([QueueLedger::default(), QueueLedger::default()]);
            it.ledger.ports[0].queues[0].received = 1_000_000_000;
        });
        finds("flows", "5 flows", |it| it.ledger.flows.evicted = 5);
        finds("alerts", "6 alerts lost as ring_full, most of 1:7", |it| {
            it.ledger.alerts.lost = [("ring_full".to_owned(), 6)].into();
            it.ledger.alerts.lost_by_signature =
                [("1:7".to_owned(), 5), ("1:8".to_owned(), 1)].into();
        });
        finds("traffic", "none is in any resource's scope", |it| {
            it.ledger.totals.inspected = 0;
        });
        finds("traffic", "nothing has come to eth1", |it| {
            it.ledger.totals.received = 0;
            it.ledger.ports[0].queues.iter_mut().for_each(|queue| queue.received = 0);
        });
        finds("overlays", "WireGuard between 10.0.0.1 and 10.0.0.2", |it| {
            it.ledger.opaque = vec![OpaqueLedger {
                first: [10, 0, 0, 1].into(),
                second: [10, 0, 0, 2].into(),
                kind: "WireGuard".to_owned(),
                packets: 8,
            }];
        });
        finds("condition", "port eth1 is down", |it| {
            it.conditions = vec!["port eth1 is down".to_owned()];
        });
    }
}
