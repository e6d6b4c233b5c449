//! What a port's mirror does to the traffic that it copies: told in the log when it shows, and in the
//! status of all resources where it keeps packets from being inspected as they are meant.

use std::collections::BTreeMap;

use super::conditions::{Check, Condition, Facts};
use super::share::Share;
use crate::output::ledger::PortLedger;

/// What was seen of each port.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    ports: BTreeMap<String, Port>,
}

#[derive(Debug, Default)]
struct Port {
    one_sided: Share<32, 50>,
    late: Share<10_000, 1>,
    bad_checksums: Share<10_000, 1>,
    losses: Share<10_000_000, 1>,
    /// What the log has been told.
    logged: Vec<String>,
}

impl Check for Mirrors {
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        let mut all = Vec::new();
        for port in &facts.ledger.ports {
            all.extend(self.ports.entry(port.name.clone()).or_default().look(port));
        }
        all
    }
}

impl Port {
    fn look(&mut self, port: &PortLedger) -> Vec<Condition> {
        let (name, mirror) = (&port.name, &port.mirror);
        let packets: u64 = port.queues.iter().map(|queue| queue.inspected).sum();
        // What is corrected is for the log alone.
        let mut corrected = Vec::new();
        for (one, other) in &mirror.vlan_pairs {
            corrected.push(format!(
                "{name}: one direction of connections comes in VLAN {}, the other in {}: they are \
                 taken for one flow",
                vlans(one),
                vlans(other),
            ));
        }
        if self.late.look(mirror.late_segments, packets) {
            corrected.push(format!(
                "{name}: its two directions come out of order: at least 1 % of packets are \
                 acknowledged before they are seen"
            ));
        }
        let mut wrong = Vec::new();
        if mirror.checksums_ignored {
            wrong.push(format!(
                "{name}: too many TCP and UDP checksums are wrong, as where a sender's NIC fills them \
                 in after the mirror has its copy: they are not looked at"
            ));
        } else if self.bad_checksums.look(mirror.bad_transport_checksum, packets) {
            wrong.push(format!(
                "{name}: at least 1 % of packets have a wrong TCP or UDP checksum, and are no part of \
                 streams: if their senders leave checksums to their NICs, set \
                 decoder.checksum-checks = \"no\""
            ));
        }
        if let Some(length) = mirror.cut_at {
            wrong.push(format!(
                "{name}: the mirror cuts packets at {length} bytes: they are inspected as far as they \
                 go; have it copy whole packets"
            ));
        }
        if self.losses.look(mirror.missed_bytes, mirror.tcp_bytes) {
            wrong.push(format!(
                "{name}: at least 1 % of the bytes of TCP connections were acknowledged but never \
                 seen: the mirror, or the port's queue, loses packets"
            ));
        }
        if self.one_sided.look(mirror.one_sided_flows, mirror.tcp_flows) {
            wrong.push(format!(
                "{name}: of most TCP connections one direction only is seen: have the mirror copy \
                 what is received and what is sent"
            ));
        }
        for line in corrected.iter().chain(&wrong) {
            if !self.logged.contains(line) {
                tracing::warn!("{line}");
                self.logged.push(line.clone());
            }
        }
        wrong.into_iter().map(Condition::new).collect()
    }
}

/// VLAN ids in words.
fn vlans(ids: &[u16]) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    let ids: Vec<String> = ids.iter().map(u16::to_string).collect();
    ids.join(" in ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ledger::{Ledger, MirrorLedger, QueueLedger};
    use crate::status::Checks;

    fn told(checks: &mut Checks, mirror: MirrorLedger, inspected: u64) -> Vec<String> {
        let queues = vec![QueueLedger { inspected, ..QueueLedger::default() }];
        let port = PortLedger { name: "eth1".to_owned(), mirror, queues, ..PortLedger::default() };
        let ledger = Ledger { ports: vec![port], ..Ledger::default() };
        let now = api::dpi::Time::from_second(0);
        let facts = Facts { ledger: &ledger, ports: &[], state: &[], source: &[], now };
        checks.look(&facts).into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn a_port_says_what_its_mirror_does() {
        let mut checks = Checks::standard();
        let none = MirrorLedger::default();
        assert!(told(&mut checks, none.clone(), 1_000_000).is_empty());
        let mirror = MirrorLedger {
            tcp_flows: 40,
            one_sided_flows: 30,
            checksums_ignored: true,
            cut_at: Some(128),
            tcp_bytes: 20_000_000,
            missed_bytes: 300_000,
            vlan_pairs: [(vec![5], vec![])].into(),
            ..none
        };
        let now = told(&mut checks, mirror.clone(), 1_000_100);
        let words = ["checksums", "at 128 bytes", "1 % of the bytes", "one direction only"];
        assert_eq!(now.len(), words.len(), "{now:?}");
        for (line, word) in now.iter().zip(words) {
            assert!(line.starts_with("eth1: ") && line.contains(word), "{line}");
        }
        // Corrected where it can be: no resource is blinded by tags of one direction.
        assert!(!now.iter().any(|line| line.contains("VLAN")));
        let mended = MirrorLedger { tcp_flows: 90, cut_at: None, ..mirror };
        let now = told(&mut checks, mended, 1_000_200);
        assert!(
            !now.iter().any(|it| it.contains("direction only") || it.contains("cuts")),
            "{now:?}"
        );
        assert_eq!((vlans(&[]), vlans(&[5, 6])), ("none".to_owned(), "5 in 6".to_owned()));
    }
}
