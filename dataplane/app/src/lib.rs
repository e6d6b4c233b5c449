//! Application protocols as sans-IO state machines: bytes in stream order (or a datagram) go in,
//! transactions with the buffers that rules look at come out.
//!
//! [`detect::Detector`] says which protocol a flow speaks, from its first bytes. A [`Session`]
//! then parses both directions into [`Tx`]s. Nothing here reads a clock or a socket, and no input
//! makes it panic, recurse, or hold more than [`Limits`] allow. What a buffer contains follows
//! Suricata 7 with its default configuration: rules written for it must see the same bytes.
#![forbid(unsafe_code)]

mod buffer;
pub mod detect;
mod dns;
mod event;
mod file;
mod http1;
mod limits;
mod line;
mod looked;
mod proto;
mod session;
mod summary;
mod tls;
mod txs;
mod waiting;

#[cfg(test)]
mod tests;

pub use buffer::{AppBuffer, BufferSet, BufferSpec, buffer_spec};
pub use event::{AppEvent, DnsEvent, EventSet, FlowEvent, HttpEvent, TlsEvent};
pub use file::{Digests, File, FileNeeds, FileState};
pub use http1::{BodyLimits, BodyWindow, progress as http_progress};
pub use limits::Limits;
pub use looked::{Found, Looked};
pub use proto::{AppProto, Transport};
pub use session::{Config, Held, Outcome, Session, Tunnel};
pub use summary::{
    CertificateSummary, DnsData, DnsQuestion, DnsRecord, DnsSummary, HttpSummary, TlsSummary,
    TxSummary,
};
pub use tls::{Certificates, TlsFacts, tls_state};
pub use txs::Tx;
