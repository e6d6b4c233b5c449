//! The pipeline of one burst: scope, flows, reassembly, application protocols, detection, alerts
//! and the ledger; the worker loop that runs it on a DPDK queue; snapshots and how cores take them.
//!
//! A core owns what it touches: nothing on a packet's path is shared and written. What cores read is
//! in a [`snapshot::Snapshot`], which the control side builds and each core takes from its
//! [`mailbox`] between two bursts. What cores say goes through rings: alerts to the control side,
//! packets that belong to another core to that core.
#![forbid(unsafe_code)]

mod ahead;
pub mod alert;
pub mod bypass;
mod carriers;
pub mod collect;
pub mod counters;
pub mod crew;
mod duplicates;
pub mod emit;
mod flow_account;
mod flow_state;
mod flow_work;
pub mod handover;
pub mod inspect;
pub mod lost;
pub mod mailbox;
pub mod mirror;
pub mod opaque;
pub mod part;
pub mod pcap;
pub mod pipeline;
pub mod pressure;
pub mod profile;
mod reorder;
pub mod scope;
pub mod settings;
pub mod shed;
pub mod snapshot;
pub mod spread;
pub mod tally;
#[cfg(test)]
mod testing;
pub mod threshold;
mod tunnels;
pub mod worker;

pub use crew::{Crew, CrewConfig, CrewError, Seat};
pub use duplicates::DuplicateMode;
pub use flow_state::FlowState;
pub use pcap::PcapConfig;
pub use settings::Settings;
pub use shed::Overload;
pub use snapshot::Snapshot;
