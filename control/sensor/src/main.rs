//! The binary: hands the command line to the library, and turns errors into exit statuses.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use pollux::cli::Cli;

fn main() -> ExitCode {
    pollux::commands::dispatch(Cli::parse())
}
