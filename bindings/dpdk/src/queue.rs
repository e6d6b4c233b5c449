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
    /// Whether the queue's interrupt reaches this thread; `None` before it was asked.
    interrupt: Option<bool>,
    /// On ring ports the feeder sets the field; elsewhere it is stale at first.
    clear_meta: bool,
}

impl RxQueue {
    /// The queue `queue` of a started device. To be made once for each.
    pub(crate) fn new(device: Arc<Device>, queue: u16) -> Self {
        Self { interrupt: None, clear_meta: !device.is_ring(), device, queue }
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

    /// How many packets wait to be received, where that can be told without taking them: of a
    /// ring port exactly, of a NIC as its driver has it. Most walk the descriptors for it: ask once a
    /// burst at the most. `None` from the drivers over kernel interfaces.
    #[inline]
    pub fn waiting(&self) -> Option<u32> {
        if let Some(ring) = self.device.ring(self.queue) {
            return Some(ring.waiting());
        }
        // SAFETY: the port is started and lives while self does, and self is its queue's only
        // poller.
        u32::try_from(unsafe { dpdk_sys::pollux_rx_queue_count(self.device.id, self.queue) }).ok()
    }

    /// How many packets it holds at the most; `None` where the driver does not tell.
    pub fn capacity(&self) -> Option<u32> {
        match self.device.ring(self.queue) {
            Some(ring) => Some(ring.size()),
            None => self.device.rx_desc(self.queue).map(u32::from),
        }
    }

    /// Sleeps until a packet comes, at most `milliseconds`. For the queue's only polling
    /// thread, after a poll that brought nothing. Returns `false`, at once, if the driver
    /// has no interrupts or [`PortConfig::interrupts`](crate::PortConfig) did not ask for them.
    pub fn wait(&mut self, milliseconds: u16) -> bool {
        let (id, queue) = (self.device.id, self.queue);
        // A connection has its interrupts with its other end.
        if self.interrupt.is_none() && self.device.is_connection() && !self.device.is_up() {
            return false;
        }
        // SAFETY: the port is started and lives while self does. The epoll instance is the
        // thread's own, and a queue that moves to another thread is not polled by two.
        let armed = *self.interrupt.get_or_insert_with(|| unsafe {
            dpdk_sys::rte_eth_dev_rx_intr_ctl_q(
                id,
                queue,
                dpdk_sys::POLLUX_EPOLL_PER_THREAD,
                dpdk_sys::POLLUX_INTR_EVENT_ADD as i32,
                std::ptr::null_mut(),
            ) == 0
        });
        if !armed {
            return false;
        }
        // SAFETY: as above; the event is writable, and there is room for one.
        unsafe {
            if dpdk_sys::rte_eth_dev_rx_intr_enable(id, queue) != 0 {
                self.interrupt = (!self.device.is_connection()).then_some(false);
                return false;
            }
            let mut event = std::mem::zeroed::<dpdk_sys::rte_epoll_event>();
            dpdk_sys::rte_epoll_wait(
                dpdk_sys::POLLUX_EPOLL_PER_THREAD,
                &mut event,
                1,
                i32::from(milliseconds),
            );
            dpdk_sys::rte_eth_dev_rx_intr_disable(id, queue);
        }
        true
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
