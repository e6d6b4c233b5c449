//! A connection: what its packets do to it, and what its streams offer.

use wire::{Direction, Event, Nanos, Tcp, TcpOptions, tcp_flag};

use super::config::StreamConfig;
use super::half::Half;
use super::handshake::Handshake;
use super::memory::{Debt, Memory};
use super::offer::{Chunk, RawWindow};
use super::outcome::TcpOutcome;
use super::state::TcpState;
use super::stream::Bounds;
use super::urgent::UrgentPolicy;

/// A TCP packet as the connection sees it.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Its header.
    pub tcp: &'a Tcp,
    /// The header's options.
    pub options: TcpOptions,
    /// What comes after the header.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.tcp.has(flags)
    }

    pub(crate) fn has_any(&self, flags: u8) -> bool {
        self.tcp.flags & flags != 0
    }

    /// Sequence number of the byte after the payload.
    pub(crate) fn end(&self) -> u32 {
        self.tcp.seq.wrapping_add(self.payload.len() as u32)
    }
}

/// Bytes of both directions after which a connection that goes on tells what it has carried.
const TOLD_AT_ONCE: u64 = 1 << 20;

/// What a packet is handled with.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a StreamConfig,
    pub(crate) memory: &'a Memory,
    pub(crate) direction: Direction,
    pub(crate) second: u32,
    pub(crate) outcome: TcpOutcome,
}

impl Context<'_> {
    /// Notes an event.
    #[inline]
    pub(crate) fn note(&mut self, event: Event) {
        self.outcome.events.insert(event);
    }

    /// Notes why a packet does not fit, where there is a name for it.
    #[cold]
    pub(crate) fn refuse(&mut self, event: impl Into<Option<Event>>) -> Verdict {
        if let Some(event) = event.into() {
            self.note(event);
        }
        Verdict::Invalid
    }
}

/// Whether a packet fits its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    Valid,
    Invalid,
}

/// A TCP connection with its two streams.
///
/// Bytes are offered once the other side has acknowledged them; after [`Self::flush`], all that is
/// there. Both consumers, the application parser (`app_…`) and the raw inspection (`raw_…`), take
/// from the same buffers, each at its pace; what both have taken is forgotten.
#[derive(Debug)]
pub struct TcpSession {
    pub(crate) state: TcpState,
    /// The state before a reset, should that have been injected.
    pub(crate) before_reset: TcpState,
    pub(crate) halves: [Half; 2],
    pub(crate) handshake: Handshake,
    /// That side's last packet was a keep-alive.
    pub(crate) keep_alive: [bool; 2],
    /// Bytes of inspected data that are kept.
    raw_overlap: u32,
    /// What [`Self::take_carried`] has told of: bytes missed, and carried by [`TOLD_AT_ONCE`].
    missed_told: u32,
    carried_told: u32,
    debt: Debt,
}

impl Default for TcpSession {
    fn default() -> Self {
        Self::new()
    }
}

impl TcpSession {
    /// A connection of which no packet was seen.
    pub fn new() -> Self {
        Self {
            state: TcpState::None,
            before_reset: TcpState::None,
            halves: [Half::new(), Half::new()],
            handshake: Handshake::default(),
            keep_alive: [false; 2],
            raw_overlap: StreamConfig::default().raw_overlap,
            missed_told: 0,
            carried_told: 0,
            debt: Debt::default(),
        }
    }

    /// Takes a packet. `direction` is the packet's in its flow; of the first packet of a flow that
    /// turns out to be the server's (`swapped`), the opposite is meant from then on.
    pub fn packet(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        now: Nanos,
        config: &StreamConfig,
        memory: &Memory,
    ) -> TcpOutcome {
        let was_established = self.established();
        let mut context = Context {
            config,
            memory,
            direction,
            second: u32::try_from(now / crate::flow::SECOND).unwrap_or(u32::MAX),
            outcome: TcpOutcome { was_established, ..TcpOutcome::default() },
        };
        self.raw_overlap = config.raw_overlap;
        if self.is_reuse(segment.tcp, direction) {
            context.outcome.reuse = true;
        } else {
            odd_flags(segment, &mut context);
            let verdict = self.next(segment, &mut context);
            self.handshake.has_packets = true;
            context.outcome.valid = verdict == Verdict::Valid;
            if self.halves[context.direction.index()].stream.waits_at_gap()
                || self.halves[context.direction.flip().index()].stream.waits_at_gap()
            {
                context.note(Event::StreamReassemblySeqGap);
            }
        }
        TcpOutcome {
            state: self.state,
            established: self.established(),
            closed: self.state == TcpState::Closed,
            ..context.outcome
        }
    }

    /// Whether a packet begins a new connection with the same ends, now that this one is at its
    /// end, or none was known: [`Self::packet`] would answer `reuse`.
    pub fn is_reuse(&self, tcp: &Tcp, direction: Direction) -> bool {
        const KINDS: u8 = tcp_flag::SYN | tcp_flag::ACK | tcp_flag::RST | tcp_flag::FIN;
        if tcp.flags & KINDS != tcp_flag::SYN {
            return false;
        }
        if self.state == TcpState::None {
            return self.handshake.has_packets;
        }
        let client = &self.halves[Direction::ToServer.index()];
        let again = direction == Direction::ToServer && client.seen && client.isn == tcp.seq;
        self.state >= TcpState::LastAck && !again
    }

    fn next(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> Verdict {
        match self.needs_no_more(segment, context) {
            Some(verdict) => verdict,
            None => {
                self.note_retransmission(segment, context);
                self.by_state(segment, context, self.state)
            }
        }
    }

    pub(crate) fn by_state(
        &mut self,
        segment: &Segment<'_>,
        context: &mut Context<'_>,
        state: TcpState,
    ) -> Verdict {
        match state {
            TcpState::None => self.first(segment, context),
            TcpState::SynSent => self.syn_sent(segment, context),
            TcpState::SynRecv => self.syn_received(segment, context),
            TcpState::Closed => self.closed(segment, context),
            _ => self.connected(segment, context, state),
        }
    }

    /// The sender's half and the receiver's.
    #[inline]
    pub(crate) fn both(&mut self, direction: Direction) -> (&mut Half, &mut Half) {
        let [client, server] = &mut self.halves;
        match direction {
            Direction::ToServer => (client, server),
            Direction::ToClient => (server, client),
        }
    }

    /// Stores a packet's payload, which begins at `seq`.
    pub(crate) fn store(&mut self, seq: u32, segment: &Segment<'_>, context: &mut Context<'_>) {
        if segment.payload.is_empty() || segment.has(tcp_flag::RST) {
            return;
        }
        let is_urgent = segment.has(tcp_flag::URG) && segment.tcp.urgent > 0;
        if is_urgent || self.halves[context.direction.index()].urgent.is_some() {
            self.store_around(seq, segment, is_urgent, context);
        } else {
            self.put(seq, segment.payload, segment.payload.len(), context);
        }
    }

    /// Stores a payload without the urgent bytes that are in it.
    #[cold]
    fn store_around(
        &mut self,
        seq: u32,
        segment: &Segment<'_>,
        is_urgent: bool,
        context: &mut Context<'_>,
    ) {
        let payload = segment.payload;
        // RFC 6093: the pointer is to the byte after, and it may be in a segment to come.
        let at = usize::from(segment.tcp.urgent).wrapping_sub(1);
        let place = seq.wrapping_add(at as u32);
        let half = &mut self.halves[context.direction.index()];
        let mut hole = None;
        if is_urgent && at < payload.len() {
            match context.config.urgent {
                UrgentPolicy::Inline => {}
                UrgentPolicy::Drop => return,
                UrgentPolicy::Gap => hole = Some(place),
                // What came after it was placed with it: it stays.
                UrgentPolicy::OutOfBand if half.stream.is_beyond(half.placed(place)) => {}
                UrgentPolicy::OutOfBand => {
                    if !half.urgent.get_or_insert_default().take(place) {
                        context.note(Event::StreamReassemblyUrgentOobLimitReached);
                    }
                }
            }
        }
        let mut from = 0;
        while from < payload.len() {
            let half = &self.halves[context.direction.index()];
            let is_out = |at: usize| {
                let place = seq.wrapping_add(at as u32);
                hole == Some(place) || half.urgent.as_ref().is_some_and(|urgent| urgent.has(place))
            };
            let to = (from..payload.len()).find(|at| is_out(*at)).unwrap_or(payload.len());
            let place = half.placed(seq.wrapping_add(from as u32));
            if from < to {
                self.put(place, &payload[from..to], payload.len(), context);
            }
            from = to + 1;
        }
    }

    /// Stores bytes at `seq`, as the stream counts; `whole`: so many the packet has.
    fn put(&mut self, seq: u32, payload: &[u8], whole: usize, context: &mut Context<'_>) {
        let bounds = Bounds {
            depth: context.config.depth,
            max_blocks: context.config.max_segments.max(1),
            policy: context.config.policy,
        };
        let stream = &mut self.halves[context.direction.index()].stream;
        let stored = stream.insert(seq, payload, &bounds, &mut self.debt, context.memory);
        let outcome = &mut context.outcome;
        outcome.added |= stored.accepted;
        outcome.appended = stored.appended && payload.len() == whole;
        outcome.beyond_depth += stored.beyond_depth;
        outcome.memcap_dropped |= stored.refused;
        outcome.late |= stored.late && !self.handshake.one_sided;
        if stored.different {
            outcome.events.insert(Event::StreamReassemblyOverlapDifferentData);
        }
        if stored.before {
            outcome.events.insert(Event::StreamReassemblySegmentBeforeBaseSeq);
        }
        if stored.beyond_depth > 0 {
            outcome.events.insert(Event::StreamReassemblyDepthReached);
        }
        if stored.refused {
            outcome.events.insert(Event::StreamReassemblyInsertMemcap);
        }
    }

    /// Forgets what is stored of one direction.
    pub(crate) fn clear_stream(&mut self, direction: Direction) {
        self.halves[direction.index()].stream.clear(&mut self.debt);
    }

    /// Brings all of it towards the cache, see [`crate::FlowTable::hint`].
    #[inline]
    pub fn prefetch(&self) {
        prefetch::whole(self);
    }

    /// Brings the first of what is stored of both streams, once it is there itself.
    #[inline]
    pub fn prefetch_stored(&self) {
        for half in &self.halves {
            half.stream.prefetch_stored();
        }
    }

    /// Its state.
    #[inline]
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// Whether it has ended for good: both sides have finished and have acknowledged it. A reset may have been
    /// someone else's.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.state == TcpState::Closed && self.before_reset == TcpState::None
    }

    /// Whether it is, or had been, established, in the sense of Suricata's `flow:established`:
    /// a connection that was closed counts, even one that was refused.
    #[inline]
    pub fn established(&self) -> bool {
        self.state >= TcpState::Established
    }

    /// Sequence numbers that each side has used, handshake included: Suricata's `stream_size`.
    #[inline]
    pub fn sizes(&self) -> [u32; 2] {
        self.halves.each_ref().map(|half| half.next_seq.wrapping_sub(half.isn))
    }

    /// An estimate of the payload bytes that the other side has acknowledged and that were never
    /// seen, and how many were carried, seen or not; both directions together. Of a side that was
    /// never seen nothing is said.
    pub fn missed(&self) -> (u64, u64) {
        let of = |half: &Half| match half.seen {
            true => (half.stream.missed(), half.stream.carried()),
            false => (0, 0),
        };
        let [client, server] = self.halves.each_ref().map(of);
        (client.0 + server.0, client.1 + server.1)
    }

    /// Whether so much more has been carried that [`Self::take_carried`] has something to tell.
    #[inline]
    pub fn has_carried_more(&self) -> bool {
        let carried = |half: &Half| if half.seen { half.stream.carried() } else { 0 };
        let carried: u64 = self.halves.iter().map(carried).sum();
        carried / TOLD_AT_ONCE > u64::from(self.carried_told)
    }

    /// What [`Self::missed`] answers beyond what this has answered before. While the connection goes on holes
    /// count, but not what is acknowledged behind all that was seen: that may still come. It ends once.
    pub fn take_carried(&mut self, ends: bool) -> (u64, u64) {
        let told = (u64::from(self.missed_told), u64::from(self.carried_told) * TOLD_AT_ONCE);
        let (mut missed, mut carried) = self.missed();
        if !ends {
            let holes = |half: &Half| if half.seen { half.stream.holes() } else { 0 };
            missed = self.halves.iter().map(holes).sum::<u64>().min(u64::from(u32::MAX));
            carried -= carried % TOLD_AT_ONCE;
        }
        let news = (missed.saturating_sub(told.0), carried.saturating_sub(told.1));
        let tell = |told: u64| u32::try_from(told).unwrap_or(u32::MAX);
        self.missed_told = tell(told.0 + news.0);
        self.carried_told = tell((told.1 + news.1) / TOLD_AT_ONCE);
        news
    }

    /// Whether this is what the server answers to the client's SYN: its acknowledgment fits.
    pub fn awaits_answer(&self, ack: u32) -> bool {
        let client = &self.halves[Direction::ToServer.index()];
        self.state == TcpState::SynSent && client.seen && ack == client.isn.wrapping_add(1)
    }

    /// Bytes of memory that it holds in buffers.
    pub fn buffered(&self) -> u64 {
        self.debt.bytes()
    }

    /// The next bytes for the application parser.
    #[inline]
    pub fn app_next(&self, direction: Direction) -> Chunk<'_> {
        self.halves[direction.index()].stream.app_next()
    }

    /// The parser has taken `bytes` more, or has gone over a gap of so many.
    pub fn app_consumed(&mut self, direction: Direction, bytes: u64) {
        let overlap = u64::from(self.raw_overlap);
        self.halves[direction.index()].stream.app_consumed(bytes, overlap, &mut self.debt);
    }

    /// All bytes from the stream's beginning, as long as the parser has taken none: for finding
    /// out the protocol. `None` when there are none, the beginning is missing or some were taken.
    pub fn app_from_start(&self, direction: Direction) -> Option<&[u8]> {
        self.halves[direction.index()].stream.all_from_start()
    }

    /// Offset in the stream of the parser's next byte.
    pub fn app_offset(&self, direction: Direction) -> u64 {
        self.halves[direction.index()].stream.app_offset()
    }

    /// Offset in the stream of the next byte to inspect.
    pub fn raw_offset(&self, direction: Direction) -> u64 {
        self.halves[direction.index()].stream.raw_offset()
    }

    /// What there is to inspect; empty if nothing is new.
    pub fn raw_window(&self, direction: Direction) -> RawWindow<'_> {
        self.halves[direction.index()].stream.raw_window(u64::from(self.raw_overlap))
    }

    /// The last `new` bytes that are stored, acknowledged or not, after a packet that was
    /// [`appended`](TcpOutcome::appended), with up to `before` bytes in front of them; None where
    /// raw inspection wants nothing any more.
    pub fn raw_tail(&self, direction: Direction, new: usize, before: u64) -> Option<RawWindow<'_>> {
        self.halves[direction.index()].stream.raw_tail(new, before)
    }

    /// Whether it is worth inspecting now: a chunk is full, was asked for, or nothing more comes.
    pub fn raw_ready(&self, direction: Direction, config: &StreamConfig) -> bool {
        let half = &self.halves[direction.index()];
        let (waiting, hurry) = half.stream.raw_waiting();
        let ending = self.state > TcpState::TimeWait;
        let is_full = || waiting >= config.chunk(direction, half.isn, half.stream.raw_offset());
        waiting > 0 && (hurry || ending || is_full())
    }

    /// Asks for inspection of what there is without waiting for a full chunk.
    pub fn trigger_raw(&mut self, direction: Direction) {
        self.halves[direction.index()].stream.trigger();
    }

    /// All before the offset `upto` has been inspected, see [`RawWindow::end`].
    pub fn raw_consumed(&mut self, direction: Direction, upto: u64) {
        let overlap = u64::from(self.raw_overlap);
        self.halves[direction.index()].stream.raw_consumed(upto, overlap, &mut self.debt);
    }

    /// The parser wants no more of this direction.
    pub fn disable_app(&mut self, direction: Direction) {
        let overlap = u64::from(self.raw_overlap);
        self.halves[direction.index()].stream.disable_app(overlap, &mut self.debt);
    }

    /// Raw inspection wants no more of this direction.
    pub fn disable_raw(&mut self, direction: Direction) {
        let overlap = u64::from(self.raw_overlap);
        self.halves[direction.index()].stream.disable_raw(overlap, &mut self.debt);
    }

    /// Nothing of it is wanted any more: what is stored is let go, and what still comes is not stored.
    pub fn let_go(&mut self) {
        for direction in Direction::BOTH {
            self.disable_app(direction);
            self.disable_raw(direction);
        }
    }

    /// It is not likely to go on: what is stored takes no more memory than it needs.
    pub fn shrink(&mut self) {
        for half in &mut self.halves {
            half.stream.shrink(&mut self.debt);
        }
    }

    /// Whether neither wants more of this direction: its payload is not stored.
    pub fn is_disabled(&self, direction: Direction) -> bool {
        self.halves[direction.index()].stream.is_disabled()
    }

    /// Whether this direction has reached the depth.
    pub fn depth_reached(&self, direction: Direction) -> bool {
        self.halves[direction.index()].stream.depth_reached()
    }

    /// At the flow's end, its time-out or the end of the capture: all that waits becomes available,
    /// first what is contiguous, then what is behind gaps.
    pub fn flush(&mut self) {
        for half in &mut self.halves {
            half.stream.flush();
        }
    }

    /// Whether bytes are stored that were not taken.
    pub fn has_pending(&self, direction: Direction) -> bool {
        self.halves[direction.index()].stream.has_pending()
    }
}

/// Notes flags that do not go together.
#[inline]
fn odd_flags(segment: &Segment<'_>, context: &mut Context<'_>) {
    const SYN_FIN: u8 = tcp_flag::SYN | tcp_flag::FIN;
    if segment.has(SYN_FIN) {
        context.note(Event::StreamFinSyn);
    }
    if segment.tcp.ack != 0 && !segment.has(tcp_flag::ACK) {
        context.note(Event::StreamPktBrokenAck);
    }
    if segment.has(tcp_flag::RST) && !segment.payload.is_empty() {
        context.note(Event::StreamRstWithData);
    }
}
