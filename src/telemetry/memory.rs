//! How much memory the process uses, and how much it may: as the kernel says it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// What is done for want of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pressure {
    /// Nothing.
    #[default]
    None,
    /// Less is remembered.
    Forgetting,
    /// Requests are turned away as well.
    TurningAway,
}

/// What was last seen of the process's memory.
#[derive(Debug, Default)]
pub struct MemoryStatus {
    used: AtomicU64,
    limit: AtomicU64,
    pressure: AtomicI64,
}

impl MemoryStatus {
    /// Notes what was seen, in bytes.
    pub fn set(&self, used: u64, limit: u64, pressure: Pressure) {
        self.used.store(used, Relaxed);
        self.limit.store(limit, Relaxed);
        self.pressure.store(pressure as i64, Relaxed);
    }

    /// Bytes that are used, and that may be; a limit of 0 is none.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.used.load(Relaxed), self.limit.load(Relaxed))
    }

    /// What is done for want of memory: 0, 1 or 2.
    #[must_use]
    pub fn pressure(&self) -> i64 {
        self.pressure.load(Relaxed)
    }
}

/// Bytes of the process that are in memory (`proc_pid_status(5)`); none where the kernel does not say.
#[must_use]
pub fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Bytes that the process's control group may have, and that the groups around it may: the least of them; none if there is no
/// limit (`cgroups(7)`, versions 1 and 2).
#[must_use]
pub fn limit_of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    limit_within(&groups, &mounts, |file| fs::read_to_string(file).ok())
}

/// A hierarchy of control groups that is mounted.
struct Hierarchy<'t> {
    /// The group whose folder the mount shows.
    root: &'t str,
    /// Where.
    place: &'t str,
    /// Whether it is one of version 2.
    unified: bool,
}

fn limit_within(groups: &str, mounts: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_number, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        let unified = controllers.is_empty();
        if !unified && !controllers.split(',').any(|controller| controller == "memory") {
            return None;
        }
        let hierarchy = mounts.lines().filter_map(hierarchy).find(|found| found.unified == unified)?;
        limit_at(&hierarchy, group, &read)
    });
    limits.min()
}

/// A line of `mountinfo`: number, parent, device, root, place, options, fields up to `-`, kind, source, options.
fn hierarchy(line: &str) -> Option<Hierarchy<'_>> {
    let (mount, kind) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, place) = (mount.next()?, mount.next()?);
    let mut kind = kind.split(' ');
    let unified = match kind.next()? {
        "cgroup2" => true,
        "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => false,
        _ => return None,
    };
    Some(Hierarchy { root, place, unified })
}

/// The least limit from a group up to what the mount shows.
fn limit_at(hierarchy: &Hierarchy<'_>, group: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let name = if hierarchy.unified { "memory.max" } else { "memory.limit_in_bytes" };
    let place = Path::new(hierarchy.place);
    // A container sees its own group as the root of what is mounted.
    let below = group.strip_prefix(hierarchy.root).unwrap_or("").trim_start_matches('/');
    let folders = place.join(below);
    let limits = folders.ancestors().take_while(|folder| folder.starts_with(place)).filter_map(|folder| {
        let bytes: u64 = read(&folder.join(name))?.trim().parse().ok()?;
        // What is as large as an address space is no limit.
        (bytes < 1 << 60).then_some(bytes)
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 1 0:22 / /proc rw - proc proc rw
30 24 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
32 24 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    fn limit(groups: &str, mounts: &str, files: &[(&str, &str)]) -> Option<u64> {
        limit_within(groups, mounts, |file| {
            let found = files.iter().find(|(name, _)| Path::new(name) == file);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_least_limit_around_the_process_counts_in_both_versions() {
        let v1 = [
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/pods/memory.limit_in_bytes", "500000000\n"),
            ("/sys/fs/cgroup/memory/pods/a/memory.limit_in_bytes", "800000000\n"),
        ];
        assert_eq!(limit("4:memory:/pods/a\n0::/\n", MOUNTS, &v1), Some(500_000_000));
        assert_eq!(limit("4:memory:/\n0::/\n", MOUNTS, &v1), None);
        let v2 = [("/sys/fs/cgroup/memory.max", "300000000\n"), ("/sys/fs/cgroup/a/memory.max", "max\n")];
        let unified = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(limit("0::/a\n", unified, &v2), Some(300_000_000));
        assert_eq!(limit("0::/a\n", unified, &[]), None);
        assert_eq!(limit("0::/a\n", "", &v2), None);
    }

    #[test]
    fn a_container_finds_the_limit_of_its_own_group() {
        let mounts = "30 24 0:26 /pods/a /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let files = [("/sys/fs/cgroup/memory.max", "268435456\n")];
        assert_eq!(limit("0::/pods/a\n", mounts, &files), Some(268_435_456));
        // In a namespace of its own it is called the root.
        assert_eq!(limit("0::/\n", mounts, &files), Some(268_435_456));
    }

    #[test]
    fn this_process_uses_memory() {
        let used = resident().unwrap();
        assert!((1 << 20..1 << 40).contains(&used), "{used}");
    }
}
