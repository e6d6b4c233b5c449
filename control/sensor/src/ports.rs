//! Opens the live ports that the configuration names, and says which CPU polls what.

use anyhow::{Context as _, bail};
use dpdk::{Eal, Mempool, Port, VdevSpec};

use crate::config::{Config, Cores, PortConfig};
use crate::dataplane::OpenPort;
use crate::exit::UsageError;

/// Ethernet header, two VLAN tags: what a frame has beyond its MTU.
const FRAME_OVERHEAD: u32 = 14 + 8;

/// Frames that wait in the kernel at least: a packet socket is polled by a thread that other threads
/// of the machine can delay, and what does not fit is lost.
const KERNEL_FRAMES: u16 = 4096;

/// Mbufs that a mempool's per-core cache holds.
const POOL_CACHE: u32 = 256;

/// What a configured device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A kernel interface, through a packet socket.
    Interface(String),
    /// A DPDK virtual device: driver with instance, and arguments.
    Virtual(String, String),
    /// A PCI device by its address.
    Pci(String),
}

/// Reads a device's name.
pub fn device(text: &str) -> Device {
    let is_pci = text.len() >= 7
        && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
        && text.contains(':')
        && text.contains('.');
    if is_pci {
        return Device::Pci(text.to_owned());
    }
    if text.starts_with("net_") {
        let (name, args) = text.split_once(',').unwrap_or((text, ""));
        return Device::Virtual(name.to_owned(), args.to_owned());
    }
    Device::Interface(text.to_owned())
}

/// CPUs are given out from the highest number down: the lowest ones have the kernel's interrupts
/// and our own control side. With fewer CPUs than workers, workers share them.
struct Cpus {
    free: Vec<usize>,
    all: Vec<usize>,
    given: usize,
}

impl Cpus {
    fn new() -> Self {
        let all = dpdk::allowed_cpus();
        Self { free: all.clone(), all, given: 0 }
    }

    fn take(&mut self) -> Option<usize> {
        let cpu = self.free.pop().or_else(|| {
            let at = self.all.len().checked_sub(1 + self.given % self.all.len().max(1))?;
            self.all.get(at).copied()
        });
        self.given += 1;
        cpu
    }

    fn take_this(&mut self, cpu: usize) -> anyhow::Result<usize> {
        if !self.all.contains(&cpu) {
            return Err(UsageError(format!(
                "CPU {cpu} is not one that this process may use (it may use {:?}); correct \
                 `cores`, or the cpuset of the service",
                self.all
            ))
            .into());
        }
        self.free.retain(|&other| other != cpu);
        Ok(cpu)
    }
}

/// Opens, configures and starts every configured port.
pub fn open_all(eal: &'static Eal, config: &Config) -> anyhow::Result<Vec<OpenPort>> {
    let mut cpus = Cpus::new();
    let mut open = Vec::with_capacity(config.ports.len());
    for (number, port) in config.ports.iter().enumerate() {
        let opened = open_one(eal, config, port, number, &mut cpus)
            .with_context(|| format!("port {:?} (ports.{number})", port.device))?;
        open.push(opened);
    }
    Ok(open)
}

fn open_one(
    eal: &'static Eal,
    config: &Config,
    settings: &PortConfig,
    number: usize,
    cpus: &mut Cpus,
) -> anyhow::Result<OpenPort> {
    let workers = usize::from(settings.queues.max(1));
    let mut places = Vec::with_capacity(workers);
    match &settings.cores {
        Cores::Auto => places.extend((0..workers).map(|_| cpus.take())),
        Cores::List(list) => {
            if list.len() != workers {
                return Err(UsageError(format!(
                    "`cores` names {} CPUs for {workers} queues; name one for each",
                    list.len()
                ))
                .into());
            }
            for &cpu in list {
                places.push(Some(cpus.take_this(usize::from(cpu))?));
            }
        }
    }
    let device = device(&settings.device);
    let frame = u32::from(settings.mtu) + FRAME_OVERHEAD;
    // The kernel's fanout moves flows between queues under load: one queue, and hand-over.
    let (mut port, queues, room) = match &device {
        Device::Interface(interface) => {
            let longest = u16::try_from(frame).unwrap_or(u16::MAX);
            let frames = settings.descriptors.max(KERNEL_FRAMES);
            let spec = VdevSpec::af_packet(interface)
                .frames_up_to(longest)
                .with("framecnt", frames.checked_next_power_of_two().unwrap_or(KERNEL_FRAMES));
            (Port::vdev(eal, &spec)?, 1, spec.data_room())
        }
        Device::Virtual(name, args) => {
            let spec = VdevSpec::new(name.clone(), args.clone());
            let queues = if name.starts_with("net_af_packet") { 1 } else { workers };
            (Port::vdev(eal, &spec)?, queues, spec.data_room())
        }
        Device::Pci(_) => bail!(
            "NICs that DPDK drives itself are not supported by this build; give the interface's \
             name and leave the NIC to the kernel"
        ),
    };
    let limits = port.limits()?;
    let queues = queues.min(usize::from(limits.max_rx_queues.max(1)));
    let pool =
        Mempool::new(&format!("port{number}"), config.memory.packets, POOL_CACHE, room, None)?;
    let mut port_config = dpdk::PortConfig::new(pool);
    port_config.rx_queues = u16::try_from(queues)?;
    port_config.rx_desc = settings.descriptors;
    port.configure(port_config)?;
    port.start()?;
    let helpers = places.split_off(queues);
    let queues = port.rx_queues().into_iter().zip(places).collect();
    let name = match device {
        Device::Interface(interface) => interface,
        Device::Virtual(..) | Device::Pci(_) => port.name(),
    };
    Ok(OpenPort { name, port, queues, helpers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_their_names() {
        assert_eq!(device("eth0"), Device::Interface("eth0".to_owned()));
        assert_eq!(device("0000:3b:00.1"), Device::Pci("0000:3b:00.1".to_owned()));
        assert_eq!(
            device("net_af_packet0,iface=veth0,qpairs=1"),
            Device::Virtual("net_af_packet0".to_owned(), "iface=veth0,qpairs=1".to_owned())
        );
    }

    #[test]
    fn cpus_are_given_out_once_before_they_are_shared() {
        let mut cpus = Cpus { free: vec![2, 5], all: vec![2, 5], given: 0 };
        assert_eq!((cpus.take(), cpus.take()), (Some(5), Some(2)));
        assert!(matches!(cpus.take(), Some(2 | 5)));
        assert!(cpus.take_this(7).is_err());
    }
}
