//! How much a session may hold on to.

use crate::file::FileNeeds;
use crate::http1::BodyLimits;

/// Bounds of one flow's parsers. The defaults are Suricata 7's where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest line or (folded) header field of HTTP/1, in bytes; a longer one ends the parsing of
    /// the flow (`libhtp.meta-field-limit`).
    pub http_field: usize,
    /// Most header fields in one HTTP/1 message; more end the parsing of the flow.
    pub http_headers: usize,
    /// Bytes of header fields kept per HTTP/1 message. Fields beyond are parsed but not kept,
    /// except those that frame the message.
    pub http_header_bytes: usize,
    /// Most live HTTP/1 transactions; more end the parsing of the flow (`libhtp.max-tx`).
    pub http_transactions: usize,
    /// Bytes that the live HTTP/1 transactions may hold when another begins; more end the parsing
    /// of the flow.
    pub http_live_bytes: usize,
    /// Whether a request's URI goes on to the last space of its line (Suricata's own build of
    /// libhtp) rather than to the first one (the build that Debian ships).
    pub http_space_in_uri: bool,
    /// Whether the path of a URI is decoded twice (`libhtp.double-decode-path`).
    pub http_double_decode_path: bool,
    /// Whether the query of a URI is decoded twice (`libhtp.double-decode-query`).
    pub http_double_decode_query: bool,
    /// How the bodies of HTTP/1 requests are looked at (`libhtp.request-body-limit`, …).
    pub http_request_body: BodyLimits,
    /// How the bodies of HTTP/1 responses are looked at (`libhtp.response-body-limit`, …).
    pub http_response_body: BodyLimits,
    /// Content codings of a response that are undone; 0: all
    /// (`libhtp.response-body-decompress-layer-limit`).
    pub http_layers: usize,
    /// Decoded bytes from which on a body that grew more than 2048 times is given up
    /// (`libhtp.compression-bomb-limit`).
    pub http_bomb_limit: u64,
    /// Most live DNS transactions; the oldest goes when another comes.
    pub dns_transactions: usize,
    /// Bytes of names kept per DNS message.
    pub dns_name_bytes: usize,
    /// Longest TLS handshake message that is put together, in bytes; a longer one is passed over.
    pub tls_handshake: usize,
    /// Whether every TLS certificate is read when it comes, for the events of those that cannot be.
    pub tls_certificate_events: bool,
    /// What rules ask of files beside their bytes.
    pub files: FileNeeds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http_field: 18_432,
            http_headers: 1024,
            http_header_bytes: 64 * 1024,
            http_transactions: 512,
            http_live_bytes: 2 * 1024 * 1024,
            http_space_in_uri: false,
            http_double_decode_path: false,
            http_double_decode_query: false,
            http_request_body: BodyLimits {
                limit: 100 * 1024,
                min_inspect: 32 * 1024,
                window: 4 * 1024,
            },
            http_response_body: BodyLimits {
                limit: 100 * 1024,
                min_inspect: 40 * 1024,
                window: 16 * 1024,
            },
            http_layers: 2,
            http_bomb_limit: 1024 * 1024,
            dns_transactions: 32,
            dns_name_bytes: 64 * 1024,
            tls_handshake: 64 * 1024,
            tls_certificate_events: false,
            files: FileNeeds::default(),
        }
    }
}
