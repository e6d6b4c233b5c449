//! A packet's buffer with one owner. Freed when that drops it; lengths come
//! from the segments, whatever the total in its header says.

use std::{fmt, marker::PhantomData, ptr, ptr::NonNull, slice};

use dpdk_sys::rte_mbuf;
use thiserror::Error;

use crate::mempool::Mempool;

/// The pool has no mbuf left (or the chain is as long as one may be).
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("the mempool is out of mbufs")]
pub struct PoolDry;

/// Bytes that stay free behind the data of every segment that is built here, so
/// that a scanner may read past the end. Drivers leave them too, as a rule: they
/// fill buffers by whole kilobytes, or to the frame's length. What there is,
/// [`Mbuf::data_with_tail`] tells.
pub const TAIL: usize = 64;

/// One packet: an mbuf, or a chain of them when a frame is longer than the
/// pool's data room. The size of a pointer; `Option<Mbuf>` as well.
///
/// There is never a second owner, so that nothing is freed twice:
///
/// ```compile_fail,E0599
/// fn twice(mbuf: dpdk::Mbuf) -> [dpdk::Mbuf; 2] {
///     [mbuf.clone(), mbuf]
/// }
/// ```
///
/// ```compile_fail,E0382
/// fn handed_over(feeder: &mut dpdk::RingFeeder, mbuf: dpdk::Mbuf) -> usize {
///     let _ = feeder.push(mbuf);
///     mbuf.total_len()
/// }
/// ```
///
/// ```compile_fail,E0502
/// fn outlived(queue: &mut dpdk::RxQueue, burst: &mut dpdk::Burst) -> usize {
///     let bytes = burst.get(0).map_or(&[][..], dpdk::Mbuf::data);
///     queue.receive(burst);
///     bytes.len()
/// }
/// ```
#[repr(transparent)]
pub struct Mbuf(NonNull<rte_mbuf>);

// SAFETY: the mbuf has one owner, who alone reaches its memory; freeing it is
// allowed on every thread.
unsafe impl Send for Mbuf {}
// SAFETY: through a shared reference everything is read-only.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// An empty mbuf with every dynamic field zero, or `None` from a dry pool.
    #[inline]
    pub fn alloc(pool: &Mempool) -> Option<Self> {
        // SAFETY: the pool lives while its handle does. What is returned is
        // reset, of one segment, and nobody else's.
        NonNull::new(unsafe { dpdk_sys::pollux_mbuf_alloc(pool.as_ptr()) }).map(Self)
    }

    /// A packet with these bytes, chained where they are longer than the pool's
    /// data room. `None` when the pool does not have that many left: nothing is
    /// held then.
    pub fn from_bytes(pool: &Mempool, bytes: &[u8]) -> Option<Self> {
        Self::alloc(pool)?.filled(pool, bytes)
    }

    /// A fresh one, of one segment without a byte, with these bytes.
    #[inline]
    pub(crate) fn filled(mut self, pool: &Mempool, bytes: &[u8]) -> Option<Self> {
        if bytes.len() <= tailroom(self.raw()) {
            // SAFETY: a fresh segment is ours alone, and the bytes fit its tailroom.
            unsafe { extend_segment(self.0, bytes) };
        } else {
            self.append(pool, bytes).ok()?;
        }
        Some(self)
    }

    /// Adds bytes at the end: into the last segment's tailroom, then into
    /// further segments from `pool`. All of them or none.
    ///
    /// # Errors
    /// When the pool is dry, or the chain would pass 65,535 segments.
    pub fn append(&mut self, pool: &Mempool, bytes: &[u8]) -> Result<(), PoolDry> {
        let mut last = self.0;
        // SAFETY: the chain is ours; every `next` is null or the next segment.
        while let Some(next) = NonNull::new(unsafe { last.as_ref() }.next) {
            last = next;
        }
        // SAFETY: `last` is a segment of ours.
        let room = tailroom(unsafe { last.as_ref() });
        let (here, rest) = bytes.split_at(bytes.len().min(room));

        // The further segments first, while failing changes nothing.
        let mut further: Option<Self> = None;
        let mut further_last: Option<NonNull<rte_mbuf>> = None;
        let mut further_count = 0_usize;
        for part in rest.chunks(usize::from(pool.data_room())) {
            let segment = Self::alloc(pool).ok_or(PoolDry)?;
            // SAFETY: a fresh segment has the pool's data room free.
            unsafe { extend_segment(segment.0, part) };
            further_count += 1;
            let raw = segment.0;
            match (&mut further, further_last) {
                (Some(chain), Some(mut previous)) => {
                    // SAFETY: `previous` ends the chain that `chain` owns, and takes over
                    // the new segment from `segment`. Whoever frees a chain goes by its
                    // head's number of segments, should there be no more of them.
                    unsafe {
                        previous.as_mut().next = segment.into_raw();
                        let head = chain.0.as_mut();
                        head.nb_segs = head.nb_segs.saturating_add(1);
                    }
                }
                _ => further = Some(segment),
            }
            further_last = Some(raw);
        }

        // SAFETY: the head is ours.
        let count = usize::from(unsafe { self.0.as_ref() }.nb_segs) + further_count;
        let nb_segs = u16::try_from(count).map_err(|_| PoolDry)?;
        // SAFETY: `here` is no longer than the tailroom; head and last are ours.
        // A chain of 65,535 segments of less than 65,536 bytes fits pkt_len.
        unsafe {
            extend_segment(last, here);
            if let Some(mut further) = further {
                further.0.as_mut().nb_segs = 1;
                last.as_mut().next = further.into_raw();
            }
            let total = self.total_len() as u32;
            let head = self.0.as_mut();
            head.nb_segs = nb_segs;
            head.pkt_len = total;
        }
        Ok(())
    }

    /// The first segment's bytes: the whole packet if [`Self::is_contiguous`].
    #[inline]
    pub fn data(&self) -> &[u8] {
        segment_data(self.raw())
    }

    /// The first segment from its data to the end of its buffer, and how many of
    /// these bytes are data. What follows is stale, but may be read, so that a
    /// scanner may look a few bytes past the end.
    #[inline]
    pub fn data_with_tail(&self) -> (&[u8], usize) {
        let mbuf = self.raw();
        let (offset, len) = bounds(mbuf);
        // SAFETY: the slice runs from the data to the end of the buffer, all of
        // which the mbuf owns and the pool's mapping initialised.
        let whole = unsafe {
            slice::from_raw_parts(
                mbuf.buf_addr.cast::<u8>().add(offset),
                usize::from(mbuf.buf_len) - offset,
            )
        };
        (whole, len)
    }

    /// The packet's bytes, segment by segment.
    #[inline]
    pub fn segments(&self) -> Segments<'_> {
        Segments { next: self.0.as_ptr(), _packet: PhantomData }
    }

    /// Whether [`Self::data`] is all there is. As the header's first line says, which is all that a live packet's
    /// turn reads of it.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.raw().nb_segs == 1
    }

    /// Bytes in all segments together. Summed: a driver's total may lie.
    #[inline]
    pub fn total_len(&self) -> usize {
        self.segments().map(<[u8]>::len).sum()
    }

    /// Copies the packet's first bytes to `out`, across segments; returns how many.
    pub fn copy_to(&self, out: &mut [u8]) -> usize {
        let mut done = 0;
        for segment in self.segments() {
            let rest = &mut out[done..];
            let n = segment.len().min(rest.len());
            rest[..n].copy_from_slice(&segment[..n]);
            done += n;
        }
        done
    }

    /// The driver's offload flags, `RTE_MBUF_F_RX_*`.
    #[inline]
    pub fn ol_flags(&self) -> u64 {
        self.raw().ol_flags
    }

    /// The tag (TCI, host order) that the NIC took out of the frame: of two the
    /// inner one.
    #[inline]
    pub fn stripped_vlan(&self) -> Option<u16> {
        (self.ol_flags() & dpdk_sys::POLLUX_RX_VLAN_STRIPPED != 0).then(|| self.raw().vlan_tci)
    }

    /// The outer tag that the NIC took out of the frame, if it took two.
    #[inline]
    pub fn stripped_outer_vlan(&self) -> Option<u16> {
        (self.ol_flags() & dpdk_sys::POLLUX_RX_QINQ_STRIPPED != 0)
            .then(|| self.raw().vlan_tci_outer)
    }

    /// The id of the port that received it.
    #[inline]
    pub fn port(&self) -> u16 {
        self.raw().port
    }

    /// Brings the header, both of its lines, towards the cache, for a packet that is handled soon.
    #[inline]
    pub fn prefetch(&self) {
        prefetch::whole(self.raw());
    }

    /// Brings the first `LINES` times 64 data bytes towards the cache. Reads the header.
    #[inline]
    pub fn prefetch_data<const LINES: usize>(&self) {
        let mbuf = self.raw();
        let data = mbuf.buf_addr.cast::<u8>().wrapping_add(usize::from(mbuf.data_off));
        for line in 0..LINES {
            prefetch::at(data.wrapping_add(line * prefetch::LINE));
        }
    }

    /// Takes over a packet from DPDK.
    ///
    /// # Safety
    /// The pointer must be the head of a chain that nobody else will use or free,
    /// and whose pool is kept by [`Mempool`].
    pub(crate) unsafe fn from_raw(raw: NonNull<rte_mbuf>) -> Self {
        Self(raw)
    }

    /// Hands the packet over: whoever gets the pointer frees it.
    pub(crate) fn into_raw(self) -> *mut rte_mbuf {
        let raw = self.0.as_ptr();
        std::mem::forget(self);
        raw
    }

    /// The head, as bytes, for dynamic fields.
    pub(crate) fn header(&self) -> *const u8 {
        self.0.as_ptr().cast_const().cast()
    }

    /// The head, as bytes to write, for dynamic fields.
    pub(crate) fn header_mut(&mut self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    #[inline]
    fn raw(&self) -> &rte_mbuf {
        // SAFETY: the head is ours and alive until self is dropped; it is only
        // changed through &mut self.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the chain is ours and is not used after this; its pool's memory
        // stays until the last mbuf is back.
        unsafe { dpdk_sys::pollux_mbuf_free_bulk(ptr::from_mut(&mut raw), 1) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.total_len())
            .field("segments", &self.segments().count())
            .finish()
    }
}

/// The segments of one packet; see [`Mbuf::segments`].
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    next: *const rte_mbuf,
    _packet: PhantomData<&'a Mbuf>,
}

// SAFETY: stands for a shared reference to an Mbuf, which is Sync.
unsafe impl Send for Segments<'_> {}
// SAFETY: as above.
unsafe impl Sync for Segments<'_> {}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        // SAFETY: null, or a segment of the chain that is borrowed for 'a.
        let segment: &'a rte_mbuf = unsafe { self.next.as_ref() }?;
        self.next = segment.next;
        Some(segment_data(segment))
    }
}

/// Where a segment's data begins and how long it is, held within the buffer
/// whatever the header says.
#[inline]
fn bounds(mbuf: &rte_mbuf) -> (usize, usize) {
    let (offset, len) = (usize::from(mbuf.data_off), usize::from(mbuf.data_len));
    if offset + len <= usize::from(mbuf.buf_len) { (offset, len) } else { held(mbuf) }
}

/// As [`bounds`], of a header that says too much.
#[cold]
fn held(mbuf: &rte_mbuf) -> (usize, usize) {
    let offset = mbuf.data_off.min(mbuf.buf_len);
    (usize::from(offset), usize::from(mbuf.data_len.min(mbuf.buf_len - offset)))
}

#[inline]
fn segment_data(mbuf: &rte_mbuf) -> &[u8] {
    let (offset, len) = bounds(mbuf);
    // SAFETY: the range lies within the buffer, which belongs to the mbuf and
    // whose memory the pool's mapping initialised.
    unsafe { slice::from_raw_parts(mbuf.buf_addr.cast::<u8>().add(offset), len) }
}

/// Bytes that may be added to a segment.
#[inline]
fn tailroom(mbuf: &rte_mbuf) -> usize {
    let (offset, len) = bounds(mbuf);
    (usize::from(mbuf.buf_len) - offset - len).saturating_sub(TAIL)
}

/// Copies bytes behind a segment's data.
///
/// # Safety
/// The segment must be the caller's alone, with a tailroom of at least that many.
#[inline]
unsafe fn extend_segment(mut segment: NonNull<rte_mbuf>, bytes: &[u8]) {
    // SAFETY: the caller owns the segment.
    let mbuf = unsafe { segment.as_mut() };
    let (offset, len) = bounds(mbuf);
    // SAFETY: the bytes end within the buffer, as the caller made sure, and
    // `bytes` cannot overlap a buffer that the caller holds alone.
    unsafe {
        let end = mbuf.buf_addr.cast::<u8>().add(offset + len);
        ptr::copy_nonoverlapping(bytes.as_ptr(), end, bytes.len());
    }
    mbuf.data_len = (len + bytes.len()) as u16;
    mbuf.pkt_len = u32::from(mbuf.data_len);
}
