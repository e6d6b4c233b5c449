//! What only a few rules ask for or do: kept in a box of their own, so that the others stay small.

use std::sync::Arc;

use super::flow::{BitId, BitOperation};
use super::test::Compare;
use crate::state::{BitTable, Reputation, TagTable};

/// The rarer conditions and consequences of a rule.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// `stream_size`
    pub stream_sizes: Vec<StreamSize>,
    /// `flow.age`, in seconds.
    pub flow_ages: Vec<Compare<u64>>,
    /// `hostbits` and `xbits` that must hold.
    pub host_bit_tests: Vec<HostBitTest>,
    /// `hostbits` and `xbits` that a match changes.
    pub host_bit_sets: Vec<HostBitSet>,
    /// `iprep`
    pub reputations: Vec<ReputationTest>,
    /// `geoip`
    pub countries: Vec<CountryTest>,
    /// `tag`: packets after a match that are told of.
    pub tags: Vec<Tag>,
    /// Where tags of hosts are, if there are any.
    pub tag_table: Option<Arc<TagTable>>,
    /// `bypass`: after a match the rest of the flow is not looked at.
    pub bypass: bool,
    /// A test adds to a data set or takes from one: it must run once.
    pub changes_data: bool,
}

impl Extra {
    /// Does it ask for anything but addresses?
    pub fn is_addresses_only(&self) -> bool {
        self.stream_sizes.is_empty() && self.flow_ages.is_empty() && self.countries.is_empty()
    }
}

/// Which side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamSide {
    /// What the client has sent.
    Client,
    /// What the server has sent.
    Server,
    /// Both must fit.
    Both,
    /// One must fit.
    Either,
}

/// `stream_size`: sequence numbers used, handshake included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSize {
    /// Whose.
    pub side: StreamSide,
    /// How many.
    pub size: Compare<u32>,
}

/// Whose bit, seen from a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitTrack {
    /// The source's.
    Source,
    /// The destination's.
    Destination,
    /// That of both together.
    Pair,
}

/// `hostbits:isset`, `xbits:isset` and their opposites.
#[derive(Debug, Clone)]
pub struct HostBitTest {
    /// Where the bits are.
    pub table: Arc<BitTable>,
    /// Which.
    pub bit: BitId,
    /// Whose.
    pub track: BitTrack,
    /// `isnotset`
    pub negated: bool,
}

/// `hostbits:set|unset|toggle`, `xbits:…`
#[derive(Debug, Clone)]
pub struct HostBitSet {
    /// Where the bits are.
    pub table: Arc<BitTable>,
    /// Which.
    pub bit: BitId,
    /// Whose.
    pub track: BitTrack,
    /// How.
    pub operation: BitOperation,
    /// Seconds until a bit that is set runs out.
    pub seconds: u32,
}

/// Which of a packet's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressSide {
    /// `any`: one of them.
    Any,
    /// `src`
    Source,
    /// `dst`
    Destination,
    /// `both`
    Both,
}

impl AddressSide {
    /// Do the source, the destination, one or both fit?
    pub fn holds<T>(self, src: T, dst: T, fits: impl Fn(T) -> bool) -> bool {
        match self {
            Self::Any => fits(src) || fits(dst),
            Self::Source => fits(src),
            Self::Destination => fits(dst),
            Self::Both => fits(src) && fits(dst),
        }
    }
}

/// `iprep`
#[derive(Debug, Clone)]
pub struct ReputationTest {
    /// The scores.
    pub table: Arc<Reputation>,
    /// Whose.
    pub side: AddressSide,
    /// In which category.
    pub category: u8,
    /// What is asked of the score.
    pub condition: ReputationCondition,
}

/// What `iprep` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReputationCondition {
    /// There is a score.
    IsSet,
    /// There is none.
    NotSet,
    /// There is one, and it fits.
    Score(Compare<u8>),
}

/// `geoip`
#[derive(Debug, Clone)]
pub struct CountryTest {
    /// The database.
    pub database: GeoDatabase,
    /// Whose country.
    pub side: AddressSide,
    /// ISO 3166 codes in upper case, with `true` where negated.
    pub countries: Vec<([u8; 2], bool)>,
}

/// A MaxMind database of countries.
#[derive(Clone)]
pub struct GeoDatabase(pub Arc<maxminddb::Reader<Vec<u8>>>);

impl std::fmt::Debug for GeoDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GeoDatabase").field(&self.0.metadata.database_type).finish()
    }
}

/// `tag`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// What packets.
    pub scope: TagScope,
    /// How many units.
    pub count: u32,
    /// Of what.
    pub metric: TagMetric,
}

/// What packets are tagged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagScope {
    /// Those of the flow.
    Session,
    /// Those from and to the source.
    Source,
    /// Those from and to the destination.
    Destination,
}

/// What a tag counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagMetric {
    /// Packets.
    Packets,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}
