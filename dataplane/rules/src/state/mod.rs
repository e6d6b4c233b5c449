//! What rules share across flows and what they read beside rule files: host and pair bits, data
//! sets, reputation of addresses, and where on the disk all of that may stand.
//!
//! Cores share these tables: each is cut into shards by what is looked up, and a shard is locked
//! for one look. Only rules that ask for them pay for it.

mod bits;
mod dataset;
mod dataset_file;
mod hash_list;
mod paths;
mod reputation;
mod tags;

pub use bits::{BitTable, Owner};
pub use dataset::{DataKind, Dataset};
pub use dataset_file::Datasets;
pub(crate) use dataset_file::Wanted;
pub use hash_list::{HashKind, HashList};
pub use paths::DataPaths;
pub use reputation::{Reputation, ReputationError};
pub use tags::{TagTable, Tags};
