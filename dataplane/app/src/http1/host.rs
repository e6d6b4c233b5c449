//! The value of a Host field, or the authority of a CONNECT request: a host and perhaps a port.

use memchr::memchr;

/// Splits `value` into host and port. There is no host in an empty value or an IPv6 address
/// without its closing bracket. Only a host without port is put in lower case (so does Suricata).
pub(super) fn parse(value: &[u8]) -> Option<(Vec<u8>, Option<u16>)> {
    let value = trim(value);
    match value.first()? {
        b'[' => {
            let end = memchr(b']', value)? + 1;
            let port = value[end..].strip_prefix(b":").and_then(port_number);
            Some((value[..end].to_vec(), port))
        }
        _ => match memchr(b':', value) {
            None => Some((value.to_ascii_lowercase(), None)),
            Some(colon) => {
                let mut host = &value[..colon];
                while let [head @ .., last] = host
                    && is_space(*last)
                {
                    host = head;
                }
                Some((host.to_vec(), port_number(&value[colon + 1..])))
            }
        },
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
        let host = |v: &str| parse(v.as_bytes()).map(|(h, p)| (String::from_utf8(h).unwrap(), p));
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
