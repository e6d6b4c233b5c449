use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::config::{Hugepages, PortConfig};

/// A machine's files.
struct Machine(tempfile::TempDir);

impl Machine {
    fn good() -> Self {
        let machine = Self(tempfile::tempdir().expect("a folder"));
        machine.put(
            "proc/cpuinfo",
            "model name\t: Some CPU\nflags\t\t: fpu sse4_2 avx2 constant_tsc nonstop_tsc\n",
        );
        machine.put("proc/cmdline", "quiet intel_iommu=on\n");
        machine.put("proc/meminfo", "MemTotal:       16000000 kB\n");
        machine.put("proc/self/status", "CapEff:\t000001ffffffffff\n");
        machine.put("proc/self/cgroup", "0::/\n");
        machine.put("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
        machine.put("sys/devices/system/node/node0/cpulist", "0-3\n");
        machine.put("sys/devices/system/cpu/isolated", "2-3\n");
        machine.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "512\n");
        fs::create_dir_all(machine.0.path().join("sys/kernel/iommu_groups/0")).expect("made");
        fs::create_dir_all(machine.0.path().join("sys/bus/pci/drivers/vfio-pci")).expect("made");
        machine.nic("0000:3b:00.0", "vfio-pci");
        machine
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn nic(&self, address: &str, driver: &str) {
        let device = self.0.path().join("sys/bus/pci/devices").join(address);
        fs::create_dir_all(&device).expect("made");
        fs::write(device.join("class"), "0x020000\n").expect("written");
        let _ = fs::remove_file(device.join("driver"));
        symlink(format!("../../../../bus/pci/drivers/{driver}"), device.join("driver"))
            .expect("linked");
    }

    fn examine(&self) -> Diagnosis {
        let port = PortConfig { device: "3b:00.0".to_owned(), ..PortConfig::default() };
        examine(&Config { ports: vec![port], ..Config::default() }, &Sysfs::below(self.0.path()))
    }

    /// Puts a file in, and asserts what is found of it.
    #[track_caller]
    fn finds(&self, check: &str, verdict: Verdict, remedy: &str) {
        let diagnosis = self.examine();
        let found = diagnosis.findings.iter().find(|it| it.check == check).expect(check);
        assert_eq!(found.verdict, verdict, "{found:?}");
        assert!(found.remedy.as_deref().unwrap_or_default().contains(remedy), "{found:?}");
        assert_eq!(diagnosis.ready, verdict != Verdict::Bad, "{diagnosis:?}");
    }
}

#[test]
fn a_machine_that_is_ready_needs_nothing() {
    let diagnosis = Machine::good().examine();
    assert!(diagnosis.ready);
    let all_good =
        diagnosis.findings.iter().all(|it| it.verdict == Verdict::Good && it.remedy.is_none());
    assert!(all_good, "{diagnosis:#?}");
}

#[test]
fn whatever_is_not_as_it_should_be_is_told_with_what_to_do() {
    let machine = Machine::good();
    machine.put("proc/cpuinfo", "flags : fpu sse4_2 constant_tsc nonstop_tsc\n");
    machine.finds("cpu", Verdict::Warning, "Hyperscan");
    machine.put("proc/cpuinfo", "flags : fpu\n");
    machine.finds("cpu", Verdict::Bad, "SSE4.2");

    let machine = Machine::good();
    machine.put("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
    machine.finds("clock", Verdict::Warning, "tsc=reliable");

    let machine = Machine::good();
    machine.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n");
    machine.finds("hugepages", Verdict::Bad, "scripts/hugepages 256");

    let machine = Machine::good();
    fs::remove_dir_all(machine.0.path().join("sys/kernel/iommu_groups")).expect("removed");
    machine.finds("iommu", Verdict::Bad, "in the firmware");

    let machine = Machine::good();
    machine.nic("0000:3b:00.0", "ixgbe");
    machine.finds("port", Verdict::Bad, "scripts/bind-nic 0000:3b:00.0");

    let machine = Machine::good();
    machine.put("sys/fs/cgroup/memory.max", "300000000\n");
    machine.finds("memory", Verdict::Warning, "memcap");

    let machine = Machine::good();
    machine.put("proc/self/status", "CapEff:\t0000000000000000\n");
    machine.finds("privileges", Verdict::Warning, "CAP_NET_RAW");
}

#[test]
fn without_a_nic_of_dpdk_neither_hugepages_nor_iommu_are_a_must() {
    let machine = Machine::good();
    machine.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n");
    fs::remove_dir_all(machine.0.path().join("sys/kernel/iommu_groups")).expect("removed");
    machine.put("sys/class/net/eth1/operstate", "up\n");
    let port = PortConfig { device: "eth1".to_owned(), ..PortConfig::default() };
    let mut config = Config { ports: vec![port], ..Config::default() };
    let sysfs = Sysfs::below(machine.0.path());
    assert!(examine(&config, &sysfs).ready);
    config.memory.hugepages = Hugepages::Yes;
    assert!(!examine(&config, &sysfs).ready, "asked for by name");
    config.memory.hugepages = Hugepages::Auto;
    config.ports[0].device = "eth9".to_owned();
    let diagnosis = examine(&config, &sysfs);
    let remedies: Vec<_> =
        diagnosis.findings.iter().filter_map(|it| it.remedy.as_deref()).collect();
    assert!(!diagnosis.ready && remedies.iter().any(|it| it.contains("eth1")), "{diagnosis:?}");
}

#[test]
fn it_is_told_as_text_and_as_json() {
    let mut text = Vec::new();
    let diagnosis = Machine::good().examine();
    diagnosis.write_text(&mut text).expect("written");
    assert!(String::from_utf8_lossy(&text).ends_with("ready\n"));
    let mut json = Vec::new();
    diagnosis.write_json(&mut json).expect("written");
    let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!((&value["ready"], &value["findings"][0]["verdict"]), (&true.into(), &"good".into()));
}
