//! x
mod common;
