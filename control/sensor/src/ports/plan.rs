//! What is decided about a port before DPDK starts: its device and driver, queues and CPUs, the
//! longest frame, and how many buffers that takes.

use anyhow::Context as _;
use dpdk::VdevSpec;

use super::cpus::Cpus;
use super::device::Device;
use super::sysfs::Sysfs;
use super::{exchange, sizes};
use crate::config::{Config, Cores, DriverSetting, PortConfig};
use crate::exit::UsageError;

/// Ethernet header, two VLAN tags: what a frame has beyond its MTU.
const FRAME_OVERHEAD: u32 = 14 + 8;

/// The largest MTU that a port's buffers are sized for.
const LARGEST_MTU: u32 = 9_978;

/// Frames that wait in the kernel at least: a packet socket is polled by a thread that other threads
/// of the machine can delay, and what does not fit is lost.
const KERNEL_FRAMES: u16 = 4096;

/// Descriptors that net_af_xdp takes, whatever it is asked for; as many again are in its fill ring.
const XDP_DESCRIPTORS: u32 = 2 * 2048;

/// The kernel drivers with which DPDK can work a PCI device.
const USABLE: [&str; 5] = ["vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core"];

/// A port, planned.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its number in the configuration.
    pub number: usize,
    /// Its device.
    pub device: Device,
    /// How DPDK is to make it, unless it is a PCI device.
    pub spec: Option<VdevSpec>,
    /// Receive queues.
    pub queues: u16,
    /// A CPU for each worker, those of the queues first; None: wherever the scheduler puts it.
    pub cpus: Vec<Option<usize>>,
    /// The NUMA node that its NIC hangs on.
    pub node: Option<u32>,
    /// Packet buffers.
    pub buffers: u32,
}

impl Plan {
    /// Bytes of a packet buffer.
    pub fn data_room(&self) -> u16 {
        self.spec.as_ref().map_or(2048, VdevSpec::data_room)
    }

    /// The PCI address that DPDK is to be allowed.
    pub fn pci(&self) -> Option<&str> {
        match &self.device {
            Device::Pci(address) => Some(address),
            Device::Interface(_) | Device::Virtual(..) => None,
        }
    }
}

/// Plans every configured port.
///
/// # Errors
/// What cannot be, with its place in the configuration and what to do.
pub fn plan(config: &Config, sysfs: &Sysfs, cpus: &mut Cpus) -> anyhow::Result<Vec<Plan>> {
    let mut plans = Vec::with_capacity(config.ports.len());
    for (number, port) in config.ports.iter().enumerate() {
        let plan = plan_one(config, port, number, sysfs, cpus)
            .with_context(|| format!("port {:?} (ports.{number})", port.device))?;
        plans.push(plan);
    }
    Ok(plans)
}

fn plan_one(
    config: &Config,
    settings: &PortConfig,
    number: usize,
    sysfs: &Sysfs,
    cpus: &mut Cpus,
) -> anyhow::Result<Plan> {
    let device = Device::read(&settings.device);
    let node = match &device {
        Device::Interface(interface) => sysfs.interface_node(interface),
        Device::Pci(address) => sysfs.pci_node(address),
        Device::Virtual(..) => None,
    };
    if let Device::Pci(address) = &device {
        usable(address, sysfs)?;
    }
    let cores = match &settings.cores {
        Cores::Auto => None,
        Cores::Count(count) => Some(usize::from(*count)),
        Cores::List(list) => Some(list.len()),
    };
    let there = kernel_queues(&device, settings, cores);
    let workers = match (cores, settings.queues) {
        (Some(cores), Some(queues)) if cores < usize::from(queues) => {
            return Err(UsageError(format!(
                "`cores` names {cores} CPUs for {queues} queues; name one for each at least"
            ))
            .into());
        }
        (Some(cores), _) => cores,
        (None, Some(queues)) => usize::from(queues),
        (None, None) => usize::from(there.unwrap_or(1)),
    };
    let wanted = settings.queues.map_or(workers, usize::from).min(workers);
    let queues = u16::try_from(wanted)?.min(there.unwrap_or(u16::MAX));
    let cpus = places(settings, workers, node, cpus)?;
    let (spec, descriptors) = spec(&device, settings, queues);
    let buffers = config
        .memory
        .packets
        .unwrap_or_else(|| sizes::buffers(queues, descriptors, cpus.len(), exchange()));
    Ok(Plan { number, device, spec, queues, cpus, node, buffers })
}

/// Can DPDK have the NIC?
fn usable(address: &str, sysfs: &Sysfs) -> anyhow::Result<()> {
    let problem = if !sysfs.has_pci(address) {
        "there is no such PCI device here; `lspci -D` lists those that there are".to_owned()
    } else {
        match sysfs.pci_driver(address) {
            Some(driver) if USABLE.contains(&driver.as_str()) => return Ok(()),
            Some(driver) => format!(
                "the NIC is bound to the kernel's driver {driver}: bind it to vfio-pci \
                 (scripts/bind-nic {address}), or give its interface's name and leave it to the \
                 kernel"
            ),
            None => format!(
                "the NIC is bound to no driver: bind it to vfio-pci (scripts/bind-nic {address})"
            ),
        }
    };
    Err(UsageError(problem).into())
}

/// How many queues the kernel lets us have of an interface; None where DPDK's driver is to be asked.
fn kernel_queues(device: &Device, settings: &PortConfig, cores: Option<usize>) -> Option<u16> {
    let interface = match device {
        Device::Interface(interface) => interface,
        // The kernel's fanout moves flows between queues under load: one queue, and hand-over.
        Device::Virtual(name, _) if name.starts_with("net_af_packet") => return Some(1),
        Device::Virtual(..) | Device::Pci(_) => return None,
    };
    if settings.driver == DriverSetting::AfPacket {
        return Some(1);
    }
    let has = u16::try_from(dpdk::interface_rx_queues(interface)).unwrap_or(u16::MAX);
    let wanted = settings.queues.map(usize::from).or(cores).unwrap_or(usize::from(has));
    if wanted < usize::from(has) {
        tracing::warn!(
            "{interface} has {has} receive queues and {wanted} are polled: what the others receive \
             is not seen; leave out `queues`, or take the others away (ethtool -L {interface} \
             combined {wanted})"
        );
    } else if settings.queues.is_some_and(|queues| queues > has) {
        tracing::warn!(
            "{interface} has {has} receive queues, not {wanted}; more may be had by ethtool -L \
             {interface} combined {wanted}"
        );
    }
    Some(has)
}

/// A CPU for each worker.
fn places(
    settings: &PortConfig,
    workers: usize,
    node: Option<u32>,
    cpus: &mut Cpus,
) -> anyhow::Result<Vec<Option<usize>>> {
    let places: Vec<Option<usize>> = match &settings.cores {
        Cores::List(list) => list
            .iter()
            .map(|&cpu| cpus.take_this(usize::from(cpu)).map(Some))
            .collect::<anyhow::Result<_>>()?,
        Cores::Auto | Cores::Count(_) => (0..workers).map(|_| cpus.take(node)).collect(),
    };
    for &cpu in places.iter().flatten() {
        if let (Some(near), Some(its)) = (node, cpus.node(cpu))
            && near != its
        {
            tracing::warn!(
                "{}: the NIC hangs on NUMA node {near}, CPU {cpu} on node {its}: every packet \
                 crosses over; give it cores of node {near}",
                settings.device
            );
        }
    }
    Ok(places)
}

/// The virtual device, and the packets that one of its queues holds in our buffers.
fn spec(device: &Device, settings: &PortConfig, queues: u16) -> (Option<VdevSpec>, u32) {
    let descriptors = u32::from(settings.descriptors);
    match device {
        Device::Pci(_) => (None, descriptors),
        Device::Virtual(name, args) => {
            (Some(VdevSpec::new(name.clone(), args.clone())), descriptors)
        }
        Device::Interface(interface) if settings.driver == DriverSetting::AfXdp => {
            (Some(VdevSpec::af_xdp(interface).queues(queues)), XDP_DESCRIPTORS)
        }
        Device::Interface(interface) => {
            let kernel = dpdk::interface_mtu(interface).unwrap_or(0);
            let mtu = u32::from(settings.mtu).max(kernel.min(LARGEST_MTU));
            if kernel > LARGEST_MTU && u32::from(settings.mtu) < LARGEST_MTU {
                tracing::debug!("{interface}: frames of more than {mtu} bytes are cut");
            }
            let longest = u16::try_from(mtu + FRAME_OVERHEAD).unwrap_or(u16::MAX);
            let frames = settings.descriptors.max(KERNEL_FRAMES);
            let spec = VdevSpec::af_packet(interface)
                .frames_up_to(longest)
                .with("framecnt", frames.checked_next_power_of_two().unwrap_or(KERNEL_FRAMES));
            (Some(spec), descriptors)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn config(port: PortConfig) -> Config {
        Config { ports: vec![port], ..Config::default() }
    }

    fn plan_of(port: PortConfig, sysfs: &Sysfs) -> anyhow::Result<Plan> {
        let mut cpus = Cpus::new(sysfs);
        plan(&config(port), sysfs, &mut cpus).map(|mut plans| plans.remove(0))
    }

    fn nic(driver: Option<&str>) -> (tempfile::TempDir, Sysfs) {
        let root = tempfile::tempdir().expect("a folder");
        let device = root.path().join("sys/bus/pci/devices/0000:3b:00.0");
        fs::create_dir_all(&device).expect("made");
        if let Some(driver) = driver {
            symlink(format!("../../drivers/{driver}"), device.join("driver")).expect("linked");
        }
        let sysfs = Sysfs::below(root.path());
        (root, sysfs)
    }

    fn port(device: &str) -> PortConfig {
        PortConfig { device: device.to_owned(), ..PortConfig::default() }
    }

    #[test]
    fn a_nic_that_the_kernel_has_is_refused_with_what_to_do() {
        let (_root, sysfs) = nic(Some("igb"));
        let error = format!("{:#}", plan_of(port("3b:00.0"), &sysfs).expect_err("bound to igb"));
        assert!(error.contains("igb") && error.contains("bind-nic 0000:3b:00.0"), "{error}");
        let (_root, sysfs) = nic(None);
        let error = format!("{:#}", plan_of(port("3b:00.0"), &sysfs).expect_err("bound to none"));
        assert!(error.contains("no driver"), "{error}");
        let error = format!("{:#}", plan_of(port("3c:00.0"), &sysfs).expect_err("not there"));
        assert!(error.contains("no such PCI device"), "{error}");
    }

    #[test]
    fn a_nic_of_dpdk_or_one_that_is_shared_with_the_kernel_is_taken() {
        for driver in ["vfio-pci", "mlx5_core"] {
            let (_root, sysfs) = nic(Some(driver));
            let settings = PortConfig { queues: Some(2), ..port("3b:00.0") };
            let plan = plan_of(settings, &sysfs).expect(driver);
            assert_eq!((plan.queues, plan.cpus.len()), (2, 2));
            assert_eq!(plan.pci(), Some("0000:3b:00.0"));
            assert!(plan.buffers > 2 * 1024 + 2 * 2048);
        }
    }

    #[test]
    fn a_packet_socket_has_one_queue_and_the_other_cores_help() {
        let settings = PortConfig { cores: Cores::Count(3), ..port("lo") };
        let plan = plan_of(settings, &Sysfs::default()).expect("planned");
        assert_eq!((plan.queues, plan.cpus.len()), (1, 3));
        let settings = PortConfig { cores: Cores::Count(1), queues: Some(2), ..port("lo") };
        let error = format!("{:#}", plan_of(settings, &Sysfs::default()).expect_err("too few"));
        assert!(error.contains("1 CPUs for 2 queues"), "{error}");
    }
}
