//! A port of one queue that is filled from memory, as a replay's is, and its pool of mbufs.

use std::sync::OnceLock;

use dpdk::{
    Eal, EalConfig, Hugepages, Mempool, MetaField, Port, PortConfig, RingFeeder, RingPort, RxQueue,
};

/// Packets that wait in the ring: what the feeder fills in its turn. Few enough for a core's cache.
pub const RING: u32 = 512;

/// Mbufs. More than the ring holds, for packets that need several and those in caches; few enough for a
/// core's cache too, for they are used one after the other.
const MBUFS: u32 = 1023;

/// DPDK, started once for the process.
///
/// # Errors
/// DPDK's.
pub fn eal() -> anyhow::Result<&'static Eal> {
    static STARTED: OnceLock<&'static Eal> = OnceLock::new();
    if let Some(eal) = STARTED.get() {
        return Ok(eal);
    }
    let config = EalConfig { hugepages: Hugepages::Auto, memory_mb: 128, ..EalConfig::default() };
    let eal = Eal::init(&config)?;
    Ok(STARTED.get_or_init(|| eal))
}

/// The port, its ends and what belongs to it.
#[derive(Debug)]
pub struct Fed {
    /// The port; it must live as long as its queue is polled.
    pub port: Port,
    /// Where packets come out.
    pub queue: RxQueue,
    /// Where they go in.
    pub ring: RingFeeder,
    /// Where mbufs come from.
    pub pool: Mempool,
    /// The packets' metadata.
    pub meta: MetaField,
}

/// Opens one.
///
/// # Errors
/// DPDK's: memory above all.
pub fn open(eal: &'static Eal) -> anyhow::Result<Fed> {
    let Wide { port, mut queues, mut rings, pool, meta } = open_wide(eal, 1, RING, MBUFS)?;
    let missing = || anyhow::anyhow!("the port has no queue");
    let queue = queues.pop().ok_or_else(missing)?;
    let ring = rings.pop().ok_or_else(missing)?;
    Ok(Fed { port, queue, ring, pool, meta })
}

/// A port of several queues, as [`Fed`].
#[derive(Debug)]
pub struct Wide {
    /// The port; it must live as long as its queues are polled.
    pub port: Port,
    /// Where packets come out.
    pub queues: Vec<RxQueue>,
    /// Where they go in, by queue.
    pub rings: Vec<RingFeeder>,
    /// Where mbufs come from.
    pub pool: Mempool,
    /// The packets' metadata.
    pub meta: MetaField,
}

/// Opens one of so many queues, each of which holds so many packets, with so many mbufs for all.
///
/// # Errors
/// DPDK's: memory above all.
pub fn open_wide(eal: &'static Eal, queues: u16, ring: u32, mbufs: u32) -> anyhow::Result<Wide> {
    let meta = MetaField::register()?;
    let pool = Mempool::new("bench", mbufs, 256, 2048, None)?;
    let (mut port, rings) = RingPort::new(eal, "bench", usize::from(queues), ring)?;
    port.configure(PortConfig { rx_queues: queues, ..PortConfig::new(pool.clone()) })?;
    port.start()?;
    let queues = port.rx_queues();
    Ok(Wide { port, queues, rings, pool, meta })
}
