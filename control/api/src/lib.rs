//! Header.
#![forbid(unsafe_code)]
