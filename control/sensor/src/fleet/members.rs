//! The sensors as the elected one sees them: who lives, who is silent, who stopped in order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::lease::REPORT;

/// A sensor's lease, as last seen.
#[derive(Debug, Clone)]
struct Member {
    renewed: Option<MicroTime>,
    /// When it was seen to change, by the own clock.
    at: Instant,
    length: Duration,
    /// It was given back.
    released: bool,
    report: Option<Arc<str>>,
}

/// How a node's sensor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It renews its lease.
    Lives,
    /// It has not renewed it in time.
    Silent,
    /// It gave it back.
    Stopped,
    /// It never had one.
    Unknown,
}

/// All of them, by node.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    /// The first list was complete once.
    listed: bool,
    by_node: BTreeMap<String, Member>,
    seen: Option<HashSet<String>>,
}

/// The node of a lease: the lease's name says it, also when nobody holds it.
fn node(lease: &Lease) -> Option<&str> {
    lease.metadata.name.as_deref()?.strip_prefix("pollux-")
}

impl Members {
    /// A list begins.
    pub(super) fn begin(&mut self) {
        self.seen = Some(HashSet::new());
    }

    /// Is it known who is there?
    pub(super) fn are_listed(&self) -> bool {
        self.listed
    }

    /// A list is complete.
    pub(super) fn end(&mut self) {
        self.listed = true;
        if let Some(seen) = self.seen.take() {
            self.by_node.retain(|node, _| seen.contains(node));
        }
    }

    /// A lease as it is now.
    pub(super) fn put(&mut self, lease: &Lease, now: Instant) {
        let Some(node) = node(lease) else { return };
        if let Some(seen) = &mut self.seen {
            seen.insert(node.to_owned());
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let report = lease.metadata.annotations.as_ref().and_then(|all| all.get(REPORT));
        let report = report.map(|report| Arc::from(report.as_str()));
        let length = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let at = match self.by_node.get(node) {
            Some(held) if held.renewed == spec.renew_time => held.at,
            _ => now,
        };
        let member = Member {
            renewed: spec.renew_time,
            at,
            length: Duration::from_secs(length),
            released: spec.holder_identity.is_none_or(|holder| holder.is_empty()),
            report,
        };
        self.by_node.insert(node.to_owned(), member);
    }

    /// A lease is gone.
    pub(super) fn take(&mut self, lease: &Lease) {
        if let Some(node) = node(lease) {
            self.by_node.remove(node);
        }
    }

    /// What the API did not tell is nobody's silence: everybody's time begins anew.
    pub(super) fn excuse(&mut self, now: Instant) {
        for member in self.by_node.values_mut() {
            member.at = now;
        }
    }

    /// How the sensor of a node is.
    pub(super) fn life(&self, node: &str, now: Instant) -> Life {
        match self.by_node.get(node) {
            None => Life::Unknown,
            Some(member) if member.released => Life::Stopped,
            Some(member) if now.duration_since(member.at) > member.length => Life::Silent,
            Some(_) => Life::Lives,
        }
    }

    /// What the living and those that stopped in order say, by node.
    pub(super) fn reports(&self, now: Instant) -> impl Iterator<Item = (&str, &str)> {
        self.by_node
            .iter()
            .filter(move |(node, _)| matches!(self.life(node, now), Life::Lives | Life::Stopped))
            .filter_map(|(node, member)| Some((node.as_str(), member.report.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::coordination::v1::LeaseSpec;

    fn lease(node: &str, renewed: i64, holder: Option<&str>) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.name = Some(format!("pollux-{node}"));
        lease.spec = Some(LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(30),
            renew_time: Some(MicroTime(jiff::Timestamp::from_second(renewed).expect("a time"))),
            ..LeaseSpec::default()
        });
        lease
    }

    #[test]
    fn a_sensor_is_silent_when_its_lease_was_seen_unchanged_for_its_length() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut members = Members::default();
        members.begin();
        // Renewed long ago by its own clock: that says nothing.
        members.put(&lease("a", 0, Some("a")), start);
        members.put(&lease("b", 0, None), start);
        members.end();
        assert_eq!(members.life("a", after(30)), Life::Lives);
        assert_eq!(members.life("a", after(31)), Life::Silent);
        assert_eq!(members.life("b", after(31)), Life::Stopped);
        assert_eq!(members.life("c", start), Life::Unknown);
        members.put(&lease("a", 9, Some("a")), after(31));
        assert_eq!(members.life("a", after(40)), Life::Lives);
        members.excuse(after(60));
        assert_eq!(members.life("a", after(85)), Life::Lives);
        members.begin();
        members.put(&lease("b", 0, None), after(90));
        members.end();
        assert_eq!(members.life("a", after(90)), Life::Unknown);
    }
}
