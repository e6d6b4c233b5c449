//! What a rule means once it is understood: a [`Signature`] and the parts it is made of.
//! The parser makes it, the compiler groups it, the engine evaluates it.

use std::net::IpAddr;
use std::sync::Arc;

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
    /// 1 (highest) to 255; `priority` wins over the class's, 3 by default.
    pub priority: u8,
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

/// A set of addresses as sorted, disjoint, inclusive ranges per family, negations applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressSet {
    /// True: every address, the ranges are empty then.
    pub any: bool,
    /// IPv4 ranges in host order.
    pub v4: Arc<[(u32, u32)]>,
    /// IPv6 ranges in host order.
    pub v6: Arc<[(u128, u128)]>,
    /// The text held a negation (Suricata treats such rules as "like IP-only").
    pub negated: bool,
}

impl AddressSet {
    /// Is the address in the set?
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
            let after = ranges.partition_point(|&(low, _)| low <= value);
            after.checked_sub(1).and_then(|i| ranges.get(i)).is_some_and(|&(_, high)| value <= high)
        }
        if self.any {
            return true;
        }
        match address {
            IpAddr::V4(a) => within(&self.v4, u32::from(a)),
            IpAddr::V6(a) => within(&self.v6, u128::from(a)),
        }
    }
}

/// A set of ports as sorted, disjoint, inclusive ranges, negations applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortSet {
    /// True: every port (and packets without ports); the ranges are empty then.
    pub any: bool,
    /// Ranges.
    pub ranges: Arc<[(u16, u16)]>,
}

impl PortSet {
    /// Is the port in the set?
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.any || self.ranges.iter().any(|&(low, high)| low <= port && port <= high)
    }
}

/// `flow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowMatch {
    /// `to_server` / `from_client`.
    pub to_server: bool,
    /// `to_client` / `from_server`.
    pub to_client: bool,
    /// `established`.
    pub established: bool,
    /// `not_established`.
    pub not_established: bool,
    /// `stateless`.
    pub stateless: bool,
    /// `only_stream`.
    pub only_stream: bool,
    /// `no_stream`.
    pub no_stream: bool,
    /// `only_frag`.
    pub only_frag: bool,
    /// `no_frag`.
    pub no_frag: bool,
    /// A `flow` keyword was there at all (such a rule needs a flow).
    pub present: bool,
}

/// Where buffer tests look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Buffer {
    /// The raw payload: packet or stream.
    Payload,
    /// `http.method`
    HttpMethod,
    /// `http.uri` (normalised)
    HttpUri,
    /// `http.uri.raw`
    HttpUriRaw,
    /// `http.host` (normalised)
    HttpHost,
    /// `http.host.raw`
    HttpHostRaw,
    /// `dns.query`, once per question
    DnsQuery,
    /// `tls.sni`
    TlsSni,
    /// `ipv4.hdr`
    Ipv4Hdr,
    /// `ipv6.hdr`, extension headers included
    Ipv6Hdr,
    /// `tcp.hdr`
    TcpHdr,
    /// `udp.hdr`
    UdpHdr,
    /// `icmpv4.hdr`
    Icmpv4Hdr,
    /// `icmpv6.hdr`
    Icmpv6Hdr,
}

impl Buffer {
    /// Is it a buffer of an application protocol's transaction?
    pub fn is_transaction(self) -> bool {
        matches!(
            self,
            Self::HttpMethod
                | Self::HttpUri
                | Self::HttpUriRaw
                | Self::HttpHost
                | Self::HttpHostRaw
                | Self::DnsQuery
                | Self::TlsSni
        )
    }

    /// Is it a header of the packet?
    pub fn is_header(self) -> bool {
        !self.is_transaction() && self != Self::Payload
    }
}

/// What is done to a buffer before it is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transform {
    /// `dotprefix`: a dot is put before it.
    DotPrefix,
}

/// The tests on one buffer, in rule order.
#[derive(Debug, Clone)]
pub struct BufferTests {
    /// Which buffer.
    pub buffer: Buffer,
    /// Applied in order.
    pub transforms: Vec<Transform>,
    /// In rule order.
    pub tests: Vec<Test>,
}

/// One test on a buffer.
#[derive(Debug, Clone)]
pub enum Test {
    /// `content`
    Content(Content),
    /// `pcre`
    Pcre(Pcre),
    /// `byte_test`
    ByteTest(ByteTest),
    /// `byte_jump`
    ByteJump(ByteJump),
    /// `byte_extract`
    ByteExtract(ByteExtract),
    /// `isdataat`
    IsDataAt(IsDataAt),
    /// `bsize`; and `urilen` (on `http.uri`, or `http.uri.raw` with `raw`)
    Size(Compare<u64>),
}

/// A number written in a rule, or a `byte_extract` variable's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Literal.
    Literal(i64),
    /// Slot of a variable, below [`Signature::variables`].
    Variable(u8),
}

/// `content` with its modifiers.
#[derive(Debug, Clone)]
pub struct Content {
    /// The bytes, escapes resolved (lower-cased where `nocase`).
    pub pattern: Box<[u8]>,
    /// `nocase`
    pub nocase: bool,
    /// `!`
    pub negated: bool,
    /// `offset`
    pub offset: Option<Number>,
    /// `depth` (`startswith` gives offset 0 and depth of the pattern's length); measured from
    /// `offset`, as written.
    pub depth: Option<Number>,
    /// `distance`
    pub distance: Option<Number>,
    /// `within`
    pub within: Option<Number>,
    /// `startswith`
    pub starts_with: bool,
    /// `endswith`
    pub ends_with: bool,
    /// `fast_pattern` was written on it
    pub fast_pattern: bool,
    /// A test behind it in this buffer is relative to this one's match, so that a later
    /// occurrence must be tried where the first does not lead to a full match. Set where
    /// Suricata sets it: not on a content before a byte test that another test stands before.
    pub relative_next: bool,
}

impl Content {
    /// Does the search start at the last match's end?
    pub fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// `pcre`
#[derive(Debug, Clone)]
pub struct Pcre {
    /// The compiled expression, shared by equal ones.
    pub regex: Arc<pcre2::Regex>,
    /// The text between the slashes with its flags, as written.
    pub source: Arc<str>,
    /// `!`
    pub negated: bool,
    /// `R`: starts at the last match's end (anchored there only if the expression says so).
    pub relative: bool,
    /// As for [`Content::relative_next`].
    pub relative_next: bool,
}

/// How bytes become a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Big-endian binary.
    Big,
    /// Little-endian binary.
    Little,
    /// Text, base 8.
    Octal,
    /// Text, base 10.
    Decimal,
    /// Text, base 16.
    Hex,
}

/// `byte_test`'s operator (negation kept apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOperator {
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `=`
    Equal,
    /// `<=`
    LessEqual,
    /// `>=`
    GreaterEqual,
    /// `&`
    And,
    /// `^`
    Xor,
}

/// `byte_test`
#[derive(Debug, Clone)]
pub struct ByteTest {
    /// Bytes taken: 1 to 8 binary, to 23 as text.
    pub bytes: Number,
    /// Operator.
    pub operator: ByteOperator,
    /// `!` before the operator.
    pub negated: bool,
    /// Compared with. A literal is 64 bits without a sign, kept bit for bit (`as u64`).
    pub value: Number,
    /// From the start, or from the last match.
    pub offset: Number,
    /// `relative`
    pub relative: bool,
    /// Byte order or text base.
    pub encoding: Encoding,
    /// `bitmask`; the result is shifted right by its trailing zeros.
    pub bitmask: Option<u32>,
    /// `dce`: byte order is the DCE header's (such rules are refused in this build).
    pub dce: bool,
}

/// `byte_jump`
#[derive(Debug, Clone)]
pub struct ByteJump {
    /// Bytes taken; 0 allowed.
    pub bytes: Number,
    /// From the start, or from the last match.
    pub offset: Number,
    /// `relative`
    pub relative: bool,
    /// Byte order or text base.
    pub encoding: Encoding,
    /// `multiplier`
    pub multiplier: u16,
    /// `align`: up to the next multiple of four.
    pub align: bool,
    /// `from_beginning`
    pub from_beginning: bool,
    /// `from_end`
    pub from_end: bool,
    /// `post_offset`
    pub post_offset: i32,
    /// `bitmask`
    pub bitmask: Option<u32>,
    /// As for [`Content::relative_next`] (kept for symmetry; a jump has one result).
    pub dce: bool,
}

/// `byte_extract`
#[derive(Debug, Clone)]
pub struct ByteExtract {
    /// Bytes taken: 1 to 8 binary, to 23 as text.
    pub bytes: u8,
    /// From the start, or from the last match.
    pub offset: i32,
    /// Where the value goes.
    pub slot: u8,
    /// `relative`
    pub relative: bool,
    /// Byte order or text base.
    pub encoding: Encoding,
    /// `multiplier`, 1 where absent
    pub multiplier: u16,
    /// `align`: 0, 2 or 4
    pub align: u8,
    /// `bitmask`
    pub bitmask: Option<u32>,
}

/// `isdataat`
#[derive(Debug, Clone)]
pub struct IsDataAt {
    /// How far.
    pub offset: Number,
    /// `relative`
    pub relative: bool,
    /// `!`
    pub negated: bool,
}

/// A comparison with one or two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare<T> {
    /// `n`
    Equal(T),
    /// `!n`
    NotEqual(T),
    /// `<n`
    Less(T),
    /// `<=n`
    LessEqual(T),
    /// `>n`
    Greater(T),
    /// `>=n`
    GreaterEqual(T),
    /// `a<>b`, both bounds exclusive
    Between(T, T),
}

impl<T: PartialOrd + Copy> Compare<T> {
    /// Does it hold?
    #[inline]
    pub fn holds(&self, value: T) -> bool {
        match *self {
            Self::Equal(n) => value == n,
            Self::NotEqual(n) => value != n,
            Self::Less(n) => value < n,
            Self::LessEqual(n) => value <= n,
            Self::Greater(n) => value > n,
            Self::GreaterEqual(n) => value >= n,
            Self::Between(low, high) => low < value && value < high,
        }
    }
}

/// A test on a field of the packet's headers.
#[derive(Debug, Clone)]
pub enum HeaderTest {
    /// `dsize`: payload length
    Dsize(Compare<u16>),
    /// `ttl` / hop limit
    Ttl(Compare<u8>),
    /// `tos`, bool: negated
    Tos(u8, bool),
    /// IPv4 `id`
    IpId(u16),
    /// `ipopts`: the option's number; None: any
    IpOption(Option<u8>),
    /// `fragbits`
    FragBits {
        /// R, D, M as 0x8000, 0x4000, 0x2000
        bits: u16,
        /// How the bits compare.
        modifier: BitModifier,
    },
    /// `fragoffset`, in 8-byte units
    FragOffset(Compare<u16>),
    /// `ip_proto`
    IpProto(Compare<u8>),
    /// `sameip`
    SameIp,
    /// `flags` / `tcp.flags`
    TcpFlags {
        /// Bits that are looked at.
        bits: u8,
        /// How the bits compare.
        modifier: BitModifier,
        /// Bits that are left out of the comparison (`,12`).
        ignored: u8,
    },
    /// `seq`
    TcpSeq(u32),
    /// `ack`
    TcpAck(u32),
    /// `window` / `tcp.window`, bool: negated
    TcpWindow(u16, bool),
    /// `tcp.mss`
    TcpMss(Compare<u16>),
    /// `itype`
    IcmpType(Compare<u8>),
    /// `icode`
    IcmpCode(Compare<u8>),
    /// `icmp_id`
    IcmpId(u16),
    /// `icmp_seq`
    IcmpSeq(u16),
    /// `icmpv6.mtu`
    Icmpv6Mtu(Compare<u32>),
}

/// How a set of bits is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitModifier {
    /// Exactly these.
    Exact,
    /// `+`: these, others may be set.
    All,
    /// `*`: at least one of these.
    Any,
    /// `!`: none of these.
    Not,
}

/// `app-layer-protocol`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppProtocolTest {
    /// Suricata's name, or `failed`.
    pub name: &'static str,
    /// `!`
    pub negated: bool,
}

/// An interned flowbit, stable for the life of the process and the same for the same name.
pub type BitId = u32;
/// An interned `flowint` variable, as [`BitId`].
pub type IntId = u32;

/// `flowbits:isset` / `isnotset`: at least one of the bits (`a|b`).
#[derive(Debug, Clone)]
pub struct FlowbitTest {
    /// Alternatives.
    pub any_of: Vec<BitId>,
    /// `isnotset`
    pub negated: bool,
}

/// What a match does to a flowbit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowbitSet {
    /// Which.
    pub bit: BitId,
    /// How.
    pub operation: BitOperation,
}

/// `flowbits:set|unset|toggle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitOperation {
    /// `set`
    Set,
    /// `unset`
    Unset,
    /// `toggle`
    Toggle,
}

/// `flowint` comparison.
#[derive(Debug, Clone)]
pub struct FlowintTest {
    /// Which variable.
    pub variable: IntId,
    /// The question.
    pub condition: IntCondition,
}

/// What `flowint` asks.
#[derive(Debug, Clone)]
pub enum IntCondition {
    /// `isset`
    IsSet,
    /// `notset` / `isnotset`
    NotSet,
    /// A comparison with a number or another variable.
    Compare(IntOperator, IntValue),
}

/// `flowint`'s comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOperator {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterEqual,
    /// `>`
    Greater,
}

/// The right-hand side of a `flowint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntValue {
    /// Literal.
    Literal(u32),
    /// Another variable.
    Variable(IntId),
}

/// `flowint` change.
#[derive(Debug, Clone, Copy)]
pub struct FlowintSet {
    /// Which variable.
    pub variable: IntId,
    /// How.
    pub operation: IntOperation,
    /// With what.
    pub value: IntValue,
}

/// `=`, `+`, `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOperation {
    /// `=`
    Set,
    /// `+`
    Add,
    /// `-`
    Subtract,
}

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    /// `by_src`
    Source,
    /// `by_dst`
    Destination,
    /// `by_both`
    Both,
    /// `by_rule`
    Rule,
    /// `by_flow`
    Flow,
}

/// `threshold`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// limit, threshold, both, backoff
    pub kind: ThresholdKind,
    /// Who is counted.
    pub track: Track,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
}

/// `threshold: type …`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThresholdKind {
    /// At most `count` alerts in `seconds`.
    Limit,
    /// An alert every `count` matches.
    Threshold,
    /// One alert per `seconds`, after `count` matches.
    Both,
}

/// `detection_filter`: alerts once more than `count` matches in `seconds` were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DetectionFilter {
    /// `by_src`, `by_dst` (or by rule, both, flow where written).
    pub track: Track,
    /// How many.
    pub count: u32,
    /// In how many seconds.
    pub seconds: u32,
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
}
