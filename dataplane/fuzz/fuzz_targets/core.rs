//! Frames in any order and at any time through the whole of a core: each has one fate, nothing is left when it
//! ends, and the same frames raise the same alerts again.
//!
//! The input is a byte of choices, then frames: how late each comes, its length (2 bytes), its bytes.
#![no_main]

use std::cell::OnceCell;

use dataplane_fuzz::{Choices, Shop};
use libfuzzer_sys::fuzz_target;
use wire::Nanos;

/// Frames that one input brings at the most.
const MOST: usize = 64;

const START: Nanos = 1_700_000_000_000_000_000;

thread_local! {
    static SHOP: OnceCell<Shop> = const { OnceCell::new() };
}

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let settings = choices.byte();
    let mut frames = Vec::new();
    let mut now = START;
    while !choices.is_empty() && frames.len() < MOST {
        // The lower half: how long after the frame before. The upper: behind how many of the next it comes.
        let step = choices.byte();
        let length = usize::from(choices.word());
        now += (1_u64 << (step & 15)) * 1_000_000;
        let place = frames.len() * 16 + usize::from(step >> 4) * 24;
        frames.push((place, now, choices.take(length)));
    }
    frames.sort_by_key(|&(place, ..)| place);
    SHOP.with(|shop| {
        let shop = shop.get_or_init(Shop::open);
        let first = shop.serve(settings, &frames);
        assert_eq!(first, shop.serve(settings, &frames));
    });
});
