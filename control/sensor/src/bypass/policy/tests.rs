use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

/// A NIC whose rules can be looked at from outside.
#[derive(Debug, Default)]
struct Nic {
    /// Directions that it drops, with the packets that it has dropped of each.
    rules: RefCell<HashMap<FlowTuple, u64>>,
    room: Cell<usize>,
    counts: Cell<bool>,
    /// Calls to make a rule.
    asked: Cell<usize>,
}

#[derive(Debug)]
struct On(Rc<Nic>);

#[derive(Debug)]
struct Rule(Rc<Nic>, FlowTuple);

fn error(code: i32) -> FlowError {
    FlowError {
        driver: "net_test".to_owned(),
        what: "have a flow dropped",
        reason: "no".to_owned(),
        code: Some(code),
    }
}

impl Maker for On {
    type Made = Rule;

    fn make(&mut self, flow: &FlowTuple) -> Result<Rule, FlowError> {
        self.0.asked.set(self.0.asked.get() + 1);
        let mut rules = self.0.rules.borrow_mut();
        if rules.len() >= self.0.room.get() {
            return Err(error(28));
        }
        assert!(rules.insert(*flow, 0).is_none(), "{flow:?} is dropped already");
        Ok(Rule(Rc::clone(&self.0), *flow))
    }
}

impl Made for Rule {
    fn scope(&self) -> RuleScope {
        RuleScope { counted: self.0.counts.get(), keeps_ends: false, tells_tags: true }
    }

    fn dropped(&self) -> Result<Option<Dropped>, FlowError> {
        let packets = self.0.rules.borrow()[&self.1];
        Ok(self.0.counts.get().then_some(Dropped { packets, bytes: 100 * packets }))
    }

    fn remove(self) -> Result<(), FlowError> {
        let known = self.0.rules.borrow_mut().remove(&self.1);
        known.map(|_| ()).ok_or_else(|| error(2))
    }
}

fn table(flows: usize, nics: &[&Rc<Nic>]) -> Table<On> {
    let ports = nics.iter().map(|&nic| {
        let counted = nic.counts.get();
        let scope = RuleScope { counted, keeps_ends: false, tells_tags: true };
        ("eth1".to_owned(), Ok((On(Rc::clone(nic)), scope)))
    });
    Table::new(Bounds { flows, life: Duration::from_secs(60) }, ports)
}

fn nic(counts: bool) -> Rc<Nic> {
    let nic = Nic::default();
    nic.room.set(usize::MAX);
    nic.counts.set(counts);
    Rc::new(nic)
}

fn elephant(port: u16) -> Elephant {
    let at = |last: u8, port| SocketAddr::from(([10, 0, 0, last], port));
    Elephant { src: at(1, port), dst: at(2, 80), tcp: true, vlan: None, both: true }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn web(_: &Elephant) -> Vec<ResourceName> {
    vec![("shop".to_owned(), "web".to_owned())]
}

#[test]
fn both_directions_are_dropped_on_every_port_once_and_told_with_what_is_counted() {
    let (counting, other) = (nic(true), nic(false));
    let mut table = table(10, &[&counting, &other]);
    table.ask(elephant(5), at(0), web);
    table.ask(elephant(5).back(), at(1), web);
    for nic in [&counting, &other] {
        assert_eq!(nic.rules.borrow().len(), 2);
    }
    counting.rules.borrow_mut().values_mut().for_each(|dropped| *dropped = 7);
    table.pass_time(at(2), true);
    let (totals, ports, resources) = table.told();
    assert_eq!((totals.flows, totals.begun), (1, 1));
    assert_eq!((ports[0].rules, ports[0].packets, ports[0].bytes), (2, Some(14), Some(1400)));
    assert_eq!((ports[1].rules, ports[1].packets), (2, None));
    let its = resources[&web(&elephant(5))[0]];
    assert_eq!((its.flows, its.packets, its.bytes), (1, 14, 1400));
    // What is dropped after the last look is in the count, too.
    counting.rules.borrow_mut().values_mut().for_each(|dropped| *dropped = 9);
    table.stop(at(3));
    let (totals, ports, _) = table.told();
    assert_eq!((totals.flows, totals.ended["stopped"]), (0, 1));
    assert_eq!((ports[0].rules, ports[0].made, ports[0].packets), (0, 2, Some(18)));
    assert!(counting.rules.borrow().is_empty() && other.rules.borrow().is_empty());
}

#[test]
fn flows_come_back_little_by_little_once_it_has_been_calm_for_a_while_the_oldest_first() {
    let nic = nic(false);
    let mut table = table(100, &[&nic]);
    for port in 0..16 {
        table.ask(elephant(port), Duration::from_millis(u64::from(port)), |_| Vec::new());
    }
    table.pass_time(at(10), true);
    table.pass_time(at(14), false);
    assert_eq!(table.flows.len(), 16, "not calm for long enough");
    table.pass_time(at(15), false);
    let is_dropped = |port: u16| nic.rules.borrow().keys().any(|it| it.src.port() == port);
    assert!(!is_dropped(0) && !is_dropped(1) && is_dropped(2));
    table.pass_time(at(15) + STEP / 2, false);
    assert_eq!(table.flows.len(), 14);
    table.pass_time(at(16), false);
    assert_eq!(table.flows.len(), 12);
    table.pass_time(at(17), true);
    table.pass_time(at(18), false);
    assert_eq!(table.flows.len(), 12, "pressure has come back");
    for second in 22..40 {
        table.pass_time(at(second), false);
    }
    assert_eq!((table.flows.len(), table.told().0.ended["eased"]), (0, 16));
    assert!(nic.rules.borrow().is_empty());
}

#[test]
fn a_flow_that_is_idle_comes_back_where_that_can_be_told_and_each_after_its_life() {
    let (counting, other) = (nic(true), nic(false));
    for (nic, after) in [(&counting, 10), (&other, 60)] {
        let mut table = table(10, &[nic]);
        table.ask(elephant(1), at(0), web);
        let mut second = 0;
        while !table.flows.is_empty() {
            second += 1;
            table.pass_time(at(second), true);
        }
        assert_eq!(second, after);
    }
    // One that goes on is not idle, but has its life.
    let mut table = table(10, &[&counting]);
    table.ask(elephant(1), at(0), web);
    for second in 1..60 {
        counting.rules.borrow_mut().values_mut().for_each(|dropped| *dropped += 1);
        table.pass_time(at(second), true);
        assert_eq!(table.flows.len(), 1, "{second}");
    }
    table.pass_time(at(60), true);
    assert_eq!(table.told().0.ended, [("life".to_owned(), 1)].into());
}

#[test]
fn a_nic_that_is_full_is_left_alone_for_a_while_and_what_it_took_is_in_force() {
    let nic = nic(false);
    nic.room.set(3);
    let mut table = table(10, &[&nic]);
    for port in 1..9 {
        table.ask(elephant(port), at(1), web);
    }
    // One direction of the second flow found no room; nobody else was tried.
    assert_eq!((nic.asked.get(), nic.rules.borrow().len(), table.flows.len()), (4, 3, 2));
    table.ask(elephant(8), at(2), web);
    assert_eq!(nic.asked.get(), 5);
    let (totals, ports, _) = table.told();
    assert_eq!((totals.begun, ports[0].made, ports[0].refused), (2, 3, 2));
}

#[test]
fn a_port_that_cannot_says_why_and_makes_nothing() {
    let refusal = error(95);
    let ports: Vec<(String, Result<(On, RuleScope), _>)> =
        vec![("eth1".to_owned(), Err(refusal.clone()))];
    let mut table = Table::new(Bounds { flows: 10, life: at(60) }, ports);
    assert!(!table.can());
    table.ask(elephant(1), at(0), web);
    let (totals, ports, _) = table.told();
    assert_eq!((totals.begun, ports[0].made, ports[0].packets), (0, 0, None));
    assert_eq!(ports[0].refusal.as_deref(), Some(refusal.to_string().as_str()));
}

proptest! {
    /// Whatever is asked and however time passes, the NIC drops what the table says and no more, never
    /// more flows than may be, none longer than its life, and nothing is left at the end.
    #[test]
    fn the_nic_drops_what_the_table_says(
        steps in prop::collection::vec((0_u16..30, any::<bool>(), 0_u64..8, any::<bool>()), 1..200),
        counts in any::<bool>(),
        room in 1_usize..40,
    ) {
        let nic = nic(counts);
        nic.room.set(room);
        let mut table = table(12, &[&nic]);
        let mut now = at(0);
        for (port, back, seconds, pressed) in steps {
            let asked = if back { elephant(port).back() } else { elephant(port) };
            table.ask(asked, now, web);
            now += at(seconds);
            table.pass_time(now, pressed);
            prop_assert!(table.flows.len() <= 12);
            let rules: usize = table.flows.values().map(|flow| flow.rules.len()).sum();
            prop_assert_eq!(rules, nic.rules.borrow().len());
            prop_assert!(table.flows.values().all(|flow| now - flow.since < at(60)));
            let (totals, ports, _) = table.told();
            prop_assert_eq!(totals.begun, totals.flows + totals.ended.values().sum::<u64>());
            prop_assert_eq!(ports[0].rules as usize, rules);
        }
        table.stop(now);
        prop_assert!(nic.rules.borrow().is_empty() && table.flows.is_empty());
    }
}
