//! Which CPU polls what: given out once each, near the NIC, from the highest number down.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::sysfs::Sysfs;
use crate::exit::UsageError;

/// CPUs are given out from the highest number down: the lowest ones have the kernel's interrupts
/// and our own control side. With fewer CPUs than workers, workers share them.
#[derive(Debug)]
pub struct Cpus {
    free: Vec<usize>,
    all: Vec<usize>,
    nodes: Vec<(u32, Vec<usize>)>,
    given: usize,
}

impl Cpus {
    /// Those that this process may use.
    pub fn new(sysfs: &Sysfs) -> Self {
        Self::of(dpdk::allowed_cpus(), sysfs.nodes())
    }

    fn of(all: Vec<usize>, nodes: Vec<(u32, Vec<usize>)>) -> Self {
        Self { free: all.clone(), all, nodes, given: 0 }
    }

    /// The NUMA node of a CPU.
    pub fn node(&self, cpu: usize) -> Option<u32> {
        self.nodes.iter().find(|(_, cpus)| cpus.contains(&cpu)).map(|&(node, _)| node)
    }

    /// A CPU, of this node if one is free there.
    pub fn take(&mut self, node: Option<u32>) -> Option<usize> {
        let near = self.free.iter().rposition(|&cpu| node.is_some() && self.node(cpu) == node);
        let cpu = match near.or_else(|| self.free.len().checked_sub(1)) {
            Some(at) => Some(self.free.remove(at)),
            None => {
                let at = self.all.len().checked_sub(1 + self.given % self.all.len().max(1));
                at.and_then(|at| self.all.get(at).copied())
            }
        };
        self.given += 1;
        cpu
    }

    /// Keeps the calling thread, and those that it starts from now on, off the CPUs that were given out:
    /// building rules is not to hold up a worker. Where no other CPU is left, they go wherever they may.
    pub fn stay_off(&self) {
        let mut set = CpuSet::new();
        let known = self.free.iter().filter(|&&cpu| set.set(cpu).is_ok()).count();
        if known > 0 {
            // A hint: everything works without it.
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }

    /// This CPU.
    ///
    /// # Errors
    /// When the process may not use it.
    pub fn take_this(&mut self, cpu: usize) -> anyhow::Result<usize> {
        if !self.all.contains(&cpu) {
            return Err(UsageError(format!(
                "CPU {cpu} is not one that this process may use (it may use {:?}); correct \
                 `cores`, or the cpuset of the service",
                self.all
            ))
            .into());
        }
        self.free.retain(|&other| other != cpu);
        Ok(cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_given_out_once_before_they_are_shared() {
        let mut cpus = Cpus::of(vec![2, 5], Vec::new());
        assert_eq!((cpus.take(None), cpus.take(Some(1))), (Some(5), Some(2)));
        assert!(matches!(cpus.take(None), Some(2 | 5)));
        assert!(cpus.take_this(7).is_err());
    }

    #[test]
    fn whoever_stays_off_keeps_to_the_cpus_that_are_left() {
        std::thread::spawn(|| {
            let allowed = dpdk::allowed_cpus();
            let mut cpus = Cpus::of(allowed.clone(), Vec::new());
            let taken = cpus.take(None);
            cpus.stay_off();
            let left: Vec<usize> =
                allowed.iter().copied().filter(|&cpu| Some(cpu) != taken).collect();
            let expected = if left.is_empty() { allowed } else { left };
            assert_eq!(dpdk::allowed_cpus(), expected);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn cpus_of_the_nics_node_come_first() {
        let nodes = vec![(0, vec![0, 1]), (1, vec![2, 3])];
        let mut cpus = Cpus::of(vec![0, 1, 2, 3], nodes);
        assert_eq!((cpus.take(Some(0)), cpus.take(Some(0))), (Some(1), Some(0)));
        assert_eq!(cpus.take(Some(0)), Some(3), "none is left there: the highest of all");
        assert_eq!(cpus.node(3), Some(1));
    }
}
