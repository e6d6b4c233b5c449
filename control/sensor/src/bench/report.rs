//! What a bench found, as JSON and as text.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::compared::Compared;
use super::follow::Offered;
use super::generator::Sent;
use super::growth::Growth;
use super::losses::Loss;
use super::meter::Ticks;
use crate::cli::BenchArgs;
use crate::cpu;
use crate::output::ledger::Ledger;

/// Ethernet's preamble, gap and checksum, which a wire carries with every frame.
const WIRE: u64 = 24;

/// Everything.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outcome {
    /// What was asked for.
    pub(super) parameters: Parameters,
    /// Ticks of the TSC per second, by which cycles are counted.
    pub(super) tsc_hz: u64,
    /// Rules in force.
    pub(super) rules: usize,
    /// As fast as the workers take it.
    pub(super) capacity: Option<Run>,
    /// The rates that were tried.
    pub(super) trials: Vec<Run>,
    /// Longer trials of the rate found, with changes, and of lower ones until one lost nothing (a soak's).
    pub(super) confirmations: Vec<Run>,
    /// The highest rate at which nothing was lost.
    pub(super) zero_loss_pps: Option<f64>,
    /// At the stated share of it, or at the rate given.
    pub(super) run: Option<Run>,
    /// The same without reloads.
    pub(super) without_reloads: Option<Run>,
    /// As `capacity`, with changes, the last turn.
    pub(super) capacity_reloading: Option<Run>,
    /// Nanoseconds of the workers' CPU time a packet with changes beside without, by turns.
    pub(super) reload_cost: Option<Compared>,
    /// What reloads took.
    pub(super) reloads: Option<Reloads>,
    /// Memory of the process.
    pub(super) memory: Memory,
    /// Memory while `run` lasted, if that was long enough.
    pub(super) growth: Option<Growth>,
    /// Every packet of all runs.
    pub(super) ledger: Ledger,
}

/// What was asked for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Parameters {
    workers: u16,
    flows: u32,
    frame_bytes: usize,
    data_packets: usize,
    mix: String,
    scoped_percent: u32,
    ring: u32,
    seconds: f64,
    width_percent: f64,
    envelope: &'static str,
    reload_every: Option<f64>,
    churn_every: Option<f64>,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    /// Packets that went in.
    pub(super) packets: u64,
    /// Packets that found the ring full.
    pub(super) lost: u64,
    /// When they did.
    pub(super) losses: Vec<Loss>,
    pub(super) seconds: f64,
    /// Packets a second.
    pub(super) pps: f64,
    /// Bits a second of the frames, and as a wire carries them.
    pub(super) bps: f64,
    pub(super) wire_bps: f64,
    /// Ticks of the TSC that workers spent on a packet, waiting for the CPU included.
    pub(super) cycles_per_packet: f64,
    /// The same of the median burst, which nobody else's use of the CPU is in.
    pub(super) median_cycles_per_packet: f64,
    /// Nanoseconds of the workers' CPU time a packet, of bursts that came right after another one.
    pub(super) cpu_ns_per_packet: f64,
    /// Nanoseconds of bursts.
    pub(super) burst_ns: Percentiles,
    /// Nanoseconds of the longest turn of a worker's loop: the burst, if there was one, and all that is behind it.
    pub(super) longest_turn_ns: f64,
    /// Turns at which the generator was late: it could hardly go so fast.
    pub(super) generator_behind: u64,
    /// The rate that was offered, if it followed what the workers could take at the time.
    pub(super) offered: Option<Offered>,
    /// The part of the CPUs' time that whoever runs this virtual machine gave to others, from 0 to 1.
    pub(super) stolen: Option<f64>,
}

/// Of a histogram.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Percentiles {
    bursts: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    #[serde(rename = "p99.9")]
    p99_9: u64,
    #[serde(rename = "p99.99")]
    p99_99: u64,
    max: u64,
}

/// What reloads took.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Reloads {
    /// Changes of the rules.
    pub(super) asked: u64,
    /// Generations that every worker took.
    pub(super) published: u64,
    /// The longest from publication until every worker had it, in milliseconds.
    pub(super) longest_adoption_ms: f64,
}

impl Reloads {
    pub(super) fn taken(&mut self, time: Duration) {
        self.published += 1;
        self.longest_adoption_ms = self.longest_adoption_ms.max(time.as_secs_f64() * 1e3);
    }
}

/// Memory of the process, in bytes.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Memory {
    /// With rules loaded, before the first packet.
    start: u64,
    /// The most that was seen.
    most: u64,
}

impl Memory {
    pub(super) fn now() -> Self {
        let resident = cpu::rss();
        Self { start: resident, most: resident }
    }

    pub(super) fn look(&mut self) {
        self.most = self.most.max(cpu::rss());
    }
}

impl Run {
    pub(super) fn of(sent: &Sent, ticks: Ticks, hz: u64) -> Self {
        let Ticks { bursts, busy, packets, longest_turn, cpu, cpu_packets } = ticks;
        let seconds = sent.seconds.max(1e-9);
        let at = |percent: f64| bursts.value_at_percentile(percent);
        let per_burst = packets as f64 / bursts.len().max(1) as f64;
        let median = at(50.0) as f64 * hz as f64 / 1e9;
        Self {
            packets: sent.packets,
            lost: sent.lost,
            losses: sent.losses.clone(),
            seconds: sent.seconds,
            pps: sent.packets as f64 / seconds,
            bps: sent.bytes as f64 * 8.0 / seconds,
            wire_bps: (sent.bytes + sent.packets * WIRE) as f64 * 8.0 / seconds,
            cycles_per_packet: busy as f64 / packets.max(1) as f64,
            median_cycles_per_packet: median / per_burst.max(1.0),
            cpu_ns_per_packet: cpu.as_nanos() as f64 / cpu_packets.max(1) as f64,
            burst_ns: Percentiles {
                bursts: bursts.len(),
                p50: at(50.0),
                p90: at(90.0),
                p99: at(99.0),
                p99_9: at(99.9),
                p99_99: at(99.99),
                max: bursts.max(),
            },
            longest_turn_ns: longest_turn as f64 * 1e9 / hz.max(1) as f64,
            generator_behind: sent.behind,
            offered: None,
            stolen: None,
        }
    }

    fn write(&self, out: &mut impl Write, what: &str) -> io::Result<()> {
        let Percentiles { p50, p90, p99, p99_9, p99_99, max, .. } = &self.burst_ns;
        writeln!(
            out,
            "{what:24} {:>10.0} packets/s {:>7.3} Gbit/s {:>7.0} cycles, {:>5.0} ns of CPU time a packet {:>8} lost",
            self.pps,
            self.bps / 1e9,
            self.cycles_per_packet,
            self.cpu_ns_per_packet,
            self.lost
        )?;
        writeln!(
            out,
            "{:24} bursts of 64, ns: p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}, p99.99 {p99_99}, max {max}; \
             longest turn {:.0}",
            "", self.longest_turn_ns
        )?;
        if let Some(Offered { least, median, most, every, adjusted }) = &self.offered {
            writeln!(
                out,
                "{:24} the rate followed the machine: {least:.0} to {most:.0} packets/s, median {median:.0}, \
                 adjusted {adjusted} times, every {:.0} ms",
                "",
                every * 1e3
            )?;
        }
        for loss in &self.losses {
            writeln!(out, "{:24} {loss}", "")?;
        }
        if let Some(stolen) = self.stolen.filter(|stolen| *stolen > 0.0) {
            writeln!(out, "{:24} {:.2} % of the CPUs' time was stolen", "", stolen * 100.0)?;
        }
        Ok(())
    }
}

impl Outcome {
    pub(super) fn of(args: &BenchArgs, tsc_hz: u64, rules: usize) -> Self {
        let parameters = Parameters {
            workers: args.workers,
            flows: args.flows,
            frame_bytes: args.frame_bytes,
            data_packets: args.data_packets,
            mix: args.mix.clone(),
            scoped_percent: args.scoped,
            ring: args.ring,
            seconds: args.seconds,
            width_percent: args.width,
            envelope: args.envelope.name(),
            reload_every: args.reload_every,
            churn_every: args.churn_every,
        };
        Self { parameters, tsc_hz, rules, ..Self::default() }
    }

    /// As text.
    ///
    /// # Errors
    /// The writer's.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let p = &self.parameters;
        writeln!(
            out,
            "{} worker{}, {} rules, {} flows ({}), {} % in scope, frames of up to {} bytes, envelope: {}",
            p.workers,
            if p.workers == 1 { "" } else { "s" },
            self.rules,
            p.flows,
            p.mix,
            p.scoped_percent,
            p.frame_bytes,
            p.envelope
        )?;
        if let Some(run) = &self.capacity {
            run.write(out, "as fast as it goes")?;
        }
        if let Some(rate) = self.zero_loss_pps {
            writeln!(
                out,
                "{:24} {rate:>10.0} packets/s (within {} %, {} trials of {} s)",
                "without loss",
                p.width_percent,
                self.trials.len(),
                p.seconds
            )?;
        }
        if let Some(held) = self.confirmations.last() {
            let what = if held.lost == 0 { "held" } else { "not held" };
            writeln!(
                out,
                "{:24} {:>10.0} packets/s over {:.0} s with changes, {} of {} such trials without loss",
                what,
                held.pps,
                held.seconds,
                u8::from(held.lost == 0),
                self.confirmations.len(),
            )?;
        }
        if let Some(run) = &self.without_reloads {
            run.write(out, "before changes")?;
        }
        if let Some(run) = &self.run {
            run.write(out, "at the rate")?;
        }
        if let Some(run) = &self.capacity_reloading {
            run.write(out, "as fast, with changes")?;
        }
        if let Some(cost) = &self.reload_cost {
            writeln!(
                out,
                "{:24} {:.3} times the CPU time a packet without changes by the least of {} turns, {:.3} by \
                 the medians",
                "",
                cost.least(),
                cost.turns(),
                cost.median()
            )?;
        }
        if let Some(Reloads { asked, published, longest_adoption_ms }) = &self.reloads {
            writeln!(
                out,
                "{:24} {published} of {asked} changes published, each taken by all workers within \
                 {longest_adoption_ms:.1} ms",
                "reloads"
            )?;
        }
        let mega = |bytes: u64| bytes as f64 / 1e6;
        writeln!(
            out,
            "{:24} {:.0} MB at the start, {:.0} MB at the most",
            "memory",
            mega(self.memory.start),
            mega(self.memory.most)
        )?;
        if let Some(growth) = &self.growth {
            writeln!(out, "{:24} {}", "while it ran", growth.told())?;
        }
        let totals = &self.ledger.totals;
        writeln!(
            out,
            "{:24} {} received = {} inspected + {} unscoped + {} dropped: as the generator sent them",
            "ledger", totals.received, totals.inspected, totals.unscoped, totals.dropped
        )
    }
}
