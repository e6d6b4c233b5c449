//! What Pollux uses of DPDK, owned and safe: one EAL per process, pools, mbufs
//! with one owner, bursts, ports and their receive queues.
//!
//! ```no_run
//! use dpdk::{Burst, Eal, EalConfig, Mempool, Port, PortConfig, VdevSpec};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let eal = Eal::init(&EalConfig::default())?;
//! let pool = Mempool::new("rx", 8191, 256, 2048, None)?;
//! let mut port = Port::vdev(eal, &VdevSpec::af_packet("eth1"))?;
//! port.configure(PortConfig::new(pool))?;
//! port.start()?;
//! let mut queue = port.rx_queues().remove(0);
//! let _thread = eal.register_thread()?;
//! let mut burst: Burst = Burst::new();
//! while queue.receive(&mut burst) > 0 {
//!     for mbuf in burst.iter() {
//!         let _bytes = mbuf.data();
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Who owns what: an [`Mbuf`] has exactly one owner and goes back to its pool
//! when that drops it; a [`Burst`] frees what was not taken out of it, in bulk.
//! An [`RxQueue`] keeps its port open, a port keeps its pool, and a pool whose
//! last handle is gone stays mapped until its last mbuf is back.

mod burst;
mod clock;
mod control;
mod device;
mod eal;
mod flow;
mod fresh;
mod hugepages;
mod mbuf;
mod mempool;
mod meta;
mod port;
mod port_error;
mod queue;
mod ring;
mod rss;
mod stats;
mod thread;
mod vdev;

pub use burst::Burst;
pub use clock::rdtsc;
pub use eal::{Eal, EalConfig, EalError, LogLevel, Memory};
pub use flow::{DropRule, DropRules, Dropped, FlowError, FlowTuple, RuleScope};
pub use fresh::Fresh;
pub use hugepages::Hugepages;
pub use mbuf::{Mbuf, PoolDry, Segments, TAIL};
pub use mempool::{Mempool, PoolError};
pub use meta::{MetaError, MetaField, PacketMeta, RxTimestamp};
pub use port::{Limits, Link, Port, PortConfig};
pub use port_error::PortError;
pub use queue::RxQueue;
pub use ring::{RingFeeder, RingPort};
pub use rss::{RssApplied, RssConfig, RssFields, SYMMETRIC_KEY};
pub use stats::PortStats;
pub use thread::{ThreadError, ThreadRegistration, allowed_cpus, sharpen_sleep};
pub use vdev::{VdevSpec, interface_mtu, interface_rx_queues};
