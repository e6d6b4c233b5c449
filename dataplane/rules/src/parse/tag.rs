//! Keywords about what follows a match and about its connection: `tag`, `stream_size`, `prefilter`.

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text};
use crate::signature::{Compare, HeaderTest, StreamSide, StreamSize, Tag, TagMetric, TagScope};

/// Units where the rule says none: seconds, as in Suricata.
const DEFAULT_SECONDS: u32 = 300;
/// Tags of one rule.
const MOST_TAGS: usize = 16;

/// `tag:session[,count,metric]` or `tag:host[,count,metric[,direction]]`
pub(crate) fn tag(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let parts: Vec<&str> = fields(&value).collect();
    let (kind, amount, direction) = match *parts.as_slice() {
        [kind] => (kind, None, None),
        [kind, count, metric] => (kind, Some((count, metric)), None),
        [kind, count, metric, direction] => (kind, Some((count, metric)), Some(direction)),
        _ => return Err("tag takes session or host, count,metric and a direction".to_owned()),
    };
    let scope = match (kind, direction) {
        ("session", None) => TagScope::Session,
        ("session", Some(_)) => return Err("tag:session has no direction".to_owned()),
        // Suricata's default is the source.
        ("host", None | Some("src")) => TagScope::Source,
        ("host", Some("dst")) => TagScope::Destination,
        ("host", Some(other)) => return Err(format!("`{}` is neither src nor dst", shown(other))),
        _ => return Err(format!("`{}` is neither session nor host", shown(kind))),
    };
    let (count, metric) = match amount {
        None => (DEFAULT_SECONDS, TagMetric::Seconds),
        Some((count, metric)) => {
            let metric = match metric {
                "packets" => TagMetric::Packets,
                "seconds" => TagMetric::Seconds,
                "bytes" => TagMetric::Bytes,
                _ => return Err(format!("`{}` is not packets, seconds or bytes", shown(metric))),
            };
            let count = decimal(count, u64::from(u32::MAX))?;
            (u32::try_from(count).unwrap_or(u32::MAX), metric)
        }
    };
    let table = std::sync::Arc::clone(&draft.session.names.tags);
    draft.extra().tag_table = Some(table);
    let tags = &mut draft.extra().tags;
    if tags.len() >= MOST_TAGS {
        return Err(format!("a rule has {MOST_TAGS} tags at most"));
    }
    tags.push(Tag { scope, count, metric });
    Ok(())
}

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

/// `bypass`: after a match the rest of the flow is not looked at.
pub(crate) fn bypass(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    draft.extra().bypass = true;
    Ok(())
}
