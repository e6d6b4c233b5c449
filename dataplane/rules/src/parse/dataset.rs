//! `dataset` and `datarep` (docs.suricata.io, "Datasets").

use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::number::decimal;
use super::options::Value;
use super::text::{fields, shown, text, word_and_rest};
use crate::signature::{Compare, DataCommand, DataTest, Test};
use crate::state::{DataKind, Wanted};

/// Bytes that a set takes, unless the rule says otherwise.
const MEMCAP: usize = 64 << 20;
/// Bytes that a rule may ask for.
const MOST_MEMCAP: u64 = 1 << 30;
/// The longest name, as in Suricata.
const LONGEST_NAME: usize = 63;

/// The options behind a set's name.
struct Options {
    kind: Option<DataKind>,
    load: Option<PathBuf>,
    state: Option<PathBuf>,
    save: Option<PathBuf>,
    memcap: usize,
}

fn options<'v>(
    draft: &Draft<'_, '_>,
    parts: impl Iterator<Item = &'v str>,
) -> Result<Options, String> {
    let paths = &draft.session.context.data;
    let rule_file = Path::new(draft.session.file);
    let mut options = Options { kind: None, load: None, state: None, save: None, memcap: MEMCAP };
    for part in parts {
        let (word, argument) = word_and_rest(part);
        if argument.is_empty() {
            return Err(format!("option `{}` is not known or lacks its value", shown(part)));
        }
        match word {
            "type" => {
                let kind = DataKind::named(argument);
                options.kind =
                    Some(kind.ok_or_else(|| format!("type `{}` is not known", shown(argument)))?);
            }
            "load" => options.load = Some(paths.read(rule_file, argument)?),
            "state" => options.state = Some(paths.write(argument)?),
            "save" => options.save = Some(paths.write(argument)?),
            "memcap" => {
                let bytes = size(argument).filter(|bytes| (1..=MOST_MEMCAP).contains(bytes));
                let bytes = bytes.ok_or("memcap takes a size up to 1gb")?;
                options.memcap = usize::try_from(bytes).unwrap_or(usize::MAX);
            }
            // The table grows as it must.
            "hashsize" => {
                decimal(argument, u64::from(u32::MAX))?;
            }
            _ => return Err(format!("option `{}` is not known", shown(word))),
        }
    }
    if options.load.is_some() && options.state.is_some() {
        return Err("load does not go with state".to_owned());
    }
    if options.state.is_some() && options.save.is_some() {
        return Err("state does not go with save".to_owned());
    }
    Ok(options)
}

/// `10mb`, `1gb`, `4096`
fn size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match lower.get(digits.len()..)? {
        "" | "b" => 1,
        "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(unit)
}

fn add(
    draft: &mut Draft<'_, '_>,
    name: &str,
    command: DataCommand,
    options: Options,
    kind: DataKind,
) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("a set's name has 1 to {LONGEST_NAME} letters"));
    }
    if draft.sticky.is_none() {
        return Err("the keyword stands behind a sticky buffer".to_owned());
    }
    let Options { load, state, save, memcap, .. } = options;
    let reputation = matches!(command, DataCommand::Reputation(_));
    let wanted = Wanted { name, kind, memcap, load, state, save, reputation };
    let set = draft.session.names.datasets.open(wanted)?;
    if matches!(command, DataCommand::Set | DataCommand::Unset) {
        draft.extra().changes_data = true;
    }
    draft.push(Test::Data(DataTest { set, command }));
    Ok(())
}

/// `dataset:command,name[,options]`
pub(crate) fn dataset(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(command), Some(name)) = (parts.next(), parts.next()) else {
        return Err("dataset takes command,name and options".to_owned());
    };
    let command = match command {
        "isset" => DataCommand::IsSet,
        "isnotset" => DataCommand::IsNotSet,
        "set" => DataCommand::Set,
        "unset" => DataCommand::Unset,
        _ => return Err(format!("`{}` is not a command of dataset", shown(command))),
    };
    let mut options = options(draft, parts)?;
    if options.kind.is_none() {
        let known = draft.session.names.datasets.kind_of(name);
        options.kind = Some(known.ok_or("the set's type is missing")?);
    }
    let Some(kind) = options.kind else { return Err("the set's type is missing".to_owned()) };
    add(draft, name, command, options, kind)
}

/// `datarep:name,operator,value[,options]`
pub(crate) fn datarep(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let mut parts = fields(&value);
    let (Some(name), Some(operator), Some(score)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err("datarep takes name,operator,value and options".to_owned());
    };
    let score = u16::try_from(decimal(score, u64::from(u16::MAX))?).unwrap_or(u16::MAX);
    let compare = match operator {
        ">" => Compare::Greater(score),
        "<" => Compare::Less(score),
        "==" => Compare::Equal(score),
        _ => return Err(format!("operator `{}` is not `<`, `>` or `==`", shown(operator))),
    };
    let options = options(draft, parts)?;
    if options.save.is_some() {
        return Err("datarep saves nothing".to_owned());
    }
    let known = options.kind.or_else(|| draft.session.names.datasets.kind_of(name));
    let kind = known.ok_or("the set's type is missing")?;
    add(draft, name, DataCommand::Reputation(compare), options, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            (size("4096"), size("10mb"), size("1 gb")),
            (Some(4096), Some(10 << 20), Some(1 << 30))
        );
        assert_eq!((size("x"), size("1tb"), size("99999999999999999999")), (None, None, None));
    }
}
