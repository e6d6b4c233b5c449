//! What a running sensor's mirrors do to the traffic that they copy: double it, cut it, lose it, show one
//! direction only, or two that differ; and what to do about each.

use super::live::percent;
use super::{Finding, Verdict};
use crate::health::Sample;
use crate::status::vlans;

pub(super) fn duplicates(sample: &Sample) -> Vec<Finding> {
    let count = sample.ledger.drops().get("duplicate").copied().unwrap_or(0);
    if count == 0 {
        return vec![Finding::good(
            "duplicates",
            "no packet in scope was seen and dropped as a copy",
        )];
    }
    let share = percent(count, sample.ledger.totals.received);
    let text = format!("{count} packets came twice ({share:.1} %), the copies were dropped");
    let remedy = "mirror one direction (rx) of each port of the switch, or one side of it, so that the sensor \
                  need not receive everything twice";
    vec![Finding::of("duplicates", Verdict::Note, text, remedy)]
}

/// Flows of a port or resource of which enough was seen to tell whether its mirror has both directions.
const ENOUGH_OF_A_PORT: u64 = 32;
const ENOUGH_OF_A_RESOURCE: u64 = 4;

/// Connections of which one side only is mirrored: by port, and by resource, which may be blind alone.
pub(super) fn one_direction(sample: &Sample) -> Vec<Finding> {
    let ports = sample.ledger.ports.iter().map(|port| {
        (port.name.clone(), port.mirror.one_sided_flows, port.mirror.tcp_flows, ENOUGH_OF_A_PORT)
    });
    let resources = sample.ledger.resources.iter().map(|it| {
        let name = format!("resource {}/{}", it.namespace, it.name);
        (name, it.tally.one_sided_flows, it.tally.tcp_flows, ENOUGH_OF_A_RESOURCE)
    });
    let remedy = "have the mirror copy both directions (what is received and what is sent: `both`), on every path \
                  between the ends; what rules ask of an established stream is not found in half of it";
    let mut found: Vec<Finding> = ports
        .chain(resources)
        .filter(|&(_, one_sided, flows, enough)| flows >= enough && one_sided * 20 >= flows)
        .map(|(name, one_sided, flows, _)| {
            let share = percent(one_sided, flows);
            let verdict = if share >= 50.0 { Verdict::Warning } else { Verdict::Note };
            let text = format!(
                "{name}: of {one_sided} of {flows} TCP connections ({share:.0} %) one direction only \
                 was seen"
            );
            Finding::of("one-direction", verdict, text, remedy)
        })
        .collect();
    if found.is_empty() {
        found.push(Finding::good("one-direction", "both directions of connections are mirrored"));
    }
    found
}

/// Connections whose beginning was not seen.
pub(super) fn midstream(sample: &Sample) -> Vec<Finding> {
    let flows = &sample.ledger.flows;
    if flows.midstream == 0 || percent(flows.midstream, flows.created) < 5.0 {
        return vec![Finding::good("midstream", "flows are seen from their beginning")];
    }
    let text =
        format!("{} of {} flows were taken up in the middle", flows.midstream, flows.created);
    let remedy = "just after a start that is so; if it goes on, does the mirror lose packets, or have only some of \
                  the paths between the ends?";
    vec![Finding::of("midstream", Verdict::Note, text, remedy)]
}

/// What was acknowledged and never seen: by port as far as connections have ended, and as streams have it.
pub(super) fn mirror_losses(sample: &Sample) -> Vec<Finding> {
    let remedy = "the mirror loses packets: is its destination port as fast as all of its sources together, and \
                  does the sensor's own queue lose none (nic-losses)?";
    let mut found = Vec::new();
    for port in sample.ledger.ports.iter().filter(|port| port.mirror.missed_bytes > 0) {
        let (missed, bytes) = (port.mirror.missed_bytes, port.mirror.tcp_bytes);
        let share = percent(missed, bytes);
        let verdict = if share >= 1.0 { Verdict::Warning } else { Verdict::Note };
        let text = format!(
            "{}: {missed} of {bytes} bytes of TCP connections ({share:.2} %) were acknowledged, but never seen",
            port.name
        );
        found.push(Finding::of("mirror-losses", verdict, text, remedy));
    }
    if sample.ledger.flows.gap_bytes > 0 && found.is_empty() {
        let gaps = sample.ledger.flows.gap_bytes;
        let text = format!("{gaps} bytes were acknowledged that the sensor never saw");
        found.push(Finding::of("mirror-losses", Verdict::Warning, text, remedy));
    }
    if found.is_empty() {
        found.push(Finding::good("mirror-losses", "whatever was acknowledged was seen"));
    }
    found
}

/// VLAN tags that one direction of connections has, and the other has not, or has others.
pub(super) fn vlan_tags(sample: &Sample) -> Vec<Finding> {
    let mut found = Vec::new();
    for port in &sample.ledger.ports {
        for (one, other) in &port.mirror.vlan_pairs {
            let text = format!(
                "{}: one direction of connections comes in VLAN {}, the other in {}; {} packets were \
                 given to the other's flows",
                port.name,
                vlans(one),
                vlans(other),
                port.mirror.vlan_joined
            );
            let remedy = "nothing is missed but in the first few connections: the two are taken for one flow. \
                          Mirror both directions at the same side of the switch's tagging, or set \
                          flows.vlan.use-for-tracking = false where no address is in two VLANs";
            found.push(Finding::of("vlan-tags", Verdict::Note, text, remedy));
        }
    }
    if found.is_empty() {
        found.push(Finding::good("vlan-tags", "both directions have the same VLAN tags"));
    }
    found
}

/// Directions that come out of order.
pub(super) fn reordering(sample: &Sample) -> Vec<Finding> {
    let mut found = Vec::new();
    for port in &sample.ledger.ports {
        let packets: u64 = port.queues.iter().map(|queue| queue.inspected).sum();
        let (early, late) = (port.mirror.reordered_packets, port.mirror.late_segments);
        let (share, late_share) = (percent(early, packets), percent(late, packets));
        if late_share >= 1.0 {
            let text = format!(
                "{}: {late} segments ({late_share:.1} % of what is inspected) came long after they were acknowledged",
                port.name
            );
            let remedy = "alerts may be missed: the mirror's two directions are further apart than is waited for. One \
                          destination port for both keeps them nearer to each other; or raise decoder.reorder-window";
            found.push(Finding::of("reordering", Verdict::Warning, text, remedy));
        } else if share >= 1.0 {
            let text = format!(
                "{}: {early} packets ({share:.1} % of what is inspected) came before what they answer",
                port.name
            );
            let remedy = "nothing is missed: they wait for it. The mirror's two directions go through different \
                          queues: one destination port for both keeps them nearer to each other";
            found.push(Finding::of("reordering", Verdict::Note, text, remedy));
        }
    }
    if found.is_empty() {
        found.push(Finding::good("reordering", "the two directions come in order"));
    }
    found
}

pub(super) fn checksums(sample: &Sample) -> Vec<Finding> {
    let remedy = "where senders on this host leave checksums to their NIC, the mirror copies packets before they \
                  are filled in: decoder.checksum-checks = \"auto\" or \"no\", or `ethtool -K IF tx off` there";
    let ignored = sample.ledger.ports.iter().filter(|port| port.mirror.checksums_ignored);
    let mut found: Vec<Finding> = ignored
        .map(|port| {
            let text = format!(
                "{}: so many transport checksums were wrong that they are looked at no more",
                port.name
            );
            Finding::of("checksums", Verdict::Warning, text, remedy)
        })
        .collect();
    let wrong = sample.ledger.flows.bad_transport_checksum;
    if found.is_empty() && wrong > 0 {
        let share = percent(wrong, sample.ledger.totals.inspected);
        let verdict = if share >= 1.0 { Verdict::Warning } else { Verdict::Note };
        let text =
            format!("{wrong} transport checksums were wrong ({share:.2} % of what is inspected)");
        found.push(Finding::of("checksums", verdict, text, remedy));
    }
    if found.is_empty() {
        found.push(Finding::good("checksums", "no transport checksum was wrong"));
    }
    found
}

pub(super) fn cut_packets(sample: &Sample) -> Vec<Finding> {
    let cut = sample.ledger.flows.truncated;
    if cut == 0 {
        return vec![Finding::good("cut-packets", "every packet is whole")];
    }
    let share = percent(cut, sample.ledger.totals.received);
    let lengths: Vec<String> = sample
        .ledger
        .ports
        .iter()
        .filter_map(|port| port.mirror.cut_at.map(|at| format!("; {} at {at} bytes", port.name)))
        .collect();
    let text = format!(
        "{cut} packets were cut on their way ({share:.1} %), and inspected as far as they go{}",
        lengths.concat()
    );
    let remedy = "switch slicing (truncation) off in the mirror session, and raise ports.mtu to the network's";
    vec![Finding::of("cut-packets", Verdict::Warning, text, remedy)]
}
