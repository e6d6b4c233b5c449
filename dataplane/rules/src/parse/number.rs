//! Numbers and comparisons as rules write them.

use super::text::shown;
use crate::signature::Compare;

/// A decimal number without a sign, at most `max`.
pub(crate) fn decimal(value: &str, max: u64) -> Result<u64, String> {
    let value = value.trim();
    if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{}` is not a number", shown(value)));
    }
    match value.parse() {
        Ok(number) if number <= max => Ok(number),
        _ => Err(format!("{} is out of range, at most {max} is allowed", shown(value))),
    }
}

/// A number as C's `strtol` with base 0 takes it: decimal, `0x` hexadecimal, `0` octal, signed.
pub(crate) fn c_integer(value: &str) -> Option<i128> {
    let value = value.trim();
    let (negative, digits) = match value.as_bytes().first()? {
        b'-' => (true, value.get(1..)?),
        b'+' => (false, value.get(1..)?),
        _ => (false, value),
    };
    let (base, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.is_empty() || digits.len() > 24 || !digits.bytes().all(|b| b.is_ascii_alphanumeric())
    {
        return None;
    }
    let number = i128::from_str_radix(digits, base).ok()?;
    Some(if negative { -number } else { number })
}

/// What a comparison that no value or every value satisfies is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trivial {
    /// It is an error.
    Refused,
    /// It is taken as it stands.
    Taken,
}

/// Suricata's integer comparison: `n`, `=n`, `!n`, `!=n`, `<n`, `<=n`, `>n`, `>=n`, `a-b`, `a<>b`
/// (both bounds exclusive), with numbers up to `max`.
pub(crate) fn compare(value: &str, max: u64, trivial: Trivial) -> Result<Compare<u64>, String> {
    let value = value.trim();
    let number = |text: &str| decimal(text, max);
    if let Some((low, high)) = value.split_once("<>").or_else(|| value.split_once('-')) {
        let (low, high) = (number(low)?, number(high)?);
        if low > high || (trivial == Trivial::Refused && high - low < 2) {
            return Err(format!("no number is between {low} and {high}"));
        }
        return Ok(Compare::Between(low, high));
    }
    type Make = fn(u64) -> Compare<u64>;
    let prefixes: [(&str, Make); 7] = [
        ("<=", Compare::LessEqual),
        (">=", Compare::GreaterEqual),
        ("!=", Compare::NotEqual),
        ("<", Compare::Less),
        (">", Compare::Greater),
        ("!", Compare::NotEqual),
        ("=", Compare::Equal),
    ];
    let found = prefixes
        .iter()
        .find_map(|(prefix, make)| value.strip_prefix(prefix).map(|rest| (*make, rest)));
    let comparison = match found {
        Some((make, rest)) => make(number(rest)?),
        None => Compare::Equal(number(value)?),
    };
    let idle = match comparison {
        Compare::Less(0) => Some("nothing"),
        Compare::Greater(n) if n == max => Some("nothing"),
        Compare::GreaterEqual(0) => Some("everything"),
        Compare::LessEqual(n) if n == max => Some("everything"),
        _ => None,
    };
    match idle {
        Some(what) if trivial == Trivial::Refused || matches!(comparison, Compare::Less(0)) => {
            Err(format!("`{}` matches {what}", shown(value)))
        }
        _ => Ok(comparison),
    }
}

/// The same comparison over another type of number.
pub(crate) fn convert<T>(comparison: Compare<u64>, with: impl Fn(u64) -> T) -> Compare<T> {
    match comparison {
        Compare::Equal(n) => Compare::Equal(with(n)),
        Compare::NotEqual(n) => Compare::NotEqual(with(n)),
        Compare::Less(n) => Compare::Less(with(n)),
        Compare::LessEqual(n) => Compare::LessEqual(with(n)),
        Compare::Greater(n) => Compare::Greater(with(n)),
        Compare::GreaterEqual(n) => Compare::GreaterEqual(with(n)),
        Compare::Between(low, high) => Compare::Between(with(low), with(high)),
    }
}

/// A comparison of 8-bit numbers.
pub(crate) fn compare_u8(value: &str) -> Result<Compare<u8>, String> {
    let comparison = compare(value, u64::from(u8::MAX), Trivial::Refused)?;
    Ok(convert(comparison, |n| u8::try_from(n).unwrap_or(u8::MAX)))
}

/// A comparison of 16-bit numbers.
pub(crate) fn compare_u16(value: &str) -> Result<Compare<u16>, String> {
    let comparison = compare(value, u64::from(u16::MAX), Trivial::Refused)?;
    Ok(convert(comparison, |n| u16::try_from(n).unwrap_or(u16::MAX)))
}

/// A comparison of 32-bit numbers.
pub(crate) fn compare_u32(value: &str) -> Result<Compare<u32>, String> {
    let comparison = compare(value, u64::from(u32::MAX), Trivial::Refused)?;
    Ok(convert(comparison, |n| u32::try_from(n).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_comparison_is_understood() {
        for (text, wanted) in [
            ("10", Compare::Equal(10)),
            ("=10", Compare::Equal(10)),
            ("! 10", Compare::NotEqual(10)),
            ("!=10", Compare::NotEqual(10)),
            ("<10", Compare::Less(10)),
            ("<= 10", Compare::LessEqual(10)),
            (" > 10", Compare::Greater(10)),
            (">=10", Compare::GreaterEqual(10)),
            ("10-20", Compare::Between(10, 20)),
            ("10 <> 20", Compare::Between(10, 20)),
        ] {
            assert_eq!(compare_u8(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn comparisons_that_mean_nothing_are_refused() {
        for text in
            ["", "x", "256", ">255", "<0", ">=0", "<=255", "5-5", "5<>6", "9<>3", "-5", "0x1", "+1"]
        {
            assert!(compare_u8(text).is_err(), "{text}");
        }
        assert_eq!(compare("5<>6", 255, Trivial::Taken), Ok(Compare::Between(5, 6)));
    }

    #[test]
    fn c_integers_know_three_bases() {
        assert_eq!(c_integer("0x1F"), Some(31));
        assert_eq!(c_integer("-010"), Some(-8));
        assert_eq!(c_integer(" 0 "), Some(0));
        assert_eq!(c_integer("18446744073709551615"), Some(i128::from(u64::MAX)));
        for text in ["", "-", "0x", "--1", "1x", "08", "v", "99999999999999999999999999999"] {
            assert_eq!(c_integer(text), None, "{text}");
        }
    }
}
