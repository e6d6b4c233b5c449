//! What the configured files beside the rules say: reputation, countries, thresholds.

use std::path::PathBuf;
use std::sync::Arc;

use rules::parse::{ThresholdFile, Variables};
use rules::signature::{GeoDatabase, Signature};
use rules::state::Reputation;

use crate::config::Config;

/// Lines of a file that the log names; the rest are counted.
const LOGGED: usize = 10;

/// What `iprep` looks up. A file that cannot be read is a warning, and rules with `iprep` don't load.
pub(crate) fn reputation(config: &Config, warnings: &mut Vec<String>) -> Option<Arc<Reputation>> {
    let rules = &config.rules;
    let categories = rules.reputation_categories.as_ref()?;
    let directory = rules.reputation_directory.clone().unwrap_or_default();
    let files: Vec<PathBuf> =
        rules.reputation_files.iter().map(|file| directory.join(file)).collect();
    match Reputation::read(categories, &files) {
        Ok((reputation, faults)) => {
            warnings.extend(faults.iter().take(LOGGED).cloned());
            if faults.len() > LOGGED {
                let more = faults.len() - LOGGED;
                warnings.push(format!("… and {more} more lines of reputation that say nothing"));
            }
            Some(Arc::new(reputation))
        }
        Err(error) => {
            warnings.push(format!("{error}; rules with iprep do not load"));
            None
        }
    }
}

/// Gives rules what the threshold file says of them. What is wrong in it is a warning each.
pub(crate) fn thresholds(
    config: &Config,
    variables: &Variables,
    signatures: &mut [Signature],
    warnings: &mut Vec<String>,
) {
    let Some(path) = &config.rules.threshold_file else { return };
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            warnings.push(format!("{}: {error}; no alert is held back by it", path.display()));
            return;
        }
    };
    let (file, mut faults) = ThresholdFile::parse(&text, variables);
    faults.extend(file.apply(signatures));
    for (line, fault) in faults.iter().take(LOGGED) {
        warnings.push(format!("{}:{line}: {fault}", path.display()));
    }
    if faults.len() > LOGGED {
        let more = faults.len() - LOGGED;
        warnings.push(format!("{}: {more} more lines are passed over", path.display()));
    }
}

/// What `geoip` looks up, as [`reputation`].
pub(crate) fn countries(config: &Config, warnings: &mut Vec<String>) -> Option<GeoDatabase> {
    let file = config.rules.geoip_database.as_ref()?;
    match maxminddb::Reader::open_readfile(file) {
        Ok(reader) => Some(GeoDatabase(Arc::new(reader))),
        Err(error) => {
            warnings.push(format!("{}: {error}; rules with geoip do not load", file.display()));
            None
        }
    }
}
