//! A rule file cut into rules: blank lines, comments, continued lines, and where every byte of a
//! rule stands in the file.

/// One rule as it stands in the file: trimmed, its continued lines joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'t> {
    /// 1-based line of the first character.
    pub(crate) line: u32,
    /// The text.
    pub(crate) text: Joined<'t>,
}

/// The text of a rule and the way back from an offset in it to a place in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined<'t> {
    /// On one line; bytes of white space before it.
    One {
        /// The trimmed line.
        bytes: &'t [u8],
        /// White space cut off before it.
        indent: usize,
    },
    /// On several lines.
    Several {
        /// The joined text.
        bytes: Vec<u8>,
        /// Where each line begins: offset in `bytes`, bytes of the line left out before it.
        pieces: Vec<(usize, usize)>,
    },
}

impl Joined<'_> {
    /// The rule's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::One { bytes, .. } => bytes,
            Self::Several { bytes, .. } => bytes,
        }
    }

    /// Lines after the first one, and the 1-based column in characters, of an offset.
    pub(crate) fn place(&self, offset: usize) -> (u32, u32) {
        let (line, start, indent) = match self {
            Self::One { indent, .. } => (0, 0, *indent),
            Self::Several { pieces, .. } => {
                let after = pieces.partition_point(|&(start, _)| start <= offset);
                let at = after.saturating_sub(1);
                let (start, indent) = pieces.get(at).copied().unwrap_or((0, 0));
                (at, start, indent)
            }
        };
        let bytes = self.bytes();
        let end = offset.min(bytes.len());
        let before = bytes.get(start..end).unwrap_or(&[]);
        let characters = match std::str::from_utf8(before) {
            Ok(text) => text.chars().count(),
            Err(_) => before.len(),
        };
        let column = indent.saturating_add(characters).saturating_add(1);
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }
}

/// Words that a rule begins with; a comment that begins with one is a rule switched off.
const ACTIONS: [&[u8]; 12] = [
    b"alert",
    b"drop",
    b"pass",
    b"reject",
    b"rejectsrc",
    b"rejectdst",
    b"rejectboth",
    b"config",
    b"log",
    b"activate",
    b"dynamic",
    b"sdrop",
];

/// Goes through a file's rules.
pub(crate) struct Lines<'t> {
    rest: &'t [u8],
    line: u32,
    disabled: usize,
}

impl<'t> Lines<'t> {
    /// Over a whole file; a byte order mark at its start is left out.
    pub(crate) fn new(text: &'t [u8]) -> Self {
        let rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Self { rest, line: 0, disabled: 0 }
    }

    /// Rules in comments, among what was passed so far.
    pub(crate) fn disabled(&self) -> usize {
        self.disabled
    }

    /// The next line without its end.
    fn line(&mut self) -> Option<&'t [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.line = self.line.saturating_add(1);
        let (line, rest) = match self.rest.iter().position(|&b| b == b'\n') {
            Some(at) => {
                let (line, rest) = self.rest.split_at(at);
                (line, rest.get(1..).unwrap_or(&[]))
            }
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'t> Iterator for Lines<'t> {
    type Item = Entry<'t>;

    fn next(&mut self) -> Option<Entry<'t>> {
        loop {
            let raw = self.line()?;
            let bytes = raw.trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            if bytes.starts_with(b"#") {
                self.disabled += usize::from(is_disabled_rule(bytes));
                continue;
            }
            let line = self.line;
            let indent = raw.len() - raw.trim_ascii_start().len();
            let Some(start) = bytes.strip_suffix(b"\\") else {
                return Some(Entry { line, text: Joined::One { bytes, indent } });
            };
            let mut joined = start.to_vec();
            let mut pieces = vec![(0, indent)];
            while let Some(raw) = self.line() {
                let bytes = raw.trim_ascii_end();
                pieces.push((joined.len(), 0));
                match bytes.strip_suffix(b"\\") {
                    Some(more) => joined.extend_from_slice(more),
                    None => {
                        joined.extend_from_slice(bytes);
                        break;
                    }
                }
            }
            joined.truncate(joined.trim_ascii_end().len());
            if joined.is_empty() {
                continue;
            }
            return Some(Entry { line, text: Joined::Several { bytes: joined, pieces } });
        }
    }
}

/// Is this comment a rule that was switched off?
fn is_disabled_rule(comment: &[u8]) -> bool {
    let start = comment.iter().position(|b| !matches!(b, b'#' | b' ' | b'\t'));
    let Some(text) = start.and_then(|at| comment.get(at..)) else { return false };
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or(&[]);
    let has = |arrow: &[u8]| text.windows(arrow.len()).any(|w| w == arrow);
    ACTIONS.contains(&word) && text.contains(&b'(') && (has(b"->") || has(b"<>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &[u8]) -> (Vec<(u32, String)>, usize) {
        let mut lines = Lines::new(file);
        let mut found = Vec::new();
        for entry in lines.by_ref() {
            found.push((entry.line, String::from_utf8_lossy(entry.text.bytes()).into_owned()));
        }
        (found, lines.disabled())
    }

    #[test]
    fn comments_blank_lines_and_line_ends_are_passed_over() {
        let (found, disabled) = texts(
            b"\xef\xbb\xbf# a file\r\n\r\n  one\r\n#alert tcp any any -> any any (sid:1;)\n\
              ## drop ip any any <> any any (sid:2;)\n# alert the owner\ntwo",
        );
        assert_eq!(found, [(3, "one".to_owned()), (7, "two".to_owned())]);
        assert_eq!(disabled, 2);
    }

    #[test]
    fn continued_lines_are_joined_and_places_found_again() {
        let mut lines = Lines::new(b"x\n ab \\\n  cd \\\r\nef\ny\n");
        assert_eq!(lines.next().map(|e| e.line), Some(1));
        let entry = lines.next().expect("second rule");
        assert_eq!(entry.line, 2);
        assert_eq!(entry.text.bytes(), b"ab   cd ef");
        assert_eq!(entry.text.place(0), (0, 2));
        assert_eq!(entry.text.place(5), (1, 3));
        assert_eq!(entry.text.place(8), (2, 1));
        assert_eq!(lines.next().map(|e| e.line), Some(5));
    }

    #[test]
    fn columns_count_characters_of_utf8() {
        let mut lines = Lines::new("äöx".as_bytes());
        let entry = lines.next().expect("a line");
        assert_eq!(entry.text.place(4), (0, 3));
    }

    #[test]
    fn a_continuation_at_the_end_of_the_file_ends_there() {
        assert_eq!(texts(b"a \\").0, [(1, "a".to_owned())]);
        assert_eq!(texts(b"\\\n\\\n").0, []);
    }
}
