//! mimalloc as the global allocator. Asked for an alignment, as the `mimalloc` crate does for every value, its third
//! version gives blocks of sizes other than powers of two as many bytes more as the alignment less one: a value of
//! 160 bytes takes a block of 192. Blocks are aligned to 16 bytes in any case, so that is not asked for here.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys as mimalloc;

/// What every block is aligned to that is at least as large (`MI_MAX_ALIGN_SIZE`, C's `max_align_t`).
const ALIGNED: usize = 16;

/// The allocator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator;

/// Whether any block of so many bytes is aligned well enough.
#[inline]
fn is_plain(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

// SAFETY: mimalloc's functions keep what `GlobalAlloc` asks for: blocks do not overlap and stay until they are freed, null
// says that there is no memory, nothing panics, and any thread may free. All blocks are mimalloc's, whichever
// function made them, so `mi_free` and `mi_realloc` take each.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: the functions take any size, and any power of two as alignment. A block of `mi_malloc` is aligned for
        // every value that fits into it, as C has it.
        unsafe {
            if is_plain(size, align) {
                mimalloc::mi_malloc(size).cast()
            } else {
                mimalloc::mi_malloc_aligned(size, align).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as in `alloc`.
        unsafe {
            if is_plain(size, align) {
                mimalloc::mi_zalloc(size).cast()
            } else {
                mimalloc::mi_zalloc_aligned(size, align).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller says that the block is one of ours and not freed yet.
        unsafe { mimalloc::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that the block is one of ours and not freed yet; for sizes and alignments as in `alloc`.
        unsafe {
            if is_plain(size, layout.align()) {
                mimalloc::mi_realloc(block.cast(), size).cast()
            } else {
                mimalloc::mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that is given back when it goes.
    struct Block(*mut u8, Layout);

    impl Block {
        fn new(size: usize, align: usize, zeroed: bool) -> Self {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            assert!(size > 0);
            // SAFETY: the size is not zero.
            let block = unsafe {
                if zeroed { Allocator.alloc_zeroed(layout) } else { Allocator.alloc(layout) }
            };
            assert!(!block.is_null() && block.addr() % align == 0, "{size} by {align}");
            Self(block, layout)
        }

        fn bytes(&mut self) -> &mut [u8] {
            // SAFETY: the block is that large, nobody else has it, and it was zeroed.
            unsafe { std::slice::from_raw_parts_mut(self.0, self.1.size()) }
        }

        fn resized(self, size: usize) -> Self {
            let layout = Layout::from_size_align(size, self.1.align()).expect("a layout");
            // SAFETY: the block is ours, of that layout; the new size is not zero.
            let block = unsafe { Allocator.realloc(self.0, self.1, size) };
            std::mem::forget(self);
            assert!(!block.is_null() && block.addr() % layout.align() == 0);
            Self(block, layout)
        }
    }

    impl Drop for Block {
        fn drop(&mut self) {
            // SAFETY: the block is ours, of that layout.
            unsafe { Allocator.dealloc(self.0, self.1) }
        }
    }

    #[test]
    fn blocks_of_any_size_and_alignment_are_aligned_and_keep_their_bytes() {
        for align in (0..=12).map(|power| 1 << power) {
            for size in [1, 2, 3, 8, 9, 16, 24, 40, 160, 320, 1000, 4096, 70_000] {
                let blocks: Vec<_> = (0..20).map(|_| Block::new(size, align, false)).collect();
                drop(blocks);
                let mut block = Block::new(size, align, true);
                assert!(block.bytes().iter().all(|byte| *byte == 0));
                block.bytes().fill(7);
                let mut block = block.resized(size * 3);
                assert!(block.bytes()[..size].iter().all(|byte| *byte == 7));
                let mut block = block.resized(size);
                assert!(block.bytes().iter().all(|byte| *byte == 7));
            }
        }
    }

    #[test]
    fn values_whose_size_the_allocator_has_take_no_more() {
        for size in [48, 160, 320] {
            let blocks: Vec<_> = (0..200).map(|_| Block::new(size, 8, false)).collect();
            let mut places: Vec<usize> = blocks.iter().map(|block| block.0.addr()).collect();
            places.sort_unstable();
            let apart = places.windows(2).filter(|pair| pair[1] - pair[0] == size).count();
            assert!(apart > 150, "{apart} of 199 blocks of {size} stand next to each other");
        }
    }
}
