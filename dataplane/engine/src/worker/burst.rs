//! What a worker does with the packets of one poll: those in nobody's scope at a glance, the others one by one.

use std::ops;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dpdk::{Burst, Mbuf, PacketMeta};
use wire::Nanos;

use super::look::{Look, Seen};
use super::time::{MetaSource, info_of, live};
use super::{BURST, Loop, TimeSource};
use crate::ahead::LANES;
use crate::counters::Drop;
use crate::part::PacketInfo;
use crate::pipeline::Fate;

/// Packets whose headers are brought towards the cache before they are looked at.
const AHEAD: usize = 6;

/// How many packets before its turn one is decoded, where flows are many.
const DEEP: usize = 12;
const _: () = assert!(DEEP < LANES);

/// Brings the header of a packet some places behind this one towards the cache, and of a nearer one the first two
/// lines of data: for headers in an envelope.
#[inline(always)]
fn bring(burst: &Burst<BURST>, step: usize) {
    if let Some(soon) = burst.get(step + AHEAD) {
        soon.prefetch();
    }
    if let Some(next) = burst.get(step + AHEAD / 2) {
        next.prefetch_data::<2>();
    }
}

/// What is known of a packet of so many bytes that came as the others did.
#[inline(always)]
fn of_now(others: PacketInfo, bytes: usize) -> PacketInfo {
    PacketInfo { wire_len: u32::try_from(bytes).unwrap_or(u32::MAX), ..others }
}

/// How far a burst is.
#[derive(Debug)]
struct Way {
    source: MetaSource,
    /// So many packets before its turn one is looked at.
    delay: usize,
    /// What a look at the whole burst has shown.
    seen: Seen,
    /// Turns that are over; a packet's is as many after its place as the delay says.
    step: usize,
    /// Bytes of the packets that had their turn.
    bytes: u64,
    /// Packets that a glance was enough for.
    passed: u64,
}

/// A run of packets that a glance is enough for. What it has come to is said when it is dropped, so that a panic is
/// told of the packet that it came from.
struct Passing<'a> {
    way: &'a mut Way,
    step: usize,
    bytes: u64,
}

impl ops::Drop for Passing<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.way.passed += (self.step - self.way.step) as u64;
        self.way.step = self.step;
        self.way.bytes += self.bytes;
    }
}

impl Loop<'_> {
    /// Takes what has come from the own queue; `now` is a time before it came.
    pub(super) fn burst(&mut self, burst: &mut Burst<BURST>, now: Nanos) -> Result<(), String> {
        self.core.counters().received.add(burst.len() as u64);
        let source = match &self.config.time {
            TimeSource::Tsc(_) => MetaSource::Live(now, self.config.link.dlt()),
            TimeSource::Packets(_, field) => MetaSource::Field(*field),
        };
        let delay = if self.core.looks_ahead() { DEEP } else { 0 };
        self.core.forget_ahead();
        let mut way = Way { source, delay, seen: Seen::nothing(), step: 0, bytes: 0, passed: 0 };
        if delay == 0 && self.core.glancing().is_some() {
            self.look(burst, &mut way);
        } else {
            burst.iter().take(AHEAD).for_each(Mbuf::prefetch);
            burst.iter().take(AHEAD / 2).for_each(Mbuf::prefetch_data::<1>);
        }
        // A panic is its packet's alone: the burst goes on behind it.
        let done = loop {
            match catch_unwind(AssertUnwindSafe(|| self.packets(burst, &mut way))) {
                Ok(done) => break done,
                Err(_) => {
                    self.core.counters().discard(Drop::Panic);
                    if let Err(error) = self.recover() {
                        break Err(error);
                    }
                    way.step += 1;
                }
            }
        };
        if done.is_err() {
            // The worker gives up: what it has taken and not looked at is said, too.
            let left = (burst.len() + delay).saturating_sub(way.step + 1) as u64;
            self.core.counters().discard_many(Drop::Shutdown, left);
        }
        self.core.counters().unscoped.add(way.passed);
        self.core.counters().bytes.add(way.bytes);
        burst.clear();
        done
    }

    /// The burst's packets from where it is on.
    fn packets(&mut self, burst: &mut Burst<BURST>, way: &mut Way) -> Result<(), String> {
        let (length, delay) = (burst.len(), way.delay);
        loop {
            if delay == 0 && self.core.glancing().is_some() {
                self.pass_over(burst, way);
            }
            let step = way.step;
            if step >= length + delay {
                return Ok(());
            }
            bring(burst, step);
            if delay > 0 {
                self.look_ahead(burst, step, way.source);
            }
            if let Some(i) = step.checked_sub(delay)
                && let Some(mbuf) = burst.get(i)
            {
                let frame_bytes = mbuf.total_len();
                way.bytes += frame_bytes as u64;
                let meta = way.source.of(mbuf, frame_bytes, &mut self.order);
                let lane = if delay > 0 { i % LANES } else { LANES };
                if let Fate::HandOver(to) = self.one(mbuf, meta, lane, false)
                    && let Some(mbuf) = burst.take(i)
                {
                    self.hand_over(to, mbuf, meta)?;
                }
            }
            way.step += 1;
        }
    }

    /// Looks at the whole burst, whose packets a glance may be enough for. Headers and data are read in a row, so that
    /// waiting for one is waiting for many.
    fn look(&mut self, burst: &Burst<BURST>, way: &mut Way) {
        if let MetaSource::Field(_) = way.source {
            burst.iter().for_each(Mbuf::prefetch);
        }
        let (Some(avx), Some(eye)) = (self.avx, self.core.glancing()) else {
            burst.iter().for_each(Mbuf::prefetch_data::<1>);
            return;
        };
        let (seen, order) = (&mut way.seen, self.order);
        // A panic comes again at the packet's own turn, and is counted then.
        let looked = catch_unwind(AssertUnwindSafe(|| match way.source {
            MetaSource::Field(field) => {
                let is_alike =
                    |mbuf: &Mbuf, frame: &[u8]| eye.is_alike(frame, &info_of(&field.get(mbuf)));
                avx.run(Look { seen, eye, burst, is_alike });
            }
            MetaSource::Live(now, link) => {
                if eye.is_alike(&[], &info_of(&live(now, link, order, 0))) {
                    avx.run(Look { seen, eye, burst, is_alike: |_: &Mbuf, _: &[u8]| true });
                }
            }
        }));
        if looked.is_err() {
            *seen = Seen::nothing();
        }
    }

    /// Goes past the burst's next packets that a glance shows to be in nobody's scope.
    #[inline(never)]
    fn pass_over(&mut self, burst: &Burst<BURST>, way: &mut Way) {
        match way.source {
            MetaSource::Field(field) => {
                self.pass_over_with(burst, way, |mbuf, _| info_of(&field.get(mbuf)));
            }
            MetaSource::Live(now, link) => {
                let alike = info_of(&live(now, link, self.order, 0));
                let before = way.passed;
                self.pass_over_with(burst, way, |_, bytes| of_now(alike, bytes));
                self.order += way.passed - before;
            }
        }
    }

    /// As [`Self::pass_over`], where `info_of` tells of a packet of so many bytes what a glance asks for.
    #[inline(always)]
    fn pass_over_with(
        &mut self,
        burst: &Burst<BURST>,
        way: &mut Way,
        info_of: impl Fn(&Mbuf, usize) -> PacketInfo,
    ) {
        let Some(eye) = self.core.glancing() else { return };
        let before = way.step;
        let (mut clock, mut longest, mut somebodys) = (self.clock, 0, false);
        let mut run = Passing { step: before, bytes: 0, way };
        loop {
            let seen = run.way.seen.run(run.step);
            if seen.packets > 0 {
                clock = clock.max(match run.way.source {
                    MetaSource::Live(now, _) => now,
                    MetaSource::Field(field) => {
                        let slots = burst.behind(run.step).iter().take(seen.packets).flatten();
                        slots.map(|mbuf| field.get(mbuf).clock_ns).max().unwrap_or(0)
                    }
                });
                longest = longest.max(seen.longest as usize);
                run.bytes += seen.bytes;
                run.step += seen.packets;
            }
            let Some(mbuf) = burst.get(run.step).filter(|mbuf| mbuf.is_contiguous()) else { break };
            let frame = mbuf.data();
            let info = info_of(mbuf, frame.len());
            if run.way.seen.is_somebodys(run.step) || !eye.passes(frame, &info) {
                somebodys = true;
                break;
            }
            clock = clock.max(info.clock);
            longest = longest.max(frame.len());
            run.bytes += frame.len() as u64;
            run.step += 1;
        }
        let passed = (run.step - before) as u64;
        drop(run);
        self.clock = clock;
        self.core.note_passed(passed, longest);
        if somebodys {
            self.core.note_somebodys();
        }
    }

    /// Looks at the burst's packet of this number before its turn, and brings what those before it ask for.
    fn look_ahead(&mut self, burst: &Burst<BURST>, step: usize, source: MetaSource) {
        let length = burst.len();
        let lane =
            |back: usize| step.checked_sub(back).filter(|at| *at < length).map(|at| at % LANES);
        // A panic comes again at the packet's own turn, and is counted then: here no packet has one.
        let _: std::thread::Result<()> = catch_unwind(AssertUnwindSafe(|| {
            if let Some(mbuf) = burst.get(step).filter(|mbuf| mbuf.is_contiguous()) {
                // Its number is given when its turn comes.
                let meta = source.of(mbuf, mbuf.total_len(), &mut 0);
                self.core.prepare(step % LANES, mbuf.data(), info_of(&meta));
            }
            self.core.bring([lane(DEEP / 4), lane(DEEP / 2), lane(DEEP / 4 * 3)]);
        }));
    }

    /// Takes a packet: of the own queue, by the lane that it may have been looked at in, or one that was
    /// handed in.
    #[inline]
    pub(super) fn one(
        &mut self,
        mbuf: &Mbuf,
        meta: PacketMeta,
        lane: usize,
        handed_in: bool,
    ) -> Fate {
        if !handed_in {
            self.clock = self.clock.max(meta.clock_ns);
        }
        let info = info_of(&meta);
        if mbuf.is_contiguous() {
            let (buffer, len) = mbuf.data_with_tail();
            return self.core.prepared(lane, buffer, len, info, handed_in);
        }
        let mut joined = self.core.take_joined();
        joined.clear();
        for segment in mbuf.segments() {
            joined.extend_from_slice(segment);
        }
        let len = joined.len();
        let fate = self.core.prepared(lane, &joined, len, info, handed_in);
        self.core.give_joined(joined);
        fate
    }
}
