//! CPU time of threads, of this process and of its children, and the most memory that it held.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread so far.
///
/// # Errors
/// The system's.
pub fn of_thread() -> nix::Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(Duration::from(time))
}

/// CPU time of all threads of this process so far, user and system.
///
/// # Errors
/// The system's.
pub fn of_process() -> nix::Result<Duration> {
    usage(UsageWho::RUSAGE_SELF)
}

/// CPU time of all children that have ended and were waited for.
///
/// # Errors
/// The system's.
pub fn of_children() -> nix::Result<Duration> {
    usage(UsageWho::RUSAGE_CHILDREN)
}

fn usage(who: UsageWho) -> nix::Result<Duration> {
    let usage = getrusage(who)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// CPU time of all CPUs since the machine started, in the kernel's own units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MachineTime {
    /// What passed for all of them, idle or not.
    all: u64,
    /// What whoever runs this virtual machine gave to others while it was wanted here.
    stolen: u64,
}

impl MachineTime {
    /// Up to now (proc(5), `/proc/stat`); None if the kernel does not tell.
    pub fn now() -> Option<Self> {
        Self::of(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    fn of(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        // user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in user and nice.
        let times: Vec<u64> =
            line.split_whitespace().take(8).map(|time| time.parse().ok()).collect::<Option<_>>()?;
        Some(Self { all: times.iter().sum(), stolen: *times.get(7)? })
    }

    /// Which part of it was stolen since, from 0 to 1.
    pub fn stolen_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.stolen.saturating_sub(before.stolen) as f64 / all as f64
    }
}

/// The most memory that this process held since it started or since [`forget_peak`], in bytes;
/// 0 if the kernel does not tell.
pub fn peak_rss() -> u64 {
    status("VmHWM:")
}

fn status(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().strip_suffix("kB")?.trim().parse().ok())
        .map_or(0, |kibibytes: u64| kibibytes * 1024)
}

/// The memory that this process holds now, in bytes; 0 if the kernel does not tell.
pub fn rss() -> u64 {
    status("VmRSS:")
}

/// Lets [`peak_rss`] begin anew at what is held now (proc(5), `clear_refs`).
///
/// # Errors
/// The system's.
pub fn forget_peak() -> std::io::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5")
}

/// By how much a thread that gives way is nicer than others: a tenth of their share.
const NICER: i32 = 10;

/// The calling thread, and those that it starts from now on, leave a CPU to others who want it too: where there
/// are no more CPUs than workers, rules are built on theirs.
///
/// # Errors
/// The system's.
pub fn give_way() -> std::io::Result<()> {
    // Of the thread alone, as Linux has it (setpriority(2), "C library/kernel differences").
    rustix::process::nice(NICER)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_cpu_time_and_sleep_does_not() {
        let start = of_thread().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let slept = of_thread().unwrap() - start;
        assert!(slept < Duration::from_millis(40), "{slept:?}");
        while of_thread().unwrap() - start < Duration::from_millis(60) {
            std::hint::spin_loop();
        }
        assert!(of_process().unwrap() >= Duration::from_millis(60));
    }

    #[test]
    fn a_thread_gives_way_with_those_that_it_starts_and_without_others() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let fields = stat.rsplit(')').next().unwrap().split_whitespace();
            fields.skip(16).map(|it| it.parse::<i32>().unwrap()).next().unwrap()
        };
        let own = nice();
        let given = std::thread::spawn(move || {
            give_way().unwrap();
            (nice(), std::thread::spawn(nice).join().unwrap())
        });
        let wanted = (own + NICER).min(19);
        assert_eq!(given.join().unwrap(), (wanted, wanted));
        assert_eq!(nice(), own);
    }

    #[test]
    fn stolen_time_is_a_part_of_all_that_passed() {
        let of = |line: &str| MachineTime::of(line);
        let before = of("cpu  100 10 50 800 20 0 5 15 0 0\ncpu0 1 2 3\n").unwrap();
        let after = of("cpu  150 10 60 820 20 0 5 35 50 0\n").unwrap();
        assert!((after.stolen_since(before) - 0.2).abs() < 1e-9);
        assert!(before.stolen_since(before).abs() < 1e-9);
        assert_eq!((of(""), of("cpu 1 2"), of("cpu  a b c d e f g h")), (None, None, None));
        assert!(MachineTime::now().is_some_and(|now| now.all > 0 && now.stolen <= now.all));
    }

    #[test]
    fn the_peak_is_told_and_can_be_forgotten() {
        // On a thread's stack: the system has it back when the thread ends, while an allocator may
        // keep what it was given back.
        std::thread::Builder::new()
            .stack_size(96 << 20)
            .spawn(|| {
                let mut block = [1u8; 64 << 20];
                block.iter_mut().step_by(4096).for_each(|byte| *byte = 2);
                std::hint::black_box(&block);
            })
            .unwrap()
            .join()
            .unwrap();
        let high = peak_rss();
        assert!(high >= 64 << 20, "{high}");
        forget_peak().unwrap();
        let low = peak_rss();
        assert!(low + (32 << 20) < high, "{low} of {high}");
    }
}
