//! Keywords on the fields of IP and ICMP headers and on the payload's length
//! (docs.suricata.io, "Header Keywords").

use super::draft::Draft;
use super::number::{Trivial, compare, compare_u8, compare_u16, compare_u32, decimal};
use super::options::Value;
use super::protocol_numbers;
use super::text::{shown, text};
use crate::signature::{BitModifier, ChecksumOf, Compare, HeaderTest};

/// `dsize`
pub(crate) fn dsize(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    if draft.header.iter().any(|test| matches!(test, HeaderTest::Dsize(_))) {
        return Err("a rule has one dsize at most".to_owned());
    }
    let test = HeaderTest::Dsize(compare_u16(&text(value.bytes))?);
    draft.push_header(test)
}

/// `ttl`
pub(crate) fn ttl(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::Ttl(compare_u8(&text(value.bytes))?);
    draft.push_header(test)
}

/// `tos`: decimal, or hexadecimal behind an `x`.
pub(crate) fn tos(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let (negated, number) = match value.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, value.as_ref()),
    };
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hex) if !hex.starts_with('+') => u8::from_str_radix(hex, 16)
            .map_err(|_| format!("`{}` is not a number of 8 bits", shown(number)))?,
        _ => u8::try_from(decimal(number, 255)?).unwrap_or(u8::MAX),
    };
    draft.push_header(HeaderTest::Tos(number, negated))
}

/// A decimal number of 16 bits.
fn word(value: &Value<'_>) -> Result<u16, String> {
    Ok(u16::try_from(decimal(&text(value.bytes), u64::from(u16::MAX))?).unwrap_or(u16::MAX))
}

/// `id`
pub(crate) fn id(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::IpId(word(value)?);
    draft.push_header(test)
}

/// `ipopts`
pub(crate) fn ipopts(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let name = text(value.bytes).to_ascii_lowercase();
    // RFC 791, 1108, 1191 and 1393 give the numbers.
    let option = match name.as_str() {
        "any" => None,
        "eol" => Some(0),
        "nop" => Some(1),
        "rr" => Some(7),
        "ts" => Some(68),
        "sec" => Some(130),
        "lsrr" => Some(131),
        "esec" => Some(133),
        "satid" => Some(136),
        "ssrr" => Some(137),
        _ => return Err(format!("IP option `{}` is not known", shown(&name))),
    };
    draft.push_header(HeaderTest::IpOption(option))
}

/// `fragbits`: `M`, `D`, `R` with `+`, `*` or `!` before or behind them.
pub(crate) fn fragbits(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let (modifier, letters) = super::tcp::modifier(&value)?;
    let mut bits = 0;
    for letter in letters.chars().filter(|c| !c.is_ascii_whitespace()) {
        bits |= match letter {
            'R' => 0x8000,
            'D' => 0x4000,
            'M' => 0x2000,
            _ => return Err(format!("`{letter}` is not a fragment bit: M, D or R")),
        };
    }
    if bits == 0 {
        return Err("no fragment bit is named".to_owned());
    }
    let modifier = modifier.unwrap_or(BitModifier::Exact);
    draft.push_header(HeaderTest::FragBits { bits, modifier })
}

/// `fragoffset`: `n`, `<n`, `>n`
pub(crate) fn fragoffset(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let comparison = compare(&value, u64::from(u16::MAX), Trivial::Taken)?;
    let narrow = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
    let comparison = match comparison {
        Compare::Equal(n) => Compare::Equal(narrow(n)),
        Compare::Less(n) => Compare::Less(narrow(n)),
        Compare::Greater(n) => Compare::Greater(narrow(n)),
        // Of a range Suricata takes the first number and passes over the rest.
        Compare::Between(n, _) => Compare::Equal(narrow(n)),
        _ => return Err("fragoffset takes n, <n or >n".to_owned()),
    };
    draft.push_header(HeaderTest::FragOffset(comparison))
}

/// `l3_proto:ipv4|ipv6`
pub(crate) fn l3_proto(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let version = match text(value.bytes).to_ascii_lowercase().as_str() {
        "ipv4" | "ip4" | "ip" => 4,
        "ipv6" | "ip6" => 6,
        other => return Err(format!("`{}` is neither ipv4 nor ipv6", shown(other))),
    };
    if draft.protocol.ip_version.is_some() {
        return Err("the version of IP was said before".to_owned());
    }
    draft.protocol.ip_version = Some(version);
    Ok(())
}

/// `ip_proto`: a number or name, perhaps behind `!`, `<` or `>`.
pub(crate) fn ip_proto(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    if !draft.protocol.ip_protocols.is_empty() || draft.protocol.app.is_some() {
        return Err("ip_proto goes with the protocol `ip` only".to_owned());
    }
    let value = text(value.bytes);
    let make: fn(u8) -> Compare<u8> = match value.as_bytes().first() {
        Some(b'!') => Compare::NotEqual,
        Some(b'<') => Compare::Less,
        Some(b'>') => Compare::Greater,
        _ => Compare::Equal,
    };
    let name = value.trim_start_matches(['!', '<', '>']).trim();
    let number = if name.starts_with(|c: char| c.is_ascii_digit()) {
        u8::try_from(decimal(name, 255)?).unwrap_or(u8::MAX)
    } else {
        protocol_numbers::number(name)
            .ok_or_else(|| format!("IP protocol `{}` is not known", shown(name)))?
    };
    let comparison = make(number);
    let is_equal = |test: &HeaderTest| matches!(test, HeaderTest::IpProto(Compare::Equal(_)));
    if matches!(comparison, Compare::Equal(_)) && draft.header.iter().any(is_equal) {
        return Err("ip_proto was written before".to_owned());
    }
    draft.push_header(HeaderTest::IpProto(comparison))
}

/// `sameip`
pub(crate) fn sameip(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    draft.push_header(HeaderTest::SameIp)
}

/// `ipv4-csum` and the like, by their name.
pub(crate) fn checksum(
    draft: &mut Draft<'_, '_>,
    value: &Value<'_>,
    (version, of): (u8, ChecksumOf),
) -> Result<(), String> {
    let valid = match text(value.bytes).trim().to_ascii_lowercase().as_str() {
        "valid" => true,
        "invalid" if of == ChecksumOf::Header => {
            return Err("a packet whose IPv4 header has a wrong checksum is dropped \
                (`bad_checksum`) before rules see it"
                .to_owned());
        }
        "invalid" => false,
        other => return Err(format!("expected `valid` or `invalid`, not `{}`", shown(other))),
    };
    draft.push_header(HeaderTest::Checksum { version, of, valid })
}

/// `rpc`: `PROGRAM, VERSION|*, PROCEDURE|*`; what is left out is any.
pub(crate) fn rpc(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut numbers = value.split(',').map(str::trim);
    let number = |part: &str| {
        let number = decimal(part, u64::from(u32::MAX))?;
        u32::try_from(number).map_err(|_| format!("`{}` is no 32-bit number", shown(part)))
    };
    let any = |part: Option<&str>| match part {
        None | Some("*") => Ok(None),
        Some(part) => number(part).map(Some),
    };
    let program = number(numbers.next().unwrap_or_default())?;
    let test =
        HeaderTest::Rpc { program, version: any(numbers.next())?, procedure: any(numbers.next())? };
    match numbers.next() {
        None => draft.push_header(test),
        Some(more) => Err(format!("nothing is expected behind the procedure: `{}`", shown(more))),
    }
}

/// `ftpbounce`
pub(crate) fn ftpbounce(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    draft.push_header(HeaderTest::FtpBounce)
}

/// `itype`
pub(crate) fn itype(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::IcmpType(compare_u8(&text(value.bytes))?);
    draft.push_header(test)
}

/// `icode`
pub(crate) fn icode(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::IcmpCode(compare_u8(&text(value.bytes))?);
    draft.push_header(test)
}

/// `icmp_id`
pub(crate) fn icmp_id(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::IcmpId(word(value)?);
    draft.push_header(test)
}

/// `icmp_seq`
pub(crate) fn icmp_seq(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::IcmpSeq(word(value)?);
    draft.push_header(test)
}

/// `icmpv6.mtu`
pub(crate) fn icmpv6_mtu(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let test = HeaderTest::Icmpv6Mtu(compare_u32(&text(value.bytes))?);
    draft.push_header(test)
}
