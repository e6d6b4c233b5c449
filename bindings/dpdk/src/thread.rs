//! Threads and EAL: registering workers, so that they get a mempool cache, and
//! keeping EAL from pinning the thread that starts it.

use std::{marker::PhantomData, mem};

use thiserror::Error;

use crate::{control, eal::Eal};

/// Why a thread could not be registered.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadError {
    /// The thread already has an lcore id.
    #[error("this thread is registered with EAL already; register each worker once")]
    AlreadyRegistered,
    /// Every lcore id is taken.
    #[error(
        "EAL has no lcore id left for another thread ({max} at most): {reason}; run fewer workers"
    )]
    NoneLeft {
        /// How many this build of DPDK can have.
        max: u32,
        /// DPDK's own words.
        reason: String,
    },
}

/// An lcore id that the current thread holds; given back on drop.
///
/// A registered thread allocates and frees mbufs through its own cache; an
/// unregistered one works too, but goes to the pool's shared ring every time.
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// fn elsewhere(registration: dpdk::ThreadRegistration) {
///     std::thread::spawn(move || drop(registration));
/// }
/// ```
#[derive(Debug)]
pub struct ThreadRegistration {
    lcore: u32,
    /// The id lives in thread-local storage: it must be dropped where it was made.
    _not_send: PhantomData<*mut ()>,
}

impl ThreadRegistration {
    /// The lcore id, below 128 with Debian's build.
    pub fn lcore(&self) -> u32 {
        self.lcore
    }
}

impl Drop for ThreadRegistration {
    fn drop(&mut self) {
        let _control = control::lock();
        // SAFETY: the type is not Send, so this is the thread that registered.
        unsafe { dpdk_sys::rte_thread_unregister() }
    }
}

impl Eal {
    /// Gives the current thread an lcore id, and with it a cache in every pool.
    /// The thread's CPU affinity stays as it is.
    ///
    /// # Errors
    /// When the thread has an id already (the one that started EAL does), or
    /// none is left.
    pub fn register_thread(&self) -> Result<ThreadRegistration, ThreadError> {
        let _control = control::lock();
        // SAFETY: reads a thread-local integer.
        if unsafe { dpdk_sys::pollux_lcore_id() } < dpdk_sys::RTE_MAX_LCORE {
            return Err(ThreadError::AlreadyRegistered);
        }
        control::clear_errno();
        // SAFETY: EAL is initialised (self exists) and the thread has no id yet.
        let result = unsafe { dpdk_sys::rte_thread_register() };
        if result != 0 {
            return Err(ThreadError::NoneLeft {
                max: dpdk_sys::RTE_MAX_LCORE,
                reason: control::reason(result),
            });
        }
        // SAFETY: reads a thread-local integer.
        let lcore = unsafe { dpdk_sys::pollux_lcore_id() };
        Ok(ThreadRegistration { lcore, _not_send: PhantomData })
    }
}

/// Lets the current thread's sleeps be as short as asked for: the kernel else adds up to 50
/// microseconds to each.
pub fn sharpen_sleep() {
    // SAFETY: sets a number of this thread; a failure leaves it as it is.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}

/// The CPUs that the current thread may run on, ascending. A container's cpuset
/// shows here. Empty when the kernel does not tell (more than 1,024 CPUs).
pub fn allowed_cpus() -> Vec<usize> {
    let Some(affinity) = Affinity::current() else {
        return Vec::new();
    };
    (0..libc::CPU_SETSIZE as usize)
        // SAFETY: the index is below CPU_SETSIZE, and the set is initialised.
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &affinity.0) })
        .collect()
}

/// A thread's CPU set, to be put back.
pub(crate) struct Affinity(libc::cpu_set_t);

impl Affinity {
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: a cpu_set_t is a plain bit field, for which all zero is valid.
        let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: the set is writable and its size is passed along; 0 is this thread.
        let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
        (result == 0).then_some(Self(set))
    }

    /// Puts the set back on the current thread. A failure leaves the thread as
    /// it is, which costs speed only.
    pub(crate) fn restore(&self) {
        // SAFETY: the set is initialised and its size is passed along.
        unsafe { libc::sched_setaffinity(0, size_of_val(&self.0), &self.0) };
    }
}
