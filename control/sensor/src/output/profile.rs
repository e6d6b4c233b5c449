//! Where the workers' cycles went, for people and as JSON: by stage, by prefilter, by rule.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::PoisonError;

use engine::profile::{Profile, Stage};
use engine::worker::Shared;
use serde::Serialize;

use super::atomic;

/// Its name in the output directory.
pub const PROFILE_FILE: &str = "profile.json";

/// Prefilters and rules that are named, the costliest.
const NAMED: usize = 20;

/// What the workers measured.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileReport {
    /// Bursts measured.
    pub bursts: u64,
    /// Packets in them: all that is "per packet" here is per packet of these.
    pub packets: u64,
    /// TSC cycles per packet.
    pub cycles_per_packet: f64,
    /// TSC cycles per second.
    pub hz: u64,
    /// By stage, in the order of a packet's way.
    pub stages: Vec<StageLine>,
    /// The costliest prefilters.
    pub groups: Vec<GroupLine>,
    /// The costliest rules.
    pub rules: Vec<RuleLine>,
}

/// A stage.
#[derive(Debug, Clone, Serialize)]
pub struct StageLine {
    /// Its name.
    pub stage: &'static str,
    /// TSC cycles per packet.
    pub cycles_per_packet: f64,
    /// Of all cycles, in percent.
    pub share: f64,
}

/// A group's prefilter.
#[derive(Debug, Clone, Serialize)]
pub struct GroupLine {
    /// Protocol, direction, ports and data.
    pub group: String,
    /// Different fast patterns.
    pub patterns: usize,
    /// Bytes of its database.
    pub database_bytes: usize,
    /// Scans per packet, of all packets.
    pub scans_per_packet: f64,
    /// Bytes per scan.
    pub bytes_per_scan: f64,
    /// TSC cycles per scan.
    pub cycles_per_scan: f64,
    /// Candidates per scan.
    pub candidates_per_scan: f64,
    /// TSC cycles per packet, of all packets.
    pub cycles_per_packet: f64,
}

/// A rule.
#[derive(Debug, Clone, Serialize)]
pub struct RuleLine {
    /// Its sid.
    pub sid: u32,
    /// How often it was verified.
    pub checks: u64,
    /// How often it matched.
    pub matches: u64,
    /// TSC cycles per check.
    pub cycles_per_check: f64,
    /// TSC cycles per packet, of all packets.
    pub cycles_per_packet: f64,
    /// What it says.
    pub msg: String,
}

impl ProfileReport {
    /// What the workers that have ended left; None if they measured nothing.
    pub fn of(shared: &Shared, hz: u64) -> Option<Self> {
        let profiles = shared.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sum = Profile::default();
        for profile in profiles.iter() {
            sum.add(profile);
        }
        (!profiles.is_empty()).then(|| Self::new(&sum, hz))
    }

    fn new(sum: &Profile, hz: u64) -> Self {
        let per_packet = |ticks: u64| ticks as f64 / sum.packets.max(1) as f64;
        let all = sum.ticks().max(1) as f64;
        let stages = Stage::ALL
            .iter()
            .zip(sum.stages)
            .map(|(stage, ticks)| StageLine {
                stage: stage.name(),
                cycles_per_packet: per_packet(ticks),
                share: ticks as f64 * 100.0 / all,
            })
            .collect();
        let (mut groups, mut rules) = (Vec::new(), Vec::new());
        if let Some(ruleset) = &sum.ruleset {
            for info in ruleset.describe() {
                let Some(cost) = sum.prefilters.get(info.number).filter(|cost| cost.scans > 0)
                else {
                    continue;
                };
                let way = if info.direction == 0 { "to server" } else { "to client" };
                let per_scan = |n: u64| n as f64 / cost.scans as f64;
                groups.push(GroupLine {
                    group: format!("{} {way} {} {}", info.protocol, info.ports, info.data),
                    patterns: info.patterns,
                    database_bytes: info.database_bytes,
                    scans_per_packet: per_packet(cost.scans),
                    bytes_per_scan: per_scan(cost.bytes),
                    cycles_per_scan: per_scan(cost.ticks),
                    candidates_per_scan: per_scan(cost.candidates),
                    cycles_per_packet: per_packet(cost.ticks),
                });
            }
            for (signature, cost) in ruleset.signatures.iter().zip(&sum.rules) {
                if cost.checks > 0 {
                    rules.push(RuleLine {
                        sid: signature.sid,
                        checks: cost.checks,
                        matches: cost.matches,
                        cycles_per_check: cost.ticks as f64 / cost.checks as f64,
                        cycles_per_packet: per_packet(cost.ticks),
                        msg: signature.msg.to_string(),
                    });
                }
            }
        }
        groups.sort_by(|a, b| b.cycles_per_packet.total_cmp(&a.cycles_per_packet));
        rules.sort_by(|a, b| b.cycles_per_packet.total_cmp(&a.cycles_per_packet));
        groups.truncate(NAMED);
        rules.truncate(NAMED);
        Self {
            bursts: sum.bursts,
            packets: sum.packets,
            cycles_per_packet: per_packet(sum.ticks()),
            hz,
            stages,
            groups,
            rules,
        }
    }

    /// Writes it as one JSON object.
    ///
    /// # Errors
    /// What writing says.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// What writing says, with the path.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = Vec::new();
        self.write_json(&mut text)?;
        atomic::replace(path, &text)
    }
}

impl fmt::Display for ProfileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packets, bursts, cycles_per_packet, hz, .. } = self;
        writeln!(
            f,
            "{packets} packets in {bursts} bursts were measured: {cycles_per_packet:.0} cycles of {:.2} GHz each",
            *hz as f64 / 1e9
        )?;
        writeln!(f, "\n{:<14} {:>14} {:>8}", "stage", "cycles/packet", "share")?;
        for line in &self.stages {
            writeln!(
                f,
                "{:<14} {:>14.1} {:>7.1}%",
                line.stage, line.cycles_per_packet, line.share
            )?;
        }
        writeln!(
            f,
            "\n{:>13} {:>9} {:>9} {:>10} {:>9} {:>8} {:>9}  group",
            "cycles/packet", "scans/pkt", "bytes", "cycles", "candid.", "patterns", "database"
        )?;
        for line in &self.groups {
            writeln!(
                f,
                "{:>13.1} {:>9.3} {:>9.1} {:>10.0} {:>9.2} {:>8} {:>9}  {}",
                line.cycles_per_packet,
                line.scans_per_packet,
                line.bytes_per_scan,
                line.cycles_per_scan,
                line.candidates_per_scan,
                line.patterns,
                line.database_bytes,
                line.group
            )?;
        }
        writeln!(
            f,
            "\n{:>13} {:>9} {:>9} {:>12}  {:<10} rule",
            "cycles/packet", "checks", "matches", "cycles/check", "sid"
        )?;
        for line in &self.rules {
            writeln!(
                f,
                "{:>13.2} {:>9} {:>9} {:>12.0}  {:<10} {}",
                line.cycles_per_packet,
                line.checks,
                line.matches,
                line.cycles_per_check,
                line.sid,
                line.msg
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_cycles_and_cycles_of_the_packets_measured() {
        let mut profile = Profile { packets: 10, bursts: 1, ..Profile::default() };
        profile.stages[Stage::Scan as usize] = 300;
        profile.stages[Stage::Verify as usize] = 100;
        let shared = Shared::default();
        assert!(ProfileReport::of(&shared, 1).is_none());
        shared.profiles.lock().expect("not poisoned").extend([profile.clone(), profile]);
        let report = ProfileReport::of(&shared, 2_000_000_000).expect("measured");
        let scan = report.stages.iter().find(|line| line.stage == "scan").expect("a stage");
        assert!((scan.cycles_per_packet - 30.0).abs() < 1e-9);
        assert!((scan.share - 75.0).abs() < 1e-9);
        assert!(report.to_string().contains("2.00 GHz"));
    }
}
