//! Kinds of values that several settings take, and their names.

use std::path::PathBuf;

use crate::config::value::Wrong;
use crate::config::{LogLevel, Value};

/// Sizes and numbers without a bound of their own.
pub(super) const ANY: std::ops::RangeInclusive<u64> = 0..=(1 << 48);

/// The overlap policy of this name.
pub fn stream_policy(name: &str) -> Option<flow::Policy> {
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
}

/// A policy for fragments by its name.
pub fn fragment_policy(name: &str) -> Option<flow::FragmentPolicy> {
    FRAGMENT_POLICIES.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
}

/// Overlap policies by name.
pub(super) const POLICIES: &[(&str, flow::Policy)] = &[
    ("bsd", flow::Policy::Bsd),
    ("windows", flow::Policy::Windows),
    ("linux", flow::Policy::Linux),
    ("old-linux", flow::Policy::OldLinux),
    ("solaris", flow::Policy::Solaris),
    ("first", flow::Policy::First),
    ("last", flow::Policy::Last),
];

/// Policies for fragments by name.
pub(super) const FRAGMENT_POLICIES: &[(&str, flow::FragmentPolicy)] = &[
    ("bsd", flow::FragmentPolicy::Bsd),
    ("bsd-right", flow::FragmentPolicy::BsdRight),
    ("linux", flow::FragmentPolicy::Linux),
    ("windows", flow::FragmentPolicy::Windows),
    ("solaris", flow::FragmentPolicy::Solaris),
    ("first", flow::FragmentPolicy::First),
    ("last", flow::FragmentPolicy::Last),
];

impl LogLevel {
    /// Levels by name.
    pub const NAMES: &'static [(&'static str, LogLevel)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
}

pub(super) fn is_auto(value: &Value) -> bool {
    matches!(value, Value::Text(text) | Value::String(text) if text.trim() == "auto")
}

/// `auto`, or a value.
pub(super) fn auto_or<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, Wrong>,
) -> Result<Option<T>, Wrong> {
    if is_auto(value) { Ok(None) } else { read(value).map(Some) }
}

pub(super) fn path(value: &Value) -> Result<PathBuf, Wrong> {
    value.text().map(PathBuf::from)
}

pub(super) fn seconds(value: &Value) -> Result<u32, Wrong> {
    value.number(0..=86_400)
}

pub(super) fn chunk(value: &Value) -> Result<u32, Wrong> {
    bytes(value, 1..=1 << 20)
        .and_then(|bytes| u32::try_from(bytes).map_err(|_| "expected a smaller size".to_owned()))
}

pub(super) fn bytes(value: &Value, range: std::ops::RangeInclusive<u64>) -> Result<usize, Wrong> {
    let bytes = value.size(range)?;
    usize::try_from(bytes).map_err(|_| "expected a smaller size".to_owned())
}
