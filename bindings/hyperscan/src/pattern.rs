//! One [`Pattern`]: what to look for, under which id to report it, and within
//! which offsets; and its translation to Hyperscan's syntax.

use std::ffi::CString;

use crate::{cost, raw};

/// A literal or an expression to look for, reported under its `id`.
///
/// Several patterns may share an id if they agree on `single_match`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The literal's bytes, any of the 256 values; or the expression's source, without
    /// delimiters and without NUL bytes (write `\x00`).
    pub bytes: Vec<u8>,
    /// The number that a match is reported under.
    pub id: u32,
    /// ASCII letters match in either case.
    pub nocase: bool,
    /// Report only matches that *end* at this offset or later; the end is the offset after
    /// the last matched byte.
    pub min_offset: Option<u64>,
    /// Report only matches that *end* at this offset or earlier. Shorter than the pattern,
    /// it is a compile error, as the pattern could never match.
    pub max_offset: Option<u64>,
    /// Report the id once per scan, with its first end offset. On by default: a short
    /// pattern in hostile data would otherwise report at every byte.
    pub single_match: bool,
    /// Literal or expression.
    pub kind: PatternKind,
}

/// How a pattern's bytes are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PatternKind {
    /// Byte for byte.
    Literal,
    /// An expression in the subset of PCRE that Hyperscan knows, over bytes (never UTF-8).
    Regex(RegexFlags),
}

/// The modes of an expression; all off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RegexFlags {
    /// `.` matches newlines too.
    pub dotall: bool,
    /// `^` and `$` match at newlines too.
    pub multiline: bool,
    /// What Hyperscan cannot express (lookaround, back references …) is widened: every true
    /// match is reported, and some that must be confirmed by another matcher.
    pub prefilter: bool,
    /// Accept an expression that matches the empty string, such as `.*`; it is an error
    /// otherwise.
    pub allow_empty: bool,
}

impl Pattern {
    /// A literal, case-sensitive, anywhere, reported once per scan.
    pub fn literal(id: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(id, bytes.into(), PatternKind::Literal)
    }

    /// An expression, case-sensitive, anywhere, reported once per scan.
    pub fn regex(id: u32, source: impl Into<Vec<u8>>, flags: RegexFlags) -> Self {
        Self::new(id, source.into(), PatternKind::Regex(flags))
    }

    fn new(id: u32, bytes: Vec<u8>, kind: PatternKind) -> Self {
        Self {
            bytes,
            id,
            nocase: false,
            min_offset: None,
            max_offset: None,
            single_match: true,
            kind,
        }
    }

    /// Sets [`nocase`](Self::nocase).
    #[must_use]
    pub fn nocase(mut self, nocase: bool) -> Self {
        self.nocase = nocase;
        self
    }

    /// Sets [`min_offset`](Self::min_offset) and [`max_offset`](Self::max_offset).
    #[must_use]
    pub fn offsets(mut self, min: Option<u64>, max: Option<u64>) -> Self {
        self.min_offset = min;
        self.max_offset = max;
        self
    }

    /// Sets [`single_match`](Self::single_match).
    #[must_use]
    pub fn single_match(mut self, single_match: bool) -> Self {
        self.single_match = single_match;
        self
    }

    /// The pattern in Hyperscan's syntax.
    pub(crate) fn expression(&self) -> Result<CString, &'static str> {
        match self.kind {
            PatternKind::Literal => Ok(escape(&self.bytes)),
            // A leading verb such as (*UTF8) would switch the expression to a mode whose
            // behaviour over arbitrary bytes Hyperscan leaves undefined.
            PatternKind::Regex(_) if self.bytes.starts_with(b"(*") => {
                Err("control verbs such as (*UTF8) are not supported")
            }
            PatternKind::Regex(_) => {
                cost::check(&self.bytes)?;
                CString::new(self.bytes.as_slice())
                    .map_err(|_| "the expression contains a NUL byte: write \\x00")
            }
        }
    }

    /// The pattern's `HS_FLAG_*`.
    pub(crate) fn flags(&self) -> u32 {
        let regex = match self.kind {
            PatternKind::Literal => RegexFlags::default(),
            PatternKind::Regex(flags) => flags,
        };
        [
            (self.nocase, raw::HS_FLAG_CASELESS),
            (self.single_match, raw::HS_FLAG_SINGLEMATCH),
            (regex.dotall, raw::HS_FLAG_DOTALL),
            (regex.multiline, raw::HS_FLAG_MULTILINE),
            (regex.prefilter, raw::HS_FLAG_PREFILTER),
            (regex.allow_empty, raw::HS_FLAG_ALLOWEMPTY),
        ]
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .fold(0, |all, flag| all | flag)
    }

    /// The pattern's extended parameters.
    pub(crate) fn extended(&self) -> raw::hs_expr_ext {
        let min = self.min_offset.map_or(0, |_| u64::from(raw::HS_EXT_FLAG_MIN_OFFSET));
        let max = self.max_offset.map_or(0, |_| u64::from(raw::HS_EXT_FLAG_MAX_OFFSET));
        raw::hs_expr_ext {
            flags: min | max,
            min_offset: self.min_offset.unwrap_or(0),
            max_offset: self.max_offset.unwrap_or(0),
            min_length: 0,
            edit_distance: 0,
            hamming_distance: 0,
        }
    }
}

/// Writes every byte as `\xHH`: no byte keeps a meaning in the expression syntax, and a
/// NUL does not end it. As fast as the literal interface, which refuses leading NULs in
/// newer libraries.
fn escape(literal: &[u8]) -> CString {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let escaped: Vec<u8> = literal
        .iter()
        .flat_map(|&byte| [b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]])
        .collect();
    // Only `\`, `x` and hexadecimal digits were written, so there is no NUL to refuse.
    CString::new(escaped).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_literal_is_escaped() {
        let pattern = Pattern::literal(0, b"\0.a\xff".as_slice());
        assert_eq!(pattern.expression().unwrap().as_bytes(), br"\x00\x2e\x61\xff");
    }

    #[test]
    fn an_expression_is_passed_on_as_it_is() {
        let pattern = Pattern::regex(0, "a.*b", RegexFlags::default());
        assert_eq!(pattern.expression().unwrap().as_bytes(), b"a.*b");
    }

    #[test]
    fn expressions_with_nul_or_verbs_are_refused() {
        let nul = Pattern::regex(0, b"a\0b".as_slice(), RegexFlags::default());
        let verb = Pattern::regex(0, "(*UTF8)a", RegexFlags::default());
        assert!(nul.expression().is_err());
        assert!(verb.expression().is_err());
    }

    #[test]
    fn only_the_given_offsets_are_flagged() {
        let pattern = Pattern::literal(0, "abc");
        assert_eq!(pattern.extended().flags, 0);
        let pattern = pattern.offsets(None, Some(9));
        assert_eq!(pattern.extended().flags, u64::from(raw::HS_EXT_FLAG_MAX_OFFSET));
        assert_eq!(pattern.extended().max_offset, 9);
    }
}
