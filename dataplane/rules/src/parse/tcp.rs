//! Keywords on the TCP header (docs.suricata.io, "TCP keywords").

use super::draft::Draft;
use super::number::{compare_u16, decimal};
use super::options::Value;
use super::text::text;
use crate::signature::{BitModifier, HeaderTest};

/// Takes `+`, `*` or `!` off a set of letters, before or behind them.
pub(crate) fn modifier(value: &str) -> Result<(Option<BitModifier>, &str), String> {
    let value = value.trim();
    let signs = ['+', '*', '!'];
    let letters = value.trim_matches(|c: char| signs.contains(&c) || c.is_ascii_whitespace());
    let mut found = None;
    for sign in value.chars().filter(|c| signs.contains(c)) {
        let modifier = match sign {
            '+' => BitModifier::All,
            '*' => BitModifier::Any,
            _ => BitModifier::Not,
        };
        if found.replace(modifier).is_some() {
            return Err("more than one of `+`, `*` and `!`".to_owned());
        }
    }
    Ok((found, letters))
}

/// The bits that flag letters stand for.
fn bits(letters: &str) -> Result<u8, String> {
    let mut bits = 0;
    for letter in letters.chars() {
        bits |= match letter {
            'F' => 0x01,
            'S' => 0x02,
            'R' => 0x04,
            'P' => 0x08,
            'A' => 0x10,
            'U' => 0x20,
            'E' | '2' => 0x40,
            'C' | '1' => 0x80,
            '0' => 0,
            _ => return Err(format!("`{letter}` is not a TCP flag: F S R P A U E C 1 2 0")),
        };
    }
    Ok(bits)
}

/// `flags`: letters with a modifier, and behind a comma the flags that are left out.
pub(crate) fn flags(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let (set, ignored) = match value.split_once(',') {
        Some((set, ignored)) if !ignored.trim().is_empty() => (set, ignored.trim()),
        Some(_) => return Err("no flag stands behind the comma".to_owned()),
        None => (value.as_ref(), ""),
    };
    let (modifier, letters) = modifier(set)?;
    if letters.is_empty() {
        return Err("no flag is named".to_owned());
    }
    let test = HeaderTest::TcpFlags {
        bits: bits(letters)?,
        modifier: modifier.unwrap_or(BitModifier::Exact),
        ignored: bits(ignored)?,
    };
    draft.push_header(test)
}

/// A decimal number of 32 bits.
fn long(value: &Value<'_>) -> Result<u32, String> {
    Ok(u32::try_from(decimal(&text(value.bytes), u64::from(u32::MAX))?).unwrap_or(u32::MAX))
}

/// `seq`
pub(crate) fn seq(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::TcpSeq(long(value)?);
    draft.push_header(test)
}

/// `ack`
pub(crate) fn ack(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::TcpAck(long(value)?);
    draft.push_header(test)
}

/// `window`
pub(crate) fn window(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let (negated, number) = match value.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, value.as_ref()),
    };
    let number = decimal(number, u64::from(u16::MAX))?;
    draft.push_header(HeaderTest::TcpWindow(u16::try_from(number).unwrap_or(u16::MAX), negated))
}

/// `tcp.mss`
pub(crate) fn mss(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::TcpMss(compare_u16(&text(value.bytes))?);
    draft.push_header(test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modifier_stands_before_or_behind() {
        assert_eq!(modifier("+SA"), Ok((Some(BitModifier::All), "SA")));
        assert_eq!(modifier("SA *"), Ok((Some(BitModifier::Any), "SA")));
        assert_eq!(modifier("! D"), Ok((Some(BitModifier::Not), "D")));
        assert_eq!(modifier("SA"), Ok((None, "SA")));
        assert!(modifier("+SA*").is_err());
    }

    #[test]
    fn letters_are_bits_of_the_thirteenth_and_fourteenth_octet() {
        assert_eq!(bits("FSRPAUEC"), Ok(0xff));
        assert_eq!(bits("12"), Ok(0xc0));
        assert_eq!(bits("0"), Ok(0));
        assert!(bits("s").is_err());
        assert!(bits("S A").is_err());
    }
}
