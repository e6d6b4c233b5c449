//! What a rule means once it is understood: a [`Signature`] and the parts it is made of.
//! The parser makes it, the compiler groups it, the engine evaluates it.

mod buffer;
mod extra;
mod flow;
mod header;
mod net;
mod session;
mod test;
mod threshold;
mod transform;

use std::sync::Arc;

pub(crate) use buffer::filled;
pub use buffer::{Buffer, BufferTests, Origin as BufferOrigin};
pub use extra::{
    AddressSide, BitTrack, CountryTest, Extra, GeoDatabase, HostBitSet, HostBitTest,
    ReputationCondition, ReputationTest, StreamSide, StreamSize, Tag, TagMetric, TagScope,
};
pub use flow::{
    AppProtocolTest, BitId, BitOperation, FlowMatch, FlowbitSet, FlowbitTest, FlowintSet,
    FlowintTest, IntCondition, IntId, IntOperation, IntOperator, IntValue,
};
pub use header::{BitModifier, ChecksumOf, HeaderTest};
pub use net::{AddressSet, PortSet};
pub use session::TransactionTest;
pub use test::{
    Asn1, Asn1Start, Base64Decode, ByteExtract, ByteJump, ByteMath, ByteOperator, ByteTest,
    Compare, Content, DataCommand, DataTest, Encoding, HashTest, IsDataAt, MathOperator, Number,
    Pcre, Test,
};
pub use threshold::{
    AlertFilters, DetectionFilter, NewAction, RateFilter, SuppressTrack, Suppression, Threshold,
    ThresholdKind, Track,
};
pub use transform::{PcreTransform, Transform};

use crate::state::HashList;

/// The most variables that a rule sets (`byte_extract`, `byte_math`).
pub const MAX_VARIABLES: usize = 16;

/// One rule, ready to be grouped and evaluated.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Generator id, 1 unless the rule says otherwise.
    pub gid: u32,
    /// Signature id.
    pub sid: u32,
    /// Revision, 0 where absent.
    pub rev: u32,
    /// `msg`, unescaped.
    pub msg: Arc<str>,
    /// Where the rule stands: file name and line, for logs and `rules check`.
    pub origin: Origin,
    /// The rule's text, trimmed, continuation lines joined.
    pub text: Arc<str>,
    /// What a match does.
    pub action: Action,
    /// The header's protocol.
    pub protocol: Protocol,
    /// Source addresses, variables resolved.
    pub src: AddressSet,
    /// Source ports, variables resolved.
    pub src_port: PortSet,
    /// Destination addresses, variables resolved.
    pub dst: AddressSet,
    /// Destination ports, variables resolved.
    pub dst_port: PortSet,
    /// `<>`: the header holds in either direction.
    pub bidirectional: bool,
    /// `classtype`'s short name and its description from classification.config (empty if unknown).
    pub class: Option<Class>,
    /// 1 is the highest; `priority` wins over the class's, 3 by default.
    pub priority: u32,
    /// `metadata` pairs in order of appearance.
    pub metadata: Arc<[(String, String)]>,
    /// `reference` pairs (`url`, `cve`, …).
    pub references: Arc<[(String, String)]>,
    /// `target:src_ip` / `target:dest_ip`.
    pub target: Option<Target>,
    /// `flow`.
    pub flow: FlowMatch,
    /// Tests on header fields, in rule order.
    pub header: Vec<HeaderTest>,
    /// Tests on buffers, one entry per buffer (and transform list) in order of first appearance.
    /// Tests on [`Buffer::Payload`] stand in one entry wherever they were written. Every use of
    /// `dns.query`, and of a transformed buffer, has an entry of its own.
    pub buffers: Vec<BufferTests>,
    /// `app-layer-protocol`.
    pub app_protocol_tests: Vec<AppProtocolTest>,
    /// `app-layer-event`: all must be recorded, of the transaction or of the flow.
    pub events: Vec<app::AppEvent>,
    /// What is asked of the transaction beside its buffers.
    pub transaction_tests: Vec<TransactionTest>,
    /// `flowbits` that must hold.
    pub flowbit_tests: Vec<FlowbitTest>,
    /// `flowbits` that a match changes.
    pub flowbit_sets: Vec<FlowbitSet>,
    /// `flowint` comparisons that must hold.
    pub flowint_tests: Vec<FlowintTest>,
    /// `flowint` changes that a match makes.
    pub flowint_sets: Vec<FlowintSet>,
    /// `threshold`.
    pub threshold: Option<Threshold>,
    /// `detection_filter`.
    pub detection_filter: Option<DetectionFilter>,
    /// What `threshold.config` says of its alerts.
    pub filters: Option<Arc<AlertFilters>>,
    /// What only a few rules ask for.
    pub extra: Option<Box<Extra>>,
    /// `noalert` or `flowbits:noalert`.
    pub noalert: bool,
    /// How many `byte_extract` variables the rule uses.
    pub variables: u8,
    /// The content that the prefilter looks for: index into `buffers` and into its `tests`, and
    /// the slice of that content's pattern (`fast_pattern:only` and chopped patterns). The parser
    /// sets it only where the rule itself chops (`fast_pattern:offset,length`).
    pub fast_pattern: Option<FastPattern>,
    /// Which of the engine's ways this rule is evaluated in.
    pub kind: Kind,
    /// Raw payload tests look at the packet's own payload.
    pub needs_packet: bool,
    /// Raw payload tests look at the reassembled stream (TCP).
    pub needs_stream: bool,
    /// May match packets to the server.
    pub to_server: bool,
    /// May match packets to the client.
    pub to_client: bool,
    /// Bit per rule set that holds this rule (bit 0: the default set).
    pub rulesets: u64,
}

impl Signature {
    /// The lists of digests that it looks files up in.
    pub fn hash_lists(&self) -> impl Iterator<Item = &Arc<HashList>> {
        let hashes = self.buffers.iter().filter(|tests| tests.buffer == Buffer::FileHash);
        hashes.flat_map(|tests| &tests.tests).filter_map(|test| match test {
            Test::FileHash(test) => Some(&test.list),
            _ => None,
        })
    }

    /// Does it ask for an event of a transaction?
    pub fn has_transaction_event(&self) -> bool {
        self.events.iter().any(|event| event.proto() != app::AppProto::Unknown)
    }

    /// Does a match change what other rules ask for?
    pub fn changes_something(&self) -> bool {
        !self.flowbit_sets.is_empty()
            || !self.flowint_sets.is_empty()
            || self.extra.as_ref().is_some_and(|extra| {
                extra.bypass || extra.changes_data || !extra.host_bit_sets.is_empty()
            })
    }

    /// Does it ask for an event of a flow?
    pub fn has_flow_event(&self) -> bool {
        self.events.iter().any(|event| event.proto() == app::AppProto::Unknown)
    }
}

/// File and line of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Path as given by the user.
    pub file: Arc<str>,
    /// 1-based line of the rule's first character.
    pub line: u32,
}

/// The rule's first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Matching traffic raises no alert from the rules behind this one.
    Pass,
    /// Raises an alert (a passive sensor drops nothing; the word is kept for EVE).
    Drop,
    /// As `Drop`.
    Reject,
    /// Raises an alert.
    Alert,
    /// Raises none: says what is to be logged, and may set flowbits and their like.
    Config,
}

/// The header's protocol word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// The word as written (`tcp`, `http`, `tcp-pkt` …), lower case.
    pub name: &'static str,
    /// IP protocols it stands for; empty: any.
    pub ip_protocols: &'static [u8],
    /// 4 or 6 for `ipv4`/`ipv6` (and their like), None: both.
    pub ip_version: Option<u8>,
    /// The application protocol in Suricata's name (`http`, `dns`, `tls` …), from the word or from
    /// the buffers that the rule looks at; `http1` is `http`.
    pub app: Option<&'static str>,
    /// `tcp-pkt`: raw payload tests see packets only.
    pub packet_only: bool,
    /// `tcp-stream`: raw payload tests see the stream only.
    pub stream_only: bool,
}

/// `classtype`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Short name.
    pub name: Arc<str>,
    /// Long name, EVE's `category`.
    pub description: Arc<str>,
}

/// `target`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The source is attacked.
    Source,
    /// The destination is attacked.
    Destination,
}

/// The content that a prefilter looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastPattern {
    /// Index into [`Signature::buffers`].
    pub buffer: usize,
    /// Index into that buffer's tests; always a content that is not negated.
    pub test: usize,
    /// First byte of the slice of the pattern that is looked for.
    pub start: usize,
    /// Its length.
    pub len: usize,
}

/// The way a rule is evaluated, as Suricata's signature types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Addresses only: once per flow and direction.
    IpOnly,
    /// Addresses only but negated ones: once per flow and direction too, by the packet path.
    LikeIpOnly,
    /// By packet: header tests, raw payload of packets, or nothing but the header.
    Packet,
    /// By stream: raw payload of the reassembled stream (and of the packet where
    /// [`Signature::needs_packet`]).
    Stream,
    /// The application protocol alone (`alert http any any -> any any (flow:to_server;)`): by packet once the
    /// protocol is known.
    AppProtocol,
    /// By transaction: has tests on transaction buffers.
    Transaction,
    /// By packet, and only packets with an event that it asks for, even those that the decoder
    /// refused.
    Event,
}
