//! Fragments, and the datagrams that they make: put together here, or by another core for this one.

use std::sync::Arc;

use flow::DefragOutcome;
use wire::Decoded;

use super::{Core, Place, Verdict, drop_of};
use crate::alert::Source;
use crate::part::{Datagram, PacketInfo, Part, Whole};
use crate::scope::Hits;
use crate::snapshot::Snapshot;

/// May packets of this IP protocol carry others: IP in IP, UDP (VXLAN, GENEVE …), 6in4, GRE?
const fn may_carry(protocol: u8) -> bool {
    matches!(protocol, 4 | 17 | 41 | 47)
}

impl Core {
    /// Takes a datagram that another core put together.
    pub fn datagram(&mut self, datagram: &Datagram) {
        let snapshot = self.take_snapshot();
        let whole = datagram.whole();
        let config = snapshot.decoder(whole.info.ignore_checksums);
        if let Ok(mut decoded) = wire::decode_datagram(whole.bytes, whole.context, config) {
            self.mark(&snapshot, &mut decoded, &whole);
            let hits = snapshot.scope.lookup(&decoded);
            if hits.scoped() {
                self.in_its_place(&snapshot, &whole.part(&decoded), whole.info, hits);
            }
        }
        self.snapshot = Some(snapshot);
    }

    /// Takes a fragment; with the last of a datagram, that.
    pub(super) fn fragment(
        &mut self,
        snapshot: &Arc<Snapshot>,
        decoded: &mut Decoded,
        bytes: &[u8],
        info: &PacketInfo,
        hits: Hits,
    ) -> Verdict {
        let scoped = hits.scoped();
        if !scoped && !may_carry(decoded.inner().protocol) {
            // Nothing in it can be of an address that does not show already.
            return Verdict::Unscoped;
        }
        // What is in scope by the layers that can be seen is counted now; of the rest, the datagram
        // has to tell what they are.
        let receiver = decoded.inner().dst;
        let defrag = self.defrag.with_policy(snapshot.settings.fragment_policy_of(receiver));
        let outcome = if scoped {
            defrag.push(decoded, bytes, info.clock)
        } else {
            defrag.push_open(decoded, bytes, info.clock)
        };
        let verdict = if scoped { Verdict::Inspected } else { Verdict::Waits };
        let mut datagram = std::mem::take(&mut self.datagram);
        datagram.clear();
        let complete = matches!(outcome, DefragOutcome::Complete { .. });
        if let DefragOutcome::Complete { datagram: whole, .. } = outcome {
            datagram.extend_from_slice(whole);
        }
        decoded.events.extend(self.defrag.take_events());
        if scoped {
            // Rules may ask for fragments as such.
            let frame_len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let part = Part {
                decoded,
                buffer: bytes,
                bytes,
                frame_len,
                source: Source::Wire,
                payload: false,
                link_header: &[],
            };
            self.inspect(snapshot, &part, info, hits, false);
        }
        if !complete {
            self.datagram = datagram;
            self.open_fates();
            return verdict;
        }
        self.counters.datagrams_reassembled.add(1);
        let open = self.defrag.take_fates().completed;
        let whole = Whole {
            bytes: &datagram,
            context: decoded,
            link_header: bytes.get(..decoded.inner().header as usize).unwrap_or(&[]),
            info,
            frame_len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        let config = snapshot.decoder(info.ignore_checksums);
        let mut inner = Decoded::EMPTY;
        match wire::decode_datagram_into(whole.bytes, whole.context, config, &mut inner) {
            Ok(()) => {
                self.mark(snapshot, &mut inner, &whole);
                let hits = snapshot.scope.lookup(&inner);
                if hits.scoped() {
                    self.counters.inspected.add(open);
                    let Place { worker, workers } = self.config.place;
                    let owner = self.config.spread.owner(&inner, workers);
                    if owner == worker {
                        self.in_its_place(snapshot, &whole.part(&inner), info, hits);
                    } else {
                        self.outbox.push((owner, whole.to_owned()));
                    }
                } else {
                    self.counters.unscoped.add(open);
                }
            }
            Err(reject) => {
                self.counters.discard_many(drop_of(reject), open);
                self.refused(snapshot, &inner, Source::Defragmented, whole.bytes, info);
            }
        }
        self.datagram = datagram;
        verdict
    }

    /// A datagram's transport checksum can be looked at only now.
    fn mark(&self, snapshot: &Snapshot, decoded: &mut Decoded, whole: &Whole<'_>) {
        if !whole.info.ignore_checksums && snapshot.settings.decoder.verify_checksums {
            wire::mark_transport_checksum(decoded, whole.bytes);
        }
    }
}
