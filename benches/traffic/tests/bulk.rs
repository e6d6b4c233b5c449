//! The captures for benches have the packets, connections and addresses that were asked for.

mod common;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::IpAddr;

use common::{assert_complete, decode, ends, read, reassemble};
use traffic::example::cluster;
use traffic::{Bulk, PcapWriter};

fn capture(bulk: &Bulk) -> Vec<u8> {
    let pcap = bulk.write(PcapWriter::new(Vec::new()).unwrap()).unwrap();
    pcap.finish().unwrap()
}

fn frames(bulk: &Bulk) -> Vec<Vec<u8>> {
    read(&capture(bulk)).into_iter().map(|(_, frame)| frame).collect()
}

#[test]
fn short_flows_are_of_ten_packets_each_and_no_two_the_same() {
    let frames = frames(&Bulk { flows: 1_500, ..Bulk::short_flows(9) });
    assert_eq!(frames.len(), 15_000);
    let all = reassemble(frames.iter().map(Vec::as_slice));
    assert_eq!(all.len(), 3_000);
    assert!(all.values().all(|direction| direction.packets == 6 || direction.packets == 4));
    assert_complete(&all);
}

#[test]
fn bodies_have_the_length_asked_for_in_both_directions() {
    let bulk = Bulk { flows: 20, body_bytes: 10_000, ..Bulk::http_bodies(2) };
    let frames = frames(&bulk);
    let all = reassemble(frames.iter().map(Vec::as_slice));
    assert_complete(&all);
    let mut exchanges = BTreeSet::new();
    for ((source, destination), request) in &all {
        if destination.port() == 8080 {
            let answer = body(&all[&(*destination, *source)].payload());
            let request = request.payload();
            let posts = request.starts_with(b"POST ");
            assert_eq!((body(&request), answer), if posts { (10_000, 0) } else { (0, 10_000) });
            exchanges.insert((posts, *source));
        }
    }
    let posts = exchanges.iter().filter(|(posts, _)| *posts).count();
    assert_eq!((posts, exchanges.len()), (10, 20));
}

/// The length of what follows a message's head.
fn body(message: &[u8]) -> usize {
    let head = message.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    message.len() - head - 4
}

#[test]
fn so_many_packets_as_were_asked_for_are_made_of_few_flows_and_of_many() {
    for (flows, packets) in [(1, 5_000), (7, 5_000), (900, 5_000), (900, 10)] {
        let bulk = Bulk { flows, packets: Some(packets), ..Bulk::http_bodies(3) };
        let frames = frames(&bulk);
        assert_eq!(frames.len() as u64, packets);
        reassemble(frames.iter().map(Vec::as_slice));
    }
}

#[test]
fn out_of_scope_has_no_address_that_a_resource_inspects_and_the_others_only_such() {
    let unscoped = Bulk { flows: 50, ..Bulk::out_of_scope(4) };
    let scoped = Bulk { flows: 50, ..Bulk::http_bodies(4) };
    for (bulk, inspected) in [(unscoped, false), (scoped, true)] {
        for frame in frames(&bulk) {
            let (source, destination) = ends(&decode(&frame).unwrap());
            let hit = |address: IpAddr| !cluster::resources_of(address).is_empty();
            assert_eq!(hit(source.ip()) || hit(destination.ip()), inspected);
        }
    }
}

#[test]
fn a_seed_makes_the_same_capture_and_another_seed_another() {
    let make = |seed| capture(&Bulk { flows: 40, ..Bulk::http_bodies(seed) });
    assert!(make(1) == make(1));
    assert!(make(1) != make(2));
}

#[test]
fn times_go_forward_at_the_rate_asked_for() {
    let bulk = Bulk { flows: 100, rate: 1_000, ..Bulk::short_flows(1) };
    let times: BTreeSet<u64> = read(&capture(&bulk)).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times.len(), 1_000);
    assert_eq!(times.last().unwrap() - times.first().unwrap(), 999_000);
}

#[test]
fn clients_are_of_the_range_for_benchmarks() {
    let frames = frames(&Bulk { flows: 300, ..Bulk::short_flows(1) });
    let mut clients = BTreeSet::new();
    for frame in &frames {
        let (source, destination) = ends(&decode(frame).unwrap());
        let client = if source.port() == 8080 { destination } else { source };
        let IpAddr::V4(address) = client.ip() else { panic!("no IPv4") };
        assert!(matches!(address.octets(), [198, 18 | 19, ..]));
        clients.insert(client);
    }
    assert_eq!(clients.len(), 300);
}

#[test]
fn a_writer_that_fails_ends_it_with_its_error() {
    #[derive(Debug)]
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let pcap = PcapWriter::new(Full(10_000)).unwrap();
    let error = Bulk::short_flows(1).write(pcap).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
