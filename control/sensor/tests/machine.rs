//! `pollux doctor` on this machine, and the scripts that do what it says, over the files of made-up ones.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use common::{Run, finish, pollux, repository};

const MIRROR: &str = "0000:3b:00.0";
const UPLINK: &str = "0000:3b:00.1";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

fn nic(root: &Path, address: &str, interface: &str, iommu: bool) {
    let device = format!("sys/bus/pci/devices/{address}");
    put(root, &format!("{device}/class"), "0x020000\n");
    put(root, &format!("{device}/driver_override"), "(null)\n");
    put(root, &format!("{device}/net/{interface}/operstate"), "up\n");
    put(root, "sys/bus/pci/drivers/igb/unbind", "");
    put(root, "sys/bus/pci/drivers/vfio-pci/bind", "");
    put(root, "sys/bus/pci/drivers_probe", "");
    let device = root.join(device);
    symlink(root.join("sys/bus/pci/drivers/igb"), device.join("driver")).expect("linked");
    if iommu {
        fs::create_dir(device.join("iommu_group")).expect("made");
    }
    let class = root.join("sys/class/net").join(interface);
    fs::create_dir_all(&class).expect("made");
    symlink(&device, class.join("device")).expect("linked");
}

/// A machine with a NIC for the mirror and one for everything else.
fn machine() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    nic(root.path(), MIRROR, "eth1", true);
    nic(root.path(), UPLINK, "eth0", true);
    let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                 eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                 eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    put(root.path(), "proc/net/route", route);
    root
}

fn script(name: &str, root: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(repository("scripts").join(name));
    finish(command.args(words).env("POLLUX_SYSFS", root))
}

fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).expect("a file").trim().to_owned()
}

#[test]
fn the_nic_of_the_default_route_is_refused_by_any_of_its_names() {
    let machine = machine();
    let root = machine.path();
    for name in [UPLINK, "3B:00.1", "eth0"] {
        let run = script("bind-nic", root, &["--force", name]);
        run.expect(1).says(&["default route"]);
    }
    assert_eq!(text(root, &format!("sys/bus/pci/devices/{UPLINK}/driver_override")), "(null)");

    // As a part of a bridge that has the route, too.
    let bridge = root.join("sys/class/net/br0");
    fs::create_dir_all(&bridge).expect("made");
    symlink(&bridge, root.join("sys/class/net/eth1/master")).expect("linked");
    let route = text(root, "proc/net/route").replace("eth0", "br0");
    put(root, "proc/net/route", &route);
    script("bind-nic", root, &[MIRROR]).expect(1).says(&["default route by br0"]);
}

#[test]
fn the_mirrors_nic_is_bound_and_given_back() {
    let machine = machine();
    let root = machine.path();
    script("bind-nic", root, &["eth1"]).expect(0).says(&[MIRROR]);
    let device = format!("sys/bus/pci/devices/{MIRROR}");
    assert_eq!(text(root, &format!("{device}/driver_override")), "vfio-pci");
    assert_eq!(text(root, "sys/bus/pci/drivers/igb/unbind"), MIRROR);
    assert_eq!(text(root, "sys/bus/pci/drivers_probe"), MIRROR);
    script("bind-nic", root, &["--back", MIRROR]).expect(0);
    assert_eq!(text(root, &format!("{device}/driver_override")), "");
}

#[test]
fn a_nic_in_use_or_without_an_iommu_is_refused() {
    let machine = machine();
    let root = machine.path();
    put(root, "addresses", "eth1\n");
    script("bind-nic", root, &[MIRROR]).expect(1).says(&["has an address", "--force"]);
    script("bind-nic", root, &["--force", MIRROR]).expect(0);
    nic(root, "0000:3c:00.0", "eth2", false);
    script("bind-nic", root, &["eth2"]).expect(1).says(&["IOMMU"]);
    script("bind-nic", root, &["eth7"]).expect(1).says(&["no PCI device"]);
}

#[test]
fn hugepages_are_reserved_on_every_node_and_never_taken_away() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    let places = ["node/node0", "node/node1"]
        .map(|node| format!("sys/devices/system/{node}/hugepages/hugepages-2048kB"));
    let all = "sys/kernel/mm/hugepages/hugepages-2048kB".to_owned();
    for place in places.iter().chain([&all]) {
        put(root, &format!("{place}/nr_hugepages"), "0\n");
        put(root, &format!("{place}/free_hugepages"), "0\n");
    }
    put(root, &format!("{}/nr_hugepages", places[1]), "500\n");
    put(root, "etc/sysctl.d/x", "");
    script("hugepages", root, &["512"]).expect(0);
    assert_eq!(text(root, &format!("{}/nr_hugepages", places[0])), "128");
    assert_eq!(text(root, &format!("{}/nr_hugepages", places[1])), "500");
    assert!(text(root, "etc/sysctl.d/60-pollux-hugepages.conf").ends_with("= 256"));
    script("hugepages", root, &["many"]).expect(2);
}

#[test]
fn the_doctor_says_whether_this_machine_is_ready() {
    let run = pollux(["doctor", "--json", "--set", "ports.0.device=lo", "-q"]);
    let value: serde_json::Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run}"));
    let ready = value["ready"].as_bool().expect("a boolean");
    assert_eq!(run.code, Some(i32::from(!ready)), "{run}");
    assert!(value["findings"].as_array().expect("findings").len() > 8);
    let run = pollux(["doctor", "--set", "ports.0.device=no-such-if0", "-q"]);
    let run = run.expect(1);
    assert!(run.stdout.contains("no such interface") && run.stdout.contains("not ready"), "{run}");
}
