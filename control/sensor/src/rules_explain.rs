//! `pollux rules explain`: how a rule is understood, what is looked for first, what a verification
//! costs, and what it can never match.

use std::io::{self, Write};

use rules::parse::{Names, buffer_name, parse_rules};
use rules::ruleset::{Candidate, Explanation, explain};
use rules::signature::Kind;

use crate::config::Config;
use crate::rules_source::{self, RulesError};

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The configured rules cannot be read.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The rule is refused.
    #[error("{0}")]
    Refused(String),
    /// No rule has that sid.
    #[error("none of the {0} rules that load has sid {1}; give a rule's text or -S with its file")]
    Missing(usize, u32),
}

/// The rules that `what` means: a sid among the configured rules, or a rule's text.
///
/// # Errors
/// [`ExplainError`]
pub fn find(config: &Config, what: &str) -> Result<Vec<Explanation>, ExplainError> {
    let mut names = Names::default();
    let Ok(sid) = what.trim().parse::<u32>() else {
        let context = rules_source::context(config, &mut Vec::new())?;
        let parsed = parse_rules("the rule given", what.as_bytes(), &context, &mut names);
        if let Some(rejection) = parsed.rejections.first() {
            return Err(ExplainError::Refused(rejection.to_string()));
        }
        if parsed.skipped > 0 {
            let reason = "the rule is for another engine, or says only what is to be logged of \
                          transactions and flows: it is skipped";
            return Err(ExplainError::Refused(reason.to_owned()));
        }
        if parsed.signatures.is_empty() {
            let reason = "neither a sid nor the text of a rule".to_owned();
            return Err(ExplainError::Refused(reason));
        }
        return Ok(parsed.signatures.into_iter().map(explain).collect());
    };
    let parsed = rules_source::parse(config, None, &mut names)?;
    if let Some(rejection) = parsed.rejections.iter().find(|r| r.sid == Some(sid)) {
        return Err(ExplainError::Refused(rejection.to_string()));
    }
    let all = parsed.signatures.len();
    let found: Vec<_> = parsed.signatures.into_iter().filter(|s| s.sid == sid).collect();
    if found.is_empty() {
        return Err(ExplainError::Missing(all, sid));
    }
    Ok(found.into_iter().map(explain).collect())
}

/// Writes an explanation.
///
/// # Errors
/// What writing says.
pub fn write(explanation: &Explanation, mut out: impl Write) -> io::Result<()> {
    let rule = &explanation.signature;
    writeln!(
        out,
        "rule       sid {} rev {}, {}:{}",
        rule.sid, rule.rev, rule.origin.file, rule.origin.line
    )?;
    writeln!(out, "           {}", rule.text)?;
    writeln!(out, "kind       {}", kind(rule.kind))?;
    let app = rule.protocol.app.map_or(String::new(), |app| format!(", of {app}"));
    let directions = match (rule.to_server, rule.to_client) {
        (true, true) => "both directions",
        (true, false) => "to the server",
        (false, true) => "to the client",
        (false, false) => "no direction",
    };
    writeln!(out, "protocol   {}{app}, {directions}", rule.protocol.name)?;
    let sets: Vec<_> = (0..64).filter(|bit| rule.rulesets >> bit & 1 == 1).collect();
    writeln!(out, "rule sets  {sets:?} (0 is the default one)")?;
    for tests in &rule.buffers {
        let changed = if tests.transforms.is_empty() { "" } else { ", transformed" };
        let buffer = buffer_name(tests.buffer);
        writeln!(out, "looks at   {buffer}{changed}: {} tests", tests.tests.len())?;
    }
    if rule.needs_packet && rule.needs_stream {
        writeln!(out, "           the payload of packets and the stream")?;
    }
    match &explanation.ports {
        _ if rule.kind == Kind::Transaction => {
            writeln!(out, "group      its protocol's transactions, on every server port")?;
        }
        None => writeln!(out, "group      the one of all server ports")?,
        Some(ports) => {
            let ports: Vec<_> = ports
                .iter()
                .map(
                    |&(low, high)| {
                        if low == high { low.to_string() } else { format!("{low}-{high}") }
                    },
                )
                .collect();
            writeln!(out, "group      server ports {}", ports.join(", "))?;
        }
    }
    match &explanation.chosen {
        Some(chosen) => {
            writeln!(out, "prefilter  {}: {}", described(chosen), explanation.why)?;
            for other in explanation.candidates.iter().filter(|other| *other != chosen) {
                writeln!(out, "           rather than {}", described(other))?;
            }
        }
        None => writeln!(out, "prefilter  none: {}", explanation.why)?,
    }
    writeln!(
        out,
        "cost       {} tests a verification, {} steps on a buffer at most",
        explanation.tests,
        engine::inspect::content::STEP_BUDGET
    )?;
    for reason in &explanation.never {
        writeln!(out, "never      matches: {reason}")?;
    }
    Ok(())
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::IpOnly => "IP-only: once a flow and direction",
        Kind::LikeIpOnly => "like IP-only: once a flow and direction, with the packets",
        Kind::Packet => "packet",
        Kind::Stream => "stream",
        Kind::AppProtocol => "application protocol, once it is known",
        Kind::Transaction => "transaction",
        Kind::Event => "event: where one is recorded",
    }
}

fn described(candidate: &Candidate) -> String {
    let nocase = if candidate.nocase { " in any case" } else { "" };
    let bytes = candidate.bytes.escape_ascii();
    let buffer = buffer_name(candidate.buffer);
    format!("\"{bytes}\"{nocase} in {buffer}, about {} bits", candidate.bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(what: &str) -> Result<String, ExplainError> {
        let mut out = Vec::new();
        for explanation in find(&Config::default(), what)? {
            write(&explanation, &mut out).expect("memory");
        }
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_rule_is_explained_from_its_text() {
        let text = explained(
            "alert tcp any any -> any 8080 (content:\"needle\"; nocase; content:\"hay\"; sid:7;)",
        )
        .expect("explained");
        for part in [
            "sid 7",
            "kind       stream",
            "payload: 2 tests",
            "server ports 8080",
            "prefilter  \"needle\" in any case",
            "rather than \"hay\"",
            "cost       2 tests",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_is_refused_or_missing_is_said() {
        let refused = explained("alert tcp any any -> any any (foo; sid:1;)").unwrap_err();
        assert!(refused.to_string().contains("unknown keyword `foo`"), "{refused}");
        assert!(explained("17").unwrap_err().to_string().contains("sid 17"));
        assert!(explained("nonsense").is_err());
    }
}
