//! Resource records (RFC 1035, 4.1.3): walked over in every response, read for what is told of one.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::message::be16;
use super::name::{self, Odd, Stop};
use crate::summary::{DnsData, text};

/// Most records that are told of.
const MOST: usize = 256;

/// A record as it is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) ttl: u32,
    pub(super) data: Option<DnsData>,
}

/// The fields before a record's data: name, type, class, time to live, length. Returns where the data
/// begin and end.
fn head(
    message: &[u8],
    at: usize,
    name: &mut Vec<u8>,
    budget: &mut usize,
    odd: &mut Odd,
) -> Result<(usize, usize), Stop> {
    name.clear();
    let at = name::read(message, at, name, budget, odd)?;
    let fixed = message.get(at..at + 10).ok_or(Stop::Incomplete)?;
    let end = at + 10 + usize::from(be16(&fixed[8..]));
    if end > message.len() { Err(Stop::Incomplete) } else { Ok((at + 10, end)) }
}

/// Walks over a record; returns where the next one begins.
pub(super) fn walk(
    message: &[u8],
    at: usize,
    scratch: &mut Vec<u8>,
    budget: &mut usize,
    odd: &mut Odd,
) -> Result<usize, Stop> {
    head(message, at, scratch, budget, odd).map(|(_, end)| end)
}

/// Reads records, as many as make sense.
pub(super) fn read(message: &[u8], mut at: usize, count: u16) -> Vec<Record> {
    let mut budget = 1024 + message.len() * 2;
    let mut odd = Odd::default();
    let mut name = Vec::new();
    let mut records = Vec::new();
    for _ in 0..usize::from(count).min(MOST) {
        let Ok((start, end)) = head(message, at, &mut name, &mut budget, &mut odd) else { break };
        let fixed = message.get(start - 10..start).unwrap_or_default();
        let kind = be16(fixed);
        let ttl = fixed.get(4..8).map_or(0, be32);
        let data = data(message, kind, start, end, &mut budget);
        records.push(Record { name: text(&name), kind, ttl, data });
        at = end;
    }
    records
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// What a record says, of the types that are told.
fn data(
    message: &[u8],
    kind: u16,
    start: usize,
    end: usize,
    budget: &mut usize,
) -> Option<DnsData> {
    let bytes = message.get(start..end)?;
    let mut name_at = |at: usize| {
        let mut out = Vec::new();
        let next = name::read(message, at, &mut out, budget, &mut Odd::default()).ok()?;
        Some((text(&out), next))
    };
    Some(match kind {
        1 => DnsData::Text(Ipv4Addr::from(*bytes.first_chunk::<4>()?).to_string()),
        28 => {
            // with all its digits
            let address = Ipv6Addr::from(*bytes.first_chunk::<16>()?);
            let groups = address.segments().map(|group| format!("{group:04x}"));
            DnsData::Text(groups.join(":"))
        }
        2 | 5 | 12 => DnsData::Text(name_at(start)?.0),
        15 => DnsData::Text(name_at(start + 2)?.0),
        10 => DnsData::Text(text(bytes)),
        16 => DnsData::Text(text(bytes.get(1..1 + usize::from(*bytes.first()?))?)),
        6 => {
            let (mname, next) = name_at(start)?;
            let (rname, next) = name_at(next)?;
            let numbers = message.get(next..next + 20)?;
            let number = |at: usize| numbers.get(at * 4..).map_or(0, be32);
            DnsData::Soa { mname, rname, numbers: [0, 1, 2, 3, 4].map(number) }
        }
        33 => DnsData::Srv {
            priority: be16(bytes),
            weight: be16(bytes.get(2..)?),
            port: be16(bytes.get(4..)?),
            name: name_at(start + 6)?.0,
        },
        44 => {
            let [algorithm, kind, fingerprint @ ..] = bytes else { return None };
            let mut hex = String::new();
            for (at, byte) in fingerprint.iter().enumerate() {
                let _ = write!(hex, "{}{byte:02x}", if at == 0 { "" } else { ":" });
            }
            DnsData::Sshfp { fingerprint: hex, algorithm: *algorithm, kind: *kind }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: u16, data: &[u8]) -> Record {
        let mut m = b"\x01a\0".to_vec();
        m.extend_from_slice(&kind.to_be_bytes());
        m.extend_from_slice(b"\0\x01\0\0\x01\0");
        m.extend_from_slice(&(data.len() as u16).to_be_bytes());
        m.extend_from_slice(data);
        let mut records = read(&m, 0, 2);
        assert_eq!(records.len(), 1);
        records.remove(0)
    }

    #[test]
    fn records_are_told_by_their_types() {
        let record = one(2, b"\x02ns\xc0\0");
        assert_eq!((record.name.as_str(), record.kind, record.ttl), ("a", 2, 256));
        assert_eq!(record.data, Some(DnsData::Text("ns.a".into())));
        assert_eq!(one(1, &[10, 0, 0, 1]).data, Some(DnsData::Text("10.0.0.1".into())));
        assert_eq!(one(16, b"\x02hi").data, Some(DnsData::Text("hi".into())));
        let soa = [&b"\x01m\0\x01r\0"[..], &[0, 0, 0, 7].repeat(5)].concat();
        let told = DnsData::Soa { mname: "m".into(), rname: "r".into(), numbers: [7; 5] };
        assert_eq!(one(6, &soa).data, Some(told));
        let sshfp = DnsData::Sshfp { fingerprint: "0a:0b".into(), algorithm: 1, kind: 2 };
        assert_eq!(one(44, &[1, 2, 10, 11]).data, Some(sshfp));
        assert_eq!(one(46, b"x").data, None);
        assert_eq!(one(6, b"\x01m\0").data, None);
    }
}
