//! What the sensor says: alerts as EVE JSON, the ledger, the resources' status, and the summary
//! that a person reads after a replay.
//!
//! ```text
//! rings → Collector → Writer (thresholds, grace, names) → EveFile → eve.json
//!                        └ AlertTotals ─┬ Ledger → ledger.json
//!                                       └ report → terminal
//!                └ PcapLog (packets that the cores give) → log.N.pcapng
//! resources + generation in force → StatusFile → status.yaml
//! ```

pub mod atomic;
pub mod eve;
pub mod eve_file;
pub mod ledger;
pub mod names;
pub mod pcap;
pub mod profile;
pub mod rate;
pub mod report;
pub mod status;
pub mod totals;
pub mod view;
pub mod writer;

#[cfg(test)]
mod testing;

pub use eve::{EveFormat, EveOptions, XffDeployment, XffMode, XffOptions};
pub use ledger::{Imbalance, Ledger, NicCounters, PortView, QueueView};
pub use names::NameBook;
pub use report::Report;
pub use status::{ResourceInput, StatusFile};
pub use totals::AlertTotals;
pub use writer::{Existing, Writer, WriterConfig, WriterHandle};
