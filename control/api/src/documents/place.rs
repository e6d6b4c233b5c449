//! Where in the user's files something was read, and what is wrong with it.

use std::fmt;
use std::sync::Arc;

/// A document, or an item of a `List`, in a named text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text's name, usually a file's path.
    pub source: Arc<str>,
    /// Which document of the text, 1-based.
    pub document: usize,
    /// Which item of the `List` that the document is, 1-based.
    pub item: Option<usize>,
    /// The line where it begins, or where the error is, 1-based.
    pub line: usize,
    /// The column of an error in the syntax, 1-based.
    pub column: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)?;
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        write!(f, " (document {}", self.document)?;
        if let Some(item) = self.item {
            write!(f, ", item {item}")?;
        }
        f.write_str(")")
    }
}

/// What is wrong with a document, or with a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of fault it is.
    pub kind: ProblemKind,
    /// Where; absent for objects that came from an API server.
    pub place: Option<Place>,
    /// Kind, namespace and name of the resource, as far as they are known; may be empty.
    pub resource: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Sorts of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// Neither YAML nor JSON, or beyond the limits: the document is not loaded.
    Syntax,
    /// A resource of another kind: not loaded.
    Kind,
    /// A kind that Pollux reads, of another API group or version: not loaded.
    ApiVersion,
    /// A missing or invalid name or namespace: not loaded.
    Name,
    /// A field of the wrong type: not loaded, unless it is in the status.
    Field,
    /// A field that the resource does not have, perhaps misspelt: loaded without it.
    UnknownField,
    /// A resource of that kind, namespace and name was read before: the later one is ignored.
    Duplicate,
    /// An address that cannot be a pod's: the endpoint is used without it.
    Address,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, message: impl Into<String>) -> Problem {
        Problem { kind, place: None, resource: String::new(), message: message.into() }
    }

    pub(super) fn at(self, place: &Place) -> Problem {
        Problem { place: Some(place.clone()), ..self }
    }

    pub(crate) fn of(self, resource: impl Into<String>) -> Problem {
        Problem { resource: resource.into(), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.resource.is_empty() {
            write!(f, "{}: ", self.resource)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
