//! `config`: what a match changes of the logging of a transaction or flow (docs.suricata.io,
//! "Config Rules").

use super::draft::Draft;
use super::options::Value;
use super::text::{shown, text};

/// What may stand where, and how it is called in messages.
const PARTS: [(&str, &[&str]); 3] =
    [("logging", &["disable"]), ("type", &["tx", "flow"]), ("scope", &["tx", "flow"])];

/// `config:logging disable, type tx, scope tx`. No transactions and flows are logged here, so that it
/// changes nothing.
pub(crate) fn config(_: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let fields: Vec<&str> = value.split(',').map(str::trim).collect();
    if fields.len() != PARTS.len() {
        return Err("config takes `logging disable, type tx, scope tx`".to_owned());
    }
    for (field, (name, values)) in fields.into_iter().zip(PARTS) {
        let (word, rest) = field.split_once(char::is_whitespace).unwrap_or((field, ""));
        let rest = rest.trim();
        if word != name {
            return Err(format!("`{}` stands where `{name}` is expected", shown(word)));
        }
        if !values.contains(&rest) {
            let values = values.join("` or `");
            return Err(format!("{name} is `{values}`, not `{}`", shown(rest)));
        }
    }
    Ok(())
}
