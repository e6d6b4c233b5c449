//! The running dataplane: DPDK's memory and ports, the crew of workers, the writer of alerts, and
//! the generation that is in force. Live and replay differ only in the ports that they bring.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use dpdk::{Eal, EalConfig, Port, RxQueue};
use engine::emit::WhenFull;
use engine::spread::Spread;
use engine::worker::{Idle, Supply, TimeSource, Watch};
use engine::{Crew, CrewConfig, Seat, Snapshot};

use crate::bypass::{self, Bypass};
use crate::config::{Config, Hugepages};
use crate::output::ledger::{Ledger, LinkState, NicCounters, PortFacts, PortView, QueueView};
use crate::output::names::NameBook;
use crate::output::pcap::PcapLog;
use crate::output::totals::AlertTotals;
use crate::output::writer::{Writer, WriterConfig, WriterHandle};
use crate::status::conditions::PortFact;

/// Parcels that wait between two cores at the most.
pub const EXCHANGE_CAPACITY: usize = 2048;

/// Alerts that wait in a core's ring at the most.
const ALERT_CAPACITY: usize = 16_384;

/// How long cores may take to adopt a generation before that is told as an error.
const ADOPTION_PATIENCE: Duration = Duration::from_secs(10);

/// A port that is ready to be polled.
#[derive(Debug)]
pub struct OpenPort {
    /// Its name and what else ledger and log tell of it.
    pub facts: PortFacts,
    /// The port, which must live as long as its queues are polled.
    pub port: Port,
    /// Its queues, each with the CPU that polls it.
    pub queues: Vec<(RxQueue, Option<usize>)>,
    /// Workers beside those of the queues, which take only what others hand over, by their CPUs.
    pub helpers: Vec<Option<usize>>,
    /// Who owns the packets that come to its workers.
    pub spread: Spread,
    /// What its workers do while nothing comes.
    pub idle: Idle,
    /// Who fills its first queue from within that one's worker.
    pub supply: Option<Box<dyn Supply>>,
}

impl OpenPort {
    /// A port over rings: its workers are pinned to no CPU and poll without rest.
    pub fn of_rings(mut port: Port) -> Self {
        let name = port.name();
        Self {
            facts: PortFacts {
                name,
                driver: port.driver_name().to_owned(),
                ..PortFacts::default()
            },
            queues: port.rx_queues().into_iter().map(|queue| (queue, None)).collect(),
            port,
            helpers: Vec::new(),
            spread: Spread::default(),
            idle: Idle::Poll,
            supply: None,
        }
    }
}

/// How the dataplane is run.
#[derive(Debug)]
pub struct Mode {
    /// Time.
    pub time: TimeSource,
    /// Replay waits, live loses and counts.
    pub when_full: WhenFull,
    /// The alerts' file.
    pub writer: WriterConfig,
    /// Do the drivers of these ports count losses of their own?
    pub nic_counters: bool,
}

/// A seat in the crew, as the ledger tells of it.
#[derive(Debug, Clone, Copy)]
struct Place {
    queue: Option<u16>,
    cpu: Option<usize>,
}

/// The dataplane, running.
#[derive(Debug)]
pub struct Dataplane {
    crew: Option<Crew>,
    ledgers: Arc<[Arc<engine::counters::Counters>]>,
    /// Ports with the places of their workers, in the order of the workers.
    ports: Vec<(PortFacts, Port, Vec<Place>)>,
    writer: Option<WriterHandle>,
    pcap: Option<PcapLog>,
    bypass: Option<Bypass>,
    names: Arc<NameBook>,
    nic_counters: bool,
    started: Option<Instant>,
}

/// Starts DPDK with so many bytes of memory and these PCI devices. Without the privilege or the pages
/// for hugepages, ordinary pages are taken unless they are asked for by name, or a NIC needs them.
///
/// # Errors
/// DPDK's, with what to do.
pub fn start_eal(
    memory: u64,
    hugepages: Hugepages,
    pci: Vec<String>,
) -> anyhow::Result<&'static Eal> {
    let memory_mb = u32::try_from(memory.div_ceil(1 << 20)).unwrap_or(u32::MAX).max(32);
    let eal_config = EalConfig {
        hugepages: match hugepages {
            Hugepages::Auto if pci.is_empty() => dpdk::Hugepages::Auto,
            Hugepages::Auto | Hugepages::Yes => dpdk::Hugepages::Require,
            Hugepages::No => dpdk::Hugepages::Never,
        },
        memory_mb,
        pci,
        ..EalConfig::default()
    };
    Eal::init(&eal_config).context("DPDK cannot start")
}

impl Dataplane {
    /// Starts the workers. They receive nothing before the first [`Dataplane::publish`].
    pub fn start(
        eal: &'static Eal,
        config: &Config,
        ports: Vec<OpenPort>,
        mode: Mode,
    ) -> anyhow::Result<Self> {
        Self::start_watched(eal, config, ports, mode, |_| None)
    }

    /// As [`Dataplane::start`], with someone to measure the workers that `watch` names one for.
    pub fn start_watched(
        eal: &'static Eal,
        config: &Config,
        ports: Vec<OpenPort>,
        mode: Mode,
        watch: impl FnMut(usize) -> Option<Box<dyn Watch>>,
    ) -> anyhow::Result<Self> {
        let mut bypass = bypass::prepare(config, &ports)?;
        let mut ring = || bypass.as_mut().and_then(bypass::Prepared::ring);
        let mut seats = Vec::new();
        let mut kept = Vec::new();
        for (number, mut open) in ports.into_iter().enumerate() {
            let port = u16::try_from(number).context("too many ports")?;
            let mut places = Vec::new();
            for (index, (queue, cpu)) in open.queues.into_iter().enumerate() {
                places.push(Place { queue: u16::try_from(index).ok(), cpu });
                let (spread, idle) = (open.spread.clone(), open.idle);
                let (bypass, supply) = (ring(), open.supply.take());
                let seat = Seat::new(Some(queue), port);
                seats.push(Seat { cpu, spread, idle, bypass, supply, ..seat });
            }
            for cpu in open.helpers {
                places.push(Place { queue: None, cpu });
                let (spread, idle) = (open.spread.clone(), open.idle);
                let bypass = ring();
                seats.push(Seat { cpu, spread, idle, bypass, ..Seat::new(None, port) });
            }
            kept.push((open.facts, open.port, places));
        }
        if seats.is_empty() {
            bail!("no port has a queue to receive from");
        }
        let crew_config = CrewConfig {
            flows: config.flows.clone(),
            time: mode.time,
            when_full: mode.when_full,
            exchange_capacity: EXCHANGE_CAPACITY,
            alert_capacity: ALERT_CAPACITY,
            profile_every: config.sensor.profile_every,
            pcap: mode.writer.pcap.as_ref().map(|pcap| pcap.cores.clone()),
        };
        let (crew, mut collector) = Crew::start_watched(eal, seats, &crew_config, watch)?;
        let ledgers = Arc::clone(crew.ledgers());
        let names = NameBook::new();
        let (mut pcap, mut notes) = (None, None);
        if let Some(config) = mode.writer.pcap.clone()
            && let Some(packets) = collector.take_packets()
        {
            let (log, its) = PcapLog::spawn(config, packets, ledgers.iter().cloned())
                .context("cannot write packets (outputs.pcap-log)")?;
            (pcap, notes) = (Some(log), Some(its));
        }
        let path = mode.writer.path.clone();
        let (book, counters) = (Arc::clone(&names), ledgers.iter().cloned());
        let bypass = bypass
            .map(|prepared| prepared.start(Arc::clone(&ledgers), Arc::clone(&names)))
            .transpose()?;
        let writer = Writer::spawn_noting(mode.writer, collector, book, counters, notes)
            .with_context(|| format!("cannot write alerts to {}", path.display()))?;
        Ok(Self {
            crew: Some(crew),
            ledgers,
            ports: kept,
            writer: Some(writer),
            pcap,
            bypass,
            names,
            nic_counters: mode.nic_counters,
            started: None,
        })
    }

    /// Puts a generation in force on every core and waits until all have it. Packets go on
    /// meanwhile.
    pub fn publish(
        &mut self,
        snapshot: &Arc<Snapshot>,
        table: Arc<api::ScopeTable>,
        now: u64,
    ) -> anyhow::Result<()> {
        self.names.publish(snapshot.generation, table, now);
        let Some(crew) = &mut self.crew else { bail!("the workers have stopped") };
        crew.publish(snapshot)?;
        self.started.get_or_insert_with(Instant::now);
        let deadline = Instant::now() + ADOPTION_PATIENCE;
        while !crew.acknowledged(snapshot.generation) {
            if crew.has_failed() {
                bail!("a worker failed while it took generation {}", snapshot.generation);
            }
            if Instant::now() > deadline {
                bail!(
                    "a worker has not taken generation {} in {} s: is its CPU taken by another \
                     busy thread?",
                    snapshot.generation,
                    ADOPTION_PATIENCE.as_secs()
                );
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        crew.collect_returned();
        Ok(())
    }

    /// What the workers share: how a feeder learns that nobody is left to feed.
    pub fn shared(&self) -> Option<Arc<engine::worker::Shared>> {
        self.crew.as_ref().map(|crew| Arc::clone(crew.shared()))
    }

    /// Has a worker given up?
    pub fn has_failed(&self) -> bool {
        self.crew.as_ref().is_none_or(Crew::has_failed)
    }

    /// Has every core taken this generation?
    pub fn acknowledged(&self, generation: u64) -> bool {
        self.ledgers.iter().all(|ledger| ledger.generation.observe() >= generation)
    }

    /// Looks whether links have come or gone, and says so.
    pub fn watch_links(&mut self) {
        for (facts, port, _) in &mut self.ports {
            let Ok(mut link) = port.link().map(LinkState::from) else { continue };
            // The driver over an interface says what it said last.
            if let Some(interface) = port.interface() {
                let is_same = facts.interface_index == interface_index(interface);
                link.up = is_same && link_is_up(interface).unwrap_or(false);
            }
            match (facts.link.up, link.up) {
                (true, false) => tracing::warn!("{}: the link went down", facts.name),
                (false, true) => tracing::info!("{}: link {link}", facts.name),
                _ => {}
            }
            facts.link = link;
        }
    }

    /// The generation of each worker, by port and place there.
    pub fn worker_generations(&self) -> Vec<(String, u64)> {
        let workers = self.ports.iter().flat_map(|(facts, _, places)| {
            (0..places.len()).map(move |place| format!("{}/{place}", facts.name))
        });
        let generations = self.ledgers.iter().map(|ledger| ledger.generation.observe());
        workers.zip(generations).collect()
    }

    /// Each port with its link, where that can be told.
    pub fn links(&self) -> Vec<PortFact> {
        let of = |(facts, port, _): &(PortFacts, Port, _)| PortFact {
            name: facts.name.clone(),
            up: match port.interface() {
                // One of the same name that was made anew is another one.
                Some(interface) if facts.interface_index != interface_index(interface) => {
                    Some(false)
                }
                _ => link_is_up(&facts.name).or_else(|| {
                    // Other virtual drivers say "up" or "down" whatever it is that they stand for.
                    let is_told = self.nic_counters
                        && (port.is_connection() || !port.name().starts_with("net_"));
                    is_told.then_some(facts.link.up)
                }),
            },
        };
        self.ports.iter().map(of).collect()
    }

    /// Frees what cores have returned.
    pub fn tidy(&mut self) {
        if let Some(crew) = &mut self.crew {
            crew.collect_returned();
        }
    }

    /// The alerts so far, as of about a second ago.
    pub fn alerts(&self) -> AlertTotals {
        self.writer.as_ref().map(WriterHandle::totals).unwrap_or_default()
    }

    /// Has a line that is no alert written to eve.json, if its writer keeps up.
    pub fn note(&self, line: Vec<u8>) {
        if self.writer.as_ref().is_some_and(|writer| !writer.note(line)) {
            tracing::debug!("the writer of eve.json does not keep up: a stats event is left out");
        }
    }

    /// The ledger as it stands. While cores run its numbers are of slightly different moments.
    pub fn ledger(&self, alerts: &AlertTotals) -> Ledger {
        let mut ledgers = self.ledgers.iter();
        let views: Vec<PortView<'_>> = self
            .ports
            .iter()
            .map(|(facts, port, places)| {
                let queues = places
                    .iter()
                    .zip(ledgers.by_ref())
                    .map(|(place, counters)| QueueView {
                        queue: place.queue,
                        core: place.cpu,
                        counters,
                    })
                    .collect();
                let nic = if self.nic_counters {
                    port.stats().map_or_else(|_| NicCounters::default(), NicCounters::from)
                } else {
                    NicCounters::default()
                };
                let xstats = if self.nic_counters { nonzero(port) } else { BTreeMap::new() };
                PortView { facts: facts.clone(), nic, xstats, queues }
            })
            .collect();
        let seconds = self.started.map_or(0.0, |started| started.elapsed().as_secs_f64());
        let pcap_log = self.pcap.as_ref().map(PcapLog::totals);
        let mut ledger = Ledger { pcap_log, ..Ledger::collect(&views, alerts, seconds) };
        if let Some(bypass) = &self.bypass {
            bypass.tell(&mut ledger);
        }
        ledger
    }

    /// Lets the workers empty their queues and end their flows, writes every alert, and returns
    /// the final ledger. An error is a worker's; the ledger is there all the same.
    pub fn stop(mut self) -> (Ledger, AlertTotals, anyhow::Result<()>) {
        let stopped = match self.crew.take() {
            Some(crew) => crew.stop().map_err(anyhow::Error::from),
            None => Ok(()),
        };
        if let Some(bypass) = &mut self.bypass {
            bypass.stop();
        }
        let alerts = self.writer.take().map(WriterHandle::finish).unwrap_or_default();
        // After the alerts: by then it is known which packets are wanted.
        if let Some(pcap) = &mut self.pcap {
            pcap.finish();
        }
        let ledger = self.ledger(&alerts);
        (ledger, alerts, stopped)
    }
}

/// Every counter of a port's driver that has counted something.
fn nonzero(port: &Port) -> BTreeMap<String, u64> {
    let all = port.xstats().unwrap_or_default();
    all.into_iter().filter(|&(_, count)| count > 0).collect()
}

/// The kernel's number for an interface; `None`: there is none of this name.
pub(crate) fn interface_index(interface: &str) -> Option<u32> {
    let path = std::path::Path::new("/sys/class/net").join(interface).join("ifindex");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Is a kernel interface up, and its link? `None`: there is no such interface.
fn link_is_up(interface: &str) -> Option<bool> {
    // A name that is no plain one would lead elsewhere.
    if interface.is_empty() || interface.contains('/') || interface.starts_with('.') {
        return None;
    }
    let directory = std::path::Path::new("/sys/class/net").join(interface);
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).ok();
    match read("operstate")?.trim() {
        "up" => Some(true),
        "down" | "lowerlayerdown" | "notpresent" => Some(false),
        // Drivers that do not say: up if it is switched on and has a carrier.
        _ => Some(read("carrier").is_some_and(|carrier| carrier.trim() == "1")),
    }
}

/// Where an output goes: its path below the directory, if it is not absolute.
pub fn output_path(directory: &std::path::Path, path: &std::path::Path) -> PathBuf {
    directory.join(path)
}
