//! Transforms: what a rule has done to a buffer before it looks there.

use hyperscan::PaddedBuf;
use md5::Md5;
use pcre2::{MatchOptions, Matcher};
use rules::signature::Transform;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Carries out transforms; owned by a core and used again and again.
#[derive(Debug)]
pub(super) struct Transformer {
    matcher: Matcher,
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Transformer {
    /// One with room to grow.
    pub(super) fn new() -> Result<Self, pcre2::OutOfMemory> {
        Ok(Self { matcher: Matcher::new()?, from: Vec::new(), to: Vec::new() })
    }

    /// Puts a buffer, transformed step by step, where it may be scanned.
    pub(super) fn apply(&mut self, bytes: &[u8], steps: &[Transform], out: &mut PaddedBuf) {
        out.clear();
        match steps {
            [] => out.extend_from_slice(bytes),
            [Transform::DotPrefix] => {
                out.extend_from_slice(b".");
                out.extend_from_slice(bytes);
            }
            _ => {
                self.from.clear();
                self.from.extend_from_slice(bytes);
                for transform in steps {
                    self.to.clear();
                    step(&mut self.matcher, transform, &self.from, &mut self.to);
                    std::mem::swap(&mut self.from, &mut self.to);
                }
                out.extend_from_slice(&self.from);
            }
        }
    }
}

/// C's white space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn step(matcher: &mut Matcher, transform: &Transform, from: &[u8], to: &mut Vec<u8>) {
    match transform {
        Transform::DotPrefix => {
            to.push(b'.');
            to.extend_from_slice(from);
        }
        Transform::StripWhitespace => to.extend(from.iter().filter(|&&b| !is_blank(b))),
        Transform::CompressWhitespace => {
            let mut blank = false;
            for &byte in from {
                let again = blank && is_blank(byte);
                blank = is_blank(byte);
                if !again {
                    to.push(byte);
                }
            }
        }
        Transform::StripPseudoHeaders => {
            for line in from.split_inclusive(|&b| b == b'\n') {
                if !line.starts_with(b":") {
                    to.extend_from_slice(line);
                }
            }
        }
        Transform::HeaderLowercase => {
            let mut name = true;
            to.extend(from.iter().map(|&byte| {
                match byte {
                    // HTTP/2's pseudo headers begin with one.
                    b':' => name = false,
                    b'\n' => name = true,
                    _ => {}
                }
                if name { byte.to_ascii_lowercase() } else { byte }
            }));
        }
        Transform::ToLowercase => to.extend(from.iter().map(u8::to_ascii_lowercase)),
        Transform::ToUppercase => to.extend(from.iter().map(u8::to_ascii_uppercase)),
        Transform::ToMd5 => to.extend_from_slice(&Md5::digest(from)),
        Transform::ToSha1 => to.extend_from_slice(&Sha1::digest(from)),
        Transform::ToSha256 => to.extend_from_slice(&Sha256::digest(from)),
        Transform::UrlDecode => url_decode(from, to),
        Transform::Xor(key) => {
            to.extend(from.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
        Transform::Pcre(pcre) => {
            let found = pcre.regex.find_at(matcher, from, 0, MatchOptions::default());
            let group = match found {
                Ok(Some(_)) => matcher.group(1).and_then(|range| from.get(range)),
                _ => None,
            };
            to.extend_from_slice(group.unwrap_or(from));
        }
    }
}

/// `%41` is `A` and `+` a blank; what is no such escape stays.
fn url_decode(from: &[u8], to: &mut Vec<u8>) {
    let digit = |at: usize| {
        let digit = from.get(at).and_then(|&b| char::from(b).to_digit(16))?;
        u8::try_from(digit).ok()
    };
    let mut at = 0;
    while let Some(&byte) = from.get(at) {
        at += 1;
        match (byte, digit(at), digit(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                to.push(high << 4 | low);
                at += 2;
            }
            (b'+', ..) => to.push(b' '),
            _ => to.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rules::signature::PcreTransform;

    use super::*;

    fn applied(steps: &[Transform], bytes: &[u8]) -> Vec<u8> {
        let mut out = PaddedBuf::new();
        Transformer::new().expect("memory").apply(bytes, steps, &mut out);
        out.as_bytes().to_vec()
    }

    #[test]
    fn white_space_is_stripped_or_compressed_to_its_first() {
        use Transform::{CompressWhitespace, StripWhitespace};
        assert_eq!(applied(&[StripWhitespace], b" a\tb\r\n\x0bc "), b"abc");
        assert_eq!(applied(&[CompressWhitespace], b"a\t b  \t c"), b"a\tb c");
        assert_eq!(applied(&[CompressWhitespace], b""), b"");
    }

    #[test]
    fn headers_lose_pseudo_lines_and_the_case_of_their_names() {
        use Transform::{HeaderLowercase, StripPseudoHeaders};
        let headers = b":method: GET\r\nUser-Agent: Ab\r\nX-A: B:C\r\n";
        assert_eq!(applied(&[StripPseudoHeaders], headers), &headers[14..]);
        assert_eq!(applied(&[HeaderLowercase], &headers[14..]), b"user-agent: Ab\r\nx-a: B:C\r\n");
    }

    #[test]
    fn digests_are_bytes_and_steps_follow_one_another() {
        use Transform::{DotPrefix, StripWhitespace, ToLowercase, ToMd5, ToSha1, ToSha256};
        let md5 = b"\x90\x01\x50\x98\x3c\xd2\x4f\xb0\xd6\x96\x3f\x7d\x28\xe1\x7f\x72";
        assert_eq!(applied(&[ToMd5], b"abc"), md5);
        assert_eq!(applied(&[StripWhitespace, ToLowercase, ToMd5], b"A b C"), md5);
        assert_eq!(applied(&[ToSha1], b"abc")[..4], [0xa9, 0x99, 0x3e, 0x36]);
        assert_eq!(applied(&[ToSha256], b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(applied(&[DotPrefix], b"a"), b".a");
        assert_eq!(applied(&[DotPrefix, DotPrefix], b"a"), b"..a");
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(applied(&[Transform::UrlDecode], b"/a%20b?x=%zz+%4"), b"/a b?x=%zz %4");
    }

    #[test]
    fn xor_goes_round_its_key() {
        assert_eq!(applied(&[Transform::Xor(Arc::from([1, 2]))], &[1, 1, 1]), [0, 3, 0]);
        assert_eq!(applied(&[Transform::Xor(Arc::from([0x20]))], b"aB"), b"Ab");
    }

    #[test]
    fn an_expression_leaves_its_group_or_all() {
        let regex = pcre2::Regex::compile(b"a(.)c", pcre2::Flags::default()).expect("compiles");
        let pcre = Transform::Pcre(PcreTransform { source: "a(.)c".into(), regex: regex.into() });
        assert_eq!(applied(std::slice::from_ref(&pcre), b"xxabcyy"), b"b");
        assert_eq!(applied(&[pcre], b"nothing"), b"nothing");
    }
}
