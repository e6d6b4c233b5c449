//! EAL on hugepages, where this machine has them, and the refusal where not.

use dpdk::{Eal, EalConfig, EalError, Hugepages, Mbuf, Memory, Mempool};

#[test]
fn required_hugepages_are_used_or_their_lack_is_explained() {
    let needed =
        EalConfig { hugepages: Hugepages::Require, memory_mb: 1 << 30, ..EalConfig::default() };
    let error = Eal::init(&needed).unwrap_err();
    assert!(matches!(error, EalError::NotEnoughHugepages { .. }), "{error}");
    assert!(error.to_string().contains("vm.nr_hugepages="), "{error}");

    let config = EalConfig { memory_mb: 64, ..needed };
    match Eal::init(&config) {
        Ok(eal) => {
            assert_eq!(eal.memory(), Memory::Hugepages);
            let pool = Mempool::new("huge", 4095, 128, 2048, None).unwrap();
            let mbuf = Mbuf::from_bytes(&pool, &[1; 9000]).unwrap();
            assert_eq!(mbuf.total_len(), 9000);
        }
        Err(EalError::NotEnoughHugepages { available_mb, .. }) => {
            println!("skipped: 64 MB of hugepages are needed, there are {available_mb} MB");
            // A refusal before EAL started leaves the other way open.
            let ordinary = EalConfig { hugepages: Hugepages::Auto, ..config };
            assert_eq!(Eal::init(&ordinary).unwrap().memory(), Memory::Ordinary);
        }
        Err(error) => panic!("{error}"),
    }
}
