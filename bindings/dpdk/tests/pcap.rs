//! The capture-file driver, in a program of its own: its timestamp field and
//! ours do not fit into an mbuf together.

use std::{fs, path::PathBuf};

use dpdk::{
    Burst, Eal, EalConfig, Hugepages, Mempool, MetaError, MetaField, Port, PortConfig, RxTimestamp,
    VdevSpec,
};

/// A capture file (classic format, microseconds, Ethernet), removed at the end.
struct Capture(PathBuf);

impl Capture {
    fn new(frames: &[(u32, u32, Vec<u8>)]) -> Self {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1] {
            file.extend(word.to_le_bytes());
        }
        for (seconds, micros, frame) in frames {
            let len = frame.len() as u32;
            for word in [*seconds, *micros, len, len] {
                file.extend(word.to_le_bytes());
            }
            file.extend(frame);
        }
        let path = std::env::temp_dir().join(format!("pollux-dpdk-{}.pcap", std::process::id()));
        fs::write(&path, file).unwrap();
        Self(path)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_capture_is_read_with_times_chains_and_honest_losses() {
    let config = EalConfig { hugepages: Hugepages::Never, memory_mb: 64, ..EalConfig::default() };
    let eal = Eal::init(&config).unwrap();
    assert_eq!(RxTimestamp::lookup(), None, "no driver has registered it yet");
    let pool = Mempool::new("pcap", 15, 0, 2048, None).unwrap();

    let frame = |i: u32| {
        let len = if i == 3 { 5000 } else { 60 + i as usize };
        (1_700_000_000 + i, 7 * i, vec![i as u8; len])
    };
    let capture = Capture::new(&(0..30).map(frame).collect::<Vec<_>>());
    let spec = VdevSpec::pcap(capture.0.to_str().unwrap());
    let mut port = Port::vdev(eal, &spec).unwrap();
    port.configure(PortConfig::new(pool.clone())).unwrap();
    port.start().unwrap();
    let mut queue = port.rx_queues().remove(0);
    let time = RxTimestamp::lookup().unwrap();

    let mut burst: Burst<10> = Burst::new();
    assert_eq!(queue.receive(&mut burst), 10);
    for (i, mbuf) in burst.iter().enumerate() {
        let (seconds, micros, bytes) = frame(i as u32);
        assert_eq!(mbuf.segments().flatten().copied().collect::<Vec<_>>(), bytes);
        assert_eq!(mbuf.is_contiguous(), i != 3);
        assert_eq!(time.get(mbuf), Some(u64::from(seconds) * 1_000_000 + u64::from(micros)));
    }
    assert_eq!(pool.in_use(), 12);
    assert_eq!(port.stats().unwrap().rx_nombuf, Some(0));

    // The burst is held: three mbufs are left. The fourth packet is lost.
    let mut second: Burst<10> = Burst::new();
    assert_eq!(queue.receive(&mut second), 3);
    let stats = port.stats().unwrap();
    assert!(stats.rx_nombuf.unwrap() > 0, "{stats:?}");
    assert_eq!((stats.ipackets, stats.ierrors, stats.imissed), (13, Some(0), None));

    // Timestamp and packet field exclude each other, and the error says so.
    let error = MetaField::register().unwrap_err();
    assert!(matches!(error, MetaError::NoSpace { size: 32, .. }), "{error}");
    assert!(error.to_string().contains("net_pcap"), "{error}");

    drop((port, queue, burst, second));
    assert_eq!(pool.in_use(), 0);
}
