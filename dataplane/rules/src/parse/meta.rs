//! Keywords that say what a rule is called and how its alerts are labelled
//! (docs.suricata.io, "Meta Keywords").

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::Target;

/// The lowest priority.
const MOST_PRIORITY: u64 = i32::MAX as u64;

/// `msg`: a backslash before `"`, `;`, `:` and itself is taken off.
pub(crate) fn msg(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    if draft.msg.is_some() {
        return Err("msg was written before".to_owned());
    }
    draft.msg = Some(unescaped(&text(value.bytes)).into());
    Ok(())
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some(&next @ ('"' | ';' | ':' | '\\')) if character == '\\' => {
                plain.push(next);
                characters.next();
            }
            _ => plain.push(character),
        }
    }
    plain
}

/// A number within bounds that stands once.
fn once(slot: &mut Option<u32>, value: &Value<'_>, low: u64, high: u64) -> Result<(), String> {
    let number = decimal(&text(value.bytes), high)?;
    if number < low {
        return Err(format!("{number} is out of range, at least {low} is needed"));
    }
    if slot.is_some() {
        return Err("the keyword was written before".to_owned());
    }
    *slot = u32::try_from(number).ok();
    Ok(())
}

/// `sid`
pub(crate) fn sid(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    once(&mut draft.sid, value, 1, u64::from(u32::MAX) - 1)
}

/// `rev`
pub(crate) fn rev(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    once(&mut draft.rev, value, 1, u64::from(u32::MAX) - 1)
}

/// `gid`
pub(crate) fn gid(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    once(&mut draft.gid, value, 0, u64::from(u32::MAX))
}

/// `classtype`: where several stand, the one of the highest priority counts.
pub(crate) fn classtype(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let entry = draft.session.context.classes.entry(text(value.bytes).trim());
    if draft.class.as_ref().is_none_or(|known| entry.priority < known.priority) {
        draft.class = Some(entry);
    }
    Ok(())
}

/// `priority`: where several stand, the highest (the smallest number) counts.
pub(crate) fn priority(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let number = decimal(&text(value.bytes), MOST_PRIORITY)?;
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    draft.priority = Some(draft.priority.map_or(number, |known| known.min(number)));
    Ok(())
}

/// `reference:kind,what`
pub(crate) fn reference(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let Some((kind, what)) = value.split_once(',') else {
        return Err("reference takes kind,content".to_owned());
    };
    let (kind, what) = (kind.trim(), what.trim());
    if kind.is_empty() || what.is_empty() {
        return Err("reference takes kind,content".to_owned());
    }
    let kind = kind.to_ascii_lowercase();
    if draft.session.context.references.prefix(&kind).is_none() {
        draft.session.memo.unknown_reference(&kind, draft.session.file);
    }
    draft.references.push((kind, unescaped(what)));
    Ok(())
}

/// A keyword whose value was looked at before the others were read.
pub(crate) fn rawtext(_: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    Ok(())
}

/// `metadata:key value, key value`
pub(crate) fn metadata(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    for field in fields(&text(value.bytes)).filter(|field| !field.is_empty()) {
        let (key, value) = word_and_rest(field);
        draft.metadata.push((key.to_owned(), value.to_owned()));
    }
    Ok(())
}

/// `target`
pub(crate) fn target(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let target = match value.as_ref() {
        "src_ip" => Target::Source,
        "dest_ip" => Target::Destination,
        other => return Err(format!("`{}` is neither src_ip nor dest_ip", shown(other))),
    };
    if draft.target.is_some_and(|known| known != target) {
        return Err("target was written before and says another end".to_owned());
    }
    draft.target = Some(target);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_escapes_are_taken_off() {
        assert_eq!(unescaped(r#"a\"b\;c\\d\:e\xf\"#), r#"a"b;c\d:e\xf\"#);
    }
}
