//! `requires`: what a rule needs of the engine. A rule whose needs are not met is skipped, whatever
//! else stands in it (docs.suricata.io, "Requires").

use super::options::Options;
use super::rejection::Fault;
use super::text::{fields, shown, text, word_and_rest};

/// The Suricata whose rules are meant.
const VERSION: [u32; 3] = [7, 0, 10];

/// Is a feature of that Suricata, as its rules name it, here too?
fn has(feature: &str) -> bool {
    let keyword = match feature {
        "ja3" => "ja3.hash",
        "ja4" => "ja4.hash",
        _ => return false,
    };
    super::keywords::find(keyword).is_ok()
}

/// Does the rule need anything that is not there? Says what.
///
/// # Errors
/// The keyword is malformed.
pub(crate) fn unmet(rule: &[u8]) -> Result<Option<String>, Fault> {
    // Nearly no rule has it: one look at the bytes tells.
    if memchr::memmem::find(rule, b"requires").is_none() {
        return Ok(None);
    }
    let Some(open) = rule.iter().position(|&b| b == b'(') else { return Ok(None) };
    let mut unmet = None;
    let mut seen = false;
    let Ok(options) = Options::new(rule, open) else { return Ok(None) };
    for option in options.map_while(Result::ok) {
        if !option.keyword.eq_ignore_ascii_case(b"requires") {
            continue;
        }
        let fault = |reason: String| Fault {
            start: option.start,
            end: option.end,
            keyword: Some("requires".to_owned()),
            reason: format!("requires: {reason}"),
        };
        if std::mem::replace(&mut seen, true) {
            return Err(fault("it stands there twice".to_owned()));
        }
        let value = text(option.value.unwrap_or_default());
        for need in fields(&value) {
            match word_and_rest(need) {
                ("version", bounds) => {
                    if !version_fits(bounds, VERSION).map_err(fault)? {
                        unmet.get_or_insert(format!("Suricata {}", shown(bounds)));
                    }
                }
                ("feature", name) if !name.is_empty() => {
                    if !has(name) {
                        unmet.get_or_insert(format!("feature {}", shown(name)));
                    }
                }
                ("", _) => return Err(fault("a need is empty".to_owned())),
                // Suricata 7 skips rules with needs that it does not know, `keyword` among them.
                (other, _) => {
                    unmet.get_or_insert(format!(
                        "`{}`, which Suricata 7 does not know",
                        shown(other)
                    ));
                }
            }
        }
    }
    Ok(unmet)
}

/// `>= 7.0.3 < 8 | >= 9`: alternatives, of each all bounds.
fn version_fits(bounds: &str, have: [u32; 3]) -> Result<bool, String> {
    let mut fits = false;
    for alternative in bounds.split('|') {
        let mut all = true;
        let mut rest = alternative.trim();
        if rest.is_empty() {
            return Err("a version's bound is missing".to_owned());
        }
        while !rest.is_empty() {
            let operators = [">=", "<=", ">", "<"];
            let Some(operator) = operators.into_iter().find(|operator| rest.starts_with(operator))
            else {
                return Err(format!("`{}` is not a bound of a version", shown(rest)));
            };
            rest = rest.get(operator.len()..).unwrap_or("").trim_start();
            let end = rest.find(|c: char| c.is_ascii_whitespace() || "<>=|".contains(c));
            let (number, more) = rest.split_at(end.unwrap_or(rest.len()));
            rest = more.trim_start();
            let want = version(number)?;
            all &= match operator {
                ">=" => have >= want,
                "<=" => have <= want,
                ">" => have > want,
                _ => have < want,
            };
        }
        fits |= all;
    }
    Ok(fits)
}

fn version(text: &str) -> Result<[u32; 3], String> {
    let wrong = || format!("`{}` is not a version", shown(text));
    let mut parts = [0; 3];
    for (count, part) in text.split('.').enumerate() {
        *parts.get_mut(count).ok_or_else(wrong)? = part.parse().map_err(|_| wrong())?;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_held_against_bounds_and_alternatives() {
        let fits = |bounds: &str| version_fits(bounds, [7, 0, 10]).expect(bounds);
        for bounds in [">= 7", ">=7.0.3 < 8", "< 7 | >= 7.0.10", "> 6", "<= 7.0.10", ">= 7 | >= 9"]
        {
            assert!(fits(bounds), "{bounds}");
        }
        for bounds in [">= 8", "< 7.0.10", "> 7.0.10", ">= 6 < 7 | >= 9"] {
            assert!(!fits(bounds), "{bounds}");
        }
        for bounds in ["", "7", ">= x", ">= 7.0.3.1", ">= 7 |", ">="] {
            assert!(version_fits(bounds, [7, 0, 10]).is_err(), "{bounds}");
        }
    }

    #[test]
    fn needs_are_found_before_anything_else_is_read() {
        let of = |options: &str| unmet(format!("any text ({options} sid:1;)").as_bytes());
        assert_eq!(of("content:\"a\";"), Ok(None));
        assert_eq!(of("requires: version >= 7;"), Ok(None));
        assert!(of("blah:1; requires: version >= 10;").is_ok_and(|unmet| unmet.is_some()));
        assert!(of("requires: feature lua;").is_ok_and(|unmet| unmet.is_some()));
        assert!(of("requires: keyword sid;").is_ok_and(|unmet| unmet.is_some()));
        assert!(of("requires: version >= x;").is_err());
        assert!(of("requires: version >= 7; requires: version >= 7;").is_err());
        assert_eq!(of("content:\"requires\";"), Ok(None));
    }
}
