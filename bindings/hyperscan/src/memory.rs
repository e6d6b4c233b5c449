//! Where databases lie: in this program's heap, as its allocator has it, instead of the C library's. mimalloc asks the
//! kernel for huge pages; scans, which go to and fro in a database, then miss the TLB less.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ptr;
use std::sync::Once;

use crate::raw;

/// Blocks begin so: with their size, which Hyperscan does not say when it frees one. A line of the cache, so that
/// what follows begins with one, too.
const HEADER: usize = 64;

/// Sees to it that databases made from now on lie there. To be called before the first is made: each is freed the way that
/// is set then.
pub(crate) fn use_our_heap() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        // SAFETY: both functions are what Hyperscan asks for, and stay. No database was made yet, as every function that
        // makes one comes here first, and waits until this is done.
        unsafe { raw::hs_set_database_allocator(Some(take), Some(give_back)) };
    });
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(HEADER)?, HEADER).ok()
}

unsafe extern "C" fn take(size: usize) -> *mut c_void {
    let Some(layout) = layout(size) else { return ptr::null_mut() };
    // SAFETY: the layout is not empty. The header has room for the size, and is aligned for it; what is behind it is
    // within the block, or just at its end where the size is 0.
    unsafe {
        let block = alloc(layout);
        if block.is_null() {
            return ptr::null_mut();
        }
        block.cast::<usize>().write(size);
        block.add(HEADER).cast()
    }
}

unsafe extern "C" fn give_back(data: *mut c_void) {
    if data.is_null() {
        return;
    }
    // SAFETY: Hyperscan gives back what `take` gave it, once; the header is as that wrote it.
    unsafe {
        let block = data.cast::<u8>().sub(HEADER);
        if let Some(layout) = layout(block.cast::<usize>().read()) {
            dealloc(block, layout);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_can_be_written_to_their_end() {
        for size in [0, 1, 63, 64, 4096, 3_000_001] {
            // SAFETY: the block is ours, of that size, and given back once.
            unsafe {
                let block = take(size);
                assert!(!block.is_null() && block.addr().is_multiple_of(HEADER));
                ptr::write_bytes(block.cast::<u8>(), 7, size);
                give_back(block);
            }
        }
    }

    #[test]
    fn a_size_that_no_memory_has_is_refused() {
        // SAFETY: null may be given back.
        unsafe {
            assert!(take(usize::MAX).is_null() && take(isize::MAX as usize).is_null());
            give_back(ptr::null_mut());
        }
    }
}
