//! Keywords that ask for an event: `decode-event`, `stream-event`, `engine-event`.

use wire::Event;

use super::draft::Draft;
use super::names::nearest;
use super::options::Value;
use super::text::{shown, text};
use crate::signature::HeaderTest;

/// `decode-event`: names without `decoder.`.
pub(crate) fn decode_event(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    event(draft, value, "decoder.")
}

/// `stream-event`: names without `stream.`.
pub(crate) fn stream_event(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    event(draft, value, "stream.")
}

/// `engine-event`: names with their prefix.
pub(crate) fn engine_event(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    event(draft, value, "")
}

fn event(draft: &mut Draft<'_, '_>, value: &Value<'_>, prefix: &str) -> Result<(), String> {
    let name = text(value.bytes);
    let name = name.trim();
    let full = format!("{prefix}{name}");
    match Event::find(&full) {
        Some(event) => draft.push_header(HeaderTest::Event(event)),
        None => Err(unknown(name, &full, prefix)),
    }
}

/// Why a name is no event, with the nearest that is.
fn unknown(name: &str, full: &str, prefix: &str) -> String {
    let lower = full.to_ascii_lowercase();
    let known = Event::ALL.iter().map(|event| event.name());
    match nearest(&lower, known.filter(|known| known.starts_with(prefix))) {
        Some(known) => {
            let known = known.strip_prefix(prefix).unwrap_or(known);
            format!("event `{}` is not known, did you mean `{known}`?", shown(name))
        }
        None => format!("event `{}` is not known", shown(name)),
    }
}
