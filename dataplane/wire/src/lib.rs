//! Bytes to headers: what a captured frame is made of, down to the inner-most transport payload,
//! and the flow that it belongs to. Nothing here allocates, and nothing here trusts its input.
//!
//! [`decode`] goes through link layer, VLAN and MPLS tags, IP and tunnels in one loop (never by
//! recursion) and leaves a [`Decoded`]: offsets into the bytes, no borrow, so that a burst of them
//! can sit in an array. A datagram that was put together from fragments goes through
//! [`decode_datagram`]. What is refused is refused with a [`Reject`], whose kinds are names of the
//! drop ledger.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "testing"))]
pub mod builder;
mod bytes;
mod checksum;
mod config;
mod decode;
mod decoded;
mod direction;
mod event;
mod glance;
mod icmp_events;
mod ip;
mod ip_options;
mod ipv6_ext;
mod key;
mod link;
mod opaque;
mod reject;
mod transport;
mod tunnel;

pub use checksum::{checksum_ok, mark_transport_checksum};
pub use config::Config;
pub use decode::{decode, decode_cut_into, decode_datagram, decode_datagram_into, decode_into};
pub use decoded::{Decoded, Fragment, IpLayer, MAX_IP_LAYERS, MAX_VLANS, Span, flag, ip_option};
pub use direction::Direction;
pub use event::{Event, EventSet};
pub use glance::{Asked, AskedOfEach, FRONT, Glance, Told};
pub use key::{FlowKey, KeyOrder, address_bits};
pub use link::LinkType;
pub use opaque::{OpaqueKind, opaque};
pub use reject::{MalformedKind, Reject};
pub use transport::{Icmp, Sctp, Tcp, TcpOptions, Transport, Udp, tcp_flag};
pub use tunnel::{TunnelId, TunnelKind};

/// A time in nanoseconds since the Unix epoch, as it comes with the packet.
pub type Nanos = u64;
