//! Why an expression is no selector, and where.

/// The first place where a text leaves the selector grammar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {column}")]
pub struct SelectorError {
    /// What was expected there and what was found, without the position.
    pub message: String,
    /// Byte offset into the text, 0-based; the text's length when it ended too early.
    pub offset: usize,
    /// The same place in characters, 1-based, as an editor counts columns.
    pub column: usize,
}

impl SelectorError {
    /// An error at byte `offset` of `text`.
    pub(super) fn at(text: &str, offset: usize, message: impl Into<String>) -> SelectorError {
        let before = text.get(..offset).unwrap_or(text);
        SelectorError { message: message.into(), offset, column: before.chars().count() + 1 }
    }
}
