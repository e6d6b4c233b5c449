//! The lock around everything that creates or destroys in DPDK, and its errors
//! as text: hot-plug, ports and memory zones are not made for two threads.

use std::{
    ffi::CStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

static CONTROL: Mutex<()> = Mutex::new(());
static SERIAL: AtomicU32 = AtomicU32::new(0);

/// Held for the length of one control operation. Never taken on a packet's path.
pub(crate) fn lock() -> MutexGuard<'static, ()> {
    // A panic between two calls into DPDK leaves nothing of ours half-made.
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that no other object of this process bears: DPDK's names are global.
pub(crate) fn serial() -> u32 {
    SERIAL.fetch_add(1, Ordering::Relaxed)
}

/// The thread's `rte_errno`.
pub(crate) fn errno() -> i32 {
    // SAFETY: reads a per-thread integer.
    unsafe { dpdk_sys::pollux_errno() }
}

/// Clears `rte_errno`, so that what is read later belongs to the next call.
pub(crate) fn clear_errno() {
    // SAFETY: writes a per-thread integer.
    unsafe { dpdk_sys::pollux_set_errno(0) }
}

/// The code of a failed call: DPDK returns either `-errno`, or -1 and
/// `rte_errno`. `None` if it did neither.
pub(crate) fn code(returned: i32) -> Option<i32> {
    match (returned, errno()) {
        (-1, 0) => None,
        (-1, set) => Some(set),
        _ => Some(returned.saturating_neg()),
    }
}

/// Why a call failed, in words.
pub(crate) fn reason(returned: i32) -> String {
    code(returned).map_or_else(|| "no reason was given".to_owned(), describe)
}

/// What an error number of DPDK means, in words.
pub(crate) fn describe(code: i32) -> String {
    // SAFETY: rte_strerror returns a NUL-terminated string that is valid until
    // the next call on this thread; it is copied before that.
    let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(code)) };
    text.to_string_lossy().into_owned()
}
