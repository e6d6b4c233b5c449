//! `byte_test`, `byte_jump`, `byte_extract` and `byte_math`: bytes of a buffer as numbers.

use rules::signature::{
    ByteExtract, ByteJump, ByteMath, ByteOperator, ByteTest, Encoding, MathOperator, Number,
};

/// A literal, or the value of a variable.
pub(super) fn value(number: Number, variables: &[u64]) -> i64 {
    match number {
        Number::Literal(n) => n,
        Number::Variable(slot) => {
            variables.get(usize::from(slot)).map_or(0, |&v| i64::try_from(v).unwrap_or(i64::MAX))
        }
    }
}

/// Index of `offset` from the buffer's start or from the last match; None outside the buffer.
fn index(data: &[u8], at: usize, offset: i64, relative: bool) -> Option<usize> {
    let origin = if relative { at as i64 } else { 0 };
    let start = usize::try_from(origin.checked_add(offset)?).ok()?;
    (start <= data.len()).then_some(start)
}

/// Reads a number and says how many bytes it took.
fn read(data: &[u8], start: usize, bytes: usize, encoding: Encoding) -> Option<(u64, usize)> {
    let radix = match encoding {
        Encoding::Big | Encoding::Little => {
            let taken = data.get(start..start.checked_add(bytes)?)?;
            if bytes > 8 {
                return None;
            }
            let fold = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
            let number = if encoding == Encoding::Big {
                taken.iter().fold(0, fold)
            } else {
                taken.iter().rev().fold(0, fold)
            };
            return Some((number, bytes));
        }
        Encoding::Octal => 8,
        Encoding::Decimal => 10,
        Encoding::Hex => 16,
    };
    let taken = data.get(start..start.checked_add(bytes)?)?;
    text(taken, radix)
}

/// Reads a number as C's strtoul does: blanks, a sign, `0x` for base 16, digits up to the first
/// byte that is none. At least one digit is asked for.
fn text(taken: &[u8], radix: u32) -> Option<(u64, usize)> {
    let blanks = taken.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let mut at = blanks;
    let negative = taken.get(at) == Some(&b'-');
    if matches!(taken.get(at), Some(b'-' | b'+')) {
        at += 1;
    }
    let is_digit = |i: usize| taken.get(i).is_some_and(|&b| char::from(b).is_digit(radix));
    if radix == 16
        && taken.get(at) == Some(&b'0')
        && matches!(taken.get(at + 1), Some(b'x' | b'X'))
        && is_digit(at + 2)
    {
        at += 2;
    }
    let digits = at;
    let mut number: u64 = 0;
    while let Some(digit) = taken.get(at).and_then(|&b| char::from(b).to_digit(radix)) {
        number = number.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))?;
        at += 1;
    }
    if at == digits {
        return None;
    }
    Some((if negative { number.wrapping_neg() } else { number }, at))
}

/// The mask's bits, shifted down to the lowest one.
fn masked(number: u64, bitmask: Option<u32>) -> u64 {
    match bitmask {
        Some(mask) if mask != 0 => (number & u64::from(mask)) >> mask.trailing_zeros(),
        _ => number,
    }
}

/// Does the comparison hold? Outside the buffer it does not.
pub(super) fn byte_test(test: &ByteTest, data: &[u8], at: usize, variables: &[u64]) -> bool {
    let offset = value(test.offset, variables);
    let Ok(bytes) = usize::try_from(value(test.bytes, variables)) else { return false };
    let Some(start) = index(data, at, offset, test.relative) else { return false };
    // No bytes are the number 0.
    let number = match bytes {
        0 if data.is_empty() => return false,
        0 => 0,
        _ => match read(data, start, bytes, test.encoding) {
            Some((number, _)) => number,
            None => return false,
        },
    };
    let number = masked(number, test.bitmask);
    let with = match test.value {
        Number::Literal(n) => n as u64,
        Number::Variable(slot) => variables.get(usize::from(slot)).copied().unwrap_or(0),
    };
    let holds = match test.operator {
        ByteOperator::Less => number < with,
        ByteOperator::Greater => number > with,
        ByteOperator::Equal => number == with,
        ByteOperator::LessEqual => number <= with,
        ByteOperator::GreaterEqual => number >= with,
        ByteOperator::And => number & with != 0,
        ByteOperator::Xor => number ^ with != 0,
    };
    holds != test.negated
}

/// Where the jump lands; None outside the buffer.
pub(super) fn byte_jump(
    jump: &ByteJump,
    data: &[u8],
    at: usize,
    variables: &[u64],
) -> Option<usize> {
    let start = index(data, at, value(jump.offset, variables), jump.relative)?;
    let bytes = usize::try_from(value(jump.bytes, variables)).ok()?;
    let (number, taken) =
        if bytes == 0 { (0, 0) } else { read(data, start, bytes, jump.encoding)? };
    let mut distance =
        masked(number, jump.bitmask).checked_mul(u64::from(jump.multiplier.max(1)))?;
    if jump.align && distance % 4 != 0 {
        distance = distance.checked_add(4 - distance % 4)?;
    }
    let distance = i64::try_from(distance).ok()?.checked_add(i64::from(jump.post_offset))?;
    let origin = if jump.from_beginning {
        0
    } else if jump.from_end {
        data.len()
    } else {
        start.checked_add(taken)?
    };
    let target = usize::try_from((origin as i64).checked_add(distance)?).ok()?;
    (target <= data.len()).then_some(target)
}

/// The number and the index behind its bytes; None outside the buffer.
pub(super) fn byte_extract(extract: &ByteExtract, data: &[u8], at: usize) -> Option<(u64, usize)> {
    let start = index(data, at, i64::from(extract.offset), extract.relative)?;
    let (number, taken) = read(data, start, usize::from(extract.bytes), extract.encoding)?;
    let mut number = number.wrapping_mul(u64::from(extract.multiplier.max(1)));
    let align = u64::from(extract.align);
    if align > 0 && number % align != 0 {
        number = number.wrapping_add(align - number % align);
    }
    Some((masked(number, extract.bitmask), start + taken))
}

/// The result and the index behind the bytes; None outside the buffer and for a division by zero.
pub(super) fn byte_math(
    math: &ByteMath,
    data: &[u8],
    at: usize,
    variables: &[u64],
) -> Option<(u64, usize)> {
    let start = index(data, at, i64::from(math.offset), math.relative)?;
    let bytes = usize::try_from(value(math.bytes, variables)).ok()?;
    let (number, taken) = read(data, start, bytes, math.encoding)?;
    let with = match math.value {
        Number::Literal(n) => u64::try_from(n).ok()?,
        Number::Variable(slot) => variables.get(usize::from(slot)).copied()?,
    };
    let shift = u32::try_from(with).unwrap_or(u32::MAX);
    let result = match math.operator {
        MathOperator::Add => number.wrapping_add(with),
        MathOperator::Subtract => number.wrapping_sub(with),
        MathOperator::Multiply => number.wrapping_mul(with),
        MathOperator::Divide => number.checked_div(with)?,
        MathOperator::ShiftLeft => number.checked_shl(shift).unwrap_or(0),
        MathOperator::ShiftRight => number.checked_shr(shift).unwrap_or(0),
    };
    Some((masked(result, math.bitmask), start + taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jump(bytes: i64, offset: i64) -> ByteJump {
        ByteJump {
            bytes: Number::Literal(bytes),
            offset: Number::Literal(offset),
            relative: false,
            encoding: Encoding::Big,
            multiplier: 1,
            align: false,
            from_beginning: false,
            from_end: false,
            post_offset: 0,
            bitmask: None,
            dce: false,
        }
    }

    #[test]
    fn a_jump_lands_behind_its_bytes_plus_the_number() {
        assert_eq!(byte_jump(&jump(2, 0), &[0, 3, 9, 9, 9, 9], 0, &[]), Some(5));
        let aligned = ByteJump { align: true, ..jump(1, 0) };
        assert_eq!(byte_jump(&aligned, &[3, 0, 0, 0, 0, 0], 0, &[]), Some(5));
        let end = ByteJump { from_end: true, post_offset: -2, ..jump(0, 0) };
        assert_eq!(byte_jump(&end, &[1, 2, 3, 4], 0, &[]), Some(2));
    }

    fn math(operator: MathOperator, value: i64, bitmask: Option<u32>) -> Option<(u64, usize)> {
        let math = ByteMath {
            bytes: Number::Literal(2),
            offset: 1,
            operator,
            value: Number::Literal(value),
            slot: 0,
            relative: false,
            encoding: Encoding::Big,
            bitmask,
        };
        byte_math(&math, &[0xff, 0x01, 0x02], 0, &[])
    }

    #[test]
    fn arithmetic_on_bytes_moves_behind_them() {
        use MathOperator::{Add, Divide, Multiply, ShiftLeft, ShiftRight, Subtract};
        assert_eq!(math(Add, 1, None), Some((0x103, 3)));
        assert_eq!(math(Subtract, 2, None), Some((0x100, 3)));
        assert_eq!(math(Multiply, 2, Some(0xff00)), Some((2, 3)));
        assert_eq!(math(Divide, 2, None), Some((0x81, 3)));
        assert_eq!(math(Divide, 0, None), None);
        assert_eq!(math(ShiftLeft, 4, None), Some((0x1020, 3)));
        assert_eq!(math(ShiftRight, 64, None), Some((0, 3)));
        assert_eq!(math(Subtract, 0x103, None), Some((u64::MAX, 3)));
    }

    #[test]
    fn a_jump_out_of_the_buffer_is_no_match() {
        assert_eq!(byte_jump(&jump(1, 0), &[9, 0], 0, &[]), None);
        assert_eq!(byte_jump(&jump(4, 0), &[0, 0], 0, &[]), None);
        assert_eq!(byte_jump(&jump(1, -1), &[0, 0], 0, &[]), None);
    }

    #[test]
    fn text_is_read_as_strtoul_reads_it() {
        assert_eq!(text(b" 12a", 10), Some((12, 3)));
        assert_eq!(text(b"0x1f", 16), Some((31, 4)));
        assert_eq!(text(b"xyz", 10), None);
        assert_eq!(text(b"99999999999999999999999", 10), None);
    }

    #[test]
    fn a_bitmask_is_shifted_to_its_lowest_bit() {
        assert_eq!(masked(0x48, Some(0xf8)), 0x9);
        assert_eq!(masked(0x48, None), 0x48);
    }
}
