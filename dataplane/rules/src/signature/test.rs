//! The tests on a buffer: contents, expressions, numbers read from bytes, sizes.

use std::sync::Arc;

use crate::state::{Dataset, HashList};

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
    /// `byte_math`
    ByteMath(ByteMath),
    /// `base64_decode` with the tests of `base64_data`. What stands behind it in its buffer is
    /// never looked at: with these tests the buffer's matching is decided, as in Suricata.
    Base64(Base64Decode),
    /// `asn1`; behind all other tests of its buffer
    Asn1(Asn1),
    /// `dataset`, `datarep`
    Data(DataTest),
    /// `bsize`; and `urilen` (on `http.uri`, or `http.uri.raw` with `raw`)
    Size(Compare<u64>),
    /// `filemd5`, `filesha1`, `filesha256`
    FileHash(HashTest),
}

/// A digest in a list.
#[derive(Debug, Clone)]
pub struct HashTest {
    /// The list; says which digest.
    pub list: Arc<HashList>,
    /// `!`: in none of it.
    pub negated: bool,
}

/// A number written in a rule, or a `byte_extract` variable's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// Literal.
    Literal(i64),
    /// Slot of a variable, below [`super::Signature::variables`].
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
    /// Index of the pattern's byte that is met least: searches look for it. Any index will do.
    pub rarest: u8,
}

impl Content {
    /// A content without modifiers.
    pub fn new(pattern: Box<[u8]>) -> Self {
        Self {
            pattern,
            nocase: false,
            negated: false,
            offset: None,
            depth: None,
            distance: None,
            within: None,
            starts_with: false,
            ends_with: false,
            fast_pattern: false,
            relative_next: false,
            rarest: 0,
        }
    }

    /// Finds the byte that is met least.
    pub(crate) fn choose_rarest(&mut self) {
        let pair = memchr::arch::all::packedpair::Pair::new(&self.pattern);
        self.rarest = pair.map_or(0, |pair| pair.index1());
    }

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
    /// `dce`: the byte order is that of the DCE header (such rules are refused).
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

/// `byte_math`'s operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MathOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`; by zero it is no match
    Divide,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
}

/// `byte_math`
#[derive(Debug, Clone)]
pub struct ByteMath {
    /// Bytes taken: 1 to 8 binary, to 10 as text.
    pub bytes: Number,
    /// From the start, or from the last match.
    pub offset: i32,
    /// What is done.
    pub operator: MathOperator,
    /// The right-hand side, 32 bits without a sign.
    pub value: Number,
    /// Where the result goes.
    pub slot: u8,
    /// `relative`
    pub relative: bool,
    /// Byte order or text base.
    pub encoding: Encoding,
    /// `bitmask`, on the result; shifted right by its trailing zeros.
    pub bitmask: Option<u32>,
}

/// `base64_decode` and the tests on what it yields.
#[derive(Debug, Clone)]
pub struct Base64Decode {
    /// Bytes taken at most; 0: as many as there are.
    pub bytes: u32,
    /// From the start, or from the last match.
    pub offset: u32,
    /// `relative`
    pub relative: bool,
    /// `base64_data`'s. Without any, the rule cannot match.
    pub tests: Vec<Test>,
}

/// `asn1`: one of these holds for an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asn1 {
    /// `bitstring_overflow`
    pub bitstring_overflow: bool,
    /// `double_overflow`
    pub double_overflow: bool,
    /// `oversize_length`
    pub oversize_length: Option<u32>,
    /// Where the first object is; None: at the start.
    pub start: Option<Asn1Start>,
}

/// Where `asn1` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asn1Start {
    /// `absolute_offset`
    Absolute(u32),
    /// `relative_offset`: from the end of the last match.
    Relative(i64),
}

/// `dataset` and `datarep`: the whole buffer is looked up.
#[derive(Debug, Clone)]
pub struct DataTest {
    /// The set.
    pub set: Arc<Dataset>,
    /// What is done or asked.
    pub command: DataCommand,
}

/// What is done with a data set, or asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataCommand {
    /// `isset`
    IsSet,
    /// `isnotset`
    IsNotSet,
    /// `set`: holds where the value was not there before.
    Set,
    /// `unset`: holds where the value was there.
    Unset,
    /// `datarep`: the value is there, and its reputation fits.
    Reputation(Compare<u16>),
}

impl DataTest {
    /// Does it hold for these bytes? May change the set.
    pub fn holds(&self, bytes: &[u8]) -> bool {
        match self.command {
            DataCommand::IsSet => self.set.get(bytes).is_some(),
            DataCommand::IsNotSet => self.set.get(bytes).is_none(),
            DataCommand::Set => self.set.add(bytes),
            DataCommand::Unset => self.set.remove(bytes),
            DataCommand::Reputation(compare) => {
                self.set.get(bytes).is_some_and(|reputation| compare.holds(reputation))
            }
        }
    }
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
