//! Rules, what they need, and rule sets.

use std::path::PathBuf;

use super::Key;
use super::value::path;
use crate::config::{CacheSetting, RuleSetConfig, Value};

pub(super) const KEYS: &[Key] = keys! {
    "rules.paths", "rule files, directories and glob patterns",
        |c, v| { c.rules.paths = v.texts()?; Ok(()) };
    "rules.cache", "directory of compiled rules, \"auto\" or \"off\"; default: auto",
        |c, v| {
            c.rules.cache = match v {
                Value::Boolean(false) => CacheSetting::Off,
                _ => match v.text()? {
                    "auto" => CacheSetting::Auto,
                    "off" | "no" | "none" => CacheSetting::Off,
                    directory => CacheSetting::Directory(PathBuf::from(directory)),
                },
            };
            Ok(())
        };
    "rules.classification", "classification file; default: classification.config beside the rules",
        |c, v| { c.rules.classification = Some(path(v)?); Ok(()) };
    "rules.references", "file of types of references; default: reference.config beside the rules",
        |c, v| { c.rules.references = Some(path(v)?); Ok(()) };
    "rules.reputation.categories", "file of categories of reputation; default: none, rules with iprep are refused",
        |c, v| { c.rules.reputation_categories = Some(path(v)?); Ok(()) };
    "rules.reputation.directory", "where files of reputation are looked for; default: the working directory",
        |c, v| { c.rules.reputation_directory = Some(path(v)?); Ok(()) };
    "rules.reputation.files", "files of reputation, for iprep",
        |c, v| { c.rules.reputation_files.extend(v.texts()?); Ok(()) };
    "rules.threshold-file", "file of suppressions, thresholds and rate filters; default: none, rules have their own thresholds",
        |c, v| { c.rules.threshold_file = Some(path(v)?); Ok(()) };
    "rules.geoip-database", "MaxMind database of countries; default: none, rules with geoip are refused",
        |c, v| { c.rules.geoip_database = Some(path(v)?); Ok(()) };
    "rules.data-directory", "the one directory in which rules may have data sets saved; default: none, such rules are refused",
        |c, v| { c.rules.data_directory = Some(path(v)?); Ok(()) };
    "rules.threads", "threads that compile rules; default: one for each core",
        |c, v| { c.rules.threads = Some(v.number(1..=1024)?); Ok(()) };
};

/// The settings of each `[rules.sets.NAME]`.
pub const RULE_SET_KEYS: &[Key<RuleSetConfig>] = keys! {
    "paths", "rule files, directories and glob patterns",
        |s, v| { s.paths = v.texts()?; Ok(()) };
    "config-maps", "ConfigMaps in the sensor's namespace, each of their keys a file of rules",
        |s, v| { s.config_maps = v.texts()?; Ok(()) };
};
