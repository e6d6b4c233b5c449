//! What the kernel's files tell of devices, CPUs and NUMA nodes. Below a root that tests make.

use std::fs;
use std::path::{Path, PathBuf};

/// The kernel's files.
#[derive(Debug, Clone)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::below("/")
    }
}

impl Sysfs {
    /// Those below another root.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A file's or folder's path, given relative to the root.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// A file's text without blanks around it; None if it is not there or cannot be read.
    pub fn text(&self, below: impl AsRef<Path>) -> Option<String> {
        Some(fs::read_to_string(self.path(below)).ok()?.trim().to_owned())
    }

    /// A file that is one number.
    pub fn number(&self, below: impl AsRef<Path>) -> Option<u64> {
        self.text(below)?.parse().ok()
    }

    /// The names in a folder, sorted.
    pub fn names(&self, below: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.path(below)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The last part of what a link leads to.
    pub fn link_name(&self, below: impl AsRef<Path>) -> Option<String> {
        let target = fs::read_link(self.path(below)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// The NUMA node of a PCI device.
    pub fn pci_node(&self, address: &str) -> Option<u32> {
        self.text(format!("sys/bus/pci/devices/{address}/numa_node"))?.parse().ok()
    }

    /// The NUMA node of the NIC behind a kernel interface; None for virtual ones.
    pub fn interface_node(&self, interface: &str) -> Option<u32> {
        self.text(format!("sys/class/net/{interface}/device/numa_node"))?.parse().ok()
    }

    /// The driver that a PCI device is bound to; None if to none, or if there is no such device.
    pub fn pci_driver(&self, address: &str) -> Option<String> {
        self.link_name(format!("sys/bus/pci/devices/{address}/driver"))
    }

    /// Is there such a PCI device?
    pub fn has_pci(&self, address: &str) -> bool {
        self.path(format!("sys/bus/pci/devices/{address}")).exists()
    }

    /// NUMA nodes with their CPUs.
    pub fn nodes(&self) -> Vec<(u32, Vec<usize>)> {
        let folder = "sys/devices/system/node";
        self.names(folder)
            .into_iter()
            .filter_map(|name| {
                let node = name.strip_prefix("node")?.parse().ok()?;
                let cpus = self.text(format!("{folder}/{name}/cpulist"))?;
                Some((node, cpu_list(&cpus)))
            })
            .collect()
    }
}

/// `0-3,8` as numbers.
pub fn cpu_list(text: &str) -> Vec<usize> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse(), last.trim().parse::<usize>()) {
            cpus.extend((first..=last).take(4096));
        }
    }
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpu_list("0-3,8"), [0, 1, 2, 3, 8]);
        assert_eq!(cpu_list(""), [] as [usize; 0]);
        assert_eq!(cpu_list("5"), [5]);
    }

    #[test]
    fn nodes_and_devices_are_found_below_any_root() {
        let root = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        put("sys/devices/system/node/node0/cpulist", "0-1\n");
        put("sys/devices/system/node/node1/cpulist", "2-3\n");
        put("sys/bus/pci/devices/0000:3b:00.0/numa_node", "1\n");
        put("sys/bus/pci/devices/0000:3b:00.1/numa_node", "-1\n");
        let sysfs = Sysfs::below(root.path());
        assert_eq!(sysfs.nodes(), [(0, vec![0, 1]), (1, vec![2, 3])]);
        assert_eq!(sysfs.pci_node("0000:3b:00.0"), Some(1));
        assert_eq!(sysfs.pci_node("0000:3b:00.1"), None, "it hangs on none");
        assert!(sysfs.has_pci("0000:3b:00.0") && !sysfs.has_pci("0000:3b:00.2"));
        assert_eq!(sysfs.pci_driver("0000:3b:00.0"), None);
    }
}
