//! Messages for the tests of this crate, all made here.

/// A DNS query for type A with id `id` and the encoded name `name`.
pub(crate) fn dns_query(id: u16, name: &[u8]) -> Vec<u8> {
    let mut m = id.to_be_bytes().to_vec();
    m.extend_from_slice(b"\x01\0\0\x01\0\0\0\0\0\0");
    m.extend_from_slice(name);
    m.extend_from_slice(b"\0\x01\0\x01");
    m
}

/// The body of a TLS 1.2 ClientHello, with a server name or without.
pub(crate) fn client_hello(sni: Option<&[u8]>) -> Vec<u8> {
    let mut m = vec![3, 3];
    m.extend_from_slice(&[7; 32]);
    m.extend_from_slice(b"\x02id\0\x04\x13\x01\xc0\x2f\x01\0");
    let mut ext = b"\0\x17\0\0".to_vec();
    if let Some(name) = sni {
        let n = name.len() as u16;
        ext.extend_from_slice(b"\0\0");
        ext.extend_from_slice(&(n + 5).to_be_bytes());
        ext.extend_from_slice(&(n + 3).to_be_bytes());
        ext.push(0);
        ext.extend_from_slice(&n.to_be_bytes());
        ext.extend_from_slice(name);
    }
    m.extend_from_slice(&(ext.len() as u16).to_be_bytes());
    m.extend_from_slice(&ext);
    m
}

/// A handshake message of the given type.
pub(crate) fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![kind];
    m.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    m.extend_from_slice(body);
    m
}

/// A TLS record of the given type.
pub(crate) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut m = vec![kind, 3, 1];
    m.extend_from_slice(&(body.len() as u16).to_be_bytes());
    m.extend_from_slice(body);
    m
}
