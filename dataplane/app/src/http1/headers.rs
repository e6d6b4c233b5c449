//! The header fields of one message, in one arena, with a bound on what is kept.

use super::host::trim;

/// Fields that frame a message or name its host: kept even when the arena is full.
const STRUCTURAL: [&[u8]; 5] =
    [b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"];

/// Most times that the value of a repeated field is added to the first.
const MAX_REPETITIONS: u16 = 64;

/// Header fields in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Headers {
    arena: Vec<u8>,
    fields: Vec<Field>,
    repetitions: u16,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    /// Of the name in lower case: most names are told apart by it.
    hash: u32,
    name: (u32, u32),
    value: (u32, u32),
}

/// There are more fields than allowed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// A field line (line ends and folds undone) as name and value. Without a colon, or with a NUL
/// before it, all of it is the value of a field without name.
pub(super) fn split_field(line: &[u8]) -> (&[u8], &[u8]) {
    let Some(colon) = memchr::memchr2(b':', 0, line).filter(|&at| line[at] == b':') else {
        return (b"", line);
    };
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
    /// Content-Length, of which the first counts.
    pub(super) fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        max_fields: usize,
        max_bytes: usize,
    ) -> Result<(), TooMany> {
        let hash = hash(name);
        let structural = STRUCTURAL.iter().any(|s| name.eq_ignore_ascii_case(s));
        if !name.is_empty()
            && let Some(at) = self.find(name, hash)
        {
            if structural && name.eq_ignore_ascii_case(b"content-length") {
                return Ok(());
            }
            self.repetitions = self.repetitions.saturating_add(1);
            let old = self.fields[at].value;
            let joined = old.1.saturating_sub(old.0) as usize + 2 + value.len();
            if self.repetitions > MAX_REPETITIONS || self.arena.len() + joined > max_bytes {
                return Ok(());
            }
            let start = self.arena.len();
            self.arena.extend_from_within(old.0 as usize..old.1 as usize);
            self.arena.extend_from_slice(b", ");
            self.arena.extend_from_slice(value);
            self.fields[at].value = (start as u32, self.arena.len() as u32);
            return Ok(());
        }
        if self.fields.len() >= max_fields {
            return Err(TooMany);
        }
        if !structural && self.arena.len() + name.len() + value.len() > max_bytes {
            return Ok(());
        }
        let name = self.push(name);
        let value = self.push(value);
        self.fields.push(Field { hash, name, value });
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        (start, self.arena.len() as u32)
    }

    fn slice(&self, range: (u32, u32)) -> &[u8] {
        self.arena.get(range.0 as usize..range.1 as usize).unwrap_or_default()
    }

    fn find(&self, name: &[u8], hash: u32) -> Option<usize> {
        self.fields
            .iter()
            .position(|f| f.hash == hash && self.slice(f.name).eq_ignore_ascii_case(name))
    }

    /// The value of a field, by its name in any case.
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.find(name, hash(name)).map(|at| self.slice(self.fields[at].value))
    }

    /// Bytes held.
    pub(super) fn kept(&self) -> usize {
        self.arena.capacity() + self.fields.capacity() * size_of::<Field>()
    }

    /// Forgets all fields (those of an interim response).
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// FNV-1a over the name in lower case.
fn hash(name: &[u8]) -> u32 {
    name.iter()
        .fold(0x811c_9dc5, |h, b| (h ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193))
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

    #[test]
    fn fields_split_at_the_colon_leniently() {
        assert_eq!(split_field(b"Host:  a.b \t"), (&b"Host"[..], &b"a.b"[..]));
        assert_eq!(split_field(b"Host \t: a"), (&b"Host"[..], &b"a"[..]));
        assert_eq!(split_field(b"no colon"), (&b""[..], &b"no colon"[..]));
        assert_eq!(split_field(b"a\0b: c"), (&b""[..], &b"a\0b: c"[..]));
        assert_eq!(split_field(b"Host:h\0j"), (&b"Host"[..], &b"h\0j"[..]));
        assert_eq!(split_field(b": v"), (&b""[..], &b"v"[..]));
    }

    #[test]
    fn repeated_fields_are_joined_except_content_length() {
        let mut h = Headers::default();
        for (n, v) in
            [("Host", "One"), ("host", "Two"), ("Content-Length", "1"), ("content-length", "2")]
        {
            h.add(n.as_bytes(), v.as_bytes(), 10, 1000).unwrap();
        }
        assert_eq!(h.get(b"HOST"), Some(&b"One, Two"[..]));
        assert_eq!(h.get(b"content-length"), Some(&b"1"[..]));
        assert_eq!(h.get(b"x"), None);
    }

    #[test]
    fn what_is_kept_is_bounded_but_framing_fields_stay() {
        let mut h = Headers::default();
        for i in 0..20 {
            h.add(format!("x{i}").as_bytes(), &[b'v'; 100], 100, 500).unwrap();
        }
        h.add(b"Content-Length", b"7", 100, 500).unwrap();
        assert!(h.arena.len() < 600);
        assert_eq!(h.get(b"content-length"), Some(&b"7"[..]));
        for i in 0..1000 {
            if h.add(format!("y{i}").as_bytes(), b"", 100, 50_000).is_err() {
                return;
            }
        }
        panic!("no limit on the number of fields");
    }

    #[test]
    fn lengths_are_found_in_junk() {
        assert_eq!(content_length(b" 12 "), Some(12));
        assert_eq!(content_length(b"+12abc"), Some(12));
        assert_eq!(content_length(b"x"), None);
        assert_eq!(content_length(b"99999999999999999999"), None);
    }
}
