//! What the configured files beside the rules say: classes, types of references, reputation, countries,
//! thresholds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rules::parse::{Classifications, ReferenceTypes, ThresholdFile, Variables};
use rules::signature::{GeoDatabase, Signature};
use rules::state::Reputation;

use crate::config::Config;

/// Lines of a file that the log names; the rest are counted.
const LOGGED: usize = 10;

/// The configured classes, else those of a `classification.config` beside the rules, else
/// Suricata's well-known ones.
pub(crate) fn classes(config: &Config, warnings: &mut Vec<String>) -> Classifications {
    let set = config.rules.classification.as_deref();
    let place = (set, "classification.config", "classes");
    table(config, place, Classifications::parse, warnings)
}

/// The configured types of references, else those of a `reference.config` beside the rules, else
/// Suricata's well-known ones.
pub(crate) fn references(config: &Config, warnings: &mut Vec<String>) -> ReferenceTypes {
    let place = (config.rules.references.as_deref(), "reference.config", "types of references");
    table(config, place, ReferenceTypes::parse, warnings)
}

/// What the configured file, or the one of this name beside the rules, holds.
fn table<T: Default>(
    config: &Config,
    (set, name, what): (Option<&Path>, &str, &str),
    parse: impl Fn(&str) -> (T, Vec<(u32, String)>),
    warnings: &mut Vec<String>,
) -> T {
    let beside = || {
        config.rules.paths.iter().map(Path::new).find_map(|path| {
            let directory = if path.is_dir() { path } else { path.parent()? };
            let file = directory.join(name);
            file.is_file().then_some(file)
        })
    };
    let Some(file) = set.map(Path::to_owned).or_else(beside) else { return T::default() };
    let text = match std::fs::read(&file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let file = file.display();
            warnings.push(format!("{file}: {error}; Suricata's well-known {what} are used"));
            return T::default();
        }
    };
    let (table, faults) = parse(&text);
    tell(&file, &faults, warnings);
    table
}

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
    tell(path, &faults, warnings);
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

/// Warns of lines of a file that say nothing.
fn tell(file: &Path, faults: &[(u32, String)], warnings: &mut Vec<String>) {
    let file = file.display();
    for (line, fault) in faults.iter().take(LOGGED) {
        warnings.push(format!("{file}:{line}: {fault}"));
    }
    if faults.len() > LOGGED {
        warnings.push(format!("{file}: {} more lines are passed over", faults.len() - LOGGED));
    }
}
