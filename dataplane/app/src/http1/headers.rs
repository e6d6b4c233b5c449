//! The header fields of one message, in one arena, with a bound on what is kept.

use super::host::trim;

/// Fields that frame a message or name its host: kept even when the arena is full.
const STRUCTURAL: [&[u8]; 5] =
    [b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"];

/// Most times that the value of a repeated field is added to the first.
const MAX_REPETITIONS: u16 = 64;

/// Header fields in the order of their first appearance.
///
/// They are kept as rules see them in `http.header`, `Name: value` and CRLF each; the cookies, which
/// that buffer leaves out, are kept apart.
#[derive(Debug, Default)]
pub(super) struct Headers {
    plain: Vec<u8>,
    cookies: Vec<u8>,
    fields: Vec<Field>,
    repetitions: u16,
    /// Values were joined: what they were before is still in between.
    untidy: bool,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    /// Of the name in lower case: most names are told apart by it.
    hash: u32,
    /// It is among the cookies.
    cookie: bool,
    /// Where it begins, where its value begins and where that ends.
    start: u32,
    value: u32,
    end: u32,
    /// Length of the name.
    name: u32,
}

/// How much of a message's header is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) fields: usize,
    pub(super) bytes: usize,
}

/// What a field was to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    New,
    /// There was one of its name.
    Repeated,
    /// It is a second Content-Length that says something else.
    OtherLength,
}

/// There are more fields than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// A field line of a request (line ends and folds undone) as name and value. Without a colon, or
/// with a NUL before it, all of it is the value of a field without name.
pub(super) fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr2(b':', 0, line).filter(|&at| line[at] == b':') {
        Some(colon) => split_at(line, colon),
        None => (b"", line),
    }
}

/// The same of a response, whose names may hold NULs and end in any control character.
pub(super) fn split_response_field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr::memchr(b':', line) else { return (b"", line) };
    let (mut name, value) = split_at(line, colon);
    while let [head @ .., 0..=b' '] = name {
        name = head;
    }
    (name, value)
}

fn split_at(line: &[u8], colon: usize) -> (&[u8], &[u8]) {
    let mut name = &line[..colon];
    while let [head @ .., b' ' | b'\t'] = name {
        name = head;
    }
    (name, trim_lws(&line[colon + 1..]))
}

fn trim_lws(mut s: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', tail @ ..] = s {
        s = tail;
    }
    while let [head @ .., b' ' | b'\t'] = s {
        s = head;
    }
    s
}

impl Headers {
    /// Adds a field. The value of a repeated one is joined to the first with a comma, except
    /// Content-Length, of which the first counts. `cookie` is the name of the field that
    /// `http.header` leaves out.
    pub(super) fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        cookie: &[u8],
        room: Room,
    ) -> Result<Added, TooMany> {
        let hash = hash(name);
        let structural = STRUCTURAL.iter().any(|s| same_name(name, s));
        if !name.is_empty()
            && let Some(at) = self.find(name, hash)
        {
            if structural && same_name(name, b"content-length") {
                let field = self.fields[at];
                let same = self.slice(&field, field.value, field.end) == value;
                return Ok(if same { Added::Repeated } else { Added::OtherLength });
            }
            self.join(at, value, room);
            return Ok(Added::Repeated);
        }
        if self.fields.len() >= room.fields {
            return Err(TooMany);
        }
        if !structural && self.bytes() + name.len() + value.len() > room.bytes {
            return Ok(Added::New);
        }
        let cookie = same_name(name, cookie);
        let field = write(if cookie { &mut self.cookies } else { &mut self.plain }, name, value);
        self.fields.push(Field { hash, cookie, ..field });
        Ok(Added::New)
    }

    /// Adds to the value of a field.
    fn join(&mut self, at: usize, value: &[u8], room: Room) {
        self.repetitions = self.repetitions.saturating_add(1);
        let field = self.fields[at];
        let length = (field.end - field.start) as usize + 4 + value.len();
        if self.repetitions > MAX_REPETITIONS || self.bytes() + length > room.bytes {
            return;
        }
        let text = if field.cookie { &mut self.cookies } else { &mut self.plain };
        let start = text.len() as u32;
        text.extend_from_within(field.start as usize..field.end as usize);
        text.extend_from_slice(b", ");
        text.extend_from_slice(value);
        let end = text.len() as u32;
        text.extend_from_slice(b"\r\n");
        let value = start + (field.value - field.start);
        self.fields[at] = Field { start, value, end, ..field };
        self.untidy = true;
    }

    /// All fields are there: [`text`](Self::text) is right from here on.
    pub(super) fn seal(&mut self) {
        if !std::mem::take(&mut self.untidy) {
            return;
        }
        let (plain, cookies) = (std::mem::take(&mut self.plain), std::mem::take(&mut self.cookies));
        for field in &mut self.fields {
            let (from, to) = if field.cookie {
                (&cookies, &mut self.cookies)
            } else {
                (&plain, &mut self.plain)
            };
            let line = from.get(field.start as usize..field.end as usize).unwrap_or_default();
            let moved = to.len() as u32;
            to.extend_from_slice(line);
            field.value = field.value - field.start + moved;
            field.start = moved;
            field.end = to.len() as u32;
            to.extend_from_slice(b"\r\n");
        }
    }

    fn bytes(&self) -> usize {
        self.plain.len() + self.cookies.len()
    }

    fn slice(&self, field: &Field, from: u32, to: u32) -> &[u8] {
        let text = if field.cookie { &self.cookies } else { &self.plain };
        text.get(from as usize..to as usize).unwrap_or_default()
    }

    fn name(&self, field: &Field) -> &[u8] {
        self.slice(field, field.start, field.start + field.name)
    }

    fn find(&self, name: &[u8], hash: u32) -> Option<usize> {
        self.fields.iter().position(|f| f.hash == hash && same_name(self.name(f), name))
    }

    /// The value of a field, by its name in any case.
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let field = &self.fields[self.find(name, hash(name))?];
        Some(self.slice(field, field.value, field.end))
    }

    /// All fields but cookies, `Name: value` and CRLF each, once they are sealed.
    pub(super) fn text(&self) -> Option<&[u8]> {
        (!self.plain.is_empty()).then_some(&self.plain)
    }

    /// One field, `Name: value`.
    pub(super) fn line(&self, index: usize) -> Option<&[u8]> {
        self.fields.get(index).map(|field| self.slice(field, field.start, field.end))
    }

    /// Every field, in order.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields.len()).map_while(|at| self.line(at))
    }

    /// Every name, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().map(|field| self.name(field))
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.plain.capacity()
            + self.cookies.capacity()
            + self.fields.capacity() * size_of::<Field>()
    }

    /// Forgets all fields (those of an interim response).
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Writes a field behind others.
fn write(text: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Field {
    let start = text.len() as u32;
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    let at = text.len() as u32;
    text.extend_from_slice(value);
    let end = text.len() as u32;
    text.extend_from_slice(b"\r\n");
    Field { hash: 0, cookie: false, start, value: at, end, name: name.len() as u32 }
}

/// FNV-1a over the name in lower case, without NULs.
fn hash(name: &[u8]) -> u32 {
    name.iter()
        .filter(|b| **b != 0)
        .fold(0x811c_9dc5, |h, b| (h ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193))
}

/// Whether two names are the same without case and NULs.
fn same_name(a: &[u8], b: &[u8]) -> bool {
    let letters = |s| Iterator::filter(<[u8]>::iter(s), |b: &&u8| **b != 0);
    a.eq_ignore_ascii_case(b)
        || letters(a).map(u8::to_ascii_lowercase).eq(letters(b).map(u8::to_ascii_lowercase))
}

/// Whether the value names `token` anywhere, without case and NULs.
pub(super) fn mentions(value: &[u8], token: &[u8]) -> bool {
    let lower: Vec<u8> = value.iter().filter(|b| **b != 0).map(u8::to_ascii_lowercase).collect();
    memchr::memmem::find(&lower, token).is_some()
}

/// A Content-Length: the first number in the value, whatever is around it.
pub(super) fn content_length(value: &[u8]) -> Option<u64> {
    let start = value.iter().position(u8::is_ascii_digit)?;
    let mut n = 0u64;
    for b in value[start..].iter().take_while(|b| b.is_ascii_digit()) {
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    i64::try_from(n).is_ok().then_some(n)
}

/// Whether one of the comma-separated tokens of `value` is `token`, in any case.
pub(super) fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|&b| b == b',').any(|t| trim(t).eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { fields: 10, bytes: 1000 };
    const SMALL: Room = Room { fields: 100, bytes: 500 };

    #[test]
    fn what_rules_see_has_every_field_once_and_no_cookie() {
        let mut h = Headers::default();
        for (n, v) in [("Host", "a"), ("Cookie", "k=1"), ("X", "y"), ("host", "b"), ("", "odd")] {
            h.add(n.as_bytes(), v.as_bytes(), b"cookie", ROOM).unwrap();
        }
        h.add(b"cookie", b"l=2", b"cookie", ROOM).unwrap();
        h.seal();
        assert_eq!(h.text(), Some(&b"Host: a, b\r\nX: y\r\n: odd\r\n"[..]));
        assert_eq!(h.get(b"cookie"), Some(&b"k=1, l=2"[..]));
        let lines: Vec<_> = h.lines().collect();
        assert_eq!(lines, [&b"Host: a, b"[..], b"Cookie: k=1, l=2", b"X: y", b": odd"]);
        assert_eq!(h.names().collect::<Vec<_>>(), [&b"Host"[..], b"Cookie", b"X", b""]);
    }

    #[test]
    fn fields_split_at_the_colon_leniently() {
        assert_eq!(split_field(b"Host:  a.b \t"), (&b"Host"[..], &b"a.b"[..]));
        assert_eq!(split_field(b"Host \t: a"), (&b"Host"[..], &b"a"[..]));
        assert_eq!(split_field(b"no colon"), (&b""[..], &b"no colon"[..]));
        assert_eq!(split_field(b"a\0b: c"), (&b""[..], &b"a\0b: c"[..]));
        assert_eq!(split_field(b"Host:h\0j"), (&b"Host"[..], &b"h\0j"[..]));
        assert_eq!(split_field(b": v"), (&b""[..], &b"v"[..]));
        assert_eq!(split_response_field(b"a\0b\x0b : c"), (&b"a\0b"[..], &b"c"[..]));
        assert_eq!(split_response_field(b"a:: c"), (&b"a"[..], &b": c"[..]));
    }

    #[test]
    fn repeated_fields_are_joined_except_content_length() {
        let mut h = Headers::default();
        for (n, v) in
            [("Host", "One"), ("host", "Two"), ("Content-Length", "1"), ("content-length", "2")]
        {
            h.add(n.as_bytes(), v.as_bytes(), b"cookie", ROOM).unwrap();
        }
        assert_eq!(h.get(b"HOST"), Some(&b"One, Two"[..]));
        assert_eq!(h.get(b"content-length"), Some(&b"1"[..]));
        assert_eq!(h.get(b"x"), None);
    }

    #[test]
    fn what_is_kept_is_bounded_but_framing_fields_stay() {
        let mut h = Headers::default();
        for i in 0..20 {
            h.add(format!("x{i}").as_bytes(), &[b'v'; 100], b"", SMALL).unwrap();
        }
        h.add(b"Content-Length", b"7", b"", SMALL).unwrap();
        assert!(h.bytes() < 600);
        assert_eq!(h.get(b"content-length"), Some(&b"7"[..]));
        for i in 0..1000 {
            if h.add(format!("y{i}").as_bytes(), b"", b"", Room { bytes: 50_000, ..SMALL }).is_err()
            {
                return;
            }
        }
        panic!("no limit on the number of fields");
    }

    #[test]
    fn names_and_codings_are_found_through_nuls() {
        let mut h = Headers::default();
        h.add(b"Transfer\0-Encoding", b"x;ch\0UNKed", b"", ROOM).unwrap();
        let value = h.get(b"transfer-encoding").unwrap();
        assert!(mentions(value, b"chunked") && !mentions(value, b"gzip"));
    }

    #[test]
    fn lengths_are_found_in_junk() {
        assert_eq!(content_length(b" 12 "), Some(12));
        assert_eq!(content_length(b"+12abc"), Some(12));
        assert_eq!(content_length(b"x"), None);
        assert_eq!(content_length(b"99999999999999999999"), None);
    }
}
