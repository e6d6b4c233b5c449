//! How the compiler takes one signature: its way of evaluation, the contents that may be looked for
//! first, and what it can never match.

use std::collections::BTreeSet;

use super::ports::union;
use super::rarity::best_slice;
use super::{classify, fast_pattern};
use crate::signature::{Action, Buffer, Compare, HeaderTest, Kind, Signature, Test};

/// A content that may be looked for first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it stands.
    pub buffer: Buffer,
    /// What would be looked for of it.
    pub bytes: Vec<u8>,
    /// Letters match in either case.
    pub nocase: bool,
    /// The rule marks it `fast_pattern`.
    pub marked: bool,
    /// How rare it is thought to be in traffic, in bits.
    pub bits: u32,
}

/// How one signature is taken.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The signature with its kind, needs, directions and fast pattern.
    pub signature: Signature,
    /// The content that is looked for first; None: every packet, stream or transaction that the
    /// rule's group meets is verified.
    pub chosen: Option<Candidate>,
    /// All that could be looked for, the chosen one among them, in rule order.
    pub candidates: Vec<Candidate>,
    /// Why the chosen one is, or why there is none.
    pub why: &'static str,
    /// The server ports whose group it is in; None: all.
    pub ports: Option<Vec<(u16, u16)>>,
    /// Tests that a verification goes through.
    pub tests: usize,
    /// What keeps it from ever matching, each a sentence.
    pub never: Vec<String>,
}

/// Explains a signature as the parser has made it.
pub fn explain(mut signature: Signature) -> Explanation {
    classify::classify(&mut signature);
    fast_pattern::choose(&mut signature);
    let mut candidates = Vec::new();
    let mut chosen = None;
    for (buffer, tests) in signature.buffers.iter().enumerate() {
        for (test, content) in tests.tests.iter().enumerate() {
            let Test::Content(content) = content else { continue };
            if content.negated || content.pattern.is_empty() {
                continue;
            }
            let (slice, worth) = best_slice(&content.pattern, content.nocase);
            let mut candidate = Candidate {
                buffer: tests.buffer,
                bytes: content.pattern.get(slice).unwrap_or_default().to_vec(),
                nocase: content.nocase,
                marked: content.fast_pattern,
                bits: worth / 8,
            };
            let fast = signature.fast_pattern.filter(|f| (f.buffer, f.test) == (buffer, test));
            if let Some(fast) = fast {
                let bytes = content.pattern.get(fast.start..fast.start + fast.len);
                candidate.bytes = bytes.unwrap_or_default().to_vec();
                chosen = Some(candidate.clone());
            }
            candidates.push(candidate);
        }
    }
    let why = match (&chosen, signature.kind) {
        (Some(candidate), _) if candidate.marked => "the rule marks it with fast_pattern",
        (Some(_), _) if candidates.len() == 1 => "it is the only content that is not negated",
        (Some(_), _) => "it is the rarest in traffic of those that can be looked for",
        (None, Kind::IpOnly) => "addresses are looked up by themselves, once a flow and direction",
        (None, _) if !signature.events.is_empty() => "it is tried where its event is recorded",
        (None, _) if candidates.is_empty() => "it has no content that is not negated",
        (None, _) => "its contents stand where nothing is looked for first",
    };
    let tests: usize = signature.buffers.iter().map(|buffer| buffer.tests.len()).sum();
    let tests = tests
        + signature.header.len()
        + signature.flowbit_tests.len()
        + signature.flowint_tests.len()
        + signature.transaction_tests.len()
        + signature.events.len();
    let ports = union(&if signature.bidirectional {
        vec![&signature.src_port, &signature.dst_port]
    } else if signature.to_server || !signature.to_client {
        vec![&signature.dst_port]
    } else {
        vec![&signature.src_port]
    });
    let never = never(&signature);
    Explanation { signature, chosen, candidates, why, ports, tests, never }
}

/// What keeps a signature from ever matching, as far as it can be told.
fn never(signature: &Signature) -> Vec<String> {
    let mut never = Vec::new();
    for (name, set) in [("source", &signature.src), ("destination", &signature.dst)] {
        if !set.any && set.v4.is_empty() && set.v6.is_empty() {
            never.push(format!("its {name} addresses are an empty set"));
        }
    }
    for (name, set) in [("source", &signature.src_port), ("destination", &signature.dst_port)] {
        if !set.any && set.ranges.is_empty() {
            never.push(format!("its {name} ports are an empty set"));
        }
    }
    if !signature.to_server && !signature.to_client {
        never.push("no direction fits both its flow and its buffers".to_owned());
    }
    let sizes: Vec<_> = signature
        .header
        .iter()
        .filter_map(|test| match test {
            HeaderTest::Dsize(size) => Some(size),
            _ => None,
        })
        .collect();
    if !sizes.is_empty() && !(0..=u16::MAX).any(|n| sizes.iter().all(|size| size.holds(n))) {
        never.push("no payload has the size that dsize asks for".to_owned());
    }
    for buffer in &signature.buffers {
        let sizes: Vec<&Compare<u64>> = buffer
            .tests
            .iter()
            .filter_map(|test| match test {
                Test::Size(size) => Some(size),
                _ => None,
            })
            .collect();
        if !sizes.is_empty() && !(0..=1 << 17).any(|n| sizes.iter().all(|size| size.holds(n))) {
            never.push(format!("no {:?} has the size that is asked for", buffer.buffer));
        }
    }
    let set: BTreeSet<u32> = signature
        .flowbit_tests
        .iter()
        .filter(|test| !test.negated && test.any_of.len() == 1)
        .flat_map(|test| test.any_of.iter().copied())
        .collect();
    let clash = signature
        .flowbit_tests
        .iter()
        .any(|test| test.negated && test.any_of.iter().any(|bit| set.contains(bit)));
    if clash {
        never.push("a flowbit is to be set and not set".to_owned());
    }
    if signature.noalert && signature.action != Action::Pass && !signature.changes_something() {
        never.push("it is noalert and changes nothing: a match is not seen".to_owned());
    }
    never
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rule, v4};
    use super::*;
    use crate::signature::FlowbitTest;

    #[test]
    fn the_chosen_content_is_told_with_its_reason() {
        let plain = explain(rule("tcp", 1).content(Buffer::Payload, b"needle in a haystack"));
        assert_eq!(plain.chosen, plain.candidates.first().cloned());
        assert_eq!(plain.why, "it is the only content that is not negated");
        let marked = rule("tcp", 1).content(Buffer::Payload, b"needle in a haystack").content_with(
            Buffer::Payload,
            b"abc",
            |content| content.fast_pattern = true,
        );
        let marked = explain(marked);
        assert_eq!(marked.chosen.map(|chosen| chosen.bytes), Some(b"abc".to_vec()));
        assert_eq!((marked.candidates.len(), marked.tests), (2, 2));
        assert_eq!(marked.why, "the rule marks it with fast_pattern");
        let none = explain(rule("tcp", 1).with(|s| s.header.push(HeaderTest::SameIp)));
        assert_eq!((none.chosen, none.why), (None, "it has no content that is not negated"));
    }

    #[test]
    fn what_can_never_match_is_told() {
        let ok = rule("tcp", 1).content(Buffer::Payload, b"abc");
        assert_eq!(explain(ok.clone()).never, [""; 0]);
        let said = |change: fn(&mut Signature)| explain(ok.clone().with(change)).never.len();
        assert_eq!(said(|s| s.src = v4(&[])), 1);
        assert_eq!(said(|s| s.dst_port.any = false), 1);
        assert_eq!(
            said(|s| {
                s.header.push(HeaderTest::Dsize(Compare::Less(5)));
                s.header.push(HeaderTest::Dsize(Compare::Greater(9)));
            }),
            1
        );
        assert_eq!(
            said(|s| {
                s.flowbit_tests.push(FlowbitTest { any_of: vec![1], negated: false });
                s.flowbit_tests.push(FlowbitTest { any_of: vec![1], negated: true });
            }),
            1
        );
        assert_eq!(said(|s| s.noalert = true), 1);
    }
}
