//! Why a rule was not loaded, and where in its file the reason stands.

use std::fmt;

use crate::signature::Origin;

/// A rule that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// File, and the line that the reason stands on.
    pub origin: Origin,
    /// 1-based column in characters.
    pub column: u32,
    /// Column behind the last character concerned, where that is on the same line.
    pub end_column: Option<u32>,
    /// The rule's sid, where it has one that can be read.
    pub sid: Option<u32>,
    /// The keyword concerned, as written.
    pub keyword: Option<String>,
    /// What is wrong, in words for the rule's author.
    pub reason: String,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { file, line } = &self.origin;
        write!(f, "{file}:{line}:{}: {}", self.column, self.reason)
    }
}

impl std::error::Error for Rejection {}

/// What is wrong in a rule, by offsets into its joined text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// First byte.
    pub(crate) start: usize,
    /// Behind the last byte.
    pub(crate) end: usize,
    /// The keyword concerned.
    pub(crate) keyword: Option<String>,
    /// The reason.
    pub(crate) reason: String,
}

impl Fault {
    /// One that concerns a stretch of the rule rather than a keyword.
    pub(crate) fn at(start: usize, end: usize, reason: impl Into<String>) -> Self {
        Self { start, end, keyword: None, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_prints_its_place_first() {
        let rejection = Rejection {
            origin: Origin { file: "a.rules".into(), line: 7 },
            column: 12,
            end_column: None,
            sid: Some(3),
            keyword: Some("foo".to_owned()),
            reason: "unknown keyword".to_owned(),
        };
        assert_eq!(rejection.to_string(), "a.rules:7:12: unknown keyword");
    }
}
