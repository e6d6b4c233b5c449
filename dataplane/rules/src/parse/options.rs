//! The options between a rule's parentheses: `keyword;` and `keyword:value;`, in order.

use super::rejection::Fault;
use super::text::{shown, text};

/// One option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawOption<'t> {
    /// The keyword as written.
    pub(crate) keyword: &'t [u8],
    /// What stands behind the colon, trimmed; None without a colon or with nothing behind it.
    pub(crate) value: Option<&'t [u8]>,
    /// First byte of the keyword in the rule.
    pub(crate) start: usize,
    /// Behind the last byte of the value.
    pub(crate) end: usize,
}

/// Goes through a rule's options.
#[derive(Debug)]
pub(crate) struct Options<'t> {
    rule: &'t [u8],
    at: usize,
    end: usize,
}

impl<'t> Options<'t> {
    /// Of a rule whose options open at `open`.
    pub(crate) fn new(rule: &'t [u8], open: usize) -> Result<Self, Fault> {
        match rule.split_last() {
            Some((b')', _)) if open + 1 < rule.len() => {
                Ok(Self { rule, at: open + 1, end: rule.len() - 1 })
            }
            _ => {
                let reason = match rule.iter().rposition(|&b| b == b')') {
                    Some(_) => "there is text behind the closing parenthesis",
                    None => "the closing parenthesis is missing",
                };
                Err(Fault::at(rule.len().saturating_sub(1), rule.len(), reason))
            }
        }
    }
}

impl<'t> Iterator for Options<'t> {
    type Item = Result<RawOption<'t>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rule.get(self.at..self.end)?;
        let trimmed = rest.trim_ascii_start();
        let start = self.at + (rest.len() - trimmed.len());
        if trimmed.is_empty() {
            self.at = self.end + 1;
            return None;
        }
        // A semicolon ends the option unless a backslash stands before it, in quotes or not.
        let mut before = 0;
        let length = trimmed.iter().position(|&byte| {
            let ends = byte == b';' && before != b'\\';
            before = byte;
            ends
        });
        let Some(length) = length else {
            self.at = self.end + 1;
            let reason = "the semicolon behind the last option is missing";
            return Some(Err(Fault::at(start, self.end, reason)));
        };
        self.at = start + length + 1;
        let option = trimmed.get(..length).unwrap_or(&[]).trim_ascii_end();
        let end = start + option.len();
        let (keyword, value) = match option.iter().position(|&b| b == b':') {
            Some(colon) => {
                let (keyword, value) = option.split_at(colon);
                (keyword, value.get(1..).unwrap_or(&[]).trim_ascii())
            }
            None => (option, &[][..]),
        };
        let keyword = keyword.trim_ascii_end();
        if keyword.is_empty() {
            return Some(Err(Fault::at(start, end.max(start + 1), "an option without a keyword")));
        }
        let value = Some(value).filter(|value| !value.is_empty());
        Some(Ok(RawOption { keyword, value, start, end }))
    }
}

/// What may stand behind a keyword's colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing.
    Nothing,
    /// A value without quotes.
    Plain,
    /// Nothing, or a value without quotes.
    MaybePlain,
    /// A value with or without quotes.
    MaybeQuoted,
    /// A value in quotes.
    Quoted,
    /// A value in quotes, perhaps with `!` before it.
    QuotedOrNegated,
    /// A value with or without quotes, perhaps with `!` before it.
    MaybeQuotedOrNegated,
}

/// A value without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'t> {
    /// What is between the quotes, or the value where there are none. Escapes are kept.
    pub(crate) bytes: &'t [u8],
    /// `!` stood before it.
    pub(crate) negated: bool,
}

/// Takes the quotes off a value, where the keyword may have them.
pub(crate) fn value<'t>(option: &RawOption<'t>, takes: Takes) -> Result<Value<'t>, String> {
    let missing = || Err("a value is missing".to_owned());
    let Some(value) = option.value else {
        return match takes {
            Takes::Nothing | Takes::MaybePlain => Ok(Value { bytes: &[], negated: false }),
            _ => missing(),
        };
    };
    if takes == Takes::Nothing {
        return Err("the keyword takes no value".to_owned());
    }
    let (may_negate, quotes) = match takes {
        Takes::Nothing | Takes::Plain | Takes::MaybePlain => (false, Some(false)),
        Takes::MaybeQuoted => (false, None),
        Takes::Quoted => (false, Some(true)),
        Takes::QuotedOrNegated => (true, Some(true)),
        Takes::MaybeQuotedOrNegated => (true, None),
    };
    let (negated, bytes) = match value.strip_prefix(b"!") {
        Some(rest) if may_negate => (true, rest.trim_ascii_start()),
        _ => (false, value),
    };
    let Some(inner) = bytes.strip_prefix(b"\"") else {
        return match quotes {
            Some(true) => Err("the value must stand in double quotes".to_owned()),
            _ if bytes.is_empty() => missing(),
            _ => Ok(Value { bytes, negated }),
        };
    };
    if quotes == Some(false) {
        return Err("the keyword takes no quotes".to_owned());
    }
    match inner.strip_suffix(b"\"") {
        Some([]) => Err("the value is empty".to_owned()),
        Some(bytes) => Ok(Value { bytes, negated }),
        None => Err(format!(
            "the closing quote is missing in `{}`: is a `;` within not escaped, or one behind it missing?",
            shown(&text(bytes))
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rule: &str) -> Result<Vec<(String, Option<String>)>, Fault> {
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Options::new(rule.as_bytes(), 0)?
            .map(|option| option.map(|o| (owned(o.keyword), o.value.map(owned))))
            .collect()
    }

    fn pair(keyword: &str, value: Option<&str>) -> (String, Option<String>) {
        (keyword.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn options_come_in_order_with_trimmed_values() {
        let options = all(r#"( msg : "a:b\;)" ;nocase; content:!"x" ; offset: ; sid:1;)"#);
        assert_eq!(
            options,
            Ok(vec![
                pair("msg", Some(r#""a:b\;)""#)),
                pair("nocase", None),
                pair("content", Some(r#"!"x""#)),
                pair("offset", None),
                pair("sid", Some("1")),
            ])
        );
        assert_eq!(all("()"), Ok(vec![]));
    }

    #[test]
    fn broken_options_are_faults_with_a_place() {
        assert!(all("(sid:1)").is_err_and(|f| f.reason.contains("semicolon")));
        assert!(all("(sid:1;").is_err_and(|f| f.reason.contains("missing")));
        assert!(all("(sid:1;) x").is_err_and(|f| f.reason.contains("behind")));
        assert!(all("(sid:1;; rev:1;)").is_err_and(|f| (f.start, f.end) == (7, 8)));
        assert!(all("(").is_err());
        assert!(all("(:x;)").is_err());
    }

    #[test]
    fn quotes_are_taken_off_where_allowed() {
        let of = |text: &'static str, takes| {
            let option =
                RawOption { keyword: b"k", value: Some(text.as_bytes()), start: 0, end: 0 };
            value(&option, takes)
                .map(|v| (String::from_utf8_lossy(v.bytes).into_owned(), v.negated))
        };
        let ok = |text: &str, negated| Ok((text.to_owned(), negated));
        assert_eq!(of(r#""a""#, Takes::Quoted), ok("a", false));
        assert_eq!(of(r#"! "a""#, Takes::QuotedOrNegated), ok("a", true));
        assert_eq!(of("a", Takes::MaybeQuoted), ok("a", false));
        assert_eq!(of("!a", Takes::Plain), ok("!a", false));
        for (text, takes) in [
            (r#"!"a""#, Takes::Quoted),
            ("a", Takes::Quoted),
            (r#""a"x"#, Takes::Quoted),
            (r#""""#, Takes::Quoted),
            (r#"""#, Takes::Quoted),
            (r#""a""#, Takes::Plain),
            ("a", Takes::Nothing),
            ("!", Takes::MaybeQuotedOrNegated),
        ] {
            assert!(of(text, takes).is_err(), "{text}");
        }
    }
}
