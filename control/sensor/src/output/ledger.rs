//! ledger.json: every packet's fate by port and queue, flows, alerts, and the check that nothing is
//! missing.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use engine::counters::{Counters, Drop};
use serde::{Deserialize, Serialize};

mod mirror;
mod resources;

pub use mirror::MirrorLedger;
pub use resources::ResourceLedger;

use super::atomic;
use super::pcap::PcapTotals;
use super::totals::{AlertTotals, Loss};
use crate::bypass::ledger::{BypassLedger, PortBypass};

/// A port as the sensor knows it.
#[derive(Debug, Clone)]
pub struct PortView<'a> {
    /// Its device's name, and what else does not change with every packet.
    pub facts: PortFacts,
    /// What its driver counted.
    pub nic: NicCounters,
    /// Everything that its driver counted, by its own names.
    pub xstats: BTreeMap<String, u64>,
    /// Its queues.
    pub queues: Vec<QueueView<'a>>,
}

/// What a port is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortFacts {
    /// Its device's name.
    pub name: String,
    /// DPDK's driver.
    pub driver: String,
    /// The NUMA node of its NIC; None for virtual devices.
    pub numa_node: Option<u32>,
    /// The state of the wire.
    pub link: LinkState,
    /// Who spreads its packets over the workers, in words.
    pub spread: String,
    /// The kernel's number for the interface that it was opened on; None: it is on none.
    pub interface_index: Option<u32>,
}

impl PortFacts {
    /// A port of this name, of which nothing else is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// The state of a port's wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// Whether packets can come.
    pub up: bool,
    /// Megabits per second; null if the driver does not tell.
    pub speed_mbps: Option<u32>,
}

impl From<dpdk::Link> for LinkState {
    fn from(link: dpdk::Link) -> Self {
        Self { up: link.up, speed_mbps: link.speed_mbps }
    }
}

impl std::fmt::Display for LinkState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.up, self.speed_mbps) {
            (false, _) => f.write_str("down"),
            (true, None) => f.write_str("up"),
            (true, Some(speed)) => write!(f, "up, {speed} Mbit/s"),
        }
    }
}

/// A queue and the core that serves it.
#[derive(Debug, Clone)]
pub struct QueueView<'a> {
    /// Number of the queue on its port; None for a worker that only takes what others hand over.
    pub queue: Option<u16>,
    /// The CPU that its worker is pinned to; None if to none.
    pub core: Option<usize>,
    /// Its worker's counters.
    pub counters: &'a Counters,
}

/// Losses that only the driver sees; null where it cannot tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicCounters {
    /// Packets lost because the queue was full.
    pub imissed: Option<u64>,
    /// Packets received with errors.
    pub ierrors: Option<u64>,
    /// Times that no buffer was left to receive into.
    pub rx_nombuf: Option<u64>,
}

impl From<dpdk::PortStats> for NicCounters {
    fn from(stats: dpdk::PortStats) -> Self {
        Self { imissed: stats.imissed, ierrors: stats.ierrors, rx_nombuf: stats.rx_nombuf }
    }
}

/// The ledger, as written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The generation in force on every core; the lowest, where they differ.
    pub generation: u64,
    /// From the first burst to the last alert written.
    pub seconds: f64,
    /// By port.
    pub ports: Vec<PortLedger>,
    /// Flows, streams and datagrams.
    pub flows: FlowLedger,
    /// Overlays that cannot be looked into, by the addresses that they are between.
    #[serde(default)]
    pub opaque: Vec<OpaqueLedger>,
    /// What resources lost, or could not have inspected whole; only those of which there is something to say.
    #[serde(default)]
    pub resources: Vec<ResourceLedger>,
    /// Flows that NICs were told to drop, where that is wanted. Their packets are in no other count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass: Option<BypassLedger>,
    /// Alerts.
    pub alerts: AlertLedger,
    /// Packets of alerting flows, where they are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcap_log: Option<PcapTotals>,
    /// What had to be given up so that the rest went on.
    pub trouble: TroubleLedger,
    /// Sums over all queues.
    pub totals: TotalLedger,
}

/// An encrypted overlay between two addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpaqueLedger {
    /// One end.
    pub first: std::net::IpAddr,
    /// The other.
    pub second: std::net::IpAddr,
    /// `WireGuard` or `IPsec`.
    pub kind: String,
    /// Packets of both directions.
    pub packets: u64,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortLedger {
    /// Its device's name.
    pub name: String,
    /// DPDK's driver.
    #[serde(default)]
    pub driver: String,
    /// The NUMA node of its NIC; null for virtual devices.
    #[serde(default)]
    pub numa_node: Option<u32>,
    /// The state of the wire.
    #[serde(default)]
    pub link: LinkState,
    /// Who spreads its packets over the workers, in words.
    #[serde(default)]
    pub spread: String,
    /// What its driver counted.
    pub nic: NicCounters,
    /// Everything that its driver counted, by its own names; only what is not 0.
    #[serde(default)]
    pub xstats: BTreeMap<String, u64>,
    /// What its mirror does to the traffic that it copies.
    #[serde(default)]
    pub mirror: MirrorLedger,
    /// Flows that its NIC was told to drop, where that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bypass: Option<PortBypass>,
    /// By queue.
    pub queues: Vec<QueueLedger>,
}

/// A queue: received + handed_in = inspected + unscoped + handed_out + the sum of dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLedger {
    /// Its number; null for a worker without one.
    pub queue: Option<u16>,
    /// The CPU of its worker; null if it is pinned to none.
    pub core: Option<usize>,
    /// Packets taken from the queue.
    pub received: u64,
    /// Packets that other cores handed over.
    pub handed_in: u64,
    /// Packets handed over to other cores.
    pub handed_out: u64,
    /// Packets offered to detection.
    pub inspected: u64,
    /// Packets of endpoints that no resource selects.
    pub unscoped: u64,
    /// Packets that were neither, by reason; only reasons that occurred.
    pub dropped: BTreeMap<String, u64>,
    /// Bytes received.
    pub bytes: u64,
}

/// Flows, streams and datagrams, over all cores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLedger {
    /// Flows made.
    pub created: u64,
    /// Flows that were shed, whole, because a core was overloaded.
    #[serde(default)]
    pub shed: u64,
    /// Bytes of packets that were shed, by the drop's reason; only reasons that occurred.
    #[serde(default)]
    pub shed_bytes: BTreeMap<String, u64>,
    /// Flows in the tables now.
    pub active: u64,
    /// Flows put out of full tables, inspected before.
    pub evicted: u64,
    /// TCP flows picked up in the middle.
    pub midstream: u64,
    /// Flows given up after a panic.
    pub lost_to_panic: u64,
    /// Datagrams put together from fragments.
    pub datagrams_reassembled: u64,
    /// Packets with a wrong transport checksum: inspected, but no part of a stream.
    pub bad_transport_checksum: u64,
    /// Packets that were captured in part: inspected as far as they go.
    #[serde(default)]
    pub truncated: u64,
    /// Payload bytes beyond the streams' depth, inspected as packets only.
    pub beyond_depth: u64,
    /// Payload bytes after an encrypted session's handshake.
    pub encrypted: u64,
    /// Bytes that streams lost: acknowledged, never seen.
    pub gap_bytes: u64,
    /// Bytes that wait in reassembly now.
    pub stream_memory: u64,
}

/// Alerts: raised = written + the sum of lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLedger {
    /// Matches to be reported, after thresholds.
    pub raised: u64,
    /// Lines in eve.json.
    pub written: u64,
    /// The others, by reason; only reasons that occurred.
    pub lost: BTreeMap<String, u64>,
    /// Those of them whose signature is known, by gid:sid.
    #[serde(default)]
    pub lost_by_signature: BTreeMap<String, u64>,
    /// Alerts on their way to the file, not counted as raised yet.
    pub waiting: u64,
    /// Matches that the rules' own thresholds held back: not raised.
    pub thresholded: u64,
    /// Sides of alerts that could be more than one pod, and so carry none.
    pub ambiguous_sides: u64,
}

/// What had to be given up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleLedger {
    /// Panics that were caught; their packets are under `worker_panic`.
    pub panics: u64,
    /// Rules set aside for a packet because verifying them cost too much.
    pub budget_exceeded: u64,
    /// Rules that exceeded their budget again and again and were set aside for a while: `gid:sid`,
    /// and how often; only rules to which it happened.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules_set_aside: BTreeMap<String, u64>,
}

/// Sums: received = inspected + unscoped + dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalLedger {
    /// Packets received.
    pub received: u64,
    /// Packets inspected.
    pub inspected: u64,
    /// Packets out of scope.
    pub unscoped: u64,
    /// Packets dropped.
    pub dropped: u64,
    /// Bytes received.
    pub bytes: u64,
}

/// A ledger that does not balance: a defect of the sensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Imbalance {
    /// A queue's packets.
    #[error(
        "{port}, queue {queue}: {received} received + {handed_in} handed in, but \
         {inspected} inspected + {unscoped} unscoped + {handed_out} handed out + {dropped} dropped"
    )]
    #[allow(missing_docs)] // the ledger's own names
    Queue {
        port: String,
        queue: String,
        received: u64,
        handed_in: u64,
        inspected: u64,
        unscoped: u64,
        handed_out: u64,
        dropped: u64,
    },
    /// Packets on their way from core to core.
    #[error("{handed_out} packets were handed over by cores, but {handed_in} taken by others")]
    #[allow(missing_docs)]
    HandOver { handed_out: u64, handed_in: u64 },
    /// The sum.
    #[error(
        "in total {received} received, but {inspected} inspected + {unscoped} unscoped + \
         {dropped} dropped"
    )]
    #[allow(missing_docs)]
    Total { received: u64, inspected: u64, unscoped: u64, dropped: u64 },
    /// The alerts.
    #[error("{raised} alerts raised, but {written} written + {lost} lost")]
    #[allow(missing_docs)]
    Alerts { raised: u64, written: u64, lost: u64 },
}

impl Ledger {
    /// Reads all counters. While cores run, the numbers are each from a slightly different moment;
    /// only a ledger read after they have stopped balances.
    pub fn collect(ports: &[PortView<'_>], alerts: &AlertTotals, seconds: f64) -> Self {
        let mut ledger = Self { seconds, alerts: AlertLedger::of(alerts), ..Self::default() };
        let aside = alerts.set_aside.iter().map(|((gid, sid), n)| (format!("{gid}:{sid}"), *n));
        ledger.trouble.rules_set_aside = aside.collect();
        ledger.resources = ResourceLedger::all(&alerts.tallies);
        let mut generation = None::<u64>;
        let mut opaque = BTreeMap::new();
        for port in ports {
            let mut mirror = MirrorLedger::default();
            for queue in &port.queues {
                let counters = queue.counters;
                mirror.add(counters);
                let its = counters.generation.get();
                generation = Some(generation.map_or(its, |least| least.min(its)));
                ledger.flows.add(counters);
                for pair in counters.opaque.pairs() {
                    *opaque.entry((pair.first, pair.second, pair.kind)).or_default() +=
                        pair.packets;
                }
                ledger.trouble.panics += counters.panics.get();
                ledger.trouble.budget_exceeded += counters.budget_exceeded.get();
            }
            let queues: Vec<_> = port.queues.iter().map(QueueLedger::of).collect();
            queues.iter().for_each(|queue| ledger.totals.add(queue));
            let PortFacts { name, driver, numa_node, link, spread, .. } = port.facts.clone();
            let (nic, xstats) = (port.nic, port.xstats.clone());
            ledger.ports.push(PortLedger {
                name,
                driver,
                numa_node,
                link,
                spread,
                nic,
                xstats,
                mirror,
                bypass: None,
                queues,
            });
        }
        ledger.generation = generation.unwrap_or(0);
        ledger.opaque = opaque
            .into_iter()
            .map(|((first, second, kind), packets)| OpaqueLedger {
                first,
                second,
                kind: kind.name().to_owned(),
                packets,
            })
            .collect();
        ledger
    }

    /// Does every packet, and every alert, have exactly one fate?
    ///
    /// # Errors
    /// The first place where it does not add up.
    pub fn balances(&self) -> Result<(), Imbalance> {
        let (mut handed_in, mut handed_out) = (0, 0);
        for port in &self.ports {
            for queue in &port.queues {
                handed_in += queue.handed_in;
                handed_out += queue.handed_out;
                queue.balances(&port.name)?;
            }
        }
        if handed_in != handed_out {
            return Err(Imbalance::HandOver { handed_out, handed_in });
        }
        let &TotalLedger { received, inspected, unscoped, dropped, .. } = &self.totals;
        if received != inspected + unscoped + dropped {
            return Err(Imbalance::Total { received, inspected, unscoped, dropped });
        }
        let &AlertLedger { raised, written, .. } = &self.alerts;
        let lost = self.alerts.lost.values().sum();
        if raised != written + lost {
            return Err(Imbalance::Alerts { raised, written, lost });
        }
        Ok(())
    }

    /// Dropped packets by reason, over all queues.
    pub fn drops(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for queue in self.ports.iter().flat_map(|port| &port.queues) {
            for (reason, n) in &queue.dropped {
                *all.entry(reason.as_str()).or_default() += n;
            }
        }
        all
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        atomic::replace(path, &text)
    }
}

impl QueueLedger {
    fn of(view: &QueueView<'_>) -> Self {
        let counters = view.counters;
        let dropped = Drop::ALL
            .into_iter()
            .zip(&counters.dropped)
            .map(|(reason, counter)| (reason.name().to_owned(), counter.get()))
            .filter(|&(_, n)| n > 0)
            .collect();
        Self {
            queue: view.queue,
            core: view.core,
            received: counters.received.get(),
            handed_in: counters.handed_in.get(),
            handed_out: counters.handed_out.get(),
            inspected: counters.inspected.get(),
            unscoped: counters.unscoped.get(),
            dropped,
            bytes: counters.bytes.get(),
        }
    }

    /// Packets dropped, for whatever reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    fn balances(&self, port: &str) -> Result<(), Imbalance> {
        let dropped = self.dropped_total();
        let out = self.inspected + self.unscoped + self.handed_out + dropped;
        if self.received + self.handed_in == out {
            return Ok(());
        }
        Err(Imbalance::Queue {
            port: port.to_owned(),
            queue: self.queue.map_or_else(|| "none".to_owned(), |queue| queue.to_string()),
            received: self.received,
            handed_in: self.handed_in,
            inspected: self.inspected,
            unscoped: self.unscoped,
            handed_out: self.handed_out,
            dropped,
        })
    }
}

impl FlowLedger {
    fn add(&mut self, counters: &Counters) {
        self.created += counters.flows.get();
        self.shed += counters.flows_shed.get();
        for (reason, bytes) in
            [Drop::ShedElephant, Drop::ShedNewFlow].iter().zip(&counters.shed_bytes)
        {
            let bytes = bytes.get();
            if bytes > 0 {
                *self.shed_bytes.entry(reason.name().to_owned()).or_default() += bytes;
            }
        }
        self.active += counters.flows_active.get();
        self.evicted += counters.flows_evicted.get();
        self.midstream += counters.flows_midstream.get();
        self.lost_to_panic += counters.flows_lost_to_panic.get();
        self.datagrams_reassembled += counters.datagrams_reassembled.get();
        self.bad_transport_checksum += counters.bad_transport_checksum.get();
        self.truncated += counters.truncated.get();
        self.beyond_depth += counters.beyond_depth.get();
        self.encrypted += counters.encrypted.get();
        self.gap_bytes += counters.gap_bytes.get();
        self.stream_memory += counters.stream_memory.get();
    }
}

impl AlertLedger {
    fn of(totals: &AlertTotals) -> Self {
        let lost = Loss::ALL
            .into_iter()
            .map(|loss| (loss.name().to_owned(), totals.lost(loss)))
            .filter(|&(_, n)| n > 0)
            .collect();
        Self {
            raised: totals.raised,
            written: totals.written,
            lost,
            lost_by_signature: totals
                .lost_by_signature()
                .into_iter()
                .map(|((gid, sid), lost)| (format!("{gid}:{sid}"), lost))
                .collect(),
            waiting: totals.waiting,
            thresholded: totals.thresholded,
            ambiguous_sides: totals.ambiguous_sides,
        }
    }
}

impl TotalLedger {
    fn add(&mut self, queue: &QueueLedger) {
        self.received += queue.received;
        self.inspected += queue.inspected;
        self.unscoped += queue.unscoped;
        self.dropped += queue.dropped_total();
        self.bytes += queue.bytes;
    }
}

#[cfg(test)]
mod tests;
