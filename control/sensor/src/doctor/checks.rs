//! The machine: CPU, clock, NUMA, hugepages, IOMMU, isolated cores, limits.

use super::{Finding, Verdict};
use crate::config::{Config, Hugepages};
use crate::ports::device::Device;
use crate::ports::sysfs::{Sysfs, cpu_list};

/// Memory for pools and drivers that hugepages should have, if nothing is configured, in MB.
const USUAL_MB: u64 = 256;

/// Looks at all of it.
pub(super) fn machine(config: &Config, sysfs: &Sysfs) -> Vec<Finding> {
    vec![
        cpu(sysfs),
        clock(sysfs),
        numa(sysfs),
        hugepages(config, sysfs),
        iommu(config, sysfs),
        vfio(config, sysfs),
        isolation(sysfs),
        memory_limit(config, sysfs),
        privileges(sysfs),
    ]
}

fn has_pci(config: &Config) -> bool {
    config.ports.iter().any(|port| matches!(Device::read(&port.device), Device::Pci(_)))
}

fn cpu(sysfs: &Sysfs) -> Finding {
    let info = sysfs.text("proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.split(':').next().map(str::trim) == Some(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|it| it == flag);
    let name = field("model name").unwrap_or_else(|| "this CPU".to_owned());
    if !has("sse4_2") {
        let remedy =
            "DPDK and Hyperscan need SSE4.2; on a virtual machine, give it the host's CPU model";
        return Finding::of("cpu", Verdict::Bad, format!("{name} without SSE4.2"), remedy);
    }
    if !has("avx2") {
        let remedy =
            "Hyperscan scans half as fast; on a virtual machine, give it the host's CPU model";
        return Finding::of(
            "cpu",
            Verdict::Warning,
            format!("{name} with SSE4.2, without AVX2"),
            remedy,
        );
    }
    let wide = if has("avx512bw") { "AVX2, AVX-512" } else { "AVX2" };
    Finding::good("cpu", format!("{name} with SSE4.2, {wide}"))
}

fn clock(sysfs: &Sysfs) -> Finding {
    let file = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    let info = sysfs.text("proc/cpuinfo").unwrap_or_default();
    let constant = info.contains("constant_tsc") && info.contains("nonstop_tsc");
    match sysfs.text(file).as_deref() {
        Some("tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page") if constant => {
            Finding::good("clock", "the TSC runs evenly")
        }
        Some(source) => Finding::of(
            "clock",
            Verdict::Warning,
            format!(
                "clock source {source}{}",
                if constant { "" } else { ", and a TSC that may change its pace" }
            ),
            "times of alerts are taken from the TSC: boot with tsc=reliable if the CPU's is, and \
             look for 'clocksource' in dmesg",
        ),
        None => Finding::of(
            "clock",
            Verdict::Note,
            "the clock source is not told",
            "none is needed in a container without /sys",
        ),
    }
}

fn numa(sysfs: &Sysfs) -> Finding {
    let nodes = sysfs.nodes();
    match nodes.len() {
        0 | 1 => Finding::good("numa", "one node"),
        count => {
            let list = |cpus: &[usize]| {
                let all: Vec<String> = cpus.iter().map(ToString::to_string).collect();
                all.join(",")
            };
            let told: Vec<String> = nodes
                .iter()
                .map(|(node, cpus)| format!("node {node}: CPU {}", list(cpus)))
                .collect();
            Finding::good(
                "numa",
                format!(
                    "{count} nodes; {}; cores = \"auto\" takes those near the NIC",
                    told.join("; ")
                ),
            )
        }
    }
}

fn hugepages(config: &Config, sysfs: &Sysfs) -> Finding {
    let folder = "sys/kernel/mm/hugepages";
    let mut free_mb = 0;
    for size in sysfs.names(folder) {
        let kb = size.trim_start_matches("hugepages-").trim_end_matches("kB").parse::<u64>();
        let free = sysfs.number(format!("{folder}/{size}/free_hugepages")).unwrap_or(0);
        free_mb += free * kb.unwrap_or(0) / 1024;
    }
    let wanted = config.memory.size.map_or(USUAL_MB, |size| size >> 20);
    if free_mb >= wanted {
        return Finding::good("hugepages", format!("{free_mb} MB free"));
    }
    let verdict = match config.memory.hugepages {
        Hugepages::No => Verdict::Note,
        Hugepages::Yes => Verdict::Bad,
        Hugepages::Auto if has_pci(config) => Verdict::Bad,
        Hugepages::Auto => Verdict::Warning,
    };
    Finding::of(
        "hugepages",
        verdict,
        format!("{free_mb} MB free, {wanted} MB wanted"),
        format!(
            "scripts/hugepages {wanted} (NICs driven by DPDK need them; a kernel interface does \
             without, a little slower); in a pod, a limit of hugepages-2Mi"
        ),
    )
}

fn iommu(config: &Config, sysfs: &Sysfs) -> Finding {
    let groups = sysfs.names("sys/kernel/iommu_groups").len();
    if groups > 0 {
        return Finding::good("iommu", format!("on, {groups} groups"));
    }
    let line = sysfs.text("proc/cmdline").unwrap_or_default();
    let asked = line.contains("intel_iommu=on") || line.contains("amd_iommu=on");
    let verdict = if has_pci(config) { Verdict::Bad } else { Verdict::Note };
    let remedy = if asked {
        "the kernel's command line asks for it: turn VT-d or AMD-Vi on in the firmware"
    } else {
        "for a NIC on vfio-pci: turn VT-d or AMD-Vi on in the firmware, and boot with intel_iommu=on \
         iommu=pt (AMD: amd_iommu=on); mlx5 and kernel interfaces need none"
    };
    Finding::of("iommu", verdict, "off", remedy)
}

fn vfio(config: &Config, sysfs: &Sysfs) -> Finding {
    if sysfs.path("sys/bus/pci/drivers/vfio-pci").exists() {
        return Finding::good("vfio", "vfio-pci is loaded");
    }
    let verdict = if has_pci(config) { Verdict::Warning } else { Verdict::Note };
    Finding::of(
        "vfio",
        verdict,
        "vfio-pci is not loaded",
        "for a NIC on vfio-pci: modprobe vfio-pci (scripts/bind-nic does)",
    )
}

fn isolation(sysfs: &Sysfs) -> Finding {
    let isolated = cpu_list(&sysfs.text("sys/devices/system/cpu/isolated").unwrap_or_default());
    if isolated.is_empty() {
        return Finding::of(
            "isolation",
            Verdict::Note,
            "no core is isolated",
            "where every packet counts, keep the kernel off the workers' cores: boot with \
             isolcpus=N-M nohz_full=N-M rcu_nocbs=N-M and name them in `cores`",
        );
    }
    let all: Vec<String> = isolated.iter().map(ToString::to_string).collect();
    Finding::good(
        "isolation",
        format!("cores {} are isolated: name them in `cores`", all.join(",")),
    )
}

fn memory_limit(config: &Config, sysfs: &Sysfs) -> Finding {
    let group = sysfs.text("proc/self/cgroup").unwrap_or_default();
    let path = group.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let limit = std::path::Path::new(path)
        .ancestors()
        .filter_map(|folder| {
            sysfs.number(std::path::Path::new("sys/fs/cgroup").join(folder).join("memory.max"))
        })
        .min();
    let total = sysfs.text("proc/meminfo").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().to_owned();
        line.trim_end_matches("kB").trim().parse::<u64>().ok()
    });
    let has = limit.into_iter().chain(total.map(|kb| kb * 1024)).min();
    // What a core keeps at the most, and rules, pools and the rest.
    let workers: u64 = config.ports.iter().map(|port| u64::from(port.queues.unwrap_or(1))).sum();
    let per_worker = config.streams.memcap + config.defrag.memcap as u64;
    let wants =
        workers.max(1) * per_worker + config.memory.size.unwrap_or(USUAL_MB << 20) + (512 << 20);
    match has {
        Some(has) if has < wants => Finding::of(
            "memory",
            Verdict::Warning,
            format!("{} MB, and the limits add up to {} MB", has >> 20, wants >> 20),
            "give the process more memory, or lower streams.reassembly.memcap and defrag.memcap, \
             which count for each core",
        ),
        Some(has) => {
            Finding::good("memory", format!("{} MB for limits of {} MB", has >> 20, wants >> 20))
        }
        None => Finding::of("memory", Verdict::Note, "the memory is not told", "none is needed"),
    }
}

fn privileges(sysfs: &Sysfs) -> Finding {
    let status = sysfs.text("proc/self/status").unwrap_or_default();
    let set = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0);
    let names = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (14, "CAP_IPC_LOCK"), (39, "CAP_BPF")];
    let lacking: Vec<&str> =
        names.iter().filter(|(bit, _)| set >> bit & 1 == 0).map(|&(_, name)| name).collect();
    if lacking.is_empty() {
        return Finding::good("privileges", "as they must be for every kind of port");
    }
    Finding::of(
        "privileges",
        Verdict::Warning,
        format!("this process lacks {}", lacking.join(", ")),
        "kernel interfaces need CAP_NET_RAW and CAP_NET_ADMIN, AF_XDP CAP_BPF too, hugepages \
         CAP_IPC_LOCK: run as root, or see deploy/",
    )
}
