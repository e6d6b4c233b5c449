//! Binds the system's libdpdk: bindgen over `src/wrapper.h`, cc over `src/shim.c`
//! and `src/flow.c`, and links only the few shared libraries that are used.

use std::{env, path::PathBuf, process::Command};

/// The ABI that the shim's assumptions (mempool cache, mbuf layout) were read
/// against; 22.11 is a long-term release.
const WANTED: &str = "22.11";
/// The first version that is no longer it.
const NEXT: &str = "22.12";

/// What is linked. Drivers are plugins that EAL loads from DPDK's own folder;
/// `net_ring` is named because `rte_eth_from_rings` is called directly.
const LIBRARIES: [&str; 7] =
    ["rte_net_ring", "rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_eal", "rte_kvargs"];

const FUNCTIONS: &[&str] = &[
    "pollux_.*",
    "rte_eal_init",
    "rte_eal_hotplug_add",
    "rte_eal_hotplug_remove",
    "rte_get_tsc_hz",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_strerror",
    "rte_version",
    "rte_mempool_free",
    "rte_mempool_avail_count",
    "rte_mbuf_dynfield_register",
    "rte_mbuf_dynfield_lookup",
    "rte_mbuf_dynflag_lookup",
    "rte_ring_create",
    "rte_ring_free",
    "rte_eth_from_rings",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_info_get",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_rss_hash_conf_get",
    "rte_eth_dev_rss_hash_update",
    "rte_eth_dev_rss_reta_query",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_promiscuous_enable",
    "rte_eth_promiscuous_disable",
    "rte_eth_link_get_nowait",
    "rte_eth_stats_get",
    "rte_eth_xstats_get",
    "rte_eth_xstats_get_names",
    "rte_eth_rx_queue_info_get",
    "rte_eth_dev_rx_intr_enable",
    "rte_eth_dev_rx_intr_disable",
    "rte_eth_dev_rx_intr_ctl_q",
    "rte_epoll_wait",
];

const TYPES: &[&str] =
    &["rte_mbuf", "rte_eth_conf", "rte_mbuf_dynfield", "rte_eth_rss_reta_entry64"];

const VARIABLES: &[&str] = &[
    "POLLUX_.*",
    "RTE_MAX_LCORE",
    "RTE_MAX_ETHPORTS",
    "RTE_MEMPOOL_CACHE_MAX_SIZE",
    "RING_F_SP_ENQ",
    "RING_F_SC_DEQ",
    "RING_F_EXACT_SZ",
    "RTE_ETH_LINK_UP",
    "RTE_ETH_LINK_FULL_DUPLEX",
    "RTE_ETH_SPEED_NUM_UNKNOWN",
];

fn main() {
    for file in ["build.rs", "src/wrapper.h", "src/shim.c", "src/flow.c"] {
        println!("cargo:rerun-if-changed={file}");
    }

    let dpdk = pkg_config::Config::new()
        .range_version(WANTED..NEXT)
        .cargo_metadata(false)
        .probe("libdpdk")
        .unwrap_or_else(|error| {
            panic!("libdpdk {WANTED} is needed (Debian: apt-get install libdpdk-dev): {error}")
        });
    for path in &dpdk.link_paths {
        println!("cargo:rustc-link-search=native={}", path.display());
    }
    for library in LIBRARIES {
        println!("cargo:rustc-link-lib={library}");
    }

    let flags = cflags();
    let mut shim = cc::Build::new();
    shim.files(["src/shim.c", "src/flow.c"]).opt_level(3).flag("-Wno-unused-parameter");
    for flag in &flags {
        shim.flag(flag);
    }
    shim.compile("pollux_dpdk_shim");

    let mut builder = bindgen::Builder::default()
        .header("src/wrapper.h")
        .clang_args(&flags)
        .use_core()
        .layout_tests(true)
        .generate_comments(false)
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .derive_default(true);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for variable in VARIABLES {
        builder = builder.allowlist_var(variable);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    builder
        .generate()
        .expect("bindgen reads src/wrapper.h; is libclang installed?")
        .write_to_file(out.join("bindings.rs"))
        .expect("OUT_DIR is writable");
}

/// The compiler flags as pkg-config prints them: its crate parses only include
/// paths and defines, and would lose `-include rte_config.h` and `-march`,
/// without which struct layouts differ.
fn cflags() -> Vec<String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&program)
        .args(["--cflags", "libdpdk"])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    assert!(output.status.success(), "{program} --cflags libdpdk failed");
    String::from_utf8(output.stdout)
        .expect("pkg-config prints UTF-8")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}
