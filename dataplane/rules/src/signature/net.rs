//! The addresses and ports that a rule's header names, as sets that answer quickly.

use std::net::IpAddr;
use std::sync::Arc;

/// A set of addresses as sorted, disjoint, inclusive ranges per family, negations applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct AddressSet {
    /// True: every address, the ranges are empty then.
    pub any: bool,
    /// IPv4 ranges in host order.
    pub v4: Arc<[(u32, u32)]>,
    /// IPv6 ranges in host order.
    pub v6: Arc<[(u128, u128)]>,
    /// The text held a negation (Suricata treats such rules as "like IP-only").
    pub negated: bool,
}

impl AddressSet {
    /// Is the address in the set?
    #[inline]
    pub fn contains(&self, address: IpAddr) -> bool {
        fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
            let after = ranges.partition_point(|&(low, _)| low <= value);
            after.checked_sub(1).and_then(|i| ranges.get(i)).is_some_and(|&(_, high)| value <= high)
        }
        if self.any {
            return true;
        }
        match address {
            IpAddr::V4(a) => within(&self.v4, u32::from(a)),
            IpAddr::V6(a) => within(&self.v6, u128::from(a)),
        }
    }
}

/// A set of ports as sorted, disjoint, inclusive ranges, negations applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortSet {
    /// True: every port (and packets without ports); the ranges are empty then.
    pub any: bool,
    /// Ranges.
    pub ranges: Arc<[(u16, u16)]>,
}

impl PortSet {
    /// Is the port in the set?
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.any || self.ranges.iter().any(|&(low, high)| low <= port && port <= high)
    }
}
