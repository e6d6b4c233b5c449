//! DNS over UDP and TCP (RFC 1035). Every message is a transaction of its own, query or answer, as
//! in Suricata 7: nothing waits for an answer that may never come.

mod message;
mod name;
mod record;
#[cfg(test)]
mod tests;

use wire::Direction;

use crate::event::DnsEvent;
use crate::limits::Limits;
use crate::proto::Transport;
use crate::session::{Config, Outcome};
use crate::summary::{DnsQuestion, DnsRecord, DnsSummary, text};
use crate::txs::{TxKind, TxList};
use message::{HEADER, Message};
use name::Stop;

pub(crate) use message::{IsResponse, looks_like_dns};

/// The progress of every DNS transaction, in both directions: a message is whole when it is one.
pub(crate) const COMPLETE: u8 = 1;

/// Opcodes from here on have no meaning (IANA, "DNS OpCodes").
const FIRST_UNASSIGNED_OPCODE: u16 = 7;

/// One message.
#[derive(Debug)]
pub(crate) struct DnsTx {
    message: Message,
    /// An answer has no queries to inspect.
    answer: bool,
}

impl DnsTx {
    /// The name of a query's question. There is none for the root, and none after it.
    pub(crate) fn query_name(&self, index: usize) -> Option<&[u8]> {
        if self.answer {
            return None;
        }
        self.message.question(index).map(|(name, _)| name).filter(|name| !name.is_empty())
    }

    /// Bytes held: of state, and of names and messages.
    pub(crate) fn held(&self) -> (usize, usize) {
        let (questions, text) = self.message.held();
        (size_of::<Self>() + questions, text)
    }

    pub(crate) fn is_answer(&self) -> bool {
        self.answer
    }

    pub(crate) fn opcode(&self) -> u8 {
        (self.message.header.flags >> 11 & 0xf) as u8
    }

    pub(crate) fn summary(&self, tx_id: u64) -> DnsSummary {
        let header = &self.message.header;
        let questions = (0..).map_while(|i| self.message.question(i));
        DnsSummary {
            answer: self.answer,
            id: header.id,
            flags: header.flags,
            opcode: self.opcode(),
            rcode: (header.flags & 0xf) as u8,
            tx_id,
            questions: questions
                .map(|(name, rrtype)| DnsQuestion {
                    rrname: text(name),
                    rrtype,
                    rrtype_name: type_name(rrtype),
                })
                .collect(),
            authorities: self.message.authorities().into_iter().map(told).collect(),
        }
    }
}

fn told(record: record::Record) -> DnsRecord {
    DnsRecord {
        rrname: record.name,
        rrtype_name: type_name(record.kind),
        ttl: record.ttl,
        data: record.data,
    }
}

/// The mnemonic of a record type (IANA, "Resource Record (RR) TYPEs").
fn type_name(rrtype: u16) -> String {
    let name = match rrtype {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        19 => "X25",
        20 => "ISDN",
        21 => "RT",
        22 => "NSAP",
        23 => "NSAPPTR",
        24 => "SIG",
        25 => "KEY",
        26 => "PX",
        27 => "GPOS",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        33 => "SRV",
        34 => "ATMA",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        254 => "MAILA",
        255 => "ANY",
        256 => "URI",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// The parser of one flow.
#[derive(Debug)]
pub(crate) struct Conn {
    transport: Transport,
    /// Of TCP; datagrams are whole.
    streams: Option<Box<[Stream; 2]>>,
    dead: bool,
}

/// Messages with their length before them (RFC 1035, 4.2.2), of one direction.
#[derive(Debug, Default)]
struct Stream {
    /// The beginning of a message, length and all.
    pending: Vec<u8>,
    /// Bytes left of a message that a gap has spoilt.
    skip: u64,
    /// Where a message begins is no longer known.
    lost: bool,
}

impl Conn {
    pub(crate) fn new(transport: Transport) -> Self {
        Self { transport, streams: None, dead: false }
    }

    /// Whether it knows nothing of what came.
    pub(crate) fn is_idle(&self) -> bool {
        self.transport == Transport::Udp
    }

    pub(crate) fn data(
        &mut self,
        txs: &mut TxList,
        config: &Config<'_>,
        dir: Direction,
        bytes: &[u8],
    ) -> Outcome {
        let limits = config.limits;
        if self.transport == Transport::Udp {
            // a datagram that cannot be read is passed over: the next may be good
            let _ = self.message(txs, limits, bytes, None);
            return Outcome::Ok;
        }
        if self.dead {
            return Outcome::Error;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let stream = self.stream(dir);
            if stream.skip > 0 {
                let n = stream.skip.min(rest.len() as u64);
                stream.skip -= n;
                rest = &rest[n as usize..];
                continue;
            }
            if stream.lost {
                if !begins_message(rest) {
                    return Outcome::Ok;
                }
                stream.lost = false;
            }
            let mut pending = std::mem::take(&mut stream.pending);
            if pending.is_empty() {
                // in one piece it need not be copied
                if let Some((message, tail)) = split_message(rest) {
                    if self.message(txs, limits, message, Some(dir)).is_err() {
                        return Outcome::Error;
                    }
                    rest = tail;
                    continue;
                }
                pending.extend_from_slice(rest);
                rest = &[];
            } else {
                let want = if pending.len() < 2 { 2 } else { 2 + announced(&pending) };
                let n = (want - pending.len()).min(rest.len());
                pending.extend_from_slice(&rest[..n]);
                rest = &rest[n..];
                if let Some((message, _)) = split_message(&pending) {
                    if self.message(txs, limits, message, Some(dir)).is_err() {
                        return Outcome::Error;
                    }
                    pending.clear();
                }
            }
            self.stream(dir).pending = pending;
        }
        Outcome::Ok
    }

    /// Takes a message. In a stream the direction says what it is, and one that is none ends the
    /// parsing of the flow; a datagram says itself what it is.
    fn message(
        &mut self,
        txs: &mut TxList,
        limits: &Limits,
        bytes: &[u8],
        stream: Option<Direction>,
    ) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Ok(());
        }
        let message = match Message::parse(bytes, limits.dns_name_bytes) {
            Ok(m) if m.header.fits(bytes.len()) => m,
            _ => {
                self.dead = true;
                odd(txs, DnsEvent::MalformedData);
                return Err(Stop::Invalid);
            }
        };
        let answer = match stream {
            None => message.header.is_response(),
            Some(Direction::ToClient) => true,
            Some(Direction::ToServer) if message.header.is_response() => {
                self.dead = true;
                odd(txs, DnsEvent::NotRequest);
                return Err(Stop::Invalid);
            }
            Some(Direction::ToServer) => false,
        };
        let most = limits.dns_transactions.max(1);
        if txs.len() >= most {
            txs.free_before(txs.next() + 1 - most as u64);
        }
        let (flags, odd) = (message.header.flags, message.odd);
        let tx = txs.push(TxKind::Dns(Box::new(DnsTx { message, answer })));
        if flags & message::Z != 0 {
            txs.raise(tx, DnsEvent::ZFlagSet);
        }
        if flags >> 11 & 0xf >= FIRST_UNASSIGNED_OPCODE {
            txs.raise(tx, DnsEvent::InvalidOpcode);
        }
        for (is, event) in [
            (odd.long, DnsEvent::NameTooLong),
            (odd.labels, DnsEvent::TooManyLabels),
            (odd.looped, DnsEvent::InfiniteLoop),
        ] {
            if is {
                txs.raise(tx, event);
            }
        }
        Ok(())
    }

    fn stream(&mut self, dir: Direction) -> &mut Stream {
        &mut self.streams.get_or_insert_default()[dir.index()]
    }

    pub(crate) fn gap(&mut self, dir: Direction, len: u64) {
        let stream = self.stream(dir);
        let mut missing = len;
        if stream.skip > 0 {
            let n = stream.skip.min(missing);
            stream.skip -= n;
            missing -= n;
        } else if stream.pending.len() >= 2 {
            let left = (2 + announced(&stream.pending) - stream.pending.len()) as u64;
            let n = left.min(missing);
            stream.skip = left - n;
            missing -= n;
        } else if !stream.pending.is_empty() {
            stream.lost = true;
        }
        stream.pending = Vec::new();
        stream.lost |= missing > 0;
    }

    pub(crate) fn buffered(&self) -> usize {
        self.streams.iter().flat_map(|both| both.iter()).map(|s| s.pending.len()).sum()
    }
}

/// Records what is odd about bytes that are no transaction, of the last one that is.
fn odd(txs: &mut TxList, event: DnsEvent) {
    if let Some(last) = txs.next().checked_sub(1) {
        txs.raise(last, event);
    }
}

/// The length that the first two bytes announce.
fn announced(bytes: &[u8]) -> usize {
    match bytes {
        [a, b, ..] => usize::from(u16::from_be_bytes([*a, *b])),
        _ => 0,
    }
}

/// The first message with its length before it, and what follows, if it is all there.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let body = bytes.get(2..)?;
    body.split_at_checked(announced(bytes))
}

/// Whether a stream may begin with `bytes`; too few bytes to tell count as yes.
fn begins_message(bytes: &[u8]) -> bool {
    bytes.len() < 2 + HEADER || probe_stream(bytes).is_some()
}

/// Whether a stream's first bytes look like DNS with its length before it.
pub(crate) fn probe_stream(bytes: &[u8]) -> Option<IsResponse> {
    looks_like_dns(bytes.get(2..)?, announced(bytes))
}
