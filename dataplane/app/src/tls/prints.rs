//! Fingerprints of hellos: JA3, JA3S (github.com/salesforce/ja3) and JA4
//! (github.com/FoxIO-LLC/ja4, technical details).

use std::fmt::Write;

use md5::Md5;
use sha2::{Digest, Sha256};

/// A fingerprint's parts as text, and their MD5 in hexadecimal.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ja3 {
    pub(crate) string: String,
    pub(crate) hash: String,
}

/// What fingerprints are made of: the fields of a hello, as they were sent.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The version in the hello's own field.
    pub(super) version: u16,
    pub(super) ciphers: Vec<u16>,
    pub(super) extensions: Vec<u16>,
    pub(super) groups: Vec<u16>,
    pub(super) formats: Vec<u8>,
    pub(super) signatures: Vec<u16>,
    /// The highest version offered in the extension for that.
    pub(super) supported: Option<u16>,
    /// First and last byte of the first protocol offered.
    pub(super) alpn: Option<(u8, u8)>,
    pub(super) sni: bool,
}

/// Values that are offered to keep servers tolerant (RFC 8701) count in no fingerprint.
pub(super) fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

impl Parts {
    /// JA3 of a ClientHello.
    pub(super) fn ja3(&self) -> Ja3 {
        let formats: Vec<u16> = self.formats.iter().copied().map(u16::from).collect();
        Ja3::of(self.version, &[&self.ciphers, &self.extensions, &self.groups, &formats])
    }

    /// JA3S of a ServerHello.
    pub(super) fn ja3s(&self) -> Ja3 {
        Ja3::of(self.version, &[&self.ciphers, &self.extensions])
    }

    /// JA4 of a ClientHello over TCP.
    pub(super) fn ja4(&self) -> String {
        let mut ciphers: Vec<u16> =
            self.ciphers.iter().copied().filter(|&value| !is_grease(value)).collect();
        let mut extensions: Vec<u16> =
            self.extensions.iter().copied().filter(|&value| !is_grease(value)).collect();
        let version = match self.supported.unwrap_or(self.version) {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            0x0001 => "s1",
            _ => "00",
        };
        let (first, last) = self.alpn.unwrap_or((b'0', b'0'));
        let mut out = format!(
            "t{version}{}{:02}{:02}{}{}",
            if self.sni { 'd' } else { 'i' },
            ciphers.len().min(99),
            extensions.len().min(99),
            char::from(first),
            char::from(last),
        );
        ciphers.sort_unstable();
        // the name and the protocol asked for are told before
        extensions.retain(|&kind| kind != 0 && kind != 16);
        extensions.sort_unstable();
        let hashed = format!("{}_{}", list(&extensions), list(&self.signatures));
        let _ = write!(out, "_{}_{}", short(&list(&ciphers)), short(&hashed));
        out
    }
}

/// Hexadecimal numbers with commas between them.
fn list(values: &[u16]) -> String {
    let values = values.iter().filter(|&&value| !is_grease(value));
    values.map(|value| format!("{value:04x}")).collect::<Vec<_>>().join(",")
}

/// The first twelve digits of the SHA-256.
fn short(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".to_owned();
    }
    hex(Sha256::digest(text.as_bytes()).get(..6).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Ja3 {
    /// Bytes held, itself included.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.string.capacity() + self.hash.capacity()
    }

    fn of(version: u16, fields: &[&[u16]]) -> Self {
        let mut string = version.to_string();
        for field in fields {
            string.push(',');
            let values = field.iter().filter(|&&value| !is_grease(value));
            string.push_str(&values.map(u16::to_string).collect::<Vec<_>>().join("-"));
        }
        let hash = hex(&Md5::digest(string.as_bytes()));
        Self { string, hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ja3_leaves_grease_out_and_keeps_empty_fields() {
        let parts = Parts {
            version: 769,
            ciphers: vec![0x0a0a, 47, 53],
            extensions: vec![0, 0x3a3a, 10],
            groups: vec![0x1a1a, 23],
            ..Parts::default()
        };
        assert_eq!(parts.ja3().string, "769,47-53,0-10,23,");
        assert_eq!(parts.ja3s().string, "769,47-53,0-10");
        // md5 of the string, made with another tool
        assert_eq!(Ja3::of(769, &[&[47, 53]]).hash, "7b4afb37a4656f5a076635819d87e0d3".to_owned());
    }

    #[test]
    fn only_doubled_bytes_are_grease() {
        assert!(is_grease(0x0a0a) && is_grease(0xfafa));
        assert!(!is_grease(0x0a1a) && !is_grease(0x0a0b) && !is_grease(0));
    }

    #[test]
    fn ja4_counts_sorts_and_hashes() {
        let parts = Parts {
            version: 0x0303,
            supported: Some(0x0304),
            ciphers: vec![0x1302, 0x1301],
            extensions: vec![0, 16, 10, 0x2a2a],
            signatures: vec![0x0403],
            alpn: Some((b'h', b'2')),
            sni: true,
            ..Parts::default()
        };
        let ja4 = parts.ja4();
        assert!(ja4.starts_with("t13d0203h2_"), "{ja4}");
        assert!(ja4.ends_with(&format!("{}_{}", short("1301,1302"), short("000a_0403"))));
        assert_eq!(Parts::default().ja4(), "t00i000000_000000000000_d2e2adf7177b");
    }
}
