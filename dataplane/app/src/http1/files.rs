//! The files of a message where rules ask for more of them than a body's bytes: digests, and the parts
//! of a multipart request (RFC 7578), each with its name.

use memchr::memmem;

use super::fields::{split_field, value_param};
use crate::file::{Digests, File, FileNeeds, FileState, Hasher};

/// Most files of a message; parts beyond are passed over.
pub(super) const MOST_FILES: usize = 64;
/// Longest boundary; with a longer one a body is taken for one file.
const LONGEST_BOUNDARY: usize = 200;
/// Longest header of a part; a part with a longer one is no file.
const LONGEST_HEADER: usize = 4096;

/// The files of one message.
#[derive(Debug)]
pub(super) struct Files {
    needs: FileNeeds,
    parts: Option<Box<Parts>>,
    list: Vec<Kept>,
    ended: bool,
}

/// A file as it is kept.
#[derive(Debug, Default)]
struct Kept {
    /// Of a part; a body's is told by its header.
    name: Vec<u8>,
    size: u64,
    state: FileState,
    gaps: bool,
    hasher: Option<Box<Hasher>>,
    digests: Digests,
}

impl Kept {
    fn new(name: &[u8], needs: FileNeeds) -> Self {
        let hasher = needs.digests().then(|| Box::new(Hasher::new(needs)));
        Self { name: name.to_vec(), hasher, ..Self::default() }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    fn end(&mut self, state: FileState) {
        if self.state != FileState::Open {
            return;
        }
        self.state = state;
        if let Some(hasher) = self.hasher.take()
            && state == FileState::Closed
            && !self.gaps
        {
            self.digests = hasher.finish();
        }
    }
}

/// A multipart body while it is read.
#[derive(Debug)]
struct Parts {
    /// What stands before each part: CRLF, two dashes, the boundary.
    delimiter: Vec<u8>,
    /// What has come and is not decided yet: less than a delimiter, or a header.
    pending: Vec<u8>,
    at: At,
}

/// Where in a multipart body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first part, or in one that is no file.
    Between,
    /// Right behind a boundary.
    Boundary,
    Header,
    File,
    Ended,
}

impl Files {
    /// For a message; with the Content-Type of a request whose parts are to be told apart.
    pub(super) fn new(needs: FileNeeds, content_type: Option<&[u8]>) -> Self {
        let parts = content_type.and_then(boundary).map(|boundary| {
            let delimiter = [b"\r\n--", boundary].concat();
            // the first one may stand at the very beginning
            Box::new(Parts { delimiter, pending: b"\r\n".to_vec(), at: At::Between })
        });
        let list = if parts.is_some() { Vec::new() } else { vec![Kept::new(b"", needs)] };
        Self { needs, parts, list, ended: false }
    }

    /// Whether it is of parts.
    pub(super) fn is_multipart(&self) -> bool {
        self.parts.is_some()
    }

    /// Takes decoded bytes of the body.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Some(mut parts) = self.parts.take() else {
            if let Some(file) = self.list.first_mut() {
                file.push(bytes);
            }
            return;
        };
        parts.feed(bytes, &mut self.list, self.needs);
        self.parts = Some(parts);
    }

    /// Bytes are missing: of parts nothing more is known.
    pub(super) fn gap(&mut self) {
        if let Some(file) = self.list.last_mut().filter(|file| file.state == FileState::Open) {
            file.gaps = true;
            file.hasher = None;
        }
        if let Some(parts) = &mut self.parts {
            parts.at = At::Ended;
            parts.pending = Vec::new();
        }
    }

    /// Nothing more comes. `cut`: not all of the body was looked at.
    pub(super) fn end(&mut self, cut: bool) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        // a part without a boundary behind it is not whole
        let cut = cut || self.parts.as_ref().is_some_and(|parts| parts.at == At::File);
        let state = if cut { FileState::Truncated } else { FileState::Closed };
        if let Some(file) = self.list.last_mut() {
            file.end(state);
        }
        if let Some(parts) = &mut self.parts {
            parts.pending = Vec::new();
        }
    }

    /// A file; `name` is that of a body.
    pub(super) fn get<'a>(&'a self, index: usize, name: Option<&'a [u8]>) -> Option<File<'a>> {
        let kept = self.list.get(index)?;
        let name = if self.is_multipart() { Some(&kept.name[..]) } else { name };
        let Kept { size, state, gaps, digests, .. } = *kept;
        Some(File { name, size, state, gaps, digests })
    }

    pub(super) fn kept(&self) -> usize {
        let files = self.list.iter().map(|file| {
            file.name.capacity() + file.hasher.as_ref().map_or(0, |_| size_of::<Hasher>())
        });
        let parts = self.parts.as_ref().map_or(0, |parts| {
            size_of::<Parts>() + parts.pending.capacity() + parts.delimiter.capacity()
        });
        size_of::<Self>() + self.list.capacity() * size_of::<Kept>() + files.sum::<usize>() + parts
    }
}

impl Parts {
    fn feed(&mut self, bytes: &[u8], list: &mut Vec<Kept>, needs: FileNeeds) {
        if self.at == At::Ended {
            return;
        }
        let before = self.pending.len();
        self.pending.extend_from_slice(bytes);
        let mut from = 0;
        // Of a header that goes on, only what has come is looked at.
        let mut looked = if self.at == At::Header { before.saturating_sub(3) } else { 0 };
        loop {
            let rest = self.pending.get(from..).unwrap_or_default();
            match self.at {
                At::Ended => {
                    self.pending = Vec::new();
                    return;
                }
                At::Between | At::File => {
                    let found = memmem::find(rest, &self.delimiter);
                    // the end may be the beginning of a delimiter
                    let sure = found
                        .unwrap_or_else(|| (rest.len() + 1).saturating_sub(self.delimiter.len()));
                    if self.at == At::File
                        && let Some(file) = list.last_mut()
                    {
                        file.push(rest.get(..sure).unwrap_or_default());
                        if found.is_some() {
                            file.end(FileState::Closed);
                        }
                    }
                    from += sure;
                    if found.is_none() {
                        break;
                    }
                    from += self.delimiter.len();
                    self.at = At::Boundary;
                }
                At::Boundary => {
                    if rest.starts_with(b"--") {
                        self.at = At::Ended;
                        continue;
                    }
                    if rest.len() < 2 {
                        break;
                    }
                    // blanks may stand behind a boundary
                    let end = memchr::memchr(b'\n', rest);
                    if end.is_none() && rest.len() < LONGEST_BOUNDARY {
                        break;
                    }
                    from += end.map_or(0, |end| end + 1);
                    self.at = At::Header;
                    looked = 0;
                }
                At::Header => {
                    let bare = rest.starts_with(b"\r\n");
                    let tail = rest.get(looked..).unwrap_or_default();
                    let end = memmem::find(tail, b"\r\n\r\n").map(|at| looked + at);
                    if !bare && end.is_none() && rest.len() <= LONGEST_HEADER {
                        break;
                    }
                    let header = match end {
                        Some(end) if !bare && end <= LONGEST_HEADER => rest.get(..end),
                        _ => None,
                    };
                    let name = header.and_then(part_name);
                    self.at = match name {
                        Some(name) if list.len() < MOST_FILES => {
                            list.push(Kept::new(name, needs));
                            At::File
                        }
                        _ => At::Between,
                    };
                    // the line end may belong to the next boundary where there is no header
                    from += match end {
                        Some(end) if !bare => end + 4,
                        _ => 0,
                    };
                }
            }
        }
        self.pending.drain(..from);
    }
}

/// The boundary of a multipart body, by its Content-Type.
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let kind = content_type.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    let boundary = value_param(content_type, b"boundary")?;
    (boundary.len() <= LONGEST_BOUNDARY).then_some(boundary)
}

/// The name of the file that a part with this header is.
fn part_name(header: &[u8]) -> Option<&[u8]> {
    let lines = header.split(|&b| b == b'\n').map(|line| line.trim_ascii_end());
    let mut fields = lines.map(split_field);
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case(b"content-disposition"))?;
    value_param(value, b"filename")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &[u8] = b"Multipart/Form-Data; charset=x; Boundary=\"b--1\"";
    const ALL: FileNeeds = FileNeeds { md5: true, sha1: false, sha256: true, parts: true };

    fn told(files: &Files) -> Vec<(String, u64, FileState, bool)> {
        (0..MOST_FILES)
            .map_while(|at| files.get(at, None))
            .map(|file| {
                let name = String::from_utf8_lossy(file.name.unwrap_or_default()).into_owned();
                (name, file.size, file.state, file.digests.md5.is_some())
            })
            .collect()
    }

    const BODY: &[u8] = b"junk\r\n--b--1\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\ntext\r\n\
        --b--1\r\nX: y\r\ncontent-disposition: form-data; name=\"u\"; filename=\"one.jpg\"\r\n\r\n\
        12\r\n--b--\r\n--b--1 \r\nContent-Disposition: form-data; filename=two\r\n\r\n\r\n--b--1\r\n\
        \r\nno header\r\n--b--1--\r\n--b--1\r\nContent-Disposition: x; filename=\"after\"\r\n\r\n";

    #[test]
    fn parts_with_names_are_files() {
        let mut files = Files::new(ALL, Some(TYPE));
        files.push(BODY);
        files.end(false);
        let closed = FileState::Closed;
        let want = [("one.jpg", 9, closed, true), ("two", 0, closed, true)];
        assert_eq!(told(&files), want.map(|(name, n, s, h)| (name.to_owned(), n, s, h)));
        let one = files.get(0, None).expect("a file").digests.md5.expect("a digest");
        use md5::Digest as _;
        assert_eq!(one, <[u8; 16]>::from(md5::Md5::digest(b"12\r\n--b--")));
    }

    #[test]
    fn what_is_cut_or_missing_has_no_digest() {
        let mut files = Files::new(ALL, Some(TYPE));
        files.push(&BODY[..143]);
        files.end(false);
        assert_eq!(told(&files)[0].2, FileState::Truncated);
        let mut files = Files::new(ALL, None);
        files.push(b"abc");
        files.gap();
        files.end(false);
        assert_eq!(told(&files), [(String::new(), 3, FileState::Closed, false)]);
        let file = files.get(0, Some(b"/x")).expect("a file");
        assert_eq!((file.name, file.gaps), (Some(&b"/x"[..]), true));
        let mut files = Files::new(ALL, None);
        files.push(b"abc");
        files.end(true);
        assert_eq!(told(&files), [(String::new(), 3, FileState::Truncated, false)]);
    }

    #[test]
    fn memory_and_files_are_bounded() {
        let mut files = Files::new(ALL, Some(TYPE));
        files.push(b"--b--1\r\n");
        for _ in 0..1000 {
            files.push(&[b'x'; 1000]);
        }
        assert!(files.kept() < 32 * 1024, "{}", files.kept());
        let part = b"\r\n--b--1\r\nContent-Disposition: x; filename=a\r\n\r\nx";
        for _ in 0..1000 {
            files.push(part);
        }
        files.end(false);
        assert_eq!(told(&files).len(), MOST_FILES);
        assert_eq!(boundary(&[b"multipart/form-data; boundary=", &[b'a'; 201][..]].concat()), None);
        assert_eq!(boundary(b"multipart/mixed; boundary=a"), None);
        assert_eq!(boundary(b"multipart/form-data; boundary="), None);
    }

    proptest! {
        #[test]
        fn files_are_the_same_however_they_are_cut(
            cuts in prop::collection::vec(0..BODY.len(), 0..40), len in 0..BODY.len(),
        ) {
            let body = &BODY[..len];
            let whole = {
                let mut files = Files::new(ALL, Some(TYPE));
                files.push(body);
                files.end(false);
                told(&files)
            };
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(len)).collect();
            cuts.extend([0, len]);
            cuts.sort_unstable();
            let mut files = Files::new(ALL, Some(TYPE));
            for pair in cuts.windows(2) {
                files.push(&body[pair[0]..pair[1]]);
            }
            files.end(false);
            prop_assert_eq!(told(&files), whole);
        }
    }
}
