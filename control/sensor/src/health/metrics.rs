//! The latest sample as metrics: names, meanings and labels.

use std::fmt;
use std::sync::Arc;

use engine::tally::Tally;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Health, Sample};
use crate::bypass::ledger::{Bypassed, PortBypass};
use crate::output::ledger::{MirrorLedger, PortLedger, QueueLedger};

/// A registry of everything.
pub(super) fn registry(health: Arc<Health>) -> Registry {
    let mut registry = Registry::with_prefix("pollux");
    registry.register_collector(Box::new(Latest(health)));
    registry
}

/// Asks the latest sample.
#[derive(Debug)]
struct Latest(Arc<Health>);

type Labels = Vec<(&'static str, String)>;

impl Collector for Latest {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        self.0.with_sample(|sample| Page { encoder }.all(sample)).unwrap_or(Ok(()))
    }
}

struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn all(mut self, sample: &Sample) -> fmt::Result {
        self.queues(sample)?;
        self.ports(sample)?;
        self.flows_and_alerts(sample)?;
        self.resources(sample)?;
        self.generations(sample)?;
        self.cluster(sample)
    }

    fn queues(&mut self, sample: &Sample) -> fmt::Result {
        type Of = fn(&QueueLedger) -> u64;
        let counters: [(&str, &str, Of); 6] = [
            ("packets_received", "Packets taken from the queue", |queue| queue.received),
            ("packets_handed_in", "Packets that other cores handed over", |queue| queue.handed_in),
            ("packets_handed_out", "Packets handed over to other cores", |queue| queue.handed_out),
            ("packets_inspected", "Packets offered to detection", |queue| queue.inspected),
            ("packets_unscoped", "Packets of endpoints that no resource selects", |queue| {
                queue.unscoped
            }),
            ("bytes_received", "Bytes taken from the queue", |queue| queue.bytes),
        ];
        let queues = || {
            sample
                .ledger
                .ports
                .iter()
                .flat_map(|port| port.queues.iter().map(move |queue| (port, queue)))
        };
        for (name, help, of) in counters {
            self.counter(
                name,
                help,
                queues().map(|(port, queue)| (labels(port, queue), of(queue))),
            )?;
        }
        let dropped = queues().flat_map(|(port, queue)| {
            queue.dropped.iter().map(move |(reason, count)| {
                let mut labels = labels(port, queue);
                labels.push(("reason", reason.clone()));
                (labels, *count)
            })
        });
        self.counter("packets_dropped", "Packets dropped, by reason", dropped)
    }

    fn ports(&mut self, sample: &Sample) -> fmt::Result {
        let ports = || sample.ledger.ports.iter();
        let of = |port: &PortLedger, count: Option<u64>| {
            Some((vec![("port", port.name.clone())], count?))
        };
        let missed = ports().filter_map(|port| of(port, port.nic.imissed));
        self.counter("port_imissed", "Packets lost because a receive queue was full", missed)?;
        let errors = ports().filter_map(|port| of(port, port.nic.ierrors));
        self.counter("port_ierrors", "Packets received with errors", errors)?;
        let no_buffer = ports().filter_map(|port| of(port, port.nic.rx_nombuf));
        self.counter("port_rx_nombuf", "Times that no buffer was left to receive into", no_buffer)?;
        let links = sample.ports.iter().filter_map(|(name, up)| {
            Some((vec![("port", name.clone())], f64::from(u8::from((*up)?))))
        });
        self.gauge("port_up", "Whether the port's link is up", links)?;
        self.bypassed(sample)?;
        self.mirrors(sample)
    }

    /// What NICs were told to drop.
    fn bypassed(&mut self, sample: &Sample) -> fmt::Result {
        type Of = fn(&PortBypass) -> Option<u64>;
        let of = |which: Of| {
            sample.ledger.ports.iter().filter_map(move |port| {
                let count = port.bypass.as_ref().filter(|it| it.refusal.is_none()).and_then(which);
                Some((vec![("port", port.name.clone())], count?))
            })
        };
        let rules = of(|it| Some(it.rules)).map(|(labels, count)| (labels, count as f64));
        self.gauge("port_bypass_rules", "Rules by which the NIC drops long flows", rules)?;
        let counters: [(&str, &str, Of); 4] = [
            ("port_bypass_made", "Rules for long flows made", |it| Some(it.made)),
            ("port_bypass_refused", "Rules for long flows that the NIC refused", |it| {
                Some(it.refused)
            }),
            ("port_bypassed_packets", "Packets of long flows that the NIC dropped", |it| {
                it.packets
            }),
            ("port_bypassed_bytes", "Bytes of long flows that the NIC dropped", |it| it.bytes),
        ];
        for (name, help, which) in counters {
            self.counter(name, help, of(which))?;
        }
        let Some(bypass) = &sample.ledger.bypass else { return Ok(()) };
        self.one("bypass_flows", "Flows that NICs drop now", bypass.flows as f64)?;
        self.total("bypass_begun", "Flows begun to be dropped by NICs", bypass.begun)?;
        let lost = bypass.beyond_limit + bypass.requests_lost;
        self.total("bypass_unanswered", "Requests of cores that were too many", lost)
    }

    /// What mirrors do to the traffic that they copy.
    fn mirrors(&mut self, sample: &Sample) -> fmt::Result {
        type Of = fn(&MirrorLedger) -> u64;
        let counters: [(&str, &str, Of); 10] = [
            ("mirror_tcp_flows", "TCP flows of which enough was seen to judge the mirror", |it| {
                it.tcp_flows
            }),
            ("mirror_one_sided_flows", "TCP flows of which one side only is mirrored", |it| {
                it.one_sided_flows
            }),
            (
                "mirror_reordered_packets",
                "Packets that came before what they answer, and were put behind it",
                |it| it.reordered_packets,
            ),
            ("mirror_late_segments", "TCP segments acknowledged before they were seen", |it| {
                it.late_segments
            }),
            ("mirror_bad_transport_checksum", "Packets with a wrong transport checksum", |it| {
                it.bad_transport_checksum
            }),
            (
                "mirror_checksums_ignored",
                "1: checksums are not looked at, too many were wrong",
                |it| u64::from(it.checksums_ignored),
            ),
            ("mirror_cut_packets", "Packets captured in part", |it| it.cut_packets),
            ("mirror_vlan_joined", "Packets given to flows in the other direction's VLANs", |it| {
                it.vlan_joined
            }),
            ("mirror_tcp_bytes", "Payload bytes of TCP flows that have ended", |it| it.tcp_bytes),
            ("mirror_missed_bytes", "Bytes acknowledged but never seen", |it| it.missed_bytes),
        ];
        for (name, help, of) in counters {
            let ports = sample.ledger.ports.iter();
            let rows = ports.map(|port| (vec![("port", port.name.clone())], of(&port.mirror)));
            if name.ends_with("ignored") {
                self.gauge(name, help, rows.map(|(labels, value)| (labels, value as f64)))?;
            } else {
                self.counter(name, help, rows)?;
            }
        }
        Ok(())
    }

    fn flows_and_alerts(&mut self, sample: &Sample) -> fmt::Result {
        let ledger = &sample.ledger;
        self.one("flows_active", "Flows in the tables", ledger.flows.active as f64)?;
        self.one(
            "stream_memory_bytes",
            "Bytes that wait in reassembly",
            ledger.flows.stream_memory as f64,
        )?;
        self.total("flows_created", "Flows made", ledger.flows.created)?;
        self.total("flows_evicted", "Flows put out of full tables", ledger.flows.evicted)?;
        self.total("alerts_raised", "Alerts raised", ledger.alerts.raised)?;
        self.total("alerts_written", "Alerts written", ledger.alerts.written)?;
        let lost =
            ledger.alerts.lost.iter().map(|(reason, n)| (vec![("reason", reason.clone())], *n));
        self.counter("alerts_lost", "Alerts lost, by reason", lost)?;
        if let Some(pcap) = &ledger.pcap_log {
            self.total("pcap_log_packets", "Packets of alerting flows written", pcap.written)?;
            let missed = [
                ("lost", pcap.lost),
                ("write_error", pcap.write_error),
                ("gone", pcap.gone),
                ("beyond", pcap.beyond),
                ("withheld", pcap.withheld),
            ];
            let missed =
                missed.into_iter().map(|(reason, n)| (vec![("reason", reason.to_owned())], n));
            self.counter("pcap_log_missed", "Packets of alerting flows not written", missed)?;
        }
        let by_resource = sample.alerts_by_resource.iter().map(|it| {
            (vec![("namespace", it.namespace.clone()), ("name", it.name.clone())], it.alerts)
        });
        self.counter("resource_alerts", "Alerts by DeepPacketInspection", by_resource)?;
        self.total(
            "alert_sides_ambiguous",
            "Sides of alerts that could be more than one pod, and so name none",
            sample.ambiguous_sides,
        )
    }

    /// What resources lost, or could not have inspected whole.
    fn resources(&mut self, sample: &Sample) -> fmt::Result {
        let flows = &sample.ledger.flows;
        self.total("flows_shed", "Flows shed, whole, by overloaded cores", flows.shed)?;
        let bytes =
            flows.shed_bytes.iter().map(|(reason, n)| (vec![("reason", reason.clone())], *n));
        self.counter("shed_bytes", "Bytes of packets shed by overloaded cores, by reason", bytes)?;
        type Of = fn(&Tally) -> u64;
        let counters: [(&str, &str, Of); 7] = [
            ("resource_shed_packets", "Packets shed by overloaded cores", |it| it.shed_packets),
            ("resource_shed_bytes", "Bytes shed by overloaded cores", |it| it.shed_bytes),
            ("resource_cut_packets", "Packets captured in part", |it| it.cut_packets),
            (
                "resource_tcp_flows",
                "TCP flows of which enough was seen to judge the mirror",
                |it| it.tcp_flows,
            ),
            ("resource_one_sided_flows", "TCP flows of which one side only is mirrored", |it| {
                it.one_sided_flows
            }),
            ("resource_tcp_bytes", "Payload bytes of TCP flows that have ended", |it| it.tcp_bytes),
            ("resource_missed_bytes", "Bytes acknowledged but never seen", |it| it.missed_bytes),
        ];
        for (name, help, of) in counters {
            let rows = sample.ledger.resources.iter().map(|it| {
                let labels = vec![("namespace", it.namespace.clone()), ("name", it.name.clone())];
                (labels, of(&it.tally))
            });
            self.counter(name, help, rows.filter(|&(_, count)| count > 0))?;
        }
        type OfBypassed = fn(&Bypassed) -> u64;
        let bypassed: [(&str, &str, OfBypassed); 3] = [
            ("resource_bypassed_flows", "Flows begun to be dropped by NICs", |it| it.flows),
            ("resource_bypassed_packets", "Packets dropped by NICs that count them", |it| {
                it.packets
            }),
            ("resource_bypassed_bytes", "Bytes dropped by NICs that count them", |it| it.bytes),
        ];
        for (name, help, of) in bypassed {
            let rows = sample.ledger.resources.iter().map(|it| {
                let labels = vec![("namespace", it.namespace.clone()), ("name", it.name.clone())];
                (labels, of(&it.bypassed))
            });
            self.counter(name, help, rows.filter(|&(_, count)| count > 0))?;
        }
        Ok(())
    }

    fn generations(&mut self, sample: &Sample) -> fmt::Result {
        self.one("generation", "The newest generation", sample.generation as f64)?;
        let workers = sample
            .workers
            .iter()
            .map(|(worker, generation)| (vec![("worker", worker.clone())], *generation as f64));
        self.gauge("worker_generation", "The generation that a worker has", workers)?;
        let rules = &sample.rules;
        self.one("rules_loaded", "Rules in force", rules.loaded as f64)?;
        self.one("rules_rejected", "Rules that do not load", rules.rejected as f64)?;
        self.one("rules_build_seconds", "Time that compiling the rules took", rules.build_seconds)?;
        self.one(
            "rules_database_bytes",
            "Memory of the rules' databases",
            rules.database_bytes as f64,
        )?;
        self.one(
            "generation_build_seconds",
            "Time that building the newest generation took",
            sample.build_seconds,
        )?;
        self.one(
            "generation_publish_seconds",
            "Time until every worker had the newest generation",
            sample.publish_seconds,
        )?;
        self.one("resources", "DeepPacketInspections", sample.resources as f64)?;
        self.one(
            "resources_with_errors",
            "DeepPacketInspections with an error of their own",
            sample.resource_errors as f64,
        )?;
        self.one("endpoints", "Pods that are endpoints", sample.endpoints as f64)?;
        self.one(
            "conditions",
            "What is wrong with the sensor as a whole",
            sample.conditions.len() as f64,
        )
    }

    fn cluster(&mut self, sample: &Sample) -> fmt::Result {
        let watches = || sample.watches.iter();
        let of = |name: &str| vec![("watch", name.to_owned())];
        let flag = |flag: bool| f64::from(u8::from(flag));
        let up = watches().map(|watch| (of(&watch.name), flag(watch.up)));
        self.gauge("watch_up", "Whether nothing is wrong with a watch", up)?;
        let listed = watches().map(|watch| (of(&watch.name), flag(watch.listed)));
        self.gauge("watch_listed", "Whether a watch's first list is complete", listed)?;
        let events = watches().map(|watch| (of(&watch.name), watch.events));
        self.counter("watch_events", "Objects that a watch has told of", events)?;
        let lists = watches().map(|watch| (of(&watch.name), watch.lists));
        self.counter("watch_lists", "Lists that a watch has begun", lists)?;
        let failures = watches().map(|watch| (of(&watch.name), watch.failures));
        self.counter("watch_failures", "Failures of a watch", failures)?;
        let Some(status) = &sample.status else { return Ok(()) };
        self.total("status_writes", "Statuses written to the cluster", status.writes)?;
        self.total(
            "status_conflicts",
            "Writes refused because another came first",
            status.conflicts,
        )?;
        self.total("status_failures", "Writes of status that failed otherwise", status.failures)?;
        self.total("status_unchanged", "Statuses found to be right already", status.unchanged)?;
        self.one(
            "status_behind",
            "Resources whose status is still to be written",
            status.behind as f64,
        )
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = (Labels, u64)>,
    ) -> fmt::Result {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in rows {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        rows: impl Iterator<Item = (Labels, f64)>,
    ) -> fmt::Result {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn total(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = ConstCounter::new(value);
        metric.encode(self.encoder.encode_descriptor(name, help, None, metric.metric_type())?)
    }

    fn one(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let metric = ConstGauge::new(value);
        metric.encode(self.encoder.encode_descriptor(name, help, None, metric.metric_type())?)
    }
}

fn labels(port: &PortLedger, queue: &QueueLedger) -> Labels {
    let number = |number: Option<String>| number.unwrap_or_else(|| "none".to_owned());
    vec![
        ("port", port.name.clone()),
        ("queue", number(queue.queue.map(|queue| queue.to_string()))),
        ("core", number(queue.core.map(|core| core.to_string()))),
    ]
}
