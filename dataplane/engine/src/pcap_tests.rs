//! What is remembered and given of packets, against a simple model.

use proptest::prelude::*;

use super::*;

fn config() -> PcapConfig {
    PcapConfig {
        history_bytes: 1000,
        history_packets: 16,
        after_packets: 2,
        after: 100,
        queue_packets: 64,
        queue_bytes: 1 << 20,
    }
}

fn info(clock: Nanos) -> PacketInfo {
    PacketInfo {
        timestamp: clock,
        clock,
        order: clock,
        link: Some(LinkType::Ethernet),
        wire_len: 0,
        ignore_checksums: false,
    }
}

struct Bench {
    lanes: PcapLanes,
    recorder: Recorder,
    counters: Counters,
    flows: Vec<Option<Box<Followed>>>,
}

impl Bench {
    fn new(config: &PcapConfig) -> Self {
        let mut lanes = PcapLanes::new();
        let recorder = lanes.recorder(config, WhenFull::Lose, 0);
        let flows = (0..4).map(|_| None).collect();
        Self { lanes, recorder, counters: Counters::default(), flows }
    }

    fn packet(&mut self, flow: usize, clock: Nanos, len: usize) {
        let bytes = vec![flow as u8; len];
        let parts = [&bytes[..len / 3], &bytes[len / 3..]];
        self.recorder.record(
            &mut self.flows[flow],
            flow as u64,
            parts,
            &info(clock),
            &self.counters,
        );
    }

    fn alert(&mut self, flow: usize, clock: Nanos) {
        self.recorder.alerted(&mut self.flows[flow], flow as u64, clock, &self.counters);
    }

    /// Flow, clock and due of what was given.
    fn given(&mut self) -> Vec<(u64, Nanos, Nanos)> {
        let mut all = Vec::new();
        let mut bytes = 0;
        self.lanes.poll(|packet| {
            let flow = packet.flow.expect("a flow");
            assert!(packet.bytes.iter().all(|&byte| u64::from(byte) == flow), "another's bytes");
            bytes += packet.bytes.len();
            all.push((flow, packet.clock, packet.due));
        });
        self.lanes.done(bytes);
        all
    }
}

#[test]
fn an_alert_gives_what_came_before_of_its_flow_and_a_bounded_number_after() {
    let mut bench = Bench::new(&config());
    for clock in 1..=6 {
        bench.packet((clock % 2) as usize, clock, 50);
    }
    assert_eq!(bench.given(), []);
    bench.alert(1, 6);
    assert_eq!(bench.given(), [(1, 1, 6), (1, 3, 6), (1, 5, 6)]);
    for clock in 7..=12 {
        bench.packet((clock % 2) as usize, clock, 50);
    }
    assert_eq!(bench.given(), [(1, 7, 7), (1, 9, 9)]);
    assert_eq!(bench.counters.pcap_beyond.get(), 1);
    bench.alert(1, 12);
    assert_eq!(bench.given(), [(1, 11, 12)], "nothing is given twice");
    bench.packet(1, 113, 50);
    assert_eq!(bench.given(), [], "it came too late");
    assert_eq!(bench.counters.pcap_gone.get(), 0);
}

#[test]
fn what_has_left_the_ring_or_finds_the_queue_full_is_counted() {
    let mut bench = Bench::new(&PcapConfig { queue_bytes: 250, ..config() });
    for clock in 1..=30 {
        bench.packet(0, clock, 100);
    }
    bench.packet(0, 31, 2000);
    bench.alert(0, 31);
    let given = bench.given();
    // Ten of 100 bytes fit into the ring, two into the queue; one was too long to be remembered.
    assert_eq!(given, [(0, 21, 31), (0, 22, 31)]);
    assert_eq!(bench.counters.pcap_gone.get(), 21);
    assert_eq!(bench.counters.pcap_lost.get(), 8);
}

proptest! {
    #[test]
    fn whatever_comes_is_given_in_order_and_once_or_counted(
        steps in prop::collection::vec((0usize..4, 1usize..400, prop::bool::weighted(0.1)), 1..300),
    ) {
        let mut bench = Bench::new(&PcapConfig { queue_packets: 4096, after_packets: 0, ..config() });
        let mut since: Vec<Vec<Nanos>> = vec![Vec::new(); 4];
        let mut missing = 0;
        for (at, (flow, len, alerts)) in steps.into_iter().enumerate() {
            let clock = at as Nanos + 1;
            bench.packet(flow, clock, len);
            since[flow].push(clock);
            if alerts {
                bench.alert(flow, clock);
                let given: Vec<_> = bench.given().into_iter().map(|(_, clock, _)| clock).collect();
                let all = std::mem::take(&mut since[flow]);
                // The newest ones, without a hole, the alerting packet among them.
                prop_assert!(all.ends_with(&given) && !given.is_empty());
                missing += all.len() - given.len();
            }
        }
        prop_assert_eq!(bench.counters.pcap_gone.get(), missing as u64);
        prop_assert!(bench.recorder.history.entries.len() <= 16);
    }
}
