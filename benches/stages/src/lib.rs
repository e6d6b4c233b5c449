//! How fast the whole path is: the worker loop on a port fed from a capture, beside what bounds it
//! (a port that only receives, Hyperscan alone) and beside Suricata, on the same bytes and rules.
//!
//! All figures are CPU time, not wall time: a thread is charged for its own work only, however busy
//! the machine is. Feeder and worker take turns (see [`turns`]), so that neither is charged for
//! waiting for the other.
#![forbid(unsafe_code)]

pub mod attacks;
pub mod feed;
pub mod live;
pub mod load;
pub mod many_flows;
pub mod material;
pub mod memory;
pub mod peer;
pub mod port;
pub mod raw_scan;
pub mod report;
pub mod turns;
pub mod worker;

pub use pollux::cpu;
