//! The packet path's settings, out of the configuration.

use engine::{DuplicateMode, Overload, Settings};

use crate::config::{Checksums, Config};

/// What a generation carries to the cores. `auto` is for whoever feeds packets to decide, packet
/// by packet; here it means that checksums are looked at.
pub fn settings(config: &Config) -> Settings {
    let mut decoder = config.decoder.clone();
    decoder.verify_checksums = config.effective_checksums() != Checksums::No;
    let eve = &config.outputs.eve;
    Settings {
        decoder,
        streams: config.streams.clone(),
        host_policies: config.host_policies.clone(),
        learn_slices: config.live,
        checksums_auto: config.live && config.effective_checksums() == Checksums::Auto,
        defrag: flow::DefragConfig { use_vlan: config.vlan_tracking, ..config.defrag.clone() },
        app: config.protocols,
        duplicates: config.duplicates.unwrap_or(if config.live {
            DuplicateMode::Auto
        } else {
            DuplicateMode::Off
        }),
        duplicate_window: u64::try_from(config.duplicate_window.as_nanos()).unwrap_or(u64::MAX),
        reorder_window: u64::try_from(config.reorder_window.as_nanos()).unwrap_or(u64::MAX),
        overload: Overload { shed: config.live && config.overload.shed, ..config.overload },
        vlan_tracking: config.vlan_tracking,
        alerts_per_packet: config.packet_alert_max,
        guess_transaction: config.guess_applayer_tx,
        alert_payload: eve.payload || eve.payload_printable,
        alert_packet: eve.packet,
        alert_bytes: eve.payload_buffer_size,
        alert_field: eve.xff.enabled.then(|| eve.xff.header.as_str().into()),
        drill_panic: config.drill_panic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn of(set: &[&str]) -> Settings {
        let set = set.iter().map(|set| (*set).to_owned()).collect();
        let sources = Sources { set, ..Sources::default() };
        settings(&Config::load(&sources).expect("valid").config)
    }

    #[test]
    fn the_defaults_are_the_engines() {
        assert_eq!(format!("{:?}", of(&[])), format!("{:?}", Settings::default()));
    }

    #[test]
    fn what_is_set_reaches_the_cores() {
        let settings = of(&[
            "stream.checksum-validation=no",
            "vlan.use-for-tracking=no",
            "stream.midstream=yes",
            "defrag.timeout=7",
            "packet-alert-max=3",
            "outputs.eve.payload-printable=yes",
            "outputs.eve.packet=yes",
            "protocols.dns.max-tx=9",
        ]);
        assert!(!settings.decoder.verify_checksums);
        assert!(!settings.vlan_tracking && !settings.defrag.use_vlan);
        assert!(settings.streams.midstream);
        assert_eq!((settings.defrag.timeout, settings.alerts_per_packet), (7, 3));
        assert!(settings.alert_payload && settings.alert_packet);
        assert_eq!(settings.app.dns_transactions, 9);
    }
}
