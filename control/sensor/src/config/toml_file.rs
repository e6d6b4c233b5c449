//! Reads `pollux.toml`: every key with its place, so that each is checked and told of by itself.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, suggestion};
use super::keys::{self, Outcome};
use super::{Config, Value};

/// Puts all settings of a file's text in their places; what is wrong is added to `errors`.
pub(super) fn apply(config: &mut Config, file: &Path, text: &str, errors: &mut Vec<ConfigError>) {
    let (table, faults) = DeTable::parse_recoverable(text);
    for fault in &faults {
        let place = Place::at(file, text, fault.span().map_or(0, |span| span.start));
        errors.push(ConfigError::new(place, fault.message().trim().to_owned()));
    }
    // What a broken file seems to say is not to be judged as well.
    if !faults.is_empty() {
        return;
    }
    let mut walk = Walk { config, file, text, errors };
    walk.table("", table.get_ref());
}

struct Walk<'a> {
    config: &'a mut Config,
    file: &'a Path,
    text: &'a str,
    errors: &'a mut Vec<ConfigError>,
}

impl Walk<'_> {
    /// Goes through a table's keys in the order of the file. Depth is bounded by the parser.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = match prefix {
                "" => key.get_ref().to_string(),
                prefix => format!("{prefix}.{}", key.get_ref()),
            };
            let at = key.span().start;
            match value.get_ref() {
                DeValue::Array(tables) if name == "ports" => self.ports(at, tables),
                DeValue::Table(_) if name == "ports" => {
                    self.error(at, "each port begins with [[ports]], in double brackets");
                }
                DeValue::Table(inner) if keys::is_section(&name) => self.table(&name, inner),
                DeValue::Table(inner) => {
                    let sections = sections();
                    let near = suggestion(&name, sections.iter().map(String::as_str));
                    let known = keys::all().any(|key| key.name == name);
                    match inner.is_empty() || !known {
                        true => self.error(at, format!("unknown section `{name}`{near}")),
                        false => self.error(at, format!("`{name}` takes one value, not a section")),
                    }
                }
                _ if keys::is_section(&name) => {
                    self.error(at, format!("`{name}` is a section: [{name}]"));
                }
                other => self.set(&name, at, value.span().start, other),
            }
        }
    }

    fn ports(&mut self, at: usize, tables: &[Spanned<DeValue<'_>>]) {
        for (index, port) in tables.iter().enumerate() {
            let start = if port.span().is_empty() { at } else { port.span().start };
            let DeValue::Table(table) = port.get_ref() else {
                self.error(start, "each port begins with [[ports]] and has keys of its own");
                continue;
            };
            let has_device = table.iter().any(|(key, _)| key.get_ref() == "device");
            if !has_device {
                self.error(start, "a port needs a `device`, such as device = \"eth1\"");
                continue;
            }
            self.table(&format!("ports.{index}"), table);
            if let Some(port) = self.config.ports.get(index)
                && let super::Cores::List(cores) = &port.cores
                && let Some(queues) = port.queues
                && cores.len() < usize::from(queues)
            {
                let cores = cores.len();
                self.error(start, format!("{cores} cores are given for {queues} queues"));
            }
        }
    }

    fn set(&mut self, name: &str, key_at: usize, value_at: usize, value: &DeValue<'_>) {
        let place = Place::at(self.file, self.text, value_at);
        match keys::set(self.config, name, &convert(value), &place) {
            Outcome::Set => {}
            Outcome::Wrong(wrong) => self.error(value_at, format!("{name}: {wrong}")),
            Outcome::Unknown => {
                let names = keys::names(name);
                let near = suggestion(name, names.iter().map(String::as_str));
                self.error(key_at, format!("unknown key `{name}`{near}"));
            }
        }
    }

    fn error(&mut self, offset: usize, message: impl Into<String>) {
        self.errors.push(ConfigError::new(Place::at(self.file, self.text, offset), message));
    }
}

/// All sections that there are.
fn sections() -> Vec<String> {
    let mut sections = vec!["vars".to_owned(), "ports".to_owned()];
    for name in [keys::ADDRESS_GROUPS, keys::PORT_GROUPS] {
        sections.push(name.trim_end_matches('.').to_owned());
    }
    for key in keys::all() {
        for (at, _) in key.name.match_indices('.') {
            sections.extend(key.name.get(..at).map(str::to_owned));
        }
    }
    sections.sort();
    sections.dedup();
    sections
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number that is too large"), Value::Integer),
        DeValue::Float(number) => {
            number.as_str().parse().map_or(Value::Other("a number"), Value::Float)
        }
        // The parser bounds the depth.
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| convert(item.get_ref())).collect())
        }
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Checksums, Cores};

    fn read(text: &str) -> Result<Config, Vec<String>> {
        let mut config = Config::default();
        let mut errors = Vec::new();
        apply(&mut config, Path::new("pollux.toml"), text, &mut errors);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(errors.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn a_file_is_read() {
        let config = read(
            r#"
            [sensor]
            node = "worker-1"
            grace = "500ms"
            [[ports]]
            device = "eth1"
            queues = 2
            cores = [2, 3]
            [[ports]]
            device = "net_af_packet0,iface=veth0"
            [rules]
            paths = ["/etc/pollux/rules", "extra/*.rules"]
            [vars.address-groups]
            HOME_NET = ["10.0.0.0/8", "!10.1.0.0/16"]
            [vars.port-groups]
            HTTP_PORTS = 8080
            [decoder]
            checksum-checks = "no"
            vxlan.ports = [4789]
            [streams]
            midstream = true
            reassembly = { depth = "2mb", memcap = 1048576 }
            "#,
        )
        .expect("a valid file");
        assert_eq!(config.sensor.node_name(), "worker-1");
        assert_eq!(config.sensor.grace.as_millis(), 500);
        assert_eq!(config.ports.len(), 2);
        assert_eq!(config.ports[0].cores, Cores::List(vec![2, 3]));
        assert_eq!(config.ports[1].queues, None);
        assert_eq!(config.rules.paths.len(), 2);
        let home = &config.vars.address_groups["HOME_NET"];
        assert_eq!(
            (home.0.as_str(), home.1.to_string()),
            ("[10.0.0.0/8,!10.1.0.0/16]", "pollux.toml:14:24".to_owned())
        );
        assert_eq!(config.vars.port_groups["HTTP_PORTS"].0, "8080");
        assert_eq!(config.checksums, Checksums::No);
        assert_eq!(config.decoder.vxlan_ports, [4789]);
        assert!(config.streams.midstream);
        assert_eq!((config.streams.depth, config.streams.memcap), (2 << 20, 1 << 20));
    }

    #[test]
    fn each_error_names_its_line_and_the_nearest_name() {
        let errors = read(
            "[sensor]\nnod = \"x\"\n[streams]\nmidstraem = true\nmidstream = \"yes\"\n\
             reassembly.depth = -1\n[stream]\nx = 1\n[flows]\nvlan = true\n\
             [[ports]]\nqueues = 1\n[decoder]\nmax-layers = 1979-05-27\n",
        )
        .expect_err("errors");
        assert_eq!(
            errors,
            [
                "pollux.toml:2:1: unknown key `sensor.nod`; did you mean `sensor.node`?",
                "pollux.toml:4:1: unknown key `streams.midstraem`; did you mean `streams.midstream`?",
                "pollux.toml:5:13: streams.midstream: expected true or false, found \"yes\"",
                "pollux.toml:6:20: streams.reassembly.depth: expected a size such as \"8kb\" or \
             \"1mb\", or a number of bytes, found -1",
                "pollux.toml:7:2: unknown section `stream`; did you mean `streams`?",
                "pollux.toml:10:1: `flows.vlan` is a section: [flows.vlan]",
                "pollux.toml:11:1: a port needs a `device`, such as device = \"eth1\"",
                "pollux.toml:14:14: decoder.max-layers: expected an integer from 2 to 64, found a date",
            ]
        );
    }

    #[test]
    fn broken_syntax_is_told_with_its_place() {
        let errors = read("[sensor]\nnode = \n").expect_err("an error");
        assert!(errors[0].starts_with("pollux.toml:2:"), "{errors:?}");
        let deep = format!("x = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&deep).is_err());
    }

    #[test]
    fn cores_must_fit_the_queues() {
        let ports = "[[ports]]\ndevice = \"a\"\nqueues = 3\ncores = [1, 2]\n";
        let errors = read(ports).expect_err("an error");
        assert_eq!(errors.len(), 1);
        assert!(errors[0].ends_with("2 cores are given for 3 queues"), "{errors:?}");
        let more = read("[[ports]]\ndevice = \"a\"\nqueues = 1\ncores = 2\n").expect("helpers");
        assert_eq!(more.ports[0].cores, Cores::Count(2));
    }
}
