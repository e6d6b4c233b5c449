//! `pcre` (docs.suricata.io, "pcre (Perl Compatible Regular Expressions)").

use super::draft::Draft;
use super::options::Value;
use super::text::{shown, text};
use crate::signature::{Buffer, Pcre, Test};

/// An expression taken apart: `/body/flags`.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'t> {
    body: &'t [u8],
    flags: &'t [u8],
}

/// What the letters behind the closing slash mean.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Letters {
    caseless: bool,
    multi_line: bool,
    dot_all: bool,
    extended: bool,
    anchored: bool,
    dollar_end_only: bool,
    ungreedy: bool,
    relative: bool,
    raw: bool,
    buffer: Option<Buffer>,
}

/// `pcre`
pub(crate) fn pcre(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let parts = parts(value.bytes)?;
    let (flags, variables) = match parts.flags.iter().position(|&b| b == b',') {
        Some(at) => {
            let (flags, names) = parts.flags.split_at(at);
            (flags.trim_ascii_end(), self::variables(names.get(1..).unwrap_or(&[]))?)
        }
        None => (parts.flags, 0),
    };
    let letters = letters(flags)?;
    let list = match (letters.buffer, &draft.sticky) {
        (Some(buffer), Some(sticky)) if sticky.buffer != buffer => {
            let keyword = &sticky.keyword;
            return Err(format!(
                "the expression names another buffer than {keyword}, pkt_data ends that"
            ));
        }
        (Some(buffer), None) => {
            draft.need_buffer(buffer)?;
            draft.open(buffer, &[])
        }
        _ => draft.current(),
    };
    if letters.buffer == Some(Buffer::HttpHost) && has_upper_case(parts.body) {
        return Err("the host is in lower case, an upper-case letter cannot match".to_owned());
    }
    if letters.relative && draft.sticky.is_none() {
        let items = draft.lists.get(list).map_or(&[][..], |list| &list.items);
        if !items.iter().any(|item| matches!(item.test, Test::Content(_) | Test::Pcre(_))) {
            return Err("R needs a content or pcre before it in the same buffer".to_owned());
        }
    }
    let regex = compiled(draft, parts.body, letters)?;
    if variables > regex.capture_count() {
        let groups = regex.capture_count();
        return Err(format!("{variables} variables need as many groups, there are {groups}"));
    }
    let source = text(value.bytes);
    let test = Pcre {
        regex,
        source: source.as_ref().into(),
        negated: value.negated,
        relative: letters.relative,
        relative_next: false,
    };
    draft.push_to(list, Test::Pcre(test));
    Ok(())
}

/// Compiles an expression, or finds the equal one.
fn compiled(
    draft: &mut Draft<'_, '_>,
    body: &[u8],
    letters: Letters,
) -> Result<std::sync::Arc<pcre2::Regex>, String> {
    let flags = pcre2::Flags {
        caseless: letters.caseless,
        multiline: letters.multi_line,
        dotall: letters.dot_all,
        extended: letters.extended,
        anchored: letters.anchored,
        dollar_endonly: letters.dollar_end_only,
        ungreedy: letters.ungreedy,
    };
    let set = [
        (letters.caseless, 'i'),
        (letters.multi_line, 'm'),
        (letters.dot_all, 's'),
        (letters.extended, 'x'),
        (letters.anchored, 'A'),
        (letters.dollar_end_only, 'E'),
        (letters.ungreedy, 'G'),
    ];
    let mut key: String = set.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect();
    key.push('/');
    // Latin-1 keeps bytes that are not UTF-8 apart from one another.
    key.extend(body.iter().map(|&b| char::from(b)));
    draft.session.memo.expression(key, || {
        pcre2::Regex::compile(body, flags).map_err(|e| {
            format!("the expression does not compile: {} at byte {}", e.message, e.offset)
        })
    })
}

/// Takes an expression apart: from the first slash that is not escaped to the last.
fn parts(value: &[u8]) -> Result<Parts<'_>, String> {
    let wrong = || "an expression is written /…/flags".to_owned();
    let mut before = 0;
    let open = value.iter().position(|&byte| {
        let found = byte == b'/' && before != b'\\';
        before = byte;
        found
    });
    let open = open.ok_or_else(wrong)?;
    let rest = value.get(open + 1..).unwrap_or(&[]);
    let close = (0..rest.len()).rev().find(|&at| {
        let back = |n: usize| at.checked_sub(n).and_then(|i| rest.get(i)).copied();
        rest.get(at) == Some(&b'/') && !(back(1) == Some(b'\\') && back(2) != Some(b'\\'))
    });
    let close = close.ok_or_else(wrong)?;
    let (body, flags) = rest.split_at(close);
    Ok(Parts { body, flags: flags.get(1..).unwrap_or(&[]) })
}

/// Reads the letters behind the closing slash.
fn letters(flags: &[u8]) -> Result<Letters, String> {
    let mut letters = Letters::default();
    let mut buffer = None;
    for &letter in flags {
        let named = match letter {
            b'i' => {
                letters.caseless = true;
                continue;
            }
            b'm' => {
                letters.multi_line = true;
                continue;
            }
            b's' => {
                letters.dot_all = true;
                continue;
            }
            b'x' => {
                letters.extended = true;
                continue;
            }
            b'A' => {
                letters.anchored = true;
                continue;
            }
            b'E' => {
                letters.dollar_end_only = true;
                continue;
            }
            b'G' => {
                letters.ungreedy = true;
                continue;
            }
            b'R' => {
                letters.relative = true;
                continue;
            }
            b'B' => {
                letters.raw = true;
                continue;
            }
            // Suricata's own match limits; ours always hold.
            b'O' => continue,
            b'U' => Buffer::HttpUri,
            b'I' => Buffer::HttpUriRaw,
            b'M' => Buffer::HttpMethod,
            b'W' => Buffer::HttpHost,
            b'Z' => Buffer::HttpHostRaw,
            b'H' => Buffer::HttpHeader,
            b'D' => Buffer::HttpHeaderRaw,
            b'P' => Buffer::HttpRequestBody,
            b'Q' => Buffer::FileData,
            b'Y' => Buffer::HttpStatMsg,
            b'S' => Buffer::HttpStatCode,
            b'C' => Buffer::HttpCookie,
            b'V' => Buffer::HttpUserAgent,
            other => return Err(format!("flag `{}` is not known", char::from(other))),
        };
        if buffer.replace(named).is_some() {
            return Err("an expression names one buffer at most".to_owned());
        }
    }
    if letters.raw && buffer.is_some() {
        return Err("flag `B` (raw bytes) does not go with a buffer".to_owned());
    }
    letters.buffer = buffer;
    Ok(letters)
}

/// Names of variables behind the letters (`,flow:name,pkt:other`): how many there are. Their values
/// are kept nowhere, and the keywords that would ask for them are not evaluated.
fn variables(names: &[u8]) -> Result<usize, String> {
    let names = text(names);
    for name in super::text::fields(&names) {
        let named = ["flow:", "pkt:"].iter().find_map(|kind| name.strip_prefix(kind));
        if !named.is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        }) {
            return Err(format!("`{}` is not flow:name or pkt:name", shown(name)));
        }
    }
    Ok(names.split(',').count())
}

/// Is there an upper-case letter that is not part of an escape?
fn has_upper_case(body: &[u8]) -> bool {
    let mut escaped = false;
    body.iter().any(|&byte| {
        let upper = byte.is_ascii_uppercase() && !escaped;
        escaped = byte == b'\\' && !escaped;
        upper
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(value: &str) -> Option<(String, String)> {
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        parts(value.as_bytes()).ok().map(|p| (owned(p.body), owned(p.flags)))
    }

    #[test]
    fn the_body_ends_at_the_last_slash_that_is_not_escaped() {
        let pair = |body: &str, flags: &str| Some((body.to_owned(), flags.to_owned()));
        assert_eq!(cut("/a/i"), pair("a", "i"));
        assert_eq!(cut(r"/a\/b/R"), pair(r"a\/b", "R"));
        assert_eq!(cut("/a/b/"), pair("a/b", ""));
        assert_eq!(cut(r"/a\\/"), pair(r"a\\", ""));
        assert_eq!(cut(" m/a/"), pair("a", ""));
        assert_eq!(cut("//"), pair("", ""));
        assert_eq!(cut("/a"), None);
        assert_eq!(cut(r"/a\/"), None);
        assert_eq!(cut("a"), None);
        assert_eq!(cut(""), None);
    }

    #[test]
    fn letters_say_how_and_where() {
        let read = letters(b"ismxAEGRO").expect("letters");
        assert!(read.caseless && read.dot_all && read.multi_line && read.extended);
        assert!(read.anchored && read.dollar_end_only && read.ungreedy && read.relative);
        assert_eq!(letters(b"iUR").expect("letters").buffer, Some(Buffer::HttpUri));
        assert_eq!(letters(b"Z").expect("letters").buffer, Some(Buffer::HttpHostRaw));
        for flags in ["q", "UI", "UU", "BU", ",", " i", "i "] {
            assert!(letters(flags.as_bytes()).is_err(), "{flags}");
        }
        assert_eq!((variables(b"flow:x"), variables(b"flow:x, pkt:y")), (Ok(1), Ok(2)));
        assert!(variables(b"foo:x").is_err() && variables(b"flow:").is_err());
    }

    #[test]
    fn upper_case_counts_outside_escapes_only() {
        assert!(!has_upper_case(br"^\S+\.com$"));
        assert!(has_upper_case(br"\\A"));
        assert!(has_upper_case(b"[A-Z]"));
    }
}
