//! Keywords about a rule's connection and about the rule itself: `stream_size`, `prefilter`, `alert`.

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text};
use crate::signature::{Compare, HeaderTest, StreamSide, StreamSize};

/// `stream_size:server|client|both|either,operator,number`
pub(crate) fn stream_size(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let parts: Vec<&str> = fields(&value).collect();
    let [side, operator, number] = *parts.as_slice() else {
        return Err("stream_size takes side,operator,number".to_owned());
    };
    let side = match side {
        "client" => StreamSide::Client,
        "server" => StreamSide::Server,
        "both" => StreamSide::Both,
        "either" => StreamSide::Either,
        _ => return Err(format!("`{}` is not client, server, both or either", shown(side))),
    };
    let number = u32::try_from(decimal(number, u64::from(u32::MAX))?).unwrap_or(u32::MAX);
    let size = match operator {
        "<" => Compare::Less(number),
        "<=" => Compare::LessEqual(number),
        ">" => Compare::Greater(number),
        ">=" => Compare::GreaterEqual(number),
        "=" => Compare::Equal(number),
        "!=" => Compare::NotEqual(number),
        _ => return Err(format!("operator `{}` is not known", shown(operator))),
    };
    draft.extra().stream_sizes.push(StreamSize { side, size });
    Ok(())
}

/// `prefilter`: the test before it is to be looked at first. Only the order of work would change;
/// the words it may follow are Suricata's.
pub(crate) fn prefilter(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    let extra = draft.extra.as_deref();
    let content = draft.lists.iter().any(|list| !list.items.is_empty());
    let elsewhere = content
        || draft.flow.present
        || !draft.app_protocol_tests.is_empty()
        || extra.is_some_and(|e| !e.stream_sizes.is_empty() || !e.flow_ages.is_empty());
    match draft.header.last() {
        None if elsewhere => Ok(()),
        None => Err("prefilter stands behind the test that it means".to_owned()),
        Some(
            HeaderTest::TcpWindow(..)
            | HeaderTest::IpOption(_)
            | HeaderTest::Tos(..)
            | HeaderTest::SameIp
            | HeaderTest::IpProto(_),
        ) if !elsewhere => Err("the test before it cannot be a prefilter".to_owned()),
        Some(_) => Ok(()),
    }
}

/// `alert`: takes back a `noalert` before it.
pub(crate) fn alert(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    draft.noalert = false;
    Ok(())
}
