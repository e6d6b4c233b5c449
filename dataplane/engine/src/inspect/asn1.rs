//! `asn1`: goes through the objects of a buffer (X.690) and looks for one that overflows.

use rules::signature::{Asn1, Asn1Start};

/// Objects that are looked at in one buffer.
const MOST_OBJECTS: u32 = 256;
/// Objects within each other.
const DEEPEST: usize = 32;
/// More digits than any real number has.
const LONGEST_REAL: usize = 256;

/// An object's header.
struct Header {
    universal: bool,
    constructed: bool,
    number: u8,
    /// None: up to an end-of-contents mark.
    length: Option<usize>,
    /// Bytes of the header itself.
    size: usize,
}

fn header(data: &[u8]) -> Option<Header> {
    let &first = data.first()?;
    let mut size = 1;
    if first & 0x1f == 0x1f {
        // The number follows, seven bits a byte.
        loop {
            let more = data.get(size)? & 0x80 != 0;
            size += 1;
            if !more {
                break;
            }
        }
    }
    let &byte = data.get(size)?;
    size += 1;
    let length = match byte {
        0x80 => None,
        0..0x80 => Some(usize::from(byte)),
        _ => {
            let bytes = data.get(size..size.checked_add(usize::from(byte & 0x7f))?)?;
            size += bytes.len();
            let fold = |n: usize, &b: &u8| n.checked_mul(256)?.checked_add(usize::from(b));
            Some(bytes.iter().try_fold(0, fold)?)
        }
    };
    let constructed = first & 0x20 != 0;
    Some(Header { universal: first & 0xc0 == 0, constructed, number: first & 0x1f, length, size })
}

/// Does an object of the buffer fit? `at` is the end of the last match.
pub(super) fn holds(test: &Asn1, data: &[u8], at: usize) -> bool {
    let start = match test.start {
        None => Some(0),
        Some(Asn1Start::Absolute(n)) => usize::try_from(n).ok(),
        Some(Asn1Start::Relative(n)) => {
            i64::try_from(at).ok().and_then(|at| usize::try_from(at.checked_add(n)?).ok())
        }
    };
    let Some(data) = start.and_then(|start| data.get(start..)) else { return false };
    // Where the objects that are open end; None: at a mark.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut place = 0;
    for _ in 0..MOST_OBJECTS {
        while open.last().is_some_and(|end| *end == Some(place)) {
            open.pop();
        }
        let end = open.last().copied().flatten().unwrap_or(data.len());
        let Some(rest) = data.get(place..end) else { return false };
        if open.last() == Some(&None) && rest.starts_with(&[0, 0]) {
            open.pop();
            place += 2;
            continue;
        }
        let Some(it) = header(rest) else { return false };
        let body = match it.length {
            Some(length) => match rest.get(it.size..it.size.saturating_add(length)) {
                Some(body) => Some(body),
                None => return false,
            },
            None if it.constructed => None,
            None => return false,
        };
        if body.is_some_and(|body| overflows(test, &it, body)) {
            return true;
        }
        place += it.size;
        if it.constructed {
            if open.len() >= DEEPEST {
                return false;
            }
            open.push(body.map(|body| place + body.len()));
        } else {
            place += body.map_or(0, <[u8]>::len);
        }
    }
    false
}

fn overflows(test: &Asn1, header: &Header, body: &[u8]) -> bool {
    const BIT_STRING: u8 = 3;
    const REAL: u8 = 9;
    let over = |most: u32| u32::try_from(body.len()).is_ok_and(|length| length > most);
    if test.oversize_length.is_some_and(over) {
        return true;
    }
    if !header.universal || header.constructed {
        return false;
    }
    match (header.number, body.first()) {
        // More unused bits than there are bytes for.
        (BIT_STRING, Some(&unused)) if test.bitstring_overflow => {
            usize::from(unused >> 3) > body.len()
        }
        // A number in text.
        (REAL, Some(&first)) if test.double_overflow => {
            first & 0xc0 == 0 && body.len() > LONGEST_REAL
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn oversize(most: u32, data: &[u8]) -> bool {
        holds(&Asn1 { oversize_length: Some(most), ..Asn1::default() }, data, 0)
    }

    #[test]
    fn objects_are_found_within_and_behind_others() {
        assert!(oversize(2, b"\x30\x03\x03\x01\x07") && !oversize(3, b"\x30\x03\x03\x01\x07"));
        assert!(
            oversize(0, b"\x30\x80\x03\x01\x07\x00\x00")
                && !oversize(1, b"\x30\x80\x03\x01\x07\x00\x00")
        );
        assert!(oversize(1, b"\x02\x01\x05\x03\x02\x00\x07"));
        assert!(oversize(1, b"\x30\x80\x00\x00\x04\x02ab"));
        assert!(oversize(2, b"\x1f\x81\x01\x03abc"));
        assert!(!oversize(0, b"\x30\x82\x02\x00AAAA"), "cut off");
        assert!(!oversize(0, b"") && !oversize(0, b"\x30"));
    }

    #[test]
    fn bit_strings_and_numbers_overflow() {
        let bits = Asn1 { bitstring_overflow: true, ..Asn1::default() };
        assert!(holds(&bits, b"\x03\x01\xff", 0) && !holds(&bits, b"\x03\x02\x09\x00", 0));
        let real = Asn1 { double_overflow: true, ..Asn1::default() };
        let number = |first: u8| [&b"\x09\x82\x01\x10"[..], &[first], &[b'1'; 271]].concat();
        assert!(holds(&real, &number(3), 0) && !holds(&real, &number(0x80), 0));
    }

    #[test]
    fn the_first_object_is_where_the_rule_says() {
        let at = |start| Asn1 { bitstring_overflow: true, start, ..Asn1::default() };
        let data = b"xx\x03\x01\xff";
        assert!(holds(&at(Some(Asn1Start::Absolute(2))), data, 0));
        assert!(holds(&at(Some(Asn1Start::Relative(-1))), data, 3));
        assert!(!holds(&at(Some(Asn1Start::Relative(-9))), data, 3));
        assert!(!holds(&at(None), data, 3));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..300) {
            let test = Asn1 {
                bitstring_overflow: true,
                double_overflow: true,
                oversize_length: Some(1 << 20),
                start: Some(Asn1Start::Relative(-1)),
            };
            let _ = holds(&test, &data, at);
        }
    }
}
