//! Flows: the per-core table with its timers, TCP connections and their reassembled streams, and
//! the defragmentation of IP.
//!
//! All of it takes bytes and the time that comes with a packet; nothing reads a clock. A core owns
//! its [`FlowTable`], its [`Memory`] for buffered TCP payload and its [`Defragmenter`]; nothing is
//! shared. What a connection's packets mean follows Suricata's stream engine as a passive sensor
//! ("IDS mode"): data counts once the other side has acknowledged it.
#![forbid(unsafe_code)]

mod config;
pub mod defrag;
mod flow;
mod table;
#[cfg(test)]
mod table_tests;
pub mod tcp;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wheel;

pub use config::{FlowConfig, ProtocolTimeouts, Timeouts};
pub use defrag::{
    DefragConfig, DefragOutcome, DefragStats, Defragmenter, FragmentPolicy, OpenFates,
};
pub use flow::{Flow, FlowState};
pub use table::{FlowId, FlowTable, Hint, Lookup, Swept};
pub use tcp::{
    Chunk, Memory, Missing, Policy, RawWindow, Segment, StreamConfig, TcpOutcome, TcpSession,
    TcpState, UrgentPolicy,
};
pub use wheel::Wheel;
