//! Receive-side scaling with a symmetric hash: both directions of a
//! conversation come to the same queue.

use dpdk_sys::rte_eth_dev_info;

/// What the NIC hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RssFields {
    /// The two addresses: fragments, ICMP errors and related connections of two
    /// hosts meet on one queue.
    #[default]
    Addresses,
    /// Addresses and ports: spreads few talkers better.
    Ports,
}

/// How packets are to be spread over the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RssConfig {
    /// What is hashed.
    pub fields: RssFields,
    /// Hash the inner-most headers of tunnels, where the NIC can.
    pub innermost: bool,
}

/// What the driver took of an [`RssConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RssApplied {
    /// The `RTE_ETH_RSS_*` bits that are on: a driver may offer fewer than asked.
    pub functions: u64,
    /// Whether the inner-most headers are hashed.
    pub innermost: bool,
    /// Whether the driver, asked afterwards, showed this hash and this key.
    /// `false` if it cannot be asked.
    pub confirmed: bool,
}

/// The bits to ask the driver for; `None` if it offers none of the wanted ones.
pub(crate) fn functions(config: RssConfig, info: &rte_eth_dev_info) -> Option<u64> {
    let offered = info.flow_type_rss_offloads;
    let wanted = match config.fields {
        RssFields::Addresses => dpdk_sys::POLLUX_RSS_ADDRESSES,
        RssFields::Ports => dpdk_sys::POLLUX_RSS_ADDRESSES | dpdk_sys::POLLUX_RSS_PORTS,
    };
    let common = wanted & offered;
    let level = dpdk_sys::POLLUX_RSS_LEVEL_INNERMOST;
    // The level is a two-bit number; only a driver that sets this bit knows it.
    let level = if config.innermost && offered & level != 0 { level } else { 0 };
    (common != 0).then_some(common | level)
}

/// The two bytes that the symmetric key repeats.
pub const SYMMETRIC_KEY: [u8; 2] = [0x6d, 0x5a];

/// A key under which the Toeplitz hash of (a, b) equals that of (b, a): it
/// repeats every 16 bits, the granularity at which addresses and ports swap
/// (Woo and Park, "Scalable TCP Session Monitoring with Symmetric RSS", 2012).
pub(crate) fn symmetric_key(len: u8) -> Vec<u8> {
    // Drivers that do not tell take the 40 bytes of the Microsoft specification.
    let len = if len == 0 { 40 } else { usize::from(len) };
    SYMMETRIC_KEY.into_iter().cycle().take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Toeplitz hash as the RSS specification describes it.
    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let bit = |i: usize| key[i / 8] >> (7 - i % 8) & 1;
        let window = |at: usize| (0..32).fold(0_u32, |w, i| w << 1 | u32::from(bit(at + i)));
        (0..input.len() * 8)
            .filter(|i| input[i / 8] >> (7 - i % 8) & 1 == 1)
            .fold(0, |hash, i| hash ^ window(i))
    }

    #[test]
    fn the_key_hashes_both_directions_alike() {
        let key = symmetric_key(0);
        assert_eq!(key.len(), 40);
        let there = [10, 0, 0, 1, 192, 168, 7, 9, 0x30, 0x39, 0, 80];
        let back = [192, 168, 7, 9, 10, 0, 0, 1, 0, 80, 0x30, 0x39];
        let other = [192, 168, 7, 9, 10, 0, 0, 2, 0, 80, 0x30, 0x39];
        assert_eq!(toeplitz(&key, &there), toeplitz(&key, &back));
        assert_ne!(toeplitz(&key, &there), toeplitz(&key, &other));
        // The specification's own key is not symmetric: the test can fail.
        let microsoft = [
            0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
            0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
            0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
        ];
        assert_ne!(toeplitz(&microsoft, &there), toeplitz(&microsoft, &back));
    }

    #[test]
    fn a_driver_without_the_fields_is_refused() {
        let mut info = rte_eth_dev_info::default();
        assert_eq!(functions(RssConfig::default(), &info), None);
        info.flow_type_rss_offloads = dpdk_sys::POLLUX_RSS_PORTS;
        assert_eq!(functions(RssConfig::default(), &info), None);
        info.flow_type_rss_offloads = dpdk_sys::POLLUX_RSS_ADDRESSES;
        assert_eq!(
            functions(RssConfig { fields: RssFields::Ports, innermost: true }, &info),
            Some(dpdk_sys::POLLUX_RSS_ADDRESSES)
        );
    }
}
