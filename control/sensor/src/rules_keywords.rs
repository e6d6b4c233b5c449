//! `pollux rules keywords`: every keyword of Suricata, and whether it is evaluated.

use std::io::{self, Write};

use rules::parse::known_keywords;
use serde::Serialize;

#[derive(Serialize)]
struct Keyword {
    name: &'static str,
    about: &'static str,
    supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn keywords() -> impl Iterator<Item = Keyword> {
    known_keywords().map(|known| Keyword {
        name: known.name,
        about: known.about,
        supported: known.refusal.is_none(),
        reason: known.refusal,
    })
}

/// Writes one line a keyword, those that are refused marked, and how many there are.
///
/// # Errors
/// What writing says.
pub fn write_text(mut out: impl Write) -> io::Result<()> {
    let (mut all, mut supported) = (0, 0);
    for keyword in keywords() {
        let mark = if keyword.supported { "" } else { " (refused: not evaluated in this build)" };
        writeln!(out, "{:32} {}{mark}", keyword.name, keyword.about)?;
        all += 1;
        supported += usize::from(keyword.supported);
    }
    writeln!(out, "{supported} of {all} keywords of Suricata 7.0.10 are evaluated")
}

/// Writes a JSON list.
///
/// # Errors
/// What writing says.
pub fn write_json(mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut out, &keywords().collect::<Vec<_>>())?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_tell_the_same_keywords() {
        let (mut text, mut json) = (Vec::new(), Vec::new());
        write_text(&mut text).expect("memory");
        write_json(&mut json).expect("memory");
        let list: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("json");
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.lines().count(), list.len() + 1);
        for (line, keyword) in text.lines().zip(&list) {
            assert!(line.starts_with(keyword["name"].as_str().expect("a name")));
            assert_eq!(line.contains("(refused"), keyword["supported"] == false);
            assert_eq!(keyword.get("reason").is_some(), keyword["supported"] == false);
        }
    }
}
