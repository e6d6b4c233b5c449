//! How rarely a pattern is met in traffic by chance, so that the rarest of a rule's contents
//! becomes its fast pattern. An estimate in eighths of a bit, from plain tables.

use std::ops::Range;

use super::pairs;

/// Longest slice that is looked for. Hyperscan's literal matchers decide on the last eight bytes
/// and the candidate is verified whole afterwards, so that more only makes databases and stream
/// overlaps larger.
pub(crate) const MAX_LEN: usize = 32;

/// The bytes at a literal's end that Hyperscan hashes.
const HASHED: usize = 8;

/// Above this an additional byte hardly makes a candidate rarer (48 bits).
const ENOUGH: u32 = 48 * 8;

/// Words so common in traffic that finding them says next to nothing; compared without case.
const COMMON: &[&[u8]] = &[
    b"http/1.1",
    b"http/1.0",
    b"http://",
    b"https://",
    b"mozilla/",
    b"user-agent",
    b"content-type",
    b"content-length",
    b"content-disposition",
    b"transfer-encoding",
    b"accept-",
    b"accept: ",
    b"connection: ",
    b"keep-alive",
    b"host: ",
    b"cookie:",
    b"set-cookie",
    b"referer: ",
    b"server: ",
    b"location: ",
    b"cache-control",
    b"text/html",
    b"text/plain",
    b"application/",
    b"javascript",
    b"windows",
    b"function",
    b"return",
    b"<html",
    b"<script",
    b"</script",
    b"<?xml",
    b"xhtml",
    b"+xml",
    b"q=0.",
    b"</",
    b"www.",
    b".com",
    b".net",
    b".org",
    b".php",
    b".asp",
    b".html",
    b".exe",
    b".js",
    b"/index",
    b"?id=",
    b"post /",
    b"get /",
    b"\r\n\r\n",
    b"\r\n",
    b": ",
    b"\0\0",
    b"\xff\xff",
    b"\xffsmb",
    b"\xfesmb",
];

/// What one byte is worth, in eighths of a bit.
fn weight(byte: u8, nocase: bool) -> u32 {
    let plain = match byte {
        0 => 12,
        b' ' => 20,
        b'\r' | b'\n' | 0xff => 24,
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 28,
        b'j' | b'q' | b'x' | b'z' | b'k' | b'v' => 48,
        b'a'..=b'z' => 36,
        b'0' | b'1' | b'.' | b'/' | b'-' | b':' | b'=' | 1..=8 => 32,
        b'2'..=b'9' => 36,
        b'A'..=b'Z' => 40,
        0x21..=0x7e => 40,
        _ => 48,
    };
    if nocase && byte.is_ascii_alphabetic() { plain - 8 } else { plain }
}

/// The slice of a pattern that is best looked for, and its worth in eighths of a bit: up to
/// [`MAX_LEN`] bytes, without a tail that is worth nothing; empty only for an empty pattern.
pub(crate) fn best_slice(pattern: &[u8], nocase: bool) -> (Range<usize>, u32) {
    let weights = weights(pattern, nocase);
    let mut best = (0..0, 0);
    for end in 1..=pattern.len() {
        let window = end.saturating_sub(MAX_LEN)..end;
        let worth = worth(pattern.get(window.clone()), weights.get(window.clone()));
        if worth >= best.1 {
            best = (window, worth);
        }
    }
    best
}

/// Bytes at a literal's end that Hyperscan's matcher for many literals looks at, pair by pair.
const LOOKED_AT: usize = 8;

/// What a capital adds to the pair that it begins where case matters: the table of pairs knows none, in eighths of a bit.
const CAPITAL: u32 = 8;

/// Below so many eighths of a bit pairs say too little: a longer slice makes fewer candidates.
const TELLING: u32 = 30 * 8;

/// How many times a slice's last pair counts beside the others. The matcher keeps patterns in a few buckets, and of each
/// bucket it knows which pairs any of its patterns has at a place. With hundreds of patterns in a bucket that is most of the
/// pairs of ordinary text at most places; but where all have their rarest pair at the same place, hardly any is left there.
const LAST: u32 = 31;

/// The part of a slice that ends in a rare pair of bytes, where its pairs are rare enough; else all of it. In long
/// data, where hardly anything is found, a matcher that is led astray less often is worth more than a longer slice.
pub(crate) fn narrowed(slice: &[u8], nocase: bool) -> Range<usize> {
    let capital = |byte: u8| u32::from(!nocase && byte.is_ascii_uppercase()) * CAPITAL;
    let worth = |pair: &[u8]| match *pair {
        // Where there is one of them there are more.
        [first, second] if first == second => pairs::telling(first, second) / 4,
        [first, second] => pairs::telling(first, second) + capital(first),
        _ => 0,
    };
    let worths: Vec<u32> = slice.windows(2).map(worth).collect();
    let mut best = (0, 0..slice.len());
    for (before, &last) in worths.iter().enumerate() {
        let start = (before + 2).saturating_sub(LOOKED_AT);
        let bits: u32 = worths.get(start..=before).unwrap_or(&[]).iter().sum();
        let score = bits + (LAST - 1) * last;
        if bits >= TELLING && score >= best.0 {
            best = (score, start..before + 2);
        }
    }
    best.1
}

/// Each byte's weight, lowered within common words and runs of one byte.
fn weights(pattern: &[u8], nocase: bool) -> Vec<u32> {
    let mut weights: Vec<u32> = pattern.iter().map(|&byte| weight(byte, nocase)).collect();
    for ((pair, _), weight) in pattern.windows(2).zip(0..).zip(weights.iter_mut().skip(1)) {
        if pair.first() == pair.last() {
            *weight /= 4;
        }
    }
    for word in COMMON {
        for start in 0..pattern.len().saturating_sub(word.len() - 1) {
            let end = start + word.len();
            if pattern.get(start..end).is_some_and(|at| at.eq_ignore_ascii_case(word)) {
                for weight in weights.iter_mut().take(end).skip(start) {
                    *weight = (*weight).min(8);
                }
            }
        }
    }
    weights
}

/// A slice's worth: its bytes', those met before at three quarters, and the last eight again
/// because the matcher's first look is at them.
fn worth(pattern: Option<&[u8]>, weights: Option<&[u32]>) -> u32 {
    let (Some(pattern), Some(weights)) = (pattern, weights) else { return 0 };
    let hashed_from = pattern.len().saturating_sub(HASHED);
    let mut seen = [false; 256];
    let (mut all, mut hashed) = (0, 0);
    for (at, (&byte, &weight)) in pattern.iter().zip(weights).enumerate() {
        let seen = &mut seen[usize::from(byte)];
        let weight = if *seen { weight * 3 / 4 } else { weight };
        *seen = true;
        all += weight;
        if at >= hashed_from {
            hashed += weight;
        }
    }
    let all = if all > ENOUGH { ENOUGH + (all - ENOUGH) / 8 } else { all };
    all + hashed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rarity(pattern: &[u8]) -> u32 {
        best_slice(pattern, false).1
    }

    #[test]
    fn rare_bytes_beat_common_ones_of_the_same_length() {
        assert!(rarity(b"\x90\xe8\xc0\xfe\x17\x81") > rarity(b"\0\0\0\0\0\0"));
        assert!(rarity(b"qz7Xk!") > rarity(b"aaaaaa"));
        assert!(rarity(b"xploit") > rarity(b"      "));
    }

    #[test]
    fn a_short_rare_pattern_beats_a_long_common_one() {
        assert!(rarity(b"evilbot") > rarity(b"User-Agent: "));
        assert!(rarity(b"\x01\x02\x03\xffab") > rarity(b"\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert!(rarity(b"gate7x") > rarity(b"HTTP/1.1\r\n"));
    }

    #[test]
    fn longer_is_better_among_equals_and_case_helps() {
        assert!(rarity(b"abcdefgh") > rarity(b"abcd"));
        assert!(rarity(b"abcd") > rarity(b"ab"));
        assert!(best_slice(b"evilbot", false).1 > best_slice(b"evilbot", true).1);
    }

    #[test]
    fn a_common_tail_is_cut_off_and_a_rare_one_is_not() {
        assert_eq!(best_slice(b"Conection: Keep-Alive\r\n", false).0, 0..9);
        assert_eq!(best_slice(b"Host: evil77.example", false).0, 0..20);
        assert_eq!(best_slice(b"\r\n\r\n", false).0.len(), 4);
    }

    #[test]
    fn a_long_pattern_is_cut_to_its_rarest_part() {
        let mut pattern = vec![b'A'; 100];
        pattern.extend_from_slice(
            b"\x17qK#9vZ\xe8\xc1%j3@xW{~\x80\x99\xab\xcd\xef1z\x13\x37\xc3\x5b\x81\xbe\xd7\xa9",
        );
        let rare = 100..132;
        pattern.extend_from_slice(&[b'A'; 100]);
        assert_eq!(best_slice(&pattern, false).0, rare);
    }

    #[test]
    fn a_slice_is_narrowed_to_end_in_its_rarest_pair_and_kept_where_none_is_rare_enough() {
        let narrow = |slice: &'static [u8]| &slice[narrowed(slice, true)];
        assert_eq!(narrow(b"and then #q\xe8z{9@x and then"), b"hen #q\xe8z");
        assert_eq!(narrow(b"xploit77"), b"xploit7");
        assert_eq!(narrow(b"the the"), b"the the");
        assert_eq!(narrow(b"qz"), b"qz");
        assert_eq!((narrow(b"q"), narrow(b"")), (&b"q"[..], &b""[..]));
    }

    proptest! {
        #[test]
        fn the_slice_lies_within_and_is_as_long_as_may_be(
            pattern in proptest::collection::vec(any::<u8>(), 0..120),
            nocase: bool,
        ) {
            let (slice, worth) = best_slice(&pattern, nocase);
            prop_assert!(slice.len() <= MAX_LEN && slice.end <= pattern.len());
            prop_assert_eq!(slice.is_empty(), pattern.is_empty());
            prop_assert_eq!(worth == 0, pattern.is_empty());
            // Nothing is cut off in front but what is too much.
            prop_assert!(slice.start == 0 || slice.len() == MAX_LEN);
        }

        #[test]
        fn what_was_narrowed_is_not_narrowed_again(
            pattern in proptest::collection::vec(any::<u8>(), 0..40),
            nocase: bool,
        ) {
            let first = &pattern[narrowed(&pattern, nocase)];
            prop_assert!(first.len() <= LOOKED_AT || first.len() == pattern.len());
            prop_assert_eq!(&first[narrowed(first, nocase)], first);
        }
    }
}
