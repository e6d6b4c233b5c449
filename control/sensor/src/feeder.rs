//! Feeds captures into the rings of a replay's port: spread as a NIC would by the inner-most address
//! pair, waiting where a ring or the pool is full, so that nothing is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dpdk::{Burst, Mbuf, Mempool, MetaField, PacketMeta, RingFeeder};
use engine::spread::owner;
use engine::worker::{META_IGNORE_CHECKSUMS, Shared};
use wire::{Decoded, LinkType};

use crate::capture::{self, CaptureError, End, Frame};

/// Packets whose checksums are looked at before `auto` decides.
const CHECKSUM_SAMPLE: u64 = 1000;

/// Packets that go into a ring at once: its other end's cache lines are touched once for all of them.
const BATCH: usize = 32;

/// What to do about checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksums {
    /// Packets with a wrong one are dropped, unless more than one in ten of the first thousand is
    /// wrong: then the capture was made where the NIC fills them in.
    Auto,
    /// As `Auto`, however many are wrong.
    Check,
    /// They are not looked at.
    Ignore,
}

/// How packets are spread over the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// By the inner-most address pair: every packet comes to the core that owns its flow.
    Inner,
    /// Every packet to the core after the one that owns it: the worst that a NIC can do. Cores hand
    /// everything over to each other.
    Elsewhere,
}

/// What was fed.
#[derive(Debug, Clone, Default)]
pub struct Fed {
    /// Packets put into rings.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that ended in the middle of a frame.
    pub warnings: Vec<String>,
    /// `auto` decided that checksums are not to be trusted.
    pub checksums_ignored: bool,
    /// The workers gave up before the end.
    pub aborted: bool,
}

/// The feeder.
#[derive(Debug)]
pub struct Feeder {
    /// A ring for each queue.
    pub rings: Vec<RingFeeder>,
    /// Where mbufs come from.
    pub pool: Mempool,
    /// The packets' metadata.
    pub meta: MetaField,
    /// Every packet with a smaller clock is in a ring.
    pub clock: Arc<AtomicU64>,
    /// Tells when there is nobody left to feed.
    pub shared: Arc<Shared>,
    /// What to do about checksums.
    pub checksums: Checksums,
    /// How packets are spread.
    pub spread: Spread,
    /// The decoder's settings, by which the spread is found.
    pub decoder: wire::Config,
}

#[derive(Default)]
struct Sampling {
    seen: u64,
    wrong: u64,
}

/// A pass over the captures.
struct Pass {
    fed: Fed,
    sampling: Sampling,
    decoded: Box<Decoded>,
    /// What is on its way into each ring.
    batches: Vec<Burst<BATCH>>,
    /// The capture's clock so far.
    clock: u64,
}

impl Feeder {
    /// Feeds the captures one after the other. `progress` is told the packets fed so far, now and
    /// then. The first file that cannot be read ends it; what was fed stays fed.
    pub fn feed(
        mut self,
        captures: &[PathBuf],
        progress: &dyn Fn(&Fed),
    ) -> (Fed, Result<(), CaptureError>) {
        let mut pass = Pass {
            fed: Fed::default(),
            sampling: Sampling::default(),
            decoded: Box::new(Decoded::EMPTY),
            batches: self.rings.iter().map(|_| Burst::new()).collect(),
            clock: 0,
        };
        self.decoder.verify_checksums = false;
        let mut result = Ok(());
        for path in captures {
            let read = capture::read(path, |frame| {
                let go_on = self.frame(&frame, &mut pass);
                if pass.fed.packets.is_multiple_of(8192) {
                    progress(&pass.fed);
                }
                go_on
            });
            match read {
                Ok(End::Complete) => {}
                Ok(End::CutOff(warning)) => pass.fed.warnings.push(warning),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
            if pass.fed.aborted {
                break;
            }
        }
        if !pass.fed.aborted {
            pass.fed.aborted = !self.flush(&mut pass);
        }
        progress(&pass.fed);
        self.clock.store(u64::MAX, Ordering::Release);
        (pass.fed, result)
    }

    /// False: there is nobody left to feed.
    fn frame(&mut self, frame: &Frame<'_>, pass: &mut Pass) -> bool {
        let Pass { fed, sampling, decoded, clock, .. } = pass;
        let link = LinkType::from_dlt(frame.link);
        let queues = self.rings.len();
        let sample = self.checksums == Checksums::Auto && sampling.seen < CHECKSUM_SAMPLE;
        let mut queue = 0;
        if (queues > 1 || sample)
            && let Some(link) = link
            && wire::decode_into(link, frame.data, &self.decoder, decoded).is_ok()
        {
            queue = owner(decoded.spread_hash(), queues);
            if sample {
                sampling.seen += 1;
                sampling.wrong += u64::from(!wire::checksum_ok(decoded, frame.data));
                fed.checksums_ignored =
                    sampling.seen == CHECKSUM_SAMPLE && sampling.wrong * 10 > sampling.seen;
            }
        }
        if self.spread == Spread::Elsewhere {
            queue = (queue + 1) % queues;
        }
        let ignore = self.checksums == Checksums::Ignore || fed.checksums_ignored;
        *clock = (*clock).max(frame.timestamp);
        let meta = PacketMeta {
            ts_ns: frame.timestamp,
            clock_ns: *clock,
            order: fed.packets + 1,
            wire_len: frame.wire_len,
            link: u16::try_from(frame.link).unwrap_or(u16::MAX),
            flags: if ignore { META_IGNORE_CHECKSUMS } else { 0 },
        };
        fed.packets += 1;
        fed.bytes += frame.data.len() as u64;
        let fresh = match Mbuf::from_bytes(&self.pool, frame.data) {
            Some(mbuf) => Some(mbuf),
            // Workers free what they are given: nothing may be held back now.
            None if !self.flush(pass) => None,
            None => self.wait_for(|this| Mbuf::from_bytes(&this.pool, frame.data)),
        };
        let Some(mut mbuf) = fresh else {
            pass.fed.packets -= 1;
            pass.fed.bytes -= frame.data.len() as u64;
            pass.fed.aborted = true;
            return false;
        };
        self.meta.set(&mut mbuf, meta);
        let full = match pass.batches.get_mut(queue) {
            Some(batch) => batch.push(mbuf).is_err() || batch.len() == BATCH,
            None => true,
        };
        if full && !self.flush(pass) {
            pass.fed.aborted = true;
        }
        !pass.fed.aborted
    }

    /// Puts everything that was read into the rings; only then is the clock a promise to idle
    /// workers. False when there is no worker left to make room: what is left is not counted as fed.
    fn flush(&mut self, pass: &mut Pass) -> bool {
        for (queue, batch) in pass.batches.iter_mut().enumerate() {
            let all = batch.is_empty()
                || self
                    .wait_for(|this| {
                        this.rings.get_mut(queue)?.push_burst(batch);
                        batch.is_empty().then_some(())
                    })
                    .is_some();
            if !all {
                let left: Vec<usize> = batch.iter().map(Mbuf::total_len).collect();
                pass.fed.packets -= left.len() as u64;
                pass.fed.bytes -= left.iter().sum::<usize>() as u64;
                batch.clear();
                return false;
            }
        }
        self.clock.store(pass.clock, Ordering::Release);
        true
    }

    /// Tries until it works; None when there is no worker left to make room.
    fn wait_for<T>(&mut self, mut attempt: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        loop {
            if let Some(done) = attempt(self) {
                return Some(done);
            }
            if self.shared.running() == 0 || self.shared.failed.load(Ordering::Acquire) {
                return None;
            }
            std::thread::yield_now();
        }
    }
}
