//! A glance at eight packets that begin as most do, side by side. It says of none that it is plain of which
//! [`Glance::is_plain_and`] would not.

use lanes::{Avx2, LANES, U32x8};

use super::{Asked, FRONT, Glance, TCP_HEADER};
use crate::{Udp, ip};

/// What is asked of addresses, of those of eight packets in IPv4 at once.
pub trait AskedOfEach: Asked {
    /// All ones for each pair of numbers of which it is easily told that it holds.
    fn each_v4(self, avx: Avx2, src: U32x8, dst: U32x8) -> U32x8;
}

/// What a glance at eight packets tells, with a bit for each, the first one's being the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// It is plain.
    pub plain: u8,
    /// It is plain, and what was asked holds of its addresses.
    pub holds: u8,
}

impl Glance {
    /// Which of these packets in Ethernet are plain, in IPv4 and without tags, and is what is `asked` true of their
    /// addresses? Of each there is how it begins, zeros where it is shorter than that, and its length, 0 for one that is
    /// not to be looked at.
    #[inline(always)]
    pub fn are_plain_and(
        &self,
        avx: Avx2,
        fronts: &[&[u8; FRONT]; LANES],
        lengths: &[u32; LANES],
        asked: impl AskedOfEach,
    ) -> Told {
        // Columns of four bytes, by where they begin; the first byte is a number's lowest, so that what is more than a
        // byte is turned round. Constants are written as the bytes come, the last one first.
        let [at_12, at_16, at_20, at_24] = avx.columns(fronts.map(row::<12>));
        let [at_28, at_32, at_36, _] = avx.columns(fronts.map(row::<28>));
        let at_44 = avx.of(&fronts.map(word::<44>));
        let (half, turned) = (avx.all(0xffff), U32x8::swap_bytes);

        // The answer takes longest, and waits for nothing else.
        let src = turned(at_24.shr::<16>() | at_28.shl::<16>());
        let dst = turned(at_28.shr::<16>() | at_32.shl::<16>());
        let easily = asked.each_v4(avx, src, dst);

        // IPv4 of five words; neither "more fragments" nor an offset; TCP or UDP.
        let plain = (at_12 & avx.all(0x00_ff_ff_ff)).is(avx.all(self.begins));
        let protocol = at_20 & avx.all(0xff_00_ff_3f);
        let of = |number: u8| protocol.is(avx.all(u32::from(number) << 24));
        let (tcp, udp) = (of(ip::TCP), of(ip::UDP));

        // The whole datagram is there, and in it the whole header of what it carries.
        let total = turned(at_16).shr::<16>();
        let [header, least] = [
            tcp.choose(at_44.shr::<18>() & avx.all(0x3c), turned(at_36) & half),
            tcp.choose(avx.all(TCP_HEADER as u32), avx.all(Udp::HEADER_LEN as u32)),
        ];
        let length = avx.of(lengths);
        let cut = (total + avx.all(14)).is_above(length)
            | (header + avx.all(20)).is_above(total)
            | least.is_above(header);
        let mut passes = (plain & (tcp | udp)).and_not(cut);

        // No port that tells of a tunnel.
        if udp.mask() != 0 {
            let [src, dst] = [turned(at_32) & half, turned(at_36).shr::<16>()];
            let noted = (src.bits_of(&self.ports) | dst.bits_of(&self.ports)).is(avx.all(1));
            passes = passes.and_not(noted & udp);
        }
        if self.verify_checksums {
            let lower = (at_16 & half) + (at_20 & half) + (at_24 & half) + (at_28 & half);
            let upper =
                at_16.shr::<16>() + at_20.shr::<16>() + at_24.shr::<16>() + at_28.shr::<16>();
            let sum = lower + upper + at_12.shr::<16>() + (at_32 & half);
            // Ten words: no carry is left after two.
            let sum = (sum & half) + sum.shr::<16>();
            let sum = (sum & half) + sum.shr::<16>();
            passes = passes & sum.is(half);
        }
        let plain = passes.mask();
        let holds = (passes & easily).mask();
        let open = plain & !holds;
        let more =
            if open == 0 { 0 } else { one_by_one(open, src.to_array(), dst.to_array(), asked) };
        Told { plain, holds: holds | more }
    }
}

/// Of which of these pairs does it hold?
#[inline(never)]
fn one_by_one(mut open: u8, src: [u32; LANES], dst: [u32; LANES], asked: impl Asked) -> u8 {
    let mut found = 0;
    while open != 0 {
        // A bit of eight that is set: its number is below that of lanes, whatever the packets are.
        let lane = open.trailing_zeros() as usize;
        if asked.v4(src[lane], dst[lane]) {
            found |= 1 << lane;
        }
        open &= open - 1;
    }
    found
}

/// The 16 bytes from here on.
#[inline(always)]
fn row<const AT: usize>(front: &[u8; FRONT]) -> &[u8; 16] {
    const { assert!(AT + 16 <= FRONT) };
    front[AT..].first_chunk().unwrap_or(&[0; 16])
}

/// The four bytes from here on, the first one being the lowest of the number.
#[inline(always)]
fn word<const AT: usize>(front: &[u8; FRONT]) -> u32 {
    const { assert!(AT + 4 <= FRONT) };
    u32::from_le_bytes(front[AT..].first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use lanes::Work;
    use proptest::prelude::*;

    use super::*;
    use crate::builder::{self, Ip, Tcp};
    use crate::{Asked, Config, LinkType};

    /// Is neither address this one?
    #[derive(Clone, Copy)]
    struct Neither(u32);

    impl Asked for Neither {
        fn v4(self, src: u32, dst: u32) -> bool {
            src != self.0 && dst != self.0
        }

        fn v6(self, _: u128, _: u128) -> bool {
            true
        }
    }

    impl AskedOfEach for Neither {
        #[inline(always)]
        fn each_v4(self, avx: Avx2, src: U32x8, dst: U32x8) -> U32x8 {
            // Of odd ones it is not easily told.
            let (not, odd) = (avx.all(self.0), (src & avx.all(1)).is(avx.all(1)));
            avx.all(u32::MAX).and_not(odd | src.is(not) | dst.is(not))
        }
    }

    struct Look<'a>(&'a Glance, [&'a [u8; FRONT]; LANES], [u32; LANES], Neither);

    impl Work for Look<'_> {
        type Done = Told;

        #[inline(always)]
        fn work(self, avx: Avx2) -> Told {
            self.0.are_plain_and(avx, &self.1, &self.2, self.3)
        }
    }

    /// What is said of eight frames all together, and one by one of those that begin as most do.
    fn both(config: &Config, frames: &[Vec<u8>; LANES], asked: Neither) -> Option<(Told, Told)> {
        let avx = Avx2::detect()?;
        let glance = Glance::new(config);
        let fronts = frames.each_ref().map(|it| it.first_chunk().unwrap_or(&[0; FRONT]));
        let has_front = |it: &Vec<u8>| it.len() >= FRONT;
        let lengths = frames.each_ref().map(|it| if has_front(it) { it.len() as u32 } else { 0 });
        let together = avx.run(Look(&glance, fronts, lengths, asked));
        let one_by_one = |asked| {
            frames.iter().rev().fold(0, |mask, frame| {
                let begins = has_front(frame) && frame[12..15] == [8, 0, 0x45];
                let is = begins && glance.is_plain_and(LinkType::Ethernet, frame, asked);
                mask << 1 | u8::from(is)
            })
        };
        // No address is 0 here.
        Some((together, Told { plain: one_by_one(Neither(0)), holds: one_by_one(asked) }))
    }

    fn config(verify_checksums: bool) -> Config {
        Config { verify_checksums, verify_transport: false, ..Config::default() }
    }

    /// Frames of all kinds, the first ones plain.
    fn kinds() -> [Vec<u8>; LANES] {
        let (four, six) = (Ip::new("10.0.0.1", "10.0.0.2"), Ip::new("fd00::1", "fd00::2"));
        let tcp = Tcp::new(1000, 80, 1, 1);
        let options = tcp.clone().options(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        let long = Ip::new("192.0.2.255", "198.51.100.7").tcp(&tcp, &[7; 1400]);
        let frame = |datagram: Vec<u8>| builder::frame(&datagram);
        [
            frame(four.tcp(&tcp, b"GET / HTTP/1.1")),
            frame(four.tcp(&options, b"")),
            frame(four.udp(1000, 53, b"a query for a name")),
            frame(long),
            frame(four.udp(4789, 9, b"what a tunnel has in it")),
            frame(six.tcp(&tcp, b"GET")),
            builder::vlan(0x8100, 3, &frame(four.tcp(&tcp, b""))),
            frame(four.udp(1, 2, b"x")),
        ]
    }

    #[test]
    fn plain_packets_are_told_side_by_side_and_no_others() {
        for checked in [false, true] {
            let told = |asked| both(&config(checked), &kinds(), Neither(asked));
            for (asked, holds) in [(0, 0b1111), (0x0a00_0002, 0b1000), (0xc633_6407, 0b0111)] {
                let Some((together, one_by_one)) = told(asked) else { return };
                assert_eq!(together, Told { plain: 0b1111, holds });
                assert_eq!(together, one_by_one);
            }
        }
        let few = Config { max_layers: 2, ..config(true) };
        assert!(both(&few, &kinds(), Neither(0)).is_none_or(|(together, _)| together.plain == 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn together_they_are_what_they_are_one_by_one(
            which: [prop::sample::Index; LANES],
            changes in prop::collection::vec((0..LANES, 0..64usize, any::<u8>()), 0..10),
            cuts: [u8; LANES],
            checked: bool,
            asked in prop::sample::select(vec![0x0a00_0001, 0x0a00_0002, 0xc633_6407]),
        ) {
            let kinds = kinds();
            let mut frames = which.map(|which| kinds[which.index(5)].clone());
            for (lane, at, byte) in changes {
                if let Some(place) = frames[lane].get_mut(at) {
                    *place = byte;
                }
            }
            for (frame, cut) in frames.iter_mut().zip(cuts) {
                frame.truncate(frame.len().saturating_sub(usize::from(cut).saturating_sub(200)));
            }
            if let Some((together, one_by_one)) = both(&config(checked), &frames, Neither(asked)) {
                prop_assert_eq!(together, one_by_one);
            }
        }
    }
}
