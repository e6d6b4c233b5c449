//! Opens the live ports that the configuration names: first planned (device, cores, buffers), then,
//! once DPDK runs with the memory for them, opened, and asked what their drivers can do.

pub mod cpus;
pub mod device;
mod plan;
pub mod sizes;
mod spread;
pub mod sysfs;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use dpdk::{Eal, Limits, Mempool, PoolError, Port, RssConfig, RssFields};
use engine::worker::Idle;

pub use plan::{Plan, plan};

use crate::config::{Config, IdleSetting, PortConfig};
use crate::dataplane::{EXCHANGE_CAPACITY, OpenPort};
use crate::output::ledger::{LinkState, PortFacts};
use cpus::Cpus;
use device::Device;
use spread::Seats;
use sysfs::Sysfs;

/// How long a core sleeps at most where the kernel keeps packets meanwhile: its ring has room for
/// thousands, and takes no more than some millions a second.
const KERNEL_SLEEP: Duration = Duration::from_micros(200);

/// How long a NIC's link may take to come up before that is told.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// The packets of 10 Gbit/s in a microsecond, at their smallest.
const WORST_PER_MICROSECOND: u32 = 15;

/// Opens, configures and starts every planned port.
///
/// # Errors
/// The first port that cannot be opened, with why and what to do.
pub fn open_all(
    eal: &'static Eal,
    config: &Config,
    plans: Vec<Plan>,
) -> anyhow::Result<Vec<OpenPort>> {
    let all = plans.iter().map(|plan| plan.cpus.len()).sum();
    let mut first = 0;
    let mut open = Vec::with_capacity(plans.len());
    for plan in plans {
        let Some(settings) = config.ports.get(plan.number) else { continue };
        let workers = plan.cpus.len();
        let opened = open_one(eal, settings, &plan, first, all)
            .with_context(|| format!("port {:?} (ports.{})", settings.device, plan.number))?;
        first += workers;
        open.push(opened);
    }
    Ok(open)
}

fn open_one(
    eal: &'static Eal,
    settings: &PortConfig,
    plan: &Plan,
    first: usize,
    all: usize,
) -> anyhow::Result<OpenPort> {
    let mut port = match (&plan.device, &plan.spec) {
        (Device::Pci(address), _) => Port::pci(eal, address)?,
        (_, Some(spec)) => Port::vdev(eal, spec)?,
        (_, None) => anyhow::bail!("there is no driver for it"),
    };
    let limits = port.limits()?;
    let queues = plan.queues.min(limits.max_rx_queues.max(1));
    if queues < plan.queues {
        tracing::info!(
            "{}: {} has {} receive queues: other cores take what is handed over",
            settings.device,
            port.driver_name(),
            limits.max_rx_queues
        );
    }
    let node = port.numa_node().or(plan.node);
    let pool = pool(plan, node)?;
    let mut port_config = dpdk::PortConfig::new(pool);
    port_config.rx_queues = queues;
    port_config.rx_desc = descriptors(settings, &limits, plan);
    port_config.promiscuous = settings.promiscuous;
    port_config.interrupts = settings.idle == IdleSetting::Interrupt;
    port_config.max_frame = max_frame(settings, &limits, plan);
    let can_hash = queues > 1 && limits.rss_functions != 0;
    port_config.rss =
        can_hash.then_some(RssConfig { fields: RssFields::Addresses, innermost: true });
    port.configure(port_config)?;
    port.start()?;

    let mut cpus = plan.cpus.clone();
    let helpers = cpus.split_off(usize::from(queues).min(cpus.len()));
    let seats = Seats { first, queues: cpus.len(), helpers: helpers.len(), all };
    let (spread, told) = spread::decide(settings.spread, &port, seats)?;
    let name = match &plan.device {
        Device::Interface(interface) => interface.clone(),
        Device::Virtual(..) | Device::Pci(_) => port.name(),
    };
    let link = link(&port, matches!(plan.device, Device::Pci(_)));
    let facts = PortFacts {
        name,
        driver: port.driver_name().to_owned(),
        numa_node: node,
        link,
        spread: told,
        interface_index: port.interface().and_then(crate::dataplane::interface_index),
    };
    tell(&facts, &port, &cpus, &helpers);
    if settings.idle == IdleSetting::Interrupt {
        tell_idle(&facts, &port);
    }
    let queues = port.rx_queues().into_iter().zip(cpus).collect();
    let idle = idle(settings, plan, u32::from(settings.descriptors));
    Ok(OpenPort { facts, port, queues, helpers, spread, idle, supply: None })
}

/// The state of the wire. A NIC has just been started: its link takes a moment to come up.
fn link(port: &Port, is_nic: bool) -> LinkState {
    let deadline = Instant::now() + if is_nic { LINK_PATIENCE } else { Duration::ZERO };
    loop {
        let link = port.link().map(LinkState::from).unwrap_or_default();
        if link.up || Instant::now() >= deadline {
            return link;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says at start what a port is, once, for whoever asks later why it is slow.
fn tell(facts: &PortFacts, port: &Port, cpus: &[Option<usize>], helpers: &[Option<usize>]) {
    let list = |cpus: &[Option<usize>]| {
        let all: Vec<String> = cpus
            .iter()
            .map(|cpu| cpu.map_or_else(|| "any".to_owned(), |cpu| cpu.to_string()))
            .collect();
        all.join(", ")
    };
    let mut line = format!(
        "{}: {}, {} queue{}{} on CPU {}",
        facts.name,
        facts.driver,
        cpus.len(),
        if cpus.len() == 1 { "" } else { "s" },
        port.rx_desc(0).map(|desc| format!(" of {desc} packets")).unwrap_or_default(),
        list(cpus),
    );
    if !helpers.is_empty() {
        line += &format!(", helped by CPU {}", list(helpers));
    }
    line += &format!("; spread: {}; link {}", facts.spread, facts.link);
    tracing::info!("{line}");
    if facts.link.up {
    } else if port.is_connection() {
        tracing::info!("{}: nothing is connected to it yet", facts.name);
    } else {
        tracing::warn!("{}: the link is down: is the cable in, the other side on?", facts.name);
    }
}

/// Says where a core that is to wait for interrupts cannot.
fn tell_idle(facts: &PortFacts, port: &Port) {
    if !port.has_interrupts() {
        tracing::warn!(
            "{}: its cores sleep for moments while nothing comes, and wait for no interrupt: {} has none for receive queues",
            facts.name,
            facts.driver
        );
    }
}

/// The pool of a port, on its NUMA node where DPDK has memory there.
fn pool(plan: &Plan, node: Option<u32>) -> Result<Mempool, PoolError> {
    let make = |node| {
        let name = format!("port{}", plan.number);
        match &plan.spec {
            Some(spec) => spec.pool(&name, plan.buffers, sizes::POOL_CACHE, node),
            None => Mempool::new(&name, plan.buffers, sizes::POOL_CACHE, plan.data_room(), node),
        }
    };
    match node.map(|node| make(Some(node))) {
        Some(Ok(pool)) => Ok(pool),
        Some(Err(_)) | None => make(None),
    }
}

/// As many descriptors as are asked for, within what the driver takes.
fn descriptors(settings: &PortConfig, limits: &Limits, plan: &Plan) -> u16 {
    let most = if limits.max_rx_desc == 0 { u16::MAX } else { limits.max_rx_desc };
    let wanted = settings.descriptors.clamp(limits.min_rx_desc.min(most), most);
    if wanted != settings.descriptors && matches!(plan.device, Device::Pci(_)) {
        tracing::warn!(
            "{}: the driver takes {} to {most} descriptors a queue: {wanted} are used, not {}",
            settings.device,
            limits.min_rx_desc,
            settings.descriptors
        );
    }
    wanted
}

/// What a NIC is told about long frames: nothing, if they are ordinary and it has no other limit.
fn max_frame(settings: &PortConfig, limits: &Limits, plan: &Plan) -> Option<u32> {
    let is_nic = matches!(plan.device, Device::Pci(_));
    // A tagged frame of the ordinary length is let in by NICs' drivers without being told.
    let jumbo = settings.mtu > 1500 && limits.max_frame != u32::MAX;
    (is_nic && jumbo).then(|| u32::from(settings.mtu) + 14)
}

/// What the workers of a port do while nothing comes.
fn idle(settings: &PortConfig, plan: &Plan, descriptors: u32) -> Idle {
    let is_nic = matches!(plan.device, Device::Pci(_));
    let longest = if is_nic {
        // Half of the queue may fill meanwhile.
        Duration::from_micros(u64::from(descriptors / 2 / WORST_PER_MICROSECOND).max(1))
    } else {
        KERNEL_SLEEP
    };
    match settings.idle {
        IdleSetting::Poll => Idle::Poll,
        IdleSetting::Auto if is_nic => Idle::Poll,
        IdleSetting::Auto | IdleSetting::Sleep => Idle::Sleep(longest),
        IdleSetting::Interrupt => Idle::Interrupt(longest),
    }
}

/// Mbufs that may wait between two cores.
pub(crate) const fn exchange() -> usize {
    EXCHANGE_CAPACITY
}

/// The CPUs of the machine, for a plan.
pub fn machine() -> (Sysfs, Cpus) {
    let sysfs = Sysfs::default();
    let cpus = Cpus::new(&sysfs);
    (sysfs, cpus)
}
