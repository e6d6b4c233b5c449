//! Where resources and endpoints come from, and how their changes are noticed.

pub mod directory;
pub mod kubernetes;
pub mod watch;

pub use directory::{DirectoryError, read};
pub use kubernetes::Cluster;
pub use watch::Watch;
