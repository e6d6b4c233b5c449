//! Looks at the structure of a first message: for protocols without a fixed beginning, most of them
//! on their ports only.

use wire::Direction;

use super::patterns::Match;
use crate::dns;
use crate::proto::AppProto;

/// Looks at the start of a stream that goes in direction `side` to or from a server on `port`.
pub(super) fn stream(side: Direction, port: u16, data: &[u8]) -> Match {
    let by_port = match port {
        53 => dns_stream(data),
        88 => when(data.len() >= 5, || kerberos(&data[4..]), AppProto::Krb5),
        3389 => when(
            data.len() >= 7,
            || data.starts_with(&[3, 0]) && data[5] & 0xe0 == 0xe0,
            AppProto::Rdp,
        ),
        23 => when(data.len() >= 2, || data[0] == 0xff && data[1] >= 0xf0, AppProto::Telnet),
        2049 => when(data.len() >= 28, || rpc(data, side), AppProto::Nfs),
        25 | 465 | 587 if side == Direction::ToClient => {
            when(data.len() >= 4, || matches!(&data[..4], b"220 " | b"220-"), AppProto::Smtp)
        }
        _ => Match::No,
    };
    let on_any = match side {
        Direction::ToServer => ssl2(data)
            .or(when(data.len() >= 12, || mqtt(data), AppProto::Mqtt).only_if(data, &[0x10])),
        Direction::ToClient => Match::No,
    };
    let dcerpc = when(data.len() >= 16, || dcerpc(data), AppProto::DceRpc).only_if(data, &[5, 0]);
    let rfb = when(data.len() >= 12, || data[7] == b'.' && data[11] == b'\n', AppProto::Rfb)
        .only_if(data, b"RFB ");
    by_port.or(on_any).or(dcerpc).or(rfb)
}

fn when(enough: bool, fits: impl FnOnce() -> bool, proto: AppProto) -> Match {
    match (enough, enough && fits()) {
        (false, _) => Match::Maybe,
        (true, true) => Match::Yes(proto),
        (true, false) => Match::No,
    }
}

impl Match {
    /// This, if the data begin (as far as they are there) with `head`.
    fn only_if(self, data: &[u8], head: &[u8]) -> Self {
        let n = data.len().min(head.len());
        if data[..n] == head[..n] { self } else { Self::No }
    }
}

fn dns_stream(data: &[u8]) -> Match {
    // length, header
    when(data.len() >= 14, || dns::probe_stream(data).is_some(), AppProto::Dns)
}

/// A ClientHello in the format of SSL 2: length with its high bit set, type 1, version 2.
fn ssl2(data: &[u8]) -> Match {
    match data {
        [first, ..] if first & 0x80 == 0 => Match::No,
        [_, _, 1, 0, 2, ..] | [_, _, 1, 3, 0..=3, ..] => Match::Yes(AppProto::Tls),
        [] | [_] | [_, _] | [_, _, 1] | [_, _, 1, 0 | 3] => Match::Maybe,
        _ => Match::No,
    }
}

/// A CONNECT packet: type, remaining length of one to four bytes, protocol name.
fn mqtt(data: &[u8]) -> bool {
    let length = data[1..].iter().take(4).take_while(|&&b| b & 0x80 != 0).count() + 1;
    let name = data.get(1 + length..).unwrap_or_default();
    name.starts_with(b"\0\x04MQTT") || name.starts_with(b"\0\x06MQIs")
}

/// The common header of connection-oriented DCE/RPC: type, byte order, fragment length.
fn dcerpc(data: &[u8]) -> bool {
    let little = data[4] & 0x10 != 0;
    let length = [data[8], data[9]];
    let length = if little { u16::from_le_bytes(length) } else { u16::from_be_bytes(length) };
    data[2] <= 19 && data[4] & 0x0f == 0 && length >= 16
}

/// An ONC RPC record: last-fragment bit, then a call of version 2 or an accepted reply.
fn rpc(data: &[u8], side: Direction) -> bool {
    let word = |at: usize| data.get(at..at + 4).map(|b| [b[0], b[1], b[2], b[3]]);
    match side {
        Direction::ToServer => {
            word(8) == Some([0; 4])
                && word(12) == Some([0, 0, 0, 2])
                && word(16) == Some([0, 1, 0x86, 0xa3])
        }
        Direction::ToClient => word(8) == Some([0, 0, 0, 1]) && word(12) == Some([0; 4]),
    }
}

/// An AS or TGS exchange or an error: an ASN.1 application tag, a length, a sequence.
fn kerberos(data: &[u8]) -> bool {
    matches!(data.first(), Some(0x6a..=0x6d | 0x7e))
}

/// Looks at a datagram that goes in direction `dir` to or from a server on `port`. The second value
/// is whether the flow's sides are swapped.
pub(super) fn datagram(dir: Direction, port: u16, data: &[u8]) -> Option<(AppProto, bool)> {
    if let Some(proto) = datagram_pattern(data) {
        return Some((proto, false));
    }
    let fits = |yes: bool, proto| yes.then_some((proto, false));
    match port {
        53 => {
            let dns::IsResponse(response) = dns::looks_like_dns(data, data.len())?;
            Some((AppProto::Dns, response != (dir == Direction::ToClient)))
        }
        67 | 68 => fits(
            data.len() >= 240
                && matches!(data[0], 1 | 2)
                && data[236..240] == [0x63, 0x82, 0x53, 0x63],
            AppProto::Dhcp,
        ),
        69 => fits(
            data.len() > 4 && data[0] == 0 && matches!(data[1], 1 | 2) && data[2..].contains(&0),
            AppProto::Tftp,
        ),
        88 => fits(kerberos(data), AppProto::Krb5),
        123 => {
            let version = data.first().map_or(0, |b| b >> 3 & 7);
            fits(data.len() >= 48 && matches!(version, 3 | 4), AppProto::Ntp)
        }
        161 | 162 => fits(snmp(data), AppProto::Snmp),
        443 | 80 => fits(quic(data), AppProto::Quic),
        500 => fits(ike(data), AppProto::Ike),
        4500 => fits(ike(data.strip_prefix(&[0; 4]).unwrap_or(data)), AppProto::Ike),
        _ => None,
    }
}

fn datagram_pattern(data: &[u8]) -> Option<AppProto> {
    const SIP: [&[u8]; 15] = [
        b"INVITE ",
        b"ACK ",
        b"BYE ",
        b"CANCEL ",
        b"OPTIONS ",
        b"REGISTER ",
        b"PRACK ",
        b"SUBSCRIBE ",
        b"NOTIFY ",
        b"PUBLISH ",
        b"INFO ",
        b"REFER ",
        b"MESSAGE ",
        b"UPDATE ",
        b"SIP/2.0 ",
    ];
    const DHT: [&[u8]; 4] = [b"d1:ad2:id20:", b"d1:rd2:id20:", b"d2:ip6:", b"d1:eli20"];
    if SIP.iter().any(|p| data.starts_with(p)) {
        return Some(AppProto::Sip);
    }
    DHT.iter().any(|p| data.starts_with(p)).then_some(AppProto::BittorrentDht)
}

/// A sequence that begins with a version number from 0 to 3.
fn snmp(data: &[u8]) -> bool {
    let Some([0x30, length]) = data.first_chunk::<2>() else { return false };
    let more = if length & 0x80 != 0 { usize::from(length & 0x7f) } else { 0 };
    matches!(data.get(2 + more..), Some([2, 1, 0..=3, ..]))
}

/// A header in long form with a version that is in use.
fn quic(data: &[u8]) -> bool {
    let Some(&[first, a, b, c, d, id]) = data.first_chunk::<6>() else { return false };
    let version = u32::from_be_bytes([a, b, c, d]);
    let known = matches!(version, 0x0000_0001 | 0x6b33_43cf | 0xff00_0000..=0xff00_0022)
        || matches!(&[a, b, c], b"Q04" | b"Q05" | b"T05");
    (first & 0x80 != 0 && known && id <= 20)
        || (first & 0x08 != 0 && data.get(9..12) == Some(b"Q04"))
}

/// The header of ISAKMP: version 1 or 2, an exchange type, a length that is right.
fn ike(data: &[u8]) -> bool {
    data.len() >= 28
        && matches!(data[17], 0x10 | 0x20)
        && u32::from_be_bytes([data[24], data[25], data[26], data[27]]) as usize >= 28
        && data[..8] != [0; 8]
}
