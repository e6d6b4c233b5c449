//! What applications say: messages of HTTP/1.1, DNS and TLS as bytes.

pub mod dns;
pub mod http;
mod prose;
pub mod tls;

pub use prose::Prose;
