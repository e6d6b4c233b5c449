//! [`Config`]: what the operator decides, from its defaults, a Suricata configuration,
//! `pollux.toml` and the command line, later ones over earlier ones.
//!
//! Every way in goes through one table of names ([`keys`]), so that a setting means the same and
//! is checked the same wherever it was written. Suricata's names are translated to ours first.

pub mod error;
pub mod keys;
mod load;
mod outputs;
mod reference;
mod suricata;
mod suricata_names;
mod suricata_yaml;
mod toml_file;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use error::{ConfigError, ConfigErrors, Place};
pub use load::{Loaded, Sources};
pub use outputs::{EveConfig, FileConfig, OutputsConfig, PcapLogConfig, StatsConfig};
pub use reference::write as write_reference;
pub use value::{Value, Wrong};

/// Everything that can be configured; the packet path's parts are each crate's own.
#[derive(Debug, Clone)]
pub struct Config {
    /// For live traffic, not for captures: not a setting, but what the command is.
    pub live: bool,
    /// `[sensor]`
    pub sensor: SensorConfig,
    /// `[[ports]]`
    pub ports: Vec<PortConfig>,
    /// `[source]`
    pub source: SourceConfig,
    /// `[kubernetes]`
    pub kubernetes: KubernetesConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[rules]`
    pub rules: RulesConfig,
    /// `[vars.address-groups]` and `[vars.port-groups]`
    pub vars: Variables,
    /// `[decoder]`, but for its checksums.
    pub decoder: wire::Config,
    /// `decoder.checksum-checks`
    pub checksums: Checksums,
    /// `[flows]`
    pub flows: flow::FlowConfig,
    /// `flows.vlan.use-for-tracking`: VLAN ids tell flows apart.
    pub vlan_tracking: bool,
    /// `[streams]`
    pub streams: flow::StreamConfig,
    /// `streams.reassembly.randomize-chunk-size`
    pub randomize_chunk_size: bool,
    /// `host-os-policy`: whose bytes count where segments overlap, by network.
    pub host_policies: Vec<engine::settings::HostPolicy>,
    /// `decoder.duplicates`; None: as it fits to what is read.
    pub duplicates: Option<engine::DuplicateMode>,
    /// `decoder.duplicate-window`.
    pub duplicate_window: std::time::Duration,
    /// `decoder.reorder-window`.
    pub reorder_window: std::time::Duration,
    /// `[overload]`: what is shed where a core cannot keep up; live only.
    pub overload: engine::Overload,
    /// `overload.bypass`: what of it is left to NICs to drop.
    pub bypass: BypassConfig,
    /// `streams.checksum-validation`: where false, no checksum is looked at.
    pub checksum_validation: bool,
    /// `[defrag]`
    pub defrag: flow::DefragConfig,
    /// `[protocols]`
    pub protocols: app::Limits,
    /// `[detection]`: the most alerts of one packet.
    pub packet_alert_max: usize,
    /// `detection.guess-applayer-tx`: matches by packet or stream name the only open transaction.
    pub guess_applayer_tx: bool,
    /// `[outputs]`
    pub outputs: OutputsConfig,
    /// `[memory]`
    pub memory: MemoryConfig,
    /// A drill, from the command line only: see [`engine::Settings::drill_panic`].
    pub drill_panic: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            live: false,
            sensor: SensorConfig::default(),
            ports: Vec::new(),
            source: SourceConfig::default(),
            kubernetes: KubernetesConfig::default(),
            metrics: MetricsConfig::default(),
            rules: RulesConfig::default(),
            vars: Variables::default(),
            decoder: wire::Config::default(),
            checksums: Checksums::Auto,
            flows: flow::FlowConfig::default(),
            vlan_tracking: true,
            streams: flow::StreamConfig::default(),
            host_policies: Vec::new(),
            duplicates: None,
            duplicate_window: std::time::Duration::from_millis(10),
            reorder_window: std::time::Duration::from_millis(250),
            overload: engine::Overload { shed: true, ..engine::Overload::default() },
            bypass: BypassConfig::default(),
            checksum_validation: true,
            randomize_chunk_size: true,
            defrag: flow::DefragConfig::default(),
            protocols: app::Limits::default(),
            packet_alert_max: 15,
            guess_applayer_tx: false,
            outputs: OutputsConfig::default(),
            memory: MemoryConfig::default(),
            drill_panic: None,
        }
    }
}

impl Config {
    /// What is done about checksums, all settings considered.
    pub fn effective_checksums(&self) -> Checksums {
        if self.checksum_validation { self.checksums } else { Checksums::No }
    }
}

/// Are long flows that are shed left to the NIC to drop?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BypassMode {
    /// No: their packets are received.
    #[default]
    Off,
    /// On ports that can.
    Auto,
    /// Yes; a port that cannot is an error.
    On,
}

/// `overload.bypass` and what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BypassConfig {
    /// Whether.
    pub mode: BypassMode,
    /// Flows at a time at the most.
    pub flows: usize,
    /// How long each at the most.
    pub life: Duration,
}

impl Default for BypassConfig {
    fn default() -> Self {
        Self { mode: BypassMode::Off, flows: 1024, life: Duration::from_secs(60) }
    }
}

/// `[sensor]`: the sensor itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorConfig {
    /// The name of the Kubernetes Node that it runs on; `None`: the host's name.
    pub node: Option<String>,
    /// What is logged.
    pub log_level: LogLevel,
    /// How long an alert waits for news of the endpoints it concerns.
    pub grace: Duration,
    /// One burst of packets in so many is measured for the profile; 0: none.
    pub profile_every: u32,
}

impl Default for SensorConfig {
    fn default() -> Self {
        Self {
            node: None,
            log_level: LogLevel::Info,
            grace: Duration::from_secs(1),
            profile_every: 0,
        }
    }
}

impl SensorConfig {
    /// The node's name: configured, else `NODE_NAME` (as the Kubernetes downward API sets it),
    /// else the host's name.
    pub fn node_name(&self) -> String {
        if let Some(node) = &self.node {
            return node.clone();
        }
        let set = std::env::var("NODE_NAME").unwrap_or_default();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let names = [set.trim(), host.trim(), "localhost"];
        names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What keeps something from working.
    Error,
    /// And what is not as it should be.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// Everything.
    Trace,
}

/// `[[ports]]`: where packets come from.
#[derive(Debug, Clone, PartialEq)]
pub struct PortConfig {
    /// An interface (`eth1`), a DPDK device (`0000:3b:00.0`) or a DPDK virtual device
    /// (`net_af_packet0,iface=veth0`).
    pub device: String,
    /// How packets come from a kernel interface.
    pub driver: DriverSetting,
    /// Receive queues, each polled by a core of its own; `None`: one for each core, as far as the
    /// driver has them.
    pub queues: Option<u16>,
    /// The cores that work on its packets.
    pub cores: Cores,
    /// Receive descriptors of a queue.
    pub descriptors: u16,
    /// The largest frame's payload in bytes.
    pub mtu: u16,
    /// Whether frames to other addresses than its own are taken.
    pub promiscuous: bool,
    /// Who spreads packets over the cores.
    pub spread: SpreadSetting,
    /// What a core does while nothing comes.
    pub idle: IdleSetting,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            device: String::new(),
            driver: DriverSetting::AfPacket,
            queues: None,
            cores: Cores::Auto,
            descriptors: 1024,
            mtu: 1500,
            promiscuous: true,
            spread: SpreadSetting::Auto,
            idle: IdleSetting::Auto,
        }
    }
}

/// How packets come from a kernel interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverSetting {
    /// Through a packet socket: every interface, one queue.
    AfPacket,
    /// Through AF_XDP sockets: a queue of ours for each of the interface's.
    AfXdp,
}

/// Who spreads packets over the cores of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpreadSetting {
    /// The NIC where it can, else the cores.
    Auto,
    /// The NIC; nothing starts where it cannot.
    Nic,
    /// The cores, who hand over what is another's.
    HandOver,
}

/// What a core does while nothing comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleSetting {
    /// Poll a NIC; sleep for moments where the kernel keeps packets.
    Auto,
    /// Poll.
    Poll,
    /// Sleep for moments.
    Sleep,
    /// Wait for the queue's interrupt, where the driver has one; else sleep.
    Interrupt,
}

/// The cores of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// One for each queue, chosen among those that the process may use, near the NIC.
    Auto,
    /// So many, chosen likewise.
    Count(u16),
    /// These; at least as many as the port has queues.
    List(Vec<u16>),
}

/// `[source]`: where resources and endpoints come from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceConfig {
    /// A directory of Kubernetes documents; `None`: all traffic is in scope, or the cluster's.
    pub directory: Option<PathBuf>,
    /// Resources and endpoints are those of a cluster.
    pub kubernetes: bool,
}

/// `[kubernetes]`: which cluster, what of it is in view, and what is told to it.
#[derive(Debug, Clone, PartialEq)]
pub struct KubernetesConfig {
    /// The kubeconfig; `None`: the pod's service account, else `$KUBECONFIG`, else the user's.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it other than the current one.
    pub context: Option<String>,
    /// The sensor's own namespace; `None`: the one of the service account or context.
    pub namespace: Option<String>,
    /// Nodes whose pods are in view; none: all.
    pub nodes: Vec<String>,
    /// Label selector of the nodes whose pods are in view.
    pub node_selector: Option<String>,
    /// Who writes status.
    pub status: StatusWriter,
    /// The most writes of status in a second.
    pub status_rate: u32,
    /// How long a status waits to be written again at the least.
    pub status_interval: Duration,
    /// Whether the sensor holds a lease, by which others see that it lives.
    pub lease: bool,
    /// How long a lease holds without being renewed.
    pub lease_duration: Duration,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            nodes: Vec::new(),
            node_selector: None,
            status: StatusWriter::Each,
            status_rate: 50,
            status_interval: Duration::from_secs(1),
            lease: true,
            lease_duration: Duration::from_secs(30),
        }
    }
}

/// Who writes the status of resources in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusWriter {
    /// Every sensor its own entries.
    Each,
    /// One elected sensor the entries of all, of what they say in their leases.
    Elected,
    /// Nobody.
    Off,
}

/// `[metrics]`: what is served over HTTP.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricsConfig {
    /// Address and port of `/healthz`, `/readyz` and `/metrics`; `None`: nothing is served.
    pub listen: Option<std::net::SocketAddr>,
    /// The local socket that `pollux top` and `pollux doctor --live` ask.
    pub socket: SocketSetting,
}

/// The local socket of a running sensor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SocketSetting {
    /// At [`SocketSetting::USUAL`], where it can be made; without one the sensor runs, too.
    #[default]
    Auto,
    /// None.
    Off,
    /// At this path, or nothing starts.
    Path(PathBuf),
}

impl SocketSetting {
    /// Where it is if nothing is said.
    pub const USUAL: &'static str = "/run/pollux/pollux.sock";

    /// Where it is; None: nowhere.
    pub fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::Auto => Some(std::path::Path::new(Self::USUAL)),
            Self::Off => None,
            Self::Path(path) => Some(path),
        }
    }
}

/// `[rules.sets.NAME]`: a set of rules that resources may ask for by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSetConfig {
    /// Files, directories and glob patterns.
    pub paths: Vec<String>,
    /// ConfigMaps in the sensor's namespace; each of their keys is a file of rules.
    pub config_maps: Vec<String>,
}

/// `[rules]`: what is looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RulesConfig {
    /// Files, directories and glob patterns: the default set.
    pub paths: Vec<String>,
    /// `[rules.sets.NAME]`: sets that resources ask for by their annotation.
    pub sets: BTreeMap<String, RuleSetConfig>,
    /// Where compiled rules are kept.
    pub cache: CacheSetting,
    /// The classification file; `None`: `classification.config` beside the rules if there is
    /// one, and Suricata's well-known classes.
    pub classification: Option<PathBuf>,
    /// The file of types of references; `None`: `reference.config` beside the rules if there is
    /// one, and Suricata's well-known types.
    pub references: Option<PathBuf>,
    /// Categories of reputation; `None`: `iprep` is not evaluated.
    pub reputation_categories: Option<PathBuf>,
    /// Where files of reputation are that are not named from the top.
    pub reputation_directory: Option<PathBuf>,
    /// Files of reputation.
    pub reputation_files: Vec<String>,
    /// What is said of alerts beside the rules: `threshold.config`.
    pub threshold_file: Option<PathBuf>,
    /// A MaxMind database of countries; `None`: `geoip` is not evaluated.
    pub geoip_database: Option<PathBuf>,
    /// Where data sets are read from and written to; `None`: rules write nothing.
    pub data_directory: Option<PathBuf>,
    /// Threads that compile at the same time; `None`: one for each core.
    pub threads: Option<usize>,
}

/// Where compiled rules are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CacheSetting {
    /// The user's cache directory, or the system's for root.
    #[default]
    Auto,
    /// Nowhere.
    Off,
    /// In this directory.
    Directory(PathBuf),
}

/// Rule variables that were set, over Suricata's defaults.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables {
    /// `vars.address-groups`: value and where it was set.
    pub address_groups: BTreeMap<String, (String, Place)>,
    /// `vars.port-groups`: value and where it was set.
    pub port_groups: BTreeMap<String, (String, Place)>,
}

/// Whether a checksum is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// Packets with a wrong checksum are dropped.
    Yes,
    /// As [`Self::Yes`], unless so many are wrong at first that the capture must have been taken
    /// before the network card filled them in.
    Auto,
    /// None is looked at.
    No,
}

/// `[memory]`: what packets are received into.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryConfig {
    /// Whether hugepages are used.
    pub hugepages: Hugepages,
    /// Bytes that DPDK takes at the start; `None`: what the ports' buffers need.
    pub size: Option<u64>,
    /// Packet buffers of a port; `None`: what its queues and cores can hold.
    pub packets: Option<u32>,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { hugepages: Hugepages::Auto, size: None, packets: None }
    }
}

/// Whether hugepages are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hugepages {
    /// Where there are enough.
    Auto,
    /// Always: without them nothing starts.
    Yes,
    /// Never.
    No,
}
