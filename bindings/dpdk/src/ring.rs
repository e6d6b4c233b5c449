//! A port that is fed from memory: for replay and tests, through the same
//! receive path as a NIC. One feeder and one receiver per queue.

use std::{ffi::CString, fmt, ptr::NonNull, sync::Arc};

use dpdk_sys::{rte_mbuf, rte_ring};

use crate::{burst::Burst, control, eal::Eal, mbuf::Mbuf, port::Port, port_error::PortError};

/// The most queues that the driver `net_ring` of 22.11 can have.
const MAX_QUEUES: usize = 16;

/// Makes `net_ring` ports.
#[derive(Debug)]
pub struct RingPort;

impl RingPort {
    /// Opens a port of `queues` receive queues (1 to 16), each of which holds up
    /// to `ring_size` packets and is filled through its feeder, in the order of
    /// the queues. Configure and start it like any port.
    ///
    /// # Errors
    /// When a number is out of range or memory runs out.
    #[expect(clippy::new_ret_no_self, reason = "a ring port is a Port, and comes with feeders")]
    pub fn new(
        eal: &'static Eal,
        name: &str,
        queues: usize,
        ring_size: u32,
    ) -> Result<(Port, Vec<RingFeeder>), PortError> {
        let shape =
            |problem: String| PortError::Shape { port: format!("net_ring_{name}"), problem };
        if !(1..=MAX_QUEUES).contains(&queues) {
            return Err(shape(format!("it can have 1 to {MAX_QUEUES} queues, not {queues}")));
        }
        if !(1..=1 << 20).contains(&ring_size) {
            return Err(shape(format!("a ring holds 1 to 1,048,576 packets, not {ring_size}")));
        }
        if name.is_empty() || name.len() > 10 || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(shape("the name must be 1 to 10 letters and digits".to_owned()));
        }
        let unique = format!("{name}_{}", control::serial());
        let rings = (0..queues)
            .map(|queue| Ring::new(&format!("{unique}_{queue}"), ring_size).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()
            .map_err(shape)?;
        let port = Port::from_rings(eal, &unique, rings.clone())?;
        Ok((port, rings.into_iter().map(|ring| RingFeeder { ring }).collect()))
    }
}

/// The end of a queue where packets go in. What it still holds is freed when
/// both this and the port are gone.
pub struct RingFeeder {
    ring: Arc<Ring>,
}

impl RingFeeder {
    /// Puts in a packet, or gives it back when the ring is full.
    ///
    /// # Errors
    /// The packet itself: try again once the receiver has taken some.
    #[inline]
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        let raw = mbuf.into_raw();
        // SAFETY: the ring lives while self does; &mut makes this its only
        // producer. The packet belongs to the ring if that took it.
        let result = unsafe { dpdk_sys::pollux_ring_enqueue(self.ring.as_ptr(), raw.cast()) };
        match NonNull::new(raw) {
            // SAFETY: a full ring did not take it: it is still ours alone.
            Some(raw) if result != 0 => Err(unsafe { Mbuf::from_raw(raw) }),
            _ => Ok(()),
        }
    }

    /// Puts in as many of the burst's packets as there is room for, in order,
    /// and returns how many. The others stay in the burst, from slot 0.
    #[inline]
    pub fn push_burst<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        let ring = self.ring.as_ptr();
        // SAFETY: as in push; the ring takes the first packets, as many as it says.
        unsafe {
            burst.give(|packets, n| dpdk_sys::pollux_ring_enqueue_burst(ring, packets.cast(), n))
        }
    }

    /// How many more packets it holds at least.
    #[inline]
    pub fn free_slots(&self) -> u32 {
        // SAFETY: the ring lives while self does; reads two counters.
        unsafe { dpdk_sys::pollux_ring_free_count(self.ring.as_ptr()) }
    }

    /// How many packets wait in it at most.
    #[inline]
    pub fn waiting(&self) -> u32 {
        self.ring.waiting()
    }
}

impl fmt::Debug for RingFeeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingFeeder")
            .field("waiting", &self.waiting())
            .field("free_slots", &self.free_slots())
            .finish()
    }
}

/// A single-producer, single-consumer ring of mbufs. The producer is its
/// feeder, the consumer the port's queue of the same number.
pub(crate) struct Ring {
    raw: NonNull<rte_ring>,
    /// How many packets it holds.
    size: u32,
}

// SAFETY: an rte_ring is for use between threads; that there is one producer
// and one consumer follows from &mut on the feeder and on the queue.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

impl Ring {
    fn new(name: &str, size: u32) -> Result<Self, String> {
        let name = CString::new(name).map_err(|_| "the name contains a NUL".to_owned())?;
        let flags = dpdk_sys::RING_F_SP_ENQ | dpdk_sys::RING_F_SC_DEQ | dpdk_sys::RING_F_EXACT_SZ;
        let _control = control::lock();
        control::clear_errno();
        // SAFETY: the name is NUL-terminated and copied; -1 is any NUMA node.
        let raw = unsafe { dpdk_sys::rte_ring_create(name.as_ptr(), size, -1, flags) };
        NonNull::new(raw).map(|raw| Self { raw, size }).ok_or_else(|| {
            format!(
                "a ring of {size} packets could not be made: {}; give DPDK more memory, \
                 or make the ring smaller",
                control::describe(control::errno())
            )
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_ring {
        self.raw.as_ptr()
    }

    /// How many packets it holds.
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// How many packets wait in it.
    #[inline]
    pub(crate) fn waiting(&self) -> u32 {
        // SAFETY: the ring lives while self does; reads two counters.
        unsafe { dpdk_sys::pollux_ring_count(self.as_ptr()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        loop {
            // SAFETY: feeder and port are gone, so that nobody else takes from it.
            let object = unsafe { dpdk_sys::pollux_ring_dequeue(self.as_ptr()) };
            let Some(mbuf) = NonNull::new(object.cast::<rte_mbuf>()) else {
                break;
            };
            // SAFETY: it was handed over by push, and is nobody else's.
            drop(unsafe { Mbuf::from_raw(mbuf) });
        }
        let _control = control::lock();
        // SAFETY: empty, and not used after this.
        unsafe { dpdk_sys::rte_ring_free(self.as_ptr()) }
    }
}

/// Makes the ethdev over the rings; the caller holds the control lock.
pub(crate) fn attach(name: &CString, rings: &[Arc<Ring>]) -> i32 {
    let rx: Vec<*mut rte_ring> = rings.iter().map(|ring| ring.as_ptr()).collect();
    // The driver refuses to be without a transmit ring; as no transmit queue is
    // ever set up, nothing goes into the one that it is given.
    // SAFETY: the name is NUL-terminated; the array has that many rings, at least
    // one, which the port keeps alive.
    unsafe {
        dpdk_sys::rte_eth_from_rings(name.as_ptr(), rx.as_ptr(), rx.len() as u32, rx.as_ptr(), 1, 0)
    }
}
