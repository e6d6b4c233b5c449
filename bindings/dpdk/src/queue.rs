//! A port's receive queue: one poller, who gets packets by the burst.

use std::{fmt, sync::Arc};

use crate::{
    burst::Burst,
    device::Device,
    meta::{MetaField, PacketMeta},
};

/// One receive queue of a started port, with one owner. Keeps the port open.
///
/// It may move to another thread, but two threads cannot poll it:
///
/// ```compile_fail,E0599
/// fn twice(queue: dpdk::RxQueue) -> [dpdk::RxQueue; 2] {
///     [queue.clone(), queue]
/// }
/// ```
pub struct RxQueue {
    device: Arc<Device>,
    queue: u16,
    /// On ring ports the feeder sets the field; elsewhere it is stale at first.
    clear_meta: bool,
}

impl RxQueue {
    /// The queue `queue` of a started device. To be made once for each.
    pub(crate) fn new(device: Arc<Device>, queue: u16) -> Self {
        Self { clear_meta: !device.is_ring(), device, queue }
    }

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
                    size_of::<PacketMeta>() as u16,
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
