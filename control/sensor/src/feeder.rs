//! Feeds captures into the rings of a replay's port: spread as a NIC would by the inner-most address
//! pair, waiting where a ring or the pool is full, so that nothing is lost. A single worker feeds
//! [itself](own).

pub mod own;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dpdk::{Burst, Fresh, Mbuf, MetaField, PacketMeta, RingFeeder};
use engine::spread::owner;
use engine::worker::{META_IGNORE_CHECKSUMS, Shared};
use wire::{Decoded, LinkType};

use crate::capture::{CaptureError, End, Frame, Next, Reader};

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
    pub fresh: Fresh,
    /// The packets' metadata.
    pub meta: MetaField,
    /// Every packet with a smaller clock is in a ring.
    pub clock: Arc<AtomicU64>,
    /// Tells when there is nobody left to feed; None for a worker that feeds itself, for which nobody can wait.
    pub shared: Option<Arc<Shared>>,
    /// What to do about checksums.
    pub checksums: Checksums,
    /// How packets are spread.
    pub spread: Spread,
    /// The decoder's settings, by which the spread is found.
    pub decoder: wire::Config,
}

#[derive(Debug, Default)]
struct Sampling {
    seen: u64,
    wrong: u64,
}

/// A pass over the captures, as far as it has come.
#[derive(Debug)]
struct Course {
    feeder: Feeder,
    /// Those that were not begun.
    captures: std::vec::IntoIter<PathBuf>,
    reader: Option<Reader>,
    pass: Pass,
}

/// What was fed and what is on its way.
#[derive(Debug)]
struct Pass {
    fed: Fed,
    sampling: Sampling,
    decoded: Box<Decoded>,
    /// What is on its way into each ring.
    batches: Vec<Burst<BATCH>>,
    /// The capture's clock so far.
    clock: u64,
}

/// Frames between two looks at how far it is.
const STEP: u64 = 8192;

impl Feeder {
    /// Feeds the captures one after the other. `progress` is told the packets fed so far, now and
    /// then. The first file that cannot be read ends it; what was fed stays fed.
    pub fn feed(
        self,
        captures: &[PathBuf],
        progress: &dyn Fn(&Fed),
    ) -> (Fed, Result<(), CaptureError>) {
        let mut course = Course::new(self, captures.to_vec());
        let result = loop {
            let more = course.go_on(STEP);
            progress(&course.pass.fed);
            match more {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        (course.pass.fed, result)
    }
}

impl Course {
    fn new(mut feeder: Feeder, captures: Vec<PathBuf>) -> Self {
        feeder.decoder.verify_checksums = false;
        let pass = Pass {
            fed: Fed::default(),
            sampling: Sampling::default(),
            decoded: Box::new(Decoded::EMPTY),
            batches: feeder.rings.iter().map(|_| Burst::new()).collect(),
            clock: 0,
        };
        Self { feeder, captures: captures.into_iter(), reader: None, pass }
    }

    /// Feeds at most so many frames; false when all are fed, or nobody is left who takes them.
    fn go_on(&mut self, most: u64) -> Result<bool, CaptureError> {
        let more = self.read(most);
        if !self.pass.fed.aborted {
            self.pass.fed.aborted = !self.feeder.flush(&mut self.pass);
        }
        let more = more.map(|more| more && !self.pass.fed.aborted);
        if !matches!(more, Ok(true)) {
            self.feeder.clock.store(u64::MAX, Ordering::Release);
        }
        more
    }

    /// False when the captures have no frame left.
    fn read(&mut self, most: u64) -> Result<bool, CaptureError> {
        let Self { feeder, captures, reader, pass } = self;
        let enough = pass.fed.packets + most;
        while !pass.fed.aborted && pass.fed.packets < enough {
            let open = match reader {
                Some(open) => open,
                None => match captures.next() {
                    Some(path) => reader.insert(Reader::open(&path)?),
                    None => return Ok(false),
                },
            };
            let end = open.hand_on(|frame| match feeder.frame(&frame, pass) {
                Next::More if pass.fed.packets >= enough => Next::Later,
                next => next,
            })?;
            match end {
                // It stopped for another reason than that there is enough: no room.
                None => return Ok(true),
                Some(End::Complete) => *reader = None,
                Some(End::CutOff(warning)) => {
                    pass.fed.warnings.push(warning);
                    *reader = None;
                }
            }
        }
        Ok(true)
    }
}

impl Feeder {
    /// Puts a frame on its way. [`Next::Later`]: there is nobody left to feed.
    fn frame(&mut self, frame: &Frame<'_>, pass: &mut Pass) -> Next {
        let Pass { fed, sampling, decoded, .. } = pass;
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
        let fresh = match self.fresh.packet(frame.data) {
            Some(mbuf) => Some(mbuf),
            // Workers free what they are given: nothing may be held back now.
            None if !self.flush(pass) => None,
            None if self.shared.is_none() => return Next::Again,
            None => self.wait_for(|this| this.fresh.packet(frame.data)),
        };
        let Some(mut mbuf) = fresh else {
            pass.fed.aborted = true;
            return Next::Later;
        };
        let Pass { fed, clock, .. } = pass;
        let ignore = self.checksums == Checksums::Ignore || fed.checksums_ignored;
        *clock = (*clock).max(frame.timestamp);
        fed.packets += 1;
        fed.bytes += frame.data.len() as u64;
        let meta = PacketMeta {
            ts_ns: frame.timestamp,
            clock_ns: *clock,
            order: fed.packets,
            wire_len: frame.wire_len,
            link: u16::try_from(frame.link).unwrap_or(u16::MAX),
            flags: if ignore { META_IGNORE_CHECKSUMS } else { 0 },
        };
        self.meta.set(&mut mbuf, meta);
        let full = match pass.batches.get_mut(queue) {
            Some(batch) => batch.push(mbuf).is_err() || batch.len() == BATCH,
            None => true,
        };
        if full && !self.flush(pass) {
            pass.fed.aborted = true;
            return Next::Later;
        }
        Next::More
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
            let gone = |shared: &Arc<Shared>| {
                shared.running() == 0 || shared.failed.load(Ordering::Acquire)
            };
            if self.shared.as_ref().is_none_or(gone) {
                return None;
            }
            std::thread::yield_now();
        }
    }
}
