//! The table of all names of settings: what each takes, and where it goes.

use super::value::Wrong;
use super::{Config, Place, PortConfig, RuleSetConfig, Value};

/// A setting.
pub struct Key<T = Config> {
    /// Its name, from the top: `streams.reassembly.depth`.
    pub name: &'static str,
    /// What it is about, with unit and default.
    pub about: &'static str,
    /// Checks a value and puts it in its place.
    pub set: fn(&mut T, &Value) -> Result<(), Wrong>,
}

impl<T> std::fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! keys {
    ($($name:literal, $about:literal, $set:expr;)*) => {
        &[$(Key { name: $name, about: $about, set: $set }),*]
    };
}

mod control;
mod outputs;
mod packets;
mod ports;
mod protocols;
mod rules;
mod value;

pub use ports::PORT_KEYS;
pub use rules::RULE_SET_KEYS;
pub use value::{fragment_policy, stream_policy};

/// The settings with one place each, section by section.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [control::KEYS, rules::KEYS, packets::KEYS, protocols::KEYS, outputs::KEYS, ports::KEYS]
        .into_iter()
        .flatten()
}

/// Prefix below which the user names rule sets.
pub const RULE_SETS: &str = "rules.sets.";

/// The most rule sets beside the default one: a bit for each.
pub const MAX_RULE_SETS: usize = 63;

/// Prefixes below which the user chooses names.
pub const ADDRESS_GROUPS: &str = "vars.address-groups.";
/// See [`ADDRESS_GROUPS`].
pub const PORT_GROUPS: &str = "vars.port-groups.";

/// How a name ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value is in its place.
    Set,
    /// The name is known, the value can't be used.
    Wrong(Wrong),
    /// There is no such name.
    Unknown,
}

/// Puts a value in the place that a name means.
pub fn set(config: &mut Config, name: &str, value: &Value, place: &Place) -> Outcome {
    let result = if let Some(key) = all().find(|key| key.name == name) {
        (key.set)(config, value)
    } else if let Some(group) = name.strip_prefix(ADDRESS_GROUPS) {
        value.group().map(|value| {
            config.vars.address_groups.insert(group.to_owned(), (value, place.clone()));
        })
    } else if let Some(group) = name.strip_prefix(PORT_GROUPS) {
        value.group().map(|value| {
            config.vars.port_groups.insert(group.to_owned(), (value, place.clone()));
        })
    } else if let Some((set, key)) = rule_set_key(name) {
        let is_new = !config.rules.sets.contains_key(set);
        if is_new && config.rules.sets.len() >= MAX_RULE_SETS {
            Err(format!("at most {MAX_RULE_SETS} rule sets can be told apart"))
        } else if !api::documents::is_subdomain(set) || set == "default" {
            Err(format!(
                "a rule set's name is made of a-z, 0-9, - and ., and is not `default`; found {set:?}"
            ))
        } else {
            (key.set)(config.rules.sets.entry(set.to_owned()).or_default(), value)
        }
    } else if let Some((index, key)) = port_key(name) {
        // A port more than there are is a new one.
        if index > config.ports.len() || index >= 64 {
            Err(format!(
                "there are {} ports; the next is ports.{}",
                config.ports.len(),
                config.ports.len()
            ))
        } else {
            if index == config.ports.len() {
                config.ports.push(PortConfig::default());
            }
            match config.ports.get_mut(index) {
                Some(port) => (key.set)(port, value),
                None => Ok(()),
            }
        }
    } else {
        return Outcome::Unknown;
    };
    result.map_or_else(Outcome::Wrong, |()| Outcome::Set)
}

/// `ports.0.device`
fn port_key(name: &str) -> Option<(usize, &'static Key<PortConfig>)> {
    let (index, name) = name.strip_prefix("ports.")?.split_once('.')?;
    let key = PORT_KEYS.iter().find(|key| key.name == name)?;
    Some((index.parse().ok()?, key))
}

/// `rules.sets.NAME.paths`; the name may hold dots.
fn rule_set_key(name: &str) -> Option<(&str, &'static Key<RuleSetConfig>)> {
    let (set, name) = name.strip_prefix(RULE_SETS)?.rsplit_once('.')?;
    let key = RULE_SET_KEYS.iter().find(|key| key.name == name)?;
    (!set.is_empty()).then_some((set, key))
}

/// Is there a setting below this name?
pub fn is_section(name: &str) -> bool {
    if name == RULE_SETS.trim_end_matches('.')
        || name.starts_with(RULE_SETS) && rule_set_key(name).is_none()
    {
        return true;
    }
    let below = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    all().any(|key| below(key.name)) || below(ADDRESS_GROUPS) || below(PORT_GROUPS)
}

/// All names, for suggestions; those of ports with the index that `name` has.
pub fn names(name: &str) -> Vec<String> {
    let index = name.split('.').nth(1).filter(|part| part.parse::<usize>().is_ok()).unwrap_or("0");
    let ports = PORT_KEYS.iter().map(|key| format!("ports.{index}.{}", key.name));
    all().map(|key| key.name.to_owned()).chain(ports).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &str, text: &str) -> Outcome {
        let place = Place::CommandLine(String::new());
        set(&mut Config::default(), name, &Value::Text(text.to_owned()), &place)
    }

    #[test]
    fn every_default_that_the_table_states_is_the_default() {
        let before = format!("{:?}", Config::default());
        for key in all() {
            let Some((_, stated)) = key.about.rsplit_once("default: ") else { continue };
            let list = stated.trim_start_matches('[').trim_end_matches(']');
            let mut config = Config::default();
            let value = Value::Text(list.to_owned());
            // Defaults in words (the host's name) are no values of typed keys.
            let in_words =
                stated.contains(' ') && !stated.starts_with('[') || stated.starts_with('$');
            if in_words || matches!(stated, "the command's" | "none") {
                continue;
            }
            assert_eq!((key.set)(&mut config, &value), Ok(()), "{}", key.name);
            let after = format!("{config:?}");
            if matches!(key.name, "rules.threads") {
                continue;
            }
            assert_eq!(after, before, "{}", key.name);
        }
    }

    #[test]
    fn names_are_unique_and_no_name_is_a_section() {
        for (at, key) in all().enumerate() {
            assert!(!all().take(at).any(|other| other.name == key.name), "{}", key.name);
            assert!(!is_section(key.name), "{}", key.name);
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for (name, value) in [
            ("decoder.max-layers", "1"),
            ("detection.packet-alert-max", "256"),
            ("streams.policy", "plan9"),
            ("flows.max", "0"),
            ("rules.sets.Web.paths", "x"),
            ("metrics.listen", "9464"),
            ("kubernetes.lease-duration", "1s"),
            ("decoder.vxlan.ports", "70000"),
            ("ports.1.device", "eth0"),
            ("ports.0.queues", "0"),
        ] {
            assert!(matches!(typed(name, value), Outcome::Wrong(_)), "{name}");
        }
        assert_eq!(typed("flows.min", "1"), Outcome::Unknown);
        assert_eq!(typed("ports.0.device", "eth0"), Outcome::Set);
    }
}
