//! Every keyword of Suricata 7.0.10: what it means, and whether it is evaluated.

use super::keywords;

/// Names and meanings, a tab between them.
const KNOWN: &str = include_str!("known.txt");

/// A keyword of Suricata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKeyword {
    /// Its name, in lower case.
    pub name: &'static str,
    /// What it means, in a few words.
    pub about: &'static str,
    /// Why rules with it are refused; None: it is evaluated.
    pub refusal: Option<String>,
}

/// The keywords that Suricata 7.0.10 lists, in its order.
pub fn known_keywords() -> impl Iterator<Item = KnownKeyword> {
    KNOWN.lines().filter_map(|line| line.split_once('\t')).map(|(name, about)| KnownKeyword {
        name,
        about,
        refusal: keywords::find(name).err(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Context, Names, parse_rules};

    /// The reason why a rule with nothing but a keyword is refused for that keyword.
    fn refusal(name: &str) -> Option<(Option<String>, String)> {
        let rule = format!("alert tcp any any -> any any ({name}; sid:1;)");
        let parsed =
            parse_rules("test.rules", rule.as_bytes(), &Context::default(), &mut Names::default());
        parsed.rejections.into_iter().next().map(|r| (r.keyword, r.reason))
    }

    #[test]
    fn what_is_told_of_a_keyword_is_what_the_parser_does() {
        let mut seen = std::collections::BTreeSet::new();
        for keyword in known_keywords() {
            assert!(seen.insert(keyword.name), "{} stands twice", keyword.name);
            assert!(!keyword.about.is_empty(), "{}", keyword.name);
            let found = refusal(keyword.name);
            match keyword.refusal {
                Some(reason) => {
                    assert!(reason.contains("is not evaluated"), "{reason}");
                    assert_eq!(found, Some((Some(keyword.name.to_owned()), reason)));
                }
                // It may want a value or a buffer, but it is known.
                None => {
                    let reason = found.map(|(_, reason)| reason).unwrap_or_default();
                    let unknown =
                        reason.contains("not evaluated") || reason.contains("unknown keyword");
                    assert!(!unknown, "{}: {reason}", keyword.name);
                }
            }
        }
        assert_eq!(seen.len(), 279);
    }
}
