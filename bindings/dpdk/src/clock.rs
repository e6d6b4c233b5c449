//! The processor's time-stamp counter, as a burst's clock.

/// Reads the time-stamp counter: about 10 ns, no system call. Divide by
/// [`Eal::tsc_hz`](crate::Eal::tsc_hz) for seconds.
#[inline]
pub fn rdtsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction only reads a counter, and every x86-64 has it.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: reads a counter, takes and keeps nothing.
    unsafe {
        dpdk_sys::pollux_rdtsc()
    }
}
