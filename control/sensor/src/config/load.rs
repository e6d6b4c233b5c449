//! Puts a configuration together: defaults, Suricata's file, `pollux.toml`, `--set`, in this order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, ConfigErrors, Place};
use super::keys::{self, Outcome};
use super::suricata::{self, Meaning};
use super::{Config, Value, suricata_yaml, toml_file};

/// Larger files are no configuration.
const MAX_FILE: u64 = 16 << 20;

/// What a configuration is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `pollux.toml`.
    pub file: Option<PathBuf>,
    /// A Suricata configuration.
    pub suricata_yaml: Option<PathBuf>,
    /// `NAME=VALUE`, in order.
    pub set: Vec<String>,
}

/// A configuration and what is to be said of it once there is a log.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Settings of Suricata's that were passed over, as one line, or nothing.
    pub passed_over: Option<String>,
    /// Other things to be said, each a line.
    pub notes: Vec<String>,
}

impl Config {
    /// Puts a configuration together.
    ///
    /// # Errors
    /// Everything that is wrong in it, each with file, line and column.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
        let mut loader = Loader::default();
        if let Some(file) = &sources.suricata_yaml {
            loader.suricata(file);
        }
        if let Some(file) = &sources.file {
            loader.toml(file);
        }
        for setting in &sources.set {
            loader.set(setting);
        }
        loader.finish()
    }
}

#[derive(Default)]
struct Loader {
    config: Config,
    errors: Vec<ConfigError>,
    /// Sections passed over, in order, each once.
    passed_over: Vec<String>,
    /// Operating systems and the addresses that they were given.
    hosts: BTreeMap<String, Vec<String>>,
    notes: Vec<String>,
}

impl Loader {
    fn suricata(&mut self, file: &Path) {
        // What Suricata does where its file says nothing, other than its own example file.
        self.config.streams.depth = 0;
        for setting in suricata_yaml::read(file, &mut self.errors) {
            let value = Value::Text(setting.value);
            let known = self.theirs(&setting.name, &value, &setting.place);
            if !known {
                self.pass_over(&setting.name);
            }
        }
    }

    fn toml(&mut self, file: &Path) {
        match read(file) {
            Ok(text) => toml_file::apply(&mut self.config, file, &text, &mut self.errors),
            Err(error) => self.errors.push(error),
        }
    }

    fn set(&mut self, setting: &str) {
        let place = Place::CommandLine(format!("--set {setting}"));
        let Some((name, value)) = setting.split_once('=') else {
            self.errors.push(ConfigError::new(place, "expected NAME=VALUE"));
            return;
        };
        let (name, value) = (name.trim(), Value::Text(value.trim().to_owned()));
        match keys::set(&mut self.config, name, &value, &place) {
            Outcome::Set => return,
            Outcome::Wrong(wrong) => {
                self.errors.push(ConfigError::new(place, format!("{name}: {wrong}")));
                return;
            }
            Outcome::Unknown => {}
        }
        if !self.theirs(name, &value, &place) {
            let near = suricata::nearest_of_all(name);
            let message = if keys::is_section(name) {
                format!("`{name}` is a section; name a setting in it{near}")
            } else {
                format!("unknown setting `{name}`{near}")
            };
            self.errors.push(ConfigError::new(place, message));
        }
    }

    /// Takes a setting by Suricata's name; false where Suricata has none of that name.
    fn theirs(&mut self, name: &str, value: &Value, place: &Place) -> bool {
        match suricata::meaning(name, value) {
            Meaning::Ours(ours, value) => {
                if let Outcome::Wrong(wrong) = keys::set(&mut self.config, &ours, &value, place) {
                    self.errors.push(ConfigError::new(place.clone(), format!("{name}: {wrong}")));
                }
                true
            }
            Meaning::HostPolicy(system) => {
                let addresses = value.texts().unwrap_or_default();
                self.hosts.entry(system).or_default().extend(addresses);
                true
            }
            Meaning::PassedOver => {
                self.pass_over(name);
                true
            }
            Meaning::AsItIs => true,
            Meaning::Unknown => false,
        }
    }

    fn pass_over(&mut self, name: &str) {
        let section = suricata::section_of(name);
        if !self.passed_over.contains(&section) {
            self.passed_over.push(section);
        }
    }

    /// One policy for all hosts is what there is: that of the widest network, if it holds all.
    fn host_policies(&mut self) {
        let is_all =
            |address: &String| matches!(address.as_str(), "0.0.0.0/0" | "::/0" | "default");
        let mut others = Vec::new();
        for (system, addresses) in &self.hosts {
            if addresses.iter().any(is_all) {
                let Some((streams, fragments)) = suricata::host_policies(system) else { continue };
                let place = Place::CommandLine(format!("host-os-policy.{system}"));
                for (name, policy) in [("streams.policy", streams), ("defrag.policy", fragments)] {
                    keys::set(&mut self.config, name, &Value::Text(policy.to_owned()), &place);
                }
            }
            if addresses.iter().any(|address| !is_all(address)) {
                others.push(system.as_str());
            }
        }
        if !others.is_empty() {
            self.notes.push(format!(
                "host-os-policy: only the policy of 0.0.0.0/0 is used; passed over: {}",
                others.join(", ")
            ));
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigErrors> {
        self.host_policies();
        if !self.errors.is_empty() {
            return Err(ConfigErrors(self.errors));
        }
        let passed_over = (!self.passed_over.is_empty()).then(|| {
            format!(
                "settings of Suricata's that have no effect here: {}",
                self.passed_over.join(", ")
            )
        });
        Ok(Loaded { config: self.config, passed_over, notes: self.notes })
    }
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let length = std::fs::metadata(file).map_err(|error| ConfigError::file(file, error))?.len();
    if length > MAX_FILE {
        return Err(ConfigError::file(file, "the file is too large for a configuration"));
    }
    std::fs::read_to_string(file).map_err(|error| ConfigError::file(file, error))
}
