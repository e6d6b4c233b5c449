//! Any first bytes of either direction: the search for a flow's protocol ends, and knows when it has.
#![no_main]

use app::Transport;
use app::detect::{Detector, Probe};
use dataplane_fuzz::Choices;
use libfuzzer_sys::fuzz_target;
use wire::Direction;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let kind = choices.byte();
    let transport = if kind & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let mut detector = if kind & 2 == 0 { Detector::new() } else { Detector::midstream() };
    let ports = (choices.word(), choices.word());
    let mut seen = [Vec::new(), Vec::new()];
    while !choices.is_empty() {
        let step = choices.byte();
        let way = if step & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let bytes = choices.take(usize::from(step));
        let data = &mut seen[way.index()];
        if transport == Transport::Udp {
            data.clear();
        }
        data.extend_from_slice(bytes);
        match detector.probe(transport, way, ports.0, ports.1, data, step > 250) {
            Probe::NeedMore => {}
            Probe::Found { .. } | Probe::NotFound => return,
        }
    }
});
