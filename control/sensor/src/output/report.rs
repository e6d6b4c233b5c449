//! What a person reads after a replay: packets and their fates, flows, alerts by signature, and how
//! the resources fare. Plain text in a pipe, a little colour on a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use api::ScopeTable;

use super::ledger::Ledger;
use super::status::StatusFile;
use super::totals::{AlertTotals, SignatureTotal};

/// Signatures that are listed; the rest is in eve.json.
const SIGNATURES: usize = 25;

/// Pods that are listed under a signature.
const PODS: usize = 3;

/// Errors that are listed under a resource.
const ERRORS: usize = 3;

/// The most columns of a line that is cut to fit, where the terminal's width is not known.
const WIDTH: usize = 100;

/// What is reported.
#[derive(Debug)]
pub struct Report<'a> {
    /// The run's ledger.
    pub ledger: &'a Ledger,
    /// Its alerts.
    pub alerts: &'a AlertTotals,
    /// Captures that were read.
    pub captures: usize,
    /// Rules in force and rules that did not load.
    pub rules: (usize, usize),
    /// The resources; empty where all traffic is in scope.
    pub resources: Vec<ResourceLine>,
    /// Where the results are.
    pub directory: &'a str,
}

/// How the report looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// With colours: only on a terminal.
    pub colour: bool,
    /// The terminal's columns; None in a pipe.
    pub width: Option<usize>,
}

impl Look {
    /// As fits the standard output: plain unless it is a terminal, without colours where `NO_COLOR`
    /// is set or the terminal has none.
    pub fn of_stdout() -> Self {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Self::default();
        }
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let width = terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0));
        Self { colour: !is_set("NO_COLOR") && !is_dumb, width }
    }
}

/// A resource in the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceLine {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether the inspection ran.
    pub active: bool,
    /// How many endpoints it selects.
    pub endpoints: u32,
    /// What is wrong.
    pub errors: Vec<String>,
}

impl ResourceLine {
    /// One for each resource of the table, with what the status says of it.
    pub fn all(table: &ScopeTable, status: &StatusFile) -> Vec<Self> {
        let said: BTreeMap<_, _> =
            status.entries().map(|(namespace, name, entry)| ((namespace, name), entry)).collect();
        let line = |resource: &api::scope::ResourceState| {
            let entry = said.get(&(resource.namespace.as_str(), resource.name.as_str()));
            Self {
                namespace: resource.namespace.clone(),
                name: resource.name.clone(),
                active: entry.is_some_and(|entry| entry.active.success),
                endpoints: resource.selected,
                errors: entry
                    .map(|entry| entry.error_conditions.iter().map(|e| e.message.clone()).collect())
                    .unwrap_or_default(),
            }
        };
        table.resources.iter().map(line).collect()
    }
}

/// Prints the report.
///
/// # Errors
/// Those of `out`.
pub fn print(out: &mut impl io::Write, report: &Report<'_>, look: Look) -> io::Result<()> {
    let mut text = Text { out: String::new(), look };
    text.headline(report);
    text.packets(report.ledger);
    text.flows(report.ledger);
    text.alerts(report);
    text.resources(report);
    out.write_all(text.out.as_bytes())
}

struct Text {
    out: String,
    look: Look,
}

/// What is said in colour.
#[derive(Clone, Copy)]
enum Tone {
    Title,
    Good,
    Bad,
    Quiet,
}

impl Text {
    fn tone(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Title => "1",
            Tone::Good => "32",
            Tone::Bad => "31;1",
            Tone::Quiet => "2",
        };
        if self.look.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// A line that begins with the name of its section.
    fn titled(&mut self, title: &str, text: &str) {
        let title = self.tone(Tone::Title, &format!("{title:<10}"));
        self.line(&format!("{title}{text}"));
    }

    /// Untrusted text: what would move the cursor is shown as a dot, what is too long is cut.
    fn plain(&self, text: &str, indent: usize) -> String {
        let room = match self.look.width {
            Some(width) => width.max(40).saturating_sub(indent),
            None => usize::MAX,
        };
        let shown = text.chars().map(|c| if c.is_control() { '·' } else { c });
        if text.chars().count() <= room {
            return shown.collect();
        }
        let mut cut: String = shown.take(room.saturating_sub(1)).collect();
        cut.push('…');
        cut
    }

    fn headline(&mut self, report: &Report<'_>) {
        let totals = &report.ledger.totals;
        let seconds = report.ledger.seconds;
        let mut text = format!(
            "{}, {} in {seconds:.2} s",
            counted(report.captures as u64, "capture", "captures"),
            bytes(totals.bytes),
        );
        if seconds > 0.0 {
            let rate = totals.received as f64 / seconds;
            let gigabits = totals.bytes as f64 * 8.0 / seconds / 1e9;
            let _ = write!(text, ": {} packets/s, {gigabits:.2} Gbit/s", grouped(rate as u64));
        }
        self.titled("read", &text);
        let (loaded, rejected) = report.rules;
        let mut rules = format!("{} in force", grouped(loaded as u64));
        if rejected > 0 {
            let _ = write!(rules, ", {} did not load", grouped(rejected as u64));
        }
        self.titled("rules", &rules);
    }

    fn packets(&mut self, ledger: &Ledger) {
        let totals = &ledger.totals;
        let rows = [
            ("received", totals.received),
            ("inspected", totals.inspected),
            ("unscoped", totals.unscoped),
            ("dropped", totals.dropped),
        ];
        let width = grouped(totals.received).len();
        let drops: Vec<_> =
            ledger.drops().iter().map(|(why, n)| format!("{why} {}", grouped(*n))).collect();
        for (name, n) in rows {
            let title = if name == "received" { "packets" } else { "" };
            let mut row = format!("{name:<10}{:>width$}", grouped(n));
            if name != "received" && totals.received > 0 {
                let share = n as f64 * 100.0 / totals.received as f64;
                let _ = write!(row, "  {share:5.1} %");
            }
            if name == "dropped" && !drops.is_empty() {
                let _ = write!(row, "  {}", drops.join(", "));
            }
            self.titled(title, &row);
        }
        match ledger.balances() {
            Ok(()) => {
                let verdict = self.tone(Tone::Good, "the ledger balances");
                self.titled("", &verdict);
            }
            Err(error) => {
                let verdict =
                    self.tone(Tone::Bad, &format!("THE LEDGER DOES NOT BALANCE: {error}"));
                self.titled("", &verdict);
            }
        }
        for port in &ledger.ports {
            let nic = &port.nic;
            for (n, what) in [
                (nic.imissed, "missed"),
                (nic.ierrors, "received with errors"),
                (nic.rx_nombuf, "times without a buffer"),
            ] {
                if let Some(n) = n.filter(|&n| n > 0) {
                    let text = format!("{} {what} by {} itself", grouped(n), port.name);
                    let text = self.tone(Tone::Bad, &text);
                    self.titled("", &text);
                }
            }
        }
    }

    fn flows(&mut self, ledger: &Ledger) {
        let flows = &ledger.flows;
        let some = |counts: &[(u64, &str)], shown: fn(u64) -> String| -> Vec<String> {
            let some = counts.iter().filter(|&&(n, _)| n > 0);
            some.map(|&(n, what)| format!("{} {what}", shown(n))).collect()
        };
        let mut parts = vec![format!("{} seen", grouped(flows.created))];
        parts.extend(some(
            &[
                (flows.midstream, "picked up midstream"),
                (flows.evicted, "evicted"),
                (flows.lost_to_panic, "lost to a panic"),
            ],
            grouped,
        ));
        self.titled("flows", &parts.join(", "));
        let parts = some(
            &[
                (flows.datagrams_reassembled, "datagrams put together from fragments"),
                (flows.bad_transport_checksum, "packets with a wrong transport checksum"),
            ],
            grouped,
        );
        if !parts.is_empty() {
            self.titled("", &parts.join(", "));
        }
        let parts = some(
            &[
                (flows.encrypted, "encrypted"),
                (flows.beyond_depth, "beyond the streams' depth"),
                (flows.gap_bytes, "missing in streams"),
            ],
            bytes,
        );
        if !parts.is_empty() {
            self.titled("", &parts.join(", "));
        }
        if ledger.trouble.panics > 0 {
            let text = format!(
                "{} caught: a defect of the sensor, see its log",
                counted(ledger.trouble.panics, "panic", "panics")
            );
            let text = self.tone(Tone::Bad, &text);
            self.titled("", &text);
        }
        if ledger.trouble.budget_exceeded > 0 {
            let text = format!(
                "{} set aside because a rule cost too much",
                counted(ledger.trouble.budget_exceeded, "verification", "verifications")
            );
            self.titled("", &text);
        }
    }

    fn alerts(&mut self, report: &Report<'_>) {
        let alerts = report.alerts;
        let signatures = alerts.signatures();
        let mut text = grouped(alerts.raised);
        if !signatures.is_empty() {
            let kinds = counted(signatures.len() as u64, "signature", "signatures");
            let _ = write!(text, " by {kinds}");
        }
        if alerts.thresholded > 0 {
            let _ = write!(text, ", {} more held back by thresholds", grouped(alerts.thresholded));
        }
        let directory = self.plain(report.directory.trim_end_matches('/'), 0);
        let _ = write!(text, "  → {directory}/eve.json");
        self.titled("alerts", &text);
        let lost: Vec<_> = report
            .ledger
            .alerts
            .lost
            .iter()
            .map(|(why, n)| format!("{why} {}", grouped(*n)))
            .collect();
        if !lost.is_empty() {
            let text = self.tone(Tone::Bad, &format!("not written: {}", lost.join(", ")));
            self.titled("", &text);
        }
        if alerts.ambiguous_sides > 0 {
            let ends = counted(alerts.ambiguous_sides, "end", "ends");
            self.titled("", &format!("{ends} could be more than one pod: not named"));
        }
        if signatures.is_empty() {
            return;
        }
        let count_width = signatures.iter().map(|it| grouped(it.count).len()).max().unwrap_or(0);
        let count_width = count_width.max("count".len());
        let ids: Vec<_> = signatures.iter().map(|it| id(it)).collect();
        let id_width = ids.iter().take(SIGNATURES).map(String::len).max().unwrap_or(0);
        let id_width = id_width.max("sid".len());
        let indent = 2 + count_width + 2 + 3 + 2 + id_width + 2;
        self.line("");
        let head = format!("  {:>count_width$}  sev  {:<id_width$}  signature", "count", "sid");
        let head = self.tone(Tone::Quiet, &head);
        self.line(&head);
        for (signature, id) in signatures.iter().zip(&ids).take(SIGNATURES) {
            let count = grouped(signature.count);
            let msg = self.plain(&signature.msg, indent);
            let severity = format!("{:>3}", signature.severity);
            let severity =
                if signature.severity == 1 { self.tone(Tone::Bad, &severity) } else { severity };
            self.line(&format!("  {count:>count_width$}  {severity}  {id:<id_width$}  {msg}"));
            if let Some(pods) = pods(signature) {
                let pods = self.plain(&pods, indent);
                let pods = self.tone(Tone::Quiet, &pods);
                self.line(&format!("{:indent$}{pods}", ""));
            }
        }
        if signatures.len() > SIGNATURES {
            let rest = signatures.iter().skip(SIGNATURES).map(|it| it.count).sum();
            let more = counted((signatures.len() - SIGNATURES) as u64, "signature", "signatures");
            let text = format!("  {:>count_width$}  by {more} more", grouped(rest));
            let text = self.tone(Tone::Quiet, &text);
            self.line(&text);
        }
    }

    fn resources(&mut self, report: &Report<'_>) {
        if report.resources.is_empty() {
            return;
        }
        let counts: BTreeMap<_, _> =
            report.alerts.resources().map(|(space, name, n)| ((space, name), n)).collect();
        let names: Vec<_> = report
            .resources
            .iter()
            .map(|it| self.plain(&format!("{}/{}", it.namespace, it.name), WIDTH / 2))
            .collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        self.line("");
        let head = self.tone(Tone::Title, "resources");
        self.line(&head);
        for (resource, name) in report.resources.iter().zip(&names) {
            let state = match resource.active {
                true => self.tone(Tone::Good, "active  "),
                false => self.tone(Tone::Bad, "inactive"),
            };
            let key = (resource.namespace.as_str(), resource.name.as_str());
            let alerts = counts.get(&key).copied().unwrap_or(0);
            let endpoints = counted(u64::from(resource.endpoints), "endpoint", "endpoints");
            let alerts = counted(alerts, "alert", "alerts");
            self.line(&format!("  {name:<width$}  {state}  {endpoints}, {alerts}"));
            for error in resource.errors.iter().take(ERRORS) {
                let error = self.plain(error, 6);
                let error = self.tone(Tone::Bad, &error);
                self.line(&format!("      {error}"));
            }
            if resource.errors.len() > ERRORS {
                let more = resource.errors.len() - ERRORS;
                self.line(&format!("      and {}", counted(more as u64, "more", "more")));
            }
        }
    }
}

/// `sid`, with the generator's id where it is not the rules'.
fn id(signature: &SignatureTotal) -> String {
    match signature.gid {
        1 => signature.sid.to_string(),
        gid => format!("{gid}:{}", signature.sid),
    }
}

/// The pods that a signature's alerts are about, the most frequent first.
fn pods(signature: &SignatureTotal) -> Option<String> {
    let mut all: Vec<_> = signature.pods.iter().collect();
    if all.is_empty() {
        return None;
    }
    all.sort_by_key(|&(namespace, name, n)| (std::cmp::Reverse(n), namespace, name));
    let shown = all.iter().take(PODS);
    let mut parts: Vec<_> =
        shown.map(|(namespace, name, n)| format!("{namespace}/{name} {}", grouped(*n))).collect();
    let rest = all.iter().skip(PODS).map(|&(_, _, n)| n).sum::<u64>() + signature.pods.others();
    if rest > 0 {
        parts.push(format!("other pods {}", grouped(rest)));
    }
    Some(parts.join(", "))
}

/// `1 alert`, `2,000 alerts`.
fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// With a comma before every three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In the unit that leaves one to three digits before the point.
fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        // Rounded to one place, 999.95 and more would read 1000.0.
        if value < 999.95 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} PB")
}

#[cfg(test)]
mod tests;
