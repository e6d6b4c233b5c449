//! Calico's selector language: an expression over labels that picks endpoints.
//! Parsed once into flat arrays, so that no step recurses however deeply the text is nested.
//!
//! Grammar and canonical text follow Calico's own parser (`libcalico-go/lib/selector`):
//! ```text
//! selector := ws [ or ] ws EOF                    empty means all()
//! or    := and ( "||" and )*
//! and   := op  ( "&&" op )*
//! op    := "!"* ( "(" or ")" | "has(" ident ")" | "all()" | "global()" | ident match )
//! match := ( "==" | "!=" | "contains" | "starts with" | "ends with" ) string
//!        | ( "in" | "not in" ) "{" [ string ( "," string )* [ "," ] ] "}"
//! ```

mod canonical;
mod cursor;
mod error;
mod filter;
mod labels;
mod need;
mod parse;
mod program;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha224};

pub use error::SelectorError;
pub use filter::answer_line;
pub use labels::Labels;
pub use need::Need;

use program::Program;

/// The longest label name that an expression may use, in bytes (Calico's `LabelKeyMatcher`).
pub const MAX_LABEL_NAME: usize = 512;

/// A parsed selector: cheap to evaluate, never recursive.
///
/// Memory is proportional to the text it was parsed from; the text itself is kept, and labels
/// and values are spans of it.
#[derive(Debug, Clone)]
pub struct Selector {
    program: Program,
}

impl Selector {
    /// Parses an expression. Empty or blank text means `all()`.
    ///
    /// # Errors
    /// The first place where the text leaves the grammar, with its byte offset and its column.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        parse::parse(text).map(|program| Selector { program })
    }

    /// Whether labels match, with `global()` true: what Calico's own parser answers when asked
    /// about a bare set of labels, and what `pollux selector` shows.
    pub fn matches(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.program.evaluate(labels, true)
    }

    /// Whether the labels of a namespaced endpoint match, with `global()` false: the reading
    /// that a DeepPacketInspection needs, since it never reaches outside its namespace.
    pub fn matches_namespaced(&self, labels: &(impl Labels + ?Sized)) -> bool {
        self.program.evaluate(labels, false)
    }

    /// The canonical text: one spelling for all expressions that parse alike. It parses again,
    /// to the same meaning.
    pub fn canonical(&self) -> String {
        canonical::text(&self.program)
    }

    /// What the labels of a namespaced endpoint must at least be for it to match: by this an index
    /// finds the endpoints worth asking.
    pub fn need(&self) -> Need<'_> {
        self.program.need()
    }

    /// Calico's unique id of the expression: `s:` and the unpadded URL-safe base64 of SHA-224
    /// over `s:` and the canonical text.
    pub fn uid(&self) -> String {
        let mut hash = Sha224::new();
        hash.update(b"s:");
        hash.update(self.canonical().as_bytes());
        format!("s:{}", URL_SAFE_NO_PAD.encode(hash.finalize()))
    }
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Selector::parse(text)
    }
}
