//! `base64_decode` and `base64_data` (docs.suricata.io, "Base64 keywords").

use super::buffers;
use super::draft::{Draft, List, Sticky};
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::{Base64Decode, Buffer, Test};

/// Most bytes that are decoded, and the farthest offset.
const MOST: u64 = u16::MAX as u64;

/// `base64_decode[:bytes n][,offset n][,relative]`
pub(crate) fn base64_decode(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut decode = Base64Decode { bytes: 0, offset: 0, relative: false, tests: Vec::new() };
    for option in fields(&value).filter(|option| !option.is_empty()) {
        let number = |argument: &str| -> Result<u32, String> {
            Ok(u32::try_from(decimal(argument, MOST)?).unwrap_or(u32::MAX))
        };
        match word_and_rest(option) {
            ("bytes", argument) => decode.bytes = number(argument)?,
            ("offset", argument) => decode.offset = number(argument)?,
            ("relative", "") => decode.relative = true,
            _ => return Err(format!("option `{}` is not known", shown(option))),
        }
    }
    let list = draft.current_for(decode.relative);
    draft.push_to(list, Test::Base64(decode));
    Ok(())
}

/// `base64_data`: what follows looks at what `base64_decode` yields.
pub(crate) fn base64_data(draft: &mut Draft<'_, '_>, _: &Value<'_>) -> Result<(), String> {
    buffers::leave(draft)?;
    let decoded = |list: &List| list.items.iter().any(|i| matches!(i.test, Test::Base64(_)));
    if !draft.lists.iter().any(decoded) {
        return Err("there is no base64_decode before it".to_owned());
    }
    draft.sticky = Some(Sticky {
        keyword: "base64_data".to_owned(),
        buffer: Buffer::Base64Data,
        transforms: Vec::new(),
        list: None,
    });
    draft.last_content = None;
    Ok(())
}

/// Gives the tests on decoded data to those who decode it. A rule has one set of such tests.
pub(crate) fn attach(lists: &mut Vec<List>) -> Result<(), String> {
    let Some(at) = lists.iter().position(|list| list.buffer == Buffer::Base64Data) else {
        return Ok(());
    };
    let mut data = lists.remove(at);
    if data.items.iter().any(|item| matches!(item.test, Test::Base64(_))) {
        return Err("base64_decode does not go with base64_data".to_owned());
    }
    super::finish::prepare(&mut data);
    let tests: Vec<Test> = data.items.into_iter().map(|item| item.test).collect();
    for item in lists.iter_mut().flat_map(|list| &mut list.items) {
        if let Test::Base64(decode) = &mut item.test {
            decode.tests.clone_from(&tests);
        }
    }
    Ok(())
}
