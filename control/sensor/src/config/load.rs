//! Puts a configuration together: defaults, Suricata's file, `pollux.toml`, `--set`, in this order.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use engine::settings::HostPolicy;

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
    /// The defaults are those of live traffic: connections that were there before the sensor are
    /// taken up.
    pub live: bool,
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
        loader.config.live = sources.live;
        loader.config.streams.midstream = sources.live;
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
            let value = suricata::value_in(file, &setting.name, setting.value);
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

    /// The policy of the widest network is everybody's; those of others are their hosts'.
    fn host_policies(&mut self) {
        let is_all = |address: &str| matches!(address, "0.0.0.0/0" | "::/0" | "default");
        for (system, addresses) in std::mem::take(&mut self.hosts) {
            let Some((streams, fragments)) = suricata::host_policies(&system) else { continue };
            let place = Place::CommandLine(format!("host-os-policy.{system}"));
            for address in addresses {
                if is_all(&address) {
                    for (name, policy) in
                        [("streams.policy", streams), ("defrag.policy", fragments)]
                    {
                        let value = Value::Text(policy.to_owned());
                        keys::set(&mut self.config, name, &value, &place);
                    }
                    continue;
                }
                let policies = keys::stream_policy(streams).zip(keys::fragment_policy(fragments));
                let network = policies.and_then(|(policy, fragments)| {
                    let (network, prefix) = network(&address)?;
                    Some(HostPolicy { network, prefix, policy, fragments })
                });
                match network {
                    Some(host) => self.config.host_policies.push(host),
                    None => {
                        let message = format!("`{address}` is no address or network");
                        self.errors.push(ConfigError::new(place.clone(), message));
                    }
                }
            }
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigErrors> {
        self.host_policies();
        if !self.errors.is_empty() {
            return Err(ConfigErrors(self.errors));
        }
        if !self.config.randomize_chunk_size {
            self.config.streams.chunk_range = 0;
        } else if self.config.live {
            // A replay shows the same each time.
            self.config.streams.chunk_seed = RandomState::new().hash_one(std::process::id());
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

/// An address, with or without a prefix length.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.trim().parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(width);
    (prefix <= width).then_some((address, prefix))
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let length = std::fs::metadata(file).map_err(|error| ConfigError::file(file, error))?.len();
    if length > MAX_FILE {
        return Err(ConfigError::file(file, "the file is too large for a configuration"));
    }
    std::fs::read_to_string(file).map_err(|error| ConfigError::file(file, error))
}
