//! `pollux rules check --groups`: how the rules fall into groups, and what each group's database is made of.

use std::io::{self, Write};

use rules::ruleset::PrefilterInfo;
use serde::Serialize;

/// A group's patterns on one kind of data: what is scanned at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupInfo {
    /// Its number, as `pollux rules explain` names it.
    pub number: usize,
    /// IP protocol of the packets, `other`, or `transaction`.
    pub protocol: String,
    /// `to_server` or `to_client`.
    pub direction: &'static str,
    /// Server ports of the packets; `any`: every packet meets it.
    pub ports: String,
    /// `packet`, `stream` or a transaction's buffer.
    pub data: String,
    /// Different fast patterns.
    pub patterns: usize,
    /// Rules behind them.
    pub signatures: usize,
    /// Bytes of the shortest pattern.
    pub min_len: usize,
    /// Bytes of the longest one.
    pub max_len: usize,
    /// Bytes of the database; groups of equal patterns share one.
    pub database_bytes: usize,
    /// Rules without a fast pattern, verified for every packet of the group.
    pub always: usize,
}

impl From<PrefilterInfo> for GroupInfo {
    fn from(info: PrefilterInfo) -> Self {
        Self {
            number: info.number,
            protocol: info.protocol,
            direction: if info.direction == 0 { "to_server" } else { "to_client" },
            ports: info.ports,
            data: info.data,
            patterns: info.patterns,
            signatures: info.signatures,
            min_len: info.lengths.0,
            max_len: info.lengths.1,
            database_bytes: info.database_bytes,
            always: info.always,
        }
    }
}

/// Writes the groups as a table, the largest database first.
///
/// # Errors
/// What writing says.
pub fn write_table(groups: &[GroupInfo], mut out: impl Write) -> io::Result<()> {
    let mut sorted: Vec<&GroupInfo> = groups.iter().collect();
    sorted.sort_by_key(|group| (std::cmp::Reverse(group.database_bytes), group.number));
    writeln!(
        out,
        "{:>5}  {:<11}  {:<9}  {:<22}  {:>8}  {:>6}  {:>7}  {:>10}  {:>6}  ports",
        "group",
        "protocol",
        "direction",
        "data",
        "patterns",
        "rules",
        "lengths",
        "database",
        "always",
    )?;
    for group in sorted {
        writeln!(
            out,
            "{:>5}  {:<11}  {:<9}  {:<22}  {:>8}  {:>6}  {:>7}  {:>10}  {:>6}  {}",
            group.number,
            group.protocol,
            group.direction,
            group.data,
            group.patterns,
            group.signatures,
            format!("{}-{}", group.min_len, group.max_len),
            indicatif::BinaryBytes(group.database_bytes as u64).to_string(),
            group.always,
            group.ports,
        )?;
    }
    Ok(())
}
