//! `base64_decode`: as much of a buffer as is base64 (RFC 4648), up to the first other byte.

use rules::signature::Base64Decode;

/// The most bytes that are decoded, as in Suricata.
const MOST: usize = u16::MAX as usize;

/// Decodes to `out`, beginning where the rule says. Returns the index behind what was read; None if
/// that comes to nothing.
pub(super) fn decode(
    rule: &Base64Decode,
    data: &[u8],
    at: usize,
    out: &mut Vec<u8>,
) -> Option<usize> {
    out.clear();
    let origin = if rule.relative { at } else { 0 };
    let start = origin.checked_add(usize::try_from(rule.offset).ok()?)?;
    let source = data.get(start..).filter(|source| !source.is_empty())?;
    let most = match usize::try_from(rule.bytes).ok()? {
        0 => MOST,
        bytes => bytes.min(MOST),
    };
    let source = source.get(..most).unwrap_or(source);
    let read = letters(source, out);
    (!out.is_empty()).then_some(start + read)
}

/// Decodes letters in fours. Fewer at the end are what they can be, one alone is nothing. Padding
/// ends the data with its four.
fn letters(source: &[u8], out: &mut Vec<u8>) -> usize {
    let (mut four, mut count, mut padding) = (0u32, 0u32, 0u32);
    let mut read = 0;
    for &byte in source {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // Padding before any letter of its four is none.
            b'=' if count > 0 => {
                padding += 1;
                0
            }
            _ => break,
        };
        read += 1;
        four = four << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            let [_, bytes @ ..] = four.to_be_bytes();
            let kept = 3usize.saturating_sub(usize::try_from(padding).unwrap_or(3));
            out.extend_from_slice(bytes.get(..kept).unwrap_or(&[]));
            if padding > 0 {
                return read;
            }
            (four, count) = (0, 0);
        }
    }
    let letters = count - padding;
    if letters >= 2 {
        let [_, bytes @ ..] = (four << (6 * (4 - count))).to_be_bytes();
        let kept = usize::try_from(letters).unwrap_or(1) - 1;
        out.extend_from_slice(bytes.get(..kept).unwrap_or(&[]));
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: u32, offset: u32, data: &[u8]) -> Option<(Vec<u8>, usize)> {
        let rule = Base64Decode { bytes, offset, relative: false, tests: Vec::new() };
        let mut out = Vec::new();
        decode(&rule, data, 0, &mut out).map(|end| (out, end))
    }

    #[test]
    fn letters_become_bytes_up_to_the_first_other_one() {
        let is = |text: &[u8], end| Some((text.to_vec(), end));
        assert_eq!(decoded(0, 0, b"dGhpc2lzYXRlc3QK!!ZZ"), is(b"thisisatest\n", 16));
        assert_eq!(decoded(0, 2, b"q=dGVzdA==rest"), is(b"test", 10));
        assert_eq!(decoded(0, 0, b"ngg%3D"), is(b"\x9e\x08", 3));
    }

    #[test]
    fn a_cut_off_end_is_what_it_can_be() {
        assert_eq!(decoded(3, 0, b"dGVz").map(|d| d.0), Some(b"te".to_vec()));
        assert_eq!(decoded(2, 0, b"dGVz").map(|d| d.0), Some(b"t".to_vec()));
        assert_eq!(decoded(1, 0, b"dGVz"), None);
        assert_eq!(decoded(0, 0, b"dGVzd").map(|d| d.0), Some(b"tes".to_vec()));
        assert_eq!(decoded(0, 9, b"dGVz"), None);
        assert_eq!(decoded(0, 0, b"="), None);
        assert_eq!(decoded(0, 0, b"!"), None);
    }
}
