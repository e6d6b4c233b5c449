//! Sticky buffers, transforms, and the older modifiers that move a content into a buffer.

use super::content;
use super::draft::{Draft, Sticky};
use super::number::{Trivial, compare};
use super::options::Value;
use super::text::text;
use crate::signature::{Buffer, Test};

/// Uses of buffers in one rule, repeated ones of `dns.query` and of transformed ones.
pub(crate) const MOST_LISTS: usize = 256;

/// The IP protocol whose packets have a header buffer.
fn carrier(buffer: Buffer) -> Option<u8> {
    match buffer {
        Buffer::TcpHdr => Some(6),
        Buffer::UdpHdr => Some(17),
        Buffer::Icmpv4Hdr => Some(1),
        Buffer::Icmpv6Hdr => Some(58),
        _ => None,
    }
}

/// Makes a buffer sticky.
pub(crate) fn sticky(
    draft: &mut Draft<'_, '_>,
    keyword: &str,
    buffer: Buffer,
) -> Result<(), String> {
    leave(draft)?;
    if draft.lists.len() >= MOST_LISTS {
        return Err(format!("a rule looks at {MOST_LISTS} buffers at most"));
    }
    draft.need_buffer(buffer)?;
    let protocol = &draft.protocol;
    let carried = carrier(buffer)
        .is_none_or(|ip| protocol.ip_protocols.is_empty() || protocol.ip_protocols.contains(&ip));
    if !carried {
        return Err(format!("packets of a rule on {} have no {keyword}", protocol.name));
    }
    draft.sticky =
        Some(Sticky { keyword: keyword.to_owned(), buffer, transforms: Vec::new(), list: None });
    draft.last_content = None;
    Ok(())
}

/// `pkt_data`: back to the payload.
pub(crate) fn pkt_data(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    leave(draft)?;
    draft.sticky = None;
    draft.last_content = None;
    Ok(())
}

/// A sticky buffer that is left needs a test.
pub(crate) fn leave(draft: &Draft<'_, '_>) -> Result<(), String> {
    match &draft.sticky {
        Some(Sticky { keyword, list: None, .. }) => Err(format!("there is no test on {keyword}")),
        _ => Ok(()),
    }
}

/// Moves the payload's last content into a buffer (`http_uri` and its like).
pub(crate) fn moved(
    draft: &mut Draft<'_, '_>,
    keyword: &str,
    buffer: Buffer,
) -> Result<(), String> {
    if let Some(sticky) = &draft.sticky {
        return Err(format!(
            "{keyword} does not go with the sticky buffer {}, pkt_data ends that",
            sticky.keyword
        ));
    }
    let payload = draft.open(Buffer::Payload, &[]);
    let found = draft.lists.get(payload).and_then(|list| {
        let at = list.items.iter().rposition(|item| item.content().is_some())?;
        Some((at, list.items.get(at)?.raw))
    });
    let Some((at, raw)) = found else {
        return Err("there is no content before it to move into the buffer".to_owned());
    };
    if raw {
        return Err(format!("{keyword} does not go with rawbytes"));
    }
    draft.need_buffer(buffer)?;
    let target = draft.open(buffer, &[]);
    let item = draft.lists.get_mut(payload).map(|list| list.items.remove(at));
    if let Some((list, item)) = draft.lists.get_mut(target).zip(item) {
        list.items.push(item);
        draft.last_content = Some((target, list.items.len() - 1));
        draft.last_list = Some(target);
    }
    Ok(())
}

/// `uricontent`
pub(crate) fn uricontent(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    if let Some(sticky) = &draft.sticky {
        return Err(format!("uricontent does not go with the sticky buffer {}", sticky.keyword));
    }
    let content = content::plain(value)?;
    draft.need_app("http")?;
    let list = draft.open(Buffer::HttpUri, &[]);
    draft.push_to(list, Test::Content(content));
    Ok(())
}

/// `filename`: a part of the name of what is transferred.
pub(crate) fn filename(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let content = content::plain(value)?;
    of_file(draft, Buffer::FileName, Test::Content(content))
}

/// `fileext`: the end of the name, behind a dot, in any case.
pub(crate) fn fileext(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let mut content = content::plain(value)?;
    let mut pattern = b".".to_vec();
    pattern.extend_from_slice(&content.pattern);
    pattern.make_ascii_lowercase();
    content.pattern = pattern.into_boxed_slice();
    content.nocase = true;
    content.ends_with = true;
    of_file(draft, Buffer::FileName, Test::Content(content))
}

/// `filesize`
pub(crate) fn filesize(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let size = compare(&text(value.bytes), u64::MAX, Trivial::Refused)?;
    of_file(draft, Buffer::FileSize, Test::Size(size))
}

/// `filestore`: nothing is stored here, so that it asks for nothing.
pub(crate) fn filestore(_: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    Ok(())
}

/// A test on what is transferred, whatever buffer is sticky.
pub(crate) fn of_file(draft: &mut Draft<'_, '_>, buffer: Buffer, test: Test) -> Result<(), String> {
    draft.need_buffer(buffer)?;
    let list = draft.open(buffer, &[]);
    draft.push_to(list, test);
    Ok(())
}

/// `bsize`
pub(crate) fn bsize(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    if draft.sticky.is_none() {
        return Err("bsize stands behind a sticky buffer".to_owned());
    }
    let size = compare(&text(value.bytes), u64::MAX, Trivial::Refused)?;
    draft.push(Test::Size(size));
    Ok(())
}

/// `urilen`
pub(crate) fn urilen(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let (size, buffer) = match value.split_once(',') {
        None => (value.as_ref(), Buffer::HttpUri),
        Some((size, which)) => match which.trim() {
            "norm" => (size, Buffer::HttpUri),
            "raw" => (size, Buffer::HttpUriRaw),
            _ => return Err("the URI is `norm` or `raw`".to_owned()),
        },
    };
    let size = compare(size, u64::from(u16::MAX), Trivial::Taken)?;
    draft.need_app("http")?;
    let list = draft.open(buffer, &[]);
    draft.push_to(list, Test::Size(size));
    if let Some(item) = draft.lists.get_mut(list).and_then(|list| list.items.last_mut()) {
        item.urilen = true;
    }
    if let Some(sticky) = &mut draft.sticky
        && sticky.buffer == buffer
        && sticky.transforms.is_empty()
    {
        sticky.list = Some(list);
    }
    Ok(())
}
