//! A worker's time, and what is known of packets beside their bytes: both come with a replay's packets,
//! or are of now.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dpdk::{Mbuf, MetaField, PacketMeta};
use wire::{LinkType, Nanos};

use crate::part::PacketInfo;

/// `PacketMeta::flags`: checksums are not to be checked.
pub const META_IGNORE_CHECKSUMS: u16 = 1;

/// Where a worker's time comes from.
#[derive(Debug, Clone)]
pub enum TimeSource {
    /// Packets carry it (replay). An idle worker learns from the feeder how far the capture is:
    /// every packet with a smaller clock was put into a ring before this was written. The field is
    /// where they carry it.
    Packets(Arc<AtomicU64>, MetaField),
    /// The TSC, once a burst.
    Tsc(TscClock),
}

/// The wall clock by the TSC, so that no system call is needed.
#[derive(Debug, Clone, Copy)]
pub struct TscClock {
    start_ns: Nanos,
    start_tsc: u64,
    /// Nanoseconds a tick, times two to the power of [`FRACTION`]: a division takes longer than looking at a packet.
    tick: u64,
}

/// Bits behind the point of what a tick lasts: the error is below a nanosecond in ten years.
const FRACTION: u32 = 58;

impl TscClock {
    /// Starts at this wall-clock time; `hz` is the rate of the TSC.
    pub fn starting_at(start_ns: Nanos, hz: u64) -> Self {
        Self { start_ns, start_tsc: dpdk::rdtsc(), tick: tick_of(hz) }
    }

    /// Nanoseconds since 1970 when the TSC was so.
    #[inline]
    pub fn at(&self, tsc: u64) -> Nanos {
        let ticks = tsc.wrapping_sub(self.start_tsc);
        self.start_ns.wrapping_add(nanos(ticks, self.tick))
    }
}

/// How long a tick lasts at so many a second.
fn tick_of(hz: u64) -> u64 {
    u64::try_from((1_000_000_000 << FRACTION) / u128::from(hz.max(1))).unwrap_or(u64::MAX)
}

#[inline]
fn nanos(ticks: u64, tick: u64) -> u64 {
    ((u128::from(ticks) * u128::from(tick)) >> FRACTION) as u64
}

/// What the pipeline is told of a packet.
pub(super) fn info_of(meta: &PacketMeta) -> PacketInfo {
    PacketInfo {
        timestamp: meta.ts_ns,
        clock: meta.clock_ns,
        order: meta.order,
        link: LinkType::from_dlt(u32::from(meta.link)),
        wire_len: meta.wire_len,
        ignore_checksums: meta.flags & META_IGNORE_CHECKSUMS != 0,
    }
}

/// What is known of the packet of this number that came now.
#[inline(always)]
pub(super) fn live(now: Nanos, link: u16, order: u64, wire_len: u32) -> PacketMeta {
    PacketMeta { ts_ns: now, clock_ns: now, order, wire_len, link, flags: 0 }
}

/// Where what is known of packets beside their bytes comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum MetaSource {
    /// The packets carry it.
    Field(MetaField),
    /// They came now, on a link of this type.
    Live(Nanos, u16),
}

impl MetaSource {
    /// Of a packet of so many bytes; `order` is the number of the last one before it.
    #[inline]
    pub(super) fn of(self, mbuf: &Mbuf, bytes: usize, order: &mut u64) -> PacketMeta {
        match self {
            Self::Field(field) => field.get(mbuf),
            Self::Live(now, link) => {
                *order += 1;
                let wire_len = u32::try_from(bytes).unwrap_or(u32::MAX);
                live(now, link, *order, wire_len)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_last_as_long_as_their_rate_says_after_years_too() {
        for hz in [25_000_000, 1_000_000_000, 2_445_404_321, 5_700_000_001] {
            for seconds in [0, 1, 86_400, 86_400 * 365 * 3] {
                let exact = seconds * 1_000_000_000;
                let told = nanos(hz * seconds, tick_of(hz));
                assert!(exact - told <= 1, "{told} instead of {exact} at {hz} Hz");
            }
        }
    }
}
