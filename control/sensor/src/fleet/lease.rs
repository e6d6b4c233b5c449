//! Leases (coordination.k8s.io): the one that each sensor holds, and the one that is for the elected.
//! How old one is is told by when it was last seen to change, by the own clock: whose clock is wrong
//! is no matter.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;

/// Label of the sensors' leases.
const LABEL: &str = "pollux.dev/lease";
/// What picks them.
pub(super) const SELECTOR: &str = "pollux.dev/lease=sensor";
/// Annotation: what a sensor says of its resources, for the elected one to write.
pub(super) const REPORT: &str = "pollux.dev/report";
/// The lease of the elected one.
const LEADER: &str = "pollux-leader";

/// What a sensor's lease says.
#[derive(Debug, Clone)]
pub(super) struct Holding {
    pub(super) node: String,
    pub(super) lease: Duration,
    /// What it says of its resources.
    pub(super) report: Option<String>,
    /// It is given back: the sensor has stopped in order.
    pub(super) released: bool,
}

/// The name of a node's lease.
fn name(node: &str) -> String {
    format!("pollux-{node}")
}

fn now() -> MicroTime {
    MicroTime(jiff::Timestamp::now())
}

fn seconds(lease: Duration) -> i32 {
    i32::try_from(lease.as_secs()).unwrap_or(i32::MAX)
}

/// Renews the sensor's lease, which is made if it is not there.
pub(super) async fn hold(leases: &Api<Lease>, holding: &Holding) -> kube::Result<()> {
    let name = name(&holding.node);
    let held = match leases.get_opt(&name).await? {
        Some(held) => held,
        None if holding.released => return Ok(()),
        None => {
            let labels = BTreeMap::from([(LABEL.to_owned(), "sensor".to_owned())]);
            let metadata =
                ObjectMeta { name: Some(name), labels: Some(labels), ..ObjectMeta::default() };
            let lease = filled(Lease { metadata, spec: None }, holding);
            return leases.create(&PostParams::default(), &lease).await.map(drop);
        }
    };
    leases.replace(&name, &PostParams::default(), &filled(held, holding)).await.map(drop)
}

fn filled(mut lease: Lease, holding: &Holding) -> Lease {
    lease.metadata.managed_fields = None;
    let annotations = lease.metadata.annotations.get_or_insert_default();
    match &holding.report {
        Some(report) => annotations.insert(REPORT.to_owned(), report.clone()),
        None => annotations.remove(REPORT),
    };
    let spec = lease.spec.get_or_insert_default();
    if spec.acquire_time.is_none() {
        spec.acquire_time = Some(now());
    }
    spec.holder_identity = (!holding.released).then(|| holding.node.clone());
    spec.lease_duration_seconds = Some(seconds(holding.lease));
    spec.renew_time = Some(now());
    lease
}

/// The election: whoever holds the leader's lease leads, and whoever sees it unchanged for as long as
/// it holds may take it.
#[derive(Debug, Default)]
pub(super) struct Election {
    /// The leader's lease as it was last seen, and since when it is so.
    seen: Option<(Option<String>, Option<MicroTime>, Instant)>,
    /// Until when this sensor leads, unless it renews.
    until: Option<Instant>,
}

impl Election {
    /// Does this sensor lead?
    pub(super) fn leads(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Renews, takes, or watches.
    pub(super) async fn turn(
        &mut self,
        leases: &Api<Lease>,
        me: &str,
        length: Duration,
    ) -> kube::Result<()> {
        let begin = Instant::now();
        let Some(held) = leases.get_opt(LEADER).await? else {
            let metadata = ObjectMeta { name: Some(LEADER.to_owned()), ..ObjectMeta::default() };
            let spec = Some(LeaseSpec {
                holder_identity: Some(me.to_owned()),
                lease_duration_seconds: Some(seconds(length)),
                acquire_time: Some(now()),
                renew_time: Some(now()),
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            });
            let lease = Lease { metadata, spec };
            let made = leases.create(&PostParams::default(), &lease).await;
            return self.settle(made.map(drop), begin, length);
        };
        let spec = held.spec.clone().unwrap_or_default();
        if !self.may_take(&spec, me, begin) {
            self.until = None;
            return Ok(());
        }
        let is_mine = spec.holder_identity.as_deref() == Some(me);
        let mut lease = held;
        lease.metadata.managed_fields = None;
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(me.to_owned()),
            lease_duration_seconds: Some(seconds(length)),
            acquire_time: if is_mine { spec.acquire_time } else { Some(now()) },
            renew_time: Some(now()),
            lease_transitions: Some(
                spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(!is_mine)),
            ),
            ..LeaseSpec::default()
        });
        let taken = leases.replace(LEADER, &PostParams::default(), &lease).await;
        self.settle(taken.map(drop), begin, length)
    }

    /// Is the lease this sensor's, nobody's, or of one that has been silent for too long?
    fn may_take(&mut self, spec: &LeaseSpec, me: &str, now: Instant) -> bool {
        let (holder, renewed) = (spec.holder_identity.clone(), spec.renew_time.clone());
        let since = match &self.seen {
            Some((a, b, since)) if *a == holder && *b == renewed => *since,
            _ => {
                self.seen = Some((holder.clone(), renewed, now));
                now
            }
        };
        let length = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        match holder.as_deref() {
            None | Some("") => true,
            Some(holder) if holder == me => true,
            Some(_) => now.duration_since(since) > Duration::from_secs(length),
        }
    }

    /// Another that came first is no failure.
    fn settle(
        &mut self,
        result: kube::Result<()>,
        begin: Instant,
        length: Duration,
    ) -> kube::Result<()> {
        match result {
            Ok(()) => {
                self.until = Some(begin + length);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives the leader's lease back, if it is held.
    pub(super) async fn resign(&mut self, leases: &Api<Lease>, me: &str) -> kube::Result<()> {
        if self.until.take().is_none() {
            return Ok(());
        }
        let Some(mut held) = leases.get_opt(LEADER).await? else { return Ok(()) };
        held.metadata.managed_fields = None;
        let spec = held.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(me) {
            return Ok(());
        }
        spec.holder_identity = None;
        leases.replace(LEADER, &PostParams::default(), &held).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(holder: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(30),
            renew_time: Some(MicroTime(jiff::Timestamp::from_second(renewed).expect("a time"))),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_taken_by_the_own_clock_only() {
        let mut election = Election::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        // Of a holder whose clock is years behind.
        assert!(!election.may_take(&spec("b", 0), "a", start));
        assert!(!election.may_take(&spec("b", 0), "a", after(30)));
        assert!(!election.may_take(&spec("b", 1), "a", after(40)), "renewed");
        assert!(election.may_take(&spec("b", 1), "a", after(71)));
        assert!(election.may_take(&spec("a", 0), "a", after(72)), "its own");
        assert!(election.may_take(&spec("", 0), "a", after(72)), "given back");
    }

    #[test]
    fn a_leader_that_cannot_renew_leads_no_longer() {
        let mut election = Election::default();
        let start = Instant::now();
        election.settle(Ok(()), start, Duration::from_secs(30)).expect("settled");
        assert!(election.leads(start + Duration::from_secs(29)));
        assert!(!election.leads(start + Duration::from_secs(30)));
    }
}
