//! What a rule asks of a transaction that no buffer tells.

use super::test::Compare;

/// A question about a transaction, of the side whose direction is inspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionTest {
    /// `tls.version`, as it is on the wire.
    TlsVersion(u16),
    /// `ssl_version`
    SslVersion {
        /// As they are on the wire.
        versions: Vec<u16>,
        /// `!`: none of these.
        negated: bool,
    },
    /// `ssl_state`
    SslState {
        /// The messages that are looked for, as [`app::tls_state`].
        states: u8,
        /// Those of them that were written with `!`.
        negated: u8,
    },
    /// `tls_cert_notbefore`, in seconds since 1970.
    CertificateNotBefore(Compare<i64>),
    /// `tls_cert_notafter`
    CertificateNotAfter(Compare<i64>),
    /// `tls_cert_expired`, at the time of the packet.
    CertificateExpired,
    /// `tls_cert_valid`, at the time of the packet.
    CertificateValid,
    /// `tls.cert_chain_len`
    CertificateChainLength(Compare<u32>),
    /// `dns.opcode`, bool: negated
    DnsOpcode(u8, bool),
}

impl TransactionTest {
    /// The directions in which it can be answered: to the server, to the client.
    pub fn directions(&self) -> (bool, bool) {
        match self {
            Self::CertificateNotBefore(_)
            | Self::CertificateNotAfter(_)
            | Self::CertificateExpired
            | Self::CertificateValid
            | Self::CertificateChainLength(_) => (false, true),
            Self::TlsVersion(_)
            | Self::SslVersion { .. }
            | Self::SslState { .. }
            | Self::DnsOpcode(..) => (true, true),
        }
    }
}
