//! The sensor.
#![forbid(unsafe_code)]
fn main() {}
