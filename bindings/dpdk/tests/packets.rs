//! Pools, mbufs, bursts and ring ports, on an EAL without hugepages and
//! privileges. One EAL serves all the tests of this program.

use std::thread;

use dpdk::{
    Burst, Eal, EalConfig, EalError, Hugepages, Mbuf, Mempool, MetaField, PacketMeta, PoolError,
    Port, PortConfig, PortError, RingFeeder, RingPort, RxQueue, TAIL, ThreadError, VdevSpec,
};

fn config() -> EalConfig {
    EalConfig { hugepages: Hugepages::Never, memory_mb: 64, ..EalConfig::default() }
}

fn eal() -> &'static Eal {
    Eal::init(&config()).unwrap()
}

fn pool(name: &str, mbufs: u32) -> Mempool {
    eal();
    Mempool::new(name, mbufs, 0, 2048, None).unwrap()
}

/// A started ring port of one queue.
fn ring(name: &str, pool: &Mempool, size: u32) -> (Port, RxQueue, RingFeeder) {
    let (mut port, mut feeders) = RingPort::new(eal(), name, 1, size).unwrap();
    port.configure(PortConfig::new(pool.clone())).unwrap();
    port.start().unwrap();
    let queue = port.rx_queues().remove(0);
    (port, queue, feeders.remove(0))
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

fn bytes(mbuf: &Mbuf) -> Vec<u8> {
    mbuf.segments().flatten().copied().collect()
}

#[test]
fn eal_starts_once_and_an_equal_configuration_gets_the_same() {
    let first = eal();
    assert!(std::ptr::eq(first, Eal::init(&config()).unwrap()));
    assert!(std::ptr::eq(first, Eal::get().unwrap()));
    let other = EalConfig { memory_mb: 65, ..config() };
    assert_eq!(Eal::init(&other).unwrap_err(), EalError::OtherConfig);
    assert!(first.tsc_hz() > 1_000_000);
    assert!(first.version().starts_with("DPDK 22.11"), "{}", first.version());
    assert!(dpdk::rdtsc() < dpdk::rdtsc());
}

#[test]
fn eal_leaves_the_callers_affinity_alone() {
    let before = thread::spawn(dpdk::allowed_cpus).join().unwrap();
    eal();
    assert_eq!(dpdk::allowed_cpus(), before);
    assert!(!before.is_empty());
}

/// Where in their pages the buffers of a pool's mbufs begin, and how many of them cross the border of one.
fn places(pool: &Mempool) -> (usize, usize) {
    const PAGE: usize = 4096;
    let all: Vec<_> = std::iter::from_fn(|| Mbuf::alloc(pool)).collect();
    let starts: Vec<_> = all.iter().map(|mbuf| mbuf.data_with_tail().0.as_ptr() as usize).collect();
    let room = usize::from(pool.data_room());
    let crossing = starts.iter().filter(|&&at| at / PAGE != (at + room - 1) / PAGE).count();
    let mut offsets: Vec<_> = starts.iter().map(|at| at % PAGE).collect();
    offsets.sort_unstable();
    offsets.dedup();
    (offsets.len(), crossing)
}

#[test]
fn mbufs_in_ordinary_pages_are_packed_unless_a_kernel_writes_to_them() {
    let (offsets, crossing) = places(&pool("packed", 255));
    assert!(offsets > 32 && crossing > 0, "{offsets} offsets, {crossing} across pages");
    for name in ["net_af_xdp0", "net_af_xdp_up"] {
        let pages = VdevSpec::new(name, "iface=lo").pool("pages", 255, 0, None).unwrap();
        let (offsets, crossing) = places(&pages);
        assert!(offsets < 8 && crossing == 0, "{name}: {offsets} offsets, {crossing} across pages");
    }
}

#[test]
fn pools_refuse_what_dpdk_cannot_do() {
    eal();
    let shape = |result: Result<Mempool, PoolError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, PoolError::Shape { .. }), "{error}");
    };
    shape(Mempool::new("", 63, 0, 2048, None));
    shape(Mempool::new("a-name-of-15-ch", 63, 0, 2048, None));
    shape(Mempool::new("zero", 0, 0, 2048, None));
    shape(Mempool::new("room", 63, 0, 65_500, None));
    shape(Mempool::new("cache", 63, 43, 2048, None));
    shape(Mempool::new("cache", 8191, 513, 2048, None));
    let error = Mempool::new("huge", 1 << 20, 0, 2048, None).unwrap_err();
    assert!(matches!(error, PoolError::NoMemory { needed_mb: 2000.., .. }), "{error}");
}

#[test]
fn a_dropped_pool_gives_its_memory_back() {
    eal();
    // 64 MB in all: without freeing, the fourth of these would not fit.
    for _ in 0..20 {
        let pool = Mempool::new("again", 8191, 64, 2048, None).unwrap();
        let mbuf = Mbuf::from_bytes(&pool, b"x").unwrap();
        assert_eq!((pool.in_use(), pool.available()), (1, 8190));
        drop(mbuf);
    }
}

#[test]
fn an_mbuf_may_outlive_its_pools_handle() {
    let orphan = {
        let pool = pool("orphan", 15);
        Mbuf::from_bytes(&pool, &pattern(5000)).unwrap()
    };
    // Makes and frees pools, which would reuse the memory had it been freed.
    for _ in 0..3 {
        let other = pool("other", 63);
        let held: Vec<_> = (0..63).map(|_| Mbuf::from_bytes(&other, &[0xff; 2048])).collect();
        assert!(held.iter().all(Option::is_some));
    }
    assert_eq!(bytes(&orphan), pattern(5000));
}

#[test]
fn bytes_come_back_as_they_were_put_in_chained_or_not() {
    let pool = pool("chain", 63);
    for len in [0, 1, 60, 2047, 2048, 2049, 4096, 4097, 9000, 70_000] {
        let data = pattern(len);
        let mbuf = Mbuf::from_bytes(&pool, &data).unwrap();
        assert_eq!(mbuf.total_len(), len);
        assert_eq!(bytes(&mbuf), data, "{len} bytes");
        assert_eq!(mbuf.is_contiguous(), len <= 2048);
        assert_eq!(mbuf.data(), &data[..len.min(2048)]);
        assert_eq!(pool.in_use() as usize, len.div_ceil(2048).max(1));
        let mut copy = vec![0; len.saturating_sub(3)];
        assert_eq!(mbuf.copy_to(&mut copy), copy.len());
        assert_eq!(copy, data[..copy.len()]);
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn appending_continues_in_the_tailroom_and_then_in_further_segments() {
    let pool = pool("append", 63);
    let data = pattern(6000);
    let mut mbuf = Mbuf::alloc(&pool).unwrap();
    for part in data.chunks(333) {
        mbuf.append(&pool, part).unwrap();
    }
    assert_eq!(bytes(&mbuf), data);
    assert_eq!(mbuf.segments().count(), 3);
    assert_eq!(pool.in_use(), 3);
}

#[test]
fn a_packet_that_the_pool_cannot_hold_changes_nothing() {
    let pool = pool("dry", 4);
    assert!(Mbuf::from_bytes(&pool, &pattern(5 * 2048)).is_none());
    assert_eq!(pool.in_use(), 0);

    let mut mbuf = Mbuf::from_bytes(&pool, &pattern(2000)).unwrap();
    assert_eq!(mbuf.append(&pool, &pattern(4 * 2048)), Err(dpdk::PoolDry));
    assert_eq!(bytes(&mbuf), pattern(2000));
    assert_eq!(pool.in_use(), 1);

    let rest: Vec<_> = (0..3).map(|_| Mbuf::alloc(&pool).unwrap()).collect();
    assert!(Mbuf::alloc(&pool).is_none());
    drop(rest);
    assert!(Mbuf::alloc(&pool).is_some());
}

#[test]
fn behind_the_data_there_are_always_bytes_to_read() {
    let pool = pool("tail", 15);
    for len in [0, 14, 1514, 2047, 2048, 2049, 5000] {
        let mut mbuf = Mbuf::from_bytes(&pool, &pattern(len)).unwrap();
        for _ in 0..3 {
            let (whole, len) = mbuf.data_with_tail();
            assert_eq!(&whole[..len], mbuf.data());
            assert_eq!(whole.len(), 2048 + TAIL);
            assert!(whole.len() - len >= TAIL);
            mbuf.append(&pool, &[0xee; 30]).unwrap();
        }
        let mut expected = pattern(len);
        expected.resize(len + 90, 0xee);
        assert_eq!(bytes(&mbuf), expected);
    }
}

#[test]
fn the_packet_field_is_zero_until_set_and_travels_with_the_mbuf() {
    let pool = pool("meta", 7);
    let field = MetaField::register().unwrap();
    assert_eq!(MetaField::register().unwrap(), field);
    let meta = PacketMeta {
        ts_ns: u64::MAX - 1,
        clock_ns: 2,
        order: 3,
        wire_len: 1514,
        link: 101,
        flags: 0x8001,
    };
    let (_port, mut queue, mut feeder) = ring("meta", &pool, 8);
    for _ in 0..20 {
        // Reused mbufs carry what their last owner wrote.
        let mut mbuf = Mbuf::from_bytes(&pool, b"x").unwrap();
        assert_eq!(field.get(&mbuf), PacketMeta::default());
        field.set(&mut mbuf, meta);
        feeder.push(mbuf).unwrap();
        let mut burst: Burst = Burst::new();
        assert_eq!(queue.receive(&mut burst), 1);
        assert_eq!(field.get(burst.get(0).unwrap()), meta);
        assert_eq!(burst.get(0).unwrap().data(), b"x");
    }
}

#[test]
fn a_ring_port_keeps_the_order_and_gives_back_what_does_not_fit() {
    let pool = pool("order", 127);
    let (port, mut queue, mut feeder) = ring("order", &pool, 100);
    assert_eq!(feeder.free_slots(), 100);
    for i in 0..100_u8 {
        feeder.push(Mbuf::from_bytes(&pool, &[i]).unwrap()).unwrap();
    }
    assert_eq!((feeder.free_slots(), feeder.waiting()), (0, 100));
    assert_eq!((queue.waiting(), queue.capacity()), (Some(100), Some(100)));
    let back = feeder.push(Mbuf::from_bytes(&pool, b"late").unwrap()).unwrap_err();
    assert_eq!(back.data(), b"late");
    drop(back);

    let mut seen = Vec::new();
    let mut burst: Burst<32> = Burst::new();
    while queue.receive(&mut burst) > 0 {
        seen.extend(burst.iter().map(|mbuf| mbuf.data()[0]));
    }
    assert_eq!(seen, (0..100).collect::<Vec<u8>>());
    let stats = port.stats().unwrap();
    assert_eq!(stats.ipackets, 100);
    assert_eq!((stats.imissed, stats.ierrors, stats.rx_nombuf), (None, None, None));
    assert!(port.link().unwrap().up);
    assert_eq!(port.driver_name(), "net_ring");
    drop(burst);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn receiving_frees_what_the_burst_held_but_not_what_was_taken() {
    let pool = pool("take", 31);
    let (_port, mut queue, mut feeder) = ring("take", &pool, 16);
    let mut burst: Burst<4> = Burst::new();
    for i in 0..8_u8 {
        feeder.push(Mbuf::from_bytes(&pool, &[i]).unwrap()).unwrap();
    }
    assert_eq!(queue.receive(&mut burst), 4);
    let taken = burst.take(1).unwrap();
    assert!(burst.take(1).is_none() && burst.take(4).is_none() && burst.get(1).is_none());
    assert_eq!(burst.iter().map(|m| m.data()[0]).collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!((burst.len(), pool.in_use()), (4, 8));

    assert_eq!(queue.receive(&mut burst), 4);
    assert_eq!(pool.in_use(), 5, "four new ones and the one that was taken");
    assert_eq!(taken.data(), [1]);
    burst.clear();
    assert_eq!((burst.len(), pool.in_use()), (0, 1));
    assert_eq!(queue.receive(&mut burst), 0);
    drop(taken);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_burst_can_be_filled_and_pushed_in_one_go() {
    let pool = pool("push", 31);
    let (_port, mut queue, mut feeder) = ring("push", &pool, 5);
    let mut burst: Burst<8> = Burst::new();
    for i in 0..8_u8 {
        burst.push(Mbuf::from_bytes(&pool, &[i]).unwrap()).unwrap();
    }
    let back = burst.push(Mbuf::from_bytes(&pool, &[8]).unwrap()).unwrap_err();
    assert_eq!(back.data(), [8]);
    drop((back, burst.take(0), burst.take(3)));
    assert_eq!(feeder.push_burst(&mut burst), 5);
    assert_eq!(burst.iter().map(|m| m.data()[0]).collect::<Vec<_>>(), [7]);
    assert_eq!(feeder.push_burst(&mut burst), 0);
    assert_eq!(pool.in_use(), 6);

    let mut received: Burst = Burst::new();
    assert_eq!(queue.receive(&mut received), 5);
    assert_eq!(received.iter().map(|m| m.data()[0]).collect::<Vec<_>>(), [1, 2, 4, 5, 6]);
    drop((burst, received));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn packets_left_in_a_ring_are_freed_whatever_is_dropped_first() {
    for order in 0..6 {
        let pool = pool("drops", 31);
        let (port, queue, mut feeder) = ring("drops", &pool, 16);
        for _ in 0..3 {
            feeder.push(Mbuf::from_bytes(&pool, &pattern(3000)).unwrap()).unwrap();
        }
        assert_eq!(pool.in_use(), 6);
        match order {
            0 => drop((port, queue, feeder)),
            1 => drop((port, feeder, queue)),
            2 => drop((queue, port, feeder)),
            3 => drop((queue, feeder, port)),
            4 => drop((feeder, port, queue)),
            _ => drop((feeder, queue, port)),
        }
        assert_eq!(pool.in_use(), 0, "order {order}");
    }
}

#[test]
fn a_queue_keeps_its_port_and_pool_alive() {
    let (mut queue, mut feeder) = {
        let pool = pool("alive", 31);
        let (_port, queue, mut feeder) = ring("alive", &pool, 16);
        feeder.push(Mbuf::from_bytes(&pool, &pattern(3000)).unwrap()).unwrap();
        (queue, feeder)
    };
    let mut burst: Burst = Burst::new();
    assert_eq!(queue.receive(&mut burst), 1);
    let mbuf = burst.take(0).unwrap();
    feeder.push(mbuf).unwrap();
    assert_eq!(queue.receive(&mut burst), 1);
    assert_eq!(bytes(burst.get(0).unwrap()), pattern(3000));
}

#[test]
fn ports_refuse_what_cannot_be_and_what_comes_too_early() {
    let pool = pool("refuse", 31);
    let shape = |error: PortError| assert!(matches!(error, PortError::Shape { .. }), "{error}");
    shape(RingPort::new(eal(), "refuse", 0, 16).unwrap_err());
    shape(RingPort::new(eal(), "refuse", 17, 16).unwrap_err());
    shape(RingPort::new(eal(), "refuse", 1, 0).unwrap_err());
    shape(RingPort::new(eal(), "a,b", 1, 16).unwrap_err());

    let (mut port, _feeders) = RingPort::new(eal(), "refuse", 2, 16).unwrap();
    shape(port.start().unwrap_err());
    assert!(port.rx_queues().is_empty());
    let config = PortConfig { rx_queues: 3, ..PortConfig::new(pool.clone()) };
    shape(port.configure(config).unwrap_err());
    let rss = PortConfig { rss: Some(Default::default()), ..PortConfig::new(pool.clone()) };
    let error = port.configure(rss).unwrap_err();
    assert!(matches!(error, PortError::NoRss { .. }), "{error}");
    port.configure(PortConfig { rx_queues: 2, ..PortConfig::new(pool.clone()) }).unwrap();
    shape(port.configure(PortConfig::new(pool)).unwrap_err());
    port.start().unwrap();
    shape(port.start().unwrap_err());
    assert_eq!(port.rx_queues().len(), 2);
    assert!(port.rx_queues().is_empty());
}

#[test]
fn the_widest_ring_port_delivers_on_every_queue() {
    let pool = pool("wide", 63);
    let (mut port, mut feeders) = RingPort::new(eal(), "wide", 16, 4).unwrap();
    port.configure(PortConfig { rx_queues: 16, ..PortConfig::new(pool.clone()) }).unwrap();
    port.start().unwrap();
    let mut queues = port.rx_queues();
    for (i, feeder) in feeders.iter_mut().enumerate() {
        feeder.push(Mbuf::from_bytes(&pool, &[i as u8]).unwrap()).unwrap();
    }
    let mut burst: Burst = Burst::new();
    for (i, queue) in queues.iter_mut().enumerate() {
        assert_eq!(usize::from(queue.index()), i);
        assert_eq!(queue.receive(&mut burst), 1);
        assert_eq!(burst.get(0).unwrap().data(), [i as u8]);
    }
}

#[test]
fn registered_threads_pass_packets_through_their_own_caches() {
    eal();
    let pool = Mempool::new("threads", 511, 32, 2048, None).unwrap();
    let (_port, mut queue, mut feeder) = ring("threads", &pool, 64);
    const PACKETS: u32 = 20_000;
    let feed = {
        let pool = pool.clone();
        thread::spawn(move || {
            let registration = eal().register_thread().unwrap();
            assert_eq!(eal().register_thread().unwrap_err(), ThreadError::AlreadyRegistered);
            let mut sent = 0_u32;
            while sent < PACKETS {
                let Some(mut mbuf) = Mbuf::from_bytes(&pool, &sent.to_le_bytes()) else {
                    thread::yield_now();
                    continue;
                };
                while let Err(back) = feeder.push(mbuf) {
                    mbuf = back;
                    thread::yield_now();
                }
                sent += 1;
            }
            registration.lcore()
        })
    };
    let drain = thread::spawn(move || {
        let registration = eal().register_thread().unwrap();
        let mut burst: Burst<32> = Burst::new();
        let mut next = 0_u32;
        while next < PACKETS {
            if queue.receive(&mut burst) == 0 {
                thread::yield_now();
            }
            for mbuf in burst.iter() {
                assert_eq!(mbuf.data(), next.to_le_bytes());
                next += 1;
            }
        }
        registration.lcore()
    });
    let (feed, drain) = (feed.join().unwrap(), drain.join().unwrap());
    assert_ne!(feed, drain);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_pool_is_freed_from_under_the_last_mbufs_on_other_threads_only_when_they_are_home() {
    for round in 0..50_u32 {
        eal();
        let pool = Mempool::new("race", 1023, 64, 256, None).unwrap();
        let halves: Vec<Vec<Mbuf>> = (0..2)
            .map(|_| (0..400).map(|_| Mbuf::from_bytes(&pool, &[7; 100]).unwrap()).collect())
            .collect();
        let threads: Vec<_> = halves
            .into_iter()
            .map(|half| {
                thread::spawn(move || {
                    let _registration = eal().register_thread().unwrap();
                    for mbuf in half {
                        assert_eq!(mbuf.data(), [7; 100], "round {round}");
                    }
                })
            })
            .collect();
        drop(pool);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn what_workers_need_can_be_sent_to_them() {
    fn sent<T: Send>() {}
    fn shared<T: Sync>() {}
    sent::<(Mbuf, Burst, RxQueue, RingFeeder, Mempool, Port)>();
    shared::<(Mbuf, Mempool, Port, Eal, MetaField)>();
    assert_eq!(size_of::<Option<Mbuf>>(), size_of::<usize>());
}
