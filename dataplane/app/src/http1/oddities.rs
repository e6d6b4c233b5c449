//! What is odd about a message, as the events that Suricata raises for it.

use wire::Direction;

use super::host::is_space;
use super::name;
use super::tx::HttpTx;
use crate::event::{EventSet, HttpEvent};

/// Schemes of the Authorization field that are known.
const SCHEMES: [&[u8]; 3] = [b"basic", b"digest", b"bearer"];

/// Protocols that a status line may name.
const PROTOCOLS: [&[u8]; 3] = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9"];

/// Of a request line, its end taken off.
pub(super) fn of_request_line(line: &[u8]) -> EventSet {
    let mut events = EventSet::default();
    let blank = |s: &[u8]| s.iter().take_while(|&&b| is_space(b)).count();
    let start = blank(line);
    if start > 0 {
        events.insert(HttpEvent::RequestLineLeadingWhitespace);
    }
    let line = &line[start..];
    let method = line.iter().take_while(|&&b| !is_space(b)).count();
    let rest = &line[method..];
    let (delimiter, rest) = rest.split_at(blank(rest));
    if delimiter.iter().any(|&b| b != b' ') {
        events.insert(HttpEvent::MethodDelimNonCompliant);
    }
    let uri = rest.iter().take_while(|&&b| b != b' ').count();
    if rest[..uri].iter().any(|&b| is_space(b)) {
        events.insert(HttpEvent::UriDelimNonCompliant);
    }
    events
}

/// Of a header field, folds undone.
pub(super) fn of_field(field: &[u8], dir: Direction) -> EventSet {
    let mut events = EventSet::default();
    let (invalid, missing) = match dir {
        Direction::ToServer => {
            (HttpEvent::RequestHeaderInvalid, HttpEvent::RequestFieldMissingColon)
        }
        Direction::ToClient => {
            (HttpEvent::ResponseHeaderInvalid, HttpEvent::ResponseFieldMissingColon)
        }
    };
    match memchr::memchr(b':', field) {
        None => events.insert(missing),
        Some(colon) if colon == 0 || !field[..colon].iter().all(|&b| is_token(b)) => {
            events.insert(invalid)
        }
        Some(_) => false,
    };
    events
}

/// The characters of a token (RFC 9110, 5.6.2).
const TOKEN: [bool; 256] = {
    let mut is = [false; 256];
    let signs = b"!#$%&'*+-.^_`|~";
    let mut b = 0;
    while b < 256 {
        is[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let mut at = 0;
    while at < signs.len() {
        is[signs[at] as usize] = true;
        at += 1;
    }
    is
};

fn is_token(b: u8) -> bool {
    TOKEN[usize::from(b)]
}

/// Of a request whose header is complete.
pub(super) fn of_request(tx: &HttpTx) -> EventSet {
    let mut events = EventSet::default();
    let headers = &tx.request.headers;
    let field = headers.get(name::HOST);
    if field.is_none() && tx.request.is_11(2) {
        events.insert(HttpEvent::MissingHostHeader);
    }
    let asked = field.and_then(super::host::parse).unwrap_or_default();
    let host = field.and_then(|value| asked.span.of(value)).unwrap_or_default();
    if field.is_some() && !is_hostname(host) {
        events.insert(HttpEvent::RequestHeaderHostInvalid);
    }
    if let Some(apart) = &tx.apart
        && let Some(named) = &apart.uri_host
    {
        if !is_hostname(named) {
            events.insert(HttpEvent::RequestUriHostInvalid);
        }
        let ports = [asked.port, apart.uri_port];
        let ports = ports.iter().all(Option::is_some) && asked.port != apart.uri_port;
        if field.is_some() && (!host.eq_ignore_ascii_case(named) || ports) {
            events.insert(HttpEvent::HostHeaderAmbiguous);
        }
    }
    if let Some(credentials) = headers.get(name::AUTHORIZATION) {
        let scheme = credentials.split(|&b| b == b' ').next().unwrap_or_default();
        if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
            events.insert(HttpEvent::RequestAuthUnrecognized);
        }
    }
    events
}

/// A host name with labels of letters, digits, `-` and `_`, or an address in brackets.
fn is_hostname(host: &[u8]) -> bool {
    if let [b'[', address @ .., b']'] = host {
        return std::str::from_utf8(address).is_ok_and(|a| a.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let host = host.strip_suffix(b".").unwrap_or(host);
    let label = |label: &[u8]| {
        (1..=63).contains(&label.len())
            && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.len() <= 255 && host.split(|&b| b == b'.').all(label)
}

/// Of a response whose header is complete. `chunked`: what its transfer coding says, if it has any.
pub(super) fn of_response(tx: &HttpTx, chunked: Option<bool>) -> EventSet {
    let mut events = EventSet::default();
    let Some(response) = tx.response() else { return events };
    let headers = &response.headers;
    let protocol = response.part(0).unwrap_or_default();
    if !PROTOCOLS.iter().any(|known| protocol.eq_ignore_ascii_case(known)) {
        events.insert(HttpEvent::ResponseInvalidProtocol);
    }
    if tx.status().unwrap_or(0) == 0 {
        events.insert(HttpEvent::ResponseInvalidStatus);
    }
    if chunked == Some(true) {
        let coding = headers.get(name::TRANSFER_ENCODING).unwrap_or_default();
        if !coding.eq_ignore_ascii_case(b"chunked") {
            events.insert(HttpEvent::ResponseAbnormalTransferEncoding);
        }
        if !response.is_11(0) {
            events.insert(HttpEvent::ResponseChunkedOldProto);
        }
    } else if headers.get(name::CONTENT_LENGTH).is_none()
        && headers.get(name::CONTENT_TYPE).is_some_and(|value| {
            memchr::memmem::find(&value.to_ascii_lowercase(), b"multipart/byteranges").is_some()
        })
    {
        events.insert(HttpEvent::ResponseMultipartByteranges);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_looked_at_for_blanks_in_odd_places() {
        let has = |line: &[u8], event: HttpEvent| of_request_line(line).contains(event.into());
        assert!(of_request_line(b"GET / HTTP/1.1").is_empty());
        assert!(of_request_line(b"GET  / HTTP/1.1").is_empty());
        assert!(has(b" GET / HTTP/1.1", HttpEvent::RequestLineLeadingWhitespace));
        assert!(has(b"GET\t/ HTTP/1.1", HttpEvent::MethodDelimNonCompliant));
        assert!(has(b"GET /a\tb HTTP/1.1", HttpEvent::UriDelimNonCompliant));
    }

    #[test]
    fn fields_are_looked_at_for_their_names() {
        let of = |field: &[u8]| of_field(field, Direction::ToServer);
        assert!(of(b"A-b: c d").is_empty());
        assert!(of(b"no colon").contains(HttpEvent::RequestFieldMissingColon.into()));
        for field in [&b": x"[..], b"a b: c", b"a : c", b"a\0: c"] {
            assert!(of(field).contains(HttpEvent::RequestHeaderInvalid.into()));
        }
    }

    #[test]
    fn host_names_are_told_from_junk() {
        for host in [&b"a"[..], b"a.b_c-d.e.", b"[::1]", b"1.2.3.4"] {
            assert!(is_hostname(host), "{}", String::from_utf8_lossy(host));
        }
        for host in [&b""[..], b"a..b", b"a b", b".a", b"[::", b"[x]", &[b'a'; 64]] {
            assert!(!is_hostname(host), "{}", String::from_utf8_lossy(host));
        }
    }
}
