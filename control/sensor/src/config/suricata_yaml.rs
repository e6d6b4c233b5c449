//! Reads a Suricata configuration, with what it includes, into names and values as `--set` has
//! them: `outputs.1.eve-log.enabled`, `yes`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MessageFormatter as _, Spanned, UserMessageFormatter};

use super::error::{ConfigError, Place};

/// The most files that one configuration includes.
const MAX_INCLUDES: usize = 32;
/// Larger files are no configuration.
const MAX_FILE: u64 = 16 << 20;

/// A setting of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The names on the way to it, joined with dots; a list's items are numbered from 0.
    pub(super) name: String,
    /// The scalar; empty where there is none.
    pub(super) value: String,
    /// Where it stands.
    pub(super) place: Place,
}

/// Reads a file. What it includes stands in the place of its `include`: a section that is begun again
/// takes the place of the earlier one as a whole, as in Suricata.
pub(super) fn read(file: &Path, errors: &mut Vec<ConfigError>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut seen = Vec::new();
    include(file, file, &mut seen, &mut settings, errors);
    settings
}

/// Reads a file into the settings before it, once. Depth is bounded by [`MAX_INCLUDES`].
fn include(
    first: &Path,
    file: &Path,
    seen: &mut Vec<PathBuf>,
    settings: &mut Vec<Setting>,
    errors: &mut Vec<ConfigError>,
) {
    if seen.iter().any(|known| known == file) {
        return;
    }
    if seen.len() > MAX_INCLUDES {
        errors.push(ConfigError::file(first, "it includes too many files"));
        return;
    }
    seen.push(file.to_owned());
    let found = match read_one(file) {
        Ok(found) => found,
        Err(error) => {
            errors.push(error);
            return;
        }
    };
    let directory = file.parent().unwrap_or(Path::new(""));
    let section = |setting: &Setting| setting.name.split('.').next().unwrap_or_default().to_owned();
    let mut begun: Vec<String> = Vec::new();
    for setting in found {
        let top = section(&setting);
        if top == "include" {
            if !setting.value.is_empty() {
                include(first, &directory.join(&setting.value), seen, settings, errors);
            }
            continue;
        }
        if !begun.contains(&top) {
            settings.retain(|earlier| section(earlier) != top);
            begun.push(top);
        }
        settings.push(setting);
    }
}

fn read_one(file: &Path) -> Result<Vec<Setting>, ConfigError> {
    let refused = |error: std::io::Error| ConfigError::file(file, error);
    let length = std::fs::metadata(file).map_err(refused)?.len();
    if length > MAX_FILE {
        return Err(ConfigError::file(file, "the file is too large for a configuration"));
    }
    let bytes = std::fs::read(file).map_err(refused)?;
    parse(file, &String::from_utf8_lossy(&bytes))
}

fn parse(file: &Path, text: &str) -> Result<Vec<Setting>, ConfigError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 64, flow_nesting_limit: 64, },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        // `yes` and `no` are read where the type is known.
        strict_booleans: true,
        emit_comments: false,
        with_snippet: false,
    };
    let root: Option<Spanned<Node>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let place = error.location().map(|location| Place::File {
                file: file.display().to_string(),
                line: usize::try_from(location.line()).unwrap_or(0),
                column: usize::try_from(location.column()).unwrap_or(0),
            });
            let place = place.unwrap_or_else(|| Place::WholeFile(file.display().to_string()));
            let message = UserMessageFormatter.format_message(error.without_snippet()).into_owned();
            ConfigError::new(place, message)
        })?;
    let mut settings = Vec::new();
    if let Some(root) = root {
        flatten(file, String::new(), root, &mut settings);
    }
    Ok(settings)
}

/// Depth is bounded by the parser's budget.
fn flatten(file: &Path, name: String, node: Spanned<Node>, settings: &mut Vec<Setting>) {
    let line = node.referenced.line();
    let column = node.referenced.column();
    let join = |part: &str| match name.as_str() {
        "" => part.to_owned(),
        name => format!("{name}.{part}"),
    };
    match node.value {
        // Its options are nobody's.
        Node::Map(entries) if is_disabled_output(&name, &entries) => {}
        Node::Map(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                flatten(file, join(&key), value, settings);
            }
        }
        Node::List(items) if !items.is_empty() => {
            for (index, value) in items.into_iter().enumerate() {
                flatten(file, join(&index.to_string()), value, settings);
            }
        }
        Node::Map(_) | Node::List(_) => {}
        Node::Scalar(value) => settings.push(Setting {
            name,
            value,
            place: Place::File {
                file: file.display().to_string(),
                line: usize::try_from(line).unwrap_or(0),
                column: usize::try_from(column).unwrap_or(0),
            },
        }),
    }
}

/// Is this an output (`outputs.1.eve-log`) that is switched off?
fn is_disabled_output(name: &str, entries: &[(String, Spanned<Node>)]) -> bool {
    name.starts_with("outputs.")
        && name.split('.').count() == 3
        && entries.iter().any(|(key, value)| {
            key == "enabled" && matches!(&value.value, Node::Scalar(text) if is_no(text))
        })
}

fn is_no(text: &str) -> bool {
    ["no", "false", "off", "0"].iter().any(|no| text.eq_ignore_ascii_case(no))
}

/// YAML whose scalars are still text.
enum Node {
    Scalar(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting, a list or a section")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new()))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar(String::new()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }
}

/// A key of any scalar type: ports and versions are numbers.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Scalar(text) => Ok(Key(text)),
            _ => Err(serde::de::Error::custom("a name was expected, not a list or a section")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let settings = parse(Path::new("s.yaml"), text).expect("valid YAML");
        settings.into_iter().map(|setting| (setting.name, setting.value)).collect()
    }

    #[test]
    fn suricatas_yaml_becomes_names_and_text() {
        let found = pairs(
            "%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: \"[10.0.0.0/8]\"\n\
             stream:\n  midstream: yes\n  memcap: 64mb\noutputs:\n  - eve-log:\n      enabled: yes\n\
             \x20     types:\n        - alert:\n            payload: no\n        - http\n\
             \x20 - fast:\n      enabled: no\n      filename: fast.log\n\
             empty:\nversion: 1.1\npacket-alert-max: 15\nhost-os-policy:\n  linux: []\n",
        );
        let found: Vec<(&str, &str)> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            found,
            [
                ("vars.address-groups.HOME_NET", "[10.0.0.0/8]"),
                ("stream.midstream", "yes"),
                ("stream.memcap", "64mb"),
                ("outputs.0.eve-log.enabled", "yes"),
                ("outputs.0.eve-log.types.0.alert.payload", "no"),
                ("outputs.0.eve-log.types.1", "http"),
                ("empty", ""),
                ("version", "1.1"),
                ("packet-alert-max", "15"),
            ]
        );
    }

    #[test]
    fn settings_know_their_line() {
        let settings = parse(Path::new("s.yaml"), "a:\n  b: 1\n  c:\n    - x\n").expect("valid");
        let places: Vec<String> = settings.iter().map(|s| s.place.to_string()).collect();
        assert_eq!(places, ["s.yaml:2:6", "s.yaml:4:7"]);
    }

    #[test]
    fn broken_yaml_is_told_with_its_line() {
        let error = parse(Path::new("s.yaml"), "a: 1\nb: [\n").expect_err("an error");
        assert!(error.to_string().starts_with("s.yaml:"), "{error}");
        let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse(Path::new("s.yaml"), &deep).is_err());
    }

    #[test]
    fn includes_are_read_once_in_their_place_and_sections_are_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let a = "y: 1\nz: {k: 1, l: 1}\ninclude: b.yaml\nx: 1\n";
        std::fs::write(path("a.yaml"), a).expect("written");
        let b = "x: 2\nz: {k: 2}\ninclude:\n  - a.yaml\n  - c.yaml\n";
        std::fs::write(path("b.yaml"), b).expect("written");
        let mut errors = Vec::new();
        let settings = read(&path("a.yaml"), &mut errors);
        let values: Vec<_> = settings.iter().map(|s| (s.name.as_str(), s.value.as_str())).collect();
        assert_eq!(values, [("y", "1"), ("z.k", "2"), ("x", "1")]);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().contains("c.yaml"), "{errors:?}");
    }
}
