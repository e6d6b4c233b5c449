//! Chooses the content of a signature that the prefilter looks for: the one marked
//! `fast_pattern`, otherwise the rarest that is not negated.

use super::rarity::best_slice;
use crate::signature::{Buffer, BufferTests, Content, FastPattern, Kind, Signature, Test};

/// A raw payload content worth this much (in eighths of a bit) is taken before one in a header:
/// payloads are scanned anyway, headers only for the sake of such rules.
const GOOD_PAYLOAD: u32 = 160;

/// Fills `fast_pattern`; the signature's `kind` must be known. A slice that the parser has put
/// there (`fast_pattern:2,5`) is kept where its buffer can be used.
pub(crate) fn choose(signature: &mut Signature) {
    signature.fast_pattern = match signature.kind {
        Kind::Packet | Kind::Stream | Kind::Transaction => chosen(signature),
        Kind::IpOnly | Kind::LikeIpOnly | Kind::AppProtocol => None,
    };
}

/// The bytes that the prefilter looks for, and whether without case.
pub(crate) fn bytes(signature: &Signature) -> Option<(&[u8], bool)> {
    let fast = signature.fast_pattern?;
    let content = content(signature, fast.buffer, fast.test)?;
    let bytes = content.pattern.get(fast.start..fast.start.checked_add(fast.len)?)?;
    (!bytes.is_empty()).then_some((bytes, content.nocase))
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
        return Some(FastPattern { start: fast.start + slice.start, len: slice.len(), ..fast });
    }

    let mut best: Option<((bool, bool, u32), FastPattern)> = None;
    for (buffer, tests) in signature.buffers.iter().enumerate() {
        if !usable(tests.buffer) {
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
    best.map(|(_, fast)| fast)
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
