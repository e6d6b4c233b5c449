//! What troubles the sensor as a whole, found by checks that anybody may add: each looks at the
//! facts once a second and says what a person can act on.

use std::collections::BTreeMap;

use api::dpi::Time;

use super::blinded::Blinded;
use super::mirrors::Mirrors;
use crate::output::ledger::Ledger;

/// Something that is wrong with the sensor as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is wrong and what to do. Equal as long as nothing changes that people need to know: a
    /// number that counts on would write the status with every packet.
    pub message: String,
    /// No traffic can be inspected: no resource is active.
    pub stops_inspection: bool,
    /// The only resource that it is told of, by namespace and name; `None`: all are.
    pub only: Option<(String, String)>,
}

impl Condition {
    /// A condition beside which inspection goes on.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), stops_inspection: false, only: None }
    }

    /// A condition that keeps traffic from being inspected.
    pub fn stopping(message: impl Into<String>) -> Self {
        Self { stops_inspection: true, ..Self::new(message) }
    }

    /// A condition of one resource.
    pub fn of(resource: (String, String), message: impl Into<String>) -> Self {
        Self { only: Some(resource), ..Self::new(message) }
    }

    /// Is it told of this resource?
    pub fn concerns(&self, namespace: &str, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.0 == namespace && only.1 == name)
    }
}

/// A port, as far as its link goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFact {
    /// Its name in ledger and log.
    pub name: String,
    /// Whether its link is up; `None`: nobody can tell.
    pub up: Option<bool>,
}

/// What checks look at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The ledger as it stands.
    pub ledger: &'a Ledger,
    /// The ports.
    pub ports: &'a [PortFact],
    /// What is wrong with rules and resources as a whole.
    pub state: &'a [String],
    /// What is wrong with the cluster's API; also what no status can say while it lasts.
    pub source: &'a [String],
    /// Now.
    pub now: Time,
}

/// A check.
pub trait Check: Send {
    /// What is wrong now, the worst last: of many conditions the last are told.
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition>;
}

/// All checks, in the order in which their conditions are told.
#[derive(Default)]
pub struct Checks(Vec<Box<dyn Check>>);

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Checks").field(&self.0.len()).finish()
    }
}

impl Checks {
    /// The sensor's own.
    pub fn standard() -> Self {
        let mut checks = Self::default();
        checks.add(StateFaults);
        checks.add(Overlays);
        checks.add(Mirrors::default());
        checks.add(Blinded::default());
        checks.add(Losses::default());
        checks.add(PortsDown);
        checks
    }

    /// Adds one.
    pub fn add(&mut self, check: impl Check + 'static) {
        self.0.push(Box::new(check));
    }

    /// What is wrong now.
    pub fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        self.0.iter_mut().flat_map(|check| check.look(facts)).collect()
    }
}

/// Rules that do not load, sources that cannot be read.
#[derive(Debug)]
struct StateFaults;

impl Check for StateFaults {
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        facts.state.iter().map(Condition::new).collect()
    }
}

/// Encrypted overlays that are named at the most.
const MOST_OVERLAYS: usize = 8;

/// Encrypted overlays between nodes, which nobody can look into.
#[derive(Debug)]
struct Overlays;

impl Check for Overlays {
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        let overlays = &facts.ledger.opaque;
        let more = overlays.len().saturating_sub(MOST_OVERLAYS);
        let more = (more > 0)
            .then(|| Condition::new(format!("{more} more encrypted overlays are not inspected")));
        let named = overlays.iter().take(MOST_OVERLAYS).map(|overlay| {
            let (first, second, kind) = (overlay.first, overlay.second, &overlay.kind);
            Condition::new(format!(
                "encrypted overlay between {first} and {second} is not inspected ({kind}): mirror \
                 the pods' interfaces instead of the nodes'"
            ))
        });
        more.into_iter().chain(named).collect()
    }
}

/// Ports without a link.
#[derive(Debug)]
struct PortsDown;

impl Check for PortsDown {
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        let down = facts.ports.iter().filter(|port| port.up == Some(false));
        down.map(|port| {
            let name = &port.name;
            Condition::stopping(format!(
                "port {name} is down: no traffic reaches the sensor; check its cable, the switch's \
                 mirror session, and `ip link set {name} up`; an interface that was made anew needs \
                 the sensor started anew"
            ))
        })
        .collect()
    }
}

/// What was lost on this node, each kind since when.
#[derive(Debug, Default)]
struct Losses {
    since: BTreeMap<String, Time>,
}

impl Check for Losses {
    fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
        let lost = losses(facts.ledger);
        let say = |(count, what): (u64, String)| {
            let since = *self.since.entry(what.clone()).or_insert(facts.now);
            // Orders of magnitude, so that a loss that goes on does not rewrite the status.
            let count = 10_u64.pow(count.ilog10());
            let (what, advice) = what.split_once(": ").unwrap_or((&what, ""));
            Condition::new(format!("at least {count} {what} since {since}: {advice}"))
        };
        lost.into_iter().map(say).collect()
    }
}

/// Rules set aside that are named at the most.
const MOST_NAMED: usize = 5;

/// What was lost and what to do about it, with how much; only what is not zero.
fn losses(ledger: &Ledger) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut say = |count: u64, what: String| {
        if count > 0 {
            all.push((count, what));
        }
    };
    for port in &ledger.ports {
        let name = &port.name;
        say(
            port.nic.imissed.unwrap_or(0),
            format!("packets lost by {name} before a core took them: add queues and cores"),
        );
        say(
            port.nic.rx_nombuf.unwrap_or(0),
            format!("times no packet buffer was left for {name}: enlarge its pool"),
        );
    }
    for rule in ledger.trouble.rules_set_aside.keys().take(MOST_NAMED) {
        say(1, format!("time rule {rule} was set aside for its cost: see the log"));
    }
    let drops = ledger.drops();
    for (reason, what) in [
        ("hand_over_full", "packets lost between cores: a core is overloaded"),
        ("stream_memcap", "packets not reassembled: raise the streams' memcap"),
        ("fragment_memcap", "fragments not reassembled: raise the defragmenter's memcap"),
        ("worker_panic", "packets lost to a defect of the sensor: see its log"),
    ] {
        say(drops.get(reason).copied().unwrap_or(0), what.to_owned());
    }
    for (reason, what) in [
        ("ring_full", "alerts lost on their way from the cores: too many rules match"),
        ("write_error", "alerts not written: is the disk of eve.json full?"),
    ] {
        say(ledger.alerts.lost.get(reason).copied().unwrap_or(0), what.to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ledger::{NicCounters, OpaqueLedger, PortLedger};

    fn ledger(missed: u64) -> Ledger {
        let nic = NicCounters { imissed: Some(missed), ..NicCounters::default() };
        let port = PortLedger { name: "eth1".to_owned(), nic, ..PortLedger::default() };
        Ledger { ports: vec![port], ..Ledger::default() }
    }

    fn look(checks: &mut Checks, ledger: &Ledger, up: Option<bool>, second: i64) -> Vec<Condition> {
        let ports = [PortFact { name: "eth1".to_owned(), up }];
        let state = ["2 rules do not load".to_owned()];
        let now = Time::from_second(second);
        checks.look(&Facts { ledger, ports: &ports, state: &state, source: &[], now })
    }

    #[test]
    fn a_loss_says_since_when_and_its_message_stays_while_it_goes_on() {
        let mut checks = Checks::standard();
        assert_eq!(look(&mut checks, &ledger(0), Some(true), 0).len(), 1);
        let first = look(&mut checks, &ledger(12), None, 100);
        let text = &first[1].message;
        assert!(text.starts_with("at least 10 packets lost by eth1"), "{text}");
        assert!(text.contains("since 1970-01-01T00:01:40Z: add queues"), "{text}");
        assert_eq!(look(&mut checks, &ledger(99), None, 200), first);
        assert_ne!(look(&mut checks, &ledger(100), None, 300), first);
    }

    #[test]
    fn encrypted_overlays_are_named_by_their_ends_up_to_a_bound() {
        let overlay = OpaqueLedger {
            first: [192, 0, 2, 1].into(),
            second: [192, 0, 2, 2].into(),
            kind: "WireGuard".to_owned(),
            packets: 7,
        };
        let ledger = Ledger { opaque: vec![overlay; MOST_OVERLAYS + 2], ..Ledger::default() };
        let told = look(&mut Checks::standard(), &ledger, Some(true), 0);
        let told: Vec<&str> = told.iter().map(|condition| condition.message.as_str()).collect();
        assert_eq!(told.len(), 2 + MOST_OVERLAYS);
        assert_eq!(told[1], "2 more encrypted overlays are not inspected");
        let one = "encrypted overlay between 192.0.2.1 and 192.0.2.2 is not inspected (WireGuard)";
        assert!(told[2].starts_with(one), "{}", told[2]);
    }

    #[test]
    fn a_port_without_a_link_stops_inspection() {
        let mut checks = Checks::standard();
        let conditions = look(&mut checks, &ledger(0), Some(false), 0);
        let [rules, port] = &conditions[..] else { panic!("{conditions:?}") };
        assert!(!rules.stops_inspection && port.stops_inspection);
        assert!(port.message.contains("eth1"));
    }

    #[test]
    fn a_check_of_somebody_else_is_asked_too() {
        struct Odd;
        impl Check for Odd {
            fn look(&mut self, facts: &Facts<'_>) -> Vec<Condition> {
                vec![Condition::new(format!("{} ports", facts.ports.len()))]
            }
        }
        let mut checks = Checks::standard();
        checks.add(Odd);
        let conditions = look(&mut checks, &ledger(0), None, 0);
        assert_eq!(conditions.last(), Some(&Condition::new("1 ports")));
    }
}
