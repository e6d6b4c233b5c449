//! The addresses of plain packets at a glance, for those that nobody asks about: without decoding the rest
//! of them, and only where decoding could not come to another result.

use crate::checksum::{RIGHT, is_right, quotient, sum, sum_of};
use crate::{Config, LinkType, Udp, bytes, ip};

mod eight;

pub use eight::{AskedOfEach, Told};

/// Bytes of a TCP header without options.
const TCP_HEADER: usize = 20;

/// Bytes of Ethernet without tags, IPv4 and TCP without options: of what most packets begin with.
pub const FRONT: usize = 54;

/// Headers that [`Glance::is_plain_and`] goes through at the most: Ethernet and two tags.
const DEEPEST: u8 = 3;

/// What of a decoder's settings decides whether a packet is plain.
#[derive(Debug, Clone)]
pub struct Glance {
    /// UDP ports that tell of tunnels and overlays, each a bit by its lowest nine: others may share it.
    ports: [u64; 8],
    verify_checksums: bool,
    /// The greatest quotient that a header's sum may have.
    most: u64,
    enabled: bool,
    /// How a packet begins that is told quickly, where its addresses end and IPv4 begins.
    begins: u32,
}

/// What is asked of both addresses of a plain packet, which are numbers here.
pub trait Asked: Copy {
    /// Of IPv4 addresses.
    fn v4(self, src: u32, dst: u32) -> bool;

    /// Of IPv6 addresses.
    fn v6(self, src: u128, dst: u128) -> bool;
}

impl Glance {
    /// By the decoder's settings.
    pub fn new(config: &Config) -> Self {
        let lists = [
            &config.vxlan_ports,
            &config.geneve_ports,
            &config.tzsp_ports,
            &config.teredo_ports,
            &config.wireguard_ports,
        ];
        // VXLAN-GPE, L2TP, and IPsec over UDP.
        let fixed = [4790, 1701, 4500];
        let mut ports = [0; 8];
        for port in lists.into_iter().flatten().copied().chain(fixed) {
            let (word, bit) = place(port);
            if let Some(word) = ports.get_mut(word) {
                *word |= bit;
            }
        }
        let (verify_checksums, enabled) = (config.verify_checksums, config.max_layers >= DEEPEST);
        let most = if verify_checksums { RIGHT } else { u64::MAX };
        // The last byte is not looked at: none begins with the other number.
        let begins = if enabled { 0x00_45_00_08 } else { u32::MAX };
        Self { ports, verify_checksums, most, enabled, begins }
    }

    /// May datagrams that carry others go both ways between these ports, by the settings that this was made of?
    /// Otherwise answers come from another port. One bit answers of most sources.
    #[inline]
    pub fn may_carry_both_ways(&self, config: &Config, (src, dst): (u16, u16)) -> bool {
        self.is_noted(src) && config.tells(src) || config.tells_both(dst)
    }

    /// Is the packet plain, and does what is `asked` hold of its addresses? Plain is a whole packet in Ethernet with
    /// two tags at the most, one IP header without options or extensions, no fragment, TCP or UDP that carries
    /// no tunnel. Of any other it is for [`crate::decode`] to tell.
    ///
    /// Of a packet that is plain, [`crate::decode`] finds the same addresses, and no others.
    #[inline(always)]
    pub fn is_plain_and(&self, link: LinkType, packet: &[u8], asked: impl Asked) -> bool {
        if link != LinkType::Ethernet {
            return false;
        }
        if let Some(front) = packet.first_chunk::<FRONT>() {
            let word = |at| u32::from_le_bytes(bytes::array_at(front, at).unwrap_or_default());
            // Bytes come in the order in which they are written here. IPv4 of five words; neither "more fragments" nor
            // an offset; TCP or UDP.
            let plain = (word(12) & 0x00_ff_ff_ff) ^ self.begins;
            let of = |protocol: u8| (word(20) & 0xff_00_ff_3f) ^ u32::from(protocol) << 24;
            if plain | of(ip::TCP) == 0 {
                return self.front_tcp(front, packet.len(), asked);
            }
            if plain | of(ip::UDP) == 0 {
                return self.front_udp(front, packet.len(), asked);
            }
        }
        self.behind_tags(packet, asked)
    }

    /// The same of packets that begin in another way than most do.
    #[inline(never)]
    fn behind_tags(&self, packet: &[u8], asked: impl Asked) -> bool {
        if !self.enabled {
            return false;
        }
        let mut at = 12;
        for _ in 0..DEEPEST {
            match (bytes::u16_at(packet, at), packet.get(at + 2..)) {
                (Some(0x0800), Some(datagram)) => return self.v4(datagram, asked),
                (Some(0x86dd), Some(datagram)) => return self.v6(datagram, asked),
                (Some(0x8100 | 0x88a8), Some(_)) => at += 4,
                _ => return false,
            }
        }
        false
    }

    /// As [`Self::v4`], of the packets that most are, whose headers can only stand in one place.
    #[inline(always)]
    fn front_tcp(&self, front: &[u8; FRONT], len: usize, asked: impl Asked) -> bool {
        let total = front_total(front);
        let header = usize::from(front[46] >> 4) * 4;
        header >= TCP_HEADER && 20 + header <= total && self.front(front, (total, len), asked)
    }

    #[inline(always)]
    fn front_udp(&self, front: &[u8; FRONT], len: usize, asked: impl Asked) -> bool {
        let total = front_total(front);
        let word = |at| u16::from_be_bytes([front[at], front[at + 1]]);
        let length = usize::from(word(38));
        length >= Udp::HEADER_LEN
            && 20 + length <= total
            && !self.is_noted(word(34))
            && !self.is_noted(word(36))
            && self.front(front, (total, len), asked)
    }

    #[inline(always)]
    fn front(&self, front: &[u8; FRONT], (total, len): (usize, usize), asked: impl Asked) -> bool {
        let word = |at| u64::from_le_bytes(bytes::array_at(front, at).unwrap_or_default());
        let (first, second) = (word(14), word(22));
        let last = u32::from_le_bytes(bytes::array_at(front, 30).unwrap_or_default());
        total <= len - 14
            // Not 0: the header's first byte is not.
            && quotient(sum_of([first, second, last.into()])) <= self.most
            && asked.v4(((second >> 32) as u32).swap_bytes(), last.swap_bytes())
    }

    #[inline(always)]
    fn v4(&self, datagram: &[u8], asked: impl Asked) -> bool {
        let Some(head) = datagram.first_chunk::<20>() else { return false };
        let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some(body) = datagram.get(20..total) else { return false };
        let address = |at| u32::from_be_bytes(bytes::array_at(head, at).unwrap_or_default());
        // Version 4, five words; neither "more fragments" nor an offset.
        head[0] == 0x45
            && head[6] & 0x3f == 0
            && head[7] == 0
            && (!self.verify_checksums || is_right(sum(head)))
            && self.carries_nothing(head[9], body)
            && asked.v4(address(12), address(16))
    }

    #[inline(always)]
    fn v6(&self, datagram: &[u8], asked: impl Asked) -> bool {
        let Some(head) = datagram.first_chunk::<40>() else { return false };
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        let Some(body) = datagram.get(40..40 + length) else { return false };
        let address = |at| u128::from_be_bytes(bytes::array_at(head, at).unwrap_or_default());
        head[0] >> 4 == 6
            && self.carries_nothing(head[6], body)
            && asked.v6(address(8), address(24))
    }

    /// Is this a whole segment or datagram of TCP or UDP, without a tunnel within?
    #[inline(always)]
    fn carries_nothing(&self, protocol: u8, body: &[u8]) -> bool {
        match protocol {
            ip::TCP => body.first_chunk::<TCP_HEADER>().is_some_and(|head| {
                let header = usize::from(head[12] >> 4) * 4;
                header >= TCP_HEADER && header <= body.len()
            }),
            ip::UDP => body.first_chunk::<{ Udp::HEADER_LEN }>().is_some_and(|head| {
                let [src, dst, length] =
                    [0, 2, 4].map(|at| u16::from_be_bytes([head[at], head[at + 1]]));
                let length = usize::from(length);
                let is_whole = length >= Udp::HEADER_LEN && length <= body.len();
                is_whole && !self.is_noted(src) && !self.is_noted(dst)
            }),
            _ => false,
        }
    }

    #[inline]
    fn is_noted(&self, port: u16) -> bool {
        let (word, bit) = place(port);
        self.ports.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// What an IPv4 header says is the datagram's length.
#[inline(always)]
fn front_total(front: &[u8; FRONT]) -> usize {
    usize::from(u16::from_be_bytes([front[16], front[17]]))
}

/// A port's word and bit.
#[inline]
const fn place(port: u16) -> (usize, u64) {
    (((port >> 6) & 7) as usize, 1 << (port & 63))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::builder::{self, Ip, Tcp};
    use crate::{Decoded, decode, opaque};

    /// A question about addresses of both kinds.
    #[derive(Clone, Copy)]
    struct Of<F>(F);

    impl<F: Fn(IpAddr) -> bool + Copy> Asked for Of<F> {
        fn v4(self, src: u32, dst: u32) -> bool {
            self.0(IpAddr::V4(src.into())) && self.0(IpAddr::V4(dst.into()))
        }

        fn v6(self, src: u128, dst: u128) -> bool {
            self.0(IpAddr::V6(src.into())) && self.0(IpAddr::V6(dst.into()))
        }
    }

    fn config(verify_checksums: bool) -> Config {
        Config { verify_checksums, verify_transport: false, ..Config::default() }
    }

    /// The addresses of a packet that is plain.
    fn addresses(config: &Config, link: LinkType, packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
        let seen = RefCell::new(Vec::new());
        let note = |address: IpAddr| {
            seen.borrow_mut().push(address);
            true
        };
        let is_plain = Glance::new(config).is_plain_and(link, packet, Of(&note));
        let seen = seen.into_inner();
        is_plain.then(|| (seen[0], seen[1]))
    }

    /// What decoding says of a packet that is plain.
    fn check(packet: &[u8]) -> bool {
        for verify in [false, true] {
            let config = config(verify);
            let told = addresses(&config, LinkType::Ethernet, packet);
            let Some(addresses) = told else { continue };
            let decoded: Decoded =
                decode(LinkType::Ethernet, packet, &config).expect("a plain packet");
            let [layer] = decoded.ip_layers() else { panic!("{decoded:?}") };
            assert_eq!((layer.src, layer.dst), addresses);
            assert_eq!(decoded.fragment, None);
            assert!(!decoded.has(crate::flag::TRUNCATED));
            assert_eq!(opaque(&decoded, packet, &config), None);
        }
        addresses(&config(true), LinkType::Ethernet, packet).is_some()
    }

    fn datagrams() -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for ip in [Ip::new("10.0.0.1", "10.0.0.2"), Ip::new("fd00::1", "fd00::2")] {
            let tcp = Tcp::new(1000, 80, 1, 1);
            all.push(ip.tcp(&tcp, b"GET / HTTP/1.1"));
            all.push(ip.tcp(&tcp.options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]), b""));
            all.push(ip.udp(1000, 53, b"query"));
        }
        all
    }

    #[test]
    fn plain_packets_are_told_in_frames_and_tags() {
        for datagram in datagrams() {
            let frame = builder::frame(&datagram);
            assert!(check(&frame));
            let tagged = builder::vlan(0x8100, 3, &frame);
            assert!(check(&tagged) && check(&builder::vlan(0x88a8, 2, &tagged)));
            let deep = builder::vlan(0x88a8, 1, &builder::vlan(0x88a8, 2, &tagged));
            assert!(!check(&deep), "three tags are decoded");
            assert!(!check(&frame[..frame.len() - 1]), "what is cut is decoded");
        }
    }

    #[test]
    fn whatever_may_carry_another_packet_or_be_part_of_one_is_decoded() {
        let ip = Ip::new("10.0.0.1", "10.0.0.2");
        let inner = builder::frame(&ip.udp(1, 2, b"x"));
        for port in [4789, 8472, 6081, 4790, 37_008, 1701, 3544, 4500, 51_820] {
            assert!(!check(&builder::frame(&ip.udp(9, port, &builder::vxlan(7, &inner)))));
            assert!(!check(&builder::frame(&ip.udp(port, 9, b"back"))));
        }
        for protocol in [1, 4, 41, 47, 50, 132] {
            assert!(!check(&builder::frame(&ip.datagram(protocol, &inner))));
        }
        for part in ip.fragments(5, 17, &builder::udp(1, 2, &[7; 40]), 16) {
            assert!(!check(&builder::frame(&part)));
        }
        let options = Ip { options: vec![1; 4], ..ip.clone() };
        assert!(!check(&builder::frame(&options.udp(1, 2, b"x"))));
        let mut wrong = builder::frame(&ip.udp(1, 2, b"x"));
        wrong[24] ^= 1;
        assert!(!check(&wrong), "a wrong checksum of the header is decoded");
        assert_eq!(addresses(&config(true), LinkType::RawIp, &ip.udp(1, 2, b"x")), None);
    }

    #[test]
    fn one_address_that_does_not_hold_is_enough() {
        let config = config(true);
        let glance = Glance::new(&config);
        for datagram in datagrams() {
            let frame = builder::frame(&datagram);
            let (src, dst) = addresses(&config, LinkType::Ethernet, &frame).expect("plain");
            for not in [src, dst] {
                assert!(!glance.is_plain_and(LinkType::Ethernet, &frame, Of(|it| it != not)));
            }
        }
    }

    proptest! {
        #[test]
        fn decoding_never_says_otherwise(
            which in 0..6usize,
            changes in prop::collection::vec((0..80usize, any::<u8>()), 0..4),
            cut in 0..40usize,
        ) {
            let mut frame = builder::frame(&datagrams()[which]);
            for (at, byte) in changes {
                if let Some(place) = frame.get_mut(at) {
                    *place = byte;
                }
            }
            frame.truncate(frame.len().saturating_sub(cut.saturating_sub(20)));
            check(&frame);
        }

        #[test]
        fn nor_of_any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            check(&bytes);
            if let Some(place) = bytes.get_mut(12..15) {
                place.copy_from_slice(&[8, 0, 0x45]);
                check(&bytes);
            }
        }
    }
}
