//! What a core does when it cannot keep up: it sheds by policy before the port's queue overflows and
//! packets are lost blindly. First what elephants carry beyond their depth, then new flows by a hash
//! of both of their sides, so that what is inspected is whole flows.

use std::hash::BuildHasher as _;

use flow::Flow;
use foldhash::fast::SeedableRandomState;
use wire::{FlowKey, Nanos, Transport, tcp_flag};

use crate::alert::Source;
use crate::counters::Drop;
use crate::flow_state::{FlowState, Mark};
use crate::part::Part;
use crate::pressure::{FULL, Occupancy};

/// When and what to shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overload {
    /// Whether anything is shed. Not where whoever feeds the port waits, as in a replay.
    pub shed: bool,
    /// How full the fullest queue of a core is, in thousandths, when shedding begins: that of
    /// elephants at once, that of new flows from half of the way to full on.
    pub high_watermark: Occupancy,
    /// How empty all of them must have become before less is shed.
    pub low_watermark: Occupancy,
    /// Bytes of a flow, both directions together, beyond which it is an elephant.
    pub elephant_depth: u64,
}

impl Default for Overload {
    fn default() -> Self {
        Self { shed: false, high_watermark: 500, low_watermark: 250, elephant_depth: 1 << 20 }
    }
}

/// Of so many parts of all new flows some are shed.
const PARTS: u32 = 256;

/// How full a queue is when every new flow is shed.
const BRIM: Occupancy = 950;

/// How long queues must have been empty enough before one step less is shed.
const CALM: Nanos = 10_000_000;

/// How much is shed now.
#[derive(Debug, Default)]
pub(crate) struct Shedder {
    /// Elephants are.
    elephants: bool,
    /// So many of [`PARTS`] of the new flows are.
    share: u32,
    /// The last moment of pressure, or of a step down.
    pressed: Nanos,
    depth: u64,
    /// By chance, so that nobody can choose to be shed, or not to be.
    hasher: SeedableRandomState,
}

impl Shedder {
    /// Takes note of how full the fullest queue is, once a burst.
    #[inline]
    pub(crate) fn press(&mut self, occupancy: Occupancy, now: Nanos, overload: &Overload) {
        if occupancy >= overload.high_watermark && overload.shed {
            self.rise(occupancy, now, overload);
        } else if self.elephants {
            self.ease(occupancy, now, overload);
        }
    }

    #[cold]
    fn rise(&mut self, occupancy: Occupancy, now: Nanos, overload: &Overload) {
        self.elephants = true;
        self.depth = overload.elephant_depth;
        self.pressed = now;
        let begin = (overload.high_watermark + FULL) / 2;
        let beyond = u32::from(occupancy.saturating_sub(begin));
        let way = u32::from(BRIM.saturating_sub(begin)).max(1);
        self.share = self.share.max((beyond * PARTS / way).min(PARTS));
    }

    #[cold]
    fn ease(&mut self, occupancy: Occupancy, now: Nanos, overload: &Overload) {
        if !overload.shed {
            (self.elephants, self.share) = (false, 0);
        } else if occupancy > overload.low_watermark {
            self.pressed = now;
        } else if now.saturating_sub(self.pressed) >= CALM {
            self.pressed = now;
            match self.share {
                0 => self.elephants = false,
                share => self.share = share - (share / 4).max(PARTS / 16).min(share),
            }
        }
    }

    /// Is anything shed now?
    #[inline]
    pub(crate) fn sheds(&self) -> bool {
        self.elephants
    }

    /// Is a flow that begins now to be shed, whole?
    #[inline]
    pub(crate) fn refuses(&self, key: &FlowKey) -> bool {
        self.share > 0 && self.takes(key)
    }

    #[cold]
    fn takes(&self, key: &FlowKey) -> bool {
        ((self.hasher.hash_one(key) >> 56) as u32) < self.share
    }

    /// Whether a packet of a flow is to be shed, and why. Of elephants what moves the connection is
    /// not: it costs little, and the connection's end must not be missed.
    #[inline]
    pub(crate) fn of(&self, flow: &Flow<FlowState>, part: &Part<'_>) -> Option<Drop> {
        if flow.user.is(Mark::SHED) {
            return Some(Drop::ShedNewFlow);
        }
        // What was put together from fragments is theirs, and they have been counted.
        let is_packet = part.source != Source::Defragmented;
        (self.elephants
            && is_packet
            && flow.bytes[0] + flow.bytes[1] > self.depth
            && carries_data(part))
        .then_some(Drop::ShedElephant)
    }
}

fn carries_data(part: &Part<'_>) -> bool {
    const MOVES: u8 = tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST;
    match &part.decoded.transport {
        Transport::Tcp(tcp) => tcp.flags & MOVES == 0 && !part.decoded.payload.range().is_empty(),
        _ => true,
    }
}

/// Whether a packet begins a connection, so that it is asked anew whether the flow is to be shed.
#[inline]
pub(crate) fn begins_anew(flow: &Flow<FlowState>, part: &Part<'_>) -> bool {
    flow.user.is(Mark::SHED)
        && matches!(&part.decoded.transport, Transport::Tcp(tcp)
            if tcp.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldhash::SharedSeed;
    use wire::{Config, LinkType, decode};

    const SETTINGS: Overload =
        Overload { shed: true, high_watermark: 500, low_watermark: 250, elephant_depth: 1000 };

    fn keys() -> Vec<FlowKey> {
        let config = Config { verify_checksums: false, ..Config::default() };
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend([0, 0, 0, 53, 0, 8, 0, 0]);
        (0..1000_u16)
            .map(|port| {
                packet[20..22].copy_from_slice(&port.to_be_bytes());
                let decoded = decode(LinkType::RawIp, &packet, &config).expect("a packet");
                decoded.flow_key(true).expect("a flow").0
            })
            .collect()
    }

    fn refused(shedder: &Shedder) -> usize {
        keys().iter().filter(|key| shedder.refuses(key)).count()
    }

    #[test]
    fn without_pressure_nothing_is_shed() {
        let mut shedder = Shedder::default();
        for now in 0..1000 {
            shedder.press(499, now, &SETTINGS);
        }
        assert!(!shedder.elephants && refused(&shedder) == 0);
        shedder.press(FULL, 1000, &Overload { shed: false, ..SETTINGS });
        assert!(!shedder.elephants && refused(&shedder) == 0, "nor where it is switched off");
    }

    #[test]
    fn elephants_go_first_then_new_flows_the_more_the_fuller() {
        // By a fixed seed: how many of a thousand similar keys a random one takes has no bounds.
        let hasher = SeedableRandomState::with_seed(1, SharedSeed::global_fixed());
        let mut shedder = Shedder { hasher, ..Shedder::default() };
        shedder.press(600, 1, &SETTINGS);
        assert!(shedder.elephants && refused(&shedder) == 0);
        shedder.press(850, 2, &SETTINGS);
        let half = refused(&shedder);
        assert!((400..600).contains(&half), "{half}");
        let first: Vec<bool> = keys().iter().map(|key| shedder.refuses(key)).collect();
        shedder.press(900, 3, &SETTINGS);
        assert!(refused(&shedder) > half);
        let still = keys().iter().zip(first).all(|(key, was)| !was || shedder.refuses(key));
        assert!(still, "who was refused is refused while the pressure rises");
        shedder.press(FULL, 4, &SETTINGS);
        assert_eq!(refused(&shedder), 1000);
    }

    #[test]
    fn what_is_shed_grows_less_only_once_it_is_calm_and_elephants_come_back_last() {
        let mut shedder = Shedder::default();
        shedder.press(FULL, 0, &SETTINGS);
        // Between the watermarks everything stays as it is, however long that takes.
        let mut now = 0;
        for _ in 0..100 {
            now += CALM;
            shedder.press(300, now, &SETTINGS);
        }
        assert_eq!(refused(&shedder), 1000);
        shedder.press(0, now + CALM - 1, &SETTINGS);
        assert_eq!(refused(&shedder), 1000, "not calm for long enough");
        let mut steps = 0;
        while shedder.share > 0 {
            now += CALM;
            shedder.press(0, now, &SETTINGS);
            assert!(shedder.elephants);
            steps += 1;
        }
        assert!((5..20).contains(&steps), "{steps}");
        shedder.press(0, now + CALM, &SETTINGS);
        assert!(!shedder.elephants);
    }
}
