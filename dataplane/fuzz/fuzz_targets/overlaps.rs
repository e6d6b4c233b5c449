//! One payload in random segments that overlap and repeat: with the same bytes every policy must give
//! the payload; with different ones the policies that look at the order alone must give what a map of
//! bytes gives, however the segments are cut.
#![no_main]

use dataplane_fuzz::Choices;
use flow::testing::Talk;
use flow::{Policy, StreamConfig};
use libfuzzer_sys::fuzz_target;
use wire::Direction;
use wire::tcp_flag::ACK;

const LENGTH: usize = 600;

/// A segment: its place, its length, and what its bytes differ by.
#[derive(Clone, Copy)]
struct Piece {
    at: usize,
    length: usize,
    differs: u8,
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let isn = [u32::from(choices.word()) << 16 | 0xff00, u32::from(choices.word())];
    let mut pieces = Vec::new();
    while !choices.is_empty() && pieces.len() < 64 {
        let at = usize::from(choices.word()) % LENGTH;
        let length = (2 + usize::from(choices.byte())).min(LENGTH - at);
        pieces.push(Piece { at, length, differs: choices.byte() });
    }
    let payload: Vec<u8> = (0..LENGTH).map(|i| (i * 31 % 251) as u8 | 1).collect();
    let whole = Piece { at: 0, length: LENGTH, differs: 0 };
    for policy in [
        Policy::Bsd,
        Policy::Windows,
        Policy::Linux,
        Policy::OldLinux,
        Policy::Solaris,
        Policy::First,
        Policy::Last,
    ] {
        let same = pieces.iter().map(|piece| Piece { differs: 0, ..*piece }).chain([whole]);
        assert_eq!(stream(policy, isn, &payload, same, usize::MAX), payload, "{policy:?}");
    }
    let all = || pieces.iter().copied().chain([whole]);
    for policy in [Policy::First, Policy::Last] {
        let mut map: Vec<Option<u8>> = vec![None; LENGTH];
        for piece in all() {
            for at in piece.at..piece.at + piece.length {
                if policy == Policy::Last || map[at].is_none() {
                    map[at] = Some(payload[at] ^ piece.differs);
                }
            }
        }
        let map: Vec<u8> = map.into_iter().flatten().collect();
        // A single byte before the next expected one would be a keep-alive, whose byte is nobody's.
        for cut in [usize::MAX, 7, 2] {
            assert_eq!(stream(policy, isn, &payload, all(), cut), map, "{policy:?}, cut to {cut}");
        }
    }
});

/// What the server's application gets; segments are cut to at most `cut` bytes.
fn stream(
    policy: Policy,
    isn: [u32; 2],
    payload: &[u8],
    pieces: impl Iterator<Item = Piece>,
    cut: usize,
) -> Vec<u8> {
    let config = StreamConfig { policy, max_segments: 1 << 16, ..StreamConfig::default() };
    let mut talk = Talk::of(config, isn).shaken();
    for piece in pieces {
        let bytes: Vec<u8> =
            payload[piece.at..piece.at + piece.length].iter().map(|b| b ^ piece.differs).collect();
        for (i, part) in bytes.chunks(cut.min(LENGTH)).enumerate() {
            let at = 1 + (piece.at + i * cut.min(LENGTH)) as u32;
            talk.packet(Direction::ToServer, ACK, (at, 1), part);
        }
    }
    talk.packet(Direction::ToClient, ACK, (1, 1 + LENGTH as u32), b"");
    talk.take_app();
    let [to_server, _] = talk.finish();
    to_server
}
