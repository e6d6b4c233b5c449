//! What EVE's `http`, `dns` and `tls` objects say of a transaction: plain owned data.

/// The protocol's own part of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxSummary {
    /// EVE `http`.
    Http(Box<HttpSummary>),
    /// EVE `dns`.
    Dns(DnsSummary),
    /// EVE `tls`.
    Tls(Box<TlsSummary>),
}

/// EVE `http`; text is what was sent, bytes outside UTF-8 replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSummary {
    /// `hostname`
    pub hostname: Option<String>,
    /// `http_port`, where the request names one; 0 when its header was never complete.
    pub http_port: Option<u16>,
    /// `url`: the URI as sent.
    pub url: Option<String>,
    /// `http_user_agent`
    pub http_user_agent: Option<String>,
    /// `xff`: the X-Forwarded-For field.
    pub xff: Option<String>,
    /// `http_content_type` of the response, without parameters.
    pub http_content_type: Option<String>,
    /// `http_refer`
    pub http_refer: Option<String>,
    /// `http_method`
    pub http_method: Option<String>,
    /// `protocol`
    pub protocol: Option<String>,
    /// `status` of the response; 0 if it is no number from 100 to 999.
    pub status: Option<u16>,
    /// `redirect`: the Location field of a 3xx response.
    pub redirect: Option<String>,
    /// `length`: bytes of the response's body, transfer coding included.
    pub length: u64,
}

/// EVE `dns`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSummary {
    /// `type`: the message is an answer, not a query.
    pub answer: bool,
    /// `id` of the message.
    pub id: u16,
    /// The flags word of the header.
    pub flags: u16,
    /// `opcode`
    pub opcode: u8,
    /// `rcode` of an answer.
    pub rcode: u8,
    /// `tx_id` within the flow.
    pub tx_id: u64,
    /// `query`: one entry a question.
    pub questions: Vec<DnsQuestion>,
    /// `authorities` of an answer.
    pub authorities: Vec<DnsRecord>,
}

/// A resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// `rrname`
    pub rrname: String,
    /// `rrtype`: its mnemonic, or the number in decimal.
    pub rrtype_name: String,
    /// `ttl`, in seconds.
    pub ttl: u32,
    /// What it says, of the types that EVE tells.
    pub data: Option<DnsData>,
}

/// What a resource record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsData {
    /// `rdata`: an address, a name or text.
    Text(String),
    /// `soa`
    Soa {
        /// `mname`
        mname: String,
        /// `rname`
        rname: String,
        /// `serial`, `refresh`, `retry`, `expire`, `minimum`
        numbers: [u32; 5],
    },
    /// `srv`
    Srv {
        /// `priority`
        priority: u16,
        /// `weight`
        weight: u16,
        /// `port`
        port: u16,
        /// `name`
        name: String,
    },
    /// `sshfp`
    Sshfp {
        /// `fingerprint`, in hexadecimal with colons.
        fingerprint: String,
        /// `algo`
        algorithm: u8,
        /// `type`
        kind: u8,
    },
}

/// One question of a DNS message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsQuestion {
    /// `rrname`
    pub rrname: String,
    /// The type's number.
    pub rrtype: u16,
    /// `rrtype`: its mnemonic, or the number in decimal.
    pub rrtype_name: String,
}

/// EVE `tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSummary {
    /// `sni`
    pub sni: Option<String>,
    /// `version` as Suricata spells it: `SSLv2`, `SSLv3`, `TLSv1`, `TLS 1.1`, `TLS 1.2`, `TLS 1.3`
    /// or `UNDETERMINED`.
    pub version: String,
    /// `session_resumed`: the server took up the client's session id or ticket, and needed no certificate.
    pub session_resumed: bool,
    /// The server's certificate.
    pub server_certificate: Option<CertificateSummary>,
    /// `client`: the client's certificate.
    pub client_certificate: Option<CertificateSummary>,
    /// `ja3`: hash and string, where rules ask for it.
    pub ja3: Option<(String, String)>,
    /// `ja3s`: hash and string, where rules ask for it.
    pub ja3s: Option<(String, String)>,
    /// `ja4`, where rules ask for it.
    pub ja4: Option<String>,
}

/// The first certificate of one side; empty where it cannot be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateSummary {
    /// `subject`
    pub subject: String,
    /// `issuerdn`
    pub issuer: String,
    /// `serial`
    pub serial: String,
    /// `fingerprint`: SHA-1.
    pub fingerprint: String,
    /// `notbefore` and `notafter`, in seconds since 1970.
    pub validity: Option<(i64, i64)>,
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
