//! `asn1` (docs.suricata.io, "Payload Keywords"): objects that are longer than they may be.

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::{Asn1, Asn1Start, Buffer, Test};

/// How far an offset may look.
const FARTHEST: i64 = u16::MAX as i64;

/// `asn1:[bitstring_overflow][,double_overflow][,oversize_length n][,absolute_offset n|relative_offset n]`
pub(crate) fn asn1(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut test = Asn1::default();
    for option in fields(&value) {
        let twice = match word_and_rest(option) {
            ("bitstring_overflow", "") => std::mem::replace(&mut test.bitstring_overflow, true),
            ("double_overflow", "") => std::mem::replace(&mut test.double_overflow, true),
            ("oversize_length", number) => {
                let number = u32::try_from(decimal(number, u64::from(u32::MAX))?);
                test.oversize_length.replace(number.unwrap_or(u32::MAX)).is_some()
            }
            ("absolute_offset", number) => {
                let number = u32::try_from(decimal(number, u64::from(u16::MAX))?);
                test.start.replace(Asn1Start::Absolute(number.unwrap_or(u32::MAX))).is_some()
            }
            ("relative_offset", number) => {
                let number = number.parse().ok().filter(|n| (-FARTHEST..=FARTHEST).contains(n));
                let number = number.ok_or("relative_offset takes a number")?;
                test.start.replace(Asn1Start::Relative(number)).is_some()
            }
            _ => return Err(format!("option `{}` is not known", shown(option))),
        };
        if twice {
            return Err(format!("option `{}` stands there twice", shown(option)));
        }
    }
    if !test.bitstring_overflow && !test.double_overflow && test.oversize_length.is_none() {
        return Err("asn1 takes bitstring_overflow, double_overflow or oversize_length".to_owned());
    }
    let list = draft.open(Buffer::Payload, &[]);
    draft.push_to(list, Test::Asn1(test));
    Ok(())
}
