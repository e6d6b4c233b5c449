//! Ports over DPDK's software drivers: that they load, deliver, count, and that
//! what is missing is named.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use dpdk::{
    Burst, Eal, EalConfig, Hugepages, Mempool, MetaField, PacketMeta, Port, PortConfig, PortError,
    RssConfig, RssFields, VdevSpec,
};

fn eal() -> &'static Eal {
    let config = EalConfig { hugepages: Hugepages::Never, memory_mb: 64, ..EalConfig::default() };
    let eal = Eal::init(&config).unwrap();
    MetaField::register().unwrap();
    eal
}

fn pool(name: &str, mbufs: u32) -> Mempool {
    eal();
    Mempool::new(name, mbufs, 0, 2048, None).unwrap()
}

#[test]
fn a_missing_interface_is_named_with_those_that_there_are() {
    for spec in [
        VdevSpec::af_packet("no-such-if0"),
        VdevSpec::af_xdp("no-such-if0"),
        VdevSpec::new("net_af_packet77", "iface=no-such-if0,qpairs=1"),
    ] {
        let error = Port::vdev(eal(), &spec).unwrap_err();
        let PortError::NoInterface { interface, present } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(interface, "no-such-if0");
        assert!(present.contains(&"lo".to_owned()));
        assert!(error.to_string().contains("correct the name"), "{error}");
    }
}

#[test]
fn a_missing_driver_or_a_bad_argument_says_what_to_look_for() {
    for spec in [
        VdevSpec::new("net_no_such_driver0", ""),
        VdevSpec::new("net_null99", "no_such_argument=1"),
        VdevSpec::pcap("/nowhere/none.pcap"),
    ] {
        let error = Port::vdev(eal(), &spec).unwrap_err();
        assert!(matches!(error, PortError::Open { hint: Some(_), .. }), "{error}");
        assert!(error.to_string().contains(spec.name()), "{error}");
    }
    let error = Port::pci(eal(), "0000:7f:1f.7").unwrap_err();
    assert!(error.to_string().contains("vfio-pci"), "{error}");
    let error = Port::vdev(eal(), &VdevSpec::new("net_null98", "size=\0")).unwrap_err();
    assert!(matches!(error, PortError::Shape { .. }), "{error}");
}

#[test]
fn a_device_can_be_opened_once_and_again_after_it_was_closed() {
    let spec = VdevSpec::new("net_null50", "size=64");
    for _ in 0..40 {
        let port = Port::vdev(eal(), &spec).unwrap();
        let error = Port::vdev(eal(), &spec).unwrap_err();
        assert!(matches!(error, PortError::Busy { .. }), "{error}");
        assert_eq!((port.name().as_str(), port.driver_name()), ("net_null50", "net_null"));
    }
}

#[test]
fn null_ports_deliver_packets_whose_field_is_zero_and_stop_when_the_pool_is_dry() {
    let pool = pool("null", 63);
    let field = MetaField::register().unwrap();
    let mut port = Port::vdev(eal(), &VdevSpec::null(100)).unwrap();
    port.configure(PortConfig::new(pool.clone())).unwrap();
    port.start().unwrap();
    let mut queue = port.rx_queues().remove(0);
    let mut burst: Burst<32> = Burst::new();
    for _ in 0..10 {
        assert_eq!(queue.receive(&mut burst), 32);
        for mbuf in burst.iter_mut() {
            assert_eq!(mbuf.data().len(), 100);
            assert_eq!(field.get(mbuf), PacketMeta::default());
            field.set(mbuf, PacketMeta { order: 1, flags: 0xffff, ..PacketMeta::default() });
        }
    }
    let mut second: Burst<32> = Burst::new();
    assert_eq!(queue.receive(&mut second), 0, "31 mbufs are left, 32 are needed");
    burst.clear();
    assert_eq!(queue.receive(&mut second), 32);

    let stats = port.stats().unwrap();
    assert_eq!((stats.ipackets, stats.ibytes), (352, None));
    assert_eq!((stats.imissed, stats.ierrors, stats.rx_nombuf), (None, None, None));
    let xstats = port.xstats().unwrap();
    assert!(xstats.contains(&("rx_good_packets".to_owned(), 352)), "{xstats:?}");

    drop((port, queue, second));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_driver_that_offers_the_symmetric_hash_confirms_it() {
    let pool = pool("rss", 63);
    for fields in [RssFields::Addresses, RssFields::Ports] {
        let mut port = Port::vdev(eal(), &VdevSpec::null(64)).unwrap();
        let limits = port.limits().unwrap();
        assert!(limits.rss_functions != 0, "{limits:?}");
        let rss = Some(RssConfig { fields, innermost: true });
        port.configure(PortConfig { rss, ..PortConfig::new(pool.clone()) }).unwrap();
        port.start().unwrap();
        let applied = port.rss().unwrap();
        assert!(applied.functions != 0);
        assert_eq!(applied.functions & !limits.rss_functions, 0);
        assert!(applied.confirmed, "{applied:?}");
    }
}

#[test]
fn frames_that_driver_or_pool_cannot_hold_are_refused() {
    let pool = pool("frames", 63);
    let mut port = Port::vdev(eal(), &VdevSpec::null(64)).unwrap();
    let config = PortConfig { max_frame: Some(9000), ..PortConfig::new(pool.clone()) };
    let error = port.configure(config).unwrap_err();
    assert!(error.to_string().contains("cannot chain"), "{error}");
    let config = PortConfig { max_frame: Some(1 << 20), ..PortConfig::new(pool.clone()) };
    let error = port.configure(config).unwrap_err();
    assert!(error.to_string().contains("frames of up to"), "{error}");
    // A refusal is not the end: the next try may be right.
    let config = PortConfig { max_frame: Some(2000), ..PortConfig::new(pool) };
    port.configure(config).unwrap();
    port.start().unwrap();
}

/// A started port on the loopback interface; None, said, where that is not allowed.
fn loopback(pool: &Mempool) -> Option<Port> {
    let mut port = match Port::vdev(eal(), &VdevSpec::af_packet("lo")) {
        Ok(port) => port,
        Err(error) if error.to_string().contains("CAP_NET_RAW") => {
            println!("skipped: {error}");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    port.configure(PortConfig { promiscuous: false, ..PortConfig::new(pool.clone()) }).unwrap();
    port.start().unwrap();
    Some(port)
}

#[test]
fn what_is_sent_over_an_interface_arrives_through_a_packet_socket() {
    let pool = pool("afpkt", 1023);
    let Some(mut port) = loopback(&pool) else { return };
    let mut queue = port.rx_queues().remove(0);
    let Ok(sender) = UdpSocket::bind("127.0.0.1:0") else {
        println!("skipped: the loopback interface is down");
        return;
    };
    let needle = format!("pollux-{}-{:?}", std::process::id(), Instant::now());
    // The socket itself is the receiver, so that no port unreachable comes back.
    sender.send_to(needle.as_bytes(), sender.local_addr().unwrap()).unwrap();

    let mut burst: Burst = Burst::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut found = false;
    while !found && Instant::now() < deadline {
        queue.receive(&mut burst);
        found = burst.iter().any(|mbuf| mbuf.data().ends_with(needle.as_bytes()));
    }
    assert!(found, "the datagram did not come through net_af_packet");
    let stats = port.stats().unwrap();
    assert!(stats.ipackets >= 1 && stats.ibytes.is_some());
    assert!(stats.imissed.is_some(), "the kernel tells what it dropped before the socket");
    assert_eq!(stats.rx_nombuf, None);
    assert!(port.link().unwrap().up);
    drop((port, queue, burst));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn two_packet_sockets_of_one_interface_each_see_every_packet() {
    // Their driver would put both into one fanout group, named by process and interface: as two
    // pods on one node have them, each of which is process 1 in its own eyes.
    let pool = pool("afpkt2", 2047);
    let mut queues = Vec::new();
    for _ in 0..2 {
        let Some(mut port) = loopback(&pool) else { return };
        queues.append(&mut port.rx_queues());
    }
    let needle = format!("pollux-{}-{:?}", std::process::id(), Instant::now());
    for _ in 0..32 {
        let Ok(sender) = UdpSocket::bind("127.0.0.1:0") else {
            println!("skipped: the loopback interface is down");
            return;
        };
        sender.send_to(needle.as_bytes(), sender.local_addr().unwrap()).unwrap();
    }
    for queue in &mut queues {
        let mut burst: Burst = Burst::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut found = 0;
        while found < 64 && Instant::now() < deadline {
            queue.receive(&mut burst);
            found += burst.iter().filter(|it| it.data().ends_with(needle.as_bytes())).count();
        }
        assert_eq!(found, 64, "each datagram as it leaves and as it comes in");
    }
}

#[test]
fn several_queues_of_a_packet_socket_are_refused() {
    let spec = VdevSpec::new("net_af_packet78", "iface=lo,qpairs=2");
    let error = Port::vdev(eal(), &spec).unwrap_err();
    assert!(matches!(error, PortError::Shape { .. }), "{error}");
    assert!(error.to_string().contains("qpairs=2"), "{error}");
}

#[test]
fn a_driver_that_cannot_drop_flows_says_so_in_a_sentence() {
    let pool = pool("flows", 255);
    for spec in [VdevSpec::null(64), VdevSpec::new("net_tap61", "iface=no-flows")] {
        let mut port = match Port::vdev(eal(), &spec) {
            Ok(port) => port,
            Err(error) if spec.name() == "net_tap61" => {
                eprintln!("skipped: no interface can be made here: {error}");
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        port.configure(PortConfig { rx_desc: 64, ..PortConfig::new(pool.clone()) }).unwrap();
        port.start().unwrap();
        let mut rules = port.drop_rules();
        match rules.probe() {
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains(port.driver_name()), "{said}");
                assert!(said.contains("could not have a flow dropped: "), "{said}");
                assert!(!said.ends_with(": ") && !error.is_full(), "{said}");
                eprintln!("{said}");
            }
            // The kernel has what net_tap's rules are made of.
            Ok(scope) => {
                assert_eq!(port.driver_name(), "net_tap");
                assert!(!scope.counted && !scope.keeps_ends);
            }
        }
        // The handle keeps the port open; with both gone it can be opened again.
        drop(port);
        assert!(matches!(Port::vdev(eal(), &spec), Err(PortError::Busy { .. })));
        drop(rules);
        Port::vdev(eal(), &spec).unwrap();
    }
}
