//! Transforms: what stands between a sticky buffer and the tests on it
//! (docs.suricata.io, "Transformations").

use std::sync::Arc;

use super::buffers::MOST_LISTS;
use super::draft::{Draft, List};
use super::options::Value;
use super::text::{shown, text};
use crate::signature::{Content, PcreTransform, Transform};

/// Transforms of one buffer.
const MOST_TRANSFORMS: usize = 16;

/// A key's longest length in bytes, as in Suricata.
const LONGEST_KEY: usize = 255;

/// Adds a step to the sticky buffer.
fn push(draft: &mut Draft<'_, '_>, transform: Transform) -> Result<(), String> {
    let Some(sticky) = &mut draft.sticky else {
        return Err("a transform stands behind a sticky buffer".to_owned());
    };
    if sticky.buffer == crate::signature::Buffer::Base64Data {
        return Err("base64_data takes no transform".to_owned());
    }
    if draft.lists.len() >= MOST_LISTS || sticky.transforms.len() >= MOST_TRANSFORMS {
        return Err("the rule has too many transforms".to_owned());
    }
    if sticky.list.take().is_some() {
        // What stands before it stays untransformed.
        sticky.transforms.clear();
    }
    sticky.transforms.push(transform);
    Ok(())
}

/// A transform without argument, by its keyword.
pub(crate) fn plain(draft: &mut Draft<'_, '_>, transform: &Transform) -> Result<(), String> {
    push(draft, transform.clone())
}

/// `xor:"hex digits"`
pub(crate) fn xor(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let digits = value.bytes;
    if !digits.len().is_multiple_of(2) {
        return Err("the key has two hexadecimal digits for each byte".to_owned());
    }
    if digits.len() / 2 > LONGEST_KEY {
        return Err(format!("the key has {LONGEST_KEY} bytes at most"));
    }
    let key = digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            pair.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect::<Option<Arc<[u8]>>>()
        .ok_or("the key is written in hexadecimal digits")?;
    push(draft, Transform::Xor(key))
}

/// `pcrexform:"expression with one group"`
pub(crate) fn pcrexform(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let source = text(value.bytes);
    // The memo's keys of expressions have a slash; the same text may stand in both keywords.
    let regex = draft.session.memo.expression(format!("pcrexform {source}"), || {
        pcre2::Regex::compile(value.bytes, pcre2::Flags::default()).map_err(|e| {
            format!("the expression does not compile: {} at byte {}", e.message, e.offset)
        })
    })?;
    if regex.capture_count() != 1 {
        let groups = regex.capture_count();
        return Err(format!("the expression needs exactly one group, it has {groups}"));
    }
    push(draft, Transform::Pcre(PcreTransform { source: source.as_ref().into(), regex }))
}

/// What a content can never find behind a list's transforms, as Suricata sees it.
pub(crate) fn check(list: &List) -> Result<(), String> {
    for content in list.items.iter().filter_map(|item| item.content()) {
        for transform in &list.transforms {
            if let Some(keyword) = excludes(transform, content) {
                let pattern = text(&content.pattern);
                return Err(format!("`{}` is never in a buffer behind {keyword}", shown(&pattern)));
            }
        }
    }
    Ok(())
}

fn excludes(transform: &Transform, content: &Content) -> Option<&'static str> {
    let pattern = &content.pattern;
    let blank = |b: &u8| matches!(b, b' ' | b'\t'..=b'\r');
    match transform {
        Transform::StripWhitespace if pattern.iter().any(blank) => Some("strip_whitespace"),
        Transform::CompressWhitespace if pattern.windows(2).any(|pair| pair.iter().all(blank)) => {
            Some("compress_whitespace")
        }
        // A content without case is in lower case already.
        Transform::ToLowercase if !content.nocase && pattern.iter().any(u8::is_ascii_uppercase) => {
            Some("to_lowercase")
        }
        Transform::ToUppercase if !content.nocase && pattern.iter().any(u8::is_ascii_lowercase) => {
            Some("to_uppercase")
        }
        _ => None,
    }
}
