//! A port: opened, configured, started, then polled through its receive
//! queues. It closes when the last of port and queues is dropped.

use std::{
    fmt, ptr,
    sync::{Arc, atomic::Ordering},
};

use dpdk_sys::{rte_eth_conf, rte_eth_dev_info, rte_eth_rss_conf};

use crate::{
    control,
    device::Device,
    eal::Eal,
    flow::DropRules,
    mempool::Mempool,
    port_error::PortError,
    queue::RxQueue,
    ring::Ring,
    rss::{self, RssApplied, RssConfig},
    vdev::{self, VdevSpec},
};

/// How a port receives.
#[derive(Debug, Clone)]
pub struct PortConfig {
    /// How many receive queues.
    pub rx_queues: u16,
    /// Packets that wait in a queue; the driver may round it.
    pub rx_desc: u16,
    /// Where mbufs come from.
    pub mempool: Mempool,
    /// The longest frame to be received, in bytes without the checksum; `None`
    /// for what the driver does by itself (usually 1,514, and software drivers
    /// whatever comes).
    pub max_frame: Option<u32>,
    /// Receive what is addressed to others too.
    pub promiscuous: bool,
    /// Spreading over several queues by the NIC; an error if it cannot.
    pub rss: Option<RssConfig>,
    /// Asks for an interrupt for each receive queue, so that its poller can
    /// [wait](RxQueue::wait) for packets. Drivers without them ignore it.
    pub interrupts: bool,
}

impl PortConfig {
    /// One queue of 1,024 packets, promiscuous.
    pub fn new(mempool: Mempool) -> Self {
        Self {
            rx_queues: 1,
            rx_desc: 1024,
            mempool,
            max_frame: None,
            promiscuous: true,
            rss: None,
            interrupts: false,
        }
    }
}

/// What a driver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Receive queues at most.
    pub max_rx_queues: u16,
    /// Bytes of the longest frame, `u32::MAX` if the driver does not care.
    pub max_frame: u32,
    /// Packets in a queue at least.
    pub min_rx_desc: u16,
    /// Packets in a queue at most.
    pub max_rx_desc: u16,
    /// The smallest data room that it accepts, in bytes.
    pub min_data_room: u32,
    /// The hashes it offers, `RTE_ETH_RSS_*`; 0 for none.
    pub rss_functions: u64,
    /// Whether it hashes the inner-most headers of tunnels.
    pub rss_innermost: bool,
    /// Bytes of its hash key; 0 if it does not tell.
    pub rss_key: u8,
    /// Entries of its redirection table; 0 for none.
    pub redirection: u16,
}

/// The state of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whether packets can come.
    pub up: bool,
    /// Megabits per second, if the driver knows.
    pub speed_mbps: Option<u32>,
    /// Whether both directions at once.
    pub full_duplex: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Configured,
    Started,
}

/// An open port.
pub struct Port {
    device: Arc<Device>,
    stage: Stage,
    config: Option<PortConfig>,
    /// The hash functions asked for.
    functions: Option<u64>,
    rss: Option<RssApplied>,
    promiscuous: bool,
    queues: Vec<RxQueue>,
}

impl Port {
    /// Plugs in a virtual device.
    ///
    /// # Errors
    /// When its kernel interface is missing, a privilege is, or the driver
    /// refuses; [`PortError`] says what to do.
    pub fn vdev(eal: &'static Eal, spec: &VdevSpec) -> Result<Self, PortError> {
        if let Some(interface) = spec.interface()
            && !vdev::interface_exists(interface)
        {
            return Err(PortError::NoInterface {
                interface: interface.to_owned(),
                present: vdev::interfaces(),
            });
        }
        if let Some(queues) = spec.packet_sockets().filter(|queues| *queues != "1") {
            return Err(PortError::Shape {
                port: spec.to_string(),
                problem: format!(
                    "qpairs={queues}: the kernel moves flows between several packet sockets; leave \
                     it out, and let the workers hand packets over"
                ),
            });
        }
        let interface = spec.interface().map(str::to_owned);
        Device::plug(eal, c"vdev", spec.name(), spec.args(), interface).map(Self::over)
    }

    /// Opens a PCI device that [`EalConfig::pci`](crate::EalConfig::pci) named
    /// and that is bound to `vfio-pci`.
    ///
    /// # Errors
    /// When the device is not there, not bound, or no driver knows it.
    pub fn pci(eal: &'static Eal, address: &str) -> Result<Self, PortError> {
        Device::plug(eal, c"pci", address, "", None).map(Self::over)
    }

    /// Makes a port over rings.
    pub(crate) fn from_rings(
        eal: &'static Eal,
        name: &str,
        rings: Vec<Arc<Ring>>,
    ) -> Result<Self, PortError> {
        Device::from_rings(eal, name, rings).map(Self::over)
    }

    fn over(device: Device) -> Self {
        Self {
            device: Arc::new(device),
            stage: Stage::Open,
            config: None,
            functions: None,
            rss: None,
            promiscuous: false,
            queues: Vec::new(),
        }
    }

    /// Sets it up. Once, before [`Self::start`].
    ///
    /// # Errors
    /// When the driver's [limits](Self::limits) are passed, or it refuses.
    pub fn configure(&mut self, config: PortConfig) -> Result<(), PortError> {
        if self.stage != Stage::Open {
            return Err(self.shape("it is configured already".to_owned()));
        }
        let control = control::lock();
        let info = self.device.info()?;
        self.check_limits(&config, &info)?;

        let mut conf = rte_eth_conf::default();
        conf.intr_conf.set_rxq(u32::from(config.interrupts));
        let functions = self.ask_rss(&config, &info, &mut conf)?;
        self.ask_frame(&config, &info, &mut conf)?;
        // Nothing is ever sent; but net_af_xdp and net_tap have their queues in pairs only, what
        // connects to net_memif wants both directions, and net_vhost receives nothing without.
        let in_pairs =
            matches!(self.driver_name(), "net_af_xdp" | "net_tap") || self.is_connection();
        let tx_queues = if in_pairs { config.rx_queues } else { 0 };
        // SAFETY: the port is open; conf is initialised, and its key lives in
        // the device for as long as that is open.
        let result = unsafe {
            dpdk_sys::rte_eth_dev_configure(self.id(), config.rx_queues, tx_queues, &conf)
        };
        self.check("configure it", result)?;

        let (mut rx_desc, mut tx_desc) = (config.rx_desc, config.rx_desc);
        // SAFETY: the port is open, both numbers are writable.
        let result = unsafe {
            dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id(), &mut rx_desc, &mut tx_desc)
        };
        self.check("size its queues", result)?;
        // Held from before the driver sees it, even if it then refuses.
        self.device.hold(config.mempool.clone());
        // SAFETY: the port is open. -1, for any node, is what the calls below take too.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id()) };
        for queue in 0..config.rx_queues {
            // SAFETY: the queue is below the configured number; the pool is held
            // by the device until it is closed.
            let result = unsafe {
                dpdk_sys::rte_eth_rx_queue_setup(
                    self.id(),
                    queue,
                    rx_desc,
                    socket as u32,
                    ptr::null(),
                    config.mempool.as_ptr(),
                )
            };
            if result == -libc::ENOMEM && config.mempool.data_room() < 4096 {
                return Err(self.shape(format!(
                    "the driver needs mbufs with a larger data room than {}, or more memory",
                    config.mempool.data_room()
                )));
            }
            self.check("set up a receive queue", result)?;
        }
        for queue in 0..tx_queues {
            // SAFETY: the queue is below the configured number.
            let result = unsafe {
                dpdk_sys::rte_eth_tx_queue_setup(
                    self.id(),
                    queue,
                    tx_desc,
                    socket as u32,
                    ptr::null(),
                )
            };
            self.check("set up the transmit side of a queue", result)?;
        }
        drop(control);
        self.functions = functions;
        self.config = Some(config);
        self.stage = Stage::Configured;
        Ok(())
    }

    /// Lets packets in. Once.
    ///
    /// # Errors
    /// When it is not configured, or the driver refuses.
    pub fn start(&mut self) -> Result<(), PortError> {
        let Some(config) = self.config.as_ref().filter(|_| self.stage == Stage::Configured) else {
            return Err(self.shape("it must be configured, and is started once".to_owned()));
        };
        let control = control::lock();
        // SAFETY: the port is configured.
        self.check("start it", unsafe { dpdk_sys::rte_eth_dev_start(self.id()) })?;
        self.device.started.store(true, Ordering::Relaxed);
        self.rss = self.functions.map(|functions| self.confirm_rss(functions));
        if config.promiscuous {
            self.promiscuous = self.enable_promiscuous()?;
        }
        let queues = config.rx_queues;
        drop(control);
        self.queues =
            (0..queues).map(|queue| RxQueue::new(Arc::clone(&self.device), queue)).collect();
        self.stage = Stage::Started;
        Ok(())
    }

    /// The receive queues, in order, after [`Self::start`]. Each has one owner:
    /// a second call returns none.
    pub fn rx_queues(&mut self) -> Vec<RxQueue> {
        std::mem::take(&mut self.queues)
    }

    /// DPDK's number for it.
    pub fn id(&self) -> u16 {
        self.device.id
    }

    /// The device's name: the driver's with a number, or the PCI address.
    pub fn name(&self) -> String {
        self.device.name.to_string_lossy().into_owned()
    }

    /// Its driver, e.g. `net_af_packet`.
    pub fn driver_name(&self) -> &str {
        &self.device.driver
    }

    /// The kernel interface behind it, if there is one.
    pub fn interface(&self) -> Option<&str> {
        self.device.interface.as_deref()
    }

    /// The NUMA node that it hangs on; `None` for devices without one.
    pub fn numa_node(&self) -> Option<u32> {
        // SAFETY: the port is open.
        u32::try_from(unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id()) }).ok()
    }

    /// The packets that a receive queue holds, as the driver sized it; `None` where it
    /// does not tell, or the queue is not set up.
    pub fn rx_desc(&self, queue: u16) -> Option<u16> {
        self.device.rx_desc(queue)
    }

    /// The queue of each entry of the NIC's redirection table, which the low bits of the
    /// hash index; `None` if the driver does not tell, or has none.
    pub fn redirection_table(&self) -> Option<Vec<u16>> {
        let size = self.device.info().ok()?.reta_size;
        let group = usize::try_from(dpdk_sys::POLLUX_RETA_GROUP).ok()?;
        let entry = dpdk_sys::rte_eth_rss_reta_entry64 { mask: u64::MAX, reta: [0; 64] };
        let mut table = vec![entry; usize::from(size).div_ceil(group)];
        if table.is_empty() {
            return None;
        }
        // SAFETY: the port is open, and the table has room for the size that the driver named.
        let result =
            unsafe { dpdk_sys::rte_eth_dev_rss_reta_query(self.id(), table.as_mut_ptr(), size) };
        let all = table.iter().flat_map(|entry| entry.reta).take(usize::from(size));
        (result == 0).then(|| all.collect())
    }

    /// What the NIC hashes, once started, if [`PortConfig::rss`] asked it to.
    pub fn rss(&self) -> Option<RssApplied> {
        self.rss
    }

    /// Whether it receives what is addressed to others: asked for, and possible.
    /// Virtual devices without addresses say `false` and receive everything.
    pub fn promiscuous(&self) -> bool {
        self.promiscuous
    }

    /// Whether its driver has interrupts for receive queues at all, once started; only then may
    /// [`RxQueue::wait`] wait.
    pub fn has_interrupts(&self) -> bool {
        // Its interrupts are those of what connects to it.
        if self.driver_name() == "net_vhost" {
            return true;
        }
        // SAFETY: the port is started. What is enabled is disabled again before anybody polls.
        unsafe {
            let result = dpdk_sys::rte_eth_dev_rx_intr_enable(self.id(), 0);
            if result == 0 {
                dpdk_sys::rte_eth_dev_rx_intr_disable(self.id(), 0);
            }
            result != -libc::ENOTSUP
        }
    }

    /// Whoever has this may have the NIC drop flows, from any thread; once started.
    pub fn drop_rules(&self) -> DropRules {
        DropRules::of(Arc::clone(&self.device))
    }

    /// Whether it is a connection to another process, and up only while there is one.
    pub fn is_connection(&self) -> bool {
        self.device.is_connection()
    }

    /// What its driver can do.
    ///
    /// # Errors
    /// When the driver cannot be asked.
    pub fn limits(&self) -> Result<Limits, PortError> {
        let info = self.device.info()?;
        Ok(Limits {
            max_rx_queues: info.max_rx_queues,
            max_frame: info.max_rx_pktlen,
            min_rx_desc: info.rx_desc_lim.nb_min,
            max_rx_desc: info.rx_desc_lim.nb_max,
            min_data_room: info.min_rx_bufsize,
            rss_functions: info.flow_type_rss_offloads,
            rss_innermost: info.flow_type_rss_offloads & dpdk_sys::POLLUX_RSS_LEVEL_INNERMOST != 0,
            rss_key: info.hash_key_size,
            redirection: info.reta_size,
        })
    }

    /// The state of the wire, without waiting for it.
    ///
    /// # Errors
    /// When the driver cannot be asked.
    pub fn link(&self) -> Result<Link, PortError> {
        let mut link = dpdk_sys::rte_eth_link::default();
        // SAFETY: the port is open and link is writable.
        let result = unsafe { dpdk_sys::rte_eth_link_get_nowait(self.id(), &mut link) };
        self.check("read the link", result)?;
        Ok(Link {
            up: u32::from(link.link_status()) == dpdk_sys::RTE_ETH_LINK_UP,
            speed_mbps: Some(link.link_speed)
                .filter(|&speed| speed != 0 && speed != dpdk_sys::RTE_ETH_SPEED_NUM_UNKNOWN),
            full_duplex: u32::from(link.link_duplex()) == dpdk_sys::RTE_ETH_LINK_FULL_DUPLEX,
        })
    }

    /// A call's result as a number, or its failure as an error.
    pub(crate) fn check(&self, what: &'static str, result: i32) -> Result<u32, PortError> {
        self.device.check(what, result)
    }

    fn shape(&self, problem: String) -> PortError {
        PortError::Shape { port: self.name(), problem }
    }

    fn check_limits(&self, config: &PortConfig, info: &rte_eth_dev_info) -> Result<(), PortError> {
        let max = info.max_rx_queues;
        if config.rx_queues == 0 || config.rx_queues > max {
            return Err(self.shape(format!(
                "it can have 1 to {max} receive queues, not {}",
                config.rx_queues
            )));
        }
        let room = config.mempool.data_room();
        let needed = info.min_rx_bufsize.saturating_sub(dpdk_sys::POLLUX_HEADROOM);
        if u32::from(room) < needed {
            return Err(self.shape(format!(
                "it needs mbufs with a data room of {needed} bytes, the pool's have {room}"
            )));
        }
        Ok(())
    }

    /// Asks for the hash; returns the functions asked for.
    fn ask_rss(
        &self,
        config: &PortConfig,
        info: &rte_eth_dev_info,
        conf: &mut rte_eth_conf,
    ) -> Result<Option<u64>, PortError> {
        let Some(wanted) = config.rss else {
            return Ok(None);
        };
        let functions = rss::functions(wanted, info).ok_or_else(|| PortError::NoRss {
            port: self.name(),
            driver: self.driver_name().to_owned(),
        })?;
        let key = self.device.rss_key.get_or_init(|| rss::symmetric_key(info.hash_key_size));
        conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
        conf.rxmode.offloads |= info.rx_offload_capa & dpdk_sys::POLLUX_OFFLOAD_RSS_HASH;
        conf.rx_adv_conf.rss_conf = rte_eth_rss_conf {
            // Drivers only read it.
            rss_key: key.as_ptr().cast_mut(),
            rss_key_len: key.len() as u8,
            rss_hf: functions,
        };
        Ok(Some(functions))
    }

    /// Asks for the longest frame, and for chains where one mbuf cannot hold it.
    fn ask_frame(
        &self,
        config: &PortConfig,
        info: &rte_eth_dev_info,
        conf: &mut rte_eth_conf,
    ) -> Result<(), PortError> {
        let Some(frame) = config.max_frame else {
            return Ok(());
        };
        // As ethdev reckons it: what the driver says, or header and checksum.
        let overhead = match (info.max_mtu, info.max_rx_pktlen) {
            (mtu, len) if mtu != u16::MAX && len > u32::from(mtu) => len - u32::from(mtu),
            _ => 18,
        };
        let mtu = frame.saturating_add(4).saturating_sub(overhead);
        let longest = info.max_rx_pktlen.min(u32::from(info.max_mtu).saturating_add(overhead));
        if frame.saturating_add(4) > longest || mtu < u32::from(info.min_mtu) {
            return Err(self.shape(format!(
                "it takes frames of up to {} bytes, not {frame}{}",
                longest.saturating_sub(4),
                if self.driver_name() == "net_af_packet" {
                    " (leave max_frame unset and give the device a larger frame size)"
                } else {
                    ""
                }
            )));
        }
        conf.rxmode.mtu = mtu;
        if frame > u32::from(config.mempool.data_room()) {
            if info.rx_offload_capa & dpdk_sys::POLLUX_OFFLOAD_SCATTER != 0 {
                conf.rxmode.offloads |= dpdk_sys::POLLUX_OFFLOAD_SCATTER;
            } else if !matches!(self.driver_name(), "net_ring" | "net_pcap") {
                return Err(self.shape(format!(
                    "its driver cannot chain mbufs: frames of {frame} bytes need a pool with that \
                     data room, not {}",
                    config.mempool.data_room()
                )));
            }
        }
        Ok(())
    }

    /// Asks the started driver what it hashes. Some take the key only on request.
    fn confirm_rss(&self, functions: u64) -> RssApplied {
        let level = dpdk_sys::POLLUX_RSS_LEVEL_INNERMOST;
        let key = self.device.rss_key.get().map(Vec::as_slice).unwrap_or_default();
        let mut confirmed = self.reads_back(functions, key);
        if !confirmed {
            let mut conf = rte_eth_rss_conf {
                rss_key: key.as_ptr().cast_mut(),
                rss_key_len: key.len() as u8,
                rss_hf: functions,
            };
            // SAFETY: the port is started; drivers only read the key, which lives
            // in the device. A refusal shows when it is read back.
            unsafe { dpdk_sys::rte_eth_dev_rss_hash_update(self.id(), &mut conf) };
            confirmed = self.reads_back(functions, key);
        }
        RssApplied { functions: functions & !level, innermost: functions & level != 0, confirmed }
    }

    /// Whether the driver shows at least these functions, and this key.
    fn reads_back(&self, functions: u64, wanted: &[u8]) -> bool {
        let mut key = vec![0; wanted.len()];
        let mut conf =
            rte_eth_rss_conf { rss_key: key.as_mut_ptr(), rss_key_len: key.len() as u8, rss_hf: 0 };
        // SAFETY: the port is open; the key has room for as many bytes as said.
        let result = unsafe { dpdk_sys::rte_eth_dev_rss_hash_conf_get(self.id(), &mut conf) };
        let level = dpdk_sys::POLLUX_RSS_LEVEL_INNERMOST;
        result == 0 && functions & !level & !conf.rss_hf == 0 && key == wanted
    }

    /// Whether it is on afterwards. Drivers without addresses cannot, and need not.
    fn enable_promiscuous(&self) -> Result<bool, PortError> {
        let interface = self.device.interface.as_deref();
        let before = interface.is_some_and(|name| vdev::is_promiscuous(name).unwrap_or(false));
        // SAFETY: the port is started.
        match unsafe { dpdk_sys::rte_eth_promiscuous_enable(self.id()) } {
            code if code == -libc::ENOTSUP => Ok(false),
            code if code == -libc::EPERM => Err(self.shape(
                "promiscuous mode needs CAP_NET_ADMIN; grant it, or do without the mode".to_owned(),
            )),
            code => {
                self.check("set promiscuous mode", code)?;
                // The interface outlives us: it is to be left as it was found.
                let undo = interface.is_some() && !before;
                self.device.undo_promiscuous.store(undo, Ordering::Relaxed);
                Ok(true)
            }
        }
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("id", &self.id())
            .field("name", &self.device.name)
            .field("driver", &self.driver_name())
            .field("stage", &self.stage)
            .finish()
    }
}
