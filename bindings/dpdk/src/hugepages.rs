//! How many hugepages this process may really have: the kernel's free pages,
//! cut by the control group's limit, which in a pod without a request is zero.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Whether EAL's memory comes from hugepages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hugepages {
    /// Take them when enough are free, ordinary pages otherwise.
    #[default]
    Auto,
    /// Fail without them.
    Require,
    /// Never take them. Needs no privilege and no set-up; costs TLB misses.
    Never,
}

/// Megabytes in hugepages that this process could take now.
pub(crate) fn available_mb() -> u64 {
    available_mb_under(Path::new("/"))
}

/// The same below another root folder, so that it can be tested.
fn available_mb_under(root: &Path) -> u64 {
    let Ok(sizes) = fs::read_dir(root.join("sys/kernel/mm/hugepages")) else {
        return 0;
    };
    let group = control_group(root);
    sizes
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let kb: u64 =
                name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            let free = read_number(&entry.path().join("free_hugepages"))?.checked_mul(kb)?;
            let allowed = group.as_deref().and_then(|group| allowance_kb(root, group, kb));
            Some(free.min(allowed.unwrap_or(u64::MAX)) / 1024)
        })
        .fold(0, u64::saturating_add)
}

/// The process's control group (version 2), relative to its mount.
fn control_group(root: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(path))
}

/// What the group and its parents leave of pages of one size; `None` without a limit.
fn allowance_kb(root: &Path, group: &Path, page_kb: u64) -> Option<u64> {
    let size = match page_kb {
        kb if kb % (1024 * 1024) == 0 => format!("{}GB", kb / (1024 * 1024)),
        kb if kb % 1024 == 0 => format!("{}MB", kb / 1024),
        kb => format!("{kb}KB"),
    };
    let mount = root.join("sys/fs/cgroup");
    group
        .ancestors()
        .filter_map(|folder| {
            let folder = mount.join(folder);
            let limit = read_number(&folder.join(format!("hugetlb.{size}.max")))?;
            let used = read_number(&folder.join(format!("hugetlb.{size}.current"))).unwrap_or(0);
            Some(limit.saturating_sub(used) / 1024)
        })
        .min()
}

/// A file with one decimal number; `None` for anything else, such as `max`.
fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    /// A root folder of files, removed when the test ends.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root =
                std::env::temp_dir().join(format!("pollux-hugepages-{}-{name}", process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const FREE_2MB: &str = "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
    const FREE_1GB: &str = "sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages";

    #[test]
    fn free_pages_of_every_size_are_summed() {
        let root = Root::new("sum", &[(FREE_2MB, "100\n"), (FREE_1GB, "2\n")]);
        assert_eq!(available_mb_under(&root.0), 200 + 2048);
    }

    #[test]
    fn a_kernel_without_hugepages_has_none() {
        let root = Root::new("none", &[("proc/self/cgroup", "0::/\n")]);
        assert_eq!(available_mb_under(&root.0), 0);
    }

    #[test]
    fn the_tightest_group_above_the_process_limits_them() {
        let root = Root::new(
            "group",
            &[
                (FREE_2MB, "1000\n"),
                ("proc/self/cgroup", "1:name=systemd:/x\n0::/pods/one/main\n"),
                ("sys/fs/cgroup/pods/hugetlb.2MB.max", "max\n"),
                ("sys/fs/cgroup/pods/one/hugetlb.2MB.max", "104857600\n"),
                ("sys/fs/cgroup/pods/one/hugetlb.2MB.current", "20971520\n"),
                ("sys/fs/cgroup/pods/one/main/hugetlb.2MB.max", "max\n"),
            ],
        );
        assert_eq!(available_mb_under(&root.0), 80);
    }

    #[test]
    fn a_pod_without_a_request_sees_the_nodes_pages_but_has_none() {
        let root = Root::new(
            "pod",
            &[
                (FREE_2MB, "1000\n"),
                ("proc/self/cgroup", "0::/\n"),
                ("sys/fs/cgroup/hugetlb.2MB.max", "0\n"),
            ],
        );
        assert_eq!(available_mb_under(&root.0), 0);
    }
}
