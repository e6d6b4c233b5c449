//! What a rule asks of a flow and what it remembers of one: `flow`, `app-layer-protocol`, `flowbits`,
//! `flowint`.

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
