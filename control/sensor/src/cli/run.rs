//! `pollux run`: its flags.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArgs, PlaceArgs};
use crate::config::{Config, ConfigError, ConfigErrors, Loaded, Place, Sources};

/// `pollux run`
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Rules and directories.
    #[command(flatten)]
    pub places: PlaceArgs,
}

/// The configuration that `run` reads if it is there and no other is named.
pub const DEFAULT_FILE: &str = "/etc/pollux/pollux.toml";

impl RunArgs {
    /// The configuration with what the flags say over it.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn load(&self) -> Result<Loaded, ConfigErrors> {
        let default = PathBuf::from(DEFAULT_FILE);
        let sources = self.config.sources(default.exists().then_some(default));
        let mut loaded = Config::load(&Sources { live: true, ..sources })?;
        self.places.apply(&mut loaded.config);
        if loaded.config.ports.is_empty() {
            let place = match &self.config.file {
                Some(file) => Place::WholeFile(file.display().to_string()),
                None => Place::CommandLine("pollux run".to_owned()),
            };
            let message = "no port is configured; add [[ports]] with device = \"INTERFACE\", or \
                           --set ports.0.device=INTERFACE";
            return Err(ConfigError::new(place, message).into());
        }
        let source = &loaded.config.source;
        if source.kubernetes && source.directory.is_some() {
            let place = Place::CommandLine("pollux run".to_owned());
            let message = "resources come from a cluster (source.kubernetes) or from a directory \
                           (source.directory, --resources), not from both";
            return Err(ConfigError::new(place, message).into());
        }
        Ok(loaded)
    }
}
