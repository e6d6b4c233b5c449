//! What the operator decides of the packet path; part of every snapshot.

use std::net::IpAddr;

use app::Limits;
use flow::{DefragConfig, FragmentPolicy, Policy, StreamConfig};
use wire::Nanos;

use crate::duplicates::DuplicateMode;
use crate::shed::Overload;

/// How the hosts of a network resolve overlapping segments and fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPolicy {
    /// The network's address.
    pub network: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// What its hosts do with segments.
    pub policy: Policy,
    /// What they do with fragments.
    pub fragments: FragmentPolicy,
}

impl HostPolicy {
    fn holds(&self, address: IpAddr) -> bool {
        let (network, address, width) = match (self.network, address) {
            (IpAddr::V4(n), IpAddr::V4(a)) => {
                (u128::from(n.to_bits()), u128::from(a.to_bits()), 32)
            }
            (IpAddr::V6(n), IpAddr::V6(a)) => (n.to_bits(), a.to_bits(), 128),
            _ => return false,
        };
        let rest = width - u32::from(self.prefix).min(width);
        // A shift by the whole width leaves nothing to compare.
        (network ^ address).checked_shr(rest).is_none_or(|different| different == 0)
    }
}

/// Settings of a generation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The decoder's.
    pub decoder: wire::Config,
    /// TCP reassembly's.
    pub streams: StreamConfig,
    /// Whose bytes count where segments or fragments overlap, by who receives them;
    /// [`StreamConfig::policy`] and [`DefragConfig::policy`] for all others.
    pub host_policies: Vec<HostPolicy>,
    /// Checksums are no longer looked at once more than one in ten of the first thousand packets
    /// of a core is wrong. For live traffic; a replay's feeder decides for all cores.
    pub checksums_auto: bool,
    /// Packets that say they are longer are taken for cut by the mirror, once that has shown. For live
    /// traffic; captures tell the length on the wire.
    pub learn_slices: bool,
    /// Defragmentation's.
    pub defrag: DefragConfig,
    /// The application parsers'.
    pub app: Limits,
    /// What is done about packets that are seen twice.
    pub duplicates: DuplicateMode,
    /// How long after the first the second may come.
    pub duplicate_window: Nanos,
    /// How long a packet waits for what it answers; 0: it does not.
    pub reorder_window: Nanos,
    /// What is shed where a core cannot keep up.
    pub overload: Overload,
    /// VLAN ids are part of a flow's identity.
    pub vlan_tracking: bool,
    /// The most alerts of one packet, as Suricata's `packet-alert-max`.
    pub alerts_per_packet: usize,
    /// A match by packet or stream is told with the flow's only open transaction's number.
    pub guess_transaction: bool,
    /// Alerts carry the payload.
    pub alert_payload: bool,
    /// Alerts carry the packet.
    pub alert_packet: bool,
    /// The most bytes of a payload or packet that an alert carries.
    pub alert_bytes: usize,
    /// Alerts carry the value of this field of the request's header.
    pub alert_field: Option<Box<str>>,
    /// A drill: the packet with this number makes the worker panic, to show what happens then.
    pub drill_panic: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            decoder: wire::Config::default(),
            streams: StreamConfig::default(),
            host_policies: Vec::new(),
            checksums_auto: false,
            learn_slices: false,
            defrag: DefragConfig::default(),
            app: Limits::default(),
            duplicates: DuplicateMode::Off,
            duplicate_window: 10_000_000,
            reorder_window: 250_000_000,
            overload: Overload::default(),
            vlan_tracking: true,
            alerts_per_packet: 15,
            guess_transaction: false,
            alert_payload: false,
            alert_packet: false,
            alert_bytes: 4096,
            alert_field: None,
            drill_panic: None,
        }
    }
}

impl Settings {
    /// The overlap policy of whoever receives at this address: that of the smallest network.
    pub fn policy_of(&self, receiver: IpAddr) -> Policy {
        self.host(receiver).map_or(self.streams.policy, |host| host.policy)
    }

    /// The same for fragments.
    pub fn fragment_policy_of(&self, receiver: IpAddr) -> FragmentPolicy {
        self.host(receiver).map_or(self.defrag.policy, |host| host.fragments)
    }

    fn host(&self, receiver: IpAddr) -> Option<&HostPolicy> {
        let fitting = self.host_policies.iter().filter(|host| host.holds(receiver));
        fitting.max_by_key(|host| host.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_network_that_holds_a_host_decides() {
        let of = |network: &str, prefix, policy| HostPolicy {
            network: network.parse().expect("an address"),
            prefix,
            policy,
            fragments: FragmentPolicy::Last,
        };
        let settings = Settings {
            host_policies: vec![
                of("10.0.0.0", 8, Policy::Linux),
                of("10.1.0.0", 16, Policy::Solaris),
                of("fd00::", 8, Policy::First),
            ],
            ..Settings::default()
        };
        let policy = |text: &str| settings.policy_of(text.parse().expect("an address"));
        assert_eq!(policy("10.2.3.4"), Policy::Linux);
        assert_eq!(policy("10.1.3.4"), Policy::Solaris);
        assert_eq!(policy("192.0.2.1"), settings.streams.policy);
        assert_eq!(policy("fd12::1"), Policy::First);
        let fragments = |text: &str| settings.fragment_policy_of(text.parse().expect("an address"));
        assert_eq!(fragments("10.1.3.4"), FragmentPolicy::Last);
        assert_eq!(fragments("192.0.2.1"), settings.defrag.policy);
        assert_eq!(policy("2001:db8::1"), settings.streams.policy);
    }
}
