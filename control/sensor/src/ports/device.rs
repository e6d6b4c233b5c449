//! What a configured device is: a kernel interface, a virtual device of DPDK, or a NIC by its PCI
//! address.

/// What a configured device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A kernel interface.
    Interface(String),
    /// A DPDK virtual device: driver with instance, and arguments.
    Virtual(String, String),
    /// A PCI device by its full address, `0000:3b:00.1`.
    Pci(String),
}

impl Device {
    /// Reads a device's name.
    pub fn read(text: &str) -> Self {
        if let Some(address) = pci_address(text) {
            return Self::Pci(address);
        }
        if text.starts_with("net_") {
            let (name, args) = text.split_once(',').unwrap_or((text, ""));
            return Self::Virtual(name.to_owned(), args.to_owned());
        }
        Self::Interface(text.to_owned())
    }
}

/// The full form of a PCI address: `3b:00.1` and `0000:3b:00.1` are the same.
pub fn pci_address(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (slot, function) = text.rsplit_once('.')?;
    let parts: Vec<&str> = slot.split(':').collect();
    let (domain, bus, device) = match parts.as_slice() {
        [bus, device] => ("0000", *bus, *device),
        [domain, bus, device] => (*domain, *bus, *device),
        _ => return None,
    };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let is_one = hex(domain, 4) && hex(bus, 2) && hex(device, 2) && hex(function, 1);
    is_one.then(|| format!("{domain}:{bus}:{device}.{function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart_by_their_names() {
        assert_eq!(Device::read("eth0"), Device::Interface("eth0".to_owned()));
        assert_eq!(Device::read("eth0.100"), Device::Interface("eth0.100".to_owned()));
        assert_eq!(Device::read("0000:3b:00.1"), Device::Pci("0000:3b:00.1".to_owned()));
        assert_eq!(Device::read("3B:00.1"), Device::Pci("0000:3b:00.1".to_owned()));
        assert_eq!(
            Device::read("net_af_packet0,iface=veth0,qpairs=1"),
            Device::Virtual("net_af_packet0".to_owned(), "iface=veth0,qpairs=1".to_owned())
        );
        assert_eq!(
            Device::read("net_memif0,role=server,socket=/run/memif.sock"),
            Device::Virtual(
                "net_memif0".to_owned(),
                "role=server,socket=/run/memif.sock".to_owned()
            )
        );
    }
}
