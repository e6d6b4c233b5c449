//! What is done to a buffer before it is tested.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// One step between a buffer and the tests on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transform {
    /// `dotprefix`: a dot is put before it.
    DotPrefix,
    /// `strip_whitespace`: blanks, tabs and line ends are left out.
    StripWhitespace,
    /// `compress_whitespace`: of several blanks, tabs and line ends in a row the first is kept.
    CompressWhitespace,
    /// `strip_pseudo_headers`: lines that begin with a colon are left out.
    StripPseudoHeaders,
    /// `header_lowercase`: names before a line's colon are in lower case.
    HeaderLowercase,
    /// `to_lowercase`
    ToLowercase,
    /// `to_uppercase`
    ToUppercase,
    /// `to_md5`: the 16 bytes of the digest.
    ToMd5,
    /// `to_sha1`: the 20 bytes of the digest.
    ToSha1,
    /// `to_sha256`: the 32 bytes of the digest.
    ToSha256,
    /// `url_decode`: `%41` and `+`.
    UrlDecode,
    /// `xor`: with these bytes, again and again.
    Xor(Arc<[u8]>),
    /// `pcrexform`: what the expression's one group holds, where it matches.
    Pcre(PcreTransform),
}

/// An expression whose group takes the buffer's place; equal where its text is.
#[derive(Debug, Clone)]
pub struct PcreTransform {
    /// As written.
    pub source: Arc<str>,
    /// Compiled; it has exactly one group.
    pub regex: Arc<pcre2::Regex>,
}

impl PartialEq for PcreTransform {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for PcreTransform {}

impl Hash for PcreTransform {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl PartialOrd for PcreTransform {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PcreTransform {
    fn cmp(&self, other: &Self) -> Ordering {
        self.source.cmp(&other.source)
    }
}
