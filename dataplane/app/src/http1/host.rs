//! The value of a Host field, or the authority of a CONNECT request: a host and perhaps a port.

use memchr::memchr;

use super::headers::Span;

/// What a Host field says.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Host {
    /// Where the host is in the value.
    pub(super) span: Span,
    /// It counts in lower case: only a host without port does (as in Suricata).
    pub(super) lower: bool,
    pub(super) port: Option<u16>,
}

impl Host {
    /// The host as it counts, of the value that this was read from.
    pub(super) fn text(&self, value: &[u8]) -> Vec<u8> {
        let host = self.span.of(value).unwrap_or_default();
        if self.lower { host.to_ascii_lowercase() } else { host.to_vec() }
    }
}

/// Splits `value` into host and port. There is no host in an empty value or an IPv6 address
/// without its closing bracket.
pub(super) fn parse(value: &[u8]) -> Option<Host> {
    let blanks = value.iter().take_while(|&&b| is_space(b)).count();
    let value = trim(value);
    let host = |end, lower, port| Host { span: Span::new(blanks, blanks + end), lower, port };
    match value.first()? {
        b'[' => {
            let end = memchr(b']', value)? + 1;
            Some(host(end, false, value[end..].strip_prefix(b":").and_then(port_number)))
        }
        _ => Some(match memchr(b':', value) {
            None => host(value.len(), true, None),
            Some(colon) => {
                let blanks = value[..colon].iter().rev().take_while(|&&b| is_space(b)).count();
                host(colon - blanks, false, port_number(&value[colon + 1..]))
            }
        }),
    }
}

/// A port in decimal, blanks around it allowed; `None` if it is none or out of range.
pub(super) fn port_number(text: &[u8]) -> Option<u16> {
    let digits = text.trim_ascii();
    if digits.is_empty() {
        return None;
    }
    digits
        .iter()
        .try_fold(0u16, |n, &b| {
            let digit = char::from(b).to_digit(10)?;
            n.checked_mul(10)?.checked_add(u16::try_from(digit).ok()?)
        })
        .filter(|&n| n > 0)
}

/// White space as C's `isspace` has it.
pub(super) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r')
}

/// Without the white space at both ends.
pub(super) fn trim(mut s: &[u8]) -> &[u8] {
    while let [first, tail @ ..] = s
        && is_space(*first)
    {
        s = tail;
    }
    while let [head @ .., last] = s
        && is_space(*last)
    {
        s = head;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_come_apart() {
        let host = |v: &str| {
            let host = parse(v.as_bytes())?;
            Some((String::from_utf8(host.text(v.as_bytes())).unwrap(), host.port))
        };
        assert_eq!(host("Foo.COM"), Some(("foo.com".into(), None)));
        assert_eq!(host(" Foo.COM.:8080 "), Some(("Foo.COM.".into(), Some(8080))));
        assert_eq!(host("Ab.C :77"), Some(("Ab.C".into(), Some(77))));
        assert_eq!(host("[::1]:80"), Some(("[::1]".into(), Some(80))));
        assert_eq!(host("[::1]"), Some(("[::1]".into(), None)));
        assert_eq!(host("[::1"), None);
        assert_eq!(host(""), None);
        assert_eq!(host("a:0"), Some(("a".into(), None)));
        assert_eq!(host("a:70000"), Some(("a".into(), None)));
        assert_eq!(host("a b:8x"), Some(("a b".into(), None)));
        assert_eq!(host("One, Two"), Some(("one, two".into(), None)));
    }
}
