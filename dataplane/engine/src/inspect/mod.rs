//! Detection on one packet, one stream window, one transaction: candidates from the prefilters,
//! verified test by test, in the order of the signatures.

mod aside;
mod asn1;
mod base64;
pub mod content;
pub(crate) mod extra;
mod files;
pub mod header;
mod memo;
mod numbers;
pub(crate) mod scanned;
mod session;
pub mod transaction;
mod transform;
pub mod vars;

use app::AppProto;
use hyperscan::{MatchQueue, Padded, PaddedBuf, Scratch};
use rules::ruleset::{Arrival, Groups, Prefilter, RuleGroup, Standing};
use rules::signature::{Action, AppProtocolTest, Buffer, BufferTests, Kind, Signature, Test};
use wire::{Direction, Nanos, Transport, flag};

use self::aside::Aside;
use self::content::{Verifier, View};
use self::header::Headers;
use self::memo::Memo;
use self::transform::Transformer;
use crate::counters::AsideNote;
use crate::flow_state::{FlowState, Mark};
use crate::profile::{Profiler, Stage};
use crate::snapshot::Snapshot;

/// Reassembled bytes that are inspected with a packet.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// Retained old bytes, then the new ones.
    pub data: Padded<'a>,
    /// Index of the first byte that was not inspected yet.
    pub new_from: usize,
    /// Place of `data`'s first byte in the stream.
    pub stream_offset: u64,
    /// Bytes that are missing right before the new ones.
    pub missing: u64,
}

/// One thing to inspect: a packet, a reassembled datagram, or a flow's end.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    /// Header fields.
    pub headers: Headers<'a>,
    /// The payload, empty where it is not to be looked at.
    pub payload: Padded<'a>,
    /// Stream data that came up with it.
    pub window: Option<Window<'a>>,
    /// The payload went into the stream and is seen there.
    pub in_stream: bool,
    /// The payload as the stream has it, if it is the end of that.
    pub tail: Option<Window<'a>>,
    /// The payload is ciphertext: no rule looks at it.
    pub opaque: bool,
    /// Which way it goes in its flow.
    pub direction: Option<Direction>,
    /// Its flow was established before it came.
    pub established: bool,
    /// It was put together from fragments.
    pub defragmented: bool,
    /// The flow's server port (the destination port where there is no flow).
    pub server_port: u16,
    /// Rule sets that apply.
    pub rulesets: u64,
    /// The packet's time.
    pub now: Nanos,
    /// What is known of its flow's life.
    pub life: Life,
}

impl Unit<'_> {
    /// What gates look at; `protocol` is its flow's, None without a flow.
    fn arrival(&self, protocol: Option<AppProto>) -> Arrival {
        let standing = Standing {
            direction: self.direction,
            established: self.established,
            defragmented: self.defragmented,
        };
        Arrival::new(self.headers.packet, self.rulesets, protocol, standing)
    }
}

/// A flow's life as far as rules ask for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Life {
    /// Seconds from the first packet to the latest; None without a flow.
    pub age: Option<u64>,
    /// [`flow::TcpSession::sizes`].
    pub sizes: Option<[u32; 2]>,
}

/// A signature that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Its number.
    pub number: u32,
    /// In which transaction.
    pub tx: Option<u64>,
    /// In stream data.
    pub stream: bool,
    /// In which of the transaction's files, where it is about one.
    pub file: Option<u8>,
}

/// What detection works with; owned by a core, allocated once.
#[derive(Debug)]
pub struct Tools {
    verifier: Verifier,
    transformer: Transformer,
    aside: Aside,
    memo: Memo,
    queue: MatchQueue,
    candidates: Vec<u32>,
    /// Candidates in a stream whose window is not there yet.
    ahead: Vec<u32>,
    spare: PaddedBuf,
    matches: Vec<Match>,
    scan_errors: u64,
    /// Measures the core's work.
    pub(crate) profiler: Profiler,
}

/// Matches that one scan may report before it is cut off. Patterns report once a scan, so this
/// bounds distinct patterns.
const QUEUE_LIMIT: usize = 1 << 16;

impl Tools {
    /// Tools for one core.
    pub fn new() -> Result<Self, pcre2::OutOfMemory> {
        Ok(Self {
            verifier: Verifier::new()?,
            transformer: Transformer::new()?,
            aside: Aside::default(),
            memo: Memo::default(),
            queue: MatchQueue::growing(4096, QUEUE_LIMIT),
            candidates: Vec::with_capacity(4096),
            ahead: Vec::with_capacity(64),
            spare: PaddedBuf::with_capacity(4096),
            matches: Vec::with_capacity(64),
            scan_errors: 0,
            profiler: Profiler::default(),
        })
    }

    /// What matched since the last [`Tools::begin`], in the order of evaluation.
    pub fn matches(&mut self) -> &mut Vec<Match> {
        &mut self.matches
    }

    /// Starts a unit.
    pub fn begin(&mut self) {
        self.matches.clear();
    }

    /// How many verifications and scans were given up since the last call.
    pub fn take_exceeded(&mut self) -> u64 {
        self.verifier.take_exceeded() + std::mem::take(&mut self.scan_errors)
    }

    /// Rules that were set aside since the last call, to be taken out.
    pub fn set_aside(&mut self) -> &mut Vec<AsideNote> {
        self.aside.news()
    }

    /// Inspects the unit, with its flow if it has one.
    pub fn inspect(
        &mut self,
        unit: &Unit<'_>,
        snapshot: &Snapshot,
        scratch: &mut Scratch,
        mut flow: Option<&mut FlowState>,
    ) {
        self.aside.begin(snapshot.generation);
        if flow.as_ref().is_some_and(|flow| flow.is(Mark::BYPASSED)) {
            return;
        }
        self.profiler.enter(Stage::Group);
        let refused = unit.headers.packet.has(flag::REFUSED);
        if !unit.headers.pseudo && !refused {
            self.ip_only(unit, snapshot, flow.as_deref_mut());
        }
        self.packet(unit, snapshot, scratch, flow.as_deref_mut());
        if let (Some(flow), Some(direction)) = (flow, unit.direction)
            && !flow.is(Mark::PASSED)
            && flow.take_dirty(direction)
        {
            self.transactions(unit, snapshot, scratch, flow, direction);
        }
    }

    /// Rules of addresses alone: once per flow and direction.
    fn ip_only(&mut self, unit: &Unit<'_>, snapshot: &Snapshot, mut flow: Option<&mut FlowState>) {
        if let (Some(flow), Some(direction)) = (flow.as_deref_mut(), unit.direction) {
            let Some(done) = flow.ip_only_done.get_mut(direction.index()) else { return };
            if std::mem::replace(done, true) {
                return;
            }
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let ip = unit.headers.packet.inner();
        snapshot.rules.ip_only(ip.src, ip.dst, ip.protocol, &mut candidates);
        admitted(&mut candidates, snapshot, || unit.arrival(flow.as_ref().map(|flow| flow.proto)));
        for &number in &candidates {
            let Some(signature) = snapshot.rules.signatures.get(number as usize) else { continue };
            if self.conditions(unit, signature, flow.as_deref())
                && signature.header.iter().all(|test| unit.headers.holds(test))
            {
                let hit = Match { number, tx: None, stream: false, file: None };
                self.matched(unit, signature, flow.as_deref_mut(), hit);
            }
        }
        candidates.clear();
        self.candidates = candidates;
    }

    /// Rules by packet and by stream.
    fn packet(
        &mut self,
        unit: &Unit<'_>,
        snapshot: &Snapshot,
        scratch: &mut Scratch,
        mut flow: Option<&mut FlowState>,
    ) {
        if flow.as_ref().is_some_and(|flow| flow.is(Mark::PASSED)) {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let way = unit.direction.unwrap_or(Direction::ToServer).index();
        let protocol = unit.headers.packet.inner().protocol;
        let is_tcp = matches!(unit.headers.packet.transport, Transport::Tcp(_));
        snapshot.rules.event_rules(unit.headers.events, &mut candidates);
        let groups = if unit.headers.packet.has(flag::REFUSED) {
            Groups::default()
        } else {
            snapshot.rules.groups(protocol, way, unit.server_port)
        };
        self.profiler.enter(Stage::Scan);
        let groups = [groups.common, groups.port];
        let mut reach = 0;
        for group in groups.into_iter().flatten() {
            candidates.extend_from_slice(&group.always);
            reach = reach.max(group.stream.as_ref().map_or(0, Prefilter::max_len));
            if !unit.payload.is_empty() && !unit.opaque {
                self.payload(unit, group, is_tcp, scratch, &mut candidates);
            }
            for (buffer, prefilter) in &group.headers {
                if let Some(bytes) = unit.headers.buffer(*buffer, &mut [0; 16]) {
                    let mut spare = std::mem::take(&mut self.spare);
                    spare.clear();
                    spare.extend_from_slice(bytes);
                    let data = spare.as_padded();
                    self.scan(prefilter, Some(bytes), data, scratch, &mut candidates);
                    self.spare = spare;
                }
            }
        }
        if let (Some(flow), Some(direction)) = (flow.as_deref_mut(), unit.direction) {
            if let Some(tail) = unit.tail {
                flow.scanned.note(direction, snapshot.generation, tail, reach, &self.ahead);
                self.ahead.clear();
            }
            if let Some(window) = unit.window {
                let generation = snapshot.generation;
                let scanned =
                    flow.scanned.take(direction, generation, window, reach, &mut candidates);
                self.window(groups, window, scanned, scratch, &mut candidates);
            }
        }
        if flow.as_ref().is_some_and(|flow| !flow.events().is_empty()) {
            candidates.extend_from_slice(snapshot.flow_events());
        }
        self.profiler.enter(Stage::Verify);
        admitted(&mut candidates, snapshot, || unit.arrival(flow.as_ref().map(|flow| flow.proto)));
        for &number in &candidates {
            let Some(signature) = snapshot.rules.signatures.get(number as usize) else { continue };
            if self.aside.holds(number, unit.now) {
                continue;
            }
            let exceeded = self.verifier.exceeded();
            let began = self.profiler.now();
            let holds = self.packet_holds(unit, signature, flow.as_deref());
            self.profiler.verified(began, number, holds.is_some());
            if let Some(stream) = holds {
                let hit = Match { number, tx: None, stream, file: None };
                self.matched(unit, signature, flow.as_deref_mut(), hit);
            }
            if self.verifier.exceeded() != exceeded {
                self.aside.strike(number, signature, unit.now);
            }
        }
        candidates.clear();
        self.candidates = candidates;
    }

    /// Looks for fast patterns in the payload; in one that is the end of its stream, for those that
    /// are looked for in the stream too.
    fn payload(
        &mut self,
        unit: &Unit<'_>,
        group: &RuleGroup,
        is_tcp: bool,
        scratch: &mut Scratch,
        candidates: &mut Vec<u32>,
    ) {
        let payload = unit.payload;
        let begin = Some(payload.as_bytes());
        // What is no part of a stream is looked at as if it were one.
        let alone = is_tcp && !unit.in_stream;
        let whole = Window { data: payload, new_from: 0, stream_offset: 0, missing: 0 };
        let tail = if alone { Some(whole) } else { unit.tail };
        let (Some(stream), Some(tail)) = (&group.stream, tail) else {
            if let Some(packet) = &group.packet {
                self.scan(packet, begin, payload, scratch, candidates);
            }
            return;
        };
        // Old bytes only as far as a pattern may straddle.
        let from = (tail.new_from + 1).saturating_sub(stream.max_len().max(1));
        let Some(data) = tail.data.get(from..tail.data.len()) else { return };
        let mut ahead = std::mem::take(&mut self.ahead);
        match &group.packet {
            Some(packet) if packet.shares(stream) => {
                packet.heads(payload.as_bytes(), candidates);
                let (began, before) = (self.profiler.now(), candidates.len());
                let both = (&mut *candidates, &mut ahead);
                let data = (payload.as_bytes(), data);
                let done = packet.scan_both(stream, data, scratch, &mut self.queue, both);
                self.scan_errors += u64::from(done.is_err());
                let found = candidates.len() - before;
                self.profiler.scanned(began, packet.number(), data.1.len(), found);
            }
            packet => {
                if let Some(packet) = packet {
                    self.scan(packet, begin, payload, scratch, candidates);
                }
                self.scan(stream, None, data, scratch, &mut ahead);
            }
        }
        if alone {
            stream.heads(payload.as_bytes(), candidates);
            candidates.append(&mut ahead);
        }
        self.ahead = ahead;
    }

    /// Looks for fast patterns in a window of the stream, if its segments were not `scanned`.
    fn window(
        &mut self,
        groups: [Option<&RuleGroup>; 2],
        window: Window<'_>,
        scanned: bool,
        scratch: &mut Scratch,
        candidates: &mut Vec<u32>,
    ) {
        for stream in groups.into_iter().flatten().filter_map(|group| group.stream.as_ref()) {
            if window.stream_offset == 0 {
                stream.heads(window.data.as_bytes(), candidates);
            }
            let from = (window.new_from + 1).saturating_sub(stream.max_len().max(1));
            if !scanned && let Some(data) = window.data.get(from..window.data.len()) {
                self.scan(stream, None, data, scratch, candidates);
            }
        }
    }

    /// Appends what a prefilter makes of the data. With the beginning, where one place only is
    /// possible for a pattern, of the buffer that it counts from.
    fn scan(
        &mut self,
        prefilter: &Prefilter,
        begin: Option<&[u8]>,
        data: Padded<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let (began, before) = (self.profiler.now(), out.len());
        if let Some(begin) = begin {
            prefilter.heads(begin, out);
        }
        let done = prefilter.scan_on(data, scratch, &mut self.queue, out);
        self.scan_errors += u64::from(done.is_err());
        let found = out.len() - before;
        self.profiler.scanned(began, prefilter.number(), data.len(), found);
    }

    /// Does the signature, which was admitted, match? Says whether in stream data.
    fn packet_holds(
        &mut self,
        unit: &Unit<'_>,
        signature: &Signature,
        flow: Option<&FlowState>,
    ) -> Option<bool> {
        if !self.conditions(unit, signature, flow)
            || !signature.header.iter().all(|test| unit.headers.holds(test))
        {
            return None;
        }
        let of_packets = !signature.needs_stream && signature.kind != Kind::Stream;
        if unit.headers.pseudo && of_packets && signature.events.is_empty() {
            return None;
        }
        if !signature.events.is_empty() {
            let recorded = flow?.events();
            if !signature.events.iter().all(|&event| recorded.contains(event)) {
                return None;
            }
        }
        self.verifier.begin();
        let mut stream = false;
        for tests in &signature.buffers {
            let holds = match tests.buffer {
                Buffer::Payload => {
                    let (holds, by_stream) = self.payload_holds(unit, signature, &tests.tests);
                    stream = by_stream;
                    holds
                }
                _ => self.header_buffer_holds(unit, tests),
            };
            if !holds {
                return None;
            }
        }
        Some(stream)
    }

    /// Raw payload tests: on the stream first, then on the packet where the rule or the packet
    /// asks for it.
    fn payload_holds(
        &mut self,
        unit: &Unit<'_>,
        signature: &Signature,
        tests: &[Test],
    ) -> (bool, bool) {
        let is_tcp = matches!(unit.headers.packet.transport, Transport::Tcp(_));
        if is_tcp && signature.needs_stream {
            if let Some(window) = unit.window
                && self.window_holds(tests, window)
            {
                return (true, true);
            }
            let packet_too = signature.needs_packet || !unit.in_stream;
            if !packet_too || signature.flow.only_stream || unit.headers.pseudo {
                return (false, false);
            }
        }
        if unit.opaque {
            return (false, false);
        }
        (self.verifier.holds(tests, View::whole(unit.payload.as_bytes())), false)
    }

    /// Tests on a stream window: the new bytes by themselves, then together with the retained
    /// ones, where a match must reach into the new bytes.
    fn window_holds(&mut self, tests: &[Test], window: Window<'_>) -> bool {
        let data = window.data.as_bytes();
        let new = data.get(window.new_from..).unwrap_or(&[]);
        let new_offset = window.stream_offset + window.new_from as u64;
        if self.verifier.holds(tests, View { data: new, stream_offset: new_offset, new_from: 0 }) {
            return true;
        }
        // An absence holds in any part: only what was found nowhere else may straddle.
        let positive =
            tests.iter().any(|test| matches!(test, Test::Content(content) if !content.negated));
        window.new_from > 0
            && positive
            && self.verifier.holds(
                tests,
                View { data, stream_offset: window.stream_offset, new_from: window.new_from },
            )
    }

    fn header_buffer_holds(&mut self, unit: &Unit<'_>, tests: &BufferTests) -> bool {
        let mut address = [0; 16];
        let Some(bytes) = unit.headers.buffer(tests.buffer, &mut address) else { return false };
        if tests.transforms.is_empty() {
            return self.verifier.holds(&tests.tests, View::whole(bytes));
        }
        self.transformer.apply(bytes, &tests.transforms, &mut self.spare);
        self.verifier.holds(&tests.tests, View::whole(self.spare.as_bytes()))
    }

    /// Everything that is asked of the flow beside what its gate asked: bits, protocols, what only few ask for.
    fn conditions(&self, unit: &Unit<'_>, signature: &Signature, flow: Option<&FlowState>) -> bool {
        if let Some(extra) = &signature.extra
            && !extra::holds(extra, unit)
        {
            return false;
        }
        if !signature.app_protocol_tests.is_empty() {
            let Some(flow) = flow else { return false };
            if !signature.app_protocol_tests.iter().all(|test| protocol_holds(test, flow)) {
                return false;
            }
        }
        if !signature.flowbit_tests.is_empty() || !signature.flowint_tests.is_empty() {
            let Some(flow) = flow else { return false };
            let empty = vars::FlowVars::default();
            let vars = flow.vars().unwrap_or(&empty);
            return signature.flowbit_tests.iter().all(|test| vars.bit_holds(test))
                && signature.flowint_tests.iter().all(|test| vars.int_holds(test));
        }
        true
    }

    /// Notes a match and does what the signature asks to be remembered.
    fn matched(
        &mut self,
        unit: &Unit<'_>,
        signature: &Signature,
        mut flow: Option<&mut FlowState>,
        hit: Match,
    ) {
        if let Some(extra) = &signature.extra {
            extra::carry_out(extra, unit);
            if extra.bypass
                && let Some(flow) = flow.as_deref_mut()
            {
                flow.mark(Mark::BYPASSED);
            }
            if !extra.tags.is_empty() && !signature.noalert && signature.action != Action::Pass {
                extra::tag(extra, signature, unit, flow.as_deref_mut());
            }
        }
        if let Some(flow) = flow {
            for &change in &signature.flowbit_sets {
                flow.vars_mut().apply_bit(change);
            }
            for &change in &signature.flowint_sets {
                flow.vars_mut().apply_int(change);
            }
            if signature.action == Action::Pass
                && !matches!(signature.kind, Kind::Packet | Kind::Event)
            {
                flow.mark(Mark::PASSED);
            }
        }
        self.matches.push(hit);
    }
}

/// Leaves those of the candidates whose gates admit the unit, each once and in order.
#[inline]
fn admitted(candidates: &mut Vec<u32>, snapshot: &Snapshot, arrival: impl FnOnce() -> Arrival) {
    if candidates.is_empty() {
        return;
    }
    let arrival = arrival();
    candidates.retain(|&number| snapshot.rules.admits(number, &arrival));
    candidates.sort_unstable();
    candidates.dedup();
}

/// `app-layer-protocol`. Before the protocol is known neither it nor its negation holds.
fn protocol_holds(test: &AppProtocolTest, flow: &FlowState) -> bool {
    if flow.proto == AppProto::Unknown {
        return false;
    }
    let is = if test.name == "failed" {
        flow.proto == AppProto::Failed
    } else {
        flow.proto.is_rule_name(test.name)
    };
    is != test.negated
}
