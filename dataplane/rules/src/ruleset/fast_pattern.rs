//! Chooses the content of a signature that the prefilter looks for: the one marked
//! `fast_pattern`, otherwise the rarest that is not negated.

use super::rarity::{best_slice, narrowed};
use crate::signature::{Buffer, BufferTests, Content, FastPattern, Kind, Number, Signature, Test};

/// A raw payload content worth this much (in eighths of a bit) is taken before one in a header:
/// payloads are scanned anyway, headers only for the sake of such rules.
const GOOD_PAYLOAD: u32 = 160;

/// Fills `fast_pattern`; the signature's `kind` must be known. A slice that the parser has put
/// there (`fast_pattern:2,5`) is kept where its buffer can be used.
pub(crate) fn choose(signature: &mut Signature) {
    signature.fast_pattern = match signature.kind {
        Kind::Packet | Kind::Stream | Kind::Transaction => chosen(signature),
        Kind::IpOnly | Kind::LikeIpOnly | Kind::AppProtocol | Kind::Event => None,
    };
}

/// The bytes that the prefilter looks for, and whether without case.
pub(crate) fn bytes(signature: &Signature) -> Option<(&[u8], bool)> {
    let fast = signature.fast_pattern?;
    let content = content(signature, fast.buffer, fast.test)?;
    let bytes = content.pattern.get(fast.start..fast.start.checked_add(fast.len)?)?;
    (!bytes.is_empty()).then_some((bytes, content.nocase))
}

/// Where the end of the prefilter's bytes can be, counted from their buffer's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends {
    /// At the earliest.
    pub(crate) first: u32,
    /// At the latest.
    pub(crate) last: u32,
}

impl Ends {
    /// No bounds.
    pub(crate) const ANYWHERE: Self = Self { first: 0, last: u32::MAX };

    /// In how many places a pattern of this length can stand.
    pub(crate) fn places(self, len: u32) -> u32 {
        (self.last.saturating_add(1)).saturating_sub(self.first.max(len))
    }
}

/// Where the content's `offset` and `depth` allow the prefilter's bytes to end.
pub(crate) fn ends(signature: &Signature) -> Ends {
    bounds(signature).unwrap_or(Ends::ANYWHERE)
}

/// [`ends`]; None where nothing can be told.
fn bounds(signature: &Signature) -> Option<Ends> {
    let fast = signature.fast_pattern?;
    let content = content(signature, fast.buffer, fast.test)?;
    let (offset, depth) = match (content.offset, content.depth) {
        // Counts from the last match.
        _ if content.is_relative() => return None,
        _ if content.starts_with => (0, Some(content.pattern.len().try_into().ok()?)),
        (Some(Number::Variable(_)), _) | (_, Some(Number::Variable(_))) => return None,
        (offset, depth) => {
            let literal = |number| match number {
                Some(Number::Literal(n)) => Some(n),
                _ => None,
            };
            (literal(offset).unwrap_or(0).max(0), literal(depth))
        }
    };
    // The slice ends this far from where the content begins, and before where it ends.
    let ahead = i64::try_from(fast.start.checked_add(fast.len)?).ok()?;
    let behind = i64::try_from(content.pattern.len()).ok()?.checked_sub(ahead)?;
    let first = u32::try_from(offset.checked_add(ahead)?).ok()?;
    let last = match depth {
        Some(depth) => u32::try_from(offset.checked_add(depth)?.checked_sub(behind)?).ok()?,
        None => u32::MAX,
    };
    Some(Ends { first, last })
}

/// The buffer and transforms that the fast pattern stands in.
pub(crate) fn place(signature: &Signature) -> Option<&BufferTests> {
    signature.buffers.get(signature.fast_pattern?.buffer)
}

fn content(signature: &Signature, buffer: usize, test: usize) -> Option<&Content> {
    match signature.buffers.get(buffer)?.tests.get(test)? {
        Test::Content(content) => Some(content),
        _ => None,
    }
}

fn chosen(signature: &Signature) -> Option<FastPattern> {
    // A transaction's candidates are found in its buffers: a pattern in the raw payload cannot
    // say which transaction of the flow it belongs to.
    let usable = |buffer: Buffer| buffer.is_transaction() == (signature.kind == Kind::Transaction);
    if let Some(fast) = signature.fast_pattern
        && signature.buffers.get(fast.buffer).is_some_and(|b| usable(b.buffer))
        && content(signature, fast.buffer, fast.test).is_some_and(|content| !content.negated)
        && let Some((bytes, nocase)) = bytes(signature)
    {
        let (slice, _) = best_slice(bytes, nocase);
        let fast = FastPattern { start: fast.start + slice.start, len: slice.len(), ..fast };
        return Some(narrow(signature, fast));
    }

    let mut best: Option<((bool, bool, u32), FastPattern)> = None;
    for (buffer, tests) in signature.buffers.iter().enumerate() {
        // Headers are scanned as they are.
        let changed = tests.buffer.is_header() && !tests.transforms.is_empty();
        if !usable(tests.buffer) || changed {
            continue;
        }
        for (test, content) in tests.tests.iter().enumerate() {
            let Test::Content(content) = content else { continue };
            if content.negated || content.pattern.is_empty() {
                continue;
            }
            let (slice, worth) = best_slice(&content.pattern, content.nocase);
            let rank = rank(content, tests.buffer, worth);
            if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                let fast = FastPattern { buffer, test, start: slice.start, len: slice.len() };
                best = Some((rank, fast));
            }
        }
    }
    best.map(|(_, fast)| narrow(signature, fast))
}

/// In bodies and payloads, the part of the slice that is cheapest to look for.
fn narrow(signature: &Signature, fast: FastPattern) -> FastPattern {
    let is_long = |tests: &BufferTests| tests.buffer.is_body() || tests.buffer == Buffer::Payload;
    let is_long = signature.buffers.get(fast.buffer).is_some_and(is_long);
    let found =
        content(signature, fast.buffer, fast.test).filter(|_| is_long).and_then(|content| {
            let slice = content.pattern.get(fast.start..fast.start.checked_add(fast.len)?)?;
            Some(narrowed(slice, content.nocase))
        });
    match found {
        Some(part) => FastPattern { start: fast.start + part.start, len: part.len(), ..fast },
        None => fast,
    }
}

/// How good a content is as fast pattern; the greatest wins.
fn rank(content: &Content, buffer: Buffer, worth: u32) -> (bool, bool, u32) {
    let worth = match buffer {
        // One of a handful of words in every request.
        Buffer::HttpMethod => worth / 16,
        _ => worth,
    };
    (content.fast_pattern, buffer == Buffer::Payload && worth >= GOOD_PAYLOAD, worth)
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;
    use crate::ruleset::classify::classify;
    use crate::signature::{Compare, Number};

    /// The chosen buffer and bytes.
    fn chosen(mut signature: Signature) -> Option<(Buffer, Vec<u8>)> {
        classify(&mut signature);
        choose(&mut signature);
        let found = bytes(&signature).map(|(bytes, _)| bytes.to_vec());
        found.map(|bytes| (place(&signature).unwrap().buffer, bytes))
    }

    fn payload(bytes: &[u8]) -> Option<(Buffer, Vec<u8>)> {
        Some((Buffer::Payload, bytes.to_vec()))
    }

    #[test]
    fn the_rarest_content_is_taken() {
        let s = rule("tcp", 1)
            .content(Buffer::Payload, b"User-Agent: Mozilla/")
            .content(Buffer::Payload, b"\x01\x02\x03\xffab")
            .content(Buffer::Payload, b"\0\0\0\0\0\0\0\0");
        // Up to its rarest pair: what is cut off tells little more.
        assert_eq!(chosen(s), payload(b"\x01\x02\x03\xff"));
    }

    #[test]
    fn one_byte_is_enough_where_there_is_no_more() {
        let s = rule("udp", 1).content(Buffer::Payload, b"a");
        assert_eq!(chosen(s), payload(b"a"));
    }

    #[test]
    fn the_marked_content_wins() {
        let s = rule("tcp", 1).content(Buffer::Payload, b"very-unlikely-7781").content_with(
            Buffer::Payload,
            b"Host: ",
            |c| c.fast_pattern = true,
        );
        assert_eq!(chosen(s), payload(b"Host:"));
    }

    #[test]
    fn a_negated_content_is_never_taken() {
        let s = rule("tcp", 1)
            .content_with(Buffer::Payload, b"very-unlikely-7781", |c| {
                c.negated = true;
                c.fast_pattern = true;
            })
            .content(Buffer::Payload, b"abc");
        assert_eq!(chosen(s), payload(b"abc"));
        let only = rule("tcp", 1).content_with(Buffer::Payload, b"abc", |c| c.negated = true);
        assert_eq!(chosen(only), None);
    }

    #[test]
    fn transactions_are_found_in_their_buffers_even_if_the_payload_is_marked() {
        let s = rule("http", 1)
            .content_with(Buffer::Payload, b"longer content here", |c| c.fast_pattern = true)
            .content(Buffer::HttpMethod, b"POST")
            .content(Buffer::HttpUri, b"gate");
        assert_eq!(chosen(s), Some((Buffer::HttpUri, b"gate".to_vec())));
        let unusable = rule("http", 1)
            .content(Buffer::Payload, b"longer content here")
            .test(Buffer::HttpUri, Test::Size(Compare::Equal(5)));
        assert_eq!(chosen(unusable), None);
    }

    #[test]
    fn a_header_is_scanned_only_where_the_payload_has_nothing_good() {
        let header = rule("tcp", 1).content(Buffer::TcpHdr, b"\x02\x04\x05\xb4");
        let good = header.clone().content(Buffer::Payload, b"xploit77");
        assert_eq!(chosen(good), payload(b"xploit7"));
        let poor = header.content(Buffer::Payload, b"\0\0");
        assert_eq!(chosen(poor), Some((Buffer::TcpHdr, b"\x02\x04\x05\xb4".to_vec())));
    }

    #[test]
    fn a_chopped_pattern_stays_chopped() {
        let s = rule("tcp", 1)
            .content(Buffer::Payload, b"other-content-1234")
            .content_with(Buffer::Payload, b"abcdefgh", |c| {
                c.fast_pattern = true;
                c.offset = Some(Number::Literal(3));
            })
            .with(|s| s.fast_pattern = Some(FastPattern { buffer: 0, test: 1, start: 2, len: 4 }));
        assert_eq!(chosen(s.clone()), payload(b"cdef"));
        let beyond = s.with(|s| {
            s.fast_pattern = Some(FastPattern { buffer: 0, test: 1, start: 6, len: usize::MAX });
        });
        assert_eq!(chosen(beyond), payload(b"abcdefg"));
    }

    /// Where the bytes of a signature with one content may end.
    fn ends_of(pattern: &[u8], change: impl FnOnce(&mut Content)) -> (u32, u32) {
        let mut s = rule("udp", 1).content_with(Buffer::Payload, pattern, change);
        classify(&mut s);
        choose(&mut s);
        let ends = ends(&s);
        (ends.first, ends.last)
    }

    #[test]
    fn offset_and_depth_say_where_the_pattern_ends() {
        let number = |n| Some(Number::Literal(n));
        assert_eq!(ends_of(b"qzx", |_| {}), (3, u32::MAX));
        assert_eq!(ends_of(b"qzx", |c| c.depth = number(3)), (3, 3));
        assert_eq!(ends_of(b"qzx", |c| c.offset = number(5)), (8, u32::MAX));
        let both = ends_of(b"qzx", |c| (c.offset, c.depth) = (number(5), number(10)));
        assert_eq!(both, (8, 15));
        assert_eq!(ends_of(b"qzx", |c| c.starts_with = true), (3, 3));
        // The slice ends three bytes before the content does.
        assert_eq!(ends_of(b"qzxkjvqzw\r\n", |c| c.depth = number(12)), (8, 9));
    }

    #[test]
    fn what_is_only_known_when_matching_bounds_nothing() {
        let anywhere = (0, u32::MAX);
        assert_eq!(ends_of(b"qzx", |c| c.depth = Some(Number::Variable(0))), anywhere);
        assert_eq!(ends_of(b"qzx", |c| c.offset = Some(Number::Variable(0))), anywhere);
        assert_eq!(ends_of(b"qzx", |c| c.distance = Some(Number::Literal(0))), anywhere);
        assert_eq!(ends_of(b"qzx", |c| c.depth = Some(Number::Literal(i64::MAX))), anywhere);
    }

    #[test]
    fn choosing_again_chooses_the_same() {
        let mut s = rule("tcp", 1)
            .content(
                Buffer::Payload,
                &[b"0123456789abcdefghijklmnopqrstuvwxyz!".as_slice(); 3].concat(),
            )
            .content(Buffer::Payload, b"abc");
        classify(&mut s);
        choose(&mut s);
        let first = s.fast_pattern;
        choose(&mut s);
        assert_eq!(s.fast_pattern, first);
        assert!(first.is_some_and(|fast| fast.len == 8));
    }
}
