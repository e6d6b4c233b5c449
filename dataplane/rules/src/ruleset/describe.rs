//! How a ruleset falls into groups, for people: what each prefilter is scanned on and what is in it.

use super::Ruleset;
use super::groups::GroupTable;
use super::prefilter::Prefilter;
use crate::parse::buffer_name;

/// What there is to tell about a prefilter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefilterInfo {
    /// [`Prefilter::number`].
    pub number: usize,
    /// IP protocol of a group (255: those that no rule names), application protocol of a list.
    pub protocol: String,
    /// 0 to the server, 1 to the client.
    pub direction: usize,
    /// Server ports of a group, as ranges, the first few of them; `any` for the group that every packet meets.
    pub ports: String,
    /// `packet`, `stream`, or the buffer by its keyword.
    pub data: String,
    /// Different fast patterns.
    pub patterns: usize,
    /// Signatures behind them.
    pub signatures: usize,
    /// Shortest and longest pattern.
    pub lengths: (usize, usize),
    /// Bytes of the database; prefilters of equal patterns share one.
    pub database_bytes: usize,
    /// Signatures of the group without a fast pattern: candidates for every packet.
    pub always: usize,
}

impl PrefilterInfo {
    pub(super) fn of(prefilter: &Prefilter, data: &str) -> Self {
        Self {
            number: prefilter.number(),
            protocol: String::new(),
            direction: 0,
            ports: String::from("any"),
            data: data.to_owned(),
            patterns: prefilter.patterns(),
            signatures: prefilter.signatures(),
            lengths: (prefilter.min_len(), prefilter.max_len()),
            database_bytes: prefilter.database_bytes(),
            always: 0,
        }
    }
}

impl Ruleset {
    /// Every prefilter, by number.
    pub fn describe(&self) -> Vec<PrefilterInfo> {
        let mut all: Vec<PrefilterInfo> = GroupTable::describe(&self.groups);
        all.extend(self.transactions.lists.iter().map(|list| PrefilterInfo {
            protocol: String::from("transaction"),
            direction: list.direction,
            ..PrefilterInfo::of(&list.prefilter, buffer_name(list.buffer))
        }));
        all.sort_by_key(|info| info.number);
        all
    }
}
