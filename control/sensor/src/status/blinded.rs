//! What keeps a part of one resource's traffic from being inspected, found in the ledger: what
//! overloaded cores shed, packets that are cut, directions that are not mirrored, losses.

use std::collections::BTreeMap;

use api::dpi::Time;
use engine::tally::Tally;

use super::conditions::{Check, Condition, Facts};
use super::share::Share;
use crate::bypass::ledger::Bypassed;

/// Resources of which a part goes uninspected, and since when.
#[derive(Debug, Default)]
pub(super) struct Blinded {
    resources: BTreeMap<(String, String), Sight>,
    /// Packets shed at all, at the last word in the log.
    logged: u64,
}

/// What was seen of one resource.
#[derive(Debug, Default)]
struct Sight {
    cut_since: Option<Time>,
    shed_since: Option<Time>,
    bypassed_since: Option<Time>,
    losses: Share<1_000_000, 1>,
    one_sided: Share<4, 50>,
}

/// Told where at least one byte in a hundred was lost.
const LOSSES: &str = "at least 1 % of the bytes of TCP connections were acknowledged but never seen: \
     the mirror, or the port's queue, loses packets; see missed_bytes and imissed in the ledger";

/// Told where most connections have one side only.
const ONE_SIDED: &str = "of most TCP connections one direction only is seen: have the mirror copy what is \
     received and what is sent";

impl Check for Blinded {
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        self.log(facts);
        let mut all = Vec::new();
        for ledger in &facts.ledger.resources {
            let key = (ledger.namespace.clone(), ledger.name.clone());
            let sight = self.resources.entry(key.clone()).or_default();
            let told = sight.look(&ledger.tally, ledger.bypassed, facts.now);
            all.extend(told.into_iter().map(|message| Condition::of(key.clone(), message)));
        }
        all
    }
}

impl Blinded {
    /// Says in the log that cores are overloaded: at first, and whenever it is ten times as much.
    fn log(&mut self, facts: &Facts<'_>) {
        let drops = facts.ledger.drops();
        let of = |reason| drops.get(reason).copied().unwrap_or(0);
        let (elephants, new_flows) = (of("shed_elephant"), of("shed_new_flow"));
        let shed = elephants + new_flows;
        if shed >= self.logged.saturating_mul(10).max(1) {
            self.logged = shed;
            tracing::warn!(
                "a core cannot keep up: {elephants} packets of long flows and {new_flows} of {} \
                 whole new flows were not inspected so far; add queues and cores",
                facts.ledger.flows.shed
            );
        }
    }
}

impl Sight {
    /// What is wrong. Texts change only with orders of magnitude.
    fn look(&mut self, tally: &Tally, bypassed: Bypassed, now: Time) -> Vec<String> {
        let mut told = Vec::new();
        let mut since = |begin: &mut Option<Time>, count: u64, what: &str, advice: &str| {
            if count > 0 {
                let since = *begin.get_or_insert(now);
                let count = 10_u64.pow(count.ilog10());
                told.push(format!("at least {count} {what} since {since}: {advice}"));
            }
        };
        since(
            &mut self.cut_since,
            tally.cut_packets,
            "packets captured in part and inspected as far as they go",
            "have the mirror copy whole packets",
        );
        since(
            &mut self.shed_since,
            tally.shed_packets,
            "packets not inspected",
            "a core is overloaded; add queues and cores",
        );
        since(
            &mut self.bypassed_since,
            bypassed.flows,
            "long flows not inspected because the NIC drops them",
            "a core is overloaded; add queues and cores",
        );
        if self.losses.look(tally.missed_bytes, tally.tcp_bytes) {
            told.push(LOSSES.to_owned());
        }
        if self.one_sided.look(tally.one_sided_flows, tally.tcp_flows) {
            told.push(ONE_SIDED.to_owned());
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ledger::{Ledger, ResourceLedger};
    use crate::status::Checks;

    /// What is told of `shop/web` with this ledger.
    fn told(checks: &mut Checks, web: &Tally, second: i64) -> Vec<String> {
        told_with(checks, web, Bypassed::default(), second)
    }

    fn told_with(checks: &mut Checks, web: &Tally, bypassed: Bypassed, second: i64) -> Vec<String> {
        let named = |name: &str, tally, bypassed| ResourceLedger {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            tally,
            bypassed,
        };
        let api = named("api", Tally::default(), Bypassed::default());
        let resources = vec![api, named("web", *web, bypassed)];
        let ledger = Ledger { resources, ..Ledger::default() };
        let now = Time::from_second(second);
        let facts = Facts { ledger: &ledger, ports: &[], state: &[], source: &[], now };
        let conditions = checks.look(&facts);
        assert!(!conditions.iter().any(|it| it.concerns("shop", "api")), "{conditions:?}");
        conditions.into_iter().map(|it| it.message).collect()
    }

    #[test]
    fn a_resource_whose_packets_are_shed_is_told_of_it_and_no_other_is() {
        let mut checks = Checks::standard();
        let shed = |n| Tally { shed_packets: n, ..Tally::default() };
        assert!(told(&mut checks, &shed(0), 0).is_empty());
        let first = told(&mut checks, &shed(40), 60);
        assert_eq!(first.len(), 1);
        assert!(
            first[0].starts_with("at least 10 packets not inspected since 1970-01-01T00:01:00Z")
        );
        assert_eq!(told(&mut checks, &shed(99), 120), first, "nothing new to say");
        assert_ne!(told(&mut checks, &shed(100), 180), first);
    }

    #[test]
    fn a_resource_whose_flows_the_nic_drops_is_told_of_it() {
        let mut checks = Checks::standard();
        let shed = Tally { shed_packets: 40, ..Tally::default() };
        let bypassed = Bypassed { flows: 3, ..Bypassed::default() };
        let told = told_with(&mut checks, &shed, bypassed, 60);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[1].starts_with("at least 1 long flows not inspected because the NIC drops them")
        );
    }

    #[test]
    fn what_the_mirror_does_to_a_resource_is_told_and_taken_back() {
        let mut checks = Checks::standard();
        let seen = |one_sided, flows, missed, bytes| Tally {
            tcp_flows: flows,
            one_sided_flows: one_sided,
            missed_bytes: missed,
            tcp_bytes: bytes,
            ..Tally::default()
        };
        assert!(
            told(&mut checks, &seen(3, 3, 9_000, 900_000), 0).is_empty(),
            "too little to judge"
        );
        let now = told(&mut checks, &seen(5, 6, 20_000, 1_500_000), 1);
        assert_eq!(now, [LOSSES, ONE_SIDED]);
        assert_eq!(
            told(&mut checks, &seen(5, 7, 20_000, 1_600_000), 2),
            now,
            "nothing new to judge by"
        );
        let mended = told(&mut checks, &seen(6, 40, 20_001, 9_000_000), 3);
        assert!(mended.is_empty(), "{mended:?}");
        let cut = Tally { cut_packets: 12, ..seen(6, 40, 20_001, 9_000_000) };
        let now = told(&mut checks, &cut, 4);
        assert!(now[0].starts_with("at least 10 packets captured in part"), "{now:?}");
    }
}
