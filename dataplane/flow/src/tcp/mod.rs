//! TCP connections: their states, what belongs to their streams, and the streams.

mod block;
mod checks;
mod close;
mod config;
mod connected;
mod events;
mod half;
mod handshake;
mod memory;
mod offer;
mod order;
mod outcome;
mod policy;
mod seen;
mod seq;
mod session;
#[cfg(test)]
mod session_tests;
mod state;
mod stream;
#[cfg(test)]
mod stream_tests;
mod urgent;

pub use block::SLACK;
pub use config::StreamConfig;
pub use memory::Memory;
pub use offer::{Chunk, RawWindow};
pub use order::Missing;
pub use outcome::TcpOutcome;
pub use policy::Policy;
pub use session::{Segment, TcpSession};
pub use state::TcpState;
pub use urgent::UrgentPolicy;
