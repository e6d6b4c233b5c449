//! The certificates of a handshake (RFC 5246, 7.4.2; RFC 5280): kept as sent, read when asked for.

use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;

use sha1::{Digest, Sha1};
use x509_parser::error::X509Error;
use x509_parser::nom;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::known::{Certificate, Certificates};
use crate::event::TlsEvent;

/// Most certificates of a chain that are kept.
const MOST: usize = 64;

/// The certificates that one side has shown, the first being its own.
#[derive(Debug, Default)]
pub(super) struct Chain {
    first: Option<Arc<Certificate>>,
    /// Of the others those that are kept, one after the other.
    others: Vec<u8>,
    places: Vec<Range<usize>>,
    /// How many there were, kept or not.
    pub(super) count: usize,
}

/// What rules and EVE ask of a certificate.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// `C=US, O=…, CN=…` in the order of the certificate.
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// `0A:BC:…`
    pub(crate) serial: String,
    /// SHA-1 of the certificate, `0a:bc:…`
    pub(crate) fingerprint: String,
    /// Seconds since 1970, from and until when it is valid.
    pub(crate) validity: Option<(i64, i64)>,
}

/// A Certificate message that is not one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Chain {
    /// Reads a Certificate message without its head. Without `whole` only the first certificate is
    /// kept.
    pub(super) fn parse(body: &[u8], whole: bool, known: &Certificates) -> Result<Self, Broken> {
        let mut chain = Self::default();
        let length = u24(body).ok_or(Broken)?;
        let mut rest = body.get(3..3 + length).ok_or(Broken)?;
        while !rest.is_empty() {
            let length = u24(rest).ok_or(Broken)?;
            let certificate = rest.get(3..3 + length).ok_or(Broken)?;
            rest = rest.get(3 + length..).unwrap_or_default();
            if chain.count == 0 {
                chain.first = Some(known.of(certificate));
            } else if whole && chain.count < MOST {
                let start = chain.others.len();
                chain.others.extend_from_slice(certificate);
                chain.places.push(start..chain.others.len());
            }
            chain.count += 1;
        }
        chain.others.shrink_to_fit();
        Ok(chain)
    }

    /// Bytes held beside itself, but for a certificate that is not its own alone.
    pub(super) fn text(&self) -> usize {
        let own = self.first.as_ref().filter(|first| Arc::strong_count(first) == 1);
        let others = self.others.capacity() + self.places.capacity() * size_of::<Range<usize>>();
        others + own.map_or(0, |first| size_of::<Certificate>() + first.text())
    }

    /// A certificate as sent.
    pub(super) fn der(&self, index: usize) -> Option<&[u8]> {
        match index.checked_sub(1) {
            None => self.first.as_deref().map(Certificate::der),
            Some(other) => self.others.get(self.places.get(other)?.clone()),
        }
    }

    /// What the first certificate says; nothing where it cannot be read.
    pub(super) fn leaf(&self) -> Option<&Leaf> {
        self.first.as_deref().map(Certificate::leaf)
    }

    /// What is wrong with the first certificate that cannot be read.
    pub(super) fn fault(&self) -> Option<TlsEvent> {
        let first = self.first.as_deref()?.fault();
        first.or_else(|| (1..=self.places.len()).filter_map(|at| self.der(at)).find_map(fault))
    }
}

impl Leaf {
    pub(super) fn read(der: &[u8]) -> Self {
        let mut leaf = Self { fingerprint: hex(&Sha1::digest(der), false), ..Self::default() };
        if let Ok((_, certificate)) = X509Certificate::from_der(der) {
            leaf.subject = certificate.subject().to_string();
            leaf.issuer = certificate.issuer().to_string();
            leaf.serial = hex(certificate.raw_serial(), true);
            let validity = certificate.validity();
            leaf.validity = Some((validity.not_before.timestamp(), validity.not_after.timestamp()));
        }
        leaf
    }

    /// Bytes held beside itself.
    pub(super) fn text(&self) -> usize {
        let texts = [&self.subject, &self.issuer, &self.serial, &self.fingerprint];
        texts.map(String::capacity).iter().sum()
    }
}

/// Why a certificate cannot be read, if it cannot.
pub(super) fn fault(der: &[u8]) -> Option<TlsEvent> {
    if announced(der).is_none_or(|length| length > der.len()) {
        return Some(TlsEvent::CertificateInvalidLength);
    }
    let error = match X509Certificate::from_der(der) {
        Ok(_) => return None,
        Err(nom::Err::Incomplete(_)) => return Some(TlsEvent::CertificateInvalidLength),
        Err(nom::Err::Error(error) | nom::Err::Failure(error)) => error,
    };
    Some(match error {
        X509Error::InvalidVersion => TlsEvent::CertificateInvalidVersion,
        X509Error::InvalidSerial => TlsEvent::CertificateInvalidSerial,
        X509Error::InvalidAlgorithmIdentifier => TlsEvent::CertificateInvalidAlgorithmidentifier,
        X509Error::InvalidX509Name => TlsEvent::CertificateInvalidX509name,
        X509Error::InvalidDate => TlsEvent::CertificateInvalidDate,
        X509Error::InvalidExtensions => TlsEvent::CertificateInvalidExtensions,
        X509Error::Der(_) => TlsEvent::CertificateInvalidDer,
        _ => TlsEvent::InvalidCertificate,
    })
}

/// The length of a DER value with its head, as its first bytes tell it.
fn announced(der: &[u8]) -> Option<usize> {
    let short = usize::from(*der.get(1)?);
    if short < 0x80 {
        return Some(2 + short);
    }
    let digits = der.get(2..2 + (short & 0x7f))?;
    let length = digits.iter().try_fold(0usize, |length, &digit| {
        length.checked_mul(256)?.checked_add(usize::from(digit))
    })?;
    length.checked_add(2 + digits.len())
}

fn hex(bytes: &[u8], upper: bool) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (at, byte) in bytes.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        let _ = match upper {
            true => write!(out, "{colon}{byte:02X}"),
            false => write!(out, "{colon}{byte:02x}"),
        };
    }
    out
}

/// The length of three bytes that a list or an entry begins with.
fn u24(bytes: &[u8]) -> Option<usize> {
    let [a, b, c] = *bytes.first_chunk()?;
    Some(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::{certificate, certificates};

    #[test]
    fn the_first_certificate_is_read_and_the_others_kept_where_wanted() {
        let der = certificate("ex.org", [0x0a, 0xbc]);
        let message = certificates(&[&der, b"second"]);
        let chain = Chain::parse(&message, false, &Certificates::default()).unwrap();
        assert_eq!((chain.count, chain.der(0), chain.der(1)), (2, Some(&der[..]), None));
        let leaf = chain.leaf().unwrap();
        assert_eq!(leaf.subject, "C=US, O=Test, CN=ex.org");
        assert_eq!(leaf.issuer, "CN=Root");
        assert_eq!(leaf.serial, "0A:BC");
        assert_eq!(leaf.fingerprint.len(), 59);
        assert_eq!(leaf.validity, Some((1_577_836_800, 1_893_456_000)));
        assert_eq!(chain.fault(), None);
        let chain = Chain::parse(&message, true, &Certificates::default()).unwrap();
        assert_eq!(chain.der(1), Some(&b"second"[..]));
        assert!(chain.fault().is_some());
    }

    #[test]
    fn what_cannot_be_read_has_a_fingerprint_and_a_fault() {
        let der = certificate("ex.org", [1, 2]);
        let chain =
            Chain::parse(&certificates(&[&der[..der.len() - 9]]), false, &Certificates::default())
                .unwrap();
        assert_eq!(chain.leaf().map(|leaf| leaf.subject.as_str()), Some(""));
        assert_eq!(chain.leaf().map(|leaf| leaf.fingerprint.len()), Some(59));
        assert_eq!(chain.fault(), Some(TlsEvent::CertificateInvalidLength));
    }

    #[test]
    fn lengths_that_lead_beyond_the_message_are_refused() {
        assert_eq!(Chain::parse(b"\0\0", false, &Certificates::default()).unwrap_err(), Broken);
        assert_eq!(
            Chain::parse(b"\0\0\x09\0\0\x01a", false, &Certificates::default()).unwrap_err(),
            Broken
        );
        assert_eq!(
            Chain::parse(b"\0\0\x04\0\0\x02a", false, &Certificates::default()).unwrap_err(),
            Broken
        );
        assert_eq!(Chain::parse(b"\0\0\0", false, &Certificates::default()).unwrap().count, 0);
    }
}
