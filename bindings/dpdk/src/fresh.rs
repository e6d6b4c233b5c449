//! Mbufs taken from their pool by the dozen, for whoever fills one packet after the other.

use crate::burst::Burst;
use crate::mbuf::Mbuf;
use crate::mempool::Mempool;

/// Mbufs that are taken at once.
const BATCH: usize = 32;

/// Fresh mbufs of a pool. Up to 32 of them wait here for their turn, and go back when this is dropped.
#[derive(Debug)]
pub struct Fresh {
    pool: Mempool,
    ready: Burst<BATCH>,
    /// The next slot of `ready`.
    next: usize,
}

impl Fresh {
    /// None waits yet.
    pub fn new(pool: Mempool) -> Self {
        Self { pool, ready: Burst::new(), next: 0 }
    }

    /// A packet with these bytes, as [`Mbuf::from_bytes`]: `None` when neither waits one here nor does the pool
    /// have as many left as it takes.
    #[inline]
    pub fn packet(&mut self, bytes: &[u8]) -> Option<Mbuf> {
        if self.next >= self.ready.len() {
            self.next = 0;
            let pool = self.pool.as_ptr();
            // SAFETY: the pool lives while its handle does. The shim writes as many as it says: reset, of one
            // segment, and nobody else's.
            let taken = unsafe {
                self.ready.fill(|slots, n| {
                    dpdk_sys::pollux_mbuf_alloc_bulk(pool, slots, u32::from(n)) as u16
                })
            };
            if taken == 0 {
                return Mbuf::from_bytes(&self.pool, bytes);
            }
        }
        self.next += 1;
        self.ready.take(self.next - 1)?.filled(&self.pool, bytes)
    }
}
