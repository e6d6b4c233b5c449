//! Queries and answers of DNS over UDP (RFC 1035).

use std::net::Ipv4Addr;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// An IPv4 address.
    A = 1,
    /// Text.
    Txt = 16,
}

/// A query for `name`, with recursion desired.
///
/// # Panics
/// If a label of the name is empty or of more than 63 bytes.
pub fn query(id: u16, name: &str, kind: Kind) -> Vec<u8> {
    message(id, 0x0100, name, kind, 0)
}

/// The answer to [`query`] with one address.
///
/// # Panics
/// See [`query`].
pub fn address_answer(id: u16, name: &str, address: Ipv4Addr) -> Vec<u8> {
    let mut out = message(id, 0x8180, name, Kind::A, 1);
    record(&mut out, Kind::A, &address.octets());
    out
}

/// The answer to [`query`] with one text of at most 255 bytes.
///
/// # Panics
/// See [`query`]; or if the text is longer.
pub fn text_answer(id: u16, name: &str, text: &str) -> Vec<u8> {
    let mut out = message(id, 0x8180, name, Kind::Txt, 1);
    let length = u8::try_from(text.len()).expect("a text of at most 255 bytes");
    record(&mut out, Kind::Txt, &[&[length], text.as_bytes()].concat());
    out
}

/// The answer that there is no such name.
///
/// # Panics
/// See [`query`].
pub fn no_such_name(id: u16, name: &str, kind: Kind) -> Vec<u8> {
    message(id, 0x8183, name, kind, 0)
}

fn message(id: u16, flags: u16, name: &str, kind: Kind, answers: u16) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [id, flags, 1, answers, 0, 0] {
        out.extend(field.to_be_bytes());
    }
    for label in name.split('.') {
        assert!((1..=63).contains(&label.len()), "no label: {label:?}");
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out.extend((kind as u16).to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    out
}

/// A record of the name that was asked for.
fn record(out: &mut Vec<u8>, kind: Kind, data: &[u8]) {
    out.extend([0xc0, 12]);
    out.extend((kind as u16).to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    out.extend(60_u32.to_be_bytes());
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_repeats_the_question_and_points_back_to_its_name() {
        let question = query(7, "a.example", Kind::A);
        assert_eq!(question[..12], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&question[12..], b"\x01a\x07example\0\0\x01\0\x01");
        let answer = address_answer(7, "a.example", Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(answer[12..question.len()], question[12..]);
        assert_eq!(answer[question.len()..][..4], [0xc0, 12, 0, 1]);
        assert!(answer.ends_with(&[0, 4, 192, 0, 2, 1]));
    }
}
