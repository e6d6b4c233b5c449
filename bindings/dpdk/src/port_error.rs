//! Why ports cannot be opened, set up or started, in sentences.

use thiserror::Error;

/// Why something could not be done with a port.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such kernel interface.
    #[error(
        "there is no network interface {interface:?} here (there is: {}); correct the name, \
         or start the process in the network namespace that has it", .present.join(", ")
    )]
    NoInterface {
        /// The name asked for.
        interface: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// The device could not be opened.
    #[error(
        "port {port} could not be opened: {reason}{}; DPDK's messages on standard error say more",
        .hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default()
    )]
    Open {
        /// The device and its arguments.
        port: String,
        /// DPDK's own words.
        reason: String,
        /// What is likely missing.
        hint: Option<String>,
    },
    /// The device is in use by another [`Port`](crate::Port) of this process.
    #[error("port {port} is open in this process already")]
    Busy {
        /// The device.
        port: String,
    },
    /// A number out of range, or a call at the wrong time.
    #[error("port {port}: {problem}")]
    Shape {
        /// The device.
        port: String,
        /// What is wrong, and the limit.
        problem: String,
    },
    /// The NIC cannot spread packets as asked.
    #[error(
        "port {port}: its driver {driver} offers no hash over the wanted fields; \
         use one queue and let the workers hand packets over"
    )]
    NoRss {
        /// The device.
        port: String,
        /// Its driver.
        driver: String,
    },
    /// A call into the driver failed.
    #[error(
        "port {port}: could not {what}: {reason}{}",
        .remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default()
    )]
    Driver {
        /// The device.
        port: String,
        /// What was tried.
        what: &'static str,
        /// DPDK's own words.
        reason: String,
        /// What is likely to help.
        remedy: Option<&'static str>,
    },
}
