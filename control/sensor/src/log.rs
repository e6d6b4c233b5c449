//! The log: lines on standard error, coloured on a terminal.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::cli::ConfigArgs;
use crate::config::{Loaded, LogLevel};

/// Begins logging. `-q` and `-v` count over the configured level, `POLLUX_LOG` (a filter of
/// tracing-subscriber, such as `debug` or `pollux=debug,rules=trace`) over both. Of several calls
/// in a process the first counts.
pub fn init(level: LogLevel, args: &ConfigArgs) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => LogLevel::Error,
        (false, 0) => level,
        (false, 1) => level.max(LogLevel::Debug),
        (false, _) => LogLevel::Trace,
    };
    let name = LogLevel::NAMES.iter().find(|(_, known)| *known == level).map_or("info", |l| l.0);
    // What the client of the API server meets, whoever uses it tells with what it means.
    let quiet = if level < LogLevel::Debug { ",kube_client=off,kube_runtime=off" } else { "" };
    let filter = EnvFilter::try_from_env("POLLUX_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{name}{quiet}")));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
}

/// Begins logging as a configuration says, and logs what is to be said of that.
pub fn begin(loaded: &Loaded, args: &ConfigArgs) {
    init(loaded.config.sensor.log_level, args);
    for note in loaded.passed_over.iter().chain(&loaded.notes) {
        tracing::info!("{note}");
    }
}
