//! What a port's mirror does to the traffic that it copies: told in the log when it shows, and in the
//! status of all resources what nobody can tell of each.

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
    reordered: Share<10_000, 1>,
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
    fn look(&mut self, port: &PortLedger) -> Option<Condition> {
        let (name, mirror) = (&port.name, &port.mirror);
        let packets: u64 = port.queues.iter().map(|queue| queue.inspected).sum();
        // For the log alone: what is corrected, and what each resource that it blinds is told.
        let mut logged = Vec::new();
        for (one, other) in &mirror.vlan_pairs {
            logged.push(format!(
                "{name}: one direction of connections comes in VLAN {}, the other in {}: they are \
                 taken for one flow",
                vlans(one),
                vlans(other),
            ));
        }
        if self.late.look(mirror.late_segments, packets) {
            logged.push(format!(
                "{name}: its two directions are further apart than is waited for: at least 1 % of packets come \
                 long after they are acknowledged; raise decoder.reorder-window, or have both mirrored to one port"
            ));
        } else if self.reordered.look(mirror.reordered_packets, packets) {
            logged.push(format!(
                "{name}: its two directions come out of order: at least 1 % of packets wait for what they answer"
            ));
        }
        if let Some(length) = mirror.cut_at {
            logged.push(format!(
                "{name}: the mirror cuts packets at {length} bytes: they are inspected as far as they \
                 go; have it copy whole packets"
            ));
        }
        if self.losses.look(mirror.missed_bytes, mirror.tcp_bytes) {
            logged.push(format!(
                "{name}: at least 1 % of the bytes of TCP connections were acknowledged but never \
                 seen: the mirror, or the port's queue, loses packets"
            ));
        }
        if self.one_sided.look(mirror.one_sided_flows, mirror.tcp_flows) {
            logged.push(format!(
                "{name}: of most TCP connections one direction only is seen: have the mirror copy \
                 what is received and what is sent"
            ));
        }
        let mut told = None;
        if mirror.checksums_ignored {
            told = Some(format!(
                "{name}: too many TCP and UDP checksums are wrong, as where a sender's NIC fills them \
                 in after the mirror has its copy: they are not looked at"
            ));
        } else if self.bad_checksums.look(mirror.bad_transport_checksum, packets) {
            told = Some(format!(
                "{name}: at least 1 % of packets have a wrong TCP or UDP checksum, and are no part of \
                 streams: if their senders leave checksums to their NICs, set \
                 decoder.checksum-checks = \"no\""
            ));
        }
        for line in logged.iter().chain(&told) {
            if !self.logged.contains(line) {
                tracing::warn!("{line}");
                self.logged.push(line.clone());
            }
        }
        told.map(Condition::new)
    }
}

/// VLAN ids in words.
pub(crate) fn vlans(ids: &[u16]) -> String {
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
    fn checksums_that_mean_nothing_are_told_of_the_port() {
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
            ..none.clone()
        };
        let now = told(&mut checks, mirror, 1_000_100);
        // The rest is for the log, and for those resources whose traffic it is.
        assert!(
            now.len() == 1 && now[0].starts_with("eth1: too many TCP and UDP checksums"),
            "{now:?}"
        );
        let some = MirrorLedger { bad_transport_checksum: 900, ..none };
        let now = told(&mut Checks::standard(), some, 20_000);
        assert!(now.len() == 1 && now[0].contains("decoder.checksum-checks"), "{now:?}");
        assert_eq!((vlans(&[]), vlans(&[5, 6])), ("none".to_owned(), "5 in 6".to_owned()));
    }
}
