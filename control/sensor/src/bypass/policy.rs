//! Which flows the NIC drops, and for how long: made when a core asks, taken away once pressure has
//! eased, the flow has been idle, or the rule has lived for long enough.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use dpdk::{DropRule, DropRules, Dropped, FlowError, FlowTuple, RuleScope};
use engine::bypass::Elephant;

use super::ledger::{BypassLedger, Bypassed, PortBypass};

/// How long no core must have been under pressure before flows are received again.
pub(super) const CALM: Duration = Duration::from_secs(5);

/// How long it takes from then on to one step more: an eighth of them, the oldest first, so that all
/// of them do not come back at once.
const STEP: Duration = Duration::from_secs(1);
const STEPS: usize = 8;

/// How long nothing of a flow must have been dropped, where that is counted, until it is idle.
const IDLE: Duration = Duration::from_secs(10);

/// How often rules are asked what they have dropped.
const LOOK: Duration = Duration::from_secs(1);

/// How long a port is left alone that has refused a rule.
const REFUSED: Duration = Duration::from_secs(1);

/// Resources that are told apart at the most.
const RESOURCES: usize = 10_000;

/// A resource's namespace and name.
pub(super) type ResourceName = (String, String);

/// Whoever makes rules on a port.
pub(super) trait Maker {
    /// What it makes.
    type Made: Made;

    /// Has one direction of a flow dropped.
    fn make(&mut self, flow: &FlowTuple) -> Result<Self::Made, FlowError>;
}

/// A rule in force.
pub(super) trait Made {
    /// What it touches, and whether it counts.
    fn scope(&self) -> RuleScope;

    /// What it has dropped; None: that is not counted.
    fn dropped(&self) -> Result<Option<Dropped>, FlowError>;

    /// Takes it away.
    fn remove(self) -> Result<(), FlowError>;
}

impl Maker for DropRules {
    type Made = DropRule;

    fn make(&mut self, flow: &FlowTuple) -> Result<DropRule, FlowError> {
        Self::make(self, flow)
    }
}

impl Made for DropRule {
    fn scope(&self) -> RuleScope {
        Self::scope(self)
    }

    fn dropped(&self) -> Result<Option<Dropped>, FlowError> {
        Self::dropped(self)
    }

    fn remove(self) -> Result<(), FlowError> {
        Self::remove(self)
    }
}

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Flows that are dropped at a time at the most.
    pub(super) flows: usize,
    /// How long a flow is dropped at the most.
    pub(super) life: Duration,
}

/// A port that can drop flows, or not.
#[derive(Debug)]
struct Port<M> {
    name: String,
    maker: Option<M>,
    told: PortBypass,
    /// It has refused a rule and is left alone until then.
    resting: Duration,
}

/// A flow that is dropped.
#[derive(Debug)]
struct InForce<R> {
    since: Duration,
    /// When something of it was dropped last, as far as that is counted.
    moved: Duration,
    /// Everything that drops it counts.
    counted: bool,
    rules: Vec<(usize, R, Dropped)>,
    resources: Vec<ResourceName>,
}

/// Why a flow is received again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Eased,
    Idle,
    Life,
    Stopped,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Eased => "eased",
            Self::Idle => "idle",
            Self::Life => "life",
            Self::Stopped => "stopped",
        }
    }
}

/// All flows that are dropped. Times are since the start.
#[derive(Debug)]
pub(super) struct Table<M: Maker> {
    bounds: Bounds,
    ports: Vec<Port<M>>,
    flows: HashMap<Elephant, InForce<M::Made>>,
    totals: BypassLedger,
    resources: BTreeMap<ResourceName, Bypassed>,
    pressed: Duration,
    stepped: Duration,
    looked: Duration,
}

impl<M: Maker> Table<M> {
    /// Nothing is dropped yet. A maker for each port, or why it has none.
    pub(super) fn new(
        bounds: Bounds,
        ports: impl IntoIterator<Item = (String, Result<(M, RuleScope), FlowError>)>,
    ) -> Self {
        let ports = ports.into_iter().map(|(name, maker)| {
            let told = PortBypass::of(maker.as_ref().map(|(_, scope)| *scope));
            Port { name, maker: maker.ok().map(|(maker, _)| maker), told, resting: Duration::ZERO }
        });
        Self {
            bounds,
            ports: ports.collect(),
            flows: HashMap::new(),
            totals: BypassLedger::default(),
            resources: BTreeMap::new(),
            pressed: Duration::ZERO,
            stepped: Duration::ZERO,
            looked: Duration::ZERO,
        }
    }

    /// Can any port drop flows?
    pub(super) fn can(&self) -> bool {
        self.ports.iter().any(|port| port.maker.is_some())
    }

    /// A core has shed a packet of this flow and asks that the NICs drop it. On every port: the two
    /// directions of a tap come through two, and cores take packets of each other's ports.
    pub(super) fn ask(
        &mut self,
        elephant: Elephant,
        now: Duration,
        resources: impl FnOnce(&Elephant) -> Vec<ResourceName>,
    ) {
        let elephant = elephant.normal();
        if self.flows.contains_key(&elephant) {
            return;
        }
        if self.flows.len() >= self.bounds.flows {
            self.totals.beyond_limit += 1;
            return;
        }
        let ways = [Some(elephant), elephant.both.then(|| elephant.back())];
        let mut rules = Vec::new();
        for (number, port) in self.ports.iter_mut().enumerate() {
            for way in ways.into_iter().flatten() {
                rules.extend(port.make(&way, now).map(|rule| (number, rule, Dropped::default())));
            }
        }
        if rules.is_empty() {
            return;
        }
        let counted = rules.iter().all(|(_, rule, _)| rule.scope().counted);
        let resources = resources(&elephant);
        for name in &resources {
            if let Some(its) = Self::resource(&mut self.resources, name) {
                its.flows += 1;
            }
        }
        let flow = InForce { since: now, moved: now, counted, rules, resources };
        self.flows.insert(elephant, flow);
        self.totals.begun += 1;
        if self.totals.begun.at_power_of_ten() {
            tracing::info!(
                "a core cannot keep up: {} long flows were left to NICs to drop so far",
                self.totals.begun
            );
        }
    }

    /// Time passes; `pressed`: a core is, or was a moment ago, under pressure.
    pub(super) fn pass_time(&mut self, now: Duration, pressed: bool) {
        if pressed {
            self.pressed = now;
        }
        if now.saturating_sub(self.looked) >= LOOK {
            self.looked = now;
            self.look(now);
        }
        let Bounds { life, .. } = self.bounds;
        self.end_those(|flow| {
            if now.saturating_sub(flow.since) >= life {
                Some(End::Life)
            } else if flow.counted && now.saturating_sub(flow.moved) >= IDLE {
                Some(End::Idle)
            } else {
                None
            }
        });
        if now.saturating_sub(self.pressed) >= CALM && now.saturating_sub(self.stepped) >= STEP {
            self.stepped = now;
            let mut oldest: Vec<Duration> = self.flows.values().map(|flow| flow.since).collect();
            oldest.sort_unstable();
            let step = oldest.len().div_ceil(STEPS);
            if let Some(&youngest) = step.checked_sub(1).and_then(|at| oldest.get(at)) {
                self.end_those(|flow| (flow.since <= youngest).then_some(End::Eased));
            }
        }
    }

    /// Everything is received again.
    pub(super) fn stop(&mut self, now: Duration) {
        self.look(now);
        self.end_those(|_| Some(End::Stopped));
    }

    /// What there is to tell.
    pub(super) fn told(&self) -> (BypassLedger, Vec<PortBypass>, BTreeMap<ResourceName, Bypassed>) {
        let totals = BypassLedger { flows: self.flows.len() as u64, ..self.totals.clone() };
        let mut ports: Vec<_> = self.ports.iter().map(|port| port.told.clone()).collect();
        for (number, ..) in self.flows.values().flat_map(|flow| &flow.rules) {
            if let Some(port) = ports.get_mut(*number) {
                port.rules += 1;
            }
        }
        (totals, ports, self.resources.clone())
    }

    fn end_those(&mut self, why: impl Fn(&InForce<M::Made>) -> Option<End>) {
        let ended = self.flows.iter().filter_map(|(key, flow)| Some((*key, why(flow)?)));
        let ended: Vec<_> = ended.collect();
        for (key, end) in ended {
            let Some(mut flow) = self.flows.remove(&key) else { continue };
            // What was dropped since the last look.
            self.look_at(&mut flow, Duration::ZERO);
            *self.totals.ended.entry(end.name().to_owned()).or_default() += 1;
            for (number, rule, _) in flow.rules {
                if let Err(error) = rule.remove()
                    && let Some(port) = self.ports.get_mut(number)
                {
                    port.told.stuck += 1;
                    if port.told.stuck.at_power_of_ten() {
                        tracing::warn!("{}: {error}", port.name);
                    }
                }
            }
        }
    }

    /// Asks all rules what they have dropped.
    fn look(&mut self, now: Duration) {
        let mut flows = std::mem::take(&mut self.flows);
        for flow in flows.values_mut() {
            self.look_at(flow, now);
        }
        self.flows = flows;
    }

    fn look_at(&mut self, flow: &mut InForce<M::Made>, now: Duration) {
        for (number, rule, seen) in &mut flow.rules {
            let Ok(Some(dropped)) = rule.dropped() else { continue };
            let packets = dropped.packets.saturating_sub(seen.packets);
            let bytes = dropped.bytes.saturating_sub(seen.bytes);
            *seen = dropped;
            if packets == 0 {
                continue;
            }
            flow.moved = now;
            if let Some(port) = self.ports.get_mut(*number) {
                *port.told.packets.get_or_insert(0) += packets;
                *port.told.bytes.get_or_insert(0) += bytes;
            }
            for name in &flow.resources {
                if let Some(its) = Self::resource(&mut self.resources, name) {
                    its.packets += packets;
                    its.bytes += bytes;
                }
            }
        }
    }

    fn resource<'a>(
        resources: &'a mut BTreeMap<ResourceName, Bypassed>,
        name: &ResourceName,
    ) -> Option<&'a mut Bypassed> {
        if resources.len() >= RESOURCES && !resources.contains_key(name) {
            return None;
        }
        Some(resources.entry(name.clone()).or_default())
    }
}

impl<M: Maker> Port<M> {
    fn make(&mut self, way: &Elephant, now: Duration) -> Option<M::Made> {
        if now < self.resting {
            return None;
        }
        let tuple = FlowTuple { src: way.src, dst: way.dst, tcp: way.tcp, vlan: way.vlan };
        match self.maker.as_mut()?.make(&tuple) {
            Ok(rule) => {
                self.told.made += 1;
                Some(rule)
            }
            Err(error) => {
                self.resting = now + REFUSED;
                self.told.refused += 1;
                if self.told.refused.at_power_of_ten() {
                    tracing::warn!(
                        "{}: {} rules for long flows were refused, at last: {error}",
                        self.name,
                        self.told.refused
                    );
                }
                None
            }
        }
    }
}

/// What is said at first and at each tenfold.
trait Tenfold {
    fn at_power_of_ten(self) -> bool;
}

impl Tenfold for u64 {
    fn at_power_of_ten(self) -> bool {
        self > 0 && 10_u64.pow(self.ilog10()) == self
    }
}

#[cfg(test)]
mod tests;
