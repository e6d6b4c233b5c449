//! Keywords about what flows share and what rules read beside rule files: `hostbits`, `xbits`,
//! `iprep`, `geoip` (docs.suricata.io, "Xbits Keyword", "IP Reputation Keyword").

use std::sync::Arc;

use super::draft::Draft;
use super::number::{Trivial, compare, decimal};
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::{
    AddressSide, BitOperation, BitTrack, Compare, CountryTest, HostBitSet, HostBitTest,
    ReputationCondition, ReputationTest,
};

/// Seconds that a bit of `hostbits` lasts.
const HOSTBITS_SECONDS: u32 = 300;
/// Seconds that a bit of `xbits` lasts, unless the rule says otherwise.
const XBITS_SECONDS: u32 = 30;
/// Countries of one rule.
const MOST_COUNTRIES: usize = 64;

/// A command on a bit.
fn bit(
    draft: &mut Draft<'_, '_>,
    command: &str,
    name: &str,
    track: BitTrack,
    seconds: u32,
) -> Result<(), String> {
    if name.is_empty() || name.contains(|c: char| c.is_ascii_whitespace()) {
        return Err("a bit's name is missing or has spaces".to_owned());
    }
    let table = Arc::clone(&draft.session.names.host_bits);
    // `hostbits` and `xbits` of one name are one bit, and no flowbit.
    let bit = draft.session.names.host_bit(name);
    let operation = match command {
        "set" => BitOperation::Set,
        "unset" => BitOperation::Unset,
        "toggle" => BitOperation::Toggle,
        "isset" | "isnotset" => {
            let negated = command == "isnotset";
            draft.extra().host_bit_tests.push(HostBitTest { table, bit, track, negated });
            return Ok(());
        }
        _ => return Err(format!("`{}` is not a command on bits", shown(command))),
    };
    draft.extra().host_bit_sets.push(HostBitSet { table, bit, track, operation, seconds });
    Ok(())
}

/// `hostbits:command,name[,src|dst]`
pub(crate) fn hostbits(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let parts: Vec<&str> = fields(&value).collect();
    let (command, name, side) = match *parts.as_slice() {
        ["noalert"] => {
            draft.noalert = true;
            return Ok(());
        }
        [command, name] => (command, name, "src"),
        [command, name, side] => (command, name, side),
        _ => return Err("hostbits takes command,name and src or dst".to_owned()),
    };
    let track = match side {
        "src" => BitTrack::Source,
        "dst" => BitTrack::Destination,
        _ => return Err(format!("`{}` is neither src nor dst", shown(side))),
    };
    bit(draft, command, name, track, HOSTBITS_SECONDS)
}

/// `xbits:command,name,track ip_src|ip_dst|ip_pair[,expire seconds]`
pub(crate) fn xbits(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(command), Some(name), Some(track)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("xbits takes command,name,track ip_src, ip_dst or ip_pair".to_owned());
    };
    let track = match word_and_rest(track) {
        ("track", "ip_src") => BitTrack::Source,
        ("track", "ip_dst") => BitTrack::Destination,
        ("track", "ip_pair") => BitTrack::Pair,
        _ => return Err(format!("`{}` is not a track: ip_src, ip_dst or ip_pair", shown(track))),
    };
    let mut seconds = XBITS_SECONDS;
    for part in parts {
        match word_and_rest(part) {
            ("expire", number) => {
                let number = decimal(number, u64::from(u32::MAX))?;
                if number == 0 {
                    return Err("expire takes a number of seconds above 0".to_owned());
                }
                seconds = u32::try_from(number).unwrap_or(u32::MAX);
            }
            // Suricata takes the word and does nothing about it.
            ("noalert", "") => {}
            _ => return Err(format!("option `{}` is not known", shown(part))),
        }
    }
    bit(draft, command, name, track, seconds)
}

/// `iprep:any|src|dst|both,category,operator,score` or `…,isset|isnotset`
pub(crate) fn iprep(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let parts: Vec<&str> = fields(&value).collect();
    let (side, category, condition) = match *parts.as_slice() {
        [side, category, "isset"] => (side, category, ReputationCondition::IsSet),
        [side, category, "isnotset"] => (side, category, ReputationCondition::NotSet),
        [side, category, operator, score] => {
            let score = u8::try_from(decimal(score, 255)?).unwrap_or(u8::MAX);
            let condition = match operator {
                "<" => Compare::Less(score),
                ">" => Compare::Greater(score),
                "=" => Compare::Equal(score),
                "<=" => Compare::LessEqual(score),
                ">=" => Compare::GreaterEqual(score),
                _ => return Err(format!("operator `{}` is not known", shown(operator))),
            };
            (side, category, ReputationCondition::Score(condition))
        }
        _ => return Err("iprep takes side,category,operator,score".to_owned()),
    };
    let side = self::side(side)?;
    let Some(table) = draft.session.context.reputation.clone() else {
        return Err("no reputation is configured: rules.reputation.categories and files".to_owned());
    };
    let Some(category) = table.category_of(category) else {
        return Err(format!("category `{}` is not known", shown(category)));
    };
    draft.extra().reputations.push(ReputationTest { table, side, category, condition });
    Ok(())
}

fn side(word: &str) -> Result<AddressSide, String> {
    Ok(match word {
        "any" => AddressSide::Any,
        "src" => AddressSide::Source,
        "dst" => AddressSide::Destination,
        "both" => AddressSide::Both,
        _ => return Err(format!("`{}` is not any, src, dst or both", shown(word))),
    })
}

/// `geoip:[side,]country[,country…]`, a country as ISO 3166 code, negated with `!`
pub(crate) fn geoip(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts: Vec<&str> = fields(&value).collect();
    let side = match parts.first().map(|first| self::side(first)) {
        Some(Ok(side)) => {
            parts.remove(0);
            side
        }
        _ => AddressSide::Any,
    };
    if parts.is_empty() || parts.len() > MOST_COUNTRIES {
        return Err(format!("geoip takes 1 to {MOST_COUNTRIES} countries"));
    }
    let country = |part: &&str| {
        let (negated, code) = match part.strip_prefix('!') {
            Some(code) => (true, code.trim()),
            None => (false, *part),
        };
        let [a, b] = *code.as_bytes() else {
            return Err(format!("`{}` is not a country's two letters", shown(part)));
        };
        Ok(([a.to_ascii_uppercase(), b.to_ascii_uppercase()], negated))
    };
    let countries = parts.iter().map(country).collect::<Result<_, String>>()?;
    let Some(database) = draft.session.context.countries.clone() else {
        return Err("no database of countries is configured: rules.geoip-database".to_owned());
    };
    draft.extra().countries.push(CountryTest { database, side, countries });
    Ok(())
}

/// `flow.age`
pub(crate) fn flow_age(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let age = compare(&text(value.bytes), u64::from(u32::MAX), Trivial::Refused)?;
    draft.extra().flow_ages.push(age);
    Ok(())
}
