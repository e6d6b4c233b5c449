//! [`RuleGroup`]: the signatures that a packet of some protocol, direction and port can meet,
//! sorted by what has to be scanned to find the candidates among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyperscan::Database;

use super::classify::TCP;
use super::describe::PrefilterInfo;
use super::fast_pattern;
use super::prefilter::{Data, Draft, PatternStore, Prefilter};
use crate::parse::buffer_name;
use crate::signature::{Buffer, Signature};

/// Signatures by what is scanned for them. A signature stands in the group for every way in
/// which the engine may have to find it, so that a number can come from more than one scan.
#[derive(Debug, Default)]
pub struct RuleGroup {
    /// Fast patterns in the raw payload, looked for in the packet's own from its first byte on
    /// (a pattern that stands where its `offset` and `depth` rule it out is no candidate): all of
    /// them for other protocols than TCP, for TCP those of signatures with
    /// [`needs_packet`](Signature::needs_packet).
    pub packet: Option<Prefilter>,
    /// TCP only: fast patterns of signatures with [`needs_stream`](Signature::needs_stream),
    /// looked for in the reassembled stream, and in the payload of packets that are not part of
    /// one. It shares its database with `packet`: see [`Prefilter::scan_both`].
    pub stream: Option<Prefilter>,
    /// Fast patterns in a header of the packet, from its first byte on.
    pub headers: Vec<(Buffer, Prefilter)>,
    /// Signatures without a fast pattern, ascending: every packet's candidates. Those with
    /// [`needs_stream`](Signature::needs_stream) among them (a lone `pcre`, negated contents)
    /// are candidates whenever there is something new in the stream.
    pub always: Vec<u32>,
}

impl RuleGroup {
    /// What there is to tell of its prefilters.
    pub(crate) fn describe(&self) -> Vec<PrefilterInfo> {
        let raw = [(&self.packet, "packet"), (&self.stream, "stream")];
        let raw = raw.into_iter().filter_map(|(prefilter, name)| {
            prefilter.as_ref().map(|prefilter| PrefilterInfo::of(prefilter, name))
        });
        let headers = self
            .headers
            .iter()
            .map(|(buffer, prefilter)| PrefilterInfo::of(prefilter, buffer_name(*buffer)));
        raw.chain(headers).map(|info| PrefilterInfo { always: self.always.len(), ..info }).collect()
    }
}

/// A group whose databases are not compiled yet.
#[derive(Debug, Default)]
pub(crate) struct GroupDraft {
    packet: Option<Draft>,
    stream: Option<Draft>,
    headers: Vec<(Buffer, Draft)>,
    always: Vec<u32>,
}

impl GroupDraft {
    /// Sorts the signatures of these numbers (ascending), which are met by packets of `protocol`.
    pub(crate) fn new(
        numbers: &[u32],
        protocol: u8,
        signatures: &[Signature],
        store: &mut PatternStore,
    ) -> Self {
        let (mut packet, mut stream, mut always) = (Vec::new(), Vec::new(), Vec::new());
        let mut headers: BTreeMap<Buffer, Vec<u32>> = BTreeMap::new();
        for &number in numbers {
            let Some(signature) = signatures.get(number as usize) else { continue };
            match fast_pattern::place(signature).map(|place| place.buffer) {
                None => always.push(number),
                Some(Buffer::Payload) if protocol == TCP => {
                    if signature.needs_packet {
                        packet.push(number);
                    }
                    if signature.needs_stream {
                        stream.push(number);
                    }
                }
                Some(Buffer::Payload) => packet.push(number),
                Some(header) => headers.entry(header).or_default().push(number),
            }
        }
        let (packet, stream) = store.draft_pair((&packet, &stream), signatures);
        Self {
            packet,
            stream,
            headers: headers
                .into_iter()
                .filter_map(|(buffer, numbers)| {
                    Some((buffer, store.draft(&numbers, signatures, Data::Whole)?))
                })
                .collect(),
            always,
        }
    }

    /// Whether the group holds no signature.
    pub(crate) fn is_empty(&self) -> bool {
        self.packet.is_none()
            && self.stream.is_none()
            && self.headers.is_empty()
            && self.always.is_empty()
    }

    /// The group with its databases; None if one is missing.
    pub(crate) fn finish(self, databases: &[Arc<Database>]) -> Option<RuleGroup> {
        let finish = |draft: Option<Draft>| match draft {
            Some(draft) => draft.finish(databases).map(Some),
            None => Some(None),
        };
        Some(RuleGroup {
            packet: finish(self.packet)?,
            stream: finish(self.stream)?,
            headers: self
                .headers
                .into_iter()
                .map(|(buffer, draft)| Some((buffer, draft.finish(databases)?)))
                .collect::<Option<_>>()?,
            always: self.always,
        })
    }
}
