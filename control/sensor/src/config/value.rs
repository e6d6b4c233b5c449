//! A configuration value before its key gives it a type, and the ways to read it: strictly where
//! it came typed (TOML), by its spelling where it came as text (`--set`, Suricata's YAML).

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text whose type the key decides, from `--set` or YAML.
    Text(String),
    /// A TOML string.
    String(String),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A list.
    List(Vec<Value>),
    /// Something that no key takes, by its name: a date, a table.
    Other(&'static str),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::String(text) => {
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                write!(f, "\"{}{dots}\"", short.escape_debug())
            }
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::List(_) => f.write_str("a list"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// What is wrong with a value, in words that follow the key's name.
pub type Wrong = String;

impl Value {
    fn wrong<T>(&self, expected: impl fmt::Display) -> Result<T, Wrong> {
        Err(format!("expected {expected}, found {self}"))
    }

    /// `true` or `false`; of text also `yes`, `no`, `on`, `off`, `1` and `0`, as in Suricata.
    ///
    /// # Errors
    /// Anything else.
    pub fn boolean(&self) -> Result<bool, Wrong> {
        match self {
            Self::Boolean(value) => Ok(*value),
            Self::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => self.wrong("true or false"),
            },
            _ => self.wrong("true or false"),
        }
    }

    /// An integer within a range.
    ///
    /// # Errors
    /// Not an integer, or outside the range.
    pub fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
        let value = match self {
            Self::Integer(value) => u64::try_from(*value).ok(),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        };
        match value.filter(|value| range.contains(value)) {
            Some(value) => Ok(value),
            None => {
                self.wrong(format_args!("an integer from {} to {}", range.start(), range.end()))
            }
        }
    }

    /// [`Self::integer`], as the type that the range fits.
    ///
    /// # Errors
    /// Not an integer, or outside the range.
    pub fn number<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<T, Wrong> {
        let value = self.integer(range)?;
        T::try_from(value).or_else(|_| self.wrong("a smaller integer"))
    }

    /// A number of bytes, or one with a unit: `8kb`, `1.5 MiB`; units are powers of 1024 as in
    /// Suricata.
    ///
    /// # Errors
    /// No such size, or outside the range.
    pub fn size(&self, range: RangeInclusive<u64>) -> Result<u64, Wrong> {
        let value = match self {
            Self::Integer(value) => u64::try_from(*value).ok(),
            Self::Text(text) | Self::String(text) => parse_size(text),
            _ => None,
        };
        match value {
            Some(value) if range.contains(&value) => Ok(value),
            Some(_) => {
                self.wrong(format_args!("a size from {} to {} bytes", range.start(), range.end()))
            }
            None => self.wrong("a size such as \"8kb\" or \"1mb\", or a number of bytes"),
        }
    }

    /// A time: a number of seconds, or one with a unit (`500ms`, `1s`, `5m`, `1h`).
    ///
    /// # Errors
    /// No such time, or longer than a day.
    pub fn duration(&self) -> Result<Duration, Wrong> {
        let seconds = match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Text(text) | Self::String(text) => parse_seconds(text),
            _ => None,
        };
        match seconds.filter(|seconds| (0.0..=86_400.0).contains(seconds)) {
            Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
            None => self.wrong("a time of at most a day such as \"500ms\" or \"1s\""),
        }
    }

    /// Text that is not blank.
    ///
    /// # Errors
    /// Not text, or blank.
    pub fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Text(text) | Self::String(text) if !text.trim().is_empty() => Ok(text.trim()),
            _ => self.wrong("text"),
        }
    }

    /// One of a few words; the case of letters doesn't matter.
    ///
    /// # Errors
    /// None of them.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Wrong> {
        let text = match self {
            Self::Text(text) | Self::String(text) => text.trim(),
            Self::Boolean(true) => "yes",
            Self::Boolean(false) => "no",
            _ => "",
        };
        match choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Ok(*value),
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                self.wrong(format_args!("one of {}", names.join(", ")))
            }
        }
    }

    /// The items of a list; text is a list with commas, in brackets or not; anything else is a
    /// list of itself.
    pub fn items(&self) -> Vec<Value> {
        match self {
            Self::List(items) => items.clone(),
            Self::Text(text) => {
                let text = text.trim();
                let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                inner
                    .unwrap_or(text)
                    .split(',')
                    .map(|item| item.trim().trim_matches(['"', '\'']))
                    .filter(|item| !item.is_empty())
                    .map(|item| Self::Text(item.to_owned()))
                    .collect()
            }
            other => vec![other.clone()],
        }
    }

    /// A list of numbers in a range.
    ///
    /// # Errors
    /// An item is none.
    pub fn numbers<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<Vec<T>, Wrong> {
        self.items().iter().map(|item| item.number(range.clone())).collect()
    }

    /// A list of texts.
    ///
    /// # Errors
    /// An item is none.
    pub fn texts(&self) -> Result<Vec<String>, Wrong> {
        self.items().iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// The value of an address or port group in Suricata's notation; a list becomes one in
    /// brackets.
    ///
    /// # Errors
    /// Neither text, a port nor a list of them.
    pub fn group(&self) -> Result<String, Wrong> {
        match self {
            Self::Text(_) | Self::String(_) => self.text().map(str::to_owned),
            Self::Integer(value) if (0..=65_535).contains(value) => Ok(value.to_string()),
            Self::List(items) if !items.is_empty() => {
                // One level: a list within a list would need recursion on what the user wrote.
                let inner: Result<Vec<String>, Wrong> = items
                    .iter()
                    .map(|item| match item {
                        Self::List(_) => item.wrong("an address or port"),
                        item => item.group(),
                    })
                    .collect();
                Ok(format!("[{}]", inner?.join(",")))
            }
            _ => self.wrong("a group such as \"[10.0.0.0/8,!10.1.0.0/16]\""),
        }
    }
}

/// `8kb`, `1.5mb`, `64 MiB`, `17`.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    // Beyond 2^53 a float no longer counts bytes.
    (0.0..=9.0e15).contains(&bytes).then_some(bytes as u64)
}

/// `500ms`, `1s`, `2.5`, `5m`, `1h`.
fn parse_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn sizes_are_read_with_suricatas_units() {
        let all = 0..=u64::MAX;
        for (written, bytes) in [
            ("17", 17),
            ("8kb", 8192),
            ("1.5 mb", 1_572_864),
            ("64 MiB", 64 << 20),
            ("2GB", 2 << 30),
        ] {
            assert_eq!(text(written).size(all.clone()), Ok(bytes), "{written}");
        }
        for wrong in ["", "kb", "8 tb", "-1", "1.2.3kb", "99999999999999gb", "ten"] {
            assert!(text(wrong).size(all.clone()).is_err(), "{wrong}");
        }
        assert!(Value::Integer(-1).size(all).is_err());
        assert_eq!(
            text("9kb").size(0..=10),
            Err("expected a size from 0 to 10 bytes, found \"9kb\"".to_owned())
        );
    }

    #[test]
    fn typed_values_are_not_bent() {
        assert!(Value::String("yes".to_owned()).boolean().is_err());
        assert_eq!(text("Yes").boolean(), Ok(true));
        assert!(Value::Boolean(true).integer(0..=1).is_err());
        assert!(Value::String("5".to_owned()).integer(0..=9).is_err());
        assert_eq!(text("5").integer(0..=9), Ok(5));
        assert!(Value::Integer(10).integer(0..=9).is_err());
        assert!(Value::Integer(5).text().is_err());
    }

    #[test]
    fn times_are_read_with_units() {
        assert_eq!(text("500ms").duration(), Ok(Duration::from_millis(500)));
        assert_eq!(Value::Integer(2).duration(), Ok(Duration::from_secs(2)));
        assert_eq!(Value::String("1m".to_owned()).duration(), Ok(Duration::from_secs(60)));
        assert!(text("2 days").duration().is_err());
        assert!(Value::Float(f64::NAN).duration().is_err());
        assert!(Value::Integer(-1).duration().is_err());
    }

    #[test]
    fn lists_may_be_text() {
        assert_eq!(text("[80, '443']").numbers::<u16>(0..=65_535), Ok(vec![80, 443]));
        assert_eq!(Value::Integer(7).numbers::<u16>(0..=9), Ok(vec![7]));
        assert!(text("80,x").numbers::<u16>(0..=65_535).is_err());
        let list = Value::List(vec![Value::Integer(80), Value::String("!81".to_owned())]);
        assert_eq!(list.group(), Ok("[80,!81]".to_owned()));
        assert!(Value::List(vec![list]).group().is_err());
    }
}
