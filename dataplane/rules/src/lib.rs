//! The Suricata rule language: parse, signatures, groups and fast patterns, the compiled ruleset
//! and its disk cache.
#![forbid(unsafe_code)]

pub mod parse;
pub mod ruleset;
pub mod signature;
pub mod state;
