//! Files that transactions carry, as rules and EVE ask for them: names, sizes, states, digests.

use md5::Digest as _;

/// Which digests of files rules ask for, and whether a request's parts are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileNeeds {
    /// `filemd5`
    pub md5: bool,
    /// `filesha1`
    pub sha1: bool,
    /// `filesha256`
    pub sha256: bool,
    /// Names, sizes or digests of what requests carry: a multipart body is taken apart.
    pub parts: bool,
}

impl FileNeeds {
    /// Is any digest asked for?
    pub fn digests(self) -> bool {
        self.md5 || self.sha1 || self.sha256
    }
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileState {
    /// More may come.
    #[default]
    Open,
    /// It is all there.
    Closed,
    /// It is over, and some of it was not looked at: it is longer than the limit, or the connection
    /// ended within.
    Truncated,
}

/// Digests of a file that is all there, those that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digests {
    /// MD5
    pub md5: Option<[u8; 16]>,
    /// SHA-1
    pub sha1: Option<[u8; 20]>,
    /// SHA-256
    pub sha256: Option<[u8; 32]>,
}

/// A file of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name, as sent.
    pub name: Option<&'a [u8]>,
    /// Bytes that have come, decoded.
    pub size: u64,
    /// How far it has come.
    pub state: FileState,
    /// Bytes are missing.
    pub gaps: bool,
    /// Digests, once it is closed.
    pub digests: Digests,
}

/// Digests in the making.
#[derive(Debug, Default)]
pub(crate) struct Hasher {
    md5: Option<md5::Md5>,
    sha1: Option<sha1::Sha1>,
    sha256: Option<sha2::Sha256>,
}

impl Hasher {
    pub(crate) fn new(needs: FileNeeds) -> Self {
        Self {
            md5: needs.md5.then(Default::default),
            sha1: needs.sha1.then(Default::default),
            sha256: needs.sha256.then(Default::default),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha1) = &mut self.sha1 {
            sha1.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> Digests {
        Digests {
            md5: self.md5.map(|hash| hash.finalize().into()),
            sha1: self.sha1.map(|hash| hash.finalize().into()),
            sha256: self.sha256.map(|hash| hash.finalize().into()),
        }
    }
}
