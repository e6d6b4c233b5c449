//! The two hellos (RFC 8446, 4.1; RFC 6066, 3), read as far as they make sense.

/// What is kept of a ClientHello.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) version: u16,
    pub(super) session_id: Vec<u8>,
    /// The host name of the first server name extension, as sent, up to a NUL.
    pub(super) sni: Option<Vec<u8>>,
}

/// What is kept of a ServerHello.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ServerHello {
    /// The version agreed on, from the supported versions extension where there is one.
    pub(super) version: u16,
    pub(super) session_id: Vec<u8>,
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
}

const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;

impl ClientHello {
    /// One in the format of SSL 2, which has no extensions.
    pub(super) fn ssl2(version: u16) -> Self {
        Self { version, ..Self::default() }
    }

    /// Reads a message without its head. What comes after the first field that makes no sense is
    /// left out.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut hello = Self::default();
        let _ = hello.read(Reader(body));
        hello
    }

    fn read(&mut self, mut r: Reader<'_>) -> Option<()> {
        self.version = r.u16()?;
        r.take(32)?;
        self.session_id = r.vec8()?.to_vec();
        r.vec16()?; // cipher suites
        r.vec8()?; // compression methods
        let mut extensions = Reader(r.vec16()?);
        loop {
            let kind = extensions.u16()?;
            let content = extensions.vec16()?;
            if kind == SERVER_NAME && self.sni.is_none() {
                self.sni = host_name(content);
            }
        }
    }
}

/// The first entry of a server name list, if it is a host name. As in Suricata, the list's own
/// length is not believed.
fn host_name(content: &[u8]) -> Option<Vec<u8>> {
    let mut list = Reader(content);
    list.u16()?;
    if list.u8()? != 0 {
        return None;
    }
    let name = list.vec16()?;
    let end = memchr::memchr(0, name).unwrap_or(name.len());
    (end > 0).then(|| name[..end].to_vec())
}

impl ServerHello {
    /// Reads a message without its head, as far as it makes sense.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut hello = Self::default();
        let _ = hello.read(Reader(body));
        hello
    }

    fn read(&mut self, mut r: Reader<'_>) -> Option<()> {
        self.version = r.u16()?;
        r.take(32)?;
        self.session_id = r.vec8()?.to_vec();
        r.take(3)?; // cipher suite, compression method
        let mut extensions = Reader(r.vec16()?);
        loop {
            let kind = extensions.u16()?;
            let content = extensions.vec16()?;
            if kind == SUPPORTED_VERSIONS
                && let Some(version) = Reader(content).u16()
            {
                self.version = version;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::client_hello;

    #[test]
    fn the_server_name_is_found_as_sent() {
        let hello = ClientHello::parse(&client_hello(Some(b"Www.Example.COM")));
        assert_eq!(hello.sni.as_deref(), Some(&b"Www.Example.COM"[..]));
        assert_eq!(hello.version, 0x0303);
        assert_eq!(ClientHello::parse(&client_hello(None)).sni, None);
    }

    #[test]
    fn a_cut_hello_yields_what_is_there() {
        let whole = client_hello(Some(b"a.b"));
        for n in 0..whole.len() {
            let hello = ClientHello::parse(&whole[..n]);
            assert!(hello.sni.is_none() || hello.sni.as_deref() == Some(b"a.b"));
        }
    }

    #[test]
    fn only_host_names_count_and_empty_ones_do_not() {
        assert_eq!(host_name(b"\0\x04\x01\0\x01x"), None);
        assert_eq!(host_name(b"\0\x08\x01\0\x01x\0\0\x01y"), None);
        assert_eq!(host_name(b"\0\x08\0\0\x01x\0\0\x01y"), Some(b"x".to_vec()));
        assert_eq!(host_name(b"\0\x03\0\0\0"), None);
        assert_eq!(host_name(b"\0\x06\0\0\x03a\0b"), Some(b"a".to_vec()));
        assert_eq!(host_name(b"\0\xff\0\0\x03abc"), Some(b"abc".to_vec()));
        assert_eq!(host_name(b"\0\x06\0\0\x04abc"), None);
    }

    #[test]
    fn the_supported_versions_extension_overrides() {
        let mut m = vec![3, 3];
        m.extend_from_slice(&[0; 32]);
        m.extend_from_slice(b"\x02ab\x13\x01\0");
        assert_eq!(ServerHello::parse(&m).version, 0x0303);
        m.extend_from_slice(b"\0\x06\0\x2b\0\x02\x03\x04");
        let hello = ServerHello::parse(&m);
        assert_eq!((hello.version, &hello.session_id[..]), (0x0304, &b"ab"[..]));
    }
}
