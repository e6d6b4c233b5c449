//! Fills the ring from a capture, a ringful a turn.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dpdk::{Burst, Fresh, Mempool, MetaField, PacketMeta, RingFeeder};
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

/// What goes into the ring: packet by packet, in the feeder's turn.
#[derive(Debug)]
pub struct Lane<'a> {
    feeder: Feeder<'a>,
    fresh: Fresh,
    batch: Burst<BATCH>,
    clock: u64,
    fed: Fed,
}

impl<'a> Feeder<'a> {
    /// Feeds the capture and lets the worker take the last of it. Checksums are not to be looked at,
    /// as with Suricata's `-k none`.
    ///
    /// # Errors
    /// The capture's. A worker that gave up is one too.
    pub fn feed(self, capture: &Path) -> anyhow::Result<Fed> {
        self.feed_from(|lane| {
            capture::read(capture, |frame| lane.frame(&frame))?;
            Ok(())
        })
    }

    /// Feeds whatever `source` puts into the lane, and lets the worker take the last of it.
    ///
    /// # Errors
    /// The source's. A worker that gave up is one too.
    pub fn feed_from(
        self,
        source: impl FnOnce(&mut Lane<'a>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Fed> {
        let fresh = Fresh::new(self.pool.clone());
        let (batch, fed) = (Burst::new(), Fed::default());
        let mut lane = Lane { feeder: self, fresh, batch, clock: 0, fed };
        let start = cpu::of_thread()?;
        let end = source(&mut lane);
        lane.settle();
        lane.fed.cpu = cpu::of_thread()?.saturating_sub(start);
        end?;
        let Lane { feeder, fed, .. } = lane;
        if feeder.turns.is_over() {
            anyhow::bail!("the worker gave up after {} packets", fed.packets);
        }
        feeder.clock.store(u64::MAX, Ordering::Release);
        feeder.turns.worker_next();
        Ok(fed)
    }
}

impl Lane<'_> {
    /// CPU time of the worker up to its last turn.
    pub fn spent(&self) -> Duration {
        self.feeder.turns.spent()
    }

    /// Lets the worker take all that was put in.
    pub fn settle(&mut self) {
        self.flush();
        self.feeder.turns.worker_next();
    }

    /// Puts a packet in; false if the worker is gone.
    pub fn frame(&mut self, frame: &Frame<'_>) -> bool {
        self.clock = self.clock.max(frame.timestamp);
        self.fed.packets += 1;
        self.fed.bytes += frame.data.len() as u64;
        let meta = PacketMeta {
            ts_ns: frame.timestamp,
            clock_ns: self.clock,
            order: self.fed.packets,
            wire_len: frame.wire_len,
            link: u16::try_from(frame.link).unwrap_or(u16::MAX),
            flags: META_IGNORE_CHECKSUMS,
        };
        let mut mbuf = loop {
            if let Some(mbuf) = self.fresh.packet(frame.data) {
                break mbuf;
            }
            if !self.flush() {
                return false;
            }
            self.feeder.turns.worker_next();
        };
        self.feeder.meta.set(&mut mbuf, meta);
        let full = self.batch.push(mbuf).is_err() || self.batch.len() == BATCH;
        !full || self.flush()
    }

    /// Puts the batch into the ring; false if the worker is gone.
    fn flush(&mut self) -> bool {
        loop {
            self.feeder.ring.push_burst(&mut self.batch);
            if self.batch.is_empty() {
                break;
            }
            if self.feeder.turns.is_over() {
                return false;
            }
            self.feeder.turns.worker_next();
        }
        self.feeder.clock.store(self.clock, Ordering::Release);
        true
    }
}
