//! The Kubernetes side of Pollux without a cluster: the DeepPacketInspection resource, Calico's
//! selector language, pods as endpoints, and the table that says which resource inspects whom.
//!
//! ```text
//! YAML/JSON text → documents → Inventory → endpoints ─┐
//!                                        └ resources ─┴→ ScopeTable → (sensor) Snapshot
//! ```
//! Everything here takes text or plain structs and returns plain structs; nothing opens a file,
//! a socket or a clock, so each part is tested by itself.
#![forbid(unsafe_code)]

pub mod documents;
pub mod dpi;
pub mod endpoint;
pub mod index;
pub mod resources;
pub mod scope;
pub mod selector;

pub use documents::{Document, Documents, Inventory, Parsed, Problem};
pub use dpi::DeepPacketInspection;
pub use endpoint::Endpoint;
pub use index::ScopeIndex;
pub use scope::ScopeTable;
pub use selector::{Labels, Selector, SelectorError};
