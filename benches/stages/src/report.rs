//! What was measured, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::memory::Peak;

/// A rate by CPU time, of the median run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rate {
    /// CPU seconds of the median run.
    pub cpu_seconds: f64,
    /// Packets per CPU-second.
    pub packets_per_cpu_second: f64,
    /// Bits (of whole frames) per CPU-second.
    pub bits_per_cpu_second: f64,
    /// CPU nanoseconds per packet.
    pub ns_per_packet: f64,
    /// CPU seconds of the least run: what it shares least with whatever else the machine does.
    pub least_cpu_seconds: f64,
}

impl Rate {
    /// So many packets and bytes in the median of these times.
    pub fn of(packets: u64, bytes: u64, times: &[Duration]) -> Self {
        let seconds = median(times).as_secs_f64().max(1e-9);
        Self {
            cpu_seconds: seconds,
            packets_per_cpu_second: packets as f64 / seconds,
            bits_per_cpu_second: bytes as f64 * 8.0 / seconds,
            ns_per_packet: seconds * 1e9 / packets.max(1) as f64,
            least_cpu_seconds: times.iter().min().map_or(seconds, Duration::as_secs_f64).max(1e-9),
        }
    }

    /// How many times as fast as another one.
    fn over(&self, other: &Self) -> f64 {
        self.packets_per_cpu_second / other.packets_per_cpu_second
    }

    /// The same by the least run of each, of the same packets.
    fn least_over(&self, other: &Self) -> f64 {
        other.least_cpu_seconds / self.least_cpu_seconds
    }
}

/// The middle one; of an even number the lower middle one.
pub fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// Bursts by the wall clock, in nanoseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bursts {
    /// How many.
    pub count: u64,
    /// Half took no longer.
    pub p50: u64,
    /// Nine in ten took no longer.
    pub p90: u64,
    /// 99 in a hundred took no longer.
    pub p99: u64,
    /// 999 in a thousand took no longer.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl From<&Histogram<u64>> for Bursts {
    fn from(all: &Histogram<u64>) -> Self {
        Self {
            count: all.len(),
            p50: all.value_at_quantile(0.5),
            p90: all.value_at_quantile(0.9),
            p99: all.value_at_quantile(0.99),
            p999: all.value_at_quantile(0.999),
            max: all.max(),
        }
    }
}

/// Hyperscan alone.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RawScanned {
    /// By the whole capture's packets and bits, so that it compares with the others.
    pub rate: Rate,
    /// Patterns in the database.
    pub patterns: usize,
    /// Bytes scanned.
    pub payload_bytes: usize,
    /// Payload bits scanned per CPU-second.
    pub payload_bits_per_cpu_second: f64,
    /// Matches, each pattern once a payload.
    pub matches: u64,
}

/// Suricata.
#[derive(Debug, Clone, Serialize)]
pub struct PeerMeasured {
    /// What it says of itself.
    pub version: String,
    /// All of its threads but the main one, which loads.
    pub rate: Rate,
    /// Runs, of which the median counts.
    pub runs: usize,
    /// Pollux's worker in its runs right before these: of more of its runs the least would be less.
    pub worker_beside: Rate,
    /// The same of its whole process.
    pub process_beside: Rate,
    /// CPU seconds of its loading.
    pub loading_cpu_seconds: f64,
    /// Rules that it loaded.
    pub rules: Option<u64>,
    /// Alerts.
    pub alerts: u64,
}

/// Everything of one run of the program.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The capture.
    pub capture: String,
    /// Its packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rules loaded.
    pub rules: usize,
    /// Rules refused.
    pub rules_rejected: usize,
    /// Megabytes of the rules' databases.
    pub database_mb: f64,
    /// Passes, of which the median counts.
    pub runs: usize,
    /// The worker loop, everything in scope.
    pub worker: Rate,
    /// All threads of that: worker, reading of the file, alerts.
    pub process: Rate,
    /// The feeder's part.
    pub feeder: Rate,
    /// Alerts.
    pub alerts: u64,
    /// Packets inspected, out of scope, dropped.
    pub fates: [u64; 3],
    /// Bursts of the worker loop.
    pub bursts: Bursts,
    /// Receiving and freeing only.
    pub receive_and_free: Rate,
    /// The same with a look at every packet's headers: what reaching their memory takes.
    pub receive_touch_and_free: Rate,
    /// The worker loop, nothing in scope.
    pub out_of_scope: Rate,
    /// Hyperscan alone.
    pub raw_scan: Option<RawScanned>,
    /// Suricata.
    pub peer: Option<PeerMeasured>,
    /// Peaks of memory.
    pub memory: Vec<Peak>,
    /// The ratios.
    pub ratios: Ratios,
}

/// How the figures compare.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Ratios {
    /// Out-of-scope packets against receiving and freeing: 0.5 is asked for.
    pub out_of_scope_to_receive_and_free: f64,
    /// Out-of-scope packets against receiving, a look at the headers, and freeing.
    pub out_of_scope_to_receive_touch_and_free: f64,
    /// The worker against Hyperscan alone: 1 would be a sensor that only scans.
    pub worker_to_raw_scan: Option<f64>,
    /// The worker against receiving and freeing.
    pub worker_to_receive_and_free: f64,
    /// The worker alone against all of Suricata's threads.
    pub worker_to_peer: Option<f64>,
    /// Pollux's whole process against all of Suricata's threads.
    pub process_to_peer: Option<f64>,
    /// The worker alone against all of Suricata's threads, by the least of Suricata's runs and of those before them.
    pub worker_to_peer_by_least: Option<f64>,
    /// The same of Pollux's whole process.
    pub process_to_peer_by_least: Option<f64>,
}

impl Report {
    /// Works the ratios out.
    #[must_use]
    pub fn compared(mut self) -> Self {
        let raw = self.raw_scan.map(|scan| scan.rate);
        let peer = self.peer.as_ref().map(|peer| peer.rate);
        let by_least = |ours: fn(&PeerMeasured) -> Rate| {
            self.peer.as_ref().map(|peer| ours(peer).least_over(&peer.rate))
        };
        self.ratios = Ratios {
            out_of_scope_to_receive_and_free: self.out_of_scope.over(&self.receive_and_free),
            out_of_scope_to_receive_touch_and_free: self
                .out_of_scope
                .over(&self.receive_touch_and_free),
            worker_to_raw_scan: raw.map(|raw| self.worker.over(&raw)),
            worker_to_receive_and_free: self.worker.over(&self.receive_and_free),
            worker_to_peer: peer.map(|peer| self.worker.over(&peer)),
            process_to_peer: peer.map(|peer| self.process.over(&peer)),
            worker_to_peer_by_least: by_least(|peer| peer.worker_beside),
            process_to_peer_by_least: by_least(|peer| peer.process_beside),
        };
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = self.bytes as f64 / 1e6;
        writeln!(f, "{}: {} packets, {mb:.1} MB", self.capture, self.packets)?;
        writeln!(
            f,
            "{} rules ({} refused), {:.1} MB of databases; median of {} runs\n",
            self.rules, self.rules_rejected, self.database_mb, self.runs
        )?;
        writeln!(
            f,
            "{:<46} {:>9} {:>12} {:>10} {:>9}",
            "by CPU time", "CPU s", "packets/s", "Mbit/s", "ns/packet"
        )?;
        let mut line = |name: &str, rate: &Rate| {
            writeln!(
                f,
                "{name:<46} {:>9.3} {:>12.0} {:>10.1} {:>9.1}",
                rate.cpu_seconds,
                rate.packets_per_cpu_second,
                rate.bits_per_cpu_second / 1e6,
                rate.ns_per_packet
            )
        };
        line("(a) Pollux, worker", &self.worker)?;
        line("    Pollux, whole process", &self.process)?;
        line("    of that: reading the capture", &self.feeder)?;
        line("(b) receive and free", &self.receive_and_free)?;
        line("    the same with a look at headers", &self.receive_touch_and_free)?;
        line("(c) out of scope, worker", &self.out_of_scope)?;
        if let Some(scan) = &self.raw_scan {
            line(&format!("(d) Hyperscan alone, {} patterns", scan.patterns), &scan.rate)?;
        }
        if let Some(peer) = &self.peer {
            line("(e) Suricata, all threads but the loading one", &peer.rate)?;
        }
        let ratios = &self.ratios;
        let free = ratios.out_of_scope_to_receive_and_free;
        let touch = ratios.out_of_scope_to_receive_touch_and_free;
        writeln!(f, "\n(c)/(b) {free:.2}, with a look at headers {touch:.2} (0.50 is asked for)")?;
        let free = ratios.worker_to_receive_and_free;
        write!(f, "share of the limits: (a)/(b) {free:.3}")?;
        match ratios.worker_to_raw_scan {
            Some(ratio) => writeln!(f, ", (a)/(d) {ratio:.2}")?,
            None => writeln!(f)?,
        }
        if let (Some(worker), Some(process), Some(peer)) =
            (ratios.worker_to_peer, ratios.process_to_peer, &self.peer)
        {
            write!(f, "(a)/(e) {worker:.2} worker, {process:.2} whole process")?;
            if let (Some(worker), Some(process)) =
                (ratios.worker_to_peer_by_least, ratios.process_to_peer_by_least)
            {
                write!(f, "; by the least of {} runs each: ", peer.runs)?;
                write!(f, "{worker:.2} worker, {process:.2} whole process")?;
            }
            writeln!(f)?;
            writeln!(
                f,
                "{}: {} rules, {} alerts, {:.1} CPU s of loading; Pollux: {} alerts",
                peer.version,
                peer.rules.map_or("?".to_owned(), |rules| rules.to_string()),
                peer.alerts,
                peer.loading_cpu_seconds,
                self.alerts
            )?;
        } else {
            writeln!(f, "Pollux: {} alerts; Suricata was not run", self.alerts)?;
        }
        let Bursts { count, p50, p90, p99, p999, max } = self.bursts;
        writeln!(
            f,
            "bursts (wall clock, ns): {count}, p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}"
        )?;
        let [inspected, unscoped, dropped] = self.fates;
        writeln!(f, "packets: {inspected} inspected, {unscoped} out of scope, {dropped} dropped")?;
        for peak in &self.memory {
            writeln!(
                f,
                "memory: the capture {} times, {} packets: {:.1} MB at most, {:.1} MB before",
                peak.times,
                peak.packets,
                peak.peak as f64 / 1e6,
                peak.ready as f64 / 1e6
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_runs() {
        let times = [5, 1, 9].map(Duration::from_secs);
        assert_eq!(median(&times), Duration::from_secs(5));
        assert_eq!(median(&times[..2]), Duration::from_secs(1));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn rates_are_by_cpu_time() {
        let rate = Rate::of(1000, 125_000, &[Duration::from_millis(500)]);
        assert!((rate.packets_per_cpu_second - 2000.0).abs() < 1e-6);
        assert!((rate.bits_per_cpu_second - 2e6).abs() < 1e-3);
        assert!((rate.ns_per_packet - 500_000.0).abs() < 1e-3);
        let slower = Rate::of(1000, 125_000, &[Duration::from_secs(1)]);
        assert!((rate.over(&slower) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_least_run_and_the_median_one_are_told() {
        let rate = |times: [u64; 3]| Rate::of(1000, 125_000, &times.map(Duration::from_millis));
        let (one, other) = (rate([500, 450, 900]), rate([1000, 1000, 1800]));
        assert!((one.over(&other) - 2.0).abs() < 1e-9);
        assert!((one.least_over(&other) - 1000.0 / 450.0).abs() < 1e-9);
    }
}
