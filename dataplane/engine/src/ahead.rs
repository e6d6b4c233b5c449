//! Packets of a burst looked at before their turn: decoded, and what their flows hold brought towards the
//! cache, so that a burst waits for memory once and not once a packet. Worth it where flows are many.

use flow::{FlowTable, Hint};
use wire::{Decoded, FlowKey, LinkType, Reject};

use crate::flow_state::FlowState;
use crate::part::PacketInfo;
use crate::snapshot::Snapshot;

/// Packets that are looked at before their turn, at most.
pub(crate) const LANES: usize = 16;

/// Flows above which looking ahead pays: what they take no longer fits a core's own caches.
const MANY: usize = 1 << 14;

/// A packet that was decoded before its turn.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) decoded: Decoded,
    /// How that went, and with checksums ignored or not; None: it was not.
    done: Option<(Result<(), Reject>, bool)>,
    key: Option<(FlowKey, Hint)>,
    /// It is in nobody's scope, and was not decoded.
    is_nobodys: bool,
}

/// Does the table have so many flows that it pays?
pub(crate) fn pays(flows: &FlowTable<FlowState>) -> bool {
    flows.len() >= MANY
}

/// Decodes a frame; also says whether it was captured in part.
pub(crate) fn decode(
    snapshot: &Snapshot,
    bytes: &[u8],
    (link, info): (LinkType, &PacketInfo),
    into: &mut Decoded,
) -> Result<(), Reject> {
    let config = snapshot.decoder(info.ignore_checksums);
    if is_cut(bytes, info) {
        wire::decode_cut_into(link, bytes, config, into)
    } else {
        wire::decode_into(link, bytes, config, into)
    }
}

/// Was less captured than there was on the wire?
pub(crate) fn is_cut(bytes: &[u8], info: &PacketInfo) -> bool {
    info.wire_len as usize > bytes.len()
}

impl Ahead {
    /// Forgets what was decoded, should its turn not have come.
    pub(crate) fn forget(&mut self) {
        self.done = None;
        self.key = None;
        self.is_nobodys = false;
    }

    /// Takes note that the packet is nobody's.
    pub(crate) fn note_nobodys(&mut self) {
        self.forget();
        self.is_nobodys = true;
    }

    /// Was it noted?
    pub(crate) fn take_nobodys(&mut self) -> bool {
        std::mem::take(&mut self.is_nobodys)
    }

    /// Decodes a packet, and brings its flow's place in the table.
    pub(crate) fn prepare(
        &mut self,
        snapshot: &Snapshot,
        flows: &FlowTable<FlowState>,
        bytes: &[u8],
        info: &PacketInfo,
    ) {
        self.forget();
        let Some(link) = info.link else { return };
        let done = decode(snapshot, bytes, (link, info), &mut self.decoded);
        if done.is_ok() && self.decoded.fragment.is_none() {
            let key = self.decoded.flow_key(snapshot.settings.vlan_tracking);
            self.key = key.map(|(key, _)| (key, flows.hint(&key)));
        }
        self.done = Some((done, info.ignore_checksums));
    }

    /// Brings the flow.
    pub(crate) fn bring_flow(&self, flows: &FlowTable<FlowState>) {
        if let Some((_, hint)) = self.key {
            flows.hint_flow(hint);
        }
    }

    /// Brings what the flow points to.
    pub(crate) fn bring_state(&self, flows: &FlowTable<FlowState>) {
        let Some((key, hint)) = &self.key else { return };
        let Some(flow) = flows.hinted(*hint, key) else { return };
        if let Some(session) = &flow.tcp {
            session.prefetch();
        }
        if let Some(session) = &flow.user.session {
            prefetch::whole(&**session);
        }
    }

    /// Brings what the flow's streams hold.
    pub(crate) fn bring_stored(&self, flows: &FlowTable<FlowState>) {
        let Some((key, hint)) = &self.key else { return };
        let Some(flow) = flows.hinted(*hint, key) else { return };
        if let Some(session) = &flow.tcp {
            session.prefetch_stored();
        }
        if let Some(session) = &flow.user.session {
            session.prefetch();
        }
    }

    /// What was decoded before, if it was, and in the same way.
    pub(crate) fn take_done(&mut self, info: &PacketInfo) -> Option<Result<(), Reject>> {
        self.key = None;
        let (done, ignore_checksums) = self.done.take()?;
        (ignore_checksums == info.ignore_checksums).then_some(done)
    }
}

#[cfg(test)]
mod tests {
    use rtrb::Consumer;
    use wire::builder::{Ip, Tcp};
    use wire::tcp_flag::{ACK, SYN};

    use super::*;
    use crate::alert::Alert;
    use crate::pipeline::Core;
    use crate::settings::Settings;
    use crate::testing;

    const RULES: &str = r#"alert ip any any -> any any (content:"attack"; sid:1;)"#;

    /// Connections and datagrams of four hosts by turns, broken and cut packets among them, and fragments.
    fn packets() -> Vec<(Vec<u8>, PacketInfo)> {
        let mut all = Vec::new();
        for round in 0u32..6 {
            for host in 1..5 {
                let ip = Ip::new(&format!("192.0.2.{host}"), "198.51.100.1");
                let tcp = || Tcp::new(4000, 80, 0, 0);
                all.push(match (round, host) {
                    (0, 1 | 2) => ip.tcp(&Tcp { seq: 9, flags: SYN, ..tcp() }, b""),
                    (1, 1 | 2) => {
                        let back = Tcp::new(80, 4000, 70, 10);
                        ip.reversed().tcp(&Tcp { flags: SYN | ACK, ..back }, b"")
                    }
                    (_, 1 | 2) => {
                        let seq = 10 + (round - 2) * 12;
                        ip.tcp(&Tcp { seq, ack: 71, flags: ACK, ..tcp() }, b"an attack on")
                    }
                    (3, 3) => vec![0x45, 0, 0],
                    (4, 3) => {
                        ip.fragments(5, 17, &wire::builder::udp(7, 53, &[b'x'; 64]), 40).remove(0)
                    }
                    _ => ip.udp(4000, 53, b"attack"),
                });
            }
        }
        let info = |at: usize, bytes: &[u8]| PacketInfo {
            timestamp: 1_000_000_000 * (at as u64 + 1),
            clock: 1_000_000_000 * (at as u64 + 1),
            order: at as u64 + 1,
            link: Some(LinkType::RawIp),
            wire_len: bytes.len() as u32 + u32::from(at % 11 == 10),
            ignore_checksums: false,
        };
        all.into_iter()
            .enumerate()
            .map(|(at, it)| (info(at, &it), it))
            .map(|(i, b)| (b, i))
            .collect()
    }

    /// What came of it: alerts by packet, and the ledger.
    fn results(core: &mut Core, alerts: &mut Consumer<Box<Alert>>) -> (Vec<(u64, bool)>, [u64; 5]) {
        core.finish(0);
        let all = std::iter::from_fn(|| alerts.pop().ok());
        let told = all.map(|alert| (alert.timestamp, alert.flow.is_some())).collect();
        let counters = core.counters();
        let ledger = [
            counters.inspected.get(),
            counters.dropped_total(),
            counters.truncated.get(),
            counters.flows.get(),
            counters.alerts_raised.get(),
        ];
        (told, ledger)
    }

    #[test]
    fn looking_ahead_changes_nothing_of_what_comes_of_packets() {
        let packets = packets();
        let (mut plain, mut alerts) = testing::core(RULES, Settings::default());
        for (bytes, info) in &packets {
            plain.packet(bytes, bytes.len(), *info, false);
        }
        let expected = results(&mut plain, &mut alerts);
        assert!(expected.0.len() > 8 && expected.1[1] > 0 && expected.1[2] > 0, "{expected:?}");
        for distance in [1, 3, LANES - 1] {
            let (mut core, mut alerts) = testing::core(RULES, Settings::default());
            for step in 0..packets.len() + distance {
                // Every seventh is not looked at; some were, as if checksums were not to be.
                if let Some((bytes, info)) = packets.get(step).filter(|_| step % 7 != 6) {
                    let ignore_checksums = step % 5 == 4;
                    core.prepare(step % LANES, bytes, PacketInfo { ignore_checksums, ..*info });
                }
                let lane = |back: usize| step.checked_sub(back).map(|at| at % LANES);
                core.bring([lane(distance / 4), lane(distance / 2), lane(distance)]);
                let Some(at) = step.checked_sub(distance) else { continue };
                let (bytes, info) = &packets[at];
                core.prepared(at % LANES, bytes, bytes.len(), *info, false);
            }
            assert_eq!(results(&mut core, &mut alerts), expected, "{distance} ahead");
        }
    }
}
