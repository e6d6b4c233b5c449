//! Small things done to a rule's bytes: trimming, splitting at commas, turning them into text.

use std::borrow::Cow;

/// The bytes as text: UTF-8 where they are that, else every byte as the Latin-1 character.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&b| char::from(b)).collect()),
    }
}

/// Splits at commas and trims the parts.
pub(crate) fn fields(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

/// A word and what follows it after white space, both trimmed.
pub(crate) fn word_and_rest(value: &str) -> (&str, &str) {
    let value = value.trim();
    match value.find(|c: char| c.is_ascii_whitespace()) {
        Some(at) => {
            let (word, rest) = value.split_at(at);
            (word, rest.trim())
        }
        None => (value, ""),
    }
}

/// Shortens a foreign text for a message.
pub(crate) fn shown(value: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    match value.char_indices().nth(LONGEST) {
        Some((at, _)) => Cow::Owned(format!("{}…", value.get(..at).unwrap_or(""))),
        None => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_become_latin1() {
        assert_eq!(text(b"caf\xe9"), "café");
        assert_eq!(text("café".as_bytes()), "café");
    }

    #[test]
    fn a_word_is_parted_from_its_argument() {
        assert_eq!(word_and_rest(" multiplier   2 "), ("multiplier", "2"));
        assert_eq!(word_and_rest("align"), ("align", ""));
    }
}
