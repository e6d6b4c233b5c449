//! How many packet buffers a port needs, and how much memory DPDK takes for all of them.

use super::Plan;
use crate::config::Config;

/// Mbufs that a mempool's per-core cache holds.
pub const POOL_CACHE: u32 = 256;

/// What a core holds besides: a burst, and a cache that is half full again before it is flushed.
const PER_WORKER: u32 = 64 + POOL_CACHE * 3 / 2;

/// The least: small pools run dry at the first hiccup.
const LEAST: u32 = 4095;

/// Memory for drivers, rings and what DPDK needs for itself, in bytes.
const BASE: u64 = 64 << 20;

/// On ordinary pages no mbuf of an AF_XDP port crosses from one page to another; those of others take less.
const PAGE: u64 = 4096;

/// An mbuf beside its data: its own fields, headroom, alignment.
const PER_MBUF: u64 = 128 + 128 + 128;

/// The buffers of a port: every descriptor filled, what its workers hold, and a full ring of what is
/// on its way to each of them; rounded up to 2^n - 1, which a mempool stores best.
pub fn buffers(queues: u16, descriptors: u32, workers: usize, exchange: usize) -> u32 {
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    let exchange = if workers > 1 { u32::try_from(exchange).unwrap_or(u32::MAX) } else { 0 };
    let all = u64::from(queues) * u64::from(descriptors)
        + u64::from(workers) * u64::from(PER_WORKER + exchange);
    let all = u32::try_from(all).unwrap_or(u32::MAX / 2).clamp(LEAST, (1 << 24) - 1);
    (all + 1).next_power_of_two() - 1
}

/// Bytes that DPDK needs for pools of so many buffers with so much room each, and for itself.
pub fn for_pools(pools: impl IntoIterator<Item = (u32, u16)>) -> u64 {
    let bytes = |(buffers, room): (u32, u16)| {
        u64::from(buffers) * (u64::from(room) + PER_MBUF).next_multiple_of(PAGE)
    };
    let all: u64 = pools.into_iter().map(bytes).sum();
    BASE + all + all / 16
}

/// Bytes that DPDK is to take at the start: configured, or what the ports' buffers need.
pub fn memory(config: &Config, plans: &[Plan]) -> u64 {
    config
        .memory
        .size
        .unwrap_or_else(|| for_pools(plans.iter().map(|plan| (plan.buffers, plan.data_room()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_never_runs_dry_while_every_ring_is_full() {
        for (queues, descriptors, workers) in
            [(1, 1024, 1), (2, 1024, 2), (4, 4096, 4), (1, 512, 8)]
        {
            let got = buffers(queues, descriptors, workers, 2048);
            let rings = if workers > 1 { 2048 * workers as u32 } else { 0 };
            let held = u32::from(queues) * descriptors + rings + 64 * workers as u32;
            assert!(got > held, "{got} for {held}");
            assert!((got + 1).is_power_of_two());
        }
        assert_eq!(buffers(64, 16_384, 64, 2048), (1 << 21) - 1);
    }
}
