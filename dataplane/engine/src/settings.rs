//! What the operator decides of the packet path; part of every snapshot.

use app::Limits;
use flow::{DefragConfig, StreamConfig};

/// Settings of a generation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The decoder's.
    pub decoder: wire::Config,
    /// TCP reassembly's.
    pub streams: StreamConfig,
    /// Defragmentation's.
    pub defrag: DefragConfig,
    /// The application parsers'.
    pub app: Limits,
    /// VLAN ids are part of a flow's identity.
    pub vlan_tracking: bool,
    /// The most alerts of one packet, as Suricata's `packet-alert-max`.
    pub alerts_per_packet: usize,
    /// Alerts carry the payload.
    pub alert_payload: bool,
    /// Alerts carry the packet.
    pub alert_packet: bool,
    /// The most bytes of a payload or packet that an alert carries.
    pub alert_bytes: usize,
    /// A drill: the packet with this number makes the worker panic, to show what happens then.
    pub drill_panic: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            decoder: wire::Config::default(),
            streams: StreamConfig::default(),
            defrag: DefragConfig::default(),
            app: Limits::default(),
            vlan_tracking: true,
            alerts_per_packet: 15,
            alert_payload: false,
            alert_packet: false,
            alert_bytes: 4096,
            drill_panic: None,
        }
    }
}
