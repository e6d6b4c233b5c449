//! Application protocols and detection.

use super::Key;
use super::value::{ANY, bytes};

/// What a look at a body may take.
const WINDOW: std::ops::RangeInclusive<u64> = 0..=1 << 24;

pub(super) const KEYS: &[Key] = keys! {
    "protocols.http.meta-field-limit", "longest line or header field in bytes; default: 18432",
        |c, v| { c.protocols.http_field = bytes(v, 128..=1 << 24)?; Ok(()) };
    "protocols.http.headers-limit", "most header fields in a message; default: 1024",
        |c, v| { c.protocols.http_headers = v.number(1..=65_535)?; Ok(()) };
    "protocols.http.header-bytes", "bytes of header fields kept of a message; default: 64kb",
        |c, v| { c.protocols.http_header_bytes = bytes(v, 1024..=1 << 24)?; Ok(()) };
    "protocols.http.max-tx", "most transactions of a flow at a time; default: 512",
        |c, v| { c.protocols.http_transactions = v.number(1..=1 << 20)?; Ok(()) };
    "protocols.http.request-body-limit", "bytes of a request's body that rules see, 0: all; default: 100kb",
        |c, v| { c.protocols.http_request_body.limit = v.size(ANY)?; Ok(()) };
    "protocols.http.response-body-limit", "decoded bytes of a response's body that rules see, 0: all; default: 100kb",
        |c, v| { c.protocols.http_response_body.limit = v.size(ANY)?; Ok(()) };
    "protocols.http.request-body-minimal-inspect-size", "bytes of a request's body that the first look waits for; default: 32kb",
        |c, v| { c.protocols.http_request_body.min_inspect = v.size(WINDOW)?; Ok(()) };
    "protocols.http.request-body-inspect-window", "bytes of a request's body that later looks are at; default: 4kb",
        |c, v| { c.protocols.http_request_body.window = v.size(WINDOW)?; Ok(()) };
    "protocols.http.response-body-minimal-inspect-size", "bytes of a response's body that the first look waits for; default: 40kb",
        |c, v| { c.protocols.http_response_body.min_inspect = v.size(WINDOW)?; Ok(()) };
    "protocols.http.response-body-inspect-window", "bytes of a response's body that later looks are at; default: 16kb",
        |c, v| { c.protocols.http_response_body.window = v.size(WINDOW)?; Ok(()) };
    "protocols.http.response-body-decompress-layer-limit", "content codings that are undone, 0: all; default: 2",
        |c, v| { c.protocols.http_layers = v.number(0..=64)?; Ok(()) };
    "protocols.http.compression-bomb-limit", "decoded bytes after which a body that grows absurdly is given up; default: 1mb",
        |c, v| { c.protocols.http_bomb_limit = v.size(ANY)?; Ok(()) };
    "protocols.http.double-decode-path", "the path of a URI is decoded twice; default: false",
        |c, v| { c.protocols.http_double_decode_path = v.boolean()?; Ok(()) };
    "protocols.http.double-decode-query", "the query of a URI is decoded twice; default: false",
        |c, v| { c.protocols.http_double_decode_query = v.boolean()?; Ok(()) };
    "protocols.http.space-in-uri", "a URI may hold spaces; default: false",
        |c, v| { c.protocols.http_space_in_uri = v.boolean()?; Ok(()) };
    "protocols.dns.max-tx", "most transactions of a flow at a time; default: 32",
        |c, v| { c.protocols.dns_transactions = v.number(1..=1 << 20)?; Ok(()) };
    "protocols.dns.name-bytes", "bytes of names kept of a message; default: 64kb",
        |c, v| { c.protocols.dns_name_bytes = bytes(v, 256..=1 << 24)?; Ok(()) };
    "protocols.tls.handshake-bytes", "longest handshake message that is read; default: 64kb",
        |c, v| { c.protocols.tls_handshake = bytes(v, 512..=1 << 24)?; Ok(()) };

    "detection.guess-applayer-tx", "a match by packet or stream names the transaction, if only one is open; default: false",
        |c, v| { c.guess_applayer_tx = v.boolean()?; Ok(()) };
    "detection.packet-alert-max", "the most alerts of one packet; default: 15",
        |c, v| { c.packet_alert_max = v.number(1..=255)?; Ok(()) };
};
