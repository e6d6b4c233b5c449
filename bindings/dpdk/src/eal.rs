//! The environment abstraction layer: started once per process, with quiet
//! logs, its own files, and the caller's CPU affinity left as it was.

use std::{
    ffi::{CStr, CString, c_char},
    fs, process, ptr,
    sync::{Mutex, OnceLock, PoisonError},
};

use thiserror::Error;

use crate::{
    control,
    hugepages::{self, Hugepages},
    thread::{Affinity, allowed_cpus},
};

/// What EAL writes to standard error and the system log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// What stops it from working.
    Error,
    /// And what will surprise.
    #[default]
    Warning,
    /// And what is normal but notable; drivers greet at this level.
    Notice,
    /// And each step.
    Info,
    /// Everything.
    Debug,
}

impl LogLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How EAL is started. The default needs neither privilege nor set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EalConfig {
    /// Where memory comes from.
    pub hugepages: Hugepages,
    /// Megabytes for pools, rings and drivers; reserved at the start.
    pub memory_mb: u32,
    /// The name that keeps two processes' files apart; `pollux-<pid>` if `None`.
    pub file_prefix: Option<String>,
    /// PCI addresses (`0000:00:04.0`) that EAL may drive; empty: no PCI at all.
    pub pci: Vec<String>,
    /// CPUs of the main lcore; the caller's affinity if `None`.
    pub main_cpus: Option<Vec<usize>>,
    /// How much DPDK talks.
    pub log_level: LogLevel,
    /// Further arguments, handed to EAL as they are, after ours.
    pub extra_args: Vec<String>,
}

impl Default for EalConfig {
    fn default() -> Self {
        Self {
            hugepages: Hugepages::Auto,
            memory_mb: 256,
            file_prefix: None,
            pci: Vec::new(),
            main_cpus: None,
            log_level: LogLevel::Warning,
            extra_args: Vec::new(),
        }
    }
}

/// Where EAL's memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// In hugepages.
    Hugepages,
    /// In ordinary pages: more TLB misses, no DMA.
    Ordinary,
}

/// Why EAL could not be started.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EalError {
    /// Hugepages were required.
    #[error(
        "DPDK needs {needed_mb} MB of hugepages and this process can have {available_mb} MB; \
         reserve more (sysctl vm.nr_hugepages={pages}, or the pod's resource hugepages-2Mi), \
         lower the memory, or let ordinary pages do"
    )]
    NotEnoughHugepages {
        /// What was asked for.
        needed_mb: u64,
        /// What is free, within the control group's limit.
        available_mb: u64,
        /// The number of 2 MB pages that would do.
        pages: u64,
    },
    /// The kernel said no.
    #[error(
        "DPDK was not permitted to start ({reason}); run as root or grant CAP_IPC_LOCK and, \
         for PCI devices, CAP_SYS_RAWIO and access to /dev/vfio; without hugepages and PCI \
         devices neither is needed"
    )]
    Permission {
        /// DPDK's own words.
        reason: String,
    },
    /// EAL runs, started otherwise.
    #[error(
        "DPDK is already initialised in this process, with another configuration; \
         it can be started only once: use the one that runs, or restart the process"
    )]
    OtherConfig,
    /// An argument that cannot be passed.
    #[error("DPDK's argument {argument:?} {problem}")]
    Argument {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The CPUs given cannot hold the main lcore.
    #[error(
        "none of the CPUs {cpus:?} can be the main lcore: the process may run on {allowed:?}, \
         and DPDK knows the CPUs below {max}"
    )]
    NoCpu {
        /// The CPUs asked for.
        cpus: Vec<usize>,
        /// The CPUs that the thread may use.
        allowed: Vec<usize>,
        /// The highest CPU number that DPDK knows, plus one.
        max: u32,
    },
    /// `rte_eal_init` failed otherwise.
    #[error(
        "DPDK could not be initialised: {reason}; its own messages on standard error say more \
         (raise log_level to info for all of them). Restart the process to try again; \
         if memory is the trouble, with fewer megabytes or without hugepages"
    )]
    Init {
        /// DPDK's own words.
        reason: String,
    },
}

/// The running EAL: proof that pools and ports can be made. Lives as long as
/// the process, for DPDK can be started only once in it.
#[derive(Debug)]
pub struct Eal {
    config: EalConfig,
    memory: Memory,
}

static EAL: OnceLock<Eal> = OnceLock::new();
/// The first failure inside `rte_eal_init`: it does not bear a second try.
static FAILED: Mutex<Option<EalError>> = Mutex::new(None);

impl Eal {
    /// Starts EAL, or returns the one that runs if it was started with an equal
    /// configuration. The calling thread becomes lcore 0, with a cache in every
    /// pool, and keeps its CPU affinity.
    ///
    /// # Errors
    /// As [`EalError`] says, each with what to do.
    pub fn init(config: &EalConfig) -> Result<&'static Self, EalError> {
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(eal) = EAL.get() {
            return if eal.config == *config { Ok(eal) } else { Err(EalError::OtherConfig) };
        }
        if let Some(error) = &*failed {
            return Err(error.clone());
        }
        let memory = choose_memory(config)?;
        let prefix =
            config.file_prefix.clone().unwrap_or_else(|| format!("pollux-{}", process::id()));
        let arguments = arguments(config, memory, &prefix)?;
        if let Err(error) = start(arguments) {
            *failed = Some(error.clone());
            return Err(error);
        }
        remove_runtime_folder(&prefix);
        Ok(EAL.get_or_init(|| Self { config: config.clone(), memory }))
    }

    /// The running EAL, if it was started.
    pub fn get() -> Option<&'static Self> {
        EAL.get()
    }

    /// What it was started with.
    pub fn config(&self) -> &EalConfig {
        &self.config
    }

    /// Where its memory lies.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Ticks of [`rdtsc`](crate::rdtsc) per second.
    pub fn tsc_hz(&self) -> u64 {
        // SAFETY: EAL is initialised (self exists), so the rate is measured.
        unsafe { dpdk_sys::rte_get_tsc_hz() }
    }

    /// The version of the library that runs, e.g. `DPDK 22.11.11`.
    pub fn version(&self) -> String {
        // SAFETY: returns a string that is static for the process's life.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_version()) };
        text.to_string_lossy().into_owned()
    }
}

fn choose_memory(config: &EalConfig) -> Result<Memory, EalError> {
    if config.hugepages == Hugepages::Never {
        return Ok(Memory::Ordinary);
    }
    let needed_mb = u64::from(config.memory_mb);
    let available_mb = hugepages::available_mb();
    if available_mb >= needed_mb {
        return Ok(Memory::Hugepages);
    }
    match config.hugepages {
        Hugepages::Require => Err(EalError::NotEnoughHugepages {
            needed_mb,
            available_mb,
            pages: needed_mb.div_ceil(2),
        }),
        Hugepages::Auto | Hugepages::Never => Ok(Memory::Ordinary),
    }
}

fn arguments(config: &EalConfig, memory: Memory, prefix: &str) -> Result<Vec<CString>, EalError> {
    if prefix.is_empty() || prefix.contains(['/', '%']) {
        return Err(EalError::Argument {
            argument: prefix.to_owned(),
            problem: "is no file prefix: it must not be empty nor contain / or %",
        });
    }
    // The level first: it holds for the rest of the parsing.
    let mut arguments = vec![
        "pollux".to_owned(),
        format!("--log-level={}", config.log_level.name()),
        format!("--lcores=0@({})", main_cpus(config)?),
        format!("--file-prefix={prefix}"),
        "--no-telemetry".to_owned(),
        "--iova-mode=va".to_owned(),
        "-m".to_owned(),
        config.memory_mb.to_string(),
    ];
    match memory {
        // Anonymous hugepages: no hugetlbfs mount is needed, nothing outlives
        // the process, and no other process can attach.
        Memory::Hugepages => arguments.push("--in-memory".to_owned()),
        // These two and --in-memory exclude each other in 22.11.
        Memory::Ordinary => {
            arguments.extend(["--no-huge".to_owned(), "--no-shconf".to_owned()]);
        }
    }
    if config.pci.is_empty() {
        arguments.push("--no-pci".to_owned());
    }
    for address in &config.pci {
        arguments.extend(["-a".to_owned(), address.clone()]);
    }
    arguments.extend(config.extra_args.iter().cloned());
    arguments
        .into_iter()
        .map(|argument| {
            CString::new(argument).map_err(|error| EalError::Argument {
                argument: String::from_utf8_lossy(&error.into_vec()).into_owned(),
                problem: "contains a NUL byte",
            })
        })
        .collect()
}

/// The main lcore's CPU set. A set of all the allowed ones pins to none of them.
fn main_cpus(config: &EalConfig) -> Result<String, EalError> {
    let allowed = allowed_cpus();
    let wanted = config.main_cpus.as_ref().unwrap_or(&allowed);
    let cpus: Vec<String> = wanted
        .iter()
        .filter(|&&cpu| allowed.contains(&cpu) && cpu < dpdk_sys::RTE_MAX_LCORE as usize)
        .map(usize::to_string)
        .collect();
    if cpus.is_empty() {
        return Err(EalError::NoCpu {
            cpus: wanted.clone(),
            max: dpdk_sys::RTE_MAX_LCORE,
            allowed,
        });
    }
    Ok(cpus.join(","))
}

fn start(arguments: Vec<CString>) -> Result<(), EalError> {
    let affinity = Affinity::current();
    // EAL keeps pointers into some of its arguments: they live on for good.
    let arguments: &'static [CString] = Vec::leak(arguments);
    let mut argv: Vec<*mut c_char> =
        arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
    argv.push(ptr::null_mut());
    // A fixed few, plus what the configuration holds: far below i32::MAX.
    let argc = arguments.len() as i32;
    let _control = control::lock();
    control::clear_errno();
    // SAFETY: argv holds argc pointers to strings that live for good, then NULL;
    // getopt reorders the pointers in place and does not write to the strings.
    let result = unsafe { dpdk_sys::rte_eal_init(argc, argv.as_mut_ptr()) };
    if let Some(affinity) = affinity {
        affinity.restore();
    }
    if result >= 0 {
        return Ok(());
    }
    let reason = control::reason(result);
    Err(match control::code(result) {
        Some(libc::EACCES | libc::EPERM) => EalError::Permission { reason },
        _ => EalError::Init { reason },
    })
}

/// EAL makes a folder per prefix and leaves it; in our modes nothing is in it.
/// Should anything be, it stays: only an empty folder can be removed.
fn remove_runtime_folder(prefix: &str) {
    let bases =
        [std::env::var("XDG_RUNTIME_DIR").ok(), Some("/var/run".into()), Some("/tmp".into())];
    for base in bases.into_iter().flatten() {
        let _ = fs::remove_dir(format!("{base}/dpdk/{prefix}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(config: &EalConfig, memory: Memory) -> Vec<String> {
        arguments(config, memory, "test")
            .unwrap()
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()
    }

    #[test]
    fn ordinary_memory_and_in_memory_are_never_asked_for_together() {
        let config = EalConfig::default();
        let ordinary = args(&config, Memory::Ordinary);
        assert!(ordinary.contains(&"--no-huge".to_owned()));
        assert!(!ordinary.contains(&"--in-memory".to_owned()));
        let huge = args(&config, Memory::Hugepages);
        assert!(!huge.contains(&"--no-huge".to_owned()));
        assert!(huge.contains(&"--in-memory".to_owned()));
    }

    #[test]
    fn pci_is_off_unless_devices_are_named() {
        assert!(args(&EalConfig::default(), Memory::Ordinary).contains(&"--no-pci".to_owned()));
        let config = EalConfig { pci: vec!["0000:00:04.0".into()], ..EalConfig::default() };
        let args = args(&config, Memory::Ordinary);
        assert!(!args.contains(&"--no-pci".to_owned()));
        assert!(args.windows(2).any(|pair| pair == ["-a", "0000:00:04.0"]));
    }

    #[test]
    fn bad_arguments_are_named() {
        let config = EalConfig { extra_args: vec!["a\0b".into()], ..EalConfig::default() };
        let error = arguments(&config, Memory::Ordinary, "test").unwrap_err();
        assert!(error.to_string().contains("NUL"), "{error}");
        let error = arguments(&EalConfig::default(), Memory::Ordinary, "../x").unwrap_err();
        assert!(error.to_string().contains("file prefix"), "{error}");
    }

    #[test]
    fn a_main_cpu_that_may_not_be_used_is_refused() {
        let config = EalConfig { main_cpus: Some(vec![100_000]), ..EalConfig::default() };
        let error = arguments(&config, Memory::Ordinary, "test").unwrap_err();
        assert!(matches!(error, EalError::NoCpu { .. }), "{error}");
    }
}
