//! `[outputs]`: what is written, and where.

use std::path::PathBuf;
use std::time::Duration;

/// `[outputs]`: what is written.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputsConfig {
    /// Where relative paths of outputs begin; `None`: the command's default.
    pub directory: Option<PathBuf>,
    /// `[outputs.eve]`
    pub eve: EveConfig,
    /// `[outputs.pcap-log]`
    pub pcap_log: PcapLogConfig,
    /// `[outputs.ledger]`
    pub ledger: FileConfig,
    /// `[outputs.status]`
    pub status: FileConfig,
}

impl Default for OutputsConfig {
    fn default() -> Self {
        let file = |path| FileConfig { enabled: true, path: PathBuf::from(path) };
        Self {
            directory: None,
            eve: EveConfig::default(),
            pcap_log: PcapLogConfig::default(),
            ledger: file("ledger.json"),
            status: file("status.yaml"),
        }
    }
}

/// `[outputs.eve]`: alerts as JSON lines.
#[derive(Debug, Clone, PartialEq)]
pub struct EveConfig {
    /// Whether it is written.
    pub enabled: bool,
    /// The file.
    pub path: PathBuf,
    /// Alerts carry the payload in base64.
    pub payload: bool,
    /// Alerts carry the payload's printable characters.
    pub payload_printable: bool,
    /// Alerts carry the packet in base64.
    pub packet: bool,
    /// Lines tell what rules remember of the flow.
    pub metadata: bool,
    /// `[outputs.eve.xff]`
    pub xff: crate::output::XffOptions,
    /// The most bytes of a payload or packet in an alert.
    pub payload_buffer_size: usize,
    /// The most alerts a second.
    pub rates: crate::output::rate::RateLimits,
    /// `[outputs.eve.stats]`
    pub stats: StatsConfig,
}

impl Default for EveConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            path: PathBuf::from("eve.json"),
            payload: false,
            payload_printable: false,
            packet: false,
            metadata: true,
            xff: crate::output::XffOptions::default(),
            payload_buffer_size: 4096,
            rates: crate::output::rate::RateLimits::default(),
            stats: StatsConfig::default(),
        }
    }
}

/// `[outputs.eve.stats]`: counters of a running sensor as events of their own, as Suricata's type `stats` of
/// `eve-log`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatsConfig {
    /// Whether they are written, if anything of them is asked for.
    pub enabled: bool,
    /// How often.
    pub interval: Duration,
    /// Sums over all workers.
    pub totals: bool,
    /// Each worker's own.
    pub threads: bool,
    /// What each counter has grown by, too.
    pub deltas: bool,
}

impl Default for StatsConfig {
    fn default() -> Self {
        let interval = Duration::from_secs(8);
        Self { enabled: true, interval, totals: false, threads: false, deltas: false }
    }
}

impl StatsConfig {
    /// Whether any event is to be written.
    pub fn is_on(&self) -> bool {
        self.enabled && (self.totals || self.threads)
    }
}

/// `[outputs.pcap-log]`: the packets of alerting flows, as Suricata's `pcap-log` with
/// `conditional: alerts`.
#[derive(Debug, Clone, PartialEq)]
pub struct PcapLogConfig {
    /// Whether they are written.
    pub enabled: bool,
    /// The files' path; a number comes before the extension.
    pub path: PathBuf,
    /// Bytes of a file.
    pub limit: u64,
    /// Files that are kept.
    pub max_files: usize,
    /// Bytes of packets that each core remembers.
    pub history_size: usize,
    /// Packets that each core remembers.
    pub history_packets: usize,
    /// Packets of a flow after its latest alert.
    pub after_packets: u32,
    /// For how long after its latest alert.
    pub after: Duration,
}

impl Default for PcapLogConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            path: PathBuf::from("log.pcapng"),
            limit: 100 << 20,
            max_files: 10,
            history_size: 16 << 20,
            history_packets: 32_768,
            after_packets: 1000,
            after: Duration::from_secs(60),
        }
    }
}

/// An output that is one file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileConfig {
    /// Whether it is written.
    pub enabled: bool,
    /// The file.
    pub path: PathBuf,
}
