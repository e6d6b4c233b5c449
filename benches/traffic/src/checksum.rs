//! The Internet checksum (RFC 1071).

use std::net::IpAddr;

/// A sum that grows by byte strings, each of which begins at an even place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checksum(u64);

impl Checksum {
    /// Adds bytes; an odd last one is followed by 0.
    pub(crate) fn add(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        self.0 += words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum::<u64>();
        self.0 += rest.first().map_or(0, |last| u64::from(*last) << 8);
        self
    }

    /// Adds the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293, RFC 8200).
    pub(crate) fn pseudo(self, from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> Self {
        let sum = self.address(from).address(to);
        sum.add(&(length as u32).to_be_bytes()).add(&[0, protocol])
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => self.add(&address.octets()),
            IpAddr::V6(address) => self.add(&address.octets()),
        }
    }

    /// What stands in the header.
    pub(crate) fn finish(mut self) -> u16 {
        while self.0 > 0xffff {
            self.0 = (self.0 & 0xffff) + (self.0 >> 16);
        }
        !(self.0 as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071_sums_up() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Checksum::default().add(&bytes).finish(), !0xddf2);
        assert_eq!(Checksum::default().add(&[0x12]).finish(), !0x1200);
    }
}
