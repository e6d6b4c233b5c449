//! What is said of each resource on this node, and to whom: the file, and the cluster.
//!
//! ```text
//! view (generation, errors) ─┐
//! ledger, ports ─→ Checks ───┴→ Standing ─┬→ StatusFile → status.yaml
//!                                         └→ ClusterStatus → PUT …/status
//! ```

mod blinded;
pub mod cluster;
pub mod conditions;
pub(crate) mod entry;
mod mirrors;
pub(crate) mod object;
pub(crate) mod pace;
mod share;
pub mod standing;

pub use cluster::{ClusterStatus, StatusCounts};
pub use conditions::{Check, Checks, Condition, Facts};
pub(crate) use mirrors::vlans;
pub use standing::{Said, Standing};
