//! Long flows that an overloaded core would shed are dropped by the NIC instead, where it can: cores ask
//! through rings, a thread of its own makes the rules (which is slow) and takes them away again.

pub mod ledger;
mod policy;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use dpdk::DropRules;
use engine::bypass::{Elephant, requests};
use engine::counters::{Counters, Drop as Fate};
use rtrb::{Consumer, Producer};

use self::ledger::{BypassLedger, Bypassed, PortBypass};
use self::policy::{Bounds, ResourceName, Table};
use crate::config::{BypassMode, Config};
use crate::dataplane::OpenPort;
use crate::output::ledger::{Ledger, ResourceLedger};
use crate::output::names::NameBook;

/// How often requests are looked for.
const EVERY: Duration = Duration::from_millis(20);

/// How often what there is to tell is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What is told.
#[derive(Debug, Clone, Default)]
struct Told {
    totals: BypassLedger,
    ports: Vec<PortBypass>,
    resources: BTreeMap<ResourceName, Bypassed>,
}

/// Ports that were asked what they can, before their cores are started.
#[derive(Debug)]
pub struct Prepared {
    table: Table<DropRules>,
    rings: Vec<Consumer<Elephant>>,
}

/// Asks every port whether it can drop flows, if that is wanted; None: it is not.
///
/// # Errors
/// A port cannot, and it was asked for explicitly.
pub fn prepare(config: &Config, ports: &[OpenPort]) -> anyhow::Result<Option<Prepared>> {
    let bypass = config.bypass;
    if bypass.mode == BypassMode::Off || !config.live || !config.overload.shed {
        return Ok(None);
    }
    let mut asked = Vec::with_capacity(ports.len());
    for open in ports {
        let name = &open.facts.name;
        let mut rules = open.port.drop_rules();
        let answer = rules.probe();
        match &answer {
            Err(error) if bypass.mode == BypassMode::On => bail!(
                "port {name}: {error}, and overload.bypass = \"on\" asks for it; set it to \"auto\" \
                 or \"off\""
            ),
            Err(error) => {
                tracing::info!("{name}: long flows are not left to the NIC to drop: {error}");
            }
            Ok(scope) => tracing::info!(
                "{name}: under pressure long flows are left to the NIC to drop, {}{}",
                if scope.counted { "and counted" } else { "which it does not count" },
                if scope.keeps_ends { "" } else { "; it drops what ends them, too" }
            ),
        }
        asked.push((name.clone(), answer.map(|scope| (rules, scope))));
    }
    let bounds = Bounds { flows: bypass.flows, life: bypass.life };
    Ok(Some(Prepared { table: Table::new(bounds, asked), rings: Vec::new() }))
}

impl Prepared {
    /// Where another core is to ask; None: no port can.
    pub fn ring(&mut self) -> Option<Producer<Elephant>> {
        self.table.can().then(|| {
            let (producer, consumer) = requests();
            self.rings.push(consumer);
            producer
        })
    }

    /// Listens to the cores from now on.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(
        self,
        counters: Arc<[Arc<Counters>]>,
        names: Arc<NameBook>,
    ) -> anyhow::Result<Bypass> {
        let told = Arc::new(Mutex::new(Told::default()));
        let can = self.table.can();
        let (shed, told_at) = (0, Duration::ZERO);
        let work = Work { prepared: self, counters, names, told: Arc::clone(&told), shed, told_at };
        work.tell();
        let (stop, stopped) = bounded(1);
        let thread = can
            .then(|| {
                let name = "pollux-bypass".to_owned();
                std::thread::Builder::new().name(name).spawn(move || work.run(&stopped))
            })
            .transpose()
            .context("cannot start the thread that has NICs drop flows")?;
        Ok(Bypass { told, stop: Some(stop), thread })
    }
}

/// The thread, and what it tells.
#[derive(Debug)]
pub struct Bypass {
    told: Arc<Mutex<Told>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bypass {
    /// Takes all rules away.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that has NICs drop flows died; its rules are gone with it");
        }
    }

    /// Adds what there is to tell to a ledger of the same ports.
    pub fn tell(&self, ledger: &mut Ledger) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (port, its) in ledger.ports.iter_mut().zip(told.ports) {
            port.bypass = Some(its);
        }
        for ((namespace, name), its) in told.resources {
            let key = (namespace.as_str(), name.as_str());
            let of = |it: &ResourceLedger| (it.namespace.as_str(), it.name.as_str()).cmp(&key);
            match ledger.resources.binary_search_by(of) {
                Ok(at) => {
                    if let Some(resource) = ledger.resources.get_mut(at) {
                        resource.bypassed = its;
                    }
                }
                Err(at) => {
                    let tally = engine::tally::Tally::default();
                    let resource = ResourceLedger { namespace, name, tally, bypassed: its };
                    ledger.resources.insert(at, resource);
                }
            }
        }
        ledger.bypass = Some(told.totals);
    }
}

impl Drop for Bypass {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the thread works with.
struct Work {
    prepared: Prepared,
    counters: Arc<[Arc<Counters>]>,
    names: Arc<NameBook>,
    told: Arc<Mutex<Told>>,
    /// Packets that cores had shed at the last look.
    shed: u64,
    told_at: Duration,
}

impl Work {
    fn run(mut self, stopped: &Receiver<()>) {
        let start = Instant::now();
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            self.turn(start.elapsed());
        }
        self.prepared.table.stop(start.elapsed());
        self.tell();
    }

    fn turn(&mut self, now: Duration) {
        let Prepared { table, rings } = &mut self.prepared;
        let names = &self.names;
        for ring in rings {
            // No more than were there: whoever asks on has to wait for the others.
            for _ in 0..ring.slots() {
                let Ok(elephant) = ring.pop() else { break };
                table.ask(elephant, now, |flow| resources(names, flow));
            }
        }
        let shed = [Fate::ShedElephant, Fate::ShedNewFlow].map(|fate| fate as usize);
        let shed =
            self.counters.iter().flat_map(|counters| shed.map(|at| counters.dropped.get(at)));
        let shed = shed.flatten().map(|counter| counter.get()).sum();
        let pressed = self.counters.iter().any(|counters| counters.shedding.get() > 0);
        self.prepared.table.pass_time(now, pressed || shed != self.shed);
        self.shed = shed;
        if now.saturating_sub(self.told_at) >= TELL_EVERY {
            self.told_at = now;
            self.tell();
        }
    }

    fn tell(&self) {
        let (mut totals, ports, resources) = self.prepared.table.told();
        totals.requests_lost = self.counters.iter().map(|it| it.bypass_lost.get()).sum();
        let told = Told { totals, ports, resources };
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
    }
}

/// In whose scope a flow is, by the newest generation.
fn resources(names: &NameBook, flow: &Elephant) -> Vec<ResourceName> {
    let Some(table) = names.newest() else { return Vec::new() };
    let ends = [flow.src.ip(), flow.dst.ip()];
    let endpoints = ends.iter().filter_map(|address| table.by_address.get(address)).flatten();
    let mut numbers: Vec<u32> =
        endpoints.flat_map(|&endpoint| table.resources_of(endpoint)).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let of = |number: &u32| table.resources.get(*number as usize);
    numbers.iter().filter_map(of).map(|it| (it.namespace.clone(), it.name.clone())).collect()
}
