//! A pool of mbufs. Its memory goes back when the last handle is dropped and
//! the last mbuf is home, whichever comes later.

use std::{
    ffi::CString,
    fmt,
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use dpdk_sys::rte_mempool;
use thiserror::Error;

use crate::{
    control,
    eal::{Eal, Memory},
    mbuf::TAIL,
};

/// Why a pool could not be made.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// EAL does not run.
    #[error("DPDK is not initialised; call Eal::init before making pool {name:?}")]
    NoEal {
        /// The pool's name.
        name: String,
    },
    /// A number out of range.
    #[error("pool {name:?}: {problem}")]
    Shape {
        /// The pool's name.
        name: String,
        /// What is wrong, and the limit.
        problem: String,
    },
    /// Memory ran out.
    #[error(
        "pool {name:?} of {mbufs} mbufs needs about {needed_mb} MB, which DPDK does not have left; \
         give EAL more memory (memory_mb), or make the pool smaller"
    )]
    NoMemory {
        /// The pool's name.
        name: String,
        /// How many mbufs were asked for.
        mbufs: u32,
        /// A close lower bound of what they take.
        needed_mb: u64,
    },
    /// Anything else.
    #[error("pool {name:?} could not be made: {reason}")]
    Failed {
        /// The pool's name.
        name: String,
        /// DPDK's own words.
        reason: String,
    },
}

/// A pool of equal mbufs; a handle that can be cloned and sent.
#[derive(Clone)]
pub struct Mempool(Arc<Pool>);

/// How mbufs lie in ordinary pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As densely as they can.
    Packed,
    /// None crosses the border of a page: for a kernel that writes to them itself.
    WithinPages,
}

struct Pool {
    raw: NonNull<rte_mempool>,
    name: String,
    capacity: u32,
    data_room: u16,
}

// SAFETY: rte_mempool is made for concurrent use: its ring is multi-producer and
// multi-consumer, its caches are per lcore. The other fields are never changed.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// Pools whose handles are gone while mbufs are still out.
static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());

struct Orphan(NonNull<rte_mempool>);

// SAFETY: only the address travels, and the pool may be used from any thread.
unsafe impl Send for Orphan {}

impl Mempool {
    /// Makes a pool of `mbufs` mbufs, best 2^n - 1, each with room for
    /// `data_room` bytes of a packet (headroom and [`TAIL`] come on top). `cache` mbufs are
    /// kept per registered thread: at most 512, and two thirds of the pool.
    /// `socket` is the NUMA node, `None` for the caller's.
    ///
    /// In ordinary pages DPDK would give each mbuf one of its own, for the sake of devices, of which there are none
    /// then: their headers would share the few places in a core's cache that one offset in a page has. They are
    /// packed instead. [`VdevSpec::pool`](crate::VdevSpec::pool) knows of devices that this does not suit.
    ///
    /// # Errors
    /// When EAL does not run, a number is out of range, or memory runs out.
    pub fn new(
        name: &str,
        mbufs: u32,
        cache: u32,
        data_room: u16,
        socket: Option<u32>,
    ) -> Result<Self, PoolError> {
        Self::make(name, mbufs, cache, (data_room, Layout::Packed), socket)
    }

    pub(crate) fn make(
        name: &str,
        mbufs: u32,
        cache: u32,
        (data_room, layout): (u16, Layout),
        socket: Option<u32>,
    ) -> Result<Self, PoolError> {
        let Some(eal) = Eal::get() else {
            return Err(PoolError::NoEal { name: name.to_owned() });
        };
        let packed = layout == Layout::Packed && eal.memory() == Memory::Ordinary;
        let shape = |problem: String| PoolError::Shape { name: name.to_owned(), problem };
        let around = dpdk_sys::POLLUX_HEADROOM as u16 + TAIL as u16;
        let Some(buffer) = data_room.checked_add(around).filter(|_| data_room >= 64) else {
            let most = u16::MAX - around;
            return Err(shape(format!(
                "the data room must be 64 to {most} bytes, not {data_room}"
            )));
        };
        if mbufs == 0 {
            return Err(shape("it needs at least one mbuf".to_owned()));
        }
        let most = dpdk_sys::RTE_MEMPOOL_CACHE_MAX_SIZE.min((u64::from(mbufs) * 2 / 3) as u32);
        if cache > most {
            return Err(shape(format!("a cache holds at most {most} mbufs here, not {cache}")));
        }
        let socket = match socket.map(i32::try_from) {
            None => -1,
            Some(Ok(socket)) => socket,
            Some(Err(_)) => return Err(shape("there is no such NUMA node".to_owned())),
        };
        let unique = unique_name(name)
            .ok_or_else(|| shape("the name must be 1 to 14 characters, none of them NUL".into()))?;

        let _control = control::lock();
        reap_orphans();
        control::clear_errno();
        // SAFETY: EAL runs, the name is NUL-terminated and copied, and the
        // control lock is held.
        let raw = unsafe {
            dpdk_sys::pollux_pool_create(unique.as_ptr(), mbufs, cache, buffer, socket, packed)
        };
        let Some(raw) = NonNull::new(raw) else {
            let name = name.to_owned();
            let each = u64::from(buffer) + size_of::<dpdk_sys::rte_mbuf>() as u64 + 64;
            return Err(match control::errno() {
                libc::ENOMEM | libc::ENOBUFS => PoolError::NoMemory {
                    name,
                    mbufs,
                    needed_mb: (u64::from(mbufs) * each).div_ceil(1 << 20),
                },
                code => PoolError::Failed { name, reason: control::describe(code) },
            });
        };
        Ok(Self(Arc::new(Pool { raw, name: name.to_owned(), capacity: mbufs, data_room })))
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many mbufs it has.
    pub fn capacity(&self) -> u32 {
        self.0.capacity
    }

    /// Bytes of a packet that one mbuf holds.
    pub fn data_room(&self) -> u16 {
        self.0.data_room
    }

    /// Mbufs that are home, in the ring or in some thread's cache. A snapshot:
    /// off by what other threads move meanwhile. Some caches' worth of them may
    /// be out of reach of a given thread.
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives while self does; the count only reads.
        unsafe { dpdk_sys::rte_mempool_avail_count(self.as_ptr()) }
    }

    /// Mbufs that are out: held by packets, rings and drivers' queues.
    pub fn in_use(&self) -> u32 {
        self.capacity().saturating_sub(self.available())
    }

    pub(crate) fn as_ptr(&self) -> *mut rte_mempool {
        self.0.raw.as_ptr()
    }
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mempool")
            .field("name", &self.name())
            .field("capacity", &self.capacity())
            .field("data_room", &self.data_room())
            .finish()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _control = control::lock();
        ORPHANS.lock().unwrap_or_else(PoisonError::into_inner).push(Orphan(self.raw));
        reap_orphans();
    }
}

/// Frees the pools to which every mbuf has come back. To be called with the
/// control lock held. Mbufs do not count references to their pool, since that
/// counter would be written by every core for every packet.
fn reap_orphans() {
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner).retain(|orphan| {
        let pool = orphan.0.as_ptr();
        // SAFETY: the pool is freed only here, after which it leaves the list.
        // Nobody takes mbufs from it any more: that needs a handle, which ports
        // hold too. pollux_mbuf_free_bulk, the only way back, publishes a
        // returned mbuf with its last write to the pool; so once all are
        // counted, no thread touches it.
        let idle = unsafe { dpdk_sys::pollux_pool_idle(pool) };
        if idle {
            // SAFETY: as above; it leaves the list with this.
            unsafe { dpdk_sys::rte_mempool_free(pool) };
        }
        !idle
    });
}

/// DPDK's names are global, at most 25 bytes long, and an orphan keeps its own.
fn unique_name(name: &str) -> Option<CString> {
    if name.is_empty() || name.len() > 14 {
        return None;
    }
    CString::new(format!("{name}.{}", control::serial())).ok()
}
