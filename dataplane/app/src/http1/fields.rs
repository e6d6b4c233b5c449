//! What one header field's line says: its name, its value, and what is looked for in values.

use super::host::trim;

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

/// A parameter of a field's value (RFC 9110, 5.6.6), without its quotes.
pub(super) fn value_param<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = value.split(|&b| b == b';').find_map(|part| {
        let part = part.trim_ascii();
        let (key, rest) = part.split_at_checked(name.len())?;
        let rest = rest.strip_prefix(b"=")?;
        key.eq_ignore_ascii_case(name).then_some(rest)
    })?;
    let value = match value {
        [b'"', value @ .., b'"'] => value,
        value => value,
    };
    (!value.is_empty()).then_some(value)
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
    fn lengths_are_found_in_junk() {
        assert_eq!(content_length(b" 12 "), Some(12));
        assert_eq!(content_length(b"+12abc"), Some(12));
        assert_eq!(content_length(b"x"), None);
        assert_eq!(content_length(b"99999999999999999999"), None);
    }

    #[test]
    fn tokens_are_found_through_nuls_and_case() {
        assert!(mentions(b"x;ch\0UNKed", b"chunked") && !mentions(b"x;chunked", b"gzip"));
        assert!(has_token(b"a, Close ", b"close") && !has_token(b"closed", b"close"));
    }

    #[test]
    fn a_parameter_comes_without_its_quotes() {
        let value = b"form-data; name=\"a\"; Filename=b.txt; empty=";
        assert_eq!(value_param(value, b"name"), Some(&b"a"[..]));
        assert_eq!(value_param(value, b"filename"), Some(&b"b.txt"[..]));
        assert_eq!(value_param(value, b"empty"), None);
    }
}
