//! What a process takes, as the kernel accounts for it.

use std::fs;
use std::time::Duration;

use nix::unistd::Pid;

/// Ticks a second in `/proc`, on every Linux that this is for.
const TICKS: f64 = 100.0;

/// Memory and time of a process at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Bytes that are resident, now and at most so far, with pages of files such as the program's own.
    pub(crate) resident: u64,
    pub(crate) most_resident: u64,
    /// Bytes that are resident and come from no file.
    pub(crate) anonymous: u64,
    /// Time on a processor, of all its threads together.
    pub(crate) processor: Duration,
}

impl Usage {
    /// Of this process, now.
    pub(crate) fn of(pid: Pid) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it is there");
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of memory");
            let kibibytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
            kibibytes.parse::<u64>().expect("a number") * 1024
        };
        Self {
            resident: bytes("VmRSS"),
            most_resident: bytes("VmHWM"),
            anonymous: bytes("RssAnon"),
            processor: processor(pid),
        }
    }
}

fn processor(pid: Pid) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
    // The name may hold spaces; what follows its parenthesis does not. Fields 14 and 15 of proc(5).
    let fields: Vec<_> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    let ticks: u64 = fields[11..=12].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_secs_f64(ticks as f64 / TICKS)
}

/// Names of the threads of a process that wait for a disk, and could not be ended now.
pub(crate) fn threads_that_wait_for_a_disk(pid: Pid) -> Vec<String> {
    let mut waiting = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("it is there") {
        let path = thread.expect("a thread").path();
        // It may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
        let (named, rest) = stat.rsplit_once(") ").expect("a name");
        if rest.starts_with('D') {
            waiting.push(named.split_once('(').expect("a name").1.to_owned());
        }
    }
    waiting
}
