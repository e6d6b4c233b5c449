//! What is kept of one message's head, in one arena, with a bound: the first line, then the header
//! fields.

use super::decode::Coding;
use super::files::Files;
use super::name::{self, LARGEST, Name, bit, hash, same_name};

/// Bytes of a header for which room is made before they are read.
const MOST_AT_ONCE: usize = 1024;

/// Most times that the value of a repeated field is added to the first.
const MAX_REPETITIONS: u16 = 64;

/// Fields that frame a message or name its host: kept even when the arena is full.
const STRUCTURAL: [Name; 5] =
    [name::HOST, name::CONTENT_LENGTH, name::TRANSFER_ENCODING, name::EXPECT, name::UPGRADE];

/// A place in a message's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// Nowhere.
    pub(super) const NONE: Self = Self { start: u32::MAX, end: u32::MAX };

    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// What is there, if it is anywhere.
    pub(super) fn of(self, text: &[u8]) -> Option<&[u8]> {
        text.get(self.start as usize..self.end as usize)
    }
}

impl Default for Span {
    fn default() -> Self {
        Self::NONE
    }
}

/// The first line, then the header fields in the order of their first appearance.
///
/// They are kept as rules see them in `http.header`, `Name: value` and CRLF each; the cookies, which
/// that buffer leaves out, are kept apart.
#[derive(Debug, Default)]
pub(super) struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
    apart: Option<Box<Apart>>,
    /// Where the first line ends, and where the fields begin.
    line: u32,
    plain: u32,
    /// A bit for each name, by its hash: most that are looked for are not there.
    names: u32,
    repetitions: u16,
    /// Values were joined: what they were before is still in between.
    untidy: bool,
    sent: Sent,
}

/// Where the header is kept as it was sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// No rule looks at it.
    #[default]
    Nothing,
    /// The fields are kept as they were sent.
    Same,
    /// So they are, and the empty line stands behind them.
    Ended,
    /// By itself.
    Apart,
}

/// What few messages have.
#[derive(Debug, Default)]
pub(super) struct Apart {
    cookies: Vec<u8>,
    /// The header as sent, where that is not how it is kept.
    raw: Vec<u8>,
    /// Content codings of the body.
    pub(super) codings: Vec<Coding>,
    /// Files, where rules ask for more of them than their bytes.
    files: Option<Box<Files>>,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    /// Where it begins and how long it is.
    start: u32,
    length: u32,
    /// Length of the name.
    name: u16,
    /// Of the name in lower case: most names are told apart by it. The topmost bit: it is among the
    /// cookies.
    hash: u16,
}

const COOKIE: u16 = LARGEST + 1;

impl Field {
    fn is_cookie(self) -> bool {
        self.hash & COOKIE != 0
    }

    fn end(self) -> usize {
        self.start as usize + self.length as usize
    }

    fn value(self) -> usize {
        self.start as usize + usize::from(self.name) + 2
    }
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

impl Headers {
    /// Begins with this first line. `rest` is what has come behind it: room is made for what it holds
    /// of the header at once.
    pub(super) fn begin(&mut self, line: &[u8], rest: &[u8]) {
        let header = memchr::memmem::find(rest, b"\r\n\r\n").map_or(rest.len(), |at| at + 2);
        let header = rest.get(..header.min(MOST_AT_ONCE)).unwrap_or(rest);
        let lines = memchr::memchr_iter(b'\n', header).count();
        self.fields.reserve_exact(lines);
        self.text.clear();
        // a blank behind the colon may be missing, and the empty line may follow
        self.text.reserve_exact(line.len() + header.len() + lines + 2);
        self.text.extend_from_slice(line);
        self.line = line.len() as u32;
        self.plain = self.line;
    }

    /// Keeps something beside the first line: to be called before there are fields.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        self.plain = self.text.len() as u32;
    }

    /// What was kept beside the first line.
    pub(super) fn kept_beside(&self) -> &[u8] {
        self.text.get(self.line as usize..self.plain as usize).unwrap_or_default()
    }

    /// The first line.
    pub(super) fn first_line(&self) -> &[u8] {
        self.text.get(..self.line as usize).unwrap_or_default()
    }

    /// What stands at a place.
    pub(super) fn at(&self, span: Span) -> Option<&[u8]> {
        span.of(&self.text)
    }

    /// What few messages have, if this one does.
    pub(super) fn apart(&self) -> Option<&Apart> {
        self.apart.as_deref()
    }

    /// The message's files, where rules ask for more of them than their bytes.
    pub(super) fn files(&self) -> Option<&Files> {
        self.apart.as_ref()?.files.as_deref()
    }

    /// The same, to add to them.
    pub(super) fn files_mut(&mut self) -> Option<&mut Files> {
        self.apart.as_mut()?.files.as_deref_mut()
    }

    /// Keeps track of the message's files from here on.
    pub(super) fn set_files(&mut self, files: Files) {
        self.apart_mut().files = Some(Box::new(files));
    }

    /// How long the text is, to be told to [`add_sent`](Self::add_sent).
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// Keeps a line as it was sent, as far as there is room. `before`: how long the text was before what
    /// the line says was added to it.
    pub(super) fn add_sent(&mut self, line: &[u8], before: usize, room: usize) {
        let begins = self.sent == Sent::Nothing && before == self.plain as usize;
        let same = begins || self.sent == Sent::Same;
        let ends = same && before == self.text.len() && line == b"\r\n";
        if same && before + line.len() - self.plain as usize <= room {
            if ends {
                self.text.extend_from_slice(line);
                self.sent = Sent::Ended;
                return;
            }
            if self.text.get(before..) == Some(line) {
                self.sent = Sent::Same;
                return;
            }
        }
        let mut raw = std::mem::take(&mut self.apart_mut().raw);
        if self.sent != Sent::Apart {
            raw.reserve_exact(self.text.capacity().min(room));
        }
        if same {
            raw.extend_from_slice(self.text.get(self.plain as usize..before).unwrap_or_default());
        }
        raw.extend_from_slice(&line[..line.len().min(room.saturating_sub(raw.len()))]);
        self.apart_mut().raw = raw;
        self.sent = Sent::Apart;
    }

    /// The header as it was sent, if a rule looks at it.
    pub(super) fn sent(&self) -> Option<&[u8]> {
        let sent = match self.sent {
            Sent::Nothing => None,
            Sent::Same | Sent::Ended => self.text.get(self.plain as usize..),
            Sent::Apart => self.apart.as_ref().map(|apart| &apart.raw[..]),
        };
        sent.filter(|sent| !sent.is_empty())
    }

    /// What few messages have.
    pub(super) fn apart_mut(&mut self) -> &mut Apart {
        self.apart.get_or_insert_default()
    }

    /// Adds a field. The value of a repeated one is joined to the first with a comma, except
    /// Content-Length, of which the first counts. `cookie` is the name of the field that
    /// `http.header` leaves out. Names longer than a number of 16 bits tells are not kept.
    pub(super) fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        cookie: Name,
        room: Room,
    ) -> Result<Added, TooMany> {
        let hash = hash(name);
        let is = |known: &Name| known.hash == hash && same_name(name, known.text);
        let structural = STRUCTURAL.iter().any(is);
        if !name.is_empty()
            && let Some(at) = self.find(name, hash)
        {
            if structural && is(&name::CONTENT_LENGTH) {
                let same = self.value(self.fields[at]) == value;
                return Ok(if same { Added::Repeated } else { Added::OtherLength });
            }
            self.join(at, value, room);
            return Ok(Added::Repeated);
        }
        if self.fields.len() >= room.fields {
            return Err(TooMany);
        }
        let Ok(length) = u16::try_from(name.len()) else { return Ok(Added::New) };
        if !structural && self.bytes() + name.len() + value.len() > room.bytes {
            return Ok(Added::New);
        }
        let apart = if is(&cookie) { COOKIE } else { 0 };
        let text = if apart == 0 { &mut self.text } else { &mut self.apart_mut().cookies };
        let start = text.len() as u32;
        text.reserve(name.len() + value.len() + 4);
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.extend_from_slice(b"\r\n");
        let field = Field {
            start,
            length: text.len() as u32 - start - 2,
            name: length,
            hash: hash | apart,
        };
        self.fields.push(field);
        self.names |= bit(hash);
        Ok(Added::New)
    }

    /// Adds to the value of a field.
    fn join(&mut self, at: usize, value: &[u8], room: Room) {
        self.repetitions = self.repetitions.saturating_add(1);
        let field = self.fields[at];
        let length = field.length as usize + 4 + value.len();
        if self.repetitions > MAX_REPETITIONS || self.bytes() + length > room.bytes {
            return;
        }
        let text = if field.is_cookie() { &mut self.apart_mut().cookies } else { &mut self.text };
        let start = text.len() as u32;
        text.extend_from_within(field.start as usize..field.end());
        text.extend_from_slice(b", ");
        text.extend_from_slice(value);
        let length = text.len() as u32 - start;
        text.extend_from_slice(b"\r\n");
        self.fields[at] = Field { start, length, ..field };
        self.untidy = true;
    }

    /// All fields are there: [`text`](Self::text) is right from here on.
    pub(super) fn seal(&mut self) {
        if !std::mem::take(&mut self.untidy) {
            return;
        }
        let plain = self.text.split_off(self.plain as usize);
        let from = self.plain as usize;
        let mut apart = self.apart.as_deref_mut();
        let cookies = apart.as_mut().map(|it| std::mem::take(&mut it.cookies)).unwrap_or_default();
        let mut gone = Vec::new();
        for field in &mut self.fields {
            let (line, to) = if field.is_cookie() {
                let to = apart.as_mut().map_or(&mut gone, |apart| &mut apart.cookies);
                (cookies.get(field.start as usize..field.end()), to)
            } else {
                (plain.get(field.start as usize - from..field.end() - from), &mut self.text)
            };
            field.start = to.len() as u32;
            to.extend_from_slice(line.unwrap_or_default());
            to.extend_from_slice(b"\r\n");
        }
    }

    /// Bytes of fields.
    fn bytes(&self) -> usize {
        let cookies = self.apart.as_ref().map_or(0, |apart| apart.cookies.len());
        self.text.len() - self.plain as usize + cookies
    }

    fn slice(&self, field: Field, from: usize, to: usize) -> &[u8] {
        let text = match &self.apart {
            Some(apart) if field.is_cookie() => &apart.cookies,
            _ => &self.text,
        };
        text.get(from..to).unwrap_or_default()
    }

    fn name(&self, field: Field) -> &[u8] {
        let start = field.start as usize;
        self.slice(field, start, start + usize::from(field.name))
    }

    fn value(&self, field: Field) -> &[u8] {
        self.slice(field, field.value(), field.end())
    }

    fn find(&self, name: &[u8], hash: u16) -> Option<usize> {
        if self.names & bit(hash) == 0 {
            return None;
        }
        let is = |f: &Field| f.hash & LARGEST == hash && same_name(self.name(*f), name);
        self.fields.iter().position(is)
    }

    /// The value of a field.
    pub(super) fn get(&self, name: Name) -> Option<&[u8]> {
        Some(self.value(self.fields[self.find(name.text, name.hash)?]))
    }

    /// The place of a field's value, of one that is no cookie.
    pub(super) fn place(&self, name: Name) -> Option<Span> {
        let field = self.fields[self.find(name.text, name.hash)?];
        (!field.is_cookie()).then(|| Span::new(field.value(), field.end()))
    }

    /// All fields but cookies, `Name: value` and CRLF each, once they are sealed.
    pub(super) fn text(&self) -> Option<&[u8]> {
        let end = if self.sent == Sent::Ended { 2 } else { 0 };
        let text = self.text.get(self.plain as usize..self.text.len().saturating_sub(end));
        text.filter(|text| !text.is_empty())
    }

    /// One field, `Name: value`.
    pub(super) fn line(&self, index: usize) -> Option<&[u8]> {
        self.fields.get(index).map(|field| self.slice(*field, field.start as usize, field.end()))
    }

    /// Every field, in order.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.fields.len()).map_while(|at| self.line(at))
    }

    /// Every name, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().map(|field| self.name(*field))
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        let apart = self.apart.as_ref().map_or(0, |apart| {
            size_of::<Apart>() + apart.cookies.capacity() + apart.raw.capacity()
        });
        self.text.capacity() + self.state() + apart
    }

    /// Of these, what tells where the fields are.
    pub(super) fn state(&self) -> usize {
        self.fields.capacity() * size_of::<Field>()
    }

    /// Forgets all fields (those of an interim response).
    pub(super) fn clear(&mut self) {
        self.text.truncate(self.line as usize);
        self.plain = self.line;
        self.names = 0;
        self.fields.clear();
        self.apart = None;
        self.repetitions = 0;
        self.untidy = false;
        self.sent = Sent::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::split_field;
    use super::*;

    const ROOM: Room = Room { fields: 10, bytes: 1000 };
    const SMALL: Room = Room { fields: 100, bytes: 500 };

    #[test]
    fn what_rules_see_has_every_field_once_and_no_cookie() {
        let mut h = Headers::default();
        for (n, v) in [("Host", "a"), ("Cookie", "k=1"), ("X", "y"), ("host", "b"), ("", "odd")] {
            h.add(n.as_bytes(), v.as_bytes(), name::COOKIE, ROOM).unwrap();
        }
        h.add(b"cookie", b"l=2", name::COOKIE, ROOM).unwrap();
        h.seal();
        assert_eq!(h.text(), Some(&b"Host: a, b\r\nX: y\r\n: odd\r\n"[..]));
        assert_eq!(h.get(name::COOKIE), Some(&b"k=1, l=2"[..]));
        let lines: Vec<_> = h.lines().collect();
        assert_eq!(lines, [&b"Host: a, b"[..], b"Cookie: k=1, l=2", b"X: y", b": odd"]);
        assert_eq!(h.names().collect::<Vec<_>>(), [&b"Host"[..], b"Cookie", b"X", b""]);
    }

    #[test]
    fn a_field_takes_twelve_bytes_and_room_is_made_once() {
        assert_eq!(size_of::<Field>(), 12);
        let mut h = Headers::default();
        h.begin(b"GET / HTTP/1.1", b"A:b\r\nC: d\r\n\r\nmore\r\n");
        let room = (h.text.capacity(), h.fields.capacity());
        h.add(b"A", b"b", name::COOKIE, ROOM).unwrap();
        h.add(b"C", b"d", name::COOKIE, ROOM).unwrap();
        assert_eq!((h.text.capacity(), h.fields.capacity()), room);
        assert_eq!(
            (h.first_line(), h.text()),
            (&b"GET / HTTP/1.1"[..], Some(&b"A: b\r\nC: d\r\n"[..]))
        );
        assert!(room.0 < 14 + 10 + 8 && room.1 == 2, "{room:?}");
    }

    #[test]
    fn what_was_sent_is_kept_apart_only_where_it_differs() {
        let lines: [&[u8]; 3] = [b"Host: a\r\n", b"X: y\r\n", b"\r\n"];
        let sent = |lines: &[&[u8]], room| {
            let mut h = Headers::default();
            h.begin(b"GET / HTTP/1.1", b"");
            for line in lines {
                let before = h.length();
                if line.len() > 2 {
                    let (name, value) = split_field(line.trim_ascii_end());
                    h.add(name, value, name::COOKIE, ROOM).unwrap();
                }
                h.add_sent(line, before, room);
            }
            let apart = h.apart().is_some_and(|apart| !apart.raw.is_empty());
            (h.sent().map(<[u8]>::to_vec), h.text().map(<[u8]>::to_vec), apart)
        };
        let whole = (Some(lines.concat()), Some(lines[..2].concat()), false);
        assert_eq!(sent(&lines, 1000), whole);
        assert_eq!(sent(&lines[..2], 1000).0, Some(lines[..2].concat()));
        for odd in [&b"X:y\r\n"[..], b"Cookie: k\r\n", b"host: b\r\n", b"Y: z\n"] {
            let lines = [lines[0], odd, lines[1], lines[2]];
            let (raw, _, apart) = sent(&lines, 1000);
            assert_eq!((raw, apart), (Some(lines.concat()), true));
        }
        assert_eq!(sent(&lines, 12).0, Some(lines.concat()[..12].to_vec()));
        assert_eq!(sent(&[], 1000).0, None);
    }

    #[test]
    fn repeated_fields_are_joined_except_content_length() {
        let mut h = Headers::default();
        for (n, v) in
            [("Host", "One"), ("host", "Two"), ("Content-Length", "1"), ("content-length", "2")]
        {
            h.add(n.as_bytes(), v.as_bytes(), name::COOKIE, ROOM).unwrap();
        }
        assert_eq!(h.get(name::HOST), Some(&b"One, Two"[..]));
        assert_eq!(h.get(name::CONTENT_LENGTH), Some(&b"1"[..]));
        assert_eq!(h.get(name::SERVER), None);
    }

    #[test]
    fn what_is_kept_is_bounded_but_framing_fields_stay() {
        let mut h = Headers::default();
        for i in 0..20 {
            h.add(format!("x{i}").as_bytes(), &[b'v'; 100], name::COOKIE, SMALL).unwrap();
        }
        h.add(b"Content-Length", b"7", name::COOKIE, SMALL).unwrap();
        assert!(h.bytes() < 600);
        assert_eq!(h.get(name::CONTENT_LENGTH), Some(&b"7"[..]));
        for i in 0..1000 {
            if h.add(format!("y{i}").as_bytes(), b"", name::COOKIE, Room { bytes: 50_000, ..SMALL })
                .is_err()
            {
                return;
            }
        }
        panic!("no limit on the number of fields");
    }

    #[test]
    fn names_are_found_through_nuls() {
        let mut h = Headers::default();
        h.add(b"Transfer\0-Encoding", b"x;ch\0UNKed", name::COOKIE, ROOM).unwrap();
        let value = h.get(name::TRANSFER_ENCODING).unwrap();
        assert_eq!(value, b"x;ch\0UNKed");
    }
}
