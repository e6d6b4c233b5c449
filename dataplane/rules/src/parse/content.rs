//! `content` and its modifiers (docs.suricata.io, "Payload Keywords").

use super::draft::{Draft, Item};
use super::options::Value;
use super::text::text;
use crate::signature::{Buffer, Content, Number, Test};

/// `offset` and `depth` go up to here.
const FARTHEST: i64 = u16::MAX as i64;
/// `distance` and `within` go up to here.
const FARTHEST_RELATIVE: i64 = 1 << 20;
/// The longest pattern.
const LONGEST: usize = u16::MAX as usize;

/// The bytes that a pattern stands for: `|41 42|` in hexadecimal, a backslash before `"`, `;`,
/// `:` and itself.
pub(crate) fn pattern(value: &[u8]) -> Result<Box<[u8]>, String> {
    let mut pattern = Vec::with_capacity(value.len());
    let mut hex = false;
    let mut nibble: Option<u8> = None;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'|' if hex && nibble.is_some() => {
                return Err("a hexadecimal byte has two digits".to_owned());
            }
            b'|' => hex = !hex,
            b' ' | b',' if hex => {}
            _ if hex => {
                let digit = char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
                let Some(digit) = digit else {
                    return Err(format!("`{}` is not a hexadecimal digit", char::from(byte)));
                };
                match nibble.take() {
                    None => nibble = Some(digit),
                    Some(high) => pattern.push(high << 4 | digit),
                }
            }
            b'\\' => match bytes.next() {
                Some(escaped @ (b'"' | b';' | b':' | b'\\')) => pattern.push(escaped),
                Some(b'|') => return Err(r"`\|` is not an escape, `|7C|` is a bar".to_owned()),
                _ => return Err(r#"a backslash escapes `"`, `;`, `:` or `\`"#.to_owned()),
            },
            b'"' => return Err("a quote within the pattern is not escaped".to_owned()),
            _ => pattern.push(byte),
        }
    }
    if hex {
        return Err("the closing bar of a hexadecimal part is missing".to_owned());
    }
    if pattern.is_empty() {
        return Err("the pattern is empty".to_owned());
    }
    if pattern.len() > LONGEST {
        return Err(format!("the pattern is longer than {LONGEST} bytes"));
    }
    Ok(pattern.into_boxed_slice())
}

/// A content without modifiers.
pub(crate) fn plain(value: &Value<'_>) -> Result<Content, String> {
    Ok(Content { negated: value.negated, ..Content::new(pattern(value.bytes)?) })
}

/// `content`
pub(crate) fn content(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let content = plain(value)?;
    draft.push(Test::Content(content));
    Ok(())
}

/// Applies a change to the content that a modifier means.
fn modify(
    draft: &mut Draft<'_, '_>,
    change: impl FnOnce(&mut Content, bool) -> Result<(), String>,
) -> Result<(), String> {
    let item = draft.content_item()?;
    let only = item.only;
    match &mut item.test {
        Test::Content(content) => change(content, only),
        _ => Err("there is no content before it to modify".to_owned()),
    }
}

/// `nocase`
pub(crate) fn nocase(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    modify(draft, |content, _| {
        if content.nocase {
            return Err("nocase was written on this content before".to_owned());
        }
        content.nocase = true;
        content.pattern.make_ascii_lowercase();
        Ok(())
    })
}

/// `rawbytes`
pub(crate) fn rawbytes(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    if let Some(sticky) = &draft.sticky {
        return Err(format!("rawbytes does not go with the buffer {}", sticky.keyword));
    }
    let item = draft.content_item()?;
    if item.raw {
        return Err("rawbytes was written on this content before".to_owned());
    }
    item.raw = true;
    Ok(())
}

/// Which modifiers may not stand on one content together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Absolute,
    Relative,
}

/// What every modifier that says where a content stands has to ask first.
fn placeable(content: &Content, only: bool, place: Place) -> Result<(), String> {
    if only {
        return Err("a content with fast_pattern:only has no place".to_owned());
    }
    if content.negated && content.fast_pattern {
        return Err("a negated content with fast_pattern has no place".to_owned());
    }
    let clash = match place {
        Place::Absolute => content.is_relative(),
        Place::Relative => content.offset.is_some() || content.depth.is_some(),
    };
    if clash {
        return Err("distance and within do not go with offset, depth and startswith".to_owned());
    }
    Ok(())
}

/// `offset`
pub(crate) fn offset(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let number = draft.number(&text(value.bytes), 0, FARTHEST)?;
    modify(draft, |content, only| {
        if content.starts_with {
            return Err("offset does not go with startswith".to_owned());
        }
        if content.offset.is_some() {
            return Err("offset was written on this content before".to_owned());
        }
        placeable(content, only, Place::Absolute)?;
        content.offset = Some(number);
        Ok(())
    })
}

/// `depth`
pub(crate) fn depth(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let number = draft.number(&text(value.bytes), 0, FARTHEST)?;
    modify(draft, |content, only| {
        if content.depth.is_some() {
            return Err("depth or startswith was written on this content before".to_owned());
        }
        placeable(content, only, Place::Absolute)?;
        holds_pattern("depth", number, content)?;
        content.depth = Some(number);
        Ok(())
    })
}

/// `startswith`
pub(crate) fn startswith(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    modify(draft, |content, only| {
        if content.depth.is_some() {
            return Err("depth or startswith was written on this content before".to_owned());
        }
        if content.offset.is_some() {
            return Err("startswith does not go with offset".to_owned());
        }
        placeable(content, only, Place::Absolute)?;
        content.starts_with = true;
        content.offset = Some(Number::Literal(0));
        content.depth = i64::try_from(content.pattern.len()).ok().map(Number::Literal);
        Ok(())
    })
}

/// `endswith`
pub(crate) fn endswith(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    modify(draft, |content, _| {
        content.ends_with = true;
        Ok(())
    })
}

/// `distance`
pub(crate) fn distance(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let number = draft.number(&text(value.bytes), -FARTHEST_RELATIVE, FARTHEST_RELATIVE)?;
    not_after_only(draft)?;
    modify(draft, |content, only| {
        if content.distance.is_some() {
            return Err("distance was written on this content before".to_owned());
        }
        placeable(content, only, Place::Relative)?;
        content.distance = Some(number);
        Ok(())
    })
}

/// `within`
pub(crate) fn within(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let number = draft.number(&text(value.bytes), -FARTHEST_RELATIVE, FARTHEST_RELATIVE)?;
    not_after_only(draft)?;
    modify(draft, |content, only| {
        if content.within.is_some() {
            return Err("within was written on this content before".to_owned());
        }
        placeable(content, only, Place::Relative)?;
        holds_pattern("within", number, content)?;
        content.within = Some(number);
        Ok(())
    })
}

/// A content whose place is not looked at gives no place to what follows.
fn not_after_only(draft: &Draft<'_, '_>) -> Result<(), String> {
    match draft.content_before() {
        Some(Item { only: true, .. }) => {
            Err("the content before has fast_pattern:only, nothing is relative to it".to_owned())
        }
        _ => Ok(()),
    }
}

/// A stretch shorter than the pattern can never hold it.
fn holds_pattern(keyword: &str, number: Number, content: &Content) -> Result<(), String> {
    let length = content.pattern.len();
    match number {
        Number::Literal(n) if i64::try_from(length).is_ok_and(|length| n < length) => {
            Err(format!("{keyword} {n} is smaller than the content's {length} bytes"))
        }
        _ => Ok(()),
    }
}

/// `fast_pattern`
pub(crate) fn fast_pattern(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let argument = text(value.bytes);
    // Suricata too counts those of the payload only, where older rules wrote them first.
    let payload = draft.lists.iter().find(|list| list.buffer == Buffer::Payload);
    let items = payload.map_or(&[][..], |list| &list.items);
    if items.iter().filter_map(Item::content).any(|content| content.fast_pattern) {
        return Err("fast_pattern was written on a content of the payload before".to_owned());
    }
    let item = draft.content_item()?;
    let Test::Content(content) = &mut item.test else {
        return Err("there is no content before it to modify".to_owned());
    };
    if content.fast_pattern {
        return Err("fast_pattern was written on this content before".to_owned());
    }
    let placed = content.is_relative() || content.offset.is_some() || content.depth.is_some();
    match argument.as_ref() {
        "" => {}
        "only" => {
            if content.negated || placed {
                let reason = "fast_pattern:only does not go with negation, offset, depth, distance or within";
                return Err(reason.to_owned());
            }
            item.only = true;
        }
        slice => {
            let numbers = slice.split_once(',').and_then(|(start, length)| {
                Some((start.trim().parse::<u16>().ok()?, length.trim().parse::<u16>().ok()?))
            });
            let Some((start, length)) = numbers else {
                return Err("fast_pattern takes nothing, `only` or `offset,length`".to_owned());
            };
            let (start, length) = (usize::from(start), usize::from(length));
            if start + length > content.pattern.len() {
                return Err(format!("bytes {start},{length} are beyond the content's end"));
            }
            item.chop = (length > 0).then_some((start, length));
        }
    }
    if content.negated && placed {
        return Err("fast_pattern on a negated content does not go with a place".to_owned());
    }
    content.fast_pattern = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_hexadecimal_become_bytes() {
        let of = |text: &str| pattern(text.as_bytes()).map(Vec::from);
        assert_eq!(of(r#"a\"b\;c\\d\:e"#), Ok(br#"a"b;c\d:e"#.to_vec()));
        assert_eq!(of("a|41 |b| 42|c|4344|"), Ok(b"aAbBcCD".to_vec()));
        assert_eq!(of("|4 1,42|"), Ok(b"AB".to_vec()));
        assert_eq!(pattern(b"caf\xe9").map(Vec::from), Ok(b"caf\xe9".to_vec()));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["", "||", "|0|", "|00 0g|", "|00", "|41|b|", r"a\xb", r"a\|b", "a\"b", "a\\"] {
            assert!(pattern(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_survive_being_written_in_hexadecimal(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            let written: String = bytes.iter().map(|b| format!("{b:02x} ")).collect();
            prop_assert_eq!(pattern(format!("|{written}|").as_bytes()).map(Vec::from), Ok(bytes));
        }

        #[test]
        fn no_pattern_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = pattern(&bytes);
        }
    }
}
