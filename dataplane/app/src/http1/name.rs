//! Names of header fields: told apart without case and NULs, by a hash first.

/// The name of a field that is looked for, in lower case.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) text: &'static [u8],
    pub(super) hash: u16,
}

impl Name {
    const fn new(text: &'static [u8]) -> Self {
        let (mut hash, mut at) = (HASH_START, 0);
        while at < text.len() {
            hash = hash_step(hash, text[at]);
            at += 1;
        }
        Self { text, hash: fold(hash) }
    }
}

pub(super) const ACCEPT: Name = Name::new(b"accept");
pub(super) const ACCEPT_ENCODING: Name = Name::new(b"accept-encoding");
pub(super) const ACCEPT_LANGUAGE: Name = Name::new(b"accept-language");
pub(super) const AUTHORIZATION: Name = Name::new(b"authorization");
pub(super) const CONNECTION: Name = Name::new(b"connection");
pub(super) const CONTENT_DISPOSITION: Name = Name::new(b"content-disposition");
pub(super) const CONTENT_ENCODING: Name = Name::new(b"content-encoding");
pub(super) const CONTENT_LENGTH: Name = Name::new(b"content-length");
pub(super) const CONTENT_TYPE: Name = Name::new(b"content-type");
pub(super) const COOKIE: Name = Name::new(b"cookie");
pub(super) const EXPECT: Name = Name::new(b"expect");
pub(super) const HOST: Name = Name::new(b"host");
pub(super) const LOCATION: Name = Name::new(b"location");
pub(super) const REFERER: Name = Name::new(b"referer");
pub(super) const SERVER: Name = Name::new(b"server");
pub(super) const SET_COOKIE: Name = Name::new(b"set-cookie");
pub(super) const TRANSFER_ENCODING: Name = Name::new(b"transfer-encoding");
pub(super) const UPGRADE: Name = Name::new(b"upgrade");
pub(super) const USER_AGENT: Name = Name::new(b"user-agent");
pub(super) const X_FORWARDED_FOR: Name = Name::new(b"x-forwarded-for");

const HASH_START: u32 = 0x811c_9dc5;

/// The largest hash: the bit above is free for other uses.
pub(super) const LARGEST: u16 = u16::MAX >> 1;

/// FNV-1a over the name in lower case, without NULs.
const fn hash_step(hash: u32, byte: u8) -> u32 {
    if byte == 0 {
        return hash;
    }
    (hash ^ byte.to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193)
}

/// What is kept of it.
const fn fold(hash: u32) -> u16 {
    (hash ^ hash >> 16) as u16 & LARGEST
}

/// The bit of a name.
pub(super) const fn bit(hash: u16) -> u32 {
    1 << (hash & 31)
}

/// What a name is looked for by.
pub(super) fn hash(name: &[u8]) -> u16 {
    fold(name.iter().fold(HASH_START, |hash, &byte| hash_step(hash, byte)))
}

/// Every byte in lower case.
const LOWER: [u8; 256] = {
    let mut lower = [0; 256];
    let mut b = 0;
    while b < 256 {
        lower[b] = (b as u8).to_ascii_lowercase();
        b += 1;
    }
    lower
};

/// Whether two names are the same without case and NULs.
pub(super) fn same_name(a: &[u8], b: &[u8]) -> bool {
    let lower = |b: &u8| LOWER[usize::from(*b)];
    if a.len() == b.len() && a.iter().zip(b).all(|(a, b)| lower(a) == lower(b)) {
        return true;
    }
    // a NUL makes them differ in length, or there is one in both
    let letters = |s| Iterator::filter(<[u8]>::iter(s), |b: &&u8| **b != 0);
    (a.contains(&0) || b.contains(&0))
        && letters(a).map(u8::to_ascii_lowercase).eq(letters(b).map(u8::to_ascii_lowercase))
}
