//! The pollux sensor as a library: what the commands of the binary are made of, so that tests
//! reach it.
#![forbid(unsafe_code)]

pub mod background;
pub mod bench;
mod builder;
pub mod bypass;
pub mod capture;
pub mod cli;
pub mod commands;
pub mod config;
pub mod cpu;
pub mod crd_command;
pub mod dataplane;
pub mod doctor;
pub mod exit;
pub mod feeder;
pub mod fleet;
pub mod health;
pub mod log;
pub mod output;
pub mod ports;
pub mod replay;
pub mod reports;
pub mod rules_check;
pub mod rules_explain;
pub mod rules_groups;
pub mod rules_keywords;
pub mod rules_source;
pub mod rules_tables;
pub mod run;
pub mod selector_command;
pub mod settings;
pub mod source;
pub mod state;
pub mod status;
pub mod top;

/// Workers allocate for flows, streams and transactions, and the writer frees what they sent: measured against the
/// C library's allocator in docs/performance.md.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;
