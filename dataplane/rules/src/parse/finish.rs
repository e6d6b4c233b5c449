//! From a rule whose options were read to a [`Signature`]: what can be said only at the end.

use std::sync::Arc;

use super::base64;
use super::buffers;
use super::classification::DEFAULT_PRIORITY;
use super::draft::{Draft, Item, List};
use super::transforms;
use crate::signature::{
    Action, AddressSet, Buffer, Compare, Content, FastPattern, HeaderTest, Kind, Number, Origin,
    PortSet, Signature, Test, TransactionTest, filled,
};

/// Tests on one buffer of one rule.
const MOST_TESTS: usize = 512;

/// What the header and the text give to the signature.
pub(crate) struct Frame {
    pub(crate) origin: Origin,
    pub(crate) text: Arc<str>,
    pub(crate) src: AddressSet,
    pub(crate) src_port: PortSet,
    pub(crate) dst: AddressSet,
    pub(crate) dst_port: PortSet,
    pub(crate) bidirectional: bool,
}

/// Checks what concerns the whole rule and makes the signature.
pub(crate) fn finish(mut draft: Draft<'_, '_>, frame: Frame) -> Result<Signature, String> {
    let Some(sid) = draft.sid else {
        return Err("the rule has no sid".to_owned());
    };
    buffers::leave(&draft)?;
    draft.lists.retain(|list| !list.items.is_empty());
    base64::attach(&mut draft.lists)?;
    for list in &mut draft.lists {
        if list.items.len() > MOST_TESTS {
            // Each may make the verification go one call deeper.
            return Err(format!("a buffer has {MOST_TESTS} tests at most"));
        }
        normalise(list);
        // Suricata looks at objects when all else of the payload holds.
        list.items.sort_by_key(|item| matches!(item.test, Test::Asn1(_)));
        prepare(list);
        check_list(list)?;
    }
    check_payload_size(&draft)?;
    let (to_server, to_client) = directions(&mut draft)?;
    check_inspection(&draft)?;
    let fast_pattern = chopped(&draft.lists);
    let (class, class_priority) = match draft.class {
        Some(entry) => (Some(entry.class), entry.priority),
        None => (None, DEFAULT_PRIORITY),
    };
    Ok(Signature {
        gid: draft.gid.unwrap_or(1),
        sid,
        rev: draft.rev.unwrap_or(0),
        msg: draft.msg.unwrap_or_else(|| Arc::from("")),
        origin: frame.origin,
        text: frame.text,
        action: draft.action,
        protocol: draft.protocol,
        src: frame.src,
        src_port: frame.src_port,
        dst: frame.dst,
        dst_port: frame.dst_port,
        bidirectional: frame.bidirectional,
        class,
        priority: draft.priority.unwrap_or(class_priority),
        metadata: draft.metadata.into(),
        references: draft.references.into(),
        target: draft.target,
        flow: draft.flow,
        header: draft.header,
        buffers: draft.lists.into_iter().map(List::into_tests).collect(),
        app_protocol_tests: draft.app_protocol_tests,
        events: draft.events,
        transaction_tests: draft.transaction_tests,
        flowbit_tests: draft.flowbit_tests,
        flowbit_sets: draft.flowbit_sets,
        flowint_tests: draft.flowint_tests,
        flowint_sets: draft.flowint_sets,
        threshold: draft.threshold,
        detection_filter: draft.detection_filter,
        filters: None,
        extra: draft.extra,
        noalert: draft.noalert || draft.action == Action::Config,
        variables: u8::try_from(draft.variables.len()).unwrap_or(u8::MAX),
        fast_pattern,
        kind: Kind::Packet,
        needs_packet: false,
        needs_stream: false,
        to_server,
        to_client,
        rulesets: 1,
    })
}

/// Does a test begin at the end of the last match?
fn is_relative(test: &Test) -> bool {
    match test {
        Test::Content(content) => content.is_relative(),
        Test::Pcre(pcre) => pcre.relative,
        Test::ByteTest(test) => test.relative,
        Test::ByteJump(jump) => jump.relative,
        Test::ByteExtract(extract) => extract.relative,
        Test::IsDataAt(test) => test.relative,
        Test::ByteMath(math) => math.relative,
        Test::Base64(_) | Test::Asn1(_) | Test::Data(_) | Test::Size(_) | Test::FileHash(_) => {
            false
        }
    }
}

/// Fills in what the tests of a buffer, which change no more, tell of each other and of themselves.
pub(crate) fn prepare(list: &mut List) {
    mark_relative_next(list);
    for item in &mut list.items {
        if let Test::Content(content) = &mut item.test {
            content.choose_rarest();
        }
    }
}

/// Sets `relative_next` on every content and pcre whose other occurrences may lead further,
/// where Suricata does: a relative content or pcre concerns the content or pcre before it
/// whatever stands between, any other relative test only the one directly before it.
fn mark_relative_next(list: &mut List) {
    let mut last_match = None;
    let mut directly_before = false;
    let mut marked = Vec::new();
    for (at, item) in list.items.iter().enumerate() {
        let matches = matches!(item.test, Test::Content(_) | Test::Pcre(_));
        if is_relative(&item.test) && (matches || directly_before) {
            marked.extend(last_match);
        }
        match item.test {
            Test::Content(_) | Test::Pcre(_) => {
                last_match = Some(at);
                directly_before = true;
            }
            Test::Size(_) => {}
            _ => directly_before = false,
        }
    }
    for at in marked {
        match list.items.get_mut(at).map(|item| &mut item.test) {
            Some(Test::Content(content)) => content.relative_next = true,
            Some(Test::Pcre(pcre)) => pcre.relative_next = true,
            _ => {}
        }
    }
}

/// What the contents of a buffer need in bytes at least.
fn least_size(list: &List) -> u64 {
    let mut least = 0;
    // Bytes before the point that relative tests start from.
    let mut reached: u64 = 0;
    for item in &list.items {
        match &item.test {
            Test::Content(content) if !content.negated => {
                let literal = |number: Option<Number>| match number {
                    Some(Number::Literal(n)) => n,
                    None | Some(Number::Variable(_)) => 0,
                };
                let start = match content.distance {
                    // A variable may hold anything.
                    Some(Number::Variable(_)) => 0,
                    _ if content.is_relative() => {
                        reached.saturating_add_signed(literal(content.distance))
                    }
                    _ => 0u64.saturating_add_signed(literal(content.offset)),
                };
                reached = start.saturating_add(length(content));
                least = least.max(reached);
            }
            Test::Pcre(pcre) if !pcre.negated => reached = 0,
            Test::ByteJump(_) | Test::ByteExtract(_) | Test::ByteMath(_) => reached = 0,
            _ => {}
        }
    }
    least
}

/// A pattern's length.
fn length(content: &Content) -> u64 {
    u64::try_from(content.pattern.len()).unwrap_or(u64::MAX)
}

/// The most that a size comparison lets through, as far as Suricata holds contents against it.
fn most<T: Copy + Into<u64>>(size: &Compare<T>) -> Option<u64> {
    match *size {
        Compare::Equal(n) | Compare::Less(n) | Compare::Between(_, n) => Some(n.into()),
        _ => None,
    }
}

/// Writes contents for buffers of one case in that case, as Suricata does.
fn normalise(list: &mut List) {
    let change: fn(&mut [u8]) = match list.buffer {
        _ if !list.transforms.is_empty() => return,
        Buffer::TlsCertFingerprint | Buffer::Ja3Hash | Buffer::Ja3sHash => {
            <[u8]>::make_ascii_lowercase
        }
        Buffer::TlsCertSerial => <[u8]>::make_ascii_uppercase,
        _ => return,
    };
    for item in &mut list.items {
        // without case it stays as the search wants it
        if let Test::Content(content) = &mut item.test
            && !content.nocase
        {
            change(&mut content.pattern);
        }
    }
}

/// Checks what contents of a buffer can be at all.
fn check_list(list: &List) -> Result<(), String> {
    let contents = || list.items.iter().filter_map(Item::content);
    for item in &list.items {
        let (least, most) = match &item.test {
            Test::Size(Compare::Equal(n)) if item.urilen => {
                let positive = contents().filter(|content| !content.negated);
                (positive.map(length).max().unwrap_or(0), Some(*n))
            }
            Test::Size(size) if !item.urilen => (least_size(list), most(size)),
            _ => continue,
        };
        if let Some(most) = most.filter(|&most| least > most) {
            return Err(format!("the contents need {least} bytes, the size allows {most}"));
        }
    }
    if !list.transforms.is_empty() {
        return transforms::check(list);
    }
    for content in contents() {
        let digest = match list.buffer {
            Buffer::TlsCertFingerprint => Some(59),
            Buffer::Ja3Hash | Buffer::Ja3sHash => Some(32),
            _ => None,
        };
        if let Some(wanted) = digest.filter(|&wanted| wanted != content.pattern.len()) {
            let found = content.pattern.len();
            return Err(format!(
                "the buffer has {wanted} characters, a content of {found} never is it"
            ));
        }
        match list.buffer {
            Buffer::HttpHost if content.nocase => {
                return Err("http.host is in lower case, nocase is of no use".to_owned());
            }
            Buffer::HttpHost if content.pattern.iter().any(u8::is_ascii_uppercase) => {
                let reason = "http.host is in lower case, an upper-case content cannot match";
                return Err(reason.to_owned());
            }
            Buffer::HttpMethod
                if content.pattern.starts_with(b" ") || content.pattern.ends_with(b" ") =>
            {
                return Err("http.method has no space before or behind it".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks `dsize` against the contents of the payload.
fn check_payload_size(draft: &Draft<'_, '_>) -> Result<(), String> {
    let sizes = draft.header.iter().filter_map(|test| match test {
        HeaderTest::Dsize(size) => most(size),
        _ => None,
    });
    let payload = draft.lists.iter().find(|list| list.buffer == Buffer::Payload);
    let least = payload.map_or(0, least_size);
    match sizes.min().filter(|&most| least > most) {
        Some(most) => Err(format!("the contents need {least} bytes, dsize allows {most}")),
        None => Ok(()),
    }
}

/// The directions that packets of a match go in.
fn directions(draft: &mut Draft<'_, '_>) -> Result<(bool, bool), String> {
    if draft.flow.to_server && draft.flow.to_client {
        // Written in two `flow`s: either will do.
        draft.flow.to_server = false;
        draft.flow.to_client = false;
    }
    let (to_server, to_client) = (!draft.flow.to_client, !draft.flow.to_server);
    let (mut requests, mut responses) = filled(draft.lists.iter().map(|list| list.buffer));
    for (to_server, to_client) in draft.transaction_tests.iter().map(TransactionTest::directions) {
        requests &= to_server;
        responses &= to_client;
    }
    if !requests && !responses {
        let reason =
            "what belongs to requests and what belongs to responses is never there together";
        return Err(reason.to_owned());
    }
    let (to_server, to_client) = (to_server && requests, to_client && responses);
    if !to_server && !to_client {
        let (way, whose) =
            if requests { ("to_client", "requests") } else { ("to_server", "responses") };
        return Err(format!("flow:{way} contradicts what belongs to {whose}"));
    }
    Ok((to_server, to_client))
}

/// Packets, streams and transactions are looked at apart; a rule cannot ask for two that no
/// inspection sees together.
fn check_inspection(draft: &Draft<'_, '_>) -> Result<(), String> {
    let packet = match &draft.packet_keyword {
        Some(keyword) => Some(keyword.as_str()),
        None if draft.protocol.packet_only => Some("tcp-pkt"),
        None if draft.flow.no_stream => Some("flow:no_stream"),
        None => None,
    };
    let Some(packet) = packet else { return Ok(()) };
    if draft.protocol.stream_only || draft.flow.only_stream {
        return Err(format!("{packet} asks for packets, tcp-stream and only_stream refuse them"));
    }
    if draft.lists.iter().any(|list| list.buffer.is_transaction()) {
        return Err(format!("{packet} asks for a packet, the rule's buffers for a transaction"));
    }
    if draft.events.iter().any(|event| event.proto() != app::AppProto::Unknown) {
        return Err(format!("{packet} asks for a packet, the rule's event for a transaction"));
    }
    Ok(())
}

/// The slice that `fast_pattern:offset,length` chose, if any content has that.
fn chopped(lists: &[List]) -> Option<FastPattern> {
    lists.iter().enumerate().find_map(|(buffer, list)| {
        list.items.iter().enumerate().find_map(|(test, item)| {
            let (start, len) = item.chop?;
            let positive = item.content().is_some_and(|content| !content.negated);
            positive.then_some(FastPattern { buffer, test, start, len })
        })
    })
}
