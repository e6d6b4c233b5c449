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
        3389 => {
            let kind = if side == Direction::ToServer { 0xe0 } else { 0xd0 };
            when(
                data.len() >= 7,
                || data.starts_with(&[3, 0]) && data[5] & 0xf0 == kind,
                AppProto::Rdp,
            )
        }
        23 => when(data.len() >= 2, || data[0] == 0xff && data[1] >= 0xf0, AppProto::Telnet),
        2049 => when(data.len() >= 28, || rpc(&data[4..], side), AppProto::Nfs),
        443 if side == Direction::ToServer => ssl2_of_tls(data),
        _ => Match::No,
    };
    let on_any = match side {
        Direction::ToServer => ssl2(data)
            .or(when(data.len() >= 12, || mqtt(data), AppProto::Mqtt).only_if(data, &[0x10])),
        Direction::ToClient => Match::No,
    };
    let rfb = when(data.len() >= 12, || data[7] == b'.' && data[11] == b'\n', AppProto::Rfb)
        .only_if(data, b"RFB ");
    by_port.or(on_any).or(rfb)
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
        self.only_if_from(data, 0, head)
    }

    /// This, if `part` is at `offset` (as far as the data go).
    fn only_if_from(self, data: &[u8], offset: usize, part: &[u8]) -> Self {
        let data = data.get(offset..).unwrap_or_default();
        let n = data.len().min(part.len());
        if data[..n] == part[..n] { self } else { Self::No }
    }
}

fn dns_stream(data: &[u8]) -> Match {
    // length, header
    when(data.len() >= 14, || dns::probe_stream(data).is_some(), AppProto::Dns)
}

/// A ClientHello in the format of SSL 2: length with its high bit set, type 1, version 2.
fn ssl2(data: &[u8]) -> Match {
    when(data.len() >= 5, || data[0] & 0x80 != 0 && data[2..5] == [1, 0, 2], AppProto::Tls)
        .only_if_from(data, 2, &[1, 0, 2])
}

/// The same that asks for a later version: on the port of HTTPS only.
fn ssl2_of_tls(data: &[u8]) -> Match {
    when(data.len() >= 3, || data[0] & 0x80 != 0 && data[2] == 1, AppProto::Tls)
}

/// A CONNECT packet: type, remaining length of one to four bytes, protocol name.
fn mqtt(data: &[u8]) -> bool {
    let length = data[1..].iter().take(4).take_while(|&&b| b & 0x80 != 0).count() + 1;
    let name = data.get(1 + length..).unwrap_or_default();
    name.starts_with(b"\0\x04MQTT") || name.starts_with(b"\0\x06MQIs")
}

/// An ONC RPC message to or from NFS, `data[4..]` of a stream, all of a datagram: a call of version 2
/// or an accepted reply.
fn rpc(data: &[u8], side: Direction) -> bool {
    let word = |at: usize| data.get(at..at + 4).map(|b| [b[0], b[1], b[2], b[3]]);
    match side {
        Direction::ToServer => {
            word(4) == Some([0; 4])
                && word(8) == Some([0, 0, 0, 2])
                && word(12) == Some([0, 1, 0x86, 0xa3])
        }
        Direction::ToClient => word(4) == Some([0, 0, 0, 1]) && word(8) == Some([0; 4]),
    }
}

/// An AS or TGS exchange or an error: an ASN.1 application tag, a length, a sequence.
fn kerberos(data: &[u8]) -> bool {
    matches!(data.first(), Some(0x6a..=0x6d | 0x7e))
}

/// Looks at a datagram that goes in direction `dir` to or from a server on `port`. The second value
/// is whether the flow's sides are swapped.
pub(super) fn datagram(dir: Direction, port: u16, data: &[u8]) -> Option<(AppProto, bool)> {
    if let Some(proto) = datagram_pattern(dir, data) {
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
        2049 => fits(rpc(data, dir), AppProto::Nfs),
        _ => None,
    }
}

/// Looks at a datagram whose sender, on `port`, was taken for the client because it came first: an answer that
/// says of itself that it is one.
pub(super) fn early_answer(dir: Direction, port: u16, data: &[u8]) -> Option<(AppProto, bool)> {
    if port != 53 || dir != Direction::ToServer {
        return None;
    }
    let dns::IsResponse(response) = dns::looks_like_dns(data, data.len())?;
    response.then_some((AppProto::Dns, true))
}

fn datagram_pattern(dir: Direction, data: &[u8]) -> Option<AppProto> {
    let dht: [&[u8]; 2] = match dir {
        Direction::ToServer => [b"d1:ad2:id20:", b"d2:ip6:"],
        Direction::ToClient => [b"d1:rd2:id20:", b"d1:eli20"],
    };
    if dht.iter().any(|p| data.starts_with(p)) {
        return Some(AppProto::BittorrentDht);
    }
    // connectionless DCE/RPC: version, request, flags, data representation, a header's length
    if let [4, 0, _, flags, order, float, ..] = data
        && (flags & 0xfc, order & 0xee) == (0, 0)
        && *float <= 3
        && data.len() >= 80
    {
        return Some(AppProto::DceRpc);
    }
    sip(data).then_some(AppProto::Sip)
}

/// A request line or a status line of SIP (the methods are HTTP's and SSDP's too).
fn sip(data: &[u8]) -> bool {
    let line = data.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let method = line.iter().take_while(|b| b.is_ascii_uppercase()).count();
    line.starts_with(b"SIP/2.0 ") || (method > 2 && line.ends_with(b" SIP/2.0"))
}

/// A sequence that begins with a version number from 0 to 3.
fn snmp(data: &[u8]) -> bool {
    let Some([0x30, length]) = data.first_chunk::<2>() else { return false };
    let more = if length & 0x80 != 0 { usize::from(length & 0x7f) } else { 0 };
    matches!(data.get(2 + more..), Some([2, 1, 0..=3, ..]))
}

/// What may be QUIC: a header in short form with a connection id, or one in long form whose
/// connection id is there. Almost anything is, on its ports, and Suricata takes it so.
fn quic(data: &[u8]) -> bool {
    match data {
        [first, ..] if first & 0x80 == 0 => data.len() > 16,
        [_, _, _, _, _, id, rest @ ..] => rest.len() > usize::from(*id),
        _ => false,
    }
}

/// The header of ISAKMP: version 1 or 2, an exchange type, a length that is right.
fn ike(data: &[u8]) -> bool {
    data.len() >= 28
        && matches!(data[17], 0x10 | 0x20)
        && u32::from_be_bytes([data[24], data[25], data[26], data[27]]) as usize >= 28
        && data[..8] != [0; 8]
}
