//! `pollux selector --jsonl`: one line of JSON in, one line of JSON out.
//! A line that is no valid request gets an answer too, so that answers stay in step with lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Selector, SelectorError};

#[derive(Deserialize)]
struct Request {
    selector: String,
    #[serde(default)]
    labels: Vec<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Valid { valid: bool, canonical: String, uid: String, matches: Vec<bool> },
    Invalid { valid: bool, error: String, column: usize },
}

/// Answers one line, given with or without its line end; the answer is without.
///
/// `{"selector":S,"labels":[{…},…]}` gives `{"valid":true,"canonical":…,"uid":…,"matches":[…]}`,
/// one boolean for each set of labels (`labels` may be absent), or, for a selector outside the
/// grammar, `{"valid":false,"error":…,"column":N}` with the column in the selector. A line that
/// is no such request is answered in the same form, with the column in the line.
pub fn answer_line(line: &[u8]) -> String {
    let answer = answer(line);
    // Strings, booleans and numbers always serialise.
    serde_json::to_string(&answer).unwrap_or_default()
}

fn answer(line: &[u8]) -> Answer {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            let mut reason = error.to_string();
            // serde_json appends "at line 1 column N"; the column has its own member.
            if let Some(at) = reason.rfind(" at line ") {
                reason.truncate(at);
            }
            let error_text = format!(
                "not a request {{\"selector\":\"…\",\"labels\":[{{\"name\":\"value\"}}]}}: {reason}"
            );
            return Answer::Invalid { valid: false, error: error_text, column: error.column() };
        }
    };
    match Selector::parse(&request.selector) {
        Ok(selector) => Answer::Valid {
            valid: true,
            canonical: selector.canonical(),
            uid: selector.uid(),
            matches: request.labels.iter().map(|labels| selector.matches(labels)).collect(),
        },
        Err(SelectorError { message, column, .. }) => {
            Answer::Invalid { valid: false, error: message, column }
        }
    }
}
