//! The live sensor over a `net_ring` port that the test feeds: what it does under pressure, what it makes
//! of what mirrors do to traffic, and floods beside which attacks must be found.

#[path = "../common/mod.rs"]
mod common;
mod floods;
mod mirror;
mod overload;
mod sensor;
mod site;
mod storms;
