//! A port's own counters. What its driver does not count is `None`, never 0.

use std::{ffi::CStr, mem::MaybeUninit};

use crate::port::Port;
use crate::port_error::PortError;
use crate::{control, vdev};

/// What the driver counted since the port was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortStats {
    /// Packets received.
    pub ipackets: u64,
    /// Their bytes.
    pub ibytes: Option<u64>,
    /// Packets that were lost because the queue was full.
    pub imissed: Option<u64>,
    /// Packets received with errors.
    pub ierrors: Option<u64>,
    /// Times that no mbuf was left to receive into.
    pub rx_nombuf: Option<u64>,
}

/// Which counters a driver keeps.
struct Keeps {
    bytes: bool,
    missed: bool,
    errors: bool,
    no_mbuf: bool,
}

/// Read from the drivers of 22.11. Hardware keeps them all.
fn keeps(driver: &str) -> Keeps {
    let none = Keeps { bytes: false, missed: false, errors: false, no_mbuf: false };
    match driver {
        "net_ring" | "net_null" => none,
        // With a dry pool it leaves the packet in the kernel's ring; what the
        // kernel then drops only the socket knows, see `kernel_drops`.
        "net_af_packet" => Keeps { bytes: true, ..none },
        // Where their rings are full it is the other end that keeps or loses packets.
        "net_memif" | "net_vhost" => Keeps { bytes: true, ..none },
        "net_virtio_user" => Keeps { missed: false, bytes: true, errors: true, no_mbuf: true },
        "net_af_xdp" => Keeps { bytes: true, missed: true, ..none },
        // What finds no room the kernel counts as not sent, at the interface.
        "net_tap" => Keeps { missed: false, bytes: true, errors: true, no_mbuf: true },
        "net_pcap" => Keeps { bytes: true, errors: true, no_mbuf: true, ..none },
        _ => Keeps { bytes: true, missed: true, errors: true, no_mbuf: true },
    }
}

impl Port {
    /// The driver's counters.
    ///
    /// # Errors
    /// When the driver cannot be asked.
    pub fn stats(&self) -> Result<PortStats, PortError> {
        let mut stats = MaybeUninit::zeroed();
        // SAFETY: the port is open while self is, and stats is writable.
        let result = unsafe { dpdk_sys::rte_eth_stats_get(self.id(), stats.as_mut_ptr()) };
        self.check("read the counters", result)?;
        // SAFETY: plain numbers, zeroed before the call.
        let stats: dpdk_sys::rte_eth_stats = unsafe { stats.assume_init() };
        let keeps = keeps(self.driver_name());
        Ok(PortStats {
            ipackets: stats.ipackets,
            ibytes: keeps.bytes.then_some(stats.ibytes),
            imissed: keeps.missed.then_some(stats.imissed).or_else(|| self.kernel_drops()),
            ierrors: keeps.errors.then_some(stats.ierrors),
            rx_nombuf: keeps.no_mbuf.then_some(stats.rx_nombuf),
        })
    }

    /// What the kernel dropped because a packet socket's ring was full.
    fn kernel_drops(&self) -> Option<u64> {
        if self.driver_name() != "net_af_packet" {
            return None;
        }
        let index = i32::try_from(vdev::interface_index(self.interface()?)?).ok()?;
        let _control = control::lock();
        let mut drops = 0;
        // SAFETY: drops is writable, and the lock makes this the only call at a time.
        unsafe { dpdk_sys::pollux_packet_drops(index, &mut drops) }.then_some(drops)
    }

    /// Every counter by the driver's own name, as it reports it.
    ///
    /// # Errors
    /// When the driver cannot be asked.
    pub fn xstats(&self) -> Result<Vec<(String, u64)>, PortError> {
        let what = "read the extended counters";
        // SAFETY: without room, the call returns how many there are.
        let n = unsafe { dpdk_sys::rte_eth_xstats_get_names(self.id(), std::ptr::null_mut(), 0) };
        let n = self.check(what, n)?;
        let mut names = vec![dpdk_sys::rte_eth_xstat_name::default(); n as usize];
        let mut values = vec![dpdk_sys::rte_eth_xstat::default(); n as usize];
        // SAFETY: both have room for n entries.
        let (named, valued) = unsafe {
            (
                dpdk_sys::rte_eth_xstats_get_names(self.id(), names.as_mut_ptr(), n),
                dpdk_sys::rte_eth_xstats_get(self.id(), values.as_mut_ptr(), n),
            )
        };
        names.truncate(self.check(what, named)? as usize);
        values.truncate(self.check(what, valued)? as usize);
        Ok(values
            .iter()
            .filter_map(|stat| {
                let name = &names.get(usize::try_from(stat.id).ok()?)?.name;
                // SAFETY: the array is all initialised; c_char and u8 are alike.
                let bytes =
                    unsafe { std::slice::from_raw_parts(name.as_ptr().cast::<u8>(), name.len()) };
                let name = CStr::from_bytes_until_nul(bytes).ok()?;
                Some((name.to_string_lossy().into_owned(), stat.value))
            })
            .collect())
    }
}
