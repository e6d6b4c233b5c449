//! Hints to the processor to bring memory towards its caches before it is looked at. They change
//! nothing but time; on processors other than x86-64 they do nothing.

use std::ptr;

/// Bytes that a processor's caches take together.
pub const LINE: usize = 64;

/// Brings the first line of a value.
#[inline(always)]
pub fn first<T: ?Sized>(value: &T) {
    line(ptr::from_ref(value).cast());
}

/// Brings the line of an address, whatever is there.
#[inline(always)]
pub fn at(address: *const u8) {
    line(address);
}

/// Brings all lines of a value.
#[inline(always)]
pub fn whole<T>(value: &T) {
    let start = ptr::from_ref(value).cast::<u8>();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        line(start.wrapping_add(offset));
    }
}

#[inline(always)]
fn line(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint: it does not fault and changes nothing, whatever the address.
    // Every x86-64 processor has it (SSE).
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    #[test]
    fn hints_take_values_of_any_size_and_leave_them_alone() {
        let (nothing, large) = ((), [7u8; 1000]);
        super::whole(&nothing);
        super::whole(&large);
        super::first(&large[..0]);
        super::first("text");
        super::at(std::ptr::null());
        assert_eq!(large, [7; 1000]);
    }
}
