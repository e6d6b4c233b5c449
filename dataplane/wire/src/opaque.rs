//! Overlays that nobody can look into: WireGuard and IPsec, known by what they show of themselves.

use crate::{Config, Decoded, Transport, ip};

/// What kind of encrypted overlay it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum OpaqueKind {
    /// WireGuard, at one of [`Config::wireguard_ports`].
    WireGuard = 1,
    /// ESP (RFC 4303), by itself or in UDP at port 4500 (RFC 3948).
    Ipsec = 2,
}

impl OpaqueKind {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WireGuard => "WireGuard",
            Self::Ipsec => "IPsec",
        }
    }

    /// The inverse of `as u8`.
    pub const fn from_index(index: u8) -> Option<Self> {
        match index {
            1 => Some(Self::WireGuard),
            2 => Some(Self::Ipsec),
            _ => None,
        }
    }
}

/// The encrypted overlay that a packet is of, if it is; `packet` are the bytes that were decoded.
#[inline]
pub fn opaque(decoded: &Decoded, packet: &[u8], config: &Config) -> Option<OpaqueKind> {
    match decoded.transport {
        Transport::Other if decoded.inner().protocol == ip::ESP => Some(OpaqueKind::Ipsec),
        Transport::Udp(udp) => {
            let ports = [udp.src_port, udp.dst_port];
            if ports.iter().any(|port| config.wireguard_ports.contains(port)) {
                is_wireguard(decoded.payload_of(packet)).then_some(OpaqueKind::WireGuard)
            } else if ports.contains(&4500) {
                is_esp(decoded.payload_of(packet)).then_some(OpaqueKind::Ipsec)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// The four messages of WireGuard (its paper, 5.4): a type, three zeros, and each its length. Data
/// is padded to sixteen bytes.
fn is_wireguard(message: &[u8]) -> bool {
    match (message.first_chunk(), message.len()) {
        (Some([1, 0, 0, 0]), 148) | (Some([2, 0, 0, 0]), 92) | (Some([3, 0, 0, 0]), 64) => true,
        (Some([4, 0, 0, 0]), length) => length >= 32 && length.is_multiple_of(16),
        _ => false,
    }
}

/// ESP in UDP: a security parameter index that is not 0, which would be IKE.
fn is_esp(message: &[u8]) -> bool {
    message.len() >= 16 && message.first_chunk().is_some_and(|index| *index != [0; 4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::Ip;
    use crate::{LinkType, decode};

    fn kind(packet: &[u8]) -> Option<OpaqueKind> {
        let decoded = decode(LinkType::RawIp, packet, &Config::default()).unwrap();
        opaque(&decoded, packet, &Config::default())
    }

    #[test]
    fn overlays_are_told_by_port_and_shape() {
        let ip = Ip::new("10.0.0.1", "10.0.0.2");
        let message = |kind: u8, length: usize| {
            let mut message = vec![0; length];
            message[0] = kind;
            message
        };
        for (of, length) in [(1, 148), (2, 92), (3, 64), (4, 32), (4, 1472)] {
            let packet = ip.udp(51_820, 51_820, &message(of, length));
            assert_eq!(kind(&packet), Some(OpaqueKind::WireGuard), "{of} {length}");
            assert_eq!(kind(&ip.udp(1000, 1001, &message(of, length))), None);
        }
        for (of, length) in [(1, 147), (4, 31), (4, 40), (5, 64)] {
            assert_eq!(kind(&ip.udp(51_820, 51_820, &message(of, length))), None, "{of} {length}");
        }
        assert_eq!(kind(&ip.datagram(ip::ESP, &[1; 40])), Some(OpaqueKind::Ipsec));
        assert_eq!(kind(&ip.udp(4500, 4500, &[1; 40])), Some(OpaqueKind::Ipsec));
        assert_eq!(kind(&ip.udp(4500, 4500, &[0; 40])), None, "IKE");
        assert_eq!(kind(&ip.udp(4500, 4500, &[0xff])), None, "a keep-alive");
    }
}
