//! The pollux sensor as a library: what the commands of the binary are made of, so that tests
//! reach it.
#![forbid(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod exit;
pub mod log;
pub mod output;
pub mod rules_check;
pub mod rules_source;
pub mod selector_command;
pub mod settings;
pub mod source;
pub mod state;
