//! Byte patterns at fixed places of a TCP stream.

use wire::Direction;

use crate::proto::AppProto;

/// Whether the bytes fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Yes(AppProto),
    /// With more bytes they may.
    Maybe,
    No,
}

impl Match {
    /// This one, or else the other.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes(_), _) => self,
            (_, Self::Yes(_)) => other,
            (Self::Maybe, _) | (_, Self::Maybe) => Self::Maybe,
            (Self::No, Self::No) => Self::No,
        }
    }
}

struct Pattern {
    proto: AppProto,
    offset: usize,
    bytes: &'static [u8],
    any_case: bool,
}

const fn at(offset: usize, proto: AppProto, bytes: &'static [u8]) -> Pattern {
    Pattern { proto, offset, bytes, any_case: false }
}

const fn any_case(proto: AppProto, bytes: &'static [u8]) -> Pattern {
    Pattern { proto, offset: 0, bytes, any_case: true }
}

/// What a client says first. The methods of HTTP/1 are matched apart.
const TO_SERVER: [Pattern; 21] = [
    at(0, AppProto::Tls, b"\x16\x03\x00"),
    at(0, AppProto::Tls, b"\x16\x03\x01"),
    at(0, AppProto::Tls, b"\x16\x03\x02"),
    at(0, AppProto::Tls, b"\x16\x03\x03"),
    at(0, AppProto::Tls, b"\x01\x03\x00"),
    at(0, AppProto::Tls, b"\x01\x03\x01"),
    at(0, AppProto::Tls, b"\x01\x03\x02"),
    at(0, AppProto::Tls, b"\x01\x03\x03"),
    at(0, AppProto::Ssh, b"SSH-"),
    at(4, AppProto::Smb, b"\xffSMB"),
    at(4, AppProto::Smb, b"\xfeSMB"),
    at(0, AppProto::DceRpc, b"\x05\x00"),
    at(0, AppProto::Http2, b"PRI * HTTP/2.0\r"),
    any_case(AppProto::Smtp, b"EHLO"),
    any_case(AppProto::Smtp, b"HELO"),
    any_case(AppProto::Smtp, b"QUIT"),
    any_case(AppProto::Ftp, b"USER "),
    any_case(AppProto::Ftp, b"PASS "),
    any_case(AppProto::Ftp, b"PORT "),
    any_case(AppProto::Ftp, b"FEAT"),
    any_case(AppProto::Imap, b"1 capability"),
];

/// What a server says first.
const TO_CLIENT: [Pattern; 20] = [
    any_case(AppProto::Http1, b"HTTP/0.9"),
    any_case(AppProto::Http1, b"HTTP/1.0"),
    any_case(AppProto::Http1, b"HTTP/1.1"),
    at(0, AppProto::Tls, b"\x15\x03\x00"),
    at(0, AppProto::Tls, b"\x16\x03\x00"),
    at(0, AppProto::Tls, b"\x17\x03\x00"),
    at(0, AppProto::Tls, b"\x15\x03\x01"),
    at(0, AppProto::Tls, b"\x16\x03\x01"),
    at(0, AppProto::Tls, b"\x17\x03\x01"),
    at(0, AppProto::Tls, b"\x15\x03\x02"),
    at(0, AppProto::Tls, b"\x16\x03\x02"),
    at(0, AppProto::Tls, b"\x17\x03\x02"),
    at(0, AppProto::Tls, b"\x15\x03\x03"),
    at(0, AppProto::Tls, b"\x16\x03\x03"),
    at(0, AppProto::Tls, b"\x17\x03\x03"),
    at(0, AppProto::Ssh, b"SSH-"),
    at(4, AppProto::Smb, b"\xffSMB"),
    at(4, AppProto::Smb, b"\xfeSMB"),
    any_case(AppProto::Ftp, b"220 ("),
    at(0, AppProto::DceRpc, b"\x05\x00"),
];

/// Looks for the patterns of one side at the start of a stream. As in Suricata, a stream shorter
/// than the longest pattern is not given up, even if none can fit any more.
pub(super) fn stream(side: Direction, data: &[u8]) -> Match {
    let (table, depth): (&[Pattern], usize) = match side {
        Direction::ToServer => (&TO_SERVER, b"BASELINE-CONTROL ".len()),
        Direction::ToClient => (&TO_CLIENT, b"HTTP/1.1".len()),
    };
    let short = if data.len() < depth { Match::Maybe } else { Match::No };
    let mut found = table.iter().fold(short, |found, p| found.or(p.test(data)));
    if side == Direction::ToServer {
        found = crate::http1::METHODS.iter().fold(found, |found, m| found.or(method(m, data)));
    }
    found
}

impl Pattern {
    fn test(&self, data: &[u8]) -> Match {
        let Some(part) = data.get(self.offset..) else { return Match::Maybe };
        let part = &part[..part.len().min(self.bytes.len())];
        let bytes = &self.bytes[..part.len()];
        let same = part == bytes || (self.any_case && part.eq_ignore_ascii_case(bytes));
        match (same, part.len() == self.bytes.len()) {
            (true, true) => Match::Yes(self.proto),
            (true, false) => Match::Maybe,
            (false, _) => Match::No,
        }
    }
}

/// A method of HTTP/1 in any case, and a blank or tab.
fn method(method: &[u8], data: &[u8]) -> Match {
    let n = data.len().min(method.len());
    if !data[..n].eq_ignore_ascii_case(&method[..n]) {
        return Match::No;
    }
    match data.get(method.len()) {
        Some(b' ' | b'\t') => Match::Yes(AppProto::Http1),
        Some(_) => Match::No,
        None => Match::Maybe,
    }
}
