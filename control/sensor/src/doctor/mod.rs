//! `pollux doctor`: is this machine ready for packets at full speed, and what is to be done where it is not.

mod checks;
mod live;
mod mirrors;
mod nics;

use std::io::{self, Write};

use serde::Serialize;

use crate::config::Config;
use crate::ports::sysfs::Sysfs;

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Nothing that matters for the ports configured, or for any.
    Note,
    /// It works, slower or less surely than it could.
    Warning,
    /// The sensor does not start like this.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: a name that stays.
    pub check: &'static str,
    /// How well it is.
    pub verdict: Verdict,
    /// What is so.
    pub found: String,
    /// What to do; none where nothing is to be done.
    pub remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), remedy: None }
    }

    fn of(
        check: &'static str,
        verdict: Verdict,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { check, verdict, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Whether the sensor can start: nothing is bad.
    pub ready: bool,
    /// One by one.
    pub findings: Vec<Finding>,
}

/// Looks at the machine, for these ports.
pub fn examine(config: &Config, sysfs: &Sysfs) -> Diagnosis {
    let mut findings = checks::machine(config, sysfs);
    findings.extend(nics::all(config, sysfs));
    let ready = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    Diagnosis { ready, findings }
}

/// Looks at a running sensor's traffic, by what it tells of itself.
pub fn examine_live(sample: &crate::health::Sample) -> Diagnosis {
    let findings = live::all(sample);
    let ready = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
    Diagnosis { ready, findings }
}

impl Diagnosis {
    /// As text.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_text(&self, mut out: impl Write) -> io::Result<()> {
        for Finding { check, verdict, found, remedy } in &self.findings {
            let sign = match verdict {
                Verdict::Good => "ok",
                Verdict::Note => "note",
                Verdict::Warning => "warn",
                Verdict::Bad => "BAD",
            };
            writeln!(out, "{sign:>4}  {check:<16} {found}")?;
            if let Some(remedy) = remedy {
                writeln!(out, "{:>4}  {:<16} → {remedy}", "", "")?;
            }
        }
        let told = if self.ready { "ready" } else { "not ready: see what is BAD" };
        writeln!(out, "{told}")
    }

    /// As JSON.
    ///
    /// # Errors
    /// The writer's.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut out, self)?;
        writeln!(out)
    }
}

#[cfg(test)]
mod tests;
