//! Exit statuses: 0 done, 1 a failure at run time, 2 wrong usage or configuration.

use crate::config::ConfigErrors;
use crate::rules_source::RulesError;
use crate::source::DirectoryError;
use crate::state::StartError;

/// A failure at run time.
pub const FAILURE: u8 = 1;
/// Wrong usage or configuration.
pub const USAGE: u8 = 2;

/// Wrong usage that the command line's parser could not see, such as a file that is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit status that an error asks for.
pub fn status(error: &anyhow::Error) -> u8 {
    let is_usage = error.chain().any(|cause| {
        cause.is::<ConfigErrors>()
            || cause.is::<UsageError>()
            || cause.is::<DirectoryError>()
            || cause.downcast_ref::<RulesError>().is_some_and(RulesError::is_usage)
            || cause.downcast_ref::<StartError>().is_some_and(StartError::is_usage)
    });
    if is_usage { USAGE } else { FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigError, Place};
    use anyhow::Context as _;

    #[test]
    fn the_cause_decides_wherever_it_is_in_the_chain() {
        let place = Place::CommandLine("--set x".to_owned());
        let errors = ConfigErrors::from(ConfigError::new(place, "expected NAME=VALUE"));
        let wrapped = Err::<(), _>(errors).context("configuration").expect_err("an error");
        assert_eq!(status(&wrapped), USAGE);
        let mut config = crate::config::Config::default();
        config.rules.paths = vec!["/nowhere/x.rules".to_owned()];
        let start = crate::state::State::start(&config, false).map(drop).expect_err("an error");
        assert_eq!(status(&start.into()), USAGE);
        config.source.directory = Some("/nowhere/resources".into());
        let start = crate::state::State::start(&config, false).map(drop).expect_err("an error");
        assert_eq!(status(&start.into()), USAGE);
        assert_eq!(status(&anyhow::Error::new(UsageError("x".to_owned()))), USAGE);
        assert_eq!(status(&anyhow::anyhow!("disk full")), FAILURE);
    }
}
