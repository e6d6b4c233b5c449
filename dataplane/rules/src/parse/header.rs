//! A rule's first part, `action protocol address port direction address port`, cut into words.

use super::rejection::Fault;
use super::text::{shown, text};
use crate::signature::Action;

/// A word and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'t> {
    /// The word.
    pub(crate) bytes: &'t [u8],
    /// Its first byte in the rule.
    pub(crate) start: usize,
}

impl Word<'_> {
    /// A fault that concerns this word.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::at(self.start, self.start + self.bytes.len(), reason)
    }
}

/// A header in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header<'t> {
    /// What a match does.
    pub(crate) action: Action,
    /// The protocol's word.
    pub(crate) protocol: Word<'t>,
    /// Source address and port, destination address and port.
    pub(crate) ends: [Word<'t>; 4],
    /// `<>`.
    pub(crate) bidirectional: bool,
    /// Where the options' parenthesis opens.
    pub(crate) options: usize,
}

/// Cuts the header off a rule.
pub(crate) fn header(rule: &[u8]) -> Result<Header<'_>, Fault> {
    let (words, options) = words(rule);
    let [action, protocol, src, src_port, direction, dst, dst_port] = words.as_slice() else {
        let reason = match (words.len(), options) {
            (0..7, Some(_)) => {
                "the header is not complete: action protocol address port -> address port"
            }
            (0..7, None) => "not a rule: action protocol address port -> address port (options)",
            _ => "too many words in the header: spaces within a list need brackets around them",
        };
        let first = words.first().map_or(0, |word| word.start);
        return Err(Fault::at(first, options.unwrap_or(rule.len()), reason));
    };
    let action = self::action(action)?;
    let bidirectional = match direction.bytes {
        b"->" => false,
        b"<>" => true,
        b"=>" => {
            return Err(direction.fault("direction `=>` (transactional rules) is not evaluated"));
        }
        other => {
            let reason = format!("`{}` is not a direction: `->` or `<>`", shown(&text(other)));
            return Err(direction.fault(reason));
        }
    };
    let Some(options) = options else {
        return Err(Fault::at(rule.len(), rule.len(), "the rule has no options"));
    };
    Ok(Header {
        action,
        protocol: *protocol,
        ends: [*src, *src_port, *dst, *dst_port],
        bidirectional,
        options,
    })
}

/// The rule's first word.
fn action(word: &Word<'_>) -> Result<Action, Fault> {
    Ok(match word.bytes.to_ascii_lowercase().as_slice() {
        b"alert" => Action::Alert,
        b"drop" => Action::Drop,
        b"pass" => Action::Pass,
        b"reject" | b"rejectsrc" | b"rejectdst" | b"rejectboth" => Action::Reject,
        b"config" => Action::Config,
        _ => {
            let name = text(word.bytes);
            return Err(word.fault(format!("action `{}` is not known", shown(&name))));
        }
    })
}

/// Words up to the parenthesis that opens the options, and where that is. White space within
/// brackets does not end a word.
fn words(rule: &[u8]) -> (Vec<Word<'_>>, Option<usize>) {
    const MOST: usize = 8;
    let mut words = Vec::with_capacity(MOST);
    let mut start = None;
    let mut open = 0usize;
    let mut options = None;
    let mut end = rule.len();
    for (at, &byte) in rule.iter().enumerate() {
        match byte {
            b'(' => {
                options = Some(at);
                end = at;
                break;
            }
            b'[' => open += 1,
            b']' => open = open.saturating_sub(1),
            _ => {}
        }
        let space = byte.is_ascii_whitespace() && open == 0;
        match start {
            Some(first) if space => {
                words.push(Word { bytes: rule.get(first..at).unwrap_or(&[]), start: first });
                start = None;
                if words.len() > MOST {
                    return (words, options);
                }
            }
            None if !space => start = Some(at),
            _ => {}
        }
    }
    if let Some(first) = start {
        let bytes = rule.get(first..end).unwrap_or(&[]).trim_ascii_end();
        words.push(Word { bytes, start: first });
    }
    (words, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(rule: &str) -> (usize, String) {
        let fault = header(rule.as_bytes()).expect_err(rule);
        (fault.start, fault.reason)
    }

    #[test]
    fn a_header_is_cut_into_words() {
        let header = header(b"alert  tcp\t[1.2.3.4, !5.6.7.8] any <> any [80, 443](sid:1;)")
            .expect("header");
        assert_eq!(header.action, Action::Alert);
        assert_eq!(header.protocol.bytes, b"tcp");
        let ends = header.ends.map(|word| word.bytes);
        assert_eq!(ends, [&b"[1.2.3.4, !5.6.7.8]"[..], b"any", b"any", b"[80, 443]"]);
        assert!(header.bidirectional);
        assert_eq!(header.options, 51);
    }

    #[test]
    fn faults_name_their_word() {
        assert_eq!(reason("conf tcp any any -> any any (").0, 0);
        assert!(reason("log tcp any any -> any any (").1.contains("`log`"));
        assert_eq!(reason("alert tcp any any => any any (").0, 18);
        assert!(reason("alert tcp any any - any any (").1.contains("`-`"));
        assert!(reason("alert tcp any any -> any (").1.contains("not complete"));
        assert!(reason("alert tcp any any -> any any").1.contains("no options"));
        assert!(reason("hello").1.contains("not a rule"));
        assert!(reason("alert tcp any 80 443 -> any any x (").1.contains("too many words"));
        assert!(reason("").1.contains("not a rule"));
    }
}
