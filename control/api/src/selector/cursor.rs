//! A place in the text of a selector, and the words that can be read there.
//! Keywords depend on context, so the parser asks for what it needs; nothing is tokenised ahead.

use super::MAX_LABEL_NAME;
use super::error::SelectorError;
use super::program::Span;

/// How much of the text a message quotes, in characters.
const QUOTED: usize = 24;

/// Reads forward only; always stands on a character's first byte.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn text(&self, span: Span) -> &'a str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Space and TAB are the only white space of the language.
    pub(super) fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Reads `expected`, which is ASCII, if it stands right here.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    fn take_while(&mut self, of: impl Fn(u8) -> bool) -> Option<Span> {
        let length = self.rest().bytes().take_while(|&byte| of(byte)).count();
        let start = self.at;
        self.at += length;
        (length > 0).then_some(Span { start: start as u32, end: self.at as u32 })
    }

    /// A label's name, if one begins here.
    pub(super) fn identifier(&mut self) -> Result<Option<Span>, SelectorError> {
        let start = self.at;
        let span = self.take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-')
        });
        let length = self.at - start;
        if length > MAX_LABEL_NAME {
            let message =
                format!("label name of {length} characters, at most {MAX_LABEL_NAME} are allowed");
            return Err(self.error_at(start, message));
        }
        Ok(span)
    }

    /// A word operator or a part of one: letters, digits and `_` up to the next word boundary.
    pub(super) fn word(&mut self) -> &'a str {
        let span = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        self.text(span.unwrap_or(Span::EMPTY))
    }

    /// A string in either kind of quotes, without them, if one begins here.
    pub(super) fn string(&mut self) -> Result<Option<Span>, SelectorError> {
        let start = self.at;
        let quote = match self.rest().as_bytes().first() {
            Some(b'"') => '"',
            Some(b'\'') => '\'',
            _ => return Ok(None),
        };
        let inside = start + 1;
        match self.text.get(inside..).unwrap_or_default().find(quote) {
            Some(length) => {
                self.at = inside + length + 1;
                Ok(Some(Span { start: inside as u32, end: (inside + length) as u32 }))
            }
            None => {
                let message = format!("unterminated string: no closing {quote} follows");
                Err(self.error_at(start, message))
            }
        }
    }

    pub(super) fn error_at(&self, offset: usize, message: impl Into<String>) -> SelectorError {
        SelectorError::at(self.text, offset, message)
    }

    /// An error right here: `expected`, and what stands here instead.
    pub(super) fn expected(&self, expected: impl std::fmt::Display) -> SelectorError {
        self.error_at(self.at, format!("expected {expected}, found {}", self.found()))
    }

    /// What stands here, shortened, for a message.
    pub(super) fn found(&self) -> String {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return "the end".to_owned() };
        match first {
            '\n' | '\r' => {
                return "a line break (only spaces and tabs may separate; in YAML write the \
                        selector in quotes or as a >- block)"
                    .to_owned();
            }
            '\u{a0}' => return "a no-break space (only spaces and tabs may separate)".to_owned(),
            _ => {}
        }
        if first.is_control() || !first.is_ascii() {
            return format!("'{}'", first.escape_debug());
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
        let length = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
            '&' | '|' | '=' => rest.bytes().take_while(|&b| b == first as u8).count().min(2),
            '!' if rest.starts_with("!=") => 2,
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => 1,
        };
        let whole = &rest[..length];
        let mut shown: String = whole.chars().take(QUOTED).collect();
        if shown.len() < whole.len() {
            shown.push('…');
        }
        format!("`{}`", shown.escape_debug())
    }
}
