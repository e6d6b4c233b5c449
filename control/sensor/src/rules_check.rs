//! `pollux rules check`: how many rules load, and of each that doesn't where and why.

use std::io::{self, Write};

use rules::parse::{Names, Rejection};
use rules::ruleset::{BuildError, BuildReport};
use serde::Serialize;

use crate::config::Config;
use crate::rules_groups::GroupInfo;
use crate::rules_source::{self, ParsedRules, RulesError};

/// What a check found.
#[derive(Debug)]
pub struct Check {
    loaded: usize,
    parsed: ParsedRules,
    build: Result<BuildReport, BuildError>,
    /// How they fall into groups.
    pub groups: Vec<GroupInfo>,
}

#[derive(Serialize)]
struct Answer<'a> {
    loaded: usize,
    rejected: usize,
    ignored: usize,
    rejections: Vec<AnswerRejection<'a>>,
    build: Option<AnswerBuild>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    warnings: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<&'a [GroupInfo]>,
}

#[derive(Serialize)]
struct AnswerRejection<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    sid: Option<u32>,
    keyword: Option<&'a str>,
    reason: &'a str,
}

#[derive(Serialize)]
struct AnswerBuild {
    seconds: f64,
    database_bytes: usize,
    peak_rss_bytes: u64,
    databases: usize,
    patterns: usize,
    cached: usize,
    groups: usize,
    without_fast_pattern: usize,
}

impl Check {
    /// Reads and compiles the configured rules.
    ///
    /// # Errors
    /// A path that gives no rules, or variables that don't resolve.
    pub fn of(config: &Config) -> Result<Self, RulesError> {
        let mut parsed = rules_source::parse(config, None, &mut Names::default())?;
        let signatures = std::mem::take(&mut parsed.signatures);
        let loaded = signatures.len();
        let mut groups = Vec::new();
        let build = rules_source::compile(signatures, config, true).map(|(ruleset, report)| {
            groups = ruleset.describe().into_iter().map(GroupInfo::from).collect();
            report
        });
        Ok(Self { loaded, parsed, build, groups })
    }

    /// Are there rules to run with?
    pub fn passed(&self) -> bool {
        self.loaded > 0 && self.build.is_ok()
    }

    /// Everything that is to be said besides the rejections.
    fn warnings(&self) -> Vec<&str> {
        let build = self.build.as_ref().map_or(&[][..], |report| &report.warnings);
        self.parsed.warnings.iter().chain(build).map(String::as_str).collect()
    }

    /// Writes the answer as one JSON object on one line; the groups, if they are asked for, as `groups`.
    ///
    /// # Errors
    /// What writing says.
    pub fn write_json(&self, with_groups: bool, mut out: impl Write) -> io::Result<()> {
        let answer = Answer {
            loaded: self.loaded,
            rejected: self.parsed.rejections.len(),
            ignored: self.parsed.ignored,
            rejections: self.parsed.rejections.iter().map(answer_rejection).collect(),
            build: self.build.as_ref().ok().map(answer_build),
            error: self.build.as_ref().err().map(ToString::to_string),
            warnings: self.warnings(),
            groups: with_groups.then_some(&self.groups),
        };
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()
    }

    /// Writes the answer for a person: each rejected rule on a line, then the figures.
    ///
    /// # Errors
    /// What writing says.
    pub fn write_text(&self, mut out: impl Write) -> io::Result<()> {
        for rejection in &self.parsed.rejections {
            let Rejection { origin, column, sid, keyword, reason, .. } = rejection;
            write!(out, "{}:{}:{column}: ", origin.file, origin.line)?;
            // Most reasons name it themselves.
            if let Some(keyword) = keyword.as_deref().filter(|word| !reason.contains(word)) {
                write!(out, "{keyword}: ")?;
            }
            match sid {
                Some(sid) => writeln!(out, "{reason} (sid {sid})")?,
                None => writeln!(out, "{reason}")?,
            }
        }
        for warning in self.warnings() {
            writeln!(out, "warning: {warning}")?;
        }
        writeln!(
            out,
            "{} rules load, {} are rejected, {} are commented out, in {} files",
            self.loaded,
            self.parsed.rejections.len(),
            self.parsed.ignored,
            self.parsed.files.len()
        )?;
        match &self.build {
            Ok(report) => writeln!(
                out,
                "compiled in {:.1} s: {} databases ({} from the cache) of {} in all; at most {} of \
                 memory used",
                report.seconds,
                report.databases,
                report.cached,
                indicatif::BinaryBytes(report.database_bytes as u64),
                indicatif::BinaryBytes(report.peak_rss_bytes),
            ),
            Err(error) => writeln!(out, "they don't compile: {error}"),
        }?;
        out.flush()
    }
}

fn answer_rejection(rejection: &Rejection) -> AnswerRejection<'_> {
    AnswerRejection {
        file: &rejection.origin.file,
        line: rejection.origin.line,
        column: rejection.column,
        sid: rejection.sid,
        keyword: rejection.keyword.as_deref(),
        reason: &rejection.reason,
    }
}

fn answer_build(report: &BuildReport) -> AnswerBuild {
    AnswerBuild {
        seconds: report.seconds,
        database_bytes: report.database_bytes,
        peak_rss_bytes: report.peak_rss_bytes,
        databases: report.databases,
        patterns: report.patterns,
        cached: report.cached,
        groups: report.groups,
        without_fast_pattern: report.without_fast_pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CacheSetting;

    fn check(rules: &str) -> (Check, String) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.rules");
        std::fs::write(&file, rules).expect("written");
        let mut config = Config::default();
        config.rules.paths = vec![file.display().to_string()];
        config.rules.cache = CacheSetting::Off;
        (Check::of(&config).expect("checked"), file.display().to_string())
    }

    const RULES: &str = "alert tcp any any -> any any (content:\"abcdef\"; sid:1;)\n\
        \n  alert tcp any any -> any any (nokeyword:1; sid:2;)\nnonsense\n\
        #alert tcp any any -> any any (sid:3;)\n";

    #[test]
    fn the_json_has_the_names_that_others_rely_on() {
        let (check, file) = check(RULES);
        let mut out = Vec::new();
        check.write_json(false, &mut out).expect("written");
        let answer: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(
            (&answer["loaded"], &answer["rejected"], &answer["ignored"]),
            (&1.into(), &2.into(), &1.into())
        );
        let first = &answer["rejections"][0];
        assert_eq!((&first["file"], &first["line"]), (&file.as_str().into(), &3.into()));
        assert_eq!((&first["sid"], &first["keyword"]), (&2.into(), &"nokeyword".into()));
        assert!(first["reason"].is_string());
        assert_eq!(answer["rejections"][1]["sid"], serde_json::Value::Null);
        for name in ["seconds", "database_bytes", "peak_rss_bytes"] {
            assert!(answer["build"][name].as_f64().is_some_and(|n| n > 0.0), "{name}");
        }
        assert!(check.passed());
    }

    #[test]
    fn the_text_names_every_rejected_rule() {
        let (check, file) = check(RULES);
        let mut out = Vec::new();
        check.write_text(&mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines[0].starts_with(&format!("{file}:3:33: ")) && lines[0].ends_with("(sid 2)"),
            "{text}"
        );
        assert!(lines[0].contains("nokeyword"), "{text}");
        assert!(lines[1].starts_with(&format!("{file}:4:1: ")), "{text}");
        assert_eq!(lines[2], "1 rules load, 2 are rejected, 1 are commented out, in 1 files");
    }

    #[test]
    fn every_rule_with_a_pattern_is_in_the_groups_that_are_told() {
        let rules = "alert tcp any any -> any any (content:\"abcdef\"; sid:1;)\n\
            alert udp any any -> any 53 (content:\"ghijklmn\"; sid:2;)\n\
            alert http any any -> any any (http.uri; content:\"/opqrst\"; sid:3;)\n\
            alert icmp any any -> any any (itype:8; sid:4;)\n";
        let (check, _) = check(rules);
        let mut out = Vec::new();
        check.write_json(true, &mut out).expect("written");
        let answer: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let groups = answer["groups"].as_array().expect("groups");
        let of =
            |protocol: &'static str| groups.iter().filter(move |it| it["protocol"] == protocol);
        let udp: Vec<_> = of("udp").collect();
        assert!(!udp.is_empty(), "{answer}");
        for group in udp {
            assert_eq!((&group["patterns"], &group["min_len"]), (&1.into(), &8.into()), "{group}");
        }
        assert!(of("tcp").any(|it| it["data"] == "stream" && it["max_len"] == 6), "{answer}");
        let uri = of("transaction").next().expect("a list");
        assert_eq!((&uri["direction"], &uri["signatures"]), (&"to_server".into(), &1.into()));
        assert!(uri["database_bytes"].as_u64() > Some(0));
        let mut table = Vec::new();
        crate::rules_groups::write_table(&check.groups, &mut table).expect("written");
        let table = String::from_utf8(table).expect("text");
        assert_eq!(table.lines().count(), 1 + groups.len(), "{table}");
        assert!(
            table.lines().any(|line| line.contains("transaction") && line.contains("to_server"))
        );
    }

    #[test]
    fn without_any_rule_it_is_not_passed() {
        assert!(!check("nonsense\n").0.passed());
        assert!(!check("# nothing\n").0.passed());
    }
}
