//! What may befall a sensor from within: no buffers, a panic. It stays up and says so.

use crate::sensor::RingSensor;
use crate::site::{RESOURCES, SERVER};
use traffic::{Path, Side};

const RULES: &str =
    "alert udp any any -> any any (msg:\"found\"; content:\"the needle\"; sid:1;)\n";

/// A datagram to the server with this text.
fn datagram(port: u16, text: &str) -> Vec<u8> {
    let path = Path::new(([10, 8, 0, 7], port).into(), (SERVER, 9).into());
    let mut frame = Vec::new();
    traffic::frame::udp(&mut frame, &path, Side::Client, port, text.as_bytes());
    frame
}

#[test]
fn a_pool_that_runs_dry_holds_packets_up_and_loses_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut sensor = RingSensor::start(folder.path(), Some(RESOURCES), RULES, &[], 255);
    for number in 0..20_000_u16 {
        sensor.push(&datagram(number, if number % 100 == 0 { "the needle" } else { "hay" }));
        if number % 1_000 == 0 {
            // Somebody keeps all buffers for a while: nothing can come, and nothing breaks. With the ring
            // empty there are some to keep: a burst and a worker's cache hold fewer than the pool has.
            sensor.settle();
            let kept: Vec<_> =
                std::iter::from_fn(|| dpdk::Mbuf::from_bytes(&sensor.pool, b"kept")).collect();
            assert!(!kept.is_empty());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    let (ledger, alerts) = sensor.stop();
    assert_eq!((ledger.totals.inspected, alerts.len()), (20_000, 200));
}

#[test]
fn a_panic_of_a_live_worker_costs_one_packet_and_the_flows_that_it_knew() {
    let folder = tempfile::tempdir().expect("a folder");
    let drill = |config: &mut pollux::config::Config| config.drill_panic = Some(1_000);
    let mut sensor = RingSensor::changed(folder.path(), Some(RESOURCES), RULES, &[], 4095, drill);
    for number in 0..2_000_u16 {
        sensor.push(&datagram(number, if number == 1_500 { "the needle" } else { "hay" }));
        if number % 500 == 0 {
            sensor.settle();
        }
    }
    let (ledger, alerts) = sensor.stop();
    assert_eq!((ledger.trouble.panics, ledger.drops()["worker_panic"]), (1, 1));
    assert_eq!(ledger.flows.lost_to_panic, 999);
    assert_eq!((ledger.totals.dropped, alerts.len()), (1, 1), "it has gone on");
}
