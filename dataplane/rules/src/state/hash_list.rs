//! Lists of digests in files that rules name: `filemd5`, `filesha1`, `filesha256`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

/// Digests of one list.
const MOST_DIGESTS: usize = 4 << 20;
/// The longest line of a file: a digest and what is said of it.
const LONGEST_LINE: u64 = 4096;

/// How digests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashKind {
    /// MD5
    Md5,
    /// SHA-1
    Sha1,
    /// SHA-256
    Sha256,
}

impl HashKind {
    /// Bytes of a digest.
    pub const fn width(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// A list of digests of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HashList {
    kind: HashKind,
    /// Sorted, behind shorter ones zeros.
    digests: Vec<[u8; 32]>,
}

impl HashList {
    /// Reads a file: a digest in hexadecimal at the beginning of each line, whatever stands behind it;
    /// lines that are empty or begin with `#` say nothing.
    ///
    /// # Errors
    /// The file and line that cannot be read.
    pub(crate) fn read(kind: HashKind, path: &Path) -> Result<Self, String> {
        let told = |e: std::io::Error| format!("{}: {e}", path.display());
        let mut file = BufReader::new(File::open(path).map_err(told)?);
        let mut digests = Vec::new();
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            let taken = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
            if taken.map_err(told)? == 0 {
                break;
            }
            let at = |reason: &str| format!("{}:{number}: {reason}", path.display());
            if line.last() != Some(&b'\n') && line.len() as u64 == LONGEST_LINE {
                return Err(at("the line is too long"));
            }
            let text = line.trim_ascii();
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            if digests.len() >= MOST_DIGESTS {
                return Err(at(&format!("a list has {MOST_DIGESTS} digests at most")));
            }
            let wanted = kind.width() * 2;
            let digest = text.get(..wanted).and_then(parse).filter(|_| {
                // what is longer is another kind's
                text.get(wanted).is_none_or(|b| !b.is_ascii_alphanumeric())
            });
            let reason = || at(&format!("no digest of {wanted} hexadecimal digits"));
            digests.push(digest.ok_or_else(reason)?);
        }
        digests.sort_unstable();
        digests.dedup();
        Ok(Self { kind, digests })
    }

    /// How its digests are made.
    pub fn kind(&self) -> HashKind {
        self.kind
    }

    /// Is this digest in it?
    pub fn contains(&self, digest: &[u8]) -> bool {
        let mut padded = [0; 32];
        let Some(place) = padded.get_mut(..digest.len()) else { return false };
        place.copy_from_slice(digest);
        digest.len() == self.kind.width() && self.digests.binary_search(&padded).is_ok()
    }
}

/// Hexadecimal digits, at most 64.
fn parse(text: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    for (byte, pair) in digest.iter_mut().zip(text.chunks(2)) {
        let &[high, low] = pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: HashKind, text: &str) -> Result<HashList, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list");
        std::fs::write(&path, text).expect("written");
        HashList::read(kind, &path)
    }

    #[test]
    fn a_line_begins_with_its_digest() {
        let text = "# some\n\n900150983CD24FB0D6963F7D28E17F72  abc.txt\r\n\
                    d41d8cd98f00b204e9800998ecf8427e";
        let list = read(HashKind::Md5, text).expect("a list");
        let mut abc = [0x90, 1, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28];
        assert!(!list.contains(&abc));
        let whole = [&abc[..], &[0xe1, 0x7f, 0x72]].concat();
        assert!(list.contains(&whole));
        abc[0] = 0;
        assert!(!list.contains(&[&abc[..], &[0xe1, 0x7f, 0x72]].concat()));
        assert!(!list.contains(&[&whole[..], &[0; 4]].concat()), "another kind");
    }

    #[test]
    fn a_line_without_a_digest_is_told() {
        for (kind, text) in [
            (HashKind::Md5, "# x\nnonsense\n"),
            (HashKind::Sha1, "#\n900150983cd24fb0d6963f7d28e17f72\n"),
            (HashKind::Md5, "#\na9993e364706816aba3e25717850c26c9cd0d89d\n"),
        ] {
            let error = read(kind, text).expect_err(text);
            assert!(error.contains("list:2: no digest of "), "{error}");
        }
        let long = format!("{:4096}", "d41d8cd98f00b204e9800998ecf8427e");
        assert!(read(HashKind::Md5, &long).is_err_and(|error| error.contains("too long")));
        assert!(HashList::read(HashKind::Md5, Path::new("/nowhere")).is_err());
    }
}
