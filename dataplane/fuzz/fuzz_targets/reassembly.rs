//! Any segments of one connection: bounded memory, all of it given back, and nothing that is offered
//! stays behind.
#![no_main]

use dataplane_fuzz::Choices;
use flow::testing::Talk;
use flow::{Policy, StreamConfig};
use libfuzzer_sys::fuzz_target;
use wire::Direction;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let policies = [
        Policy::Bsd,
        Policy::Windows,
        Policy::Linux,
        Policy::OldLinux,
        Policy::Solaris,
        Policy::First,
        Policy::Last,
    ];
    let kind = choices.byte();
    let config = StreamConfig {
        policy: policies[usize::from(kind) % policies.len()],
        midstream: kind & 0x40 != 0,
        async_oneside: kind & 0x80 != 0,
        depth: u64::from(choices.byte()) * 64,
        ..StreamConfig::default()
    };
    let mut talk = Talk::of(config, [0xffff_ff00, 77]);
    while !choices.is_empty() {
        let step = choices.byte();
        let way = if step & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let flags = choices.byte();
        let places = (u32::from(choices.word()), u32::from(choices.word()));
        talk.options.timestamps =
            (step & 2 != 0).then(|| (choices.byte().into(), choices.byte().into()));
        let payload = choices.take(usize::from(step >> 3) * 8);
        let done = talk.packet(way, flags, places, payload);
        assert!(!done.added || done.valid, "what is not valid is not added: {done:?}");
        if done.reuse {
            talk.session = flow::TcpSession::new();
            assert_eq!(talk.memory.used(), 0);
        }
        if step & 4 != 0 {
            talk.take_app();
            talk.take_raw();
        }
        for app in &mut talk.app {
            app.clear();
        }
    }
    talk.finish();
});
