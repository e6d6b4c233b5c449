//! Numbers taken from a buffer: `byte_test`, `byte_jump`, `byte_extract`, `byte_math`, and `isdataat`
//! (docs.suricata.io, "Payload Keywords").

use super::draft::Draft;
use super::number::c_integer;
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::{
    ByteExtract, ByteJump, ByteMath, ByteOperator, ByteTest, Encoding, IsDataAt, MathOperator,
    Number, Test,
};

/// How far a test may look away.
const FARTHEST: i64 = u16::MAX as i64;
/// Most bytes of a binary number.
const BINARY: i64 = 8;
/// Most bytes of a number in text.
const STRING: i64 = 23;
/// Most bytes of a number in text that `byte_math` takes.
const MATH_STRING: i64 = 10;
/// What the engine has room for.
const MOST_VARIABLES: usize = crate::signature::MAX_VARIABLES;

/// Options that the three keywords share.
#[derive(Default)]
struct Form {
    relative: bool,
    little: bool,
    string: bool,
    base: Option<Encoding>,
    bitmask: Option<u32>,
}

impl Form {
    /// Takes an option; false if it is none of the shared ones.
    fn take(&mut self, option: &str) -> Result<bool, String> {
        match word_and_rest(option) {
            ("relative", "") => self.relative = true,
            ("big", "") => self.little = false,
            ("little", "") => self.little = true,
            ("string", "") => self.string = true,
            ("hex", "") => self.base = Some(Encoding::Hex),
            ("dec", "") => self.base = Some(Encoding::Decimal),
            ("oct", "") => self.base = Some(Encoding::Octal),
            ("bitmask", mask) => {
                let mask = c_integer(mask).and_then(|mask| u32::try_from(mask).ok());
                self.bitmask = Some(mask.ok_or("bitmask takes a number of 32 bits")?);
            }
            ("dce", "") => {
                return Err("option `dce` (byte order of DCE/RPC) is not evaluated".to_owned());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How the bytes become a number.
    fn encoding(&self) -> Result<Encoding, String> {
        match (self.string, self.base) {
            (true, base) => Ok(base.unwrap_or(Encoding::Decimal)),
            (false, Some(_)) => Err("hex, dec and oct need `string`".to_owned()),
            (false, None) if self.little => Ok(Encoding::Little),
            (false, None) => Ok(Encoding::Big),
        }
    }

    /// Most bytes that may be taken.
    fn most(&self) -> i64 {
        if self.string { STRING } else { BINARY }
    }
}

fn unknown(option: &str) -> String {
    format!("option `{}` is not known", shown(option))
}

/// A literal in C's notation within bounds, or a variable.
fn number(draft: &Draft<'_, '_>, value: &str, low: i64, high: i64) -> Result<Number, String> {
    match c_integer(value).map(i64::try_from) {
        Some(Ok(number)) if (low..=high).contains(&number) => Ok(Number::Literal(number)),
        Some(_) => Err(format!("{} is out of range: {low} to {high}", shown(value))),
        None => draft.variable(value),
    }
}

/// `byte_test:bytes,[!]operator,value,offset[,options]`
pub(crate) fn byte_test(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(bytes), Some(operator), Some(compared), Some(offset)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("byte_test takes bytes,operator,value,offset and options".to_owned());
    };
    let mut form = Form::default();
    for option in parts {
        if !form.take(option)? {
            return Err(unknown(option));
        }
    }
    let (negated, operator) = self::operator(operator)?;
    let compared = match c_integer(compared) {
        // 64 bits without a sign, kept as they are in memory.
        Some(n) if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&n) => {
            Number::Literal(i64::from_ne_bytes((n as u64).to_ne_bytes()))
        }
        Some(_) => return Err(format!("{} has more than 64 bits", shown(compared))),
        None => draft.variable(compared)?,
    };
    let test = ByteTest {
        bytes: number(draft, bytes, 0, form.most())?,
        operator,
        negated,
        value: compared,
        offset: number(draft, offset, i64::from(i32::MIN), i64::from(i32::MAX))?,
        relative: form.relative,
        encoding: form.encoding()?,
        bitmask: form.bitmask,
        dce: false,
    };
    let list = draft.current_for(form.relative);
    draft.push_to(list, Test::ByteTest(test));
    Ok(())
}

/// The operator and its `!`; a `!` alone is "not equal".
fn operator(text: &str) -> Result<(bool, ByteOperator), String> {
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let operator = match rest {
        "<" => ByteOperator::Less,
        ">" => ByteOperator::Greater,
        "=" => ByteOperator::Equal,
        "" if negated => ByteOperator::Equal,
        "<=" => ByteOperator::LessEqual,
        ">=" => ByteOperator::GreaterEqual,
        "&" => ByteOperator::And,
        "^" => ByteOperator::Xor,
        _ => return Err(format!("operator `{}` is not known", shown(text))),
    };
    Ok((negated, operator))
}

/// `byte_jump:bytes,offset[,options]`
pub(crate) fn byte_jump(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(bytes), Some(offset)) = (parts.next(), parts.next()) else {
        return Err("byte_jump takes bytes,offset and options".to_owned());
    };
    let mut form = Form::default();
    let (mut multiplier, mut post_offset) = (1, 0);
    let (mut align, mut from_beginning, mut from_end) = (false, false, false);
    for option in parts {
        match word_and_rest(option) {
            _ if form.take(option)? => {}
            ("multiplier", n) => multiplier = self::multiplier(n)?,
            ("align", "") => align = true,
            ("from_beginning", "") => from_beginning = true,
            ("from_end", "") => from_end = true,
            ("post_offset", n) => {
                let n = c_integer(n).filter(|n| n.unsigned_abs() <= u128::from(u16::MAX));
                post_offset = n
                    .and_then(|n| i32::try_from(n).ok())
                    .ok_or("post_offset takes a number from -65535 to 65535")?;
            }
            _ => return Err(unknown(option)),
        }
    }
    if from_beginning && from_end {
        return Err("from_beginning does not go with from_end".to_owned());
    }
    let jump = ByteJump {
        bytes: number(draft, bytes, 0, form.most())?,
        offset: number(draft, offset, -FARTHEST, FARTHEST)?,
        relative: form.relative,
        encoding: form.encoding()?,
        multiplier,
        align,
        from_beginning,
        from_end,
        post_offset,
        bitmask: form.bitmask,
        dce: false,
    };
    let list = draft.current_for(form.relative);
    draft.push_to(list, Test::ByteJump(jump));
    Ok(())
}

/// `byte_extract:bytes,offset,name[,options]`
pub(crate) fn byte_extract(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(bytes), Some(offset), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("byte_extract takes bytes,offset,name and options".to_owned());
    };
    let mut form = Form::default();
    let (mut multiplier, mut align) = (1, 0);
    for option in parts {
        match word_and_rest(option) {
            _ if form.take(option)? => {}
            ("multiplier", n) => multiplier = self::multiplier(n)?,
            ("align", "2") => align = 2,
            ("align", "4") => align = 4,
            ("align", _) => return Err("align takes 2 or 4".to_owned()),
            _ => return Err(unknown(option)),
        }
    }
    if name.is_empty() || c_integer(name).is_some() {
        return Err(format!("`{}` is not a variable's name", shown(name)));
    }
    let literal = |value: &str, low: i64, high: i64| match c_integer(value).map(i64::try_from) {
        Some(Ok(number)) if (low..=high).contains(&number) => Ok(number),
        _ => Err(format!("`{}` is not a number from {low} to {high}", shown(value))),
    };
    let bytes = literal(bytes, 1, form.most())?;
    let offset = literal(offset, -FARTHEST, FARTHEST)?;
    let slot = draft.variables.len();
    if slot >= MOST_VARIABLES {
        return Err(format!("a rule may set {MOST_VARIABLES} variables at most"));
    }
    let extract = ByteExtract {
        bytes: u8::try_from(bytes).unwrap_or(u8::MAX),
        offset: i32::try_from(offset).unwrap_or(i32::MAX),
        slot: u8::try_from(slot).unwrap_or(u8::MAX),
        relative: form.relative,
        encoding: form.encoding()?,
        multiplier,
        align,
        bitmask: form.bitmask,
    };
    draft.variables.push(name.to_owned());
    let list = draft.current_for(form.relative);
    draft.push_to(list, Test::ByteExtract(extract));
    Ok(())
}

/// `byte_math:bytes n,offset n,oper o,rvalue n,result name[,options]`
pub(crate) fn byte_math(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut form = Form::default();
    let (mut bytes, mut offset, mut operator, mut right, mut name) = (None, None, None, None, None);
    for option in fields(&value) {
        let (word, argument) = word_and_rest(option);
        let given = match word {
            "bytes" => bytes.replace(argument).is_some(),
            "offset" => offset.replace(argument).is_some(),
            "oper" => operator.replace(argument).is_some(),
            "rvalue" => right.replace(argument).is_some(),
            "result" => name.replace(argument).is_some(),
            "endian" => !matches!(argument, "big" | "little") || !form.take(argument)?,
            "string" => {
                form.string = true;
                !matches!(argument, "hex" | "dec" | "oct") || !form.take(argument)?
            }
            _ => !form.take(option)?,
        };
        if given {
            return Err(format!("option `{}` is not known or stands there twice", shown(option)));
        }
    }
    let (Some(bytes), Some(offset), Some(operator), Some(right), Some(name)) =
        (bytes, offset, operator, right, name)
    else {
        return Err("byte_math takes bytes, offset, oper, rvalue and result".to_owned());
    };
    let operator = match operator {
        "+" => MathOperator::Add,
        "-" => MathOperator::Subtract,
        "*" => MathOperator::Multiply,
        "/" => MathOperator::Divide,
        "<<" => MathOperator::ShiftLeft,
        ">>" => MathOperator::ShiftRight,
        _ => return Err(format!("operator `{}` is not known", shown(operator))),
    };
    let value = number(draft, right, 0, i64::from(u32::MAX))?;
    if operator == MathOperator::Divide && value == Number::Literal(0) {
        return Err("a division by zero never matches".to_owned());
    }
    if name.is_empty() || c_integer(name).is_some() {
        return Err(format!("`{}` is not a variable's name", shown(name)));
    }
    let most = if form.string { MATH_STRING } else { BINARY };
    let bytes = number(draft, bytes, 1, most)?;
    let offset = match c_integer(offset).map(i32::try_from) {
        Some(Ok(n)) if i64::from(n.unsigned_abs()) <= FARTHEST => n,
        _ => return Err(format!("offset takes a number from -{FARTHEST} to {FARTHEST}")),
    };
    let slot = draft.variables.len();
    if slot >= MOST_VARIABLES {
        return Err(format!("a rule may set {MOST_VARIABLES} variables at most"));
    }
    let math = ByteMath {
        bytes,
        offset,
        operator,
        value,
        slot: u8::try_from(slot).unwrap_or(u8::MAX),
        relative: form.relative,
        encoding: form.encoding()?,
        bitmask: form.bitmask,
    };
    draft.variables.push(name.to_owned());
    let list = draft.current_for(form.relative);
    draft.push_to(list, Test::ByteMath(math));
    Ok(())
}

fn multiplier(text: &str) -> Result<u16, String> {
    c_integer(text)
        .and_then(|n| u16::try_from(n).ok())
        .filter(|&n| n > 0)
        .ok_or_else(|| "multiplier takes a number from 1 to 65535".to_owned())
}

/// `isdataat:[!]n[,relative][,rawbytes]`
pub(crate) fn isdataat(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let first = parts.next().unwrap_or("");
    let (negated, first) = match first.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, first),
    };
    let mut relative = false;
    for option in parts {
        match option {
            "relative" => relative = true,
            "rawbytes" => {}
            _ => return Err(unknown(option)),
        }
    }
    let offset = draft.number(first, 0, FARTHEST)?;
    let list = draft.current_for(relative);
    // "No byte behind it" is what `endswith` says, and means that for a negated content as well.
    if negated && relative && offset == Number::Literal(1) {
        let last = draft.lists.get_mut(list).and_then(|list| list.items.last_mut());
        if let Some(Test::Content(content)) = last.map(|item| &mut item.test) {
            content.ends_with = true;
            return Ok(());
        }
    }
    draft.push_to(list, Test::IsDataAt(IsDataAt { offset, relative, negated }));
    Ok(())
}
