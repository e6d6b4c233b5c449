//! The two hellos (RFC 8446, 4.1; RFC 6066, 3), read as far as they make sense.

use super::prints::{Ja3, Parts, is_grease};
use crate::event::TlsEvent;

/// Length of a hello's random bytes.
const RANDOM: usize = 32;

/// Which fingerprints rules ask for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Prints {
    pub(super) ja3: bool,
    pub(super) ja3s: bool,
    pub(super) ja4: bool,
}

/// What is kept of a ClientHello.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// The version asked for, from the supported versions extension where there is one.
    pub(super) version: u16,
    pub(super) random: Option<[u8; RANDOM]>,
    pub(super) session_id: Box<[u8]>,
    /// The host name of the first server name extension, as sent, up to a NUL.
    pub(super) sni: Option<Box<[u8]>>,
    pub(super) ja3: Option<Box<Ja3>>,
    pub(super) ja4: Option<Box<str>>,
    pub(super) early_data: bool,
    /// It has a ticket to take an earlier session up with (RFC 5077, 3.2).
    pub(super) ticket: bool,
}

/// What is kept of a ServerHello.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServerHello {
    /// The version agreed on, from the supported versions extension where there is one.
    pub(super) version: u16,
    pub(super) random: Option<[u8; RANDOM]>,
    pub(super) session_id: Box<[u8]>,
    pub(super) ja3s: Option<Box<Ja3>>,
}

impl ClientHello {
    /// Bytes held beside itself.
    pub(super) fn text(&self) -> usize {
        let sni = self.sni.as_ref().map_or(0, |name| name.len());
        let ja3 = self.ja3.as_ref().map_or(0, |print| print.held());
        self.session_id.len() + sni + ja3 + self.ja4.as_ref().map_or(0, |print| print.len())
    }
}

impl ServerHello {
    /// Bytes held beside itself.
    pub(super) fn text(&self) -> usize {
        self.session_id.len() + self.ja3s.as_ref().map_or(0, |print| print.held())
    }
}

/// A hello and what is odd about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read<T> {
    pub(super) hello: T,
    pub(super) events: Vec<TlsEvent>,
    /// What comes before the extensions makes no sense.
    pub(super) broken: bool,
}

/// Reads lengths and fields off a slice; every read fails at its end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn u8(&mut self) -> Option<usize> {
        self.take(1).map(|b| usize::from(b[0]))
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn vec8(&mut self) -> Option<&'a [u8]> {
        let n = self.u8()?;
        self.take(n)
    }

    fn vec16(&mut self) -> Option<&'a [u8]> {
        let n = self.u16()?;
        self.take(usize::from(n))
    }

    fn random(&mut self) -> Option<[u8; RANDOM]> {
        self.take(RANDOM)?.try_into().ok()
    }
}

/// Numbers of two bytes, one after the other.
fn numbers(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect()
}

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SESSION_TICKET: u16 = 35;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// Goes through extensions; false: one reaches beyond their end.
fn extensions<'a>(bytes: &'a [u8], mut each: impl FnMut(u16, &'a [u8])) -> bool {
    let mut r = Reader(bytes);
    while !r.0.is_empty() {
        let Some((kind, content)) = r.u16().and_then(|kind| Some((kind, r.vec16()?))) else {
            return false;
        };
        each(kind, content);
    }
    true
}

impl Read<ClientHello> {
    /// One in the format of SSL 2, which has no extensions.
    pub(super) fn ssl2(version: u16) -> Self {
        Self { hello: ClientHello { version, ..ClientHello::default() }, ..Self::default() }
    }

    /// Reads a message without its head. What comes after the first field that makes no sense is
    /// left out.
    pub(super) fn parse(body: &[u8], wanted: Prints) -> Self {
        let mut read = Self::default();
        let mut r = Reader(body);
        let mut parts = Parts::default();
        if read.fixed(&mut r, &mut parts, wanted).is_none() {
            read.broken = true;
            read.events.push(TlsEvent::HandshakeInvalidLength);
            return read;
        }
        read.rest(&mut r, &mut parts, wanted);
        if wanted.ja3 {
            read.hello.ja3 = Some(Box::new(parts.ja3()));
        }
        if wanted.ja4 {
            read.hello.ja4 = Some(parts.ja4().into());
        }
        read
    }

    fn fixed(&mut self, r: &mut Reader<'_>, parts: &mut Parts, wanted: Prints) -> Option<()> {
        let hello = &mut self.hello;
        hello.version = r.u16()?;
        parts.version = hello.version;
        hello.random = Some(r.random()?);
        hello.session_id = r.vec8()?.into();
        let ciphers = r.vec16()?;
        if ciphers.len() % 2 != 0 {
            return None;
        }
        if wanted.ja3 || wanted.ja4 {
            parts.ciphers = numbers(ciphers);
        }
        r.vec8()?; // compression methods
        Some(())
    }

    fn rest(&mut self, r: &mut Reader<'_>, parts: &mut Parts, wanted: Prints) {
        if r.0.len() < 2 {
            return;
        }
        let Some(bytes) = r.vec16() else {
            self.events.push(TlsEvent::HandshakeInvalidLength);
            return;
        };
        let prints = wanted.ja3 || wanted.ja4;
        let whole = extensions(bytes, |kind, content| {
            if prints {
                parts.extensions.push(kind);
            }
            match kind {
                SERVER_NAME => self.server_name(content),
                SUPPORTED_VERSIONS => {
                    let offered = numbers(Reader(content).vec8().unwrap_or_default());
                    let first = offered.iter().copied().find(|&version| !is_grease(version));
                    self.hello.version = first.unwrap_or(self.hello.version);
                    // drafts do not count
                    parts.supported = offered.into_iter().filter(|&v| v <= 0x0304).max();
                }
                EARLY_DATA => self.hello.early_data = true,
                SESSION_TICKET => self.hello.ticket |= !content.is_empty(),
                SUPPORTED_GROUPS if prints => {
                    parts.groups = numbers(Reader(content).vec16().unwrap_or_default());
                }
                POINT_FORMATS if prints => {
                    parts.formats = Reader(content).vec8().unwrap_or_default().to_vec();
                }
                SIGNATURE_ALGORITHMS if prints => {
                    parts.signatures = numbers(Reader(content).vec16().unwrap_or_default());
                }
                ALPN if prints && parts.alpn.is_none() => {
                    let mut list = Reader(Reader(content).vec16().unwrap_or_default());
                    parts.alpn = match list.vec8() {
                        Some([a, b]) if is_grease(u16::from_be_bytes([*a, *b])) => None,
                        Some([first, .., last]) => Some((*first, *last)),
                        Some([only]) => Some((*only, b'0')),
                        _ => None,
                    };
                }
                _ => {}
            }
        });
        parts.sni = parts.extensions.contains(&SERVER_NAME);
        if !whole {
            self.events.push(TlsEvent::HandshakeInvalidLength);
        }
    }

    fn server_name(&mut self, content: &[u8]) {
        if self.hello.sni.is_some() {
            self.events.push(TlsEvent::MultipleSniExtensions);
            return;
        }
        match host_name(content) {
            Ok(name) => self.hello.sni = name.map(Into::into),
            Err(event) => self.events.push(event),
        }
    }
}

/// The first entry of a server name list, if it is a host name and not empty. As in Suricata, the
/// list's own length is not believed.
fn host_name(content: &[u8]) -> Result<Option<Vec<u8>>, TlsEvent> {
    let mut list = Reader(content);
    if content.is_empty() {
        return Ok(None);
    }
    if list.u16().ok_or(TlsEvent::HandshakeInvalidLength)? == 0 && list.0.is_empty() {
        return Ok(None);
    }
    if list.u8().ok_or(TlsEvent::HandshakeInvalidLength)? != 0 {
        return Err(TlsEvent::InvalidSniType);
    }
    let name = list.vec16().ok_or(TlsEvent::InvalidSniLength)?;
    let end = memchr::memchr(0, name).unwrap_or(name.len());
    Ok((end > 0).then(|| name[..end].to_vec()))
}

impl Read<ServerHello> {
    /// Reads a message without its head, as far as it makes sense.
    pub(super) fn parse(body: &[u8], wanted: Prints) -> Self {
        let mut read = Self::default();
        let mut parts = Parts::default();
        let mut r = Reader(body);
        if read.fixed(&mut r, &mut parts).is_none() {
            read.broken = true;
            read.events.push(TlsEvent::HandshakeInvalidLength);
            return read;
        }
        if r.0.len() >= 2 {
            let whole = r.vec16().is_some_and(|bytes| {
                extensions(bytes, |kind, content| {
                    if wanted.ja3s {
                        parts.extensions.push(kind);
                    }
                    if kind == SUPPORTED_VERSIONS
                        && let Some(version) = Reader(content).u16()
                    {
                        read.hello.version = version;
                    }
                })
            });
            if !whole {
                read.events.push(TlsEvent::HandshakeInvalidLength);
            }
        }
        if wanted.ja3s {
            read.hello.ja3s = Some(Box::new(parts.ja3s()));
        }
        read
    }

    fn fixed(&mut self, r: &mut Reader<'_>, parts: &mut Parts) -> Option<()> {
        let hello = &mut self.hello;
        hello.version = r.u16()?;
        parts.version = hello.version;
        hello.random = Some(r.random()?);
        // drafts of TLS 1.3 that told their own version here had left both others out
        let draft = hello.version >> 8 == 0x7f;
        if !draft {
            hello.session_id = r.vec8()?.into();
        }
        parts.ciphers.push(r.u16()?);
        if !draft {
            r.u8()?; // compression method
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::client_hello;

    const ALL: Prints = Prints { ja3: true, ja3s: true, ja4: true };

    fn client(body: &[u8]) -> Read<ClientHello> {
        Read::<ClientHello>::parse(body, ALL)
    }

    #[test]
    fn the_server_name_is_found_as_sent() {
        let read = client(&client_hello(Some(b"Www.Example.COM")));
        assert_eq!(read.hello.sni.as_deref(), Some(&b"Www.Example.COM"[..]));
        assert_eq!((read.hello.version, read.broken, read.events.len()), (0x0303, false, 0));
        assert_eq!(client(&client_hello(None)).hello.sni, None);
    }

    #[test]
    fn a_cut_hello_yields_what_is_there_and_an_event() {
        let whole = client_hello(Some(b"a.b"));
        for n in 0..whole.len() {
            let read = client(&whole[..n]);
            let name = read.hello.sni.as_deref();
            assert!(name.is_none() || name == Some(b"a.b"));
            assert!(read.events.contains(&TlsEvent::HandshakeInvalidLength) || n > 38, "{n}");
        }
    }

    #[test]
    fn only_host_names_count_and_empty_ones_do_not() {
        use TlsEvent::{InvalidSniLength, InvalidSniType};
        assert_eq!(host_name(b"\0\x04\x01\0\x01x"), Err(InvalidSniType));
        assert_eq!(host_name(b"\0\x08\0\0\x01x\0\0\x01y"), Ok(Some(b"x".to_vec())));
        assert_eq!(host_name(b"\0\x03\0\0\0"), Ok(None));
        assert_eq!(host_name(b"\0\x06\0\0\x03a\0b"), Ok(Some(b"a".to_vec())));
        assert_eq!(host_name(b"\0\xff\0\0\x03abc"), Ok(Some(b"abc".to_vec())));
        assert_eq!(host_name(b"\0\x06\0\0\x04abc"), Err(InvalidSniLength));
        assert_eq!(host_name(b""), Ok(None));
    }

    #[test]
    fn a_second_name_is_an_event() {
        let mut m = client_hello(None);
        m.truncate(m.len() - 6);
        let name = b"\0\0\0\x06\0\x04\0\0\x01x";
        m.extend_from_slice(&(name.len() as u16 * 2).to_be_bytes());
        m.extend_from_slice(&[&name[..], name].concat());
        let read = client(&m);
        assert_eq!(read.events, [TlsEvent::MultipleSniExtensions]);
        assert_eq!(read.hello.sni.as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn the_supported_versions_extension_overrides() {
        let mut m = vec![3, 3];
        m.extend_from_slice(&[0; 32]);
        m.extend_from_slice(b"\x02ab\x13\x01\0");
        let server = |m: &[u8]| Read::<ServerHello>::parse(m, ALL).hello;
        assert_eq!(server(&m).version, 0x0303);
        assert_eq!(server(&m).ja3s.map(|ja3s| ja3s.string), Some("771,4865,".into()));
        m.extend_from_slice(b"\0\x06\0\x2b\0\x02\x03\x04");
        let hello = server(&m);
        assert_eq!((hello.version, &hello.session_id[..]), (0x0304, &b"ab"[..]));
        assert_eq!(hello.ja3s.map(|ja3s| ja3s.string), Some("771,4865,43".into()));
    }
}
