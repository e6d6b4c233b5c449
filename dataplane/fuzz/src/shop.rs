//! Cores that serve a fuzzer's frames. Whatever goes wrong here ends the process: to a fuzzer that is a finding, while a core
//! that was not set up and is passed over would look like one in which nothing was found.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::counters::Counters;
use engine::emit::{Emitter, WhenFull};
use engine::mailbox::Delivery;
use engine::part::PacketInfo;
use engine::pipeline::{Core, CoreConfig};
use engine::scope::Scope;
use engine::{Settings, Snapshot};
use flow::FlowConfig;
use hyperscan::SLACK;
use rtrb::RingBuffer;
use rules::parse::{Context, Names, parse_rules};
use rules::ruleset::Ruleset;
use wire::{LinkType, Nanos};

/// Alerts that there is room for.
const ALERTS: usize = 1024;

/// Of every kind of buffer, and of what passes between packets.
const RULES: &str = include_str!("core.rules");

/// The rules that cores go by.
#[derive(Debug)]
pub struct Shop {
    rules: Arc<Ruleset>,
}

impl Shop {
    /// Compiles the rules.
    ///
    /// # Panics
    /// When one of them is wrong.
    pub fn open() -> Self {
        let context = Context::default();
        let parsed = parse_rules("core.rules", RULES.as_bytes(), &context, &mut Names::default());
        assert!(parsed.rejections.is_empty(), "{:?}", parsed.rejections);
        let compiled = Ruleset::compile(parsed.signatures, None, 1, &|_| ());
        let (rules, _) = compiled.expect("the rules compile: they are ours");
        Self { rules: Arc::new(rules) }
    }

    /// What a core of its own raises for frames, each with its place and its time, in this order: signature, number of
    /// the frame, and the time.
    ///
    /// # Panics
    /// When there is no memory for a core, a frame has no fate or two, anything is left at the end, or an alert comes after the core has said that none
    /// of its time will.
    pub fn serve(
        &self,
        choices: u8,
        frames: &[(usize, Nanos, &[u8])],
    ) -> BTreeSet<(u32, u64, u64)> {
        let mut settings = Settings::default();
        if choices & 1 != 0 {
            settings.reorder_window = 0;
        }
        settings.streams.midstream = choices & 2 != 0;
        let snapshot =
            Arc::new(Snapshot::new(1, Scope::everything(), Arc::clone(&self.rules), settings));
        let scratch = snapshot.rules.scratch().expect("memory for a scratch");
        let delivery = Box::new(Delivery { snapshot, scratch });
        let flows = FlowConfig { capacity: 16, hash_seed: Some(1), ..FlowConfig::default() };
        let config = CoreConfig { flows, ..CoreConfig::default() };
        let (ring, mut alerts) = RingBuffer::new(ALERTS);
        let counters = Arc::<Counters>::default();
        let emitter = Emitter::new(ring, WhenFull::Lose, 0);
        let core = Core::new(config, delivery, Arc::clone(&counters), emitter);
        let mut core = core.expect("memory for a core");
        let mut raised = BTreeSet::new();
        // Up to when nothing can come up any more, as the core says.
        let (mut clock, mut safe) = (0, 0);
        let mut take = |safe| {
            while let Ok(alert) = alerts.pop() {
                assert!(alert.key.clock >= safe, "an alert of {} after {safe}", alert.key.clock);
                raised.insert((alert.signature, alert.key.order, alert.key.clock));
            }
        };
        let mut buffer = Vec::new();
        for (number, &(_, timestamp, frame)) in (1..).zip(frames) {
            clock = timestamp.max(clock);
            buffer.clear();
            buffer.extend_from_slice(frame);
            buffer.resize(frame.len() + SLACK, 0);
            let info = PacketInfo {
                timestamp,
                clock,
                order: number,
                link: Some(LinkType::Ethernet),
                wire_len: frame.len() as u32,
                ignore_checksums: choices & 4 == 0,
            };
            counters.received.add(1);
            let _ = core.packet(&buffer, frame.len(), info, false);
            let said = core.pass_time(clock, 1);
            assert!(said <= clock);
            take(safe);
            safe = said.max(safe);
        }
        core.finish(clock);
        take(safe);
        assert!(counters.balances(), "{counters:?}");
        assert_eq!((counters.flows_active.get(), counters.stream_memory.get()), (0, 0));
        raised
    }
}
