//! `pollux selector`: one expression from the command line, or requests from standard input.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};

use api::{Selector, SelectorError};

/// The longest request; of a longer line the rest is passed over.
const MAX_LINE: u64 = 64 << 20;

/// Why the command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SelectorFailure {
    /// The expression is no selector.
    #[error("column {}: {}\n  {}\n  {:>width$}", .error.column, .error.message, .text, "^",
        width = .error.column)]
    Invalid {
        /// The expression, fit to be shown.
        text: String,
        /// What is wrong with it, and where.
        error: SelectorError,
    },
    /// A label that is none.
    #[error("--labels: expected NAME=VALUE, found \"{0}\"")]
    Label(String),
    /// The answer could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Shows what an expression means, and whether labels match it.
///
/// # Errors
/// The expression or a label is invalid, or the answer could not be written.
pub fn explain(
    expression: &str,
    labels: Option<&[String]>,
    mut out: impl Write,
) -> Result<(), SelectorFailure> {
    let selector = Selector::parse(expression).map_err(|error| {
        // One column for each character, so that the mark stands under the fault.
        let text = expression.chars().map(|c| if c.is_control() { '�' } else { c }).collect();
        SelectorFailure::Invalid { text, error }
    })?;
    let mut set = BTreeMap::new();
    for label in labels.unwrap_or_default().iter().filter(|label| !label.is_empty()) {
        let (name, value) =
            label.split_once('=').ok_or_else(|| SelectorFailure::Label(label.clone()))?;
        set.insert(name.to_owned(), value.to_owned());
    }
    writeln!(out, "canonical: {}", selector.canonical())?;
    writeln!(out, "uid:       {}", selector.uid())?;
    let matches = if selector.matches(&set) { "yes" } else { "no" };
    let note = if labels.is_none() { " (without any label)" } else { "" };
    writeln!(out, "matches:   {matches}{note}")?;
    Ok(())
}

/// Answers each line of `input` with one line.
///
/// # Errors
/// What reading or writing says.
pub fn filter(mut input: impl BufRead, mut out: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() as u64 >= MAX_LINE && !line.ends_with(b"\n") {
            // Cut off, it is no JSON any more, which the answer says.
            skip_line(&mut input)?;
        }
        out.write_all(api::selector::answer_line(&line).as_bytes())?;
        out.write_all(b"\n")?;
    }
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|&byte| byte == b'\n');
        let length = end.map_or(buffer.len(), |at| at + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expression: &str, labels: Option<&[&str]>) -> Result<String, String> {
        let labels: Option<Vec<String>> =
            labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect());
        let mut out = Vec::new();
        explain(expression, labels.as_deref(), &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn an_expression_is_explained() {
        let text = told("app=='web'", Some(&["app=web", "tier=a=b"])).expect("valid");
        assert!(text.starts_with("canonical: app == \"web\"\nuid:       s:"), "{text}");
        assert!(text.ends_with("matches:   yes\n"), "{text}");
        assert!(told("has(x)", None).expect("valid").ends_with("no (without any label)\n"));
        assert!(told("has(x)", Some(&["y=1", "x="])).expect("valid").ends_with("yes\n"));
    }

    #[test]
    fn a_fault_is_pointed_at() {
        let error = told("é == 'x'", None).expect_err("invalid");
        assert!(error.starts_with("column 1: ") && error.ends_with("\n  é == 'x'\n  ^"), "{error}");
        let error = told("a = 'x'", None).expect_err("invalid");
        assert!(error.ends_with("\n  a = 'x'\n    ^"), "{error}");
        assert!(told("all()", Some(&["x"])).expect_err("invalid").contains("NAME=VALUE"));
    }

    #[test]
    fn every_line_is_answered() {
        let input = "{\"selector\":\"has(a)\",\"labels\":[{\"a\":\"\"},{}]}\nnonsense\n\n\
                     {\"selector\":\"a\"}";
        let mut out = Vec::new();
        filter(input.as_bytes(), &mut out).expect("answered");
        let text = String::from_utf8(out).expect("text");
        let answers: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let valid: Vec<bool> = answers.iter().map(|answer| answer["valid"] == true).collect();
        assert_eq!(valid, [true, false, false, false]);
        assert_eq!(answers[0]["matches"], serde_json::json!([true, false]));
        assert!(answers[3]["column"].as_u64().is_some_and(|column| column > 0));
    }
}
