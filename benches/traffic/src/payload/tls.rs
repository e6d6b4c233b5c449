//! The visible part of TLS 1.3 (RFC 8446): a ClientHello with a server name, a ServerHello, and
//! records of bytes that look encrypted. There are no keys behind them.

use crate::Random;

/// Record types.
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// A ClientHello that asks for the server `name` (RFC 6066), in one record.
pub fn client_hello(name: &str, random: &mut Random) -> Vec<u8> {
    let mut extensions = Vec::new();
    let entry = [&[0], &length16(name.len())[..], name.as_bytes()].concat();
    extension(&mut extensions, 0, &[&length16(entry.len())[..], &entry].concat());
    // Supported groups: x25519, secp256r1.
    extension(&mut extensions, 10, &[0, 4, 0, 0x1d, 0, 0x17]);
    // Signature algorithms.
    extension(&mut extensions, 13, &[0, 6, 4, 3, 8, 4, 4, 1]);
    // ALPN: h2, http/1.1.
    extension(&mut extensions, 16, b"\0\x0c\x02h2\x08http/1.1");
    // Supported versions: 1.3, 1.2.
    extension(&mut extensions, 43, &[4, 3, 4, 3, 3]);
    extension(&mut extensions, 51, &[&[0, 36][..], &key_share(random)].concat());

    let mut body = vec![3, 3];
    body.extend(random.bytes(32));
    body.push(32);
    body.extend(random.bytes(32));
    // Cipher suites, and no compression.
    body.extend([0, 8, 0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0, 0x2f, 1, 0]);
    body.extend(length16(extensions.len()));
    body.extend(extensions);
    handshake(1, &body)
}

/// A ServerHello that takes TLS 1.3, the change of cipher, and the rest of the handshake encrypted.
pub fn server_hello(random: &mut Random) -> Vec<u8> {
    let mut extensions = Vec::new();
    extension(&mut extensions, 43, &[3, 4]);
    extension(&mut extensions, 51, &key_share(random));
    let mut body = vec![3, 3];
    body.extend(random.bytes(32));
    body.push(32);
    body.extend(random.bytes(32));
    body.extend([0x13, 0x01, 0]);
    body.extend(length16(extensions.len()));
    body.extend(extensions);
    let mut out = handshake(2, &body);
    out.extend(change_cipher());
    out.extend(encrypted(1900, random));
    out
}

/// The client's end of the handshake.
pub fn client_finished(random: &mut Random) -> Vec<u8> {
    let mut out = change_cipher();
    out.extend(encrypted(58, random));
    out
}

/// So many bytes of application data and their tag, in records of at most 16 KiB.
pub fn encrypted(length: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    let mut left = length + 17;
    while left > 0 {
        let part = left.min(1 << 14);
        record(&mut out, APPLICATION_DATA, &random.bytes(part));
        left -= part;
    }
    out
}

fn change_cipher() -> Vec<u8> {
    let mut out = Vec::new();
    record(&mut out, CHANGE_CIPHER_SPEC, &[1]);
    out
}

fn key_share(random: &mut Random) -> Vec<u8> {
    let mut out = vec![0, 0x1d, 0, 32];
    out.extend(random.bytes(32));
    out
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0];
    message.extend(length16(body.len()));
    message.extend(body);
    let mut out = Vec::new();
    record(&mut out, HANDSHAKE, &message);
    out
}

fn record(out: &mut Vec<u8>, kind: u8, content: &[u8]) {
    out.extend([kind, 3, if kind == HANDSHAKE { 1 } else { 3 }]);
    out.extend(length16(content.len()));
    out.extend(content);
}

fn extension(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(length16(content.len()));
    out.extend(content);
}

const fn length16(length: usize) -> [u8; 2] {
    (length as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_records_and_messages_add_up() {
        let mut random = Random::new(1);
        let hello = client_hello("shop.example", &mut random);
        assert_eq!(hello[..3], [22, 3, 1]);
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
        assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
        assert!(hello.windows(12).any(|part| part == b"shop.example"));
        let mut rest = &server_hello(&mut random)[..];
        let mut kinds = Vec::new();
        while let [kind, 3, 1 | 3, high, low, more @ ..] = rest {
            kinds.push(*kind);
            rest = &more[usize::from(u16::from_be_bytes([*high, *low]))..];
        }
        assert_eq!((kinds, rest), (vec![22, 20, 23], &[][..]));
    }
}
