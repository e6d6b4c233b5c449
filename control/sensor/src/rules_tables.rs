//! Tables that rules look things up in, out of the configured files: reputation and countries.

use std::path::PathBuf;
use std::sync::Arc;

use rules::signature::GeoDatabase;
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
