//! What tests put packets into: a core of its own, all traffic in its scope.

use std::sync::Arc;

use flow::FlowConfig;
use rtrb::{Consumer, RingBuffer};
use rules::parse::{Context, Names, parse_rules};
use rules::ruleset::Ruleset;

use crate::alert::Alert;
use crate::counters::Counters;
use crate::emit::{Emitter, WhenFull};
use crate::mailbox::Delivery;
use crate::pipeline::{Core, CoreConfig};
use crate::scope::Scope;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// Alerts that a core has room for.
const ALERTS: usize = 4096;

/// A generation of these rules; those that contradict themselves are left out.
pub(crate) fn delivery(generation: u64, rules: &str, settings: Settings) -> Box<Delivery> {
    let text = rules.as_bytes();
    let parsed = parse_rules("a.rules", text, &Context::default(), &mut Names::default());
    let (rules, _) = Ruleset::compile(parsed.signatures, None, 1, &|_| ()).unwrap();
    let scope = Scope::everything();
    let snapshot = Arc::new(Snapshot::new(generation, scope, Arc::new(rules), settings));
    let scratch = snapshot.rules.scratch().unwrap();
    Box::new(Delivery { snapshot, scratch })
}

/// The only core, with these rules, and its alerts.
pub(crate) fn core(rules: &str, settings: Settings) -> (Core, Consumer<Box<Alert>>) {
    let config = CoreConfig {
        flows: FlowConfig { hash_seed: Some(1), ..FlowConfig::default() },
        ..CoreConfig::default()
    };
    let (ring, alerts) = RingBuffer::new(ALERTS);
    let emitter = Emitter::new(ring, WhenFull::Lose, 0);
    let first = delivery(1, rules, settings);
    (Core::new(config, first, Arc::<Counters>::default(), emitter).unwrap(), alerts)
}
