//! What a build says of itself: [`Progress`] while it runs, [`BuildReport`] at its end,
//! [`BuildError`] if it fails.

use crate::signature::Origin;

/// How far a build has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Databases that are there.
    pub done: usize,
    /// Databases that are needed.
    pub total: usize,
}

/// Figures of a finished build.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// Wall-clock time of the build.
    pub seconds: f64,
    /// Bytes of all databases in memory.
    pub database_bytes: usize,
    /// Number of databases; prefilters with equal patterns share one.
    pub databases: usize,
    /// Patterns in all databases together.
    pub patterns: usize,
    /// How many of the databases came from the cache.
    pub cached: usize,
    /// The most memory that the process ever held, in bytes; 0 if the kernel doesn't tell.
    pub peak_rss_bytes: u64,
    /// Number of rule groups.
    pub groups: usize,
    /// How many of them stand for classes of ports of TCP or UDP in one direction.
    pub port_classes: usize,
    /// Most patterns in one database.
    pub largest_database: usize,
    /// Signatures by kind: IP-only, like IP-only, packet, stream, application protocol,
    /// transaction.
    pub kinds: [usize; 7],
    /// Signatures that are candidates without a fast pattern having been found.
    pub without_fast_pattern: usize,
    /// What went wrong without keeping the ruleset from being built, the cache's troubles mostly.
    pub warnings: Vec<String>,
}

/// Why a ruleset could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Signature numbers would not suffice.
    #[error("{0} signatures are too many for one ruleset")]
    TooMany(usize),
    /// Hyperscan refused a rule's fast pattern.
    #[error("{}:{}: sid {sid}: the fast pattern does not compile: {message}", origin.file, origin.line)]
    Pattern {
        /// Where the rule stands.
        origin: Origin,
        /// Its signature id.
        sid: u32,
        /// What Hyperscan says.
        message: String,
    },
    /// Hyperscan failed for another reason than a single pattern, such as too little memory.
    #[error("compiling {patterns} patterns: {message}")]
    Database {
        /// Number of patterns in the database.
        patterns: usize,
        /// What Hyperscan says.
        message: String,
    },
    /// A thread of the build panicked or a result is missing: a defect of this crate.
    #[error("the build broke off: {0}")]
    Internal(&'static str),
}

/// The process's peak resident memory in bytes, as the kernel counts it.
pub(crate) fn peak_rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map_or(0, |kibibytes| kibibytes * 1024)
}
