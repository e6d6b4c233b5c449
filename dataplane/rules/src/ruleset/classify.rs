//! Which way a signature is evaluated ([`Kind`]), on which data and in which directions.
//! Follows Suricata 7's signature types as its `--engine-analysis` reports them.

use crate::signature::{BitOperation, Buffer, HeaderTest, Kind, Signature, Test};

/// TCP's IP protocol number.
pub(crate) const TCP: u8 = 6;

/// Fills `kind`, `needs_packet`, `needs_stream`, `to_server` and `to_client`.
pub(crate) fn classify(signature: &mut Signature) {
    let facts = Facts::of(signature);
    (signature.needs_packet, signature.needs_stream) = payload_needs(signature, &facts);
    signature.kind = kind(signature, &facts);
    (signature.to_server, signature.to_client) = directions(signature, &facts);
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
        Self {
            transaction: tested(Buffer::is_transaction),
            payload: tested(|buffer| buffer == Buffer::Payload),
            packet: !signature.header.is_empty() || tested(Buffer::is_header),
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
    (has_anchored_content(signature), true)
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
        && signature.flowbit_tests.is_empty()
        && signature.flowbit_sets.iter().all(|set| set.operation == BitOperation::Set)
        && signature.flowint_tests.is_empty()
        && signature.flowint_sets.is_empty()
}

/// (`to_server`, `to_client`): what `flow` says; otherwise what the buffers imply, all of which
/// the client fills.
fn directions(signature: &Signature, facts: &Facts) -> (bool, bool) {
    match (signature.flow.to_server, signature.flow.to_client) {
        (false, false) if facts.transaction => (true, false),
        (false, false) => (true, true),
        written => written,
    }
}
