//! NICs: those of the configured ports, and which others could be ports.

use super::{Finding, Verdict};
use crate::config::{Config, DriverSetting};
use crate::ports::device::Device;
use crate::ports::sysfs::Sysfs;

/// The class of Ethernet controllers on the PCI bus.
const ETHERNET: &str = "0x0200";

/// Kernel drivers beside which DPDK works.
const SHARED: [&str; 2] = ["mlx5_core", "mlx4_core"];

/// Drivers whose NICs hash the inner-most addresses of tunnels.
const INNERMOST: [&str; 3] = ["mlx5_core", "ice", "i40e"];

pub(super) fn all(config: &Config, sysfs: &Sysfs) -> Vec<Finding> {
    let mut findings = Vec::new();
    for port in &config.ports {
        findings.push(match Device::read(&port.device) {
            Device::Pci(address) => pci(&address, sysfs),
            Device::Interface(name) => interface(&name, port.driver, port.mtu, sysfs),
            Device::Virtual(name, _) => Finding::good("port", format!("{name}: a virtual device")),
        });
    }
    if config.ports.is_empty() {
        findings.extend(present(sysfs));
    }
    findings
}

fn pci(address: &str, sysfs: &Sysfs) -> Finding {
    if !sysfs.has_pci(address) {
        let remedy = "`lspci -D` lists the devices that there are";
        return Finding::of("port", Verdict::Bad, format!("{address}: no such PCI device"), remedy);
    }
    match sysfs.pci_driver(address).as_deref() {
        Some("vfio-pci") => Finding::good("port", format!("{address}: bound to vfio-pci")),
        Some(driver) if SHARED.contains(&driver) => {
            Finding::good("port", format!("{address}: {driver}, shared with the kernel"))
        }
        other => Finding::of(
            "port",
            Verdict::Bad,
            format!("{address}: bound to {}", other.unwrap_or("no driver")),
            format!("scripts/bind-nic {address}"),
        ),
    }
}

fn interface(name: &str, driver: DriverSetting, mtu: u16, sysfs: &Sysfs) -> Finding {
    let folder = format!("sys/class/net/{name}");
    if !sysfs.path(&folder).exists() {
        let there = sysfs.names("sys/class/net").join(", ");
        return Finding::of(
            "port",
            Verdict::Bad,
            format!("{name}: no such interface"),
            format!("there is: {there}"),
        );
    }
    let state = sysfs.text(format!("{folder}/operstate")).unwrap_or_default();
    if state == "down" {
        let remedy = format!("ip link set {name} up, and look at the cable");
        return Finding::of("port", Verdict::Bad, format!("{name}: down"), remedy);
    }
    let has = sysfs.number(format!("{folder}/mtu")).unwrap_or(0);
    if has > u64::from(mtu) && driver == DriverSetting::AfXdp {
        return Finding::of(
            "port",
            Verdict::Warning,
            format!("{name}: its MTU is {has}, the port's {mtu}"),
            format!("set mtu = {has}, or ip link set {name} mtu {mtu}"),
        );
    }
    let queues = sysfs.names(format!("{folder}/queues"));
    let queues = queues.iter().filter(|queue| queue.starts_with("rx-")).count();
    let hash = match sysfs.link_name(format!("{folder}/device/driver")) {
        Some(driver) if INNERMOST.contains(&driver.as_str()) => {
            format!("{driver}, which can hash the inner-most addresses")
        }
        Some(driver) => format!("{driver}; what tunnels carry is handed over between cores"),
        None => "virtual; cores hand over to each other".to_owned(),
    };
    Finding::good("port", format!("{name}: {state}, {queues} receive queues, {hash}"))
}

/// NICs that could be ports, where none is configured.
fn present(sysfs: &Sysfs) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in sysfs.names("sys/bus/pci/devices") {
        let class = sysfs.text(format!("sys/bus/pci/devices/{address}/class")).unwrap_or_default();
        if !class.starts_with(ETHERNET) {
            continue;
        }
        let driver = sysfs.pci_driver(&address).unwrap_or_else(|| "no driver".to_owned());
        let names = sysfs.names(format!("sys/bus/pci/devices/{address}/net")).join(", ");
        findings.push(Finding {
            check: "nic",
            verdict: Verdict::Note,
            found: format!("{address} ({names}): {driver}"),
            remedy: None,
        });
    }
    let interfaces: Vec<String> =
        sysfs.names("sys/class/net").into_iter().filter(|name| name != "lo").collect();
    findings.push(Finding {
        check: "interfaces",
        verdict: Verdict::Note,
        found: format!("no port is configured; there is {}", interfaces.join(", ")),
        remedy: Some("name the mirror's: [[ports]] device = \"…\"".to_owned()),
    });
    findings
}
