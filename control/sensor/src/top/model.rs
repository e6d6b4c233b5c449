//! What `pollux top` shows: the latest samples, how fast counts grow between them, in which order.

use std::collections::BTreeMap;

use crate::health::Sample;
use crate::output::ledger::QueueLedger;

/// By what tables are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The largest counts first.
    #[default]
    Total,
    /// The fastest first.
    Rate,
    /// By name or number.
    Name,
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Rate => "rate",
            Self::Name => "name",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Total => Self::Rate,
            Self::Rate => Self::Name,
            Self::Name => Self::Total,
        }
    }
}

/// A row of a table of counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// What is counted; numbers at its beginning sort as such.
    pub(super) name: String,
    /// What else is told of it.
    pub(super) about: String,
    pub(super) total: u64,
    /// In a second.
    pub(super) rate: f64,
}

/// A queue with its rates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueueRow {
    pub(super) port: String,
    pub(super) queue: QueueLedger,
    /// Packets, bits, drops in a second.
    pub(super) packets: f64,
    pub(super) bits: f64,
    pub(super) dropped: f64,
}

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct Model {
    latest: Option<Sample>,
    before: Option<Sample>,
    /// What keeps samples from coming.
    pub(super) trouble: Option<String>,
    pub(super) paused: bool,
    pub(super) sort: Sort,
}

impl Model {
    /// A sample has come. While paused it is passed over.
    pub(super) fn take(&mut self, sample: Sample) {
        self.trouble = None;
        if self.paused {
            return;
        }
        // Counts of another process have nothing to do with these.
        let same = self.latest.as_ref().is_some_and(|latest| latest.pid == sample.pid);
        self.before = self.latest.replace(sample).filter(|_| same);
    }

    pub(super) fn sample(&self) -> Option<&Sample> {
        self.latest.as_ref()
    }

    pub(super) fn toggle_pause(&mut self) {
        self.paused = !self.paused;
    }

    pub(super) fn next_sort(&mut self) {
        self.sort = self.sort.next();
    }

    /// How much a count has grown in a second.
    pub(super) fn rate(&self, of: impl Fn(&Sample) -> Option<u64>) -> f64 {
        let (Some(latest), Some(before)) = (&self.latest, &self.before) else { return 0.0 };
        let seconds = latest.time_ns.saturating_sub(before.time_ns) as f64 / 1e9;
        let (Some(now), then) = (of(latest), of(before).unwrap_or(0)) else { return 0.0 };
        if seconds > 0.0 { now.saturating_sub(then) as f64 / seconds } else { 0.0 }
    }

    /// Every queue. Sorted by name they are in the order of ports.
    pub(super) fn queues(&self) -> Vec<QueueRow> {
        let Some(latest) = &self.latest else { return Vec::new() };
        let mut rows = Vec::new();
        for (port_at, port) in latest.ledger.ports.iter().enumerate() {
            for (at, queue) in port.queues.iter().enumerate() {
                let count = |of: fn(&QueueLedger) -> u64| {
                    self.rate(|it| Some(of(it.ledger.ports.get(port_at)?.queues.get(at)?)))
                };
                rows.push(QueueRow {
                    port: port.name.clone(),
                    queue: queue.clone(),
                    packets: count(|queue| queue.received),
                    bits: count(|queue| queue.bytes) * 8.0,
                    dropped: count(QueueLedger::dropped_total),
                });
            }
        }
        match self.sort {
            Sort::Total => rows.sort_by_key(|row| std::cmp::Reverse(row.queue.received)),
            Sort::Rate => rows.sort_by(|a, b| b.packets.total_cmp(&a.packets)),
            Sort::Name => {}
        }
        rows
    }

    /// What was dropped and lost, by reason: by the workers, the NIC, on the way to the alerts' file.
    pub(super) fn losses(&self) -> Vec<Row> {
        self.rows(|sample| {
            let mut all = BTreeMap::<String, (String, u64)>::new();
            let mut add = |name: &str, about: &str, n: u64| {
                all.entry(name.to_owned()).or_insert_with(|| (about.to_owned(), 0)).1 += n;
            };
            for (reason, n) in sample.ledger.drops() {
                add(reason, "", n);
            }
            for port in &sample.ledger.ports {
                let nic = port.nic;
                let counts = [
                    ("imissed", nic.imissed),
                    ("ierrors", nic.ierrors),
                    ("rx_nombuf", nic.rx_nombuf),
                    ("bypassed", port.bypass.as_ref().and_then(|it| it.packets)),
                    ("bypass_made", port.bypass.as_ref().map(|it| it.made)),
                ];
                for (name, n) in counts {
                    if let Some(n) = n.filter(|&n| n > 0) {
                        add(name, "nic", n);
                    }
                }
            }
            for (reason, n) in &sample.ledger.alerts.lost {
                add(reason, "alerts", *n);
            }
            all.into_iter().map(|(name, (about, n))| (name, about, n)).collect()
        })
    }

    /// Alerts by signature.
    pub(super) fn signatures(&self) -> Vec<Row> {
        self.rows(|sample| {
            let all = sample.alerts_by_signature.iter();
            all.map(|it| (format!("{}:{}", it.gid, it.sid), it.msg.clone(), it.alerts)).collect()
        })
    }

    /// Alerts by resource.
    pub(super) fn resources(&self) -> Vec<Row> {
        self.rows(|sample| {
            let all = sample.alerts_by_resource.iter();
            all.map(|it| (format!("{}/{}", it.namespace, it.name), String::new(), it.alerts))
                .collect()
        })
    }

    fn rows(&self, of: impl Fn(&Sample) -> Vec<(String, String, u64)>) -> Vec<Row> {
        let Some(latest) = &self.latest else { return Vec::new() };
        let mut before: BTreeMap<String, u64> = BTreeMap::new();
        let mut seconds = 0.0;
        if let Some(sample) = &self.before {
            before = of(sample).into_iter().map(|(name, _, n)| (name, n)).collect();
            seconds = latest.time_ns.saturating_sub(sample.time_ns) as f64 / 1e9;
        }
        let mut rows: Vec<Row> = of(latest)
            .into_iter()
            .map(|(name, about, total)| {
                let grown = total.saturating_sub(before.get(&name).copied().unwrap_or(0));
                let rate = if seconds > 0.0 { grown as f64 / seconds } else { 0.0 };
                Row { name, about, total, rate }
            })
            .collect();
        // By name first: what is equal stays in its place from sample to sample.
        rows.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
        match self.sort {
            Sort::Total => rows.sort_by_key(|row| std::cmp::Reverse(row.total)),
            Sort::Rate => rows.sort_by(|a, b| b.rate.total_cmp(&a.rate)),
            Sort::Name => {}
        }
        rows
    }
}

/// `1:2000123` by its numbers, other names by their letters.
fn natural(name: &str) -> (Option<(u64, u64)>, &str) {
    let numbers = name.split_once(':').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    (numbers, name)
}
