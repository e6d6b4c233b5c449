//! Fills the ring from a capture, a ringful a turn.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dpdk::{Burst, Mbuf, Mempool, MetaField, PacketMeta, RingFeeder};
use engine::worker::META_IGNORE_CHECKSUMS;
use pollux::capture::{self, Frame};

use crate::cpu;
use crate::turns::Turns;

/// Packets that go into the ring at once, as in a replay.
const BATCH: usize = 32;

/// What was fed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fed {
    /// Packets.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// CPU time of the reading and copying.
    pub cpu: Duration,
}

/// The feeder's ends.
#[derive(Debug)]
pub struct Feeder<'a> {
    /// The ring.
    pub ring: &'a mut RingFeeder,
    /// Where mbufs come from.
    pub pool: &'a Mempool,
    /// The packets' metadata.
    pub meta: MetaField,
    /// What the worker takes for a promise of the feeder.
    pub clock: &'a AtomicU64,
    /// Whose turn it is.
    pub turns: &'a Turns,
}

impl Feeder<'_> {
    /// Feeds the capture and lets the worker take the last of it. Checksums are not to be looked at,
    /// as with Suricata's `-k none`.
    ///
    /// # Errors
    /// The capture's. A worker that gave up is one too.
    pub fn feed(mut self, capture: &Path) -> anyhow::Result<Fed> {
        let mut fed = Fed::default();
        let mut batch = Burst::new();
        let mut clock = 0;
        let start = cpu::of_thread()?;
        let end =
            capture::read(capture, |frame| self.frame(&frame, &mut batch, &mut clock, &mut fed));
        self.flush(&mut batch, clock);
        self.turns.worker_next();
        fed.cpu = cpu::of_thread()?.saturating_sub(start);
        end?;
        if self.turns.is_over() {
            anyhow::bail!("the worker gave up after {} packets", fed.packets);
        }
        self.clock.store(u64::MAX, Ordering::Release);
        self.turns.worker_next();
        Ok(fed)
    }

    fn frame(
        &mut self,
        frame: &Frame<'_>,
        batch: &mut Burst<BATCH>,
        clock: &mut u64,
        fed: &mut Fed,
    ) -> bool {
        *clock = (*clock).max(frame.timestamp);
        fed.packets += 1;
        fed.bytes += frame.data.len() as u64;
        let meta = PacketMeta {
            ts_ns: frame.timestamp,
            clock_ns: *clock,
            order: fed.packets,
            wire_len: frame.wire_len,
            link: u16::try_from(frame.link).unwrap_or(u16::MAX),
            flags: META_IGNORE_CHECKSUMS,
        };
        let mut mbuf = loop {
            if let Some(mbuf) = Mbuf::from_bytes(self.pool, frame.data) {
                break mbuf;
            }
            if !self.flush(batch, *clock) {
                return false;
            }
            self.turns.worker_next();
        };
        self.meta.set(&mut mbuf, meta);
        let full = batch.push(mbuf).is_err() || batch.len() == BATCH;
        !full || self.flush(batch, *clock)
    }

    /// Puts the batch into the ring; false if the worker is gone.
    fn flush(&mut self, batch: &mut Burst<BATCH>, clock: u64) -> bool {
        loop {
            self.ring.push_burst(batch);
            if batch.is_empty() {
                break;
            }
            if self.turns.is_over() {
                return false;
            }
            self.turns.worker_next();
        }
        self.clock.store(clock, Ordering::Release);
        true
    }
}
