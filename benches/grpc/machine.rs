//! Where a benchmark ran: figures mean little without it.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processors: usize,
    model: String,
    kernel: String,
    rustc: String,
    /// Processes that wanted to run at the end, on average over 1, 5 and 15 minutes.
    pub(crate) load: String,
}

impl Machine {
    /// This one, now.
    pub(crate) fn this() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let rustc =
            Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            model: model.unwrap_or("of unknown model").to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: String::from_utf8_lossy(&rustc).trim().to_owned(),
            load: read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" "),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processors, model, kernel, rustc, load } = self;
        write!(f, "{processors} processors ({model}), Linux {kernel}, {rustc}, load {load}")
    }
}
