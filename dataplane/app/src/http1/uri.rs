//! Request URIs: taken apart, decoded and normalised the way Suricata's default personality does,
//! which is what rules on `http.uri` are written against.

use memchr::{memchr, memchr2};

use super::bestfit::{REPLACEMENT, best_fit};
use super::host::port_number;

/// What of a URI is decoded a second time.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(super) struct Twice {
    pub(super) path: bool,
    pub(super) query: bool,
}

/// The parts of a URI, as sent. Nothing is validated.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) scheme: Option<&'a [u8]>,
    /// Without port; an IPv6 address with its brackets.
    pub(super) host: Option<&'a [u8]>,
    pub(super) port: Option<u16>,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    pub(super) fragment: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    /// Takes a URI apart (RFC 3986, 3, leniently). Whatever comes before a colon is a scheme unless
    /// the URI begins with a slash; an authority is looked for only after a scheme.
    pub(super) fn parse(uri: &'a [u8]) -> Self {
        let mut parts = Self::default();
        let mut rest = uri;
        if rest.first() != Some(&b'/')
            && let Some(colon) = memchr(b':', rest)
        {
            parts.scheme = Some(&rest[..colon]);
            rest = &rest[colon + 1..];
        }
        if parts.scheme.is_some() && rest.len() > 2 && rest.starts_with(b"//") && rest[2] != b'/' {
            rest = &rest[2..];
            let end =
                rest.iter().position(|b| matches!(b, b'?' | b'/' | b'#')).unwrap_or(rest.len());
            let (authority, tail) = rest.split_at(end);
            parts.authority(authority);
            rest = tail;
        }
        let end = memchr2(b'?', b'#', rest).unwrap_or(rest.len());
        let (path, tail) = rest.split_at(end);
        parts.path = path;
        rest = tail;
        if let Some(tail) = rest.strip_prefix(b"?") {
            let end = memchr(b'#', tail).unwrap_or(tail.len());
            parts.query = Some(&tail[..end]);
            rest = &tail[end..];
        }
        parts.fragment = rest.strip_prefix(b"#");
        parts
    }

    fn authority(&mut self, authority: &'a [u8]) {
        let hostport = memchr(b'@', authority).map_or(authority, |at| &authority[at + 1..]);
        let host_len = if hostport.first() == Some(&b'[') {
            // an address without its closing bracket is taken whole
            memchr(b']', hostport).map_or(hostport.len(), |at| at + 1)
        } else {
            memchr(b':', hostport).unwrap_or(hostport.len())
        };
        let (host, tail) = hostport.split_at(host_len);
        self.host = Some(host);
        self.port = memchr(b':', tail).and_then(|at| port_number(&tail[at + 1..]));
    }

    /// What `http.uri` holds: path, query and fragment, decoded; the path normalised as well.
    /// `None` if that is nothing. True: what is to be decoded twice was encoded twice.
    pub(super) fn normalized(&self, twice: Twice) -> (Option<Vec<u8>>, bool) {
        let mut encoded = false;
        let len = self.path.len()
            + self.query.map_or(0, |q| q.len() + 1)
            + self.fragment.map_or(0, |f| f.len() + 1);
        let mut out = Vec::with_capacity(len);
        decode_path(self.path, &mut out);
        if !out.is_ascii() {
            decode_utf8(&mut out);
        }
        remove_dot_segments(&mut out);
        if twice.path {
            encoded |= decode_again(&mut out, 0);
        }
        if let Some(query) = self.query {
            out.push(b'?');
            let begin = out.len();
            percent_decode(query, &mut out, plain_escape);
            if twice.query {
                encoded |= decode_again(&mut out, begin);
            }
        }
        if let Some(fragment) = self.fragment {
            out.push(b'#');
            percent_decode(fragment, &mut out, escape);
        }
        ((!out.is_empty()).then_some(out), encoded)
    }

    /// The host, decoded, in lower case, without the dots at its end.
    pub(super) fn normalized_host(&self) -> Option<Vec<u8>> {
        let host = self.host?;
        let mut out = Vec::with_capacity(host.len());
        percent_decode(host, &mut out, escape);
        out.make_ascii_lowercase();
        while out.last() == Some(&b'.') {
            out.pop();
        }
        Some(out)
    }
}

/// Whether a URI is a path and perhaps a query that are normalised as they are sent: nothing in them is
/// encoded, and the path has no empty or dot segments.
pub(super) fn is_normal(uri: &[u8]) -> bool {
    let path = memchr2(b'?', b'#', uri).unwrap_or(uri.len());
    let (path, tail) = uri.split_at(path);
    let mut slash = false;
    let plain = path.iter().all(|&b| {
        let fits = b < 0x80 && b != b'%' && b != b'\\' && !(slash && matches!(b, b'/' | b'.'));
        slash = b == b'/';
        fits
    });
    path.first() == Some(&b'/') && plain && memchr(b'%', tail).is_none()
}

/// One `%` escape at the head of `s`: the byte it stands for and its length. A broken escape stands
/// for itself, one `%` long.
fn escape(s: &[u8]) -> (u8, usize) {
    if let Some(b'u' | b'U') = s.get(1) {
        // IIS: %uHHHH
        return s.get(2..6).and_then(hex).map_or((b'%', 1), |c| (best_fit(c), 6));
    }
    plain_escape(s)
}

/// The same without `%u`, which the query does not know.
fn plain_escape(s: &[u8]) -> (u8, usize) {
    s.get(1..3).and_then(hex).map_or((b'%', 1), |c| (c as u8, 3))
}

fn hex(s: &[u8]) -> Option<u32> {
    s.iter().try_fold(0, |v, &b| Some(v * 16 + char::from(b).to_digit(16)?))
}

/// Undoes percent encoding once; `+` stays.
fn percent_decode(mut s: &[u8], out: &mut Vec<u8>, escape: fn(&[u8]) -> (u8, usize)) {
    while let Some(at) = memchr(b'%', s) {
        out.extend_from_slice(&s[..at]);
        let (byte, len) = escape(&s[at..]);
        out.push(byte);
        s = &s[at + len..];
    }
    out.extend_from_slice(s);
}

/// Undoes percent encoding once more from a place on. True: there was some.
fn decode_again(out: &mut Vec<u8>, from: usize) -> bool {
    if memchr(b'%', out.get(from..).unwrap_or_default()).is_none() {
        return false;
    }
    let (before, once) = (out.len(), out.split_off(from));
    percent_decode(&once, out, plain_escape);
    out.len() < before
}

/// Undoes percent encoding once, makes backslashes slashes, and one slash of several.
fn decode_path(mut s: &[u8], out: &mut Vec<u8>) {
    while let Some(&first) = s.first() {
        let (mut byte, len) = if first == b'%' { escape(s) } else { (first, 1) };
        s = &s[len..];
        if byte == b'\\' {
            byte = b'/';
        }
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
}

/// Turns UTF-8 into one byte a character by best fit. Overlong forms are decoded, since servers do;
/// what is no UTF-8 becomes a question mark, and a sequence that the end cuts off goes.
fn decode_utf8(path: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while let Some(&lead) = path.get(read) {
        let (len, first, bits) = match lead {
            0x00..=0x7f => (1, 0x80..=0xbf, u32::from(lead)),
            0xc0..=0xdf => (2, 0x80..=0xbf, u32::from(lead & 0x1f)),
            // no surrogates
            0xed => (3, 0x80..=0x9f, 0xd),
            0xe0..=0xef => (3, 0x80..=0xbf, u32::from(lead & 0xf)),
            // nothing above U+10FFFF
            0xf4 => (4, 0x80..=0x8f, 4),
            0xf0..=0xf3 => (4, 0x80..=0xbf, u32::from(lead & 0x7)),
            0x80..=0xbf | 0xf5..=0xff => (0, 0x80..=0xbf, 0),
        };
        read += 1;
        let mut c = bits;
        let mut valid = len > 0;
        for i in 1..len {
            match path.get(read) {
                None => {
                    path.truncate(write);
                    return;
                }
                Some(b)
                    if (i == 1 && first.contains(b)) || (i > 1 && (0x80..=0xbf).contains(b)) =>
                {
                    c = c << 6 | u32::from(b & 0x3f);
                    read += 1;
                }
                // the byte that does not belong is looked at again, as the first of its own
                Some(_) => {
                    valid = false;
                    break;
                }
            }
        }
        path[write] = if valid { best_fit(c) } else { REPLACEMENT };
        write += 1;
    }
    path.truncate(write);
}

/// Removes `.` and `..` segments (RFC 3986, 5.2.4), except that a path which ends in one does not
/// keep the slash before it.
fn remove_dot_segments(path: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    // what the next segment begins with: after a dot segment the slash is still to be written
    let mut slash = false;
    while read < path.len() {
        let begins = slash || path[read] == b'/';
        let rest = if slash { &path[read..] } else { &path[read + usize::from(begins)..] };
        let used = usize::from(begins && !slash);
        if begins {
            if rest.starts_with(b"./") || rest == b"." {
                read += used + rest.len().min(2);
                slash = true;
                continue;
            }
            if rest.starts_with(b"../") || rest == b".." {
                read += used + rest.len().min(3);
                slash = true;
                while write > 0 && path[write - 1] != b'/' {
                    write -= 1;
                }
                write = write.saturating_sub(1);
                continue;
            }
        } else {
            if rest.starts_with(b"../") || rest == b".." {
                read += rest.len().min(3);
                continue;
            }
            if rest.starts_with(b"./") || rest == b"." {
                read += rest.len().min(2);
                continue;
            }
        }
        if begins {
            path[write] = b'/';
            write += 1;
            read += used;
            slash = false;
        } else if read < path.len() {
            path[write] = path[read];
            write += 1;
            read += 1;
        }
        while read < path.len() && path[read] != b'/' {
            path[write] = path[read];
            write += 1;
            read += 1;
        }
    }
    path.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(uri: &[u8]) -> Option<String> {
        Parts::parse(uri)
            .normalized(Twice::default())
            .0
            .map(|b| b.iter().map(|&b| char::from(b)).collect())
    }

    proptest::proptest! {
        #[test]
        fn what_counts_as_normal_is_normalised_to_itself(uri in "/[a-c./?#%2\\\\:@é]{0,12}") {
            if is_normal(uri.as_bytes()) {
                let parts = Parts::parse(uri.as_bytes());
                proptest::prop_assert_eq!(parts.normalized(Twice::default()).0, Some(uri.clone().into_bytes()));
                proptest::prop_assert_eq!((parts.host, parts.port), (None, None));
            }
        }
    }

    #[test]
    fn ordinary_paths_are_normal() {
        for uri in [&b"/"[..], b"/a/b.html?x=1&y=../z//", b"/a-b_c~d;e"] {
            assert!(is_normal(uri));
        }
        for uri in
            [&b""[..], b"*", b"//", b"/.", b"/a/../b", b"/%41", b"/a?%41", b"http://h/", b"/\\"]
        {
            assert!(!is_normal(uri), "{}", String::from_utf8_lossy(uri));
        }
    }

    #[test]
    fn paths_are_normalised_as_rules_expect() {
        // each pair was observed with Suricata 7.0.10
        for (uri, want) in [
            (&b"/a%2fb/%41?x=%41%2f+b#fr%41"[..], Some("/a/b/A?x=A/+b#frA")),
            (b"/a/../b//c\\d/./e", Some("/b/c/d/e")),
            (b"http://User:pw@EXAMPLE.com.:8080/x?y", Some("/x?y")),
            (b"/%u0041%u2215x", Some("/A/x")),
            (b"/\xc3\xa9/%ff/%zz%4", Some("/\u{e9}/?/%zz%4")),
            (b"*", Some("*")),
            (b"//x/y", Some("/x/y")),
            (b"/%00a%2500", Some("/\0a%00")),
            (b"example.com:443", Some("443")),
            (b"/x;y=1/../../z", Some("/z")),
            (b"/%c0%af..%c0%afx", Some("/x")),
            (b"?q=1", Some("?q=1")),
            (b"/a?b?c#d?e", Some("/a?b?c#d?e")),
            (b"http:///foo", Some("/foo")),
            (b"/..", None),
            (b"/a/..", None),
            (b"/a/.", Some("/a")),
            (b"..//x", Some("x")),
        ] {
            assert_eq!(normal(uri).as_deref(), want, "{}", String::from_utf8_lossy(uri));
        }
    }

    #[test]
    fn what_is_encoded_twice_is_decoded_twice_where_asked_for() {
        let of = |uri: &[u8], path, query| {
            let (text, encoded) = Parts::parse(uri).normalized(Twice { path, query });
            (text.map(|text| String::from_utf8_lossy(&text).into_owned()), encoded)
        };
        let told = |text: &str, encoded| (Some(text.to_owned()), encoded);
        let uri = b"/a%2527b/%zz?x=%2541";
        assert_eq!(of(uri, false, false), told("/a%27b/%zz?x=%41", false));
        assert_eq!(of(uri, true, false), told("/a'b/%zz?x=%41", true));
        assert_eq!(of(uri, false, true), told("/a%27b/%zz?x=A", true));
        assert_eq!(of(b"/a%25zz?%27", true, true), told("/a%zz?'", false));
    }

    #[test]
    fn the_authority_is_split() {
        let p = Parts::parse(b"http://u:p@Ho%73T.:81/x");
        assert_eq!((p.host, p.port), (Some(&b"Ho%73T."[..]), Some(81)));
        assert_eq!(p.normalized_host().unwrap(), b"host");
        let p = Parts::parse(b"http://[::1]:8/");
        assert_eq!((p.host, p.port), (Some(&b"[::1]"[..]), Some(8)));
        let p = Parts::parse(b"http://[::1");
        assert_eq!((p.host, p.path), (Some(&b"[::1"[..]), &b""[..]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_normalise_to_no_more_bytes(uri: Vec<u8>) {
            let parts = Parts::parse(&uri);
            if let Some(n) = parts.normalized(Twice { path: true, query: true }).0 {
                proptest::prop_assert!(n.len() <= uri.len());
            }
            let _ = parts.normalized_host();
        }

        #[test]
        fn dot_segments_go_as_in_the_rfc(
            segs in proptest::collection::vec(proptest::sample::select(vec![".", "..", "a", "b.c", "..."]), 1..8),
        ) {
            // model: a stack; the last segment is a name so that both agree on the trailing slash
            let mut stack: Vec<&str> = Vec::new();
            for s in segs.iter().copied().chain(["end"]) {
                match s {
                    "." => {}
                    ".." => { stack.pop(); }
                    s => stack.push(s),
                }
            }
            let uri = format!("/{}/end", segs.join("/"));
            let want: String = stack.iter().map(|s| format!("/{s}")).collect();
            proptest::prop_assert_eq!(normal(uri.as_bytes()).unwrap(), want);
        }
    }
}
