//! A device that is plugged in: opened by one port, shared with its queues,
//! closed and unplugged when the last of them drops it.

use std::{
    ffi::{CStr, CString},
    mem::MaybeUninit,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use dpdk_sys::rte_eth_dev_info;

use crate::{
    control,
    eal::Eal,
    mempool::Mempool,
    meta::MetaField,
    port_error::PortError,
    ring::{self, Ring},
};

/// What port and queues share; dropping it closes the device.
pub(crate) struct Device {
    pub(crate) id: u16,
    bus: &'static CStr,
    pub(crate) name: CString,
    pub(crate) driver: String,
    pub(crate) interface: Option<String>,
    pub(crate) started: AtomicBool,
    /// The interface outlives us: it is to be left as it was found.
    pub(crate) undo_promiscuous: AtomicBool,
    /// Where the driver takes mbufs from, which must outlive the device.
    mempools: Mutex<Vec<Mempool>>,
    /// Drivers keep a pointer to the hash key that they were configured with.
    pub(crate) rss_key: OnceLock<Vec<u8>>,
    /// The rings of a ring port, which the driver reads from.
    rings: Vec<Arc<Ring>>,
}

impl Device {
    /// Plugs in a device of a bus, or takes a PCI device that EAL found.
    pub(crate) fn plug(
        _eal: &'static Eal,
        bus: &'static CStr,
        name: &str,
        args: &str,
        interface: Option<String>,
    ) -> Result<Self, PortError> {
        let shown = if args.is_empty() { name.to_owned() } else { format!("{name},{args}") };
        let nul = |_| PortError::Shape {
            port: shown.clone(),
            problem: "name and arguments must not contain a NUL".to_owned(),
        };
        let c_name = CString::new(name).map_err(nul)?;
        let c_args = CString::new(args).map_err(nul)?;
        let control = control::lock();
        let id = match port_by_name(&c_name) {
            // A PCI device that was allowed at the start is probed already.
            Some(id) if bus == c"pci" && claim(id) => id,
            Some(_) => return Err(PortError::Busy { port: shown }),
            None => {
                control::clear_errno();
                // SAFETY: three NUL-terminated strings, copied by DPDK.
                let result = unsafe {
                    dpdk_sys::rte_eal_hotplug_add(bus.as_ptr(), c_name.as_ptr(), c_args.as_ptr())
                };
                if result < 0 {
                    return Err(PortError::Open {
                        reason: control::reason(result),
                        hint: hint(name),
                        port: shown,
                    });
                }
                let Some(id) = port_by_name(&c_name) else {
                    // SAFETY: as above.
                    unsafe {
                        dpdk_sys::rte_eal_hotplug_remove(bus.as_ptr(), c_name.as_ptr());
                    }
                    return Err(PortError::Open {
                        reason: "the device brought no port".to_owned(),
                        hint: None,
                        port: shown,
                    });
                };
                claim(id);
                id
            }
        };
        drop(control);
        Self::opened(id, bus, c_name, interface, Vec::new())
    }

    /// Makes a `net_ring` device over rings.
    pub(crate) fn from_rings(
        _eal: &'static Eal,
        name: &str,
        rings: Vec<Arc<Ring>>,
    ) -> Result<Self, PortError> {
        let device = format!("net_ring_{name}");
        let open = |reason: String| PortError::Open { port: device.clone(), reason, hint: None };
        let c_name = CString::new(name).map_err(|error| open(error.to_string()))?;
        let c_device = CString::new(device.as_str()).map_err(|error| open(error.to_string()))?;
        let control = control::lock();
        control::clear_errno();
        let result = ring::attach(&c_name, &rings);
        // Asked again by name, since the call returns a number even for a port
        // that it does not find.
        let Some(id) = port_by_name(&c_device).filter(|_| result >= 0) else {
            return Err(open(control::reason(result)));
        };
        claim(id);
        drop(control);
        Self::opened(id, c"vdev", c_device, None, rings)
    }

    fn opened(
        id: u16,
        bus: &'static CStr,
        name: CString,
        interface: Option<String>,
        rings: Vec<Arc<Ring>>,
    ) -> Result<Self, PortError> {
        let mut device = Self {
            id,
            bus,
            name,
            driver: String::new(),
            interface,
            started: AtomicBool::new(false),
            undo_promiscuous: AtomicBool::new(false),
            mempools: Mutex::new(Vec::new()),
            rss_key: OnceLock::new(),
            rings,
        };
        // From here on, dropping the device closes it.
        let info = device.info()?;
        if !info.driver_name.is_null() {
            // SAFETY: the driver's name, a static string of its library.
            let driver = unsafe { CStr::from_ptr(info.driver_name) };
            device.driver = driver.to_string_lossy().into_owned();
        }
        Ok(device)
    }

    /// Keeps a pool until the device is closed.
    pub(crate) fn hold(&self, pool: Mempool) {
        self.mempools.lock().unwrap_or_else(PoisonError::into_inner).push(pool);
    }

    /// Whether it is a connection to another process.
    pub(crate) fn is_connection(&self) -> bool {
        matches!(self.driver.as_str(), "net_memif" | "net_vhost" | "net_virtio_user")
    }

    /// Whether something is at the other end; `false` if the driver does not tell.
    pub(crate) fn is_up(&self) -> bool {
        let mut link = dpdk_sys::rte_eth_link::default();
        // SAFETY: the port is open and link is writable.
        let result = unsafe { dpdk_sys::rte_eth_link_get_nowait(self.id, &mut link) };
        result == 0 && u32::from(link.link_status()) == dpdk_sys::RTE_ETH_LINK_UP
    }

    /// Whether its packets come from feeders.
    pub(crate) fn is_ring(&self) -> bool {
        !self.rings.is_empty()
    }

    /// The ring of a ring port's queue.
    #[inline]
    pub(crate) fn ring(&self, queue: u16) -> Option<&Ring> {
        self.rings.get(usize::from(queue)).map(Arc::as_ref)
    }

    /// The packets that a receive queue holds, as the driver sized it.
    pub(crate) fn rx_desc(&self, queue: u16) -> Option<u16> {
        let mut info = MaybeUninit::<dpdk_sys::rte_eth_rxq_info>::zeroed();
        // SAFETY: the port is open and info is writable; the call checks the number.
        let result =
            unsafe { dpdk_sys::rte_eth_rx_queue_info_get(self.id, queue, info.as_mut_ptr()) };
        // SAFETY: plain data, zeroed before the call.
        (result == 0).then(|| unsafe { info.assume_init() }.nb_desc)
    }

    pub(crate) fn info(&self) -> Result<rte_eth_dev_info, PortError> {
        let mut info = MaybeUninit::<rte_eth_dev_info>::zeroed();
        // SAFETY: the port is open and info is writable.
        let result = unsafe { dpdk_sys::rte_eth_dev_info_get(self.id, info.as_mut_ptr()) };
        self.check("ask what it can do", result)?;
        // SAFETY: plain data, zeroed before the call filled it.
        Ok(unsafe { info.assume_init() })
    }

    pub(crate) fn check(&self, what: &'static str, result: i32) -> Result<u32, PortError> {
        u32::try_from(result).map_err(|_| PortError::Driver {
            port: self.name.to_string_lossy().into_owned(),
            what,
            reason: control::reason(result),
            remedy: control::code(result).and_then(|code| remedy(&self.driver, code)),
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _control = control::lock();
        // SAFETY: port and queues are gone: nobody polls, and the id is not used
        // after this. Pool, key and rings are dropped after it.
        unsafe {
            if self.undo_promiscuous.load(Ordering::Relaxed) {
                dpdk_sys::rte_eth_promiscuous_disable(self.id);
            }
            if self.started.load(Ordering::Relaxed) {
                dpdk_sys::rte_eth_dev_stop(self.id);
            }
            if dpdk_sys::rte_eal_hotplug_remove(self.bus.as_ptr(), self.name.as_ptr()) != 0 {
                dpdk_sys::rte_eth_dev_close(self.id);
            }
        }
        release(self.id);
    }
}

/// The number of the port that a device brought.
fn port_by_name(name: &CStr) -> Option<u16> {
    let mut id = u16::MAX;
    // SAFETY: the name is NUL-terminated, id is writable.
    let result = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut id) };
    (result == 0).then_some(id)
}

/// The ports that are in somebody's hands, by number. DPDK gives numbers anew.
static CLAIMED: Mutex<[bool; dpdk_sys::RTE_MAX_ETHPORTS as usize]> =
    Mutex::new([false; dpdk_sys::RTE_MAX_ETHPORTS as usize]);

/// Notes that a port is taken; `false` if it was before.
fn claim(id: u16) -> bool {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    claimed.get_mut(usize::from(id)).is_some_and(|taken| !std::mem::replace(taken, true))
}

fn release(id: u16) {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(taken) = claimed.get_mut(usize::from(id)) {
        *taken = false;
    }
}

/// What is likely missing when a device cannot be opened.
fn hint(name: &str) -> Option<String> {
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let hint = match driver {
        "net_af_packet" | "net_af_xdp" if !has_capability(NET_RAW) => {
            "the process lacks CAP_NET_RAW: run as root or grant it"
        }
        "net_af_packet" | "net_af_xdp" if !has_capability(IPC_LOCK) => {
            "the process lacks CAP_IPC_LOCK, and its rings are memory that is not paged out: run as \
             root, grant it, or raise the limit (ulimit -l)"
        }
        "net_pcap" if MetaField::registered().is_some() => {
            "its timestamp does not fit into an mbuf beside the packet field"
        }
        "net_pcap" => "is the file there and a capture, and its path without a comma?",
        "net_af_xdp" => {
            "does the interface have as many queues as asked for (ethtool -l), is no other XDP \
             program on it (ip link), and may the process use BPF (CAP_BPF, CAP_NET_ADMIN)?"
        }
        "net_tap" if !has_capability(NET_ADMIN) => {
            "the process lacks CAP_NET_ADMIN: run as root or grant it"
        }
        "net_tap" => {
            "is /dev/net/tun there, and no other interface of its name? `remote` also needs a kernel \
             with the qdiscs multiq and ingress, the classifier flower and the actions gact and \
             mirred of tc"
        }
        "net_memif" => {
            "is the folder of its socket there and to be written to, and with role=client, does the \
             other side run?"
        }
        "net_virtio_user" => {
            "is the switch's vhost-user socket (path) there and to be written to, and its port up?"
        }
        "net_vhost" => {
            "is the folder of its socket (iface) there and to be written to, and no other process \
             on it?"
        }
        _ if name.contains(':') => {
            "is the device there, allowed in EalConfig::pci, and bound to vfio-pci \
             (scripts/bind-nic)?"
        }
        _ => "is the driver installed (Debian: librte-net-*), and are the arguments right?",
    };
    Some(hint.to_owned())
}

/// What is likely to help when a driver's call fails with this error number.
fn remedy(driver: &str, code: i32) -> Option<&'static str> {
    Some(match code {
        // Without the capability starting restores what it may not set, and fails by a code of chance.
        libc::EPERM | libc::EACCES | libc::ENOENT
            if matches!(driver, "net_af_packet" | "net_af_xdp") && !has_capability(NET_ADMIN) =>
        {
            "the process lacks CAP_NET_ADMIN: run as root or grant it"
        }
        libc::ENOMEM => {
            "give DPDK more memory (memory.size, more hugepages), or ask for fewer descriptors \
             or queues"
        }
        libc::EPERM | libc::EACCES => {
            "run as root, or grant CAP_NET_RAW and CAP_NET_ADMIN (with AF_XDP also CAP_BPF, with \
             vfio access to /dev/vfio)"
        }
        libc::EBUSY if driver == "net_af_xdp" => {
            "another program has an XDP program or socket on this interface: end it, or take it \
             off (ip link set dev IFACE xdp off)"
        }
        libc::EBUSY => "another process has the device: end that first",
        libc::ENODEV | libc::ENXIO => {
            "the device has gone: was it unplugged, unbound, or its network namespace removed?"
        }
        libc::EINVAL if driver == "net_af_xdp" => {
            "does the interface have as many queues (ethtool -l IFACE), and an MTU whose frames \
             fit into one page of memory?"
        }
        libc::EINVAL => "the driver takes other numbers of queues or descriptors, or another MTU",
        libc::ENOTSUP => "this driver cannot do that: leave the setting out",
        libc::ETIMEDOUT => "the NIC does not answer: look at its firmware, and reset it",
        _ => return None,
    })
}

/// `CAP_NET_ADMIN`, as a bit of a process's capabilities.
const NET_ADMIN: u32 = 12;
/// `CAP_NET_RAW`.
const NET_RAW: u32 = 13;
/// `CAP_IPC_LOCK`.
const IPC_LOCK: u32 = 14;

/// Whether a capability is in effect; `true` if it cannot be told.
fn has_capability(bit: u32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return true;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_none_or(|set| set & (1 << bit) != 0)
}
