//! The packets of one poll: a fixed array that owns them and frees in bulk what
//! was not taken out. Nothing is allocated per burst.

use std::{fmt, ptr};

use dpdk_sys::rte_mbuf;

use crate::mbuf::Mbuf;

/// Up to `N` packets. Made once and received into again and again.
pub struct Burst<const N: usize = 64> {
    /// `..len` came with the last receive, `None` where taken; the rest is `None`.
    slots: [Option<Mbuf>; N],
    len: usize,
}

impl<const N: usize> Burst<N> {
    const FITS: () = assert!(N > 0 && N <= u16::MAX as usize, "a burst is 1 to 65,535 packets");

    /// An empty burst.
    pub const fn new() -> Self {
        let () = Self::FITS;
        Self { slots: [const { None }; N], len: 0 }
    }

    /// How many packets came, including those that were taken since.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none came.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packet in slot `i`, unless it was taken.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&Mbuf> {
        self.slots.get(i)?.as_ref()
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, i: usize) -> Option<&mut Mbuf> {
        self.slots.get_mut(i)?.as_mut()
    }

    /// Takes the packet out of slot `i`: it is the caller's from now on. The
    /// other packets keep their slots.
    #[inline]
    pub fn take(&mut self, i: usize) -> Option<Mbuf> {
        self.slots.get_mut(i)?.take()
    }

    /// The slots from this one on, those that were taken being empty.
    #[inline]
    pub fn behind(&self, i: usize) -> &[Option<Mbuf>] {
        self.slots.get(i..self.len).unwrap_or(&[])
    }

    /// The packets that were not taken, in the order in which they came.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Mbuf> {
        self.slots[..self.len].iter().flatten()
    }

    /// The same, to be changed.
    #[inline]
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Mbuf> {
        self.slots[..self.len].iter_mut().flatten()
    }

    /// Adds a packet behind the others, or gives it back when the burst is full.
    ///
    /// # Errors
    /// The packet itself, when `N` slots are in use.
    #[inline]
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                *slot = Some(mbuf);
                self.len += 1;
                Ok(())
            }
            None => Err(mbuf),
        }
    }

    /// Frees in bulk what was not taken.
    #[inline]
    pub fn clear(&mut self) {
        if self.len == 0 {
            return;
        }
        let n = self.len as u32;
        // SAFETY: an Option<Mbuf> is a nullable pointer, and the shim passes over
        // null ones. The first len slots' packets are ours; each is overwritten
        // below without being dropped a second time, and nothing in between
        // can unwind.
        unsafe {
            dpdk_sys::pollux_mbuf_free_bulk(self.pointers(), n);
            for slot in &mut self.slots[..self.len] {
                ptr::write(slot, None);
            }
        }
        self.len = 0;
    }

    /// Fills the burst, which it clears first, through `fill(array, capacity)`,
    /// which returns how many pointers it wrote.
    ///
    /// # Safety
    /// `fill` must write that many packets, each of them then ours alone, and
    /// return no more than the capacity.
    #[inline]
    pub(crate) unsafe fn fill(
        &mut self,
        fill: impl FnOnce(*mut *mut rte_mbuf, u16) -> u16,
    ) -> usize {
        self.clear();
        let n = fill(self.pointers(), N as u16);
        debug_assert!(usize::from(n) <= N, "the driver returned more than it was given room for");
        self.len = usize::from(n).min(N);
        self.len
    }

    /// Gives packets away through `drain(array, count)`, which returns how many
    /// of the first it took. Slots that were taken before are closed up first;
    /// what stays keeps its order, from slot 0.
    ///
    /// # Safety
    /// `drain` must take over exactly as many of the first packets as it returns.
    pub(crate) unsafe fn give(
        &mut self,
        drain: impl FnOnce(*mut *mut rte_mbuf, u32) -> u32,
    ) -> usize {
        self.close_gaps();
        let given = (drain(self.pointers(), self.len as u32) as usize).min(self.len);
        for slot in &mut self.slots[..given] {
            // SAFETY: the packet belongs to whoever took it: not dropped here.
            unsafe { ptr::write(slot, None) };
        }
        self.close_gaps();
        given
    }

    fn close_gaps(&mut self) {
        let mut kept = 0;
        for i in 0..self.len {
            if self.slots[i].is_some() {
                if kept != i {
                    self.slots.swap(kept, i);
                }
                kept += 1;
            }
        }
        self.len = kept;
    }

    fn pointers(&mut self) -> *mut *mut rte_mbuf {
        // Mbuf is a transparent NonNull, so an Option of it is one pointer.
        const { assert!(size_of::<Option<Mbuf>>() == size_of::<*mut rte_mbuf>()) };
        self.slots.as_mut_ptr().cast()
    }
}

impl<const N: usize> Default for Burst<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Drop for Burst<N> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<const N: usize> fmt::Debug for Burst<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
