//! Any DNS messages, by datagram and over TCP, in any pieces, with gaps.
#![no_main]

use app::{AppProto, Transport};
use dataplane_fuzz::drive_session;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&kind, input)) = input.split_first() else { return };
    let transport = if kind & 1 == 0 { Transport::Udp } else { Transport::Tcp };
    drive_session(AppProto::Dns, transport, input);
});
