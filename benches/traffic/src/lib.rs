//! Traffic for tests and benches: pods that talk HTTP, DNS and TLS in captures made from a seed,
//! with attacks planted and a [`Manifest`] that says which; and [`rules`] in numbers.
//!
//! ```text
//! payload (http, dns, tls) ─→ TcpSession / udp ─→ frame (headers, checksums, envelope) ─→ Sink
//!                                       Track (in memory, for the example) ┤
//!                                       Clocked (streamed, of any length)  ┘─→ PcapWriter
//! ```
//! Headers are written here apart from those that `wire` reads, so that each checks the other.
//! A capture depends on its parameters and its seed alone: no clock, no hash order.
#![forbid(unsafe_code)]

pub mod bulk;
mod checksum;
pub mod example;
pub mod flows;
pub mod frame;
pub mod path;
pub mod payload;
pub mod pcap;
mod random;
pub mod rules;
mod sink;
mod tcp;

pub use bulk::Bulk;
pub use example::{Example, Expected, Manifest};
pub use path::{Envelope, Path, Side};
pub use pcap::PcapWriter;
pub use random::Random;
pub use sink::{Clocked, Packet, Sink, Track};
pub use tcp::{Delivery, Order, TcpSession};

/// When the captures begin: 2026-01-01 00:00:00 UTC, in microseconds since the Unix epoch.
pub const START: u64 = 1_767_225_600_000_000;
