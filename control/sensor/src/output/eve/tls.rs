//! EVE's `tls` object: what the hellos and certificates of a session say.

use std::fmt;

use app::{CertificateSummary, TlsSummary};
use serde::{Serialize, Serializer};

/// A session.
#[derive(Serialize)]
pub(crate) struct Tls<'a> {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    names: Option<Names<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    session_resumed: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    marks: Option<Marks<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<&'a str>,
    version: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    validity: Option<Validity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja3: Option<Print<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ja3s: Option<Print<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Told only by rules that look at it.
    pub(crate) ja4: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Certificate<'a>>,
}

#[derive(Serialize)]
struct Names<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    issuerdn: &'a str,
}

#[derive(Serialize)]
struct Marks<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    serial: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    fingerprint: &'a str,
}

#[derive(Serialize)]
struct Validity {
    notbefore: Moment,
    notafter: Moment,
}

#[derive(Serialize)]
struct Print<'a> {
    hash: &'a str,
    string: &'a str,
}

/// `client`: its own certificate.
#[derive(Serialize)]
struct Certificate<'a> {
    #[serde(flatten)]
    names: Names<'a>,
    #[serde(flatten)]
    marks: Marks<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    validity: Option<Validity>,
}

/// Seconds since 1970 as `2023-11-14T22:13:24`, in UTC.
struct Moment(i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        write!(f, "{}", jiff::tz::Offset::UTC.to_datetime(time))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'a> Names<'a> {
    fn of(certificate: &'a CertificateSummary) -> Self {
        Self { subject: &certificate.subject, issuerdn: &certificate.issuer }
    }
}

impl<'a> Marks<'a> {
    fn of(certificate: &'a CertificateSummary) -> Self {
        Self { serial: &certificate.serial, fingerprint: &certificate.fingerprint }
    }
}

impl Validity {
    fn of(certificate: &CertificateSummary) -> Option<Self> {
        let (from, to) = certificate.validity?;
        Some(Self { notbefore: Moment(from), notafter: Moment(to) })
    }
}

impl<'a> Tls<'a> {
    pub(crate) fn of(tls: &'a TlsSummary) -> Self {
        let server = tls.server_certificate.as_ref();
        fn print((hash, string): &(String, String)) -> Print<'_> {
            Print { hash, string }
        }
        Self {
            names: server.map(Names::of),
            session_resumed: tls.session_resumed,
            marks: server.map(Marks::of),
            sni: tls.sni.as_deref(),
            version: &tls.version,
            validity: server.and_then(Validity::of),
            ja3: tls.ja3.as_ref().map(print),
            ja3s: tls.ja3s.as_ref().map(print),
            ja4: tls.ja4.as_deref(),
            client: tls.client_certificate.as_ref().map(|client| Certificate {
                names: Names::of(client),
                marks: Marks::of(client),
                validity: Validity::of(client),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_in_suricatas_order() {
        let certificate = CertificateSummary {
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            serial: "55".into(),
            fingerprint: "0a:bc".into(),
            validity: Some((1_048_899_464, 1_206_579_464)),
        };
        let tls = TlsSummary {
            version: "TLSv1".into(),
            server_certificate: Some(certificate.clone()),
            client_certificate: Some(certificate),
            ja3: Some(("h".into(), "s".into())),
            ..TlsSummary::default()
        };
        assert_eq!(
            serde_json::to_string(&Tls::of(&tls)).expect("json"),
            "{\"subject\":\"CN=a\",\"issuerdn\":\"CN=b\",\"serial\":\"55\",\"fingerprint\":\"0a:bc\",\
             \"version\":\"TLSv1\",\"notbefore\":\"2003-03-29T00:57:44\",\
             \"notafter\":\"2008-03-27T00:57:44\",\"ja3\":{\"hash\":\"h\",\"string\":\"s\"},\
             \"client\":{\"subject\":\"CN=a\",\"issuerdn\":\"CN=b\",\"serial\":\"55\",\
             \"fingerprint\":\"0a:bc\",\"notbefore\":\"2003-03-29T00:57:44\",\
             \"notafter\":\"2008-03-27T00:57:44\"}}"
        );
    }
}
