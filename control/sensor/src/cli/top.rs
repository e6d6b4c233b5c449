//! `pollux top`: its flags, and where a running sensor's socket is.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{ConfigArgs, DEFAULT_FILE};
use crate::config::{Config, ConfigError, ConfigErrors, Loaded, Place};

/// `pollux top`
#[derive(Debug, Clone, Default, Args)]
pub struct TopArgs {
    /// Configuration, for where the socket is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The sensor's local socket; by default the configuration's (metrics.socket).
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print one sample as a line of JSON, and nothing else.
    #[arg(long)]
    pub json: bool,
}

impl TopArgs {
    /// The configuration, the usual one if none is named.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let default = PathBuf::from(DEFAULT_FILE);
        Config::load(&self.config.sources(default.exists().then_some(default)))
    }
}

/// Where the socket of the running sensor is.
///
/// # Errors
/// It has none.
pub fn socket(config: &Config, named: Option<&Path>) -> Result<PathBuf, ConfigErrors> {
    let path = named.or(config.metrics.socket.path());
    path.map(Path::to_owned).ok_or_else(|| {
        let place = Place::CommandLine("metrics.socket".to_owned());
        ConfigError::new(place, "is off: the sensor has no socket that could be asked").into()
    })
}
