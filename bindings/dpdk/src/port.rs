//! A port: opened, configured, started, then polled through its receive
//! queues. It closes when the last of port and queues is dropped.

use std::{
    ffi::{CStr, CString},
    fmt,
    mem::MaybeUninit,
    ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use dpdk_sys::{rte_eth_conf, rte_eth_dev_info, rte_eth_rss_conf};
use thiserror::Error;

use crate::{
    burst::Burst,
    control,
    eal::Eal,
    mempool::Mempool,
    meta::MetaField,
    ring::{self, Ring},
    rss::{self, RssApplied, RssConfig},
    vdev::{self, VdevSpec},
};

/// Why something could not be done with a port.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such kernel interface.
    #[error(
        "there is no network interface {interface:?} here (there is: {}); correct the name, \
         or start the process in the network namespace that has it", .present.join(", ")
    )]
    NoInterface {
        /// The name asked for.
        interface: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// The device could not be opened.
    #[error(
        "port {port} could not be opened: {reason}{}; DPDK's messages on standard error say more",
        .hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default()
    )]
    Open {
        /// The device and its arguments.
        port: String,
        /// DPDK's own words.
        reason: String,
        /// What is likely missing.
        hint: Option<String>,
    },
    /// The device is in use by another [`Port`] of this process.
    #[error("port {port} is open in this process already")]
    Busy {
        /// The device.
        port: String,
    },
    /// A number out of range, or a call at the wrong time.
    #[error("port {port}: {problem}")]
    Shape {
        /// The device.
        port: String,
        /// What is wrong, and the limit.
        problem: String,
    },
    /// The NIC cannot spread packets as asked.
    #[error(
        "port {port}: its driver {driver} offers no hash over the wanted fields; \
         use one queue and let the workers hand packets over"
    )]
    NoRss {
        /// The device.
        port: String,
        /// Its driver.
        driver: String,
    },
    /// A call into the driver failed.
    #[error("port {port}: could not {what}: {reason}")]
    Driver {
        /// The device.
        port: String,
        /// What was tried.
        what: &'static str,
        /// DPDK's own words.
        reason: String,
    },
}

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
}

impl PortConfig {
    /// One queue of 1,024 packets, promiscuous.
    pub fn new(mempool: Mempool) -> Self {
        Self { rx_queues: 1, rx_desc: 1024, mempool, max_frame: None, promiscuous: true, rss: None }
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
    rss: Option<RssApplied>,
    promiscuous: bool,
    queues: Vec<RxQueue>,
}

/// What port and queues share; dropping it closes the device.
struct Device {
    id: u16,
    bus: &'static CStr,
    name: CString,
    driver: String,
    interface: Option<String>,
    started: AtomicBool,
    undo_promiscuous: AtomicBool,
    /// Where the driver takes mbufs from; it must outlive the device.
    mempool: OnceLock<Mempool>,
    /// Drivers keep a pointer to the hash key that they were configured with.
    rss_key: OnceLock<Vec<u8>>,
    /// The rings of a ring port, which the driver reads from.
    rings: Vec<Arc<Ring>>,
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
        let interface = spec.interface().map(str::to_owned);
        Self::plug(eal, c"vdev", spec.name(), spec.args(), interface)
    }

    /// Opens a PCI device that [`EalConfig::pci`](crate::EalConfig::pci) named
    /// and that is bound to `vfio-pci`.
    ///
    /// # Errors
    /// When the device is not there, not bound, or no driver knows it.
    pub fn pci(eal: &'static Eal, address: &str) -> Result<Self, PortError> {
        Self::plug(eal, c"pci", address, "", None)
    }

    /// Makes a port over rings.
    pub(crate) fn from_rings(
        _eal: &'static Eal,
        name: &str,
        rings: Vec<Arc<Ring>>,
    ) -> Result<Self, PortError> {
        let device = format!("net_ring_{name}");
        let open = |reason: String| PortError::Open { port: device.clone(), reason, hint: None };
        let c_name = CString::new(name).map_err(|error| open(error.to_string()))?;
        let control = control::lock();
        control::clear_errno();
        let id = match u16::try_from(ring::attach(&c_name, &rings)) {
            // It returns this for a port that it then does not find.
            Ok(id) if u32::from(id) < dpdk_sys::RTE_MAX_ETHPORTS => id,
            _ => return Err(open(control::describe(control::errno()))),
        };
        drop(control);
        let c_device = CString::new(device.as_str()).map_err(|error| open(error.to_string()))?;
        Self::opened(id, c"vdev", c_device, None, rings)
    }

    fn plug(
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
        let mut id = u16::MAX;
        // SAFETY: the name is NUL-terminated, id is writable.
        let known = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) };
        // A PCI device that was allowed at the start is probed already; its
        // first Port takes it. Everything else must be new.
        if known != 0 || !(bus == c"pci" && claim(id)) {
            if known == 0 {
                return Err(PortError::Busy { port: shown });
            }
            control::clear_errno();
            // SAFETY: three NUL-terminated strings, copied by DPDK.
            let result = unsafe {
                dpdk_sys::rte_eal_hotplug_add(bus.as_ptr(), c_name.as_ptr(), c_args.as_ptr())
            };
            if result < 0 {
                let code = control::code(result);
                return Err(PortError::Open {
                    reason: control::describe(code),
                    hint: hint(name, code),
                    port: shown,
                });
            }
            // SAFETY: as above.
            let found = unsafe { dpdk_sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &mut id) };
            if found != 0 {
                return Err(PortError::Open {
                    reason: "the device was plugged in but brought no port".to_owned(),
                    hint: None,
                    port: shown,
                });
            }
            claim(id);
        }
        drop(control);
        Self::opened(id, bus, c_name, interface, Vec::new())
    }

    fn opened(
        id: u16,
        bus: &'static CStr,
        name: CString,
        interface: Option<String>,
        rings: Vec<Arc<Ring>>,
    ) -> Result<Self, PortError> {
        let mut device = Device {
            id,
            bus,
            name,
            driver: String::new(),
            interface,
            started: AtomicBool::new(false),
            undo_promiscuous: AtomicBool::new(false),
            mempool: OnceLock::new(),
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
        Ok(Self {
            device: Arc::new(device),
            stage: Stage::Open,
            config: None,
            rss: None,
            promiscuous: false,
            queues: Vec::new(),
        })
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
        let functions = self.ask_rss(&config, &info, &mut conf)?;
        self.ask_frame(&config, &info, &mut conf)?;
        // SAFETY: the port is open; conf is initialised, and its key lives in
        // the device for as long as that is open.
        let result =
            unsafe { dpdk_sys::rte_eth_dev_configure(self.id(), config.rx_queues, 0, &conf) };
        self.check("configure it", result)?;

        let (mut rx_desc, mut tx_desc) = (config.rx_desc, 0);
        // SAFETY: the port is open, both numbers are writable.
        let result = unsafe {
            dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.id(), &mut rx_desc, &mut tx_desc)
        };
        self.check("size its queues", result)?;
        let mempool = self.device.mempool.get_or_init(|| config.mempool.clone());
        // SAFETY: the port is open.
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
                    mempool.as_ptr(),
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
        drop(control);
        self.rss = functions.map(|functions| self.read_back_rss(functions));
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
        if config.promiscuous {
            self.promiscuous = self.enable_promiscuous()?;
        }
        let queues = config.rx_queues;
        drop(control);
        self.queues = (0..queues)
            .map(|queue| RxQueue {
                clear_meta: self.device.rings.is_empty(),
                device: Arc::clone(&self.device),
                queue,
            })
            .collect();
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

    /// What the NIC hashes, if [`PortConfig::rss`] asked it to.
    pub fn rss(&self) -> Option<RssApplied> {
        self.rss
    }

    /// Whether it receives what is addressed to others: asked for, and possible.
    /// Virtual devices without addresses say `false` and receive everything.
    pub fn promiscuous(&self) -> bool {
        self.promiscuous
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

    fn read_back_rss(&self, functions: u64) -> RssApplied {
        let level = dpdk_sys::POLLUX_RSS_LEVEL_INNERMOST;
        let wanted = self.device.rss_key.get().map(Vec::as_slice).unwrap_or_default();
        let mut key = vec![0; wanted.len()];
        let mut conf =
            rte_eth_rss_conf { rss_key: key.as_mut_ptr(), rss_key_len: key.len() as u8, rss_hf: 0 };
        // SAFETY: the port is open; the key has room for as many bytes as said.
        let result = unsafe { dpdk_sys::rte_eth_dev_rss_hash_conf_get(self.id(), &mut conf) };
        RssApplied {
            functions: functions & !level,
            innermost: functions & level != 0,
            confirmed: result == 0 && conf.rss_hf & functions == functions && key == wanted,
        }
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

impl Device {
    fn info(&self) -> Result<rte_eth_dev_info, PortError> {
        let mut info = MaybeUninit::<rte_eth_dev_info>::zeroed();
        // SAFETY: the port is open and info is writable.
        let result = unsafe { dpdk_sys::rte_eth_dev_info_get(self.id, info.as_mut_ptr()) };
        self.check("ask what it can do", result)?;
        // SAFETY: plain data, zeroed before the call filled it.
        Ok(unsafe { info.assume_init() })
    }

    fn check(&self, what: &'static str, result: i32) -> Result<u32, PortError> {
        u32::try_from(result).map_err(|_| PortError::Driver {
            port: self.name.to_string_lossy().into_owned(),
            what,
            reason: control::describe(control::code(result)),
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
    }
}

/// One receive queue of a started port, with one owner. Keeps the port open.
pub struct RxQueue {
    device: Arc<Device>,
    queue: u16,
    clear_meta: bool,
}

impl RxQueue {
    /// Polls once: clears the burst and fills it with what waits, at most `N`
    /// packets; returns how many. Does not block. Except on ring ports, whose
    /// feeders set it, every packet's [`PacketMeta`](crate::PacketMeta) is zero.
    #[inline]
    pub fn receive<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        let (id, queue) = (self.device.id, self.queue);
        let meta = if self.clear_meta { MetaField::registered() } else { None };
        // SAFETY: the port is started and lives while self does; &mut makes this
        // the queue's only poller. The driver writes at most n packets, each with
        // one reference, from the pool that the device holds, or as a feeder
        // pushed it. The cleared range is the one that DPDK reserved for us.
        unsafe {
            burst.fill(|packets, n| match meta {
                None => dpdk_sys::pollux_rx_burst(id, queue, packets, n),
                Some(field) => dpdk_sys::pollux_rx_burst_clear(
                    id,
                    queue,
                    packets,
                    n,
                    field.offset(),
                    size_of::<crate::PacketMeta>() as u16,
                ),
            })
        }
    }

    /// The queue's number within the port.
    pub fn index(&self) -> u16 {
        self.queue
    }

    /// DPDK's number for the port.
    pub fn port(&self) -> u16 {
        self.device.id
    }
}

impl fmt::Debug for RxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RxQueue").field("port", &self.port()).field("queue", &self.queue).finish()
    }
}

/// Notes that a port is in somebody's hands; `false` if it was before.
fn claim(id: u16) -> bool {
    use std::sync::Mutex;
    static CLAIMED: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut claimed = CLAIMED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let new = !claimed.contains(&id);
    if new {
        claimed.push(id);
    }
    new
}

/// What is likely missing when a device cannot be opened.
fn hint(name: &str, code: i32) -> Option<String> {
    let driver = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let hint = match driver {
        "net_af_packet" | "net_af_xdp" if !has_net_raw() => {
            "the process lacks CAP_NET_RAW: run as root or grant it"
        }
        "net_pcap" => "is the file there and a capture, and its path without a comma?",
        _ if code == libc::ENODEV || code == libc::EINVAL || code == 1 => {
            "is the driver installed (Debian: librte-net-*), and are the arguments right?"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Whether CAP_NET_RAW (13) is in effect; `true` if it cannot be told.
fn has_net_raw() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return true;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_none_or(|set| set & (1 << 13) != 0)
}
