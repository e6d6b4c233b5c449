//! Which way a signature is evaluated ([`Kind`]), on which data and in which directions.
//! Follows Suricata 7's signature types as its `--engine-analysis` reports them.

use crate::signature::{
    BitOperation, Buffer, HeaderTest, Kind, Signature, Test, TransactionTest, filled,
};

/// TCP's IP protocol number.
pub(crate) const TCP: u8 = 6;

/// Fills `kind`, `needs_packet`, `needs_stream`, `to_server` and `to_client`.
pub(crate) fn classify(signature: &mut Signature) {
    let facts = Facts::of(signature);
    (signature.needs_packet, signature.needs_stream) = payload_needs(signature, &facts);
    signature.kind = kind(signature, &facts);
    (signature.to_server, signature.to_client) = directions(signature);
}

/// May the signature hold for packets of this IP protocol?
pub(crate) fn holds_for(signature: &Signature, protocol: u8) -> bool {
    let protocols = signature.protocol.ip_protocols;
    protocols.is_empty() || protocols.contains(&protocol)
}

/// What the decisions below ask about a signature more than once.
struct Facts {
    transaction: bool,
    payload: bool,
    /// Tests that only a packet can answer; Suricata evaluates such a rule by packet, raw
    /// payload included.
    packet: bool,
}

impl Facts {
    fn of(signature: &Signature) -> Self {
        let tested = |wanted: fn(Buffer) -> bool| {
            signature.buffers.iter().any(|b| wanted(b.buffer) && !b.tests.is_empty())
        };
        let objects = signature
            .buffers
            .iter()
            .any(|b| b.tests.iter().any(|test| matches!(test, Test::Asn1(_))));
        Self {
            transaction: tested(Buffer::is_transaction)
                || signature.has_transaction_event()
                || !signature.transaction_tests.is_empty(),
            payload: tested(|buffer| buffer == Buffer::Payload),
            packet: !signature.header.is_empty()
                || tested(Buffer::is_header)
                || signature.has_flow_event()
                || objects,
        }
    }
}

/// (`needs_packet`, `needs_stream`): where raw payload tests look. For a signature that holds
/// for more than TCP this speaks of TCP; elsewhere there are only packets.
fn payload_needs(signature: &Signature, facts: &Facts) -> (bool, bool) {
    if !facts.payload {
        return (false, false);
    }
    let packet_only = facts.packet || signature.protocol.packet_only || signature.flow.no_stream;
    if !holds_for(signature, TCP) || packet_only {
        return (true, false);
    }
    if signature.protocol.stream_only || signature.flow.only_stream {
        return (false, true);
    }
    // So does one who thinks of how far a stream has come.
    let sized = signature.extra.as_ref().is_some_and(|extra| !extra.stream_sizes.is_empty());
    (sized || has_anchored_content(signature), true)
}

/// Has a content on the raw payload that counts from the payload's start? Its author thinks of
/// packets, so that Suricata looks at those as well as at the stream.
fn has_anchored_content(signature: &Signature) -> bool {
    signature.buffers.iter().filter(|b| b.buffer == Buffer::Payload).flat_map(|b| &b.tests).any(
        |test| match test {
            Test::Content(c) => c.depth.is_some() || c.offset.is_some() || c.starts_with,
            _ => false,
        },
    )
}

fn kind(signature: &Signature, facts: &Facts) -> Kind {
    if signature.header.iter().any(|test| matches!(test, HeaderTest::Event(_))) {
        return Kind::Event;
    }
    if facts.transaction {
        return Kind::Transaction;
    }
    if is_addresses_only(signature, facts) {
        return if signature.src.negated || signature.dst.negated {
            Kind::LikeIpOnly
        } else {
            Kind::IpOnly
        };
    }
    if facts.payload {
        return if signature.needs_stream { Kind::Stream } else { Kind::Packet };
    }
    let about_protocol =
        signature.protocol.app.is_some() || !signature.app_protocol_tests.is_empty();
    if about_protocol && !facts.packet { Kind::AppProtocol } else { Kind::Packet }
}

/// Nothing but addresses, ports, IP protocol and what a match does afterwards. `flowbits:set`
/// may stand in such a rule, a change that depends on what was there before may not.
fn is_addresses_only(signature: &Signature, facts: &Facts) -> bool {
    signature.protocol.app.is_none()
        && signature.app_protocol_tests.is_empty()
        && !facts.payload
        && !signature.buffers.iter().any(|b| b.buffer.is_header() && !b.tests.is_empty())
        && signature.header.iter().all(|test| matches!(test, HeaderTest::IpProto(_)))
        && !signature.flow.present
        && !signature.protocol.packet_only
        && !signature.protocol.stream_only
        && signature.events.is_empty()
        && signature.flowbit_tests.is_empty()
        && signature.flowbit_sets.iter().all(|set| set.operation == BitOperation::Set)
        && signature.flowint_tests.is_empty()
        && signature.flowint_sets.is_empty()
        && signature.extra.as_ref().is_none_or(|extra| extra.is_addresses_only())
}

/// (`to_server`, `to_client`): what `flow` says, as far as the buffers are filled there. An
/// event may come up in either.
fn directions(signature: &Signature) -> (bool, bool) {
    let tested = signature.buffers.iter().filter(|b| !b.tests.is_empty());
    let (mut requests, mut responses) = filled(tested.map(|b| b.buffer));
    for (to_server, to_client) in
        signature.transaction_tests.iter().map(TransactionTest::directions)
    {
        requests &= to_server;
        responses &= to_client;
    }
    match (signature.flow.to_server, signature.flow.to_client) {
        (false, false) => (requests, responses),
        (to_server, to_client) => (to_server && requests, to_client && responses),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{rule, v4};
    use super::*;
    use crate::signature::FlowintSet;
    use crate::signature::{
        AppProtocolTest, Compare, FlowMatch, FlowbitSet, FlowbitTest, IntOperation, IntValue,
        IsDataAt, Number,
    };

    /// Kind, needs_packet, needs_stream, to_server, to_client.
    type Class = (Kind, bool, bool, bool, bool);

    fn class(mut signature: Signature) -> Class {
        classify(&mut signature);
        let s = signature;
        (s.kind, s.needs_packet, s.needs_stream, s.to_server, s.to_client)
    }

    fn bit(operation: BitOperation) -> FlowbitSet {
        FlowbitSet { bit: 1, operation }
    }

    const IP_ONLY: Class = (Kind::IpOnly, false, false, true, true);
    const PACKET: Class = (Kind::Packet, false, false, true, true);
    const PACKET_PAYLOAD: Class = (Kind::Packet, true, false, true, true);
    const STREAM: Class = (Kind::Stream, false, true, true, true);
    const BOTH: Class = (Kind::Stream, true, true, true, true);
    const APP: Class = (Kind::AppProtocol, false, false, true, true);
    const TRANSACTION: Class = (Kind::Transaction, false, false, true, false);

    #[test]
    fn addresses_ports_and_what_follows_a_match_are_ip_only() {
        assert_eq!(class(rule("ip", 1)), IP_ONLY);
        assert_eq!(class(rule("icmp", 1)), IP_ONLY);
        assert_eq!(class(rule("tcp", 1).with(|s| s.dst_port.any = false)), IP_ONLY);
        assert_eq!(class(rule("ip", 1).with(|s| s.bidirectional = true)), IP_ONLY);
        let set = rule("tcp", 1).with(|s| s.flowbit_sets.push(bit(BitOperation::Set)));
        assert_eq!(class(set), IP_ONLY);
        let proto = rule("ip", 1).with(|s| s.header.push(HeaderTest::IpProto(Compare::Equal(6))));
        assert_eq!(class(proto), IP_ONLY);
    }

    #[test]
    fn negated_addresses_are_like_ip_only() {
        let negated = rule("ip", 1).with(|s| {
            s.src = v4(&[]);
            s.src.negated = true;
        });
        assert_eq!(class(negated).0, Kind::LikeIpOnly);
    }

    #[test]
    fn anything_that_asks_for_more_than_addresses_is_not_ip_only() {
        let flow = rule("ip", 1).with(|s| {
            s.flow = FlowMatch { present: true, to_server: true, ..FlowMatch::default() };
        });
        assert_eq!(class(flow), (Kind::Packet, false, false, true, false));
        let unset = rule("tcp", 1).with(|s| s.flowbit_sets.push(bit(BitOperation::Unset)));
        assert_eq!(class(unset), PACKET);
        let toggle = rule("tcp", 1).with(|s| s.flowbit_sets.push(bit(BitOperation::Toggle)));
        assert_eq!(class(toggle), PACKET);
        let asks = rule("tcp", 1)
            .with(|s| s.flowbit_tests.push(FlowbitTest { any_of: vec![1], negated: true }));
        assert_eq!(class(asks), PACKET);
        let counts = rule("tcp", 1).with(|s| {
            s.flowint_sets.push(FlowintSet {
                variable: 1,
                operation: IntOperation::Add,
                value: IntValue::Literal(1),
            });
        });
        assert_eq!(class(counts), PACKET);
        let ttl = rule("ip", 1).with(|s| s.header.push(HeaderTest::Ttl(Compare::Equal(5))));
        assert_eq!(class(ttl), PACKET);
        assert_eq!(class(rule("tcp", 1).content(Buffer::TcpHdr, b"\x02\x04")), PACKET);
    }

    #[test]
    fn raw_content_on_tcp_is_looked_for_in_the_stream() {
        for protocol in ["tcp", "ip", "http", "dns", "tcp-stream"] {
            assert_eq!(class(rule(protocol, 1).content(Buffer::Payload, b"abc")), STREAM);
        }
        let at = IsDataAt { offset: Number::Literal(9), relative: false, negated: false };
        assert_eq!(class(rule("tcp", 1).test(Buffer::Payload, Test::IsDataAt(at))), STREAM);
    }

    #[test]
    fn content_that_counts_from_the_start_is_looked_for_in_packets_too() {
        let anchored = |protocol, change: fn(&mut crate::signature::Content)| {
            class(rule(protocol, 1).content_with(Buffer::Payload, b"abc", change))
        };
        assert_eq!(anchored("tcp", |c| c.depth = Some(Number::Literal(10))), BOTH);
        assert_eq!(anchored("ip", |c| c.depth = Some(Number::Literal(10))), BOTH);
        assert_eq!(anchored("tcp", |c| c.offset = Some(Number::Literal(20))), BOTH);
        assert_eq!(anchored("tcp", |c| c.starts_with = true), BOTH);
        assert_eq!(anchored("tcp", |c| c.ends_with = true), STREAM);
        assert_eq!(anchored("tcp", |c| c.within = Some(Number::Literal(9))), STREAM);
        assert_eq!(anchored("tcp-stream", |c| c.depth = Some(Number::Literal(10))), STREAM);
    }

    #[test]
    fn what_only_a_packet_can_answer_keeps_content_to_packets() {
        let abc = |protocol| rule(protocol, 1).content(Buffer::Payload, b"abc");
        assert_eq!(class(abc("udp")), PACKET_PAYLOAD);
        assert_eq!(class(abc("icmp")), PACKET_PAYLOAD);
        assert_eq!(class(abc("tcp-pkt")), PACKET_PAYLOAD);
        let no_stream = abc("tcp").with(|s| s.flow.no_stream = true);
        assert_eq!(class(no_stream), PACKET_PAYLOAD);
        let dsize = abc("dns").with(|s| s.header.push(HeaderTest::Dsize(Compare::Greater(9))));
        assert_eq!(class(dsize), PACKET_PAYLOAD);
        let proto = abc("ip").with(|s| s.header.push(HeaderTest::IpProto(Compare::Equal(6))));
        assert_eq!(class(proto), PACKET_PAYLOAD);
        let header = abc("tcp").content(Buffer::TcpHdr, b"\x02\x04");
        assert_eq!(class(header), PACKET_PAYLOAD);
    }

    #[test]
    fn transaction_buffers_make_a_transaction_rule_of_the_client() {
        assert_eq!(class(rule("http", 1).content(Buffer::HttpUri, b"abc")), TRANSACTION);
        assert_eq!(class(rule("tcp", 1).content(Buffer::HttpHost, b"abc")), TRANSACTION);
        assert_eq!(class(rule("dns", 1).content(Buffer::DnsQuery, b"abc")), TRANSACTION);
        let both = rule("http", 1)
            .content(Buffer::HttpUri, b"abc")
            .content(Buffer::Payload, b"longer content here");
        assert_eq!(class(both), (Kind::Transaction, false, true, true, false));
    }

    #[test]
    fn events_are_asked_for_by_transaction_or_by_packet_in_both_directions() {
        let event = |name| app::AppEvent::named(app::AppProto::Dns, name).unwrap();
        let odd = rule("dns", 1).with(|s| s.events.push(event("z_flag_set")));
        assert_eq!(class(odd), (Kind::Transaction, false, false, true, true));
        let both = rule("dns", 1)
            .content(Buffer::DnsQuery, b"abc")
            .with(|s| s.events.push(event("z_flag_set")));
        assert_eq!(class(both), TRANSACTION);
        let flow = rule("ip", 1).with(|s| s.events.push(app::FlowEvent::UnexpectedProtocol.into()));
        assert_eq!(class(flow), PACKET);
    }

    #[test]
    fn the_application_protocol_alone_is_its_own_kind() {
        assert_eq!(class(rule("http", 1)), APP);
        let test = AppProtocolTest { name: "tls", negated: true };
        assert_eq!(class(rule("tcp", 1).with(|s| s.app_protocol_tests.push(test))), APP);
        let flags = rule("http", 1).with(|s| s.header.push(HeaderTest::SameIp));
        assert_eq!(class(flags), PACKET);
    }
}
